package realtime

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rttest"
	"github.com/leanrtm/realtime/internal/wire"
)

// receiving is a client that is given frames as if they had been read.
type receiving struct {
	rt     *Realtime
	cmd    *pb.GenericCommand
	n      int64
	now    int64
	codec  wire.Codec
	handed chan struct{} // a token when the handler has got the last of a round
	left   int           // of the round; the handler's while one runs
}

// newReceiving logs a client in at a scripted server.
func newReceiving(t testing.TB) *receiving {
	t.Helper()
	p := rttest.New(t)
	p.On(pb.CommandType_conv, pb.OpType_query, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
		reply := sock.Reply(cmd, pb.CommandType_conv, pb.OpType_results)
		reply.ConvMessage = &pb.ConvCommand{Results: &pb.JsonObjectMessage{Data: proto.String(`[{"objectId":"a","m":["Tom","Jerry"]}]`)}}
		return reply
	})
	rt, err := New(Options{AppID: "app", AppKey: "key", Server: rttest.URL, HTTPClient: p.HTTPClient()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rt.Close(context.Background())) })
	tom, err := rt.CreateIMClient(t.Context(), "Tom")
	require.NoError(t, err)
	_, err = tom.GetConversation(t.Context(), "a")
	require.NoError(t, err)
	r := &receiving{rt: rt, now: time.Now().UnixMilli(), handed: make(chan struct{}, 1)}
	r.cmd = &pb.GenericCommand{
		Cmd: pb.CommandType_direct.Enum(), PeerId: proto.String("Tom"), Service: proto.Int32(wire.ServiceIM),
		DirectMessage: &pb.DirectCommand{
			Cid: proto.String("a"), FromPeerId: proto.String("Jerry"), ConvType: proto.Int32(wire.KindNormal),
			Msg: proto.String(`{"_lctype":-1,"_lctext":"The quick brown fox jumps over the lazy dog."}`),
		},
	}
	tom.OnMessage(func(context.Context, *MessageEvent) {
		if r.left--; r.left == 0 {
			r.handed <- struct{}{}
		}
	})
	return r
}

// frames encodes n new messages.
func (r *receiving) frames(t testing.TB, n int) [][]byte {
	t.Helper()
	all := make([][]byte, n)
	for i := range all {
		r.n++
		r.cmd.DirectMessage.Id = proto.String(fmt.Sprintf("message-%014d", r.n))
		r.cmd.DirectMessage.Timestamp = proto.Int64(r.now + r.n)
		frame, err := r.codec.Marshal(r.cmd)
		require.NoError(t, err)
		all[i] = frame
	}
	return all
}

// receive takes frames the way the reader of a connection does, and waits until
// the handler has seen the last.
func (r *receiving) receive(t testing.TB, frames [][]byte) {
	r.left = len(frames)
	l := r.rt.currentLink()
	for _, frame := range frames {
		block := r.rt.blocks.Get()
		cmd, inside, err := r.codec.UnmarshalInto(block, frame)
		if err != nil || !inside {
			t.Fatal(inside, err)
		}
		r.rt.push(l, job{push: cmd, block: block, gen: l.Gen()})
	}
	<-r.handed
}

// receiveRound is how many messages come one after the other.
const receiveRound = 1024

// BenchmarkReceiveFrame is a message from the bytes of its frame to the handler:
// the codec, the queues and all that a client notes, without any network. With
// -cpu 1 it tells what one core can take.
func BenchmarkReceiveFrame(b *testing.B) {
	r := newReceiving(b)
	b.ReportAllocs()
	b.ResetTimer()
	var used time.Duration
	for left := b.N; left > 0; left -= receiveRound {
		b.StopTimer()
		frames := r.frames(b, min(left, receiveRound))
		b.StartTimer()
		begun := rttest.CPUTime()
		r.receive(b, frames)
		used += rttest.CPUTime() - begun
	}
	if used > 0 {
		b.ReportMetric(float64(used.Nanoseconds())/float64(b.N), "cpu-ns/op")
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}

// maxReceiveAllocs is how many allocations a received message may take up to the
// handler.
const maxReceiveAllocs = 5

// A received message costs few allocations, from its frame to the handler.
func TestAllocationsOfAReceive(t *testing.T) {
	r := newReceiving(t)
	const rounds = 5 // AllocsPerRun makes one more, to begin with
	all := make([][][]byte, rounds+1)
	for i := range all {
		all[i] = r.frames(t, receiveRound)
	}
	round := 0
	n := testing.AllocsPerRun(rounds, func() {
		r.receive(t, all[round])
		round++
	}) / receiveRound
	t.Logf("%.2f allocations", n)
	require.LessOrEqual(t, n, float64(maxReceiveAllocs))
}
