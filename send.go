package realtime

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/leanrtm/realtime/internal/mutant"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// sending is one Send on its way. It is what tells this client's own messages
// from news while the answer is still out.
type sending struct {
	conv    *Conversation
	opts    sendOptions
	content Content
	payload payload

	push string // the data for the offline push, as JSON

	// See send_doubt.go; under clientSync.mu.
	inDoubt   bool     // an attempt got no answer and may have got through
	found     *Message // what has shown up and may be of this send
	foundAway bool     // it was fetched

	settled chan struct{} // closed when there is an answer and listeners know it; nil: nobody waits for that
}

// outgoing is the command of a send and what that points to, in one piece. It is
// needed until the call returns, and serves again then.
type outgoing struct {
	command  pb.GenericCommand
	direct   pb.DirectCommand
	cmd      pb.CommandType
	priority int32
	yes      bool // what optional booleans point to
}

// Send sends content and returns the message as the server has accepted it. It
// waits for the server's answer. content is read during the call only; the
// result has its own copy.
//
// After an error that matches ErrOutcomeUnknown the message may have been sent.
// Only with [WithDedupToken] is it safe to repeat the call then; [WithRetry]
// does that by itself. If the client finds after a reconnect that the message
// was stored, it tells so by a [MessageStatusEvent] with StatusSent.
func (c *Conversation) Send(ctx context.Context, content Content, opts ...SendOption) (*Message, error) {
	if isNil(content) {
		return nil, invalidArgument("the content is nil")
	}
	s := &sending{conv: c, content: content}
	if err := s.opts.collect(content, opts); err != nil {
		return nil, err
	}
	if err := c.client.usable(ctx); err != nil {
		return nil, err
	}
	if err := c.allowed(anyKind); err != nil {
		return nil, err
	}
	s.ignoreUnknown()
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	s.status(StatusSending, nil)
	m, err := s.send(ctx)
	c.client.counters.sendEnded(err)
	return m, err
}

// ignoreUnknown drops the options that the kind of conversation or message does
// not know.
func (s *sending) ignoreUnknown() {
	room := s.conv.Kind() == KindChatRoom
	if s.opts.has(sendReceipt) && (room || s.opts.has(sendTransient)) {
		s.opts.flags &^= sendReceipt
		s.ignored("receipt")
	}
	if s.opts.priority != 0 && !room {
		s.opts.priority = 0
		s.ignored("priority")
	}
}

func (s *sending) ignored(option string) {
	c := s.conv.client
	c.log.LogAttrs(c.ctx, slog.LevelWarn, "a send option has no effect on this kind of conversation or message",
		slog.String("option", option), slog.String("conv_id", s.conv.id))
}

// prepare runs the plugins and encodes what they leave.
func (s *sending) prepare(ctx context.Context) error {
	content, err := s.conv.beforeSend(ctx, s.content)
	if err != nil {
		return err
	}
	s.content = content
	if s.payload, err = encodeContent(content); err != nil {
		return err
	}
	s.payload.data = bytes.Clone(s.payload.data) // the message keeps it
	if s.opts.token == "" {
		s.opts.token = newToken()
	}
	if s.opts.hasPush {
		data, err := marshalJSON(s.opts.pushData)
		if err != nil {
			return invalidArgument("WithPushData: %w", err)
		}
		s.push = string(data)
	}
	return nil
}

// beforeSend has the plugins prepare a content.
func (c *Conversation) beforeSend(ctx context.Context, content Content) (Content, error) {
	rt := c.client.rt
	for i := range rt.plugins {
		hook := rt.plugins[i].BeforeSend
		if hook == nil {
			continue
		}
		out := &Outgoing{Conversation: c, Content: content, Do: rt.Do}
		if err := hook(ctx, out); err != nil {
			return nil, fmt.Errorf("realtime: plugin %q: BeforeSend: %w", rt.plugins[i].Name, err)
		}
		if isNil(out.Content) {
			return nil, invalidArgument("plugin %q: BeforeSend left no content", rt.plugins[i].Name)
		}
		content = out.Content
	}
	return content, nil
}

// newToken is a random token: 128 bits, which nobody needs to be unable to
// guess.
func newToken() string {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
	var b [22]byte
	for i, bits := 0, uint64(0); i < len(b); i++ {
		if i%10 == 0 {
			bits = rand.Uint64()
		}
		b[i] = digits[bits&63]
		bits >>= 6
	}
	return string(b[:])
}

