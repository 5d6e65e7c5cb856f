package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/leanrtm/realtime/internal/mutant"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/store"
)

// dedupFor is how long a send is known again by its token.
const dedupFor = 10 * time.Minute

// Send sends a message to a conversation. The same token of the same client in
// the same conversation gives the same answer for ten minutes and delivers
// once. Administrators send in the name of by.Client, who need not be a member.
func (e *Engine) Send(ctx context.Context, by Cause, cid string, o *Outgoing) (Sent, error) {
	a, err := e.app(by.App)
	if err != nil {
		return Sent{}, err
	}
	if err := e.check(o); err != nil {
		return Sent{}, err
	}
	m := e.message(by, o)
	for range staleTries {
		sent, err := e.send(ctx, a, by, cid, o, m)
		if err != errStale {
			return sent, err
		}
	}
	return Sent{}, refuse(wire.CodeInternalError, "the conversation keeps changing")
}

func (e *Engine) send(ctx context.Context, a *app, by Cause, cid string, o *Outgoing, m *store.Message) (Sent, error) {
	c, err := e.target(ctx, a, by, cid)
	if err != nil {
		return Sent{}, err
	}
	to := recipients(c, by, o)
	if o.Will {
		c.mu.Unlock()
		return e.setWill(ctx, a, by, cid, o, to)
	}
	if c.kind() == store.KindService {
		c.mu.Unlock()
		return e.sendToService(ctx, a, by, cid, o)
	}
	if e.hooks.MessageReceived != nil {
		// A retry of a message that is stored already is not asked about again.
		c.mu.Unlock()
		if s, ok, err := e.sentBefore(ctx, a, by, cid, o); ok || err != nil {
			return s, err
		}
		asked, only, err := e.askMessage(ctx, a, by, cid, o, to, false)
		if err != nil {
			return Sent{}, err
		}
		if asked != o {
			o, m = asked, e.message(by, asked)
		}
		if c, err = e.target(ctx, a, by, cid); err != nil {
			return Sent{}, err
		}
		to = narrowed(recipients(c, by, o), by.Client, only)
	}
	err = e.deliver(ctx, c, by, o, m, to)
	c.mu.Unlock()
	if err != nil {
		return sentOr(err)
	}
	e.wasSent(a, by, c.cid, m, o, to, false)
	return Sent{Mid: m.Mid, TS: m.TS}, nil
}

// sentOr is the answer to a send that did not store a message: a success if an
// earlier attempt did.
func sentOr(err error) (Sent, error) {
	var before *store.SentError
	if errors.As(err, &before) {
		return Sent{Mid: before.Mid, TS: before.TS}, nil
	}
	return Sent{}, err
}

// target returns the conversation, locked, if the caller may send to it.
func (e *Engine) target(ctx context.Context, a *app, by Cause, cid string) (*conv, error) {
	c, err := e.lock(ctx, a, cid)
	if err != nil {
		if is(err, wire.CodeConversationNotFound) && !temporaryID(cid) {
			return nil, refuse(wire.CodeInvalidMessagingTarget, "no such conversation")
		}
		return nil, err
	}
	if err := e.maySend(c, by); err != nil {
		c.mu.Unlock()
		return nil, err
	}
	return c, nil
}

func temporaryID(cid string) bool {
	return len(cid) > len(wire.TemporaryPrefix) && cid[:len(wire.TemporaryPrefix)] == wire.TemporaryPrefix
}

// maySend decides on a locked conversation. Administrators may always.
func (e *Engine) maySend(c *conv, by Cause) error {
	switch {
	case by.Admin:
		return nil
	case listed(c.kind()) && !c.has(by.Client):
		return refuse(wire.CodeInvalidMessagingTarget, "not a member")
	case c.lists.isBlocked(by.Client):
		return refuse(wire.CodeBlockedByConv, "")
	case c.lists.isShutup(by.Client):
		return refuse(wire.CodeSilenced, "")
	case c.lists.isSilenced(by.Client, e.now()):
		return refuse(wire.CodeConversationTemporaryBlacklisted, "")
	}
	return nil
}

// recipients are the members whose sessions get the message; nil for a chat
// room. The sender is among them, for its other sessions.
func recipients(c *conv, by Cause, o *Outgoing) []string {
	if !o.NoSync || !c.has(by.Client) {
		return c.ids
	}
	return slices.DeleteFunc(slices.Clone(c.ids), func(id string) bool { return id == by.Client })
}

// deliver appends the message to the conversation's log, unless it is transient,
// and pushes it. c is locked.
func (e *Engine) deliver(ctx context.Context, c *conv, by Cause, o *Outgoing, m *store.Message, to []string) error {
	if o.Transient {
		if s, ok := e.resent.find(sendKey(c.app, by, c.cid, o.Token), e.now()); ok {
			return &store.SentError{Mid: s.Mid, TS: s.TS}
		}
	}
	st := e.begin(c.hash)
	defer st.end()
	m.TS = e.nextTS(c.head)
	if o.Transient {
		e.resent.put(sendKey(c.app, by, c.cid, o.Token), Sent{Mid: m.Mid, TS: m.TS}, e.now())
	} else {
		m.Seq = c.head.Seq + 1
		if err := e.append(ctx, c, store.ViewMain, m, o.Token); err != nil {
			return err
		}
		c.advance(&c.head, m)
		c.last = m
	}
	d := delivery{cid: c.cid, kind: c.kind(), m: m, transient: o.Transient}
	ev := &fanout.Event{
		App: c.app.ID, Kind: fanout.TargetClients, Conv: c.cid, Clients: to, Except: by.Session,
		Class: class(c.kind(), o), Body: d.frame(), NeedCaps: c.needCaps(),
	}
	if c.kind() == store.KindRoom {
		ev.Kind, ev.Clients = fanout.TargetRoom, nil
	}
	if !o.Transient {
		ev.Log, ev.Seq = c.log(store.ViewMain), m.Seq
	}
	e.sessions.Publish(ev)
	return nil
}

