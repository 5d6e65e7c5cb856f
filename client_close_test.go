package realtime_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rttest"
)

func TestCloseSaysGoodbyeOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.open("Tom")
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { require.NoError(t, tom.Close(t.Context())) })
		}
		wg.Wait()
		require.NoError(t, tom.Close(t.Context()))
		goodbyes := w.received(pb.CommandType_session, pb.OpType_close)
		require.Len(t, goodbyes, 1)
		require.Equal(t, "Tom", goodbyes[0].GetPeerId())
		select {
		case <-tom.Done():
		default:
			t.Fatal("Done is not closed")
		}
		require.Equal(t, realtime.ErrClosed, tom.Err())
		_, err := tom.OnlineClients(t.Context(), "x")
		require.ErrorIs(t, err, realtime.ErrClosed)
		require.True(t, realtime.SafeToRetry(err))
		w.expect() // an own Close is no event
	})
}

func TestCloseBeforeOpen(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.rt.NewIMClient("Tom")
		events := tom.Events(t.Context())
		require.NoError(t, tom.Close(t.Context()))
		<-tom.Done()
		require.ErrorIs(t, tom.Open(t.Context()), realtime.ErrClosed)
		_, last := collect(events)
		require.ErrorIs(t, last, realtime.ErrClosed)
		require.Empty(t, w.peer.Sockets())
	})
}

// Close ends a dial that hangs, on the way to the router and to the socket.
func TestCloseEndsADial(t *testing.T) {
	for name, change := range map[string]func(o *realtime.Options){
		"router": func(o *realtime.Options) { o.Server = "http://router.test" },
		"socket": func(o *realtime.Options) { o.Server, o.RTMServers = "http://unused.test", []string{"ws://socket.test"} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dialling := 0
				o := realtime.Options{AppID: "app", AppKey: "key", Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
					dialling++
					<-ctx.Done()
					dialling--
					return nil, ctx.Err()
				}}
				change(&o)
				rt, err := realtime.New(o)
				require.NoError(t, err)
				opened := make(chan error, 1)
				go func() {
					_, err := rt.CreateIMClient(context.Background(), "Tom")
					opened <- err
				}()
				synctest.Wait()
				require.Equal(t, 1, dialling)
				require.NoError(t, rt.Close(t.Context()))
				require.ErrorIs(t, <-opened, realtime.ErrClosed)
				synctest.Wait()
				require.Zero(t, dialling)
			})
		})
	}
}

func TestCloseWithAFinishedContextSaysGoodbye(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom, jerry := w.open("Tom"), w.open("Jerry")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, tom.Close(ctx), "there was nothing to wait for")
		require.Len(t, w.received(pb.CommandType_session, pb.OpType_close), 1)
		require.NoError(t, w.rt.Close(ctx))
		require.Len(t, w.received(pb.CommandType_session, pb.OpType_close), 2)
		<-jerry.Done()
	})
}

func TestCloseWithAFinishedContextAndARunningHandler(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.rt.NewIMClient("Tom")
		block := make(chan struct{})
		tom.OnMessage(func(ctx context.Context, _ *realtime.MessageEvent) {
			<-block
			w.say("handler: %v", context.Cause(ctx))
		})
		require.NoError(t, tom.Open(t.Context()))
		w.push("Tom", "1", "2")
		synctest.Wait()
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("in a hurry")
		cancel(why)
		err := tom.Close(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, why)
		require.Len(t, w.received(pb.CommandType_session, pb.OpType_close), 1)
		<-tom.Done() // said goodbye, so it has ended, whatever the handler does
		w.expect()
		close(block)
		require.NoError(t, tom.Close(t.Context()))
		w.expect("handler: realtime: closed")
	})
}

