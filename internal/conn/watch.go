package conn

import (
	"sync"
	"sync/atomic"
	"time"
)

// writeWatch kills a connection whose writer is stuck. Its timer is not set and
// stopped for every write, which would cost more than a small write: once
// armed it goes off when the oldest write that it could have seen is due, and
// looks.
type writeWatch struct {
	conn  *Conn
	begun atomic.Int64 // when the write under way began, in ns since the connection started, plus 1; 0: none is
	armed atomic.Bool  // the timer will go off; changed with mu held

	mu    sync.Mutex
	timer *time.Timer // counts as a goroutine of the connection while armed
	ended bool
}

// start says that a write begins.
func (w *writeWatch) start() {
	if w.conn.o.WriteTimeout < 0 {
		return
	}
	w.begun.Store(int64(time.Since(w.conn.started)) + 1)
	if !w.armed.Load() { // else it looks at begun when it goes off
		w.arm()
	}
}

// stop says that the write has ended.
func (w *writeWatch) stop() { w.begun.Store(0) }

func (w *writeWatch) arm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended || w.armed.Load() {
		return
	}
	w.armed.Store(true)
	w.conn.running.Add(1)
	if w.timer == nil {
		w.timer = time.AfterFunc(w.conn.o.WriteTimeout, w.look)
	} else {
		w.timer.Reset(w.conn.o.WriteTimeout)
	}
}

// look is what the timer does.
func (w *writeWatch) look() {
	w.mu.Lock()
	begun := w.begun.Load()
	if begun == 0 {
		w.armed.Store(false)
		// A write that begins now sees that nothing is armed; one that has begun in
		// between is seen here.
		if begun = w.begun.Load(); begun != 0 {
			w.armed.Store(true)
		}
	}
	left := time.Duration(begun-1) + w.conn.o.WriteTimeout - time.Since(w.conn.started)
	again := !w.ended && begun != 0 && left > 0
	if again {
		w.timer.Reset(left)
	} else {
		w.armed.Store(false)
	}
	stuck := begun != 0 && left <= 0
	w.mu.Unlock()
	if again {
		return
	}
	if stuck {
		w.conn.fail(ErrWriteTimeout)
	}
	w.conn.release()
}

// end ends the watch with the reader.
func (w *writeWatch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	if w.timer != nil && w.timer.Stop() {
		w.conn.running.Add(-1) // the reader still counts
	}
}
