package command

import (
	"encoding/json"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/engine"
	"github.com/leanrtm/realtime/server/internal/sign"
	"github.com/leanrtm/realtime/server/internal/store"
)

// conv executes the commands about conversations.
func (c *call) conv() {
	if err := c.allow(&c.requests, wire.CodeConversationAPIQuotaExceeded); err != nil {
		c.fail(err)
		return
	}
	m := c.r.Cmd.GetConvMessage()
	if m == nil {
		m = &pb.ConvCommand{}
	}
	op, reply, err := c.convOp(m)
	if err != nil {
		c.fail(err)
		return
	}
	c.reply(pb.CommandType_conv, op, &pb.GenericCommand{ConvMessage: reply})
}

func (c *call) convOp(m *pb.ConvCommand) (pb.OpType, *pb.ConvCommand, error) {
	switch c.r.Cmd.GetOp() {
	case pb.OpType_start:
		return c.start(m)
	case pb.OpType_query:
		return c.query(m)
	case pb.OpType_add:
		out, err := c.e.Add(c.ctx, c.by, m.GetCid(), m.GetM(), convSignature(m))
		return c.membersOutcome(pb.OpType_added, m, out, err)
	case pb.OpType_remove:
		out, err := c.e.Remove(c.ctx, c.by, m.GetCid(), m.GetM(), convSignature(m))
		return c.membersOutcome(pb.OpType_removed, m, out, err)
	case pb.OpType_update:
		return c.update(m)
	case pb.OpType_mute, pb.OpType_unmute:
		on := c.r.Cmd.GetOp() == pb.OpType_mute
		at, err := c.e.Mute(c.ctx, c.by, m.GetCid(), []string{c.by.Client}, on)
		return pb.OpType_updated, &pb.ConvCommand{Cid: m.Cid, Udate: iso(at)}, err
	case pb.OpType_count:
		n, err := c.e.Count(c.ctx, c.by, m.GetCid())
		return pb.OpType_result, &pb.ConvCommand{Cid: m.Cid, Count: proto.Int32(int32(n))}, err
	case pb.OpType_members:
		n := wire.MaxOnlineMembers
		if m.Limit != nil {
			n = max(0, min(n, int(m.GetLimit())))
		}
		present, err := c.e.Present(c.ctx, c.by, m.GetCid(), n)
		return pb.OpType_result, &pb.ConvCommand{Cid: m.Cid, M: present}, err
	case pb.OpType_is_member:
		return c.isMember(m)
	case pb.OpType_max_read:
		return c.maxRead(m)
	case pb.OpType_member_info_update:
		return c.memberInfo(m)
	case pb.OpType_add_shutup:
		out, err := c.e.Shutup(c.ctx, c.by, m.GetCid(), m.GetM(), true)
		return c.outcome(pb.OpType_shutup_added, m, out, err)
	case pb.OpType_remove_shutup:
		out, err := c.e.Shutup(c.ctx, c.by, m.GetCid(), m.GetM(), false)
		return c.outcome(pb.OpType_shutup_removed, m, out, err)
	case pb.OpType_query_shutup:
		ids, next, err := c.e.List(c.ctx, c.by, store.ListShutup, m.GetCid(), m.GetNext(), int(m.GetLimit()))
		return pb.OpType_shutup_result, &pb.ConvCommand{Cid: m.Cid, M: ids, Next: optional(next)}, err
	case pb.OpType_check_shutup:
		ids, err := c.e.Check(c.ctx, c.by, store.ListShutup, m.GetCid(), m.GetM())
		return pb.OpType_check_result, &pb.ConvCommand{Cid: m.Cid, M: ids}, err
	}
	return 0, nil, refusal(wire.CodeInternalError, "unknown command conv/"+c.r.Cmd.GetOp().String())
}

func convSignature(m *pb.ConvCommand) sign.Signature {
	return sign.Signature{Timestamp: m.GetT(), Nonce: m.GetN(), Value: m.GetS()}
}

func iso(ms int64) *string { return proto.String(engine.ISO(ms)) }

// optional is a text that is absent when it is empty.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (c *call) start(m *pb.ConvCommand) (pb.OpType, *pb.ConvCommand, error) {
	n := engine.NewConv{
		Kind: store.KindNormal, Members: m.GetM(), Attrs: json.RawMessage(m.GetAttr().GetData()),
		Unique: m.GetUnique(), Signature: convSignature(m),
	}
	switch {
	case m.GetTransient():
		n.Kind = store.KindRoom
	case m.GetTempConv():
		n.Kind = store.KindTemporary
		n.TTL = time.Duration(m.GetTempConvTTL()) * time.Second
	}
	made, err := c.e.Create(c.ctx, c.by, n)
	if err != nil {
		return 0, nil, err
	}
	reply := &pb.ConvCommand{Cid: &made.Cid, Cdate: iso(made.Created), Udate: iso(made.Updated), UniqueId: optional(made.UniqueID)}
	if made.TTL > 0 {
		reply.TempConvTTL = proto.Int32(int32(made.TTL / time.Second))
	}
	if made.Existing {
		reply.Existing = proto.Bool(true)
	}
	return pb.OpType_started, reply, nil
}

