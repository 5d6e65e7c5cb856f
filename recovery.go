package realtime

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/mutant"
	"github.com/leanrtm/realtime/internal/pb"
)

// Recovery: what a client does after its session has opened again, before it
// handles anything that was pushed since.
//
//	open ──session lost──> away ──session opens──> recovering ──all fetched──> open
//	                        ^                          │
//	                        └──────session lost────────┘  (unfinished)
//
// It runs on the processing goroutine, so that pushes wait in their queue and
// newer messages cannot overtake the missed ones. It asks which conversations
// have news since the position that is surely complete (clientSync.base),
// fetches the notifications, and reads the history of each conversation from
// where its own mark stands, several at a time. Workers only fetch; what they
// bring becomes events on the processing goroutine.
//
// The notifications come after the question and before the histories: who had
// become a member when the question was answered is known then, and since when.
//
// So many recovered messages as the handlers have not taken yet may be waiting
// (recoveryRoom); then recovery waits for them. While it waits it looks at the
// session: a handler may be waiting for the reconnect that this goroutine is
// needed for.
//
// If the session is lost meanwhile, nothing is reported. base stays where it
// is, what the lost session still pushed is dropped, and the next session
// begins again from the marks. Anything else that fails, even when it is tried
// again (recovery_retry.go), is reported in RecoveredEvent, and the client goes
// on.

const (
	recoveryParallel = 8    // histories fetched at a time
	recoveryPage     = 100  // messages per request
	recoveryRoom     = 1024 // recovered messages that may wait for the handlers
	recoveryTimeouts = 3    // histories that may fail for want of an answer before the rest is given up
	candidatePage    = 200  // conversations per request

	recoverAgainDelay    = 2 * time.Second // when the server knows of no session; doubled each time
	maxRecoverAgainDelay = time.Minute
)

// chatRoomMemory is for how long the server brings a client back into its chat
// room.
const chatRoomMemory = 30 * time.Minute

// catchUp brings the client up to date. It runs on the processing goroutine, after
// opened and before anything pushed later.
func (c *IMClient) catchUp(ctx context.Context, opened *pb.GenericCommand) {
	if !c.behind {
		return
	}
	at := opened.GetServerTs()
	c.sync.acks.trigger() // what could not be sent while away, or may be lost
	c.sync.reads.trigger()
	if c.opts.withoutRecovery {
		if err := c.syncNotifications(ctx); err != nil {
			c.log.Warn("notifications that were missed could not be fetched", "error", err)
		}
		c.sync.skipMissed(at)
		return
	}
	c.recoverMissed(ctx, at, recoverAgainDelay)
}

// recoverMissed recovers, and reports it, unless it is cut off.
func (c *IMClient) recoverMissed(ctx context.Context, at int64, delay time.Duration) {
	c.sync.patience.renew()
	report := new(RecoveredEvent)
	if !c.recoverAll(ctx, report) {
		if !c.sessionLost(ctx) {
			c.recoverAgain(at, delay)
		}
		return
	}
	c.sync.recoveredUpTo(at)
	c.catchUpReceipts(ctx, c.sync.receiptsToCome())
	c.emit(report)
	c.sync.settleLater()
}

// recoverAgain recovers later: the server has answered that there is no session.
// It is about to say why, which ends the client, or it is mistaken.
func (c *IMClient) recoverAgain(at int64, delay time.Duration) {
	c.log.Warn("the server knows of no session, so that what was missed cannot be fetched", "again_in", delay)
	s := c.session.Load()
	c.sync.recoverIn(delay, func(ctx context.Context) {
		if now := c.session.Load(); now == s && now.live() {
			c.recoverMissed(ctx, at, min(2*delay, maxRecoverAgainDelay))
		}
	})
}

// recoverIn has f called on the processing goroutine in a while, unless another
// session is opened before or the client ends.
func (s *clientSync) recoverIn(delay time.Duration, f func(ctx context.Context)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.again = time.AfterFunc(delay, func() { s.client.enqueue(job{call: f}) })
}

// missed is a conversation whose history is to be fetched from a point on.
type missed struct {
	conv *Conversation
	from point
}

