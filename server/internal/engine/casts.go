package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/store"
)

// MaxCastTime is how long a broadcast to everybody can stay valid.
const MaxCastTime = 31 * 24 * time.Hour

// Cast is a broadcast to everybody. Those who were offline get it when they log
// in while it is valid.
type Cast struct {
	Cid       string `json:"cid"`
	Mid       string `json:"mid"`
	TS        int64  `json:"ts"`
	Seq       int64  `json:"seq"` // in ViewAll of the conversation
	ValidTill int64  `json:"till"`
	From      string `json:"from"`
}

// casts are the valid broadcasts of an app, oldest first. They are few: the
// app's own staff makes them.
type casts struct {
	mu   sync.RWMutex
	list []Cast // replaced as a whole
}

const castPage = 500

func (e *Engine) loadCasts(ctx context.Context, a *app) error {
	for after := ""; ; {
		page, err := e.store.Records(ctx, store.RecordBroadcast, a.ID, "", after, castPage)
		if err != nil {
			return err
		}
		for _, r := range page {
			var b Cast
			if err := json.Unmarshal(r.Body, &b); err != nil {
				return fmt.Errorf("broadcast record: %w: %w", store.ErrCorrupt, err)
			}
			a.casts.list = append(a.casts.list, b)
			after = r.Key
		}
		if len(page) < castPage {
			break
		}
	}
	slices.SortFunc(a.casts.list, func(x, y Cast) int { return x.pos().Compare(y.pos()) })
	return nil
}

func (b *Cast) pos() store.Pos { return store.Pos{TS: b.TS, Mid: b.Mid} }

// valid returns the broadcasts that are valid now, oldest first.
func (cs *casts) valid(now int64) []Cast {
	cs.mu.RLock()
	list := cs.list
	cs.mu.RUnlock()
	if !slices.ContainsFunc(list, func(b Cast) bool { return now >= b.ValidTill }) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(b Cast) bool { return now >= b.ValidTill })
}

func (cs *casts) change(f func([]Cast) []Cast) {
	cs.mu.Lock()
	cs.list = f(slices.Clone(cs.list))
	cs.mu.Unlock()
}

func castKey(cid, mid string) string { return store.Key(cid, mid) }

// BroadcastToAll sends a message of a service conversation to every client of
// the app: those online now, others when they log in before validTill (Unix
// milliseconds; 0: a month from now). It is stored once.
func (e *Engine) BroadcastToAll(ctx context.Context, by Cause, cid string, o *Outgoing, validTill int64) (Sent, error) {
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
	m.TS = e.nextTS(c.service.all)
	latest := m.TS + MaxCastTime.Milliseconds()
	if validTill <= 0 {
		validTill = latest
	}
	ev := &fanout.Event{App: c.app.ID, Kind: fanout.TargetEveryone, Conv: cid, Class: class(c.kind(), o)}
	if o.Transient {
		e.resent.put(sendKey(c.app, by, cid, o.Token), Sent{Mid: m.Mid, TS: m.TS}, e.now())
	} else {
		m.Seq = c.service.all.Seq + 1
		b := Cast{Cid: cid, Mid: m.Mid, TS: m.TS, Seq: m.Seq, ValidTill: min(validTill, latest), From: m.From}
		body, err := json.Marshal(&b)
		if err != nil {
			return Sent{}, e.broken(wire.CodeInternalError, "encode broadcast", err)
		}
		if err := e.append(ctx, c, store.ViewAll, m, o.Token, &store.PutRecord{Record: &store.Record{
			Kind: store.RecordBroadcast, Key: castKey(cid, m.Mid), Version: 1, Body: body,
		}}); err != nil {
			return Sent{}, unavailable(err)
		}
		c.advance(&c.service.all, m)
		// Before the push: a login that does not find it here gets the push.
		c.app.casts.change(func(list []Cast) []Cast {
			at, _ := slices.BinarySearchFunc(list, b.pos(), func(x Cast, p store.Pos) int { return x.pos().Compare(p) })
			return slices.Insert(list, at, b)
		})
		e.janitor.wake(b.ValidTill)
		ev.Log, ev.Seq = c.log(store.ViewAll), m.Seq
	}
	d := delivery{cid: cid, kind: c.kind(), m: m, transient: o.Transient}
	ev.Body = d.frame()
	e.sessions.Publish(ev)
	e.wasSent(c.app, by, cid, m, o, nil, true)
	return Sent{Mid: m.Mid, TS: m.TS}, nil
}

// Broadcast is a broadcast to everybody with its message.
type Broadcast struct {
	Cast
	Message *store.Message
}

// Broadcasts returns the valid broadcasts to everybody, newest first; of one
// service conversation unless cid is empty.
func (e *Engine) Broadcasts(ctx context.Context, by Cause, cid string, skip, n int) ([]Broadcast, error) {
	a, err := e.app(by.App)
	if err != nil {
		return nil, err
	}
	var out []Broadcast
	for _, b := range slices.Backward(a.casts.valid(e.now())) {
		if cid != "" && b.Cid != cid {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		if len(out) >= n {
			break
		}
		m, err := e.store.FindMessage(ctx, store.LogID{App: a.ID, Cid: b.Cid, View: store.ViewAll}, b.pos())
		if err != nil {
			return nil, e.broken(wire.CodeConversationLogFailed, "read broadcast", err)
		}
		if m != nil {
			out = append(out, Broadcast{Cast: b, Message: m})
		}
	}
	return out, nil
}

// DeleteBroadcast ends a broadcast to everybody: who has not received it will
// not. It answers 4404 if there is none.
func (e *Engine) DeleteBroadcast(ctx context.Context, by Cause, mid string) error {
	a, err := e.app(by.App)
	if err != nil {
		return err
	}
	for _, b := range a.casts.valid(e.now()) {
		if b.Mid == mid {
			return e.dropCasts(ctx, a, []Cast{b})
		}
	}
	return refuse(wire.CodeMessageNotFound, "no such broadcast")
}

func (e *Engine) dropCasts(ctx context.Context, a *app, gone []Cast) error {
	b := store.Batch{App: a.ID}
	for _, g := range gone {
		b.Ops = append(b.Ops, &store.DropRecord{Kind: store.RecordBroadcast, Key: castKey(g.Cid, g.Mid)})
	}
	if err := store.CommitOne(ctx, e.store, b); err != nil {
		return e.broken(wire.CodeInternalError, "delete broadcast", err)
	}
	a.casts.change(func(list []Cast) []Cast {
		return slices.DeleteFunc(list, func(x Cast) bool {
			return slices.ContainsFunc(gone, func(g Cast) bool { return g.Mid == x.Mid && g.Cid == x.Cid })
		})
	})
	return nil
}
