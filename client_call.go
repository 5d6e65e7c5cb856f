package realtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/conn"
	"github.com/leanrtm/realtime/internal/link"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/router"
	"github.com/leanrtm/realtime/internal/wire"
)

// callOptions change how a command is sent.
type callOptions struct {
	// alone: the reply to an identical command in flight will not do.
	alone bool
	// safe: repeating the command cannot take effect twice; for SafeToRetry.
	safe bool
	// block: where to put the block that the reply lies in, of a command that is
	// not mergeable, for who gives it back; nil: nobody does.
	block **wire.Block
}

// call sends cmd as this client and waits for the reply. It adds the client id
// to cmd, which the caller must not use again. The reply may be shared: read
// only. A refusal by the server is an *Error.
func (c *IMClient) call(ctx context.Context, cmd *pb.GenericCommand, o callOptions) (*pb.GenericCommand, error) {
	s := c.session.Load()
	if s == nil {
		return nil, c.notOpen()
	}
	cmd.PeerId = c.peer.Load()
	return c.callOn(ctx, s, cmd, o)
}

// callOn is call on a connection where the session may not be open yet. It
// leaves the client id to the caller.
func (c *IMClient) callOn(ctx context.Context, s *session, cmd *pb.GenericCommand, o callOptions) (*pb.GenericCommand, error) {
	if c.rt.opts.Observer.ofCommands() {
		return c.observedCall(ctx, s, cmd, o)
	}
	return c.countedCall(ctx, s, cmd, o)
}

func (c *IMClient) countedCall(ctx context.Context, s *session, cmd *pb.GenericCommand, o callOptions) (*pb.GenericCommand, error) {
	n := &c.rt.counters
	n.commands.Add(1)
	c.rt.logCommand(ctx, sent, cmd)
	opts := link.CallOptions{Merge: !o.alone && mergeable(cmd), Era: c.rt.era.Load(), Gen: s.gen}
	reply, err := do(ctx, s.link, cmd, opts, o.block)
	if !isQuestion(cmd) {
		c.rt.era.Add(1)
	}
	if err != nil {
		n.failed.Add(1)
		return nil, c.callFailed(ctx, commandName(cmd), tooLong(cmd, err), o.safe)
	}
	c.rt.logCommand(ctx, answered, reply)
	if refusal := replyError(reply); refusal != nil {
		refusal.retrySafe = o.safe
		n.refused.Add(1)
		return nil, refusal
	}
	if !answers(cmd, reply) {
		n.failed.Add(1)
		err := fmt.Errorf("unexpected answer %s: %w", commandName(reply), ErrOutcomeUnknown)
		return nil, c.callFailed(ctx, commandName(cmd), err, o.safe)
	}
	return reply, nil
}

// do is the Do of a link that also tells, if block is not nil, the block of the
// reply.
func do(ctx context.Context, l *link.Link, cmd *pb.GenericCommand, o link.CallOptions, block **wire.Block) (*pb.GenericCommand, error) {
	if o.Merge || block == nil {
		return l.Do(ctx, cmd, o)
	}
	reply, err := l.DoAlone(ctx, cmd, o)
	*block = reply.Block
	return reply.GenericCommand, err
}

// mergeable reports whether one execution of a command serves several callers
// who ask for the same at the same time. What makes something new each time is
// not, nor is a random choice.
func mergeable(cmd *pb.GenericCommand) bool {
	switch cmd.GetCmd() {
	case pb.CommandType_session:
		return cmd.GetOp() == pb.OpType_query
	case pb.CommandType_conv:
		switch cmd.GetOp() {
		case pb.OpType_start, pb.OpType_update, pb.OpType_members:
			return false
		}
		return true
	case pb.CommandType_logs, pb.CommandType_patch, pb.CommandType_blacklist:
		return true
	}
	return false
}

// isQuestion reports whether a command changes nothing on the server.
func isQuestion(cmd *pb.GenericCommand) bool {
	switch cmd.GetCmd() {
	case pb.CommandType_logs:
		return true
	case pb.CommandType_session:
		return cmd.GetOp() == pb.OpType_query
	case pb.CommandType_conv:
		switch cmd.GetOp() {
		case pb.OpType_query, pb.OpType_count, pb.OpType_members, pb.OpType_is_member, pb.OpType_max_read,
			pb.OpType_query_shutup, pb.OpType_check_shutup:
			return true
		}
	case pb.CommandType_blacklist:
		return cmd.GetOp() == pb.OpType_query || cmd.GetOp() == pb.OpType_check_block
	}
	return false
}

// answers reports whether reply is of the kind that answers cmd. A peer that
// mixes them up must not make an empty success of it.
func answers(cmd, reply *pb.GenericCommand) bool {
	want := cmd.GetCmd()
	if want == pb.CommandType_direct {
		want = pb.CommandType_ack
	}
	return reply.Cmd != nil && reply.GetCmd() == want
}

// post sends cmd as this client in a session and waits for no reply. nil means
// that it is on its way, not that it arrives: that is what posted tells, unless
// it is nil.
func (c *IMClient) post(s *session, cmd *pb.GenericCommand, posted *link.Posted) error {
	if s == nil {
		return c.notOpen()
	}
	if !s.live() {
		return ErrDisconnected
	}
	cmd.PeerId = c.peer.Load()
	c.rt.logCommand(c.ctx, sent, cmd)
	if err := s.link.Post(c.ctx, cmd, link.PostOptions{Gen: s.gen, Posted: posted}); err != nil {
		return c.callFailed(c.ctx, commandName(cmd), err, true)
	}
	return nil
}

