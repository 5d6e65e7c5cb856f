package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/server"
	"github.com/leanrtm/realtime/typedmessages"
)

// The app of the story. Outside an example the keys come from the outside.
const (
	appID     = "guide-app"
	appKey    = "guide-app-key"
	masterKey = "guide-master-key"
)

// stage is the server of the story, listening on a port of this machine.
type stage struct {
	url     string
	rtm     *server.Server
	http    *http.Server
	serving sync.WaitGroup
}

// newStage starts the server. Close ends it.
func newStage(ctx context.Context) (*stage, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	rtm, err := server.New(server.Options{
		Apps: []server.App{{ID: appID, Key: appKey, MasterKey: masterKey}},
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the server: %w", err), listener.Close())
	}
	st := &stage{
		url:  "http://" + listener.Addr().String(),
		rtm:  rtm,
		http: &http.Server{Handler: rtm, ReadHeaderTimeout: 5 * time.Second},
	}
	// Serve returns when Close has shut the HTTP server down.
	st.serving.Go(func() { _ = st.http.Serve(listener) })
	return st, nil
}

// Close ends the server and waits for it.
func (st *stage) Close(ctx context.Context) error {
	err := errors.Join(st.rtm.Shutdown(ctx), st.http.Shutdown(ctx))
	st.serving.Wait()
	return err
}

// options are the settings of a phone on this network. Only the first three
// are needed in a real program.
func (st *stage) options(phone *network) realtime.Options {
	return realtime.Options{
		AppID:  appID,
		AppKey: appKey,
		Server: st.url,
		// Pictures and other files are messages of this plugin.
		Plugins: []realtime.Plugin{typedmessages.Plugin()},
		Dial:    phone.dial,
		// A program would keep the default, which begins with a second.
		Backoff: func(int) time.Duration { return 20 * time.Millisecond },
	}
}

// errNoNetwork is what dialling says in a tunnel.
var errNoNetwork = errors.New("no network")

// network is what a phone is connected to: it can be cut and restored.
type network struct {
	mu    sync.Mutex
	down  bool
	conns map[*phoneConn]struct{}
}

// dial connects, unless the network is cut.
func (n *network) dial(ctx context.Context, proto, addr string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, proto, addr)
	if err != nil {
		return nil, err
	}
	c := &phoneConn{Conn: conn, net: n}
	n.mu.Lock()
	down := n.down
	if !down {
		if n.conns == nil {
			n.conns = make(map[*phoneConn]struct{})
		}
		n.conns[c] = struct{}{}
	}
	n.mu.Unlock()
	if down {
		return nil, errors.Join(errNoNetwork, conn.Close())
	}
	return c, nil
}

// cut breaks every connection and refuses new ones.
func (n *network) cut() {
	n.mu.Lock()
	n.down = true
	conns := n.conns
	n.conns = nil
	n.mu.Unlock()
	for c := range conns {
		_ = c.Conn.Close() // nobody is told: that is what a tunnel does
	}
}

// restore lets connections through again.
func (n *network) restore() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = false
}

// phoneConn is a connection that its network knows of.
type phoneConn struct {
	net.Conn
	net *network
}

// Close closes the connection; the network forgets it.
func (c *phoneConn) Close() error {
	c.net.mu.Lock()
	delete(c.net.conns, c)
	c.net.mu.Unlock()
	return c.Conn.Close()
}
