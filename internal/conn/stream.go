package conn

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/leanrtm/realtime/internal/nowait"
)

// upgrader is an HTTP transport that puts a stream between the connection it
// upgrades and the WebSocket library.
type upgrader struct {
	base     http.RoundTripper // nil: http.DefaultTransport
	upgraded func(s *stream)
}

// RoundTrip implements http.RoundTripper.
func (u *upgrader) RoundTrip(req *http.Request) (*http.Response, error) {
	base := u.base
	if base == nil {
		base = http.DefaultTransport
	}
	resp, err := base.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return resp, err
	}
	body, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("the HTTP transport (%T) cannot upgrade connections", base)
	}
	s := &stream{ReadWriteCloser: body}
	u.upgraded(s)
	resp.Body = s
	return resp, nil
}

// plain reports whether what is written to the body of an upgraded connection
// goes to that connection as it is: a transport of somebody's own might do
// something to it.
func (u *upgrader) plain() bool {
	base := u.base
	if base == nil {
		base = http.DefaultTransport
	}
	switch t := base.(type) {
	case *http.Transport:
		return true
	case interface{ Plain() bool }: // one that says so itself
		return t.Plain()
	}
	return false
}

// stream is the upgraded connection. It can hold back what is written, so that
// several frames go out in one piece; and where a write that does not wait is
// possible, it holds back what the connection does not take at once, so that
// nobody but the writer waits for the network.
type stream struct {
	io.ReadWriteCloser
	rouse func() // wakes the writer

	late atomic.Bool // something is held, and not corked

	mu     sync.Mutex
	quick  nowait.Writer // the zero one if there is no write that does not wait; set before the first use
	corked bool
	busy   bool // the writer is writing what was held
	plain  bool // every write waits until it is through
	held   []byte
	spare  []byte // the writer's: a block for held
}

// prepare tells on which connection the stream is, and who is to be woken when
// it holds something. Nothing was written yet.
func (s *stream) prepare(nc net.Conn, rouse func()) {
	s.rouse = rouse
	if nc != nil {
		s.quick.Init(nc)
	}
}

// Read implements io.Reader. It never returns io.EOF: the library takes one
// that comes between two parts of a message for the end of that message, and
// would hand out a piece of a frame as if it were whole.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.ReadWriteCloser.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Write implements io.Writer. The library calls it for one frame at a time, or
// a part of a large one: for pongs and close frames on the reader's goroutine,
// for everything else on that of the writer or of a sender.
func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	if !s.corked && (s.plain || !s.quick.Possible()) {
		s.mu.Unlock()
		return s.ReadWriteCloser.Write(p)
	}
	defer s.mu.Unlock()
	n := len(p)
	if !s.corked {
		if !s.busy && len(s.held) == 0 {
			p = p[s.quick.Write(p):]
		}
		switch {
		case len(p) == 0:
			return n, nil
		case len(p) == n && isPong(p) && len(s.held) > keepBuffer:
			return n, nil // one pong serves all pings before it
		}
		if !s.late.Swap(true) {
			s.rouse()
		}
	}
	s.held = append(s.held, p...)
	return n, nil
}

// isPong tells whether a frame is a pong.
func isPong(frame []byte) bool { return frame[0]&0x0f == 0x0a }

// behind reports whether the stream holds what the writer is to write. It takes
// no lock.
func (s *stream) behind() bool { return s.late.Load() }

// cork holds back what is written from now on. Only the writer calls it.
func (s *stream) cork() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.corked = true
	if s.held == nil {
		s.held, s.spare = s.spare[:0], nil
	}
}

// uncork writes what was held back, and waits until it is through. Only the
// writer calls it, and the lock is not held meanwhile. What others write then
// is held too, or on a connection without a write that does not wait comes
// behind; whole frames are held, so it does no harm if a pong passes some.
func (s *stream) uncork() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.corked = false
	for len(s.held) > 0 {
		held := s.held
		s.held, s.spare = s.spare[:0], nil
		s.late.Store(false)
		s.busy = true
		s.mu.Unlock()
		_, err := s.ReadWriteCloser.Write(held)
		s.mu.Lock()
		s.busy = false
		if cap(held) <= keepBuffer {
			s.spare = held[:0]
		}
		if err != nil {
			return err
		}
	}
	s.late.Store(false)
	return nil
}

// wait makes every write from now on wait until it is through, if nothing is
// held. Only the writer calls it, when there are no senders any more.
func (s *stream) wait() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plain = len(s.held) == 0
	return s.plain
}
