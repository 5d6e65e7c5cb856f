package transport

import (
	"errors"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leanrtm/realtime/internal/nowait"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

const (
	readBuffer    = 4 << 10  // first size of a reader's buffer
	readBufferMax = 64 << 10 // larger ones are not kept
)

type state uint8

const (
	open    state = iota
	closing       // a close frame is queued, nothing more is accepted
	dead          // the TCP connection is closed
)

// Conn is one connection. Its methods are safe for concurrent use and, unless
// they say so, do not block.
type Conn struct {
	srv    *Server
	net    net.Conn
	line   *line
	ws     *socket
	codec  wire.Codec
	remote string
	recv   Receiver
	tapped *tapped // nil unless a test listens in

	born     time.Duration // on the alarms' scale
	lastRead atomic.Int64  // on the alarms' scale
	loggedIn atomic.Bool
	ending   atomic.Bool // state is not open; for readers without mu
	draining atomic.Bool // no command begins any more
	isQuiet  atomic.Bool // draining, and none is in flight
	told     atomic.Bool // to go elsewhere
	inflight atomic.Int32

	begun    atomic.Int64 // when the frame that is arriving began; 0: none is
	rings    atomic.Int64 // when idle will ring
	controls pace         // pings and pongs; of the reader
	frames   pace         // all frames; of the reader

	idle    alarm // read, login and frame timeout
	release alarm // the hold lane

	quick  nowait.Writer  // writes without waiting, where that is possible
	cork   bool           // as corked; the reader's own
	writer sync.WaitGroup // counts the writer goroutine or the reader as such, 0 or 1
	start  func()         // is c.write; kept, because making it allocates
	choked atomic.Bool    // too many replies wait: the reader waits too

	mu      sync.Mutex
	state   state
	why     Why
	queue   *batch // nil: empty
	writing bool   // the writer goroutine exists, or the reader writes
	corked  bool   // replies do not start the writer: the reader is about to write
	abandon bool   // the writer is to forget what it took
	pushes  load
	replies load
	lane    []held
	calls   []*Call
	room    chan struct{} // wakes a choked reader; made when first needed
}

// load is what waits of one kind, in the queue, in the lane, or with the
// writer.
type load struct{ bytes, frames int }

func (l *load) add(n int)  { l.bytes += n; l.frames++ }
func (l *load) take(n int) { l.bytes -= n; l.frames-- }

// Codec is the framing that was agreed on.
func (c *Conn) Codec() wire.Codec { return c.codec }

// Remote is the peer's address without its port.
func (c *Conn) Remote() string { return c.remote }

// Ending tells whether the connection is being closed or has ended.
func (c *Conn) Ending() bool { return c.ending.Load() }

// LoggedIn ends the login timeout, for good.
func (c *Conn) LoggedIn() { c.loggedIn.Store(true) }

// Begin announces a command, so that Shutdown lets it finish. It returns false
// if the command must not begin any more. Else End must follow.
func (c *Conn) Begin() bool {
	c.inflight.Add(1)
	// Looked at after the count was raised: either this sees the drain, or the
	// drain sees the command.
	if c.draining.Load() {
		c.End()
		return false
	}
	return true
}

// End says that a command has finished, its reply included.
func (c *Conn) End() {
	if c.inflight.Add(-1) == 0 && c.draining.Load() {
		c.quiet()
	}
}

// quiesce lets no command begin any more. When the last one has finished the
// connection is quiet.
func (c *Conn) quiesce() {
	c.inflight.Add(1) // so that it is not quiet before it is draining
	c.markDrained()
	c.End()
}

func (c *Conn) markDrained() { c.draining.Store(true) }

// quiet is called at least once.
func (c *Conn) quiet() {
	if !c.isQuiet.Swap(true) {
		c.srv.settled()
	}
}

// Close writes what is queued, then a close frame. The connection ends when the
// peer has answered it, but soon in any case.
func (c *Conn) Close(code wire.Code, reason string) {
	if c.tapped != nil {
		c.tapped.close(code, reason)
		return
	}
	c.closeNow(code, reason)
}

// CloseCode is Close with the code's name as its reason.
func (c *Conn) CloseCode(code wire.Code) { c.Close(code, code.Name()) }

func (c *Conn) closeNow(code wire.Code, reason string) {
	c.mu.Lock()
	c.closeLocked(code, reason)
	c.mu.Unlock()
}

func (c *Conn) closeLocked(code wire.Code, reason string) {
	if c.state != open {
		return
	}
	c.flushLane()
	c.appendLocked(entry{body: closeFrame(code, reason), raw: true, reply: true, last: true})
	c.endLocked(closing, Why{Code: code, Reason: reason})
}

func (c *Conn) endLocked(to state, why Why) {
	if c.state == open {
		c.why = why
	}
	c.state = to
	c.ending.Store(true)
	c.unchoke()
}

// Cut closes the TCP connection at once. What is queued is lost.
func (c *Conn) Cut() {
	c.mu.Lock()
	already := c.state == dead
	c.endLocked(dead, Why{})
	c.queue = nil
	c.lane = nil
	c.mu.Unlock()
	if !already {
		_ = c.net.Close() // what it could report is that it was closed before
	}
}

// heard notes that bytes arrived.
func (c *Conn) heard() { c.lastRead.Store(int64(c.srv.alarms.now())) }

// alarmed closes the connection if it has been silent for too long.
func (c *Conn) alarmed(_ *alarm, now time.Duration) { c.watch(now) }

// watch judges the timeouts and sets the alarm for the next time they could
// run out. The alarm is not moved with every read.
func (c *Conn) watch(now time.Duration) {
	if c.ending.Load() {
		return
	}
	o := &c.srv.opts
	next := asleep
	if o.LoginTimeout > 0 && !c.loggedIn.Load() {
		next = c.born + o.LoginTimeout
		if now >= next {
			c.CloseCode(wire.CodeLoginTimeout)
			return
		}
	}
	if o.ReadTimeout > 0 {
		at := time.Duration(c.lastRead.Load()) + o.ReadTimeout
		if now >= at {
			c.CloseCode(wire.CodeReadTimeout)
			return
		}
		next = min(next, at)
	}
	if begun := c.begun.Load(); begun != 0 && o.FrameTimeout > 0 {
		at := time.Duration(begun) + o.FrameTimeout
		if now >= at {
			c.CloseCode(wire.CodeReadTimeout)
			return
		}
		next = min(next, at)
	}
	c.ring(next)
	// A frame may have begun since it was looked at, and its reader seen the alarm
	// that has just gone off.
	if begun := c.begun.Load(); begun != 0 && o.FrameTimeout > 0 {
		if at := time.Duration(begun) + o.FrameTimeout; at < next {
			c.ring(at)
		}
	}
}

// run is the connection's goroutine.
func (c *Conn) run() {
	c.read()
	c.Uncork()
	// A peer that is still there gets what is queued, such as the library's close
	// frame; the write timeout bounds it. Nothing is accepted meanwhile.
	c.mu.Lock()
	if c.state == open {
		c.endLocked(closing, Why{})
		c.lane = nil
	}
	why := c.why
	c.mu.Unlock()
	if !c.line.failed.Load() {
		c.writer.Wait()
	}
	c.Cut()
	why.Drained = c.draining.Load()
	c.finish(why)
	c.srv.remove(c, why)
	if c.draining.Load() {
		c.quiet() // whatever has not finished, nobody waits for it here
	}
}

// finish frees what a connection has that was cut, and tells the Receiver.
func (c *Conn) finish(why Why) {
	c.writer.Wait()
	c.srv.alarms.clear(&c.idle)
	c.srv.alarms.clear(&c.release)
	c.ws.close()
	if c.tapped != nil {
		c.tapped.stop()
	}
	defer c.recovered()
	c.recv.Closed(why)
}

// read reads until the connection ends.
func (c *Conn) read() {
	limit := payloadLen(c.codec, c.srv.opts.MaxFrame)
	for {
		text, err := c.ws.next()
		if err != nil {
			return
		}
		buf := c.srv.reads.Get().(*[]byte)
		c.arriving()
		frame, err := c.ws.read(*buf, limit)
		c.arrived()
		var cmd *pb.GenericCommand
		var block *wire.Block // that cmd lies in; nil: in none
		switch {
		case c.ending.Load() || c.draining.Load() || c.hurried(): // only the peer's close frame matters now
		case errors.Is(err, errTooLong):
			c.CloseCode(wire.CodeFrameTooLong)
		case err == nil:
			c.srv.stats.read.Add(1)
			c.srv.stats.readBytes.Add(uint64(len(frame)))
			cmd, block = c.decode(frame, text)
		}
		if cap(frame) <= readBufferMax {
			*buf = frame[:0]
		}
		c.srv.reads.Put(buf)
		if err != nil && !errors.Is(err, errTooLong) {
			return
		}
		if cmd == nil {
			continue
		}
		if c.tapped != nil {
			c.tapped.in(cmd)
		} else if c.command(cmd) {
			c.srv.blocks.Put(block)
		}
		c.waitRoom()
	}
}

// decode returns the command of a frame and the block that it lies in, if it lies
// in one; or nil after having closed the connection.
func (c *Conn) decode(frame []byte, text bool) (*pb.GenericCommand, *wire.Block) {
	if text == c.codec.Text {
		block := c.srv.blocks.Get()
		cmd, inside, err := c.codec.UnmarshalInto(block, frame)
		if !inside {
			c.srv.blocks.Put(block)
			block = nil
		}
		if err == nil && cmd.Cmd != nil {
			return cmd, block
		}
	}
	c.CloseCode(wire.CodeUnparseableRawMessage)
	return nil, nil
}

func (c *Conn) command(cmd *pb.GenericCommand) (done bool) {
	defer c.recovered()
	return c.recv.Command(cmd)
}

// recovered ends the connection whose command made the server panic, and no
// other.
func (c *Conn) recovered() {
	if r := recover(); r != nil {
		c.Panicked(r)
	}
}

// Panicked logs a value that was recovered from a panic and closes the
// connection.
func (c *Conn) Panicked(value any) {
	c.srv.stats.panics.Add(1)
	c.srv.opts.Logger.Error("panic while a command was executed", "panic", value, "stack", string(debug.Stack()))
	c.CloseCode(wire.CodeInternalError)
}
