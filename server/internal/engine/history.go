package engine

import (
	"context"
	"slices"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/limit"
	"github.com/leanrtm/realtime/server/internal/sign"
	"github.com/leanrtm/realtime/server/internal/store"
)

// HistoryQuery asks for a page of messages.
type HistoryQuery struct {
	Range store.Range
	Limit int // ≤ 0: none
	// Client is whose view of a service conversation an administrator asks for;
	// empty: what clients sent to it and what was broadcast.
	Client string
	// Signature is checked if the app wants it, for clients that ask over REST.
	Signature sign.Signature
	Signed    bool // the request came over REST
}

// Item is a message of the history. The times are those at which the other one
// of two members had received and read it, 0 if unknown.
type Item struct {
	Log     store.LogID
	Kind    store.ConvKind
	Message store.Message
	AckAt   int64
	ReadAt  int64
	Service Addressed // of service conversations, for administrators
}

// History returns messages of a conversation, those nearest to the start of the
// range, in the order of time whatever the direction. Members see all of it,
// also what was said before they joined; anybody sees that of a chat room; of a
// service conversation everyone sees what concerns him.
func (e *Engine) History(ctx context.Context, by Cause, cid string, q HistoryQuery) ([]Item, error) {
	a, err := e.app(by.App)
	if err != nil {
		return nil, err
	}
	if err := e.verify(a, by, a.VerifyHistory && q.Signed, wire.CodeConversationSignatureFailed, q.Signature, func() sign.Text {
		return sign.History(a.ID, by.Client, cid)
	}); err != nil {
		return nil, err
	}
	n := e.pageFor(by, q.Limit, e.limits.HistoryPage)
	c, err := e.lockMarks(ctx, a, cid, func(c *conv) []string {
		if len(c.ids) == 2 {
			return c.ids
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	kind := c.kind()
	allowed := c.mayRead(by)
	var marks []store.Mark
	if listed(kind) && len(c.ids) == 2 {
		marks = []store.Mark{c.marks[c.ids[0]].Mark, c.marks[c.ids[1]].Mark}
	}
	c.mu.Unlock()
	if !allowed {
		return nil, refuse(wire.CodeConversationLogRejected, "")
	}
	logs := []store.LogID{c.log(store.ViewMain)}
	if kind == store.KindService {
		if logs, err = e.serviceLogs(ctx, a, by, c, q.Client); err != nil {
			return nil, err
		}
	}
	items, err := e.readLogs(ctx, logs, kind, q.Range, n)
	if err != nil {
		return nil, err
	}
	for i := range items {
		if by.Admin && kind == store.KindService {
			items[i].Service = addressed(items[i : i+1])
		}
		for _, m := range marks {
			if m.Client != items[i].Message.From {
				items[i].received(&m)
			}
		}
	}
	return items, nil
}

// pageFor is the size of a page: the limits are for clients. Administrators count
// on whole pages to know the last one.
func (*Engine) pageFor(by Cause, n, most int) int {
	if n = max(n, 0); by.Admin {
		return n
	}
	return limit.Clamp(n, most)
}

// received sets the times at which the other member got the message.
func (it *Item) received(m *store.Mark) {
	if m.AckTS >= it.Message.TS {
		it.AckAt = max(m.AckAt, it.Message.TS)
	}
	if m.ReadTS >= it.Message.TS {
		it.ReadAt = max(m.ReadAt, it.Message.TS)
	}
}

// serviceLogs are the logs of a service conversation that the caller may see.
func (e *Engine) serviceLogs(ctx context.Context, a *app, by Cause, c *conv, client string) ([]store.LogID, error) {
	if by.Admin {
		if client != "" {
			return []store.LogID{c.log(store.ClientView(client)), c.log(store.ViewMain), c.log(store.ViewAll)}, nil
		}
		return []store.LogID{c.log(store.ViewInbound), c.log(store.ViewMain), c.log(store.ViewAll)}, nil
	}
	own := c.log(store.ClientView(by.Client))
	logs := []store.LogID{own, c.log(store.ViewAll)}
	s, err := e.standingOf(ctx, a, c.cid, by.Client)
	if err != nil {
		return nil, err
	}
	head, err := e.headOf(ctx, own)
	if err != nil {
		return nil, err
	}
	if s.me != nil || head.TS != 0 {
		logs = append(logs, c.log(store.ViewMain))
	}
	return logs, nil
}

// readLogs merges a page of several logs.
func (e *Engine) readLogs(ctx context.Context, logs []store.LogID, kind store.ConvKind, r store.Range, n int) ([]Item, error) {
	if n == 0 {
		return nil, nil
	}
	var items []Item
	for _, log := range logs {
		page, err := e.store.Messages(ctx, log, r, n)
		if err != nil {
			return nil, e.broken(wire.CodeConversationLogFailed, "read history", err)
		}
		items = slices.Grow(items, len(page))
		for i := range page {
			items = append(items, Item{Log: log, Kind: kind, Message: page[i]})
		}
	}
	if len(logs) == 1 {
		return items, nil
	}
	slices.SortStableFunc(items, func(x, y Item) int { return x.Message.Pos().Compare(y.Message.Pos()) })
	if len(items) > n {
		if r.Newer {
			items = items[:n]
		} else {
			items = items[len(items)-n:]
		}
	}
	return items, nil
}
