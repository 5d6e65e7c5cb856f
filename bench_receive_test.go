package realtime_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"github.com/leanrtm/realtime"
)

// receiveInFlight is how many sends of BenchmarkReceive wait for their ack.
const receiveInFlight = 256

// BenchmarkReceive is a message from Send in one client to the handler in
// another, while many are on their way. Sending is part of it, as it is of the
// floor, where a server passes frames on and acknowledges them unread.
func BenchmarkReceive(b *testing.B) {
	b.Run("realtime", func(b *testing.B) {
		url := benchServer(b)
		conv := benchConversation(b, url)
		jerry := benchRealtime(b, url).NewIMClient("Jerry")
		var received atomic.Int64
		done := make(chan struct{})
		jerry.OnMessage(func(context.Context, *realtime.MessageEvent) {
			if received.Add(1) == int64(b.N) {
				close(done)
			}
		})
		if err := jerry.Open(context.Background()); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		b.ResetTimer()
		sendMany(b, conv, b.N, receiveInFlight)
		if b.Failed() {
			return
		}
		select {
		case <-done:
		case <-jerry.Done():
			b.Fatalf("%d of %d messages: %v", received.Load(), b.N, jerry.Err())
		}
	})
	b.Run("floor", func(b *testing.B) {
		send, ack := echoFrames(b)
		floor, listener := newRelayFloor(b, send, ack)
		b.ReportAllocs()
		b.ResetTimer()
		var reader sync.WaitGroup
		reader.Go(func() {
			for range b.N {
				if _, _, err := listener.Read(context.Background()); err != nil {
					b.Error(err)
					return
				}
			}
		})
		floor.pipelined(send, b.N, receiveInFlight)
		reader.Wait()
	})
}

// newRelayFloor connects a sender and a listener to a server that writes, for
// each frame of the sender, push to the listener and ack to the sender.
func newRelayFloor(b testing.TB, push, ack []byte) (sender *echoFloor, listener *websocket.Conn) {
	b.Helper()
	ctx := context.Background()
	var served sync.WaitGroup
	listeners := make(chan *websocket.Conn, 1)
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		defer served.Done()
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			b.Error(err)
			return
		}
		defer c.CloseNow()
		if r.URL.Path == "/listen" {
			listeners <- c
			_, _, _ = c.Read(ctx) // until it is closed
			return
		}
		to := <-listeners
		for {
			if _, _, err := c.Read(ctx); err != nil {
				return
			}
			if err := to.Write(ctx, websocket.MessageBinary, push); err != nil {
				return
			}
			if err := c.Write(ctx, websocket.MessageBinary, ack); err != nil {
				return
			}
		}
	}))
	b.Cleanup(ts.Close)
	dial := func(path string) *websocket.Conn {
		c, _, err := websocket.Dial(ctx, ts.URL+path, nil)
		if err != nil {
			b.Fatal(err)
		}
		return c
	}
	listener = dial("/listen")
	sender = &echoFloor{b: b, ws: dial("/send")}
	b.Cleanup(func() {
		sender.ws.CloseNow()
		listener.CloseNow()
		served.Wait()
	})
	return sender, listener
}
