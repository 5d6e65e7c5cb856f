package engine

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/hook"
)

// decide calls a hook that has a verdict, within its time. ok is false if it
// failed, and then the operation goes on as without it.
func decide[V any](ctx context.Context, e *Engine, what string, call func(context.Context) (V, error)) (v V, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, e.hookTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			e.log.Error("hook panicked", "hook", what, "panic", fmt.Sprint(p))
			ok = false
		}
	}()
	v, err := call(ctx)
	if err != nil {
		e.log.Warn("hook failed", "hook", what, "error", err)
		return v, false
	}
	return v, true
}

// rejected is the answer to an operation that a hook refused.
func rejected(v hook.Verdict) *Error {
	return &Error{Code: wire.CodeConversationRejectedByApp, AppCode: v.Code, AppMsg: v.Detail}
}

// afterLimit is how many calls of listening hooks may wait.
const afterLimit = 1 << 14

// afterwards runs what is to happen after an operation, in order, on one
// goroutine. Its users never wait: a hook may itself use the server, so waiting
// for a slow one could be waiting for oneself. What does not fit is dropped,
// and the log says so.
type afterwards struct {
	log    *slog.Logger
	cancel context.CancelFunc
	done   chan struct{}

	running atomic.Int64 // calls that were taken out of the queue and have not returned

	mu          sync.Mutex
	queue       []func(context.Context)
	dropped     int    // since the log said so
	droppedEver uint64 // in all
	stopped     bool
	wake        chan struct{} // holds one: there is something to do
}

func (w *afterwards) start(log *slog.Logger) {
	w.log = log
	w.done, w.wake = make(chan struct{}), make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	go w.run(ctx)
}

// stop runs what was promised and ends the goroutine. When ctx ends before, the
// hooks are told so by theirs.
func (w *afterwards) stop(ctx context.Context) {
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	w.signal()
	defer context.AfterFunc(ctx, w.cancel)()
	<-w.done
	w.cancel()
}

func (w *afterwards) do(f func(context.Context)) {
	w.mu.Lock()
	switch {
	case w.stopped:
	case len(w.queue) < afterLimit:
		w.queue = append(w.queue, f)
	default:
		w.droppedEver++
		if w.dropped++; w.dropped == 1 {
			w.log.Error("listening hooks are too slow, calls are dropped", "waiting", afterLimit)
		}
	}
	w.mu.Unlock()
	w.signal()
}

func (w *afterwards) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *afterwards) run(ctx context.Context) {
	defer close(w.done)
	for range w.wake {
		w.mu.Lock()
		batch, stopped := w.queue, w.stopped
		w.queue = nil
		w.running.Store(int64(len(batch)))
		if w.dropped > 0 {
			w.log.Error("calls of listening hooks were dropped", "calls", w.dropped)
			w.dropped = 0
		}
		w.mu.Unlock()
		for _, f := range batch {
			w.call(ctx, f)
			w.running.Add(-1)
		}
		if stopped {
			return
		}
	}
}

func (w *afterwards) call(ctx context.Context, f func(context.Context)) {
	defer func() {
		if p := recover(); p != nil {
			w.log.Error("hook panicked", "panic", fmt.Sprint(p))
		}
	}()
	f(ctx)
}
