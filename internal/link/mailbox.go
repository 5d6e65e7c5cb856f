package link

import "sync"

// mailbox has what the owner of a link is to do, and does it: one step after the
// other, in the order in which they came, on a goroutine that exists only while
// there is something to do. There is no limit, since a step that was left out
// would leave the link as it stands for ever; what posts makes it small enough:
// a caller waits for its request, and everything else comes once per dial, plan
// or connection.
type mailbox struct {
	done chan struct{} // closed when the last step is done and the goroutine is about to end

	mu      sync.Mutex // nothing is called while it is held
	waiting []func()
	working bool // the goroutine exists
	opened  bool // accepts steps, or did
	closed  bool // accepts none any more
}

// open makes the mailbox accept steps and reports whether it does; it does not
// after close.
func (m *mailbox) open() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.opened = true
	return !m.closed
}

// post appends a step and reports whether it will be done. It does not block,
// so that readers and timers can use it.
func (m *mailbox) post(step func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.opened || m.closed {
		return false
	}
	m.put(step)
	return true
}

// close appends the last step; nothing is accepted after it. A mailbox that was
// never opened does it here and now: there is nothing to wait for then. Only the
// first call counts.
func (m *mailbox) close(last func()) {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return
	}
	m.closed = true
	if m.opened {
		m.put(last)
		m.mu.Unlock()
		return
	}
	m.mu.Unlock()
	last()
	close(m.done)
}

// put appends a step. m.mu is held.
func (m *mailbox) put(step func()) {
	m.waiting = append(m.waiting, step)
	if !m.working {
		m.working = true
		go m.work() // ends by itself, for good after close; done tells
	}
}

// work is the goroutine.
func (m *mailbox) work() {
	// A step may end its goroutine by runtime.Goexit, when Options have functions
	// of a test that fails in them. Then the next one takes over.
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		switch {
		case len(m.waiting) > 0:
			go m.work() // as in put
			return
		case m.closed:
			close(m.done)
		}
		m.working = false
	}()
	for step := m.next(); step != nil; step = m.next() {
		step()
	}
}

// next takes the oldest step; nil: there is none.
func (m *mailbox) next() func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.waiting) == 0 {
		m.waiting = nil // keeps no memory while nothing happens
		return nil
	}
	step := m.waiting[0]
	m.waiting[0] = nil
	m.waiting = m.waiting[1:]
	return step
}
