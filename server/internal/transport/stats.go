package transport

import (
	"sync"
	"sync/atomic"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
)

// Stats counts what happened to the connections of a Server. The numbers only
// grow, except Open.
type Stats struct {
	Open     int64                     // connections now
	Accepted uint64                    // connections ever
	Dropped  [fanout.ClassCount]uint64 // frames that a full queue cost, by class
	Closed   map[wire.Code]uint64      // ended connections by code; 0: the peer ended it or was gone
	Overflow uint64                    // connections closed because their queue was full
	Written  uint64                    // frames written
	Writes   uint64                    // write calls that took them
}

type counters struct {
	open     atomic.Int64
	accepted atomic.Uint64
	dropped  [fanout.ClassCount]atomic.Uint64
	overflow atomic.Uint64
	written  atomic.Uint64
	writes   atomic.Uint64

	mu     sync.Mutex
	closed map[wire.Code]uint64
}

func (c *counters) ended(code wire.Code) {
	c.open.Add(-1)
	c.mu.Lock()
	if c.closed == nil {
		c.closed = make(map[wire.Code]uint64)
	}
	c.closed[code]++
	c.mu.Unlock()
}

func (c *counters) read() Stats {
	s := Stats{
		Open:     c.open.Load(),
		Accepted: c.accepted.Load(),
		Overflow: c.overflow.Load(),
		Written:  c.written.Load(),
		Writes:   c.writes.Load(),
		Closed:   make(map[wire.Code]uint64),
	}
	for i := range c.dropped {
		s.Dropped[i] = c.dropped[i].Load()
	}
	c.mu.Lock()
	for code, n := range c.closed {
		s.Closed[code] = n
	}
	c.mu.Unlock()
	return s
}
