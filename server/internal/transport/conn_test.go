package transport_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/transport"
	"github.com/leanrtm/realtime/server/internal/wstest"
)

func TestCommandsAndFramesInEveryCodec(t *testing.T) {
	for _, name := range spoken {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t, options())
				e.serve = func(p *peer, cmd *pb.GenericCommand) { p.Reply(nil, frame(cmd.GetI())) }
				c, p := e.connect(name)
				codec, _ := wire.CodecFor(name)
				require.Equal(t, codec, c.Codec)
				require.Equal(t, codec, p.Codec())
				require.Regexp(t, `^192\.0\.2\.\d+$`, p.Remote())
				for i := range int32(3) {
					c.Send(command(i + 1))
					require.Equal(t, i+1, c.Read().GetI())
				}
				p.Push(wire.AppendPeer(nil, "tom"), frame(7), fanout.ClassStored, fanout.Hold{})
				got := c.Read()
				require.Equal(t, "tom", got.GetPeerId())
				require.Equal(t, int32(7), got.GetI())
				// Longer than a chunk of the writer, and than 16 bits of length.
				body := big(200 << 10)
				p.Push(nil, body, fanout.ClassStored, fanout.Hold{})
				require.Len(t, c.Read().GetDirectMessage().GetBinaryMsg(), 200<<10)
			})
		})
	}
}

// A client may send before it has seen the answer to its upgrade.
func TestFramesThatComeWithTheUpgrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		nc, err := e.net.Dial(t.Context(), "tcp", addr)
		require.NoError(t, err)
		defer nc.Close()
		hello := "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
		all := []byte(hello)
		for i := range int32(100) {
			all = wstest.AppendFrame(all, true, wstest.OpBinary, frame(i+1))
		}
		_, err = nc.Write(all)
		require.NoError(t, err)
		synctest.Wait()
		p := e.peers[0]
		require.Equal(t, 100, p.commands())
		for i, cmd := range p.cmds {
			require.Equal(t, int32(i+1), cmd.GetI())
		}
	})
}

func TestNoSubprotocolFallsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		c := wstest.Dial(t, e.net.Dial, addr, wstest.Request{Subprotocols: []string{}})
		c.Send(command(1))
		synctest.Wait()
		require.Equal(t, 1, e.peers[0].commands())
	})
}

func TestFragmentsMakeOneCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		c, p := e.connect()
		f := frame(5)
		c.Write(wstest.AppendFrame(nil, false, wstest.OpBinary, f[:1]))
		c.Frame(wstest.OpPing, []byte("between"))
		c.Write(wstest.AppendFrame(nil, true, 0, f[1:]))
		op, payload, err := c.ReadFrame()
		require.NoError(t, err)
		require.Equal(t, byte(wstest.OpPong), op)
		require.Equal(t, "between", string(payload))
		synctest.Wait()
		require.Equal(t, 1, p.commands())
		require.Equal(t, int32(5), p.cmds[0].GetI())
	})
}

func TestStreamThatEndsBetweenFragmentsIsNoCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		c, p := e.connect()
		c.Write(wstest.AppendFrame(nil, false, wstest.OpBinary, frame(5)))
		c.Net.Close()
		<-p.gone
		require.Zero(t, p.commands())
	})
}

func TestBadFramesAreClosedWith4114(t *testing.T) {
	noCmd, err := proto.Marshal(&pb.GenericCommand{I: proto.Int32(1)})
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		subprotocol string
		opcode      byte
		payload     []byte
	}{
		"garbage":              {wire.SubprotocolBinary, wstest.OpBinary, bytes.Repeat([]byte{0xff}, 40)},
		"cut off":              {wire.SubprotocolBinary, wstest.OpBinary, frame(1)[:1]},
		"empty":                {wire.SubprotocolBinary, wstest.OpBinary, nil},
		"no command":           {wire.SubprotocolBinary, wstest.OpBinary, noCmd},
		"text in binary":       {wire.SubprotocolBinary, wstest.OpText, []byte("CAE=")},
		"binary in text":       {wire.SubprotocolText, wstest.OpBinary, frame(1)},
		"not base64":           {wire.SubprotocolText, wstest.OpText, []byte("!!!!")},
		"base64 of garbage":    {wire.SubprotocolText, wstest.OpText, []byte("/////w==")},
		"required field":       {wire.SubprotocolBinary, wstest.OpBinary, []byte{0x08, 0x07, 0xba, 0x06, 0x00}},
		"nested past its end":  {wire.SubprotocolBinary, wstest.OpBinary, []byte{0x08, 0x00, 0xb2, 0x06, 0x7f, 0x01}},
		"wire type from space": {wire.SubprotocolBinary, wstest.OpBinary, []byte{0x0f}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t, options())
				c, p := e.connect(tc.subprotocol)
				other, _ := e.connect()
				c.Frame(tc.opcode, tc.payload)
				c.WantClosed(wire.CodeUnparseableRawMessage)
				synctest.Wait()
				require.Zero(t, p.commands())
				require.Equal(t, wire.CodeUnparseableRawMessage, p.ended().Code)
				require.Equal(t, uint64(1), e.srv.Stats().Closed[wire.CodeUnparseableRawMessage])
				other.Send(command(1)) // nobody else is touched
				other.WantSilence(time.Second)
				require.Equal(t, 1, e.srv.Stats().Open)
			})
		})
	}
}

