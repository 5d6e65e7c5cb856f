package engine

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/limit"
	"github.com/leanrtm/realtime/server/internal/store"
	"github.com/leanrtm/realtime/server/internal/where"
)

// ConvQuery asks for conversations.
type ConvQuery struct {
	Where []byte // JSON filter; empty or {}: the caller's own, for administrators all
	Sort  string // keys separated by commas; empty: latest message, then latest change, first
	Skip  int
	Limit int // ≤ 0: none

	Temporary []string // ids of temporary conversations; then nothing else counts
	Kinds     []store.ConvKind

	Compact  bool // without members
	WithLast bool // with the last message
}

// attrsPerCost is how many bytes of attributes a comparison reads for the cost of
// looking at a conversation.
const attrsPerCost = 2 << 10

// defaultSort is the order of results when the query has none.
const defaultSort = "-lm,-updatedAt"

// Query returns the conversations that match, as one JSON array. Whoever names a
// filter sees every conversation it matches, except temporary ones, which are
// found by their ids only.
func (e *Engine) Query(ctx context.Context, by Cause, q ConvQuery) (json.RawMessage, error) {
	a, err := e.app(by.App)
	if err != nil {
		return nil, err
	}
	n := e.pageFor(by, q.Limit, e.limits.QueryPage)
	if len(q.Temporary) > 0 {
		ids := distinct(q.Temporary)
		return e.results(ctx, a, by, &q, ids[:limit.Clamp(len(ids), e.limits.QueryPage)], true)
	}
	filter, err := where.Parse(q.Where, e.where)
	if err != nil {
		return nil, queryFailed(err)
	}
	if q.Sort == "" {
		q.Sort = defaultSort
	}
	order, err := where.ParseSort(q.Sort, e.where)
	if err != nil {
		return nil, queryFailed(err)
	}
	if n == 0 {
		return json.RawMessage("[]"), nil
	}
	found := newCollector(order, q.Skip, n)
	if err := e.collect(ctx, a, by, &q, filter, found); err != nil {
		return nil, err
	}
	return e.results(ctx, a, by, &q, found.page(q.Skip), false)
}

func queryFailed(err error) error {
	var bad *where.Error
	if errors.As(err, &bad) {
		return refuse(wire.CodeConversationQueryFailed, bad.Error())
	}
	return err
}

// collect walks along the best access path and keeps what matches.
func (e *Engine) collect(ctx context.Context, a *app, by Cause, q *ConvQuery, filter *where.Filter, found *collector) error {
	load, weight := store.Load(0), filter.Weight()
	for _, field := range []string{fieldMembers, fieldMuted} {
		if filter.Uses(field) || found.order.Uses(field) {
			load = store.LoadMembers
		}
	}
	if load != 0 {
		weight *= 2
	}
	terms := 3*weight + found.order.Len() // each may read all of the attributes
	cost, now := 0, e.now()
	most := e.queryCost
	if by.Admin { // who may see everything may look at everything
		most = math.MaxInt
	}
	var seen map[string]struct{} // made where a conversation may come twice
	newestFirst := false
	d := new(document)
	take := func(c *store.Conv) bool {
		if newestFirst && found.complete(c.Created) {
			return false
		}
		if cost += weight + terms*len(c.Attrs)/attrsPerCost; cost > most {
			return false
		}
		if c.Kind == store.KindTemporary || len(q.Kinds) > 0 && !slices.Contains(q.Kinds, c.Kind) {
			return true
		}
		if _, twice := seen[c.Cid]; twice {
			return true
		}
		*d = document{c: c, now: now}
		if filter.Match(d) {
			if seen != nil {
				seen[c.Cid] = struct{}{}
			}
			found.add(c, d)
		}
		return true
	}
	plan := filter.Plan()
	var err error
	switch {
	case plan.HasIDs:
		err = e.eachOf(ctx, a, plan.IDs, load, take)
	case filter.Empty() && !by.Admin:
		err = e.scan(ctx, a, store.Access{
			Path: store.ByMember, Client: by.Client, Kinds: []store.ConvKind{store.KindNormal}, Load: load,
		}, take)
	case len(plan.Members) > 0:
		err = e.scan(ctx, a, store.Access{
			Path: store.ByMember, Client: pick(plan.Members, by.Client), Kinds: []store.ConvKind{store.KindNormal}, Load: load,
		}, take)
	case len(plan.AnyMember) > 0:
		seen = make(map[string]struct{})
		for _, client := range plan.AnyMember {
			if err = e.scan(ctx, a, store.Access{
				Path: store.ByMember, Client: client, Kinds: []store.ConvKind{store.KindNormal}, Load: load,
			}, take); err != nil {
				break
			}
		}
	default:
		kinds := kindsOf(&plan, q.Kinds)
		if len(kinds) == 0 {
			return nil
		}
		newestFirst = true
		err = e.scan(ctx, a, store.Access{Path: store.ByKind, Kinds: kinds, Load: load}, take)
	}
	if err != nil {
		return err
	}
	if cost > most {
		return refuse(wire.CodeConversationQueryFailed, "too many conversations to look at, narrow the filter")
	}
	return nil
}

func (e *Engine) scan(ctx context.Context, a *app, access store.Access, take func(*store.Conv) bool) error {
	if err := e.store.Scan(ctx, a.ID, access, take); err != nil {
		return e.broken(wire.CodeConversationQueryFailed, "query conversations", err)
	}
	return nil
}

