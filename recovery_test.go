package realtime_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rttest"
)

func TestRecoversWhatWasMissed(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		s.has("a", map[string]any{"m": []string{"Tom", "Jerry"}})
		s.has("b", map[string]any{"m": []string{"Tom", "Jerry"}})
		s.said("a", "Jerry", "before", "before login")
		time.Sleep(time.Second)
		tom := s.rt.NewIMClient("Tom")
		l := listen(tom)
		s.tellUnread()
		require.NoError(t, tom.Open(t.Context()))

		time.Sleep(time.Second)
		s.push("Tom", "a", s.said("a", "Jerry", "m1", "live"))
		require.Equal(t, []string{"a: 1 unread, mentioned false", "a: Jerry: live"}, l.take())

		s.Socket().Drop()
		synctest.Wait()
		var want []string
		for i := range 250 {
			time.Sleep(time.Millisecond)
			s.said("a", "Jerry", fmt.Sprintf("missed%03d", i), fmt.Sprint("missed ", i))
			want = append(want,
				fmt.Sprintf("a: %d unread, mentioned false", 2+i),
				fmt.Sprintf("a: Jerry: missed %d (recovered)", i))
		}
		time.Sleep(2 * time.Second)
		got := l.take()
		require.Equal(t, append(want, "recovered 250 of [a], failed 0"), got)

		s.push("Tom", "a", s.said("a", "Jerry", "m2", "live again"))
		require.Equal(t, []string{"a: 252 unread, mentioned false", "a: Jerry: live again"}, l.take())
	})
}

// A message may be pushed while the history that contains it is fetched.
func TestRecoveredMessageIsNotDeliveredTwice(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		s.has("a", map[string]any{"m": []string{"Tom", "Jerry"}})
		tom := s.rt.NewIMClient("Tom")
		l := listen(tom)
		s.tellUnread()
		require.NoError(t, tom.Open(t.Context()))
		s.Socket().Drop()
		time.Sleep(10 * time.Millisecond)
		missed := s.said("a", "Jerry", "m1", "missed")
		s.On(pb.CommandType_logs, 0, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			time.Sleep(10 * time.Millisecond)
			newer := s.said("a", "Jerry", "m2", "newer")
			sock.Send(direct("Tom", "a", missed), direct("Tom", "a", newer))
			return s.answerLogs(sock, cmd)
		})
		time.Sleep(5 * time.Second)
		require.Equal(t, []string{
			"a: 1 unread, mentioned false", "a: Jerry: missed (recovered)",
			"a: 2 unread, mentioned false", "a: Jerry: newer (recovered)",
			"recovered 2 of [a], failed 0",
		}, l.take())
	})
}

func TestOwnSendsAreNotRecovered(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		s.has("a", map[string]any{"m": []string{"Tom", "Jerry"}})
		tom := s.rt.NewIMClient("Tom")
		l := listen(tom)
		require.NoError(t, tom.Open(t.Context()))
		conv, err := tom.GetConversation(t.Context(), "a")
		require.NoError(t, err)
		stored := 0
		s.On(pb.CommandType_direct, 0, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			stored++
			reply := s.Usual(sock, cmd)
			item := s.said("a", "Tom", reply.GetAckMessage().GetUid(), "")
			item.Data = cmd.GetDirectMessage().Msg
			if stored == 2 { // executed, but the answer is lost
				sock.Drop()
				return nil
			}
			return reply
		})
		time.Sleep(time.Second)
		_, err = conv.Send(t.Context(), realtime.NewTextMessage("first"))
		require.NoError(t, err)
		_, err = conv.Send(t.Context(), realtime.NewTextMessage("second"))
		require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
		require.False(t, realtime.SafeToRetry(err))
		time.Sleep(5 * time.Second)
		// That it turns out to have been sent is a status, and no news.
		require.Equal(t, []string{"recovered 0 of [], failed 0"}, l.take())
	})
}