// build fills in the command. It is built anew for every attempt, since a call
// takes it over. out is zero.
func (s *sending) build(out *outgoing) *pb.GenericCommand {
	yes := func(on bool) *bool {
		if on {
			return &out.yes
		}
		return nil
	}
	out.yes = true
	direct := &out.direct
	direct.Cid, direct.Dt = &s.conv.id, &s.opts.token
	if mutant.On(mutant.ChangesTokens) {
		token := newToken()
		direct.Dt = &token
	}
	if s.payload.binary {
		direct.BinaryMsg = s.payload.data
		if direct.BinaryMsg == nil {
			direct.BinaryMsg = []byte{}
		}
	} else {
		direct.Msg = &s.payload.text
	}
	direct.R = yes(s.opts.has(sendReceipt))
	direct.Transient = yes(s.opts.has(sendTransient))
	direct.Will = yes(s.opts.has(sendWill))
	direct.MentionPids, direct.MentionAll = s.opts.ids, yes(s.opts.all)
	if s.opts.hasPush {
		direct.PushData = &s.push
	}
	out.cmd = pb.CommandType_direct
	out.command.Cmd, out.command.DirectMessage = &out.cmd, direct
	if s.opts.priority != 0 {
		out.priority = int32(s.opts.priority)
		out.command.Priority = &out.priority
	}
	return &out.command
}

// stored reports whether the message becomes part of the history.
func (s *sending) stored() bool { return !s.opts.has(sendTransient | sendWill) }

// send sends until there is an answer, once unless the message is to be
// retried, and tells listeners.
func (s *sending) send(ctx context.Context) (m *Message, err error) {
	if s.stored() {
		c := s.conv.client
		c.sync.begin(s)
		defer func() { s.ended(m, err) }()
	}
	if s.opts.has(sendRetry) {
		m, err = s.sendRetrying(ctx)
	} else {
		m, err = s.attempt(ctx)
	}
	if err != nil {
		s.status(StatusFailed, err)
		return nil, err
	}
	return m, nil
}

// attempt sends once.
func (s *sending) attempt(ctx context.Context) (*Message, error) {
	c := s.conv.client
	out := c.rt.outgoing.Get().(*outgoing)
	var block *wire.Block
	reply, err := c.call(ctx, s.build(out), callOptions{safe: s.opts.hasToken, block: &block})
	*out = outgoing{}
	c.rt.outgoing.Put(out)
	if err != nil {
		return nil, s.conv.failed(err)
	}
	m := s.accepted(reply.GetAckMessage())
	c.rt.blocks.Put(block)
	return m, nil
}

// accepted is the message as the server has it.
func (s *sending) accepted(ack *pb.AckCommand) *Message {
	c := s.conv.client
	m := s.newMessage(StatusSent)
	m.ID, m.Timestamp = ack.GetUid(), fromMillis(ack.GetT())
	m.Content, m.contentErr = copyContent(s.content, s.payload)
	if s.stored() {
		c.sync.accepted(s.conv.id, m.point())
		s.conv.mu.Lock()
		s.conv.state.sawMessage(m)
		s.conv.mu.Unlock()
	}
	if c.observed() {
		c.emit(&MessageStatusEvent{Conversation: s.conv, Message: m, Token: s.opts.token})
	}
	if s.opts.has(sendReceipt) {
		c.awaitReceipt(s.conv, sentMessage{m, s.opts.token})
	}
	return m
}

// newMessage is the message without what the server adds.
func (s *sending) newMessage(status MessageStatus) *Message {
	return &Message{
		ConversationID: s.conv.id,
		From:           s.conv.client.ID(),
		Status:         status,
		Transient:      s.opts.has(sendTransient),
		MentionList:    s.opts.ids,
		MentionedAll:   s.opts.all,
		payload:        s.payload,
	}
}

// status tells listeners of a message that is not accepted.
func (s *sending) status(status MessageStatus, err error) {
	c := s.conv.client
	if !c.observed() {
		return
	}
	m := s.newMessage(status)
	m.Timestamp = time.Now().UTC()
	m.Content, m.contentErr = copyContent(s.content, s.payload)
	c.emit(&MessageStatusEvent{Conversation: s.conv, Message: m, Token: s.opts.token, Err: err})
}

// observed reports whether anybody could hear an event.
func (c *IMClient) observed() bool {
	return c.listened.Load() || c.streams.Len() > 0
}
