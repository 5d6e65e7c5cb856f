package session_test

import (
	"context"
	"errors"
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
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/id"
	"github.com/leanrtm/realtime/server/internal/limit"
	"github.com/leanrtm/realtime/server/internal/session"
	"github.com/leanrtm/realtime/server/internal/store"
	"github.com/leanrtm/realtime/server/internal/store/memory"
	"github.com/leanrtm/realtime/server/internal/token"
	"github.com/leanrtm/realtime/server/internal/transport"
	"github.com/leanrtm/realtime/server/internal/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	addr      = "rtm.test:80"
	plainApp  = "app-plain"
	signedApp = "app-signed" // verifies logins: the signature is "good"
	badOrigin = "http://evil.test"
	ms        = time.Millisecond
)

var tokenKey = []byte("0123456789abcdef")

// env is the session layer on a network in memory, with a test in the place of
// the engine.
type env struct {
	t      *testing.T
	net    *memnet.Network
	conns  *transport.Server
	reg    *session.Registry
	store  store.Store
	cfg    session.Config
	tokens *token.Ring

	// In the place of the engine. Set before the first connection.
	dispatch func(ctx context.Context, r *fanout.Request)
	snapshot func(ctx context.Context, l *fanout.Login) (*fanout.Snapshot, error)

	mu       sync.Mutex
	requests []*fanout.Request
	opened   []fanout.Login
	ended    []fanout.Ended
}

// newEnv starts the layer; change may adjust the configuration.
func newEnv(t *testing.T, change ...func(*session.Config)) *env {
	e := &env{t: t, net: memnet.New(), reg: session.NewRegistry(), store: memory.New()}
	var err error
	e.tokens, err = token.NewRing(tokenKey)
	require.NoError(t, err)
	e.cfg = session.Config{
		Registry: e.reg,
		Store:    e.store,
		Apps: map[string]*limit.App{
			plainApp:  {ID: plainApp},
			signedApp: {ID: signedApp, MasterKey: "m", VerifyLogin: true},
		},
		Limits:   limit.Limits{}.WithDefaults(),
		Tokens:   e.tokens,
		TokenTTL: 48 * time.Hour,
		IDs:      id.New(),
		Logger:   slog.New(slog.NewTextHandler(e.t.Output(), nil)),
		Dispatch: e.serve,
		Way: func(cmd *pb.GenericCommand) fanout.Way {
			switch cmd.GetCmd() {
			case pb.CommandType_logs:
				return fanout.Way{Slow: true}
			case pb.CommandType_direct: // with a hook
				return fanout.Way{Slow: true, Ordered: true, Conv: cmd.GetDirectMessage().GetCid()}
			case pb.CommandType_conv:
				return fanout.Way{Ordered: true, Conv: cmd.GetConvMessage().GetCid()}
			}
			return fanout.Way{}
		},
		Snapshot: func(ctx context.Context, l *fanout.Login) (*fanout.Snapshot, error) {
			if e.snapshot != nil {
				return e.snapshot(ctx, l)
			}
			return &fanout.Snapshot{ServerTS: time.Now().UnixMilli()}, nil
		},
		VerifyLogin: func(_ *limit.App, _ string, timestamp int64, nonce, signature string) error {
			if timestamp == 1 && nonce == "n" && signature == "good" {
				return nil
			}
			return errors.New("wrong")
		},
		Opened: func(_ context.Context, l *fanout.Login) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.opened = append(e.opened, *l)
		},
		Ended: func(x fanout.Ended) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.ended = append(e.ended, x)
		},
	}
	for _, f := range change {
		f(&e.cfg)
	}
	m := session.NewManager(e.cfg)
	e.conns = transport.NewServer(transport.Options{
		MaxFrame: 64 << 10, QueueBytes: 1 << 20, QueueFrames: 4096,
		ReadTimeout: 360 * time.Second, LoginTimeout: time.Minute, Logger: e.cfg.Logger,
		Patience: time.Second, Delivered: e.reg.Delivered,
	})
	l, err := e.net.Listen(addr)
	require.NoError(t, err)
	hs := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		spoken := []string{wire.SubprotocolBinary, wire.SubprotocolText, wire.SubprotocolBinaryOffline}
		_ = e.conns.Serve(w, r, spoken, wire.SubprotocolBinary, func(c *transport.Conn) transport.Receiver {
			return m.Accept(c, r.Header.Get("Origin") != badOrigin)
		}) // an error has been answered
	})}
	var wg sync.WaitGroup
	wg.Go(func() { _ = hs.Serve(l) }) // ends with an error always
	t.Cleanup(func() {
		e.conns.Close()
		m.Close()
		e.reg.Close()
		hs.Close()
		wg.Wait()
		require.Zero(t, e.reg.Sessions())
		require.Zero(t, e.reg.OnlineCount(plainApp))
		require.Len(t, e.ended, len(e.opened), "every session that was opened ends once")
	})
	return e
}

// serve records a request, and answers it unless the test does.
func (e *env) serve(ctx context.Context, r *fanout.Request) {
	e.mu.Lock()
	e.requests = append(e.requests, r)
	dispatch := e.dispatch
	e.mu.Unlock()
	if dispatch != nil {
		dispatch(ctx, r)
		return
	}
	r.Reply(&pb.GenericCommand{Cmd: pb.CommandType_conv.Enum(), Op: pb.OpType_results.Enum()})
}

