package realtime

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/leanrtm/realtime/internal/retryafter"
)

// Headers of REST requests.
const (
	headerAppID        = "X-LC-Id"
	headerAppKey       = "X-LC-Key"
	headerSessionToken = "X-LC-IM-Session-Token"
	headerUserSession  = "X-LC-Session" // of callers
	headerSign         = "X-LC-Sign"    // of callers
)

// maxRESTAnswer limits the answers that this package reads itself.
const maxRESTAnswer = 16 << 20

// Do sends a REST request. One with a relative URL, such as
// "/1.1/classes/Todo", goes to the API server with the credentials of the app;
// one with an absolute URL goes where it says, as it is, without them. The
// answer is the caller's to close, whatever its status. It blocks as
// http.Client.Do does and obeys the context of req. After Close it fails with
// ErrClosed. Safe for concurrent use.
func (rt *Realtime) Do(req *http.Request) (*http.Response, error) {
	if req == nil || req.URL == nil {
		return nil, invalidArgument("Do: no request URL")
	}
	if req.URL.Host == "" {
		return rt.doREST(req, "")
	}
	if err := rt.closedError(); err != nil {
		return nil, err
	}
	return rt.http.Do(req)
}

// doREST sends a request with a relative URL to the API server, as the app or,
// with a session token, as a client.
func (rt *Realtime) doREST(req *http.Request, token string) (*http.Response, error) {
	if err := rt.closedError(); err != nil {
		return nil, err
	}
	ctx := req.Context()
	base, err := rt.router.API(ctx)
	if err != nil {
		return nil, fmt.Errorf("realtime: find the API server: %w", err)
	}
	target, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("realtime: find the API server: %w", err)
	}
	out := req.Clone(ctx)
	out.URL.Scheme, out.URL.Host, out.URL.User = target.Scheme, target.Host, target.User
	out.URL.Path = strings.TrimRight(target.Path, "/") + "/" + strings.TrimLeft(req.URL.Path, "/")
	out.URL.RawPath = ""
	if req.URL.RawPath != "" {
		out.URL.RawPath = strings.TrimRight(target.EscapedPath(), "/") + "/" + strings.TrimLeft(req.URL.RawPath, "/")
	}
	out.Host, out.RequestURI = "", ""
	if out.Header == nil {
		out.Header = make(http.Header)
	}
	for key, values := range rt.opts.Header {
		if _, set := out.Header[key]; !set {
			out.Header[key] = values
		}
	}
	out.Header.Set(headerAppID, rt.opts.AppID)
	out.Header.Set(headerAppKey, rt.opts.AppKey)
	if token != "" {
		out.Header.Set(headerSessionToken, token)
	}
	resp, err := rt.restClient.Do(out)
	if err != nil {
		return nil, withoutQuery(err)
	}
	return resp, nil
}

// keepSecrets is an http.Client that gives its secrets to nobody else: it
// takes them off a request that is redirected to another server.
func keepSecrets(client *http.Client) *http.Client {
	c := *client
	next := client.CheckRedirect
	c.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if first := via[0].URL; req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
			for _, name := range []string{headerAppKey, headerSessionToken, headerUserSession, headerSign} {
				req.Header.Del(name)
			}
		}
		if next != nil {
			return next(req, via)
		}
		if len(via) >= 10 {
			return errors.New("stopped after 10 redirects")
		}
		return nil
	}
	return &c
}

// withoutQuery takes the query, which may hold secrets, out of the error of an
// http.Client.
func withoutQuery(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		failed.URL = redactURL(failed.URL)
	}
	return fmt.Errorf("realtime: REST: %w", err)
}

// restCall is one REST request of this package itself.
type restCall struct {
	method, path string
	query        url.Values
	body         any    // sent as JSON; nil: none
	token        string // session token of the client it is made for; "": as the app
	answer       any    // filled from JSON; nil: not read
}

// maxRESTAttempts is how often a request is made to a server that says when to come
// back.
const maxRESTAttempts = 4

// rest sends a request and reads the answer. A refusal is an *Error with
// HTTPStatus. If the server has too much to do, and says when it has not, the
// request is made again then, as long as ctx lasts.
func (rt *Realtime) rest(ctx context.Context, call restCall) error {
	ctx, cancel := rt.withTimeout(ctx)
	defer cancel()
	for attempt := 1; ; attempt++ {
		err := rt.restOnce(ctx, call)
		refusal := (*Error)(nil)
		if !errors.As(err, &refusal) || refusal.RetryAfter == 0 || attempt >= maxRESTAttempts ||
			!retryafter.Fits(ctx, refusal.RetryAfter) {
			return err
		}
		if !retryafter.Sleep(ctx, refusal.RetryAfter) {
			return fmt.Errorf("%w: %w", contextError(ctx), err)
		}
	}
}

