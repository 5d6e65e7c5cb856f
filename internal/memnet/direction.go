package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// bufferSize is how many bytes of a direction can be on their way.
const bufferSize = 256 << 10

// direction carries the bytes from one end, the writer, to the other, the
// reader.
type direction struct {
	mu       sync.Mutex
	readable sync.Cond // waited for by the reader
	writable sync.Cond // waited for by the writer

	buf     buffer
	written int64         // bytes ever accepted
	latency time.Duration // of bytes to come
	flights []flight      // what has not arrived yet, in order; none without latency
	flying  int           // bytes in flights
	held    int           // blackholes that are open
	cutAt   int64         // the connection breaks when so many bytes were written; negative: never

	eof    bool // the writer is done: EOF after the last byte
	broken bool // after the last byte the reader gets a reset; the writer has it already
	lost   bool // reset: nothing passes any more

	readClosed, writeClosed bool // by their own ends
	readLimit, writeLimit   deadline
	arrival                 deadline // wakes the reader when a flight arrives
}

// flight is a stretch of bytes with their time of arrival; at the end of a
// stream it is empty.
type flight struct {
	n  int
	at time.Time
}

func newDirection(latency time.Duration) *direction {
	d := &direction{latency: latency, cutAt: -1}
	d.readable.L = &d.mu
	d.writable.L = &d.mu
	return d
}

func (d *direction) read(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		switch {
		case d.readClosed:
			return 0, net.ErrClosed
		case d.readLimit.passed():
			return 0, os.ErrDeadlineExceeded
		case d.lost:
			return 0, syscall.ECONNRESET
		}
		if len(p) == 0 {
			return 0, nil
		}
		if d.held == 0 {
			arrived := d.arrived()
			if arrived > 0 {
				n := d.buf.read(p[:min(len(p), arrived)])
				d.writable.Broadcast()
				return n, nil
			}
			if d.buf.n == 0 && len(d.flights) == 0 {
				if d.broken {
					return 0, syscall.ECONNRESET
				}
				if d.eof {
					return 0, io.EOF
				}
			}
		}
		d.readable.Wait()
	}
}

// arrived returns how many bytes of the buffer have reached the reader, and
// sees to it that the reader is woken when there will be more.
func (d *direction) arrived() int {
	if len(d.flights) == 0 {
		return d.buf.n
	}
	now := time.Now()
	for len(d.flights) > 0 && !d.flights[0].at.After(now) {
		d.flying -= d.flights[0].n
		d.flights = d.flights[1:]
	}
	arrived := d.buf.n - d.flying
	if len(d.flights) == 0 {
		d.flights = nil
	} else if arrived == 0 {
		d.arrival.set(d, d.flights[0].at, &d.readable)
	}
	return arrived
}

// write returns how many bytes were accepted and whether the connection broke
// on the way, as planned by cutAfter. It waits for room if it is to.
func (d *direction) write(p []byte, wait bool) (n int, cut bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		switch {
		case d.writeClosed:
			return n, false, net.ErrClosed
		case d.writeLimit.passed():
			return n, false, os.ErrDeadlineExceeded
		case d.lost, d.broken:
			return n, false, syscall.ECONNRESET
		case d.readClosed && d.held == 0:
			return n, false, syscall.EPIPE
		}
		if len(p) == 0 {
			return n, false, nil
		}
		if room := bufferSize - d.buf.n; room > 0 {
			part := p[:min(len(p), room)]
			if d.cutAt >= 0 {
				part = part[:min(int64(len(part)), d.cutAt-d.written)]
			}
			d.buf.write(part)
			d.depart(len(part))
			d.written += int64(len(part))
			n += len(part)
			p = p[len(part):]
			if d.written == d.cutAt {
				d.breakOff()
				return n, true, syscall.ECONNRESET
			}
			d.readable.Broadcast()
			continue
		}
		if !wait {
			return n, false, nil
		}
		d.writable.Wait()
	}
}

// depart notes when bytes that were just written will arrive. They never
// overtake earlier ones.
func (d *direction) depart(n int) {
	if d.latency <= 0 && len(d.flights) == 0 {
		return
	}
	at := time.Now().Add(max(d.latency, 0))
	if last := len(d.flights) - 1; last >= 0 && at.Before(d.flights[last].at) {
		at = d.flights[last].at
	}
	d.flights = append(d.flights, flight{n, at})
	d.flying += n
}

// closeWrite ends the stream and reports whether it was open.
func (d *direction) closeWrite() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.writeClosed {
		return false
	}
	d.writeClosed = true
	if !d.eof && !d.broken && !d.lost {
		d.eof = true
		d.depart(0)
	}
	d.writeLimit.stop()
	d.wake()
	return true
}

// closeRead says that nobody will read any more, and reports whether somebody
// might have.
func (d *direction) closeRead() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.readClosed {
		return false
	}
	d.readClosed = true
	if d.held == 0 {
		d.discard()
	}
	d.readLimit.stop()
	d.arrival.stop()
	d.wake()
	return true
}

func (d *direction) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lost = true
	d.discard()
	d.wake()
}

// cutAfter plans the break and reports whether it has happened already.
func (d *direction) cutAfter(n int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n > 0 {
		d.cutAt = d.written + int64(n)
		return false
	}
	d.breakOff()
	return true
}

// breakOff ends the stream by a reset that comes after the bytes.
func (d *direction) breakOff() {
	d.broken = true
	d.depart(0)
	d.wake()
}

func (d *direction) hold(change int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held += change
	if d.held == 0 {
		if d.readClosed {
			d.discard()
		}
		d.wake()
	}
}

func (d *direction) setLatency(latency time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.latency = latency
}

func (d *direction) setReadDeadline(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.readClosed {
		return net.ErrClosed
	}
	d.readLimit.set(d, t, &d.readable)
	d.readable.Broadcast()
	return nil
}

func (d *direction) setWriteDeadline(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.writeClosed {
		return net.ErrClosed
	}
	d.writeLimit.set(d, t, &d.writable)
	d.writable.Broadcast()
	return nil
}

func (d *direction) discard() {
	d.buf = buffer{}
	d.flights, d.flying = nil, 0
}

func (d *direction) wake() {
	d.readable.Broadcast()
	d.writable.Broadcast()
}

// deadline is a moment at which somebody who waits must look again. The lock
// of its direction guards it.
type deadline struct {
	at    time.Time // zero: none
	timer *time.Timer
}

func (l *deadline) set(d *direction, at time.Time, wake *sync.Cond) {
	l.at = at
	left := time.Until(at)
	switch {
	case at.IsZero() || left <= 0:
		if l.timer != nil {
			l.timer.Stop()
		}
	case l.timer == nil:
		l.timer = time.AfterFunc(left, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			wake.Broadcast()
		})
	default:
		l.timer.Reset(left)
	}
}

func (l *deadline) stop() {
	if l.timer != nil {
		l.timer.Stop()
	}
}

func (l *deadline) passed() bool {
	return !l.at.IsZero() && !time.Now().Before(l.at)
}
