package realtime

import (
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

	text       string // content as it came over the wire, when it is a text
	data       []byte // the same when it is binary
	binary     bool
	contentErr error
}

// MessageStatus is how far a message of this client has got.
type MessageStatus int

// The states of a message. Received messages have StatusNone.
const (
	StatusNone      MessageStatus = iota
	StatusSending                 // on its way to the server
	StatusSent                    // accepted by the server
	StatusDelivered               // received by the other member, if a receipt was asked for
	StatusFailed                  // not accepted
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