func TestFrameSize(t *testing.T) {
	for _, name := range []string{wire.SubprotocolBinary, wire.SubprotocolText} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := options()
				o.MaxFrame = 1 << 10
				e := newEnv(t, o)
				c, p := e.connect(name)
				fits := &pb.GenericCommand{Cmd: pb.CommandType_direct.Enum(), PeerId: proto.String("")}
				fits.PeerId = proto.String(strings.Repeat("x", o.MaxFrame-proto.Size(fits)-1))
				require.Equal(t, o.MaxFrame, proto.Size(fits))
				c.Send(fits)
				synctest.Wait()
				require.Equal(t, 1, p.commands())
				*fits.PeerId += "xyz" // base64 rounds up to three bytes
				c.Send(fits)
				c.WantClosed(wire.CodeFrameTooLong)
				synctest.Wait()
				require.Equal(t, wire.CodeFrameTooLong, p.ended().Code)
			})
		})
	}
}

func TestFrameThatNeverEndsIsClosedWith4109(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.MaxFrame = 1 << 10
		e := newEnv(t, o)
		c, p := e.connect()
		// It announces 2⁶⁰ bytes: the close comes without waiting for them.
		header := append([]byte{0x82, 0xff}, binary.BigEndian.AppendUint64(nil, 1<<60)...)
		c.Write(append(header, 1, 2, 3, 4))
		c.Write(make([]byte, o.MaxFrame+1))
		code, _ := c.ReadClose()
		require.Equal(t, wire.CodeFrameTooLong, code)
		// The peer goes on and never answers the close. That cannot last.
		start := time.Now()
		for {
			if _, err := c.Net.Write(make([]byte, 1<<10)); err != nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		require.InDelta(t, 5, time.Since(start).Seconds(), 0.2)
		synctest.Wait()
		require.NotNil(t, p.ended())
	})
}

func TestManySmallFragmentsAreTooLongTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.MaxFrame = 1 << 10
		e := newEnv(t, o)
		c, _ := e.connect()
		c.Write(wstest.AppendFrame(nil, false, wstest.OpBinary, make([]byte, 100)))
		for range 10 {
			c.Write(wstest.AppendFrame(nil, false, 0, make([]byte, 100)))
		}
		code, _ := c.ReadClose()
		require.Equal(t, wire.CodeFrameTooLong, code)
	})
}

func TestProtocolViolationsEndTheConnection(t *testing.T) {
	for name, tc := range map[string]struct {
		raw  []byte
		code wire.Code // 0: no close frame
	}{
		"not masked":            {[]byte{0x82, 0x01, 0x08}, 0},
		"reserved bits":         {wstest.AppendFrame(nil, true, 0x42, frame(1)), 1002},
		"unknown opcode":        {wstest.AppendFrame(nil, true, 0x7, nil), 1002},
		"continuation of none":  {wstest.AppendFrame(nil, true, 0x0, frame(1)), 1002},
		"long ping":             {wstest.AppendFrame(nil, true, wstest.OpPing, make([]byte, 126)), 1002},
		"ping in parts":         {wstest.AppendFrame(nil, false, wstest.OpPing, nil), 1002},
		"close of one byte":     {wstest.AppendFrame(nil, true, wstest.OpClose, []byte{3}), 1002},
		"HTTP after the hello":  {[]byte("GET / HTTP/1.1\r\n\r\n"), 1002},
		"new one in the middle": {append(wstest.AppendFrame(nil, false, wstest.OpBinary, frame(1)), wstest.AppendFrame(nil, true, wstest.OpBinary, frame(1))...), 1002},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t, options())
				c, p := e.connect()
				c.Write(tc.raw)
				if tc.code != 0 {
					code, _ := c.ReadClose()
					require.Equal(t, tc.code, code)
				}
				c.WantEOF()
				synctest.Wait()
				require.NotNil(t, p.ended())
				require.Zero(t, p.ended().Code)
				require.Zero(t, p.commands())
			})
		})
	}
}

