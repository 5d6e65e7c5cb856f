package realtime

import (
	"context"
	"time"
)

// What recovery finds counts as unread at once, so that a handler sees the count
// with the message. But the server counts as well: its counts of the login, which
// are handled after recovery, replace what was counted before. Two things are put
// right here:
//
//   - Recovery takes time, and may find what was said after the login. The count
//     of the login does not contain it, and the push of it is no news any more.
//   - A login without a cursor is told of all conversations with unread messages.
//     Of one that is not among them everything was read, perhaps on another
//     device, also what has just been recovered.
//
//
// What was said after the login is known by its push, which comes though the
// message is no news any more.

// recount is a message that recovery has counted as unread.
type recount struct {
	at        point
	mentioned bool
	pushed    bool // it was said after the login
}

// counted notes that recovery has counted a message.
func (s *clientSync) counted(m *Message, at point) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mark := s.mark(m.ConversationID)
	mark.recounted = append(mark.recounted, recount{at: at, mentioned: m.Mentioned})
}

// repeated notes that a message which recovery has brought is pushed as well,
// and reports whether it is still to be counted; with mu held.
func (s *clientSync) repeated(m *convMark, at point) (count bool) {
	for i := range m.recounted {
		if r := &m.recounted[i]; r.at == at && !r.pushed {
			r.pushed = true
			return s.settled
		}
	}
	return false
}

// told notes that the server has told an unread count which ends with last, and
// returns what is to be added to it.
func (s *clientSync) told(cid string, last point) (n int, mentioned bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tuples++
	mark := s.marks[cid]
	if mark == nil {
		return 0, false
	}
	for _, r := range mark.recounted {
		if last.before(r.at) {
			n++
			mentioned = mentioned || r.mentioned
		}
	}
	mark.recounted = nil
	return n, mentioned
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

// settleUnread ends what recovery began.
func (c *IMClient) settleUnread(context.Context) {
	for cid, less := range c.sync.unsaid() {
		n, mentioned := c.sync.unread(cid)
		n = max(n-less, 0)
		c.sync.setUnread(c.convs.bare(cid, 0), n, mentioned && n > 0)
	}
}

// unsaid ends the time of counting twice. It returns by how much the counts of
// those conversations are too high whose count the server should have told if
// there were unread messages at the login, and has not.
func (s *clientSync) unsaid() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.settling == nil {
		return nil // there is another session by now
	}
	s.settling, s.settled = nil, true
	out := make(map[string]int)
	for cid, m := range s.marks {
		if m.recounted == nil {
			continue
		}
		if s.hadCursor || s.tuples >= maxTold {
			m.recounted = nil
			continue
		}
		late := m.recounted[:0] // what may still be pushed
		for _, r := range m.recounted {
			if r.pushed {
				continue
			}
			out[cid]++
			if r.at.at >= s.openedAt {
				late = append(late, r)
			}
		}
		if m.recounted = late; len(late) == 0 {
			m.recounted = nil
		}
	}
	return out
}

// unsettle begins the time of counting twice, with mu held.
func (s *clientSync) unsettle() {
	if s.settled {
		for _, m := range s.marks {
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
}
