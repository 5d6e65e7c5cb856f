package storetest

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/leanrtm/realtime/server/internal/store"
)

func (c *modelConv) read(load store.Load) *store.Conv {
	out := c.row
	out.Count = int64(len(c.members))
	out.Head = c.head(store.ViewMain)
	if load&store.LoadMembers != 0 && (out.Kind == store.KindNormal || out.Kind == store.KindTemporary) {
		out.Members = append([]store.Member{}, sortedValues(c.members)...)
	}
	if load&store.LoadLast != 0 {
		if ms := c.log(store.ViewMain).sorted(); len(ms) > 0 {
			out.Last = &ms[len(ms)-1]
		}
	}
	return &out
}

func (l *modelLog) sorted() []store.Message {
	ms := make([]store.Message, 0, len(l.msgs))
	for _, m := range l.msgs {
		ms = append(ms, m)
	}
	slices.SortFunc(ms, func(a, b store.Message) int { return a.Pos().Compare(b.Pos()) })
	return ms
}

func (m *model) Convs(ctx context.Context, app string, cids []string, load store.Load) ([]*store.Conv, error) {
	unlock, err := m.begin(ctx)
	defer unlock()
	if err != nil {
		return nil, err
	}
	out := make([]*store.Conv, len(cids))
	for i, cid := range cids {
		if c := m.state.convs[appID{app, cid}]; c != nil {
			out[i] = c.read(load)
		}
	}
	return out, nil
}

func (m *model) Scan(ctx context.Context, app string, a store.Access, yield func(*store.Conv) bool) error {
	found, err := m.candidates(ctx, app, a)
	for _, c := range found {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !yield(c) {
			break
		}
	}
	return err
}

func (m *model) candidates(ctx context.Context, app string, a store.Access) ([]*store.Conv, error) {
	unlock, err := m.begin(ctx)
	defer unlock()
	if err != nil {
		return nil, err
	}
	var out []*store.Conv
	for k, c := range m.state.convs {
		if k.app != app || !a.Wants(c.row.Kind) {
			continue
		}
		ok := false
		switch a.Path {
		case store.ByMember:
			_, ok = c.members[a.Client]
		case store.ByKey:
			ok = a.Key != "" && c.row.UniqueKey == a.Key
		case store.ByKind:
			ok = true
		case store.ByTTL:
			ok = c.row.TTLEnd > 0 && c.row.TTLEnd <= a.Until
		}
		if ok {
			out = append(out, c.read(a.Load))
		}
	}
	slices.SortFunc(out, func(x, y *store.Conv) int {
		byID := strings.Compare(x.Cid, y.Cid)
		switch a.Path {
		case store.ByKind:
			return -cmp.Or(cmp.Compare(x.Created, y.Created), byID)
		case store.ByTTL:
			return cmp.Or(cmp.Compare(x.TTLEnd, y.TTLEnd), byID)
		}
		return byID
	})
	return out, nil
}

func (m *model) Members(ctx context.Context, app, cid, after string, n int) ([]store.Member, error) {
	unlock, err := m.begin(ctx)
	defer unlock()
	c := m.state.convs[appID{app, cid}]
	if err != nil || c == nil {
		return nil, err
	}
	return pageOf(sortedValues(c.members), func(m store.Member) string { return m.Client }, after, n), nil
}

func (m *model) FindMembers(ctx context.Context, app string, keys []store.MemberKey) ([]*store.Member, error) {
	unlock, err := m.begin(ctx)
	defer unlock()
	if err != nil {
		return nil, err
	}
	out := make([]*store.Member, len(keys))
	for i, k := range keys {
		if c := m.state.convs[appID{app, k.Cid}]; c != nil {
			if member, ok := c.members[k.Client]; ok {
				out[i] = &member
			}
		}
	}
	return out, nil
}

