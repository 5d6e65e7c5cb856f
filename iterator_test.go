package realtime_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rttest"
)

func ids(messages []*realtime.Message) []string {
	out := []string{}
	for _, m := range messages {
		out = append(out, m.ID)
	}
	return out
}

// history puts n messages on the server, four in every millisecond.
func (s *stage) history(cid string, n int) (all []string) {
	for i := range n {
		if i%4 == 0 {
			time.Sleep(time.Millisecond)
		}
		id := fmt.Sprintf("m%04d", i)
		s.said(cid, "Jerry", id, "text "+id)
		all = append(all, id)
	}
	return all
}

func TestQueryMessages(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		s.has("a", map[string]any{"m": []string{"Tom", "Jerry"}})
		tom := s.open("Tom")
		conv, err := tom.GetConversation(t.Context(), "a")
		require.NoError(t, err)
		begin := time.Now()
		all := s.history("a", 40)
		at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
		for _, tt := range []struct {
			name string
			q    realtime.MessageQuery
			want []string
		}{
			{"default", realtime.MessageQuery{}, all[20:]},
			{"limit", realtime.MessageQuery{Limit: 3}, all[37:]},
			{"most", realtime.MessageQuery{Limit: 1000}, all},
			{"old to new", realtime.MessageQuery{Limit: 3, Direction: realtime.OldToNew}, all[:3]},
			{"start", realtime.MessageQuery{Limit: 3, StartTime: at(3)}, all[5:8]},
			{"start included", realtime.MessageQuery{Limit: 3, StartTime: at(3), StartClosed: true}, all[9:12]},
			{"start at an id", realtime.MessageQuery{Limit: 3, StartTime: at(3), StartMessageID: all[10]}, all[7:10]},
			{"that is included", realtime.MessageQuery{Limit: 3, StartTime: at(3), StartMessageID: all[10], StartClosed: true}, all[8:11]},
			{"forward from an id", realtime.MessageQuery{Limit: 3, StartTime: at(3), StartMessageID: all[10], Direction: realtime.OldToNew}, all[11:14]},
			{"between", realtime.MessageQuery{StartTime: at(4), EndTime: at(2)}, all[8:12]},
			{"between, closed", realtime.MessageQuery{StartTime: at(4), EndTime: at(2), StartClosed: true, EndClosed: true}, all[4:16]},
			{"forward by itself", realtime.MessageQuery{StartTime: at(2), EndTime: at(4), Limit: 2}, all[8:10]},
			{"end id", realtime.MessageQuery{StartTime: at(4), EndTime: at(2), EndMessageID: all[5]}, all[6:12]},
			{"a type nobody used", realtime.MessageQuery{Type: 7}, nil},
			{"text only", realtime.MessageQuery{Type: realtime.TypeText, Limit: 1}, all[39:]},
			{"before everything", realtime.MessageQuery{StartTime: at(0)}, nil},
		} {
			got, err := conv.QueryMessages(t.Context(), tt.q)
			require.NoError(t, err, tt.name)
			require.Equal(t, append([]string{}, tt.want...), ids(got), tt.name)
		}
		for _, bad := range []realtime.MessageQuery{
			{Limit: -1}, {Limit: 1001}, {StartMessageID: "x"}, {EndMessageID: "x"}, {Direction: 3},
		} {
			_, err := conv.QueryMessages(t.Context(), bad)
			require.ErrorIs(t, err, realtime.ErrInvalidArgument)
			_, _, err = conv.MessageIterator(bad).Next(t.Context())
			require.ErrorIs(t, err, realtime.ErrInvalidArgument)
			for _, err = range conv.Messages(t.Context(), bad) {
			}
			require.ErrorIs(t, err, realtime.ErrInvalidArgument)
		}
	})
}

func TestMessages(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		s.has("a", map[string]any{"m": []string{"Tom", "Jerry"}})
		tom := s.open("Tom")
		conv, err := tom.GetConversation(t.Context(), "a")
		require.NoError(t, err)
		begin := time.Now()
		all := s.history("a", 430)
		reversed := slices.Clone(all)
		slices.Reverse(reversed)
		collect := func(q realtime.MessageQuery) (out []string) {
			for m, err := range conv.Messages(t.Context(), q) {
				require.NoError(t, err)
				out = append(out, m.ID)
			}
			return out
		}
		for _, limit := range []int{0, 1, 3, 7, 100, 101, 1000} {
			require.Equal(t, reversed, collect(realtime.MessageQuery{Limit: limit}), limit)
			require.Equal(t, all, collect(realtime.MessageQuery{Limit: limit, Direction: realtime.OldToNew}), limit)
		}
		// Any two points of the history, open or closed, in any page size.
		for range 50 {
			i, j := rand.IntN(len(all)), rand.IntN(len(all))
			q := realtime.MessageQuery{
				Limit:     1 + rand.IntN(150),
				StartTime: begin.Add(time.Duration(i/4+1) * time.Millisecond), StartMessageID: all[i], StartClosed: rand.IntN(2) == 0,
				EndTime: begin.Add(time.Duration(j/4+1) * time.Millisecond), EndMessageID: all[j], EndClosed: rand.IntN(2) == 0,
				Direction: realtime.NewToOld,
			}
			from, to := i, j
			if !q.StartClosed {
				from--
			}
			if !q.EndClosed {
				to++
			}
			var want []string
			for k := from; k >= to; k-- {
				want = append(want, all[k])
			}
			require.Equal(t, want, collect(q))
		}

		n := 0
		for range conv.Messages(t.Context(), realtime.MessageQuery{Limit: 10}) {
			if n++; n == 5 {
				break
			}
		}
		before := len(s.commands(pb.CommandType_logs, 0))
		for range conv.Messages(t.Context(), realtime.MessageQuery{Limit: 10}) {
			break
		}
		require.Equal(t, before+1, len(s.commands(pb.CommandType_logs, 0)), "pages are fetched as they are needed")
	})
}

