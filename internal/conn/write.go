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

// write is the writer.
func (c *Conn) write() {
	defer c.release()
	heartbeat := newTicker(c.o.HeartbeatInterval, nextHeartbeat)
	defer heartbeat.stop()
	silence := newTicker(c.o.SilenceTimeout, nil)
	defer silence.stop()
	watch := &writeWatch{conn: c}
	defer watch.end()
	for {
		select {
		case <-c.dead:
			return
		case <-c.wake:
			if c.out.crowded() {
				// Those who were woken together are about to send, too: their frames shall
				// go out in one piece.
				runtime.Gosched()
			}
			if frames, turn, _ := c.take(); turn {
				c.writeAll(frames, watch)
				if c.give(frames) {
					c.token()
				}
			}
		case <-heartbeat.c:
			c.beat(watch)
			heartbeat.reset(nextHeartbeat(c.o.HeartbeatInterval))
		case <-silence.c:
			quiet := time.Since(c.started) - time.Duration(c.heard.Load())
			if quiet >= c.o.SilenceTimeout {
				c.fail(ErrSilence)
				return
			}
			silence.reset(c.o.SilenceTimeout - quiet)
		case <-c.finish:
			c.sayGoodbye(watch)
			return
		}
	}
}

// Bounds of what is written in one piece.
const (
	pieceFrames = 64
	pieceBytes  = 16 << 10
)

// writeAll writes frames, and what the stream has held back. After an error the
// connection is dead, and the rest is dropped.
func (c *Conn) writeAll(frames []*Frame, watch *writeWatch) {
	for first := true; first || len(frames) > 0; first = false {
		select {
		case <-c.dead: // what is begun now would count as perhaps sent
			return
		default:
		}
		watch.start()
		c.stream.cork()
		n := 0
		for bytes := 0; n < min(len(frames), pieceFrames) && bytes < pieceBytes; n++ {
			bytes += len(frames[n].bytes)
			if c.writeFrame(frames[n]) != nil {
				return
			}
		}
		frames = frames[n:]
		if err := c.stream.uncork(); err != nil {
			c.unwritten(err)
			return
		}
		watch.stop()
	}
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

// beat sends a heartbeat. Its answer is like anything else that is heard.
func (c *Conn) beat(watch *writeWatch) {
	serial := c.o.Serial()
	c.o.Logger.LogAttrs(context.Background(), slog.LevelDebug, "heartbeat", slog.Int("serial", int(serial)))
	f, err := c.Encode(&pb.GenericCommand{Cmd: pb.CommandType_echo.Enum()}, serial)
	if err != nil {
		c.fail(err)
		return
	}
	c.o.Counters.Heartbeats.Add(1)
	c.writeAll([]*Frame{f}, watch)
}

// nextHeartbeat varies the interval.
func nextHeartbeat(interval time.Duration) time.Duration {
	return time.Duration(float64(interval) * (1 - heartbeatSpread + 2*heartbeatSpread*rand.Float64()))
}

// sayGoodbye empties the queue and closes as the protocol says: with no status.
// The library gives the peer 5 s to answer; Close is less patient and shuts
// the socket.
func (c *Conn) sayGoodbye(watch *writeWatch) {
	for {
		frames, turn, direct := c.take()
		switch {
		case turn:
			c.writeAll(frames, watch)
			c.give(frames)
		case direct:
			select {
			case <-c.wake:
			case <-c.dead:
			}
		}
		select {
		case <-c.dead:
			return
		default:
		}
		if !turn && !direct && c.stream.wait() {
			break
		}
	}
	if err := c.ws.Close(websocket.StatusNoStatusRcvd, ""); err != nil {
		c.o.Logger.LogAttrs(context.Background(), slog.LevelDebug, "close handshake failed", slog.Any("err", err))
	}
	c.fail(ErrClosed)
}

// ticker is a timer that may not exist.
type ticker struct {
	timer *time.Timer
	c     <-chan time.Time
}

func newTicker(interval time.Duration, vary func(time.Duration) time.Duration) *ticker {
	if interval <= 0 {
		return &ticker{}
	}
	if vary != nil {
		interval = vary(interval)
	}
	timer := time.NewTimer(interval)
	return &ticker{timer, timer.C}
}

func (t *ticker) reset(d time.Duration) { t.timer.Reset(d) }

func (t *ticker) stop() {
	if t.timer != nil {
		t.timer.Stop()
	}
}
