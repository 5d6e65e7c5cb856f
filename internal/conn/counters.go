package conn

import "sync/atomic"

// Counters count frames. One value may serve many connections, one after the
// other or at once.
type Counters struct {
	FramesIn, BytesIn atomic.Uint64 // received, with the size of what was in them
	_                 [64]byte      // reading and writing do not share a cache line
	FramesOut         atomic.Uint64 // written
	BytesOut          atomic.Uint64
	Heartbeats        atomic.Uint64 // sent, or waiting to be
}
