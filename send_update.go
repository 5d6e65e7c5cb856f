package realtime

import (
	"bytes"
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// Update replaces the content of a message that this client has sent, and
// returns the message as it is now. Of m it looks at ID, Timestamp and From.
// Mentions are replaced as well: none given, none are left. It may be repeated.
func (c *Conversation) Update(ctx context.Context, m *Message, content Content, opts ...UpdateOption) (*Message, error) {
	if isNil(content) {
		return nil, invalidArgument("the content is nil")
	}
	if err := c.editable(ctx, m); err != nil {
		return nil, err
	}
	var who mentions
	for _, opt := range opts {
		if opt == nil {
			return nil, invalidArgument("nil UpdateOption")
		}
		opt.applyUpdate(&who)
	}
	if err := checkIDs(who.ids); err != nil {
		return nil, err
	}
	content, err := c.beforeSend(ctx, content)
	if err != nil {
		return nil, err
	}
	p, err := encodeContent(content)
	if err != nil {
		return nil, err
	}
	p.data = bytes.Clone(p.data)
	item := &pb.PatchItem{Recall: proto.Bool(false), MentionPids: who.ids, MentionAll: proto.Bool(who.all)}
	if p.binary {
		item.BinaryMsg = p.data
		if item.BinaryMsg == nil {
			item.BinaryMsg = []byte{}
		}
	} else {
		item.Data = proto.String(p.text)
	}
	edited, err := c.patch(ctx, m, item)
	if err != nil {
		return nil, err
	}
	edited.setMentions(who.ids, who.all, c.client.ID())
	edited.payload = p
	edited.Content, edited.contentErr = copyContent(content, p)
	c.edited(edited)
	return edited, nil
}

// Recall takes back a message that this client has sent, and returns what
// stands in its place: a message whose content is a [RecalledMessage]. Of m it
// looks at ID, Timestamp and From. It may be repeated.
func (c *Conversation) Recall(ctx context.Context, m *Message) (*Message, error) {
	if err := c.editable(ctx, m); err != nil {
		return nil, err
	}
	recalled, err := c.patch(ctx, m, &pb.PatchItem{Recall: proto.Bool(true)})
	if err != nil {
		return nil, err
	}
	recalled.payload = payload{text: wire.RecalledContent}
	recalled.Content = &RecalledMessage{}
	c.edited(recalled)
	return recalled, nil
}

// editable refuses messages that cannot be edited.
func (c *Conversation) editable(ctx context.Context, m *Message) error {
	switch {
	case m == nil:
		return invalidArgument("the message is nil")
	case m.ID == "" || m.Timestamp.IsZero():
		return invalidArgument("the message has no ID or no Timestamp: it was not sent")
	case m.ConversationID != "" && m.ConversationID != c.id:
		return invalidArgument("the message is of conversation %q, not of %q", m.ConversationID, c.id)
	}
	if err := c.client.usable(ctx); err != nil {
		return err
	}
	if m.From != "" && m.From != c.client.ID() {
		return newError(ErrMessageOwnershipRequired, "")
	}
	return c.allowed(anyKind)
}

// patch sends an edit and returns the envelope of the message after it.
func (c *Conversation) patch(ctx context.Context, m *Message, item *pb.PatchItem) (*Message, error) {
	item.Cid, item.Mid, item.Timestamp = &c.id, proto.String(m.ID), proto.Int64(m.Timestamp.UnixMilli())
	reply, err := c.client.call(ctx, &pb.GenericCommand{
		Cmd: pb.CommandType_patch.Enum(), Op: pb.OpType_modify.Enum(),
		PatchMessage: &pb.PatchCommand{
			Patches: []*pb.PatchItem{item}, LastPatchTime: proto.Int64(c.client.sync.patchTime()),
		},
	}, callOptions{safe: true})
	if err != nil {
		return nil, c.failed(err)
	}
	at := reply.GetPatchMessage().GetLastPatchTime()
	c.client.sync.ownPatch(m.ID, at)
	out := &Message{
		ID:             m.ID,
		ConversationID: c.id,
		From:           c.client.ID(),
		Timestamp:      m.Timestamp,
		UpdatedAt:      fromMillis(at),
		DeliveredAt:    m.DeliveredAt,
	}
	out.Status = c.client.storedStatus(out)
	return out, nil
}

// edited shows an edit of the last message.
func (c *Conversation) edited(m *Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last := c.state.lastMessage; last != nil && last.ID == m.ID {
		c.state.sawMessage(m)
	}
}

// patchTime is the time of the newest edit known.
func (s *clientSync) patchTime() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastPatch
}