func (m *model) Memberships(ctx context.Context, app, client, after string, n int) ([]store.Membership, error) {
	unlock, err := m.begin(ctx)
	defer unlock()
	if err != nil {
		return nil, err
	}
	var out []store.Membership
	for k, c := range m.state.convs {
		member, ok := c.members[client]
		if k.app != app || !ok {
			continue
		}
		ms := store.Membership{Cid: k.id, Kind: c.row.Kind, Member: member, Head: c.head(store.ViewMain), TTLEnd: c.row.TTLEnd}
		if c.row.Kind == store.KindService {
			ms.Own = c.head(store.ClientView(client))
		}
		ms.Mark = c.marks[client]
		ms.Mark.Client = client
		out = append(out, ms)
	}
	slices.SortFunc(out, func(a, b store.Membership) int { return strings.Compare(a.Cid, b.Cid) })
	return pageOf(out, func(m store.Membership) string { return m.Cid }, after, n), nil
}

func (m *model) Marks(ctx context.Context, app, cid string, clients []string) ([]store.Mark, error) {
	unlock, err := m.begin(ctx)
	defer unlock()
	c := m.state.convs[appID{app, cid}]
	if err != nil || c == nil {
		return nil, err
	}
	if clients == nil {
		return sortedValues(c.marks), nil
	}
	var out []store.Mark
	for _, id := range clients {
		if mark, ok := c.marks[id]; ok {
			out = append(out, mark)
		}
	}
	return out, nil
}

func (m *model) Heads(ctx context.Context, logs []store.LogID) ([]store.Head, error) {
	unlock, err := m.begin(ctx)
	defer unlock()
	if err != nil {
		return nil, err
	}
	out := make([]store.Head, len(logs))
	for i, id := range logs {
		if c := m.state.convs[appID{id.App, id.Cid}]; c != nil {
			out[i] = c.head(id.View)
		}
	}
	return out, nil
}

// messages are all messages of a log.
func (m *model) messages(id store.LogID) []store.Message {
	if c := m.state.convs[appID{id.App, id.Cid}]; c != nil {
		if l := c.logs[id.View]; l != nil {
			return l.sorted()
		}
	}
	return nil
}

func (m *model) Messages(ctx context.Context, log store.LogID, r store.Range, n int) ([]store.Message, error) {
	unlock, err := m.begin(ctx)
	defer unlock()
	if err != nil {
		return nil, err
	}
	var out []store.Message
	for _, x := range m.messages(log) {
		if r.Holds(&x) {
			out = append(out, x)
		}
	}
	return nearest(out, r, n), nil
}

// nearest keeps n elements of an ascending list, those at the range's start.
func nearest[T any](all []T, r store.Range, n int) []T {
	n = max(0, min(n, len(all)))
	if r.Newer {
		return all[:n]
	}
	return all[len(all)-n:]
}

func (m *model) FindMessage(ctx context.Context, log store.LogID, at store.Pos) (*store.Message, error) {
	unlock, err := m.begin(ctx)
	defer unlock()
	if err != nil {
		return nil, err
	}
	for _, x := range m.messages(log) {
		if x.Pos() == at {
			return &x, nil
		}
	}
	return nil, nil
}

