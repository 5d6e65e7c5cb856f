package engine

import (
	"context"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/store"
)

// How late a delivered mark may be written: where two members see it, and in
// larger groups, where nobody does and an acknowledgement would otherwise write
// once per delivery.
const (
	ackDelay      = 5_000
	groupAckDelay = 60_000
)

// markSearch is how many messages are looked through for one that is named by
// its id alone, and for those that want receipts.
const markSearch = 200

// lockMarks returns a normal or temporary conversation locked, with the marks of
// the given members loaded. Other kinds are returned without marks.
func (e *Engine) lockMarks(ctx context.Context, a *app, cid string, clients func(c *conv) []string) (*conv, error) {
	for {
		c, err := e.lock(ctx, a, cid)
		if err != nil || !listed(c.kind()) {
			return c, err
		}
		var missing []string
		for _, client := range clients(c) {
			if c.marks[client] == nil {
				missing = append(missing, client)
			}
		}
		if len(missing) == 0 {
			return c, nil
		}
		c.mu.Unlock()
		found, err := e.store.Marks(ctx, a.ID, cid, missing)
		if err != nil {
			return nil, e.broken(wire.CodeConversationInternalError, "read marks", err)
		}
		c.mu.Lock()
		// Marks change in the cache first, so one that is there by now is newer.
		if c.marks == nil {
			c.marks = make(map[string]*mark, len(missing))
		}
		for _, client := range missing {
			if c.marks[client] == nil {
				c.marks[client] = &mark{Mark: store.Mark{Client: client}}
				for _, m := range found {
					if m.Client == client {
						c.marks[client].Mark = m
					}
				}
			}
		}
		c.mu.Unlock()
	}
}

// Received says that a client has received messages of a conversation: up to the
// time to, or up to the message mid. It answers nobody; what makes no sense is
// ignored.
func (e *Engine) Received(ctx context.Context, by Cause, cid string, to int64, mid string) error {
	a, err := e.app(by.App)
	if err != nil {
		return err
	}
	if mid != "" {
		at, err := e.timeOf(ctx, a, by, cid, mid)
		if err != nil {
			return err
		}
		to = max(to, at)
	}
	if to <= 0 {
		return nil
	}
	c, err := e.lockMarks(ctx, a, cid, func(c *conv) []string { return []string{by.Client} })
	if err != nil {
		return err
	}
	switch {
	case c.kind() == store.KindService:
		c.mu.Unlock()
		return e.receivedFromService(ctx, a, by, cid, to)
	case !listed(c.kind()) || !c.has(by.Client):
		c.mu.Unlock()
		return nil
	}
	now := e.now()
	old, raised := c.received(by.Client, min(to, c.head.TS), now)
	if !raised {
		c.mu.Unlock()
		return nil
	}
	reached := c.marks[by.Client].AckTS
	delay := int64(groupAckDelay)
	other, pair := c.other(by.Client)
	if pair {
		delay = ackDelay
	}
	e.janitor.later(c, now+delay)
	c.mu.Unlock()
	if pair {
		e.tellReceived(ctx, c, by, other, old, reached, now)
	}
	return nil
}

// received raises the delivered mark of a locked conversation's member and
// returns the old one. The new one waits to be written.
func (c *conv) received(client string, to, now int64) (old int64, raised bool) {
	m := c.marks[client]
	if old = m.AckTS; to <= old {
		return old, false
	}
	m.AckTS, m.AckAt = to, now
	if !m.dirty {
		m.dirty = true
		c.dirty++
	}
	return old, true
}

// receivedFromService: what a service says is read by up to everybody at once, so
// marks would be written by the million and nobody sees them. They are kept only
// for clients that are pushed what they missed, since their next login starts
// there.
func (e *Engine) receivedFromService(ctx context.Context, a *app, by Cause, cid string, to int64) error {
	if !by.Offline {
		return nil
	}
	now := e.now()
	err := store.CommitOne(ctx, e.store, store.Batch{App: a.ID, Ops: []store.Op{&store.RaiseMark{
		Cid: cid, Mark: store.Mark{Client: by.Client, AckTS: min(to, now), AckAt: now},
	}}})
	if err != nil {
		return e.broken(wire.CodeInternalError, "write mark", err)
	}
	return nil
}

