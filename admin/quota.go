package admin

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/retryafter"
)

// Quota is how many messages and broadcasts an app may send by REST. In each
// figure 0 means any number. A send that would exceed a figure per minute waits
// for its turn; one that would exceed a figure per day fails at once with
// realtime.ErrMessageSentQuotaExceeded. Only what this Client sends is counted,
// every attempt by itself, in the minute or the 24 hours before.
type Quota struct {
	MessagesPerMinute             int // to conversations, chat rooms, and clients of a service conversation
	SubscriberBroadcastsPerMinute int
	SubscriberBroadcastsPerDay    int
	BroadcastsPerMinute           int // to everybody
	BroadcastsPerDay              int
}

// ProductionQuota returns the documented figures of the cloud's paid plans.
func ProductionQuota() *Quota {
	return &Quota{
		MessagesPerMinute:             1800,
		SubscriberBroadcastsPerMinute: 30, SubscriberBroadcastsPerDay: 1000,
		BroadcastsPerMinute: 10, BroadcastsPerDay: 30,
	}
}

// DevelopmentQuota returns the documented figures of the cloud's free plan.
func DevelopmentQuota() *Quota {
	return &Quota{
		MessagesPerMinute:             120,
		SubscriberBroadcastsPerMinute: 10, SubscriberBroadcastsPerDay: 100,
		BroadcastsPerMinute: 1, BroadcastsPerDay: 10,
	}
}

// quota is what a request is counted as.
type quota int

const (
	quotaNone quota = iota
	quotaMessages
	quotaSubscribers
	quotaEverybody
)

// quotas has the limiter of each quota; nil: unlimited.
type quotas [quotaEverybody + 1]*limiter

func newQuotas(q *Quota) quotas {
	if q == nil {
		return quotas{}
	}
	return quotas{
		quotaMessages:    newLimiter(q.MessagesPerMinute, 0),
		quotaSubscribers: newLimiter(q.SubscriberBroadcastsPerMinute, q.SubscriberBroadcastsPerDay),
		quotaEverybody:   newLimiter(q.BroadcastsPerMinute, q.BroadcastsPerDay),
	}
}

// wait returns when a request may be sent.
func (qs *quotas) wait(ctx context.Context, q quota) error {
	l := qs[q]
	if l == nil {
		return nil
	}
	for {
		delay, err := l.take(time.Now())
		if err != nil || delay <= 0 {
			return err
		}
		if !retryafter.Sleep(ctx, delay) {
			return contextError(ctx)
		}
	}
}

const day = 24 * time.Hour

// limiter allows so many requests in any minute and in any day.
type limiter struct {
	mu      sync.Mutex
	windows []window
}

func newLimiter(perMinute, perDay int) *limiter {
	l := new(limiter)
	if perMinute > 0 {
		l.windows = append(l.windows, window{span: time.Minute, taken: make([]time.Time, perMinute)})
	}
	if perDay > 0 {
		l.windows = append(l.windows, window{span: day, taken: make([]time.Time, perDay)})
	}
	if len(l.windows) == 0 {
		return nil
	}
	return l
}

// take counts a request, or returns how long it has to wait.
func (l *limiter) take(now time.Time) (delay time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.windows {
		w := &l.windows[i]
		wait := w.wait(now)
		if wait > time.Minute {
			return 0, newError(realtime.ErrMessageSentQuotaExceeded, strconv.Itoa(len(w.taken))+
				" a day are used up until "+now.Add(wait).UTC().Format(time.RFC3339))
		}
		delay = max(delay, wait)
	}
	if delay <= 0 {
		for i := range l.windows {
			l.windows[i].count(now)
		}
	}
	return delay, nil
}

// window remembers when the last requests were, as many as there may be in its
// span.
type window struct {
	span  time.Duration
	taken []time.Time // a ring
	next  int         // the oldest of them
}

func (w *window) wait(now time.Time) time.Duration {
	oldest := w.taken[w.next]
	if oldest.IsZero() {
		return 0
	}
	return oldest.Add(w.span).Sub(now)
}

func (w *window) count(now time.Time) {
	w.taken[w.next] = now
	w.next = (w.next + 1) % len(w.taken)
}