func (m *model) AppMessages(ctx context.Context, app, from string, r store.Range, n int) ([]store.LogMessage, error) {
	unlock, err := m.begin(ctx)
	defer unlock()
	if err != nil {
		return nil, err
	}
	var out []store.LogMessage
	for k, c := range m.state.convs {
		for v, l := range c.logs {
			for _, x := range l.msgs {
				if k.app == app && (from == "" || x.From == from) && r.Holds(&x) {
					out = append(out, store.LogMessage{Log: store.LogID{App: app, Cid: k.id, View: v}, Message: x})
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b store.LogMessage) int {
		return cmp.Or(a.Pos().Compare(b.Pos()), strings.Compare(a.Log.Cid, b.Log.Cid), strings.Compare(a.Log.View, b.Log.View))
	})
	return nearest(out, r, n), nil
}

func (m *model) Unread(ctx context.Context, log store.LogID, me string, after int64, limit int) (store.Unread, error) {
	unlock, err := m.begin(ctx)
	defer unlock()
	var u store.Unread
	if err != nil {
		return u, err
	}
	ms := m.messages(log)
	slices.Reverse(ms)
	for _, x := range ms {
		if u.Count < limit && x.TS > after && x.Seq != store.SeqNone && x.From != me {
			u.Count++
			u.Mentioned = u.Mentioned || x.Mentioned(me)
		}
	}
	return u, nil
}

func (m *model) Changes(ctx context.Context, q store.ChangeQuery, after int64, n int) (store.ChangePage, error) {
	unlock, err := m.begin(ctx)
	defer unlock()
	if err != nil {
		return store.ChangePage{}, err
	}
	var f modelFeed
	switch q.Kind {
	case store.Patches:
		for _, x := range m.messages(q.Log) {
			if x.PatchTS > 0 {
				f.items = append(f.items, store.Change{TS: x.PatchTS, Message: &x})
			}
		}
		slices.SortStableFunc(f.items, func(a, b store.Change) int { return cmp.Compare(a.TS, b.TS) })
	case store.Events:
		if c := m.state.convs[appID{q.Log.App, q.Log.Cid}]; c != nil {
			f = c.events
		}
	case store.Notes, store.Droppables:
		f = m.state.notes[noteKey{appID{q.Log.App, q.Client}, q.Kind == store.Notes}]
	}
	p := store.ChangePage{Floor: f.floor}
	var items []store.Change
	for _, c := range f.items {
		if c.TS > after {
			items = append(items, c)
		}
	}
	if q.Newest {
		slices.Reverse(items)
	}
	for i, c := range items {
		if i >= n && (i == 0 || items[i-1].TS != c.TS) {
			p.More = true
			break
		}
		p.Items = append(p.Items, c)
	}
	if q.Newest {
		// Of one time, the order of arrival stays.
		slices.Reverse(p.Items)
	}
	return p, nil
}

func (m *model) Entries(ctx context.Context, list store.ListID, after string, n int) ([]store.Entry, error) {
	unlock, err := m.begin(ctx)
	defer unlock()
	if err != nil {
		return nil, err
	}
	return pageOf(sortedValues(m.state.list(list)), func(e store.Entry) string { return e.ID }, after, n), nil
}

func (m *model) FindEntries(ctx context.Context, list store.ListID, ids []string) ([]*store.Entry, error) {
	unlock, err := m.begin(ctx)
	defer unlock()
	if err != nil {
		return nil, err
	}
	out := make([]*store.Entry, len(ids))
	for i, id := range ids {
		if e, ok := m.state.list(list)[id]; ok {
			out[i] = &e
		}
	}
	return out, nil
}

func (m *model) CountEntries(ctx context.Context, list store.ListID) (int, error) {
	unlock, err := m.begin(ctx)
	defer unlock()
	if err != nil {
		return 0, err
	}
	return len(m.state.list(list)), nil
}

func (m *model) Sent(ctx context.Context, key store.SendKey) (store.Sent, bool, error) {
	unlock, err := m.begin(ctx)
	defer unlock()
	if err != nil {
		return store.Sent{}, false, err
	}
	s, ok := m.state.sends[key]
	return s, ok, nil
}

func (m *model) Records(ctx context.Context, kind store.RecordKind, app, prefix, after string, n int) ([]store.Record, error) {
	unlock, err := m.begin(ctx)
	defer unlock()
	if err != nil {
		return nil, err
	}
	all := map[string]store.Record{}
	for k, r := range m.state.records {
		if k.app == app && k.kind == kind && strings.HasPrefix(k.key, prefix) {
			all[k.key] = r
		}
	}
	return pageOf(sortedValues(all), func(r store.Record) string { return r.Key }, after, n), nil
}

func (m *model) FindRecords(ctx context.Context, kind store.RecordKind, app string, keys []string) ([]*store.Record, error) {
	unlock, err := m.begin(ctx)
	defer unlock()
	if err != nil {
		return nil, err
	}
	out := make([]*store.Record, len(keys))
	for i, k := range keys {
		if r, ok := m.state.records[modelRecordKey{app, kind, k}]; ok {
			out[i] = &r
		}
	}
	return out, nil
}

func (m *model) Caps() store.Caps { return store.Caps{Inline: true, MaxBatch: 1} }

func (m *model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}
