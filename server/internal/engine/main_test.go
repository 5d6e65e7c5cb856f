package engine

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/limit"
	"github.com/leanrtm/realtime/server/internal/session"
	"github.com/leanrtm/realtime/server/internal/store"
	"github.com/leanrtm/realtime/server/internal/store/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testApp = "app"

// lines keeps what is logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// start returns an engine that ends with the test.
func start(t testing.TB, change ...func(*Config)) (*Engine, *lines) {
	t.Helper()
	log := new(lines)
	cfg := Config{
		Apps: []limit.App{{ID: testApp, MasterKey: "m"}}, Store: memory.New(), Sessions: session.NewRegistry(),
		Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&cfg)
	}
	e, err := New(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		e.Close(context.Background())
		require.NoError(t, cfg.Store.Close())
	})
	return e, log
}

func as(client string) Cause {
	return Cause{Actor: fanout.Actor{App: testApp, Client: client, Caps: 187}}
}

func asAdmin() Cause { return Cause{Actor: fanout.Actor{App: testApp, Admin: true}} }

func mustCreate(t testing.TB, e *Engine, members ...string) string {
	t.Helper()
	made, err := e.Create(context.Background(), as(members[0]), NewConv{Kind: store.KindNormal, Members: members})
	require.NoError(t, err)
	return made.Cid
}

func mustSend(t testing.TB, e *Engine, by Cause, cid, body string) Sent {
	t.Helper()
	s, err := e.Send(context.Background(), by, cid, &Outgoing{Body: body})
	require.NoError(t, err)
	return s
}