func (c *call) query(m *pb.ConvCommand) (pb.OpType, *pb.ConvCommand, error) {
	q := engine.ConvQuery{
		Where: []byte(m.GetWhere().GetData()), Sort: m.GetSort(), Skip: int(m.GetSkip()), Limit: wire.DefaultQuery,
		Temporary: m.GetTempConvIds(),
		Compact:   m.GetFlag()&wire.QueryCompact != 0, WithLast: m.GetFlag()&wire.QueryWithLastMessage != 0,
	}
	if m.Limit != nil {
		q.Limit = int(m.GetLimit())
	}
	found, err := c.e.Query(c.ctx, c.by, q)
	return pb.OpType_results, &pb.ConvCommand{Results: document(found)}, err
}

func document(text []byte) *pb.JsonObjectMessage {
	return &pb.JsonObjectMessage{Data: proto.String(string(text))}
}

func (c *call) update(m *pb.ConvCommand) (pb.OpType, *pb.ConvCommand, error) {
	done, err := c.e.Update(c.ctx, c.by, m.GetCid(), json.RawMessage(m.GetAttr().GetData()))
	if err != nil {
		return 0, nil, err
	}
	return pb.OpType_updated, &pb.ConvCommand{Cid: m.Cid, Udate: iso(done.At), AttrModified: document(done.Modified)}, nil
}

func (c *call) isMember(m *pb.ConvCommand) (pb.OpType, *pb.ConvCommand, error) {
	in, err := c.e.IsMember(c.ctx, c.by, m.GetCids())
	if err != nil {
		return 0, nil, err
	}
	text, err := json.Marshal(in)
	return pb.OpType_result, &pb.ConvCommand{Results: document(text)}, err
}

func (c *call) maxRead(m *pb.ConvCommand) (pb.OpType, *pb.ConvCommand, error) {
	reached, err := c.e.MaxRead(c.ctx, c.by, m.GetCid(), m.GetQueryAllMembers())
	if err != nil {
		return 0, nil, err
	}
	reply := &pb.ConvCommand{Cid: m.Cid}
	for i := range reached {
		r := &reached[i]
		if !m.GetQueryAllMembers() {
			reply.MaxAckTimestamp, reply.MaxReadTimestamp = known(&r.AckTS), known(&r.ReadTS)
			continue
		}
		reply.MaxReadTuples = append(reply.MaxReadTuples, &pb.MaxReadTuple{
			Pid: &r.Client, MaxAckTimestamp: known(&r.AckTS), MaxReadTimestamp: known(&r.ReadTS),
		})
	}
	return pb.OpType_max_read, reply, nil
}

// known is a time that is absent when it is 0: a present one means that it
// happened.
func known(ts *int64) *int64 {
	if *ts == 0 {
		return nil
	}
	return ts
}

func (c *call) memberInfo(m *pb.ConvCommand) (pb.OpType, *pb.ConvCommand, error) {
	target := m.GetTargetClientId()
	if target == "" {
		target = m.GetInfo().GetPid()
	}
	info, err := c.e.SetRole(c.ctx, c.by, m.GetCid(), target, m.GetInfo().GetRole())
	if err != nil {
		return 0, nil, err
	}
	return pb.OpType_member_info_updated, &pb.ConvCommand{
		Cid: m.Cid, Info: &pb.ConvMemberInfo{Pid: &info.Client, Role: &info.Role, InfoId: &info.ID},
	}, nil
}

// membersOutcome is outcome for the two commands whose replies also tell the
// time of the change and the clients asked for.
func (c *call) membersOutcome(op pb.OpType, m *pb.ConvCommand, out engine.Outcome, err error) (pb.OpType, *pb.ConvCommand, error) {
	op, reply, err := c.outcome(op, m, out, err)
	if err != nil {
		return op, nil, err
	}
	reply.M, reply.Udate = m.GetM(), iso(out.Updated)
	return op, reply, nil
}

func (c *call) outcome(op pb.OpType, m *pb.ConvCommand, out engine.Outcome, err error) (pb.OpType, *pb.ConvCommand, error) {
	if err == nil {
		err = c.partial(out)
	}
	if err != nil {
		return 0, nil, err
	}
	return op, &pb.ConvCommand{Cid: m.Cid, AllowedPids: out.Allowed, FailedPids: failedCommands(out)}, nil
}

// partial is the error that a client gets instead of a list of failures, if it
// does not understand such lists.
func (c *call) partial(out engine.Outcome) error {
	if len(out.Failed) == 0 || c.by.Caps&wire.BitPartialResult != 0 {
		return nil
	}
	return refusal(out.Failed[0].Code, out.Failed[0].Detail)
}

func failedCommands(out engine.Outcome) []*pb.ErrorCommand {
	var failed []*pb.ErrorCommand
	for _, f := range out.Failed {
		failed = append(failed, errorCommand(refusal(f.Code, f.Detail), f.Clients))
	}
	return failed
}
