package engine

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// clock is the wall clock in Unix milliseconds, except that it never goes back.
type clock struct{ last atomic.Int64 }

func (c *clock) now() int64 {
	t := time.Now().UnixMilli()
	for {
		last := c.last.Load()
		if t <= last {
			return last
		}
		if c.last.CompareAndSwap(last, t) {
			return t
		}
	}
}

// stampSlots is how many stamps can be in flight before the next one has to
// wait. An operation has one while it holds a conversation's lock, or the lane,
// where it only computes, so this is far above the number of processors. Nobody
// who has a stamp waits for a conversation's lock: who has that may be waiting
// for a stamp.
const stampSlots = 256

// watermark knows which times were given out for things that readers cannot see
// yet. Clients hand times back as cursors: one that lies above something still
// in flight would skip it for ever.
type watermark struct {
	clock
	slots [stampSlots]struct {
		from atomic.Int64 // 0: free; else no time below it is given out under this stamp
		_    [56]byte     // a cache line each: conversations must not slow each other
	}
}

// stamp is the right to date something. It is held until the thing is visible to
// reads and its push is queued, and is never kept beyond the lock under which it
// was taken.
type stamp struct{ from *atomic.Int64 }

// begin takes a stamp. Times read from the clock after it are above safe until
// end. The hint spreads concurrent users over the slots.
func (w *watermark) begin(hint uint32) stamp {
	for i := hint; ; i++ {
		s := &w.slots[i%stampSlots].from
		// A reader of the slots that came before the swap has read the clock
		// before us, and reports a time below what we will read afterwards.
		if s.CompareAndSwap(0, w.now()) {
			return stamp{s}
		}
		if (i-hint)%stampSlots == stampSlots-1 {
			runtime.Gosched()
		}
	}
}

func (s stamp) end() { s.from.Store(0) }

// safe is the largest time such that nothing at or before it is in flight.
func (w *watermark) safe() int64 {
	t := w.now() - 1
	for i := range w.slots {
		if from := w.slots[i].from.Load(); from != 0 && from <= t {
			t = from - 1
		}
	}
	return t
}

// lane gives out the times that clients use as cursors across conversations,
// strictly increasing. It is held from the stamp to the publish.
type lane struct {
	mu   sync.Mutex
	last int64
}

// next returns the next time; the lane is locked.
func (l *lane) next(now int64) int64 {
	l.last = max(now, l.last+1)
	return l.last
}
