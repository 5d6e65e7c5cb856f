package realtime_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rttest"
	"github.com/leanrtm/realtime/internal/wire"
)

func TestLogin(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		require.Equal(t, realtime.StateInitialized, w.rt.State())
		tom, err := w.rt.CreateIMClient(t.Context(), "Tom", realtime.WithTag("Mobile"))
		require.NoError(t, err)
		require.Equal(t, "Tom", tom.ID())
		require.Same(t, w.rt, tom.Realtime())
		require.Equal(t, realtime.StateConnected, w.rt.State())
		require.NoError(t, tom.Err())

		opens := w.received(pb.CommandType_session, pb.OpType_open)
		require.Len(t, opens, 1)
		open, m := opens[0], opens[0].GetSessionMessage()
		require.Equal(t, "app", open.GetAppId())
		require.Equal(t, "Tom", open.GetPeerId())
		require.NotZero(t, open.GetI())
		require.NotNil(t, m.R, "r must be there even when it is false")
		require.False(t, m.GetR())
		require.NotEmpty(t, m.GetUa())
		require.Equal(t, "Mobile", m.GetTag())
		require.Equal(t, "device", m.GetDeviceId())
		require.Equal(t, int64(wire.BitPatch|wire.BitTemporary|wire.BitTransientAck|wire.BitNotifications|wire.BitPartialResult), m.GetConfigBitmap())
		require.NotZero(t, m.GetLastPatchTime())
		require.Nil(t, m.LastUnreadNotifTime)
		require.Nil(t, m.S)
		require.Nil(t, m.T)
		require.Nil(t, m.N)
		require.Nil(t, m.St)
	})
}

func TestLoginWithSignature(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var asked realtime.SignRequest
		_, err := w.rt.CreateIMClient(t.Context(), "Tom", realtime.WithSigner(realtime.SignerFunc(
			func(_ context.Context, r realtime.SignRequest) (realtime.Signature, error) {
				asked = r
				return realtime.Signature{Signature: secretSign, Timestamp: 1453014943, Nonce: "n"}, nil
			})))
		require.NoError(t, err)
		require.Equal(t, realtime.SignRequest{Action: realtime.SignLogin, AppID: "app", ClientID: "Tom"}, asked)
		m := w.received(pb.CommandType_session, pb.OpType_open)[0].GetSessionMessage()
		require.Equal(t, secretSign, m.GetS())
		require.Equal(t, int64(1453014943), m.GetT(), "the number that was signed must not be converted")
		require.Equal(t, "n", m.GetN())
	})
}

func TestSignerOutcomes(t *testing.T) {
	broken := errors.New("signing service is down")
	for _, tt := range []struct {
		name string
		sig  realtime.Signature
		err  error
		want error // nil: the login goes unsigned
	}{
		{"zero leaves it unsigned", realtime.Signature{}, nil, nil},
		{"error fails the call", realtime.Signature{}, broken, broken},
		{"malformed", realtime.Signature{Timestamp: 1, Nonce: "n"}, nil, realtime.ErrInvalidArgument},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				_, err := w.rt.CreateIMClient(t.Context(), "Tom", realtime.WithSigner(realtime.SignerFunc(
					func(context.Context, realtime.SignRequest) (realtime.Signature, error) { return tt.sig, tt.err })))
				opens := w.received(pb.CommandType_session, pb.OpType_open)
				if tt.want == nil {
					require.NoError(t, err)
					require.Nil(t, opens[0].GetSessionMessage().S)
					return
				}
				require.ErrorIs(t, err, tt.want)
				require.Empty(t, opens, "sent although it could not be signed")
			})
		})
	}
}

func TestClientsShareOneConnection(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var clients []*realtime.IMClient
		for i := range 10 {
			clients = append(clients, w.open(fmt.Sprintf("client%d", i)))
		}
		require.Len(t, w.peer.Sockets(), 1)
		for i, c := range clients {
			w.push(c.ID(), fmt.Sprintf("m%d", i))
			w.expect(fmt.Sprintf("client%d: message m%d", i, i))
		}

		// The last one drops the connection, the next one dials again.
		for i, c := range clients {
			require.Equal(t, realtime.StateConnected, w.rt.State(), "before client %d", i)
			require.NoError(t, c.Close(t.Context()))
		}
		require.Equal(t, realtime.StateInitialized, w.rt.State())
		synctest.Wait()
		require.Error(t, w.peer.Socket().Ended())
		w.open("again")
		require.Len(t, w.peer.Sockets(), 2)
		require.Equal(t, realtime.StateConnected, w.rt.State())
	})
}

func TestIdleClientsRunNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.open("first")
		synctest.Wait()
		before := runtime.NumGoroutine()
		for i := range 100 {
			c := w.open(fmt.Sprint(i))
			c.OnMessage(func(context.Context, *realtime.MessageEvent) {})
			w.push(c.ID(), "m")
		}
		synctest.Wait()
		require.LessOrEqual(t, runtime.NumGoroutine(), before+5)
	})
}

func TestCreateIMClientReturnsTheLiveClient(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.open("Tom")
		same, err := w.rt.CreateIMClient(t.Context(), "Tom", realtime.WithTag("ignored"))
		require.NoError(t, err)
		require.Same(t, tom, same)
		require.Len(t, w.received(pb.CommandType_session, pb.OpType_open), 1)

		require.NoError(t, tom.Close(t.Context()))
		other, err := w.rt.CreateIMClient(t.Context(), "Tom")
		require.NoError(t, err)
		require.NotSame(t, tom, other)
	})
}

func TestConcurrentCreateIMClientShares(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var wg sync.WaitGroup
		clients := make([]*realtime.IMClient, 8)
		for i := range clients {
			wg.Go(func() {
				var err error
				clients[i], err = w.rt.CreateIMClient(t.Context(), "Tom")
				require.NoError(t, err)
			})
		}
		wg.Wait()
		for _, c := range clients[1:] {
			require.Same(t, clients[0], c)
		}
		require.Len(t, w.received(pb.CommandType_session, pb.OpType_open), 1)
	})
}

func TestCreateIMClientWaitsForAnEndingClient(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		first := w.open("Tom")
		w.peer.On(pb.CommandType_session, pb.OpType_close, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			time.Sleep(3 * time.Second) // of the bubble
			return w.peer.Usual(s, cmd)
		})
		closing := make(chan error, 1)
		go func() { closing <- first.Close(context.Background()) }()
		synctest.Wait()
		start := time.Now()
		second, err := w.rt.CreateIMClient(t.Context(), "Tom")
		require.NoError(t, err)
		require.NotSame(t, first, second)
		require.Equal(t, 3*time.Second, time.Since(start))
		require.NoError(t, <-closing)
	})
}

func TestOpenOfATakenID(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.open("Tom")
		other := w.rt.NewIMClient("Tom")
		err := other.Open(t.Context())
		require.ErrorIs(t, err, realtime.ErrAlreadyOpen)
		require.True(t, realtime.SafeToRetry(err))
		require.NoError(t, other.Err(), "a failed Open does not end the client")
		require.Len(t, w.received(pb.CommandType_session, pb.OpType_open), 1)
	})
}

func TestOpenTwice(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.open("Tom")
		require.NoError(t, tom.Open(t.Context()))
		require.Len(t, w.received(pb.CommandType_session, pb.OpType_open), 1)
	})
}

func TestCallsBeforeOpenAndAfterTheEnd(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.rt.NewIMClient("Tom")
		_, err := tom.OnlineClients(t.Context(), "x")
		require.ErrorIs(t, err, realtime.ErrNotOpen)
		require.NoError(t, tom.Open(t.Context()))
		w.peer.Socket().Send(closed("Tom", realtime.ErrKickedByApp, "naughty"))
		<-tom.Done()
		_, err = tom.OnlineClients(t.Context(), "x")
		require.ErrorIs(t, err, realtime.ErrKickedByApp)
		require.ErrorIs(t, tom.Open(t.Context()), realtime.ErrKickedByApp, "a client has one life")
	})
}

