package session

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/id"
	"github.com/leanrtm/realtime/server/internal/limit"
	"github.com/leanrtm/realtime/server/internal/store"
	"github.com/leanrtm/realtime/server/internal/token"
	"github.com/leanrtm/realtime/server/internal/transport"
)

// Config is what a Manager works with. All fields but Way, Opened, Ended and
// Observe are required.
type Config struct {
	Registry *Registry
	Store    store.Store
	Apps     map[string]*limit.App // by id; not changed any more
	Limits   limit.Limits          // with defaults
	Tokens   *token.Ring
	TokenTTL time.Duration
	IDs      *id.Source
	Logger   *slog.Logger

	// Dispatch executes a command. Its context ends with the server.
	Dispatch func(ctx context.Context, r *fanout.Request)
	// Way tells how a command is to be executed. nil: all on the reader.
	Way func(cmd *pb.GenericCommand) fanout.Way
	// Snapshot reads what a login is told. An error that is a *fanout.Refusal
	// refuses the login with its code, any other one with 4200.
	Snapshot func(ctx context.Context, l *fanout.Login) (*fanout.Snapshot, error)
	// VerifyLogin checks a signature of a login. It is called for apps that want it.
	VerifyLogin func(app *limit.App, client string, timestamp int64, nonce, signature string) error
	// Opened is told of every login that was granted, after the reply was queued
	// and on the reader of the connection.
	Opened func(ctx context.Context, l *fanout.Login)
	// Ended is told, once, of the end of every session that Opened was called
	// for, and after Opened.
	Ended func(e fanout.Ended)
	// Observe is told of every command that was executed, on any goroutine, with
	// locks of the server held at times. nil: nobody is, and no time is taken.
	Observe func(o Observation)
}

// Manager serves the session commands of all connections. Safe for concurrent
// use.
type Manager struct {
	cfg    Config
	stats  counters
	ctx    context.Context // of every command
	cancel context.CancelFunc

	requests sync.Pool // of *request
}

// NewManager returns a manager. Close ends it.
func NewManager(cfg Config) *Manager {
	if cfg.Way == nil {
		cfg.Way = func(*pb.GenericCommand) fanout.Way { return fanout.Way{} }
	}
	if cfg.Opened == nil {
		cfg.Opened = func(context.Context, *fanout.Login) {}
	}
	if cfg.Ended == nil {
		cfg.Ended = func(fanout.Ended) {}
	}
	m := &Manager{cfg: cfg, requests: sync.Pool{New: makeRequest}}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	cfg.Registry.ended = cfg.Ended
	return m
}

// Close ends the context of the commands that still run. The connections must be
// closed by their owner.
func (m *Manager) Close() { m.cancel() }

// Accept returns the receiver of a new connection. originOK is false if it
// comes from a web page that may not use the server; it is told so at its login.
func (m *Manager) Accept(c *transport.Conn, originOK bool) transport.Receiver {
	return &link{m: m, conn: c, originOK: originOK, worker: m.cfg.Registry.spread.assign()}
}

// closedBody is a session/closed push.
func closedBody(code wire.Code, reason string) []byte {
	return mustEncode(closedCommand(code, reason))
}