func TestRecoveryReportsFailures(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		s.has("a", map[string]any{"m": []string{"Tom"}})
		s.has("b", map[string]any{"m": []string{"Tom"}})
		tom := s.rt.NewIMClient("Tom")
		var report *realtime.RecoveredEvent
		tom.OnRecovered(func(_ context.Context, e *realtime.RecoveredEvent) { report = e })
		require.NoError(t, tom.Open(t.Context()))
		s.Socket().Drop()
		time.Sleep(10 * time.Millisecond)
		s.said("a", "Jerry", "m1", "hi")
		s.said("b", "Jerry", "m2", "hi")
		s.On(pb.CommandType_logs, 0, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			if cmd.GetLogsMessage().GetCid() == "b" {
				return sock.Fail(cmd, 4312)
			}
			return s.answerLogs(sock, cmd)
		})
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.NotNil(t, report)
		require.Equal(t, 1, report.Messages)
		require.Equal(t, []string{"a"}, report.Conversations)
		require.Len(t, report.Failed, 1)
		require.Equal(t, "b", report.Failed[0].ConversationID)
		require.ErrorIs(t, report.Failed[0].Err, realtime.ErrConversationLogRejected)
	})
}

// The connection is lost again while the history is fetched: nothing may be
// lost, repeated or out of order.
func TestRecoveryGoesOnAfterAnotherLoss(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		s.has("a", map[string]any{"m": []string{"Tom"}})
		tom := s.rt.NewIMClient("Tom")
		l := listen(tom)
		s.tellUnread()
		require.NoError(t, tom.Open(t.Context()))
		s.Socket().Drop()
		var want []string
		for i := range 150 {
			time.Sleep(time.Millisecond)
			s.said("a", "Jerry", fmt.Sprintf("m%03d", i), fmt.Sprint(i))
			want = append(want, fmt.Sprintf("a: %d unread, mentioned false", i+1), fmt.Sprintf("a: Jerry: %d (recovered)", i))
		}
		pages := 0
		s.On(pb.CommandType_logs, 0, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			if pages++; pages == 2 {
				time.Sleep(time.Millisecond)
				sock.Send(direct("Tom", "a", s.said("a", "Jerry", "m150", "150")))
				sock.Drop()
				return nil
			}
			return s.answerLogs(sock, cmd)
		})
		time.Sleep(10 * time.Second)
		want = append(want, "a: 151 unread, mentioned false", "a: Jerry: 150 (recovered)")
		require.Equal(t, append(want, "recovered 51 of [a], failed 0"), l.take())
	})
}

// So many messages were missed that the handlers cannot keep up: recovery
// waits for them, and for a reconnect that one of them waits for.
func TestRecoveryWaitsForHandlers(t *testing.T) {
	onStage(t, realtime.Options{EventQueue: 32}, func(t *testing.T, s *stage) {
		s.has("a", map[string]any{"m": []string{"Tom"}})
		tom := s.rt.NewIMClient("Tom")
		var got []string
		sent := false
		tom.OnMessage(func(ctx context.Context, e *realtime.MessageEvent) {
			got = append(got, e.Message.Text())
			time.Sleep(10 * time.Millisecond)
			if len(got) == 20 && !sent {
				sent = true
				s.Socket().Drop()
				_, err := e.Conversation.Send(ctx, realtime.NewTextMessage("hello"), realtime.WithRetry())
				require.NoError(t, err)
			}
		})
		require.NoError(t, tom.Open(t.Context()))
		s.Socket().Drop()
		var want []string
		for i := range 200 {
			time.Sleep(time.Millisecond)
			s.said("a", "Jerry", fmt.Sprintf("m%03d", i), fmt.Sprint(i))
			want = append(want, fmt.Sprint(i))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.True(t, sent)
		require.Equal(t, want, got)
		require.NoError(t, tom.Err())
	})
}

func TestWithoutRecovery(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		s.has("a", map[string]any{"m": []string{"Tom"}})
		tom := s.rt.NewIMClient("Tom", realtime.WithoutRecovery())
		l := listen(tom)
		require.NoError(t, tom.Open(t.Context()))
		s.Socket().Drop()
		time.Sleep(10 * time.Millisecond)
		s.said("a", "Jerry", "m1", "missed")
		time.Sleep(5 * time.Second)
		require.Empty(t, l.take())
		s.push("Tom", "a", s.said("a", "Jerry", "m2", "live"))
		require.Equal(t, []string{"a: 1 unread, mentioned false", "a: Jerry: live"}, l.take())
	})
}

