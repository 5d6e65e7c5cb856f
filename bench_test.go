package realtime_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server"
)

// The benchmarks run the client and the server of this module in one process,
// over TCP on the loopback interface. BenchmarkWebSocketEcho is the floor: the
// same transport and frames of the same sizes with nothing else on either side.

const (
	benchApp  = "bench-app"
	benchKey  = "bench-key"
	benchText = "The quick brown fox jumps over the lazy dog."
)

// benchServer serves on a free port of the loopback interface.
func benchServer(b testing.TB) (url string) {
	b.Helper()
	core, err := server.New(server.Options{
		Apps:   []server.App{{ID: benchApp, Key: benchKey}},
		Limits: server.Limits{SessionsConn: server.NoLimit},
	})
	if err != nil {
		b.Fatal(err)
	}
	ts := httptest.NewServer(core)
	b.Cleanup(func() {
		core.Close()
		ts.Close()
	})
	return ts.URL
}

// benchRealtime is a connection to url.
func benchRealtime(b testing.TB, url string) *realtime.Realtime {
	b.Helper()
	rt, err := realtime.New(realtime.Options{AppID: benchApp, AppKey: benchKey, Server: url, NoSSL: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { rt.Close(context.Background()) })
	return rt
}

// benchConversation is a conversation of Tom, who is logged in, and Jerry.
func benchConversation(b testing.TB, url string) *realtime.Conversation {
	b.Helper()
	tom, err := benchRealtime(b, url).CreateIMClient(b.Context(), "Tom")
	if err != nil {
		b.Fatal(err)
	}
	conv, err := tom.CreateConversation(b.Context(), realtime.ConversationOptions{Members: []string{"Jerry"}})
	if err != nil {
		b.Fatal(err)
	}
	return conv
}

// BenchmarkSend sends one message after the other, each waiting for its ack.
// The other member is not online.
func BenchmarkSend(b *testing.B) {
	conv := benchConversation(b, benchServer(b))
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conv.Send(ctx, realtime.NewTextMessage(benchText)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSendParallel sends on one connection from many goroutines.
func BenchmarkSendParallel(b *testing.B) {
	conv := benchConversation(b, benchServer(b))
	ctx := context.Background()
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(next *testing.PB) {
		for next.Next() {
			if _, err := conv.Send(ctx, realtime.NewTextMessage(benchText)); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkReceive is a message from Send in one client to the handler in
// another, while many are on their way. Sending is part of it.
func BenchmarkReceive(b *testing.B) {
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
	ctx := context.Background()
	if err := jerry.Open(ctx); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(next *testing.PB) {
		for next.Next() {
			if _, err := conv.Send(ctx, realtime.NewTextMessage(benchText)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	if b.Failed() {
		return
	}
	select {
	case <-done:
	case <-jerry.Done():
		b.Fatalf("%d of %d messages: %v", received.Load(), b.N, jerry.Err())
	}
}

// echoFrames are a message and its ack as they are on the wire.
func echoFrames(b testing.TB) (send, ack []byte) {
	b.Helper()
	const (
		id    = "0123456789abcdef01234567"
		token = "0b6b8a4e-3f0d-4a3c-9a39-6a3d3a1e7c55"
		uid   = "AAAAAAAAAAAAAAAAAAAAAA"
	)
	content, _, err := realtime.MarshalContent(realtime.NewTextMessage(benchText))
	if err != nil {
		b.Fatal(err)
	}
	send, err = wire.Append(nil, &pb.GenericCommand{
		Cmd: pb.CommandType_direct.Enum(), I: proto.Int32(1000),
		DirectMessage: &pb.DirectCommand{Cid: proto.String(id), Msg: proto.String(string(content)), Dt: proto.String(token)},
	})
	if err != nil {
		b.Fatal(err)
	}
	ack, err = wire.Append(nil, &pb.GenericCommand{
		Cmd: pb.CommandType_ack.Enum(), I: proto.Int32(1000), PeerId: proto.String("Tom"), Service: proto.Int32(wire.ServiceIM),
		AckMessage: &pb.AckCommand{Cid: proto.String(id), Uid: proto.String(uid), T: proto.Int64(time.Now().UnixMilli())},
	})
	if err != nil {
		b.Fatal(err)
	}
	return send, ack
}

// BenchmarkWebSocketEcho exchanges frames of the sizes of a message and its
// ack, and does nothing with them.
func BenchmarkWebSocketEcho(b *testing.B) {
	send, ack := echoFrames(b)
	var served sync.WaitGroup
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		defer served.Done()
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			b.Error(err)
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
	b.Cleanup(ts.Close)
	ctx := context.Background()
	c, _, err := websocket.Dial(ctx, ts.URL, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		c.CloseNow()
		served.Wait()
	})
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Write(ctx, websocket.MessageBinary, send); err != nil {
			b.Fatal(err)
		}
		if _, _, err := c.Read(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkIdleClient tells what a client costs that is logged in and does
// nothing, on a connection shared by many: an operation is one client. The
// server runs in a process of its own, so that only the client is counted.
func BenchmarkIdleClient(b *testing.B) {
	url := benchServerProcess(b)
	rt := benchRealtime(b, url)
	ctx := context.Background()
	if _, err := rt.CreateIMClient(ctx, "first"); err != nil { // brings the connection with it
		b.Fatal(err)
	}
	clients := make([]*realtime.IMClient, 0, b.N)
	bytes, goroutines := idleCost()
	b.ResetTimer()
	for n := range b.N {
		c, err := rt.CreateIMClient(ctx, "client-"+strconv.Itoa(n))
		if err != nil {
			b.Fatal(err)
		}
		clients = append(clients, c)
	}
	b.StopTimer()
	bytesNow, goroutinesNow := idleCost()
	b.ReportMetric(float64(bytesNow-bytes)/float64(b.N), "heap-B/client")
	b.ReportMetric(float64(goroutinesNow-goroutines)/float64(b.N), "goroutines/client")
	runtime.KeepAlive(clients)
}

// idleCost is the live heap and the goroutines, once what is about to end has
// ended.
func idleCost() (bytes int64, goroutines int) {
	for range 1000 {
		runtime.Gosched() // workers that were started on demand end by themselves
	}
	goroutines = runtime.NumGoroutine()
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // frees what finalizers and pools kept
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc), goroutines
}

// benchProcess makes the test binary run a server and nothing else.
const benchProcess = "REALTIME_BENCH_SERVER"

// TestBenchServerProcess is the server of BenchmarkIdleClient, when that has
// started this binary once more. It serves until its standard input ends.
func TestBenchServerProcess(t *testing.T) {
	if os.Getenv(benchProcess) == "" {
		return // an ordinary run: there is nothing to test
	}
	url := benchServer(t)
	if _, err := os.Stdout.WriteString(url + "\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stdin.Read(make([]byte, 1)); err == nil {
		t.Fatal("the standard input was not to have anything")
	}
}

// benchServerProcess starts the server in a process of its own.
func benchServerProcess(b *testing.B) (url string) {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestBenchServerProcess$")
	cmd.Env = append(os.Environ(), benchProcess+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			b.Errorf("the server process: %v", err)
		}
	})
	buf := make([]byte, 256)
	n, err := stdout.Read(buf)
	if err != nil {
		b.Fatalf("the server process has not told its address: %v", err)
	}
	return strings.TrimSpace(string(buf[:n]))
}
