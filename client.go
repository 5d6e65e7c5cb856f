package realtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leanrtm/realtime/internal/event"
	"github.com/leanrtm/realtime/internal/pb"
)

// IMClient is one client id, logged in. It has one life: new, open, ended, and
// is never opened again. Safe for concurrent use.
type IMClient struct {
	// Immutable after NewIMClient.
	rt    *Realtime
	opts  *clientOptions // as are all secrets, behind a pointer that %#v does not follow
	bad   error          // mistakes in the id and the options, for Open
	log   *slog.Logger
	convs *convCache

	// What comes from the server waits in work, in its order, for the
	// processing goroutine. What that makes of it goes to streams and, for the
	// goroutine that runs handlers, to handlers.
	work     *event.Queue[job]
	events   emitter
	handlers *event.Queue[delivery]
	streams  event.Hub[delivery]
	listened atomic.Bool // somebody has registered a handler here or on a conversation
	emitMu   sync.Mutex  // one order for handlers and streams

	// ctx is the life of the client: it ends with the cause that Err returns.
	ctx context.Context
	end context.CancelCauseFunc
	// closing ends when Close is called or the client ends: whoever waits for
	// a reconnect gives up.
	closing     context.Context
	stopWaiting context.CancelCauseFunc
	// patience ends when Close no longer waits for the running handler.
	patience     context.Context
	losePatience context.CancelFunc
	done         chan struct{} // closed when the client has ended
	gone         chan struct{} // closed when what it used is given back as well

	opening    chan struct{}           // holds one token: who put it there may open
	refreshing chan struct{}           // likewise, to get a new session token
	peer       atomic.Pointer[string]  // client id
	session    atomic.Pointer[session] // nil: not open
	asked      atomic.Pointer[session] // was asked for, and there is no answer yet; nil: none

	mu       sync.Mutex
	phase    phase
	reopened chan struct{} // closed when the session opens; nil: nobody has waited since then
	token    *sessionToken // nil: none
	handling bool          // a handler is running
	idle     chan struct{} // closed when it has returned; nil: nobody waits

	reopening // of the processing goroutine
	sync      clientSync
	counters  clientCounters
}

// phase is how far the life of a client has got.
type phase int

const (
	phaseNew    phase = iota // never open; Open may be under way
	phaseOpen                // logged in, though perhaps waiting for a reconnect
	phaseClosed              // by Close: no handler begins any more
	phaseEnded               // by something else: its last events are still told
)

// NewIMClient returns a client that is not open yet, so that handlers can be
// registered before Open. An id of "" lets the server choose one. It does no
// I/O; mistakes in id and opts are reported by Open. Close the client even if
// it was never opened.
func (rt *Realtime) NewIMClient(id string, opts ...ClientOption) *IMClient {
	c := &IMClient{
		rt:         rt,
		opts:       new(clientOptions),
		done:       make(chan struct{}),
		gone:       make(chan struct{}),
		opening:    make(chan struct{}, 1),
		refreshing: make(chan struct{}, 1),
	}
	c.log = rt.log
	if id != "" {
		c.log = rt.log.With(slog.String("client_id", id))
	}
	c.peer.Store(&id)
	c.bad = c.configure(id, opts)
	c.ctx, c.end = context.WithCancelCause(context.Background())
	c.closing, c.stopWaiting = context.WithCancelCause(context.Background())
	c.patience, c.losePatience = context.WithCancel(context.Background())
	c.events.changed = c.listenersChanged
	c.work = event.NewQueue(c.ctx, event.QueueOptions[job]{
		Limit:    rt.opts.EventQueue,
		Bytes:    rt.opts.EventQueueBytes,
		Size:     job.size,
		Handle:   c.process,
		Overflow: func() {}, // seen by who pushes
	})
	c.handlers = event.NewQueue(c.ctx, event.QueueOptions[delivery]{
		Limit:    rt.opts.EventQueue,
		Bytes:    rt.opts.EventQueueBytes,
		Size:     delivery.size,
		Handle:   c.handle,
		Overflow: func() {}, // seen by who pushes
		Slow:     max(rt.opts.SlowHandler, 0),
		OnSlow:   c.slow,
	})
	c.convs = newConvCache(c)

	rt.mu.Lock()
	closed := rt.closed
	if closed == nil {
		rt.clients[c] = struct{}{}
	}
	rt.mu.Unlock()
	if closed != nil {
		c.startClose()
	}
	for _, p := range rt.plugins {
		if p.OnIMClientCreate != nil {
			p.OnIMClientCreate(c)
		}
	}
	return c
}