func TestMissedInvitations(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		tom := s.rt.NewIMClient("Tom")
		l := listen(tom)
		s.tellUnread()
		require.NoError(t, tom.Open(t.Context()))
		s.Socket().Drop()
		for i, id := range []string{"a", "b", "c"} {
			time.Sleep(10 * time.Millisecond)
			s.has(id, map[string]any{"m": []string{"Tom", "Jerry"}})
			s.said(id, "Jerry", fmt.Sprint("early", i), "before Tom came")
			time.Sleep(10 * time.Millisecond)
			s.notify("joined", id, "Jerry")
			time.Sleep(10 * time.Millisecond)
			s.said(id, "Jerry", fmt.Sprint("late", i), "welcome to "+id)
		}
		s.notify("left", "c", "Jerry")
		time.Sleep(5 * time.Second)
		got := l.take()
		require.Equal(t, []string{
			"a: invited by Jerry (recovered)", "b: invited by Jerry (recovered)",
			"c: invited by Jerry (recovered)", "c: kicked by Jerry (recovered)",
		}, got[:4])
		require.ElementsMatch(t, []string{
			"a: 1 unread, mentioned false", "a: Jerry: welcome to a (recovered)",
			"b: 1 unread, mentioned false", "b: Jerry: welcome to b (recovered)",
		}, got[4:8], "what was said in c is for members")
		require.Contains(t, got[8], "recovered 2 of ")
		require.Len(t, got, 9)
	})
}

// Conversations that no query finds by their members are recovered as well.
func TestRecoversOtherKinds(t *testing.T) {
	patient := func(attempt int) time.Duration { return time.Duration(1+20*min(attempt, 1)) * time.Second }
	onStage(t, realtime.Options{Backoff: patient}, func(t *testing.T, s *stage) {
		s.has("room", map[string]any{"conv_type": 2, "tr": true})
		s.has("oldroom", map[string]any{"conv_type": 2, "tr": true})
		s.has("joined", map[string]any{"conv_type": 3, "sys": true, "joined": true})
		s.has("other", map[string]any{"conv_type": 3, "sys": true})
		s.has("_tmp:held", map[string]any{"conv_type": 4, "ttl": 3600, "m": []string{"Tom", "Jerry"}})
		s.has("_tmp:ended", map[string]any{"conv_type": 4, "ttl": 1, "m": []string{"Tom", "Jerry"}})
		tom := s.rt.NewIMClient("Tom")
		l := listen(tom)
		s.tellUnread()
		require.NoError(t, tom.Open(t.Context()))
		for _, id := range []string{"oldroom", "room"} {
			room, err := tom.GetConversation(t.Context(), id)
			require.NoError(t, err)
			time.Sleep(time.Second)
			s.said(id, "Jerry", "before-"+id, "before Tom came in")
			time.Sleep(time.Second)
			require.NoError(t, room.Join(t.Context()))
		}
		for _, id := range []string{"_tmp:held", "_tmp:ended"} {
			conv, err := tom.GetConversation(t.Context(), id)
			require.NoError(t, err)
			conv.OnMessage(func(context.Context, *realtime.MessageEvent) {})
		}
		time.Sleep(time.Second)
		s.push("Tom", "room", s.said("room", "Jerry", "seen", "seen"))
		synctest.Wait()
		l.take()

		s.Socket().Drop()
		time.Sleep(10 * time.Millisecond)
		for _, id := range []string{"room", "oldroom", "joined", "other", "_tmp:held", "_tmp:ended"} {
			s.said(id, "Jerry", "missed-"+id, "missed")
		}
		time.Sleep(5 * time.Second)
		got := l.take()
		require.ElementsMatch(t, []string{
			"room: Jerry: missed (recovered)",
			"joined: 1 unread, mentioned false", "joined: Jerry: missed (recovered)",
			"_tmp:held: 1 unread, mentioned false", "_tmp:held: Jerry: missed (recovered)",
		}, got[:5])
		require.Len(t, got, 6)

		// After half an hour the server does not bring the client back.
		s.Refuse(503)
		s.Socket().Drop()
		time.Sleep(time.Minute)
		s.said("room", "Jerry", "late", "late")
		time.Sleep(time.Hour)
		s.Refuse(0)
		time.Sleep(time.Minute)
		require.Equal(t, []string{"recovered 0 of [], failed 0"}, l.take())
	})
}

