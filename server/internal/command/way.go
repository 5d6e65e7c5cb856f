package command

import (
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/server/internal/fanout"
)

// Way tells how a command is to be executed: what reads much of the store, and
// what a hook of the app decides about, may take long; what a client does to a
// conversation has an order.
func (h *Handler) Way(cmd *pb.GenericCommand) fanout.Way {
	hooks := h.e.Hooks()
	switch cmd.GetCmd() {
	case pb.CommandType_logs:
		return fanout.Way{Slow: true}
	case pb.CommandType_direct:
		return fanout.Way{Slow: hooks.MessageReceived != nil, Ordered: true, Conv: cmd.GetDirectMessage().GetCid()}
	case pb.CommandType_patch:
		if cmd.GetOp() != pb.OpType_modify {
			return fanout.Way{} // an acknowledgement
		}
		way := fanout.Way{Slow: hooks.MessageUpdate != nil, Ordered: true}
		if items := cmd.GetPatchMessage().GetPatches(); len(items) > 0 {
			way.Conv = items[0].GetCid() // clients send one
		}
		return way
	case pb.CommandType_blacklist:
		return fanout.Way{Ordered: true, Conv: cmd.GetBlacklistMessage().GetSrcCid()}
	case pb.CommandType_conv:
		way := fanout.Way{Ordered: true, Conv: cmd.GetConvMessage().GetCid()}
		switch cmd.GetOp() {
		case pb.OpType_query, pb.OpType_max_read:
			return fanout.Way{Slow: true}
		case pb.OpType_start:
			way.Slow = hooks.ConversationStart != nil
		case pb.OpType_add:
			way.Slow = hooks.ConversationAdd != nil
		case pb.OpType_remove:
			way.Slow = hooks.ConversationRemove != nil
		case pb.OpType_update, pb.OpType_mute, pb.OpType_unmute:
			way.Slow = hooks.ConversationUpdate != nil
		}
		return way
	}
	// Acks and read marks go together with anything; the rest is about nothing.
	return fanout.Way{}
}
