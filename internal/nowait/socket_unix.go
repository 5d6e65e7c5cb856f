//go:build unix

package nowait

import (
	"net"
	"syscall"
)

// socket is a TCP connection.
type socket struct {
	raw  syscall.RawConn // nil: not possible
	try  func(fd uintptr) bool
	data []byte
	n    int
}

func (s *socket) init(nc net.Conn) {
	sc, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return // closed already; the reader will see that
	}
	s.raw = raw
	s.try = func(fd uintptr) bool { // made once: making it allocates
		s.n, _ = syscall.Write(int(fd), s.data) // who writes the rest sees the error
		return true
	}
}

func (s *socket) possible() bool { return s.raw != nil }

func (s *socket) write(p []byte) int {
	s.data, s.n = p, 0
	// It fails if the connection is closed, or if the deadline of an earlier write
	// is over: the next write sets another one.
	err := s.raw.Write(s.try)
	s.data = nil
	if err != nil || s.n < 0 {
		return 0
	}
	return s.n
}
