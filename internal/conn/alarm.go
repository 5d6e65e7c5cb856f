package conn

import (
	"sync"
	"time"
)

// alarm is a timer that goes off again and again, as its function says; the zero
// one never does. While it is armed, or the function runs, it counts as a goroutine
// of the connection.
type alarm struct {
	conn *Conn
	ring func() (again time.Duration) // 0: no more

	mu    sync.Mutex
	timer *time.Timer // nil: never
	ended bool
}

// begin arms the alarm for the first time. A goroutine of the connection calls it.
func (a *alarm) begin(c *Conn, after time.Duration, ring func() (again time.Duration)) {
	a.conn, a.ring = c, ring
	a.mu.Lock() // the timer may go off before it is noted
	defer a.mu.Unlock()
	c.running.Add(1)
	a.timer = time.AfterFunc(after, a.fire)
}

func (a *alarm) fire() {
	again := a.ring()
	a.mu.Lock()
	if again > 0 && !a.ended {
		a.timer.Reset(again)
		a.mu.Unlock()
		return
	}
	a.mu.Unlock()
	a.conn.release()
}

// end ends the alarm. A goroutine of the connection calls it.
func (a *alarm) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	if a.timer != nil && a.timer.Stop() {
		a.conn.running.Add(-1) // the caller still counts
	}
}