func (e *Engine) eachOf(ctx context.Context, a *app, cids []string, load store.Load, take func(*store.Conv) bool) error {
	found, err := e.store.Convs(ctx, a.ID, cids, load)
	if err != nil {
		return e.broken(wire.CodeConversationQueryFailed, "query conversations", err)
	}
	for _, c := range found {
		if c != nil && !take(c) {
			break
		}
	}
	return nil
}

// pick prefers the caller's own conversations: it has few compared to what a
// popular account may have.
func pick(members []string, me string) string {
	if slices.Contains(members, me) {
		return me
	}
	return members[0]
}

// kindsOf are the kinds that can match, except temporary ones.
func kindsOf(p *where.Plan, only []store.ConvKind) []store.ConvKind {
	var kinds []store.ConvKind
	for _, k := range []store.ConvKind{store.KindNormal, store.KindRoom, store.KindService} {
		if len(only) > 0 && !slices.Contains(only, k) ||
			p.ConvTypes != nil && !slices.Contains(p.ConvTypes, int64(k)) ||
			!fits(p.Room, k == store.KindRoom) || !fits(p.Service, k == store.KindService) ||
			p.Temporary == where.Yes {
			continue
		}
		kinds = append(kinds, k)
	}
	return kinds
}

func fits(m where.Marker, is bool) bool {
	return m == where.Either || (m == where.Yes) == is
}

// results renders conversations in the given order, leaving out those that are
// gone by now.
func (e *Engine) results(ctx context.Context, a *app, by Cause, q *ConvQuery, cids []string, temporary bool) (json.RawMessage, error) {
	load := store.Load(0)
	if !q.Compact {
		load |= store.LoadMembers
	}
	if q.WithLast {
		load |= store.LoadLast
	}
	found, err := e.store.Convs(ctx, a.ID, cids, load)
	if err != nil {
		return nil, e.broken(wire.CodeConversationQueryFailed, "read conversations", err)
	}
	var keys []store.MemberKey
	for _, c := range found {
		if c != nil && c.Kind == store.KindService {
			keys = append(keys, store.MemberKey{Cid: c.Cid, Client: by.Client})
		}
	}
	subscriptions := make(map[string]*store.Member)
	if len(keys) > 0 && !by.Admin {
		members, err := e.store.FindMembers(ctx, a.ID, keys)
		if err != nil {
			return nil, e.broken(wire.CodeConversationQueryFailed, "read subscriptions", err)
		}
		for i, m := range members {
			subscriptions[keys[i].Cid] = m
		}
	}
	now := e.now()
	b := append(make([]byte, 0, 512*(len(found)+1)), '[')
	for _, c := range found {
		if c == nil || (c.Kind == store.KindTemporary) != temporary || c.TTLEnd != 0 && now >= c.TTLEnd {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = render(b, c, view{
			compact: q.Compact, withLast: q.WithLast, me: subscriptions[c.Cid], client: !by.Admin, now: now,
		})
	}
	return append(b, ']'), nil
}

// Count returns how many are in a conversation: members, subscribers, or clients
// present in a chat room.
func (e *Engine) Count(ctx context.Context, by Cause, cid string) (int, error) {
	a, err := e.app(by.App)
	if err != nil {
		return 0, err
	}
	c, err := e.lock(ctx, a, cid)
	if err != nil {
		return 0, err
	}
	kind, n := c.kind(), len(c.ids)
	c.mu.Unlock()
	switch kind {
	case store.KindRoom:
		return e.sessions.RoomCount(a.ID, cid), nil
	case store.KindService:
		found, err := e.store.Convs(ctx, a.ID, []string{cid}, 0)
		if err != nil {
			return 0, e.broken(wire.CodeConversationInternalError, "count subscribers", err)
		}
		if found[0] == nil {
			return 0, refuse(wire.CodeConversationNotFound, "")
		}
		return int(found[0].Count), nil
	}
	return n, nil
}

// Present returns up to n clients that are in a chat room, in no order. It answers
// 4316 for other kinds.
func (e *Engine) Present(ctx context.Context, by Cause, cid string, n int) ([]string, error) {
	a, kind, err := e.kindOf(ctx, by, cid)
	if err != nil {
		return nil, err
	}
	if kind != store.KindRoom {
		return nil, refuse(wire.CodeTransientConversationRequired, "")
	}
	return e.sessions.RoomMembers(a.ID, cid, n), nil
}

// IsMember tells for each conversation whether the caller is in it: as a member,
// a subscriber, or, in a chat room, present with its session.
func (e *Engine) IsMember(ctx context.Context, by Cause, cids []string) (map[string]bool, error) {
	a, err := e.app(by.App)
	if err != nil {
		return nil, err
	}
	cids = distinct(cids)
	in := make(map[string]bool, len(cids))
	keys := make([]store.MemberKey, len(cids))
	for i, cid := range cids {
		keys[i] = store.MemberKey{Cid: cid, Client: by.Client}
	}
	members, err := e.store.FindMembers(ctx, a.ID, keys)
	if err != nil {
		return nil, e.broken(wire.CodeConversationInternalError, "read memberships", err)
	}
	room := ""
	if by.Session != 0 {
		room = e.sessions.RoomOf(by.Session)
	}
	for i, cid := range cids {
		in[cid] = members[i] != nil || room != "" && cid == room
	}
	return in, nil
}
