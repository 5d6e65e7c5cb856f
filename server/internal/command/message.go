package command

import (
	"encoding/base64"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/engine"
	"github.com/leanrtm/realtime/server/internal/store"
)

// directReply is the reply to a message and all that it points to, in one piece:
// it is the most frequent reply by far.
type directReply struct {
	cmd  pb.GenericCommand
	ack  pb.AckCommand
	kind pb.CommandType
	cid  string
	sent engine.Sent
}

// direct sends a message. Its reply is an ack, also when it fails.
func (c *call) direct() {
	m := c.r.Cmd.GetDirectMessage()
	sent, err := c.send(m)
	reply := c.replies.Get().(*directReply)
	reply.kind, reply.cid, reply.sent = pb.CommandType_ack, m.GetCid(), sent
	ack := &reply.ack
	ack.Cid = &reply.cid
	if err == nil {
		// A code must be absent here: some clients take a present 0 for an error.
		ack.Uid, ack.T = &reply.sent.Mid, &reply.sent.TS
	} else {
		e := reason(err)
		ack.Code, ack.Reason = proto.Int32(int32(e.Code)), proto.String(e.Code.Name())
		if e.AppCode != 0 {
			ack.AppCode = &e.AppCode
		}
		if e.AppMsg != "" {
			ack.AppMsg = &e.AppMsg
		}
	}
	reply.cmd.Cmd, reply.cmd.AckMessage = &reply.kind, ack
	c.r.Reply(&reply.cmd)
	*reply = directReply{}
	c.replies.Put(reply)
}

func (c *call) send(m *pb.DirectCommand) (engine.Sent, error) {
	if m.GetCid() == "" {
		return engine.Sent{}, refusal(wire.CodeInvalidMessagingTarget, "no conversation")
	}
	if err := c.allow(&c.sends, wire.CodeMessageSentQuotaExceeded); err != nil {
		return engine.Sent{}, err
	}
	o := engine.Outgoing{
		Body: m.GetMsg(), Token: m.GetDt(), Transient: m.GetTransient(), Receipt: m.GetR(), Will: m.GetWill(),
		PushData: m.GetPushData(), Priority: c.r.Cmd.GetPriority(), Mentions: m.GetMentionPids(), MentionAll: m.GetMentionAll(),
	}
	if m.BinaryMsg != nil {
		o.Body, o.Binary = string(m.BinaryMsg), true
	}
	return c.e.Send(c.ctx, c.by, m.GetCid(), &o)
}

// ack says what the client has received. There is no reply, so nobody hears of
// an error.
func (c *call) ack() {
	m := c.r.Cmd.GetAckMessage()
	if m.GetCid() == "" {
		return
	}
	c.ignore(c.e.Received(c.ctx, c.by, m.GetCid(), m.GetTots(), m.GetMid()))
}

// readsAtOnce bounds the conversations of one frame.
const readsAtOnce = 1000

// read says what the client has read, in the current form or in one of two old
// ones. There is no reply.
func (c *call) read() {
	m := c.r.Cmd.GetReadMessage()
	points := make([]engine.ReadPoint, 0, len(m.GetConvs()))
	for _, t := range m.GetConvs() {
		points = append(points, engine.ReadPoint{Cid: t.GetCid(), TS: t.GetTimestamp(), Mid: t.GetMid()})
	}
	for _, cid := range m.GetCids() {
		points = append(points, engine.ReadPoint{Cid: cid})
	}
	if m.GetCid() != "" {
		points = append(points, engine.ReadPoint{Cid: m.GetCid()})
	}
	for _, p := range points[:min(len(points), readsAtOnce)] {
		if p.Cid != "" {
			c.ignore(c.e.Read(c.ctx, c.by, p))
		}
	}
}

// ignore is for failures that the client is not told of. The engine has logged
// those that are the server's.
func (c *call) ignore(err error) {
	if err != nil {
		c.log.Debug("command without reply failed", "client_id", c.by.Client, "cmd", c.r.Cmd.GetCmd().String(), "error", err)
	}
}

