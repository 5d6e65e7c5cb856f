package realtime_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

const (
	historyMessages    = 100_000
	historyPage        = 1000
	queryConversations = 100_000
)

// BenchmarkHistory reads a history of 100,000 messages to its end, page by page.
// Its floor exchanges requests for answers of the size of a page.
func BenchmarkHistory(b *testing.B) {
	n := historyMessages
	if testing.Short() {
		n /= 10
	}
	b.Run("realtime", func(b *testing.B) {
		conv := benchConversation(b, benchServer(b))
		sendMany(b, conv, n, 256)
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			got := 0
			for _, err := range conv.Messages(context.Background(), realtime.MessageQuery{Limit: historyPage}) {
				if err != nil {
					b.Fatal(err)
				}
				got++
			}
			if got != n {
				b.Fatalf("%d messages, want %d", got, n)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/message")
	})
	b.Run("floor", func(b *testing.B) {
		request, page := historyFrames(b)
		floor := newEchoFloor(b, page)
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N * n / historyPage {
			floor.one(request)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/message")
	})
}

// historyFrames are a request for a page of the history and its answer.
func historyFrames(b testing.TB) (request, page []byte) {
	b.Helper()
	const id = "0123456789abcdef01234567"
	request, err := wire.Append(nil, &pb.GenericCommand{
		Cmd: pb.CommandType_logs.Enum(), I: proto.Int32(1000), PeerId: proto.String("Tom"),
		LogsMessage: &pb.LogsCommand{Cid: proto.String(id), L: proto.Int32(historyPage), T: proto.Int64(1_700_000_000_000), Mid: proto.String("AAAAAAAAAAAAAAAAAAAAAA")},
	})
	if err != nil {
		b.Fatal(err)
	}
	content, _, err := realtime.MarshalContent(realtime.NewTextMessage(benchText))
	if err != nil {
		b.Fatal(err)
	}
	logs := make([]*pb.LogItem, historyPage)
	for i := range logs {
		logs[i] = &pb.LogItem{
			From: proto.String("Tom"), Data: proto.String(string(content)), Timestamp: proto.Int64(1_700_000_000_000),
			MsgId: proto.String("AAAAAAAAAAAAAAAAAAAAAA"), AckAt: proto.Int64(0), MentionAll: proto.Bool(false),
		}
	}
	page, err = wire.Append(nil, &pb.GenericCommand{
		Cmd: pb.CommandType_logs.Enum(), I: proto.Int32(1000), PeerId: proto.String("Tom"), Service: proto.Int32(wire.ServiceIM),
		LogsMessage: &pb.LogsCommand{Cid: proto.String(id), Logs: logs},
	})
	if err != nil {
		b.Fatal(err)
	}
	return request, page
}

// BenchmarkQuery asks for conversations among 100,000, of which the client is in
// 1,000: by id, by a member who is in ten of them, the newest ones, and by a
// name, for which the client's own 1,000 are looked at.
func BenchmarkQuery(b *testing.B) {
	n := queryConversations
	if testing.Short() {
		n /= 100
	}
	url := benchServer(b)
	ctx := context.Background()
	tom, conv := createMany(b, url, n)
	for _, q := range []struct {
		name  string
		query func() *realtime.ConversationQuery
		want  int
	}{
		{"id", func() *realtime.ConversationQuery { return tom.Query().EqualTo("objectId", conv.ID()) }, 1},
		{"members", func() *realtime.ConversationQuery { return tom.Query().ContainsMembers("member-0-0") }, 10},
		{"newest", func() *realtime.ConversationQuery { return tom.Query().Descending("createdAt").Limit(10) }, 10},
		{"name", func() *realtime.ConversationQuery {
			return tom.Query().ContainsMembers(tom.ID()).EqualTo("name", "group 7")
		}, 1},
	} {
		b.Run(q.name+"/realtime", func(b *testing.B) {
			for range b.N {
				found, err := q.query().Find(ctx)
				if err != nil {
					b.Fatal(err)
				}
				if len(found) != q.want {
					b.Fatalf("%d conversations, want %d", len(found), q.want)
				}
			}
		})
		b.Run(q.name+"/floor", func(b *testing.B) {
			floor := newEchoFloor(b, make([]byte, q.want*300)) // a conversation takes about so many bytes
			request := make([]byte, 150)
			b.ResetTimer()
			for range b.N {
				floor.one(request)
			}
		})
	}
}

const queryCreators = 100

// createMany makes n groups, ten with each other member, in the name of several
// clients. It returns the first of those with one of its groups.
func createMany(b *testing.B, url string, n int) (*realtime.IMClient, *realtime.Conversation) {
	b.Helper()
	ctx := context.Background()
	tom := make([]*realtime.IMClient, queryCreators)
	convs := make([]*realtime.Conversation, queryCreators)
	// A creator is told of every group it makes, faster than it asks what they are.
	rt := benchRealtimeWith(b, realtime.Options{Server: url, EventQueue: 4 * n})
	var creators sync.WaitGroup
	for i := range tom {
		creators.Go(func() {
			var err error
			if tom[i], err = rt.CreateIMClient(ctx, fmt.Sprint("creator-", i)); err != nil {
				b.Error(err)
				return
			}
			for k := range n / queryCreators {
				convs[i], err = tom[i].CreateConversation(ctx, realtime.ConversationOptions{
					Members: []string{fmt.Sprintf("member-%d-%d", i, k/10)}, Name: fmt.Sprint("group ", k), NotUnique: true,
				})
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	creators.Wait()
	if b.Failed() {
		b.FailNow()
	}
	return tom[0], convs[0]
}
