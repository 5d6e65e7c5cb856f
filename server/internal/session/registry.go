package session

import (
	"context"
	"hash/maphash"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/transport"
)

const shards = 256

// Registry knows every open session of the process and pushes events to them.
// It is safe for concurrent use, and none of its methods waits for a network.
// All but Kick may be called with a conversation's lock held.
type Registry struct {
	seed maphash.Seed
	next atomic.Uint64
	refs [shards]struct {
		sync.RWMutex
		sessions map[fanout.SessionRef]*Session
	}
	spread spreader
	apps   atomic.Pointer[map[string]*appIndex] // copied to change it
	grow   sync.Mutex                           // guards changes of apps
	ended  func(fanout.Ended)                   // set by the Manager before the first session
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	r := &Registry{seed: maphash.MakeSeed(), ended: func(fanout.Ended) {}}
	r.spread.init(runtime.GOMAXPROCS(0))
	for i := range r.refs {
		r.refs[i].sessions = make(map[fanout.SessionRef]*Session)
	}
	r.apps.Store(&map[string]*appIndex{})
	return r
}

// app returns the index of an app, nil if it never had a session.
func (r *Registry) app(id string) *appIndex { return (*r.apps.Load())[id] }

func (r *Registry) appOf(id string) *appIndex {
	if a := r.app(id); a != nil {
		return a
	}
	r.grow.Lock()
	defer r.grow.Unlock()
	old := *r.apps.Load()
	if a := old[id]; a != nil {
		return a
	}
	a := newAppIndex(r.seed)
	grown := make(map[string]*appIndex, len(old)+1)
	for k, v := range old {
		grown[k] = v
	}
	grown[id] = a
	r.apps.Store(&grown)
	return a
}

func (r *Registry) session(ref fanout.SessionRef) *Session {
	shard := &r.refs[ref%shards]
	shard.RLock()
	defer shard.RUnlock()
	return shard.sessions[ref]
}

// add makes an opening session known.
func (r *Registry) add(s *Session) {
	shard := &r.refs[s.ref%shards]
	shard.Lock()
	shard.sessions[s.ref] = s
	shard.Unlock()
	s.index.add(s)
}

// endedSession is what is left of a session that was taken out.
type endedSession struct {
	room    string
	will    func()
	wasOpen bool
}

// remove takes a session out. Only the first call for a session returns true.
func (r *Registry) remove(s *Session, code wire.Code, reason string) (endedSession, bool) {
	// First, so that a later session of the same client on the same connection is
	// not pushed again what this one still had to get.
	s.over.Store(true)
	r.spread.release(s)
	if s.gate.Load() != nil {
		s.index.opening.Lock()
		delete(s.index.behind, s)
		s.index.opening.Unlock()
	}
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return endedSession{}, false
	}
	s.ended = true
	s.code, s.reason = code, reason
	e := endedSession{room: s.room, will: s.will, wasOpen: s.open}
	if s.room != "" {
		s.index.leave(s, s.room)
	}
	for _, cid := range s.subs {
		s.index.unsubscribe(s, cid)
	}
	s.room, s.will, s.subs = "", nil, nil
	s.index.remove(s)
	s.mu.Unlock()
	shard := &r.refs[s.ref%shards]
	shard.Lock()
	delete(shard.sessions, s.ref)
	shard.Unlock()
	return e, true
}

// end ends a session, tells the client why unless it knows, and then the engine.
func (r *Registry) end(s *Session, cause fanout.EndCause, code wire.Code, reason string) bool {
	e, ok := r.remove(s, code, reason)
	if !ok {
		return false
	}
	s.link.forget(s)
	if !e.wasOpen {
		return true // its login will be refused
	}
	if cause == fanout.EndConflict || cause == fanout.EndKicked {
		s.conn.Push(s.peer, closedBody(code, reason), fanout.ClassReply, fanout.Hold{})
	}
	r.tell(s, fanout.Ended{Actor: s.actor, Token: s.token, Room: e.room, Cause: cause, Code: code, Reason: reason})
	return true
}

// tell tells the engine of the end of a session, or leaves that to announced if
// the engine does not know the session yet.
func (r *Registry) tell(s *Session, e fanout.Ended) {
	s.mu.Lock()
	known := s.announced
	if !known {
		s.owed = &e
	}
	s.mu.Unlock()
	if known {
		r.ended(e)
	}
}

// announced says that the engine knows the session.
func (r *Registry) announced(s *Session) {
	s.mu.Lock()
	s.announced = true
	owed := s.owed
	s.mu.Unlock()
	if owed != nil {
		r.ended(*owed)
	}
}

// Online returns those of the clients that have an open session, in the order
// given.
func (r *Registry) Online(app string, clients []string) []string {
	a := r.app(app)
	if a == nil {
		return nil
	}
	var online []string
	for _, client := range clients {
		if a.online(client) {
			online = append(online, client)
		}
	}
	return online
}

// OnlineCount is the number of clients of an app that have an open session.
func (r *Registry) OnlineCount(app string) int {
	if a := r.app(app); a != nil {
		return int(a.count.Load())
	}
	return 0
}

