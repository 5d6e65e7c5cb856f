package transport_test

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/memnet"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/tap"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/transport"
	"github.com/leanrtm/realtime/server/internal/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const addr = "rtm.test:80"

var spoken = []string{wire.SubprotocolBinary, wire.SubprotocolText, wire.SubprotocolBinaryOffline, wire.SubprotocolTextOffline}

// env is a server on a network in memory.
type env struct {
	t   *testing.T
	net *memnet.Network
	srv *transport.Server
	tap tap.Tap

	mu    sync.Mutex
	peers []*peer
	serve func(*peer, *pb.GenericCommand)
}

// peer is the server's end of one connection, and the Receiver of its commands.
type peer struct {
	*transport.Conn
	env  *env
	cmds []*pb.GenericCommand
	why  *transport.Why
	gone chan struct{} // closed with Closed
	last chan struct{} // Closed waits for it; nil: for nothing
}

func (p *peer) Command(cmd *pb.GenericCommand) (done bool) {
	if p.env.serve != nil {
		p.env.serve(p, cmd)
	}
	p.env.mu.Lock()
	defer p.env.mu.Unlock()
	p.cmds = append(p.cmds, cmd)
	return false
}

func (p *peer) Closed(why transport.Why) {
	if p.last != nil {
		<-p.last
	}
	p.env.mu.Lock()
	defer p.env.mu.Unlock()
	if p.why != nil {
		p.env.t.Error("Closed was called twice")
	}
	p.why = &why
	close(p.gone)
}

func (p *peer) commands() int {
	p.env.mu.Lock()
	defer p.env.mu.Unlock()
	return len(p.cmds)
}

// ended is why the connection ended; nil: it has not.
func (p *peer) ended() *transport.Why {
	p.env.mu.Lock()
	defer p.env.mu.Unlock()
	return p.why
}

func options() transport.Options {
	return transport.Options{
		MaxFrame:     64 << 10,
		QueueBytes:   1 << 20,
		QueueFrames:  4096,
		ReadTimeout:  360 * time.Second,
		LoginTimeout: 60 * time.Second,
		Patience:     2 * time.Second,
		Logger:       slog.New(slog.DiscardHandler),
	}
}

// newEnv starts a server. Everything ends with the test.
func newEnv(t *testing.T, o transport.Options) *env {
	e := &env{t: t, net: memnet.New(), srv: transport.NewServer(o)}
	l, err := e.net.Listen(addr)
	require.NoError(t, err)
	hs := &http.Server{Handler: e, ReadHeaderTimeout: time.Minute}
	var wg sync.WaitGroup
	wg.Go(func() { _ = hs.Serve(l) }) // ends with an error always
	t.Cleanup(func() {
		e.srv.Close()
		hs.Close()
		wg.Wait()
	})
	return e
}

func (e *env) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if e.tap != nil {
		r = r.WithContext(tap.With(r.Context(), e.tap))
	}
	err := e.srv.Serve(w, r, spoken, wire.SubprotocolBinary, func(c *transport.Conn) transport.Receiver {
		p := &peer{Conn: c, env: e, gone: make(chan struct{})}
		e.mu.Lock()
		e.peers = append(e.peers, p)
		e.mu.Unlock()
		return p
	})
	if err != nil {
		e.t.Logf("upgrade: %v", err)
	}
}

// connect returns both ends of a new connection.
func (e *env) connect(subprotocol ...string) (*wstest.Conn, *peer) {
	e.t.Helper()
	q := wstest.Request{Subprotocols: subprotocol}
	c := wstest.Dial(e.t, e.net.Dial, addr, q)
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	return c, e.peers[len(e.peers)-1]
}

// frame is an encoded command that can be told apart by its i.
func frame(i int32) []byte {
	b, err := wire.Append(nil, command(i))
	if err != nil {
		panic(err)
	}
	return b
}

func command(i int32) *pb.GenericCommand {
	return &pb.GenericCommand{Cmd: pb.CommandType_echo.Enum(), I: proto.Int32(i)}
}

// big is a frame of about n bytes.
func big(n int) []byte {
	b, err := wire.Append(nil, &pb.GenericCommand{
		Cmd:           pb.CommandType_direct.Enum(),
		DirectMessage: &pb.DirectCommand{BinaryMsg: make([]byte, n)},
	})
	if err != nil {
		panic(err)
	}
	return b
}

func timeout(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
