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
type UpdateOption interface{ applyUpdate(o *mentions) }

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
	transient, receipt, will, retry, withoutDefaults bool

	priority MessagePriority
	token    string
	pushData any
	hasPush  bool
}
