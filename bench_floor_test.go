package realtime_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// The floor of a benchmark is what the WebSocket library and the kernel take
// for the same frames with nothing else on either side: no codec, no queue, no
// conversation. It runs beside the benchmark, on the same machine in the same
// minute, and only the ratio of the two means anything.

// echoFloor is a connection to a server that answers every frame with one of
// the given size and looks at nothing.
type echoFloor struct {
	b  testing.TB
	ws *websocket.Conn
}

// newEchoFloor connects to an echo of its own, which ends with the benchmark.
func newEchoFloor(b testing.TB, answer []byte) *echoFloor {
	b.Helper()
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
			if err := c.Write(context.Background(), websocket.MessageBinary, answer); err != nil {
				return
			}
		}
	}))
	b.Cleanup(ts.Close)
	c, _, err := websocket.Dial(context.Background(), ts.URL, nil)
	if err != nil {
		b.Fatal(err)
	}
	c.SetReadLimit(-1) // pages of the history are larger than the default
	b.Cleanup(func() {
		c.CloseNow()
		served.Wait()
	})
	return &echoFloor{b: b, ws: c}
}

// one exchanges a frame.
func (f *echoFloor) one(frame []byte) {
	ctx := context.Background()
	if err := f.ws.Write(ctx, websocket.MessageBinary, frame); err != nil {
		f.b.Fatal(err)
	}
	if _, _, err := f.ws.Read(ctx); err != nil {
		f.b.Fatal(err)
	}
}

// pipelined exchanges n frames with so many on their way at a time.
func (f *echoFloor) pipelined(frame []byte, n, inFlight int) {
	ctx := context.Background()
	room := make(chan struct{}, inFlight)
	var reader sync.WaitGroup
	reader.Go(func() {
		for range n {
			if _, _, err := f.ws.Read(ctx); err != nil {
				f.b.Error(err)
				f.ws.CloseNow() // ends the writer as well
				return
			}
			<-room
		}
	})
	for range n {
		room <- struct{}{}
		if err := f.ws.Write(ctx, websocket.MessageBinary, frame); err != nil {
			f.b.Error(err)
			f.ws.CloseNow()
			break
		}
	}
	reader.Wait()
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
