// Package memnet is a network in memory, for tests. Its connections behave as
// TCP connections do, can be slowed down and broken on purpose, and block only
// in ways that testing/synctest understands.
package memnet

import (
	"context"
	"net"
	"time"
)

// Network is a set of listeners that can be dialled by address. Safe for
// concurrent use.
type Network struct{}

// New returns a network without listeners.
func New() *Network { panic("declared") }

// Listen opens a listener at an address such as "rtm.test:80". The empty
// address picks a free one: ask the listener's Addr.
func (n *Network) Listen(addr string) (net.Listener, error) { panic("declared") }

// Dial connects to the listener at addr. It has the form of
// net.Dialer.DialContext; network is not looked at. With latency it takes one
// round trip. Nobody listening is ECONNREFUSED.
func (n *Network) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	panic("declared")
}

// SetLatency sets how long bytes travel, each way, on connections made from
// now on.
func (n *Network) SetLatency(d time.Duration) { panic("declared") }

// SetDialHook makes every later Dial ask hook first; its error fails the
// Dial. nil takes the hook away.
func (n *Network) SetDialHook(hook func(ctx context.Context, addr string) error) { panic("declared") }

// Conns returns the dialling ends of the open connections, oldest first.
func (n *Network) Conns() []*Conn { panic("declared") }

// Conn is one end of a connection.
type Conn struct{ net.Conn }

// Peer returns the other end.
func (c *Conn) Peer() *Conn { panic("declared") }

// Cut breaks the connection as a reset does: both ends fail at once and bytes
// on their way are lost.
func (c *Conn) Cut() { panic("declared") }

// CutAfter lets n more bytes pass from this end to the other and then breaks
// the connection: the other end still reads those bytes, so that it sees a
// frame that stops in the middle.
func (c *Conn) CutAfter(n int) { panic("declared") }

// Blackhole stops all bytes both ways, also the news of a close, while nothing
// fails: writers go on until the buffers are full. restore lets everything
// pass again, what was held up first; it may be called more than once.
func (c *Conn) Blackhole() (restore func()) { panic("declared") }

// SetLatency sets how long bytes written from now on travel, each way.
func (c *Conn) SetLatency(d time.Duration) { panic("declared") }

// CloseWrite ends this direction: the peer reads what was written, then EOF.
func (c *Conn) CloseWrite() error { panic("declared") }
