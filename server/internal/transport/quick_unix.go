//go:build unix

package transport

import (
	"net"
	"syscall"
)

// quick writes to a socket as much as the kernel takes without waiting. It is for
// one goroutine at a time.
type quick struct {
	raw  syscall.RawConn // nil: not possible, as with TLS
	try  func(fd uintptr) bool
	data []byte
	n    int
}

func (q *quick) init(nc net.Conn) {
	sc, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return // closed already; the reader will see that
	}
	q.raw = raw
	q.try = func(fd uintptr) bool { // made once: making it allocates
		q.n, _ = syscall.Write(int(fd), q.data) // who writes the rest sees the error
		return true
	}
}

func (q *quick) possible() bool { return q.raw != nil }

// write returns how many bytes were taken: 0 if an error came first.
func (q *quick) write(p []byte) int {
	q.data, q.n = p, 0
	// It fails if the connection is closed, or if the deadline of an earlier write
	// is over: the next write sets another one.
	err := q.raw.Write(q.try)
	q.data = nil
	if err != nil || q.n < 0 {
		return 0
	}
	return q.n
}
