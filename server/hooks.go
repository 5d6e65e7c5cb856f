package server

import "github.com/leanrtm/realtime/server/internal/hook"

// Hooks are functions of the app that the server calls. See the fields for when
// each is called and what it may decide.
type Hooks = hook.Hooks

// Content is the content of a message: text, or bytes.
type Content = hook.Content

// MessageReceived is a message before it is stored.
type MessageReceived = hook.MessageReceived

// MessageVerdict says what is to happen to a message.
type MessageVerdict = hook.MessageVerdict

// ReceiversOffline is a message that some recipients were not online for.
type ReceiversOffline = hook.ReceiversOffline

// OfflineVerdict says whom the offline push goes to.
type OfflineVerdict = hook.OfflineVerdict

// OfflinePush is a notification for clients that were not online for a message.
type OfflinePush = hook.OfflinePush

// MessageSent is a message that was stored and pushed.
type MessageSent = hook.MessageSent

// MessageUpdate is an edit or recall before it happens.
type MessageUpdate = hook.MessageUpdate

// Verdict says whether an operation may happen.
type Verdict = hook.Verdict

// ConversationStart is a conversation before it is created.
type ConversationStart = hook.ConversationStart

// ConversationStarted is a conversation that was created.
type ConversationStarted = hook.ConversationStarted

// MembersChange is members that join or leave.
type MembersChange = hook.MembersChange

// ConversationUpdate is a change of attributes or of a mute setting before it happens.
type ConversationUpdate = hook.ConversationUpdate

// UpdateVerdict says whether an update may happen, and with which values.
type UpdateVerdict = hook.UpdateVerdict

// ClientOnline is a session that was opened.
type ClientOnline = hook.ClientOnline

// ClientOffline is a session that ended.
type ClientOffline = hook.ClientOffline

// OfflineCause says why a session ended.
type OfflineCause = hook.OfflineCause

// ServiceMessage is a message from a user to a service conversation.
type ServiceMessage = hook.ServiceMessage

// Why a client went offline.
const (
	OfflineLogout   = hook.OfflineLogout   // it closed its session
	OfflineLost     = hook.OfflineLost     // its connection ended
	OfflineConflict = hook.OfflineConflict // another device took its tag
	OfflineKicked   = hook.OfflineKicked   // an administrator closed its session
)
