// Package command turns the commands of clients into calls of the engine, and
// what the engine answers into replies. It decides nothing by itself: it reads
// the fields, gives absent ones their defaults, and knows which reply belongs to
// which command.
//
// Every command that expects a reply gets exactly one, also an unknown or
// malformed one. Session commands and echoes never come here.
package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/engine"
	"github.com/leanrtm/realtime/server/internal/fanout"
)

// Handler executes commands. It is safe for concurrent use.
type Handler struct {
	e   *engine.Engine
	log *slog.Logger

	sends     rate
	histories rate
	requests  rate

	replies sync.Pool // of *directReply
}

// New returns a handler that uses the engine, its limits and its logger.
func New(e *engine.Engine) *Handler {
	limits := e.Limits()
	return &Handler{
		e: e, log: e.Logger(),
		sends:     rate{perMinute: limits.SendRate},
		histories: rate{perMinute: limits.HistoryRate},
		requests:  rate{perMinute: limits.RequestRate},
		replies:   sync.Pool{New: func() any { return new(directReply) }},
	}
}

// call is one command being executed.
type call struct {
	*Handler
	ctx context.Context
	r   *fanout.Request
	by  engine.Cause
}

// Handle executes a command and replies, unless it expects no reply. The reply
// may come after it has returned. It blocks as long as the engine does.
func (h *Handler) Handle(ctx context.Context, r *fanout.Request) {
	c := &call{Handler: h, ctx: ctx, r: r, by: engine.Cause{Actor: r.Actor}}
	defer func() {
		// One command must not end all connections. What it had locked stays
		// locked: better one stuck conversation than a wrong one.
		if p := recover(); p != nil {
			h.log.Error("command panicked", "cmd", r.Cmd.GetCmd().String(), "op", r.Cmd.GetOp().String(),
				"panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			c.fail(refusal(wire.CodeInternalError, ""))
		}
	}()
	switch r.Cmd.GetCmd() {
	case pb.CommandType_direct:
		c.direct()
	case pb.CommandType_ack:
		c.ack()
	case pb.CommandType_read:
		c.read()
	case pb.CommandType_logs:
		c.logs()
	case pb.CommandType_conv:
		c.by.Hold = r.Hold()
		c.conv()
	case pb.CommandType_patch:
		c.by.Hold = r.Hold()
		c.patch()
	case pb.CommandType_blacklist:
		c.by.Hold = r.Hold()
		c.blacklist()
	case pb.CommandType_report:
		c.reply(pb.CommandType_report, pb.OpType_uploaded, &pb.GenericCommand{})
	default:
		c.unknown()
	}
}

func refusal(code wire.Code, detail string) *engine.Error {
	return &engine.Error{Code: code, Detail: detail}
}

func (c *call) unknown() {
	c.fail(refusal(wire.CodeInternalError, fmt.Sprintf("unknown command %v/%v", c.r.Cmd.GetCmd(), c.r.Cmd.GetOp())))
}

// reply answers with a command that has its body set.
func (c *call) reply(cmd pb.CommandType, op pb.OpType, body *pb.GenericCommand) {
	body.Cmd, body.Op = cmd.Enum(), op.Enum()
	c.r.Reply(body)
}

// reason is what an error tells a client. An error without a code is the
// server's own: a context that ended with the server.
func reason(err error) *engine.Error {
	var e *engine.Error
	if errors.As(err, &e) {
		return e
	}
	return refusal(wire.CodeInternalError, "")
}

// fail answers with an error.
func (c *call) fail(err error) {
	c.r.Reply(&pb.GenericCommand{Cmd: pb.CommandType_error.Enum(), ErrorMessage: errorCommand(reason(err), nil)})
}

func errorCommand(e *engine.Error, clients []string) *pb.ErrorCommand {
	m := &pb.ErrorCommand{Code: proto.Int32(int32(e.Code)), Reason: proto.String(e.Code.Name()), Pids: clients}
	if e.Detail != "" {
		m.Detail = &e.Detail
	}
	if e.AppCode != 0 {
		m.AppCode = &e.AppCode
	}
	if e.AppMsg != "" {
		m.AppMsg = &e.AppMsg
	}
	return m
}

// allow answers with the code if the client asks too often.
func (c *call) allow(r *rate, code wire.Code) error {
	if r.allow(c.by.App, c.by.Client, c.e.Now()) {
		return nil
	}
	c.e.RateLimited()
	return refusal(code, "too many requests")
}