func TestThePeerEndsTheConnection(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(c *wstest.Conn)
		echo []byte
	}{
		"close without code": {func(c *wstest.Conn) { c.Frame(wstest.OpClose, nil) }, []byte{}},
		"close with code":    {func(c *wstest.Conn) { c.Frame(wstest.OpClose, []byte{0x03, 0xe8}) }, []byte{0x03, 0xe8}},
		"end of stream":      {func(c *wstest.Conn) { c.Net.Close() }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t, options())
				c, p := e.connect()
				p.Push(nil, frame(1), fanout.ClassStored, fanout.Hold{})
				synctest.Wait()
				tc.end(c)
				if tc.echo != nil {
					require.Equal(t, int32(1), c.Read().GetI()) // what was queued comes first
					op, payload, err := c.ReadFrame()
					require.NoError(t, err)
					require.Equal(t, byte(wstest.OpClose), op)
					require.Equal(t, tc.echo, payload)
					c.WantEOF()
				}
				synctest.Wait()
				require.Equal(t, transport.Why{}, *p.ended())
				require.True(t, p.Ending())
				require.Equal(t, uint64(1), e.srv.Stats().Closed[0])
				p.Push(nil, frame(2), fanout.ClassStored, fanout.Hold{}) // is lost, and does no harm
			})
		})
	}
}

func TestReadTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		c, p := e.connect()
		p.LoggedIn()
		start := time.Now()
		time.Sleep(200 * time.Second)
		c.Send(command(1))
		time.Sleep(300 * time.Second)
		c.Frame(wstest.OpPing, nil) // a ping is data too
		c.ReadFrame()
		c.WantClosed(wire.CodeReadTimeout)
		require.Equal(t, 860*time.Second, time.Since(start))
		synctest.Wait()
		require.Equal(t, wire.CodeReadTimeout, p.ended().Code)
	})
}

func TestLoginTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		late, _ := e.connect()
		kept, p := e.connect()
		start := time.Now()
		time.Sleep(59 * time.Second)
		p.LoggedIn()
		late.Send(command(1)) // activity is no login
		late.WantClosed(wire.CodeLoginTimeout)
		require.Equal(t, time.Minute, time.Since(start))
		kept.WantSilence(10 * time.Second)
	})
}

func TestTimeoutsCanBeOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.ReadTimeout, o.LoginTimeout = 0, 0
		e := newEnv(t, o)
		c, _ := e.connect()
		c.WantSilence(1000 * time.Hour)
	})
}

func TestHalfOpenPeers(t *testing.T) {
	t.Run("in the middle of a frame", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := newEnv(t, options())
			c, p := e.connect()
			p.LoggedIn()
			c.Write(wstest.AppendFrame(nil, true, wstest.OpBinary, frame(1))[:4])
			c.WantClosed(wire.CodeReadTimeout)
			synctest.Wait()
			require.Zero(t, p.commands())
		})
	})
	t.Run("never answers the close", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := newEnv(t, options())
			c, p := e.connect()
			p.CloseCode(wire.CodeInternalError)
			start := time.Now()
			code, _ := c.ReadClose()
			require.Equal(t, wire.CodeInternalError, code)
			c.WantEOF()
			require.Equal(t, 5*time.Second, time.Since(start))
		})
	})
	t.Run("does not read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := newEnv(t, options())
			_, p := e.connect()
			start := time.Now()
			p.Push(nil, big(900<<10), fanout.ClassStored, fanout.Hold{}) // more than the network holds
			<-p.gone
			require.Equal(t, 10*time.Second, time.Since(start))
			require.Zero(t, p.ended().Code)
		})
	})
	t.Run("reads slowly", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := newEnv(t, options())
			c, p := e.connect()
			p.LoggedIn()
			p.Push(nil, big(900<<10), fanout.ClassStored, fanout.Hold{})
			// 16 KiB/s would take a minute: each chunk has its own ten seconds.
			for read := 0; read < 900<<10; {
				buf := make([]byte, 16<<10)
				n, err := c.Net.Read(buf)
				require.NoError(t, err)
				read += n
				time.Sleep(time.Second)
			}
			synctest.Wait()
			require.Nil(t, p.ended())
		})
	})
}

func TestPanicEndsOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		e.serve = func(_ *peer, cmd *pb.GenericCommand) {
			if cmd.GetI() == 13 {
				panic("a defect")
			}
		}
		c, p := e.connect()
		other, q := e.connect()
		c.Send(command(13))
		c.WantClosed(wire.CodeInternalError)
		other.Send(command(1))
		synctest.Wait()
		require.Equal(t, wire.CodeInternalError, p.ended().Code)
		require.Equal(t, 1, q.commands())
	})
}

func TestCloseIsLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		c, p := e.connect()
		call := p.Expect(fanout.Hold{Session: 1, Serial: 1})
		p.Push(nil, frame(2), fanout.ClassStored, fanout.Hold{Session: 1, Serial: 1}) // held
		p.Reply(call, frame(1))
		p.CloseCode(wire.CodeInvalidLogin)
		p.CloseCode(wire.CodeInternalError) // the first one counts
		p.Push(nil, frame(3), fanout.ClassStored, fanout.Hold{})
		c.Send(command(9)) // arrives too late to be executed
		require.Equal(t, int32(1), c.Read().GetI())
		require.Equal(t, int32(2), c.Read().GetI()) // was accepted, so it is sent
		c.WantClosed(wire.CodeInvalidLogin)
		synctest.Wait()
		require.Zero(t, p.commands())
		require.Equal(t, wire.CodeInvalidLogin, p.ended().Code)
	})
}
