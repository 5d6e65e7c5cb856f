package session

import (
	"context"
	"sync"
	"sync/atomic"
)

// Figures of the fan-out, see the package documentation.
const (
	// inlineReceivers is up to how many receivers an event is pushed by whoever
	// publishes it.
	inlineReceivers = 64
	// maxWorkers is how many workers there are at most; there is no use in more of
	// them than processors.
	maxWorkers = 8
	// maxBacklog is how many pushes may wait for one worker before publishers wait for
	// it as well.
	maxBacklog = 1 << 17
	// passage is how many pushes a worker makes before it lets a session go that
	// ends meanwhile.
	passage = 64
)

// spreader brings events to many sessions on the side.
type spreader struct {
	inline   int           // as inlineReceivers
	backlog  int           // as maxBacklog
	queued   atomic.Int64  // shares that are not delivered yet, of all workers
	assigned atomic.Uint32 // connections so far
	workers  []worker
}

func (sp *spreader) init(workers int) {
	sp.inline, sp.backlog = inlineReceivers, maxBacklog
	sp.workers = make([]worker, min(workers, maxWorkers))
	for i := range sp.workers {
		w := &sp.workers[i]
		w.spread = sp
		w.changed.L = &w.mu
	}
}

// assign returns the worker of a new connection.
func (sp *spreader) assign() uint8 {
	return uint8(sp.assigned.Add(1) % uint32(len(sp.workers)))
}

// release returns when no worker pushes to a session any more that is over.
func (sp *spreader) release(s *Session) {
	w := &sp.workers[s.worker]
	if w.queued.Load() > 0 {
		w.passing.Lock()
		//lint:ignore SA2001 it is the waiting that counts
		w.passing.Unlock() //nolint:staticcheck,gocritic // it is the waiting that counts
	}
}

// wait returns when the workers have nothing left to do.
func (sp *spreader) wait() {
	for i := range sp.workers {
		w := &sp.workers[i]
		w.mu.Lock()
		for w.running {
			w.changed.Wait()
		}
		w.mu.Unlock()
	}
}

// waitUntil is wait that ends with ctx.
func (sp *spreader) waitUntil(ctx context.Context) {
	for i := range sp.workers {
		w := &sp.workers[i]
		unhook := context.AfterFunc(ctx, func() {
			w.mu.Lock() // not between the look at ctx and the waiting
			defer w.mu.Unlock()
			w.changed.Broadcast()
		})
		w.mu.Lock()
		for w.running && ctx.Err() == nil {
			w.changed.Wait()
		}
		w.mu.Unlock()
		unhook()
	}
}

// share is an event and those of its receivers that one worker pushes it to.
type share struct {
	d  delivery
	to []*Session
}

// worker pushes events to the sessions of its share of the connections. Its
// goroutine exists only while there is something to do.
type worker struct {
	spread *spreader
	queued atomic.Int64 // shares that are not delivered yet
	// passing is held while pushes are made; it guards heads, which is scratch.
	passing sync.Mutex
	heads   [][]byte

	mu      sync.Mutex
	shares  []share
	spare   []share
	pushes  int  // in shares, and in what the goroutine has taken
	running bool // the goroutine exists
	changed sync.Cond
}

// add queues a share behind the others. It waits while too much waits already:
// the worker needs no lock that a publisher may hold.
func (w *worker) add(sh share) {
	w.queued.Add(1)
	w.spread.queued.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.pushes >= w.spread.backlog {
		w.changed.Wait()
	}
	w.pushes += len(sh.to)
	w.shares = append(w.shares, sh)
	if !w.running {
		w.running = true
		go w.run() // ends when there is nothing left; Registry.Close waits for it
	}
}

func (w *worker) run() {
	for {
		w.mu.Lock()
		taken := w.shares
		if len(taken) == 0 {
			w.running = false
			w.changed.Broadcast()
			w.mu.Unlock()
			return
		}
		w.shares, w.spare = w.spare[:0], nil
		w.mu.Unlock()
		for i := range taken {
			w.deliver(taken[i])
		}
		clear(taken)
		w.mu.Lock()
		w.spare = taken
		w.mu.Unlock()
	}
}

func (w *worker) deliver(sh share) {
	for to := sh.to; len(to) > 0; {
		n := min(len(to), passage)
		w.passing.Lock()
		w.push(sh.d, to[:n])
		w.passing.Unlock()
		to = to[n:]
	}
	w.mu.Lock()
	w.pushes -= len(sh.to)
	w.changed.Broadcast()
	w.mu.Unlock()
	// After the pushes: who finds nothing queued may push at once.
	w.queued.Add(-1)
	w.spread.queued.Add(-1)
}

// push pushes an event to sessions; those of one connection that follow each
// other are served together. w.passing is held.
func (w *worker) push(d delivery, to []*Session) {
	for len(to) > 0 {
		conn := to[0].conn
		n := 0
		for ; n < len(to) && to[n].conn == conn; n++ {
			if s := to[n]; d.concerns(s) && !s.over.Load() {
				w.heads = append(w.heads, s.peer)
			}
		}
		if len(w.heads) > 0 {
			conn.PushMany(w.heads, d.ev.Body, d.ev.Class, d.hold(conn))
			clear(w.heads)
			w.heads = w.heads[:0]
		}
		to = to[n:]
	}
}

// parcel is an event that is being brought to its receivers: those whose worker
// has nothing to do get it at once, unless there are many.
type parcel struct {
	delivery
	spread *spreader
	many   int // receivers, about, if they are too many to be served at once; else 0
	shares [maxWorkers][]*Session
	split  bool // there are shares
}

// to pushes the event to one session, leaves it at the session's gate, or adds
// the session to the share of its worker.
func (p *parcel) to(s *Session) {
	if !p.concerns(s) {
		return
	}
	if g := s.gate.Load(); g != nil && g.leave(p.delivery) {
		return
	}
	if p.many == 0 && (p.spread.queued.Load() == 0 || p.spread.workers[s.worker].queued.Load() == 0) {
		p.push(s)
		return
	}
	share := &p.shares[s.worker]
	if *share == nil {
		*share = make([]*Session, 0, p.many/len(p.spread.workers)+1)
	}
	*share = append(*share, s)
	p.split = true
}

// toSet is to for a whole set. No session of a set has a gate that is shut.
func (p *parcel) toSet(st *set) {
	if st == nil {
		return
	}
	if len(st.list) <= p.spread.inline {
		for _, s := range st.list {
			p.to(s)
		}
		return
	}
	p.shares = *st.byWorker()
	p.split = true
}

// send hands the shares to the workers. No lock is held that could be missed:
// what is in a share is there whatever happens to the indexes now.
func (p *parcel) send() {
	if !p.split {
		return
	}
	for i := range p.shares {
		if len(p.shares[i]) > 0 {
			p.spread.workers[i].add(share{p.delivery, p.shares[i]})
		}
	}
}
