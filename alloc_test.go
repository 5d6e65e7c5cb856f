package realtime_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// frugalPeer is a server that acknowledges messages without a single allocation,
// so that a test can count those of the client alone.
type frugalPeer struct {
	t      testing.TB
	ack    []byte // without its serial
	served sync.WaitGroup
}

// newFrugalPeer starts one and returns its address.
func newFrugalPeer(t testing.TB) (url string) {
	t.Helper()
	p := &frugalPeer{t: t}
	var err error
	p.ack, err = wire.Append(nil, &pb.GenericCommand{
		Cmd: pb.CommandType_ack.Enum(), PeerId: proto.String("Tom"), Service: proto.Int32(wire.ServiceIM),
		AckMessage: &pb.AckCommand{Cid: proto.String("a"), Uid: proto.String("AAAAAAAAAAAAAAAAAAAAAA"), T: proto.Int64(1_700_000_000_000)},
	})
	require.NoError(t, err)
	ts := httptest.NewServer(p)
	t.Cleanup(func() {
		p.served.Wait()
		ts.Close()
	})
	return "ws" + strings.TrimPrefix(ts.URL, "http")
}

func (p *frugalPeer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.served.Add(1)
	defer p.served.Done()
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{wire.SubprotocolBinary}})
	if err != nil {
		p.t.Error(err)
		return
	}
	defer c.CloseNow()
	ctx := context.Background()
	buf, answer := make([]byte, 4096), make([]byte, 0, 4096)
	for {
		_, body, err := c.Reader(ctx)
		if err != nil {
			return
		}
		n, err := io.ReadFull(body, buf)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			p.t.Errorf("a frame of more than %d bytes: %v", len(buf), err)
			return
		}
		if answer, err = p.answer(answer[:0], buf[:n]); err != nil {
			p.t.Error(err)
			return
		}
		if err := c.Write(ctx, websocket.MessageBinary, answer); err != nil {
			return
		}
	}
}

// answer appends what a frame is answered with.
func (p *frugalPeer) answer(dst, frame []byte) ([]byte, error) {
	const cmdField, serialField = 1, 5 // of GenericCommand
	var kind, serial uint64
	for rest := frame; len(rest) > 0; {
		number, typ, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		rest = rest[n:]
		if typ == protowire.VarintType {
			v, _ := protowire.ConsumeVarint(rest)
			switch number {
			case cmdField:
				kind = v
			case serialField:
				serial = v
			}
		}
		if n = protowire.ConsumeFieldValue(number, typ, rest); n < 0 {
			return nil, protowire.ParseError(n)
		}
		rest = rest[n:]
	}
	if pb.CommandType(kind) == pb.CommandType_direct {
		return wire.AppendSerial(append(dst, p.ack...), int32(serial)), nil
	}
	reply := &pb.GenericCommand{I: proto.Int32(int32(serial)), PeerId: proto.String("Tom"), Service: proto.Int32(wire.ServiceIM)}
	switch pb.CommandType(kind) {
	case pb.CommandType_session:
		reply.Cmd, reply.Op = pb.CommandType_session.Enum(), pb.OpType_opened.Enum()
		reply.SessionMessage = &pb.SessionCommand{St: proto.String("token"), StTtl: proto.Int32(3600)}
	case pb.CommandType_conv:
		reply.Cmd, reply.Op = pb.CommandType_conv.Enum(), pb.OpType_results.Enum()
		reply.ConvMessage = &pb.ConvCommand{Results: &pb.JsonObjectMessage{Data: proto.String(`[{"objectId":"a","m":["Tom","Jerry"]}]`)}}
	default:
		reply.Cmd = pb.CommandType_echo.Enum()
	}
	return wire.Append(dst, reply)
}

// maxSendAllocs is how many allocations the client takes for a send, and one for
// the race detector, which empties pools.
const maxSendAllocs = 8 + 1

// A send costs the client few allocations, the content's own included.
func TestAllocationsOfASend(t *testing.T) {
	ctx := context.Background()
	rt, err := realtime.New(realtime.Options{
		AppID: "app", AppKey: "key", RTMServers: []string{newFrugalPeer(t)}, Server: "http://unused.test", HTTPClient: new(http.Client),
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, rt.Close(ctx)) }()
	tom, err := rt.CreateIMClient(ctx, "Tom")
	require.NoError(t, err)
	conv, err := tom.GetConversation(ctx, "a")
	require.NoError(t, err)
	n := testing.AllocsPerRun(2000, func() {
		if _, err := conv.Send(ctx, realtime.NewTextMessage(benchText)); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%v allocations", n)
	require.LessOrEqual(t, n, float64(maxSendAllocs))
}
