package engine

import (
	"context"
	"slices"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/hook"
	"github.com/leanrtm/realtime/server/internal/store"
)

// A service conversation has several logs. What an app says to all subscribers
// and to everybody is in one log each, stored once. What passes between it and
// one client is in that client's own log. What clients say to it is, for the
// app, in the inbound log too; both copies have the same position.

// MaxAddressees is how many clients one message of a service can be for.
const MaxAddressees = 20

// sendToService stores a client's message to a service conversation, for the app
// and for the client itself. Nobody else gets it.
func (e *Engine) sendToService(ctx context.Context, a *app, by Cause, cid string, o *Outgoing) (Sent, error) {
	if by.Admin {
		return Sent{}, refuse(wire.CodeNormalConversationRequired, "a service conversation is sent to by broadcasting or to named clients")
	}
	if s, ok, err := e.sentBefore(ctx, a, by, cid, o); ok || err != nil {
		return s, err
	}
	o, _, err := e.askMessage(ctx, a, by, cid, o, nil, true)
	if err != nil {
		return Sent{}, err
	}
	m := e.message(by, o)
	c, err := e.target(ctx, a, by, cid)
	if err != nil {
		return Sent{}, err
	}
	defer c.mu.Unlock()
	if c.kind() != store.KindService { // another one of the same id by now
		return Sent{}, refuse(wire.CodeInvalidMessagingTarget, "no such conversation")
	}
	if err := e.appendToService(ctx, c, by, o, m); err != nil {
		return sentOr(err)
	}
	if h := e.hooks.ServiceMessage; h != nil && !o.Transient {
		ev := &hook.ServiceMessage{
			App: a.ID, ConvID: cid, MessageID: m.Mid, From: m.From, FromIP: m.IP, Content: content(m), Timestamp: m.TS,
		}
		e.after.do(func(ctx context.Context) { h(ctx, ev) })
	}
	e.wasSent(a, by, cid, m, o, nil, true)
	return Sent{Mid: m.Mid, TS: m.TS}, nil
}

func (e *Engine) appendToService(ctx context.Context, c *conv, by Cause, o *Outgoing, m *store.Message) error {
	if o.Transient {
		if s, ok := e.resent.find(sendKey(c.app, by, c.cid, o.Token), e.now()); ok {
			return &store.SentError{Mid: s.Mid, TS: s.TS}
		}
	}
	st := e.begin(c.hash)
	defer st.end()
	view := store.ClientView(by.Client)
	own, err := e.head(ctx, c, view)
	if err != nil {
		return err
	}
	m.TS = e.nextTS(own, c.service.inbound)
	d := delivery{cid: c.cid, kind: c.kind(), m: m, transient: o.Transient}
	ev := &fanout.Event{
		App: c.app.ID, Kind: fanout.TargetClients, Conv: c.cid, Clients: []string{by.Client}, Except: by.Session,
		Class: class(c.kind(), o), Body: d.frame(),
	}
	if o.Transient {
		e.resent.put(sendKey(c.app, by, c.cid, o.Token), Sent{Mid: m.Mid, TS: m.TS}, e.now())
	} else {
		m.Seq = own.Seq + 1
		inbound := *m
		inbound.Seq = c.service.inbound.Seq + 1
		if err := e.append(ctx, c, view, m, o.Token,
			&store.Append{Cid: c.cid, View: store.ViewInbound, Msg: &inbound},
			c.addressed(by.Client)); err != nil {
			return unavailable(err)
		}
		c.advance(&c.service.inbound, &inbound)
		ev.Log, ev.Seq = c.log(view), m.Seq
	}
	e.sessions.Publish(ev)
	return nil
}

// head reads the head of a client's own log. c is locked: nobody else can append
// there meanwhile.
func (e *Engine) head(ctx context.Context, c *conv, view string) (store.Head, error) {
	heads, err := e.store.Heads(ctx, []store.LogID{c.log(view)})
	if err != nil {
		return store.Head{}, e.broken(wire.CodeInternalError, "read log", err)
	}
	return heads[0], nil
}

// addressed records that a client has a log of its own, so that a login finds it
// without a subscription.
func (c *conv) addressed(client string) store.Op {
	return &store.PutRecord{Record: &store.Record{
		Kind: store.RecordAddressed, Key: store.Key(client, c.cid), Version: 1,
	}}
}

// unavailable turns the sign that an operation should start again into an answer,
// where starting again is not worth the while: a service conversation is stale
// only when it was dropped.
func unavailable(err error) error {
	if err == errStale {
		return refuse(wire.CodeInvalidMessagingTarget, "no such conversation")
	}
	return err
}

// service returns a service conversation, locked, for an administrator.
func (e *Engine) service(ctx context.Context, by Cause, cid string) (*conv, error) {
	a, err := e.app(by.App)
	if err != nil {
		return nil, err
	}
	if !by.Admin {
		return nil, refuse(wire.CodeConversationNotAllowed, "only the app speaks as a service")
	}
	c, err := e.lock(ctx, a, cid)
	if err != nil {
		return nil, err
	}
	if c.kind() != store.KindService {
		c.mu.Unlock()
		return nil, refuse(wire.CodeSystemConversationRequired, "")
	}
	return c, nil
}

