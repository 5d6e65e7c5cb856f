package realtime_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rttest"
)

// onBench is a scripted server and a client in a conversation, outside of any
// bubble: what is measured includes the network in memory and the server.
func onBench(b *testing.B) (*rttest.Peer, *realtime.IMClient, *realtime.Conversation) {
	b.Helper()
	p := rttest.New(b)
	p.On(pb.CommandType_conv, pb.OpType_query, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
		reply := sock.Reply(cmd, pb.CommandType_conv, pb.OpType_results)
		reply.ConvMessage = &pb.ConvCommand{Results: &pb.JsonObjectMessage{Data: proto.String(`[{"objectId":"a","m":["Tom","Jerry"]}]`)}}
		return reply
	})
	rt, err := realtime.New(realtime.Options{
		AppID: "app", AppKey: "key", Server: rttest.URL, HTTPClient: p.HTTPClient(), EventQueue: 1 << 20,
	})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, rt.Close(context.Background())) })
	tom, err := rt.CreateIMClient(b.Context(), "Tom")
	require.NoError(b, err)
	conv, err := tom.GetConversation(b.Context(), "a")
	require.NoError(b, err)
	return p, tom, conv
}

func BenchmarkSendInMemory(b *testing.B) {
	_, _, conv := onBench(b)
	content := realtime.NewTextMessage("Jerry, get up!")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conv.Send(b.Context(), content); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReceiveInMemory(b *testing.B) {
	p, tom, _ := onBench(b)
	got := make(chan struct{}, 1)
	n, want := 0, 0
	tom.OnMessage(func(context.Context, *realtime.MessageEvent) {
		if n++; n == want {
			got <- struct{}{}
		}
	})
	sock := p.Socket()
	b.ReportAllocs()
	now := time.Now().UnixMilli()
	for i := 0; b.Loop(); i++ {
		n, want = 0, 1
		cmd := direct("Tom", "a", &pb.LogItem{
			MsgId: proto.String(fmt.Sprint("m", i)), From: proto.String("Jerry"), Timestamp: proto.Int64(now + int64(i)),
			Data: proto.String(`{"_lctype":-1,"_lctext":"Tom, I am up."}`),
		})
		sock.Send(cmd)
		<-got
	}
}
