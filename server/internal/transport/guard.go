package transport

import (
	"time"

	"github.com/leanrtm/realtime/internal/wire"
)

// This file is what keeps one peer from costing more than it may: how long a
// frame may take to arrive, and how many may come in a time.

// statusPolicy is the WebSocket close code for a peer that breaks a rule. The
// protocol has none for it.
const statusPolicy wire.Code = 1008

// controlsPerMinute is how many pings and pongs a peer may send in a minute. An
// eager client sends one a second.
const controlsPerMinute = 600

// pace counts what comes in a minute. It is for the reader alone. Its clock is
// the time of the last read, which costs nothing.
type pace struct {
	since time.Duration
	n     int
}

// over counts one more and tells whether that is more than limit in the minute
// that is running; limit ≤ 0: never.
func (p *pace) over(now time.Duration, limit int) bool {
	if limit <= 0 {
		return false
	}
	if now-p.since >= time.Minute {
		p.since, p.n = now, 0
	}
	p.n++
	return p.n > limit
}

// controlled counts a ping or pong.
func (c *Conn) controlled() {
	now := time.Duration(c.lastRead.Load())
	if c.controls.over(now, controlsPerMinute) || c.frames.over(now, c.srv.opts.FrameRate) {
		c.tooMany()
	}
}

// hurried counts a frame and tells whether it is one too many: then the
// connection is being closed.
func (c *Conn) hurried() bool {
	if !c.frames.over(time.Duration(c.lastRead.Load()), c.srv.opts.FrameRate) {
		return false
	}
	c.tooMany()
	return true
}

func (c *Conn) tooMany() { c.Close(statusPolicy, "too many frames") }

// A frame that is arriving is watched from the moment when the reader has to
// wait for more of it. That is done by the alarm of the other timeouts, and
// nothing has to be done when it has arrived: most frames come in one piece,
// and those that do not are many less than there are alarms to spare.

// arriving notes that a frame has begun, and arrived that it is here.
func (c *Conn) arriving() { c.begun.Store(max(c.lastRead.Load(), 1)) }
func (c *Conn) arrived()  { c.begun.Store(0) }

// waiting for more of a frame: the alarm has to ring in time. Called by the
// reader before it reads from the network.
func (c *Conn) watchFrame() {
	begun := c.begun.Load()
	if begun == 0 || c.srv.opts.FrameTimeout <= 0 {
		return
	}
	at := time.Duration(begun) + c.srv.opts.FrameTimeout
	if time.Duration(c.rings.Load()) > at {
		c.ring(at)
	}
}

// ring sets the alarm.
func (c *Conn) ring(at time.Duration) {
	c.rings.Store(int64(at))
	if at != asleep {
		c.srv.alarms.set(&c.idle, at)
	}
}
