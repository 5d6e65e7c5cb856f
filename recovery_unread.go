package realtime

import (
	"context"
	"slices"
	"time"
)

// What recovery finds counts as unread at once, so that a handler sees the count
// with the message. But the server counts as well: its counts of the login, which
// are handled after recovery, replace what was counted before. Three things
// are put right here:
//
//   - Recovery takes time, and may find what was said after the login. The count
//     of the login does not contain it, and the push of it is no news any more.
//   - A login without a cursor is told of all conversations with unread messages.
//     Of one that is not among them everything was read, perhaps on another
//     device, also what has just been recovered.
//   - A login with a cursor is told what has changed since. What was said before
//     the cursor and could not be recovered then is counted, or read.
//
//
// What was said after the login is known by its push, which comes though the
// message is no news any more.

// recount is a message that recovery has counted as unread.
type recount struct {
	at        point
	mentioned bool
	counted   bool // the count of unread messages contains it
}

// counted notes that recovery has counted a message.
func (s *clientSync) counted(m *Message, at point) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mark := s.mark(m.ConversationID)
	mark.recounted = append(mark.recounted, recount{at, m.Mentioned, true})
}

// repeated notes that a message which recovery has brought is pushed as well,
// and reports whether it is still to be counted. Counts that are told later
// contain it.
func (m *convMark) repeated(at point) (count bool) {
	i := slices.IndexFunc(m.recounted, func(r recount) bool { return r.at == at })
	if i < 0 {
		return false
	}
	if count = !m.recounted[i].counted; !count {
		m.fresh++
	}
	m.keepRecounts(func(r recount) bool { return r.at != at })
	return count
}

// keepRecounts forgets all but some.
func (m *convMark) keepRecounts(keep func(r recount) bool) {
	m.recounted = slices.DeleteFunc(m.recounted, func(r recount) bool { return !keep(r) })
	if len(m.recounted) == 0 {
		m.recounted = nil
	}
}

// told notes that the server has told an unread count which ends with last, and
// returns what is to be added to it: what is pushed after it and was recovered
// already.
func (s *clientSync) told(cid string, last point) (n int, mentioned bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tuples++
	mark := s.marks[cid]
	if mark == nil {
		return 0, false
	}
	mark.told = true
	mark.keepRecounts(func(r recount) bool { return last.before(r.at) })
	for i := range mark.recounted {
		mark.recounted[i].counted = true
		mentioned = mentioned || mark.recounted[i].mentioned
	}
	return len(mark.recounted), mentioned
}

// maxTold is with how many counts of a login a server may have left out others.
const maxTold = 50

// settleDelay is how long after recovery the counts that come with the login may
// still be on their way: a server sends answers before them.
const settleDelay = 2 * time.Second

// settleLater has what recovery began ended when the server has told everything.
func (s *clientSync) settleLater() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settling = time.AfterFunc(settleDelay, func() { s.client.enqueue(job{call: s.client.settleUnread}) })
}

// settleUnread ends what recovery began, at last when the next session is about
// to be opened. If the session is gone and has told nothing, the next one is told
// everything.
func (c *IMClient) settleUnread(context.Context) {
	if !c.session.Load().live() && !c.sync.toldCounts() {
		return
	}
	for cid, n := range c.sync.unsaid() {
		_, mentioned := c.sync.unread(cid)
		c.sync.setUnread(c.convs.bare(cid, 0), n, mentioned && n > 0)
	}
}

// toldCounts reports whether the session has told unread counts, so that it need
// not tell them again.
func (s *clientSync) toldCounts() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tuples > 0 || !s.tuplesDue
}

// unsaid ends the time of counting twice. It returns the counts of those
// conversations whose count the server should have told if there were unread
// messages at the login, and has not: unread is what has been pushed since.
func (s *clientSync) unsaid() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.settling == nil {
		return nil // there is another session by now
	}
	s.settling, s.settled = nil, true
	out := make(map[string]int)
	all := !s.hadCursor && s.tuples < maxTold
	for cid, m := range s.marks {
		if all && !m.told && m.unread != m.fresh {
			out[cid] = m.fresh
			for i := range m.recounted {
				m.recounted[i].counted = false
			}
		}
		if m.recounted != nil {
			m.keepRecounts(func(r recount) bool { return r.at.at >= s.openedAt }) // those may still be pushed
		}
	}
	return out
}

// unsettle begins the time of counting twice, with mu held.
func (s *clientSync) unsettle() {
	for _, m := range s.marks {
		if m.told, m.fresh = false, 0; s.settled {
			m.recounted = nil
		}
	}
	s.settled = false
	s.stopSettling()
}

func (s *clientSync) stopSettling() {
	if s.settling != nil {
		s.settling.Stop()
		s.settling = nil
	}
	if s.again != nil {
		s.again.Stop()
		s.again = nil
	}
}
