package transport_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/tap"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
)

// script is a tap whose pipe does what a test says.
type script struct {
	conn    tap.Conn
	in, out func(cmd *pb.GenericCommand, next func(*pb.GenericCommand))

	mu     sync.Mutex
	closed int
}

func (s *script) Open(c tap.Conn) tap.Pipe { s.conn = c; return s }

func (s *script) In(cmd *pb.GenericCommand, next func(*pb.GenericCommand)) {
	if s.in == nil {
		next(cmd)
		return
	}
	s.in(cmd, next)
}

func (s *script) Out(cmd *pb.GenericCommand, next func(*pb.GenericCommand)) {
	if s.out == nil {
		next(cmd)
		return
	}
	s.out(cmd, next)
}

func (s *script) Closed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
}

func tapTest(t *testing.T, s *script, run func(e *env)) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		e.tap = s
		run(e)
		e.srv.Close()
		require.Equal(t, 1, s.closed)
	})
}

func TestTapSeesCommands(t *testing.T) {
	later := make(chan func(), 1)
	s := &script{in: func(cmd *pb.GenericCommand, next func(*pb.GenericCommand)) {
		switch cmd.GetI() {
		case 1: // twice, the second time another one
			next(cmd)
			next(command(100))
		case 2: // lost
		case 3:
			later <- func() { next(cmd) }
		default:
			next(cmd)
		}
	}}
	tapTest(t, s, func(e *env) {
		c, p := e.connect(wire.SubprotocolText)
		for i := range int32(4) {
			c.Send(command(i + 1))
		}
		synctest.Wait()
		(<-later)()
		synctest.Wait()
		var got []int32
		for _, cmd := range p.cmds {
			got = append(got, cmd.GetI())
		}
		require.Equal(t, []int32{1, 100, 4, 3}, got)
	})
}

func TestTapSeesFrames(t *testing.T) {
	s := &script{}
	tapTest(t, s, func(e *env) {
		hold := fanout.Hold{Session: 1, Serial: 1}
		s.out = func(cmd *pb.GenericCommand, next func(*pb.GenericCommand)) {
			switch cmd.GetI() {
			case 1: // the reply is late
				time.Sleep(50 * ms)
				next(cmd)
			case 3:
				next(cmd)
				cmd.PeerId = proto.String("changed")
				next(cmd)
			case 4: // lost
			default:
				next(cmd)
			}
		}
		c, p := e.connect()
		start := time.Now()
		call := p.Expect(hold)
		p.Reply(call, frame(1))
		p.Push(wire.AppendPeer(nil, "tom"), frame(2), fanout.ClassStored, hold)
		p.Push(nil, frame(3), fanout.ClassStored, fanout.Hold{})
		p.Push(nil, frame(4), fanout.ClassStored, fanout.Hold{})
		require.Equal(t, int32(1), c.Read().GetI())
		require.Equal(t, 50*ms, time.Since(start))
		second := c.Read()
		require.Equal(t, int32(2), second.GetI())
		require.Equal(t, "tom", second.GetPeerId())
		require.Equal(t, 60*ms, time.Since(start)) // the hold counts from the late reply
		require.Empty(t, c.Read().GetPeerId())
		require.Equal(t, "changed", c.Read().GetPeerId())
		p.CloseCode(wire.CodeInternalError) // after the frames before it
		c.WantClosed(wire.CodeInternalError)
	})
}

func TestTapConn(t *testing.T) {
	s := &script{}
	tapTest(t, s, func(e *env) {
		c, _ := e.connect()
		s.conn.Send(command(8))
		require.Equal(t, int32(8), c.Read().GetI())
		s.conn.Close(wire.CodeKickedByApp)
		c.WantClosed(wire.CodeKickedByApp)
		s.conn.Send(command(9))

		c, p := e.connect()
		s.closed = 0
		s.conn.Cut()
		c.WantEOF()
		<-p.gone
		synctest.Wait()
	})
}
