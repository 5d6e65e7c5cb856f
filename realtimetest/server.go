package realtimetest

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/memnet"
	"github.com/leanrtm/realtime/internal/tap"
	"github.com/leanrtm/realtime/server"
)

// What a server is called in its own network, and what its app is called. The
// keys protect nothing.
const (
	hostName  = "rtm.test"
	appID     = "realtimetest-app"
	appKey    = "realtimetest-key"
	masterKey = "realtimetest-master-key"
	tokenKey  = "realtimetest-key-of-session-tokens"
)

// headerToken carries the session token of a client in REST requests.
const headerToken = "X-LC-IM-Session-Token"

// Server is a messaging server in the process of the test.
type Server struct {
	// URL is its address in its own network; only connections made with Options,
	// HTTPClient or Client reach it.
	URL string
	// AppID, AppKey and MasterKey are those of its first app.
	AppID, AppKey, MasterKey string

	tb       testing.TB
	log      *testLog
	options  server.Options
	store    server.Store // unless the options have another one
	network  *memnet.Network
	http     *http.Server
	client   *http.Client
	core     atomic.Pointer[server.Server] // another one after each Restart
	faults   faults
	logins   *logins
	closing  sync.Once
	serving  sync.WaitGroup // the goroutine that accepts
	requests sync.WaitGroup // HTTP requests that are being served
	workers  sync.WaitGroup // the goroutines of the delayers

	mu       sync.Mutex // a leaf: nothing is called with it held
	pipes    []*pipe    // open connections, oldest first
	commands []Command
	refusing int           // Refuse calls in force
	dark     chan struct{} // nil unless the whole network is a black hole; closed when it ends
	darkness int           // Blackhole calls for everybody in force
	devices  int           // numbers the devices of Client and Displace
}

// Option changes the server that [NewServer] starts. The interface is sealed.
type Option interface{ apply(c *config) }

type config struct {
	latency time.Duration
	adjust  []func(o *server.Options)
}

type optionFunc func(c *config)

func (f optionFunc) apply(c *config) { f(c) }

// WithServerOptions lets fn change the options that the server is made with:
// limits, hooks, features. They begin with one app and the logger of the test.
func WithServerOptions(fn func(o *server.Options)) Option {
	return optionFunc(func(c *config) { c.adjust = append(c.adjust, fn) })
}

// WithLatency is how long everything takes on the network, each way.
func WithLatency(d time.Duration) Option {
	return optionFunc(func(c *config) { c.latency = d })
}

// NewServer starts a server. It is closed at the end of the test, after the
// clients made by [Server.Client], and logs to tb until then. It must be called
// from the goroutine of the test.
func NewServer(tb testing.TB, opts ...Option) *Server {
	tb.Helper()
	var c config
	for _, o := range opts {
		o.apply(&c)
	}
	s := &Server{
		URL:     "http://" + hostName,
		tb:      tb,
		log:     newTestLog(tb),
		network: memnet.New(),
		logins:  newLogins(),
		store:   server.NewMemoryStore(),
	}
	s.network.SetLatency(c.latency)
	s.network.SetDialHook(s.dialling)
	s.client = &http.Client{Transport: &http.Transport{DialContext: s.network.Dial}}

	// The store, the files and the key of the session tokens outlive a Restart.
	s.options = server.Options{
		Apps:     []server.App{{ID: appID, Key: appKey, MasterKey: masterKey}},
		Logger:   s.log.logger().With("from", "server"),
		Store:    s.store,
		FilesDir: tb.TempDir(),
		TokenKey: []byte(tokenKey),
	}
	for _, adjust := range c.adjust {
		adjust(&s.options)
	}
	if len(s.options.Apps) > 0 {
		app := s.options.Apps[0]
		s.AppID, s.AppKey, s.MasterKey = app.ID, app.Key, app.MasterKey
	}
	core, err := server.New(s.options)
	if err != nil {
		tb.Fatalf("realtimetest: make the server: %v", err)
	}
	s.core.Store(core)

	listener, err := s.network.Listen(hostName + ":80")
	if err != nil {
		tb.Fatalf("realtimetest: listen: %v", err)
	}
	s.http = &http.Server{
		Handler:  http.HandlerFunc(s.serve),
		ErrorLog: slog.NewLogLogger(s.options.Logger.Handler(), slog.LevelWarn),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, socketKey{}, c)
		},
	}
	s.serving.Go(func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.options.Logger.Error("serve", "error", err)
		}
	})
	tb.Cleanup(func() {
		s.Close()
		s.log.end()
	})
	return s
}

// Close stops the server and waits until nothing of it runs any more. It is
// called at the end of the test by itself, and does nothing the second time.
func (s *Server) Close() {
	s.closing.Do(func() {
		s.faults.clear()
		s.brighten() // goodbyes must get through
		s.stopCore()
		if err := s.http.Close(); err != nil {
			s.options.Logger.Warn("close the listener", "error", err)
		}
		s.requests.Wait()
		s.client.CloseIdleConnections()
		s.serving.Wait()
		s.workers.Wait()
		if err := s.store.Close(); err != nil {
			s.options.Logger.Warn("close the store", "error", err)
		}
	})
}

