package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/hook"
	"github.com/leanrtm/realtime/server/internal/id"
	"github.com/leanrtm/realtime/server/internal/limit"
	"github.com/leanrtm/realtime/server/internal/session"
	"github.com/leanrtm/realtime/server/internal/sign"
	"github.com/leanrtm/realtime/server/internal/store"
	"github.com/leanrtm/realtime/server/internal/where"
)

// Config is what an engine works with. Apps, Store and Sessions are required.
type Config struct {
	Apps     []limit.App
	Limits   limit.Limits
	Store    store.Store // must be Inline: it commits with conversations locked
	Sessions *session.Registry
	Hooks    *hook.Hooks  // nil: none
	IDs      *id.Source   // nil: a new one
	Logger   *slog.Logger // nil: nothing is logged

	HookTimeout time.Duration // of a deciding hook; default 5 s
	RoomRejoin  time.Duration // how long a lost client keeps its place in a chat room; default 30 min
	CachedConvs int           // conversations in memory per app; default 262144
	QueryCost   int           // conversations that one query may look at, fewer the more a filter asks of each; default 100000
}

// Engine decides and records everything about conversations and messages. It is
// safe for concurrent use.
type Engine struct {
	watermark

	apps     map[string]*app // immutable
	limits   limit.Limits
	store    store.Store
	sessions *session.Registry
	hooks    *hook.Hooks
	ids      *id.Source
	log      *slog.Logger
	where    where.Limits

	hookTimeout time.Duration
	roomRejoin  time.Duration
	queryCost   int

	janitor janitor
	after   afterwards
	resent  recentSends
	closing sync.Once

	counters counters
}

// app is one application and what the engine keeps for it.
type app struct {
	limit.App
	cache   cache
	lane    lane
	casts   casts
	returns returns
	signed  *sign.Used
	revoked sign.Revoked
}

// Error is a refusal with the protocol's code for it.
type Error = fanout.Refusal

// Cause is who asks for something.
type Cause struct {
	fanout.Actor
	// Hold makes pushes to the caller's own connection wait for its answer.
	Hold fanout.Hold
}

