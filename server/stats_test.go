package server_test

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server"
	"github.com/leanrtm/realtime/server/internal/wstest"
)

func TestStatsTellWhatHappened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Limits.SendRate = 2
		e := newEnv(t, o)
		require.Empty(t, changed(e.srv.Stats(), server.Stats{}), "nothing has happened")

		tom, jerry := e.login("tom"), e.login("jerry")
		cid := start(t, tom, "tom", "jerry")
		for i := range int32(2) {
			tom.Send(direct(cid, "hello", 10+i))
			until(t, tom, 10+i)
			message(t, jerry)
		}
		tom.Send(direct(cid, "one too many", 20))
		require.Equal(t, int32(wire.CodeMessageSentQuotaExceeded), until(t, tom, 20).GetAckMessage().GetCode())
		tom.Send(convCommand(pb.OpType_count, 21, &pb.ConvCommand{Cid: proto.String("000000000000000000000000")}))
		wantError(t, until(t, tom, 21), wire.CodeConversationNotFound)
		bad := openCommand("tom")
		bad.SessionMessage.St = proto.String("no token")
		stranger := e.connect()
		stranger.Send(bad)
		wantError(t, stranger.Read(), wire.CodeSessionTokenExpired)
		synctest.Wait()

		s := e.srv.Stats()
		require.Equal(t, int64(3), s.Connections)
		require.Equal(t, uint64(3), s.ConnectionsAccepted)
		require.Equal(t, int64(2), s.Sessions)
		require.Equal(t, uint64(2), s.Logins)
		require.Equal(t, uint64(1), s.LoginsFailed)
		require.Zero(t, s.LoginsResumed)
		require.Equal(t, uint64(2), s.Messages)
		require.Equal(t, uint64(1), s.RateLimited)
		require.Equal(t, map[int]uint64{
			int(wire.CodeMessageSentQuotaExceeded): 1, int(wire.CodeConversationNotFound): 1, int(wire.CodeSessionTokenExpired): 1,
		}, s.Refusals)
		require.Equal(t, uint64(3), s.Commands["session"])
		require.Equal(t, uint64(3), s.Commands["direct"])
		require.Equal(t, uint64(2), s.Commands["conv"])
		require.Equal(t, uint64(8), s.FramesIn)
		require.Greater(t, s.BytesIn, uint64(8*10))
		require.Greater(t, s.FramesOut, uint64(8+2))
		require.Greater(t, s.BytesOut, s.FramesOut*10)
		require.LessOrEqual(t, s.Writes, s.FramesOut)
		require.Zero(t, s.QueueFrames)
		require.Zero(t, s.QueueBytes)
		require.GreaterOrEqual(t, s.Commits, uint64(3)) // a conversation and two messages
		require.GreaterOrEqual(t, s.Commits, s.CommitCalls)
		require.Zero(t, s.CommitFailures)
		require.Equal(t, int64(1), s.CachedConversations)
		require.Positive(t, s.CacheHits)
		require.Positive(t, s.CacheMisses)
		require.Zero(t, s.WatermarkLag)

		jerry.Net.Close()
		stranger.Frame(wstest.OpBinary, []byte("no protobuf"))
		stranger.WantClosed(wire.CodeUnparseableRawMessage)
		stranger.Net.Close()
		synctest.Wait()
		back := openCommand("jerry")
		back.SessionMessage.R = proto.Bool(true)
		again := e.connect()
		again.Send(back)
		require.Equal(t, pb.OpType_opened, again.Read().GetOp())
		synctest.Wait()
		s = e.srv.Stats()
		require.Equal(t, uint64(1), s.LoginsResumed)
		require.Equal(t, int64(2), s.Sessions)
		require.Equal(t, int64(2), s.Connections)
		require.Equal(t, map[int]uint64{0: 1, int(wire.CodeUnparseableRawMessage): 1}, s.Disconnects)
		requireBalanced(t, s)

		require.NoError(t, e.srv.Close())
		s = e.srv.Stats()
		require.Zero(t, s.Connections)
		require.Zero(t, s.Sessions)
		requireBalanced(t, s)
		_, res := wstest.Try(t, e.net.Dial, addr, wstest.Request{})
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
		require.Equal(t, uint64(1), e.srv.Stats().ConnectionsRefused)
	})
}

// requireBalanced checks that no connection is counted twice or lost.
func requireBalanced(t *testing.T, s server.Stats) {
	t.Helper()
	ended := uint64(0)
	for _, n := range s.Disconnects {
		ended += n
	}
	require.Equal(t, s.ConnectionsAccepted, uint64(s.Connections)+ended)
}

// changed lists the fields that differ, but for maps with nothing but zeros.
func changed(a, b server.Stats) (names []string) {
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range va.NumField() {
		if va.Field(i).Kind() == reflect.Map {
			for it := va.Field(i).MapRange(); it.Next(); {
				if !it.Value().IsZero() {
					names = append(names, va.Type().Field(i).Name)
				}
			}
			continue
		}
		if !va.Field(i).Equal(vb.Field(i)) {
			names = append(names, va.Type().Field(i).Name)
		}
	}
	return names
}

func TestStatsWhileEverythingMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		var looking sync.WaitGroup
		stop := make(chan struct{})
		last := e.srv.Stats()
		looking.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(100 * time.Microsecond):
				}
				s := e.srv.Stats()
				requireBalanced(t, s)
				if s.FramesIn < last.FramesIn || s.Logins < last.Logins || s.LoginsResumed > s.Logins || s.QueueFrames < 0 || s.QueueBytes < 0 {
					t.Errorf("counters went wrong: %+v after %+v", s, last)
				}
				last = s
			}
		})
		for range 20 {
			tom, jerry := e.login("tom"), e.login("jerry")
			cid := start(t, tom, "tom", "jerry")
			for i := range int32(20) {
				tom.Send(direct(cid, "hello", 10+i))
				if i%5 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
			until(t, tom, 29)
			tom.Net.Close()
			jerry.Net.Close()
		}
		close(stop)
		looking.Wait()
		synctest.Wait()
		s := e.srv.Stats()
		require.Equal(t, uint64(400), s.Messages)
		require.Zero(t, s.QueueFrames)
		require.Zero(t, s.QueueBytes)
	})
}

func TestObserverIsToldHowLongThingsTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			mu       sync.Mutex
			commands []server.CommandObservation
			commits  []server.CommitObservation
			hooks    []server.HookObservation
		)
		note := func(f func()) { mu.Lock(); defer mu.Unlock(); f() }
		o := options()
		o.Observer = &server.Observer{
			Command: func(c server.CommandObservation) { note(func() { commands = append(commands, c) }) },
			Commit:  func(c server.CommitObservation) { note(func() { commits = append(commits, c) }) },
			Hook:    func(h server.HookObservation) { note(func() { hooks = append(hooks, h) }) },
		}
		broken := errors.New("no opinion")
		o.HookFailure = server.HookFailureRefuses
		o.Hooks = &server.Hooks{
			MessageReceived: func(_ context.Context, e *server.MessageReceived) (server.MessageVerdict, error) {
				time.Sleep(20 * ms)
				return server.MessageVerdict{}, nil
			},
			ConversationUpdate: func(context.Context, *server.ConversationUpdate) (server.UpdateVerdict, error) {
				return server.UpdateVerdict{}, broken
			},
			MessageSent: func(context.Context, *server.MessageSent) { time.Sleep(time.Second) },
		}
		e := newEnv(t, o)
		tom := e.login("tom")
		cid := start(t, tom, "tom", "jerry")
		tom.Send(direct(cid, "hello", 10))
		until(t, tom, 10)
		synctest.Wait() // the reply is out a moment before the command counts as finished
		tom.Send(convCommand(pb.OpType_update, 11, &pb.ConvCommand{Cid: proto.String(cid), Attr: &pb.JsonObjectMessage{Data: proto.String(`{"a":1}`)}}))
		wantError(t, until(t, tom, 11), wire.CodeConversationRejectedByApp)
		synctest.Wait()
		tom.Send(convCommand(pb.OpType_opened, 12, nil)) // nothing that a client may ask for
		until(t, tom, 12)
		tom.Send(&pb.GenericCommand{Cmd: pb.CommandType_ack.Enum(), AckMessage: &pb.AckCommand{Cid: proto.String(cid)}}) // has no reply
		synctest.Wait()
		require.Equal(t, int64(1), e.srv.Stats().HooksWaiting)
		time.Sleep(2 * time.Second)

		mu.Lock()
		defer mu.Unlock()
		names := make([]string, len(commands))
		for i, c := range commands {
			names[i] = c.Name
		}
		require.Equal(t, []string{"session/open", "conv/start", "direct", "conv/update", "conv", "ack"}, names)
		require.Equal(t, 20*ms, commands[2].Took)
		require.Zero(t, commands[2].Code)
		require.Equal(t, int(wire.CodeConversationRejectedByApp), commands[3].Code)
		require.Equal(t, int(wire.CodeInternalError), commands[4].Code)
		require.Zero(t, commands[5].Code)

		require.Equal(t, []server.HookObservation{
			{Name: server.HookMessageReceived, Took: 20 * ms},
			{Name: server.HookConversationUpdate, Err: broken},
			{Name: server.HookMessageSent, Took: time.Second},
		}, hooks)
		s := e.srv.Stats()
		require.Equal(t, uint64(3), s.HookCalls)
		require.Equal(t, uint64(1), s.HookFailures)
		require.Zero(t, s.HooksWaiting)
		batches := 0
		for _, c := range commits {
			require.Zero(t, c.Failed)
			batches += c.Batches
		}
		require.Equal(t, s.Commits, uint64(batches))
		require.Len(t, commits, int(s.CommitCalls))
	})
}
