package realtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/leanrtm/realtime/internal/event"
	"github.com/leanrtm/realtime/internal/link"
	"github.com/leanrtm/realtime/internal/router"
	"github.com/leanrtm/realtime/internal/wire"
)

// Realtime is one reconnecting connection to one app, shared by any number of
// clients. It is dialled for the first client, dropped after the last, and
// dialled again for the next, until Close. Safe for concurrent use.
type Realtime struct {
	// Immutable after New.
	opts       *Options // complete. Pointers keep %#v from printing secrets
	log        *slog.Logger
	http       *http.Client
	restClient *http.Client // http for requests with credentials
	ownHTTP    *transport   // made here, so its idle connections are ours to close; nil: the caller's
	router     *router.Router
	contents   *contentRegistry
	plugins    []Plugin

	events   emitter
	handlers *event.Queue[Event]
	streams  event.Hub[delivery]
	listened atomic.Bool // somebody has registered a handler
	emitMu   sync.Mutex  // one order for handlers and streams
	counters counters
	outgoing sync.Pool   // of *outgoing: commands of sends
	blocks   wire.Blocks // of pushes, and of the answers to sends

	// era moves on with everything that may have changed what the server would
	// answer: commands that were executed, and pushes. A question shares the
	// answer to an identical one only within an era, so that nobody gets an
	// answer that is older than what the program knows already.
	era atomic.Uint64

	// mu is held for moments only, never while calling out. It comes before
	// IMClient.mu, and nothing is locked under that.
	mu       sync.RWMutex
	closed   error                   // not nil: no more clients, and why
	failed   bool                    // the last link was refused for good
	link     *link.Link              // of the attached clients; nil: there are none
	links    map[*link.Link]struct{} // those not fully closed yet
	attached []*IMClient             // users of link, oldest first
	byID     map[string]*IMClient    // attached clients with an id
	clients  map[*IMClient]struct{}  // all that have not ended with everything they run
	ended    ClientStats             // counters of clients that are not among those
	nameless int                     // attached clients whose id the server is choosing
	strays   map[string][]job        // pushes for ids that nameless clients may turn out to have
}

// New returns a Realtime after checking o. It does no I/O. All mistakes are
// reported at once, as an error that matches ErrInvalidArgument.
func New(o Options) (*Realtime, error) {
	mistakes := o.complete()
	contents, err := newContentRegistry(o.Plugins)
	if err != nil {
		mistakes = append(mistakes, err)
	}
	if len(mistakes) > 0 {
		return nil, fmt.Errorf("%w: %w", ErrInvalidArgument, errors.Join(mistakes...))
	}
	rt := &Realtime{
		opts:     &o,
		log:      o.Logger,
		contents: contents,
		plugins:  o.Plugins,
		links:    make(map[*link.Link]struct{}),
		byID:     make(map[string]*IMClient),
		clients:  make(map[*IMClient]struct{}),
		outgoing: sync.Pool{New: func() any { return new(outgoing) }},
	}
	if rt.http = o.HTTPClient; rt.http == nil {
		rt.ownHTTP = newTransport(&o)
		rt.http = &http.Client{Transport: rt.ownHTTP}
	}
	rt.restClient = keepSecrets(rt.http)
	rt.router = router.New(router.Options{
		AppID:        o.AppID,
		Server:       o.Server,
		RouterServer: o.RouterServer,
		RTMServers:   o.RTMServers,
		NoSSL:        o.NoSSL,
		HTTPClient:   rt.http,
		Header:       o.Header,
		Logger:       o.Logger,
	})
	rt.events.changed = func(int) { rt.listened.Store(true) }
	rt.handlers = event.NewQueue(context.Background(), event.QueueOptions[Event]{
		Limit:    o.EventQueue,
		Handle:   rt.events.handlers.Call,
		Overflow: func() {}, // seen by who pushes
		Slow:     max(o.SlowHandler, 0),
		OnSlow:   rt.slow,
	})
	for _, p := range rt.plugins {
		if p.OnRealtimeCreate != nil {
			p.OnRealtimeCreate(rt)
		}
	}
	return rt, nil
}

// State is where the connection of a Realtime stands.
type State int

// The states of a connection.
const (
	StateInitialized  State = iota // no client, or the first is connecting
	StateConnected                 // commands can be sent
	StateDisconnected              // lost; the next attempt is planned
	StateReconnecting              // an attempt is under way
	StateOffline                   // paused
	StateClosed                    // by Close; final
	StateError                     // could not connect at all, or refused by the server; a new client tries again
)