func TestAnonymousClients(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		// The server pushes right behind its answer, before the client can know
		// its id.
		w.peer.On(pb.CommandType_session, pb.OpType_open, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			reply := w.peer.Usual(s, cmd)
			s.Send(reply)
			s.Send(message(reply.GetPeerId(), "conv", "early-1"), message(reply.GetPeerId(), "conv", "early-2"))
			return nil
		})
		c := w.rt.NewIMClient("")
		require.Empty(t, c.ID())
		w.follow("nameless", c)
		require.NoError(t, c.Open(t.Context()))
		require.NotEmpty(t, c.ID())
		w.expect("nameless: message early-1", "nameless: message early-2")
		require.Nil(t, w.received(pb.CommandType_session, pb.OpType_open)[0].PeerId, "an id was sent")

		other, err := w.rt.CreateIMClient(t.Context(), "")
		require.NoError(t, err)
		require.NotEqual(t, c.ID(), other.ID())
		again, err := w.rt.CreateIMClient(t.Context(), c.ID())
		require.NoError(t, err)
		require.Same(t, c, again)

		// From then on the id is sent with everything.
		_, err = c.OnlineClients(t.Context(), "x")
		require.NoError(t, err)
		require.Equal(t, c.ID(), w.received(pb.CommandType_session, pb.OpType_query)[0].GetPeerId())
	})
}

func TestServerChoosesNoID(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.peer.On(pb.CommandType_session, pb.OpType_open, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			reply := w.peer.Usual(s, cmd)
			reply.PeerId = nil
			return reply
		})
		_, err := w.rt.CreateIMClient(t.Context(), "")
		require.ErrorContains(t, err, "no client id")
		_, err = w.rt.CreateIMClient(t.Context(), "Tom")
		require.NoError(t, err, "who has an id does not need the server's")
	})
}

func TestPushesWithoutAnIDAreForTheOldestClient(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		first := w.open("first")
		w.open("second")
		push := message("", "conv", "m1")
		push.PeerId = nil
		w.peer.Socket().Send(push)
		w.expect("first: message m1")
		require.NoError(t, first.Close(t.Context()))
		push = message("", "conv", "m2")
		push.PeerId = nil
		w.peer.Socket().Send(push)
		w.expect("second: message m2")
	})
}

func TestPushesOfOtherServicesAndForStrangers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.open("Tom")
		foreign := message("Tom", "conv", "m1")
		foreign.Service = proto.Int32(1)
		w.peer.Socket().Send(foreign, message("Stranger", "conv", "m2"))
		w.peer.Socket().Send(&pb.GenericCommand{
			Cmd:          pb.CommandType_error.Enum(),
			ErrorMessage: &pb.ErrorCommand{Code: proto.Int32(4200), Reason: proto.String("INTERNAL_ERROR")},
		})
		w.push("Tom", "m3")
		w.expect("Tom: message m3")
		require.Contains(t, w.logged(), "INTERNAL_ERROR")
		require.Equal(t, realtime.StateConnected, w.rt.State())
	})
}

func TestOnlineClientsAsksInBatches(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.open("Tom")
		var ids []string
		for i := range 45 {
			ids = append(ids, fmt.Sprintf("c%d", i))
		}
		online, err := tom.OnlineClients(t.Context(), ids...)
		require.NoError(t, err)
		require.Equal(t, ids, online)
		var sizes []int
		for _, q := range w.received(pb.CommandType_session, pb.OpType_query) {
			sizes = append(sizes, len(q.GetSessionMessage().GetSessionPeerIds()))
		}
		require.Equal(t, []int{20, 20, 5}, sizes)

		online, err = tom.OnlineClients(t.Context())
		require.NoError(t, err)
		require.Empty(t, online)
		require.Len(t, w.received(pb.CommandType_session, pb.OpType_query), 3, "an empty question was sent")
	})
}

