package realtimetest

import (
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/memnet"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/tap"
	"github.com/leanrtm/realtime/internal/wire"
)

// executionTime is what the server gets to execute a command that is not
// answered, before the connection breaks.
const executionTime = 10 * time.Millisecond

// pipe is one connection of a client: what the server reads and writes passes
// it. It knows whose sessions are open there and applies the faults.
//
// Its mutex is a leaf: nothing is called with it held.
type pipe struct {
	server *Server
	socket *memnet.Conn // the server's end
	conn   tap.Conn
	late   *delayer

	mu      sync.Mutex
	opening map[int32]opening    // logins without an answer, by serial
	open    []string             // ids of the open sessions, the default one first
	answers map[int32]actionKind // what awaits the answers, by serial
	holes   []func()             // end the black holes; each may be called again
}

// opening is a login that has not been answered.
type opening struct{ tag string }

func newPipe(s *Server, socket *memnet.Conn, c tap.Conn) *pipe {
	return &pipe{
		server: s, socket: socket, conn: c,
		late:    newDelayer(&s.workers),
		opening: make(map[int32]opening),
		answers: make(map[int32]actionKind),
	}
}

// In takes a command of the client.
func (p *pipe) In(cmd *pb.GenericCommand, next func(*pb.GenericCommand)) {
	c := describe(cmd, p.defaultClient())
	p.server.record(c)
	cmd = p.noteRequest(cmd)

	switch act := p.server.faults.meet(c, false); act.kind {
	case actNothing:
		next(cmd)
	case actDrop:
	case actLoseAnswer, actAnswerTwice:
		p.await(cmd, act.kind)
		next(cmd)
	case actCutBefore:
		p.socket.Cut()
	case actCutAfter:
		if !p.await(cmd, act.kind) { // else the answer pulls the trigger
			p.late.after(executionTime, p.socket.Cut)
		}
		next(cmd)
	case actDelay:
		p.late.after(act.delay, func() { next(cmd) })
	case actFail:
		p.refuse(cmd, c, act.code)
	}
}

// Out takes an answer or a push of the server.
func (p *pipe) Out(cmd *pb.GenericCommand, next func(*pb.GenericCommand)) {
	p.noteReply(cmd)
	switch p.fate(cmd) {
	case actLoseAnswer:
		return
	case actCutAfter:
		p.socket.Cut()
		return
	case actAnswerTwice:
		next(proto.CloneOf(cmd))
		next(cmd)
		return
	}
	if cmd.GetI() != 0 || cmd.GetCmd() == pb.CommandType_echo {
		next(cmd) // an answer without a fault
		return
	}

	switch act := p.server.faults.meet(describe(cmd, p.defaultClient()), true); act.kind {
	case actNothing:
		next(cmd)
	case actDrop:
	case actAnswerTwice:
		next(proto.CloneOf(cmd))
		next(cmd)
	case actCutBefore:
		p.socket.Cut()
	case actDelay:
		p.late.after(act.delay, func() { next(cmd) })
	}
}

// Closed is called when the connection has ended.
func (p *pipe) Closed() {
	p.late.stop()
	p.server.forget(p)
}

// await remembers what is to happen to the answer of cmd and tells whether
// there will be one.
func (p *pipe) await(cmd *pb.GenericCommand, kind actionKind) bool {
	if cmd.GetI() == 0 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers[cmd.GetI()] = kind
	return true
}

