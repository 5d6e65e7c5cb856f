package conn

import (
	"fmt"
	"io"
	"net/http"
	"sync"
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

// stream is the upgraded connection. It can hold back what is written, so that
// several frames go out in one piece.
type stream struct {
	io.ReadWriteCloser

	mu     sync.Mutex
	corked bool
	held   []byte
	spare  []byte // the writer's: a block for held
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

// Write implements io.Writer. The library calls it for one frame at a time; a
// pong comes from the reader's goroutine, everything else from the writer's.
func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	if s.corked {
		s.held = append(s.held, p...)
		s.mu.Unlock()
		return len(p), nil
	}
	s.mu.Unlock()
	return s.ReadWriteCloser.Write(p)
}

// cork holds back what is written from now on. Only the writer calls it.
func (s *stream) cork() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.corked = true
	s.held, s.spare = s.spare[:0], nil
}

// uncork sends what was held back. Whole frames are held, so a pong that comes
// now and passes them does no harm; the lock is not held while writing.
func (s *stream) uncork() error {
	s.mu.Lock()
	held := s.held
	s.corked, s.held = false, nil
	s.mu.Unlock()
	_, err := s.ReadWriteCloser.Write(held)
	if cap(held) <= keepBuffer {
		s.spare = held
	}
	return err
}