// timeOf finds the time of a message that a client names by its id. Clients
// acknowledge what they just got, so it is looked for among the newest.
func (e *Engine) timeOf(ctx context.Context, a *app, by Cause, cid, mid string) (int64, error) {
	c, err := e.lock(ctx, a, cid)
	if err != nil {
		return 0, err
	}
	kind, head := c.kind(), c.head
	c.mu.Unlock()
	if head.Mid == mid {
		return head.TS, nil
	}
	logs := []store.LogID{c.log(store.ViewMain)}
	switch kind {
	case store.KindRoom:
		return 0, nil
	case store.KindService:
		logs = append(logs, c.log(store.ClientView(by.Client)), c.log(store.ViewAll))
	}
	for _, log := range logs {
		recent, err := e.store.Messages(ctx, log, store.Range{}, markSearch)
		if err != nil {
			return 0, e.broken(wire.CodeInternalError, "look for message", err)
		}
		for i := range recent {
			if recent[i].Mid == mid {
				return recent[i].TS, nil
			}
		}
	}
	return 0, nil
}

// ReadPoint is how far a client has read a conversation: to the later one of a
// time and a message's time; neither: all of it.
type ReadPoint struct {
	Cid string
	TS  int64
	Mid string
}

// Read raises a client's read mark, tells its sessions the new unread count, and
// in a conversation of two the other one what was read. It answers nobody.
func (e *Engine) Read(ctx context.Context, by Cause, p ReadPoint) error {
	a, err := e.app(by.App)
	if err != nil {
		return err
	}
	if p.Mid != "" {
		at, err := e.timeOf(ctx, a, by, p.Cid, p.Mid)
		if err != nil {
			return err
		}
		if at == 0 && p.TS == 0 {
			return nil // a message that nobody knows is no reason to read everything
		}
		p.TS = max(p.TS, at)
	}
	for try := 0; ; try++ {
		c, err := e.lockMarks(ctx, a, p.Cid, func(*conv) []string { return []string{by.Client} })
		if err != nil {
			return err
		}
		switch {
		case c.kind() == store.KindService:
			c.mu.Unlock()
			return e.readService(ctx, a, by, p)
		case !listed(c.kind()) || !c.has(by.Client):
			c.mu.Unlock()
			return nil
		}
		to := c.head.TS
		if p.TS > 0 {
			// A client's clock may be ahead; what is still to come is not read.
			to = min(to, p.TS)
		}
		var count store.Unread
		same := true
		if after := max(to, c.marks[by.Client].ReadTS, c.member(by.Client).Joined); c.head.TS > after {
			same, err = c.aside(try, func() (err error) {
				count, err = e.store.Unread(ctx, c.log(store.ViewMain), by.Client, after, e.unreadLimit())
				return err
			})
		}
		switch {
		case err != nil:
			c.mu.Unlock()
			return e.broken(wire.CodeInternalError, "count unread messages", err)
		case !same:
			c.mu.Unlock()
			continue
		}
		return e.markRead(ctx, c, by, to, count)
	}
}

// markRead raises the read mark of a locked conversation's member to a time, if
// it was lower, and tells how much is unread then, in its right place among the
// messages. It gives the lock back, and sends the receipts afterwards.
func (e *Engine) markRead(ctx context.Context, c *conv, by Cause, to int64, count store.Unread) error {
	st := e.begin(c.hash)
	now := e.now()
	was := c.marks[by.Client].Mark
	reached := was
	if to > was.ReadTS {
		reached.ReadTS, reached.ReadAt = to, now
		if to == c.head.TS {
			reached.ReadSeq = c.head.Seq
		}
		if to > reached.AckTS {
			reached.AckTS, reached.AckAt = to, now
		}
		// The mark is written before anybody hears of it.
		b := store.Batch{Ops: []store.Op{&store.RaiseMark{Cid: c.cid, Mark: reached}}}
		if err := e.commit(ctx, c, b); err != nil {
			st.end()
			c.mu.Unlock()
			return unavailable(err)
		}
		c.marks[by.Client].Mark = reached
		c.gen++
	}
	e.pushUnread(c, by.Client, count, c.last)
	st.end()
	other, pair := c.other(by.Client)
	c.mu.Unlock()
	if !pair || to <= was.ReadTS {
		return nil
	}
	if reached.AckTS > was.AckTS {
		e.tellReceived(ctx, c, by, other, was.AckTS, reached.AckTS, now)
	}
	e.tellRead(ctx, c, by, other, was.ReadTS, reached.ReadTS, now)
	return nil
}

