package realtime

import (
	"sync"
	"time"
)

// throttleInterval is how often acknowledgements and read points are sent at
// most.
const throttleInterval = time.Second

// throttle calls a function at once and then at most once per interval, as
// long as it is asked to. It has no goroutine of its own: a timer exists only
// while a call is due.
type throttle struct {
	send func() // must not block

	mu      sync.Mutex
	last    time.Time
	timer   *time.Timer // of the call that is due; nil: none is
	stopped bool
	firing  sync.WaitGroup // calls that are being made
}

// trigger asks for a call.
func (t *throttle) trigger() {
	t.mu.Lock()
	if t.stopped || t.timer != nil {
		t.mu.Unlock()
		return
	}
	now := time.Now()
	if wait := throttleInterval - now.Sub(t.last); wait > 0 {
		t.timer = time.AfterFunc(wait, t.fire)
		t.mu.Unlock()
		return
	}
	t.last = now
	t.firing.Add(1)
	t.mu.Unlock()
	defer t.firing.Done()
	t.send()
}

func (t *throttle) fire() {
	t.mu.Lock()
	t.timer = nil
	if t.stopped {
		t.mu.Unlock()
		return
	}
	t.last = time.Now()
	t.firing.Add(1)
	t.mu.Unlock()
	defer t.firing.Done()
	t.send()
}

// stop ends it and waits for a call that has begun.
func (t *throttle) stop() {
	t.mu.Lock()
	t.stopped = true
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	t.mu.Unlock()
	t.firing.Wait()
}
