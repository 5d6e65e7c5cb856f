package memory

import (
	"context"
	"strings"

	"github.com/leanrtm/realtime/server/internal/store"
)

// view calls f with a conversation, nil if there is none, under its shard's read lock.
func (s *Store) view(app, cid string, f func(c *conv)) {
	sh := s.shard(app, cid)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	f(sh.convs[key{app, cid}])
}

// Convs returns conversations by id.
func (s *Store) Convs(ctx context.Context, app string, cids []string, load store.Load) ([]*store.Conv, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	out := make([]*store.Conv, len(cids))
	for i, cid := range cids {
		s.view(app, cid, func(c *conv) {
			if c != nil {
				out[i] = new(store.Conv)
				c.read(load, out[i])
			}
		})
	}
	return out, nil
}

// Members returns a page of members.
func (s *Store) Members(ctx context.Context, app, cid, after string, n int) ([]store.Member, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	var out []store.Member
	s.view(app, cid, func(c *conv) {
		if c != nil {
			out = page(&c.members, n, func(m store.Member) bool { return beyond(m.Client, after) })
		}
	})
	return out, nil
}

// beyond tells whether an id comes after a page's cursor; an empty cursor is the beginning.
func beyond(id, after string) bool { return after == "" || id > after }

// page copies up to n elements from the first one for which f holds.
func page[T any](l *list[T], n int, f func(T) bool) []T {
	var out []T
	for at := l.search(f); at.valid() && len(out) < n; at.next() {
		out = append(out, at.item())
	}
	return out
}

// FindMembers looks up members.
func (s *Store) FindMembers(ctx context.Context, app string, keys []store.MemberKey) ([]*store.Member, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	out := make([]*store.Member, len(keys))
	for i, k := range keys {
		s.view(app, k.Cid, func(c *conv) {
			if c == nil {
				return
			}
			if m, ok := c.members.find(store.Member{Client: k.Client}); ok {
				out[i] = &m
			}
		})
	}
	return out, nil
}

// convsOf copies up to n ids of a client's conversations.
func (s *Store) convsOf(app, client, after string, n int) []string {
	sh := s.shard(app, client)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	c := sh.clients[key{app, client}]
	if c == nil {
		return nil
	}
	return page(&c.convs, n, func(cid string) bool { return beyond(cid, after) })
}

// Memberships returns a page of a client's conversations.
func (s *Store) Memberships(ctx context.Context, app, client, after string, n int) ([]store.Membership, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	var out []store.Membership
	for len(out) < n {
		want := n - len(out)
		cids := s.convsOf(app, client, after, want)
		for _, cid := range cids {
			// Membership may have ended since the ids were read: then the page is filled up.
			if m, ok := s.membership(app, cid, client); ok {
				out = append(out, m)
			}
		}
		if len(cids) < want {
			break
		}
		after = cids[len(cids)-1]
	}
	return out, nil
}

func (s *Store) membership(app, cid, client string) (out store.Membership, ok bool) {
	s.view(app, cid, func(c *conv) {
		if c == nil {
			return
		}
		var m store.Member
		if m, ok = c.members.find(store.Member{Client: client}); !ok {
			return
		}
		out = store.Membership{
			Cid:    cid,
			Kind:   c.row.Kind,
			Member: m,
			Head:   c.main.head,
			TTLEnd: c.row.TTLEnd,
		}
		if c.row.Kind == store.KindService {
			out.Own = c.head(store.ClientView(client))
		}
		out.Mark, _ = c.marks.find(store.Mark{Client: client})
		out.Mark.Client = client
	})
	return out, ok
}

// Marks returns marks of clients.
func (s *Store) Marks(ctx context.Context, app, cid string, clients []string) ([]store.Mark, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	var out []store.Mark
	s.view(app, cid, func(c *conv) {
		if c == nil {
			return
		}
		if clients == nil {
			out = page(&c.marks, c.marks.n, func(store.Mark) bool { return true })
			return
		}
		for _, id := range clients {
			if m, ok := c.marks.find(store.Mark{Client: id}); ok {
				out = append(out, m)
			}
		}
	})
	return out, nil
}

