package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
)

// apiPath is where the interface begins.
const apiPath = "/1.2/rtm/"

// How requests are repeated.
const (
	firstDelay     = 500 * time.Millisecond
	longestDelay   = time.Minute
	quotaDelay     = time.Minute // the cloud's quotas are counted per minute
	longestQuota   = 24 * time.Hour
	attemptTimeout = time.Minute
	maxAnswer      = 256 << 20
)

// source asks the server, as often as it takes.
type source struct {
	client   *admin.Client
	log      *slog.Logger
	patience time.Duration
	interval time.Duration // between two requests; 0: none

	mu   sync.Mutex
	next time.Time // when the next request may begin
	date time.Time // of the last answer, on the clock of the server
}

func newSource(o *Options) *source {
	s := &source{client: o.Client, log: o.Logger, patience: o.Patience}
	if o.RequestsPerMinute > 0 {
		s.interval = time.Minute / time.Duration(o.RequestsPerMinute)
	}
	return s
}

// at is the path of something; ids may be anything.
func at(segments ...string) string {
	var b strings.Builder
	for i, s := range segments {
		if i > 0 {
			b.WriteByte('/')
		}
		if s == "." || s == ".." { // would be taken for directories
			b.WriteString(strings.ReplaceAll(s, ".", "%2E"))
			continue
		}
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}

// get reads the answer of a request, which it repeats while that may help.
func (s *source) get(ctx context.Context, path string, query url.Values, into any) error {
	var failing time.Time // since when
	for attempt := 0; ; {
		if err := s.turn(ctx); err != nil {
			return err
		}
		began := time.Now()
		err := s.attempt(ctx, path, query, into)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("export: GET %s: %w", apiPath+path, interrupted(ctx))
		}
		var delay time.Duration
		var busy quotaError
		switch {
		case errors.As(err, &busy):
			failing, attempt = time.Time{}, 0 // it answers
			delay = busy.after
			s.hold(delay)
		case final(err):
			return fmt.Errorf("export: GET %s: %w", apiPath+path, err)
		default:
			if failing.IsZero() {
				failing = began
			}
			attempt++
			delay = backoff(attempt)
			if time.Since(failing)+delay > s.patience {
				return fmt.Errorf("export: GET %s, tried for %v: %w", apiPath+path, time.Since(failing).Round(time.Second), err)
			}
		}
		s.log.LogAttrs(ctx, slog.LevelWarn, "request is repeated",
			slog.String("path", apiPath+path), slog.Duration("delay", delay.Round(time.Millisecond)), slog.Any("error", err))
		if err := sleep(ctx, delay); err != nil {
			return err
		}
	}
}

// turn waits until a request may begin.
func (s *source) turn(ctx context.Context) error {
	s.mu.Lock()
	now := time.Now()
	begin := s.next
	if begin.Before(now) {
		begin = now
	}
	s.next = begin.Add(s.interval)
	s.mu.Unlock()
	return sleep(ctx, begin.Sub(now))
}

// hold keeps everybody from asking.
func (s *source) hold(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if until := time.Now().Add(d); until.After(s.next) {
		s.next = until
	}
}

func backoff(attempt int) time.Duration {
	d := firstDelay << min(attempt-1, 10)
	d = min(d, longestDelay)
	return d + rand.N(d/2)
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return interrupted(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return interrupted(ctx)
	}
}

// interrupted is why ctx is over; nil if it is not.
func interrupted(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err == nil || errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// quotaError is an answer 429.
type quotaError struct {
	refused *realtime.Error
	after   time.Duration // when the server wants to be asked again
}

func (e quotaError) Error() string { return e.refused.Error() }
func (e quotaError) Unwrap() error { return e.refused }

// final tells the errors that come again.
func final(err error) bool {
	var refused *realtime.Error
	return errors.As(err, &refused) && refused.HTTPStatus/100 != 5
}

// attempt makes one request.
func (s *source) attempt(ctx context.Context, path string, query url.Values, into any) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	target := apiPath + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	s.readClock(resp.Header)
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("read answer: %w", err)
	case resp.StatusCode/100 != 2:
		return refusal(resp, text)
	case len(text) > maxAnswer:
		return fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	return nil
}

// refusal is an answer that is no success.
func refusal(resp *http.Response, text []byte) error {
	var answer struct {
		Code  int    `json:"code"`
		Error string `json:"error"`
	}
	if json.Unmarshal(text, &answer) != nil { // whatever stands in between has answered
		answer.Code, answer.Error = 0, http.StatusText(resp.StatusCode)
	}
	e := &realtime.Error{
		Code: realtime.ErrorCode(answer.Code), Reason: realtime.ErrorCode(answer.Code).String(),
		Detail: answer.Error, HTTPStatus: resp.StatusCode,
	}
	if resp.StatusCode != http.StatusTooManyRequests {
		return e
	}
	after := quotaDelay
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
		after = min(time.Duration(n)*time.Second, longestQuota)
	}
	return quotaError{e, after}
}

// clock is what the server said the time is, to the second; zero if it did not.
func (s *source) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.date
}

// readClock keeps the time that an answer tells.
func (s *source) readClock(h http.Header) {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.date = date
}
