package admin

import (
	"context"
	"fmt"
	"iter"
	"net/url"
	"strconv"

	"github.com/leanrtm/realtime"
)

// IMClient is a client of the app, logged in or not.
type IMClient struct {
	client *Client
	id     string
}

// ID is the id that the handle was made with.
func (h *IMClient) ID() string { return h.id }

// String names the handle.
func (h *IMClient) String() string { return fmt.Sprintf("admin.IMClient(%q)", h.id) }

func (h *IMClient) at(what string) string { return path("clients", h.id, what) }

func (h *IMClient) do(ctx context.Context, k call) error {
	if err := h.check(); err != nil {
		return err
	}
	return h.client.do(ctx, k)
}

func (h *IMClient) check() error {
	if h.id == "" {
		return invalidArgument("the handle has no client id")
	}
	return nil
}

// Messages returns the messages that the client sent, to all conversations,
// fetched page after page in the direction of q. An error is the last pair. Each
// range starts again.
func (h *IMClient) Messages(ctx context.Context, q realtime.MessageQuery) iter.Seq2[StoredMessage, error] {
	if err := h.check(); err != nil {
		return func(yield func(StoredMessage, error) bool) { yield(StoredMessage{}, err) }
	}
	return h.client.messages(ctx, h.at("messages"), q)
}

// Kick closes all sessions of the client, which is told the reason, at most 20
// characters; "": the name of the code. It may log in again: where logins are
// signed, with a signature that is made after the kick.
func (h *IMClient) Kick(ctx context.Context, reason string) error {
	body := map[string]string{}
	if reason != "" {
		body["reason"] = reason
	}
	return h.do(ctx, call{method: "POST", path: h.at("kick"), body: body})
}

// UnreadCount returns how many messages the client has not read: in one
// conversation, or, with "", in all of them.
func (h *IMClient) UnreadCount(ctx context.Context, conversationID string) (int, error) {
	query := url.Values{}
	if conversationID != "" {
		query.Set("conv_id", conversationID)
	}
	var answer struct {
		Count int `json:"count"`
	}
	err := h.do(ctx, call{method: "GET", path: h.at("unread-count"), query: query, answer: &answer})
	return answer.Count, err
}

// Subscriptions returns the service conversations that the client subscribes,
// oldest subscription first, fetched page after page. An error is the last pair.
// Each range starts again.
func (h *IMClient) Subscriptions(ctx context.Context) iter.Seq2[Subscription, error] {
	if err := h.check(); err != nil {
		return func(yield func(Subscription, error) bool) { yield(Subscription{}, err) }
	}
	return h.client.subscriptions(ctx, h.at(services), func(last *subscriptionItem) url.Values {
		return url.Values{"conv_id": {last.ConversationID}, "timestamp": {strconv.FormatInt(last.Timestamp, 10)}}
	})
}

// BlockConversations blocks conversations for the client: it cannot be added to
// them. One request is made for each; the first error ends it.
func (h *IMClient) BlockConversations(ctx context.Context, ids ...string) error {
	return h.each(ctx, "POST", ids)
}

// UnblockConversations ends BlockConversations.
func (h *IMClient) UnblockConversations(ctx context.Context, ids ...string) error {
	return h.each(ctx, "DELETE", ids)
}

func (h *IMClient) each(ctx context.Context, method string, ids []string) error {
	if err := checkIDs(ids); err != nil {
		return err
	}
	for _, id := range ids {
		err := h.do(ctx, call{method: method, path: h.at(listBlocked), body: map[string]string{"conv_id": id}})
		if err != nil {
			return fmt.Errorf("conversation %q: %w", id, err)
		}
	}
	return nil
}

// QueryBlockedConversations returns a page of the conversations that the client
// has blocked; next is "" with the last page.
func (h *IMClient) QueryBlockedConversations(ctx context.Context, q realtime.PageQuery) (ids []string, next string, err error) {
	query, err := pageQuery(q)
	if err != nil {
		return nil, "", err
	}
	var answer struct {
		ConvIDs []string `json:"conv_ids"`
		Next    string   `json:"next"`
	}
	err = h.do(ctx, call{method: "GET", path: h.at(listBlocked), query: query, answer: &answer})
	return answer.ConvIDs, answer.Next, err
}
