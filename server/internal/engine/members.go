package engine

import (
	"context"
	"slices"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/hook"
	"github.com/leanrtm/realtime/server/internal/limit"
	"github.com/leanrtm/realtime/server/internal/sign"
	"github.com/leanrtm/realtime/server/internal/store"
)

// Add adds members to a normal conversation. A client may add itself; others are
// added by members or administrators. In a chat room the caller's session
// enters, a service conversation is subscribed.
func (e *Engine) Add(ctx context.Context, by Cause, cid string, clients []string, s sign.Signature) (Outcome, error) {
	a, kind, err := e.kindOf(ctx, by, cid)
	if err != nil {
		return Outcome{}, err
	}
	if err := e.verifyMembers(a, by, cid, clients, sign.Invite, s); err != nil {
		return Outcome{}, err
	}
	switch kind {
	case store.KindTemporary:
		return Outcome{}, refuse(wire.CodeConversationReadOnly, "members of temporary conversations are fixed")
	case store.KindRoom:
		return e.enter(ctx, a, by, cid, clients)
	case store.KindService:
		return e.subscribe(ctx, a, by, cid, clients, true)
	}
	return e.addMembers(ctx, a, by, cid, distinct(clients))
}

// Remove removes members of a normal conversation. Members may leave; whom else
// they may remove depends on their roles. In a chat room the caller's session
// leaves, a service conversation is not subscribed any more.
func (e *Engine) Remove(ctx context.Context, by Cause, cid string, clients []string, s sign.Signature) (Outcome, error) {
	a, kind, err := e.kindOf(ctx, by, cid)
	if err != nil {
		return Outcome{}, err
	}
	if err := e.verifyMembers(a, by, cid, clients, sign.Kick, s); err != nil {
		return Outcome{}, err
	}
	switch kind {
	case store.KindTemporary:
		return Outcome{}, refuse(wire.CodeConversationReadOnly, "members of temporary conversations are fixed")
	case store.KindRoom:
		return e.leave(ctx, a, by, cid, clients)
	case store.KindService:
		return e.subscribe(ctx, a, by, cid, clients, false)
	}
	return e.removeMembers(ctx, a, by, cid, distinct(clients))
}

// kindOf is the first look at a conversation that an operation is about.
func (e *Engine) kindOf(ctx context.Context, by Cause, cid string) (*app, store.ConvKind, error) {
	a, err := e.app(by.App)
	if err != nil {
		return nil, 0, err
	}
	c, err := e.lock(ctx, a, cid)
	if err != nil {
		return nil, 0, err
	}
	defer c.mu.Unlock()
	return a, c.kind(), nil
}

func (e *Engine) verifyMembers(a *app, by Cause, cid string, clients []string, action sign.Action, s sign.Signature) error {
	return e.verify(a, by, a.VerifyConversation, wire.CodeConversationSignatureFailed, s, func() sign.Text {
		return sign.Members(a.ID, by.Client, cid, clients, action)
	})
}

// onlySelf tells whether a client's operation is about itself and nobody else.
func onlySelf(by Cause, clients []string) bool {
	return !by.Admin && len(clients) == 1 && clients[0] == by.Client
}

func (e *Engine) addMembers(ctx context.Context, a *app, by Cause, cid string, clients []string) (Outcome, error) {
	var refused Outcome // found out without the lock, by looking at lists of clients
	self := onlySelf(by, clients)
	for _, client := range clients {
		if !validClient(client) {
			refused.fail(client, wire.CodeConversationAPIFailed, "invalid client id")
			continue
		}
		if self {
			continue
		}
		blocks, err := e.store.FindEntries(ctx, store.ListID{App: a.ID, Kind: store.ListOwnBlock, Owner: client}, []string{cid})
		if err != nil {
			return Outcome{}, e.broken(wire.CodeConversationInternalError, "read block lists", err)
		}
		if blocks[0] != nil {
			refused.fail(client, wire.CodeBlockedByConv, "the client blocks the conversation")
		}
	}
	if err := e.askMembers(ctx, a, by, cid, clients, true); err != nil {
		return Outcome{}, err
	}
	var out Outcome
	var added []string
	err := retry(func() (err error) {
		out, added, err = e.add(ctx, a, by, cid, clients, refused)
		return err
	})
	if err == nil && len(added) > 0 {
		e.membersChanged(e.hooks.ConversationAdded, a, by, cid, added)
	}
	return out, err
}

