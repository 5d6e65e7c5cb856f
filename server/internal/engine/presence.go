package engine

import (
	"context"
	"sync"
	"time"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/store"
)

// enter puts the caller's session into a chat room. Presence is never stored and
// nobody is told.
func (e *Engine) enter(ctx context.Context, a *app, by Cause, cid string, clients []string) (Outcome, error) {
	if !onlySelf(by, distinct(clients)) || by.Session == 0 {
		return Outcome{}, refuse(wire.CodeNormalConversationRequired, "clients enter chat rooms by themselves")
	}
	c, err := e.lock(ctx, a, cid)
	if err != nil {
		return Outcome{}, err
	}
	defer c.mu.Unlock()
	out := Outcome{Updated: c.meta.Updated}
	if c.lists.isBlocked(by.Client) {
		out.fail(by.Client, wire.CodeBlockedByConv, "")
		return out, nil
	}
	// Under the lock, so that a client that is being blocked is either refused here
	// or thrown out there.
	if _, ok := e.sessions.RoomJoin(by.Session, cid); !ok {
		return Outcome{}, refuse(wire.CodeSessionRequired, "")
	}
	out.Allowed = []string{by.Client}
	return out, nil
}

func (e *Engine) leave(ctx context.Context, a *app, by Cause, cid string, clients []string) (Outcome, error) {
	if !onlySelf(by, distinct(clients)) || by.Session == 0 {
		return Outcome{}, refuse(wire.CodeNormalConversationRequired, "clients leave chat rooms by themselves")
	}
	c, err := e.lock(ctx, a, cid)
	if err != nil {
		return Outcome{}, err
	}
	defer c.mu.Unlock()
	e.sessions.RoomLeave(by.Session, cid)
	return Outcome{Allowed: []string{by.Client}, Updated: c.meta.Updated}, nil
}

// subscribe subscribes a service conversation, or ends the subscription.
// Administrators do it for others.
func (e *Engine) subscribe(ctx context.Context, a *app, by Cause, cid string, clients []string, on bool) (Outcome, error) {
	clients = distinct(clients)
	if !by.Admin && !onlySelf(by, clients) {
		return Outcome{}, refuse(wire.CodeNormalConversationRequired, "clients subscribe by themselves")
	}
	keys := make([]store.MemberKey, len(clients))
	for i, client := range clients {
		keys[i] = store.MemberKey{Cid: cid, Client: client}
	}
	c, err := e.lock(ctx, a, cid)
	if err != nil {
		return Outcome{}, err
	}
	defer c.mu.Unlock()
	have, err := e.store.FindMembers(ctx, a.ID, keys)
	if err != nil {
		return Outcome{}, e.broken(wire.CodeConversationInternalError, "read subscribers", err)
	}
	st := e.begin(c.hash)
	defer st.end()
	out := Outcome{Updated: c.meta.Updated}
	var b store.Batch
	for i, client := range clients {
		switch {
		case !validClient(client):
			out.fail(client, wire.CodeConversationAPIFailed, "invalid client id")
			continue
		case on && c.lists.isBlocked(client):
			out.fail(client, wire.CodeBlockedByConv, "")
			continue
		case on && have[i] == nil:
			m := store.Member{Client: client, Joined: joinTime(e.now(), c.head)}
			b.Ops = append(b.Ops, &store.PutMember{Cid: cid, Member: m})
		case !on && have[i] != nil:
			b.Ops = append(b.Ops, &store.DropMember{Cid: cid, Client: client})
		}
		out.Allowed = append(out.Allowed, client)
	}
	if len(b.Ops) > 0 {
		c.gen++
		if err := e.commit(ctx, c, b); err != nil {
			if err == errStale { // it was dropped
				return Outcome{}, refuse(wire.CodeConversationNotFound, "")
			}
			return Outcome{}, err
		}
	}
	for _, client := range out.Allowed {
		e.sessions.Subscribed(a.ID, client, cid, on)
	}
	return out, nil
}

// returns knows the chat rooms that lost sessions were in. It goes by the chain of
// session tokens and not by client: another device of the same client was never
// in the room.
type returns struct {
	mu    sync.Mutex
	open  map[string]fanout.SessionRef // the newest open session of each chain
	notes map[string]roomNote          // of chains without an open session
	sweep int                          // number of notes at which ended ones are looked for
}

type roomNote struct {
	cid   string
	until int64
}

const firstSweep = 1024

// opened notes a new session. It returns the room of the chain's last session, or
// that session itself if it has not ended yet: a client may be back before its
// old connection is known to be dead.
func (r *returns) opened(token string, ref fanout.SessionRef, now int64) (cid string, old fanout.SessionRef) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil {
		r.open, r.notes, r.sweep = make(map[string]fanout.SessionRef), make(map[string]roomNote), firstSweep
	}
	old = r.open[token]
	r.open[token] = ref
	if n, ok := r.notes[token]; ok {
		delete(r.notes, token)
		if now < n.until {
			cid = n.cid
		}
	}
	return cid, old
}

// ended forgets a session. A room other than "" is kept for the next session of
// the chain, unless that is here already.
func (r *returns) ended(token string, ref fanout.SessionRef, n roomNote, now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open[token] != ref {
		return
	}
	delete(r.open, token)
	if n.cid == "" {
		return
	}
	if len(r.notes) >= r.sweep {
		for t, old := range r.notes {
			if now >= old.until {
				delete(r.notes, t)
			}
		}
		r.sweep = max(firstSweep, 2*len(r.notes))
	}
	r.notes[token] = n
}

// rejoin puts a session that came back into the chat room that it was in.
func (e *Engine) rejoin(ctx context.Context, a *app, l *fanout.Login) {
	cid, old := a.returns.opened(l.Token, l.Actor.Session, e.now())
	if cid == "" && old != 0 {
		cid = e.sessions.RoomOf(old)
	}
	if cid == "" || !l.Reopen {
		return
	}
	c, err := e.lock(ctx, a, cid)
	if err != nil {
		return // the room is gone, there is nothing to be in
	}
	defer c.mu.Unlock()
	if !c.lists.isBlocked(l.Actor.Client) {
		e.sessions.RoomJoin(l.Actor.Session, cid)
	}
}

// noteRoom remembers the room of a session that was lost.
func (e *Engine) noteRoom(a *app, x *fanout.Ended) {
	now := e.now()
	var n roomNote
	if x.Cause == fanout.EndLost || x.Cause == fanout.EndSuperseded {
		n = roomNote{cid: x.Room, until: now + int64(e.roomRejoin/time.Millisecond)}
	}
	a.returns.ended(x.Token, x.Actor.Session, n, now)
}
