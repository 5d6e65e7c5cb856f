package realtime

import "time"

// Event is what happens to a client, a conversation or the connection. The
// interface is sealed: its values are the pointers to the event structs of
// this package. More kinds and more fields may come; keep a default case.
//
// All listeners share one event: read it only. State of the objects it names
// is at least as new as the event, and may already be newer; what belongs to
// the event is in the event.
type Event interface{ event() }

// conversationEvent is an event that happened in a conversation, which hears
// it after its client.
type conversationEvent interface {
	Event
	conversation() *Conversation
}

// PatchReason tells why a message was changed by somebody else than its
// sender.
type PatchReason struct {
	Code   int    // negative: a code of the server, negated; positive: chosen by a hook
	Detail string // explanation for people
}

// RecoveryFailure is a conversation whose missed messages could not be
// fetched.
type RecoveryFailure struct {
	ConversationID string
	Err            error
}

// MessageEvent is delivered when a message arrives in a conversation. Messages
// that this client sent from other devices come too; of those that it sends here
// a MessageStatusEvent tells.
type MessageEvent struct {
	Conversation *Conversation
	Message      *Message
	Recovered    bool // it was missed while away and has been fetched
}

// MessageUpdateEvent is delivered when a message was edited.
type MessageUpdateEvent struct {
	Conversation *Conversation
	Message      *Message     // as it is now
	Reason       *PatchReason // nil: the sender did it
	Recovered    bool         // it was missed while away and has been fetched
}

// MessageRecallEvent is delivered when a message was recalled.
type MessageRecallEvent struct {
	Conversation *Conversation
	Message      *Message     // as it is now, its content a RecalledMessage
	Reason       *PatchReason // nil: the sender did it
	Recovered    bool         // it was missed while away and has been fetched
}

// MessageStatusEvent is delivered when a message that this client sends reaches
// another status. The events of one send are joined by Token.
//
// A send that failed with ErrOutcomeUnknown may turn out to have been stored, when
// the client has reconnected: then StatusSent, or StatusDelivered, follows after
// StatusFailed. The history names no tokens, so that a message of the same content
// which another device of this client has sent meanwhile may be taken for it.
type MessageStatusEvent struct {
	Conversation *Conversation
	Message      *Message // with the status it has now
	Token        string   // dedup token of the send
	Err          error    // of StatusFailed
}

// InvitedEvent is delivered when this client has become a member, also by its
// own doing.
type InvitedEvent struct {
	Conversation *Conversation
	InvitedBy    string // client id; "": the app
	Recovered    bool   // it happened while away
}

// KickedEvent is delivered when this client is a member no longer, also by its
// own doing.
type KickedEvent struct {
	Conversation *Conversation
	KickedBy     string // client id; "": the app
	Recovered    bool   // it happened while away
}

// MembersJoinedEvent is delivered when members have joined a conversation of
// this client.
type MembersJoinedEvent struct {
	Conversation *Conversation
	Members      []string // client ids
	InvitedBy    string   // client id; "": the app
	Recovered    bool     // it happened while away
}

// MembersLeftEvent is delivered when members have left a conversation of this
// client.
type MembersLeftEvent struct {
	Conversation *Conversation
	Members      []string // client ids
	KickedBy     string   // client id; "": the app
	Recovered    bool     // it happened while away
}

// BlockedEvent is delivered when this client was put on the block list of a
// conversation.
type BlockedEvent struct {
	Conversation *Conversation
	BlockedBy    string // client id; "": the app
	Recovered    bool   // it happened while away
}

// UnblockedEvent is delivered when this client was taken off the block list of
// a conversation.
type UnblockedEvent struct {
	Conversation *Conversation
	UnblockedBy  string // client id; "": the app
	Recovered    bool   // it happened while away
}

// MutedEvent is delivered when this client may no longer speak in a
// conversation.
type MutedEvent struct {
	Conversation *Conversation
	MutedBy      string // client id; "": the app
	Recovered    bool   // it happened while away
}