// configure applies the options and returns the mistakes.
func (c *IMClient) configure(id string, opts []ClientOption) error {
	var mistakes []error
	if err := checkID(id); err != nil {
		mistakes = append(mistakes, err)
	}
	for _, o := range opts {
		if o == nil {
			mistakes = append(mistakes, errors.New("nil ClientOption"))
			continue
		}
		o.applyClient(c.opts)
	}
	if c.opts.hasSigner && c.opts.signer == nil {
		mistakes = append(mistakes, errors.New("WithSigner: nil Signer"))
	}
	if c.opts.byUser && c.opts.userSession == "" {
		mistakes = append(mistakes, errors.New("WithUserSession: the token is empty"))
	}
	if len(mistakes) > 0 {
		return fmt.Errorf("%w: %w", ErrInvalidArgument, errors.Join(mistakes...))
	}
	return nil
}

// ID returns the client id: "" before Open if the server is to choose it.
func (c *IMClient) ID() string { return *c.peer.Load() }

// Realtime returns what the client was made with.
func (c *IMClient) Realtime() *Realtime { return c.rt }

// String names the client.
func (c *IMClient) String() string { return fmt.Sprintf("realtime.IMClient(%s)", c.ID()) }

// Done returns a channel that is closed when the client has ended, by whatever
// cause.
func (c *IMClient) Done() <-chan struct{} { return c.done }

// Err returns nil while the client is alive, then why it ended: ErrClosed, or
// a cause such as ErrSessionConflict, ErrKickedByApp or ErrEventOverflow.
func (c *IMClient) Err() error {
	if c.ctx.Err() == nil {
		return nil
	}
	return context.Cause(c.ctx)
}

// alive reports whether the client can still be opened or is open.
func (c *IMClient) alive() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase <= phaseOpen
}

// listenersChanged is told when a handler comes or goes, on the client or one
// of its conversations.
func (c *IMClient) listenersChanged(int) { c.listened.Store(true) }

// Close logs the client out. The running handler may finish, events that wait
// are discarded, what is still to be acknowledged is sent, then the client
// says goodbye, which keeps the server from sending will messages, and ends.
// Calls that wait for a reconnect fail at once.
//
// Close returns when nothing of the client is running any more, the caller
// excepted: a handler that passes on its ctx is not waited for. ctx bounds
// only the waiting: even if it is over already, the client says goodbye.
// Without a deadline Close waits at most Options.CommandTimeout. It is
// idempotent.
func (c *IMClient) Close(ctx context.Context) error {
	ctx, cancel := c.rt.withTimeout(ctx)
	defer cancel()
	c.startClose()
	if c.handlers.InHandler(ctx) {
		c.losePatience()
	}
	if err := c.waitGone(ctx); err != nil {
		return closeError(ctx, err)
	}
	work := ctx
	if c.handlers.InHandler(ctx) { // it is over, as the client is
		var cancel context.CancelFunc
		work, cancel = context.WithTimeout(context.WithoutCancel(ctx), c.rt.opts.CommandTimeout)
		defer cancel()
	}
	if err := c.work.Wait(work); err != nil {
		return closeError(work, err)
	}
	// A client that the server ended may still be telling its last events.
	c.handlers.Close(ErrClosed)
	if err := c.handlers.Wait(ctx); err != nil {
		return closeError(ctx, err)
	}
	return nil
}

// goodbyeGrace is how long Close goes on after its ctx is over, for the
// goodbye: a server that is reachable has answered long before.
const goodbyeGrace = 2 * time.Second

// waitGone waits for the end that startClose began.
func (c *IMClient) waitGone(ctx context.Context) error {
	select {
	case <-c.gone:
		return nil
	case <-ctx.Done():
	}
	c.losePatience()
	grace := time.NewTimer(min(goodbyeGrace, c.rt.opts.CommandTimeout))
	defer grace.Stop()
	select {
	case <-c.gone:
		return nil
	case <-grace.C:
		return contextError(ctx)
	}
}

// startClose begins to close the client, without waiting.
func (c *IMClient) startClose() {
	c.mu.Lock()
	if c.phase >= phaseClosed {
		c.mu.Unlock()
		return
	}
	c.phase = phaseClosed
	c.stopReopening()
	c.mu.Unlock()
	c.stopWaiting(ErrClosed)
	// It ends by itself: the waits in it are bounded by the patience of Close
	// and the command timeout.
	go c.shutdown()
}

