package transport

import (
	"sync/atomic"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
)

// Stats is what is known of the connections of a Server at one moment. Accepted
// is always Open and the sum of Closed together.
type Stats struct {
	Open     int                  // connections now
	Accepted uint64               // connections ever
	Refused  uint64               // upgrades refused because the server shuts down
	Closed   map[wire.Code]uint64 // ended connections by the code of our close frame; 0: the peer ended it or was gone

	QueueFrames int // frames that wait now, on all connections, for the writer or in the hold lane
	QueueBytes  int // and their size

	Dropped  [fanout.ClassCount]uint64 // frames that a full queue cost, by class
	Overflow uint64                    // connections closed because their queue was full

	Read         uint64 // frames read
	ReadBytes    uint64 // and the size of what was in them
	Written      uint64 // frames written
	Writes       uint64 // write calls that took them
	WrittenBytes uint64 // bytes that were written, all framing included
	Panics       uint64 // commands that panicked
}

// cacheLine keeps the counters of readers and those of writers apart.
const cacheLine = 64

// counters are what is counted without a lock. The rest is under Server.mu.
type counters struct {
	read      atomic.Uint64
	readBytes atomic.Uint64
	_         [cacheLine]byte

	written      atomic.Uint64
	writes       atomic.Uint64
	writtenBytes atomic.Uint64
	_            [cacheLine]byte

	dropped  [fanout.ClassCount]atomic.Uint64
	overflow atomic.Uint64
	panics   atomic.Uint64
}

// Stats counts. It looks at every connection, and holds no lock of more than one
// of them at a time.
func (s *Server) Stats() Stats {
	c := &s.stats
	st := Stats{
		Overflow:     c.overflow.Load(),
		Read:         c.read.Load(),
		ReadBytes:    c.readBytes.Load(),
		Written:      c.written.Load(),
		Writes:       c.writes.Load(),
		WrittenBytes: c.writtenBytes.Load(),
		Panics:       c.panics.Load(),
	}
	for i := range c.dropped {
		st.Dropped[i] = c.dropped[i].Load()
	}
	s.mu.Lock()
	st.Open, st.Accepted, st.Refused = len(s.conns), s.accepted, s.refused
	st.Closed = make(map[wire.Code]uint64, len(s.ended))
	for code, n := range s.ended {
		st.Closed[code] = n
	}
	conns := make([]*Conn, 0, len(s.conns))
	for conn := range s.conns {
		conns = append(conns, conn)
	}
	s.mu.Unlock()
	for _, conn := range conns {
		frames, bytes := conn.waiting()
		st.QueueFrames += frames
		st.QueueBytes += bytes
	}
	return st
}

// waiting is what waits for the writer, is being written, or is held.
func (c *Conn) waiting() (frames, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == dead {
		return 0, 0
	}
	return c.pushes.frames + c.replies.frames, c.pushes.bytes + c.replies.bytes
}
