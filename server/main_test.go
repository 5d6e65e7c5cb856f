package server_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/memnet"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server"
	"github.com/leanrtm/realtime/server/internal/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	addr      = "rtm.test:80"
	appID     = "app-one"
	masterKey = "the-master-key"
)

// env is a whole server on a network in memory.
type env struct {
	t    *testing.T
	net  *memnet.Network
	srv  *server.Server
	http *http.Client
}

func options() server.Options {
	return server.Options{Apps: []server.App{{ID: appID, Key: "the-app-key", MasterKey: masterKey}}}
}

// strict fails a test when the server logs an error, such as a panic that it
// recovered from.
type strict struct {
	slog.Handler
	t testing.TB
}

func (h strict) Handle(_ context.Context, r slog.Record) error {
	var attrs []string
	r.Attrs(func(a slog.Attr) bool { attrs = append(attrs, a.String()); return true })
	if r.Level >= slog.LevelError {
		h.t.Errorf("the server logged %q %s", r.Message, strings.Join(attrs, " "))
	}
	return nil
}

func newEnv(t *testing.T, o server.Options) *env {
	if o.Logger == nil {
		o.Logger = slog.New(strict{slog.NewTextHandler(t.Output(), nil), t})
	}
	srv, err := server.New(o)
	require.NoError(t, err)
	e := &env{t: t, net: memnet.New(), srv: srv}
	l, err := e.net.Listen(addr)
	require.NoError(t, err)
	hs := &http.Server{Handler: srv}
	var wg sync.WaitGroup
	wg.Go(func() { _ = hs.Serve(l) }) // ends with an error always
	tr := &http.Transport{DialContext: e.net.Dial}
	e.http = &http.Client{Transport: tr}
	t.Cleanup(func() {
		require.NoError(t, srv.Close())
		tr.CloseIdleConnections()
		hs.Close()
		wg.Wait()
	})
	return e
}

func (e *env) connect() *wstest.Conn {
	e.t.Helper()
	return wstest.Dial(e.t, e.net.Dial, addr, wstest.Request{})
}

func openCommand(client string) *pb.GenericCommand {
	return &pb.GenericCommand{
		Cmd: pb.CommandType_session.Enum(), Op: pb.OpType_open.Enum(), I: proto.Int32(1),
		AppId: proto.String(appID), PeerId: proto.String(client),
		SessionMessage: &pb.SessionCommand{R: proto.Bool(false), Ua: proto.String("test"), ConfigBitmap: proto.Int64(187)},
	}
}

func (e *env) login(client string) *wstest.Conn {
	e.t.Helper()
	c := e.connect()
	c.Send(openCommand(client))
	require.Equal(e.t, pb.OpType_opened, c.Read().GetOp())
	synctest.Wait()
	return c
}

func wantError(t *testing.T, got *pb.GenericCommand, code wire.Code) {
	t.Helper()
	require.Equal(t, pb.CommandType_error, got.GetCmd(), "%v", got)
	require.Equal(t, int32(code), got.GetErrorMessage().GetCode())
	require.Equal(t, code.Name(), got.GetErrorMessage().GetReason())
}
