package conn

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
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
	// Begin is called by the writer just before the first byte of the frame goes
	// out, and only then. false drops the frame.
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

// TrySend puts a frame into the queue if there is room, and reports whether
// there was. s may be nil. It fails when the connection is over or being
// closed. A frame that was accepted must not be used again.
func (c *Conn) TrySend(f *Frame, s Starter) (bool, error) {
	if err := c.refusal(); err != nil {
		return false, err
	}
	f.starter = s
	select {
	case c.queue <- f:
		return true, nil
	default:
		return false, nil
	}
}

// Send is as TrySend but waits for room, until ctx ends; then it returns ctx's
// error.
func (c *Conn) Send(ctx context.Context, f *Frame, s Starter) error {
	if err := c.refusal(); err != nil {
		return err
	}
	f.starter = s
	select {
	case c.queue <- f:
		return nil
	case <-c.dead:
		return c.Err()
	case <-c.finish:
		return c.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Conn) refusal() error {
	select {
	case <-c.dead:
	case <-c.finish:
	default:
		return nil
	}
	return c.Err()
}

// write is the writer.
func (c *Conn) write() {
	defer c.release()
	heartbeat := newTicker(c.o.HeartbeatInterval, nextHeartbeat)
	defer heartbeat.stop()
	silence := newTicker(c.o.SilenceTimeout, nil)
	defer silence.stop()
	watch := &writeWatch{conn: c}
	for {
		select {
		case <-c.dead:
			return
		case f := <-c.queue:
			select {
			case <-c.dead: // what is begun now would count as perhaps sent
				return
			default:
			}
			c.writeBatch(f, watch)
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
	batchFrames = 64
	batchBytes  = 16 << 10
)

// writeBatch writes a frame and what has come into the queue behind it. After
// an error the connection is dead.
func (c *Conn) writeBatch(f *Frame, watch *writeWatch) {
	watch.start()
	defer watch.stop()
	if len(c.queue) == 0 {
		_ = c.writeFrame(f)
		return
	}
	c.stream.cork()
	frames, bytes := 0, 0
	for {
		bytes += len(f.bytes)
		if err := c.writeFrame(f); err != nil {
			return
		}
		if frames++; frames == batchFrames || bytes >= batchBytes {
			break
		}
		select {
		case f = <-c.queue:
			continue
		default:
		}
		break
	}
	if err := c.stream.uncork(); err != nil {
		c.fail(fmt.Errorf("write to the server: %w", err))
	}
}

// writeFrame writes one frame, or drops it if it was withdrawn. The context is
// one that never ends, since one that could would cost a timer; writeWatch
// takes its place.
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
		c.fail(fmt.Errorf("write to the server: %w", err))
	}
	return err
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
	c.writeBatch(f, watch)
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
		select {
		case <-c.dead:
			return
		case f := <-c.queue:
			c.writeBatch(f, watch)
			continue
		default:
		}
		break
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

// writeWatch kills a connection whose writer is stuck.
type writeWatch struct {
	conn  *Conn
	timer *time.Timer
}

func (w *writeWatch) start() {
	if w.conn.o.WriteTimeout < 0 {
		return
	}
	w.conn.running.Add(1)
	if w.timer == nil {
		w.timer = time.AfterFunc(w.conn.o.WriteTimeout, func() {
			w.conn.fail(ErrWriteTimeout)
			w.conn.release()
		})
	} else {
		w.timer.Reset(w.conn.o.WriteTimeout)
	}
}

func (w *writeWatch) stop() {
	if w.timer != nil && w.timer.Stop() {
		w.conn.running.Add(-1) // the writer still counts
	}
}
