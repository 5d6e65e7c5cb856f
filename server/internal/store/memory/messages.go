package memory

import (
	"cmp"
	"context"
	"slices"

	"github.com/leanrtm/realtime/server/internal/store"
)

// viewLog calls f with a log that had a message, under its shard's read lock.
func (s *Store) viewLog(id store.LogID, f func(l *msgLog)) {
	s.view(id.App, id.Cid, func(c *conv) {
		if c == nil {
			return
		}
		if l := c.log(id.View); l != nil {
			f(l)
		}
	})
}

// walk calls f with the messages of a range from its start on, until f returns
// false. The message is another one each time, in the same place.
func (l *msgLog) walk(r store.Range, f func(*store.Message) bool) {
	msgs := &l.msgs
	if r.Typed {
		if msgs = l.ofType(r.Type); msgs == nil {
			return
		}
	}
	var m store.Message
	read := func(at *cursor[ref]) *store.Message {
		message(l.text.at(at.item().place), at.item().ts, &m)
		return &m
	}
	low, high := r.Limits()
	if r.Newer {
		at := msgs.search(func(x ref) bool { return low.Above(l.pos(x)) })
		for ; at.valid() && high.Below(l.pos(at.item())) && f(read(&at)); at.next() {
		}
		return
	}
	at := msgs.end()
	if high.Set {
		at = msgs.search(func(x ref) bool { return !high.Below(l.pos(x)) })
	}
	for at.prev(); at.valid() && low.Above(l.pos(at.item())) && f(read(&at)); at.prev() {
	}
}

// Messages returns messages of a range.
func (s *Store) Messages(ctx context.Context, log store.LogID, r store.Range, n int) ([]store.Message, error) {
	if err := s.begin(ctx); err != nil || n <= 0 {
		return nil, err
	}
	var out []store.Message
	s.viewLog(log, func(l *msgLog) {
		l.walk(r, func(m *store.Message) bool {
			if out == nil {
				out = make([]store.Message, 0, min(n, l.msgs.n))
			}
			out = append(out, *m)
			return len(out) < n
		})
	})
	if !r.Newer {
		slices.Reverse(out)
	}
	return out, nil
}

// FindMessage returns one message.
func (s *Store) FindMessage(ctx context.Context, log store.LogID, at store.Pos) (m *store.Message, err error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	s.viewLog(log, func(l *msgLog) { m = l.find(at) })
	return m, nil
}

// Unread counts messages of others.
func (s *Store) Unread(ctx context.Context, log store.LogID, me string, after int64, limit int) (u store.Unread, err error) {
	if err := s.begin(ctx); err != nil {
		return u, err
	}
	r := store.Range{End: store.Bound{Set: true, TS: after}}
	s.viewLog(log, func(l *msgLog) {
		if l.head.TS <= after {
			return
		}
		l.walk(r, func(m *store.Message) bool {
			if u.Count >= limit {
				return false
			}
			if m.Seq != store.SeqNone && m.From != me {
				u.Count++
				u.Mentioned = u.Mentioned || m.Mentioned(me)
			}
			return true
		})
	})
	return u, nil
}

// Changes returns a page of patches, events or notes.
func (s *Store) Changes(ctx context.Context, q store.ChangeQuery, after int64, n int) (p store.ChangePage, err error) {
	if err := s.begin(ctx); err != nil {
		return p, err
	}
	switch q.Kind {
	case store.Patches:
		s.viewLog(q.Log, func(l *msgLog) { p = patchPage(l, after, n, q.Newest) })
	case store.Events:
		s.view(q.Log.App, q.Log.Cid, func(c *conv) {
			if c != nil {
				p = c.events.page(after, n, q.Newest)
			}
		})
	case store.Notes, store.Droppables:
		sh := s.shard(q.Log.App, q.Client)
		sh.mu.RLock()
		defer sh.mu.RUnlock()
		c := sh.clients[key{q.Log.App, q.Client}]
		if c == nil {
			break
		}
		f := &c.notes
		if q.Kind == store.Droppables {
			f = &c.droppables
		}
		p = f.page(after, n, q.Newest)
	}
	return p, nil
}

// page cuts a page that does not end between changes of equal time.
func (f *feed) page(after int64, n int, newest bool) store.ChangePage {
	from, _ := slices.BinarySearchFunc(f.items, after+1, func(c store.Change, ts int64) int {
		return cmp.Compare(c.TS, ts)
	})
	items := f.items[from:]
	p := store.ChangePage{Floor: f.floor}
	n = max(0, min(n, len(items)))
	cut := n
	if newest {
		cut = len(items) - n
	}
	for n > 0 && cut > 0 && cut < len(items) && items[cut].TS == items[cut-1].TS {
		if newest {
			cut--
		} else {
			cut++
		}
	}
	if newest {
		p.Items, p.More = slices.Clone(items[cut:]), cut > 0
	} else {
		p.Items, p.More = slices.Clone(items[:cut]), cut < len(items)
	}
	return p
}

// patchPage is feed.page on the messages of a log in the order of their patches.
func patchPage(l *msgLog, after int64, n int, newest bool) (p store.ChangePage) {
	if newest {
		at := l.patches.end()
		for at.prev(); at.valid() && at.item().patch > after; at.prev() {
			if p.More = cutHere(p.Items, at.item(), n); p.More {
				break
			}
			p.Items = append(p.Items, l.patchChange(at.item()))
		}
		slices.Reverse(p.Items)
		return p
	}
	at := l.patches.search(func(x patched) bool { return x.patch > after })
	for ; at.valid(); at.next() {
		if p.More = cutHere(p.Items, at.item(), n); p.More {
			break
		}
		p.Items = append(p.Items, l.patchChange(at.item()))
	}
	return p
}

// cutHere tells whether a page of n is complete before x.
func cutHere(items []store.Change, x patched, n int) bool {
	return len(items) >= n && (len(items) == 0 || items[len(items)-1].TS != x.patch)
}

func (l *msgLog) patchChange(x patched) store.Change {
	return store.Change{TS: x.patch, Message: l.read(x.ref)}
}
