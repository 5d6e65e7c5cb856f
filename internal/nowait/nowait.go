// Package nowait writes to a connection as much as that takes at once. Whoever
// writes so never waits for the peer, and leaves the rest to somebody who may.
package nowait

import "net"

// Writer writes to one connection without waiting. It is for one goroutine at a
// time; the zero Writer can write nothing.
type Writer struct {
	sock socket
	own  taker
}

// taker is a connection that can do it by itself, such as one in memory.
type taker interface {
	// TryWrite writes what there is room for and returns how many bytes that were.
	TryWrite(p []byte) (int, error)
}

// Init prepares the writer for a connection that is plain TCP or has a method
// TryWrite. Others, such as TLS, have no such write, and the writer stays zero.
func (w *Writer) Init(nc net.Conn) {
	if own, ok := nc.(taker); ok {
		w.own = own
		return
	}
	w.sock.init(nc)
}

// Possible tells whether the writer can write.
func (w *Writer) Possible() bool { return w.own != nil || w.sock.possible() }

// Write returns how many bytes were taken: 0 if an error came first, which
// whoever writes the rest will see.
func (w *Writer) Write(p []byte) int {
	if w.own == nil {
		return w.sock.write(p)
	}
	n, _ := w.own.TryWrite(p)
	return n
}
