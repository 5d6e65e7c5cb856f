package conn_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/leanrtm/realtime/internal/conn"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// echoServer sends every message back, over loopback TCP.
func echoServer(b *testing.B) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{wire.SubprotocolBinary}})
		if err != nil {
			return
		}
		wg.Go(func() {
			defer ws.CloseNow()
			for {
				typ, p, err := ws.Read(context.Background())
				if err != nil {
					return
				}
				if err := ws.Write(context.Background(), typ, p); err != nil {
					return
				}
			}
		})
	})}
	wg.Go(func() { _ = server.Serve(listener) })
	b.Cleanup(func() { _ = server.Close(); wg.Wait() })
	return "ws://" + listener.Addr().String()
}

var benchCommand = command(0, strings.Repeat("x", 180))

const inFlight = 256

// BenchmarkEcho compares round trips through a Conn with those through the
// bare WebSocket library, with frames of the same size.
func BenchmarkEcho(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		ws, _, err := websocket.Dial(b.Context(), echoServer(b), &websocket.DialOptions{Subprotocols: []string{wire.SubprotocolBinary}})
		if err != nil {
			b.Fatal(err)
		}
		defer ws.CloseNow()
		frame, _ := wire.Append(nil, benchCommand)
		b.ReportAllocs()
		for b.Loop() {
			_ = ws.Write(context.Background(), websocket.MessageBinary, frame)
			if _, _, err := ws.Read(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("conn", func(b *testing.B) { benchConn(b, 1) })
	b.Run("bare/256", func(b *testing.B) {
		ws, _, err := websocket.Dial(b.Context(), echoServer(b), &websocket.DialOptions{Subprotocols: []string{wire.SubprotocolBinary}})
		if err != nil {
			b.Fatal(err)
		}
		defer ws.CloseNow()
		frame, _ := wire.Append(nil, benchCommand)
		slots := make(chan struct{}, inFlight)
		var wg sync.WaitGroup
		b.ReportAllocs()
		wg.Go(func() {
			for {
				if _, _, err := ws.Read(context.Background()); err != nil {
					return
				}
				<-slots
			}
		})
		for b.Loop() {
			slots <- struct{}{}
			_ = ws.Write(context.Background(), websocket.MessageBinary, frame)
		}
		_ = ws.CloseNow()
		wg.Wait()
	})
	b.Run("conn/256", func(b *testing.B) { benchConn(b, inFlight) })
}

func benchConn(b *testing.B, inFlight int) {
	slots := make(chan struct{}, inFlight)
	got := make(chan struct{}, 1)
	c, err := conn.Dial(b.Context(), echoServer(b), conn.Options{OnCommand: func(*pb.GenericCommand, *wire.Block) {
		<-slots
		if inFlight == 1 {
			got <- struct{}{}
		}
	}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		slots <- struct{}{}
		f, err := c.Encode(benchCommand, 1)
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Send(context.Background(), f, nil, inFlight-1); err != nil {
			b.Fatal(err)
		}
		if inFlight == 1 {
			<-got
		}
	}
	c.Kill(errors.New("over"))
	<-c.Done()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}
