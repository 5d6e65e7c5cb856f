package server

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// minBodyRate is how fast the body of a request has to come on average, in bytes
// per second, once Options.RequestTimeout is over.
const minBodyRate = 1 << 10

// steadyBody is the body of a request that has to keep coming: a peer that sends
// a byte now and then would hold a goroutine for ever. An upload of any size may
// take its time.
type steadyBody struct {
	io.ReadCloser
	control *http.ResponseController
	until   time.Time // grows with what has come
	ended   bool
}

// The deadline is there from the beginning, since the HTTP server reads what a
// handler has left, before it answers; and it stays unless the body has come to
// its end, for the same reason.

// steady puts a steadyBody into the request, unless there is no body.
func steady(w http.ResponseWriter, r *http.Request, grace time.Duration) {
	if r.Body == nil || r.Body == http.NoBody || grace <= 0 {
		return
	}
	b := &steadyBody{ReadCloser: r.Body, control: http.NewResponseController(w), until: time.Now().Add(grace)}
	b.extend()
	r.Body = b
}

// extend sets the deadline. Who cannot have one has no network to wait for.
func (b *steadyBody) extend() { _ = b.control.SetReadDeadline(b.until) }

func (b *steadyBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.ended {
		return n, err
	}
	if errors.Is(err, io.EOF) {
		b.ended = true
		_ = b.control.SetReadDeadline(time.Time{}) // it would else end the request
		return n, err
	}
	if n > 0 {
		b.until = b.until.Add(time.Duration(n) * time.Second / minBodyRate)
		b.extend()
	}
	return n, err
}