// restOnce is one attempt of rest.
func (rt *Realtime) restOnce(ctx context.Context, call restCall) error {
	var body io.Reader
	if call.body != nil {
		text, err := json.Marshal(call.body)
		if err != nil {
			return fmt.Errorf("realtime: encode REST request: %w", err)
		}
		body = bytes.NewReader(text)
	}
	target := url.URL{Path: call.path, RawQuery: call.query.Encode()}
	req, err := http.NewRequestWithContext(ctx, call.method, target.String(), body)
	if err != nil {
		return fmt.Errorf("realtime: REST request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := rt.doREST(req, call.token)
	if err != nil {
		if ended := contextError(ctx); ended != nil {
			err = fmt.Errorf("%w: %w", ended, err)
		}
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxRESTAnswer+1))
	switch {
	case err != nil:
		if ended := contextError(ctx); ended != nil {
			err = fmt.Errorf("%w: %w", ended, err)
		}
		return fmt.Errorf("realtime: read REST answer: %w", err)
	case resp.StatusCode/100 != 2:
		refusal := restError(resp.StatusCode, text)
		refusal.RetryAfter = retryafter.Of(resp)
		return refusal
	case len(text) > maxRESTAnswer:
		return fmt.Errorf("realtime: REST answer of %s is longer than %d bytes", call.path, maxRESTAnswer)
	case call.answer == nil:
		return nil
	}
	if err := json.Unmarshal(text, call.answer); err != nil {
		return fmt.Errorf("realtime: decode REST answer of %s: %w", call.path, err)
	}
	return nil
}

// restError is what a REST answer says of a failure.
func restError(status int, body []byte) *Error {
	var answer struct {
		Code  int    `json:"code"`
		Error string `json:"error"`
	}
	// Whatever stands between us and the server may answer something else.
	if json.Unmarshal(body, &answer) != nil {
		answer.Error = http.StatusText(status)
	}
	e := newError(ErrorCode(answer.Code), answer.Error)
	if answer.Code == 0 {
		e.Reason = "REST_FAILED"
	}
	e.HTTPStatus = status
	return e
}

// rest sends a REST request as this client. When the server no longer knows
// the token, which may be long before its time, it is asked for a new one and
// gets the request again: it has not executed the first.
func (c *IMClient) rest(ctx context.Context, call restCall) error {
	token, err := c.restToken(ctx)
	if err != nil {
		return err
	}
	call.token = token
	err = c.rt.rest(ctx, call)
	if token == "" || !tokenRefused(err) {
		return err
	}
	c.outdateToken(token)
	fresh, refreshErr := c.restToken(ctx)
	if refreshErr != nil || fresh == "" {
		return err
	}
	call.token = fresh
	return c.rt.rest(ctx, call)
}

// tokenRefused reports whether a REST request failed for want of a valid token.
func tokenRefused(err error) bool {
	refusal := (*Error)(nil)
	return errors.As(err, &refusal) &&
		(refusal.Code == ErrSessionTokenExpired || refusal.HTTPStatus == http.StatusUnauthorized)
}

// signAsUser has the server sign the login of a built-in user. If the client
// has no id yet it gets the user's.
func (c *IMClient) signAsUser(ctx context.Context) (*Signature, error) {
	var answer struct {
		Signature
		ClientID string `json:"client_id"`
	}
	var call restCall
	if c.ID() == "" {
		call = restCall{
			method: http.MethodGet, path: "/1.2/rtm/clients/sign",
			query: url.Values{"session_token": {c.opts.userSession}},
		}
	} else {
		call = restCall{
			method: http.MethodPost, path: "/1.1/rtm/sign",
			body: map[string]string{"session_token": c.opts.userSession},
		}
	}
	call.answer = &answer
	if err := c.rt.rest(ctx, call); err != nil {
		return nil, fmt.Errorf("realtime: sign login of user: %w", err)
	}
	if answer.Signature.Signature == "" {
		return nil, errors.New("realtime: sign login of user: the server sent no signature")
	}
	if c.ID() == "" {
		if answer.ClientID == "" {
			return nil, errors.New("realtime: sign login of user: the server told no client id")
		}
		if !c.rt.named(c, answer.ClientID) {
			return nil, &alreadyOpenError{answer.ClientID}
		}
	}
	return &answer.Signature, nil
}
