package realtime

import (
	"context"
	"slices"
	"time"

	"github.com/leanrtm/realtime/internal/mutant"
)

// What a client misses of a conversation that it is removed from and returns to.
//
//	          removed                     returns
//	member ────────────> not a member ────────────> member
//	          while online: nothing is missing; what is said between the two
//	          does not concern the client
//
//	          while away: what was said before the removal is missing (hole).
//	          Only a member can read the history: it is recovered when the
//	          client returns, without what was said between (outside)

// left notes that the client was removed from a conversation. missed: while it
// was away.
func (s *clientSync) left(cid string, at int64, missed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.mark(cid)
	m.leftAt = at
	m.recounted, m.fresh = nil, 0 // nothing of it is unread any more
	switch {
	case m.hole: // and has not come back in between
	case (missed || s.unfinished) && !s.client.opts.withoutRecovery && !mutant.On(mutant.ForgetsHoles):
		if !m.gap {
			m.received = later(m.received, point{at: s.missedFrom})
		}
		m.hole = true
	default:
		m.received = later(m.received, point{at: at})
	}
}

// refused notes that a history which is to be recovered is refused: the client was
// removed a moment ago, which it is told next. What it missed it gets when it
// returns.
func (s *clientSync) refused(cid string, from point) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.mark(cid)
	m.received, m.hole = later(m.received, from), true
	if m.leftAt == 0 {
		m.leftAt = s.opened
	}
}

// joined notes that the client became a member at that time, and reports whether
// it now can get what it missed before an earlier removal. What was said while it
// was no member is not missed.
func (s *clientSync) joined(cid string, at int64) (hole bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.mark(cid)
	m.joinedAt = at
	if m.leftAt != 0 && (m.hole || m.pending > 0) {
		m.outside = append(m.outside, span{m.leftAt, at - 1})
	}
	m.leftAt = 0
	if m.hole {
		return true
	}
	// The millisecond of joining counts as after it, as it does for the server's
	// unread counts: a message may be as quick as that.
	from := point{at: at - 1}
	if m.received = later(m.received, from); m.pending == 0 {
		m.handled = later(m.handled, from)
	}
	return false
}

// returned has the state of a conversation fetched anew that the client has
// become a member of, if it was known already: of what happened while the client
// was none it was not told. sure: it was removed before.
func (c *IMClient) returned(cid string, sure bool) {
	conv := c.convs.lookup(cid)
	if conv == nil {
		return
	}
	sure = sure || c.sync.isOut(cid)
	conv.update(func(s *convState) {
		if sure || s.hasMembers() && !slices.Contains(s.members, c.ID()) {
			s.known, s.triedAt = false, time.Time{}
		}
	})
}

// isOut tells whether the client was removed from a conversation.
func (s *clientSync) isOut(cid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.marks[cid]
	return m != nil && m.leftAt != 0
}

// wasOutside tells whether the client was no member at a time.
func (m *convMark) wasOutside(at int64) bool {
	for _, s := range m.outside {
		if mutant.On(mutant.TellsOutsiders) {
			break
		}
		if s.from < at && at <= s.to {
			return true
		}
	}
	return false
}

// countHolds returns the unread count that the server has told and that ends
// with last, unless the client was removed or came back since.
func (s *clientSync) countHolds(cid string, n int, last point) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.marks[cid]; m != nil && (m.leftAt != 0 || last.at < m.joinedAt) {
		return 0
	}
	return n
}

// fillHole fetches what a client missed of a conversation before it was removed
// from it, now that it is back.
func (c *IMClient) fillHole(ctx context.Context, conv *Conversation) {
	from, _ := c.sync.resumePoint(conv.id)
	c.sync.patience.renew()
	report := new(RecoveredEvent)
	if !c.recoverHistories(ctx, []missed{{conv, from}}, true, report) {
		c.gapped(ctx, conv, from)
		return
	}
	c.sync.holeFilled(conv.id)
	if report.Messages > 0 || len(report.Failed) > 0 {
		c.emit(report)
	}
}

func (s *clientSync) holeFilled(cid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mark(cid).endHole()
}

// endHole notes that nothing is missing any more, unless the client was removed
// again. What is not handled yet may come again in another process, which must
// know what not to deliver.
func (m *convMark) endHole() {
	if m.leftAt != 0 {
		return
	}
	if m.hole = false; m.pending == 0 {
		m.endOutside()
	}
}

// endOutside notes that all from before the client became a member has been
// handled, or does not concern it.
func (m *convMark) endOutside() {
	from := point{at: m.joinedAt - 1}
	for _, s := range m.outside { // which may come from a position
		from.at = max(from.at, s.to)
	}
	m.outside = nil
	m.received, m.handled = later(m.received, from), later(m.handled, from)
}