// logs answers with messages, always in the order of time.
func (c *call) logs() {
	if err := c.allow(&c.histories, wire.CodeConversationAPIQuotaExceeded); err != nil {
		c.fail(err)
		return
	}
	m := c.r.Cmd.GetLogsMessage()
	items, err := c.e.History(c.ctx, c.by, m.GetCid(), engine.HistoryQuery{Range: rangeOf(m), Limit: limitOf(m)})
	if err != nil {
		c.fail(err)
		return
	}
	reply := &pb.LogsCommand{Cid: proto.String(m.GetCid()), Logs: make([]*pb.LogItem, len(items))}
	blocks := make([]logBlock, len(items))
	for i := range items {
		reply.Logs[i] = blocks[i].fill(&items[i])
	}
	c.r.Reply(&pb.GenericCommand{Cmd: pb.CommandType_logs.Enum(), LogsMessage: reply})
}

// limitOf is the page size, which has two names; an explicit 0 asks for nothing.
func limitOf(m *pb.LogsCommand) int {
	switch {
	case m == nil:
		return wire.DefaultHistory
	case m.L != nil:
		return int(m.GetL())
	case m.Limit != nil:
		return int(m.GetLimit())
	}
	return wire.DefaultHistory
}

// rangeOf reads the two ends of a history query. A time of 0 is no end: history
// starts after it, and nobody asks for what came before.
func rangeOf(m *pb.LogsCommand) store.Range {
	r := store.Range{
		Newer: m.GetDirection() == pb.LogsCommand_NEW,
		Start: store.Bound{Set: m.GetT() > 0, TS: m.GetT(), Mid: m.GetMid(), Closed: m.GetTIncluded()},
		End:   store.Bound{Set: m.GetTt() > 0, TS: m.GetTt(), Mid: m.GetTmid(), Closed: m.GetTtIncluded()},
	}
	if m != nil && m.Lctype != nil {
		r.Typed, r.Type = true, m.GetLctype()
	}
	return r
}

// logBlock is a message of a page, and what it points to that the stored message
// does not have.
type logBlock struct {
	item       pb.LogItem
	kind       int32
	mentionAll bool
}

func (b *logBlock) fill(it *engine.Item) *pb.LogItem {
	m, out := &it.Message, &b.item
	b.kind, b.mentionAll = int32(it.Kind), m.Flags.Has(store.FlagMentionAll)
	out.From, out.Timestamp, out.MsgId, out.MentionPids = &m.From, &m.TS, &m.Mid, m.Mentions
	out.ConvType, out.MentionAll = &b.kind, &b.mentionAll
	if m.Flags.Has(store.FlagBinary) {
		out.Data, out.Bin = proto.String(base64.StdEncoding.EncodeToString([]byte(m.Body))), proto.Bool(true)
	} else {
		out.Data = &m.Body
	}
	// Present zeros would say that these things have happened.
	if it.AckAt != 0 {
		out.AckAt = &it.AckAt
	}
	if it.ReadAt != 0 {
		out.ReadAt = &it.ReadAt
	}
	if m.PatchTS != 0 {
		out.PatchTimestamp = &m.PatchTS
	}
	return out
}

// patch changes messages or takes them back.
func (c *call) patch() {
	switch c.r.Cmd.GetOp() {
	case pb.OpType_modify:
	case pb.OpType_modified:
		return // a client's acknowledgement; its cursor comes with its next login
	default:
		c.unknown()
		return
	}
	if err := c.allow(&c.sends, wire.CodeMessageSentQuotaExceeded); err != nil {
		c.fail(err)
		return
	}
	items := c.r.Cmd.GetPatchMessage().GetPatches()
	if len(items) == 0 {
		c.fail(refusal(wire.CodeMessageNotFound, "no message is named"))
		return
	}
	var at int64
	for _, it := range items {
		ed := engine.Edit{
			Cid: it.GetCid(), Mid: it.GetMid(), TS: it.GetTimestamp(), Recall: it.GetRecall(),
			Body: it.GetData(), Mentions: it.GetMentionPids(), MentionAll: it.GetMentionAll(),
		}
		if it.BinaryMsg != nil {
			ed.Body, ed.Binary = string(it.BinaryMsg), true
		}
		var err error
		if at, err = c.e.Edit(c.ctx, c.by, &ed); err != nil {
			c.fail(err)
			return
		}
	}
	c.reply(pb.CommandType_patch, pb.OpType_modified, &pb.GenericCommand{PatchMessage: &pb.PatchCommand{LastPatchTime: &at}})
}
