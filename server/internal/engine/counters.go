package engine

import "sync/atomic"

// Counters is what the engine has done and has to do. The numbers only grow,
// except where they are said to be of now.
type Counters struct {
	Messages     uint64 // accepted from clients and over REST, transient ones included
	StoreErrors  uint64 // operations that failed because the store did
	RateLimited  uint64 // commands refused because a client sent too many
	CacheHits    uint64 // conversations found in memory
	CacheMisses  uint64 // conversations that had to be loaded
	Cached       int    // conversations in memory now
	HooksWaiting int    // calls of listening hooks that wait now
	HooksDropped uint64 // calls of listening hooks that were given up, since too many waited
	Lag          int64  // ms that the watermark is behind the clock now
}

// counters are those of an Engine that belong to no part of it.
type counters struct {
	messages    atomic.Uint64
	storeErrors atomic.Uint64
	rateLimited atomic.Uint64
}

// RateLimited counts a command that was refused because its client sent too
// many.
func (e *Engine) RateLimited() { e.counters.rateLimited.Add(1) }

// Counters counts.
func (e *Engine) Counters() Counters {
	c := Counters{
		Messages:    e.counters.messages.Load(),
		StoreErrors: e.counters.storeErrors.Load(),
		RateLimited: e.counters.rateLimited.Load(),
		Lag:         e.lag(),
	}
	for _, a := range e.apps {
		for i := range a.cache.shards {
			s := &a.cache.shards[i]
			c.CacheHits += s.hits.Load()
			s.mu.RLock()
			c.CacheMisses += s.misses
			c.Cached += len(s.convs)
			s.mu.RUnlock()
		}
	}
	c.HooksWaiting, c.HooksDropped = e.after.load()
	return c
}

// lag is how far the watermark is behind the clock: as long as the oldest
// operation in flight takes.
func (w *watermark) lag() int64 {
	safe := w.safe()
	return max(w.now()-1-safe, 0) // the current millisecond is never safe
}

// load is what waits and what was dropped.
func (w *afterwards) load() (waiting int, dropped uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue) + int(w.running.Load()), w.droppedEver
}
