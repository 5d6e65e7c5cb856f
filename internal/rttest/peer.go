// Package rttest is a scripted server of the protocol, for white-box tests of
// the client. It lives on a network in memory, answers every command with
// something plausible and stores nothing: what a test is about, the test
// scripts.
//
// Everything works inside a testing/synctest bubble. A socket has one
// goroutine, which reads, runs the handlers and writes the replies, so that
// commands of one socket are answered in order; Close waits for all of them.
package rttest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/leanrtm/realtime/internal/memnet"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// Host is the address of every Peer, each on a network of its own.
const Host = "rtm.test:80"

// The URLs of every Peer.
const (
	URL       = "http://rtm.test"
	SocketURL = "ws://rtm.test/socket"
)

// Handler answers a command; nil is no answer. It runs on the goroutine of the
// socket. It may send other frames first.
type Handler func(s *Socket, cmd *pb.GenericCommand) *pb.GenericCommand

// Peer is the server. Safe for concurrent use.
type Peer struct {
	Network *memnet.Network

	tb        testing.TB
	mux       *http.ServeMux
	server    *http.Server
	transport *http.Transport
	running   sync.WaitGroup

	mu        sync.Mutex
	settled   sync.Cond // accepting has become 0
	handlers  map[kind]Handler
	routes    []string // socket URLs
	fetched   int      // how often the route was asked for
	refusal   int      // HTTP status of upgrades; 0: they succeed
	sockets   []*Socket
	accepting int // sockets that the client may have already, but sockets has not
	ids       int // made up so far
	closed    bool
}

// kind tells commands apart. A command without op has op 0.
type kind struct {
	cmd pb.CommandType
	op  pb.OpType
}

// New starts a Peer that is closed at the end of the test.
func New(tb testing.TB) *Peer {
	p := &Peer{
		Network:  memnet.New(),
		tb:       tb,
		mux:      http.NewServeMux(),
		handlers: make(map[kind]Handler),
		routes:   []string{SocketURL},
	}
	p.settled.L = &p.mu
	listener, err := p.Network.Listen(Host)
	if err != nil {
		tb.Fatal(err)
	}
	p.transport = &http.Transport{DialContext: p.Network.Dial}
	p.mux.HandleFunc("GET /v1/route", p.serveRoute)
	p.mux.HandleFunc("/socket", p.serveSocket)
	p.mux.HandleFunc("/socket/{rest...}", p.serveSocket)
	p.server = &http.Server{
		Handler:     p.mux,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
	}
	p.running.Go(func() { _ = p.server.Serve(listener) }) // ended by Close
	tb.Cleanup(p.Close)
	return p
}

type connKey struct{}

// Close drops every connection and waits until nothing runs any more.
func (p *Peer) Close() {
	p.mu.Lock()
	p.closed = true
	sockets := slices.Clone(p.sockets)
	p.mu.Unlock()
	for _, s := range sockets {
		s.Drop()
	}
	p.transport.CloseIdleConnections()
	_ = p.server.Close()
	p.running.Wait()
}

// HTTPClient returns a client that reaches the Peer by its URL. Close closes
// its idle connections.
func (p *Peer) HTTPClient() *http.Client { return &http.Client{Transport: p.transport} }

// On replaces the answer to one kind of command; op 0 is that of commands
// without one. nil brings the usual answer back.
func (p *Peer) On(cmd pb.CommandType, op pb.OpType, h Handler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h == nil {
		delete(p.handlers, kind{cmd, op})
		return
	}
	p.handlers[kind{cmd, op}] = h
}

// HandleHTTP adds an HTTP endpoint, such as "POST /1.1/rtm/sign".
func (p *Peer) HandleHTTP(pattern string, h http.HandlerFunc) { p.mux.HandleFunc(pattern, h) }

// SetRoutes sets the socket URLs that the router tells, one or two. Every path
// under SocketURL is a socket.
func (p *Peer) SetRoutes(urls ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.routes = slices.Clone(urls)
}

// RoutesFetched returns how often the router was asked.
func (p *Peer) RoutesFetched() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetched
}

// Refuse answers attempts to open a socket with this HTTP status; 0 accepts
// them again.
func (p *Peer) Refuse(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusal = status
}

// Sockets returns the sockets that were ever opened, oldest first. All that a
// client has opened are among them.
func (p *Peer) Sockets() []*Socket {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.accepting > 0 {
		p.settled.Wait()
	}
	return slices.Clone(p.sockets)
}

// Socket returns the newest one; without any, the test fails.
func (p *Peer) Socket() *Socket {
	p.tb.Helper()
	sockets := p.Sockets()
	if len(sockets) == 0 {
		p.tb.Fatal("nobody has connected")
	}
	return sockets[len(sockets)-1]
}

// Commands returns what was received on all sockets, oldest socket first.
func (p *Peer) Commands() []*pb.GenericCommand {
	var all []*pb.GenericCommand
	for _, s := range p.Sockets() {
		all = append(all, s.Commands()...)
	}
	return all
}

// ID makes up an id that no other has.
func (p *Peer) ID(prefix string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ids++
	return fmt.Sprintf("%s%d", prefix, p.ids)
}

const routeTTL = 3600 // seconds

func (p *Peer) serveRoute(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.fetched++
	routes := p.routes
	p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"server": routes[0], "secondary": routes[len(routes)-1], "ttl": routeTTL,
	})
}

func (p *Peer) serveSocket(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	refusal := p.refusal
	p.accepting++
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.accepting--; p.accepting == 0 {
			p.settled.Broadcast()
		}
	}()
	if refusal != 0 {
		http.Error(w, http.StatusText(refusal), refusal)
		return
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{wire.SubprotocolBinary, wire.SubprotocolText},
		InsecureSkipVerify: true,
	})
	if err != nil {
		return
	}
	ws.SetReadLimit(readLimit)
	codec, _ := wire.CodecFor(ws.Subprotocol())
	raw, _ := r.Context().Value(connKey{}).(*memnet.Conn)
	s := &Socket{peer: p, ws: ws, codec: codec, raw: raw, path: r.URL.Path}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = ws.CloseNow()
		return
	}
	p.sockets = append(p.sockets, s)
	p.running.Go(s.run) // ended by Drop, which Close calls
}

// readLimit is far above what a client should send.
const readLimit = 1 << 20

// answer runs the handler of a command.
func (p *Peer) answer(s *Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
	p.mu.Lock()
	h := p.handlers[kind{cmd.GetCmd(), opOf(cmd)}]
	p.mu.Unlock()
	if h == nil {
		return p.Usual(s, cmd)
	}
	return h(s, cmd)
}

func opOf(cmd *pb.GenericCommand) pb.OpType {
	if cmd.Op == nil {
		return 0
	}
	return cmd.GetOp()
}
