// Package retryafter reads when a server that has too much to do wants to be asked
// again, and waits for it.
package retryafter

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// Longest is the longest time that a request waits for its repetition. A server
// that wants a longer pause refuses.
const Longest = time.Minute

// Of returns after what time the server wants to be asked again. It is 0 if the
// server does not say, or has not refused for the reason that it has too much to do
// (429 and 503): other answers can mean that the request was executed.
func Of(resp *http.Response) time.Duration {
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	text := resp.Header.Get("Retry-After")
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil {
		return time.Duration(max(seconds, 0)) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(resp.Header.Get("Date")) // by the same clock
	if err != nil {
		now = time.Now()
	}
	return max(at.Sub(now), 0)
}

// OfError returns what the answer that led to an error said; 0: nothing.
func OfError(err error) time.Duration {
	var e interface{ RetryAfter() time.Duration }
	if errors.As(err, &e) {
		return e.RetryAfter()
	}
	return 0
}

// Fits tells whether it makes sense to wait so long for a repetition: not longer
// than Longest, and ctx is not over by then.
func Fits(ctx context.Context, wait time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return wait <= Longest && (!ok || time.Until(deadline) > wait)
}

// Sleep waits, unless ctx ends before; then it returns false.
func Sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