// fetched is a page of such a history.
type fetched struct {
	missed
	page []*Message
	done bool
	err  error
}

// recoverAll fetches and delivers what was missed, and reports whether it came
// to an end: false means that the session is lost, or not known to the server.
func (c *IMClient) recoverAll(ctx context.Context, report *RecoveredEvent) (ended bool) {
	news, err := c.conversationsWithNews(ctx)
	if err == nil || !c.sessionLost(ctx) {
		err = errors.Join(err, c.syncNotifications(ctx))
	}
	if err != nil {
		if c.cutOff(ctx, err) {
			return false
		}
		report.Failed = append(report.Failed, RecoveryFailure{Err: err})
	}
	return c.recoverHistories(ctx, c.candidates(ctx, news), true, report)
}

// sessionLost reports whether there is no point in going on.
func (c *IMClient) sessionLost(ctx context.Context) bool {
	return ctx.Err() != nil || !c.session.Load().live()
}

// cutOff reports whether a failure is the end of the session, also when the
// connection is not known to be lost yet.
func (c *IMClient) cutOff(ctx context.Context, err error) bool {
	return c.sessionLost(ctx) || errors.Is(err, ErrDisconnected) || errors.Is(err, ErrSessionRequired)
}

// conversationsWithNews asks which conversations have news, among those that a
// query finds. The list is as long as it could be made; err tells what is missing
// from it.
func (c *IMClient) conversationsWithNews(ctx context.Context) ([]*convData, error) {
	after := map[string]any{"$gt": newWireDate(time.UnixMilli(c.sync.since()))}
	news, err := c.changedConversations(ctx, map[string]any{"m": c.ID(), "lm": after})
	services, err2 := c.changedConversations(ctx, map[string]any{"sys": true, "lm": after})
	for _, data := range services {
		if data.joined {
			news = append(news, data)
		}
	}
	return news, errors.Join(err, err2)
}

// candidates are the conversations whose histories are to be read, and from
// where on: those with news, and those that no query finds.
func (c *IMClient) candidates(ctx context.Context, news []*convData) (work []missed) {
	seen := make(map[string]bool)
	add := func(conv *Conversation, newest int64) {
		from, member := c.sync.resumePoint(conv.id)
		if !seen[conv.id] && member && newest >= from.at {
			seen[conv.id] = true
			work = append(work, missed{conv, from})
		}
	}
	for _, data := range news {
		add(c.convs.learn(data), millis(data.lastMessageAt))
	}
	for _, id := range c.sync.unlisted() {
		conv := c.convs.lookup(id)
		if conv == nil {
			conv = c.conversationOf(ctx, id, 0)
		}
		if !conv.Expired() {
			add(conv, math.MaxInt64)
		}
	}
	if mutant.On(mutant.SkipsConversation) && len(work) > 0 {
		return work[1:]
	}
	return work
}

// changedConversations returns the conversations of a filter, in pages that
// what happens meanwhile does not shift.
func (c *IMClient) changedConversations(ctx context.Context, filter map[string]any) ([]*convData, error) {
	const key = "objectId"
	var all []*convData
	for {
		where, err := marshalJSON(filter)
		if err != nil {
			return all, err
		}
		var page []*convData
		err = c.persist(ctx, func() (err error) {
			page, err = c.queryStored(ctx, &pb.ConvCommand{
				Where: &pb.JsonObjectMessage{Data: proto.String(string(where))},
				Sort:  proto.String(key), Limit: proto.Int32(candidatePage),
			}, true)
			return err
		})
		if err != nil {
			return all, err
		}
		all = append(all, page...)
		if len(page) < allPage { // which a server that caps the size still gives
			return all, nil
		}
		last := page[len(page)-1].id
		if after, _ := filter[key].(map[string]any); after != nil && after["$gt"] == last {
			return all, errOrder
		}
		filter[key] = map[string]any{"$gt": last}
	}
}

