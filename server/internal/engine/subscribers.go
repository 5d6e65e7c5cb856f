package engine

import (
	"cmp"
	"context"
	"slices"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/store"
)

// Subscription is a client that subscribes a service conversation.
type Subscription struct {
	Cid    string
	Client string
	At     int64 // since when
}

// MaxSubscriptions is the largest page of subscriptions.
const MaxSubscriptions = 50

func subscriptionPage(n int) int {
	if n <= 0 || n > MaxSubscriptions {
		return MaxSubscriptions
	}
	return n
}

// Subscribers returns a page of the subscribers of a service conversation, by id,
// those after a client. n is at most MaxSubscriptions, 0 means that.
func (e *Engine) Subscribers(ctx context.Context, by Cause, cid, after string, n int) ([]Subscription, error) {
	a, kind, err := e.kindOf(ctx, by, cid)
	if err != nil {
		return nil, err
	}
	if kind != store.KindService {
		return nil, refuse(wire.CodeSystemConversationRequired, "")
	}
	members, err := e.store.Members(ctx, a.ID, cid, after, subscriptionPage(n))
	if err != nil {
		return nil, e.broken(wire.CodeConversationInternalError, "read subscribers", err)
	}
	out := make([]Subscription, len(members))
	for i, m := range members {
		out[i] = Subscription{Cid: cid, Client: m.Client, At: m.Joined}
	}
	return out, nil
}

// SubscriptionQuery asks for subscriptions of a client by their time. At and Cid
// are the last one of the page before; the zero query starts at the beginning.
type SubscriptionQuery struct {
	At    int64
	Cid   string
	Older bool // from newer to older
	Limit int  // at most MaxSubscriptions, 0 means that
}

// Subscriptions returns a page of the service conversations that a client
// subscribes, in the order asked for.
func (e *Engine) Subscriptions(ctx context.Context, by Cause, client string, q SubscriptionQuery) ([]Subscription, error) {
	a, err := e.app(by.App)
	if err != nil {
		return nil, err
	}
	var all []Subscription
	for after := ""; ; {
		page, err := e.store.Memberships(ctx, a.ID, client, after, placePage)
		if err != nil {
			return nil, e.broken(wire.CodeConversationInternalError, "read subscriptions", err)
		}
		for _, m := range page {
			after = m.Cid
			if m.Kind == store.KindService {
				all = append(all, Subscription{Cid: m.Cid, Client: client, At: m.Joined})
			}
		}
		if len(page) < placePage {
			break
		}
	}
	order := func(x, y Subscription) int {
		return cmp.Or(cmp.Compare(x.At, y.At), cmp.Compare(x.Cid, y.Cid))
	}
	if q.Older {
		up := order
		order = func(x, y Subscription) int { return up(y, x) }
	}
	slices.SortFunc(all, order)
	if q.At != 0 || q.Cid != "" {
		start := Subscription{At: q.At, Cid: q.Cid}
		all = slices.DeleteFunc(all, func(s Subscription) bool { return order(s, start) <= 0 })
	}
	return all[:min(len(all), subscriptionPage(q.Limit))], nil
}

// Online returns those of the clients that have an open session.
func (e *Engine) Online(by Cause, clients []string) ([]string, error) {
	a, err := e.app(by.App)
	if err != nil {
		return nil, err
	}
	return e.sessions.Online(a.ID, clients), nil
}

// Conv returns one conversation as JSON, with its members; it answers 4303 if
// there is none.
func (e *Engine) Conv(ctx context.Context, by Cause, cid string) ([]byte, store.ConvKind, error) {
	a, kind, err := e.kindOf(ctx, by, cid)
	if err != nil {
		return nil, 0, err
	}
	found, err := e.store.Convs(ctx, a.ID, []string{cid}, store.LoadMembers)
	switch {
	case err != nil:
		return nil, 0, e.broken(wire.CodeConversationInternalError, "read conversation", err)
	case found[0] == nil:
		return nil, 0, refuse(wire.CodeConversationNotFound, "")
	}
	return render(nil, found[0], view{now: e.now()}), kind, nil
}
