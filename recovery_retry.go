package realtime

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/leanrtm/realtime/internal/mutant"
)

// A question of recovery that was not answered, or refused for a reason that
// passes, is asked again before it counts as failed: what it is about would be
// lost for the program. What was pushed meanwhile waits, as it does for all of
// recovery, so that nothing overtakes what was missed. So there are bounds:
// asking again ends after some time, with the session, and when so much waits
// that its events, often two of each, would fill half of the queue. The time is one
// for all that a recovery asks, and for what the counts of the login make it ask
// afterwards. It does not end anything while nothing at all comes from the
// server: then the connection is probably dead, and its end, or what comes next,
// shows whether.

const (
	recoveryPatience   = 30 * time.Second // after the first failure
	recoveryFirstPause = time.Second      // between two attempts; doubled each time
	recoveryMaxPause   = 8 * time.Second
	recoveryLook       = 250 * time.Millisecond // how soon the end of the session is seen in a pause
)

// patience is the time that is left for asking again.
type patience struct {
	mu    sync.Mutex
	until time.Time // zero: nothing has failed yet
	spent error     // the failure after which nothing is asked again; nil: it is not over
}

// renew begins a recovery.
func (p *patience) renew() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until, p.spent = time.Time{}, nil
}

// over notes a failure and reports whether the time is over.
func (p *patience) over() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.until.IsZero() {
		p.until = time.Now().Add(recoveryPatience)
	}
	return time.Now().After(p.until)
}

// lose notes what was given up with the last failure.
func (p *patience) lose(failure error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spent = failure
}

// lost returns the failure with which asking again has ended.
func (p *patience) lost() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.spent
}

// persist asks until there is an answer, or no point in asking again. It returns
// the last error. ask must be of no consequence if it is repeated.
func (c *IMClient) persist(ctx context.Context, ask func() error) error {
	left := &c.sync.patience
	for pause, last := recoveryFirstPause, time.Now(); ; pause = min(2*pause, recoveryMaxPause) {
		err := ask()
		if err == nil || !passes(err) || mutant.On(mutant.AsksOnce) {
			return err
		}
		now := time.Now()
		alive := !errors.Is(err, ErrTimeout) || c.session.Load().heardSince(last)
		if left.over() && alive {
			left.lose(err)
			return err
		}
		if !c.pauseRecovery(ctx, pause) {
			return err
		}
		last = now
	}
}

// pauseRecovery waits for about so long, and reports whether to ask again then.
func (c *IMClient) pauseRecovery(ctx context.Context, about time.Duration) bool {
	end := time.NewTimer(time.Duration(float64(about) * (0.5 + rand.Float64()))) // not all clients at once
	defer end.Stop()
	look := time.NewTicker(recoveryLook)
	defer look.Stop()
	for {
		if c.sessionLost(ctx) || c.work.Len() > c.rt.opts.EventQueue/4 {
			return false
		}
		select {
		case <-end.C:
			return true
		case <-look.C:
		case <-ctx.Done():
			return false
		}
	}
}

// passes tells the failures that may be over when the same is asked again: no
// answer, and a server that is overloaded or out of order.
func passes(err error) bool {
	if refusal := (*Error)(nil); errors.As(err, &refusal) {
		switch refusal.Code {
		case ErrConversationQueryFailed, ErrConversationLogFailed, ErrConversationAPIQuotaExceeded, ErrMessageSentQuotaExceeded:
			return true
		}
		return refusal.Code.ambiguous() || refusal.HTTPStatus >= http.StatusInternalServerError || refusal.HTTPStatus == http.StatusTooManyRequests
	}
	if unknown := (*net.DNSError)(nil); errors.As(err, &unknown) && unknown.IsNotFound {
		return false
	}
	network := net.Error(nil)
	return errors.Is(err, ErrTimeout) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.As(err, &network) && network.Timeout() || errors.As(err, new(*net.OpError))
}
