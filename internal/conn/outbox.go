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
	direct bool          // a sender is writing itself
	woken  bool          // the writer has a token, or is about to look
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
	case others == 0 && !o.woken && !o.direct && len(o.frames) == 0 && c.stream.quick.Possible() && len(f.bytes) <= maxDirect:
		o.direct = true
		o.mu.Unlock()
		_ = c.writeFrame(f) // after an error the connection is dead
		c.endDirect()
		return true, nil, nil
	}
	o.frames = append(o.frames, f)
	o.crowd = o.crowd || others >= crowd
	wake := o.rouse()
	o.mu.Unlock()
	if wake {
		c.token()
	}
	return true, nil, nil
}

// maxDirect is the largest frame that a sender writes itself: it fits into the
// library's buffer.
const maxDirect = 4000

// rouse reports whether the writer is to be given a token. mu is held.
func (o *outbox) rouse() bool {
	if o.woken || o.direct { // else whoever writes will look
		return false
	}
	o.woken = true
	return true
}

// endDirect ends the turn of a sender that has written itself.
func (c *Conn) endDirect() {
	o := &c.out
	o.mu.Lock()
	o.direct = false
	wake := (c.stream.behind() || o.over || len(o.frames) > 0) && o.rouse()
	o.mu.Unlock()
	if wake {
		c.token()
	}
}

// rouse wakes the writer, which will find that the stream holds something.
func (c *Conn) rouse() {
	o := &c.out
	o.mu.Lock()
	wake := o.rouse()
	o.mu.Unlock()
	if wake {
		c.token()
	}
}

// token wakes the writer. If there is a token already, that does.
func (c *Conn) token() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// refuse ends the outbox: what is in it stays.
func (o *outbox) refuse() {
	o.mu.Lock()
	o.over = true
	o.mu.Unlock()
}

// crowded reports whether the frames that wait come from many senders.
func (o *outbox) crowded() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.crowd && !o.direct
}

// take gives the writer everything that waits, and its turn; or says that there
// is nothing for it to do, or that a sender has the turn and will wake it.
func (c *Conn) take() (frames []*Frame, turn, direct bool) {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.direct || len(o.frames) == 0 && !c.stream.behind() {
		o.woken = false
		return nil, false, o.direct
	}
	o.woken, o.crowd = true, false
	frames, o.frames, o.spare = o.frames, o.spare[:0], nil
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
	return frames, true, false
}

// give takes back the block of take and reports whether there is more to do.
func (c *Conn) give(frames []*Frame) (more bool) {
	clear(frames)
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if cap(frames) <= 2*maxWaiting {
		o.spare = frames[:0]
	}
	o.woken = c.stream.behind() || len(o.frames) > 0
	return o.woken
}