// shutdown ends a client whose Close was called.
func (c *IMClient) shutdown() {
	c.work.Close(ErrClosed)
	_ = c.work.Wait(c.patience) // impatience is no failure
	c.waitIdle(c.patience)

	ctx, cancel := context.WithTimeout(context.Background(), c.rt.opts.CommandTimeout)
	defer cancel()
	if s := c.session.Load(); s.live() {
		c.sessionEnding(ctx)
		c.goodbye(ctx, s)
	} else if s := c.asked.Load(); s.live() && c.ID() != "" { // the server may open it yet
		ctx, cancel := context.WithTimeout(ctx, goodbyeGrace)
		defer cancel()
		c.goodbye(ctx, s)
	}
	c.leave(ErrClosed, nil)
}

// goodbye closes the session, so that the server does not take the client for
// lost.
func (c *IMClient) goodbye(ctx context.Context, s *session) {
	cmd := &pb.GenericCommand{Cmd: pb.CommandType_session.Enum(), Op: pb.OpType_close.Enum(), PeerId: c.peer.Load()}
	if _, err := c.callOn(ctx, s, cmd, callOptions{safe: true}); err != nil {
		c.log.LogAttrs(ctx, slog.LevelDebug, "goodbye was not answered", slog.Any("error", err))
	}
}

// finish ends a client for another reason than its Close; last is its last
// event. sayGoodbye is for when the server does not know yet. It does not
// block.
func (c *IMClient) finish(cause error, last Event, sayGoodbye bool) {
	c.mu.Lock()
	if c.phase >= phaseClosed {
		c.mu.Unlock()
		return
	}
	c.phase = phaseEnded
	c.stopReopening()
	c.mu.Unlock()
	c.stopWaiting(cause)
	c.end(cause)
	c.work.Close(cause)
	if s := c.session.Load(); sayGoodbye && s.live() {
		// Bounded by the command timeout. The id stays reserved meanwhile.
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), c.rt.opts.CommandTimeout)
			defer cancel()
			c.goodbye(ctx, s)
			c.leave(cause, last)
		}()
		return
	}
	c.leave(cause, last)
}

// leave gives back what the client used and tells its listeners that it is
// over: with its last event, if there is one, or by silence.
func (c *IMClient) leave(cause error, last Event) {
	c.session.Store(nil)
	l := c.rt.detach(c) // first, so that who hears of the end can use the id
	c.end(cause)
	c.emitMu.Lock()
	if last == nil {
		c.handlers.Close(cause)
	} else {
		d := delivery{event: last}
		c.streams.Publish(d)
		c.handlers.Drain(cause, d)
	}
	c.streams.End(cause)
	c.emitMu.Unlock()
	close(c.done)
	// The Realtime remembers the client as long as it runs. Bounded by the
	// command timeout and the handlers of the last events.
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), c.rt.opts.CommandTimeout)
		defer cancel()
		c.sync.stop()
		if err := c.rt.dropLink(ctx, l); err != nil {
			c.log.LogAttrs(ctx, slog.LevelWarn, "connection did not close in time", slog.Any("error", err))
		}
		close(c.gone)
		_ = c.handlers.Wait(context.Background())
		_ = c.work.Wait(context.Background())
		c.rt.forget(c)
	}()
}

// overflow ends a client that cannot keep up. What waits already is still
// delivered.
func (c *IMClient) overflow() {
	if c.alive() {
		c.rt.counters.overflows.Add(1)
	}
	c.finish(ErrEventOverflow, &CloseEvent{Reason: ErrEventOverflow.Error()}, true)
}

// beginHandling reports whether a handler may run now.
func (c *IMClient) beginHandling() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == phaseClosed {
		return false
	}
	c.handling = true
	return true
}

func (c *IMClient) endHandling() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handling = false
	if c.idle != nil {
		close(c.idle)
		c.idle = nil
	}
}

// waitIdle waits until no handler is running. The client is closing, so that
// no other one begins.
func (c *IMClient) waitIdle(ctx context.Context) {
	c.mu.Lock()
	if !c.handling {
		c.mu.Unlock()
		return
	}
	if c.idle == nil {
		c.idle = make(chan struct{})
	}
	idle := c.idle
	c.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}