func TestCloseWaitsNoLongerThanItsContext(t *testing.T) {
	for _, tt := range []struct {
		name string
		ctx  func(t *testing.T) context.Context
		want time.Duration
	}{
		{"deadline", func(t *testing.T) context.Context { return after(t, time.Second) }, time.Second},
		{"long deadline", func(t *testing.T) context.Context { return after(t, time.Minute) }, time.Minute},
		{"no deadline: the command timeout", func(t *testing.T) context.Context { return t.Context() }, 20 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				tom := w.rt.NewIMClient("Tom")
				tom.OnMessage(func(ctx context.Context, _ *realtime.MessageEvent) {
					// One that does not finish, but heeds its ctx, gets no ctx to heed
					// before the waiting is over.
					<-ctx.Done()
					time.Sleep(time.Hour)
				})
				require.NoError(t, tom.Open(t.Context()))
				w.push("Tom", "1")
				synctest.Wait()
				start := time.Now()
				err := tom.Close(tt.ctx(t))
				require.ErrorIs(t, err, realtime.ErrTimeout)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, tt.want, time.Since(start))
				require.Len(t, w.received(pb.CommandType_session, pb.OpType_close), 1)
				time.Sleep(2 * time.Hour)
				require.NoError(t, tom.Close(t.Context()))
			})
		})
	}
}

func TestCloseInsideAHandler(t *testing.T) {
	for _, tt := range []struct {
		name  string
		close func(ctx context.Context, w *world, c *realtime.IMClient) error
	}{
		{"of the client", func(ctx context.Context, _ *world, c *realtime.IMClient) error { return c.Close(ctx) }},
		{"of the Realtime", func(ctx context.Context, w *world, _ *realtime.IMClient) error { return w.rt.Close(ctx) }},
		{"with a derived ctx", func(ctx context.Context, _ *world, c *realtime.IMClient) error {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			return c.Close(ctx)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				tom := w.rt.NewIMClient("Tom")
				tom.OnMessage(func(ctx context.Context, e *realtime.MessageEvent) {
					start := time.Now()
					require.NoError(t, tt.close(ctx, w, tom))
					require.Zero(t, time.Since(start), "it waited for itself")
					require.Error(t, ctx.Err())
					time.Sleep(time.Second)
					w.say("%s done", e.Message.ID)
				})
				require.NoError(t, tom.Open(t.Context()))
				w.push("Tom", "1", "2")
				<-tom.Done()
				require.Len(t, w.received(pb.CommandType_session, pb.OpType_close), 1)
				w.expect()
				require.NoError(t, tom.Close(t.Context())) // this one waits
				w.expect("1 done")
			})
		})
	}
}

// Close of a handler waits for what else the client is at.
func TestCloseInsideAHandlerWaitsForPlugins(t *testing.T) {
	var w *world
	ask := func(m *realtime.Message, _ *realtime.Conversation) bool {
		if m.ID == "2" {
			time.Sleep(3 * time.Second)
			w.say("asked")
		}
		return true
	}
	inWorld(t, func(t *testing.T, now *world) {
		w = now
		tom := w.rt.NewIMClient("Tom")
		tom.OnMessage(func(ctx context.Context, e *realtime.MessageEvent) {
			time.Sleep(time.Second)
			require.NoError(t, tom.Close(ctx))
			w.say("closed")
		})
		require.NoError(t, tom.Open(t.Context()))
		w.push("Tom", "1", "2")
		time.Sleep(5 * time.Second)
		w.expect("asked", "closed")
	}, func(o *realtime.Options) { o.Plugins = []realtime.Plugin{{BeforeMessageDispatch: ask}} })
}

