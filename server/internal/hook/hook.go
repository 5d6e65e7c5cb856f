// Package hook has the calls by which an app's own code takes part in what the
// server does. Package server exports these types under its own name.
package hook

import (
	"context"

	"github.com/leanrtm/realtime/internal/wire"
)

// Hooks are functions that the server calls. A nil one is not called. Those
// with a verdict are called before the thing happens and hold up that command,
// what the same session does to the same conversation after it, and nothing
// else, as long as no more than four commands of one connection are being
// decided; the others are called after it, one at a time in order, and hold up
// nothing. All are called without a lock held, concurrently for different
// commands, and may use the server's REST interface. The context of a deciding
// hook ends when its time is up, and the hook must return then; an error or a
// panic counts as no answer, and the command proceeds unless
// Options.HookFailure says otherwise.
type Hooks struct {
	MessageReceived  func(ctx context.Context, e *MessageReceived) (MessageVerdict, error)
	ReceiversOffline func(ctx context.Context, e *ReceiversOffline) (OfflineVerdict, error)
	// OfflinePush hands a push notification to a service of the app's own: the
	// server has none. It is called after ReceiversOffline, as that has decided.
	OfflinePush   func(ctx context.Context, e *OfflinePush)
	MessageSent   func(ctx context.Context, e *MessageSent)
	MessageUpdate func(ctx context.Context, e *MessageUpdate) (MessageVerdict, error)

	ConversationStart   func(ctx context.Context, e *ConversationStart) (Verdict, error)
	ConversationStarted func(ctx context.Context, e *ConversationStarted)
	ConversationAdd     func(ctx context.Context, e *MembersChange) (Verdict, error) // not for the members of a new conversation
	ConversationAdded   func(ctx context.Context, e *MembersChange)
	ConversationRemove  func(ctx context.Context, e *MembersChange) (Verdict, error) // not for leaving
	ConversationRemoved func(ctx context.Context, e *MembersChange)
	ConversationUpdate  func(ctx context.Context, e *ConversationUpdate) (UpdateVerdict, error) // attributes, mute, unmute

	ClientOnline  func(ctx context.Context, e *ClientOnline)
	ClientOffline func(ctx context.Context, e *ClientOffline)

	// ServiceMessage tells of a message from a user to a service conversation.
	ServiceMessage func(ctx context.Context, e *ServiceMessage)
}

// Content is the content of a message: text, or bytes.
type Content struct {
	Data   string // text, or the bytes as they are
	Binary bool
}

// MessageReceived is a message before it is stored: one from a client, or one
// that the REST interface sends to a conversation, to a chat room or to named
// clients of a service conversation. Broadcasts, which have no list of
// recipients and can only come from the app itself, are not asked about;
// MessageSent tells of them.
type MessageReceived struct {
	App       string
	From      string
	ConvID    string
	To        []string // recipients; empty for chat rooms, and for what a client says to a service conversation
	Transient bool
	Content   Content
	Receipt   bool
	Timestamp int64 // ms
	System    bool  // of a service conversation
	Admin     bool  // sent with the master key
	SourceIP  string
}

// MessageVerdict says what is to happen to a message. The zero verdict lets it
// pass.
type MessageVerdict struct {
	Drop    bool
	Code    int32    // told to the sender of a dropped message
	Detail  string   // told to the sender of a dropped message
	Content *Content // nil: as it is
	To      []string // of the recipients named in the event, who gets it; nil: all
}

// ReceiversOffline is a message that some recipients were not online for.
type ReceiversOffline struct {
	App             string
	From            string
	ConvID          string
	Offline         []string
	Content         Content
	Timestamp       int64 // ms
	MentionAll      bool
	MentionsOffline []string // mentioned clients among Offline
}

// OfflineVerdict says whom the offline push goes to, see Hooks.OfflinePush. The
// zero verdict means everybody who did not mute the conversation.
type OfflineVerdict struct {
	Skip        bool
	Offline     []string // nil: all
	PushMessage string   // empty: the default
	Force       bool     // also to those who muted the conversation
}

// OfflinePush is a notification for clients that were not online for a message.
type OfflinePush struct {
	App        string
	From       string
	ConvID     string
	MessageID  string
	To         []string // without those who muted the conversation, unless the verdict forces it
	Message    string   // what to show: the verdict's, else the sender's push data; empty: neither said so
	Content    Content
	Timestamp  int64 // ms
	MentionAll bool
	Mentions   []string // mentioned clients among To
}

// MessageSent is a message that was stored and pushed.
type MessageSent struct {
	App       string
	From      string
	ConvID    string
	MessageID string
	Online    []string
	Offline   []string
	Transient bool
	System    bool // of a service conversation
	Admin     bool // sent with the master key
	Content   Content
	Receipt   bool
	Timestamp int64 // ms
	SourceIP  string
}

// MessageUpdate is an edit or recall before it happens.
type MessageUpdate struct {
	App       string
	From      string
	ConvID    string
	To        []string // who has the message; empty for chat rooms and broadcasts
	MessageID string
	Content   Content
	Timestamp int64 // ms, of the message
	Recall    bool
	System    bool // of a service conversation
	Admin     bool // edited with the master key
	SourceIP  string
}

// Verdict says whether an operation may happen. The zero verdict allows it.
type Verdict struct {
	Reject bool
	Code   int32
	Detail string
}

// ConversationStart is a conversation before it is created.
type ConversationStart struct {
	App     string
	InitBy  string
	Members []string
	Attr    []byte // JSON object
}

// ConversationStarted is a conversation that was created.
type ConversationStarted struct {
	App    string
	ConvID string
}

// MembersChange is members that join or leave.
type MembersChange struct {
	App     string
	InitBy  string // empty: an administrator
	ConvID  string
	Members []string
}

// ConversationUpdate is a change of attributes, or of the actor's own mute
// setting, before it happens.
type ConversationUpdate struct {
	App    string
	InitBy string
	ConvID string
	Attr   []byte // JSON object; nil: no change of attributes
	Mute   *bool  // nil: no change of the mute setting
}

// UpdateVerdict says whether an update may happen, and with which values.
type UpdateVerdict struct {
	Verdict
	Attr []byte // nil: as asked
	Mute *bool  // nil: as asked
}

// ClientOnline is a session that was opened.
type ClientOnline struct {
	App       string
	Client    string
	SourceIP  string
	Tag       string
	Reconnect bool // the client came back by itself after a lost connection
}

// OfflineCause says why a session ended.
type OfflineCause int

// The causes.
const (
	OfflineLogout   OfflineCause = 1
	OfflineLost     OfflineCause = 2
	OfflineConflict OfflineCause = 3
	OfflineKicked   OfflineCause = 4
)

// ClientOffline is a session that ended.
type ClientOffline struct {
	App       string
	Client    string
	Cause     OfflineCause
	Message   string
	SourceIP  string // empty for OfflineLost
	Tag       string
	ErrorCode wire.Code // for OfflineLost: the code the server closed with; 0 if the peer went away
	ErrorMsg  string
}

// ServiceMessage is a message from a user to a service conversation.
type ServiceMessage struct {
	App       string
	ConvID    string
	MessageID string
	From      string
	FromIP    string
	Content   Content
	Timestamp int64 // ms
}
