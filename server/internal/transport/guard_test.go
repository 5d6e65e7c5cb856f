package transport_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/wstest"
)

const statusPolicy wire.Code = 1008

// A peer that keeps a frame coming, byte by byte, is never silent. It is closed
// all the same, whatever the other timeouts are.
func TestSlowFrame(t *testing.T) {
	for _, silence := range []time.Duration{-1, 360 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			o := options()
			o.ReadTimeout, o.LoginTimeout, o.FrameTimeout = silence, -1, time.Minute
			e := newEnv(t, o)
			c, p := e.connect()
			time.Sleep(time.Hour / 30) // long enough for the alarms to settle
			c.Send(echo(1))
			synctest.Wait()
			require.Equal(t, 1, p.commands())

			start := time.Now()
			frame := wstest.AppendFrame(nil, true, wstest.OpBinary, make([]byte, 5000))
			c.Write(frame[:10])
			for i := 10; time.Since(start) < 55*time.Second; i++ {
				time.Sleep(time.Second)
				c.Write(frame[i : i+1])
			}
			require.False(t, p.Ending())
			time.Sleep(5 * time.Second)
			synctest.Wait()
			require.True(t, p.Ending())
			c.WantClosed(wire.CodeReadTimeout)
		})
	}
}

// Frames without content never end a message, and nobody sees them.
func TestFragmentsWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.FrameTimeout = time.Minute
		e := newEnv(t, o)
		c, p := e.connect()
		p.LoggedIn()
		c.Write(wstest.AppendFrame(nil, false, wstest.OpBinary, nil))
		for range 59 {
			c.Write(wstest.AppendFrame(nil, false, 0, nil))
			time.Sleep(time.Second)
		}
		require.False(t, p.Ending())
		time.Sleep(time.Second)
		c.WantClosed(wire.CodeReadTimeout)
	})
}

// A slow network is no attack: a frame that takes a while arrives, and the next
// one has its own time.
func TestSlowFrameThatArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.FrameTimeout = time.Minute
		e := newEnv(t, o)
		c, p := e.connect()
		p.LoggedIn()
		frame := c.Encode(echo(1))
		for n := range 5 {
			c.Write(frame[:7]) // the header and a byte
			time.Sleep(50 * time.Second)
			c.Write(frame[7:])
			synctest.Wait()
			require.Equal(t, n+1, p.commands())
			time.Sleep(30 * time.Second)
		}
		require.False(t, p.Ending())
	})
}

func TestTooManyPings(t *testing.T) {
	for _, opcode := range []byte{wstest.OpPing, wstest.OpPong} {
		synctest.Test(t, func(t *testing.T) {
			e := newEnv(t, options())
			c, p := e.connect()
			p.LoggedIn()
			go func() { // reads the answers, until the end
				for {
					if _, _, err := c.ReadFrame(); err != nil {
						return
					}
				}
			}()
			for range 3600 { // an eager client, for an hour
				c.Frame(opcode, []byte("x"))
				time.Sleep(time.Second)
			}
			require.False(t, p.Ending())
			time.Sleep(time.Minute)
			for range 600 {
				c.Frame(opcode, nil)
			}
			synctest.Wait()
			require.False(t, p.Ending())
			c.Frame(opcode, nil)
			synctest.Wait()
			require.True(t, p.Ending())
			<-p.gone
			require.Equal(t, statusPolicy, p.ended().Code)
		})
	}
}

func TestFrameRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.FrameRate = 10
		e := newEnv(t, o)
		c, p := e.connect()
		p.LoggedIn()
		for range 3 {
			for range 10 {
				c.Send(echo(1))
			}
			time.Sleep(time.Minute)
		}
		require.Equal(t, 30, p.commands())
		for range 9 {
			c.Send(echo(1))
		}
		c.Frame(wstest.OpPing, nil)
		synctest.Wait()
		require.False(t, p.Ending())
		c.Send(echo(1))
		synctest.Wait()
		require.True(t, p.Ending())
		require.Equal(t, 39, p.commands(), "the one too many is not executed")
		<-p.gone
		require.Equal(t, statusPolicy, p.ended().Code)
	})
}

func echo(i int32) *pb.GenericCommand {
	return &pb.GenericCommand{Cmd: pb.CommandType_echo.Enum(), I: proto.Int32(i)}
}
