package memory

import (
	"context"
	"slices"

	"github.com/leanrtm/realtime/server/internal/store"
)

// scanChunk is how many candidates are read from an index at a time.
const scanChunk = 128

// Scan yields conversations of an access path.
func (s *Store) Scan(ctx context.Context, app string, a store.Access, yield func(*store.Conv) bool) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	var chunk func() []string
	holds := func(*conv) bool { return true }
	switch a.Path {
	case store.ByMember:
		chunk = s.memberChunks(app, a.Client)
		// The id was read before the conversation: membership may have ended since.
		holds = func(c *conv) bool {
			_, ok := c.members.find(store.Member{Client: a.Client})
			return ok
		}
	case store.ByKey:
		chunk = s.keyChunk(app, a.Key)
		holds = func(c *conv) bool { return c.row.UniqueKey == a.Key }
	case store.ByKind:
		chunk = s.kindChunks(app, &a)
	case store.ByTTL:
		chunk = s.ttlChunks(app, a.Until)
	default:
		return nil
	}
	var out store.Conv
	for {
		cids := chunk()
		if len(cids) == 0 {
			return nil
		}
		for _, cid := range cids {
			if err := s.begin(ctx); err != nil {
				return err
			}
			found := false
			s.view(app, cid, func(c *conv) {
				if found = c != nil && a.Wants(c.row.Kind) && holds(c); found {
					c.read(a.Load, &out)
				}
			})
			if found && !yield(&out) {
				return nil
			}
		}
	}
}

func (s *Store) memberChunks(app, client string) func() []string {
	after, done := "", false
	return func() []string {
		if done {
			return nil
		}
		cids := s.convsOf(app, client, after, scanChunk)
		if done = len(cids) < scanChunk; !done {
			after = cids[len(cids)-1]
		}
		return cids
	}
}

func (s *Store) keyChunk(app, k string) func() []string {
	done := false
	return func() []string {
		if done {
			return nil
		}
		done = true
		x := s.index(app)
		x.mu.RLock()
		defer x.mu.RUnlock()
		if cid, ok := x.unique[k]; ok {
			return []string{cid}
		}
		return nil
	}
}

func (s *Store) ttlChunks(app string, until int64) func() []string {
	x := s.index(app)
	var last *indexKey
	return func() []string {
		x.mu.RLock()
		defer x.mu.RUnlock()
		at := x.ttl.search(func(k indexKey) bool { return last == nil || compareIndexKeys(k, *last) > 0 })
		var cids []string
		for ; at.valid() && len(cids) < scanChunk && at.item().at <= until; at.next() {
			k := at.item()
			cids, last = append(cids, k.cid), &k
		}
		return cids
	}
}

// kindChunks merges the orders of the wanted kinds, newest first.
func (s *Store) kindChunks(app string, a *store.Access) func() []string {
	x := s.index(app)
	var last *indexKey
	return func() []string {
		x.mu.RLock()
		defer x.mu.RUnlock()
		var keys []indexKey
		for kind, l := range x.kinds {
			if !a.Wants(kind) {
				continue
			}
			at := l.search(func(k indexKey) bool { return last != nil && compareIndexKeys(k, *last) >= 0 })
			if last == nil {
				at = l.end()
			}
			n := 0
			for at.prev(); at.valid() && n < scanChunk; at.prev() {
				keys = append(keys, at.item())
				n++
			}
		}
		slices.SortFunc(keys, func(a, b indexKey) int { return compareIndexKeys(b, a) })
		keys = keys[:min(len(keys), scanChunk)]
		cids := make([]string, len(keys))
		for i, k := range keys {
			cids[i] = k.cid
		}
		if len(keys) > 0 {
			last = &keys[len(keys)-1]
		}
		return cids
	}
}
