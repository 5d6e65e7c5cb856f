package engine

import (
	"context"
	"math"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/store"
)

// countTries is how often counting starts again because messages came in between
// before it counts below a fixed position instead.
const countTries = 3

// count counts what a client has not read of a log after a time, together with
// the head up to which it counted: whoever tells the count and later pushes
// messages above the head tells each of them once.
func (e *Engine) count(ctx context.Context, log store.LogID, client string, after int64) (store.Unread, store.Head, error) {
	head, err := e.headOf(ctx, log)
	if err != nil {
		return store.Unread{}, head, err
	}
	for range countTries {
		if head.TS <= after {
			return store.Unread{}, head, nil
		}
		u, err := e.store.Unread(ctx, log, client, after, e.unreadLimit())
		if err != nil {
			return u, head, e.broken(wire.CodeInternalError, "count unread messages", err)
		}
		again, err := e.headOf(ctx, log)
		if err != nil {
			return u, head, err
		}
		if again.Seq == head.Seq {
			return u, head, nil
		}
		head = again
	}
	u, err := e.countBelow(ctx, log, client, after, head.Pos())
	return u, head, err
}

func (e *Engine) headOf(ctx context.Context, log store.LogID) (store.Head, error) {
	heads, err := e.store.Heads(ctx, []store.LogID{log})
	if err != nil {
		return store.Head{}, e.broken(wire.CodeInternalError, "read log", err)
	}
	return heads[0], nil
}

const countPage = 100

// countBelow counts by looking at the messages, of which those up to a position
// do not change any more.
func (e *Engine) countBelow(ctx context.Context, log store.LogID, client string, after int64, upTo store.Pos) (store.Unread, error) {
	var u store.Unread
	r := store.Range{
		Start: store.Bound{Set: true, TS: upTo.TS, Mid: upTo.Mid, Closed: true},
		End:   store.Bound{Set: true, TS: after},
	}
	for {
		page, err := e.store.Messages(ctx, log, r, countPage)
		if err != nil {
			return u, e.broken(wire.CodeInternalError, "count unread messages", err)
		}
		for i := len(page) - 1; i >= 0; i-- {
			if m := &page[i]; m.From != client && m.Seq != store.SeqNone {
				u.Count++
				u.Mentioned = u.Mentioned || m.Mentioned(client)
			}
			if u.Count >= e.unreadLimit() {
				return u, nil
			}
		}
		if len(page) < countPage {
			return u, nil
		}
		r.Start = store.Bound{Set: true, TS: page[0].TS, Mid: page[0].Mid}
	}
}

// standing is how a client stands to a service conversation.
type standing struct {
	me    *store.Member // its subscription; nil: none
	mark  store.Mark
	floor int64 // broadcasts to everybody up to here were before its time
}

// standingOf reads how a client stands to a service conversation.
func (e *Engine) standingOf(ctx context.Context, a *app, cid, client string) (standing, error) {
	var s standing
	members, err := e.store.FindMembers(ctx, a.ID, []store.MemberKey{{Cid: cid, Client: client}})
	if err == nil {
		s.me = members[0]
		var marks []store.Mark
		if marks, err = e.store.Marks(ctx, a.ID, cid, []string{client}); err == nil && len(marks) > 0 {
			s.mark = marks[0]
		}
	}
	if err == nil {
		var known seen
		if known, err = e.seenOf(ctx, a, client); err == nil {
			s.floor = known.Floor
		}
	}
	if err != nil {
		return s, e.broken(wire.CodeInternalError, "read subscription", err)
	}
	return s, nil
}

// unreadState is what a client has not read of a conversation.
type unreadState struct {
	store.Unread
	last *store.Message        // the newest message that the client can see
	told map[store.LogID]int64 // how far the count reaches
	ts   int64                 // time of the newest message
}

