package engine

import (
	"context"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/store"
)

// setWill keeps a message for the moment when the caller's connection is lost.
// The sender learns its id now; it is delivered with the time of then.
func (e *Engine) setWill(ctx context.Context, a *app, by Cause, cid string, o *Outgoing, to []string) (Sent, error) {
	key := sendKey(a, by, cid, o.Token)
	if s, ok := e.resent.find(key, e.now()); ok {
		return s, nil
	}
	o, only, err := e.askMessage(ctx, a, by, cid, o, to, false)
	if err != nil {
		return Sent{}, err
	}
	m := e.message(by, o)
	s := Sent{Mid: m.Mid, TS: e.now()}
	if by.Session == 0 || !e.sessions.SetWill(by.Session, func() { e.fireWill(a, by, cid, m, only) }) {
		return Sent{}, refuse(wire.CodeSessionRequired, "a will needs an open session")
	}
	e.resent.put(key, s, s.TS)
	return s, nil
}

// fireWill delivers a will to those online, if its sender may still speak there.
// It is marked as transient, for that is what it is to its receivers: they
// neither count nor acknowledge it. only are the clients that a hook left for it,
// nil: all.
func (e *Engine) fireWill(a *app, by Cause, cid string, m *store.Message, only []string) {
	ctx, cancel := context.WithTimeout(context.Background(), e.hookTimeout)
	defer cancel()
	c, err := e.target(ctx, a, by, cid)
	if err != nil {
		return
	}
	defer c.mu.Unlock()
	if c.kind() == store.KindService {
		return // nobody is there to get it
	}
	dated := *m
	dated.TS = e.nextTS(c.head)
	d := delivery{cid: cid, kind: c.kind(), m: &dated, transient: true}
	ev := &fanout.Event{
		App: a.ID, Kind: fanout.TargetClients, Conv: cid, Clients: narrowed(c.ids, by.Client, only), Except: by.Session,
		Class: fanout.ClassStored, Body: d.frame(), NeedCaps: c.needCaps(),
	}
	if c.kind() == store.KindRoom {
		ev.Kind, ev.Clients, ev.Class = fanout.TargetRoom, nil, fanout.ClassRoomHigh
	}
	e.sessions.Publish(ev)
}
