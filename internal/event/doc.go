// Package event is the generic core of event handlers and event streams.
//
// A [Registry] is the list of handlers of one kind of event. A [Queue] hands
// values to one function, one at a time and in order, on a goroutine that
// exists only while there is something to do: an idle client costs no
// goroutine. A [Hub] hands events to any number of streams that are consumed
// by ranging over them.
//
// # A queue's life
//
//	open ──Push finds it full──> overflowed   accepts nothing, handles the rest
//	open, overflowed ──Drain──> draining      the same, and the handlers' context is over
//	any ──Close──> closed                     discards the rest
//
// The worker is started by the Push that finds none and ends when nothing is
// left. Wait is the way to wait for it. The only lock guards the ring and the
// flags; Handle, Overflow and OnSlow run without it, so they may call any
// method.
//
// # A stream's life
//
// A stream takes events from the moment it is made. It stops taking them when
// it is full (it has lagged), when the hub ends, when its context ends or when
// its consumer breaks off. In the first two cases the consumer still gets what
// the stream holds and then the error, so that what it saw has no gap. Locks
// are taken hub first, then stream; callbacks run under neither, but for
// Filter, which runs under the hub's.
package event

import "errors"

// ErrOverflow ends a queue or a stream whose consumer is too slow. The root
// package exports the same value as ErrEventOverflow.
var ErrOverflow = errors.New("realtime: too many events waiting")
