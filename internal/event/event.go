// Package event is the generic core of event handlers and event streams: a
// list of handlers, an ordered queue with a worker, and streams.
package event

import (
	"context"
	"errors"
	"iter"
	"time"
)

// ErrOverflow is the cause that ends a queue or a stream whose consumer is too
// slow. The root package exports the same value as ErrEventOverflow.
var ErrOverflow = errors.New("realtime: too many events waiting")

// Registry is a list of handlers of one kind of event. The zero value is
// empty and ready. Safe for concurrent use; no handler runs under its lock.
type Registry[E any] struct{}

// Add appends a handler and returns the function that takes it off again.
// After stop returned, no call of h begins. stop may be called any number of
// times, from anywhere, also from h. A nil h panics.
func (r *Registry[E]) Add(h func(ctx context.Context, e E)) (stop func()) { panic("declared") }

// Call runs the handlers one after the other, in the order they were added,
// on the calling goroutine.
func (r *Registry[E]) Call(ctx context.Context, e E) { panic("declared") }

// Len returns the number of handlers.
func (r *Registry[E]) Len() int { panic("declared") }

// QueueOptions say what a Queue does with its values.
type QueueOptions[T any] struct {
	Limit    int                            // values that may wait; the one being handled is not counted. Required
	Handle   func(ctx context.Context, v T) // runs on the worker, one value at a time. Required
	Overflow func()                         // called once, by the Push that finds the queue full, with no lock held
	Slow     time.Duration                  // how long Handle may take before OnSlow is called; 0: never
	OnSlow   func(v T)                      // called at most once per value, while Handle still runs
}

// Queue handles values one at a time in the order they came, on a goroutine
// that exists only while there is something to do. Safe for concurrent use.
type Queue[T any] struct{}

// NewQueue returns an empty queue without a goroutine. The context of handlers
// is derived from parent and ends with the queue.
func NewQueue[T any](parent context.Context, o QueueOptions[T]) *Queue[T] { panic("declared") }

// Push appends a value and reports whether it was accepted. It never blocks.
// A queue that has been closed or has overflowed accepts nothing any more; a
// queue that overflows still handles what it accepted before.
func (q *Queue[T]) Push(v T) bool { panic("declared") }

// Close discards what is waiting and ends the context of handlers with the
// cause. It does not wait for the running handler; see Wait. Only the first
// call of Close or Drain sets the cause.
func (q *Queue[T]) Close(cause error) { panic("declared") }

// Drain ends the context of handlers with the cause and accepts nothing more,
// but what is waiting will still be handled, then the values of last, whatever
// the limit is. A later Close discards what is then left.
func (q *Queue[T]) Drain(cause error, last ...T) { panic("declared") }

// Wait blocks until a closed or drained queue has nothing left to do, or until
// ctx ends. Called with the context of a handler of this queue, or one derived
// from it, it returns nil at once, since it would wait for its own caller.
func (q *Queue[T]) Wait(ctx context.Context) error { panic("declared") }

// Len returns the number of values waiting.
func (q *Queue[T]) Len() int { panic("declared") }

// Context is what handlers get: it ends when the queue is closed, with the
// cause, and makes Wait recognise them.
func (q *Queue[T]) Context() context.Context { panic("declared") }

// InHandler reports whether ctx was derived from that of a handler of q.
func (q *Queue[T]) InHandler(ctx context.Context) bool { panic("declared") }

// StreamOptions say how one stream behaves.
type StreamOptions[E any] struct {
	Limit   int            // events that may wait. Required
	Filter  func(e E) bool // nil: every event; runs in Publish
	Handled func(e E)      // called when the consumer asks for what comes after e
	Dropped func(e E)      // called for each event the stream took but the consumer has not handled when it stops
}

// Hub hands events to any number of streams. The zero value is ready. Safe
// for concurrent use.
type Hub[E any] struct{}

// Publish appends e to every stream, in the order of the calls; it never
// blocks and returns how many streams took it. A stream that is full ends by
// itself: its consumer gets what was accepted, then ErrOverflow.
func (h *Hub[E]) Publish(e E) (taken int) { panic("declared") }

// End ends all streams, and those to come, with err after what they hold. Only
// the first call counts.
func (h *Hub[E]) End(err error) { panic("declared") }

// Stream subscribes now and returns the sequence of all later events. It can
// be ranged over once. Unless the consumer breaks off, the sequence ends with
// one pair that holds an error: ErrOverflow, the error of End, or the cause of
// ctx. When ctx ends the stream ends at once, without what it still holds.
func (h *Hub[E]) Stream(ctx context.Context, o StreamOptions[E]) iter.Seq2[E, error] {
	panic("declared")
}

// Len returns the number of streams that still take events.
func (h *Hub[E]) Len() int { panic("declared") }