// A session that was asked for and may yet be opened gets its goodbye as well.
func TestCloseWhileTheServerIsAsked(t *testing.T) {
	for name, before := range map[string]bool{"for the first time": false, "again": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.open("Jerry") // so that the connection stays
				tom := w.rt.NewIMClient("Tom")
				if before {
					require.NoError(t, tom.Open(t.Context()))
				}
				w.peer.On(pb.CommandType_session, pb.OpType_open, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
					if cmd.GetPeerId() == "Tom" {
						return nil // not yet
					}
					return w.peer.Usual(s, cmd)
				})
				opened := make(chan error, 1)
				if before {
					w.peer.Socket().Drop()
					time.Sleep(5 * time.Second)
				} else {
					go func() { opened <- tom.Open(context.Background()) }()
				}
				synctest.Wait()
				require.Empty(t, w.received(pb.CommandType_session, pb.OpType_close))
				require.NoError(t, tom.Close(t.Context()))
				if !before {
					require.ErrorIs(t, <-opened, realtime.ErrClosed)
				}
				goodbyes := w.received(pb.CommandType_session, pb.OpType_close)
				require.Len(t, goodbyes, 1)
				require.Equal(t, "Tom", goodbyes[0].GetPeerId())
				_, err := tom.OnlineClients(t.Context(), "x")
				require.ErrorIs(t, err, realtime.ErrClosed)
				w.said = nil
			})
		})
	}
}

func TestCloseInsideAHandlerWithAnotherContext(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.rt.NewIMClient("Tom")
		tom.OnMessage(func(context.Context, *realtime.MessageEvent) {
			start := time.Now()
			require.ErrorIs(t, tom.Close(context.Background()), realtime.ErrTimeout)
			require.Equal(t, 20*time.Second, time.Since(start))
			w.say("done")
		})
		require.NoError(t, tom.Open(t.Context()))
		w.push("Tom", "1")
		<-tom.Done()
		w.expect("done")
	})
}

func TestCloseInTheLastHandler(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.rt.NewIMClient("Tom")
		tom.OnClose(func(ctx context.Context, _ *realtime.CloseEvent) {
			require.Error(t, ctx.Err(), "in Close handlers ctx is over already")
			require.NoError(t, tom.Close(ctx))
			w.say("done")
		})
		require.NoError(t, tom.Open(t.Context()))
		w.peer.Socket().Send(closed("Tom", realtime.ErrKickedByApp, "x"))
		w.expect("done")
	})
}

func TestCloseInsideAHandlerOfTheRealtime(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.rt.OnDisconnect(func(ctx context.Context, _ *realtime.DisconnectEvent) {
			start := time.Now()
			require.NoError(t, w.rt.Close(ctx))
			require.Zero(t, time.Since(start))
			w.say("done")
		})
		tom := w.rt.NewIMClient("Tom")
		require.NoError(t, tom.Open(t.Context()))
		w.peer.Socket().Drop()
		w.expect("done")
		<-tom.Done()
	})
}

func TestCloseFinishesTheRunningHandlersCalls(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.rt.NewIMClient("Tom")
		tom.OnMessage(func(ctx context.Context, e *realtime.MessageEvent) {
			time.Sleep(5 * time.Second)
			_, err := e.Conversation.Send(ctx, realtime.NewTextMessage("answer"))
			w.say("answered: %v", err)
		})
		require.NoError(t, tom.Open(t.Context()))
		w.push("Tom", "1")
		synctest.Wait()
		require.NoError(t, tom.Close(t.Context()))
		w.expect("answered: <nil>")
		var order []string
		for _, cmd := range w.peer.Commands() {
			if cmd.GetCmd() == pb.CommandType_direct || cmd.GetOp() == pb.OpType_close {
				order = append(order, cmd.GetCmd().String())
			}
		}
		require.Equal(t, []string{"direct", "session"}, order, "goodbye comes last")
	})
}

