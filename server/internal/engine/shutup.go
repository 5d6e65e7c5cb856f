package engine

import (
	"context"
	"time"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/limit"
	"github.com/leanrtm/realtime/server/internal/store"
)

// Default sizes of the lists of a conversation, and of the larger ones of chat
// rooms and service conversations.
const (
	listSize      = 500
	largeListSize = 10_000
)

// MaxSilence is how long an administrator can silence a client for a while.
const MaxSilence = 24 * time.Hour

// listLimit is how long a list of a conversation may be; set is the option.
func listLimit(set int, kind store.ConvKind) int {
	switch {
	case set != 0:
		return set
	case listed(kind):
		return listSize
	}
	return largeListSize
}

// mayModerate decides whether the caller may silence or block these clients: as
// owner or manager, those who rank below. In chat rooms the creator may, in
// service conversations only administrators.
func mayModerate(c *conv, by Cause, clients []string) error {
	if by.Admin {
		return nil
	}
	switch c.kind() {
	case store.KindTemporary:
		return refuse(wire.CodeConversationReadOnly, "members of temporary conversations are fixed")
	case store.KindService:
		return refuse(wire.CodeConversationOperationUnauthorized, "")
	case store.KindNormal:
		if !c.has(by.Client) {
			return refuse(wire.CodeConversationMembershipRequired, "")
		}
	}
	if c.rank(by) < store.RoleManager {
		return refuse(wire.CodeConversationOperationUnauthorized, "")
	}
	for _, client := range clients {
		if c.role(client) >= c.rank(by) {
			return refuse(wire.CodeConversationOperationUnauthorized, "")
		}
	}
	return nil
}

// Shutup takes from clients the right to speak in a conversation, or gives it
// back, and tells them and the members.
func (e *Engine) Shutup(ctx context.Context, by Cause, cid string, clients []string, on bool) (Outcome, error) {
	a, err := e.app(by.App)
	if err != nil {
		return Outcome{}, err
	}
	clients = distinct(clients)
	var out Outcome
	err = retry(func() error {
		out, err = e.shutup(ctx, a, by, cid, clients, on)
		return err
	})
	return out, err
}

func (e *Engine) shutup(ctx context.Context, a *app, by Cause, cid string, clients []string, on bool) (Outcome, error) {
	c, err := e.lock(ctx, a, cid)
	if err != nil {
		return Outcome{}, err
	}
	defer c.mu.Unlock()
	if a.DisableRoles && !by.Admin {
		return Outcome{}, refuse(wire.CodeConversationMemberInfoFeatureDisabled, "")
	}
	if err := mayModerate(c, by, clients); err != nil {
		return Outcome{}, err
	}
	out := Outcome{Updated: c.meta.Updated}
	now := e.now()
	var b store.Batch
	var changed []string
	for _, client := range clients {
		switch {
		case !validClient(client):
			out.fail(client, wire.CodeConversationAPIFailed, "invalid client id")
			continue
		case c.lists.isShutup(client) == on:
		case on && c.kind() == store.KindNormal && !c.has(client):
			out.fail(client, wire.CodeConversationMembershipRequired, "")
			continue
		case on && limit.Exceeds(len(c.lists.shutup)+len(changed)+1, listLimit(e.limits.ShutupList, c.kind())):
			out.fail(client, wire.CodeSilencedMemberListFull, "")
			continue
		default:
			changed = append(changed, client)
			b.Ops = append(b.Ops, listOp(store.ListShutup, cid, client, by, now, on))
		}
		out.Allowed = append(out.Allowed, client)
	}
	if len(changed) == 0 {
		return out, nil
	}
	b.Guards = []store.Guard{c.version()}
	if err := e.announce(ctx, c, by, b, c.listNews(by, changed,
		pick2(on, pb.OpType_shutuped, pb.OpType_unshutuped),
		pick2(on, pb.OpType_members_shutuped, pb.OpType_members_unshutuped))); err != nil {
		return Outcome{}, err
	}
	c.lists.shutup = withIDs(c.lists.shutup, changed, on)
	return out, nil
}

func pick2[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}

// listNews are the notices of a change of a list, for normal conversations.
func (c *conv) listNews(by Cause, changed []string, one, all pb.OpType) []news {
	if c.kind() != store.KindNormal {
		return nil
	}
	about := notice{cid: c.cid, initBy: by.initBy(), updated: c.meta.Updated}
	return []news{
		personal(about.as(one, nil), changed),
		group(about.as(all, changed), c.ids),
	}
}

func listOp(list store.ListKind, owner, id string, by Cause, now int64, on bool) store.Op {
	if on {
		return &store.PutEntry{List: list, Owner: owner, Entry: store.Entry{ID: id, Since: now, By: by.initBy()}}
	}
	return &store.DropEntry{List: list, Owner: owner, ID: id}
}

