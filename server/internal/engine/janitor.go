package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/leanrtm/realtime/server/internal/store"
)

// janitor does what has time: it writes delivered marks, ends temporary
// conversations and forgets broadcasts that are not valid any more. Nothing
// depends on when it comes: ends are checked at every use.
type janitor struct {
	e      *Engine
	cancel context.CancelFunc
	done   chan struct{}
	poke   chan struct{} // holds one: next has become earlier

	mu    sync.Mutex
	next  int64           // when there is something to do, 0 = never
	ends  int64           // when a conversation or broadcast ends at the earliest, 0 = never
	marks map[*conv]int64 // conversations with marks to write, and when
}

func (j *janitor) start(e *Engine, ends int64) {
	j.e = e
	j.done, j.poke = make(chan struct{}), make(chan struct{}, 1)
	j.marks = make(map[*conv]int64)
	j.ends, j.next = ends, ends
	ctx, cancel := context.WithCancel(context.Background())
	j.cancel = cancel
	go j.run(ctx)
}

// stop writes all marks and ends the goroutine.
func (j *janitor) stop() {
	j.cancel()
	<-j.done
	j.writeMarks(context.Background(), 0)
}

// later asks for the marks of a conversation to be written by the given time.
func (j *janitor) later(c *conv, at int64) {
	j.mu.Lock()
	if old, ok := j.marks[c]; !ok || at < old {
		j.marks[c] = at
	}
	j.due(at)
	j.mu.Unlock()
}

// wake tells that something ends at the given time.
func (j *janitor) wake(at int64) {
	j.mu.Lock()
	j.ends = earlier(j.ends, at)
	j.due(at)
	j.mu.Unlock()
}

// due is called with mu held.
func (j *janitor) due(at int64) {
	if j.next != 0 && j.next <= at {
		return
	}
	j.next = at
	select {
	case j.poke <- struct{}{}:
	default:
	}
}

func (j *janitor) run(ctx context.Context) {
	defer close(j.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		j.mu.Lock()
		next := j.next
		j.mu.Unlock()
		wait := time.Duration(1<<63 - 1)
		if next != 0 {
			// Not before the time by a rounded millisecond, and never in a tight loop.
			wait = max(time.Duration(next-j.e.now())*time.Millisecond, time.Millisecond)
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-j.poke:
		case <-timer.C:
			j.work(ctx)
		}
	}
}

func (j *janitor) work(ctx context.Context) {
	now := j.e.now()
	j.mu.Lock()
	ending := j.ends != 0 && j.ends <= now
	if ending {
		j.ends = 0
	}
	j.mu.Unlock()

	ends := int64(0)
	if ending {
		ends = j.endThings(ctx, now)
	}
	j.writeMarks(ctx, now)

	j.mu.Lock()
	j.ends = earlier(j.ends, ends)
	j.next = j.ends
	for _, at := range j.marks {
		j.next = earlier(j.next, at)
	}
	j.mu.Unlock()
}

// writeMarks writes the marks whose time has come; now 0 means all.
func (j *janitor) writeMarks(ctx context.Context, now int64) {
	var due []*conv
	j.mu.Lock()
	for c, at := range j.marks {
		if now == 0 || at <= now {
			due = append(due, c)
			delete(j.marks, c)
		}
	}
	j.mu.Unlock()
	for _, c := range due {
		j.e.writeMarks(ctx, c)
	}
}

// writeMarks writes the marks of a conversation that the store does not have.
func (e *Engine) writeMarks(ctx context.Context, c *conv) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := store.Batch{App: c.app.ID}
	var written []*mark
	for _, m := range c.marks {
		if m.dirty {
			b.Ops = append(b.Ops, &store.RaiseMark{Cid: c.cid, Mark: m.Mark})
			written = append(written, m)
		}
	}
	if len(b.Ops) == 0 {
		return
	}
	err := store.CommitOne(context.WithoutCancel(ctx), e.store, b)
	if _, dropped := store.AsGuard(err, store.GuardConv); err != nil && !dropped {
		e.log.Warn("delivered marks not written", "error", err)
		if !errors.Is(err, store.ErrClosed) {
			e.janitor.later(c, e.now()+groupAckDelay)
			return
		}
	}
	for _, m := range written {
		m.dirty = false
	}
	c.dirty = 0
}

// endPage is how many conversations are ended between two looks at the clock.
const endPage = 100

// endThings ends what is over and returns when the next thing ends.
func (j *janitor) endThings(ctx context.Context, now int64) (next int64) {
	e := j.e
	for _, a := range e.apps {
		for {
			var cids []string
			err := e.store.Scan(ctx, a.ID, store.Access{Path: store.ByTTL, Until: now}, func(c *store.Conv) bool {
				cids = append(cids, c.Cid)
				return len(cids) < endPage
			})
			for _, cid := range cids {
				// Locking it ends it.
				if c, lockErr := e.lock(ctx, a, cid); lockErr == nil {
					c.mu.Unlock()
				}
			}
			if err != nil || len(cids) < endPage || ctx.Err() != nil {
				break
			}
		}
		var over []Cast
		a.casts.mu.RLock()
		for _, b := range a.casts.list {
			if now >= b.ValidTill {
				over = append(over, b)
			} else {
				next = earlier(next, b.ValidTill)
			}
		}
		a.casts.mu.RUnlock()
		if len(over) > 0 {
			if err := e.dropCasts(ctx, a, over); err != nil {
				next = earlier(next, now+groupAckDelay) // logged; once more later
			}
		}
		ends, err := e.firstEnd(ctx, a)
		if err != nil || ends != 0 && ends <= now {
			// What could not be ended now is tried again, but not at once.
			ends = now + groupAckDelay
		}
		next = earlier(next, ends)
	}
	return next
}

// farFuture is after every end of a temporary conversation.
const farFuture = 1<<63 - 1

// firstEnd is when the next temporary conversation of an app ends, 0 = never.
func (e *Engine) firstEnd(ctx context.Context, a *app) (int64, error) {
	var ends int64
	err := e.store.Scan(ctx, a.ID, store.Access{Path: store.ByTTL, Until: farFuture}, func(c *store.Conv) bool {
		ends = c.TTLEnd
		return false
	})
	return ends, err
}

// end drops a temporary conversation whose time is over.
func (e *Engine) end(ctx context.Context, c *conv) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone || !c.ended(e.now()) {
		return nil
	}
	return e.drop(ctx, c)
}

// drop deletes a locked conversation with everything that belongs to it.
func (e *Engine) drop(ctx context.Context, c *conv) error {
	err := e.commit(ctx, c, store.Batch{Ops: []store.Op{&store.DropConv{Cid: c.cid}}})
	if err != nil && err != errStale {
		return err
	}
	if !c.gone {
		c.retire()
	}
	return nil
}
