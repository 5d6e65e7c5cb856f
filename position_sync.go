package realtime

import (
	"hash/maphash"
	"sync"
	"time"
)

// clientSync is what a client knows about how far it is in step with the
// server, over all conversations: positions in the histories, unread counts,
// what is still to be acknowledged, and the points from which the server tells
// what happened meanwhile.
//
// It is kept here and not in the Conversation objects because those come and
// go with their users, and this must not be forgotten: it is small, and thrown
// away for conversations that are read and quiet.
//
// mu is held for moments only and comes after Conversation.mu; nothing is
// locked under it.
type clientSync struct {
	client *IMClient
	seed   maphash.Seed

	// counting serialises changes of unread counts with the events that tell
	// of them, so that the last event has the last count. It comes before all
	// other locks.
	counting sync.Mutex

	acks  throttle
	reads throttle

	mu    sync.Mutex
	marks map[string]*convMark
	sweep int // size of marks at which it is looked through again

	// All stored messages up to base have been delivered, but for what the
	// marks and unfinished say.
	base       int64
	newest     int64 // newest server time among processed frames
	ownNewest  int64 // newest time of an acknowledged send
	ownBefore  int64 // ownNewest when the last session ended
	unfinished bool  // recovery has not come to an end: base stays where it is
	missedFrom int64 // base when the session was opened: recovery begins there
	resumed    bool  // the client began with a position
	tuplesDue  bool  // the unread counts of after a reopen are still to come

	seen idWindow // received messages
	sent idWindow // own sends and edits, which recovery must not take for news

	sending      map[*sending]struct{} // sends without an answer yet
	doubts       []doubt               // sends that ended without one, oldest first
	waiting      int                   // of them, those that are being retried
	waitingBytes int                   // and how large they are

	lastPatch, editsHandled  int64 // newest edit seen, and handled
	lastNotif, notifsHandled int64 // newest reliable notification seen, and handled
	lastEvent, eventsHandled int64 // newest other notification seen, and handled
	lastUnreadNotif          int64
	hadCursor                bool        // the session was opened with it
	cursor                   int64       // which one; 0: none
	tuples                   int         // unread counts told since then
	settled                  bool        // what recovery counts is not counted twice any more
	settling                 *time.Timer // until then
	again                    *time.Timer // of the next recovery in this session
	patience                 patience
	openedAt                 int64 // what is from before was said before the session was opened
	opened                   int64 // server time when the session was last opened
	ahead                    int64 // of the server's clock: what it shows more than ours, at least

	acking   ackBook
	readable map[string]point // read and not yet told, by conversation
	reading  map[string]point // told and not yet known to have arrived
	receipts receiptBook
	room     string // chat room the client is in

	recovering chan struct{} // one token for each recovered message that waits for handlers
}

// span is a closed range of message times.
type span struct{ from, to int64 }

// convMark is what a client must remember of one conversation.
type convMark struct {
	received point // newest stored message that came
	handled  point // newest one whose handlers have returned
	pending  int   // messages between the two
	fetched  point // all of the history up to here has been fetched
	gap      bool  // fetching what was missed was cut off at received

	unlisted bool // no query tells of all that is new: a service conversation, or a temporary one

	// Membership; see position_member.go.
	leftAt   int64  // when the client was removed; 0: it is a member, as far as is known
	joinedAt int64  // when it became a member, if that is known
	hole     bool   // it was away when it was removed, and has nothing from after received
	outside  []span // between a removal and a return, since received

	unread    int
	mentioned bool
	recounted []recount // what recovery has counted and the server may count too
	fresh     int       // unread messages that were pushed since the login
	told      bool      // the server has told the count since the login

	last    point // newest message known, received or not
	lastOwn bool  // it is the client's own
}

// idle reports whether nothing is lost if the mark is forgotten.
func (m *convMark) idle(base int64) bool {
	return m.unread == 0 && m.recounted == nil && m.pending == 0 && !m.gap && !m.unlisted && m.leftAt == 0 && m.received.at <= base && m.fetched.at <= base
}

// reorder is by how much the server may deliver messages of different
// conversations out of order, in ms: what is older than the newest frame by
// more than this has been delivered, if it ever will be.
const reorder = 30_000

// sweepMin is the number of marks that is never worth looking through.
const sweepMin = 1024

// mark returns the mark of a conversation, with mu held.
func (s *clientSync) mark(cid string) *convMark {
	if m := s.marks[cid]; m != nil {
		return m
	}
	if s.marks == nil {
		s.marks, s.sweep = make(map[string]*convMark), sweepMin
	}
	if len(s.marks) >= s.sweep {
		base := s.safeBase(s.newest)
		for id, m := range s.marks {
			if m.idle(base) {
				delete(s.marks, id)
			}
		}
		s.base = base
		s.sweep = max(sweepMin, 2*len(s.marks))
	}
	m := new(convMark)
	s.marks[cid] = m
	return m
}

// safeBase is how far base may be raised, given that all frames up to newest
// have been processed; with mu held.
func (s *clientSync) safeBase(newest int64) int64 {
	if s.unfinished || s.base == 0 {
		return s.base
	}
	return max(s.base, newest-reorder)
}

// observe notes the server time of a processed frame.
func (s *clientSync) observe(ms int64) {
	s.mu.Lock()
	s.newest = max(s.newest, ms)
	s.mu.Unlock()
}

// openFields are what session/open says of earlier sessions; nil is absent.
func (s *clientSync) openFields(first bool) (lastUnreadNotif, lastPatch *int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// No send can succeed between the loss of a session and the next one: what
	// was acknowledged up to now belongs to what is lost.
	s.ownBefore = s.ownNewest
	s.hadCursor, s.tuples, s.cursor = s.lastUnreadNotif != 0 && !first, 0, 0
	if s.hadCursor {
		s.cursor = s.lastUnreadNotif
		at := s.lastUnreadNotif
		lastUnreadNotif = &at
	}
	at := s.lastPatch
	return lastUnreadNotif, &at
}

// idWindow remembers the newest of a stream of ids. It is for finding
// repetitions, and forgets the oldest when it is full.
type idWindow struct {
	ids  map[uint64]struct{}
	ring []uint64
	next int
}

// windowSize is how many ids a window holds at most.
const windowSize = 2048

// add remembers id and reports whether it was new.
func (w *idWindow) add(id uint64) bool {
	if _, known := w.ids[id]; known {
		return false
	}
	if w.ids == nil {
		w.ids = make(map[uint64]struct{})
	}
	w.ids[id] = struct{}{}
	if len(w.ring) < windowSize {
		w.ring = append(w.ring, id)
		return true
	}
	delete(w.ids, w.ring[w.next])
	w.ring[w.next] = id
	w.next = (w.next + 1) % windowSize
	return true
}

// has reports whether id is remembered.
func (w *idWindow) has(id uint64) bool {
	_, known := w.ids[id]
	return known
}

// hash is an id as the windows keep it.
func (s *clientSync) hash(id string) uint64 { return maphash.String(s.seed, id) }
