package realtime_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rttest"
)

func TestCallFailures(t *testing.T) {
	query := func(ctx context.Context, c *realtime.IMClient) error {
		_, err := c.OnlineClients(ctx, "x")
		return err
	}
	send := func(ctx context.Context, c *realtime.IMClient) error {
		conv, err := c.ParseConversation([]byte(`{"id":"x"}`))
		if err != nil {
			return err
		}
		_, err = conv.Send(ctx, realtime.NewTextMessage("hello"))
		return err
	}
	cause := errors.New("the user gave up")
	for _, tt := range []struct {
		name   string
		call   func(ctx context.Context, c *realtime.IMClient) error
		breaks func(w *world, cancel context.CancelCauseFunc)
		after  time.Duration
		want   []error
		safe   bool
	}{
		{"cancelled", query, func(_ *world, cancel context.CancelCauseFunc) { cancel(nil) },
			0, []error{context.Canceled, realtime.ErrOutcomeUnknown}, true},
		{"cancelled with a cause", query, func(_ *world, cancel context.CancelCauseFunc) { cancel(cause) },
			0, []error{context.Canceled, cause}, true},
		{"cancelled send", send, func(_ *world, cancel context.CancelCauseFunc) { cancel(nil) },
			0, []error{context.Canceled, realtime.ErrOutcomeUnknown}, false},
		{"no answer", query, func(*world, context.CancelCauseFunc) {},
			20 * time.Second, []error{realtime.ErrTimeout, context.DeadlineExceeded, realtime.ErrOutcomeUnknown}, true},
		{"no answer to a send", send, func(*world, context.CancelCauseFunc) {},
			20 * time.Second, []error{realtime.ErrTimeout, context.DeadlineExceeded, realtime.ErrOutcomeUnknown}, false},
		{"cut", query, func(w *world, _ context.CancelCauseFunc) { w.peer.Socket().Drop() },
			0, []error{realtime.ErrDisconnected, realtime.ErrOutcomeUnknown}, true},
		{"cut send", send, func(w *world, _ context.CancelCauseFunc) { w.peer.Socket().Drop() },
			0, []error{realtime.ErrDisconnected, realtime.ErrOutcomeUnknown}, false},
		{"paused", query, func(w *world, _ context.CancelCauseFunc) { w.rt.Pause() },
			0, []error{realtime.ErrDisconnected, realtime.ErrOutcomeUnknown}, true},
		{"kicked", query, func(w *world, _ context.CancelCauseFunc) {
			w.peer.Socket().Send(closed("Tom", realtime.ErrKickedByApp, "x"))
		}, 0, []error{realtime.ErrKickedByApp, realtime.ErrOutcomeUnknown}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				tom := w.open("Tom")
				w.peer.On(pb.CommandType_session, pb.OpType_query, silent)
				w.peer.On(pb.CommandType_direct, 0, silent)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				result := make(chan error, 1)
				start := time.Now()
				go func() { result <- tt.call(ctx, tom) }()
				synctest.Wait()
				tt.breaks(w, cancel)
				err := <-result
				require.Equal(t, tt.after, time.Since(start))
				for _, want := range tt.want {
					require.ErrorIs(t, err, want)
				}
				require.Equal(t, tt.safe, realtime.SafeToRetry(err), "%v", err)
			})
		})
	}
}

// An answer of the wrong kind is no success with nothing in it.
func TestAnswerOfAnotherKind(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.open("Tom")
		echo := func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			return s.Reply(cmd, pb.CommandType_echo, 0)
		}
		w.peer.On(pb.CommandType_session, pb.OpType_query, echo)
		w.peer.On(pb.CommandType_direct, 0, echo)
		_, err := tom.OnlineClients(t.Context(), "x")
		require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
		require.True(t, realtime.SafeToRetry(err))
		conv, err := tom.ParseConversation([]byte(`{"id":"x"}`))
		require.NoError(t, err)
		_, err = conv.Send(t.Context(), realtime.NewTextMessage("hello"))
		require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
		require.False(t, realtime.SafeToRetry(err))
	})
}

func TestADeadlineReplacesTheDefault(t *testing.T) {
	for _, d := range []time.Duration{time.Second, time.Hour} {
		inWorld(t, func(t *testing.T, w *world) {
			tom := w.open("Tom")
			w.peer.On(pb.CommandType_session, pb.OpType_query, silent)
			start := time.Now()
			_, err := tom.OnlineClients(after(t, d), "x")
			require.ErrorIs(t, err, realtime.ErrTimeout)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, d, time.Since(start))
		})
	}
}

func TestAFinishedContextSendsNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.open("Tom")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := tom.OnlineClients(ctx, "x")
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, realtime.ErrOutcomeUnknown)
		require.True(t, realtime.SafeToRetry(err))
		require.Empty(t, w.received(pb.CommandType_session, pb.OpType_query))
	})
}

func TestCommandTimeoutOption(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.open("Tom")
		w.peer.On(pb.CommandType_session, pb.OpType_query, silent)
		start := time.Now()
		_, err := tom.OnlineClients(t.Context(), "x")
		require.ErrorIs(t, err, realtime.ErrTimeout)
		require.Equal(t, 3*time.Second, time.Since(start))
	}, func(o *realtime.Options) { o.CommandTimeout = 3 * time.Second })
}

func TestRefusedCommand(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.open("Tom")
		w.peer.On(pb.CommandType_session, pb.OpType_query, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			reply := s.Reply(cmd, pb.CommandType_error, 0)
			reply.ErrorMessage = &pb.ErrorCommand{
				Code: proto.Int32(4401), Reason: proto.String("INVALID_MESSAGING_TARGET"), Detail: proto.String("nobody"),
				AppCode: proto.Int32(7), AppMsg: proto.String("says the app"),
			}
			return reply
		})
		_, err := tom.OnlineClients(t.Context(), "x")
		var e *realtime.Error
		require.ErrorAs(t, err, &e)
		require.ErrorIs(t, err, realtime.ErrInvalidMessagingTarget)
		require.Equal(t, "INVALID_MESSAGING_TARGET", e.Reason)
		require.Equal(t, "nobody", e.Detail)
		require.Equal(t, 7, e.AppCode)
		require.Equal(t, "says the app", e.AppMessage)

		w.peer.On(pb.CommandType_session, pb.OpType_query, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			reply := s.Reply(cmd, pb.CommandType_error, 0)
			reply.ErrorMessage = &pb.ErrorCommand{Code: proto.Int32(4303), Reason: proto.String("")}
			return reply
		})
		_, err = tom.OnlineClients(t.Context(), "x")
		require.ErrorAs(t, err, &e)
		require.Equal(t, "CONVERSATION_NOT_FOUND", e.Reason, "a server that names no reason")
	})
}

func TestIdenticalQuestionsShareAnAnswer(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom, jerry := w.open("Tom"), w.open("Jerry")
		w.peer.On(pb.CommandType_session, pb.OpType_query, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			time.AfterFunc(time.Second, func() { s.Send(w.peer.Usual(s, cmd)) })
			return nil
		})
		var wg sync.WaitGroup
		for _, c := range []*realtime.IMClient{tom, tom, tom, jerry} {
			wg.Go(func() {
				online, err := c.OnlineClients(t.Context(), "x")
				require.NoError(t, err)
				require.Equal(t, []string{"x"}, online)
			})
		}
		wg.Wait()
		require.Len(t, w.received(pb.CommandType_session, pb.OpType_query), 2)
	})
}

func TestManyCallsAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.open("Tom")
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				id := fmt.Sprint(i)
				online, err := tom.OnlineClients(t.Context(), id)
				require.NoError(t, err)
				require.Equal(t, []string{id}, online, "answers were mixed up")
			})
		}
		wg.Wait()
	})
}

func TestSecretsAreNeitherLoggedNorTold(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		// The world checks its log for secrets at the end of every test.
		signer := realtime.WithSigner(realtime.SignerFunc(func(context.Context, realtime.SignRequest) (realtime.Signature, error) {
			return realtime.Signature{Signature: secretSign, Timestamp: 1, Nonce: "n"}, nil
		}))
		w.peer.On(pb.CommandType_session, pb.OpType_open, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			reply := w.peer.Usual(s, cmd)
			reply.SessionMessage.St = proto.String("hunter2-session-token")
			return reply
		})
		tom := w.open("Tom", signer)
		conv, err := tom.ParseConversation([]byte(`{"id":"x"}`))
		require.NoError(t, err)
		w.peer.Socket().Drop()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Contains(t, w.logged(), "cmd=session/open")
		require.Contains(t, w.logged(), "cmd=session/opened")

		w.peer.On(pb.CommandType_session, pb.OpType_open, silent)
		_, err = w.rt.CreateIMClient(after(t, time.Second), "Jerry", signer)
		require.Error(t, err)
		never := w.rt.NewIMClient("Spike", realtime.WithSigner(realtime.MasterKeySigner("hunter2-master-key")),
			realtime.WithUserSession(secretUser))
		require.NoError(t, w.rt.Close(t.Context())) // nothing changes while they are printed
		synctest.Wait()                             // also what comes after the Close
		for _, v := range []any{err, w.rt, tom, conv, never} {
			require.NotContains(t, fmt.Sprintf("%v %+v %#v", v, v, v), "hunter2")
		}
	})
}

