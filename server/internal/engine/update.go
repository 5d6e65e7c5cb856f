package engine

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/hook"
	"github.com/leanrtm/realtime/server/internal/store"
	"github.com/leanrtm/realtime/server/internal/where"
)

// maxAttributes is how large the attributes of a conversation may grow, in bytes
// of JSON.
const maxAttributes = 128 << 10

// Updated is a change of attributes that was made.
type Updated struct {
	At       int64           // the conversation's new time of change
	Modified json.RawMessage // the resulting values of the top-level keys that were touched
}

// Update changes attributes of a conversation. Keys may have dots, values may be
// operations. Members may do it, in chat rooms those present and the creator,
// for service conversations administrators only.
func (e *Engine) Update(ctx context.Context, by Cause, cid string, changes json.RawMessage) (Updated, error) {
	a, err := e.app(by.App)
	if err != nil {
		return Updated{}, err
	}
	c, err := e.lock(ctx, a, cid)
	if err != nil {
		return Updated{}, err
	}
	err = e.mayUpdate(c, by)
	c.mu.Unlock()
	if err != nil {
		return Updated{}, err
	}
	if changes, _, err = e.askUpdate(ctx, a, by, cid, changes, nil); err != nil {
		return Updated{}, err
	}
	var done Updated
	err = retry(func() error {
		done, err = e.update(ctx, a, by, cid, changes)
		return err
	})
	return done, err
}

func (e *Engine) mayUpdate(c *conv, by Cause) error {
	switch {
	case c.kind() == store.KindTemporary:
		return refuse(wire.CodeConversationReadOnly, "temporary conversations cannot be changed")
	case by.Admin:
		return nil
	case c.kind() == store.KindService:
		return refuse(wire.CodeConversationReadOnly, "clients cannot change a service conversation")
	case c.kind() == store.KindNormal && c.has(by.Client):
		return nil
	case c.kind() == store.KindRoom &&
		(by.Client == c.meta.Creator || by.Session != 0 && e.sessions.RoomOf(by.Session) == c.cid):
		return nil
	}
	return refuse(wire.CodeConversationUpdateRejected, "")
}

func (e *Engine) update(ctx context.Context, a *app, by Cause, cid string, changes json.RawMessage) (Updated, error) {
	c, err := e.lock(ctx, a, cid)
	if err != nil {
		return Updated{}, err
	}
	defer c.mu.Unlock()
	if err := e.mayUpdate(c, by); err != nil {
		return Updated{}, err
	}
	old, err := where.ParseObject(c.meta.Attrs)
	if err != nil {
		return Updated{}, e.broken(wire.CodeConversationInternalError, "read attributes", err)
	}
	o, touched, err := old.Apply(changes, e.where, reserved)
	if err != nil {
		var bad *where.Error
		if errors.As(err, &bad) {
			return Updated{}, refuse(wire.CodeConversationUpdateFailed, bad.Error())
		}
		return Updated{}, err
	}
	if len(touched) == 0 {
		return Updated{At: c.meta.Updated, Modified: json.RawMessage("{}")}, nil
	}
	meta := c.changed(e.now())
	meta.Attrs = o.Text()
	if len(meta.Attrs) > maxAttributes {
		return Updated{}, refuse(wire.CodeConversationUpdateFailed, "the attributes would be too large")
	}
	modified := o.Pick(touched...).Text()
	b := store.Batch{Guards: []store.Guard{c.version()}, Ops: []store.Op{&store.PutConv{Conv: meta}}}
	if c.kind() != store.KindNormal {
		// Nobody is told of changes of chat rooms and service conversations.
		err = e.commit(ctx, c, b)
	} else {
		n := notice{
			op: pb.OpType_updated, cid: cid, initBy: by.initBy(), updated: meta.Updated,
			attr: withoutReserved(changes), result: modified,
		}
		err = e.announceUpdate(ctx, c, by, b, n)
	}
	if err != nil {
		return Updated{}, err
	}
	c.meta = meta
	return Updated{At: meta.Updated, Modified: modified}, nil
}

