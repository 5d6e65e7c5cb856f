package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leanrtm/realtime"
)

// Figures of the clients.
const (
	// opening is how many clients are opened at the same time while a run is
	// prepared.
	opening = 32
	// perConnection is how many clients share a connection, if nobody says.
	perConnection = 100
	// eventQueue is how many events may wait for a receiver.
	eventQueue = 1 << 16
)

// people are the clients of a run and their connections.
type people struct {
	connect realtime.Options
	run     string // begins their ids

	mu          sync.Mutex
	connections []*realtime.Realtime
	conns       map[net.Conn]struct{}

	reconnects atomic.Int64
}

// newPeople prepares to connect. With cuttable, cut can break the connections.
func newPeople(connect realtime.Options, run string, cuttable bool) *people {
	p := &people{connect: connect, run: run, conns: make(map[net.Conn]struct{})}
	p.connect.EventQueue = eventQueue
	if cuttable {
		dial := connect.Dial
		if dial == nil {
			dial = (&net.Dialer{}).DialContext
		}
		p.connect.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			c := &cuttableConn{Conn: conn, people: p}
			p.conns[c] = struct{}{}
			return c, nil
		}
	}
	return p
}

// cuttableConn is a connection that its people know while it is open.
type cuttableConn struct {
	net.Conn
	people *people
}

func (c *cuttableConn) Close() error {
	c.people.mu.Lock()
	delete(c.people.conns, c)
	c.people.mu.Unlock()
	return c.Conn.Close()
}

// cut breaks all connections.
func (p *people) cut() {
	p.mu.Lock()
	conns := make([]net.Conn, 0, len(p.conns))
	for c := range p.conns {
		conns = append(conns, c.(*cuttableConn).Conn)
	}
	p.mu.Unlock()
	for _, c := range conns {
		_ = c.Close() // it is broken either way
	}
}

// connection makes one more.
func (p *people) connection() (*realtime.Realtime, error) {
	rt, err := realtime.New(p.connect)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.connections = append(p.connections, rt)
	return rt, nil
}

// clients makes n clients on so many connections, each of which counts how often
// it is lost.
func (p *people) clients(prefix string, n, connections int) ([]*realtime.IMClient, error) {
	rts := make([]*realtime.Realtime, connectionsFor(n, connections))
	for i := range rts {
		rt, err := p.connection()
		if err != nil {
			return nil, err
		}
		rts[i] = rt
	}
	all := make([]*realtime.IMClient, n)
	for i := range all {
		c := rts[i%len(rts)].NewIMClient(p.id(prefix, i))
		c.OnReconnect(func(context.Context, *realtime.ReconnectEvent) { p.reconnects.Add(1) })
		all[i] = c
	}
	return all, nil
}

// id is that of a client.
func (p *people) id(prefix string, n int) string { return p.run + "-" + prefix + strconv.Itoa(n) }

// connectionsFor is how many connections n clients have.
func connectionsFor(n, connections int) int {
	if connections == 0 {
		connections = (n + perConnection - 1) / perConnection
	}
	return min(connections, n)
}

// open logs clients in.
func (p *people) open(ctx context.Context, clients []*realtime.IMClient, tell func(done, total int)) error {
	return each(ctx, len(clients), opening, tell, func(ctx context.Context, i int) error {
		if err := clients[i].Open(ctx); err != nil {
			return fmt.Errorf("log in to %s as %s: %w", p.connect.Server, clients[i].ID(), err)
		}
		return nil
	})
}

// close logs everybody out.
func (p *people) close(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	p.mu.Lock()
	connections := p.connections
	p.mu.Unlock()
	errs := make([]error, len(connections))
	var closing sync.WaitGroup
	for i, rt := range connections {
		closing.Go(func() { errs[i] = rt.Close(ctx) })
	}
	closing.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("log out: %w", err)
	}
	return nil
}

// each calls do for every number below n, so many at a time, until one fails.
func each(ctx context.Context, n, parallel int, tell func(done, total int), do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, done atomic.Int64
	var workers sync.WaitGroup
	for range min(n, parallel) {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1) - 1)
				if i >= n {
					return
				}
				if err := do(ctx, i); err != nil {
					cancel(err)
					return
				}
				tell(int(done.Add(1)), n)
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}
