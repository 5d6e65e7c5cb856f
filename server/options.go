package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"strings"
	"time"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/limit"
	"github.com/leanrtm/realtime/server/internal/store"
	"github.com/leanrtm/realtime/server/internal/store/memory"
	"github.com/leanrtm/realtime/server/internal/token"
)

// App is one application that the server serves. Nothing is shared between
// apps.
type App = limit.App

// Limits bounds what clients may do. In each figure 0 means the default, and
// NoLimit, or anything negative, no limit.
type Limits = limit.Limits

// NoLimit is the figure of a Limits field that limits nothing.
const NoLimit = limit.NoLimit

// Options configure a Server. Apps is required; the zero value of everything
// else is a good choice.
type Options struct {
	Apps   []App
	Limits Limits
	Hooks  *Hooks       // nil: none
	Logger *slog.Logger // nil: nothing is logged
	// Observer is told how long things take; nil: nobody is. What can be counted
	// is in Server.Stats.
	Observer *Observer
	// Store has the data; nil: a NewMemoryStore of the server's own. One that is
	// given here is not closed by the server, so that the next server can have it.
	// No two servers may use it at the same time.
	Store Store

	// SocketURL is the ws or wss URL that clients are told to connect to. Empty:
	// made from the host that they asked, with wss if they came over TLS or
	// through a proxy that says so in X-Forwarded-Proto.
	SocketURL string
	// PublicURL is the http or https URL under which clients reach the server, for
	// links that it makes. Empty: made from the host that they asked.
	PublicURL string
	// RouteTTL is how long clients may remember the socket's address; default 1 h.
	RouteTTL time.Duration
	// Origins are the web pages that may use the server: "https://example.com", or
	// "example.com" for any scheme, or "*.example.com" for its subdomains. Empty:
	// all. Programs that are no web pages are not concerned.
	Origins []string

	// TokenKey signs session tokens; at least 16 bytes that nobody can guess. Empty:
	// a random one, so that tokens do not outlive the process. To change it
	// without logging anybody out, move the old one to OldTokenKeys for a TokenTTL.
	TokenKey     []byte
	OldTokenKeys [][]byte
	TokenTTL     time.Duration // life of a session token; default 48 h

	ReadTimeout  time.Duration // silence after which a connection is closed; default 360 s, negative: never
	LoginTimeout time.Duration // time for the first login on a connection; default 60 s, negative: any
	FrameTimeout time.Duration // time for one frame to arrive; default 60 s, negative: any
	// RequestTimeout is how long the body of an HTTP request may take, and a second
	// more for each KiB of it, so that an upload may take its time; default 30 s. It
	// takes the place of the http.Server's ReadTimeout, which holds if it is
	// negative. What comes before the body is up to the http.Server alone: give it a
	// ReadHeaderTimeout.
	RequestTimeout time.Duration
	RoomRejoin     time.Duration // how long a lost client keeps its place in a chat room; default 30 min
	HookTimeout    time.Duration // for a hook that decides; default 5 s
	HookFailure    HookFailure   // what follows when one fails; default: things proceed

	// Users tells which client a session token of the app's own user system
	// belongs to, for logins as a user of the app. It may block and is called on
	// many goroutines. nil: such logins are refused.
	Users func(ctx context.Context, appID, sessionToken string) (clientID string, err error)

	FilesDir    string // directory of uploaded files, made when missing; empty: they stay in memory
	MaxFileSize int64  // bytes of one uploaded file; default 1 GiB, negative: no limit

	MaxFrame    int // bytes of one command; default 64 KiB
	QueueBytes  int // bytes of pushes that may wait for one connection; default 1 MiB
	QueueFrames int // pushes that may wait for one connection; default 4096
}

// Store keeps what must outlive a server: conversations, messages, marks.
type Store = store.Store

// NewMemoryStore returns a store that lives as long as the process.
func NewMemoryStore() Store { return memory.New() }

// Defaults of Options.
const (
	defaultRouteTTL     = time.Hour
	defaultTokenTTL     = 172800 * time.Second
	defaultReadTimeout  = 360 * time.Second
	defaultLoginTimeout = 60 * time.Second
	defaultFrameTimeout = 60 * time.Second
	defaultBodyTimeout  = 30 * time.Second
	defaultRoomRejoin   = 30 * time.Minute
	defaultHookTimeout  = 5 * time.Second
	defaultMaxFrame     = 64 << 10
	defaultQueueBytes   = 1 << 20
	defaultQueueFrames  = 4096
)

