package conn

import (
	"context"
	"sync"
)

// outbox holds the frames that wait, and says whose turn it is to write. Whether
// the stream is behind is looked at with mu held wherever a turn ends: who held
// something in it has then either been seen, or finds the turn free.
type outbox struct {
	mu     sync.Mutex
	frames []*Frame
	spare  []*Frame      // a block for frames
	room   chan struct{} // closed when frames are taken; nil: nobody waits for room
	over   bool          // nothing is accepted any more
	bye    bool          // and the writer is to say goodbye when the rest is written
	direct bool          // a sender is writing itself
	writer bool          // the writer is there, or about to start
	crowd  bool          // of the frames that wait, one has seen that there are many senders
}

const (
	// maxWaiting is how many frames can wait for the writer.
	maxWaiting = 256
	// crowd is how many callers wait for a reply when more frames are likely to
	// come before the writer's turn.
	crowd = 4
)

// TrySend sends a frame, or puts it into the queue if there is room, and
// reports whether it did one of the two. It does not block. s may be nil. others
// is how many callers wait for replies besides this one: a frame that nobody
// else is about to follow is written at once, by the caller, if the connection
// allows a write that does not wait. It fails when the connection is over or
// being closed. A frame that was accepted must not be used again.
func (c *Conn) TrySend(f *Frame, s Starter, others int) (bool, error) {
	accepted, _, err := c.put(f, s, others)
	return accepted, err
}

// Send is as TrySend but waits for room, until ctx ends; then it returns ctx's
// error.
func (c *Conn) Send(ctx context.Context, f *Frame, s Starter, others int) error {
	for {
		accepted, room, err := c.put(f, s, others)
		if accepted || err != nil {
			return err
		}
		select {
		case <-room:
		case <-c.dead:
			return c.Err()
		case <-c.finish:
			return c.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// put is TrySend; room is closed when there may be some.
func (c *Conn) put(f *Frame, s Starter, others int) (accepted bool, room <-chan struct{}, err error) {
	f.starter = s
	o := &c.out
	o.mu.Lock()
	switch {
	case o.over:
		o.mu.Unlock()
		return false, nil, c.Err()
	case len(o.frames) >= maxWaiting:
		if o.room == nil {
			o.room = make(chan struct{})
		}
		room = o.room
		o.mu.Unlock()
		return false, room, nil
	case others == 0 && !o.writer && !o.direct && len(o.frames) == 0 && c.stream.quick.Possible() && len(f.bytes) <= maxDirect:
		o.direct = true
		o.mu.Unlock()
		_ = c.writeFrame(f) // after an error the connection is dead
		c.endDirect()
		return true, nil, nil
	}
	o.frames = append(o.frames, f)
	o.crowd = o.crowd || others >= crowd
	start := o.rouse()
	o.mu.Unlock()
	if start {
		c.startWriter()
	}
	return true, nil, nil
}

// maxDirect is the largest frame that a sender writes itself: it fits into the
// library's buffer.
const maxDirect = 4000

// rouse reports whether the writer is to be started. mu is held.
func (o *outbox) rouse() bool {
	if o.writer || o.direct { // else whoever writes will look
		return false
	}
	o.writer = true
	return true
}

// startWriter starts the writer. A connection that is over has none, and nothing
// to write.
func (c *Conn) startWriter() {
	if c.enter() {
		go c.write() // ends when nothing is left to write; Done tells
	}
}

// endDirect ends the turn of a sender that has written itself.
func (c *Conn) endDirect() {
	o := &c.out
	o.mu.Lock()
	o.direct = false
	start := (c.stream.behind() || o.bye || len(o.frames) > 0) && o.rouse()
	o.mu.Unlock()
	if start {
		c.startWriter()
	}
}

// rouse starts the writer, which will find that the stream holds something.
func (c *Conn) rouse() {
	o := &c.out
	o.mu.Lock()
	start := o.rouse()
	o.mu.Unlock()
	if start {
		c.startWriter()
	}
}

// refuse ends the outbox: what is in it stays.
func (o *outbox) refuse() {
	o.mu.Lock()
	o.over = true
	o.mu.Unlock()
}

// goodbye ends the outbox and lets the writer send the rest and say goodbye.
func (c *Conn) goodbye() {
	o := &c.out
	o.mu.Lock()
	o.over, o.bye = true, true
	start := o.rouse()
	o.mu.Unlock()
	if start {
		c.startWriter()
	}
}

// crowded reports whether the frames that wait come from many senders.
func (o *outbox) crowded() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.crowd
}

// task is what there is to do for the writer.
type task int

const (
	nothing     task = iota // it ends: whoever has something to write starts another one
	writeFrames             // it has the turn
	sayGoodbye              // nothing is left, and nothing comes any more
)

// take gives the writer everything that waits, and its turn; or says what else
// there is to do.
func (c *Conn) take() ([]*Frame, task) {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case len(o.frames) > 0 || c.stream.behind():
		o.crowd = false
		frames := o.frames
		o.frames, o.spare = o.spare[:0], nil
		if o.room != nil {
			close(o.room)
			o.room = nil
		}
		return frames, writeFrames
	case o.bye:
		return nil, sayGoodbye
	}
	o.writer = false
	return nil, nothing
}

// give takes back the block of take.
func (c *Conn) give(frames []*Frame) {
	clear(frames)
	if cap(frames) > 2*maxWaiting {
		return
	}
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	o.spare = frames[:0]
}
