package link

import (
	"time"

	"github.com/cenkalti/backoff/v4"
)

// The first attempt comes soon, but over a window of seconds: clients that lost
// their server together cannot know that they did, and would else be back in the
// same second, all of them. The later ones double from nextDelay to lastDelay,
// and as much again is the window of each: so wide that one wave of attempts does
// not add to the next.
const (
	firstDelay  = time.Second
	firstWindow = 7 * time.Second
	nextDelay   = 8 * time.Second
	lastDelay   = 300 * time.Second
)

// DefaultBackoff is the delay before attempt 0, 1, …: 1 to 8 s, then 8 to 16 s,
// doubled each time up to 300 to 600 s. It is random between the two, also the
// longest, so that clients that were lost together do not return together: of
// those that lose their server at one moment, at most about a sixth try in any
// one second.
func DefaultBackoff(attempt int) time.Duration {
	if attempt <= 0 {
		return between(firstDelay, firstDelay+firstWindow).NextBackOff()
	}
	b := between(nextDelay, 2*nextDelay)
	b.MaxInterval = lastDelay * 3 / 2
	delay := b.NextBackOff()
	for range min(attempt-1, doublings) {
		delay = b.NextBackOff()
	}
	return delay
}

// doublings is how many attempts it takes until the delay grows no more.
const doublings = 6

// between begins with a delay that is random between two.
func between(least, most time.Duration) *backoff.ExponentialBackOff {
	middle := (least + most) / 2
	b := &backoff.ExponentialBackOff{
		InitialInterval:     middle,
		RandomizationFactor: float64(most-middle) / float64(middle),
		Multiplier:          2,
		MaxInterval:         most,
		Stop:                backoff.Stop,
		Clock:               backoff.SystemClock,
	}
	b.Reset()
	return b
}
