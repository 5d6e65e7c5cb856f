package link

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leanrtm/realtime/internal/conn"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rpc"
	"github.com/leanrtm/realtime/internal/wire"
)

// Link is one connection that comes back. Safe for concurrent use; no method
// may be called from OnPush or OnEvent but Gen and State.
type Link struct {
	o       Options
	serial  atomic.Uint32
	view    atomic.Pointer[view]
	settled atomic.Uint64 // the generation that Settle named last

	mail    mailbox        // opened by the first Open
	owner   *owner         // touched by the steps in the mailbox only
	running sync.WaitGroup // dials, an armed timer, connections; see owner.shutDown
}

// view is what everybody may know.
type view struct {
	state   State
	live    *live         // nil unless connected
	err     error         // why there is no connection
	changed chan struct{} // closed when another view has taken its place
}

// live is a connection and the calls on it.
type live struct {
	gen    uint64
	conn   *conn.Conn
	calls  *rpc.Table
	goaway bool // the server has said so; the reader's

	answered atomic.Uint32 // newest serial that was answered; see Posted

	adopted chan struct{} // closed when the reader may deliver, or must stop
	dropped atomic.Bool   // before adopted is closed: it must stop
}

// New returns a link that has not connected. It does no I/O and starts nothing.
func New(o Options) *Link {
	l := &Link{o: o.withDefaults(), mail: mailbox{done: make(chan struct{})}}
	l.owner = &owner{link: l, o: &l.o}
	l.view.Store(&view{state: StateInitialized, err: rpc.ErrDisconnected, changed: make(chan struct{})})
	return l
}

// ask lets the owner do something and waits until it has; false means that
// nothing is done, since the link is closed or was never opened.
func (l *Link) ask(do func(o *owner)) bool {
	done := make(chan struct{})
	accepted := l.mail.post(func() {
		defer close(done)
		do(l.owner)
	})
	if accepted {
		<-done
	}
	return accepted
}

// Open connects and returns nil when the link is connected. All callers share
// one dial, which goes on while any of them waits. Without retry the first
// failure is returned; with retry, attempts go on with the backoff until one
// succeeds or ctx ends. While a lost connection is being retried it waits for
// the next attempt; while paused it fails with ErrDisconnected, or with retry
// waits for Resume. After Close it fails with ErrClosed.
func (l *Link) Open(ctx context.Context, retry bool) error {
	if l.view.Load().live != nil {
		return nil
	}
	if ctx.Err() != nil {
		return rpc.ContextError(ctx)
	}
	w := &waiter{retry: retry, result: make(chan error, 1)}
	if !l.mail.open() || !l.ask(func(o *owner) { o.open(w) }) {
		return rpc.ErrClosed
	}
	select {
	case err := <-w.result:
		return err
	case <-ctx.Done():
	}
	if !l.ask(func(o *owner) { o.leave(w) }) {
		return <-w.result // closing answers everybody
	}
	select {
	case err := <-w.result: // both: the result counts
		return err
	default:
	}
	if w.lastFailure != nil {
		return fmt.Errorf("%w: %w", rpc.ContextError(ctx), w.lastFailure)
	}
	return rpc.ContextError(ctx)
}

// Gen returns the generation of the live connection: 1, 2, … or 0 if there is
// none. It does not block.
func (l *Link) Gen() uint64 {
	if lv := l.view.Load().live; lv != nil {
		return lv.gen
	}
	return 0
}

// Heard returns when something was last received over the live connection; zero
// if there is none. It does not block.
func (l *Link) Heard() time.Time {
	if lv := l.view.Load().live; lv != nil {
		return lv.conn.Heard()
	}
	return time.Time{}
}

// State returns the state. It does not block.
func (l *Link) State() State { return l.view.Load().state }

// WaitConnected blocks until there is a connection and returns its generation.
// It fails with ErrClosed after Close, with the failure after EventFailed or a
// first dial that failed, and with the ctx's error.
func (l *Link) WaitConnected(ctx context.Context) (gen uint64, err error) {
	for {
		v := l.view.Load()
		switch {
		case v.live != nil:
			return v.live.gen, nil
		case v.state == StateClosed || v.state == StateErrored:
			return 0, v.err
		}
		select {
		case <-v.changed:
		case <-ctx.Done():
			return 0, rpc.ContextError(ctx)
		}
	}
}

// Settle tells that a session is open on the connection of that generation:
// when it is lost, attempts are counted from 0 again. It is ignored for a
// generation that is no longer live. It does not block.
func (l *Link) Settle(gen uint64) {
	for {
		settled := l.settled.Load()
		if gen <= settled || l.settled.CompareAndSwap(settled, gen) {
			return
		}
	}
}

// Pause drops the connection or stops trying to get one, until Resume. Where
// it does not apply it does nothing. When it returns the state has changed.
func (l *Link) Pause() {
	l.ask((*owner).pause)
}

// Resume reconnects at once after Pause. Where it does not apply it does
// nothing.
func (l *Link) Resume() {
	l.ask((*owner).resume)
}

// Retry reconnects now instead of at the planned time and counts attempts from
// 0. In any state but StateDisconnected it is a *StateError.
func (l *Link) Retry() error {
	done := false
	l.ask(func(o *owner) { done = o.retryNow() })
	if !done {
		return &StateError{Op: "retry", State: l.State()}
	}
	return nil
}

// Close says goodbye to the server, stops everything and waits until no
// goroutine of the link is left. It is final and idempotent. ctx bounds only
// the waiting; there are no events. Commands in flight fail with ErrClosed.
func (l *Link) Close(ctx context.Context) error {
	l.mail.close(l.owner.shutDown)
	select {
	case <-l.mail.done:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-l.mail.done:
		return nil
	default:
		return rpc.ContextError(ctx)
	}
}

// publish replaces the view. Only the owner does so.
func (l *Link) publish(state State, lv *live, err error) {
	old := l.view.Swap(&view{state: state, live: lv, err: err, changed: make(chan struct{})})
	close(old.changed)
}

// nextSerial numbers a command: 1, 2, … up to the largest int32, and then from
// 1 again.
func (l *Link) nextSerial() int32 {
	for {
		if serial := int32(l.serial.Add(1) & (1<<31 - 1)); serial != 0 {
			return serial
		}
	}
}

// deliver takes what the reader of a connection has received.
func (l *Link) deliver(lv *live, cmd *pb.GenericCommand, block *wire.Block) {
	<-lv.adopted
	if lv.dropped.Load() {
		return
	}
	if cmd.GetI() != 0 {
		lv.noteAnswer(cmd.GetI())
		if !lv.calls.Resolve(cmd, block) { // it is late, or a heartbeat's
			l.o.Conn.Blocks.Put(block)
		}
		return
	}
	if cmd.Cmd != nil {
		switch cmd.GetCmd() {
		case pb.CommandType_goaway:
			if !lv.goaway { // once, or a server could fill the mailbox
				lv.goaway = true
				l.mail.post(func() { l.owner.sentAway(lv) })
			}
			return
		case pb.CommandType_echo:
			return
		}
	}
	l.o.OnPush(lv.gen, cmd, block)
}

// lost is the error of commands that have no connection.
func lost(cause error) error {
	if errors.Is(cause, rpc.ErrDisconnected) {
		return cause
	}
	return fmt.Errorf("%w: %w", rpc.ErrDisconnected, cause)
}

// timeout is how long a command may take by itself; 0: its ctx decides.
func (l *Link) timeout(ctx context.Context) time.Duration {
	if _, limited := ctx.Deadline(); limited {
		return 0
	}
	return l.o.CommandTimeout
}
