package realtime

import (
	"bytes"
	"slices"
	"time"

	"github.com/leanrtm/realtime/internal/mutant"
	"github.com/leanrtm/realtime/internal/wire"
)

// sessionOpened notes a new session, and reports whether there was an earlier
// one whose gap is to be closed.
func (s *clientSync) sessionOpened(first bool, at int64) (away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now().UnixMilli()
	if at == 0 { // a server without a clock
		at = now
	}
	s.unsettle()
	s.readAgain()
	s.openedAt = at
	// A server that has edits to tell answers with a time from before them, as a
	// cursor. What its clock shows can be no less than ours plus what it was ahead
	// of ours before.
	if ahead := at - now; s.opened == 0 || ahead > s.ahead {
		s.ahead = ahead
	}
	s.opened, s.tuplesDue = max(at, now+s.ahead), !first || s.resumed
	if first && !s.resumed {
		s.lastPatch, s.editsHandled = at, at
		s.lastNotif, s.notifsHandled = at, at
		s.lastEvent, s.eventsHandled = at, at
		s.base, s.newest = at-1, at-1 // more may come in the same millisecond
		s.missedFrom = s.base
		return false
	}
	s.base = s.safeBase(max(s.newest, s.ownBefore))
	s.missedFrom = s.base
	if s.opened-max(s.newest, s.ownBefore) > chatRoomMemory.Milliseconds() {
		s.room = ""
	}
	s.unfinished = !s.client.opts.withoutRecovery
	return true
}

// skipMissed leaves behind what was missed.
func (s *clientSync) skipMissed(at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endGaps()
	s.base, s.newest = max(s.base, at), max(s.newest, at)
	s.missedFrom = s.base
	s.endDoubts()
}

// recoveredUpTo ends a recovery that was not cut off. Messages that the server
// was accepting as the session opened may still appear.
func (s *clientSync) recoveredUpTo(at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest = max(s.newest, at)
	s.endGaps()
	s.endDoubts()
	s.base = s.safeBase(s.newest)
}

// cutOff reports whether recovery did not come to an end. What its session still
// pushed counts for nothing then: counts that include what is yet to be
// recovered would count that twice.
func (s *clientSync) cutOff() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unfinished
}

// endGaps notes that no recovery is cut off any more, with mu held.
func (s *clientSync) endGaps() {
	s.unfinished = false
	for _, m := range s.marks {
		m.gap = false
		m.endHole()
	}
}

// since is the time up to which nothing was missed anywhere.
func (s *clientSync) since() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := s.missedFrom
	for _, m := range s.marks {
		if m.gap || m.hole {
			since = min(since, m.received.at)
		}
	}
	return since
}

// resumePoint is where the history of a conversation is to be fetched from.
// member is false if the client was removed from it.
func (s *clientSync) resumePoint(cid string) (from point, member bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from = point{at: s.missedFrom}
	m := s.marks[cid]
	switch {
	case m == nil:
		return from, true
	case m.gap || m.hole:
		from = m.received
	default:
		from = later(m.received, from)
	}
	return from, m.leftAt == 0
}

// unlisted are the conversations that may have news and that no query finds: the
// chat room, temporary ones, and services, which may say something to one client
// alone.
func (s *clientSync) unlisted() []string {
	s.mu.Lock()
	var ids []string
	if s.room != "" && !mutant.On(mutant.SkipsRoom) {
		ids = append(ids, s.room)
	}
	for id, m := range s.marks {
		if m.unlisted || temporaryID(id) {
			ids = append(ids, id)
		}
	}
	s.mu.Unlock()
	for _, id := range s.client.convs.temporary() {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// noteUnlisted notes that a conversation is one of those.
func (s *clientSync) noteUnlisted(cid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mark(cid).unlisted = true
}

// enterRoom notes the chat room that the client is in, since at; 0: just now.
func (s *clientSync) enterRoom(id string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room = id
	since := s.newest
	if !at.IsZero() {
		since = at.UnixMilli()
	}
	m := s.mark(id)
	m.received = later(m.received, point{at: since})
}

// leaveRoom notes that the client has left a chat room.
func (s *clientSync) leaveRoom(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.room == id {
		s.room = ""
	}
}

// isNews reports whether a message of the history is to be delivered. What is
// not has been already, or is the client's own.
func (s *clientSync) isNews(cid string, at point) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.hash(at.id)
	if m := s.marks[cid]; m != nil && m.wasOutside(at.at) {
		return false
	}
	return !s.seen.has(id) && !s.sent.has(id)
}

// passed notes a message of the history that is not to be delivered.
func (s *clientSync) passed(cid string, at point) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.mark(cid)
	m.received, m.fetched = later(m.received, at), later(m.fetched, at)
}

func (p payload) equal(q payload) bool {
	return p.binary == q.binary && p.text == q.text && bytes.Equal(p.data, q.data)
}

// recovered notes a message of the history that is about to be delivered. If it
// was edited, that is told with it.
func (s *clientSync) recovered(cid string, at point, edited time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen.add(s.hash(at.id))
	if !edited.IsZero() {
		s.sent.add(s.patchHash(at.id, edited.UnixMilli()))
	}
	m := s.mark(cid)
	m.fetched = later(m.fetched, at)
	m.arrive(at, s.base)
}

// untold reports whether the last message of a conversation, told with its
// unread count, is one that recovery should have found but has not, and from
// where on to look for it.
func (s *clientSync) untold(m *Message) (from point, untold bool) {
	from, _ = s.resumePoint(m.ConversationID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.tuplesDue || m.Timestamp.UnixMilli() <= s.missedFrom || s.sent.has(s.hash(m.ID)) {
		return from, false
	}
	mark := s.marks[m.ConversationID]
	return from, mark == nil || later(mark.received, mark.fetched).before(m.point())
}

// openGap notes that fetching a history was cut off, so that nothing newer of
// that conversation is delivered before it.
func (s *clientSync) openGap(cid string, from point) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.mark(cid)
	m.received, m.gap = later(m.received, from), true
}

// slots has room for as many recovered messages as may wait for the handlers.
// Each comes with a change of the unread count, and half of the queue is left
// for other events.
func (s *clientSync) slots() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.recovering == nil {
		o := s.client.rt.opts
		s.recovering = make(chan struct{}, max(1, min(recoveryRoom, o.EventQueue/4, o.EventQueueBytes/(2*wire.MaxMessageSize))))
	}
	return s.recovering
}