// fate is what awaits an answer.
func (p *pipe) fate(cmd *pb.GenericCommand) actionKind {
	if cmd.GetI() == 0 {
		return actNothing
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	kind := p.answers[cmd.GetI()]
	delete(p.answers, cmd.GetI())
	return kind
}

// refuse answers a command as the server would that refuses it with code. A
// command that expects no answer is only lost.
func (p *pipe) refuse(cmd *pb.GenericCommand, c Command, code wire.Code) {
	if cmd.GetI() == 0 {
		return
	}
	reply := &pb.GenericCommand{
		I:       cmd.I,
		PeerId:  proto.String(c.ClientID),
		Service: proto.Int32(wire.ServiceIM),
	}
	login := c.Name == "session/open"
	switch {
	case c.Name == "direct":
		reply.Cmd = pb.CommandType_ack.Enum()
		reply.AckMessage = &pb.AckCommand{
			Code: proto.Int32(int32(code)), Reason: proto.String(code.Name()), Cid: proto.String(c.ConversationID),
		}
	case login && code == wire.CodeSessionConflict:
		reply.Cmd, reply.Op = pb.CommandType_session.Enum(), pb.OpType_closed.Enum()
		reply.SessionMessage = &pb.SessionCommand{
			Code: proto.Int32(int32(code)), Reason: proto.String(code.Name()),
		}
	default:
		reply.Cmd = pb.CommandType_error.Enum()
		reply.ErrorMessage = &pb.ErrorCommand{
			Code: proto.Int32(int32(code)), Reason: proto.String(code.Name()),
		}
	}
	p.conn.Send(reply)
	if login {
		switch code {
		case wire.CodeAppNotAvailable, wire.CodeInvalidLogin, wire.CodeInvalidOrigin:
			p.conn.Close(code)
		}
	}
}

// noteRequest keeps what the connection has to know of a command and returns
// the command that the server is to see.
func (p *pipe) noteRequest(cmd *pb.GenericCommand) *pb.GenericCommand {
	if cmd.GetCmd() != pb.CommandType_session || cmd.GetOp() != pb.OpType_open {
		return cmd
	}
	p.mu.Lock()
	p.opening[cmd.GetI()] = opening{tag: cmd.GetSessionMessage().GetTag()}
	p.mu.Unlock()

	token := cmd.GetSessionMessage().GetSt()
	if token == "" || !p.server.logins.expired(token) {
		return cmd
	}
	cmd = proto.CloneOf(cmd)
	cmd.SessionMessage.St = proto.String(expiredToken)
	return cmd
}

// noteReply keeps track of the open sessions and their tokens.
func (p *pipe) noteReply(cmd *pb.GenericCommand) {
	if cmd.GetCmd() == pb.CommandType_error && cmd.GetI() != 0 {
		p.mu.Lock()
		delete(p.opening, cmd.GetI())
		p.mu.Unlock()
		return
	}
	if cmd.GetCmd() != pb.CommandType_session {
		return
	}
	id, token := cmd.GetPeerId(), cmd.GetSessionMessage().GetSt()
	switch cmd.GetOp() {
	case pb.OpType_opened:
		p.mu.Lock()
		tag := p.opening[cmd.GetI()].tag
		delete(p.opening, cmd.GetI())
		if !slices.Contains(p.open, id) {
			p.open = append(p.open, id)
		}
		p.mu.Unlock()
		p.server.logins.opened(id, tag, token)
	case pb.OpType_refreshed:
		p.server.logins.opened(id, "", token)
	case pb.OpType_closed:
		p.mu.Lock()
		delete(p.opening, cmd.GetI())
		p.open = slices.DeleteFunc(p.open, func(open string) bool { return open == id })
		p.mu.Unlock()
	}
}

// defaultClient is whom a frame without a peer id belongs to.
func (p *pipe) defaultClient() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.open) == 0 {
		return ""
	}
	return p.open[0]
}

// serves tells whether one of the clients is logged in here. No ids are all
// clients.
func (p *pipe) serves(ids []string) bool {
	if len(ids) == 0 {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.open, func(id string) bool { return slices.Contains(ids, id) })
}

// blackhole makes the connection silent.
func (p *pipe) blackhole() (restore func()) {
	restore = p.socket.Blackhole()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holes = append(p.holes, restore)
	return restore
}

// restoreAll ends every black hole of the connection.
func (p *pipe) restoreAll() {
	p.mu.Lock()
	holes := p.holes
	p.mu.Unlock()
	for _, restore := range holes {
		restore()
	}
}
