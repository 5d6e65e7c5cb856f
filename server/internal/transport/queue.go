package transport

import (
	"time"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
)

// Hold is why a push waits. The zero Hold waits for nothing.
type Hold = fanout.Hold

// entry is a frame that waits. Head and body make the frame together, so that
// one body serves all receivers.
type entry struct {
	head, body []byte
	call       *Call // is answered with this frame; nil: pushes do not wait for it
	raw        bool  // body is a whole WebSocket frame
	reply      bool  // counts as a reply
	last       bool  // our close frame
}

func (e *entry) size() int { return len(e.head) + len(e.body) }

type batch struct{ entries []entry }

const keepBatch = 256 // a batch that grew larger is not used again

// Call is a command whose reply the pushes that it causes wait for.
type Call struct {
	hold    Hold
	written bool          // the reply is written
	at      time.Duration // when, if written
}

// maxCalls bounds the calls that a connection remembers. Those that were
// answered are forgotten in time; more than this many at once are only possible
// for a command that is never answered.
const maxCalls = 64

// held is a frame in the lane.
type held struct {
	entry
	call  *Call // nil: waits for those before it only
	until time.Duration
	class fanout.Class
	none  bool // no frame: keeps the lane busy until its call is answered
}

// Expect begins a call. Pushes with that hold wait for the call's reply from
// now on.
func (c *Conn) Expect(hold Hold) *Call {
	now := c.srv.alarms.now()
	call := &Call{hold: hold}
	c.mu.Lock()
	kept := c.calls[:0]
	for _, old := range c.calls {
		if !old.over(now) {
			kept = append(kept, old)
		}
	}
	if len(kept) == maxCalls {
		kept = append(kept[:0], kept[1:]...)
	}
	clear(c.calls[len(kept):])
	c.calls = append(kept, call)
	c.mu.Unlock()
	return call
}

func (call *Call) over(now time.Duration) bool {
	return call.written && now >= call.at+holdGap
}

// letGo is when pushes of a call may go: when its reply, and those to the later
// commands of the session, are settled. Zero: not before another reply is written.
func (c *Conn) letGo(call *Call) time.Duration {
	if !call.written {
		return 0
	}
	at := call.at
	for i := len(c.calls) - 1; i >= 0 && c.calls[i] != call; i-- {
		later := c.calls[i]
		if later.hold.Session != call.hold.Session {
			continue
		}
		if !later.written {
			return 0
		}
		at = max(at, later.at)
	}
	return at + holdGap
}

// waits tells whether pushes of a call have to wait.
func (c *Conn) waits(call *Call, now time.Duration) bool {
	at := c.letGo(call)
	return at == 0 || now < at
}

// Reply queues a reply. With a call, pushes that wait for it are let go 10 ms
// after it was written. It passes the lane.
func (c *Conn) Reply(call *Call, frame []byte) {
	if c.tapped != nil {
		c.tapped.out(tapFrame{entry: entry{body: frame, call: call, reply: true}, direct: true})
		return
	}
	c.mu.Lock()
	c.replyLocked(entry{body: frame, call: call, reply: true})
	c.mu.Unlock()
}

func (c *Conn) replyLocked(e entry) {
	if c.state == open {
		c.appendLocked(e)
	}
}

// Push queues a frame made of head and body, or drops it, or closes the
// connection, as its class demands.
func (c *Conn) Push(head, body []byte, class fanout.Class, hold Hold) {
	e := entry{head: head, body: body, reply: class == fanout.ClassReply}
	if c.tapped != nil {
		c.tapped.out(tapFrame{entry: e, class: class, hold: hold})
		return
	}
	c.mu.Lock()
	c.pushLocked(e, class, hold)
	c.mu.Unlock()
}

// PushMany is Push for several frames that differ in their heads only. They are
// queued in one go, so that the writer finds them together.
func (c *Conn) PushMany(heads [][]byte, body []byte, class fanout.Class, hold Hold) {
	if c.tapped != nil {
		for _, head := range heads {
			c.Push(head, body, class, hold)
		}
		return
	}
	reply := class == fanout.ClassReply
	c.mu.Lock()
	for _, head := range heads {
		c.pushLocked(entry{head: head, body: body, reply: reply}, class, hold)
	}
	c.mu.Unlock()
}

// Barrier keeps all later pushes back until call was answered, as if one of
// them was held for it.
func (c *Conn) Barrier(call *Call) {
	now := c.srv.alarms.now()
	c.mu.Lock()
	if c.state == open && c.waits(call, now) {
		c.hold(held{call: call, until: now + holdLimit, none: true}, now)
	}
	c.mu.Unlock()
}

func (c *Conn) pushLocked(e entry, class fanout.Class, hold Hold) {
	if c.state != open {
		return
	}
	if !e.reply {
		switch o := &c.srv.opts; {
		case class == fanout.ClassRoomNormal && c.fill(o, 75),
			class == fanout.ClassRoomLow && c.fill(o, 50):
			c.srv.stats.dropped[class].Add(1)
			return
		case c.fill(o, 100): // and the frame is one that must not be dropped
			c.overflow()
			return
		}
	}
	var call *Call
	if hold != (Hold{}) {
		call = c.call(hold)
	}
	if call == nil && len(c.lane) == 0 {
		c.appendLocked(e)
		return
	}
	now := c.srv.alarms.now()
	if len(c.lane) == 0 && !c.waits(call, now) {
		c.appendLocked(e)
		return
	}
	c.account(&e)
	c.hold(held{entry: e, call: call, until: now + holdLimit, class: class}, now)
}

