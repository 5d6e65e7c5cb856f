package router

import (
	"context"
	"sync"
	"time"
)

// cache holds one value for as long as it is valid. Safe for concurrent use;
// its lock is not held while fetching.
type cache[T any] struct {
	mu      sync.Mutex
	value   T
	expires time.Time // of value; zero: there is none
	version int       // counts calls of forget
	flight  *flight[T]
}

// flight is a fetch that is under way.
type flight[T any] struct {
	done chan struct{} // closed when it is over

	// Written before done is closed, read after.
	value   T
	err     error
	gaveUp  bool // only because the caller who fetched did
	version int  // of the cache when it began
}

// get returns the value, fetching it if it is not known. Callers that come
// while it is being fetched share the outcome, also a failure.
func (c *cache[T]) get(ctx context.Context, fetch func(ctx context.Context) (T, time.Duration, error)) (T, error) {
	for {
		c.mu.Lock()
		if time.Now().Before(c.expires) {
			value := c.value
			c.mu.Unlock()
			return value, nil
		}
		f := c.flight
		if f == nil || f.version != c.version {
			f = &flight[T]{done: make(chan struct{}), version: c.version}
			c.flight = f
			c.mu.Unlock()
			c.fly(ctx, f, fetch)
			return f.value, f.err
		}
		c.mu.Unlock()
		select {
		case <-f.done:
			if !f.gaveUp {
				return f.value, f.err
			}
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		}
	}
}

// fly fetches the value and keeps it, unless it was to be forgotten meanwhile.
func (c *cache[T]) fly(ctx context.Context, f *flight[T], fetch func(ctx context.Context) (T, time.Duration, error)) {
	value, ttl, err := fetch(ctx)
	f.value, f.err = value, err
	f.gaveUp = err != nil && ctx.Err() != nil
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flight == f {
		c.flight = nil
	}
	if err == nil && f.version == c.version {
		c.value, c.expires = value, time.Now().Add(ttl)
	}
	close(f.done)
}

// forget drops the value, and what is being fetched for those who come later.
func (c *cache[T]) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	var none T
	c.value, c.expires = none, time.Time{}
	c.version++
}