// askMembers checks that the caller may change members at all and asks the hook.
// With add false it is about removing.
func (e *Engine) askMembers(ctx context.Context, a *app, by Cause, cid string, clients []string, add bool) error {
	c, err := e.lock(ctx, a, cid)
	if err != nil {
		return err
	}
	affected := make([]string, 0, len(clients))
	for _, client := range clients {
		if c.has(client) != add {
			affected = append(affected, client)
		}
	}
	allowed := by.Admin || onlySelf(by, clients) || c.has(by.Client)
	c.mu.Unlock()
	if !allowed {
		return refuse(wire.CodeConversationMembershipRequired, "")
	}
	h, what := e.hooks.ConversationAdd, "conversation add"
	if !add {
		h, what = e.hooks.ConversationRemove, "conversation remove"
		if onlySelf(by, clients) {
			return nil // leaving is not asked about
		}
	}
	if h == nil || len(affected) == 0 {
		return nil
	}
	ev := &hook.MembersChange{App: a.ID, InitBy: by.initBy(), ConvID: cid, Members: affected}
	v, ok := decide(ctx, e, what, func(ctx context.Context) (hook.Verdict, error) { return h(ctx, ev) })
	if ok && v.Reject {
		return rejected(v)
	}
	return ctx.Err()
}

func (e *Engine) membersChanged(h func(context.Context, *hook.MembersChange), a *app, by Cause, cid string, clients []string) {
	if h == nil {
		return
	}
	ev := &hook.MembersChange{App: a.ID, InitBy: by.initBy(), ConvID: cid, Members: clients}
	e.after.do(func(ctx context.Context) { h(ctx, ev) })
}

func (e *Engine) add(ctx context.Context, a *app, by Cause, cid string, clients []string, refused Outcome) (Outcome, []string, error) {
	c, err := e.lock(ctx, a, cid)
	if err != nil {
		return Outcome{}, nil, err
	}
	defer c.mu.Unlock()
	if !by.Admin && !onlySelf(by, clients) && !c.has(by.Client) {
		return Outcome{}, nil, refuse(wire.CodeConversationMembershipRequired, "")
	}
	out := Outcome{Updated: c.meta.Updated, Failed: slices.Clone(refused.Failed)}
	failed := refused.failed()
	joined := joinTime(e.now(), c.head)
	var put []store.Member
	var added []string
	for _, client := range clients {
		switch {
		case c.has(client):
			out.Allowed = append(out.Allowed, client)
		case failed[client]:
		case c.lists.isBlocked(client):
			out.fail(client, wire.CodeBlockedByConv, "")
		case limit.Exceeds(len(c.members)+len(put)+1, e.limits.Members):
			out.fail(client, wire.CodeConversationFull, "")
		default:
			put = append(put, store.Member{Client: client, Joined: joined})
			added = append(added, client)
			out.Allowed = append(out.Allowed, client)
		}
	}
	if len(put) == 0 {
		return out, nil, nil
	}
	members := withMembers(c.members, put, nil)
	meta := c.changed(joined + 1) // after what was said before, so that clients can tell
	meta.MemberVersion++
	rekey(meta, members)
	b := store.Batch{Guards: []store.Guard{c.version()}, Ops: []store.Op{&store.PutConv{Conv: meta}}}
	for _, m := range put {
		b.Ops = append(b.Ops, &store.PutMember{Cid: cid, Member: m})
	}
	about := notice{cid: cid, initBy: by.initBy(), updated: meta.Updated}
	if err := e.announce(ctx, c, by, b, []news{
		personal(about.as(pb.OpType_joined, nil), added),
		group(about.as(pb.OpType_members_joined, added), clientsOf(members)),
	}); err != nil {
		return Outcome{}, nil, err
	}
	c.meta = meta
	c.setMembers(members)
	out.Updated = meta.Updated
	return out, added, nil
}