// Sessions is the number of open sessions of the process.
func (r *Registry) Sessions() int {
	n := 0
	for i := range r.refs {
		r.refs[i].RLock()
		n += len(r.refs[i].sessions)
		r.refs[i].RUnlock()
	}
	return n
}

// RoomJoin puts a session into a chat room. A session is in one room at most:
// left is the one that it was in before, empty if none or the same. ok is false
// if the session has ended.
func (r *Registry) RoomJoin(ref fanout.SessionRef, cid string) (left string, ok bool) {
	s := r.session(ref)
	if s == nil {
		return "", false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return "", false
	case s.room == cid:
		return "", true
	}
	left = s.room
	if left != "" {
		s.index.leave(s, left)
	}
	s.room = cid
	s.index.join(s, cid)
	return left, true
}

// RoomLeave takes a session out of a chat room and tells whether it was there.
func (r *Registry) RoomLeave(ref fanout.SessionRef, cid string) bool {
	s := r.session(ref)
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if cid == "" || s.room != cid {
		return false
	}
	s.index.leave(s, cid)
	s.room = ""
	return true
}

// RoomOf is the chat room that a session is in; empty: none.
func (r *Registry) RoomOf(ref fanout.SessionRef) string {
	s := r.session(ref)
	if s == nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.room
}

// RoomCount is the number of clients in a chat room.
func (r *Registry) RoomCount(app, cid string) int {
	if a := r.app(app); a != nil {
		return a.roomCount(cid)
	}
	return 0
}

// RoomMembers returns up to n clients that are in a chat room, in no order.
func (r *Registry) RoomMembers(app, cid string, n int) []string {
	if a := r.app(app); a != nil && n > 0 {
		return a.roomMembers(cid, n)
	}
	return nil
}

// Subscribed says that a client subscribes a service conversation, or no longer.
// Only its open sessions matter: later ones bring their subscriptions along.
func (r *Registry) Subscribed(app, client, cid string, on bool) {
	a := r.app(app)
	if a == nil {
		return
	}
	for _, s := range a.sessions(client) {
		s.subscribe(cid, on)
	}
}

// Kick closes all sessions of a client and tells them why; an empty reason is
// the code's name. It returns how many there were. The connections stay open.
// The engine is told of each end before Kick returns, so no lock that it needs
// may be held.
func (r *Registry) Kick(app, client string, code wire.Code, reason string) int {
	a := r.app(app)
	if a == nil {
		return 0
	}
	if reason == "" {
		reason = code.Name()
	}
	n := 0
	for _, s := range a.sessions(client) {
		if r.end(s, fanout.EndKicked, code, reason) {
			n++
		}
	}
	return n
}

// SetWill sets what happens when the session's connection is lost. will is
// called once, without a lock held; it is dropped when the session ends in any
// other way, when the server shuts down, or by the next will. SetWill returns
// false, and will is never called, if the session has ended.
func (r *Registry) SetWill(ref fanout.SessionRef, will func()) bool {
	s := r.session(ref)
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.will = will
	return true
}

// Publish pushes an event to its receivers, or has that done if they are many.
// Events that are published one after the other reach a session in that order.
func (r *Registry) Publish(ev *fanout.Event) {
	a := r.app(ev.App)
	if a == nil {
		return
	}
	d := delivery{ev: ev}
	if ev.Hold.Session != 0 {
		if s := r.session(ev.Hold.Session); s != nil {
			d.actor = s.conn
		}
	}
	p := parcel{delivery: d, spread: &r.spread}
	switch ev.Kind {
	case fanout.TargetClients:
		if len(ev.Clients) > p.spread.inline {
			p.many = len(ev.Clients)
		}
		for _, client := range ev.Clients {
			a.toClient(client, &p)
		}
	case fanout.TargetRoom:
		a.toRoom(ev.Conv, &p)
	case fanout.TargetSubscribers:
		a.toSubscribers(ev.Conv, &p)
	case fanout.TargetEveryone:
		if n := int(a.count.Load()); n > p.spread.inline {
			p.many = n
		}
		a.toEveryone(&p)
	case fanout.TargetSession:
		if s := r.session(ev.Session); s != nil {
			p.to(s)
		}
	}
	p.send()
}

// Delivered returns when what was published is with the connections, or when ctx
// ends. What is published meanwhile is waited for as well.
func (r *Registry) Delivered(ctx context.Context) { r.spread.waitUntil(ctx) }

// Close waits until what was published is with the connections. They must be
// closed before, and nothing may be published any more.
func (r *Registry) Close() { r.spread.wait() }

// delivery is an event on its way to its receivers.
type delivery struct {
	ev    *fanout.Event
	actor *transport.Conn // the connection on which the event is held; nil: none
}

// concerns tells whether a session is to get the event.
func (d delivery) concerns(s *Session) bool {
	ev := d.ev
	return s.ref != ev.Except && s.caps&ev.NeedCaps == ev.NeedCaps && (!ev.Counts || !s.actor.Offline)
}

func (d delivery) push(s *Session) {
	s.conn.Push(s.peer, d.ev.Body, d.ev.Class, d.hold(s.conn))
}

// hold is what the event waits for on a connection.
func (d delivery) hold(conn *transport.Conn) fanout.Hold {
	if d.actor != conn {
		return fanout.Hold{}
	}
	return d.ev.Hold
}
