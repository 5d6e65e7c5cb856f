package realtime

import (
	"strconv"
	"time"

	"github.com/leanrtm/realtime/internal/mutant"
)

// arrived notes a message that the server pushed, and reports whether it is to
// be delivered: it is not if it was before, or if recovery, which was cut off,
// will bring it in its order. uncounted: it was delivered and not counted.
func (s *clientSync) arrived(cid string, at point, transient bool) (news, uncounted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest = max(s.newest, at.at)
	if transient {
		return at.id == "" || s.seen.add(s.hash(at.id)), false
	}
	m := s.mark(cid)
	switch {
	case s.unfinished || m.gap:
		return false, false
	case m.hole && at.at <= m.leftAt: // what was missed before it comes when the client returns, and then this too
		return false, false
	case mutant.On(mutant.KeepsDuplicates):
	case !m.fetched.before(at):
		return false, m.repeated(at)
	case at.id != "" && !s.seen.add(s.hash(at.id)):
		return false, m.repeated(at)
	}
	m.arrive(at, s.base)
	return true, false
}

// arrive notes a stored message that is about to be delivered. Up to base
// everything has been.
func (m *convMark) arrive(at point, base int64) {
	if m.pending == 0 {
		m.handled = later(m.handled, point{at: min(base, at.at-1)})
	}
	m.pending++
	if m.received.before(at) {
		m.received = at
	}
}

// handled notes that the listeners are through with a stored message.
func (s *clientSync) handled(cid string, at point) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.mark(cid)
	m.pending--
	if m.handled.before(at) {
		m.handled = at
	}
	if m.outside != nil && m.pending == 0 && !m.hole && !m.gap && !s.unfinished {
		m.endOutside()
	}
}

// missed reports whether something happened before the session was opened.
func (s *clientSync) missed(at int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return at <= s.opened
}

// unreadTold notes the server's time of unread counts.
func (s *clientSync) unreadTold(at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest = max(s.newest, at)
	s.lastUnreadNotif = max(s.lastUnreadNotif, at)
	if s.tuplesDue { // told as the session was opened
		s.opened = max(s.opened, at)
	}
	s.tuplesDue = false
}

// notified notes a notification, and reports whether it is news: it may be
// pushed and fetched both.
func (s *clientSync) notified(cid, op string, at int64, permanent bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if permanent {
		s.lastNotif = max(s.lastNotif, at)
	} else {
		s.lastEvent = max(s.lastEvent, at)
	}
	return at == 0 || s.seen.add(s.hash(cid+"\x00"+op+"\x00"+strconv.FormatInt(at, 10)))
}

// notifHandled and editHandled note that the listeners are through with a
// notification, an edit.
func (s *clientSync) notifHandled(at int64, permanent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if permanent {
		s.notifsHandled = max(s.notifsHandled, at)
	} else {
		s.eventsHandled = max(s.eventsHandled, at)
	}
}

func (s *clientSync) editHandled(at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.editsHandled = max(s.editsHandled, at)
}

// patched notes an edit. missed: it happened while the client was away. news
// is false if it was told before or is the client's own.
func (s *clientSync) patched(mid string, at int64) (missed, news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest = max(s.newest, at)
	s.lastPatch = max(s.lastPatch, at)
	return at <= s.opened, s.sent.add(s.patchHash(mid, at))
}

// ownPatch notes an edit that this client made: the server tells it to its
// next session as if it were news.
func (s *clientSync) ownPatch(mid string, at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent.add(s.patchHash(mid, at))
}

func (s *clientSync) patchHash(mid string, at int64) uint64 {
	return s.hash(mid + "\x00" + strconv.FormatInt(at, 10))
}

// receiptBook holds the sent messages whose receipts are still to come, up to
// a number.
type receiptBook struct {
	byID  map[string]sentMessage
	order []string // oldest first; has ids that are gone from byID

	sending int                  // messages whose receipt is wanted and whose id is not known yet
	early   map[string]time.Time // receipts that came meanwhile, for whatever message

	unread map[string]point // newest message of each conversation that is not known to be read
}

// maxReceipts is how many receipts are waited for. Of older messages only
// LastDeliveredAt tells.
const maxReceipts = 4096

type sentMessage struct {
	message *Message
	token   string
}

// waitReceipt notes a message that was sent with a receipt, unless that has
// come already.
func (s *clientSync) waitReceipt(m sentMessage) (at time.Time, came bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &s.receipts
	b.wantRead(m.message.ConversationID, m.message.point())
	if at, came = b.early[m.message.ID]; came {
		delete(b.early, m.message.ID)
		return at, true
	}
	if b.byID == nil {
		b.byID = make(map[string]sentMessage)
	}
	b.byID[m.message.ID] = m
	b.order = append(b.order, m.message.ID)
	if len(b.order) > maxReceipts {
		delete(b.byID, b.order[0])
		b.order = b.order[1:]
	}
	return at, false
}

// unsettled returns what tells of the ends of those sends that the receipt of
// an unknown message could be of.
func (s *clientSync) unsettled(cid, id string) []<-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.receipts.byID[id]; known || s.receipts.sending == 0 {
		return nil
	}
	var out []<-chan struct{}
	for m := range s.sending {
		if m.settled != nil && m.conv.id == cid {
			out = append(out, m.settled)
		}
	}
	return out
}

// takeReceipt returns the message that a receipt is of, once. The sender of a
// message may come to know its id only after the receipt has come: then the
// receipt is kept for it.
func (s *clientSync) takeReceipt(id string, at time.Time) (sentMessage, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &s.receipts
	m, has := b.byID[id]
	delete(b.byID, id)
	if len(b.byID) == 0 {
		b.order = nil
	}
	if !has && b.sending > 0 && len(b.early) < maxReceipts {
		if b.early == nil {
			b.early = make(map[string]time.Time)
		}
		b.early[id] = at
	}
	return m, has
}