// aside runs a count for a locked conversation without its lock, which is held
// again when aside returns, and tells whether the count still holds: if not, the
// conversation has to be looked up again, for it may be gone. Nobody may have a
// stamp meanwhile, and what was counted is told without giving the lock back
// once more. After some tries the lock is kept, for an answer must come at some
// time.
func (c *conv) aside(try int, count func() error) (same bool, err error) {
	if try >= staleTries {
		return true, count()
	}
	gen := c.gen
	c.mu.Unlock()
	err = count()
	c.mu.Lock()
	return !c.gone && c.gen == gen, err
}

// pushUnread tells all sessions of a client, except those that are pushed
// messages instead of counts, how much is unread. c is locked.
func (e *Engine) pushUnread(c *conv, client string, u store.Unread, last *store.Message) {
	body := unreadFrame([]*pb.UnreadTuple{unreadTuple(c.cid, c.kind(), u, last)}, e.safe())
	e.sessions.Publish(&fanout.Event{
		App: c.app.ID, Kind: fanout.TargetClients, Conv: c.cid, Clients: []string{client},
		Class: fanout.ClassStored, Body: body, NeedCaps: c.needCaps(), Counts: true,
	})
}

// unreadLimit is where counting stops.
func (e *Engine) unreadLimit() int {
	if e.limits.UnreadCount < 0 {
		return int(^uint32(0) >> 1)
	}
	return e.limits.UnreadCount
}

// tellReceived pushes a receipt for every message of the other member in
// (old, reached] that asked for one.
func (e *Engine) tellReceived(ctx context.Context, c *conv, by Cause, other string, old, reached, now int64) {
	messages, err := e.between(ctx, c, old, reached)
	if err != nil {
		return // logged; receipts are a courtesy
	}
	for i := range messages {
		m := &messages[i]
		if m.From == other && m.Flags.Has(store.FlagReceipt) {
			r := receipt{cid: c.cid, mid: m.Mid, from: by.Client, ts: now}
			e.push(c, Cause{}, []string{other}, fanout.ClassStored, r.frame())
		}
	}
}

// tellRead pushes one receipt if a message of the other member that asked for it
// has become read, for the newest of its messages that are read.
func (e *Engine) tellRead(ctx context.Context, c *conv, by Cause, other string, old, reached, now int64) {
	messages, err := e.between(ctx, c, old, reached)
	if err != nil {
		return
	}
	newest, wanted := "", false
	for i := range messages {
		if m := &messages[i]; m.From == other {
			newest = m.Mid
			wanted = wanted || m.Flags.Has(store.FlagReceipt)
		}
	}
	if !wanted {
		return
	}
	r := receipt{cid: c.cid, mid: newest, from: by.Client, ts: now, read: true}
	if len(e.sessions.Online(c.app.ID, []string{other})) == 0 {
		e.noteReceipt(ctx, c, other, &r)
		return
	}
	e.push(c, Cause{}, []string{other}, fanout.ClassStored, r.frame())
}

// noteReceipt keeps a receipt for a client that is offline.
func (e *Engine) noteReceipt(ctx context.Context, c *conv, client string, r *receipt) {
	st := e.begin(c.hash)
	defer st.end()
	c.app.lane.mu.Lock()
	defer c.app.lane.mu.Unlock()
	err := store.CommitOne(ctx, e.store, store.Batch{App: c.app.ID, Ops: []store.Op{&store.AddNote{
		Client: client,
		Note:   store.Note{TS: c.app.lane.next(e.now()), Op: noteRcp, Cid: c.cid, Body: r.body()},
	}}})
	if err != nil {
		e.log.Warn("receipt not kept", "error", err)
	}
}

// between reads the newest messages of the main log in (old, reached].
func (e *Engine) between(ctx context.Context, c *conv, old, reached int64) ([]store.Message, error) {
	messages, err := e.store.Messages(ctx, c.log(store.ViewMain), store.Range{
		Start: store.Bound{Set: true, TS: reached, Closed: true},
		End:   store.Bound{Set: true, TS: old},
	}, markSearch)
	if err != nil {
		return nil, e.broken(wire.CodeInternalError, "read messages for receipts", err)
	}
	return messages, nil
}

// lastMessage reads the message at a log's head; nil if there is none, or it was
// deleted.
func (e *Engine) lastMessage(ctx context.Context, log store.LogID, h store.Head) (*store.Message, error) {
	if h.TS == 0 {
		return nil, nil
	}
	m, err := e.store.FindMessage(ctx, log, h.Pos())
	if err != nil {
		return nil, e.broken(wire.CodeInternalError, "read last message", err)
	}
	return m, nil
}