// New returns an engine, which runs until Close. It reads what the store has of
// broadcasts and temporary conversations.
func New(ctx context.Context, cfg Config) (*Engine, error) {
	if cfg.Store == nil || cfg.Sessions == nil {
		return nil, errors.New("engine: a store and a session registry are required")
	}
	if !cfg.Store.Caps().Inline {
		return nil, errors.New("engine: the store must commit inline")
	}
	e := &Engine{
		apps:        make(map[string]*app, len(cfg.Apps)),
		limits:      cfg.Limits.WithDefaults(),
		store:       cfg.Store,
		sessions:    cfg.Sessions,
		hooks:       cfg.Hooks,
		ids:         cfg.IDs,
		log:         cfg.Logger,
		where:       where.DefaultLimits(),
		hookTimeout: cfg.HookTimeout,
		roomRejoin:  cfg.RoomRejoin,
		queryCost:   cfg.QueryCost,
	}
	if e.hooks == nil {
		e.hooks = new(hook.Hooks)
	}
	if e.ids == nil {
		e.ids = id.New()
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	orDefault(&e.hookTimeout, 5*time.Second)
	orDefault(&e.roomRejoin, 30*time.Minute)
	orDefault(&e.queryCost, 100_000)
	cached := cfg.CachedConvs
	orDefault(&cached, 1<<18)
	first := int64(0)
	for _, a := range cfg.Apps {
		if err := a.Validate(); err != nil {
			return nil, fmt.Errorf("engine: %w", err)
		}
		if e.apps[a.ID] != nil {
			return nil, fmt.Errorf("engine: app %q is there twice", a.ID)
		}
		ap := &app{App: a, signed: sign.NewUsed(0)}
		ap.cache.init(cached)
		if err := e.loadCasts(ctx, ap); err != nil {
			return nil, fmt.Errorf("engine: load broadcasts: %w", err)
		}
		ends, err := e.firstEnd(ctx, ap)
		if err != nil {
			return nil, fmt.Errorf("engine: load temporary conversations: %w", err)
		}
		first = earlier(first, ends)
		e.apps[a.ID] = ap
	}
	e.after.start(e.log)
	e.janitor.start(e, first)
	return e, nil
}

// Close writes what waits to be written, lets the hooks that were promised run,
// and stops the engine's goroutines; it waits for them. When ctx ends, the
// contexts of the hooks that still run end too. No other method may be called
// during or after it. Closing twice is allowed.
func (e *Engine) Close(ctx context.Context) {
	e.closing.Do(func() {
		e.janitor.stop()
		e.after.stop(ctx)
	})
}

func orDefault[T int | time.Duration](v *T, value T) {
	if *v <= 0 {
		*v = value
	}
}

// earlier is the earlier of two times of which 0 means never.
func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// App returns the settings of an app and whether the server has it.
func (e *Engine) App(id string) (limit.App, bool) {
	a := e.apps[id]
	if a == nil {
		return limit.App{}, false
	}
	return a.App, true
}

// Limits returns the limits in force.
func (e *Engine) Limits() limit.Limits { return e.limits }

// Logger returns where the engine logs to.
func (e *Engine) Logger() *slog.Logger { return e.log }

// Hooks returns the app's functions that the engine calls, not to be changed.
func (e *Engine) Hooks() *hook.Hooks { return e.hooks }

// Now is the engine's clock: Unix milliseconds that never go back.
func (e *Engine) Now() int64 { return e.now() }

// Safe is the largest time such that nothing at or before it can still become
// visible: the only kind of time that a client may be given as a cursor.
func (e *Engine) Safe() int64 { return e.safe() }

func (e *Engine) app(id string) (*app, error) {
	if a := e.apps[id]; a != nil {
		return a, nil
	}
	return nil, refuse(wire.CodeAppNotAvailable, "unknown app")
}

func refuse(code wire.Code, detail string) *Error { return &Error{Code: code, Detail: detail} }

// is tells whether err refuses with the code.
func is(err error, code wire.Code) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

// broken turns a failure of the store into an answer with the code, and logs it:
// what the store says is for the operator and not for clients. A caller that
// gave up gets its own reason back.
func (e *Engine) broken(code wire.Code, what string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", what, err)
	}
	e.counters.storeErrors.Add(1)
	e.log.Error("store failed", "operation", what, "error", err)
	return &failure{refusal: refuse(code, what+" failed"), cause: err}
}

// failure is a refusal that also knows why.
type failure struct {
	refusal *Error
	cause   error
}

func (f *failure) Error() string   { return f.refusal.Error() }
func (f *failure) Unwrap() []error { return []error{f.refusal, f.cause} }

// verify checks a signature, if the app asks for one here, and uses it up: the
// same one allows nothing twice. An administrator needs none, but one that is
// shown has to be right.
func (e *Engine) verify(a *app, by Cause, needed bool, code wire.Code, s sign.Signature, text func() sign.Text) error {
	if !needed || by.Admin && s == (sign.Signature{}) {
		return nil
	}
	if err := a.signed.Accept(text(), a.MasterKey, s, time.UnixMilli(e.now())); err != nil {
		return refuse(code, err.Error())
	}
	return nil
}

// VerifyLogin checks the signature of a login as this client and uses it up, as
// verify does. One from before a kick of the client is void. A login with a
// session token needs none.
func (e *Engine) VerifyLogin(settings *limit.App, client string, timestamp int64, nonce, signature string) error {
	a, err := e.app(settings.ID)
	if err != nil {
		return err
	}
	if err := a.revoked.Check(client, timestamp); err != nil {
		return err
	}
	s := sign.Signature{Timestamp: timestamp, Nonce: nonce, Value: signature}
	return a.signed.Accept(sign.Login(a.ID, client), a.MasterKey, s, time.UnixMilli(e.now()))
}

// Kick closes all sessions of a client and returns how many there were, and
// makes void what was signed for its logins until now. The reason is told to the
// client; empty means the name of the code.
func (e *Engine) Kick(by Cause, client, reason string) (int, error) {
	a, err := e.app(by.App)
	if err != nil {
		return 0, err
	}
	if reason == "" {
		reason = wire.CodeKickedByApp.Name()
	}
	a.revoked.Revoke(client, time.UnixMilli(e.now()))
	return e.sessions.Kick(a.ID, client, wire.CodeKickedByApp, reason), nil
}
