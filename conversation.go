package realtime

import (
	"strconv"
	"sync"
	"time"

	"github.com/leanrtm/realtime/internal/wire"
)

// Kind tells the four kinds of conversations apart.
type Kind int

// The kinds of conversations.
const (
	KindNormal    Kind = wire.KindNormal    // up to 500 members, full history and unread counts
	KindChatRoom  Kind = wire.KindChatRoom  // any number of present clients, nothing is kept for the absent
	KindService   Kind = wire.KindService   // speaks to its subscribers
	KindTemporary Kind = wire.KindTemporary // up to 10 members, ends by itself
)

// String names the kind.
func (k Kind) String() string {
	switch k {
	case KindNormal:
		return "normal"
	case KindChatRoom:
		return "chat room"
	case KindService:
		return "service"
	case KindTemporary:
		return "temporary"
	}
	return "Kind(" + strconv.Itoa(int(k)) + ")"
}

// Conversation is one conversation as one client sees it. There is one object
// per client and id while anybody holds it or listens on it. It is safe for
// concurrent use; reading its state never does I/O.
type Conversation struct {
	id     string
	client *IMClient
	events emitter

	mu    sync.Mutex // guards state; never held while calling out
	state convState
}

// convState is what a client knows of a conversation.
type convState struct {
	kind Kind
}

// ConversationInfo is the state of a conversation at one moment. Who gets one
// owns it: nothing in it is shared.
type ConversationInfo struct {
	ID, Name, Creator string
	// UniqueID names the group of members of a conversation that is reused.
	UniqueID string
	Kind     Kind
	// Members are the members of a normal or temporary conversation.
	Members []string
	// NotificationsMutedBy are the members who get no push notifications.
	NotificationsMutedBy []string
	// Attributes are the custom attributes, top-level keys; Dates are time.Time.
	Attributes map[string]any
	// Zero times are unknown, or have no meaning for the kind.
	CreatedAt, UpdatedAt, LastMessageAt, ExpiredAt time.Time
	LastMessage                                    *Message

	// The rest is one client's view; zero in package admin.
	NotificationsMuted, UnreadMessagesMentioned bool
	UnreadMessagesCount                         int
	LastDeliveredAt, LastReadAt                 time.Time
}

// ConversationOptions describe a new normal conversation.
type ConversationOptions struct {
	// Members are the ids of the members; the client itself is added.
	Members []string
	Name    string
	// NotUnique makes a new conversation even if one with exactly these members
	// exists already, which is reused otherwise.
	NotUnique bool
	// Attributes are top-level keys. A time.Time becomes a Date; keys that the
	// protocol reserves are refused.
	Attributes map[string]any
}

// ChatRoomOptions describe a new chat room.
type ChatRoomOptions struct {
	Name       string
	Attributes map[string]any // as in [ConversationOptions]
}

// TemporaryConversationOptions describe a new temporary conversation.
type TemporaryConversationOptions struct {
	// Members are the ids of the members, ten at most; the client itself is
	// added.
	Members []string
	// TTL is how long it lives, in whole seconds; 0: one day.
	TTL time.Duration
}

// FetchOption is an option of the calls that answer from what is known. The
// interface is sealed.
type FetchOption interface{ applyFetch(o *fetchOptions) }

type fetchOptions struct{ withoutCache bool }

type withoutCache struct{}

func (withoutCache) applyFetch(o *fetchOptions) { o.withoutCache = true }

// WithoutCache asks the server even for what is known already.
func WithoutCache() FetchOption { return withoutCache{} }