// UnmutedEvent is delivered when this client may speak in a conversation again.
type UnmutedEvent struct {
	Conversation *Conversation
	UnmutedBy    string // client id; "": the app
	Recovered    bool   // it happened while away
}

// MembersBlockedEvent is delivered when members were put on the block list of a
// conversation.
type MembersBlockedEvent struct {
	Conversation *Conversation
	Members      []string // client ids
	BlockedBy    string   // client id; "": the app
	Recovered    bool     // it happened while away
}

// MembersUnblockedEvent is delivered when members were taken off the block list
// of a conversation.
type MembersUnblockedEvent struct {
	Conversation *Conversation
	Members      []string // client ids
	UnblockedBy  string   // client id; "": the app
	Recovered    bool     // it happened while away
}

// MembersMutedEvent is delivered when members may no longer speak in a
// conversation.
type MembersMutedEvent struct {
	Conversation *Conversation
	Members      []string // client ids
	MutedBy      string   // client id; "": the app
	Recovered    bool     // it happened while away
}

// MembersUnmutedEvent is delivered when members may speak in a conversation
// again.
type MembersUnmutedEvent struct {
	Conversation *Conversation
	Members      []string // client ids
	UnmutedBy    string   // client id; "": the app
	Recovered    bool     // it happened while away
}

// MemberInfoUpdatedEvent is delivered when the role of a member has changed.
type MemberInfoUpdatedEvent struct {
	Conversation *Conversation
	MemberInfo   MemberInfo // as it is now
	UpdatedBy    string     // client id; "": the app
	Recovered    bool       // it happened while away
}

// InfoUpdatedEvent is delivered when attributes of a conversation were changed
// by somebody else.
type InfoUpdatedEvent struct {
	Conversation *Conversation
	Attributes   map[string]any // what was changed; dotted keys as they were given
	UpdatedBy    string         // client id; "": the app
	Recovered    bool           // it happened while away
}

// LastDeliveredAtUpdateEvent is delivered when the other member of a
// conversation has received messages.
type LastDeliveredAtUpdateEvent struct {
	Conversation *Conversation
	At           time.Time // received up to here
	By           string    // client id
	MessageID    string    // the message that the receipt names
}

// LastReadAtUpdateEvent is delivered when the other member of a conversation
// has read messages.
type LastReadAtUpdateEvent struct {
	Conversation *Conversation
	At           time.Time // read up to here
	By           string    // client id
	MessageID    string    // the message that the receipt names
}

// UnreadMessagesCountUpdateEvent is delivered when the count of unread messages
// of a conversation has changed.
type UnreadMessagesCountUpdateEvent struct {
	Conversation *Conversation
	Count        int
	Mentioned    bool     // one of them mentions this client
	LastMessage  *Message // of the conversation; may be nil
}

// DisconnectEvent is delivered when the connection was lost or given up. Calls
// fail with ErrDisconnected until ReconnectEvent.
type DisconnectEvent struct {
	Err error // why
}

// OfflineEvent is delivered when Pause has taken effect.
type OfflineEvent struct{}

// OnlineEvent is delivered when Resume begins to connect again.
type OnlineEvent struct{}

// ReconnectEvent is delivered when the connection is back. On an IMClient it
// comes when its session is open again.
type ReconnectEvent struct{}

// ScheduleEvent is delivered when the next attempt to connect is planned.
type ScheduleEvent struct {
	Attempt int           // counts from 0
	Delay   time.Duration // until the attempt
}

// RetryEvent is delivered when an attempt to connect begins.
type RetryEvent struct {
	Attempt int // counts from 0
}

// ReconnectErrorEvent is delivered when the connection is back but the session
// of the client could not be opened again. Unless the error is final, it is
// tried again.
type ReconnectErrorEvent struct {
	Err error
}