func TestCloseStopsReconnecting(t *testing.T) {
	for _, tt := range []struct {
		name string
		lose func(w *world)
	}{
		{"waiting for the next attempt", func(w *world) { w.peer.Socket().Drop() }},
		{"waiting to log in again", func(w *world) {
			w.peer.On(pb.CommandType_session, pb.OpType_open, refuse(realtime.ErrInternalError))
			w.peer.Socket().Drop()
			time.Sleep(1500 * time.Millisecond)
		}},
		{"logging in again", func(w *world) {
			w.peer.On(pb.CommandType_session, pb.OpType_open, silent)
			w.peer.Socket().Drop()
			time.Sleep(1500 * time.Millisecond)
		}},
		{"paused", func(w *world) { w.rt.Pause() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				tom := w.open("Tom")
				tt.lose(w)
				synctest.Wait()
				start := time.Now()
				require.NoError(t, tom.Close(t.Context()))
				require.Zero(t, time.Since(start))
				sockets := len(w.peer.Sockets())
				time.Sleep(time.Hour)
				require.Len(t, w.peer.Sockets(), sockets)
				require.Equal(t, realtime.StateInitialized, w.rt.State())
			})
		})
	}
}

func TestCloseFailsWhoWaitsForAReconnect(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.open("Tom")
		conv, err := tom.ParseConversation([]byte(`{"id":"x"}`))
		require.NoError(t, err)
		w.peer.Socket().Drop()
		synctest.Wait()
		result := make(chan error, 1)
		go func() {
			_, err := conv.Send(context.Background(), realtime.NewTextMessage("x"), realtime.WithRetry())
			result <- err
		}()
		synctest.Wait()
		start := time.Now()
		require.NoError(t, tom.Close(t.Context()))
		require.ErrorIs(t, <-result, realtime.ErrClosed)
		require.Zero(t, time.Since(start))
	})
}

func TestCloseOnADeadNetwork(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, name := range []string{"a", "b", "c"} {
			w.open(name)
		}
		defer w.peer.Socket().Conn().Blackhole()()
		start := time.Now()
		err := w.rt.Close(after(t, time.Second))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Less(t, time.Since(start), 4*time.Second, "the goodbyes were waited for one after the other")
		require.NoError(t, w.rt.Close(after(t, time.Hour)), "but nothing is left behind")
	})
}

func TestCloseAfterTheServersEnd(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.rt.NewIMClient("Tom")
		block := make(chan struct{})
		tom.OnMessage(func(_ context.Context, e *realtime.MessageEvent) {
			<-block
			w.say("%s", e.Message.ID)
		})
		tom.OnClose(func(context.Context, *realtime.CloseEvent) { w.say("close") })
		require.NoError(t, tom.Open(t.Context()))
		w.peer.Socket().Send(message("Tom", "x", "1"), message("Tom", "x", "2"), closed("Tom", realtime.ErrKickedByApp, "x"))
		<-tom.Done()
		synctest.Wait()
		require.ErrorIs(t, w.rt.Close(after(t, time.Second)), realtime.ErrTimeout, "a handler is running still")
		close(block)
		require.NoError(t, tom.Close(t.Context()))
		w.expect("1") // the rest was discarded
	})
}

func TestCloseOfTheRealtime(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom, jerry := w.open("Tom"), w.rt.NewIMClient("Jerry")
		never := jerry.Events(t.Context())
		w.peer.On(pb.CommandType_session, pb.OpType_close, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			return w.peer.Usual(s, cmd)
		})
		require.NoError(t, w.rt.Close(t.Context()))
		require.NoError(t, w.rt.Close(t.Context()))
		require.Equal(t, realtime.StateClosed, w.rt.State())
		<-tom.Done()
		<-jerry.Done()
		_, last := collect(never)
		require.ErrorIs(t, last, realtime.ErrClosed)
		synctest.Wait()
		require.Error(t, w.peer.Socket().Ended())

		_, err := w.rt.CreateIMClient(t.Context(), "Spike")
		require.ErrorIs(t, err, realtime.ErrClosed)
		require.ErrorIs(t, w.rt.NewIMClient("Butch").Open(t.Context()), realtime.ErrClosed)
		require.ErrorIs(t, w.rt.Retry(), realtime.ErrClosed)
		w.rt.Pause()
		w.rt.Resume()
	})
}
