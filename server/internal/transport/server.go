package transport

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/tap"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
)

// Options are the figures of a Server. All but Delivered are required.
type Options struct {
	MaxFrame     int           // bytes of one command
	QueueBytes   int           // bytes of pushes that may wait on one connection
	QueueFrames  int           // pushes that may wait on one connection
	ReadTimeout  time.Duration // silence after which a connection is closed; ≤ 0: never
	LoginTimeout time.Duration // time to open a first session; ≤ 0: any
	FrameTimeout time.Duration // for one frame to arrive, from its first byte on; ≤ 0: any
	FrameRate    int           // frames of one connection per minute, pings included; ≤ 0: any
	Patience     time.Duration // of Shutdown, for each of what it waits for besides commands
	Logger       *slog.Logger

	// Delivered returns when all that was to be pushed was, or when ctx ends.
	// Shutdown calls it after the last command. nil: pushes never come later.
	Delivered func(ctx context.Context)
}

// Timing that is not an option.
const (
	writeTimeout = 10 * time.Second       // for one write of at most chunkSize
	closeTimeout = 5 * time.Second        // for the peer's close frame after ours
	moveTimeout  = 3 * time.Second        // for clients to go by themselves when they were told to
	holdGap      = 10 * time.Millisecond  // between a reply and the pushes held for it
	holdLimit    = 200 * time.Millisecond // how long a push is held at most
)

// ErrClosed is returned by Serve after Shutdown or Close.
var ErrClosed = errors.New("transport: server closed")

// Receiver gets what arrives on one connection. All calls come from one
// goroutine at a time.
type Receiver interface {
	// Command is called for every command, in order; it always has a Cmd. The
	// next one is not read before it returns. It returns true if nobody will look
	// at the command any more, but for its strings and lists: then its memory
	// serves again.
	Command(cmd *pb.GenericCommand) (done bool)
	// Closed is called once, after the last Command.
	Closed(why Why)
}

// Why tells how a connection ended.
type Why struct {
	Code    wire.Code // the code of our close frame; 0: the peer ended the connection or was gone
	Reason  string
	Drained bool // the server shut down
}

// Server owns a set of connections.
type Server struct {
	opts   Options
	goaway []byte
	alarms *alarms
	stats  counters

	small, large sync.Pool // of *[]byte: scratch of writers
	reads        sync.Pool // of *[]byte: scratch of readers
	ahead        sync.Pool // of *[]byte: what was read ahead
	batches      sync.Pool // of *batch
	blocks       wire.Blocks
	writers      sync.Pool // of *writer

	draining sync.Once     // of Shutdown
	busy     atomic.Int64  // connections that are not quiet yet, set by draining
	calm     chan struct{} // closed when all of them are

	mu       sync.Mutex
	conns    map[*Conn]struct{}
	closed   bool
	gone     chan struct{} // closed when closed is set and conns is empty
	accepted uint64
	refused  uint64
	ended    map[wire.Code]uint64
}

// NewServer returns a server without connections. It has a goroutine, which
// Close ends.
func NewServer(o Options) *Server {
	goaway, err := wire.Append(nil, &pb.GenericCommand{
		Cmd:     pb.CommandType_goaway.Enum(),
		Service: proto.Int32(wire.ServiceIM),
	})
	if err != nil {
		panic(err) // two integers always encode
	}
	return &Server{
		opts:    o,
		goaway:  goaway,
		alarms:  newAlarms(),
		conns:   make(map[*Conn]struct{}),
		ended:   make(map[wire.Code]uint64),
		gone:    make(chan struct{}),
		calm:    make(chan struct{}),
		small:   bytesPool(smallChunk),
		large:   bytesPool(chunkSize + maxFrameHeader),
		reads:   bytesPool(readBuffer),
		ahead:   bytesPool(aheadBuffer),
		batches: sync.Pool{New: func() any { return new(batch) }},
		writers: sync.Pool{New: func() any { return new(writer) }},
	}
}

func bytesPool(size int) sync.Pool {
	return sync.Pool{New: func() any {
		b := make([]byte, 0, size)
		return &b
	}}
}

