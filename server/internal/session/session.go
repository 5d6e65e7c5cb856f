package session

import (
	"sync"
	"sync/atomic"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/store"
	"github.com/leanrtm/realtime/server/internal/transport"
)

// Session is one client logged in on one connection.
type Session struct {
	ref    fanout.SessionRef
	client string
	conn   *transport.Conn
	link   *link
	index  *appIndex
	actor  fanout.Actor
	caps   int64
	worker uint8  // pushes to it what goes to many
	token  string // id of the chain of tokens
	proof  string // hash of the signature that it was opened with; empty: none
	peer   []byte // the encoded peerId: begins every frame

	// tagOrder is the version of the tag's record when this session took the
	// tag; 0: it has none, or not yet.
	tagOrder atomic.Int64
	gate     atomic.Pointer[gate] // nil: open
	over     atomic.Bool          // it is about to end: workers push nothing to it any more

	mu     sync.Mutex
	open   bool // the login was granted
	ended  bool
	code   wire.Code // why it ended
	reason string
	room   string
	will   func()
	subs   []string        // service conversations in the index
	late   map[string]bool // subscriptions that changed behind the gate

	announced bool          // the engine knows the session
	owed      *fanout.Ended // what the engine is to be told when it does
}

// openedBy tells whether the session is open and was opened with this signature.
func (s *Session) openedBy(proof string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open && !s.ended && s.proof == proof
}

// subscribe notes that the client subscribes a service conversation, or no
// longer.
func (s *Session) subscribe(cid string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
	case s.gate.Load() != nil:
		if s.late == nil {
			s.late = make(map[string]bool)
		}
		s.late[cid] = on
	default:
		s.setSubscribed(cid, on)
	}
}

// setSubscribed changes the index. s.mu is held.
func (s *Session) setSubscribed(cid string, on bool) {
	at := -1
	for i := range s.subs {
		if s.subs[i] == cid {
			at = i
		}
	}
	switch {
	case on && at < 0:
		s.subs = append(s.subs, cid)
		s.index.subscribe(s, cid)
	case !on && at >= 0:
		s.subs = append(s.subs[:at], s.subs[at+1:]...)
		s.index.unsubscribe(s, cid)
	}
}

// grant turns an opening session into an open one, and calls reply, which queues
// the answer. From here on whoever ends the session tells the client and the engine.
// A client takes no notice of the end of a session that it does not know yet, so the
// answer is queued before anybody can find the session open. grant returns false,
// and does not call reply, if the session has ended.
func (s *Session) grant(reply func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	reply()
	s.open = true
	return true
}

// whyEnded is what the client is told when its login is refused because the
// session ended meanwhile.
func (s *Session) whyEnded() (wire.Code, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.code, s.reason
}

// enter indexes the session's subscriptions and opens its gate.
func (s *Session) enter(snap *fanout.Snapshot) {
	s.index.opening.Lock()
	defer s.index.opening.Unlock()
	delete(s.index.behind, s)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	for _, cid := range snap.Subscriptions {
		s.setSubscribed(cid, true)
	}
	for cid, on := range s.late { // is newer than the snapshot
		s.setSubscribed(cid, on)
	}
	s.late = nil
	s.gate.Load().open(s, snap)
	s.gate.Store(nil)
}

// subscribes tells whether a service conversation is in the index. s.mu is held.
func (s *Session) subscribes(cid string) bool {
	for i := range s.subs {
		if s.subs[i] == cid {
			return true
		}
	}
	return false
}

// Bounds of what waits at one gate. More would not fit into the connection's
// queue either.
const (
	gateEvents = 4096
	gateBytes  = 1 << 20
)

// gate keeps the events for a session that is opening.
type gate struct {
	conn *transport.Conn

	mu     sync.Mutex
	opened bool
	events []delivery
	bytes  int
}

// leave leaves an event at the gate. It returns false if the gate is open.
func (g *gate) leave(d delivery) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened {
		return false
	}
	if len(g.events) >= gateEvents || g.bytes >= gateBytes {
		g.conn.CloseCode(wire.CodeInternalError) // like any other queue that is full
		return true
	}
	g.events = append(g.events, d)
	g.bytes += len(d.ev.Body)
	return true
}

// open pushes what waits and was not told. s.mu is held.
func (g *gate) open(s *Session, snap *fanout.Snapshot) {
	g.mu.Lock()
	defer g.mu.Unlock()
	// A count that waits replaces that of the snapshot at the client, and may be
	// the older one. Whatever is not in it came later and waits behind it, so it is
	// pushed even if the snapshot has told it.
	recounted := make(map[string]bool)
	for _, d := range g.events {
		if told(snap.Told, d.ev) && !recounted[d.ev.Log.Cid] {
			continue
		}
		if d.ev.Kind == fanout.TargetSubscribers && !s.subscribes(d.ev.Conv) {
			continue
		}
		if d.ev.Counts {
			recounted[d.ev.Conv] = true
		}
		d.push(s)
	}
	g.opened = true
	g.events = nil
}

func told(logs map[store.LogID]int64, ev *fanout.Event) bool {
	if ev.Seq == 0 {
		return false
	}
	seq, ok := logs[ev.Log]
	return ok && ev.Seq <= seq
}