// Whatever is the same, asked while the first is under way, is asked once; but
// nobody gets an answer from before what the program knows already.
func TestWhatIsTheSameIsAskedOnce(t *testing.T) {
	type call = func(ctx context.Context, conv *realtime.Conversation) error
	count := func(ctx context.Context, conv *realtime.Conversation) error {
		_, err := conv.Count(ctx)
		return err
	}
	for name, test := range map[string]struct {
		call   call
		cmd    pb.CommandType
		op     pb.OpType
		merged bool
	}{
		"count": {count, pb.CommandType_conv, pb.OpType_count, true},
		"history": {func(ctx context.Context, conv *realtime.Conversation) error {
			_, err := conv.QueryMessages(ctx, realtime.MessageQuery{})
			return err
		}, pb.CommandType_logs, 0, true},
		"query": {func(ctx context.Context, conv *realtime.Conversation) error {
			_, err := conv.Client().Query().EqualTo("name", "x").Find(ctx)
			return err
		}, pb.CommandType_conv, pb.OpType_query, true},
		"add": {func(ctx context.Context, conv *realtime.Conversation) error { return conv.Add(ctx, "Mary") },
			pb.CommandType_conv, pb.OpType_add, true},
		"fetch": {func(ctx context.Context, conv *realtime.Conversation) error { return conv.Fetch(ctx) },
			pb.CommandType_conv, pb.OpType_query, false},
		"save": {func(ctx context.Context, conv *realtime.Conversation) error {
			return conv.Save(ctx, map[string]any{"n": map[string]any{"__op": "Increment", "amount": 1}})
		}, pb.CommandType_conv, pb.OpType_update, false},
		"create": {func(ctx context.Context, conv *realtime.Conversation) error {
			_, err := conv.Client().CreateConversation(ctx, realtime.ConversationOptions{NotUnique: true})
			return err
		}, pb.CommandType_conv, pb.OpType_start, false},
		"send": {func(ctx context.Context, conv *realtime.Conversation) error {
			_, err := conv.Send(ctx, realtime.NewTextMessage("x"))
			return err
		}, pb.CommandType_direct, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			withConversation(t, realtime.Options{}, func(t *testing.T, s *stage, _ *realtime.IMClient, conv *realtime.Conversation) {
				usual := s.Usual
				if test.op == pb.OpType_query {
					usual = s.answerQuery
				} else if test.cmd == pb.CommandType_logs {
					usual = s.answerLogs
				}
				s.On(test.cmd, test.op, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
					time.AfterFunc(time.Second, func() { sock.Send(usual(sock, cmd)) })
					return nil
				})
				before := len(s.commands(test.cmd, test.op))
				var wg sync.WaitGroup
				for range 4 {
					wg.Go(func() { assert.NoError(t, test.call(t.Context(), conv)) })
				}
				wg.Wait()
				want := 4
				if test.merged {
					want = 1
				}
				require.Len(t, s.commands(test.cmd, test.op), before+want)
				require.NoError(t, test.call(t.Context(), conv))
				require.Len(t, s.commands(test.cmd, test.op), before+want+1, "it is over")
			})
		})
	}

	for name, happens := range map[string]call{
		"nothing":     nil,
		"a change":    func(ctx context.Context, conv *realtime.Conversation) error { return conv.Add(ctx, "Mary") },
		"a refusal":   func(ctx context.Context, conv *realtime.Conversation) error { _ = conv.Remove(ctx, "Mary"); return nil },
		"another one": func(ctx context.Context, conv *realtime.Conversation) error { _, err := conv.IsMember(ctx); return err },
	} {
		t.Run("and meanwhile "+name, func(t *testing.T) {
			withConversation(t, realtime.Options{}, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
				s.On(pb.CommandType_conv, pb.OpType_count, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
					time.AfterFunc(time.Second, func() { sock.Send(s.Usual(sock, cmd)) })
					return nil
				})
				s.On(pb.CommandType_conv, pb.OpType_remove, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
					return sock.Fail(cmd, 4200)
				})
				var wg sync.WaitGroup
				wg.Go(func() { assert.NoError(t, count(t.Context(), conv)) })
				synctest.Wait()
				if happens != nil {
					require.NoError(t, happens(t.Context(), conv))
				}
				require.NoError(t, count(t.Context(), conv))
				wg.Wait()
				want := 1
				if name == "a change" || name == "a refusal" {
					want = 2
				}
				require.Len(t, s.commands(pb.CommandType_conv, pb.OpType_count), want)
			})
		})
	}
}