func TestMessageIterator(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		s.has("a", map[string]any{"m": []string{"Tom", "Jerry"}})
		tom := s.open("Tom")
		conv, err := tom.GetConversation(t.Context(), "a")
		require.NoError(t, err)
		all := s.history("a", 45)

		it := conv.MessageIterator(realtime.MessageQuery{})
		page, done, err := it.Next(t.Context())
		require.NoError(t, err)
		require.False(t, done)
		require.Equal(t, all[25:], ids(page))
		s.On(pb.CommandType_logs, 0, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			return sock.Fail(cmd, 4311)
		})
		_, done, err = it.Next(t.Context())
		require.ErrorIs(t, err, realtime.ErrConversationLogFailed)
		require.True(t, realtime.SafeToRetry(err))
		require.False(t, done)
		s.On(pb.CommandType_logs, 0, s.answerLogs)
		page, done, err = it.Next(t.Context())
		require.NoError(t, err)
		require.False(t, done)
		require.Equal(t, all[5:25], ids(page), "the same page again")
		page, done, err = it.Next(t.Context())
		require.NoError(t, err)
		require.True(t, done)
		require.Equal(t, all[:5], ids(page))
		page, done, err = it.Next(t.Context())
		require.NoError(t, err)
		require.True(t, done)
		require.Empty(t, page)
	})
}

// A server may return fewer than were asked for although there are more.
func TestMessagesFromServerThatCapsPages(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		s.has("a", map[string]any{"m": []string{"Tom", "Jerry"}})
		tom := s.open("Tom")
		conv, err := tom.GetConversation(t.Context(), "a")
		require.NoError(t, err)
		all := s.history("a", 250)
		s.On(pb.CommandType_logs, 0, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			cmd.LogsMessage.L = proto.Int32(min(100, cmd.GetLogsMessage().GetL()))
			return s.answerLogs(sock, cmd)
		})
		var got []string
		for m, err := range conv.Messages(t.Context(), realtime.MessageQuery{Limit: 1000, Direction: realtime.OldToNew}) {
			require.NoError(t, err)
			got = append(got, m.ID)
		}
		require.Equal(t, all, got)
	})
}

func TestHistoryDetails(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		s.has("a", map[string]any{"m": []string{"Tom", "Jerry"}})
		tom := s.open("Tom")
		conv, err := tom.GetConversation(t.Context(), "a")
		require.NoError(t, err)
		own := s.said("a", "Tom", "m1", "mine")
		own.AckAt, own.ReadAt = proto.Int64(epoch.UnixMilli()+5000), proto.Int64(epoch.UnixMilli()+6000)
		other := s.said("a", "Jerry", "m2", "yours")
		other.MentionPids, other.PatchTimestamp = []string{"Tom"}, proto.Int64(epoch.UnixMilli()+9000)
		binary := s.said("a", "Jerry", "m3", "")
		binary.Data, binary.Bin = proto.String("AQL/"), proto.Bool(true)
		broken := s.said("a", "Jerry", "m4", "")
		broken.Data, broken.Bin = proto.String("%%%"), proto.Bool(true)
		recalled := s.said("a", "Jerry", "m5", "")
		recalled.Data = proto.String(`{"_lctype":-127}`)

		got, err := conv.QueryMessages(t.Context(), realtime.MessageQuery{})
		require.NoError(t, err)
		require.Equal(t, []string{"m1", "m2", "m3", "m4", "m5"}, ids(got))
		require.Equal(t, realtime.StatusDelivered, got[0].Status)
		require.Equal(t, epoch.Add(5*time.Second), got[0].DeliveredAt)
		require.Equal(t, realtime.StatusNone, got[1].Status)
		require.True(t, got[1].Mentioned)
		require.Equal(t, epoch.Add(9*time.Second), got[1].UpdatedAt)
		require.Zero(t, got[1].DeliveredAt)
		require.Equal(t, realtime.NewBinaryMessage([]byte{1, 2, 255}), got[2].Content)
		require.Error(t, got[3].ContentErr())
		require.Equal(t, realtime.NewRawMessage("%%%"), got[3].Content)
		require.IsType(t, &realtime.RecalledMessage{}, got[4].Content)
		require.Equal(t, epoch.Add(5*time.Second), conv.LastDeliveredAt())
		require.Equal(t, epoch.Add(6*time.Second), conv.LastReadAt())
	})
}
