package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leanrtm/realtime/server/internal/command"
	"github.com/leanrtm/realtime/server/internal/engine"
	"github.com/leanrtm/realtime/server/internal/file"
	"github.com/leanrtm/realtime/server/internal/id"
	"github.com/leanrtm/realtime/server/internal/limit"
	"github.com/leanrtm/realtime/server/internal/session"
	"github.com/leanrtm/realtime/server/internal/token"
	"github.com/leanrtm/realtime/server/internal/transport"
)

// Server is an http.Handler that serves any number of apps. Its methods are safe
// for concurrent use. It has goroutines, which Shutdown or Close ends.
type Server struct {
	opts       Options
	apps       map[string]*limit.App // immutable
	files      *file.Service
	filesDir   *file.Dir // nil: files stay in memory
	tokens     *token.Ring
	store      Store
	ownStore   bool // it was made here
	metered    *meteredStore
	hookCounts *hookCounts
	engine     *engine.Engine
	admission  *admission
	conns      *transport.Server
	registry   *session.Registry
	sessions   *session.Manager
	mux        *http.ServeMux
	requests   inflight // over HTTP, other than WebSockets

	ctx    context.Context // of HTTP requests: ends when the server does
	cancel context.CancelFunc

	stopping atomic.Bool
	stopped  chan struct{} // closed when everything has ended
	err      error         // why the store did not close; set before stopped
}

// New returns a server. It reports everything that is wrong with the options
// at once. It does no I/O, but for making the directory of files.
func New(o Options) (*Server, error) {
	observer := o.Observer
	if observer == nil {
		observer = new(Observer)
	}
	counts := &hookCounts{observe: observer.Hook}
	o.Hooks = counts.counted(o.Hooks)
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	tokens, err := o.ring()
	if err != nil {
		return nil, err
	}
	s := &Server{
		opts:       o,
		tokens:     tokens,
		store:      o.Store,
		ownStore:   o.Store == nil,
		hookCounts: counts,
		registry:   session.NewRegistry(),
		stopped:    make(chan struct{}),
	}
	if o.FilesDir != "" {
		if s.filesDir, err = file.OpenDir(o.FilesDir); err != nil {
			return nil, fmt.Errorf("server: %w", err)
		}
	}
	if s.ownStore {
		s.store = NewMemoryStore()
	}
	s.admission = newAdmission(o.Limits)
	s.metered = &meteredStore{Store: s.store, observe: observer.Commit}
	ids := id.New()
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.engine, err = engine.New(s.ctx, engine.Config{
		Apps:        o.Apps,
		Limits:      o.Limits,
		Store:       s.metered,
		Sessions:    s.registry,
		Hooks:       o.Hooks,
		IDs:         ids,
		Logger:      o.Logger,
		HookTimeout: o.HookTimeout,
		RoomRejoin:  o.RoomRejoin,
	})
	if err != nil {
		s.cancel()
		err = errors.Join(fmt.Errorf("server: %w", err), s.closeStore())
		if s.filesDir != nil {
			err = errors.Join(err, s.filesDir.Close())
		}
		return nil, err
	}
	s.apps = make(map[string]*limit.App, len(o.Apps))
	for i := range o.Apps {
		s.apps[o.Apps[i].ID] = &o.Apps[i]
	}
	commands := command.New(s.engine)
	s.sessions = session.NewManager(session.Config{
		Registry:    s.registry,
		Store:       s.metered,
		Apps:        s.apps,
		Limits:      o.Limits,
		Tokens:      tokens,
		TokenTTL:    o.TokenTTL,
		IDs:         ids,
		Logger:      o.Logger,
		Dispatch:    commands.Handle,
		Way:         commands.Way,
		Snapshot:    s.engine.Login,
		VerifyLogin: s.engine.VerifyLogin,
		Opened:      s.engine.Opened,
		Ended:       s.engine.Ended,
		Observe:     observer.commands(),
	})
	s.conns = transport.NewServer(transport.Options{
		MaxFrame:     o.MaxFrame,
		QueueBytes:   o.QueueBytes,
		QueueFrames:  o.QueueFrames,
		ReadTimeout:  o.ReadTimeout,
		LoginTimeout: o.LoginTimeout,
		FrameTimeout: o.FrameTimeout,
		FrameRate:    o.Limits.FrameRate,
		Patience:     o.HookTimeout + patienceWithRequests,
		Logger:       o.Logger,
		Delivered:    s.registry.Delivered,
	})
	blobs := file.Blobs(new(file.Memory))
	if s.filesDir != nil {
		blobs = s.filesDir
	}
	s.files = file.New(file.Options{Store: s.metered, Blobs: blobs, NewID: ids.Conv, MaxSize: o.MaxFileSize})
	s.mux = s.routes()
	return s, nil
}