// SendTo sends a message of a service conversation to some clients, in the name
// of by.Client. Each of them has it in its own log. Unless o.NoSync is set, the
// named sender's sessions get the push too. As with Send, the same token gives
// the same answer and sends once; so it does in the two broadcasts.
func (e *Engine) SendTo(ctx context.Context, by Cause, cid string, clients []string, o *Outgoing) (Sent, error) {
	if err := e.check(o); err != nil {
		return Sent{}, err
	}
	clients = distinct(clients)
	if len(clients) == 0 || len(clients) > MaxAddressees || slices.ContainsFunc(clients, func(id string) bool { return !validClient(id) }) {
		return Sent{}, refuse(wire.CodeInvalidMessagingTarget, "a message is for 1 to 20 clients")
	}
	c, err := e.service(ctx, by, cid)
	if err != nil {
		return Sent{}, err
	}
	if e.hooks.MessageReceived != nil {
		a := c.app
		c.mu.Unlock()
		if s, ok, err := e.sentBefore(ctx, a, by, cid, o); ok || err != nil {
			return s, err
		}
		asked, only, err := e.askMessage(ctx, a, by, cid, o, clients, true)
		if err != nil {
			return Sent{}, err
		}
		o, clients = asked, narrowed(clients, "", only)
		if c, err = e.service(ctx, by, cid); err != nil {
			return Sent{}, err
		}
	}
	defer c.mu.Unlock()
	return e.sendTo(ctx, c, by, clients, o)
}

// sendTo stores a message in the logs of some clients of a locked service
// conversation, and pushes it. There may be none left of them.
func (e *Engine) sendTo(ctx context.Context, c *conv, by Cause, clients []string, o *Outgoing) (Sent, error) {
	cid, m := c.cid, e.message(by, o)
	if s, ok, err := e.sentBefore(ctx, c.app, by, cid, o); ok || err != nil {
		return s, err
	}
	logs := make([]store.LogID, len(clients))
	for i, client := range clients {
		logs[i] = c.log(store.ClientView(client))
	}
	heads, err := e.store.Heads(ctx, logs)
	if err != nil {
		return Sent{}, e.broken(wire.CodeInternalError, "read logs", err)
	}
	st := e.begin(c.hash)
	defer st.end()
	m.TS = e.nextTS(heads...)
	seqs := make([]int64, len(clients))
	if o.Transient {
		e.resent.put(sendKey(c.app, by, cid, o.Token), Sent{Mid: m.Mid, TS: m.TS}, e.now())
	} else {
		b := store.Batch{}
		for i, client := range clients {
			copied := *m
			copied.Seq = heads[i].Seq + 1
			seqs[i] = copied.Seq
			op := &store.Append{Cid: cid, View: logs[i].View, Msg: &copied}
			if i == 0 && o.Token != "" { // one row tells of all copies
				op.Token, op.TokenEnd = o.Token, m.TS+dedupFor.Milliseconds()
			}
			b.Ops = append(b.Ops, op, c.addressed(client))
		}
		if err := e.commit(ctx, c, b); err != nil {
			return Sent{}, unavailable(err)
		}
		c.gen++
	}
	d := delivery{cid: cid, kind: c.kind(), m: m, transient: o.Transient}
	body := d.frame()
	for i, client := range clients {
		e.sessions.Publish(&fanout.Event{
			App: c.app.ID, Kind: fanout.TargetClients, Conv: cid, Clients: []string{client},
			Class: class(c.kind(), o), Body: body, Log: logs[i], Seq: seqs[i],
		})
	}
	if !o.NoSync && by.Client != "" && !slices.Contains(clients, by.Client) {
		e.push(c, Cause{}, []string{by.Client}, class(c.kind(), o), body)
	}
	e.wasSent(c.app, by, cid, m, o, clients, true)
	return Sent{Mid: m.Mid, TS: m.TS}, nil
}

// BroadcastToSubscribers sends a message of a service conversation to everybody
// who subscribes it. It is stored once, however many they are.
func (e *Engine) BroadcastToSubscribers(ctx context.Context, by Cause, cid string, o *Outgoing) (Sent, error) {
	if err := e.check(o); err != nil {
		return Sent{}, err
	}
	m := e.message(by, o)
	c, err := e.service(ctx, by, cid)
	if err != nil {
		return Sent{}, err
	}
	defer c.mu.Unlock()
	if s, ok, err := e.sentBefore(ctx, c.app, by, cid, o); ok || err != nil {
		return s, err
	}
	st := e.begin(c.hash)
	defer st.end()
	m.TS = e.nextTS(c.head)
	ev := &fanout.Event{App: c.app.ID, Kind: fanout.TargetSubscribers, Conv: cid, Class: class(c.kind(), o)}
	if o.Transient {
		e.resent.put(sendKey(c.app, by, cid, o.Token), Sent{Mid: m.Mid, TS: m.TS}, e.now())
	} else {
		m.Seq = c.head.Seq + 1
		if err := e.append(ctx, c, store.ViewMain, m, o.Token); err != nil {
			return Sent{}, unavailable(err)
		}
		c.advance(&c.head, m)
		c.last = m
		ev.Log, ev.Seq = c.log(store.ViewMain), m.Seq
	}
	d := delivery{cid: cid, kind: c.kind(), m: m, transient: o.Transient}
	ev.Body = d.frame()
	e.sessions.Publish(ev)
	e.wasSent(c.app, by, cid, m, o, nil, true)
	return Sent{Mid: m.Mid, TS: m.TS}, nil
}
