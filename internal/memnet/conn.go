package memnet

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Conn is one end of a connection. As with every net.Conn, all methods may be
// called at any time from any goroutine.
type Conn struct {
	in, out       *direction // in: what this end reads
	local, remote address
	peer          *Conn
	link          *link // shared by both ends
}

// link is what the two ends of a connection have in common.
type link struct {
	network *Network
	dialled *Conn
	open    atomic.Int32 // ends that are not closed
}

func (n *Network) pair(from, to address, latency time.Duration) (dialled, accepted *Conn) {
	there, back := newDirection(latency), newDirection(latency)
	shared := &link{network: n}
	shared.open.Store(2)
	dialled = &Conn{in: back, out: there, local: from, remote: to, link: shared}
	accepted = &Conn{in: there, out: back, local: to, remote: from, link: shared}
	dialled.peer, accepted.peer = accepted, dialled
	shared.dialled = dialled
	return dialled, accepted
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	return n, c.wrap("read", err)
}

// Write implements net.Conn. It blocks while the buffer is full.
func (c *Conn) Write(p []byte) (int, error) { return c.write(p, true) }

// TryWrite writes what there is room for and does not block. Less than all is
// no error.
func (c *Conn) TryWrite(p []byte) (int, error) { return c.write(p, false) }

func (c *Conn) write(p []byte, wait bool) (int, error) {
	n, cut, err := c.out.write(p, wait)
	if cut {
		c.in.reset()
		c.link.network.forget(c.link.dialled)
	}
	return n, c.wrap("write", err)
}

func (c *Conn) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		err = os.NewSyscallError(op, errno)
	}
	return &net.OpError{Op: op, Net: networkName, Source: c.local, Addr: c.remote, Err: err}
}

// Close implements net.Conn. It does not block; what was written still
// reaches the peer.
func (c *Conn) Close() error {
	if !c.in.closeRead() {
		return c.wrap("close", net.ErrClosed)
	}
	c.out.closeWrite()
	if c.link.open.Add(-1) == 0 {
		c.link.network.forget(c.link.dialled)
	}
	return nil
}

// CloseWrite ends this direction: the peer reads what was written, then EOF.
func (c *Conn) CloseWrite() error {
	if !c.out.closeWrite() {
		return c.wrap("close", net.ErrClosed)
	}
	return nil
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.wrap("set", c.in.setReadDeadline(t))
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.wrap("set", c.out.setWriteDeadline(t))
}

// Peer returns the other end.
func (c *Conn) Peer() *Conn { return c.peer }

// Cut breaks the connection as a reset does: both ends fail at once and bytes
// on their way are lost.
func (c *Conn) Cut() {
	c.in.reset()
	c.out.reset()
	c.link.network.forget(c.link.dialled)
}

// CutAfter lets n more bytes pass from this end to the other and then breaks
// the connection: this end fails, the other still reads those bytes, so that
// it sees a frame that stops in the middle.
func (c *Conn) CutAfter(n int) {
	if c.out.cutAfter(n) {
		c.in.reset()
		c.link.network.forget(c.link.dialled)
	}
}

// Blackhole stops all bytes both ways, also the news of a close, while nothing
// fails: writers go on until the buffers are full. restore lets everything
// pass again, beginning with what was held up; it may be called more than once.
func (c *Conn) Blackhole() (restore func()) {
	c.in.hold(+1)
	c.out.hold(+1)
	return sync.OnceFunc(func() {
		c.in.hold(-1)
		c.out.hold(-1)
	})
}

// SetLatency sets how long bytes written from now on travel, each way.
func (c *Conn) SetLatency(d time.Duration) {
	c.in.setLatency(d)
	c.out.setLatency(d)
}
