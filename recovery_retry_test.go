package realtime_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rttest"
)

// Questions that nobody answers at first are asked again. What is pushed
// meanwhile waits.
func TestRecoveryAsksAgain(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		for _, id := range []string{"a", "b"} {
			s.has(id, map[string]any{"m": []string{"Tom"}})
		}
		tom := s.rt.NewIMClient("Tom")
		l := listen(tom)
		s.tellUnread()
		require.NoError(t, tom.Open(t.Context()))
		s.Socket().Drop()
		time.Sleep(10 * time.Millisecond)
		s.said("a", "Jerry", "a1", "one")
		s.said("b", "Jerry", "b1", "one")
		asked := map[string]int{}
		failing := func(what string, times int, answer rttest.Handler) rttest.Handler {
			return func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
				s.mu.Lock()
				asked[what]++
				n := asked[what]
				s.mu.Unlock()
				switch {
				case n > times:
					return answer(sock, cmd)
				case n%2 == 1:
					return nil // no answer
				}
				return sock.Fail(cmd, 4200)
			}
		}
		s.On(pb.CommandType_conv, pb.OpType_query, failing("query", 1, s.answerQuery))
		logs := map[string]rttest.Handler{"a": failing("a", 0, s.answerLogs), "b": failing("b", 2, s.answerLogs)}
		s.On(pb.CommandType_logs, 0, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			return logs[cmd.GetLogsMessage().GetCid()](sock, cmd)
		})
		time.Sleep(25 * time.Second)
		s.push("Tom", "a", s.said("a", "Jerry", "a2", "two"))
		s.push("Tom", "b", s.said("b", "Jerry", "b2", "two"))
		time.Sleep(time.Minute)
		var got []string
		for _, line := range l.take() {
			if !containsUnread(line) {
				got = append(got, line)
			}
		}
		require.Equal(t, []string{
			"a: Jerry: one (recovered)", "b: Jerry: one (recovered)", "b: Jerry: two (recovered)",
			"recovered 3 of [a b], failed 0", "a: Jerry: two",
		}, got)
		require.Equal(t, 3, asked["b"])
	})
}

// Asking again has bounds: a time, the end of the session, and what waits
// meanwhile.
func TestRecoveryStopsAskingAgain(t *testing.T) {
	missing := func(f func(t *testing.T, s *stage, asked *atomic.Int32, report func() *realtime.RecoveredEvent)) {
		onStage(t, realtime.Options{EventQueue: 64}, func(t *testing.T, s *stage) {
			s.has("a", map[string]any{"m": []string{"Tom"}})
			tom := s.rt.NewIMClient("Tom")
			var report atomic.Pointer[realtime.RecoveredEvent]
			tom.OnRecovered(func(_ context.Context, e *realtime.RecoveredEvent) { report.Store(e) })
			require.NoError(t, tom.Open(t.Context()))
			s.Socket().Drop()
			time.Sleep(10 * time.Millisecond)
			s.said("a", "Jerry", "m1", "one")
			var asked atomic.Int32
			s.On(pb.CommandType_logs, 0, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
				asked.Add(1)
				return sock.Fail(cmd, 4200)
			})
			time.Sleep(3 * time.Second)
			synctest.Wait()
			require.Positive(t, asked.Load())
			require.Nil(t, report.Load())
			f(t, s, &asked, func() *realtime.RecoveredEvent { synctest.Wait(); return report.Load() })
			require.NoError(t, tom.Err())
		})
	}
	missing(func(t *testing.T, s *stage, asked *atomic.Int32, report func() *realtime.RecoveredEvent) {
		time.Sleep(25 * time.Second)
		require.Nil(t, report(), "not yet")
		time.Sleep(30 * time.Second)
		require.Len(t, report().Failed, 1)
		require.Equal(t, "a", report().Failed[0].ConversationID)
		require.ErrorIs(t, report().Failed[0].Err, realtime.ErrInternalError)
		require.Less(t, asked.Load(), int32(12))
	})
	missing(func(t *testing.T, s *stage, asked *atomic.Int32, report func() *realtime.RecoveredEvent) {
		s.On(pb.CommandType_logs, 0, s.answerLogs)
		s.Socket().Drop() // before it is asked again
		time.Sleep(3 * time.Second)
		require.NotNil(t, report(), "the next session does not wait")
		require.Empty(t, report().Failed)
		require.Equal(t, 1, report().Messages)
	})
	missing(func(t *testing.T, s *stage, asked *atomic.Int32, report func() *realtime.RecoveredEvent) {
		for i := range 20 {
			s.push("Tom", "a", s.said("a", "Jerry", fmt.Sprint("live", i), "live"))
		}
		time.Sleep(time.Second)
		require.Len(t, report().Failed, 1)
	})
}

// While nothing comes from the server at all, recovery does not give up.
func TestRecoveryOutlastsASilentConnection(t *testing.T) {
	for silent, failed := range map[bool]int{true: 0, false: 1} {
		onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
			s.has("a", map[string]any{"m": []string{"Tom"}})
			s.has("b", map[string]any{"m": []string{"Tom"}})
			tom := s.rt.NewIMClient("Tom")
			var report *realtime.RecoveredEvent
			tom.OnRecovered(func(_ context.Context, e *realtime.RecoveredEvent) { report = e })
			require.NoError(t, tom.Open(t.Context()))
			s.Socket().Drop()
			time.Sleep(10 * time.Millisecond)
			s.said("a", "Jerry", "m1", "one")
			s.On(pb.CommandType_logs, 0, func(*rttest.Socket, *pb.GenericCommand) *pb.GenericCommand { return nil })
			for range 24 {
				time.Sleep(5 * time.Second)
				if !silent {
					s.Socket().Send(&pb.GenericCommand{
						Cmd: pb.CommandType_rcp.Enum(), PeerId: proto.String("Tom"),
						RcpMessage: &pb.RcpCommand{Cid: proto.String("b"), Id: proto.String("old"), T: proto.Int64(1)},
					})
				}
			}
			synctest.Wait()
			require.Equal(t, silent, report == nil)
			s.On(pb.CommandType_logs, 0, s.answerLogs)
			time.Sleep(time.Minute)
			synctest.Wait()
			require.Len(t, report.Failed, failed)
			require.Equal(t, 1-failed, report.Messages)
		})
	}
}

