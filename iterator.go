package realtime

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// MessageQueryDirection is the direction in which history is read.
type MessageQueryDirection int

// The directions.
const (
	DirectionAuto MessageQueryDirection = iota // OldToNew if EndTime is after StartTime, else NewToOld
	NewToOld
	OldToNew
)

// String names the direction.
func (d MessageQueryDirection) String() string {
	switch d {
	case DirectionAuto:
		return "auto"
	case NewToOld:
		return "new to old"
	case OldToNew:
		return "old to new"
	}
	return "MessageQueryDirection(" + strconv.Itoa(int(d)) + ")"
}

// MessageQuery says which messages of the history are wanted. The zero value
// asks for the newest.
type MessageQuery struct {
	// Limit is the page size, 1 to 1000; 0: 20, in Messages 100.
	Limit int
	// Type is the only message type wanted; 0: all.
	Type int
	// Direction is from where the limit counts, and where the next page is.
	Direction MessageQueryDirection
	// StartTime and EndTime are the bounds, to the millisecond; a zero time is
	// an open one. The start is where reading begins: when it goes from new to
	// old, the start is the later one.
	StartTime, EndTime time.Time
	// StartMessageID and EndMessageID tell messages of the same time apart. An
	// id is only valid with its time.
	StartMessageID, EndMessageID string
	// StartClosed and EndClosed include the bound itself.
	StartClosed, EndClosed bool
}

// check reports mistakes, and settles the direction and the page size.
func (q *MessageQuery) check(limit int) error {
	switch {
	case q.Limit < 0 || q.Limit > wire.MaxHistoryPage:
		return invalidArgument("Limit %d is not within 1 and %d", q.Limit, wire.MaxHistoryPage)
	case int64(q.Type) != int64(int32(q.Type)): // it would be another type to the server, or all of them
		return invalidArgument("Type %d", q.Type)
	case q.StartMessageID != "" && q.StartTime.IsZero():
		return invalidArgument("StartMessageID without StartTime")
	case q.EndMessageID != "" && q.EndTime.IsZero():
		return invalidArgument("EndMessageID without EndTime")
	case q.Direction < DirectionAuto || q.Direction > OldToNew:
		return invalidArgument("Direction %v", q.Direction)
	}
	if q.Limit == 0 {
		q.Limit = limit
	}
	if q.Direction == DirectionAuto {
		q.Direction = NewToOld
		if !q.StartTime.IsZero() && q.EndTime.After(q.StartTime) {
			q.Direction = OldToNew
		}
	}
	return nil
}

// command is the query as the server wants it.
func (q *MessageQuery) command(cid string) *pb.LogsCommand {
	m := &pb.LogsCommand{Cid: &cid, L: proto.Int32(int32(q.Limit)), Direction: pb.LogsCommand_OLD.Enum()}
	if q.Direction == OldToNew {
		m.Direction = pb.LogsCommand_NEW.Enum()
	}
	if q.Type != 0 {
		m.Lctype = proto.Int32(int32(q.Type))
	}
	if !q.StartTime.IsZero() {
		m.T, m.TIncluded = proto.Int64(q.StartTime.UnixMilli()), proto.Bool(q.StartClosed)
	}
	if q.StartMessageID != "" {
		m.Mid = proto.String(q.StartMessageID)
	}
	if !q.EndTime.IsZero() {
		m.Tt, m.TtIncluded = proto.Int64(q.EndTime.UnixMilli()), proto.Bool(q.EndClosed)
	}
	if q.EndMessageID != "" {
		m.Tmid = proto.String(q.EndMessageID)
	}
	return m
}

// QueryMessages returns one page of the history, oldest first whatever the
// direction: of the messages within the bounds, those nearest to the start.
func (c *Conversation) QueryMessages(ctx context.Context, q MessageQuery) ([]*Message, error) {
	if err := q.check(wire.DefaultHistory); err != nil {
		return nil, err
	}
	return c.history(ctx, &q)
}