// withoutReserved is what the members are told was asked for. It was parsed
// before.
func withoutReserved(changes json.RawMessage) json.RawMessage {
	o, err := where.ParseObject(changes)
	if err != nil {
		return json.RawMessage("{}")
	}
	var keys []string
	for key := range o.All() {
		name := key
		for i := range len(key) {
			if key[i] == '.' {
				name = key[:i]
				break
			}
		}
		if reserved(name) {
			keys = append(keys, key)
		}
	}
	return o.Without(keys...).Text()
}

// announceUpdate is announce for the one group notice that its author's session
// does not get.
func (e *Engine) announceUpdate(ctx context.Context, c *conv, by Cause, b store.Batch, n notice) error {
	st := e.begin(c.hash)
	defer st.end()
	c.app.lane.mu.Lock()
	defer c.app.lane.mu.Unlock()
	ts := c.app.lane.next(e.now())
	b.Ops = append(b.Ops, &store.AddEvent{Cid: c.cid, Event: store.Event{TS: ts, Op: n.name(), Body: n.body()}})
	if err := e.commit(ctx, c, b); err != nil {
		return err
	}
	e.sessions.Publish(&fanout.Event{
		App: c.app.ID, Kind: fanout.TargetClients, Clients: c.ids, Except: by.Session,
		Class: fanout.ClassStored, Body: n.frame(ts), Hold: by.Hold,
	})
	return nil
}

// askUpdate asks the hook about new attributes or a new mute setting. It returns
// what is to be done, which the hook may have changed.
func (e *Engine) askUpdate(ctx context.Context, a *app, by Cause, cid string, attr json.RawMessage, mute *bool) (json.RawMessage, *bool, error) {
	h := e.hooks.ConversationUpdate
	if h == nil {
		return attr, mute, nil
	}
	ev := &hook.ConversationUpdate{App: a.ID, InitBy: by.initBy(), ConvID: cid, Attr: attr, Mute: mute}
	v, ok := decide(ctx, e, "conversation update", func(ctx context.Context) (hook.UpdateVerdict, error) { return h(ctx, ev) })
	switch {
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case !ok:
		return attr, mute, nil
	case v.Reject:
		return nil, nil, rejected(v.Verdict)
	}
	if v.Attr != nil && attr != nil {
		attr = v.Attr
	}
	if v.Mute != nil && mute != nil {
		mute = v.Mute
	}
	return attr, mute, nil
}

// Mute turns the offline pushes of a conversation off or on for clients: for
// itself as a client, for anybody as an administrator. It returns the
// conversation's time of change. In chat rooms it has no effect.
func (e *Engine) Mute(ctx context.Context, by Cause, cid string, clients []string, on bool) (int64, error) {
	a, kind, err := e.kindOf(ctx, by, cid)
	if err != nil {
		return 0, err
	}
	if kind == store.KindTemporary {
		return 0, refuse(wire.CodeConversationReadOnly, "")
	}
	_, wanted, err := e.askUpdate(ctx, a, by, cid, nil, &on)
	if err != nil {
		return 0, err
	}
	clients = distinct(clients)
	if kind == store.KindService {
		return e.muteService(ctx, a, by, cid, clients, *wanted)
	}
	var at int64
	err = retry(func() error {
		at, err = e.mute(ctx, a, by, cid, clients, *wanted)
		return err
	})
	return at, err
}