// keyBytes is the length of a key that the server makes itself.
const keyBytes = 32

func randomKey() []byte {
	key := make([]byte, keyBytes)
	_, _ = rand.Read(key) // does not fail: the process ends if it does
	return key
}

// patienceWithRequests is how much longer than for a hook clients wait for REST
// requests that are being executed, before they are told to go. A request may take
// as long as it likes to arrive.
const patienceWithRequests = time.Second

// Shutdown ends the server in peace: new connections, requests and commands are
// refused, those in flight finish and are answered, then every client is told to
// connect again elsewhere and has three seconds to go before its connection is
// closed. Will messages are not sent. When ctx ends first, what is left is cut off
// and ctx's error is returned; the server has ended in either case.
//
// A client that goes finds in the store what this server has acknowledged to
// anybody: the first is told to go when no command is in flight any more, however
// long a hook takes. Requests are waited for with that for a second longer than a
// hook may take; uploads, for one, take longer, and are waited for at the end. The
// router still answers, since clients ask it where to go.
//
// Shutdown blocks until then, also when the server is being ended by another
// call. Give the http.Server that serves it a Shutdown afterwards.
func (s *Server) Shutdown(ctx context.Context) error {
	requests := s.requests.close()
	err := s.conns.Shutdown(ctx, requests)
	select {
	case <-requests:
	case <-ctx.Done():
		err = ctx.Err()
	}
	return errors.Join(err, s.stop(ctx))
}

// Close ends the server at once: every connection is cut, and commands and
// requests in flight are given up. It waits until they have ended. Closing more than once is
// allowed, and returns the same.
func (s *Server) Close() error {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	return s.stop(over)
}

// stop ends what is still there, from the sockets down to the store.
func (s *Server) stop(ctx context.Context) error {
	if !s.stopping.Swap(true) {
		s.sessions.Close()
		s.cancel()
		s.conns.Close()
		<-s.requests.close()
		s.engine.Close(ctx)
		s.registry.Close()
		s.err = s.closeStore()
		if s.filesDir != nil {
			if err := s.filesDir.Close(); err != nil {
				s.err = errors.Join(s.err, fmt.Errorf("server: close the directory of files: %w", err))
			}
		}
		close(s.stopped)
	}
	<-s.stopped
	return s.err
}

// closeStore closes the store unless it is somebody else's.
func (s *Server) closeStore() error {
	if !s.ownStore {
		return nil
	}
	if err := s.store.Close(); err != nil {
		return fmt.Errorf("server: close the store: %w", err)
	}
	return nil
}

// during returns a context that also ends when the server does. The peer is cut
// off then: stop waits for the handler, which may wait for a peer that has stalled.
func (s *Server) during(ctx context.Context, peer *deadlines) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	unhook := context.AfterFunc(s.ctx, func() {
		cancel()
		peer.cut()
	})
	return ctx, func() {
		unhook()
		cancel()
	}
}

// inflight counts requests, and waits for them without holding a lock.
type inflight struct {
	mu     sync.Mutex
	n      int
	closed bool
	idle   chan struct{} // made by close; closed when closed is set and n is 0
}

// enter returns false if no request may begin any more.
func (f *inflight) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.n++
	return true
}

func (f *inflight) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n--
	if f.closed && f.n == 0 {
		close(f.idle)
	}
}

// close refuses new requests. The channel it returns is closed when those in
// flight have ended.
func (f *inflight) close() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.closed = true
		f.idle = make(chan struct{})
		if f.n == 0 {
			close(f.idle)
		}
	}
	return f.idle
}