// RecoveredEvent is delivered when the client has fetched what it missed while
// it was away. What it fetched came before, marked Recovered.
type RecoveredEvent struct {
	Messages      int               // how many messages
	Conversations []string          // whose messages
	Failed        []RecoveryFailure // what could not be fetched
}

// ConflictEvent is the last event of a client that another device with the same
// tag has displaced. The ctx of its handlers is over already.
type ConflictEvent struct {
	Reason string
}

// CloseEvent is the last event of a client that has ended by anything but its
// own Close or a conflict. The ctx of its handlers is over already.
type CloseEvent struct {
	Code   ErrorCode // 0: not a code of the server; see IMClient.Err
	Reason string
}

func (*MessageEvent) event()                   {}
func (*MessageUpdateEvent) event()             {}
func (*MessageRecallEvent) event()             {}
func (*MessageStatusEvent) event()             {}
func (*InvitedEvent) event()                   {}
func (*KickedEvent) event()                    {}
func (*MembersJoinedEvent) event()             {}
func (*MembersLeftEvent) event()               {}
func (*BlockedEvent) event()                   {}
func (*UnblockedEvent) event()                 {}
func (*MutedEvent) event()                     {}
func (*UnmutedEvent) event()                   {}
func (*MembersBlockedEvent) event()            {}
func (*MembersUnblockedEvent) event()          {}
func (*MembersMutedEvent) event()              {}
func (*MembersUnmutedEvent) event()            {}
func (*MemberInfoUpdatedEvent) event()         {}
func (*InfoUpdatedEvent) event()               {}
func (*LastDeliveredAtUpdateEvent) event()     {}
func (*LastReadAtUpdateEvent) event()          {}
func (*UnreadMessagesCountUpdateEvent) event() {}
func (*DisconnectEvent) event()                {}
func (*OfflineEvent) event()                   {}
func (*OnlineEvent) event()                    {}
func (*ReconnectEvent) event()                 {}
func (*ScheduleEvent) event()                  {}
func (*RetryEvent) event()                     {}
func (*ReconnectErrorEvent) event()            {}
func (*RecoveredEvent) event()                 {}
func (*ConflictEvent) event()                  {}
func (*CloseEvent) event()                     {}

func (e *MessageEvent) conversation() *Conversation                   { return e.Conversation }
func (e *MessageUpdateEvent) conversation() *Conversation             { return e.Conversation }
func (e *MessageRecallEvent) conversation() *Conversation             { return e.Conversation }
func (e *MessageStatusEvent) conversation() *Conversation             { return e.Conversation }
func (e *InvitedEvent) conversation() *Conversation                   { return e.Conversation }
func (e *KickedEvent) conversation() *Conversation                    { return e.Conversation }
func (e *MembersJoinedEvent) conversation() *Conversation             { return e.Conversation }
func (e *MembersLeftEvent) conversation() *Conversation               { return e.Conversation }
func (e *BlockedEvent) conversation() *Conversation                   { return e.Conversation }
func (e *UnblockedEvent) conversation() *Conversation                 { return e.Conversation }
func (e *MutedEvent) conversation() *Conversation                     { return e.Conversation }
func (e *UnmutedEvent) conversation() *Conversation                   { return e.Conversation }
func (e *MembersBlockedEvent) conversation() *Conversation            { return e.Conversation }
func (e *MembersUnblockedEvent) conversation() *Conversation          { return e.Conversation }
func (e *MembersMutedEvent) conversation() *Conversation              { return e.Conversation }
func (e *MembersUnmutedEvent) conversation() *Conversation            { return e.Conversation }
func (e *MemberInfoUpdatedEvent) conversation() *Conversation         { return e.Conversation }
func (e *InfoUpdatedEvent) conversation() *Conversation               { return e.Conversation }
func (e *LastDeliveredAtUpdateEvent) conversation() *Conversation     { return e.Conversation }
func (e *LastReadAtUpdateEvent) conversation() *Conversation          { return e.Conversation }
func (e *UnreadMessagesCountUpdateEvent) conversation() *Conversation { return e.Conversation }
