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
	holds := func(*store.Conv) bool { return true }
	switch a.Path {
	case store.ByMember:
		chunk = s.memberChunks(app, a.Client)
		// The id was read before the conversation: membership may have ended since.
		return s.yieldAll(ctx, chunk, func(cid string) *store.Conv {
			if !s.isMember(app, cid, a.Client) {
				return nil
			}
			return s.wanted(app, cid, &a, holds)
		}, yield)
	case store.ByKey:
		chunk = s.keyChunk(app, a.Key)
		holds = func(c *store.Conv) bool { return c.UniqueKey == a.Key }
	case store.ByKind:
		chunk = s.kindChunks(app, &a)
	case store.ByTTL:
		chunk = s.ttlChunks(app, a.Until)
	default:
		return nil
	}
	return s.yieldAll(ctx, chunk, func(cid string) *store.Conv {
		return s.wanted(app, cid, &a, holds)
	}, yield)
}

func (s *Store) yieldAll(ctx context.Context, chunk func() []string, get func(cid string) *store.Conv, yield func(*store.Conv) bool) error {
	for {
		cids := chunk()
		if len(cids) == 0 {
			return nil
		}
		for _, cid := range cids {
			if err := s.begin(ctx); err != nil {
				return err
			}
			if c := get(cid); c != nil && !yield(c) {
				return nil
			}
		}
	}
}

// wanted reads a candidate, nil if it is not one any more.
func (s *Store) wanted(app, cid string, a *store.Access, holds func(*store.Conv) bool) *store.Conv {
	c := s.load(app, cid, a.Load)
	if c == nil || !a.Wants(c.Kind) || !holds(c) {
		return nil
	}
	return c
}

func (s *Store) isMember(app, cid, client string) (ok bool) {
	s.view(app, cid, func(c *conv) {
		if c != nil {
			_, ok = c.members.find(store.Member{Client: client})
		}
	})
	return ok
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
