//go:build unix

package interop_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// Sizes of the frames of a message and of its acknowledgement.
const (
	sendFrame = 146
	ackFrame  = 72
)

// newEcho answers every frame with one as large as an acknowledgement, and
// returns where.
func newEcho(t *testing.T) (url string) {
	t.Helper()
	var served sync.WaitGroup
	ack := make([]byte, ackFrame)
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		defer served.Done()
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.CloseNow()
		for {
			if _, _, err := c.Read(context.Background()); err != nil {
				return
			}
			if err := c.Write(context.Background(), websocket.MessageBinary, ack); err != nil {
				return
			}
		}
	}))
	t.Cleanup(func() {
		ts.Close()
		served.Wait()
	})
	return ts.URL
}

// bare exchanges frames and does nothing with them.
func (p *contender) bare(ctx context.Context) error {
	c, _, err := websocket.Dial(ctx, os.Getenv("RTM_ECHO"), nil)
	if err != nil {
		return err
	}
	defer c.CloseNow()
	frame := make([]byte, sendFrame)
	if p.inFlight == 1 {
		return p.measure(func() error {
			if err := c.Write(ctx, websocket.MessageBinary, frame); err != nil {
				return err
			}
			_, _, err := c.Read(ctx)
			return err
		})
	}
	acks := make(chan struct{}, p.inFlight)
	read := make(chan error, 1)
	go func() { // until the connection is closed
		defer close(acks)
		for {
			if _, _, err := c.Read(ctx); err != nil {
				read <- err
				return
			}
			acks <- struct{}{}
		}
	}()
	err = p.measure(func() error {
		if err := c.Write(ctx, websocket.MessageBinary, frame); err != nil {
			return err
		}
		if _, ok := <-acks; !ok {
			return errors.New("the connection is closed")
		}
		return nil
	})
	_ = c.CloseNow()
	<-read
	return err
}
