package link

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/leanrtm/realtime/internal/conn"
	"github.com/leanrtm/realtime/internal/rpc"
	"github.com/leanrtm/realtime/internal/wire"
)

// owner makes the decisions of a link. Its methods are steps of the mailbox, or
// called by one, so that its fields need no lock. What a step was posted for may
// be over when its turn comes: it says which dial, plan or connection it means.
type owner struct {
	link *Link
	o    *Options

	state     State
	live      *live // in StateConnected
	gen       uint64
	connected bool // since New, or since the link failed: the next connection is a reconnection
	attempt   int  // number of the next attempt to reconnect
	waiters   []*waiter

	dial      *dial       // under way; nil: none
	endpoints []string    // in the order to try them
	stale     bool        // the next dial asks for fresh endpoints
	timer     *time.Timer // goes off when the next attempt is due; nil: none is planned
	plan      int         // changes when an attempt is planned, and when it is called off
}

// waiter is a caller of Open.
type waiter struct {
	retry       bool
	result      chan error // holds one
	lastFailure error      // the owner's until it has let go of the waiter
}

// Why a connection was given up, besides what conn and the server say.
var (
	errPaused    = errors.New("paused")
	errGoAway    = errors.New("the server asked to move to another endpoint")
	errAbandoned = errors.New("no longer wanted")
)

// become moves to a state that has no connection and publishes it, with what
// commands then fail with.
func (o *owner) become(s State, err error) {
	o.state = s
	o.link.publish(s, nil, err)
}

func (o *owner) emit(e Event) { o.o.OnEvent(e) }

// open takes in a caller of Open.
func (o *owner) open(w *waiter) {
	switch o.state {
	case StateConnected:
		w.result <- nil
		return
	case StateOffline:
		if !w.retry {
			w.result <- lost(errPaused)
			return
		}
	case StateErrored:
		o.become(StateInitialized, rpc.ErrDisconnected)
		fallthrough
	case StateInitialized:
		if o.dial == nil {
			o.startDial()
		}
	}
	o.waiters = append(o.waiters, w)
}

// leave lets go of a caller of Open whose context has ended. A link that has
// never been connected does not go on for nobody.
func (o *owner) leave(w *waiter) {
	o.waiters = slices.DeleteFunc(o.waiters, func(other *waiter) bool { return other == w })
	if len(o.waiters) > 0 || o.connected {
		return
	}
	switch o.state {
	case StateInitialized, StateDisconnected, StateReconnecting, StateOffline:
		o.cancelAttempt()
		o.attempt = 0
		o.become(StateInitialized, rpc.ErrDisconnected)
	}
}

// answer gives a result to the waiters that want it; the others stay.
func (o *owner) answer(err error, wants func(w *waiter) bool) {
	o.waiters = slices.DeleteFunc(o.waiters, func(w *waiter) bool {
		if !wants(w) {
			w.lastFailure = err
			return false
		}
		w.result <- err
		return true
	})
}

func everybody(*waiter) bool         { return true }
func withoutPatience(w *waiter) bool { return !w.retry }

// dialEnded takes the result of a dial, unless it was cancelled.
func (o *owner) dialEnded(d *dial) {
	if o.dial != d {
		return
	}
	r := <-d.result // it is about to be offered
	d.cancel()
	o.dial = nil
	if r.err != nil {
		o.dialFailed(r.err, r.after)
		return
	}
	o.stale = false
	// The next connection begins with another endpoint.
	o.endpoints = append(slices.Clone(r.endpoints[1:]), r.endpoints[0])
	o.gen++
	r.live.gen = o.gen
	o.live, o.state = r.live, StateConnected
	o.o.Counters.Connected.Add(1)
	o.link.publish(StateConnected, o.live, nil)
	again := o.connected
	o.connected = true
	if again {
		o.emit(Event{Kind: EventReconnect, Gen: o.gen})
	}
	o.answer(nil, everybody)
	close(o.live.adopted)
	select {
	case <-r.live.conn.Done():
		// It may have told so before it was ours, and was not listened to then.
		o.link.mail.post(func() { o.died(r.live) })
	default:
	}
}

// maxAfter is the longest time that a server can ask to be left alone for.
const maxAfter = 10 * time.Minute

func (o *owner) dialFailed(err error, after time.Duration) {
	o.stale = true
	o.o.Logger.LogAttrs(context.Background(), slog.LevelInfo, "cannot connect", slog.Any("err", err))
	if !o.connected && !slices.ContainsFunc(o.waiters, func(w *waiter) bool { return w.retry }) {
		o.attempt = 0
		o.become(StateErrored, err)
		o.answer(err, everybody)
		return
	}
	o.become(StateDisconnected, err)
	o.answer(err, withoutPatience)
	o.schedule(max(o.o.Backoff(o.attempt), min(after, maxAfter)))
}

