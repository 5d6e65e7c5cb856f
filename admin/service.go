package admin

import (
	"context"
	"iter"
	"net/url"

	"github.com/leanrtm/realtime"
)

// ServiceConversation is a service conversation: an account of the app itself,
// which clients subscribe and write to.
type ServiceConversation struct{ t target }

// ID is the id that the handle was made with.
func (h *ServiceConversation) ID() string { return h.t.id }

// String names the handle.
func (h *ServiceConversation) String() string { return h.t.name("ServiceConversation") }

// Fetch returns what the server knows of the conversation;
// realtime.ErrConversationNotFound if there is none of this kind.
func (h *ServiceConversation) Fetch(ctx context.Context) (realtime.ConversationInfo, error) {
	return h.t.fetch(ctx)
}

// Save changes the name and attributes in one step. Keys may be paths with dots.
func (h *ServiceConversation) Save(ctx context.Context, changes map[string]any) error {
	return h.t.save(ctx, changes)
}

// Delete deletes the conversation with its messages, subscriptions and
// broadcasts. Nobody is told.
func (h *ServiceConversation) Delete(ctx context.Context) error { return h.t.remove(ctx) }

// Messages returns what clients sent to the conversation and what was broadcast
// in it, fetched page after page in the direction of q. An error is the last
// pair. Each range starts again.
func (h *ServiceConversation) Messages(ctx context.Context, q realtime.MessageQuery) iter.Seq2[StoredMessage, error] {
	return h.t.messages(ctx, q)
}

// MessagesOf returns the history as one client sees it: what it sent and got,
// and the broadcasts. It is fetched like Messages.
func (h *ServiceConversation) MessagesOf(ctx context.Context, clientID string, q realtime.MessageQuery) iter.Seq2[StoredMessage, error] {
	if clientID == "" {
		err := invalidArgument("the client id is empty")
		return func(yield func(StoredMessage, error) bool) { yield(StoredMessage{}, err) }
	}
	return h.t.messages(ctx, q, listSubscribers, clientID)
}

// DeleteMessageOf removes a client's copy of a message from the history. Nobody
// is told. Of m it needs ID, From and Timestamp.
func (h *ServiceConversation) DeleteMessageOf(ctx context.Context, clientID string, m *realtime.Message) error {
	if clientID == "" {
		return invalidArgument("the client id is empty")
	}
	return h.t.deleteMessage(ctx, m, listSubscribers, clientID)
}

// BroadcastToSubscribers sends a message to everybody who subscribes: to those
// online at once, to others when they log in.
func (h *ServiceConversation) BroadcastToSubscribers(ctx context.Context, b Broadcast) (*realtime.Message, error) {
	if err := h.t.check(); err != nil {
		return nil, err
	}
	if !b.ValidTill.IsZero() {
		return nil, invalidArgument("ValidTill is for BroadcastToAll")
	}
	out, e, err := h.t.client.outgoingBroadcast(ctx, &b)
	if err != nil {
		return nil, err
	}
	return h.t.client.send(ctx, quotaSubscribers, h.t.at("broadcasts"), h.t.id, out, e)
}

// BroadcastToAll sends a message to every client of the app: to those online at
// once, to others when they log in before b.ValidTill.
func (h *ServiceConversation) BroadcastToAll(ctx context.Context, b Broadcast) (*realtime.Message, error) {
	if err := h.t.check(); err != nil {
		return nil, err
	}
	out, e, err := h.t.client.outgoingBroadcast(ctx, &b)
	if err != nil {
		return nil, err
	}
	out.ConvID = h.t.id
	if !b.ValidTill.IsZero() {
		out.ValidTill = b.ValidTill.UnixMilli()
	}
	return h.t.client.send(ctx, quotaEverybody, "broadcasts", h.t.id, out, e)
}

// maxAddressees is how many clients one message can be for.
const maxAddressees = 20

// SendTo sends a message to some clients, at most 20, subscribers or not.
func (h *ServiceConversation) SendTo(ctx context.Context, ids []string, m Message) (*realtime.Message, error) {
	if err := h.t.check(); err != nil {
		return nil, err
	}
	if err := checkIDs(ids); err != nil {
		return nil, err
	}
	if len(ids) == 0 || len(ids) > maxAddressees {
		return nil, invalidArgument("a message is for 1 to %d clients, not %d", maxAddressees, len(ids))
	}
	out, e, err := h.t.client.outgoingMessage(ctx, &m)
	if err != nil {
		return nil, err
	}
	out.To = ids
	return h.t.client.send(ctx, quotaMessages, h.t.at("messages"), h.t.id, out, e)
}

// Update replaces the content of a message: of these clients' copies, or, with
// no ids, of a broadcast. Of m it needs ID, From and Timestamp.
func (h *ServiceConversation) Update(ctx context.Context, m *realtime.Message, content realtime.Content, ids ...string) error {
	return h.t.update(ctx, m, content, ids)
}

// Recall takes a message back: these clients' copies, or, with no ids, a
// broadcast. Of m it needs ID, From and Timestamp.
func (h *ServiceConversation) Recall(ctx context.Context, m *realtime.Message, ids ...string) error {
	return h.t.recall(ctx, m, ids)
}

const listSubscribers = "subscribers"

// Subscribe makes a client a subscriber.
func (h *ServiceConversation) Subscribe(ctx context.Context, clientID string) error {
	if clientID == "" {
		return invalidArgument("the client id is empty")
	}
	return h.t.do(ctx, call{
		method: "POST", path: h.t.at(listSubscribers), body: map[string]string{"client_id": clientID},
	})
}

// Unsubscribe ends a client's subscription.
func (h *ServiceConversation) Unsubscribe(ctx context.Context, clientID string) error {
	if clientID == "" {
		return invalidArgument("the client id is empty")
	}
	return h.t.do(ctx, call{method: "DELETE", path: h.t.at(listSubscribers, clientID)})
}

// Subscribers returns all subscribers in the order of their ids, fetched page
// after page. An error is the last pair. Each range starts again.
func (h *ServiceConversation) Subscribers(ctx context.Context) iter.Seq2[Subscription, error] {
	if err := h.t.check(); err != nil {
		return func(yield func(Subscription, error) bool) { yield(Subscription{}, err) }
	}
	return h.t.client.subscriptions(ctx, h.t.at(listSubscribers), func(last *subscriptionItem) url.Values {
		return url.Values{"client_id": {last.Subscriber}}
	})
}

// Count returns the number of subscribers.
func (h *ServiceConversation) Count(ctx context.Context) (int, error) {
	return h.t.count(ctx, listSubscribers, "count")
}

// BlockMembers ends the subscriptions of clients and keeps them out: they may
// neither subscribe nor send.
func (h *ServiceConversation) BlockMembers(ctx context.Context, ids ...string) error {
	return h.t.each(ctx, "POST", listBlocked, ids)
}

// UnblockMembers ends BlockMembers.
func (h *ServiceConversation) UnblockMembers(ctx context.Context, ids ...string) error {
	return h.t.each(ctx, "DELETE", listBlocked, ids)
}

// QueryBlockedMembers returns a page of the blocked clients.
func (h *ServiceConversation) QueryBlockedMembers(ctx context.Context, q realtime.PageQuery) (realtime.MemberPage, error) {
	return h.t.page(ctx, listBlocked, q)
}
