package link

import (
	"time"

	"github.com/cenkalti/backoff/v4"
)

// The delays before an attempt double from the first to the last.
const (
	firstDelay = time.Second
	lastDelay  = 300 * time.Second
)

// DefaultBackoff is the delay before attempt 0, 1, …: it doubles from 1 s to
// 300 s, and a random part of up to as much again comes on top, also of the
// longest, so that clients that were lost together do not return together.
func DefaultBackoff(attempt int) time.Duration {
	// A third to either side of one and a half times d is d to twice d.
	b := &backoff.ExponentialBackOff{
		InitialInterval:     firstDelay * 3 / 2,
		RandomizationFactor: 1.0 / 3,
		Multiplier:          2,
		MaxInterval:         lastDelay * 3 / 2,
		Stop:                backoff.Stop,
		Clock:               backoff.SystemClock,
	}
	b.Reset()
	delay := b.NextBackOff()
	for range min(attempt, doublings) {
		delay = b.NextBackOff()
	}
	return delay
}

// doublings is how many attempts it takes until the delay grows no more.
const doublings = 9
