package engine

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/hook"
	"github.com/leanrtm/realtime/server/internal/store"
)

// Bounds of what a login is told of edits: a client's cursor is its own clock at
// first, which may be anything.
const (
	patchesAtLogin = 1000
	patchAge       = 30 * 24 * time.Hour
)

// frameBytes is about how large a frame of the snapshot gets.
const frameBytes = 32 << 10

// place is a conversation in which a client can have unread messages.
type place struct {
	store.Membership
	member bool  // false: a service conversation without a subscription
	floor  int64 // as in standing
	newest int64 // time of the newest message that the client can see, about
}

const placePage = 500

// places are the conversations of a client.
func (e *Engine) places(ctx context.Context, a *app, client string, floor int64) ([]place, error) {
	var all []place
	for after := ""; ; {
		page, err := e.store.Memberships(ctx, a.ID, client, after, placePage)
		if err != nil {
			return nil, e.broken(wire.CodeInternalError, "read memberships", err)
		}
		for _, m := range page {
			all = append(all, place{Membership: m, member: true, newest: m.Head.TS})
			after = m.Cid
		}
		if len(page) < placePage {
			break
		}
	}
	services := make(map[string]int) // index in all
	for i := range all {
		if all[i].Kind == store.KindService {
			all[i].newest, all[i].floor = max(all[i].newest, all[i].Own.TS), floor
			services[all[i].Cid] = i
		}
	}
	visit := func(cid string, ts int64) error {
		i, ok := services[cid]
		if !ok {
			p, err := e.visited(ctx, a, client, cid)
			if err != nil {
				return err
			}
			p.floor = floor
			all = append(all, p)
			i = len(all) - 1
			services[cid] = i
		}
		all[i].newest = max(all[i].newest, ts)
		return nil
	}
	for prefix, after := store.Key(client), ""; ; {
		page, err := e.store.Records(ctx, store.RecordAddressed, a.ID, prefix, after, placePage)
		if err != nil {
			return nil, e.broken(wire.CodeInternalError, "read addressed", err)
		}
		for _, r := range page {
			after = r.Key
			if parts, ok := store.SplitKey(r.Key); ok && len(parts) == 2 {
				if err := visit(parts[1], 0); err != nil {
					return nil, err
				}
			}
		}
		if len(page) < placePage {
			break
		}
	}
	for _, b := range a.casts.valid(e.now()) {
		if b.TS > floor {
			if err := visit(b.Cid, b.TS); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// visited is a service conversation that a client does not subscribe.
func (e *Engine) visited(ctx context.Context, a *app, client, cid string) (place, error) {
	p := place{Membership: store.Membership{Cid: cid, Kind: store.KindService}}
	p.Client = client
	own, err := e.headOf(ctx, store.LogID{App: a.ID, Cid: cid, View: store.ClientView(client)})
	if err != nil {
		return p, err
	}
	p.Own, p.newest = own, own.TS
	marks, err := e.store.Marks(ctx, a.ID, cid, []string{client})
	if err != nil {
		return p, e.broken(wire.CodeInternalError, "read marks", err)
	}
	if len(marks) > 0 {
		p.Mark = marks[0]
	}
	return p, nil
}

// countPlace counts what a client has not read of a conversation.
func (e *Engine) countPlace(ctx context.Context, a *app, client string, p *place) (unreadState, error) {
	if p.Kind == store.KindService {
		s := standing{mark: p.Mark, floor: p.floor}
		if p.member {
			s.me = &p.Member
		}
		return e.countService(ctx, a, p.Cid, client, s)
	}
	log := store.LogID{App: a.ID, Cid: p.Cid}
	u, head, err := e.count(ctx, log, client, max(p.Mark.ReadTS, p.Joined))
	if err != nil {
		return unreadState{}, err
	}
	last, err := e.lastMessage(ctx, log, head)
	return unreadState{Unread: u, last: last, told: map[store.LogID]int64{log: head.Seq}, ts: head.TS}, err
}

// Login reads what a session is told when it opens. The session is known to the
// registry and keeps pushes back meanwhile.
func (e *Engine) Login(ctx context.Context, l *fanout.Login) (*fanout.Snapshot, error) {
	a, err := e.app(l.Actor.App)
	if err != nil {
		return nil, err
	}
	// Before anything is read: what is in flight now is above it, whatever comes
	// later is pushed.
	safe := e.safe()
	client := l.Actor.Client
	known, err := e.meet(ctx, a, client)
	if err != nil {
		return nil, err
	}
	places, err := e.places(ctx, a, client, known.Floor)
	if err != nil {
		return nil, err
	}
	now := e.now()
	places = slices.DeleteFunc(places, func(p place) bool {
		return p.Kind == store.KindTemporary && (l.Actor.Caps&wire.BitTemporary == 0 || now >= p.TTLEnd)
	})
	snap := &fanout.Snapshot{ServerTS: safe, Told: make(map[store.LogID]int64)}
	for i := range places {
		if places[i].Kind == store.KindService && places[i].member {
			snap.Subscriptions = append(snap.Subscriptions, places[i].Cid)
		}
	}
	newestFirst := slices.Clone(places)
	slices.SortStableFunc(newestFirst, func(x, y place) int { return cmp.Compare(y.newest, x.newest) })
	if l.Actor.Offline {
		err = e.snapMissed(ctx, a, l, newestFirst, snap)
	} else {
		err = e.snapUnread(ctx, a, l, newestFirst, snap, safe)
	}
	if err == nil {
		err = e.snapPatches(ctx, a, l, places, snap)
	}
	for log := range snap.Told {
		a.settle(log.Cid)
	}
	return snap, err
}

// settle waits until what the store has of a conversation was pushed as well. A
// message that a login counts is then among the pushes that are kept back from
// it, where it is known as told; pushed afterwards it would count twice.
func (a *app) settle(cid string) {
	if c := a.peek(cid); c != nil {
		c.mu.Unlock()
	}
}

// snapUnread tells the unread counts that changed since the client's cursor,
// those of the latest conversations if there are too many.
func (e *Engine) snapUnread(ctx context.Context, a *app, l *fanout.Login, places []place, snap *fanout.Snapshot, safe int64) error {
	var tuples []*pb.UnreadTuple
	for i := range places {
		p := &places[i]
		if e.limits.UnreadConvs >= 0 && len(tuples) >= e.limits.UnreadConvs {
			break
		}
		// Read on another device, even if nothing is left: this one must learn it.
		readElsewhere := l.HasLastUnread && p.Mark.ReadAt > l.LastUnread
		if p.newest <= p.Mark.ReadTS && !readElsewhere {
			continue
		}
		if l.HasLastUnread && p.newest <= l.LastUnread && !readElsewhere {
			continue
		}
		u, err := e.countPlace(ctx, a, l.Actor.Client, p)
		if err != nil {
			return err
		}
		if u.Count == 0 && !readElsewhere {
			continue
		}
		tuples = append(tuples, unreadTuple(p.Cid, p.Kind, u.Unread, u.last))
		for log, seq := range u.told {
			snap.Told[log] = seq
		}
	}
	// Only the last frame moves the cursor: a client that loses its connection
	// before it has them all asks for all of them again.
	for len(tuples) > 0 {
		n, size := 0, 0
		for n < len(tuples) && (n == 0 || size < frameBytes) {
			size += len(tuples[n].GetData()) + len(tuples[n].GetBinaryMsg()) + len(tuples[n].GetCid())
			n++
		}
		cursor := int64(0)
		if n == len(tuples) {
			cursor = safe
		}
		snap.Frames = append(snap.Frames, unreadFrame(tuples[:n], cursor))
		tuples = tuples[n:]
	}
	return nil
}

// missedAtLogin is how many missed messages of one conversation are pushed after
// a login that does not want counts.
const missedAtLogin = 20

// snapMissed pushes the messages that the client did not acknowledge, newest ones
// of each conversation, in the order of their time.
func (e *Engine) snapMissed(ctx context.Context, a *app, l *fanout.Login, places []place, snap *fanout.Snapshot) error {
	type missed struct {
		delivery
		pos store.Pos
	}
	var all []missed
	convs := 0
	for i := range places {
		p := &places[i]
		acked := p.Mark.AckTS
		if c := a.peek(p.Cid); c != nil { // later marks wait in memory
			if m := c.marks[l.Actor.Client]; m != nil {
				acked = max(acked, m.AckTS)
			}
			c.mu.Unlock()
		}
		if p.newest <= acked || e.limits.UnreadConvs >= 0 && convs >= e.limits.UnreadConvs {
			continue
		}
		var found []store.Message
		for _, v := range p.views(a, acked) {
			messages, head, err := e.missedIn(ctx, v.log, l.Actor.Client, v.after)
			if err != nil {
				return err
			}
			if v.log.View == store.ViewAll {
				valid := a.casts.valid(e.now())
				messages = slices.DeleteFunc(messages, func(m store.Message) bool {
					return !slices.ContainsFunc(valid, func(b Cast) bool { return b.Mid == m.Mid })
				})
			}
			found = append(found, messages...)
			snap.Told[v.log] = head.Seq
		}
		slices.SortFunc(found, func(x, y store.Message) int { return x.Pos().Compare(y.Pos()) })
		more := len(found) > missedAtLogin
		found = found[max(0, len(found)-missedAtLogin):]
		if len(found) > 0 {
			convs++
		}
		for i := range found {
			all = append(all, missed{
				delivery{cid: p.Cid, kind: p.Kind, m: &found[i], offline: true, hasMore: more}, found[i].Pos(),
			})
		}
	}
	slices.SortStableFunc(all, func(x, y missed) int { return x.pos.Compare(y.pos) })
	for i := range all {
		snap.Frames = append(snap.Frames, all[i].frame())
	}
	return nil
}

// logView is a log of a place, and from when on it concerns the client.
type logView struct {
	log   store.LogID
	after int64
}

func (p *place) views(a *app, acked int64) []logView {
	main := logView{store.LogID{App: a.ID, Cid: p.Cid}, max(acked, p.Joined)}
	if p.Kind != store.KindService {
		return []logView{main}
	}
	views := []logView{
		{store.LogID{App: a.ID, Cid: p.Cid, View: store.ClientView(p.Client)}, acked},
		{store.LogID{App: a.ID, Cid: p.Cid, View: store.ViewAll}, max(acked, p.floor)},
	}
	if p.member {
		views = append(views, main)
	}
	return views
}

// missedIn returns the newest messages of others in a log after a time, one more
// than are pushed, and the head up to which it looked.
func (e *Engine) missedIn(ctx context.Context, log store.LogID, client string, after int64) ([]store.Message, store.Head, error) {
	head, err := e.headOf(ctx, log)
	if err != nil || head.TS <= after {
		return nil, head, err
	}
	var found []store.Message
	r := store.Range{
		Start: store.Bound{Set: true, TS: head.TS, Mid: head.Mid, Closed: true},
		End:   store.Bound{Set: true, TS: after},
	}
	for {
		page, err := e.store.Messages(ctx, log, r, countPage)
		if err != nil {
			return nil, head, e.broken(wire.CodeInternalError, "read missed messages", err)
		}
		for i := len(page) - 1; i >= 0; i-- {
			if page[i].From != client {
				found = append(found, page[i])
			}
			if len(found) > missedAtLogin {
				return found, head, nil
			}
		}
		if len(page) < countPage {
			return found, head, nil
		}
		r.Start = store.Bound{Set: true, TS: page[0].TS, Mid: page[0].Mid}
	}
}

// snapPatches tells the edits that are newer than the client's cursor, and keeps
// its next cursor below those that it is about to get: it is only theirs to move.
func (e *Engine) snapPatches(ctx context.Context, a *app, l *fanout.Login, places []place, snap *fanout.Snapshot) error {
	if l.Actor.Caps&wire.BitPatch == 0 || !l.HasLastPatch {
		return nil
	}
	since := max(l.LastPatch, e.now()-patchAge.Milliseconds())
	var items []*pb.PatchItem
	for i := range places {
		p := &places[i]
		if p.Kind != store.KindService && p.Head.PatchTS <= since {
			continue
		}
		for _, v := range p.views(a, 0) {
			page, err := e.store.Changes(ctx, store.ChangeQuery{Kind: store.Patches, Log: v.log, Newest: true}, since, patchesAtLogin)
			if err != nil {
				return e.broken(wire.CodeInternalError, "read edits", err)
			}
			for j := range page.Items {
				items = append(items, patchItem(p.Cid, page.Items[j].Message))
			}
		}
	}
	if len(items) == 0 {
		return nil
	}
	slices.SortStableFunc(items, func(x, y *pb.PatchItem) int {
		return cmp.Compare(x.GetPatchTimestamp(), y.GetPatchTimestamp())
	})
	items = items[max(0, len(items)-patchesAtLogin):]
	snap.ServerTS = min(snap.ServerTS, max(l.LastPatch, items[0].GetPatchTimestamp()-1))
	for len(items) > 0 {
		n, size := 0, 0
		for n < len(items) && (n == 0 || size < frameBytes) {
			size += len(items[n].GetData()) + len(items[n].GetBinaryMsg()) + len(items[n].GetCid())
			n++
		}
		snap.Frames = append(snap.Frames, patchFrame(items[:n]...))
		items = items[n:]
	}
	return nil
}

// Opened is told of every login that was granted.
func (e *Engine) Opened(ctx context.Context, l *fanout.Login) {
	a := e.apps[l.Actor.App]
	if a == nil {
		return
	}
	e.rejoin(ctx, a, l)
	if h := e.hooks.ClientOnline; h != nil {
		ev := &hook.ClientOnline{
			App: a.ID, Client: l.Actor.Client, SourceIP: l.Actor.IP, Tag: l.Actor.Tag, Reconnect: l.Reopen,
		}
		e.after.do(func(ctx context.Context) { h(ctx, ev) })
	}
}

// Ended is told of the end of every session that Opened was told of.
func (e *Engine) Ended(x fanout.Ended) {
	a := e.apps[x.Actor.App]
	if a == nil {
		return
	}
	e.noteRoom(a, &x)
	h := e.hooks.ClientOffline
	if h == nil || x.Cause == fanout.EndSuperseded {
		return
	}
	ev := &hook.ClientOffline{
		App: a.ID, Client: x.Actor.Client, Cause: hook.OfflineCause(x.Cause), Message: x.Reason,
		SourceIP: x.Actor.IP, Tag: x.Actor.Tag,
	}
	if x.Cause == fanout.EndLost {
		ev.SourceIP = ""
		if ev.ErrorCode = x.Code; x.Code != 0 {
			ev.ErrorMsg = x.Code.Name()
		}
	}
	e.after.do(func(ctx context.Context) { h(ctx, ev) })
}
