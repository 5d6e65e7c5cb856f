package engine

import (
	"context"
	"slices"
	"strings"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/store"
)

// Audience is whom a message of a service conversation is for.
type Audience string

// The audiences.
const (
	AudienceService     Audience = "service"     // the app: a client said it to the service
	AudienceSubscribers Audience = "subscribers" // a broadcast to them
	AudienceEveryone    Audience = "everyone"    // a broadcast to the whole app
	AudienceClients     Audience = "clients"     // some, by name
)

// Addressed is what administrators are told of a message of a service
// conversation: whom it is for, and which of its copies are different now.
type Addressed struct {
	Audience Audience
	Clients  []string // of AudienceClients: those who have it, sorted
	Copies   []Copy   // copies that were edited by themselves; the item is like the first of the others
}

// Copy is a copy of a message that says something else than the others.
type Copy struct {
	Clients []string
	Message store.Message
}

// addressed looks at all copies of one message.
func addressed(copies []Item) (out Addressed) {
	first := &copies[0].Message
	for i := range copies {
		switch view := copies[i].Log.View; view {
		case store.ViewMain:
			out.Audience = AudienceSubscribers
		case store.ViewAll:
			out.Audience = AudienceEveryone
		case store.ViewInbound:
			out.Audience = AudienceService
		default:
			client, _ := store.ViewClient(view)
			m := &copies[i].Message
			switch {
			case out.Audience == AudienceService: // what the sender sees of it
			case len(copies) == 1 && client == m.From:
				out.Audience = AudienceService
			default:
				out.Audience = AudienceClients
				out.Clients = append(out.Clients, client)
				out.differs(first, m, client)
			}
		}
	}
	slices.Sort(out.Clients)
	return out
}

// differs notes a copy that is not like the first one.
func (a *Addressed) differs(first, m *store.Message, client string) {
	if m.PatchTS == first.PatchTS && m.Body == first.Body {
		return
	}
	for i := range a.Copies {
		if c := &a.Copies[i]; c.Message.PatchTS == m.PatchTS && c.Message.Body == m.Body { // edited together
			c.Clients = append(c.Clients, client)
			return
		}
	}
	a.Copies = append(a.Copies, Copy{Clients: []string{client}, Message: *m})
}

// maxCopies is in how many logs a message can be: in those of its addressees, or
// in the inbound one and that of its sender.
const maxCopies = MaxAddressees

// AppHistory returns messages of all conversations of an app, those of one sender
// if from is not empty. A message that is in several logs is there once.
func (e *Engine) AppHistory(ctx context.Context, by Cause, from string, r store.Range, n int) ([]Item, error) {
	a, err := e.app(by.App)
	if err != nil {
		return nil, err
	}
	n = e.pageFor(by, n, e.limits.HistoryPage)
	var items []Item
	for len(items) < n {
		// Enough for what is missing and all copies of the last one.
		want := n - len(items) + maxCopies
		page, err := e.store.AppMessages(ctx, a.ID, from, r, want)
		if err != nil {
			return nil, e.broken(wire.CodeConversationLogFailed, "read history", err)
		}
		full := len(page) == want
		if !r.Newer {
			slices.Reverse(page) // from the start of the range on
		}
		groups := grouped(page)
		if full {
			groups = groups[:len(groups)-1] // more copies of it may follow
		}
		for _, copies := range groups[:min(len(groups), n-len(items))] {
			items = append(items, copies[0])
			last := &items[len(items)-1]
			if last.Log.View != store.ViewMain || len(copies) > 1 {
				last.Service = addressed(copies)
			}
			at := last.Message.Pos()
			r.Start = store.Bound{Set: true, TS: at.TS, Mid: at.Mid}
		}
		if !full {
			break
		}
	}
	if !r.Newer {
		slices.Reverse(items)
	}
	if err := e.kinds(ctx, a, items); err != nil {
		return nil, err
	}
	for i := range items {
		if items[i].Kind == store.KindService && items[i].Service.Audience == "" {
			items[i].Service = addressed(items[i : i+1])
		}
	}
	return items, nil
}

// grouped puts the copies of each message together, in the order of their logs.
func grouped(page []store.LogMessage) [][]Item {
	var groups [][]Item
	for i := range page {
		item := Item{Log: page[i].Log, Message: page[i].Message}
		if last := len(groups) - 1; last >= 0 {
			g := groups[last][0]
			if g.Message.Pos() == item.Message.Pos() && g.Log.Cid == item.Log.Cid {
				groups[last] = append(groups[last], item)
				continue
			}
		}
		groups = append(groups, []Item{item})
	}
	for _, copies := range groups {
		if len(copies) > 1 {
			slices.SortFunc(copies, func(a, b Item) int { return strings.Compare(a.Log.View, b.Log.View) })
		}
	}
	return groups
}

// kinds fills in the kinds of the items' conversations.
func (e *Engine) kinds(ctx context.Context, a *app, items []Item) error {
	known := make(map[string]store.ConvKind)
	var cids []string
	for i := range items {
		cid := items[i].Log.Cid
		if _, ok := known[cid]; !ok {
			known[cid] = 0
			cids = append(cids, cid)
		}
	}
	found, err := e.store.Convs(ctx, a.ID, cids, 0)
	if err != nil {
		return e.broken(wire.CodeConversationLogFailed, "read history", err)
	}
	for _, c := range found {
		if c != nil {
			known[c.Cid] = c.Kind
		}
	}
	for i := range items {
		items[i].Kind = known[items[i].Log.Cid]
	}
	return nil
}
