package server

import "github.com/leanrtm/realtime/server/internal/hook"

// Hooks are functions of the app that the server calls. See the fields for when
// each is called and what it may decide.
type Hooks = hook.Hooks

// What hooks are told and what they decide.
type (
	Content             = hook.Content
	MessageReceived     = hook.MessageReceived
	MessageVerdict      = hook.MessageVerdict
	ReceiversOffline    = hook.ReceiversOffline
	OfflineVerdict      = hook.OfflineVerdict
	MessageSent         = hook.MessageSent
	MessageUpdate       = hook.MessageUpdate
	Verdict             = hook.Verdict
	ConversationStart   = hook.ConversationStart
	ConversationStarted = hook.ConversationStarted
	MembersChange       = hook.MembersChange
	ConversationUpdate  = hook.ConversationUpdate
	UpdateVerdict       = hook.UpdateVerdict
	ClientOnline        = hook.ClientOnline
	ClientOffline       = hook.ClientOffline
	OfflineCause        = hook.OfflineCause
	ServiceMessage      = hook.ServiceMessage
)

// Why a client went offline.
const (
	OfflineLogout   = hook.OfflineLogout   // it closed its session
	OfflineLost     = hook.OfflineLost     // its connection ended
	OfflineConflict = hook.OfflineConflict // another device took its tag
	OfflineKicked   = hook.OfflineKicked   // an administrator closed its session
)