// Serve upgrades an HTTP request and starts the connection; it does not wait
// for its end. subprotocols are what the server speaks, of which the
// library picks; fallback is used when the peer offered none. open is called
// before the first command. On an error the answer has been written.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request, subprotocols []string, fallback string, open func(*Conn) Receiver) error {
	if s.refuses() {
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		return ErrClosed
	}
	c := &Conn{srv: s, remote: host(r.RemoteAddr), born: s.alarms.now()}
	c.start = c.write
	c.idle.owner = c
	c.release.owner = (*releaser)(c)
	c.lastRead.Store(int64(c.born))
	ws, err := accept(w, r, c, subprotocols)
	if err != nil {
		return err
	}
	c.ws = ws
	name := ws.subprotocol()
	if name == "" {
		name = fallback
	}
	c.codec, _ = wire.CodecFor(name)
	c.recv = open(c)
	if t := tap.From(r.Context()); t != nil {
		c.tapped = newTapped(c, t)
	}
	if !s.add(c) {
		c.Cut()
		c.finish(Why{Drained: true})
		return ErrClosed
	}
	c.watch(c.born)
	// A goroutine of its own, so that the one of the HTTP server ends and frees
	// what it holds. It ends with the connection; Shutdown and Close wait for it.
	go c.run()
	return nil
}

// refuses tells whether there are to be no more connections, and counts it.
func (s *Server) refuses() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.refused++
	}
	return s.closed
}

func host(addr string) string {
	h, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return h
}

// add makes the server the owner of a connection.
func (s *Server) add(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.refused++
		return false
	}
	s.conns[c] = struct{}{}
	s.accepted++
	return true
}

func (s *Server) remove(c *Conn, why Why) {
	s.mu.Lock()
	delete(s.conns, c)
	s.ended[why.Code]++
	last := s.closed && len(s.conns) == 0
	s.mu.Unlock()
	if last {
		close(s.gone)
	}
}

// refuse stops new connections and returns those there are.
func (s *Server) refuse() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		if len(s.conns) == 0 {
			close(s.gone)
		}
	}
	conns := make([]*Conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	return conns
}

// Shutdown refuses new connections, begins no more commands, lets those in flight
// finish, tells the clients to go elsewhere, closes the connections and waits
// until they have ended. When ctx ends first, what is left is cut, and ctx's
// error is returned. Close must follow in either case.
//
// Nobody is told to go before the commands of all connections have finished:
// whoever goes finds everything in the store that this server still puts there,
// and was pushed the rest. For others, which is closed when that is true of them,
// it waits as well, but no longer than its Patience.
//
// Clients that were told to go have moveTimeout to do so. Some ask first where to,
// and are not prepared to lose the connection meanwhile.
func (s *Server) Shutdown(ctx context.Context, others <-chan struct{}) error {
	conns := s.refuse()
	s.draining.Do(func() {
		s.busy.Store(int64(len(conns)) + 1)
		for _, c := range conns {
			c.quiesce()
		}
		s.settled()
	})
	patience, cancel := context.WithTimeout(ctx, s.opts.Patience)
	defer cancel()
	select {
	case <-s.calm:
	case <-s.gone: // closed meanwhile, which may have been before it was counted
	case <-ctx.Done():
	}
	await(patience, others)
	if s.opts.Delivered != nil {
		delivery, cancel := context.WithTimeout(ctx, s.opts.Patience)
		s.opts.Delivered(delivery)
		cancel()
	}
	if ctx.Err() == nil {
		s.farewell(ctx, conns)
	}
	if !await(ctx, s.gone) {
		s.cut()
		return ctx.Err()
	}
	return nil
}

// farewell tells clients to go, and closes the connections of those who stay.
func (s *Server) farewell(ctx context.Context, conns []*Conn) {
	for _, c := range conns {
		if !c.told.Swap(true) {
			c.Push(nil, s.goaway, fanout.ClassReply, fanout.Hold{})
		}
	}
	moving, cancel := context.WithTimeout(ctx, moveTimeout)
	defer cancel()
	await(moving, s.gone)
	for _, c := range conns {
		c.Close(statusGoingAway, "server shuts down")
	}
}

// await returns true if done is closed before ctx ends.
func await(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
	}
	select {
	case <-done: // at the same time
		return true
	default:
		return false
	}
}

// settled counts one connection less to wait for.
func (s *Server) settled() {
	if s.busy.Add(-1) == 0 {
		close(s.calm)
	}
}

// Close cuts every connection, waits until the Receivers were told, and ends the
// server's goroutine. It may be called more than once.
func (s *Server) Close() {
	s.cut()
	s.alarms.close()
}

func (s *Server) cut() {
	for _, c := range s.refuse() {
		c.markDrained()
		c.Cut()
	}
	<-s.gone
}
