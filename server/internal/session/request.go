package session

import (
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/transport"
)

// request is a command on its way through the server.
type request struct {
	fanout.Request
	link    *link
	peer    string          // client id of the reply; empty: none known
	service int32           // of the reply, which points to it
	wait    *transport.Call // what pushes of the command wait for; nil: they do not
	answers bool            // a reply is expected
	replied atomic.Bool
	begun   time.Time    // zero if nobody wants to know
	code    wire.Code    // of the reply, if one is expected
	left    atomic.Int32 // of finish and the expected reply, what is yet to come
}

// newRequest returns nil if no command may begin any more.
func newRequest(l *link, cmd *pb.GenericCommand) *request {
	if !l.conn.Begin() {
		return nil
	}
	r := l.m.requests.Get().(*request)
	r.link, r.Cmd = l, cmd
	l.m.stats.command(cmd.GetCmd())
	if l.m.cfg.Observe != nil {
		r.begun = time.Now()
	}
	r.left.Store(1)
	if validClient(cmd.GetPeerId()) {
		r.peer = cmd.GetPeerId()
	}
	if cmd.GetI() != 0 && !silent(cmd) {
		r.answers = true
		r.left.Store(2)
	}
	return r
}

// silent tells the commands that nobody answers, whatever their i.
func silent(cmd *pb.GenericCommand) bool {
	switch cmd.GetCmd() {
	case pb.CommandType_ack, pb.CommandType_read:
		return true
	case pb.CommandType_patch:
		return cmd.GetOp() == pb.OpType_modified
	}
	return false
}

// makeRequest makes one that newRequest can use.
func makeRequest() any {
	r := new(request)
	r.Reply = r.reply
	return r
}

// reuse takes back the request of a message that was executed and answered, and
// reports whether it was. Of other commands, of those that expect no reply, and of
// those that get it later, somebody may still hold it.
func (m *Manager) reuse(r *request) bool {
	if r.Cmd.GetCmd() != pb.CommandType_direct || !r.answers || r.left.Load() != 0 {
		return false
	}
	*r = request{Request: fanout.Request{Reply: r.Reply}}
	m.requests.Put(r)
	return true
}

// finish says that the handler has returned.
func (r *request) finish() { r.done() }

func (r *request) done() {
	if r.left.Add(-1) == 0 {
		if observe := r.link.m.cfg.Observe; observe != nil {
			observe(Observation{Cmd: r.Cmd.GetCmd(), Op: r.Cmd.GetOp(), Took: time.Since(r.begun), Code: r.code})
		}
		r.link.conn.End()
	}
}

func (r *request) reply(cmd *pb.GenericCommand) {
	if !r.replied.CompareAndSwap(false, true) {
		return
	}
	code := codeOf(cmd)
	if code != 0 {
		r.link.m.stats.refused(code)
	}
	if r.Cmd.GetI() != 0 {
		r.send(cmd)
	}
	if r.answers {
		r.code = code
		r.done()
	}
}

// usualReply is the size of a buffer that an ack fits into.
const usualReply = 160

// send queues a frame that answers the command, with or without an i.
func (r *request) send(cmd *pb.GenericCommand) {
	if r.Cmd.GetI() != 0 {
		cmd.I = r.Cmd.I
	}
	if r.peer != "" {
		cmd.PeerId = &r.peer
	}
	r.service = wire.ServiceIM
	cmd.Service = &r.service
	frame, err := wire.Append(make([]byte, 0, usualReply), cmd)
	if err != nil {
		r.link.m.cfg.Logger.Error("reply does not encode", "cmd", cmd.GetCmd().String(), "op", cmd.GetOp().String(), "error", err)
		failure := errorCommand(wire.CodeInternalError, "")
		failure.I, failure.PeerId, failure.Service = cmd.I, cmd.PeerId, cmd.Service
		frame = mustEncode(failure)
	}
	r.link.conn.Reply(r.wait, frame)
}

// fail answers with an error.
func (r *request) fail(code wire.Code, detail string) { r.reply(errorCommand(code, detail)) }

// refuse answers with an error and closes the connection with its code: clients
// do not try again after it.
func (r *request) refuse(code wire.Code) {
	r.fail(code, "")
	r.link.conn.CloseCode(code)
}

func errorCommand(code wire.Code, detail string) *pb.GenericCommand {
	e := &pb.ErrorCommand{Code: proto.Int32(int32(code)), Reason: proto.String(code.Name())}
	if detail != "" {
		e.Detail = proto.String(detail)
	}
	return &pb.GenericCommand{Cmd: pb.CommandType_error.Enum(), ErrorMessage: e}
}

func refusalCommand(f *fanout.Refusal) *pb.GenericCommand {
	cmd := errorCommand(f.Code, f.Detail)
	if f.AppCode != 0 {
		cmd.ErrorMessage.AppCode = proto.Int32(f.AppCode)
	}
	if f.AppMsg != "" {
		cmd.ErrorMessage.AppMsg = proto.String(f.AppMsg)
	}
	return cmd
}

func sessionCommand(op pb.OpType, body *pb.SessionCommand) *pb.GenericCommand {
	return &pb.GenericCommand{
		Cmd:            pb.CommandType_session.Enum(),
		Op:             op.Enum(),
		Service:        proto.Int32(wire.ServiceIM),
		SessionMessage: body,
	}
}

// closedCommand tells a client that its session has ended.
func closedCommand(code wire.Code, reason string) *pb.GenericCommand {
	return sessionCommand(pb.OpType_closed, &pb.SessionCommand{
		Code:   proto.Int32(int32(code)),
		Reason: proto.String(reason),
	})
}

// mustEncode encodes a command that has all required fields.
func mustEncode(cmd *pb.GenericCommand) []byte {
	frame, err := wire.Append(nil, cmd)
	if err != nil {
		panic(err)
	}
	return frame
}
