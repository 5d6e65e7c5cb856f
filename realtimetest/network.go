package realtimetest

import (
	"context"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"syscall"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server"
)

// shortestFrame is less than the bytes of any WebSocket frame with a command
// in it: its header alone has two.
const shortestFrame = 3

// Cut breaks the connections of these clients, or of all if none is named,
// without a goodbye. What was on its way is lost.
func (s *Server) Cut(clientIDs ...string) {
	s.tb.Helper()
	for _, p := range s.pipesOf(clientIDs) {
		p.socket.Cut()
	}
}

// CutMidFrame does what Cut does, but the client gets the beginning of a frame
// whose rest never comes.
func (s *Server) CutMidFrame(clientIDs ...string) {
	s.tb.Helper()
	for _, p := range s.pipesOf(clientIDs) {
		p.socket.CutAfter(shortestFrame)
		p.conn.Send(&pb.GenericCommand{Cmd: pb.CommandType_echo.Enum(), Service: proto.Int32(wire.ServiceIM)})
	}
}

// Blackhole makes the connections of these clients silent, until restore is
// called: no byte gets through in either direction, also not the news that
// somebody has closed, and nothing fails. New connections work, unless no client
// is named: then it is the whole network, and who dials waits. What was held up
// passes after restore, as TCP would repeat it.
func (s *Server) Blackhole(clientIDs ...string) (restore func()) {
	s.tb.Helper()
	all := len(clientIDs) == 0
	if all {
		s.darken() // first, so that no connection comes in between
	}
	pipes := s.pipesOf(clientIDs)
	restores := make([]func(), len(pipes))
	for i, p := range pipes {
		restores[i] = p.blackhole()
	}
	return sync.OnceFunc(func() {
		for _, restore := range restores {
			restore()
		}
		if all {
			s.lighten()
		}
	})
}

// Refuse makes new connections fail until accept is called. Those that are
// open go on.
func (s *Server) Refuse() (accept func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusing++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.refusing--
	})
}

// GoAway asks these clients, or all if none is named, to move to another
// connection.
func (s *Server) GoAway(clientIDs ...string) {
	s.tb.Helper()
	for _, p := range s.pipesOf(clientIDs) {
		p.conn.Send(&pb.GenericCommand{Cmd: pb.CommandType_goaway.Enum(), Service: proto.Int32(wire.ServiceIM)})
	}
}

// ExpireTokens lets the session tokens that these clients have now expire, or
// those of all clients if none is named. They notice when they use one: after a
// lost connection, or with a REST request.
func (s *Server) ExpireTokens(clientIDs ...string) {
	s.tb.Helper()
	s.mustKnow(clientIDs)
	s.logins.expire(clientIDs)
}

// Displace logs the client in on another device with the tag it has, which
// ends the client's own login with a conflict. The other device stays logged in
// until the end of the test. If that does not work, for instance because the
// client has no tag, the test fails at once. No fault applies to the other
// device.
func (s *Server) Displace(clientID string) {
	s.tb.Helper()
	tag, known := s.logins.tag(clientID)
	switch {
	case !known:
		s.tb.Fatalf("realtimetest: client %q was never logged in", clientID)
	case tag == "" || tag == wire.DefaultTag:
		s.tb.Fatalf("realtimetest: client %q has no tag that another device could claim", clientID)
	}
	o := s.Options()
	o.DeviceID = s.device()
	o.Logger = o.Logger.With("device", o.DeviceID)
	o.Header = http.Header{headerOutsider: {o.DeviceID}}
	o.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		return s.network.Dial(context.WithValue(ctx, outsiderKey{}, true), network, addr)
	}
	opts := []realtime.ClientOption{realtime.WithTag(tag), realtime.WithoutRecovery()}
	if s.MasterKey != "" {
		opts = append(opts, realtime.WithSigner(realtime.MasterKeySigner(s.MasterKey)))
	}
	if _, err := s.login(o, clientID, opts...); err != nil {
		s.tb.Fatalf("realtimetest: log in %q on another device: %v", clientID, err)
	}
}

// headerOutsider marks the connections that no fault may touch; outsiderKey
// marks their dials.
const headerOutsider = "X-Realtimetest-Outsider"

type outsiderKey struct{}

// Restart is a crash and a new start: every connection drops, what is stored
// stays, and everything else is forgotten. When it returns the server accepts
// again.
func (s *Server) Restart() {
	s.tb.Helper()
	accept := s.Refuse()
	defer accept()
	for _, c := range s.network.Conns() {
		c.Cut()
	}
	s.stopCore()
	core, err := server.New(s.options)
	if err != nil {
		s.tb.Fatalf("realtimetest: start the server again: %v", err)
	}
	s.core.Store(core)
}

// dialling is asked before every connection.
func (s *Server) dialling(ctx context.Context, _ string) error {
	if ctx.Value(outsiderKey{}) != nil {
		return nil
	}
	for {
		s.mu.Lock()
		refusing, dark := s.refusing > 0, s.dark
		s.mu.Unlock()
		if refusing {
			return os.NewSyscallError("connect", syscall.ECONNREFUSED)
		}
		if dark == nil {
			return nil
		}
		select {
		case <-dark:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// darken begins a black hole that swallows dials.
func (s *Server) darken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.darkness++
	if s.dark == nil {
		s.dark = make(chan struct{})
	}
}

// lighten ends what darken began.
func (s *Server) lighten() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.darkness--
	if s.darkness == 0 && s.dark != nil {
		close(s.dark)
		s.dark = nil
	}
}

// brighten ends all black holes.
func (s *Server) brighten() {
	s.mu.Lock()
	if s.dark != nil {
		close(s.dark)
		s.dark = nil
	}
	pipes := s.pipes
	s.mu.Unlock()
	for _, p := range pipes {
		p.restoreAll()
	}
}

// pipesOf is the connections on which one of these clients is logged in, or
// all if none is named.
func (s *Server) pipesOf(ids []string) []*pipe {
	s.tb.Helper()
	s.mustKnow(ids)
	s.mu.Lock()
	pipes := s.pipes
	s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(pipes), func(p *pipe) bool { return !p.serves(ids) })
}

// mustKnow fails the test if one of the clients was never logged in.
func (s *Server) mustKnow(ids []string) {
	s.tb.Helper()
	for _, id := range ids {
		if _, known := s.logins.tag(id); !known {
			s.tb.Errorf("realtimetest: client %q was never logged in", id)
		}
	}
}