// temporary are the temporary conversations that somebody holds.
func (cc *convCache) temporary() []string {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	var ids []string
	for id, e := range cc.entries {
		if temporaryID(id) && e.ptr.Value() != nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// recoverHistories fetches histories and delivers what was not yet. counted
// tells whether the unread counts go up with it. It reports whether it came to
// an end.
func (c *IMClient) recoverHistories(ctx context.Context, work []missed, counted bool, report *RecoveredEvent) (ended bool) {
	ctx, cancel := context.WithCancel(ctx)
	pages := make(chan fetched)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	todo := make(chan missed, len(work))
	left := make(map[string]struct{}, len(work))
	for _, m := range work {
		todo <- m
		left[m.conv.id] = struct{}{}
	}
	close(todo)
	for range min(recoveryParallel, len(work)) {
		workers.Go(func() { // ends with todo or ctx
			for m := range todo {
				if !c.fetchHistory(ctx, m, pages) {
					return
				}
			}
		})
	}
	for timeouts := 0; len(left) > 0; {
		var got fetched
		select {
		case got = <-pages:
		case <-ctx.Done():
			return false
		}
		n, lost := c.deliverRecovered(ctx, got.conv, got.page, counted)
		if n > 0 {
			report.Messages += n
			if !slices.Contains(report.Conversations, got.conv.id) {
				report.Conversations = append(report.Conversations, got.conv.id)
			}
		}
		if lost || got.err != nil && c.cutOff(ctx, got.err) {
			return false
		}
		if got.err != nil || got.done {
			delete(left, got.conv.id)
		}
		if got.err == nil {
			continue
		}
		report.Failed = append(report.Failed, RecoveryFailure{ConversationID: got.conv.id, Err: got.err})
		if errors.Is(got.err, ErrConversationLogRejected) && got.conv.Kind() == KindNormal {
			c.sync.refused(got.conv.id, got.from)
		}
		if errors.Is(got.err, ErrTimeout) {
			timeouts++
		}
		if timeouts == recoveryTimeouts {
			for _, cid := range slices.Sorted(maps.Keys(left)) {
				report.Failed = append(report.Failed, RecoveryFailure{ConversationID: cid, Err: got.err})
			}
			return true
		}
	}
	return true
}

// fetchHistory fetches one history, page after page, until it ends or fails. It
// reports false if ctx ended first.
func (c *IMClient) fetchHistory(ctx context.Context, m missed, pages chan<- fetched) bool {
	it := m.conv.messageIterator(MessageQuery{
		Direction: OldToNew, StartTime: fromMillis(m.from.at), StartMessageID: m.from.id,
	}, recoveryPage)
	for first := true; ; first = false {
		var page []*Message
		var done bool
		err := c.persist(ctx, func() (err error) {
			page, done, err = it.Next(ctx)
			return err
		})
		if first && mutant.On(mutant.SkipsPage) {
			page = nil
		}
		select {
		case pages <- fetched{m, page, done, err}:
		case <-ctx.Done():
			return false
		}
		if done || err != nil {
			return true
		}
	}
}

// deliverRecovered makes events of those messages of a page that are news. lost
// reports that the session was lost while it waited for the handlers.
func (c *IMClient) deliverRecovered(ctx context.Context, conv *Conversation, page []*Message, counted bool) (n int, lost bool) {
	for _, m := range page {
		at := m.point()
		if !c.sync.isNews(conv.id, at) {
			c.sync.passed(conv.id, at)
			continue
		}
		if of, claimed := c.sync.claim(m, true); claimed {
			c.sync.passed(conv.id, at)
			if of != nil {
				of.turnedOut(m)
			}
			continue
		}
		room, ok := c.takeRoom(ctx)
		if !ok {
			return n, true
		}
		c.sync.recovered(conv.id, at, m.UpdatedAt)
		d := &delivered{client: c, message: *m, at: at, stored: true, room: room}
		d.event.Recovered = true
		c.deliver(conv, d, counted)
		n++
	}
	return n, false
}

// takeRoom waits until the handlers have taken enough of what was recovered.
func (c *IMClient) takeRoom(ctx context.Context) (chan struct{}, bool) {
	room := c.sync.slots()
	select {
	case room <- struct{}{}:
		return room, true
	default:
	}
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		select {
		case room <- struct{}{}:
			return room, true
		case <-look.C:
			if c.sessionLost(ctx) {
				return nil, false
			}
		case <-ctx.Done():
			return nil, false
		}
	}
}
