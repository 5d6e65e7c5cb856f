package engine

import (
	"context"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/limit"
	"github.com/leanrtm/realtime/server/internal/sign"
	"github.com/leanrtm/realtime/server/internal/store"
)

// Block puts clients on a conversation's blacklist, which also removes them from
// it, or takes them off. They and the members are told.
func (e *Engine) Block(ctx context.Context, by Cause, cid string, clients []string, on bool, s sign.Signature) (Outcome, error) {
	a, _, err := e.kindOf(ctx, by, cid)
	if err != nil {
		return Outcome{}, err
	}
	if a.DisableBlacklist && !by.Admin {
		return Outcome{}, refuse(wire.CodeBlacklistFeatureDisabled, "")
	}
	if err := e.verify(a, by, a.VerifyBlacklist, wire.CodeBlacklistSignatureFailed, s, func() sign.Text {
		return sign.Members(a.ID, by.Client, cid, clients, pick2(on, sign.BlockClients, sign.UnblockClients))
	}); err != nil {
		return Outcome{}, err
	}
	clients = distinct(clients)
	var out Outcome
	err = retry(func() error {
		out, err = e.block(ctx, a, by, cid, clients, on)
		return err
	})
	return out, err
}

func (e *Engine) block(ctx context.Context, a *app, by Cause, cid string, clients []string, on bool) (Outcome, error) {
	c, err := e.lock(ctx, a, cid)
	if err != nil {
		return Outcome{}, err
	}
	defer c.mu.Unlock()
	if err := mayModerate(c, by, clients); err != nil {
		return Outcome{}, err
	}
	out := Outcome{Updated: c.meta.Updated}
	now := e.now()
	var ops []store.Op
	var changed, removed []string
	for _, client := range clients {
		switch {
		case !validClient(client):
			out.fail(client, wire.CodeConversationAPIFailed, "invalid client id")
			continue
		case c.lists.isBlocked(client) == on:
		case on && limit.Exceeds(len(c.lists.blocked)+len(changed)+1, listLimit(e.limits.BlockedList, c.kind())):
			out.fail(client, wire.CodeBlacklistFull, "")
			continue
		default:
			changed = append(changed, client)
			ops = append(ops, listOp(store.ListBlocked, cid, client, by, now, on))
			if on && c.has(client) {
				removed = append(removed, client)
			}
		}
		out.Allowed = append(out.Allowed, client)
	}
	if len(changed) == 0 {
		return out, nil
	}
	meta, members := c.meta, c.members
	if len(removed) > 0 {
		var drop []store.Op
		meta, members, drop = c.dropping(now, removed)
		ops = append(ops, drop...)
	}
	var unsubscribed []string
	if on && c.kind() == store.KindService {
		for _, client := range changed {
			ops = append(ops, &store.DropMember{Cid: cid, Client: client})
			unsubscribed = append(unsubscribed, client)
		}
	}
	var all []news
	if c.kind() == store.KindNormal {
		about := notice{cid: cid, initBy: by.initBy(), updated: meta.Updated}
		to := clientsOf(members)
		all = append(all, personal(about.as(pick2(on, pb.OpType_blocked, pb.OpType_unblocked), nil), changed))
		if len(removed) > 0 {
			all = append(all, personal(about.as(pb.OpType_left, nil), removed))
		}
		all = append(all, group(about.as(pick2(on, pb.OpType_members_blocked, pb.OpType_members_unblocked), changed), to))
		if len(removed) > 0 {
			all = append(all, group(about.as(pb.OpType_members_left, removed), to))
		}
	}
	if err := e.announce(ctx, c, by, store.Batch{Guards: []store.Guard{c.version()}, Ops: ops}, all); err != nil {
		return Outcome{}, err
	}
	c.meta = meta
	c.setMembers(members)
	c.lists.blocked = withIDs(c.lists.blocked, changed, on)
	for _, client := range unsubscribed {
		e.sessions.Subscribed(a.ID, client, cid, false)
	}
	if on && c.kind() == store.KindRoom {
		for _, client := range changed {
			e.sessions.RoomEvict(a.ID, client, cid)
		}
	}
	out.Updated = meta.Updated
	return out, nil
}

// BlockConvs puts conversations on a client's own blacklist, so that nobody can
// add it to them, or takes them off. A signature covers one conversation.
func (e *Engine) BlockConvs(ctx context.Context, by Cause, client string, cids []string, on bool, s sign.Signature) (Outcome, error) {
	a, err := e.ownList(by, client)
	if err != nil {
		return Outcome{}, err
	}
	cids = distinct(cids)
	for _, cid := range cids {
		if err := e.verify(a, by, a.VerifyBlacklist, wire.CodeBlacklistSignatureFailed, s, func() sign.Text {
			return sign.Convs(a.ID, client, cid, pick2(on, sign.BlockConvs, sign.UnblockConvs))
		}); err != nil {
			return Outcome{}, err
		}
	}
	list := store.ListID{App: a.ID, Kind: store.ListOwnBlock, Owner: client}
	count, err := e.store.CountEntries(ctx, list)
	if err != nil {
		return Outcome{}, e.broken(wire.CodeConversationInternalError, "count list", err)
	}
	have, err := e.store.FindEntries(ctx, list, cids)
	if err != nil {
		return Outcome{}, e.broken(wire.CodeConversationInternalError, "read list", err)
	}
	var out Outcome
	b := store.Batch{App: a.ID}
	for i, cid := range cids {
		switch {
		case (have[i] != nil) == on:
		case on && limit.Exceeds(count+len(b.Ops)+1, listLimit(e.limits.BlockedList, store.KindNormal)):
			out.fail(cid, wire.CodeBlacklistFull, "")
			continue
		default:
			b.Ops = append(b.Ops, listOp(store.ListOwnBlock, client, cid, by, e.now(), on))
		}
		out.Allowed = append(out.Allowed, cid)
	}
	if len(b.Ops) == 0 {
		return out, nil
	}
	if err := store.CommitOne(ctx, e.store, b); err != nil {
		return Outcome{}, e.broken(wire.CodeConversationInternalError, "write list", err)
	}
	return out, nil
}

// BlockedConvs returns a page of a client's own blacklist, as List does.
func (e *Engine) BlockedConvs(ctx context.Context, by Cause, client, after string, n int) (cids []string, next string, err error) {
	a, err := e.ownList(by, client)
	if err != nil {
		return nil, "", err
	}
	return e.listPage(ctx, store.ListID{App: a.ID, Kind: store.ListOwnBlock, Owner: client}, after, n)
}

// CheckConvs returns those of the conversations that are on a client's own
// blacklist.
func (e *Engine) CheckConvs(ctx context.Context, by Cause, client string, cids []string) ([]string, error) {
	a, err := e.ownList(by, client)
	if err != nil {
		return nil, err
	}
	return e.listed(ctx, store.ListID{App: a.ID, Kind: store.ListOwnBlock, Owner: client}, distinct(cids))
}

// ownList checks that a client's own list is its own.
func (e *Engine) ownList(by Cause, client string) (*app, error) {
	a, err := e.app(by.App)
	switch {
	case err != nil:
		return nil, err
	case a.DisableBlacklist && !by.Admin:
		return nil, refuse(wire.CodeBlacklistFeatureDisabled, "")
	case !by.Admin && client != by.Client:
		return nil, refuse(wire.CodeConversationOperationUnauthorized, "")
	}
	return a, nil
}