// notOpen is why a client without a session cannot do anything.
func (c *IMClient) notOpen() error {
	if c.closing.Err() != nil {
		return c.endError()
	}
	return ErrNotOpen
}

// callFailed is the error of a command that got no answer.
func (c *IMClient) callFailed(ctx context.Context, command string, err error, safe bool) error {
	if ended := c.Err(); ended != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", ended, err)
	}
	// A frame that is too long is to blame itself, see tooLong.
	if closed := (*conn.CloseError)(nil); !errors.As(err, &closed) || closed.Code != wire.CodeFrameTooLong {
		err = withReason(err)
	}
	if answer := (*router.Error)(nil); errors.As(err, &answer) && answer.Code != 0 {
		e := newError(ErrorCode(answer.Code), "")
		e.HTTPStatus, e.RetryAfter = answer.Status, answer.After
		err = fmt.Errorf("%w: %w", e, err)
	}
	return &callError{command: command, safe: safe, err: err}
}

// tooLong blames a command for the connection that a server has closed because
// of a frame's size, if it is large enough to have been the one: the small ones
// that were cut off with it are not to blame.
func tooLong(cmd *pb.GenericCommand, err error) error {
	closed := (*conn.CloseError)(nil)
	if errors.As(err, &closed) && closed.Code == wire.CodeFrameTooLong && proto.Size(cmd) > wire.MaxMessageSize {
		return fmt.Errorf("%w: %w", newError(ErrFrameTooLong, ""), err)
	}
	return err
}

// withReason is the loss of a connection as an error that also matches the code
// with which the server has closed it.
func withReason(err error) error {
	if closed := (*conn.CloseError)(nil); errors.As(err, &closed) && closed.Code >= wire.CodeAppNotAvailable {
		return fmt.Errorf("%w: %w", newError(ErrorCode(closed.Code), ""), err)
	}
	return err
}

// replyError is the refusal that a reply contains, or nil.
func replyError(reply *pb.GenericCommand) *Error {
	switch reply.GetCmd() {
	case pb.CommandType_error:
		return errorFromCommand(reply.GetErrorMessage())
	case pb.CommandType_session:
		if reply.GetSessionMessage().GetCode() != 0 {
			return sessionError(reply)
		}
	case pb.CommandType_ack:
		if m := reply.GetAckMessage(); m.GetCode() != 0 {
			return errorFromCommand(&pb.ErrorCommand{
				Code: m.Code, Reason: m.Reason, AppCode: m.AppCode, AppMsg: m.AppMsg,
			})
		}
	}
	return nil
}

// commandName is what a command is called in errors and logs, such as
// "conv/start".
func commandName(cmd *pb.GenericCommand) string {
	if cmd.Op == nil {
		return cmd.GetCmd().String()
	}
	return cmd.GetCmd().String() + "/" + cmd.GetOp().String()
}

// What happened to a command that is logged.
const (
	sent     = "sent"
	answered = "answered"
	pushed   = "pushed"
)

// logCommand logs what a command is about, and nothing that is secret or said.
func (rt *Realtime) logCommand(ctx context.Context, what string, cmd *pb.GenericCommand) {
	if !rt.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := make([]slog.Attr, 0, 6)
	attrs = append(attrs, slog.String("way", what), slog.String("cmd", commandName(cmd)), slog.String("client_id", cmd.GetPeerId()))
	if cmd.I != nil {
		attrs = append(attrs, slog.Int("serial", int(cmd.GetI())))
	}
	if id := conversationIDOf(cmd); id != "" {
		attrs = append(attrs, slog.String("conv_id", id))
	}
	if cmd.GetCmd() == pb.CommandType_error {
		attrs = append(attrs, slog.Int("code", int(cmd.GetErrorMessage().GetCode())))
	}
	rt.log.LogAttrs(ctx, slog.LevelDebug, "command", attrs...)
}

// conversationIDOf is the conversation that a command is about, if it is one.
func conversationIDOf(cmd *pb.GenericCommand) string {
	switch cmd.GetCmd() {
	case pb.CommandType_conv:
		return cmd.GetConvMessage().GetCid()
	case pb.CommandType_direct:
		return cmd.GetDirectMessage().GetCid()
	case pb.CommandType_ack:
		return cmd.GetAckMessage().GetCid()
	case pb.CommandType_rcp:
		return cmd.GetRcpMessage().GetCid()
	case pb.CommandType_logs:
		return cmd.GetLogsMessage().GetCid()
	case pb.CommandType_blacklist:
		return cmd.GetBlacklistMessage().GetSrcCid()
	}
	return ""
}

// OnlineClients returns those of ids that are online. Any number may be asked;
// the server is asked about 20 at a time, one batch after the other.
func (c *IMClient) OnlineClients(ctx context.Context, ids ...string) ([]string, error) {
	var online []string
	for batch := range slices.Chunk(ids, wire.MaxOnlineQuery) {
		reply, err := c.call(ctx, &pb.GenericCommand{
			Cmd:            pb.CommandType_session.Enum(),
			Op:             pb.OpType_query.Enum(),
			SessionMessage: &pb.SessionCommand{SessionPeerIds: batch},
		}, callOptions{safe: true})
		if err != nil {
			return nil, err
		}
		online = append(online, reply.GetSessionMessage().GetOnlineSessionPeerIds()...)
	}
	return online, nil
}
