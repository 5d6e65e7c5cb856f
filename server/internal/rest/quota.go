package rest

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/engine"
	"github.com/leanrtm/realtime/server/internal/limit"
)

// quota bounds what the back ends of an app send by REST. Every request counts
// that has shown the master key. Who is over a figure is refused until its minute
// or day, which began with the first request, is over.
type quota struct {
	windows [2]window
}

// window counts the requests of each app within one span of time.
type window struct {
	most int // negative: any number
	span time.Duration

	mu   sync.Mutex
	apps map[string]*span
}

type span struct {
	ends time.Time
	n    int
}

const day = 24 * time.Hour

func newQuota(perMinute, perDay int) *quota {
	return &quota{[2]window{{most: perMinute, span: time.Minute}, {most: perDay, span: day}}}
}

// quotas are those of an app.
type quotas struct{ messages, subscribers, everybody *quota }

func newQuotas(l limit.Limits) quotas {
	return quotas{
		messages:    newQuota(l.RESTSendRate, limit.NoLimit),
		subscribers: newQuota(l.SubscriberBroadcastRate, l.SubscriberBroadcastsPerDay),
		everybody:   newQuota(l.BroadcastRate, l.BroadcastsPerDay),
	}
}

// quotaError is a request over a quota.
type quotaError struct{ after time.Duration }

func (*quotaError) Error() string { return wire.CodeMessageSentQuotaExceeded.Name() }

// tell answers with the time when it is worth while to ask again.
func (e *quotaError) tell(w http.ResponseWriter) {
	seconds := int64((e.after + time.Second - 1) / time.Second)
	w.Header().Set("Retry-After", strconv.FormatInt(max(seconds, 1), 10))
	writeRefusal(w, http.StatusTooManyRequests, &engine.Error{
		Code: wire.CodeMessageSentQuotaExceeded, Detail: "the app sends too much by REST",
	})
}

// take counts a request, unless it is one too many.
func (q *quota) take(app string, now time.Time) error {
	for i := range q.windows {
		if wait, ok := q.windows[i].take(app, now); !ok {
			return &quotaError{wait}
		}
	}
	return nil
}

func (w *window) take(app string, now time.Time) (wait time.Duration, ok bool) {
	if w.most < 0 {
		return 0, true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.apps[app]
	if s == nil || !now.Before(s.ends) {
		if w.apps == nil {
			w.apps = make(map[string]*span)
		}
		s = &span{ends: now.Add(w.span)}
		w.apps[app] = s
	}
	if s.n >= w.most {
		return s.ends.Sub(now), false
	}
	s.n++
	return 0, true
}

// counted wraps a handler of something that a quota bounds.
func counted(q *quota, h handler) handler {
	return func(r *http.Request, who caller) (any, error) {
		if err := q.take(who.app.ID, time.Now()); err != nil {
			return nil, err
		}
		return h(r, who)
	}
}