// String names the state.
func (s State) String() string {
	switch s {
	case StateInitialized:
		return "initialized"
	case StateConnected:
		return "connected"
	case StateDisconnected:
		return "disconnected"
	case StateReconnecting:
		return "reconnecting"
	case StateOffline:
		return "offline"
	case StateClosed:
		return "closed"
	case StateError:
		return "error"
	}
	return "State(" + strconv.Itoa(int(s)) + ")"
}

// String names the app and the state.
func (rt *Realtime) String() string {
	return fmt.Sprintf("realtime.Realtime(%s, %s)", rt.opts.AppID, rt.State())
}

// State returns where the connection stands. It does not block.
func (rt *Realtime) State() State {
	rt.mu.RLock()
	l, closed, failed := rt.link, rt.closed, rt.failed
	rt.mu.RUnlock()
	switch {
	case closed != nil:
		return StateClosed
	case l != nil:
		return stateOf(l.State())
	case failed:
		return StateError
	}
	return StateInitialized
}

func stateOf(s link.State) State {
	switch s {
	case link.StateConnected:
		return StateConnected
	case link.StateDisconnected:
		return StateDisconnected
	case link.StateReconnecting:
		return StateReconnecting
	case link.StateOffline:
		return StateOffline
	case link.StateClosed:
		return StateClosed
	case link.StateErrored:
		return StateError
	}
	return StateInitialized
}

// closedError is why there are no more clients, nil before Close.
func (rt *Realtime) closedError() error {
	rt.mu.RLock()
	defer rt.mu.RUnlock()
	return rt.closed
}

// currentLink returns the link in use, or nil.
func (rt *Realtime) currentLink() *link.Link {
	rt.mu.RLock()
	defer rt.mu.RUnlock()
	return rt.link
}

// Pause drops the connection, or stops trying to get one, until Resume: for
// when the program knows that the network is gone. It is ignored where it does
// not apply.
func (rt *Realtime) Pause() {
	if l := rt.currentLink(); l != nil {
		l.Pause()
	}
}

// Resume connects again at once after Pause. It is ignored where it does not
// apply.
func (rt *Realtime) Resume() {
	if l := rt.currentLink(); l != nil {
		l.Resume()
	}
}

// Retry connects now instead of at the planned time. In any state but
// StateDisconnected it is an error; after Close that matches ErrClosed.
func (rt *Realtime) Retry() error {
	l := rt.currentLink()
	if err := rt.closedError(); err != nil {
		return fmt.Errorf("realtime: retry: %w", err)
	}
	if l == nil {
		return fmt.Errorf("realtime: retry in state %s", rt.State())
	}
	if err := l.Retry(); err != nil {
		return fmt.Errorf("realtime: retry: %w", err)
	}
	return nil
}

// CreateIMClient returns the open client of this id, logging in if there is
// none here yet; a live client of that id is returned as it is and opts are
// not looked at. An id of "" makes a new client each time; the server chooses
// its id. It blocks until the session is open or ctx ends.
//
// It is for clients that act. One that listens should register its handlers
// between [Realtime.NewIMClient] and [IMClient.Open], or it may miss the first
// events.
func (rt *Realtime) CreateIMClient(ctx context.Context, id string, opts ...ClientOption) (*IMClient, error) {
	for {
		if c := rt.clientByID(id); c != nil {
			err := c.Open(ctx)
			if err == nil {
				return c, nil
			}
			if c.alive() {
				return nil, err
			}
			// It is ending: wait until the id is free.
			select {
			case <-c.done:
				continue
			case <-ctx.Done():
				return nil, contextError(ctx)
			}
		}
		c := rt.NewIMClient(id, opts...)
		err := c.Open(ctx)
		if err == nil {
			return c, nil
		}
		c.startClose()
		if !errors.Is(err, ErrAlreadyOpen) {
			return nil, err
		}
		// Somebody was quicker, or the user has a client here already.
		if taken := (*alreadyOpenError)(nil); errors.As(err, &taken) {
			id = taken.id
		}
	}
}

func (rt *Realtime) clientByID(id string) *IMClient {
	rt.mu.RLock()
	defer rt.mu.RUnlock()
	return rt.byID[id]
}

// attach reserves the id of c and gives it the link.
func (rt *Realtime) attach(c *IMClient) (*link.Link, error) {
	id := c.ID()
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if rt.closed != nil {
		return nil, rt.closed
	}
	if id != "" {
		if rt.byID[id] != nil {
			return nil, &alreadyOpenError{id}
		}
		rt.byID[id] = c
	} else {
		rt.nameless++
	}
	if rt.link == nil {
		rt.link = rt.newLink()
		rt.links[rt.link] = struct{}{}
		rt.failed = false
	}
	rt.attached = append(rt.attached, c)
	return rt.link, nil
}