// Heads returns the heads of logs.
func (s *Store) Heads(ctx context.Context, logs []store.LogID) ([]store.Head, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	out := make([]store.Head, len(logs))
	for i, id := range logs {
		s.view(id.App, id.Cid, func(c *conv) {
			if c != nil {
				out[i] = c.head(id.View)
			}
		})
	}
	return out, nil
}

// entries returns a list, nil if it never had an entry. The shard is locked.
func (s *Store) entries(id store.ListID) *list[store.Entry] {
	if !validList(id.Kind) {
		return nil
	}
	sh, k := s.shard(id.App, id.Owner), key{id.App, id.Owner}
	if !id.Kind.OfConv() {
		if c := sh.clients[k]; c != nil {
			return &c.blocks
		}
		return nil
	}
	if c := sh.convs[k]; c != nil {
		return c.lists[id.Kind]
	}
	return nil
}

// viewList calls f with a list that has or had entries, under its shard's read lock.
func (s *Store) viewList(id store.ListID, f func(l *list[store.Entry])) {
	sh := s.shard(id.App, id.Owner)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	if l := s.entries(id); l != nil {
		f(l)
	}
}

// Entries returns a page of a list.
func (s *Store) Entries(ctx context.Context, id store.ListID, after string, n int) ([]store.Entry, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	var out []store.Entry
	s.viewList(id, func(l *list[store.Entry]) {
		out = page(l, n, func(e store.Entry) bool { return beyond(e.ID, after) })
	})
	return out, nil
}

// FindEntries looks up entries.
func (s *Store) FindEntries(ctx context.Context, id store.ListID, ids []string) ([]*store.Entry, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	out := make([]*store.Entry, len(ids))
	s.viewList(id, func(l *list[store.Entry]) {
		for i, want := range ids {
			if e, ok := l.find(store.Entry{ID: want}); ok {
				out[i] = &e
			}
		}
	})
	return out, nil
}

// CountEntries returns the length of a list.
func (s *Store) CountEntries(ctx context.Context, id store.ListID) (n int, err error) {
	if err := s.begin(ctx); err != nil {
		return 0, err
	}
	s.viewList(id, func(l *list[store.Entry]) { n = l.n })
	return n, nil
}

// Sent tells what became of a send.
func (s *Store) Sent(ctx context.Context, k store.SendKey) (store.Sent, bool, error) {
	if err := s.begin(ctx); err != nil {
		return store.Sent{}, false, err
	}
	sh := s.shard(k.App, k.Cid)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	sends := sh.sends[k.App]
	if sends == nil {
		return store.Sent{}, false, nil
	}
	row, ok := sends.find(sends.hash(k))
	return row, ok, nil
}

// record returns a record, nil if there is none. The shard is locked.
func (s *Store) record(app string, kind store.RecordKind, id string) *store.Record {
	l := s.shards[s.recordShardOf(app, kind)].records[recordKey{app, kind}]
	if l == nil {
		return nil
	}
	r, _ := l.find(&store.Record{Key: id})
	return r
}

// Records returns a page of records.
func (s *Store) Records(ctx context.Context, kind store.RecordKind, app, prefix, after string, n int) ([]store.Record, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	sh := &s.shards[s.recordShardOf(app, kind)]
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	l := sh.records[recordKey{app, kind}]
	if l == nil {
		return nil, nil
	}
	var out []store.Record
	at := l.search(func(r *store.Record) bool { return r.Key >= prefix && beyond(r.Key, after) })
	for ; at.valid() && len(out) < n; at.next() {
		r := at.item()
		if !strings.HasPrefix(r.Key, prefix) {
			break
		}
		out = append(out, *r)
	}
	return out, nil
}

// FindRecords looks up records.
func (s *Store) FindRecords(ctx context.Context, kind store.RecordKind, app string, keys []string) ([]*store.Record, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	sh := &s.shards[s.recordShardOf(app, kind)]
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	out := make([]*store.Record, len(keys))
	for i, k := range keys {
		out[i] = s.record(app, kind, k)
	}
	return out, nil
}
