package rttest

import (
	"context"
	"slices"
	"sync"

	"github.com/coder/websocket"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/memnet"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// Socket is one connection of a client. Safe for concurrent use.
type Socket struct {
	peer  *Peer
	ws    *websocket.Conn
	codec wire.Codec
	raw   *memnet.Conn
	path  string

	mu       sync.Mutex
	received []*pb.GenericCommand
	sessions []string // client ids, oldest first
	err      error    // why the socket ended
}

// run is the goroutine of the socket.
func (s *Socket) run() {
	defer s.ws.CloseNow()
	for {
		_, frame, err := s.ws.Read(context.Background())
		if err != nil {
			s.mu.Lock()
			s.err = err
			s.mu.Unlock()
			return
		}
		cmd, err := s.codec.Unmarshal(frame)
		if err != nil {
			s.Close(wire.CodeUnparseableRawMessage, wire.CodeUnparseableRawMessage.Name())
			return
		}
		s.mu.Lock()
		s.received = append(s.received, cmd)
		s.mu.Unlock()
		if reply := s.peer.answer(s, cmd); reply != nil {
			s.Send(reply)
		}
	}
}

// Send writes frames as they are, but for service, which is filled in where it
// is absent.
func (s *Socket) Send(cmds ...*pb.GenericCommand) {
	for _, cmd := range cmds {
		if cmd.Service == nil {
			cmd.Service = proto.Int32(wire.ServiceIM)
		}
		frame, err := s.codec.Marshal(cmd)
		if err != nil {
			s.peer.tb.Errorf("rttest: %v", err)
			return
		}
		typ := websocket.MessageBinary
		if s.codec.Text {
			typ = websocket.MessageText
		}
		_ = s.ws.Write(context.Background(), typ, frame) // the client may be gone
	}
}

// SendRaw writes a binary message that need not be a command.
func (s *Socket) SendRaw(frame []byte) {
	_ = s.ws.Write(context.Background(), websocket.MessageBinary, frame)
}

// Close closes the socket with a code of the protocol, as a server does.
func (s *Socket) Close(code wire.Code, reason string) {
	_ = s.ws.Close(websocket.StatusCode(code), reason)
}

// Drop breaks the connection without a word.
func (s *Socket) Drop() { s.raw.Cut() }

// Conn returns the server's end of the connection, to be slowed or broken.
func (s *Socket) Conn() *memnet.Conn { return s.raw }

// Path returns the path that the client connected to.
func (s *Socket) Path() string { return s.path }

// Commands returns what was received so far.
func (s *Socket) Commands() []*pb.GenericCommand {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.received)
}

// Ended returns why the socket ended; nil: it has not.
func (s *Socket) Ended() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Said returns the close code that the client sent; 0: none.
func (s *Socket) Said() wire.Code {
	return wire.Code(max(0, websocket.CloseStatus(s.Ended())))
}

// client returns the id that a command belongs to: without one of its own, that
// of the oldest session.
func (s *Socket) client(cmd *pb.GenericCommand) *string {
	if cmd.PeerId != nil {
		return proto.String(cmd.GetPeerId())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sessions) == 0 {
		return nil
	}
	return proto.String(s.sessions[0])
}

func (s *Socket) opened(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.sessions, id) {
		s.sessions = append(s.sessions, id)
	}
}

func (s *Socket) left(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions = slices.DeleteFunc(s.sessions, func(other string) bool { return other == id })
}
