package realtime

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/mutant"
	"github.com/leanrtm/realtime/internal/pb"
)

// readBatch is how many conversations one read command tells at most.
const readBatch = 100

// unread returns the count of a conversation, and whether this client is
// mentioned in one of those messages.
func (s *clientSync) unread(cid string) (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.marks[cid]
	if m == nil {
		return 0, false
	}
	return m.unread, m.mentioned
}

// restoreUnread sets a count that was stored, unless a newer one is known.
func (s *clientSync) restoreUnread(cid string, n int, mentioned bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.marks[cid] == nil && n > 0 {
		m := s.mark(cid)
		m.unread, m.mentioned = n, mentioned
	}
}

// countUnread adds one unread message, which was pushed or else recovered, and
// tells listeners, by ev.
func (s *clientSync) countUnread(conv *Conversation, mentioned, pushed bool, ev *UnreadMessagesCountUpdateEvent) {
	s.counting.Lock()
	defer s.counting.Unlock()
	s.mu.Lock()
	m := s.mark(conv.id)
	m.unread++
	if pushed {
		m.fresh++
	}
	m.mentioned = m.mentioned || mentioned
	n, mentioned := m.unread, m.mentioned
	s.mu.Unlock()
	*ev = UnreadMessagesCountUpdateEvent{Conversation: conv, Count: n, Mentioned: mentioned, LastMessage: conv.LastMessage()}
	s.client.emit(ev)
}

// setUnread sets the count and tells listeners if it is another one.
func (s *clientSync) setUnread(conv *Conversation, n int, mentioned bool) {
	s.counting.Lock()
	defer s.counting.Unlock()
	s.mu.Lock()
	known := s.marks[conv.id]
	if known == nil && n == 0 || known != nil && known.unread == n && known.mentioned == mentioned {
		s.mu.Unlock()
		return
	}
	m := s.mark(conv.id)
	m.unread, m.mentioned = n, mentioned
	s.mu.Unlock()
	s.tellUnread(conv, n, mentioned)
}

// tellUnread tells listeners of a count, with counting held.
func (s *clientSync) tellUnread(conv *Conversation, n int, mentioned bool) {
	s.client.emit(&UnreadMessagesCountUpdateEvent{
		Conversation: conv, Count: n, Mentioned: mentioned, LastMessage: conv.LastMessage(),
	})
}

// saw notes a message of a conversation, which may be the newest, and reports
// whether it raises the count of unread ones: what was said before the client
// became a member does not, and what was recovered late may be counted or read
// already.
func (s *clientSync) saw(cid string, p point, own, recovered bool) (unread bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.mark(cid)
	if m.last.before(p) {
		m.last, m.lastOwn = p, own
	}
	return !own && m.joinedAt <= p.at && m.leftAt == 0 && (!recovered || p.at > s.cursor)
}

// Read marks everything that has come so far as read. The count of unread
// messages is 0 at once; the server learns it within a second, after a
// reconnect if need be. It does not wait for that, and it fails only when the
// client is not open.
func (c *Conversation) Read(ctx context.Context) error {
	if err := c.client.usable(ctx); err != nil {
		return err
	}
	c.client.sync.read(c)
	c.client.sync.reads.trigger()
	return nil
}

// MarkAllAsRead is [Conversation.Read] of several conversations of this
// client; none given: of all that have unread messages.
func (c *IMClient) MarkAllAsRead(ctx context.Context, convs ...*Conversation) error {
	if err := c.usable(ctx); err != nil {
		return err
	}
	for _, conv := range convs {
		if conv == nil || conv.client != c {
			return invalidArgument("MarkAllAsRead: not a conversation of this client")
		}
	}
	if len(convs) == 0 {
		for _, id := range c.sync.unreadIDs() {
			convs = append(convs, c.convs.bare(id, 0))
		}
	}
	for _, conv := range convs {
		c.sync.read(conv)
	}
	c.sync.reads.trigger()
	return nil
}

// usable is why a call that needs no answer cannot be made.
func (c *IMClient) usable(ctx context.Context) error {
	if err := contextError(ctx); err != nil {
		return err
	}
	if c.session.Load() == nil || c.Err() != nil {
		return c.notOpen()
	}
	return nil
}

// unreadIDs are the conversations with unread messages.
func (s *clientSync) unreadIDs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for id, m := range s.marks {
		if m.unread > 0 || m.mentioned {
			ids = append(ids, id)
		}
	}
	return ids
}

// read notes that a conversation is read up to the newest message known now.
func (s *clientSync) read(conv *Conversation) {
	if kind := conv.Kind(); kind != KindChatRoom { // there the server counts nothing
		s.mu.Lock()
		var upTo point
		if m := s.marks[conv.id]; m != nil {
			upTo = m.last
			m.recounted, m.fresh = nil, 0
			if m.lastOwn {
				upTo.id = ""
			}
		}
		if s.readable == nil {
			s.readable = make(map[string]point)
		}
		s.readable[conv.id] = upTo
		s.mu.Unlock()
	}
	s.setUnread(conv, 0, false)
}

// flushReads tells the server what was read, as far as there is a connection.
func (s *clientSync) flushReads() {
	s.mu.Lock()
	due := s.readable
	s.readable = nil
	s.mu.Unlock()
	if mutant.On(mutant.LosesReadPoints) {
		return
	}
	for len(due) > 0 {
		convs := make([]*pb.ReadTuple, 0, min(len(due), readBatch))
		for cid, upTo := range due {
			if len(convs) == readBatch {
				break
			}
			tuple := &pb.ReadTuple{Cid: proto.String(cid)}
			if upTo.at != 0 { // else the server takes everything for read
				tuple.Timestamp = proto.Int64(upTo.at)
			}
			if upTo.id != "" {
				tuple.Mid = proto.String(upTo.id)
			}
			convs = append(convs, tuple)
		}
		err := s.client.post(s.client.session.Load(), &pb.GenericCommand{
			Cmd:         pb.CommandType_read.Enum(),
			ReadMessage: &pb.ReadCommand{Convs: convs},
		}, nil)
		if err != nil {
			break
		}
		s.mu.Lock()
		for _, tuple := range convs {
			if s.reading == nil {
				s.reading = make(map[string]point)
			}
			s.reading[tuple.GetCid()] = due[tuple.GetCid()]
			delete(due, tuple.GetCid())
		}
		s.mu.Unlock()
	}
	if len(due) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for cid, upTo := range s.readable { // newer than what could not be sent
		due[cid] = upTo
	}
	s.readable = due
}

// readAgain makes due again what was told to a session that is gone and may not
// have got through, with mu held.
func (s *clientSync) readAgain() {
	if len(s.reading) == 0 || mutant.On(mutant.ForgetsReadPoint) {
		return
	}
	if s.readable == nil {
		s.readable = make(map[string]point)
	}
	for cid, upTo := range s.reading {
		if _, newer := s.readable[cid]; !newer {
			s.readable[cid] = upTo
		}
	}
	clear(s.reading)
}

// readTold notes that the server has told an unread count, which it does when it
// has taken over a read point, and returns the count that holds: what is read
// here and not known there yet is not unread.
func (s *clientSync) readTold(cid string, n int, last point) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n == 0 || !s.tuplesDue { // else it may be from before
		delete(s.reading, cid)
	}
	for _, told := range [...]map[string]point{s.readable, s.reading} {
		if upTo, due := told[cid]; due && !upTo.before(point{last.at, upTo.id}) {
			return 0
		}
	}
	return n
}
