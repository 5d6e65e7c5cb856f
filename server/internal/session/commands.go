package session

import (
	"time"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/limit"
)

// session serves the session commands.
func (l *link) session(r *request) {
	if r.Cmd.Op != nil && r.Cmd.GetOp() == pb.OpType_close {
		l.leave(r)
		return
	}
	defer r.finish()
	op := r.Cmd.GetOp()
	if r.Cmd.Op != nil && op == pb.OpType_open {
		l.open(r)
		return
	}
	s := l.find(r.Cmd)
	if s == nil {
		r.fail(wire.CodeSessionRequired, "")
		return
	}
	r.Actor, r.peer = s.actor, s.client
	switch {
	case r.Cmd.Op == nil:
		r.fail(wire.CodeInternalError, "session command without op")
	case op == pb.OpType_refresh:
		l.refresh(r, s)
	case op == pb.OpType_query:
		l.query(r, s)
	default:
		r.fail(wire.CodeInternalError, "unknown session command "+op.String())
	}
}

// echo answers heartbeats, which need no session, with or without an i.
func (l *link) echo(r *request) {
	if s := l.find(r.Cmd); s != nil {
		r.peer = s.client
	}
	r.send(&pb.GenericCommand{Cmd: pb.CommandType_echo.Enum()})
	if r.answers {
		r.done()
	}
}

// leave logs out, after everything that the client asked before. From now on it
// has no session to ask anything more.
func (l *link) leave(r *request) {
	s := l.find(r.Cmd)
	if s == nil {
		r.fail(wire.CodeSessionRequired, "")
		r.finish()
		return
	}
	r.Actor, r.peer = s.actor, s.client
	l.depart(s)
	if later := l.lanes.logout(s, func() {
		defer l.ended(r)
		l.logout(r, s)
	}); later {
		return
	}
	defer r.finish()
	l.logout(r, s)
}

// logout ends a session that has departed, unless a login of the same client did
// already, and answers.
func (l *link) logout(r *request, s *Session) {
	// The end comes first: once the client knows, nothing may find the session.
	l.m.cfg.Registry.end(s, fanout.EndLogout, 0, "")
	l.forget(s)
	r.reply(sessionCommand(pb.OpType_closed, &pb.SessionCommand{}))
}

// refresh answers an old token, of any age, with a new one.
func (l *link) refresh(r *request, s *Session) {
	m, b := l.m, r.Cmd.GetSessionMessage()
	claims, err := m.cfg.Tokens.Parse(b.GetSt())
	if err != nil || claims.App != s.actor.App || claims.Client != s.client {
		r.fail(wire.CodeSessionTokenExpired, "")
		return
	}
	app := m.cfg.Apps[s.actor.App]
	// Shipped clients do not sign this. The token of this very session, which is
	// open, says no less than a signature; one that is shown has to be right.
	proven := claims.ID == s.token && b.GetS() == ""
	if app.VerifyLogin && claims.Expired(time.Now(), m.cfg.TokenTTL) && !proven {
		if err := m.cfg.VerifyLogin(app, s.client, b.GetT(), b.GetN(), b.GetS()); err != nil {
			r.fail(wire.CodeSignatureFailed, err.Error())
			return
		}
	}
	r.reply(sessionCommand(pb.OpType_refreshed, m.issue(s.actor, s.token)))
}

// query tells which of some clients are online.
func (l *link) query(r *request, s *Session) {
	ids := r.Cmd.GetSessionMessage().GetSessionPeerIds()
	ids = ids[:limit.Clamp(len(ids), l.m.cfg.Limits.OnlineQuery)]
	r.reply(sessionCommand(pb.OpType_query_result, &pb.SessionCommand{
		OnlineSessionPeerIds: l.m.cfg.Registry.Online(s.actor.App, ids),
	}))
}
