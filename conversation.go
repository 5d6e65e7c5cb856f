package realtime

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
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
// concurrent use.
//
// Its state is what this client has been told so far, and reading it never
// does I/O. Every slice, map and time it returns is the caller's own copy. Two
// calls may see two moments; [Conversation.Info] is one.
//
// It marshals to JSON in the full form of the other SDKs, which
// [IMClient.ParseConversation] reads.
type Conversation struct {
	id     string
	client *IMClient
	events emitter

	mu    sync.Mutex // guards state; held for moments only, never while calling out
	state convState
}

// ConversationInfo is the state of a conversation at one moment. Who gets one
// owns it: nothing in it is shared, but for the message, which nobody changes.
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
	LastMessage                                    *Message // nil: none known

	// The rest is one client's view; zero in package admin.
	NotificationsMuted, UnreadMessagesMentioned bool
	UnreadMessagesCount                         int
	LastDeliveredAt, LastReadAt                 time.Time
}

// String names the conversation.
func (c *Conversation) String() string {
	return fmt.Sprintf("realtime.Conversation(%s, %s)", c.id, c.Kind())
}

// ID returns the id.
func (c *Conversation) ID() string { return c.id }

// Client returns the client whose view this is.
func (c *Conversation) Client() *IMClient { return c.client }

// Name returns the name, "" if it has none.
func (c *Conversation) Name() string { return c.snapshot().name }

// Creator returns the id of the client that created it.
func (c *Conversation) Creator() string { return c.snapshot().creator }

// Kind returns which of the four kinds it is.
func (c *Conversation) Kind() Kind {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.kind
}

// Members returns the ids of the members of a normal or temporary
// conversation. It is empty for the other kinds, and after a compact query.
func (c *Conversation) Members() []string { return slices.Clone(c.snapshot().members) }

// NotificationsMutedBy returns the ids of the members who get no push
// notifications. The reference SDK calls this mutedMembers.
func (c *Conversation) NotificationsMutedBy() []string { return slices.Clone(c.snapshot().mutedBy) }

// Get returns a custom attribute as encoding/json reads it, with Dates as
// time.Time; nil if there is none. The key may be a path with dots, such as
// "attr.color". "name" is the name.
func (c *Conversation) Get(key string) any {
	s := c.snapshot()
	if key == keyName {
		if s.name == "" {
			return nil
		}
		return s.name
	}
	value, _ := s.attrs.get(key)
	return value
}

// CreatedAt returns when it was created, zero if unknown.
func (c *Conversation) CreatedAt() time.Time { return c.snapshot().createdAt }

// UpdatedAt returns when its members or attributes last changed, zero if
// unknown.
func (c *Conversation) UpdatedAt() time.Time { return c.snapshot().updatedAt }

// LastMessageAt returns the time of the last message, zero if none is known.
func (c *Conversation) LastMessageAt() time.Time { return c.snapshot().lastMessageAt }

// LastDeliveredAt returns up to when the other member of a conversation of two
// has received messages, zero if that is not known. It is learnt from receipts
// and by [Conversation.FetchReceiptTimestamps].
func (c *Conversation) LastDeliveredAt() time.Time { return c.snapshot().receipt().delivered }

// LastReadAt returns up to when the other member of a conversation of two has
// read messages, zero if that is not known. It is learnt as LastDeliveredAt
// is.
func (c *Conversation) LastReadAt() time.Time { return c.snapshot().receipt().read }

// ExpiredAt returns when a temporary conversation ends, zero for other kinds.
func (c *Conversation) ExpiredAt() time.Time { return c.snapshot().expiredAt }

// Expired reports whether a temporary conversation has ended, by the clock of
// this machine.
func (c *Conversation) Expired() bool {
	s := c.snapshot()
	return s.expired()
}

// NotificationsMuted reports whether this client has switched off push
// notifications. The reference SDK calls this muted.
func (c *Conversation) NotificationsMuted() bool {
	return c.snapshot().notificationsMuted(c.client.ID())
}

// UnreadMessagesCount returns how many messages of others have come since the
// last [Conversation.Read]. The server tells at most 100 for what came before
// login.
func (c *Conversation) UnreadMessagesCount() int {
	n, _ := c.client.sync.unread(c.id)
	return n
}

// UnreadMessagesMentioned reports whether one of the unread messages mentions
// this client.
func (c *Conversation) UnreadMessagesMentioned() bool {
	_, mentioned := c.client.sync.unread(c.id)
	return mentioned
}

// LastMessage returns the last message, nil if none is known.
func (c *Conversation) LastMessage() *Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.lastMessage
}

// Info returns the state at one moment.
func (c *Conversation) Info() ConversationInfo {
	self := c.client.ID()
	c.mu.Lock()
	s := c.state
	unread, mentioned := c.client.sync.unread(c.id)
	c.mu.Unlock()
	receipt := s.receipt()
	return ConversationInfo{
		ID: c.id, Name: s.name, Creator: s.creator, UniqueID: s.uniqueID,
		Kind:                    s.kind,
		Members:                 slices.Clone(s.members),
		NotificationsMutedBy:    slices.Clone(s.mutedBy),
		Attributes:              s.attrs.decoded(),
		CreatedAt:               s.createdAt,
		UpdatedAt:               s.updatedAt,
		LastMessageAt:           s.lastMessageAt,
		ExpiredAt:               s.expiredAt,
		LastMessage:             s.lastMessage,
		NotificationsMuted:      s.notificationsMuted(self),
		UnreadMessagesMentioned: mentioned,
		UnreadMessagesCount:     unread,
		LastDeliveredAt:         receipt.delivered,
		LastReadAt:              receipt.read,
	}
}

// snapshot is the state at one moment. What it refers to is never changed in
// place.
func (c *Conversation) snapshot() convState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// temporaryID reports whether an id is one of a temporary conversation.
func temporaryID(id string) bool { return strings.HasPrefix(id, wire.TemporaryPrefix) }