// stopCore stops the server, but not what outlives a Restart.
func (s *Server) stopCore() {
	if err := s.core.Load().Close(); err != nil {
		s.options.Logger.Warn("stop the server", "error", err)
	}
}

// Options are for the code under test: realtime.New with them connects to this
// server. What is not about reaching it may be changed. Backoff is a short one:
// back after 1 to 2 s, then 2 to 4 s, and so on up to five minutes. The usual one
// spreads the clients that lose a server over more seconds, which a test with a
// few clients would only wait for.
func (s *Server) Options() realtime.Options {
	return realtime.Options{
		AppID: s.AppID, AppKey: s.AppKey,
		Server: s.URL, NoSSL: true,
		Dial:    s.network.Dial,
		Backoff: backoff,
		Logger:  s.log.logger().With("from", "client"),
	}
}

func backoff(attempt int) time.Duration {
	const longest = 5 * time.Minute
	d := longest
	if attempt < 8 { // 2⁸ s are more than four minutes
		d = time.Second << attempt
	}
	return d + rand.N(d)
}

// Client is a client that is logged in, on a connection and a device of its
// own. It is closed at the end of the test. If it cannot log in, the test fails
// at once.
func (s *Server) Client(id string, opts ...realtime.ClientOption) *realtime.IMClient {
	s.tb.Helper()
	o := s.Options()
	o.DeviceID = s.device()
	o.Logger = o.Logger.With("device", o.DeviceID)
	client, err := s.login(o, id, opts...)
	if err != nil {
		s.tb.Fatalf("realtimetest: log in %q: %v", id, err)
	}
	return client
}

// login opens a client that lives until the end of the test.
func (s *Server) login(o realtime.Options, id string, opts ...realtime.ClientOption) (*realtime.IMClient, error) {
	rt, err := realtime.New(o)
	if err != nil {
		return nil, err
	}
	s.tb.Cleanup(func() {
		if err := rt.Close(context.Background()); err != nil {
			o.Logger.Warn("close the client", "error", err)
		}
	})
	return rt.CreateIMClient(context.Background(), id, opts...)
}

// device makes up the id of a device.
func (s *Server) device() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.devices++
	return "realtimetest-" + strconv.Itoa(s.devices)
}

// HTTPClient reaches the server, and nothing else. All calls return the same
// client.
func (s *Server) HTTPClient() *http.Client { return s.client }

// Handler serves the server on another listener, such as that of
// httptest.NewServer, when somebody has to connect from outside the process.
// Connections pass the server's own network, so all faults work on them.
func (s *Server) Handler() http.Handler {
	target := &url.URL{Scheme: "http", Host: hostName}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
			r.Out.Host = r.In.Host // the addresses in answers are for the outside
		},
		Transport: &http.Transport{
			DialContext:        s.network.Dial,
			DisableKeepAlives:  true, // else connections would be left over
			DisableCompression: true,
		},
		ErrorLog: slog.NewLogLogger(s.options.Logger.Handler(), slog.LevelInfo),
	}
}

// Stats are the counters of the server, which begin anew with a
// [Server.Restart].
func (s *Server) Stats() server.Stats { return s.core.Load().Stats() }

// Commands are what clients have sent so far, in the order in which the server
// got it, whatever became of it. What clients of [Server.Displace] send is not
// among them.
func (s *Server) Commands() []Command {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.commands)
}

// Inject lets f act on commands until remove is called. A fault that can never
// happen, such as one with an unknown command name, fails the test at once.
func (s *Server) Inject(f Fault) (remove func()) {
	s.tb.Helper()
	if mistake := f.mistake(); mistake != "" {
		s.tb.Fatalf("realtimetest: fault for %q: %s", f.Command, mistake)
	}
	return s.faults.add(f)
}

// serve is the handler of the server's own network.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	defer s.requests.Done()
	if socket, ok := r.Context().Value(socketKey{}).(*memnet.Conn); ok && r.Header.Get(headerOutsider) == "" {
		r = r.WithContext(tap.With(r.Context(), opener{s, socket}))
	}
	if s.logins.expired(r.Header.Get(headerToken)) {
		r = r.Clone(r.Context())
		r.Header.Set(headerToken, expiredToken)
	}
	s.core.Load().ServeHTTP(w, r)
}

// socketKey finds the network connection of a request.
type socketKey struct{}

// opener makes the pipe of a connection.
type opener struct {
	server *Server
	socket *memnet.Conn
}

// Open implements tap.Tap.
func (o opener) Open(c tap.Conn) tap.Pipe {
	p := newPipe(o.server, o.socket, c)
	o.server.mu.Lock()
	defer o.server.mu.Unlock()
	o.server.pipes = append(o.server.pipes, p)
	return p
}

func (s *Server) record(c Command) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commands = append(s.commands, c)
}

func (s *Server) forget(p *pipe) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pipes = slices.DeleteFunc(slices.Clone(s.pipes), func(open *pipe) bool { return open == p })
}
