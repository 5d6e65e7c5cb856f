package realtime

import (
	"context"
	"time"

	"github.com/leanrtm/realtime/internal/mutant"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// handlePush makes events of what the server pushes: first the state changes,
// then the event is queued. It runs on the processing goroutine of the client,
// one push at a time in the order of the server.
func (c *IMClient) handlePush(ctx context.Context, cmd *pb.GenericCommand) {
	if at := cmd.GetServerTs(); at != 0 {
		c.sync.observe(at)
	}
	switch cmd.GetCmd() {
	case pb.CommandType_direct:
		c.pushedMessage(ctx, cmd.GetDirectMessage())
	case pb.CommandType_conv:
		c.pushedChange(ctx, change{
			op: cmd.GetOp(), m: cmd.GetConvMessage(), at: cmd.GetServerTs(),
			kept:      cmd.GetNotificationType() != 0,
			permanent: cmd.GetNotificationType() == wire.NotificationPermanent,
		})
	case pb.CommandType_rcp:
		c.pushedReceipt(ctx, cmd.GetRcpMessage())
	case pb.CommandType_unread:
		if !c.sync.cutOff() { // else the next session is told again
			c.pushedUnread(ctx, cmd.GetUnreadMessage())
		}
	case pb.CommandType_patch:
		if !c.sync.cutOff() {
			c.pushedPatches(ctx, cmd.GetPatchMessage())
		}
	}
}

// delivered is one message on its way to the listeners. It holds in one piece
// what a message needs there.
type delivered struct {
	client   *IMClient
	message  Message
	event    MessageEvent
	unread   UnreadMessagesCountUpdateEvent
	handled  handled // of event
	at       point
	stored   bool          // part of the history: counts for the position
	ackAfter bool          // acknowledge when handled
	room     chan struct{} // gets one token back when done; nil: none was taken
}

// done is called when the listeners are through with the message; handled is
// false if all of them gave it up.
func (d *delivered) done(handled bool) {
	if handled {
		if d.ackAfter { // first: a position that knows it to be handled has its acknowledgement
			d.client.sync.ack(d.message.ConversationID, d.at.at)
		}
		if d.stored {
			d.client.sync.handled(d.message.ConversationID, d.at)
		}
	}
	if d.room != nil {
		<-d.room
	}
}

// pushedMessage handles a message.
func (c *IMClient) pushedMessage(ctx context.Context, m *pb.DirectCommand) {
	cid, at := m.GetCid(), point{m.GetTimestamp(), m.GetId()}
	if cid == "" {
		return
	}
	news, uncounted := c.sync.arrived(cid, at, m.GetTransient())
	if !news {
		c.counters.known.Add(1)
	}
	if !news && !uncounted {
		return
	}
	conv := c.conversationOf(ctx, cid, Kind(m.GetConvType()))
	if !news {
		var mentions Message
		mentions.setMentions(m.GetMentionPids(), m.GetMentionAll(), c.ID())
		c.sync.countUnread(conv, mentions.Mentioned, true, new(UnreadMessagesCountUpdateEvent))
		return
	}
	d := &delivered{client: c, at: at, stored: !m.GetTransient()}
	d.message = Message{
		ID:             at.id,
		ConversationID: cid,
		From:           m.GetFromPeerId(),
		Timestamp:      fromMillis(at.at),
		UpdatedAt:      fromMillis(m.GetPatchTimestamp()),
		Transient:      m.GetTransient(),
	}
	d.message.setMentions(m.GetMentionPids(), m.GetMentionAll(), c.ID())
	d.message.Status = c.storedStatus(&d.message)
	d.message.setContent(c.rt.contents, wirePayload(m.Msg, m.BinaryMsg))
	if d.stored && d.message.From == c.ID() {
		// Of another device, or of a session of this one that was lost.
		if of, claimed := c.sync.claim(&d.message, false); claimed {
			if of != nil {
				of.turnedOut(&d.message)
			}
			d.done(true)
			return
		}
	}
	c.deliver(conv, d, true)
}

// deliver turns a message into an event. counted: it is one more unread
// message; else its count comes by other ways.
func (c *IMClient) deliver(conv *Conversation, d *delivered, counted bool) {
	m := &d.message
	kind := conv.Kind()
	if m.From != c.ID() && d.stored && kind != KindChatRoom {
		if c.opts.ackAfterHandling {
			d.ackAfter = true
		} else {
			c.sync.noteAck(m.ConversationID, d.at.at)
			defer c.sync.acks.trigger()
		}
	}
	if !c.dispatches(m, conv) {
		d.done(true)
		return
	}
	if d.stored {
		conv.mu.Lock()
		conv.state.sawMessage(m)
		conv.mu.Unlock()
		unread := c.sync.saw(m.ConversationID, d.at, m.From == c.ID(), d.event.Recovered)
		if kind == KindService {
			c.sync.noteUnlisted(m.ConversationID)
		}
		if unread && kind != KindChatRoom {
			if d.event.Recovered {
				c.sync.counted(m, d.at)
			}
			if counted {
				c.sync.countUnread(conv, m.Mentioned, !d.event.Recovered, &d.unread)
			}
		}
	}
	c.counters.received.Add(1)
	if d.event.Recovered {
		c.counters.recovered.Add(1)
	}
	d.event.Conversation, d.event.Message = conv, m
	d.handled.begin(d)
	c.deliverEvent(delivery{event: &d.event, handled: &d.handled})
}

// dispatches asks the plugins whether a message becomes an event.
func (c *IMClient) dispatches(m *Message, conv *Conversation) bool {
	for i := range c.rt.plugins {
		if ask := c.rt.plugins[i].BeforeMessageDispatch; ask != nil && !ask(m, conv) {
			return false
		}
	}
	return true
}

// wirePayload is the content of a command: binary if that is present.
func wirePayload(text *string, data []byte) payload {
	if data != nil {
		return payload{data: data, binary: true}
	}
	if text == nil {
		return payload{}
	}
	return payload{text: *text}
}

// pushedReceipt handles the news that a message was received or read.
func (c *IMClient) pushedReceipt(ctx context.Context, r *pb.RcpCommand) {
	if r.GetCid() == "" {
		return
	}
	c.sync.observe(r.GetT())
	conv := c.conversationOf(ctx, r.GetCid(), 0)
	c.awaitSent(ctx, r.GetCid(), r.GetId())
	at := fromMillis(r.GetT())
	if r.GetRead() {
		conv.readUpTo(at, r.GetFrom(), r.GetId())
		c.sync.receiptRead(conv.id, 0, r.GetId())
	} else {
		conv.deliveredUpTo(at, r.GetFrom(), r.GetId())
	}
	sent, waited := c.sync.takeReceipt(r.GetId(), at)
	if !waited {
		return
	}
	if r.GetRead() { // up to here; that it was received has not been told
		conv.deliveredUpTo(at, r.GetFrom(), r.GetId())
		for _, older := range c.sync.receivedUpTo(conv.id, sent.message.Timestamp.UnixMilli()) {
			c.delivered(conv, older, at)
		}
	}
	c.delivered(conv, sent, at)
}

// senderDelay is how long a receipt waits for the goroutine of its sender, which
// has got the answer before but may not have told so.
const senderDelay = 100 * time.Millisecond

// awaitSent waits until a message that a receipt is of may have been told to be
// sent, if its sender could be about to.
func (c *IMClient) awaitSent(ctx context.Context, cid, id string) {
	senders := c.sync.unsettled(cid, id)
	if len(senders) == 0 {
		return
	}
	timer := time.NewTimer(senderDelay)
	defer timer.Stop()
	for _, settled := range senders {
		select {
		case <-settled:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// delivered tells that a message has been received.
func (c *IMClient) delivered(conv *Conversation, sent sentMessage, at time.Time) {
	m := *sent.message
	m.Status, m.DeliveredAt = StatusDelivered, at
	conv.mu.Lock()
	conv.state.sawMessage(&m)
	conv.mu.Unlock()
	c.emit(&MessageStatusEvent{Conversation: conv, Message: &m, Token: sent.token})
}

// deliveredUpTo notes how far the other member has received, and tells
// listeners unless more was known.
func (c *Conversation) deliveredUpTo(at time.Time, by, id string) {
	if c.advance(&c.state.deliveredAt, at) {
		c.client.emit(&LastDeliveredAtUpdateEvent{Conversation: c, At: at, By: by, MessageID: id})
	}
}

// readUpTo notes how far the other member has read.
func (c *Conversation) readUpTo(at time.Time, by, id string) {
	if c.advance(&c.state.readUpToAt, at) {
		c.client.emit(&LastReadAtUpdateEvent{Conversation: c, At: at, By: by, MessageID: id})
	}
}

func (c *Conversation) advance(known *time.Time, at time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.IsZero() || !at.After(*known) {
		return false
	}
	*known = at
	return true
}

// pushedUnread handles the counts of unread messages that the server tells
// after login, and when something was read.
func (c *IMClient) pushedUnread(ctx context.Context, u *pb.UnreadCommand) {
	ids := make([]string, 0, len(u.GetConvs()))
	for _, tuple := range u.GetConvs() {
		ids = append(ids, tuple.GetCid())
	}
	c.prefetch(ctx, ids)
	for _, tuple := range u.GetConvs() {
		if tuple.GetCid() == "" {
			continue
		}
		conv := c.conversationOf(ctx, tuple.GetCid(), Kind(tuple.GetConvType()))
		var last point
		if tuple.Mid != nil {
			m := c.unreadMessage(tuple)
			last = m.point()
			conv.mu.Lock()
			conv.state.sawMessage(m)
			conv.mu.Unlock()
			c.sync.saw(conv.id, m.point(), m.From == c.ID(), false)
			if !c.recoverTold(ctx, conv, m) {
				return // the next session is told again
			}
		}
		more, mentioned := c.sync.told(conv.id, last)
		n := c.sync.countHolds(conv.id, c.sync.readTold(conv.id, int(tuple.GetUnread()), last), last)
		c.sync.setUnread(conv, n+more, n > 0 && tuple.GetMentioned() || mentioned)
	}
	c.sync.unreadTold(u.GetNotifTime())
}

// unreadMessage is the last message of a conversation with unread ones.
func (c *IMClient) unreadMessage(tuple *pb.UnreadTuple) *Message {
	m := &Message{
		ID:             tuple.GetMid(),
		ConversationID: tuple.GetCid(),
		From:           tuple.GetFrom(),
		Timestamp:      fromMillis(tuple.GetTimestamp()),
		UpdatedAt:      fromMillis(tuple.GetPatchTimestamp()),
	}
	m.Status = c.storedStatus(m)
	m.setContent(c.rt.contents, wirePayload(tuple.Data, tuple.BinaryMsg))
	return m
}

// pushedPatches handles edits and recalls: live ones, and after login those
// that were missed.
func (c *IMClient) pushedPatches(ctx context.Context, p *pb.PatchCommand) {
	ids := make([]string, 0, len(p.GetPatches()))
	for _, item := range p.GetPatches() {
		ids = append(ids, item.GetCid())
	}
	c.prefetch(ctx, ids)
	for _, item := range p.GetPatches() {
		missed, news := c.sync.patched(item.GetMid(), item.GetPatchTimestamp())
		if !news || item.GetCid() == "" || missed && mutant.On(mutant.SkipsEdits) {
			continue
		}
		conv := c.conversationOf(ctx, item.GetCid(), 0)
		m := c.patchedMessage(item)
		conv.mu.Lock()
		if last := conv.state.lastMessage; last != nil && last.ID == m.ID {
			conv.state.sawMessage(m)
		}
		conv.mu.Unlock()
		var reason *PatchReason
		if item.PatchCode != nil {
			reason = &PatchReason{Code: int(item.GetPatchCode()), Detail: item.GetPatchReason()}
		}
		var ev Event = &MessageUpdateEvent{Conversation: conv, Message: m, Reason: reason, Recovered: missed}
		if item.GetRecall() {
			ev = &MessageRecallEvent{Conversation: conv, Message: m, Reason: reason, Recovered: missed}
		}
		c.emitThen(ev, func(handled bool) {
			if handled {
				c.sync.editHandled(item.GetPatchTimestamp())
			}
		})
	}
}

// patchedMessage is a message as an edit leaves it.
func (c *IMClient) patchedMessage(item *pb.PatchItem) *Message {
	m := &Message{
		ID:             item.GetMid(),
		ConversationID: item.GetCid(),
		From:           item.GetFrom(),
		Timestamp:      fromMillis(item.GetTimestamp()),
		UpdatedAt:      fromMillis(item.GetPatchTimestamp()),
	}
	m.setMentions(item.GetMentionPids(), item.GetMentionAll(), c.ID())
	m.Status = c.storedStatus(m)
	p := wirePayload(item.Data, item.BinaryMsg)
	if item.GetRecall() && p.empty() {
		p.text = wire.RecalledContent
	}
	m.setContent(c.rt.contents, p)
	return m
}