// advance moves a head to the message that was appended.
func (c *conv) advance(h *store.Head, m *store.Message) {
	if h.Seq == 0 && h.TS == 0 {
		h.FirstSeq = m.Seq
	}
	h.Seq, h.TS, h.Mid = m.Seq, m.TS, m.Mid
	c.gen++
}

// appending is everything that a batch for one message points to, in one piece.
// The message itself is not in it: it stays in the store.
type appending struct {
	batch  [1]store.Batch
	guards [1]store.Guard
	ops    [1]store.Op
	append store.Append
	fresh  store.NewSend
}

// append writes a message to one of the logs of a locked conversation. A message
// that was sent before gives *store.SentError.
func (e *Engine) append(ctx context.Context, c *conv, view string, m *store.Message, token string, more ...store.Op) error {
	x := &appending{append: store.Append{Cid: c.cid, View: view, Msg: m}}
	x.ops[0] = &x.append
	b := &x.batch[0]
	b.App, b.Ops = c.app.ID, x.ops[:]
	if token != "" && !mutant.On(mutant.ForgetsTokens) {
		x.append.Token, x.append.TokenEnd = token, m.TS+dedupFor.Milliseconds()
		x.fresh = store.NewSend{Client: m.From, Cid: c.cid, Token: token, Now: e.now()}
		x.guards[0] = &x.fresh
		b.Guards = x.guards[:]
	}
	if len(more) > 0 {
		b.Ops = append(b.Ops, more...)
	}
	errs := e.store.Commit(ctx, x.batch[:])
	if errs == nil {
		return nil
	}
	err := errs[0]
	if err == nil {
		return nil
	}
	var before *store.SentError
	if errors.As(err, &before) {
		return before
	}
	if stale(err) {
		c.retire()
		return errStale
	}
	if errors.Is(err, store.ErrInDoubt) && e.isStored(ctx, c, view, m) {
		return nil
	}
	c.retire() // whatever was written, the cache does not know it
	return e.broken(wire.CodeInternalError, "store message", err)
}

// isStored finds out what became of a message whose commit has no known outcome:
// the sender must neither be told of a message that is not there, nor be made to
// store it twice. If that cannot be found out now, a retry with the same token
// will.
func (e *Engine) isStored(ctx context.Context, c *conv, view string, m *store.Message) bool {
	found, err := e.store.FindMessage(context.WithoutCancel(ctx), c.log(view), m.Pos())
	return err == nil && found != nil
}

// class says how badly a message is wanted by slow receivers.
func class(kind store.ConvKind, o *Outgoing) fanout.Class {
	if kind != store.KindRoom {
		if o.Transient {
			return fanout.ClassRoomLow
		}
		return fanout.ClassStored
	}
	switch o.Priority {
	case wire.PriorityHigh:
		return fanout.ClassRoomHigh
	case wire.PriorityLow:
		return fanout.ClassRoomLow
	}
	if o.Transient {
		return fanout.ClassRoomLow
	}
	return fanout.ClassRoomNormal
}

// sentBefore looks for an earlier attempt of the same send.
func (e *Engine) sentBefore(ctx context.Context, a *app, by Cause, cid string, o *Outgoing) (Sent, bool, error) {
	if o.Token == "" {
		return Sent{}, false, nil
	}
	if o.Transient {
		s, ok := e.resent.find(sendKey(a, by, cid, o.Token), e.now())
		return s, ok, nil
	}
	s, ok, err := e.store.Sent(ctx, sendKey(a, by, cid, o.Token))
	if err != nil {
		return Sent{}, false, e.broken(wire.CodeInternalError, "look for message", err)
	}
	return Sent{Mid: s.Mid, TS: s.TS}, ok && s.End > e.now(), nil
}

func sendKey(a *app, by Cause, cid, token string) store.SendKey {
	return store.SendKey{App: a.ID, Client: by.Client, Cid: cid, Token: token}
}

// recentLimit bounds the memory of sends that are not stored.
const recentLimit = 1 << 15

// recentSends knows sends again that leave no trace in the store: transient
// messages and wills. It forgets in halves, after the dedup time or when full.
type recentSends struct {
	mu       sync.Mutex
	cur, old map[store.SendKey]Sent
	since    int64
}

func (r *recentSends) turn(now int64) {
	if r.cur != nil && len(r.cur) < recentLimit && now-r.since < dedupFor.Milliseconds() {
		return
	}
	r.old, r.cur, r.since = r.cur, make(map[store.SendKey]Sent), now
}

func (r *recentSends) find(key store.SendKey, now int64) (Sent, bool) {
	if key.Token == "" {
		return Sent{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.cur[key]
	if !ok {
		s, ok = r.old[key]
	}
	return s, ok && now-s.TS < dedupFor.Milliseconds()
}

func (r *recentSends) put(key store.SendKey, s Sent, now int64) {
	if key.Token == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	r.cur[key] = s
}