// named tells the id that the server chose for an attached client, and hands
// over what was pushed for it meanwhile. It returns false if another client
// here has the id, or if c is not attached any more.
func (rt *Realtime) named(c *IMClient, id string) bool {
	rt.mu.Lock()
	if rt.byID[id] != nil || !slices.Contains(rt.attached, c) {
		rt.mu.Unlock()
		return false
	}
	rt.byID[id] = c
	c.peer.Store(&id)
	overflow := false
	// Under the lock, so that later pushes come later.
	for _, j := range rt.strays[id] {
		overflow = !c.work.Push(j) || overflow
	}
	delete(rt.strays, id)
	rt.unnamed()
	rt.mu.Unlock()
	if overflow {
		c.overflow()
	}
	return true
}

// unnamed counts one nameless client less, with mu held.
func (rt *Realtime) unnamed() {
	if rt.nameless--; rt.nameless == 0 {
		rt.strays = nil
	}
}

// detach takes c off its link and frees its id. It returns the link if nobody
// uses it any more: the caller has to close it with dropLink.
func (rt *Realtime) detach(c *IMClient) *link.Link {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	i := slices.Index(rt.attached, c)
	if i < 0 {
		return nil
	}
	rt.attached = slices.Delete(rt.attached, i, i+1)
	if id := c.ID(); id != "" {
		delete(rt.byID, id)
	} else {
		rt.unnamed()
	}
	if len(rt.attached) > 0 {
		return nil
	}
	l := rt.link
	rt.link = nil
	rt.failed = l.State() == link.StateErrored
	return l
}

// forget is told when nothing of c runs any more.
func (rt *Realtime) forget(c *IMClient) {
	last := c.Stats()
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if _, known := rt.clients[c]; known {
		delete(rt.clients, c)
		rt.ended.addCounters(&last)
	}
}

// dropLink closes a link that nobody uses; nil is none.
func (rt *Realtime) dropLink(ctx context.Context, l *link.Link) error {
	if l == nil {
		return nil
	}
	err := l.Close(ctx)
	if err == nil {
		rt.mu.Lock()
		delete(rt.links, l)
		rt.mu.Unlock()
	}
	return err
}

// dropLater closes a link in the background; Close waits for it.
func (rt *Realtime) dropLater(l *link.Link) {
	// Bounded by the command timeout.
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), rt.opts.CommandTimeout)
		defer cancel()
		if err := rt.dropLink(ctx, l); err != nil {
			rt.log.LogAttrs(ctx, slog.LevelWarn, "connection did not close in time", slog.Any("error", err))
		}
	}()
}

// Close closes every client, then the connection, and waits until nothing of
// them is running: the rules of [IMClient.Close] hold. It is final and
// idempotent.
func (rt *Realtime) Close(ctx context.Context) error {
	return rt.shutdown(ctx, ErrClosed)
}

func (rt *Realtime) shutdown(ctx context.Context, cause error) error {
	ctx, cancel := rt.withTimeout(ctx)
	defer cancel()

	rt.mu.Lock()
	if rt.closed == nil {
		rt.closed = cause
	}
	clients := rt.allClients()
	rt.mu.Unlock()

	// All say goodbye at the same time.
	results := make([]error, len(clients))
	var closing sync.WaitGroup
	for i, c := range clients {
		closing.Go(func() { results[i] = c.Close(ctx) })
	}
	closing.Wait()
	failure := cmp.Or(results...) // they all say the same: it took too long
	rt.mu.RLock()
	links := make([]*link.Link, 0, len(rt.links))
	for l := range rt.links {
		links = append(links, l)
	}
	rt.mu.RUnlock()
	for _, l := range links {
		if err := rt.dropLink(ctx, l); err != nil {
			failure = cmp.Or(failure, closeError(ctx, err))
		}
	}
	rt.handlers.Close(cause)
	rt.streams.End(cause)
	if err := rt.handlers.Wait(ctx); err != nil {
		failure = cmp.Or(failure, closeError(ctx, err))
	}
	if rt.ownHTTP != nil {
		rt.ownHTTP.CloseIdleConnections()
	}
	return failure
}

// closeError is the error of a Close whose waiting did not end in time.
func closeError(ctx context.Context, err error) error {
	if cause := contextError(ctx); cause != nil {
		err = cause
	}
	return fmt.Errorf("realtime: close: %w", err)
}

// withTimeout gives a ctx without a deadline the one of Options.
func (rt *Realtime) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, rt.opts.CommandTimeout)
}
