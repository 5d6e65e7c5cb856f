package typedmessages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/retryafter"
)

// permanent is an error that trying again cannot help.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// readError is a failure of the user's reader: it would fail again.
type readError struct{ error }

func (r readError) Unwrap() error { return r.error }

// temporary reports whether an error may go away by itself: a server error, too
// many requests, or no answer.
func temporary(err error) bool {
	var (
		final    permanent
		reading  readError
		provider *providerError
		api      *realtime.Error
	)
	switch {
	case errors.As(err, &final), errors.As(err, &reading):
		return false
	case errors.As(err, &provider):
		return provider.status >= http.StatusInternalServerError || provider.status == http.StatusTooManyRequests
	case errors.As(err, &api):
		return api.HTTPStatus >= http.StatusInternalServerError || api.HTTPStatus == http.StatusTooManyRequests
	}
	var transport *url.Error
	return errors.As(err, &transport)
}

// after is when a server wants to be asked again; 0: it does not say.
func after(err error) time.Duration {
	var (
		provider *providerError
		api      *realtime.Error
	)
	switch {
	case errors.As(err, &provider):
		return provider.after
	case errors.As(err, &api):
		return api.RetryAfter
	}
	return 0
}

// retry runs once up to maxAttempts times while its error is temporary, with
// growing pauses, longer if the server says so. It ends early with ctx, and when
// that would be over before the next attempt.
func retry(ctx context.Context, once func() error) error {
	delay := retryDelay
	for n := 1; ; n++ {
		err := once()
		wait := max(delay, after(err))
		if err == nil || n == maxAttempts || ctx.Err() != nil || !temporary(err) || !retryafter.Fits(ctx, wait) {
			return err
		}
		if !retryafter.Sleep(ctx, wait) {
			return errors.Join(ctxError(ctx), err)
		}
		delay *= 2
	}
}

func queryEscape(s string) string { return url.QueryEscape(s) }
