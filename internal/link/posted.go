package link

import "sync/atomic"

// Posted tells whether frames that nobody answers have arrived: the answer to a
// command that was sent after them shows it, since a connection keeps the order
// of what it carries. One Posted may follow any number of frames of one
// connection. The zero value is ready. Safe for concurrent use.
type Posted struct {
	link   atomic.Pointer[Link]
	live   atomic.Pointer[live]
	queued atomic.Int64
	begun  atomic.Int64
	after  atomic.Uint32 // newest serial when the newest of the frames went out
}

// Begin is called by whoever writes, see conn.Starter. What is numbered from now
// on, heartbeats included, goes out later.
func (p *Posted) Begin() bool {
	p.after.Store(p.link.Load().serial.Load())
	p.begun.Add(1)
	return true
}

// Arrived reports whether all frames have surely reached the server.
func (p *Posted) Arrived() bool {
	queued, lv := p.queued.Load(), p.live.Load() // first: what comes later is not asked about
	return lv != nil && p.begun.Load() >= queued && laterSerial(lv.answered.Load(), p.after.Load())
}

// follow begins to follow one more frame.
func (p *Posted) follow(l *Link, lv *live) {
	p.link.Store(l)
	p.live.Store(lv)
	p.queued.Add(1)
}

// laterSerial reports whether a command has a later serial than another one.
// After the largest they begin again.
func laterSerial(a, b uint32) bool {
	const serials, half = 1 << 31, 1 << 30
	d := (a - b) & (serials - 1)
	return d != 0 && d < half
}

// noteAnswer notes the answer to a command. It is called by the reader alone.
func (lv *live) noteAnswer(serial int32) {
	if s := uint32(serial); laterSerial(s, lv.answered.Load()) {
		lv.answered.Store(s)
	}
}