// fill tells whether the queue of pushes is that many per cent full.
func (c *Conn) fill(o *Options, percent int) bool {
	return c.pushes.bytes*100 >= o.QueueBytes*percent || c.pushes.frames*100 >= o.QueueFrames*percent
}

// call finds the newest call with that hold.
func (c *Conn) call(hold Hold) *Call {
	for i := len(c.calls) - 1; i >= 0; i-- {
		if c.calls[i].hold == hold {
			return c.calls[i]
		}
	}
	return nil
}

// overflow closes the connection of a peer that is too slow. What waits is
// given up: to let the peer have a part of it would help nobody, and it will
// ask for what it missed.
func (c *Conn) overflow() {
	c.srv.stats.overflow.Add(1)
	if c.queue != nil {
		for i := range c.queue.entries {
			c.settle(&c.queue.entries[i])
		}
	}
	for i := range c.lane {
		if !c.lane[i].none {
			c.settle(&c.lane[i].entry)
		}
	}
	c.queue = nil
	c.lane = nil
	c.abandon = true
	c.closeLocked(wire.CodeInternalError, wire.CodeInternalError.Name())
}

// control queues a frame of the WebSocket library. It is called by the reader, and
// blocks it while too much waits.
func (c *Conn) control(frame []byte) {
	frame = append([]byte(nil), frame...)
	c.mu.Lock()
	c.replyLocked(entry{body: frame, raw: true, reply: true})
	if c.state == open && frame[0]&opcodeMask == opcodeClose {
		c.endLocked(closing, Why{}) // nothing may follow it
	}
	c.mu.Unlock()
	c.waitRoom()
}

func (c *Conn) account(e *entry) {
	if e.reply {
		c.replies.add(e.size())
		if !c.choked.Load() && (c.replies.bytes >= c.srv.opts.QueueBytes || c.replies.frames >= c.srv.opts.QueueFrames) {
			if c.room == nil {
				c.room = make(chan struct{}, 1)
			}
			c.choked.Store(true)
		}
		return
	}
	c.pushes.add(e.size())
}

// settle says that an entry does not wait any more.
func (c *Conn) settle(e *entry) {
	if e.reply {
		c.replies.take(e.size())
	} else {
		c.pushes.take(e.size())
	}
}

// appendLocked queues an entry that was let in and not accounted for.
func (c *Conn) appendLocked(e entry) {
	c.account(&e)
	c.enqueue(e)
}

func (c *Conn) enqueue(e entry) {
	if c.queue == nil {
		c.queue = c.srv.batches.Get().(*batch)
	}
	c.queue.entries = append(c.queue.entries, e)
	if !c.writing && (!c.corked || !e.reply) {
		c.startWriter()
	}
}

// startWriter starts the writer goroutine, of which there is none. c.mu is held.
func (c *Conn) startWriter() {
	c.writing = true
	c.writer.Add(1)
	go c.start() // ends when the queue is empty; run waits for it
}

// hold puts an item at the end of the lane.
func (c *Conn) hold(h held, now time.Duration) {
	c.lane = append(c.lane, h)
	if len(c.lane) == 1 {
		c.advance(now)
	}
}

// advance lets go what need not wait any longer, and sets the alarm for the
// rest.
func (c *Conn) advance(now time.Duration) {
	n := 0
	for ; n < len(c.lane); n++ {
		h := &c.lane[n]
		if h.call != nil {
			ready := h.until
			if at := c.letGo(h.call); at != 0 {
				ready = min(ready, at)
			}
			if now < ready {
				c.srv.alarms.set(&c.release, ready)
				break
			}
		}
		if !h.none {
			c.enqueue(h.entry)
		}
	}
	c.lane = remaining(c.lane, n)
}

// remaining drops the first n items; an empty lane costs no memory.
func remaining(lane []held, n int) []held {
	if n == len(lane) {
		return nil
	}
	m := copy(lane, lane[n:])
	clear(lane[m:])
	return lane[:m]
}

func (c *Conn) flushLane() {
	for i := range c.lane {
		if !c.lane[i].none {
			c.enqueue(c.lane[i].entry)
		}
	}
	c.lane = nil
}

// releaser is the Conn as owner of the lane's alarm.
type releaser Conn

func (r *releaser) alarmed(_ *alarm, now time.Duration) {
	c := (*Conn)(r)
	c.mu.Lock()
	if c.state == open {
		c.advance(now)
	}
	c.mu.Unlock()
}

// waitRoom blocks the reader while too many replies wait.
func (c *Conn) waitRoom() {
	if !c.choked.Load() {
		return
	}
	c.Uncork()
	for c.choked.Load() {
		c.mu.Lock()
		room := c.room
		c.mu.Unlock()
		<-room
	}
}

// unchoke lets the reader go on.
func (c *Conn) unchoke() {
	if c.choked.Load() {
		c.choked.Store(false)
		select {
		case c.room <- struct{}{}:
		default:
		}
	}
}