// What a query did not find is found by the unread counts.
func TestRecoversWhatUnreadCountsTell(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		s.has("shy", map[string]any{"conv_type": 3, "sys": true})
		tom := s.rt.NewIMClient("Tom")
		l := listen(tom)
		require.NoError(t, tom.Open(t.Context()))
		s.Socket().Drop()
		time.Sleep(10 * time.Millisecond)
		s.said("shy", "Jerry", "m1", "one")
		time.Sleep(10 * time.Millisecond)
		last := s.said("shy", "Jerry", "m2", "two")
		tell := func() {
			s.Socket().Send(&pb.GenericCommand{
				Cmd: pb.CommandType_unread.Enum(), PeerId: proto.String("Tom"),
				UnreadMessage: &pb.UnreadCommand{NotifTime: proto.Int64(time.Now().UnixMilli()), Convs: []*pb.UnreadTuple{{
					Cid: proto.String("shy"), Unread: proto.Int32(2), Mid: last.MsgId, Timestamp: last.Timestamp, From: last.From, Data: last.Data,
				}}},
			})
		}
		s.On(pb.CommandType_logs, 0, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			// Lost in the middle; what was said meanwhile waits for its turn.
			time.Sleep(10 * time.Millisecond)
			sock.Send(direct("Tom", "shy", s.said("shy", "Jerry", "m3", "three")))
			sock.Drop()
			s.On(pb.CommandType_logs, 0, s.answerLogs)
			return nil
		})
		time.Sleep(1500 * time.Millisecond)
		require.Equal(t, []string{"recovered 0 of [], failed 0"}, l.take())
		tell()
		time.Sleep(5 * time.Second)
		require.Equal(t, []string{"recovered 0 of [], failed 0"}, l.take(), "a count without its messages is not shown")
		last = s.logs["shy"][2]
		tell()
		tell()
		require.Equal(t, []string{
			"shy: Jerry: one (recovered)", "shy: Jerry: two (recovered)", "shy: Jerry: three (recovered)",
			"recovered 3 of [shy], failed 0", "shy: 2 unread, mentioned false",
		}, l.take())
	})
}

func TestRecoveryReportsWhatItCouldNotAsk(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		for i := range 20 {
			s.has(fmt.Sprintf("c%02d", i), map[string]any{"m": []string{"Tom"}})
		}
		tom := s.rt.NewIMClient("Tom")
		var reports []*realtime.RecoveredEvent
		tom.OnRecovered(func(_ context.Context, e *realtime.RecoveredEvent) { reports = append(reports, e) })
		require.NoError(t, tom.Open(t.Context()))
		lose := func() *realtime.RecoveredEvent {
			n := len(reports)
			s.Socket().Drop()
			time.Sleep(10 * time.Millisecond)
			for i := range 20 {
				s.said(fmt.Sprintf("c%02d", i), "Jerry", s.ID("m"), "hi")
			}
			time.Sleep(5 * time.Minute)
			synctest.Wait()
			require.Len(t, reports, n+1)
			return reports[n]
		}
		s.On(pb.CommandType_conv, pb.OpType_query, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			return sock.Fail(cmd, 4310)
		})
		report := lose()
		require.Zero(t, report.Messages)
		require.Len(t, report.Failed, 1)
		require.Empty(t, report.Failed[0].ConversationID)
		require.ErrorIs(t, report.Failed[0].Err, realtime.ErrConversationQueryFailed)

		// Nobody answers: it does not wait for each of them.
		s.On(pb.CommandType_conv, pb.OpType_query, s.answerQuery)
		s.On(pb.CommandType_logs, 0, func(*rttest.Socket, *pb.GenericCommand) *pb.GenericCommand { return nil })
		began := time.Now()
		report = lose()
		require.Len(t, report.Failed, 20)
		require.ErrorIs(t, report.Failed[19].Err, realtime.ErrTimeout)
		require.Less(t, time.Since(began), 6*time.Minute)
		s.On(pb.CommandType_logs, 0, s.answerLogs)
		report = lose()
		require.Equal(t, 40, report.Messages, "the others were tried again: they are not old enough to be given up")
		require.Empty(t, report.Failed)
	})
}
