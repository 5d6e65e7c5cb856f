package command

import (
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/engine"
	"github.com/leanrtm/realtime/server/internal/sign"
	"github.com/leanrtm/realtime/server/internal/store"
)

// blacklist executes the commands about block lists: those of a conversation, and
// a client's own, in which conversations are.
func (c *call) blacklist() {
	if err := c.allow(&c.requests, wire.CodeConversationAPIQuotaExceeded); err != nil {
		c.fail(err)
		return
	}
	m := c.r.Cmd.GetBlacklistMessage()
	if m == nil {
		m = &pb.BlacklistCommand{}
	}
	op, reply, err := c.blacklistOp(m)
	if err != nil {
		c.fail(err)
		return
	}
	c.reply(pb.CommandType_blacklist, op, &pb.GenericCommand{BlacklistMessage: reply})
}

func (c *call) blacklistOp(m *pb.BlacklistCommand) (pb.OpType, *pb.BlacklistCommand, error) {
	own := m.SrcCid == nil && (m.SrcPid != nil || len(m.GetToCids()) > 0)
	client := m.GetSrcPid()
	if client == "" {
		client = c.by.Client
	}
	s := sign.Signature{Timestamp: m.GetT(), Nonce: m.GetN(), Value: m.GetS()}
	switch op := c.r.Cmd.GetOp(); op {
	case pb.OpType_block, pb.OpType_unblock:
		on, done := op == pb.OpType_block, pb.OpType_unblocked
		if on {
			done = pb.OpType_blocked
		}
		var out engine.Outcome
		var err error
		if own {
			out, err = c.e.BlockConvs(c.ctx, c.by, client, m.GetToCids(), on, s)
		} else {
			out, err = c.e.Block(c.ctx, c.by, m.GetSrcCid(), m.GetToPids(), on, s)
		}
		if err == nil {
			err = c.partial(out)
		}
		return done, &pb.BlacklistCommand{
			SrcCid: m.SrcCid, SrcPid: m.SrcPid, AllowedPids: out.Allowed, FailedPids: failedCommands(out),
		}, err
	case pb.OpType_query:
		reply := &pb.BlacklistCommand{SrcCid: m.SrcCid, SrcPid: m.SrcPid}
		var next string
		var err error
		if own {
			reply.BlockedCids, next, err = c.e.BlockedConvs(c.ctx, c.by, client, m.GetNext(), int(m.GetLimit()))
		} else {
			reply.BlockedPids, next, err = c.e.List(c.ctx, c.by, store.ListBlocked, m.GetSrcCid(), m.GetNext(), int(m.GetLimit()))
		}
		reply.Next = optional(next)
		return pb.OpType_query_result, reply, err
	case pb.OpType_check_block:
		reply := &pb.BlacklistCommand{SrcCid: m.SrcCid, SrcPid: m.SrcPid}
		var err error
		if own {
			reply.BlockedCids, err = c.e.CheckConvs(c.ctx, c.by, client, m.GetToCids())
		} else {
			reply.BlockedPids, err = c.e.Check(c.ctx, c.by, store.ListBlocked, m.GetSrcCid(), m.GetToPids())
		}
		return pb.OpType_check_result, reply, err
	}
	return 0, nil, refusal(wire.CodeInternalError, "unknown command blacklist/"+c.r.Cmd.GetOp().String())
}
