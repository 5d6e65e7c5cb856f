// Package rpc matches the replies of one connection to the calls that wait for
// them.
//
// A command is registered under its serial before it is sent, so that no reply
// can come too early. From then on one of three things settles it: the reply,
// the end of the connection, or its caller, who gives up. Who takes the call
// out of the table, under the table's lock, has won; a caller that gives up
// and finds that it has lost takes the result that won.
//
// Whether a command may have reached the server is decided by the call as
// well: the writer asks Begin just before the first byte, the caller that
// gives up withdraws the command, and only one of the two succeeds.
package rpc

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// Table holds the calls that wait for a reply on one connection. Safe for
// concurrent use.
type Table struct {
	mu      sync.Mutex
	pending map[int32]waiter  // by serial
	groups  map[string]*Group // the mergeable ones among them, by content
	free    []*Call           // settled and out of everybody's hands
	failed  error             // why the connection is over; nil: it is not

	made  time.Time
	timer *time.Timer   // for the calls; made when first needed
	rings time.Duration // when it goes off, since made; 0: it does not
}

// waiter is a Call or a Group.
type waiter interface {
	settle(reply Reply, err error)
}

// maxFree bounds how many calls are kept for reuse.
const maxFree = 256

// NewTable returns an empty table.
func NewTable() *Table {
	return &Table{pending: make(map[int32]waiter), groups: make(map[string]*Group), made: time.Now()}
}

// Register makes the call that will get the reply with this serial, or ErrTimeout
// after timeout (0: never). Its caller must end it by Wait or Abandon. It fails
// with the cause of Fail.
func (t *Table) Register(serial int32, timeout time.Duration) (*Call, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed != nil {
		return nil, t.failed
	}
	var c *Call
	if last := len(t.free) - 1; last >= 0 {
		c, t.free[last] = t.free[last], nil
		t.free = t.free[:last]
	} else {
		c = &Call{table: t, done: make(chan struct{}, 1)}
	}
	c.serial, c.others, c.due = serial, len(t.pending), 0
	if timeout > 0 {
		c.due = time.Since(t.made) + timeout
		if t.rings == 0 || c.due < t.rings {
			t.ring(c.due, timeout)
		}
	}
	t.pending[serial] = c
	return c, nil
}

// ring sets the timer, which serves all calls: one that is set and stopped for
// each of them would cost more than everything else here. mu is held.
func (t *Table) ring(at, left time.Duration) {
	t.rings = at
	if t.timer == nil {
		t.timer = time.AfterFunc(left, t.expire)
	} else {
		t.timer.Reset(left)
	}
}

// expire ends the calls whose time is over, and sets the timer for the next.
func (t *Table) expire() {
	var late []*Call
	t.mu.Lock()
	t.rings = 0
	now, next := time.Since(t.made), time.Duration(0)
	for serial, w := range t.pending {
		c, ok := w.(*Call)
		switch {
		case !ok || c.due == 0:
		case c.due <= now:
			delete(t.pending, serial)
			late = append(late, c)
		case next == 0 || c.due < next:
			next = c.due
		}
	}
	if next != 0 {
		t.ring(next, next-now)
	}
	t.mu.Unlock()
	for _, c := range late {
		c.settle(Reply{}, ErrTimeout)
	}
}

// Join returns the group of the callers whose command has this content. If
// there is none yet, serial numbers a new one, and the caller is its leader,
// who must send it, and say Abort if that fails. Everybody ends by Wait. Join
// fails with the cause of Fail.
func (t *Table) Join(content string, serial func() int32) (g *Group, leader bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed != nil {
		return nil, false, t.failed
	}
	if g = t.groups[content]; g != nil {
		g.callers++
		return g, false, nil
	}
	g = &Group{table: t, content: content, serial: serial(), callers: 1, done: make(chan struct{})}
	t.pending[g.serial] = g
	t.groups[content] = g
	return g, true, nil
}

// Resolve hands a reply, with the block that it lies in, to whoever waits for its
// serial and reports whether somebody did.
func (t *Table) Resolve(reply *pb.GenericCommand, block *wire.Block) bool {
	serial := reply.GetI()
	t.mu.Lock()
	w := t.pending[serial]
	if w == nil {
		t.mu.Unlock()
		return false
	}
	t.remove(serial, w)
	t.mu.Unlock()
	w.settle(Reply{reply, block}, nil)
	return true
}

// Fail ends every call, also those still to be registered, with the cause.
// Only the first call counts.
func (t *Table) Fail(cause error) {
	t.mu.Lock()
	if t.failed != nil {
		t.mu.Unlock()
		return
	}
	t.failed = cause
	pending := t.pending
	t.pending, t.groups, t.free = nil, nil, nil
	if t.timer != nil {
		t.timer.Stop()
	}
	t.mu.Unlock()
	for _, w := range pending {
		w.settle(Reply{}, cause)
	}
}

// Len returns the number of commands that wait for a reply.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.pending)
}

// remove takes a waiter out; t.mu is held.
func (t *Table) remove(serial int32, w waiter) {
	delete(t.pending, serial)
	if g, ok := w.(*Group); ok {
		delete(t.groups, g.content)
	}
}

// giveUp takes a waiter out and reports whether nobody had settled it.
func (t *Table) giveUp(serial int32, w waiter) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pending[serial] != w {
		return false
	}
	t.remove(serial, w)
	return true
}

// recycle keeps a call that nobody refers to any more.
func (t *Table) recycle(c *Call) {
	c.reply, c.err = Reply{}, nil
	c.progress.state.Store(queued)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed == nil && len(t.free) < maxFree {
		t.free = append(t.free, c)
	}
}

// progress tells how far a command has got on its way out.
type progress struct{ state atomic.Uint32 }

const (
	queued uint32 = iota
	begun
	withdrawn
)

// Begin is asked by the writer just before the first byte of the command goes
// out; false means that the command was withdrawn and must not be sent.
func (p *progress) Begin() bool { return p.state.CompareAndSwap(queued, begun) }

// withdraw makes sure that a command that has not begun never will, and
// reports whether it succeeded.
func (p *progress) withdraw() bool {
	return p.state.CompareAndSwap(queued, withdrawn) || p.state.Load() == withdrawn
}