func TestOpenFailures(t *testing.T) {
	for _, tt := range []struct {
		name  string
		setup func(w *world)
		check func(t *testing.T, err error)
	}{
		{"refused by the server", func(w *world) {
			w.peer.On(pb.CommandType_session, pb.OpType_open, refuse(realtime.ErrSignatureFailed))
		}, func(t *testing.T, err error) {
			require.ErrorIs(t, err, realtime.ErrSignatureFailed)
		}},
		{"refused and closed", func(w *world) {
			w.peer.On(pb.CommandType_session, pb.OpType_open, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
				s.Send(s.Fail(cmd, wire.CodeAppNotAvailable))
				s.Close(wire.CodeAppNotAvailable, "APP_NOT_AVAILABLE")
				return nil
			})
		}, func(t *testing.T, err error) {
			require.ErrorIs(t, err, realtime.ErrAppNotAvailable)
		}},
		{"closed without an answer", func(w *world) {
			w.peer.On(pb.CommandType_session, pb.OpType_open, func(s *rttest.Socket, _ *pb.GenericCommand) *pb.GenericCommand {
				s.Close(wire.CodeAppNotAvailable, "APP_NOT_AVAILABLE")
				return nil
			})
		}, func(t *testing.T, err error) {
			require.ErrorIs(t, err, realtime.ErrAppNotAvailable)
		}},
		{"session/closed instead of an error", func(w *world) {
			w.peer.On(pb.CommandType_session, pb.OpType_open, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
				reply := closed("Tom", realtime.ErrSessionConflict, "SESSION_CONFLICT")
				reply.I = cmd.I
				return reply
			})
		}, func(t *testing.T, err error) {
			require.ErrorIs(t, err, realtime.ErrSessionConflict)
		}},
		{"silence", func(w *world) {
			w.peer.On(pb.CommandType_session, pb.OpType_open, silent)
		}, func(t *testing.T, err error) {
			require.ErrorIs(t, err, realtime.ErrTimeout)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.True(t, realtime.SafeToRetry(err), "a login can be repeated")
		}},
		{"cut", func(w *world) {
			w.peer.On(pb.CommandType_session, pb.OpType_open, func(s *rttest.Socket, _ *pb.GenericCommand) *pb.GenericCommand {
				s.Drop()
				return nil
			})
		}, func(t *testing.T, err error) {
			require.ErrorIs(t, err, realtime.ErrDisconnected)
			require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
		}},
		{"no connection", func(w *world) {
			w.peer.Refuse(http.StatusServiceUnavailable)
		}, func(t *testing.T, err error) {
			require.NotErrorIs(t, err, realtime.ErrOutcomeUnknown)
			require.True(t, realtime.SafeToRetry(err))
		}},
		{"nonsense", func(w *world) {
			w.peer.On(pb.CommandType_session, pb.OpType_open, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
				return s.Reply(cmd, pb.CommandType_conv, pb.OpType_started)
			})
		}, func(t *testing.T, err error) {
			require.ErrorContains(t, err, "unexpected answer")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				tt.setup(w)
				c := w.rt.NewIMClient("Tom")
				w.follow("Tom", c)
				err := c.Open(t.Context())
				require.Error(t, err)
				tt.check(t, err)
				require.NotContains(t, err.Error(), "hunter2")
				require.NoError(t, c.Err())
				w.expect() // no events before Open

				// It may be called again.
				w.peer.On(pb.CommandType_session, pb.OpType_open, nil)
				w.peer.Refuse(0)
				require.NoError(t, c.Open(t.Context()))
				require.Equal(t, realtime.StateConnected, w.rt.State())
			})
		})
	}
}

func TestStateAfterAFirstDialThatFailed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.peer.Refuse(http.StatusServiceUnavailable)
		_, err := w.rt.CreateIMClient(t.Context(), "Tom")
		require.Error(t, err)
		require.Equal(t, realtime.StateError, w.rt.State())
		time.Sleep(time.Hour) // of the bubble
		require.Equal(t, realtime.StateError, w.rt.State(), "there is no automatic retry")
	})
}

func TestOpenIsCancelled(t *testing.T) {
	cause := errors.New("the user gave up")
	for _, tt := range []struct {
		name   string
		end    func(t *testing.T, c *realtime.IMClient, cancel context.CancelCauseFunc)
		want   []error
		unwant []error
	}{
		{"by its ctx", func(_ *testing.T, _ *realtime.IMClient, cancel context.CancelCauseFunc) {
			cancel(cause)
		}, []error{context.Canceled, cause}, []error{realtime.ErrTimeout, realtime.ErrClosed}},
		{"by Close", func(t *testing.T, c *realtime.IMClient, _ context.CancelCauseFunc) {
			require.NoError(t, c.Close(t.Context()))
		}, []error{realtime.ErrClosed}, []error{realtime.ErrTimeout}},
		{"by Close of the Realtime", func(t *testing.T, c *realtime.IMClient, _ context.CancelCauseFunc) {
			require.NoError(t, c.Realtime().Close(t.Context()))
		}, []error{realtime.ErrClosed}, []error{realtime.ErrTimeout}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.peer.On(pb.CommandType_session, pb.OpType_open, silent)
				c := w.rt.NewIMClient("Tom")
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				result := make(chan error, 1)
				start := time.Now()
				go func() { result <- c.Open(ctx) }()
				synctest.Wait()
				tt.end(t, c, cancel)
				err := <-result
				for _, want := range tt.want {
					require.ErrorIs(t, err, want)
				}
				for _, unwant := range tt.unwant {
					require.NotErrorIs(t, err, unwant)
				}
				require.Zero(t, time.Since(start))
			})
		})
	}
}

