package realtime

import (
	"strconv"

	"github.com/leanrtm/realtime/internal/wire"
)

// MessagePriority orders messages of a chat room in which more is said than
// can be delivered.
type MessagePriority int

// The priorities. A chat room that is too busy drops the low ones first.
const (
	PriorityHigh   MessagePriority = wire.PriorityHigh
	PriorityNormal MessagePriority = wire.PriorityNormal
	PriorityLow    MessagePriority = wire.PriorityLow
)

// String names the priority.
func (p MessagePriority) String() string {
	switch p {
	case PriorityHigh:
		return "high"
	case PriorityNormal:
		return "normal"
	case PriorityLow:
		return "low"
	}
	return "MessagePriority(" + strconv.Itoa(int(p)) + ")"
}

// SendOption is an option of [Conversation.Send]. The interface is sealed.
type SendOption interface{ applySend(o *sendOptions) }

// UpdateOption is an option of [Conversation.Update]. The interface is sealed.
type UpdateOption interface{ applyUpdate(m *mentions) }

// MentionOption is an option of both [Conversation.Send] and
// [Conversation.Update].
type MentionOption interface {
	SendOption
	UpdateOption
}

// SendDefaults is implemented by contents that bring their own send options.
// They are applied before those of the call.
type SendDefaults interface{ SendOptions() []SendOption }

// mentions say who is to notice a message.
type mentions struct {
	ids []string
	all bool
}

// sendOptions are the options of one Send, collected.
type sendOptions struct {
	mentions
	flags    sendFlag
	priority MessagePriority
	token    string
	hasToken bool
	pushData any
	hasPush  bool
}

func (o *sendOptions) has(f sendFlag) bool { return o.flags&f != 0 }

// sendFlag is an option that is on or off. Values this small are no garbage
// when they become a SendOption.
type sendFlag uint8

const (
	sendTransient sendFlag = 1 << iota
	sendReceipt
	sendWill
	sendRetry
	sendNoDefaults
)

func (f sendFlag) applySend(o *sendOptions) { o.flags |= f }

// WithTransient sends to who is online only: the message is neither stored nor
// counted nor pushed. For such things as "is typing".
func WithTransient() SendOption { return sendTransient }

// WithReceipt asks to be told when the other member of a conversation of two
// has received the message: see [MessageStatusEvent] and
// [LastDeliveredAtUpdateEvent]. Chat rooms and transient messages know no
// receipts; there it is ignored.
func WithReceipt() SendOption { return sendReceipt }

// WithWill leaves the message with the server, which sends it when the
// connection of this client is lost, but not when it closes. It is not stored.
// A client has one will; a later one replaces it.
func WithWill() SendOption { return sendWill }

// WithRetry keeps trying across reconnects until the ctx of the call ends, which
// then should have a deadline. The message is stored once. It gives up, with an
// error that matches ErrOutcomeUnknown, when the server may have the message
// but would no longer recognise it.
func WithRetry() SendOption { return sendRetry }

// WithoutDefaults ignores the [SendDefaults] of the content.
func WithoutDefaults() SendOption { return sendNoDefaults }

// WithDedupToken gives the message a token of the caller's own instead of a
// random one: as long as the server remembers it, which are some minutes,
// repeating the call stores one message.
func WithDedupToken(token string) SendOption { return dedupToken(token) }

type dedupToken string

func (t dedupToken) applySend(o *sendOptions) { o.token, o.hasToken = string(t), true }

// WithPriority orders the message among those of a busy chat room. In other
// conversations it is ignored.
func WithPriority(p MessagePriority) SendOption { return sendPriority(p) }

// sendPriority keeps a MessagePriority from being an option by itself.
type sendPriority MessagePriority

func (p sendPriority) applySend(o *sendOptions) { o.priority = MessagePriority(p) }

// WithPushData gives what push notifications of the message are to contain: the
// JSON of v.
func WithPushData(v any) SendOption { return pushData{v} }

type pushData struct{ v any }

func (d pushData) applySend(o *sendOptions) { o.pushData, o.hasPush = d.v, true }

// WithMention mentions these clients. Given more than once, it adds.
func WithMention(ids ...string) MentionOption { return &mentions{ids: ids} }

// WithMentionAll mentions everybody in the conversation.
func WithMentionAll() MentionOption { return &mentions{all: true} }

func (m *mentions) applySend(o *sendOptions) { m.applyUpdate(&o.mentions) }

func (m *mentions) applyUpdate(to *mentions) {
	// A copy in any case: what was given is the caller's.
	to.ids = append(to.ids[:len(to.ids):len(to.ids)], m.ids...)
	to.all = to.all || m.all
}

// collect applies the options of a call, after the content's own.
func (o *sendOptions) collect(content Content, opts []SendOption) error {
	for _, opt := range opts {
		if opt == nil {
			return invalidArgument("nil SendOption")
		}
		opt.applySend(o)
	}
	d, ok := content.(SendDefaults)
	if !ok || o.has(sendNoDefaults) {
		return o.check()
	}
	*o = sendOptions{}
	for _, opt := range d.SendOptions() {
		if opt == nil {
			return invalidArgument("nil SendOption in the defaults of %T", content)
		}
		opt.applySend(o)
	}
	for _, opt := range opts {
		opt.applySend(o)
	}
	return o.check()
}

func (o *sendOptions) check() error {
	switch {
	case o.hasToken && o.token == "":
		return invalidArgument("WithDedupToken: the token is empty")
	case o.priority != 0 && (o.priority < PriorityHigh || o.priority > PriorityLow):
		return invalidArgument("WithPriority: %v", o.priority)
	}
	return checkIDs(o.ids)
}
