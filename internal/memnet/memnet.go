// Package memnet is a network in memory, for tests. Its connections behave as
// TCP connections do, can be slowed down and broken on purpose, and block only
// in ways that testing/synctest understands, so that tests of time-outs take
// no time.
//
// A connection is two directions. Each has a buffer of 256 KiB, a lock of its
// own and two conditions, "something to read" and "room to write". Whoever
// takes the locks of both directions does so one after the other, never
// nested. Close lets the peer read what was written and then EOF; a write to
// an end that is closed fails.
package memnet

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Network is a set of listeners that can be dialled by address. Safe for
// concurrent use.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*listener
	conns     []*Conn // dialling ends, oldest first
	latency   time.Duration
	dialHook  func(ctx context.Context, addr string) error
	lastAddr  int // of addresses made up by Listen
	dialled   int // connections ever made
}

// New returns a network without listeners.
func New() *Network {
	return &Network{listeners: make(map[string]*listener)}
}

const (
	networkName = "mem"
	firstPort   = 20000
	ports       = 1<<16 - firstPort
)

// clientAddress makes up the address of the n-th dialling end, in a block that
// is reserved for documentation.
func clientAddress(n int) address {
	return address(fmt.Sprintf("192.0.2.%d:%d", 1+n/ports%250, firstPort+n%ports))
}

// Listen opens a listener at an address such as "rtm.test:80". The empty
// address picks a free one: ask the listener's Addr.
func (n *Network) Listen(addr string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if addr == "" {
		n.lastAddr++
		addr = fmt.Sprintf("mem-%d.test:80", n.lastAddr)
	}
	if n.listeners[addr] != nil {
		return nil, &net.OpError{Op: "listen", Net: networkName, Addr: address(addr), Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	l := &listener{network: n, addr: address(addr)}
	l.arrived.L = &l.mu
	n.listeners[addr] = l
	return l, nil
}

// Dial connects to the listener at addr. It has the form of
// net.Dialer.DialContext; network is not looked at. With latency it takes one
// round trip. Nobody listening is ECONNREFUSED.
func (n *Network) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: networkName, Addr: address(addr), Err: err}
	}
	n.mu.Lock()
	latency, hook := n.latency, n.dialHook
	n.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	if hook != nil {
		if err := hook(ctx, addr); err != nil {
			return fail(err)
		}
	}
	if err := sleep(ctx, 2*latency); err != nil {
		return fail(err)
	}

	n.mu.Lock()
	l := n.listeners[addr]
	from := clientAddress(n.dialled)
	n.dialled++
	n.mu.Unlock()
	if l == nil {
		return fail(os.NewSyscallError("connect", syscall.ECONNREFUSED))
	}
	dialled, accepted := n.pair(from, l.addr, latency)
	n.mu.Lock()
	n.conns = append(n.conns, dialled)
	n.mu.Unlock()
	if !l.offer(accepted) {
		dialled.Cut()
		return fail(os.NewSyscallError("connect", syscall.ECONNREFUSED))
	}
	return dialled, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// SetLatency sets how long bytes travel, each way, on connections made from
// now on.
func (n *Network) SetLatency(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.latency = d
}

// SetDialHook makes every later Dial ask hook first; its error fails the
// Dial. The hook may block, until its ctx ends. nil takes it away.
func (n *Network) SetDialHook(hook func(ctx context.Context, addr string) error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dialHook = hook
}

// Conns returns the dialling ends of the open connections, oldest first. A
// connection is open until it is cut or both ends are closed.
func (n *Network) Conns() []*Conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.conns)
}

func (n *Network) forget(dialled *Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns = slices.DeleteFunc(n.conns, func(c *Conn) bool { return c == dialled })
}

func (n *Network) unlisten(l *listener) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[string(l.addr)] == l {
		delete(n.listeners, string(l.addr))
	}
}

type listener struct {
	network *Network
	addr    address

	mu      sync.Mutex
	arrived sync.Cond
	waiting []*Conn
	closed  bool
}

// offer hands a connection to Accept and reports whether somebody listens.
func (l *listener) offer(c *Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.waiting = append(l.waiting, c)
	l.arrived.Signal()
	return true
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) == 0 && !l.closed {
		l.arrived.Wait()
	}
	if l.closed {
		return nil, &net.OpError{Op: "accept", Net: networkName, Addr: l.addr, Err: net.ErrClosed}
	}
	c := l.waiting[0]
	l.waiting = l.waiting[1:]
	return c, nil
}

// Close implements net.Listener. Connections that nobody accepted are reset.
func (l *listener) Close() error {
	l.network.unlisten(l)
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return &net.OpError{Op: "close", Net: networkName, Addr: l.addr, Err: net.ErrClosed}
	}
	l.closed = true
	waiting := l.waiting
	l.waiting = nil
	l.arrived.Broadcast()
	l.mu.Unlock()
	for _, c := range waiting {
		c.Cut()
	}
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.addr }

type address string

// Network implements net.Addr.
func (a address) Network() string { return networkName }

// String implements net.Addr.
func (a address) String() string { return string(a) }
