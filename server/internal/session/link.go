package session

import (
	"sync"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/limit"
	"github.com/leanrtm/realtime/server/internal/transport"
)

// link is one connection with its sessions.
type link struct {
	m        *Manager
	conn     *transport.Conn
	originOK bool
	worker   uint8 // of its sessions

	lanes *lanes // slow commands; made when first needed, by the reader

	mu       sync.Mutex
	sessions []*Session // in the order in which they were opened; one may be opening
	leaving  []*Session // have logged out, which waits for their slow commands
}

// Command implements transport.Receiver.
func (l *link) Command(cmd *pb.GenericCommand) (done bool) {
	r := newRequest(l, cmd)
	if r == nil {
		return true // the server shuts down
	}
	switch cmd.GetCmd() {
	case pb.CommandType_echo:
		l.echo(r)
		r.finish()
	case pb.CommandType_session:
		l.conn.Uncork()
		l.session(r)
	default:
		s := l.find(cmd)
		if s == nil {
			r.fail(wire.CodeSessionRequired, "")
			r.finish()
			return false
		}
		return l.dispatch(r, s)
	}
	return false
}

// find returns the session that a command belongs to: that of its peerId, or
// without one the first opened that is still open. nil: none.
func (l *link) find(cmd *pb.GenericCommand) *Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.sessions {
		if cmd.GetPeerId() != "" && cmd.GetPeerId() != s.client {
			continue
		}
		if cmd.GetAppId() != "" && cmd.GetAppId() != s.actor.App {
			continue
		}
		return s
	}
	return nil
}

func (l *link) sessionOf(app, client string) *Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return ofClient(l.sessions, app, client)
}

// ofClient returns the session of a client, nil if there is none.
func ofClient(sessions []*Session, app, client string) *Session {
	for _, s := range sessions {
		if s.client == client && s.actor.App == app {
			return s
		}
	}
	return nil
}

// full tells whether there may be no more sessions.
func (l *link) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return limit.Exceeds(len(l.sessions)+1, l.m.cfg.Limits.SessionsConn)
}

// attach adds a session, in the place of the one that it replaces.
func (l *link) attach(s, replaces *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.sessions {
		if l.sessions[i] == replaces {
			l.sessions[i] = s
			return
		}
	}
	l.sessions = append(l.sessions, s)
}

// forget removes a session. No-op if it is not there.
func (l *link) forget(s *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sessions = without(l.sessions, s)
	l.leaving = without(l.leaving, s)
}

// without returns a list without a session. It leaves the given one as it is.
func without(list []*Session, s *Session) []*Session {
	for i := range list {
		if list[i] == s {
			return append(list[:i:i], list[i+1:]...)
		}
	}
	return list
}

// depart keeps commands from finding a session that is to end a little later.
func (l *link) depart(s *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sessions = without(l.sessions, s)
	l.leaving = append(l.leaving, s)
}

// departing returns the session of a client that has logged out and has not ended,
// nil if there is none.
func (l *link) departing(app, client string) *Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return ofClient(l.leaving, app, client)
}

// dispatch executes a command of a session: here, or on a goroutine of the
// connection if it may take long or comes after one that does. It returns true if
// the command was executed and answered, so that nobody needs it any more.
func (l *link) dispatch(r *request, s *Session) (done bool) {
	r.Actor = s.actor
	r.peer = s.client
	switch r.Cmd.GetCmd() {
	case pb.CommandType_conv, pb.CommandType_patch, pb.CommandType_blacklist:
		if h := r.Hold(); h != (fanout.Hold{}) && r.answers {
			r.wait = l.conn.Expect(h)
		}
	}
	way := l.m.cfg.Way(r.Cmd)
	key := laneKey{s, way.Conv}
	if !way.Slow && (!way.Ordered || !l.lanes.busy(key)) {
		l.conn.Cork()
		l.execute(r)
		return l.m.reuse(r)
	}
	l.conn.Uncork()
	if l.lanes == nil {
		l.lanes = newLanes()
	}
	l.lanes.add(key, way.Ordered, func() {
		defer l.ended(r)
		l.m.cfg.Dispatch(l.m.ctx, &r.Request)
	})
	return false
}

func (l *link) execute(r *request) {
	defer r.finish()
	l.m.cfg.Dispatch(l.m.ctx, &r.Request)
}

// ended ends a command that did not run on the reader. It is to be deferred.
func (l *link) ended(r *request) {
	if p := recover(); p != nil {
		l.conn.Panicked(p)
	}
	r.finish()
}

// Closed implements transport.Receiver: the sessions end with their connection.
func (l *link) Closed(why transport.Why) {
	l.mu.Lock()
	sessions := l.sessions
	l.sessions = nil
	l.mu.Unlock()
	reg := l.m.cfg.Registry
	for _, s := range sessions {
		e, ok := reg.remove(s, why.Code, why.Reason)
		if !ok || !e.wasOpen {
			continue
		}
		if e.will != nil && !why.Drained {
			e.will()
		}
		reg.tell(s, fanout.Ended{Actor: s.actor, Token: s.token, Room: e.room, Cause: fanout.EndLost, Code: why.Code, Reason: why.Reason})
	}
	l.lanes.wait()
}
