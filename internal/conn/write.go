package conn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime"
	"time"

	"github.com/coder/websocket"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// Frame is a command on its way out. It belongs to the connection that made it.
type Frame struct {
	bytes   []byte
	scratch []byte // of the text codec
	starter Starter
}

// Starter decides at the last moment whether a frame is sent.
type Starter interface {
	// Begin is called just before the first byte of the frame goes out, and only
	// then, by whoever writes it. false drops the frame.
	Begin() bool
}

// Encode makes the frame of cmd with this serial; 0: none. cmd is only read,
// and not kept.
func (c *Conn) Encode(cmd *pb.GenericCommand, serial int32) (*Frame, error) {
	f, _ := c.frames.Get().(*Frame)
	if f == nil {
		f = new(Frame)
	}
	b, err := wire.Append(f.bytes[:0], cmd)
	if err != nil {
		return nil, err
	}
	if serial != 0 {
		b = wire.AppendSerial(b, serial)
	}
	if c.codec.Text {
		f.scratch = wire.AppendText(f.scratch[:0], b)
		b, f.scratch = f.scratch, b
	}
	f.bytes = b
	return f, nil
}

// write is the writer. It ends when there is nothing to write; see outbox.
func (c *Conn) write() {
	defer c.release()
	for {
		select {
		case <-c.dead:
			return
		default:
		}
		if c.out.crowded() {
			// Those who were woken together are about to send, too: their frames shall
			// go out in one piece.
			runtime.Gosched()
		}
		switch frames, todo := c.take(); todo {
		case nothing:
			return
		case writeFrames:
			if !c.writeAll(frames) {
				return // for good: whoever would start another one sees this one
			}
			c.give(frames)
		case sayGoodbye:
			if c.stream.wait() {
				c.shakeHands()
				return
			}
		}
	}
}

// Bounds of what is written in one piece.
const (
	pieceFrames = 64
	pieceBytes  = 16 << 10
)

// writeAll writes frames, and what the stream has held back. After an error the
// connection is dead, or the reader is about to find that it is, and the rest is
// dropped.
func (c *Conn) writeAll(frames []*Frame) (ok bool) {
	for first := true; first || len(frames) > 0; first = false {
		select {
		case <-c.dead: // what is begun now would count as perhaps sent
			return false
		default:
		}
		c.watch.start()
		c.stream.cork()
		n := 0
		for bytes := 0; n < min(len(frames), pieceFrames) && bytes < pieceBytes; n++ {
			bytes += len(frames[n].bytes)
			if c.writeFrame(frames[n]) != nil {
				return false
			}
		}
		frames = frames[n:]
		if err := c.stream.uncork(); err != nil {
			c.unwritten(err)
			return false
		}
		c.watch.stop()
	}
	return true
}

// writeFrame hands one frame to the library, or drops it if it was withdrawn.
// The context is one that never ends, since one that could would kill the
// connection; writeWatch takes its place.
func (c *Conn) writeFrame(f *Frame) error {
	typ := websocket.MessageBinary
	if c.codec.Text {
		typ = websocket.MessageText
	}
	var err error
	if f.starter == nil || f.starter.Begin() {
		if err = c.ws.Write(context.Background(), typ, f.bytes); err == nil {
			c.o.Counters.FramesOut.Add(1)
			c.o.Counters.BytesOut.Add(uint64(len(f.bytes)))
		}
	}
	f.starter = nil
	if cap(f.bytes)+cap(f.scratch) <= keepBuffer {
		c.frames.Put(f)
	}
	if err != nil {
		c.unwritten(err)
	}
	return err
}

// unwritten ends the connection after a write has failed, unless it was closed
// before: the library does that when the server has said goodbye, and then the
// reader is about to tell why, which no other error must hide.
func (c *Conn) unwritten(err error) {
	if !errors.Is(err, net.ErrClosed) {
		c.fail(fmt.Errorf("write to the server: %w", err))
	}
}

// beat sends a heartbeat, and returns when the next one is due. Its answer is
// like anything else that is heard. There is none where so many frames wait that
// no other is taken: they tell the server as well that the client lives.
func (c *Conn) beat() (again time.Duration) {
	serial := c.o.Serial()
	c.o.Logger.LogAttrs(context.Background(), slog.LevelDebug, "heartbeat", slog.Int("serial", int(serial)))
	f, err := c.Encode(&pb.GenericCommand{Cmd: pb.CommandType_echo.Enum()}, serial)
	if err != nil {
		c.fail(err)
		return 0
	}
	accepted, err := c.TrySend(f, nil, 0)
	if err != nil {
		return 0
	}
	if accepted {
		c.o.Counters.Heartbeats.Add(1)
	}
	return nextHeartbeat(c.o.HeartbeatInterval)
}

// listen ends the connection if it has been silent for too long, or returns when
// it may have been.
func (c *Conn) listen() (again time.Duration) {
	quiet := time.Since(c.started) - time.Duration(c.heard.Load())
	if quiet >= c.o.SilenceTimeout {
		c.fail(ErrSilence)
		return 0
	}
	return c.o.SilenceTimeout - quiet
}

// nextHeartbeat varies the interval.
func nextHeartbeat(interval time.Duration) time.Duration {
	return time.Duration(float64(interval) * (1 - heartbeatSpread + 2*heartbeatSpread*rand.Float64()))
}

// shakeHands closes as the protocol says: with no status. The library gives the
// peer 5 s to answer; Close is less patient and shuts the socket.
func (c *Conn) shakeHands() {
	if err := c.ws.Close(websocket.StatusNoStatusRcvd, ""); err != nil {
		c.o.Logger.LogAttrs(context.Background(), slog.LevelDebug, "close handshake failed", slog.Any("err", err))
	}
	c.fail(ErrClosed)
}