// schedule plans the next attempt, or makes it if it is due at once.
func (o *owner) schedule(delay time.Duration) {
	o.emit(Event{Kind: EventSchedule, Attempt: o.attempt, Delay: delay})
	if delay <= 0 {
		o.beginAttempt()
		return
	}
	o.plan++
	plan := o.plan
	o.link.running.Add(1) // until the function has returned, or never will be called
	o.timer = time.AfterFunc(delay, func() {
		defer o.link.running.Done()
		o.link.mail.post(func() { o.planDue(plan) })
	})
}

// planDue makes the attempt of a plan, unless it was called off.
func (o *owner) planDue(plan int) {
	if plan != o.plan {
		return
	}
	o.timer = nil
	o.beginAttempt()
}

// beginAttempt makes the attempt that was planned.
func (o *owner) beginAttempt() {
	o.become(StateReconnecting, o.link.view.Load().err)
	o.emit(Event{Kind: EventRetry, Attempt: o.attempt})
	o.attempt++
	o.startDial()
}

// cancelAttempt stops what is planned or under way.
func (o *owner) cancelAttempt() {
	if o.timer != nil {
		if o.timer.Stop() {
			o.link.running.Done()
		}
		o.timer = nil
		o.plan++ // else its function may have posted, or be about to
	}
	if o.dial != nil {
		o.dial.cancel()
		o.dial = nil
	}
}

// drop ends the live connection and waits until its reader is gone. It returns
// the cause of the end, which may have come before.
func (o *owner) drop(cause error) error {
	o.live.conn.Kill(cause)
	<-o.live.conn.Done()
	return o.live.conn.Err()
}

// forget takes the live connection, which is dead, out of the state s that
// follows, and fails its calls.
func (o *owner) forget(s State, err error) (gen uint64) {
	lv := o.live
	o.live = nil
	o.o.Counters.Lost.Add(1)
	o.become(s, err)
	lv.calls.Fail(err)
	if o.link.settled.Load() >= lv.gen {
		o.attempt = 0
	}
	return lv.gen
}

// died is told of the end of a connection.
func (o *owner) died(lv *live) {
	if o.live == lv {
		o.disconnected(lv.conn.Err())
	}
}

// sentAway is told that the server has said goaway on a connection.
func (o *owner) sentAway(lv *live) {
	if o.live == lv {
		o.stale = true
		o.disconnected(o.drop(errGoAway))
	}
}

// disconnected is what follows the death of the live connection.
func (o *owner) disconnected(cause error) {
	if isFatal(cause) {
		gen := o.forget(StateErrored, lost(cause))
		o.connected, o.attempt = false, 0
		o.emit(Event{Kind: EventFailed, Gen: gen, Err: cause})
		return
	}
	gen := o.forget(StateDisconnected, lost(cause))
	o.emit(Event{Kind: EventDisconnect, Gen: gen, Err: cause})
	o.schedule(o.o.Backoff(o.attempt))
}

// isFatal tells the close codes after which the server would refuse this
// client again, whenever it came.
func isFatal(err error) bool {
	var closed *conn.CloseError
	if !errors.As(err, &closed) {
		return false
	}
	switch closed.Code {
	case wire.CodeAppNotAvailable, wire.CodeInvalidLogin, wire.CodeInvalidOrigin:
		return true
	}
	return false
}

func (o *owner) pause() {
	switch o.state {
	case StateConnected:
		cause := o.drop(errPaused)
		gen := o.forget(StateOffline, lost(cause))
		o.emit(Event{Kind: EventDisconnect, Gen: gen, Err: cause})
	case StateDisconnected, StateReconnecting:
		o.cancelAttempt()
		o.become(StateOffline, lost(errPaused))
		o.answer(lost(errPaused), withoutPatience)
	default:
		return
	}
	o.emit(Event{Kind: EventOffline})
}

func (o *owner) resume() {
	if o.state != StateOffline {
		return
	}
	o.attempt = 0
	o.become(StateDisconnected, lost(errPaused))
	o.emit(Event{Kind: EventOnline})
	o.schedule(0)
}

func (o *owner) retryNow() bool {
	if o.state != StateDisconnected {
		return false
	}
	o.cancelAttempt()
	o.attempt = 0
	o.beginAttempt()
	return true
}

// shutDown ends everything and is the last step. The view changes first, so that
// nothing new is sent; what was sent may still be answered while the connection
// closes. Whatever it waits for may post: that is refused, and never blocks.
func (o *owner) shutDown() {
	o.cancelAttempt()
	lv := o.live
	o.live = nil
	o.become(StateClosed, rpc.ErrClosed)
	o.answer(rpc.ErrClosed, everybody)
	if lv != nil {
		lv.conn.Close(closeBudget)
		lv.calls.Fail(rpc.ErrClosed)
	}
	o.link.running.Wait()
}
