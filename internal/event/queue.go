package event

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/leanrtm/realtime/internal/mutant"
)

// QueueOptions say what a Queue does with its values.
type QueueOptions[T any] struct {
	Limit    int                            // values that may wait; the one being handled is not counted. Required
	Bytes    int                            // and how much they may be together, by Size; 0: anything
	Size     func(v T) int                  // the same for one value every time; required with Bytes
	Handle   func(ctx context.Context, v T) // runs on the worker, one value at a time. Required
	Overflow func()                         // called once, by the Push that finds the queue full, with no lock held
	Slow     time.Duration                  // how long Handle may take before OnSlow is called, at most a tenth later; 0: never
	OnSlow   func(v T)                      // called at most once per value, beside Handle, on any goroutine; must not block
}

// Queue handles values one at a time in the order they came, on a goroutine
// that exists only while there is something to do. Safe for concurrent use.
type Queue[T any] struct {
	o      QueueOptions[T]
	ctx    context.Context // what handlers get
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	waiting ring[T]
	bytes   int  // of what is waiting
	running bool // the worker exists
	refuses bool // overflowed, drained or closed
	drained bool
	closed  bool
	idle    chan struct{} // closed when the worker ends; made by Wait
	watch   *slowWatch[T] // made for the first value; nil also if there is nothing to watch for
}

// queueKey is the context key by which a queue knows its own handlers.
type queueKey struct{ queue any }

// NewQueue returns an empty queue without a goroutine. The context of handlers
// is derived from parent and ends with the queue.
func NewQueue[T any](parent context.Context, o QueueOptions[T]) *Queue[T] {
	if o.Handle == nil || o.Limit <= 0 {
		panic("event: a queue needs a handler and a limit")
	}
	q := &Queue[T]{o: o}
	ctx, cancel := context.WithCancelCause(parent)
	q.ctx, q.cancel = context.WithValue(ctx, queueKey{q}, true), cancel
	return q
}

// Push appends a value and reports whether it was accepted. It never blocks.
// A queue that was closed or drained or has overflowed accepts nothing any
// more; one that has overflowed still handles what it accepted before.
func (q *Queue[T]) Push(v T) bool {
	q.mu.Lock()
	if q.refuses {
		q.mu.Unlock()
		return false
	}
	size := q.size(v)
	if q.waiting.n >= q.o.Limit || q.o.Bytes > 0 && q.bytes+size > q.o.Bytes && q.waiting.n > 0 {
		q.refuses = true
		q.mu.Unlock()
		if q.o.Overflow != nil {
			q.o.Overflow()
		}
		return false
	}
	q.waiting.push(v)
	q.bytes += size
	q.wake()
	q.mu.Unlock()
	return true
}

func (q *Queue[T]) size(v T) int {
	if q.o.Bytes <= 0 {
		return 0
	}
	return q.o.Size(v)
}

// Close discards what is waiting and ends the context of handlers with the
// cause. It does not wait for the running handler; see Wait. Only the first
// call of Close or Drain sets the cause.
func (q *Queue[T]) Close(cause error) {
	q.cancel(cause)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refuses, q.closed = true, true
	q.waiting, q.bytes = ring[T]{}, 0
}

// Drain ends the context of handlers with the cause and accepts nothing more,
// but what is waiting will still be handled, then the values of last, whatever
// the limit is. A later Close discards what is then left. A queue that was
// drained or closed before ignores it, last included.
func (q *Queue[T]) Drain(cause error, last ...T) {
	q.cancel(cause)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.drained || q.closed {
		return
	}
	q.refuses, q.drained = true, true
	for _, v := range last {
		q.waiting.push(v)
		q.bytes += q.size(v)
	}
	q.wake()
}

// wake starts the worker if there is none and something to do. q.mu is held.
func (q *Queue[T]) wake() {
	if !q.running && q.waiting.n > 0 {
		q.running = true
		go q.work() // ends by itself; Wait waits for it
	}
}

// work is the worker: it handles values until none is left.
func (q *Queue[T]) work() {
	// A handler may end its goroutine by runtime.Goexit, as the Fatal of a test
	// does. Then the next worker takes over.
	defer func() {
		if q.watch != nil {
			q.watch.end()
		}
		q.mu.Lock()
		defer q.mu.Unlock()
		q.running = false
		if q.wake(); !q.running && q.idle != nil {
			close(q.idle)
			q.idle = nil
		}
	}()
	for {
		q.mu.Lock()
		if q.waiting.n == 0 {
			q.mu.Unlock()
			return
		}
		v := q.waiting.pop()
		q.bytes -= q.size(v)
		if mutant.On(mutant.Reorders) && q.waiting.n > 0 {
			later := q.waiting.pop()
			q.bytes -= q.size(later)
			q.mu.Unlock()
			q.o.Handle(q.ctx, later)
			q.o.Handle(q.ctx, v)
			continue
		}
		if q.o.Slow > 0 && q.o.OnSlow != nil {
			if q.watch == nil {
				q.watch = newSlowWatch(&q.mu, q.o.Slow, q.o.OnSlow)
			}
			q.watch.next(v)
		}
		q.mu.Unlock()
		q.o.Handle(q.ctx, v)
	}
}

// Wait blocks until the queue has nothing left to do, or until ctx ends; then
// it returns ctx's error. Called with the context of a handler of this queue,
// or one derived from it, it returns nil at once, since it would wait for its
// own caller.
func (q *Queue[T]) Wait(ctx context.Context) error {
	if q.InHandler(ctx) {
		return nil
	}
	q.mu.Lock()
	if !q.running {
		q.mu.Unlock()
		return nil
	}
	if q.idle == nil {
		q.idle = make(chan struct{})
	}
	idle := q.idle
	q.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-idle: // both: the wait has succeeded
		return nil
	default:
		return contextError(ctx)
	}
}

// Idle reports whether nothing waits and nothing is being handled.
func (q *Queue[T]) Idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.running && q.waiting.n == 0
}

// Len returns the number of values waiting.
func (q *Queue[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting.n
}

// Bytes returns how much the values waiting are together, by Size.
func (q *Queue[T]) Bytes() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes
}

// Context is what handlers get: it ends when the queue is drained or closed,
// with the cause, and makes Wait recognise its caller.
func (q *Queue[T]) Context() context.Context { return q.ctx }

// InHandler reports whether ctx was derived from that of a handler of q.
func (q *Queue[T]) InHandler(ctx context.Context) bool {
	return ctx.Value(queueKey{q}) != nil
}

// contextError is why ctx ended: it matches context.Canceled or
// context.DeadlineExceeded, and the cause if that is another one.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || cause == err {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
