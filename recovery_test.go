package realtime_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

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
		// What the caller could not know arrives as an event.
		require.Equal(t, []string{"a: Tom: second (recovered)", "recovered 1 of [a], failed 0"}, l.take())
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
			"c: 1 unread, mentioned false", "c: Jerry: welcome to c (recovered)",
		}, got[4:10])
		require.Len(t, got, 11)
		require.Contains(t, got[10], "recovered 3 of ")
	})
}
