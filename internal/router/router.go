// Package router finds the servers of an app: the endpoints of its sockets and
// its REST API.
//
// Without a server of its own, an app asks the app router, which tells the RTM
// router and the API server. The RTM router tells the socket endpoints. Both
// answers say how long they hold and are kept in memory for so long. Callers
// who need an answer that is just being fetched share it; the first of them
// fetches it, under its own context, and if that ends, the next one does.
package router

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leanrtm/realtime/internal/retryafter"
	"github.com/leanrtm/realtime/internal/wire"
)

// Options of a Router. AppID is required.
type Options struct {
	AppID        string
	Server       string       // base URL of the RTM router and the API; without a scheme: https; "": ask the app router
	RouterServer string       // overrides Server for the RTM router
	RTMServers   []string     // socket URLs; then no RTM router is asked
	NoSSL        bool         // ask for sockets without TLS
	HTTPClient   *http.Client // nil: http.DefaultClient
	Header       http.Header  // added to every request
	Logger       *slog.Logger // nil: discard
}

// Router finds the servers of one app. Safe for concurrent use.
type Router struct {
	o      Options
	fixed  []string // socket URLs, in random order
	apps   cache[appRoute]
	routes cache[[]string]
}

// timeout bounds each request, as in the reference.
const timeout = 20 * time.Second

// New returns a Router. It does no I/O.
func New(o Options) *Router {
	o.Server = normalize(o.Server)
	o.RouterServer = cmp.Or(normalize(o.RouterServer), o.Server)
	o.HTTPClient = cmp.Or(o.HTTPClient, http.DefaultClient)
	o.Header = o.Header.Clone()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Router{o: o, fixed: slices.Clone(o.RTMServers)}
	rand.Shuffle(len(r.fixed), func(i, j int) { r.fixed[i], r.fixed[j] = r.fixed[j], r.fixed[i] })
	return r
}

// normalize completes a base URL.
func normalize(server string) string {
	server = strings.TrimRight(server, "/")
	if server != "" && !strings.Contains(server, "://") {
		server = "https://" + server
	}
	return server
}

// Endpoints returns the socket URLs of the app, the best first. fresh forgets
// what is known and asks again.
func (r *Router) Endpoints(ctx context.Context, fresh bool) ([]string, error) {
	if len(r.fixed) > 0 {
		return slices.Clone(r.fixed), nil
	}
	if fresh {
		r.routes.forget()
	}
	endpoints, err := r.routes.get(ctx, func(ctx context.Context) ([]string, time.Duration, error) {
		base := r.o.RouterServer
		if base == "" {
			app, err := r.app(ctx)
			if err != nil {
				return nil, 0, err
			}
			base = app.rtmRouter
		}
		endpoints, ttl, err := r.route(ctx, base)
		if err != nil {
			r.apps.forget() // it may have sent us to the wrong place
			return nil, 0, fmt.Errorf("ask the RTM router %s: %w", base, err)
		}
		return endpoints, ttl, nil
	})
	return slices.Clone(endpoints), err
}

// API returns the base URL of the REST API of the app, without a slash at the
// end.
func (r *Router) API(ctx context.Context) (string, error) {
	if r.o.Server != "" {
		return r.o.Server, nil
	}
	app, err := r.app(ctx)
	return app.api, err
}

// route asks an RTM router.
func (r *Router) route(ctx context.Context, base string) (endpoints []string, ttl time.Duration, err error) {
	query := url.Values{
		"appId":  {r.o.AppID},
		"secure": {strconv.FormatBool(!r.o.NoSSL)},
		"_t":     {strconv.FormatInt(time.Now().UnixMilli(), 10)}, // against caches on the way
	}
	var answer struct {
		Server    string  `json:"server"`
		Secondary string  `json:"secondary"`
		TTL       float64 `json:"ttl"`
	}
	if err := r.get(ctx, base+"/v1/route?"+query.Encode(), &answer); err != nil {
		return nil, 0, err
	}
	for _, endpoint := range []string{answer.Server, answer.Secondary} {
		if endpoint == "" || slices.Contains(endpoints, endpoint) {
			continue
		}
		if u, err := url.Parse(endpoint); err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" {
			return nil, 0, fmt.Errorf("%q is no socket URL", endpoint)
		}
		endpoints = append(endpoints, endpoint)
	}
	if len(endpoints) == 0 {
		return nil, 0, fmt.Errorf("the answer has no socket URL")
	}
	return endpoints, seconds(answer.TTL), nil
}

// maxTTL is as long as an answer is believed, whatever it says.
const maxTTL = 7 * 24 * time.Hour

func seconds(ttl float64) time.Duration {
	return time.Duration(min(max(ttl, 0), maxTTL.Seconds()) * float64(time.Second))
}

// maxAnswer is far more than any router says.
const maxAnswer = 64 << 10

// get reads a JSON answer.
func (r *Router) get(ctx context.Context, url string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	for key, values := range r.o.Header {
		req.Header[key] = values
	}
	req.Header.Set("Accept", "application/json")
	// This is asked once in an hour: a connection kept for the next time, which the
	// dial of the socket would leave lying even if it took this one over, costs as
	// much memory as the socket.
	req.Close = true
	resp, err := r.o.HTTPClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return newError(resp, body)
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("malformed answer: %w", err)
	}
	return nil
}

// Error is a refusal by a router.
type Error struct {
	Status  int       // of HTTP
	Code    wire.Code // of the protocol; 0: none was given
	Message string
	After   time.Duration // when the router wants to be asked again; 0: it does not say
}

// RetryAfter returns when the router wants to be asked again; 0: it does not say.
func (e *Error) RetryAfter() time.Duration { return e.After }

func newError(resp *http.Response, body []byte) *Error {
	e := &Error{Status: resp.StatusCode, After: retryafter.Of(resp)}
	var said struct {
		Code  wire.Code `json:"code"`
		Error string    `json:"error"`
	}
	if json.Unmarshal(body, &said) == nil {
		e.Code, e.Message = said.Code, said.Error
	}
	return e
}

// Error implements error.
func (e *Error) Error() string {
	text := "HTTP " + strconv.Itoa(e.Status)
	if e.Code != 0 {
		text += ", code " + strconv.Itoa(int(e.Code))
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}