// withIDs puts ids into a set or takes them out.
func withIDs(set map[string]struct{}, ids []string, in bool) map[string]struct{} {
	if set == nil {
		set = make(map[string]struct{})
	}
	for _, id := range ids {
		if in {
			set[id] = struct{}{}
		} else {
			delete(set, id)
		}
	}
	return set
}

// Silence takes from a client the right to speak in a conversation for a while,
// at most MaxSilence; 0 gives it back. Only administrators do that.
func (e *Engine) Silence(ctx context.Context, by Cause, cid, client string, d time.Duration) error {
	a, err := e.app(by.App)
	if err != nil {
		return err
	}
	if !by.Admin {
		return refuse(wire.CodeConversationOperationUnauthorized, "")
	}
	if !validClient(client) || d < 0 || d > MaxSilence {
		return refuse(wire.CodeConversationAPIFailed, "a client is silenced for up to 24 hours")
	}
	c, err := e.lock(ctx, a, cid)
	if err != nil {
		return err
	}
	defer c.mu.Unlock()
	now := e.now()
	var b store.Batch
	kept := make(map[string]int64, len(c.lists.silenced)+1)
	for id, end := range c.lists.silenced {
		if now >= end {
			b.Ops = append(b.Ops, &store.DropEntry{List: store.ListSilenced, Owner: cid, ID: id})
		} else if id != client {
			kept[id] = end
		}
	}
	if d == 0 {
		b.Ops = append(b.Ops, &store.DropEntry{List: store.ListSilenced, Owner: cid, ID: client})
	} else {
		kept[client] = now + d.Milliseconds()
		b.Ops = append(b.Ops, &store.PutEntry{List: store.ListSilenced, Owner: cid, Entry: store.Entry{
			ID: client, Since: now, End: kept[client],
		}})
	}
	if err := e.commit(ctx, c, b); err != nil {
		return unavailable(err)
	}
	c.lists.silenced = kept
	return nil
}

// Page sizes of lists.
const (
	DefaultListPage = 10
	MaxListPage     = 100
)

// List returns a page of one of a conversation's lists, by id, and where the next
// page starts; empty: there is none. n is clamped to MaxListPage, 0 is the
// default.
func (e *Engine) List(ctx context.Context, by Cause, kind store.ListKind, cid, after string, n int) (ids []string, next string, err error) {
	a, err := e.listFor(ctx, by, kind, cid)
	if err != nil {
		return nil, "", err
	}
	return e.listPage(ctx, store.ListID{App: a.ID, Kind: kind, Owner: cid}, after, n)
}

// Check returns those of the clients that are in one of a conversation's lists.
func (e *Engine) Check(ctx context.Context, by Cause, kind store.ListKind, cid string, clients []string) ([]string, error) {
	a, err := e.listFor(ctx, by, kind, cid)
	if err != nil {
		return nil, err
	}
	return e.listed(ctx, store.ListID{App: a.ID, Kind: kind, Owner: cid}, distinct(clients))
}

// listFor checks that the caller may look at a list of a conversation.
func (e *Engine) listFor(ctx context.Context, by Cause, kind store.ListKind, cid string) (*app, error) {
	a, err := e.app(by.App)
	if err != nil {
		return nil, err
	}
	c, err := e.lock(ctx, a, cid)
	if err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	switch {
	case kind == store.ListShutup && a.DisableRoles && !by.Admin:
		return nil, refuse(wire.CodeConversationMemberInfoFeatureDisabled, "")
	case kind == store.ListBlocked && a.DisableBlacklist && !by.Admin:
		return nil, refuse(wire.CodeBlacklistFeatureDisabled, "")
	case !c.mayRead(by):
		return nil, refuse(wire.CodeConversationMembershipRequired, "")
	}
	return a, nil
}

func (e *Engine) listPage(ctx context.Context, list store.ListID, after string, n int) (ids []string, next string, err error) {
	if n <= 0 {
		n = DefaultListPage
	}
	n = min(n, MaxListPage)
	page, err := e.store.Entries(ctx, list, after, n+1)
	if err != nil {
		return nil, "", e.broken(wire.CodeConversationInternalError, "read list", err)
	}
	if len(page) > n {
		page = page[:n]
		next = page[n-1].ID
	}
	ids = make([]string, len(page))
	for i := range page {
		ids[i] = page[i].ID
	}
	return ids, next, nil
}

func (e *Engine) listed(ctx context.Context, list store.ListID, ids []string) ([]string, error) {
	entries, err := e.store.FindEntries(ctx, list, ids)
	if err != nil {
		return nil, e.broken(wire.CodeConversationInternalError, "read list", err)
	}
	now := e.now()
	var in []string
	for i, en := range entries {
		if en != nil && (en.End == 0 || now < en.End) {
			in = append(in, ids[i])
		}
	}
	return in, nil
}
