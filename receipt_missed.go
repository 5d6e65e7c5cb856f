package realtime

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/leanrtm/realtime/internal/mutant"
	"github.com/leanrtm/realtime/internal/pb"
)

// Receipts that were told while the sender was away. Nobody keeps those of
// delivery, and those of reading are kept only if the server knew that the sender
// was away. So after a reconnect the client asks how far the other member has
// come, where a receipt of its own messages is still to come. That is a courtesy:
// it ends at the first question that is not answered, and what it could not ask
// is asked after the next reconnect.

const (
	// maxReceiptConversations is how many conversations are remembered in which a
	// message with a receipt has not been read, and asked about after a reconnect.
	maxReceiptConversations = 256
	// receiptsParallel is how many of them are asked about at a time.
	receiptsParallel = 8
)

// wantRead notes a message that was sent with a receipt, with the lock of the
// book held.
func (b *receiptBook) wantRead(cid string, at point) {
	if b.unread == nil {
		b.unread = make(map[string]point)
	}
	b.unread[cid] = later(b.unread[cid], at)
	if len(b.unread) <= maxReceiptConversations {
		return
	}
	oldest := cid
	for id, at := range b.unread {
		if at.before(b.unread[oldest]) {
			oldest = id
		}
	}
	delete(b.unread, oldest)
}

// receiptsToCome are the conversations where a receipt is still to come, those
// with the newest message first.
func (s *clientSync) receiptsToCome() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	newest := maps.Clone(s.receipts.unread)
	for _, m := range s.receipts.byID {
		if cid, at := m.message.ConversationID, m.message.point(); newest[cid].before(at) {
			if newest == nil {
				newest = make(map[string]point)
			}
			newest[cid] = at
		}
	}
	cids := slices.SortedFunc(maps.Keys(newest), func(a, b string) int {
		return cmp.Or(cmp.Compare(newest[b].at, newest[a].at), cmp.Compare(a, b))
	})
	return cids[:min(len(cids), maxReceiptConversations)]
}

// receivedUpTo returns the messages of a conversation whose receipts were still
// to come and that have been received, oldest first.
func (s *clientSync) receivedUpTo(cid string, at int64) []sentMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []sentMessage
	for id, m := range s.receipts.byID {
		if m.message.ConversationID == cid && m.message.Timestamp.UnixMilli() <= at {
			out = append(out, m)
			delete(s.receipts.byID, id)
		}
	}
	slices.SortFunc(out, func(a, b sentMessage) int {
		p, q := a.message.point(), b.message.point()
		return cmp.Or(cmp.Compare(p.at, q.at), cmp.Compare(p.id, q.id))
	})
	return out
}

// receiptRead notes that a message has been read, and all before it.
func (s *clientSync) receiptRead(cid string, upTo int64, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if want, some := s.receipts.unread[cid]; some && (want.at <= upTo || want.id == id) {
		delete(s.receipts.unread, cid)
	}
}

// forgetReceipts ends waiting for the receipts of a conversation that has none.
func (s *clientSync) forgetReceipts(cid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.receipts.unread, cid)
	maps.DeleteFunc(s.receipts.byID, func(_ string, m sentMessage) bool { return m.message.ConversationID == cid })
}

// reached is how far the other member of a conversation has come.
type reached struct {
	conv            *Conversation
	delivered, read time.Time
}

// catchUpReceipts asks for the receipts of conversations and tells them. It runs
// on the processing goroutine.
func (c *IMClient) catchUpReceipts(ctx context.Context, cids []string) {
	if mutant.On(mutant.SkipsReceipts) {
		return
	}
	c.prefetch(ctx, cids)
	var failed atomic.Bool
	all, err := inParallel(ctx, receiptsParallel, cids, func(ctx context.Context, cid string) ([]reached, error) {
		if failed.Load() {
			return nil, nil
		}
		r, err := c.askReceipts(ctx, c.convs.bare(cid, 0))
		if err != nil {
			failed.Store(true)
			c.log.LogAttrs(ctx, slog.LevelDebug, "receipts that were missed could not be fetched", slog.Any("error", err))
		}
		return r, nil
	})
	if err != nil {
		return // the client is ending
	}
	for _, r := range all {
		r.conv.deliveredUpTo(r.delivered, r.conv.other(), "")
		for _, sent := range c.sync.receivedUpTo(r.conv.id, millis(r.delivered)) {
			c.delivered(r.conv, sent, r.delivered)
		}
		r.conv.readUpTo(r.read, r.conv.other(), "")
		c.sync.receiptRead(r.conv.id, millis(r.read), "")
	}
}

// askReceipts asks about one conversation. One that has no receipts is forgotten.
func (c *IMClient) askReceipts(ctx context.Context, conv *Conversation) ([]reached, error) {
	if state := conv.snapshot(); state.hasMembers() && len(state.members) != 2 {
		c.sync.forgetReceipts(conv.id)
		return nil, nil
	}
	reply, err := conv.do(ctx, withReceipts, pb.OpType_max_read, &pb.ConvCommand{}, callOptions{safe: true})
	switch {
	case err == nil && reply != nil:
	case err != nil && (passes(err) || c.cutOff(ctx, err)):
		return nil, err
	default: // it has none, or is none of this client's any more; or the answer tells nothing
		c.sync.forgetReceipts(conv.id)
		return nil, nil
	}
	return []reached{{conv, optionalMillis(reply.MaxAckTimestamp), optionalMillis(reply.MaxReadTimestamp)}}, nil
}

// awaitReceipt waits for the receipt of a message that is known to be stored. It
// may have been told before: of a message that an earlier session has sent, or an
// earlier call with the same token that got no answer.
func (c *IMClient) awaitReceipt(conv *Conversation, sent sentMessage) {
	at, came := c.sync.waitReceipt(sent)
	switch {
	case came:
		c.delivered(conv, sent, at)
	case c.sync.doubted(sent.token), c.sync.missed(sent.message.Timestamp.UnixMilli()+1) && c.counters.reopens.Load() > 0:
		c.enqueue(job{call: func(ctx context.Context) { c.catchUpReceipts(ctx, []string{conv.id}) }})
	}
}

// doubted reports whether a send with this token has ended in doubt.
func (s *clientSync) doubted(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.doubts, func(d doubt) bool { return d.opts.token == token })
}