// The notifications come by HTTP, whose failures pass as well.
func TestRecoveryAsksForNotificationsAgain(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		s.has("a", map[string]any{"m": []string{"Tom"}})
		tom := s.rt.NewIMClient("Tom")
		var report *realtime.RecoveredEvent
		tom.OnRecovered(func(_ context.Context, e *realtime.RecoveredEvent) { report = e })
		require.NoError(t, tom.Open(t.Context()))
		asked := 0
		s.noteFailure = func(w http.ResponseWriter, r *http.Request) bool {
			switch asked++; asked {
			case 1:
				<-r.Context().Done() // no answer
			case 2:
				w.WriteHeader(http.StatusServiceUnavailable)
			case 3:
				panic(http.ErrAbortHandler) // the connection is lost
			}
			return asked <= 3
		}
		s.Socket().Drop()
		time.Sleep(time.Minute)
		synctest.Wait()
		require.NotNil(t, report)
		require.Empty(t, report.Failed)
		require.Equal(t, 4, asked)
	})
}

// A server that has lost the session but not the connection is asked again later;
// meanwhile nothing counts as recovered.
func TestRecoveryWithoutASession(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		s.has("a", map[string]any{"m": []string{"Tom"}})
		tom := s.rt.NewIMClient("Tom")
		l := listen(tom)
		s.tellUnread()
		require.NoError(t, tom.Open(t.Context()))
		asked := 0
		s.On(pb.CommandType_logs, 0, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			if asked++; asked <= 2 {
				return sock.Fail(cmd, 4105)
			}
			return s.answerLogs(sock, cmd)
		})
		s.Socket().Drop()
		time.Sleep(10 * time.Millisecond)
		s.said("a", "Jerry", "m1", "one")
		time.Sleep(4 * time.Second)
		require.Empty(t, l.take())
		time.Sleep(4 * time.Second)
		require.Equal(t, []string{"a: 1 unread, mentioned false", "a: Jerry: one (recovered)", "recovered 1 of [a], failed 0"}, l.take())
		require.Equal(t, 3, asked)
	})
}

// What many counts of a login tell to be missing is not waited for again and again.
func TestRecoveryOfManyTakesNoLonger(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
			const n = 40
			for i := range n {
				s.has(fmt.Sprint("c", i), map[string]any{"m": []string{"Tom"}})
			}
			s.has("live", map[string]any{"m": []string{"Tom"}})
			tom := s.rt.NewIMClient("Tom")
			s.tellUnread()
			require.NoError(t, tom.Open(t.Context()))
			failed := map[string]bool{}
			var start time.Time
			var heard atomic.Int64 // how long after start, in ns
			tom.OnRecovered(func(_ context.Context, e *realtime.RecoveredEvent) {
				for _, f := range e.Failed {
					failed[f.ConversationID] = true
				}
			})
			s.Socket().Drop()
			time.Sleep(10 * time.Millisecond)
			for i := range n {
				s.said(fmt.Sprint("c", i), "Jerry", fmt.Sprint("m", i), "one")
			}
			s.On(pb.CommandType_logs, 0, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
				if !refuse {
					return nil
				}
				return sock.Fail(cmd, 4200)
			})
			time.Sleep(3 * time.Second)
			start = time.Now()
			tom.OnMessage(func(context.Context, *realtime.MessageEvent) { heard.Store(int64(time.Since(start))) })
			for range 60 {
				time.Sleep(5 * time.Second)
				if heard.Load() == 0 && time.Since(start) < 10*time.Second {
					s.push("Tom", "live", s.said("live", "Jerry", fmt.Sprint(time.Now().UnixNano()), "now"))
				}
				s.Socket().Send(&pb.GenericCommand{
					Cmd: pb.CommandType_rcp.Enum(), PeerId: proto.String("Tom"),
					RcpMessage: &pb.RcpCommand{Cid: proto.String("live"), Id: proto.String("old"), T: proto.Int64(1)},
				})
			}
			synctest.Wait()
			require.Len(t, failed, n)
			require.Positive(t, heard.Load())
			require.Less(t, time.Duration(heard.Load()), 2*time.Minute)
		})
	}
}

// An answer that tells nothing of receipts does no harm.
func TestMissedReceiptsOfASilentServer(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		s.has("a", map[string]any{"m": []string{"Tom", "Jerry"}})
		tom := s.rt.NewIMClient("Tom")
		require.NoError(t, tom.Open(t.Context()))
		conv, err := tom.GetConversation(t.Context(), "a")
		require.NoError(t, err)
		_, err = conv.Send(t.Context(), realtime.NewTextMessage("hello"), realtime.WithReceipt())
		require.NoError(t, err)
		asked := 0
		s.On(pb.CommandType_conv, pb.OpType_max_read, func(_ *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			asked++
			return &pb.GenericCommand{Cmd: pb.CommandType_conv.Enum(), Op: pb.OpType_max_read.Enum(), I: cmd.I, PeerId: cmd.PeerId}
		})
		s.Socket().Drop()
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Positive(t, asked)
		require.NoError(t, tom.Err())
	})
}