func (e *Engine) mute(ctx context.Context, a *app, by Cause, cid string, clients []string, on bool) (int64, error) {
	c, err := e.lock(ctx, a, cid)
	if err != nil {
		return 0, err
	}
	defer c.mu.Unlock()
	if c.kind() == store.KindRoom {
		return c.meta.Updated, nil
	}
	var put []store.Member
	b := store.Batch{Guards: []store.Guard{c.version()}}
	for _, client := range clients {
		m := c.member(client)
		if m == nil {
			if by.Admin {
				continue
			}
			return 0, refuse(wire.CodeConversationMembershipRequired, "")
		}
		if m.Muted != on {
			changed := *m
			changed.Muted = on
			put = append(put, changed)
			b.Ops = append(b.Ops, &store.PutMember{Cid: cid, Member: changed})
		}
	}
	if len(put) == 0 {
		return c.meta.Updated, nil
	}
	meta := c.changed(e.now())
	b.Ops = append(b.Ops, &store.PutConv{Conv: meta})
	if err := e.commit(ctx, c, b); err != nil {
		return 0, err
	}
	c.meta = meta
	c.setMembers(withMembers(c.members, put, nil))
	return meta.Updated, nil
}

// muteService is kept with the subscription; the conversation itself does not
// change.
func (e *Engine) muteService(ctx context.Context, a *app, by Cause, cid string, clients []string, on bool) (int64, error) {
	c, err := e.lock(ctx, a, cid)
	if err != nil {
		return 0, err
	}
	defer c.mu.Unlock()
	keys := make([]store.MemberKey, len(clients))
	for i, client := range clients {
		keys[i] = store.MemberKey{Cid: cid, Client: client}
	}
	members, err := e.store.FindMembers(ctx, a.ID, keys)
	if err != nil {
		return 0, e.broken(wire.CodeConversationInternalError, "read subscribers", err)
	}
	var b store.Batch
	for _, m := range members {
		switch {
		case m == nil && !by.Admin:
			return 0, refuse(wire.CodeConversationMembershipRequired, "")
		case m != nil && m.Muted != on:
			changed := *m
			changed.Muted = on
			b.Ops = append(b.Ops, &store.PutMember{Cid: cid, Member: changed})
		}
	}
	if len(b.Ops) > 0 {
		if err := e.commit(ctx, c, b); err != nil {
			return 0, unavailable(err)
		}
	}
	return c.meta.Updated, nil
}

// Muted returns the members who turned the offline pushes of a conversation off.
func (e *Engine) Muted(ctx context.Context, by Cause, cid string) ([]string, error) {
	return e.membersWhere(ctx, by, cid, muted)
}

// Members returns the members of a conversation, sorted.
func (e *Engine) Members(ctx context.Context, by Cause, cid string) ([]string, error) {
	return e.membersWhere(ctx, by, cid, func(*store.Member) bool { return true })
}

func (e *Engine) membersWhere(ctx context.Context, by Cause, cid string, want func(*store.Member) bool) ([]string, error) {
	a, err := e.app(by.App)
	if err != nil {
		return nil, err
	}
	c, err := e.lock(ctx, a, cid)
	if err != nil {
		return nil, err
	}
	members, allowed := c.members, c.mayRead(by)
	c.mu.Unlock()
	if !allowed {
		return nil, refuse(wire.CodeConversationMembershipRequired, "")
	}
	ids := make([]string, 0, len(members))
	for i := range members {
		if want(&members[i]) {
			ids = append(ids, members[i].Client)
		}
	}
	return ids, nil
}

// Delete deletes a conversation with everything that belongs to it. Nobody is
// told.
func (e *Engine) Delete(ctx context.Context, by Cause, cid string) error {
	a, err := e.app(by.App)
	if err != nil {
		return err
	}
	c, err := e.lock(ctx, a, cid)
	if err != nil {
		return err
	}
	kind := c.kind()
	err = e.drop(ctx, c)
	c.mu.Unlock()
	if err != nil || kind != store.KindService {
		return err
	}
	var gone []Cast
	for _, b := range a.casts.valid(e.now()) {
		if b.Cid == cid {
			gone = append(gone, b)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return e.dropCasts(ctx, a, slices.Clone(gone))
}
