package admin

import (
	"context"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/leanrtm/realtime"
)

// ServiceConversationOptions describe a new service conversation.
type ServiceConversationOptions struct {
	Name string
	// Attributes are top-level keys. A time.Time becomes a Date; keys that the
	// protocol reserves are refused.
	Attributes map[string]any
}

// Stats are figures about the clients of an app.
type Stats struct {
	OnlineUsers int // clients that are logged in
	UsersToday  int // clients that were logged in today, in UTC
}

// Subscription is a client that subscribes a service conversation.
type Subscription struct {
	ClientID, ConversationID string
	At                       time.Time // since when
}

// CreateConversation creates a normal conversation. Unless NotUnique is set, one
// that exists with exactly these members is returned in its place, which keeps
// its own name and attributes. It has no creator.
func (c *Client) CreateConversation(ctx context.Context, o realtime.ConversationOptions) (*Conversation, error) {
	if err := checkIDs(o.Members); err != nil {
		return nil, err
	}
	more := map[string]any{"m": append([]string{}, o.Members...), "unique": !o.NotUnique}
	does := once
	if !o.NotUnique {
		does = repeatable
	}
	id, err := c.create(ctx, normal, o.Name, o.Attributes, more, does)
	if err != nil {
		return nil, err
	}
	return c.Conversation(id), nil
}

// CreateChatRoom creates a chat room. Nobody is in it yet.
func (c *Client) CreateChatRoom(ctx context.Context, o realtime.ChatRoomOptions) (*ChatRoom, error) {
	id, err := c.create(ctx, rooms, o.Name, o.Attributes, nil, once)
	if err != nil {
		return nil, err
	}
	return c.ChatRoom(id), nil
}

// CreateServiceConversation creates a service conversation without subscribers.
func (c *Client) CreateServiceConversation(ctx context.Context, o ServiceConversationOptions) (*ServiceConversation, error) {
	id, err := c.create(ctx, services, o.Name, o.Attributes, nil, once)
	if err != nil {
		return nil, err
	}
	return c.ServiceConversation(id), nil
}

// Conversations returns the normal conversations that match, fetched page after
// page. An error is the last pair. Each range starts again. What is created
// meanwhile may be among them or not; everything else is, once. Temporary
// conversations are not listed.
func (c *Client) Conversations(ctx context.Context, q Query) iter.Seq2[realtime.ConversationInfo, error] {
	return c.allConversations(ctx, normal, q)
}

// ChatRooms is Conversations for chat rooms.
func (c *Client) ChatRooms(ctx context.Context, q Query) iter.Seq2[realtime.ConversationInfo, error] {
	return c.allConversations(ctx, rooms, q)
}

// ServiceConversations is Conversations for service conversations.
func (c *Client) ServiceConversations(ctx context.Context, q Query) iter.Seq2[realtime.ConversationInfo, error] {
	return c.allConversations(ctx, services, q)
}

// AllConversations is Conversations for all kinds together.
func (c *Client) AllConversations(ctx context.Context, q Query) iter.Seq2[realtime.ConversationInfo, error] {
	return c.allConversations(ctx, "all-conversations", q)
}

// Messages returns the messages of all conversations, fetched page after page in
// the direction of q. An error is the last pair. Each range starts again.
func (c *Client) Messages(ctx context.Context, q realtime.MessageQuery) iter.Seq2[StoredMessage, error] {
	return c.messages(ctx, "messages", q)
}

// Broadcasts returns the broadcasts to all that are still valid, newest first:
// those of one service conversation, or of all if serviceID is "". An error is
// the last pair. Each range starts again.
func (c *Client) Broadcasts(ctx context.Context, serviceID string) iter.Seq2[StoredMessage, error] {
	return func(yield func(StoredMessage, error) bool) {
		seen := make(map[string]struct{})
		for skip := 0; ; {
			query := url.Values{"limit": {strconv.Itoa(defaultPage)}, "skip": {strconv.Itoa(skip)}}
			if serviceID != "" {
				query.Set("conv_id", serviceID)
			}
			var page []storedItem
			if err := c.do(ctx, call{method: "GET", path: "broadcasts", query: query, answer: &page}); err != nil {
				yield(StoredMessage{}, err)
				return
			}
			news := false
			for i := range page {
				// A new one moves the others to later pages.
				if _, again := seen[page[i].ID]; again {
					continue
				}
				seen[page[i].ID], news = struct{}{}, true
				m, err := c.stored(&page[i])
				if err != nil {
					yield(StoredMessage{}, err)
					return
				}
				if !yield(m, nil) {
					return
				}
			}
			if !news || len(page) < defaultPage {
				return
			}
			skip += len(page)
		}
	}
}

// DeleteBroadcast ends a broadcast to all: who has not received it will not.
func (c *Client) DeleteBroadcast(ctx context.Context, messageID string) error {
	if messageID == "" {
		return invalidArgument("the message id is empty")
	}
	return c.do(ctx, call{method: "DELETE", path: path("broadcasts", messageID), effect: removal})
}

// onlinePage is how many clients one request can ask about.
const onlinePage = 20

// OnlineClients returns those of the clients that are logged in. Any number can
// be asked; they go in batches.
func (c *Client) OnlineClients(ctx context.Context, ids ...string) ([]string, error) {
	if err := checkIDs(ids); err != nil {
		return nil, err
	}
	var online []string
	for batch := range slices.Chunk(ids, onlinePage) {
		var answer struct {
			Results []string `json:"results"`
		}
		err := c.do(ctx, call{method: "POST", path: "clients/check-online", body: clientIDs{batch}, answer: &answer})
		if err != nil {
			return nil, err
		}
		online = append(online, answer.Results...)
	}
	return online, nil
}

// Stats counts the clients of the app.
func (c *Client) Stats(ctx context.Context) (Stats, error) {
	var answer struct {
		Result struct {
			Online int `json:"online_user_count"`
			Today  int `json:"user_count_today"`
		} `json:"result"`
	}
	err := c.do(ctx, call{method: "GET", path: "stats", answer: &answer})
	return Stats{OnlineUsers: answer.Result.Online, UsersToday: answer.Result.Today}, err
}

// SignLogin has the server sign the login of the built-in user that the session
// token belongs to.
func (c *Client) SignLogin(ctx context.Context, userSession string) (clientID string, s realtime.Signature, err error) {
	if userSession == "" {
		return "", s, invalidArgument("the session token is empty")
	}
	var answer struct {
		realtime.Signature
		ClientID string `json:"client_id"`
	}
	err = c.do(ctx, call{
		method: "GET", path: "clients/sign", query: url.Values{"session_token": {userSession}}, answer: &answer,
	})
	return answer.ClientID, answer.Signature, err
}
