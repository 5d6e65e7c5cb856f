package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/retryafter"
)

// apiPath is where the interface begins.
const apiPath = "/1.2/rtm/"

// How requests are repeated.
const (
	maxAttempts    = 4
	firstDelay     = 500 * time.Millisecond // doubled every time, and up to half of it on top
	attemptTimeout = 20 * time.Second
	maxAnswer      = 32 << 20
)

// effect says what happens when a request is executed twice.
type effect int

const (
	repeatable effect = iota // nothing more
	removal                  // the second one finds nothing, which is as good
	once                     // it is done twice
)

// call is one request.
type call struct {
	method string
	path   string // below apiPath, escaped
	query  url.Values
	body   any // sent as JSON; nil: none
	answer any // filled from JSON; nil: not read
	effect effect
	quota  quota
	sends  bool // a message or broadcast
}

// path joins segments, which may be any ids.
func path(segments ...string) string {
	var b strings.Builder
	for i, s := range segments {
		if i > 0 {
			b.WriteByte('/')
		}
		switch s {
		case ".", "..": // would be taken for directories
			b.WriteString(strings.ReplaceAll(s, ".", "%2E"))
		default:
			b.WriteString(url.PathEscape(s))
		}
	}
	return b.String()
}

// do sends a request, again if that may help, and reads the answer.
func (c *Client) do(ctx context.Context, k call) error {
	var body []byte
	if k.body != nil {
		var err error
		if body, err = marshalJSON(k.body); err != nil {
			return invalidArgument("encode request: %w", err)
		}
	}
	unknown := false // an earlier attempt may have been executed
	for attempt := 1; ; attempt++ {
		if err := c.quotas.wait(ctx, k.quota); err != nil {
			return c.failed(&k, err, unknown)
		}
		out := c.attempt(ctx, &k, body)
		switch {
		case out.err == nil:
			return nil
		case k.effect == removal && unknown && out.notFound():
			return nil // an earlier attempt has removed it
		}
		unknown = unknown || out.unknown
		delay := out.after
		if delay == 0 {
			delay = backoff(attempt)
		}
		if k.effect == once || !out.again || attempt >= maxAttempts || !retryafter.Fits(ctx, delay) {
			return c.failed(&k, out.err, unknown)
		}
		c.opts.Logger.LogAttrs(ctx, slog.LevelInfo, "request is repeated",
			slog.String("method", k.method), slog.String("path", apiPath+k.path),
			slog.Int("attempt", attempt), slog.Duration("delay", delay), slog.Any("error", out.err))
		if !retryafter.Sleep(ctx, delay) {
			return c.failed(&k, fmt.Errorf("%w: %w", contextError(ctx), out.err), unknown)
		}
	}
}

// failed is the error of a request.
func (*Client) failed(k *call, err error, unknown bool) error {
	return &callError{
		method: k.method, path: apiPath + k.path, err: err, unknown: unknown,
		// The token of a send that is repeated here is not the next call's.
		repeatable: k.effect != once && !k.sends,
	}
}

// backoff is the time before the attempt after this one.
func backoff(attempt int) time.Duration {
	d := firstDelay << (attempt - 1)
	return d + rand.N(d/2)
}

// contextError is why ctx is over: realtime.ErrTimeout for a deadline.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = realtime.ErrTimeout
	}
	if cause == nil || errors.Is(err, cause) || errors.Is(cause, err) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// outcome is what became of one attempt.
type outcome struct {
	err     error
	unknown bool          // it may have been executed
	again   bool          // another attempt may fare better
	after   time.Duration // when, if the server said so
}

func (o *outcome) notFound() bool {
	var e *realtime.Error
	return errors.As(o.err, &e) && e.HTTPStatus == http.StatusNotFound
}

// attempt sends a request once.
func (c *Client) attempt(ctx context.Context, k *call, body []byte) outcome {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	target := *c.base
	target.Path = c.base.Path + apiPath + k.path
	if plain, err := url.PathUnescape(k.path); err == nil && plain != k.path {
		target.RawPath = c.base.EscapedPath() + apiPath + k.path
		target.Path = c.base.Path + apiPath + plain
	}
	target.RawQuery = k.query.Encode()
	req, err := http.NewRequestWithContext(limited, k.method, target.String(), nil)
	if err != nil {
		return outcome{err: fmt.Errorf("make request: %w", withoutURL(err))}
	}
	if body != nil {
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	c.authorize(req.Header)
	resp, err := c.http.Do(req)
	if err != nil {
		return broken(ctx, limited, withoutURL(err))
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return broken(ctx, limited, fmt.Errorf("read answer: %w", err))
	case resp.StatusCode/100 != 2:
		return refused(k, resp, text)
	case len(text) > maxAnswer:
		return outcome{err: fmt.Errorf("the answer is longer than %d bytes", maxAnswer), unknown: k.effect == once}
	case k.answer == nil:
		return outcome{}
	}
	if err := json.Unmarshal(text, k.answer); err != nil {
		return outcome{err: fmt.Errorf("decode answer: %w", err), unknown: k.effect == once || k.sends}
	}
	return outcome{}
}

// broken is an attempt without an answer.
func broken(ctx, limited context.Context, err error) outcome {
	out := outcome{err: err, unknown: true, again: true}
	// Who was not even reached has executed nothing.
	if dial := (*net.OpError)(nil); errors.As(err, &dial) && dial.Op == "dial" {
		out.unknown = false
	}
	switch {
	case ctx.Err() != nil:
		out.err, out.again = fmt.Errorf("%w: %w", contextError(ctx), err), false
	case limited.Err() != nil:
		out.err = fmt.Errorf("%w: %w", contextError(limited), err)
	}
	return out
}

// refused is an attempt with an answer that is no success.
func refused(k *call, resp *http.Response, text []byte) outcome {
	tooMany := realtime.ErrConversationAPIQuotaExceeded
	if k.sends {
		tooMany = realtime.ErrMessageSentQuotaExceeded
	}
	e := refusal(resp.StatusCode, text, tooMany)
	e.RetryAfter = retryafter.Of(resp)
	out := outcome{err: e, after: e.RetryAfter}
	switch resp.StatusCode {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		out.again = true
	case http.StatusTooManyRequests:
		out.again = out.after > 0
	}
	out.unknown = resp.StatusCode/100 == 5 || gaveUp(e.Code)
	return out
}

// marshalJSON is json.Marshal that does not escape what matters in HTML only:
// the size of what goes to the server is limited.
func marshalJSON(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(buf.Bytes(), "\n"), nil
}
