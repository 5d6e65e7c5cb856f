package transport

import (
	"sync"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/tap"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
)

// tapped leads the commands of one connection past a test. Its two goroutines
// call the tap and the Receiver without a lock held, whoever caused the
// command; run stops them and waits for them.
type tapped struct {
	conn *Conn
	pipe tap.Pipe
	ins  mailbox[*pb.GenericCommand]
	outs mailbox[tapFrame]
	wg   sync.WaitGroup
}

// tapFrame is a frame on its way to the queue, or a close.
type tapFrame struct {
	entry
	class  fanout.Class
	hold   Hold
	direct bool // passes the lane
	why    *Why // not nil: close the connection
}

// newTapped returns nil if the tap does not want the connection.
func newTapped(c *Conn, t tap.Tap) *tapped {
	pipe := t.Open((*tapConn)(c))
	if pipe == nil {
		return nil
	}
	td := &tapped{conn: c, pipe: pipe}
	td.ins.init()
	td.outs.init()
	td.wg.Go(td.runIn)
	td.wg.Go(td.runOut)
	return td
}

func (td *tapped) in(cmd *pb.GenericCommand) { td.pipe.In(cmd, td.ins.put) }

func (td *tapped) runIn() {
	for {
		cmd, ok := td.ins.take()
		if !ok {
			return
		}
		if !td.conn.ending.Load() {
			td.conn.command(cmd)
		}
	}
}

func (td *tapped) out(f tapFrame) { td.outs.put(f) }

// close lets the frames before it pass first.
func (td *tapped) close(code wire.Code, reason string) {
	td.outs.put(tapFrame{why: &Why{Code: code, Reason: reason}})
}

func (td *tapped) runOut() {
	for {
		f, ok := td.outs.take()
		if !ok {
			return
		}
		if f.why != nil {
			td.conn.closeNow(f.why.Code, f.why.Reason)
			continue
		}
		cmd, err := wire.Unmarshal(append(append([]byte(nil), f.head...), f.body...))
		if err != nil {
			td.conn.Panicked(err) // we made the frame ourselves
			continue
		}
		td.pipe.Out(cmd, func(cmd *pb.GenericCommand) { td.conn.pass(f, cmd) })
	}
}

// pass queues what the tap made of a frame.
func (c *Conn) pass(f tapFrame, cmd *pb.GenericCommand) {
	frame, err := wire.Append(nil, cmd)
	if err != nil {
		c.Panicked(err) // a test made a command that does not encode
		return
	}
	e := f.entry
	e.head, e.body = nil, frame
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.direct {
		c.replyLocked(e)
	} else {
		c.pushLocked(e, f.class, f.hold)
	}
}

// stop ends the goroutines after what they have begun, and tells the tap.
func (td *tapped) stop() {
	td.ins.close()
	td.outs.close()
	td.wg.Wait()
	td.pipe.Closed()
}

// tapConn is the Conn as a tap sees it.
type tapConn Conn

func (t *tapConn) Send(cmd *pb.GenericCommand) {
	(*Conn)(t).pass(tapFrame{entry: entry{reply: true}, direct: true}, cmd)
}

func (t *tapConn) Close(code wire.Code) { (*Conn)(t).closeNow(code, code.Name()) }

func (t *tapConn) Cut() { (*Conn)(t).Cut() }

// mailbox is an unbounded queue from any goroutines to one.
type mailbox[T any] struct {
	wake chan struct{} // has room for one

	mu     sync.Mutex
	items  []T
	closed bool
}

func (m *mailbox[T]) init() { m.wake = make(chan struct{}, 1) }

func (m *mailbox[T]) put(item T) {
	m.mu.Lock()
	if !m.closed {
		m.items = append(m.items, item)
	}
	m.mu.Unlock()
	m.rouse()
}

// close makes take return false from now on; what waits is given up.
func (m *mailbox[T]) close() {
	m.mu.Lock()
	m.closed = true
	m.items = nil
	m.mu.Unlock()
	m.rouse()
}

func (m *mailbox[T]) rouse() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// take blocks until there is an item.
func (m *mailbox[T]) take() (item T, ok bool) {
	for {
		m.mu.Lock()
		closed := m.closed
		if len(m.items) > 0 {
			item, m.items = m.items[0], m.items[1:]
			ok = true
		}
		m.mu.Unlock()
		if ok || closed {
			return item, ok
		}
		<-m.wake
	}
}