// minFrame is the smallest MaxFrame: a message of full size must fit with its envelope.
const minFrame = 2 * wire.MaxMessageSize

// complete returns a copy with defaults filled in, or all that is wrong.
func (o Options) complete() (Options, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	o.Apps = append([]App(nil), o.Apps...)
	if len(o.Apps) == 0 {
		bad("Apps is empty")
	}
	seen := make(map[string]bool)
	for _, a := range o.Apps {
		if err := a.Validate(); err != nil {
			bad("%w", err)
		}
		if seen[a.ID] {
			bad("app %q is given twice", a.ID)
		}
		seen[a.ID] = true
	}
	checkURL(bad, "SocketURL", o.SocketURL, "ws", "wss")
	checkURL(bad, "PublicURL", o.PublicURL, "http", "https")
	o.PublicURL = strings.TrimSuffix(o.PublicURL, "/")
	o.Origins = append([]string(nil), o.Origins...)
	for _, pattern := range o.Origins {
		if !validOrigin(pattern) {
			bad("Origins: %q is neither scheme://host nor host", pattern)
		}
	}
	if len(o.TokenKey) == 0 && len(o.OldTokenKeys) > 0 {
		bad("OldTokenKeys without a TokenKey")
	}

	for _, d := range []struct {
		name     string
		value    *time.Duration
		standard time.Duration
		least    time.Duration // a smaller one is a mistake; 0: negative means never
	}{
		{"RouteTTL", &o.RouteTTL, defaultRouteTTL, time.Second},
		{"TokenTTL", &o.TokenTTL, defaultTokenTTL, time.Second},
		{"ReadTimeout", &o.ReadTimeout, defaultReadTimeout, 0},
		{"LoginTimeout", &o.LoginTimeout, defaultLoginTimeout, 0},
		{"FrameTimeout", &o.FrameTimeout, defaultFrameTimeout, 0},
		{"RequestTimeout", &o.RequestTimeout, defaultBodyTimeout, 0},
		{"RoomRejoin", &o.RoomRejoin, defaultRoomRejoin, time.Millisecond},
		{"HookTimeout", &o.HookTimeout, defaultHookTimeout, time.Millisecond},
	} {
		switch {
		case *d.value == 0:
			*d.value = d.standard
		case d.least > 0 && *d.value < d.least:
			bad("%s is %v, at least %v is needed", d.name, *d.value, d.least)
		}
	}
	if o.TokenTTL > math.MaxInt32*time.Second {
		bad("TokenTTL is %v, which clients cannot be told", o.TokenTTL)
	}
	for _, d := range []struct {
		name            string
		value           *int
		standard, least int
	}{
		{"MaxFrame", &o.MaxFrame, defaultMaxFrame, minFrame},
		{"QueueBytes", &o.QueueBytes, defaultQueueBytes, 1},
		{"QueueFrames", &o.QueueFrames, defaultQueueFrames, 1},
	} {
		switch {
		case *d.value == 0:
			*d.value = d.standard
		case *d.value < d.least:
			bad("%s is %d, at least %d is needed", d.name, *d.value, d.least)
		}
	}
	o.Limits = o.Limits.WithDefaults()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Hooks != nil {
		hooks, logger := *o.Hooks, o.Logger
		o.Hooks = o.HookFailure.refusing(&hooks, func(what string, err error) {
			logger.Warn("hook failed", slog.String("hook", what), slog.Any("error", err))
		})
	}
	if o.HookFailure != HookFailureProceeds && o.HookFailure != HookFailureRefuses {
		bad("HookFailure is %d, which is no answer", o.HookFailure)
	}
	if len(errs) > 0 {
		return Options{}, fmt.Errorf("server: invalid options: %w", errors.Join(errs...))
	}
	return o, nil
}

func checkURL(bad func(string, ...any), name, value string, schemes ...string) {
	if value == "" {
		return
	}
	u, err := url.Parse(value)
	if err != nil {
		bad("%s: %w", name, err)
		return
	}
	for _, s := range schemes {
		if u.Scheme == s && u.Host != "" {
			return
		}
	}
	bad("%s is %q, a URL with scheme %s and a host is needed", name, value, strings.Join(schemes, " or "))
}

// ring makes the keys of session tokens.
func (o *Options) ring() (*token.Ring, error) {
	key := o.TokenKey
	if len(key) == 0 {
		key = randomKey()
	}
	r, err := token.NewRing(append([][]byte{key}, o.OldTokenKeys...)...)
	if err != nil {
		return nil, fmt.Errorf("server: invalid options: TokenKey, OldTokenKeys: %w", err)
	}
	return r, nil
}