func TestRetryOpen(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.peer.Refuse(http.StatusServiceUnavailable)
		w.peer.On(pb.CommandType_session, pb.OpType_open, refuse(realtime.ErrInternalError))
		result := make(chan error, 1)
		c := w.rt.NewIMClient("Tom")
		go func() { result <- c.Open(t.Context()) }()
		time.Sleep(time.Hour)
		w.peer.Refuse(0)
		time.Sleep(time.Hour)
		select {
		case err := <-result:
			t.Fatalf("Open gave up: %v", err)
		default:
		}
		w.peer.On(pb.CommandType_session, pb.OpType_open, nil)
		require.NoError(t, <-result)
		require.NoError(t, c.Close(t.Context()))

		// A final answer is final.
		w.peer.On(pb.CommandType_session, pb.OpType_open, refuse(realtime.ErrBlacklisted))
		_, err := w.rt.CreateIMClient(t.Context(), "Tom")
		require.ErrorIs(t, err, realtime.ErrBlacklisted)

		// Its ctx ends it.
		w.peer.Refuse(http.StatusServiceUnavailable)
		_, err = w.rt.CreateIMClient(after(t, time.Minute), "Tom")
		require.ErrorIs(t, err, realtime.ErrTimeout)
	}, func(o *realtime.Options) {
		o.RetryOpen = true
		o.Backoff = func(attempt int) time.Duration { return min(time.Second<<min(attempt, 10), time.Minute) }
	})
}

func TestRouterRefusesTheApp(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.peer.HandleHTTP("GET /refusing/v1/route", func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(http.StatusNotFound)
			_, _ = rw.Write([]byte(`{"code":4100,"error":"App not available."}`))
		})
		_, err := w.rt.CreateIMClient(t.Context(), "Tom")
		require.ErrorIs(t, err, realtime.ErrAppNotAvailable)
		var e *realtime.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, http.StatusNotFound, e.HTTPStatus)
		require.True(t, realtime.SafeToRetry(err))
	}, func(o *realtime.Options) { o.RouterServer = rttest.URL + "/refusing" })
}

func TestRetryOpenSpansAReconnect(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.open("Tom")
		w.peer.On(pb.CommandType_session, pb.OpType_open, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			if cmd.GetPeerId() == "Jerry" && len(w.peer.Sockets()) == 1 {
				s.Drop()
				return nil
			}
			return w.peer.Usual(s, cmd)
		})
		jerry := w.open("Jerry")
		synctest.Wait()
		require.Empty(t, w.saidBy("Jerry"), "what happened before its session is not its business")
		w.saidBy("Tom")
		w.peer.Socket().Drop()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, []string{
			"Jerry: disconnect", "Jerry: schedule(0, 1s)", "Jerry: retry(0)", "Jerry: reconnect",
		}, w.saidBy("Jerry"))
		require.NoError(t, jerry.Err())
	}, func(o *realtime.Options) { o.RetryOpen = true })
}

func TestDialOption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := rttest.New(t)
		var mu sync.Mutex
		var dialled []string
		rt, err := realtime.New(realtime.Options{
			AppID: "app", AppKey: "key", Server: rttest.URL, NoBinary: true,
			Header: http.Header{"X-Custom": {"yes"}},
			Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				mu.Lock()
				dialled = append(dialled, addr)
				mu.Unlock()
				return peer.Network.Dial(ctx, network, addr)
			},
		})
		require.NoError(t, err)
		_, err = rt.CreateIMClient(t.Context(), "Tom")
		require.NoError(t, err)
		require.NoError(t, rt.Close(t.Context()))
		require.Equal(t, rttest.Host, dialled[0])
		// The bubble fails the test if an idle connection is left behind.
	})
}