func (e *Engine) removeMembers(ctx context.Context, a *app, by Cause, cid string, clients []string) (Outcome, error) {
	if err := e.askMembers(ctx, a, by, cid, clients, false); err != nil {
		return Outcome{}, err
	}
	var out Outcome
	var removed []string
	err := retry(func() (err error) {
		out, removed, err = e.remove(ctx, a, by, cid, clients)
		return err
	})
	if err == nil && len(removed) > 0 {
		e.membersChanged(e.hooks.ConversationRemoved, a, by, cid, removed)
	}
	return out, err
}

func (e *Engine) remove(ctx context.Context, a *app, by Cause, cid string, clients []string) (Outcome, []string, error) {
	c, err := e.lock(ctx, a, cid)
	if err != nil {
		return Outcome{}, nil, err
	}
	defer c.mu.Unlock()
	if !by.Admin && !onlySelf(by, clients) && !c.has(by.Client) {
		return Outcome{}, nil, refuse(wire.CodeConversationMembershipRequired, "")
	}
	out := Outcome{Updated: c.meta.Updated}
	var removed []string
	for _, client := range clients {
		if !c.has(client) {
			out.Allowed = append(out.Allowed, client)
			continue
		}
		if code := c.mayRemove(by, client); code != 0 {
			out.fail(client, code, "")
			continue
		}
		removed = append(removed, client)
		out.Allowed = append(out.Allowed, client)
	}
	if len(removed) == 0 {
		return out, nil, nil
	}
	meta, members, ops := c.dropping(e.now(), removed)
	about := notice{cid: cid, initBy: by.initBy(), updated: meta.Updated}
	if err := e.announce(ctx, c, by, store.Batch{Guards: []store.Guard{c.version()}, Ops: ops}, []news{
		personal(about.as(pb.OpType_left, nil), removed),
		group(about.as(pb.OpType_members_left, removed), clientsOf(members)),
	}); err != nil {
		return Outcome{}, nil, err
	}
	c.meta = meta
	c.setMembers(members)
	out.Updated = meta.Updated
	return out, removed, nil
}

// dropping is the conversation without some members, and how to store it.
func (c *conv) dropping(now int64, clients []string) (*store.Conv, []store.Member, []store.Op) {
	members := withMembers(c.members, nil, clients)
	meta := c.changed(max(now, c.head.TS)) // what was said before belongs to the membership
	meta.MemberVersion++
	rekey(meta, members)
	ops := []store.Op{&store.PutConv{Conv: meta}}
	for _, client := range clients {
		ops = append(ops, &store.DropMember{Cid: c.cid, Client: client})
	}
	return meta, members, ops
}

func clientsOf(members []store.Member) []string {
	ids := make([]string, len(members))
	for i := range members {
		ids[i] = members[i].Client
	}
	return ids
}

// ownerStaysAbove is the number of members up to which an owner may leave.
const ownerStaysAbove = 2

// mayRemove tells with which code the removal of a member is refused, 0 if it is
// not.
func (c *conv) mayRemove(by Cause, client string) wire.Code {
	if c.app.DisableRoles || by.Admin {
		return 0
	}
	if client == by.Client {
		if c.role(client) == store.RoleOwner && len(c.members) > ownerStaysAbove {
			return wire.CodeConversationNeedOwner
		}
		return 0
	}
	if c.rank(by) < store.RoleManager || c.role(client) >= c.rank(by) {
		return wire.CodeConversationOperationUnauthorized
	}
	return 0
}

// joinTime is the stamp of a membership that begins now: what was said up to it
// is not unread to the new member, what is said later is. Stamps of a burst of
// messages run ahead of the clock, and the next message may get the stamp of
// this very millisecond, which therefore does not belong to the past.
func joinTime(now int64, head store.Head) int64 { return max(now-1, head.TS) }
