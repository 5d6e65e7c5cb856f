package realtime

import (
	"slices"
	"strconv"
	"time"
)

// Message is one message: an envelope around its [Content]. It is a snapshot:
// this package never changes one it has handed out, and neither may you, since
// all listeners share it. An edit comes as a new Message with the same ID.
//
// A Message marshals to JSON in the full form of the other SDKs, and
// [IMClient.ParseMessage] reads that form.
type Message struct {
	// ID is chosen by the server and unique. It is empty in the messages of a
	// failed or pending send.
	ID string
	// ConversationID is the conversation it was sent to.
	ConversationID string
	// From is the id of the sender.
	From string
	// Timestamp is when the server accepted the message.
	Timestamp time.Time
	// UpdatedAt is when it was last edited; zero: never.
	UpdatedAt time.Time
	// DeliveredAt is when it reached the other member of a conversation of two;
	// zero: not known.
	DeliveredAt time.Time
	// Status is how far a message of this client has got.
	Status MessageStatus
	// Transient messages reach only who is online and are not stored.
	Transient bool
	// MentionList holds the ids of the mentioned clients.
	MentionList []string
	// MentionedAll: everybody in the conversation is mentioned.
	MentionedAll bool
	// Mentioned: somebody else mentions the client that got the message.
	Mentioned bool
	// Content is what the message says. It is never nil in a message that this
	// package returns.
	Content Content

	payload    payload // content as it came over the wire
	contentErr error
}

// Type is the message type of the content; 0: none.
func (m *Message) Type() int {
	if isNil(m.Content) {
		return 0
	}
	return m.Content.Type()
}

// Text returns the text of a typed content, "" for others.
func (m *Message) Text() string {
	if t := m.typed(); t != nil {
		return t.Text
	}
	return ""
}

// Summary returns what a list of conversations would show: what the content's
// Summary method says, by default its text.
func (m *Message) Summary() string {
	if s, ok := m.Content.(interface{ Summary() string }); ok && !isNil(m.Content) {
		return s.Summary()
	}
	return ""
}

// Attributes returns the sender's own additions to a typed content. The map
// belongs to the message.
func (m *Message) Attributes() map[string]any {
	if t := m.typed(); t != nil {
		return t.Attributes
	}
	return nil
}

func (m *Message) typed() *TypedMessage {
	if isNil(m.Content) {
		return nil
	}
	return m.Content.typed()
}

// size is that of the content, for limits.
func (m *Message) size() int {
	if m == nil {
		return 0
	}
	return len(m.payload.text) + len(m.payload.data)
}

// Payload returns a copy of the content as it came over the wire, with fields
// that the type does not know. Of a message that was not made by this package
// it is what would go over the wire; nil if that cannot be told.
func (m *Message) Payload() []byte {
	if !m.payload.empty() {
		return m.payload.bytes()
	}
	data, _, err := MarshalContent(m.Content)
	if err != nil {
		return nil
	}
	return data
}

// ContentErr tells why Content was read only in part, or is a [RawMessage]
// although a type claims it; nil if it was read well.
func (m *Message) ContentErr() error { return m.contentErr }

// setContent reads the content.
func (m *Message) setContent(r *contentRegistry, p payload) {
	m.payload = p
	m.Content, m.contentErr = r.parse(p)
}

// setMentions keeps who is mentioned; self is the client that got the message.
func (m *Message) setMentions(ids []string, all bool, self string) {
	m.MentionList, m.MentionedAll = ids, all
	m.Mentioned = m.From != self && (all || slices.Contains(ids, self))
}

// point is where the message stands in the history.
func (m *Message) point() point { return point{m.Timestamp.UnixMilli(), m.ID} }

// millis is the protocol's form of a time; 0 is none.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// fromMillis is a time of the protocol; 0 is none.
func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// optionalMillis is a time of the protocol that may be absent.
func optionalMillis(ms *int64) time.Time {
	if ms == nil {
		return time.Time{}
	}
	return fromMillis(*ms)
}

// MessageStatus is how far a message of this client has got.
type MessageStatus int

// The states of a message. Received messages have StatusNone.
const (
	StatusNone      MessageStatus = iota
	StatusSending                 // on its way to the server
	StatusSent                    // accepted by the server
	StatusDelivered               // received by the other member, if a receipt was asked for
	StatusFailed                  // not accepted, or no answer came: see MessageStatusEvent.Err
)

// String names the status.
func (s MessageStatus) String() string {
	switch s {
	case StatusNone:
		return "none"
	case StatusSending:
		return "sending"
	case StatusSent:
		return "sent"
	case StatusDelivered:
		return "delivered"
	case StatusFailed:
		return "failed"
	}
	return "MessageStatus(" + strconv.Itoa(int(s)) + ")"
}
