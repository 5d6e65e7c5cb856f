package rttest

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// TokenTTL is the life of the session tokens, in seconds.
const TokenTTL = 172800

// Reply returns the frame that answers cmd with this command and op (0: none),
// without a body.
func (s *Socket) Reply(to *pb.GenericCommand, cmd pb.CommandType, op pb.OpType) *pb.GenericCommand {
	reply := &pb.GenericCommand{Cmd: cmd.Enum(), PeerId: s.client(to), I: to.I}
	if op != 0 {
		reply.Op = op.Enum()
	}
	return reply
}

// Fail returns the frame that answers cmd with an error.
func (s *Socket) Fail(to *pb.GenericCommand, code wire.Code) *pb.GenericCommand {
	reply := s.Reply(to, pb.CommandType_error, 0)
	reply.ErrorMessage = &pb.ErrorCommand{Code: proto.Int32(int32(code)), Reason: proto.String(code.Name())}
	return reply
}

// isoTime is the form of dates in conv commands.
const isoTime = "2006-01-02T15:04:05.000Z"

// Usual is the answer to a command for which the test has no handler.
func (p *Peer) Usual(s *Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
	now := time.Now()
	switch cmd.GetCmd() {
	case pb.CommandType_echo:
		return s.Reply(cmd, pb.CommandType_echo, 0)
	case pb.CommandType_session:
		return p.usualSession(s, cmd)
	case pb.CommandType_conv:
		return p.usualConv(s, cmd)
	case pb.CommandType_direct:
		reply := s.Reply(cmd, pb.CommandType_ack, 0)
		reply.AckMessage = &pb.AckCommand{
			Cid: or(cmd.GetDirectMessage()).Cid,
			Uid: proto.String(p.ID("msg")),
			T:   proto.Int64(now.UnixMilli()),
		}
		return reply
	case pb.CommandType_logs:
		reply := s.Reply(cmd, pb.CommandType_logs, 0)
		reply.LogsMessage = &pb.LogsCommand{Cid: or(cmd.GetLogsMessage()).Cid}
		return reply
	case pb.CommandType_patch:
		if cmd.GetOp() == pb.OpType_modified { // a client's ack
			return nil
		}
		reply := s.Reply(cmd, pb.CommandType_patch, pb.OpType_modified)
		reply.PatchMessage = &pb.PatchCommand{LastPatchTime: proto.Int64(now.UnixMilli())}
		return reply
	case pb.CommandType_blacklist:
		return p.usualBlacklist(s, cmd)
	case pb.CommandType_ack, pb.CommandType_read:
		return nil
	}
	return p.unknown(s, cmd)
}

// or returns the body of a command, or an empty one.
func or[M any](body *M) *M {
	if body == nil {
		return new(M)
	}
	return body
}

// unknown refuses what only a handler can answer.
func (p *Peer) unknown(s *Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
	if cmd.I == nil {
		return nil
	}
	return s.Fail(cmd, wire.CodeInternalError)
}

func (p *Peer) usualSession(s *Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
	switch cmd.GetOp() {
	case pb.OpType_open:
		id := cmd.GetPeerId()
		if id == "" {
			id = p.ID("client")
		}
		s.opened(id)
		reply := s.Reply(cmd, pb.CommandType_session, pb.OpType_opened)
		reply.PeerId = proto.String(id)
		reply.ServerTs = proto.Int64(time.Now().UnixMilli())
		reply.SessionMessage = &pb.SessionCommand{St: proto.String("token-of-" + id), StTtl: proto.Int32(TokenTTL)}
		return reply
	case pb.OpType_refresh:
		reply := s.Reply(cmd, pb.CommandType_session, pb.OpType_refreshed)
		reply.SessionMessage = &pb.SessionCommand{St: proto.String(p.ID("token")), StTtl: proto.Int32(TokenTTL)}
		return reply
	case pb.OpType_query:
		reply := s.Reply(cmd, pb.CommandType_session, pb.OpType_query_result)
		reply.SessionMessage = &pb.SessionCommand{OnlineSessionPeerIds: cmd.GetSessionMessage().GetSessionPeerIds()}
		return reply
	case pb.OpType_close:
		reply := s.Reply(cmd, pb.CommandType_session, pb.OpType_closed)
		reply.SessionMessage = &pb.SessionCommand{}
		s.left(reply.GetPeerId())
		return reply
	}
	return p.unknown(s, cmd)
}

func (p *Peer) usualConv(s *Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
	asked := or(cmd.GetConvMessage())
	now := time.Now().UTC()
	body := &pb.ConvCommand{Cid: asked.Cid}
	reply := func(op pb.OpType) *pb.GenericCommand {
		frame := s.Reply(cmd, pb.CommandType_conv, op)
		frame.ConvMessage = body
		return frame
	}
	switch cmd.GetOp() {
	case pb.OpType_start:
		body.Cid = proto.String(p.ID("conv"))
		body.Cdate = proto.String(now.Format(isoTime))
		if asked.GetTempConv() {
			body.Cid = proto.String(wire.TemporaryPrefix + body.GetCid())
			body.TempConvTTL = asked.TempConvTTL
		}
		return reply(pb.OpType_started)
	case pb.OpType_add:
		body.AllowedPids = asked.GetM()
		return reply(pb.OpType_added)
	case pb.OpType_remove:
		body.AllowedPids = asked.GetM()
		return reply(pb.OpType_removed)
	case pb.OpType_update, pb.OpType_mute, pb.OpType_unmute:
		body.Udate = proto.String(now.Format(isoTime))
		return reply(pb.OpType_updated)
	case pb.OpType_query:
		body.Results = &pb.JsonObjectMessage{Data: proto.String("[]")}
		return reply(pb.OpType_results)
	case pb.OpType_count:
		body.Count = proto.Int32(0)
		return reply(pb.OpType_result)
	case pb.OpType_members:
		return reply(pb.OpType_result)
	case pb.OpType_is_member:
		body.Results = &pb.JsonObjectMessage{Data: proto.String("{}")}
		return reply(pb.OpType_result)
	case pb.OpType_max_read:
		return reply(pb.OpType_max_read)
	case pb.OpType_member_info_update:
		return reply(pb.OpType_member_info_updated)
	case pb.OpType_add_shutup:
		body.AllowedPids = asked.GetM()
		return reply(pb.OpType_shutup_added)
	case pb.OpType_remove_shutup:
		body.AllowedPids = asked.GetM()
		return reply(pb.OpType_shutup_removed)
	case pb.OpType_query_shutup:
		return reply(pb.OpType_shutup_result)
	case pb.OpType_check_shutup:
		return reply(pb.OpType_check_result)
	}
	return p.unknown(s, cmd)
}

func (p *Peer) usualBlacklist(s *Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
	asked := or(cmd.GetBlacklistMessage())
	body := &pb.BlacklistCommand{SrcCid: asked.SrcCid}
	var op pb.OpType
	switch cmd.GetOp() {
	case pb.OpType_block:
		op, body.AllowedPids = pb.OpType_blocked, asked.GetToPids()
	case pb.OpType_unblock:
		op, body.AllowedPids = pb.OpType_unblocked, asked.GetToPids()
	case pb.OpType_query:
		op = pb.OpType_query_result
	case pb.OpType_check_block:
		op = pb.OpType_check_result
	default:
		return p.unknown(s, cmd)
	}
	reply := s.Reply(cmd, pb.CommandType_blacklist, op)
	reply.BlacklistMessage = body
	return reply
}
