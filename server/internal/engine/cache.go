package engine

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/store"
)

const cacheShards = 64

// cache holds the conversations of one app that were used lately.
type cache struct {
	seed   maphash.Seed
	room   int // conversations per shard
	shards [cacheShards]cacheShard
}

type cacheShard struct {
	mu     sync.RWMutex
	convs  map[string]*conv
	hits   atomic.Uint64 // written with mu read-locked, which has its line already
	misses uint64
	_      [16]byte // keeps the locks of neighbours apart
}

func (ch *cache) init(convs int) {
	ch.seed = maphash.MakeSeed()
	ch.room = max(convs/cacheShards, 1)
	for i := range ch.shards {
		ch.shards[i].convs = make(map[string]*conv)
	}
}

// find returns the cached conversation, if there is one that is loaded or being
// loaded.
func (ch *cache) find(hash uint64, cid string) *conv {
	s := &ch.shards[hash%cacheShards]
	s.mu.RLock()
	c := s.convs[cid]
	if c != nil {
		s.hits.Add(1)
	}
	s.mu.RUnlock()
	return c
}

// add puts c into the cache, unless there is one already: then that one is
// returned.
func (ch *cache) add(hash uint64, c *conv) *conv {
	s := &ch.shards[hash%cacheShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.convs[c.cid]; old != nil {
		return old
	}
	if len(s.convs) >= ch.room {
		s.evict(ch.room)
	}
	s.misses++
	s.convs[c.cid] = c
	return c
}

// remove takes c out, if it is still the one that is there.
func (ch *cache) remove(c *conv) {
	s := &ch.shards[uint64(c.hash)%cacheShards]
	s.mu.Lock()
	if s.convs[c.cid] == c {
		delete(s.convs, c.cid)
	}
	s.mu.Unlock()
}

// evictTries bounds the search for somebody to evict. If all of them are in use
// the shard grows over its size for a while.
const evictTries = 16

// evict makes room for one more, by dropping conversations that were not used
// since the last look at them. The map's order is random, which is as good as
// any here.
func (s *cacheShard) evict(room int) {
	tries := 0
	for cid, c := range s.convs {
		if tries++; len(s.convs) < room || tries > evictTries {
			return
		}
		if c.used.Swap(false) || !c.mu.TryLock() {
			continue
		}
		if c.loaded && c.dirty == 0 {
			c.gone = true
			delete(s.convs, cid)
		}
		c.mu.Unlock()
	}
}

var (
	errAbsent = errors.New("engine: no such conversation") // not in the store
	errStale  = errors.New("engine: cached conversation is stale")
)

// staleTries is how often an operation starts again because what it saw changed.
const staleTries = 4

// lock returns the conversation, loaded and locked. It answers 4303 if there is
// none, or none any more.
func (e *Engine) lock(ctx context.Context, a *app, cid string) (*conv, error) {
	for {
		c, err := e.find(ctx, a, cid)
		if err != nil {
			return nil, err
		}
		c.mu.Lock()
		switch {
		case c.gone:
			c.mu.Unlock()
		case c.ended(e.now()):
			c.mu.Unlock()
			if err := e.end(ctx, c); err != nil {
				return nil, err
			}
			return nil, refuse(wire.CodeConversationNotFound, "the temporary conversation has ended")
		default:
			return c, nil
		}
	}
}

// peek returns the conversation locked if it is in memory, else nil.
func (a *app) peek(cid string) *conv {
	c := a.cache.find(maphash.String(a.cache.seed, cid), cid)
	if c == nil {
		return nil
	}
	c.mu.Lock()
	if c.gone || !c.loaded {
		c.mu.Unlock()
		return nil
	}
	return c
}

// find returns the conversation, loaded.
func (e *Engine) find(ctx context.Context, a *app, cid string) (*conv, error) {
	hash := maphash.String(a.cache.seed, cid)
	for {
		c := a.cache.find(hash, cid)
		if c == nil {
			fresh := &conv{app: a, cid: cid, hash: uint32(hash)}
			fresh.loading.Store(&loading{done: make(chan struct{})})
			if c = a.cache.add(hash, fresh); c == fresh {
				e.load(ctx, c)
			}
		}
		var err error
		if l := c.loading.Load(); l != nil {
			select {
			case <-l.done:
				err = l.err
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		switch {
		case err == nil:
			// Writing always would make every user of a busy conversation fetch
			// the line that the others just wrote.
			if !c.used.Load() {
				c.used.Store(true)
			}
			return c, nil
		case err == errAbsent:
			return nil, refuse(wire.CodeConversationNotFound, "")
		case ctx.Err() == nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
			// Somebody else's patience ended, not ours.
			continue
		}
		return nil, e.broken(wire.CodeConversationInternalError, "load conversation", err)
	}
}

// load fills c, which is in the cache and not ready. If there is nothing to load
// it is taken out again, so that a conversation created later is found.
func (e *Engine) load(ctx context.Context, c *conv) {
	l := c.loading.Load()
	defer close(l.done)
	if l.err = e.read(ctx, c); l.err != nil {
		c.app.cache.remove(c)
		return
	}
	c.loading.Store(nil)
}

func (e *Engine) read(ctx context.Context, c *conv) error {
	found, err := e.store.Convs(ctx, c.app.ID, []string{c.cid}, store.LoadMembers|store.LoadLast)
	if err != nil {
		return err
	}
	if found[0] == nil {
		return errAbsent
	}
	var lists lists
	if err := e.readLists(ctx, c.app.ID, c.cid, &lists); err != nil {
		return err
	}
	var service *serviceHeads
	if found[0].Kind == store.KindService {
		heads, err := e.store.Heads(ctx, []store.LogID{c.log(store.ViewInbound), c.log(store.ViewAll)})
		if err != nil {
			return err
		}
		service = &serviceHeads{inbound: heads[0], all: heads[1]}
	}
	// Nobody else locks a conversation that is not ready, except an eviction that
	// looks whether it is loaded.
	c.mu.Lock()
	defer c.mu.Unlock()
	meta := found[0]
	c.meta, c.is, c.ttlEnd, c.head, c.last, c.service = meta, meta.Kind, meta.TTLEnd, meta.Head, meta.Last, service
	c.setMembers(meta.Members)
	c.lists = lists
	c.loaded = true
	return nil
}

// retire marks a locked conversation as not current: it was dropped, or what the
// cache has of it is wrong.
func (c *conv) retire() {
	c.gone = true
	c.app.cache.remove(c)
}

// stale tells whether err says that another writer was at the conversation,
// which then has to be loaded again.
func stale(err error) bool {
	var g *store.GuardError
	if !errors.As(err, &g) {
		return false
	}
	switch g.Which {
	case store.GuardVersion, store.GuardSeq, store.GuardConv, store.GuardFence:
		return true
	}
	return false
}
