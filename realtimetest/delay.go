package realtimetest

import (
	"slices"
	"sync"
	"time"
)

// delayer runs functions later, in the order of their times and, for equal
// times, in the order in which they were added. It has a goroutine only while
// something waits.
type delayer struct {
	wg   *sync.WaitGroup // counts that goroutine
	done chan struct{}   // closed by stop

	mu      sync.Mutex
	waiting []delayed // sorted by due
	running bool      // the goroutine exists
	stopped bool
	wake    chan struct{} // capacity 1: the first element has changed
}

type delayed struct {
	due time.Time
	run func()
}

func newDelayer(wg *sync.WaitGroup) *delayer {
	return &delayer{wg: wg, done: make(chan struct{}), wake: make(chan struct{}, 1)}
}

// after calls run when d has passed, unless the delayer is stopped first.
func (d *delayer) after(wait time.Duration, run func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return
	}
	item := delayed{due: time.Now().Add(wait), run: run}
	at := len(d.waiting)
	for at > 0 && d.waiting[at-1].due.After(item.due) {
		at--
	}
	d.waiting = slices.Insert(d.waiting, at, item)
	if !d.running {
		d.running = true
		d.wg.Go(d.loop)
	} else if at == 0 {
		select {
		case d.wake <- struct{}{}:
		default: // it will look anyway
		}
	}
}

// stop forgets what waits. It does not wait for a function that runs.
func (d *delayer) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.stopped {
		d.stopped = true
		d.waiting = nil
		close(d.done)
	}
}

// loop ends when nothing waits any more, or by stop.
func (d *delayer) loop() {
	for {
		d.mu.Lock()
		if len(d.waiting) == 0 {
			d.running = false
			d.mu.Unlock()
			return
		}
		wait := time.Until(d.waiting[0].due)
		var run func()
		if wait <= 0 {
			run = d.waiting[0].run
			d.waiting = d.waiting[1:]
		}
		d.mu.Unlock()

		if run != nil {
			run()
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-d.wake:
		case <-d.done:
		}
		timer.Stop()
	}
}
