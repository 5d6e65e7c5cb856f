package realtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leanrtm/realtime/internal/wire"
)

// dedupMemory is for how long after an attempt the server surely knows its
// token again.
const dedupMemory = 9 * time.Minute

// The pause before an attempt, so that a connection that is there but does not
// work is not worn out.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
)

// sendRetrying sends until there is an answer or ctx ends. Every attempt
// carries the same token. As long as the server remembers that, it stores one
// message, however many attempts it gets.
func (s *sending) sendRetrying(ctx context.Context) (*Message, error) {
	c := s.conv.client
	var doubt time.Time // begin of the first attempt that may have got through
	size := len(s.payload.text) + len(s.payload.data) + len(s.push)
	inOutbox := false
	defer func() {
		if inOutbox {
			c.sync.leaveOutbox(size)
		}
	}()
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		began := time.Now()
		m, err := s.limitedAttempt(ctx)
		if err == nil {
			return m, nil
		}
		if doubt.IsZero() && errors.Is(err, ErrOutcomeUnknown) {
			doubt = began
			c.sync.doubtful(s)
		}
		if !s.worthRetrying(ctx, err) {
			return nil, s.gaveUp(err, doubt)
		}
		if !inOutbox {
			if !c.sync.enterOutbox(size) {
				return nil, s.gaveUp(fmt.Errorf("%w: %w", ErrOutboxFull, err), doubt)
			}
			inOutbox = true
		}
		if waitErr := s.wait(ctx, pause, doubt); waitErr != nil {
			return nil, s.gaveUp(fmt.Errorf("%w: %w", waitErr, err), doubt)
		}
		c.counters.sendRetries.Add(1)
	}
}

// limitedAttempt is an attempt that leaves time for others: a connection that
// swallows everything must not use up all of ctx.
func (s *sending) limitedAttempt(ctx context.Context) (*Message, error) {
	ctx, cancel := context.WithTimeout(ctx, s.conv.client.rt.opts.CommandTimeout)
	defer cancel()
	return s.attempt(ctx)
}

// worthRetrying reports whether an attempt failed for a reason that passes.
func (s *sending) worthRetrying(ctx context.Context, err error) bool {
	if ctx.Err() != nil || s.conv.client.closing.Err() != nil {
		return false
	}
	if errors.Is(err, ErrFrameTooLong) && len(s.payload.text)+len(s.payload.data)+len(s.push) > wire.MaxMessageSize {
		return false // the server closes the connection over it, every time
	}
	return errors.Is(err, ErrDisconnected) || errors.Is(err, ErrTimeout) || errors.Is(err, ErrSessionRequired)
}

// wait waits for the next attempt: for a pause and for an open session. It
// fails when there is no point in one any more.
func (s *sending) wait(ctx context.Context, pause time.Duration, doubt time.Time) error {
	if !doubt.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, doubt.Add(dedupMemory), errForgotten)
		defer cancel()
	}
	c := s.conv.client
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return c.waitOpen(ctx)
	case <-c.closing.Done():
		return c.endError()
	case <-ctx.Done():
		return contextError(ctx)
	}
}

var errForgotten = errors.New("too long ago for the server to recognise a repetition")

// gaveUp is the error of a send that got no answer in all its attempts, of
// which one may have got through.
func (s *sending) gaveUp(err error, doubt time.Time) error {
	if !doubt.IsZero() && !errors.Is(err, ErrOutcomeUnknown) {
		err = fmt.Errorf("%w: %w", err, ErrOutcomeUnknown)
	}
	return &callError{command: "direct", safe: s.opts.hasToken, err: err}
}

// enterOutbox counts a send that is retried, until its end, unless there are too
// many. One alone may be as large as it likes.
func (s *clientSync) enterOutbox(size int) bool {
	o := s.client.rt.opts
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting >= o.Outbox || s.waiting > 0 && s.waitingBytes+size > o.OutboxBytes {
		return false
	}
	s.waiting++
	s.waitingBytes += size
	return true
}

func (s *clientSync) leaveOutbox(size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting--
	s.waitingBytes -= size
}

// begin notes a send whose answer is out.
func (s *clientSync) begin(m *sending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sending == nil {
		s.sending = make(map[*sending]struct{})
	}
	s.sending[m] = struct{}{}
	if m.opts.has(sendReceipt) {
		m.settled = make(chan struct{})
		s.receipts.sending++
	}
}

// settleReceipt ends what begin began for a receipt, with mu held.
func (s *clientSync) settleReceipt(m *sending) {
	if !m.opts.has(sendReceipt) {
		return
	}
	close(m.settled)
	if s.receipts.sending--; s.receipts.sending == 0 {
		s.receipts.early = nil
	}
}

// accepted notes a message that the server has accepted from this client.
func (s *clientSync) accepted(cid string, at point) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ownNewest = max(s.ownNewest, at.at)
	s.sent.add(s.hash(at.id))
	if m := s.mark(cid); m.last.before(at) {
		m.last, m.lastOwn = at, true
	}
}