func (e *env) last() *fanout.Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.requests[len(e.requests)-1]
}

func (e *env) ends() []fanout.Ended {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]fanout.Ended(nil), e.ended...)
}

func (e *env) opens() []fanout.Login {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]fanout.Login(nil), e.opened...)
}

// lastRef is the session that was opened last.
func (e *env) lastRef() fanout.SessionRef {
	synctest.Wait()
	opens := e.opens()
	return opens[len(opens)-1].Actor.Session
}

func (e *env) connect() *wstest.Conn {
	e.t.Helper()
	return wstest.Dial(e.t, e.net.Dial, addr, wstest.Request{})
}

// change adjusts an open command.
type change func(*pb.GenericCommand)

func reopen(c *pb.GenericCommand) { c.SessionMessage.R = proto.Bool(true) }

func in(app string) change {
	return func(c *pb.GenericCommand) { c.AppId = proto.String(app) }
}

func showing(st string) change {
	return func(c *pb.GenericCommand) { c.SessionMessage.St = proto.String(st) }
}

func signed(c *pb.GenericCommand) {
	m := c.SessionMessage
	m.T, m.N, m.S = proto.Int64(1), proto.String("n"), proto.String("good")
}

func tagged(tag, device string) change {
	return func(c *pb.GenericCommand) {
		c.SessionMessage.Tag = proto.String(tag)
		if device != "" {
			c.SessionMessage.DeviceId = proto.String(device)
		}
	}
}

func withPush(deviceToken string) change {
	return func(c *pb.GenericCommand) { c.SessionMessage.DeviceToken = proto.String(deviceToken) }
}

func openCommand(client string, changes ...change) *pb.GenericCommand {
	cmd := &pb.GenericCommand{
		Cmd:    pb.CommandType_session.Enum(),
		Op:     pb.OpType_open.Enum(),
		AppId:  proto.String(plainApp),
		PeerId: proto.String(client),
		I:      proto.Int32(1),
		SessionMessage: &pb.SessionCommand{
			R: proto.Bool(false), Ua: proto.String("test"), ConfigBitmap: proto.Int64(187),
		},
	}
	for _, f := range changes {
		f(cmd)
	}
	return cmd
}

// open logs in and returns the reply. The test fails if the login is refused.
func open(t *testing.T, c *wstest.Conn, client string, changes ...change) *pb.GenericCommand {
	t.Helper()
	c.Send(openCommand(client, changes...))
	opened := c.Read()
	require.Equal(t, pb.OpType_opened, opened.GetOp(), "%v", opened)
	return opened
}

// login is open on a connection of its own.
func (e *env) login(client string, changes ...change) *wstest.Conn {
	e.t.Helper()
	c := e.connect()
	open(e.t, c, client, changes...)
	synctest.Wait()
	return c
}

func wantError(t *testing.T, got *pb.GenericCommand, i int32, code wire.Code) {
	t.Helper()
	require.Equal(t, pb.CommandType_error, got.GetCmd(), "%v", got)
	require.Equal(t, int32(code), got.GetErrorMessage().GetCode())
	require.Equal(t, code.Name(), got.GetErrorMessage().GetReason())
	require.Equal(t, i, got.GetI())
	require.Equal(t, int32(wire.ServiceIM), got.GetService())
}

func wantClosed(t *testing.T, got *pb.GenericCommand, client string, i int32, code wire.Code, reason string) {
	t.Helper()
	require.Equal(t, pb.CommandType_session, got.GetCmd(), "%v", got)
	require.Equal(t, pb.OpType_closed, got.GetOp())
	require.Equal(t, client, got.GetPeerId())
	require.Equal(t, i, got.GetI())
	require.Equal(t, int32(wire.ServiceIM), got.GetService())
	require.NotNil(t, got.SessionMessage)
	require.Equal(t, int32(code), got.SessionMessage.GetCode())
	require.Equal(t, reason, got.SessionMessage.GetReason())
}

// query is a command that the engine serves.
func query(client string, i int32) *pb.GenericCommand {
	cmd := &pb.GenericCommand{Cmd: pb.CommandType_conv.Enum(), Op: pb.OpType_query.Enum()}
	if client != "" {
		cmd.PeerId = proto.String(client)
	}
	if i != 0 {
		cmd.I = proto.Int32(i)
	}
	return cmd
}

// body is an encoded push that can be told apart by its cid.
func body(cid string) []byte {
	b, err := wire.Append(nil, &pb.GenericCommand{
		Cmd:           pb.CommandType_direct.Enum(),
		Service:       proto.Int32(wire.ServiceIM),
		DirectMessage: &pb.DirectCommand{Cid: proto.String(cid)},
	})
	if err != nil {
		panic(err)
	}
	return b
}

func toClients(cid string, clients ...string) *fanout.Event {
	return &fanout.Event{
		App: plainApp, Kind: fanout.TargetClients, Clients: clients, Class: fanout.ClassStored, Body: body(cid),
	}
}

func readCid(c *wstest.Conn) string { return c.Read().GetDirectMessage().GetCid() }