// history fetches one page.
func (c *Conversation) history(ctx context.Context, q *MessageQuery) ([]*Message, error) {
	if err := c.allowed(anyKind); err != nil {
		return nil, err
	}
	reply, err := c.client.call(ctx, &pb.GenericCommand{
		Cmd: pb.CommandType_logs.Enum(), LogsMessage: q.command(c.id),
	}, callOptions{safe: true})
	if err != nil {
		return nil, c.failed(err)
	}
	logs := reply.GetLogsMessage().GetLogs()
	out := make([]*Message, len(logs))
	var delivered, read time.Time
	for i, item := range logs {
		m := c.client.loggedMessage(c.id, item)
		out[i] = m
		if m.From != c.client.ID() {
			continue // when this client itself received it
		}
		delivered = latest(delivered, m.DeliveredAt)
		read = latest(read, optionalMillis(item.ReadAt))
	}
	if len(c.snapshot().members) == 2 {
		c.deliveredUpTo(delivered, c.other(), "")
		c.readUpTo(read, c.other(), "")
	}
	return out, nil
}

// other is the other member of a conversation of two, "" of others.
func (c *Conversation) other() string {
	members := c.snapshot().members
	if len(members) != 2 {
		return ""
	}
	if members[0] == c.client.ID() {
		return members[1]
	}
	return members[0]
}

// loggedMessage is a message of the history.
func (c *IMClient) loggedMessage(cid string, item *pb.LogItem) *Message {
	m := &Message{
		ID:             item.GetMsgId(),
		ConversationID: cid,
		From:           item.GetFrom(),
		Timestamp:      fromMillis(item.GetTimestamp()),
		UpdatedAt:      fromMillis(item.GetPatchTimestamp()),
		DeliveredAt:    optionalMillis(item.AckAt),
	}
	m.setMentions(slices.Clone(item.GetMentionPids()), item.GetMentionAll(), c.ID())
	m.Status = c.storedStatus(m)
	p, err := storedPayload(item.GetData(), item.GetBin())
	m.setContent(c.rt.contents, p)
	if err != nil {
		m.contentErr = err
	}
	return m
}

// MessageIterator reads the history page after page. It is for one goroutine
// at a time.
type MessageIterator struct {
	conv    *Conversation
	query   MessageQuery // of the next page
	mistake error
	done    bool
}

// MessageIterator returns an iterator over the messages that q asks for, in
// pages of q.Limit, in q.Direction. Mistakes in q are reported by Next.
func (c *Conversation) MessageIterator(q MessageQuery) *MessageIterator {
	return c.messageIterator(q, wire.DefaultHistory)
}

func (c *Conversation) messageIterator(q MessageQuery, limit int) *MessageIterator {
	it := &MessageIterator{conv: c, query: q}
	it.mistake = it.query.check(limit)
	return it
}

// serverPage is what a server that caps the page size still gives when there
// is more.
const serverPage = 100

// Next returns the next page, oldest first whatever the direction. done comes
// with the last page, which may be empty, and from then on. After an error the
// next call asks for the same page again.
func (it *MessageIterator) Next(ctx context.Context) (page []*Message, done bool, err error) {
	if it.mistake != nil {
		return nil, false, it.mistake
	}
	if it.done {
		return nil, true, nil
	}
	page, err = it.conv.history(ctx, &it.query)
	if err != nil {
		return nil, false, err
	}
	if len(page) == 0 {
		it.done = true
		return nil, true, nil
	}
	edge := page[0]
	if it.query.Direction == OldToNew {
		edge = page[len(page)-1]
	}
	// A server that ignores the bound would send the same page for ever.
	stuck := !it.query.StartClosed && edge.Timestamp.Equal(it.query.StartTime) && edge.ID == it.query.StartMessageID
	it.query.StartTime, it.query.StartMessageID, it.query.StartClosed = edge.Timestamp, edge.ID, false
	it.done = stuck || len(page) < min(it.query.Limit, serverPage)
	return page, it.done, nil
}

// messagesPage is how many messages Messages fetches at a time.
const messagesPage = 100

// Messages returns all messages that q asks for, fetched page after page, in
// q.Direction. An error is the last pair. Each range starts again.
func (c *Conversation) Messages(ctx context.Context, q MessageQuery) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		it := c.messageIterator(q, messagesPage)
		for {
			page, done, err := it.Next(ctx)
			if err != nil {
				yield(nil, err)
				return
			}
			if it.query.Direction == NewToOld {
				slices.Reverse(page)
			}
			for _, m := range page {
				if !yield(m, nil) {
					return
				}
			}
			if done {
				return
			}
		}
	}
}
