package rest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/leanrtm/realtime/server/internal/engine"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/file"
	"github.com/leanrtm/realtime/server/internal/limit"
	"github.com/leanrtm/realtime/server/internal/token"
)

// Config is what the endpoints work with. All but Users and Logger are
// required.
type Config struct {
	Apps     map[string]*limit.App
	Engine   *engine.Engine
	Tokens   *token.Ring
	TokenTTL time.Duration
	Files    *file.Service
	// BaseURL is the URL under which the client of a request reaches the
	// server, without a slash at the end.
	BaseURL func(r *http.Request) string
	// Users tells which client a session token of the app's user system belongs
	// to. nil: the app has no user system.
	Users  func(ctx context.Context, appID, sessionToken string) (clientID string, err error)
	Logger *slog.Logger
}

// api serves the endpoints. It is safe for concurrent use.
type api struct {
	Config
	quotas quotas
}

// Mount adds all endpoints to mux.
func Mount(mux *http.ServeMux, c Config) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	a := &api{Config: c, quotas: newQuotas(c.Engine.Limits())}
	c.Files.Mount(mux)
	a.mountClient(mux)
	a.mountFiles(mux)
	a.mountAdmin(mux)
}

// handler answers an authenticated request. What it returns is written as the
// answer; nil is an empty object.
type handler func(r *http.Request, who caller) (any, error)

// appOnly wraps a handler for whoever has a key of the app.
func (a *api) appOnly(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, err := a.authenticate(r)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		a.answer(w, r, who, h)
	}
}

func (a *api) answer(w http.ResponseWriter, r *http.Request, who caller, h handler) {
	result, err := h(r, who)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if result == nil {
		result = struct{}{}
	}
	writeJSON(w, http.StatusOK, result)
}

// caller is who has authenticated itself.
type caller struct {
	app    *limit.App
	master bool
	ip     string
}

// cause is the caller as the engine knows it: with the master key it may do
// everything, else it acts as the given client.
func (c caller) cause(client string) engine.Cause {
	return engine.Cause{Actor: fanout.Actor{App: c.app.ID, Client: client, Admin: c.master, IP: c.ip}}
}

// statusError is a refusal that is told by its HTTP status.
type statusError struct {
	status, code int
	text         string
}

func (e *statusError) Error() string { return e.text }

func refuse(status, code int, text string) error { return &statusError{status, code, text} }

// malformed is a request that cannot be understood.
func malformed(text string) error { return refuse(http.StatusBadRequest, codeMalformed, text) }

// Codes of the storage API that are no codes of the socket.
const (
	codeInternal  = 1
	codeMalformed = 107
)

// fail answers with an error. What went wrong inside is logged, not told.
func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	var (
		told    *statusError
		refusal *engine.Error
		tooLong *http.MaxBytesError
		over    *quotaError
	)
	switch {
	case errors.As(err, &over):
		over.tell(w)
	case errors.As(err, &told):
		writeError(w, told.status, told.code, told.text)
	case errors.As(err, &tooLong):
		writeError(w, http.StatusRequestEntityTooLarge, http.StatusRequestEntityTooLarge, "the request is too long")
	case errors.As(err, &refusal):
		status := statusOf(refusal.Code)
		if err != error(refusal) { //nolint:errorlint // wrapped: it was not decided, the store failed
			status = max(status, http.StatusInternalServerError)
		}
		writeRefusal(w, status, refusal)
	case r.Context().Err() != nil:
		// Who asked has left, or the server ends: nothing went wrong.
		writeError(w, http.StatusServiceUnavailable, codeInternal, "the request was given up")
	default:
		a.Logger.LogAttrs(r.Context(), slog.LevelError, "request failed",
			slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Any("error", err))
		writeError(w, http.StatusInternalServerError, codeInternal, "internal error")
	}
}