// countService counts the unread messages of a client in a service conversation:
// broadcasts to subscribers, messages for it alone, and valid broadcasts to
// everybody.
func (e *Engine) countService(ctx context.Context, a *app, cid, client string, s standing) (unreadState, error) {
	r := unreadState{told: make(map[store.LogID]int64, 3)}
	main := store.LogID{App: a.ID, Cid: cid, View: store.ViewMain}
	own := store.LogID{App: a.ID, Cid: cid, View: store.ClientView(client)}
	everybody := store.LogID{App: a.ID, Cid: cid, View: store.ViewAll}
	lastLog, lastPos := main, store.Pos{}
	add := func(log store.LogID, u store.Unread, pos store.Pos, seq int64) {
		r.Count += u.Count
		r.Mentioned = r.Mentioned || u.Mentioned
		r.told[log] = seq
		if pos.Compare(lastPos) > 0 {
			lastLog, lastPos = log, pos
		}
	}
	if s.me != nil {
		u, head, err := e.count(ctx, main, client, max(s.mark.ReadTS, s.me.Joined))
		if err != nil {
			return r, err
		}
		add(main, u, head.Pos(), head.Seq)
	}
	u, head, err := e.count(ctx, own, client, s.mark.ReadTS)
	if err != nil {
		return r, err
	}
	add(own, u, head.Pos(), head.Seq)
	for _, b := range a.casts.valid(e.now()) {
		if b.Cid != cid || b.TS <= s.floor {
			continue
		}
		var u store.Unread
		if b.TS > s.mark.ReadTS && b.From != client {
			u.Count = 1
			m, err := e.store.FindMessage(ctx, everybody, b.pos())
			if err != nil {
				return r, e.broken(wire.CodeInternalError, "read broadcast", err)
			}
			u.Mentioned = m != nil && m.Mentioned(client)
		}
		add(everybody, u, b.pos(), b.Seq)
	}
	r.Count = min(r.Count, e.unreadLimit())
	r.ts = lastPos.TS
	if lastPos.TS != 0 {
		if r.last, err = e.store.FindMessage(ctx, lastLog, lastPos); err != nil {
			return r, e.broken(wire.CodeInternalError, "read last message", err)
		}
	}
	return r, nil
}

// readService raises a client's read mark in a service conversation and tells its
// sessions what is left.
func (e *Engine) readService(ctx context.Context, a *app, by Cause, p ReadPoint) error {
	if p.TS <= 0 {
		p.TS = math.MaxInt64
	}
	for try := 0; ; try++ {
		c, err := e.lock(ctx, a, p.Cid)
		if err != nil {
			return err
		}
		var r serviceReading
		same, err := c.aside(try, func() (err error) {
			r, err = e.readingOf(ctx, a, by.Client, p)
			return err
		})
		if err == nil && same {
			err = e.markServiceRead(ctx, c, by, r)
		}
		c.mu.Unlock()
		if err != nil || same {
			return err
		}
		p.TS = r.to // what came meanwhile is not read
	}
}

// serviceReading is what a client is about to have read of a service
// conversation.
type serviceReading struct {
	to     int64 // how far
	raised bool  // the read mark was lower
	left   unreadState
}

// readingOf finds out what reading a service conversation up to p.TS would leave
// unread.
func (e *Engine) readingOf(ctx context.Context, a *app, client string, p ReadPoint) (serviceReading, error) {
	s, err := e.standingOf(ctx, a, p.Cid, client)
	if err != nil {
		return serviceReading{}, err
	}
	left, err := e.countService(ctx, a, p.Cid, client, s)
	if err != nil {
		return serviceReading{}, err
	}
	to := min(left.ts, p.TS)
	if to <= s.mark.ReadTS {
		return serviceReading{to: to, left: left}, nil
	}
	s.mark.ReadTS = to
	left, err = e.countService(ctx, a, p.Cid, client, s)
	return serviceReading{to: to, raised: true, left: left}, err
}

// markServiceRead writes what a client has read of a locked service conversation,
// and tells what is left in its right place among the messages.
func (e *Engine) markServiceRead(ctx context.Context, c *conv, by Cause, r serviceReading) error {
	st := e.begin(c.hash)
	defer st.end()
	if r.raised {
		now := e.now()
		mark := store.Mark{Client: by.Client, ReadTS: r.to, ReadAt: now, AckTS: r.to, AckAt: now}
		b := store.Batch{Ops: []store.Op{&store.RaiseMark{Cid: c.cid, Mark: mark}}}
		if err := e.commit(ctx, c, b); err != nil {
			return unavailable(err)
		}
		c.gen++
	}
	e.pushUnread(c, by.Client, r.left.Unread, r.left.last)
	return nil
}

// Unread returns how many messages a client has not read: in one conversation,
// or, with an empty cid, in all of them.
func (e *Engine) Unread(ctx context.Context, by Cause, client, cid string) (int, error) {
	a, err := e.app(by.App)
	if err != nil {
		return 0, err
	}
	known, err := e.seenOf(ctx, a, client)
	if err != nil {
		return 0, e.broken(wire.CodeInternalError, "read client", err)
	}
	places, err := e.places(ctx, a, client, known.Floor)
	if err != nil {
		return 0, err
	}
	sum := 0
	for i := range places {
		if cid != "" && places[i].Cid != cid {
			continue
		}
		u, err := e.countPlace(ctx, a, client, &places[i])
		if err != nil {
			return 0, err
		}
		sum += u.Count
	}
	return sum, nil
}
