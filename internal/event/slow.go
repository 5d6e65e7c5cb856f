package event

import (
	"sync"
	"time"
)

// slowWatch tells of a value whose handling takes too long, while it does.
//
// A timer for each value would be the dearest part of handling most of them.
// Instead one timer goes off a few times in the permitted while for as long as
// the worker runs, and looks whether the worker is still at the same value.
type slowWatch[T any] struct {
	mu     *sync.Mutex // the queue's
	every  time.Duration
	report func(v T)

	// Under mu.
	timer   *time.Timer
	on      bool   // from the worker's first value to its end, or to a report
	current T      // what is being handled
	number  uint64 // which one it is
	seen    uint64 // the number at the last look,
	looks   int    // and how often it has been the same since

	ticking sync.WaitGroup // the timer, while it is armed or its function runs
}

// slowLooks is how often the watch looks in the time after which it tells.
const slowLooks = 10

func newSlowWatch[T any](mu *sync.Mutex, after time.Duration, report func(v T)) *slowWatch[T] {
	return &slowWatch[T]{mu: mu, every: max(after/slowLooks, 1), report: report}
}

// next is called by the worker, with mu held, before it handles a value.
func (w *slowWatch[T]) next(v T) {
	w.current = v
	w.number++
	if w.on {
		return
	}
	w.on = true
	w.seen, w.looks = w.number, 0
	w.ticking.Add(1)
	if w.timer == nil {
		w.timer = time.AfterFunc(w.every, w.look)
	} else {
		w.timer.Reset(w.every)
	}
}

// look is the timer's function.
func (w *slowWatch[T]) look() {
	w.mu.Lock()
	switch {
	case !w.on:
		w.mu.Unlock()
		w.ticking.Done()
		return
	case w.seen != w.number: // it began since the last look
		w.seen, w.looks = w.number, 0
	default:
		w.looks++
	}
	if w.looks < slowLooks {
		w.timer.Reset(w.every)
		w.mu.Unlock()
		return
	}
	late := w.current
	w.on = false // until the next value
	w.mu.Unlock()
	defer w.ticking.Done() // also if the report ends the goroutine, as a test's may
	w.report(late)
}

// end is called by the worker when it ends, without mu. Nothing is reported
// any more when it returns.
func (w *slowWatch[T]) end() {
	w.mu.Lock()
	if w.on && w.timer.Stop() {
		w.ticking.Done()
	}
	var none T
	w.on, w.current = false, none
	w.mu.Unlock()
	w.ticking.Wait()
}
