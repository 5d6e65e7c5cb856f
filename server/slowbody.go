package server

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// deadlines sets those of the connection of a request. It belongs to the request:
// once that has been cut off or has been served, nothing is set any more.
type deadlines struct {
	control *http.ResponseController

	mu   sync.Mutex
	over bool
}

// read sets the deadline of reads. Who cannot have one has no network to wait for.
func (d *deadlines) read(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.over {
		_ = d.control.SetReadDeadline(t)
	}
}

// cut fails reads and writes at once, also those that wait already: the end of
// its context does not reach a handler that waits for its peer.
func (d *deadlines) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.over {
		d.over = true
		past := time.Unix(1, 0)
		_ = d.control.SetReadDeadline(past)
		_ = d.control.SetWriteDeadline(past)
	}
}

// release lets go of the connection, which may serve other requests afterwards.
func (d *deadlines) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
}

// minBodyRate is how fast the body of a request has to come on average, in bytes
// per second, once Options.RequestTimeout is over.
const minBodyRate = 1 << 10

// steadyBody is the body of a request that has to keep coming: a peer that sends
// a byte now and then would hold a goroutine for ever. An upload of any size may
// take its time.
type steadyBody struct {
	io.ReadCloser
	deadlines *deadlines
	until     time.Time // grows with what has come
	ended     bool
}

// The deadline is there from the beginning, since the HTTP server reads what a
// handler has left, before it answers; and it stays unless the body has come to
// its end, for the same reason.

// steady puts a steadyBody into the request, unless there is no body.
func steady(d *deadlines, r *http.Request, grace time.Duration) {
	if r.Body == nil || r.Body == http.NoBody || grace <= 0 {
		return
	}
	b := &steadyBody{ReadCloser: r.Body, deadlines: d, until: time.Now().Add(grace)}
	b.extend()
	r.Body = b
}

func (b *steadyBody) extend() { b.deadlines.read(b.until) }

func (b *steadyBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.ended {
		return n, err
	}
	if errors.Is(err, io.EOF) {
		b.ended = true
		b.deadlines.read(time.Time{}) // it would else end the request
		return n, err
	}
	if n > 0 {
		b.until = b.until.Add(time.Duration(n) * time.Second / minBodyRate)
		b.extend()
	}
	return n, err
}
