package realtime_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rttest"
)

// The tests of this file follow the sentences of the delivery contract in the
// package documentation; recovery and retried sends, sentences 5 and 6, have
// files of their own.

func TestContract1HandlersRunOneAtATimeInServerOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.rt.NewIMClient("Tom")
		running := false
		handler := func(name string) func(context.Context, *realtime.MessageEvent) {
			return func(_ context.Context, e *realtime.MessageEvent) {
				require.False(t, running, "two handlers at a time")
				running = true
				time.Sleep(time.Second)
				w.say("%s %s", name, e.Message.ID)
				running = false
			}
		}
		tom.OnMessage(handler("client"))
		require.NoError(t, tom.Open(t.Context()))
		for _, id := range []string{"x", "y"} {
			conv, err := tom.ParseConversation(fmt.Appendf(nil, `{"id":%q}`, id))
			require.NoError(t, err)
			conv.OnMessage(handler("conversation " + id))
		}
		w.peer.Socket().Send(message("Tom", "x", "1"), message("Tom", "y", "2"), message("Tom", "x", "3"))
		time.Sleep(time.Minute)
		w.expect("client 1", "conversation x 1", "client 2", "conversation y 2", "client 3", "conversation x 3")
	})
}

func TestContract1ClientsRunInParallel(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.rt.NewIMClient("Tom")
		block := make(chan struct{})
		tom.OnMessage(func(context.Context, *realtime.MessageEvent) { <-block })
		require.NoError(t, tom.Open(t.Context()))
		w.open("Jerry")
		w.push("Tom", "1")
		w.push("Jerry", "2", "3")
		w.expect("Jerry: message 2", "Jerry: message 3")
		close(block)
	})
}

func TestContract2StateIsUpdatedBeforeTheHandler(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.rt.NewIMClient("Tom")
		tom.OnMessage(func(_ context.Context, e *realtime.MessageEvent) {
			w.say("%s %d %s", e.Message.ID, e.Conversation.UnreadMessagesCount(), e.Conversation.LastMessage().ID)
		})
		require.NoError(t, tom.Open(t.Context()))
		for i := range 3 {
			w.push("Tom", fmt.Sprint(i))
			w.expect(fmt.Sprintf("%d %d %d", i, i+1, i))
		}
	})
}

func TestContract3AHandlerMayCallAnything(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.rt.NewIMClient("Tom")
		var stop func()
		stop = tom.OnMessage(func(ctx context.Context, e *realtime.MessageEvent) {
			online, err := tom.OnlineClients(ctx, "x")
			require.NoError(t, err)
			_, err = e.Conversation.Send(ctx, realtime.NewTextMessage("echo"))
			require.NoError(t, err)
			other, err := w.rt.CreateIMClient(ctx, "Other of "+e.Message.ID)
			require.NoError(t, err)
			require.NoError(t, other.Close(ctx))
			stop()
			stop()
			tom.OnMessage(func(_ context.Context, e *realtime.MessageEvent) { w.say("new handler: %s", e.Message.ID) })
			w.say("handled %s, online %v", e.Message.ID, online)
		})
		require.NoError(t, tom.Open(t.Context()))
		w.push("Tom", "1", "2")
		w.expect("handled 1, online [x]", "new handler: 2")
	})
}

func TestContract3TheReaderNeverWaits(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.rt.NewIMClient("Tom")
		block := make(chan struct{})
		tom.OnMessage(func(_ context.Context, e *realtime.MessageEvent) {
			<-block
			w.say("%s", e.Message.ID)
		})
		require.NoError(t, tom.Open(t.Context()))
		wait := w.followStream("stream", tom.Events(t.Context()))
		jerry := w.open("Jerry")
		w.push("Tom", "1", "2")
		w.push("Jerry", "3")

		// Neither replies, nor other clients, nor streams are held up.
		synctest.Wait()
		start := time.Now()
		for _, c := range []*realtime.IMClient{tom, jerry} {
			_, err := c.OnlineClients(t.Context(), "x")
			require.NoError(t, err)
		}
		require.Zero(t, time.Since(start))
		require.Equal(t, []string{"Jerry: message 3"}, w.saidBy("Jerry"))
		require.Equal(t, []string{"stream: message 1", "stream: message 2"}, w.saidBy("stream"))
		w.expect()
		close(block)
		w.expect("1", "2")
		require.NoError(t, tom.Close(t.Context()))
		wait()
	})
}

func TestContract3SlowHandlerIsLoggedOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.rt.NewIMClient("Tom")
		tom.OnMessage(func(_ context.Context, e *realtime.MessageEvent) {
			if e.Message.ID == "slow" {
				time.Sleep(time.Hour)
			}
		})
		require.NoError(t, tom.Open(t.Context()))
		count := func() (n int) {
			for _, line := range lines(w.logged()) {
				if strings.Contains(line, "slow") && strings.Contains(line, "WARN") {
					require.Contains(t, line, "client_id=Tom")
					require.Contains(t, line, "MessageEvent")
					n++
				}
			}
			return n
		}
		w.push("Tom", "fast")
		time.Sleep(time.Minute)
		require.Zero(t, count())
		w.push("Tom", "slow")
		time.Sleep(9 * time.Second)
		require.Zero(t, count())
		time.Sleep(3 * time.Second) // a tenth late at most
		require.Equal(t, 1, count())
		time.Sleep(2 * time.Hour)
		require.Equal(t, 1, count())
	})
}

func TestSlowHandlerOfTheConnection(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.rt.OnDisconnect(func(context.Context, *realtime.DisconnectEvent) { time.Sleep(time.Hour) })
		w.open("Tom")
		w.peer.Socket().Drop()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		require.Contains(t, w.logged(), "event=DisconnectEvent longer_than=5s")
	}, func(o *realtime.Options) { o.SlowHandler = 5 * time.Second })
	inWorld(t, func(t *testing.T, w *world) {
		w.rt.OnDisconnect(func(context.Context, *realtime.DisconnectEvent) { time.Sleep(time.Hour) })
		w.open("Tom")
		w.peer.Socket().Drop()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		require.NotContains(t, w.logged(), "longer_than", "negative: never")
	}, func(o *realtime.Options) { o.SlowHandler = -1 })
}

func TestContract4OverflowEndsTheClient(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		jerry := w.open("Jerry")
		tom := w.rt.NewIMClient("Tom")
		block := make(chan struct{})
		tom.OnMessage(func(_ context.Context, e *realtime.MessageEvent) {
			<-block
			w.say("%s", e.Message.ID)
		})
		tom.OnClose(func(ctx context.Context, e *realtime.CloseEvent) {
			w.say("%s %v", describe(e), context.Cause(ctx))
		})
		require.NoError(t, tom.Open(t.Context()))
		n := 0
		for tom.Err() == nil {
			w.push("Tom", fmt.Sprint(n))
			synctest.Wait()
			n++
			require.LessOrEqual(t, n, 10)
		}
		require.ErrorIs(t, tom.Err(), realtime.ErrEventOverflow)
		<-tom.Done()
		require.NoError(t, jerry.Err())
		require.Len(t, w.received(pb.CommandType_session, pb.OpType_close), 1, "the server was not told")
		close(block)
		// What was accepted comes in order, then the last event.
		synctest.Wait()
		w.mu.Lock()
		said := w.said
		w.said = nil
		w.mu.Unlock()
		require.GreaterOrEqual(t, len(said), 3)
		for i, line := range said[:len(said)-1] {
			require.Equal(t, fmt.Sprint(i), line)
		}
		require.Equal(t, fmt.Sprintf("close 0 %v %v", realtime.ErrEventOverflow, realtime.ErrEventOverflow), said[len(said)-1])
	}, func(o *realtime.Options) { o.EventQueue = 8 })
}

func TestContract4LaggingStreamEndsAlone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.open("Tom")
		lagging := tom.Events(t.Context())
		wait := w.followStream("brisk", tom.Events(t.Context()))
		for i := range 20 {
			w.push("Tom", fmt.Sprint(i))
			synctest.Wait()
		}
		require.Len(t, w.saidBy("brisk"), 20)
		require.Len(t, w.saidBy("Tom"), 20)
		require.NoError(t, tom.Err())

		got, last := collect(lagging)
		require.Len(t, got, 8)
		require.ErrorIs(t, last, realtime.ErrEventOverflow)
		require.NoError(t, tom.Close(t.Context()))
		wait()
	}, func(o *realtime.Options) { o.EventQueue = 8 })
}

func TestContract4OverflowOfTheConnectionsHandlers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		block := make(chan struct{})
		w.rt.OnRetry(func(context.Context, *realtime.RetryEvent) { <-block })
		tom := w.open("Tom")
		for tom.Err() == nil {
			w.peer.Socket().Drop()
			time.Sleep(2 * time.Second)
			synctest.Wait()
		}
		require.ErrorIs(t, tom.Err(), realtime.ErrEventOverflow)
		_, err := w.rt.CreateIMClient(t.Context(), "Jerry")
		require.Error(t, err)
		require.Equal(t, realtime.StateClosed, w.rt.State())
		_, last := collect(w.rt.Events(t.Context()))
		require.ErrorIs(t, last, realtime.ErrEventOverflow)
		require.Contains(t, w.logged(), "ERROR")
		close(block)
	}, func(o *realtime.Options) { o.EventQueue = 8 })
}

// collect ranges over a stream until it ends.
func collect(events iter.Seq2[realtime.Event, error]) (all []realtime.Event, last error) {
	for ev, err := range events {
		if err != nil {
			last = err
			continue
		}
		all = append(all, ev)
	}
	return all, last
}

func TestContract8NothingRunsAfterClose(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.rt.NewIMClient("Tom")
		var running atomic.Int32
		tom.OnMessage(func(context.Context, *realtime.MessageEvent) {
			running.Add(1)
			time.Sleep(5 * time.Second)
			running.Add(-1)
			w.say("handled")
		})
		require.NoError(t, tom.Open(t.Context()))
		w.push("Tom", "1", "2", "3")
		synctest.Wait()
		require.EqualValues(t, 1, running.Load())
		start := time.Now()
		require.NoError(t, tom.Close(t.Context()))
		require.Zero(t, running.Load())
		require.Equal(t, 5*time.Second, time.Since(start))
		time.Sleep(time.Hour)
		w.expect("handled") // the others were discarded
		require.NoError(t, tom.Close(t.Context()))
	})
}

func TestStopEndsAHandler(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.rt.NewIMClient("Tom")
		var stops []func()
		for i := range 3 {
			stops = append(stops, tom.OnMessage(func(_ context.Context, e *realtime.MessageEvent) {
				w.say("%d: %s", i, e.Message.ID)
				if e.Message.ID == "2" && i == 0 {
					stops[2]() // before its turn for this event
				}
			}))
		}
		require.NoError(t, tom.Open(t.Context()))
		w.push("Tom", "1")
		w.expect("0: 1", "1: 1", "2: 1")
		w.push("Tom", "2")
		w.expect("0: 2", "1: 2")
		stops[1]()
		stops[1]()
		w.push("Tom", "3")
		w.expect("0: 3")
	})
}

func TestHandlerContext(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.rt.NewIMClient("Tom")
		contexts := make(chan context.Context, 1)
		tom.OnMessage(func(ctx context.Context, _ *realtime.MessageEvent) { contexts <- ctx })
		require.NoError(t, tom.Open(t.Context()))
		w.push("Tom", "1")
		ctx := <-contexts
		require.NoError(t, ctx.Err())
		require.NoError(t, tom.Close(t.Context()))
		require.ErrorIs(t, ctx.Err(), context.Canceled)
		require.ErrorIs(t, context.Cause(ctx), realtime.ErrClosed)
	})
}

func TestEventsSubscribesWhenCalled(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.rt.NewIMClient("Tom")
		early := tom.Events(t.Context())
		require.NoError(t, tom.Open(t.Context()))
		w.push("Tom", "1")
		synctest.Wait()
		late := tom.Events(t.Context())
		w.push("Tom", "2")
		synctest.Wait()
		require.NoError(t, tom.Close(t.Context()))

		ids := func(events iter.Seq2[realtime.Event, error]) (ids []string) {
			all, last := collect(events)
			require.ErrorIs(t, last, realtime.ErrClosed)
			for _, ev := range all {
				if m, ok := ev.(*realtime.MessageEvent); ok {
					ids = append(ids, m.Message.ID)
				}
			}
			return ids
		}
		require.Equal(t, []string{"1", "2"}, ids(early))
		require.Equal(t, []string{"2"}, ids(late))
		all, last := collect(early)
		require.Empty(t, all)
		require.Error(t, last, "a stream is used once")
		all, last = collect(tom.Events(t.Context()))
		require.Empty(t, all)
		require.ErrorIs(t, last, realtime.ErrClosed)
	})
}

func TestEventsEndWithTheCauseOfTheirContext(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		cause := fmt.Errorf("shutting down")
		tom := w.open("Tom")
		ctx, cancel := context.WithCancelCause(t.Context())
		events := tom.Events(ctx)
		ends := make(chan error, 1)
		go func() {
			_, last := collect(events)
			ends <- last
		}()
		synctest.Wait()
		cancel(cause)
		last := <-ends
		require.ErrorIs(t, last, cause)
		require.ErrorIs(t, last, context.Canceled)
		require.NoError(t, tom.Err())
	})
}

func TestBreakEndsAStream(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.open("Tom")
		found := make(chan string, 1)
		events := tom.Events(t.Context())
		go func() {
			for ev := range events {
				if m, ok := ev.(*realtime.MessageEvent); ok && m.Message.ID == "2" {
					found <- m.Message.ID
					break
				}
			}
		}()
		for i := range 20 { // far more than the queue holds
			w.push("Tom", fmt.Sprint(i))
			synctest.Wait()
		}
		require.Equal(t, "2", <-found)
		require.NoError(t, tom.Err())
		require.Len(t, w.saidBy("Tom"), 20)
	}, func(o *realtime.Options) { o.EventQueue = 8 })
}

func TestConversationEventsAreOfThatConversationOnly(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.open("Tom")
		conv, err := tom.ParseConversation([]byte(`{"id":"x"}`))
		require.NoError(t, err)
		wait := w.followStream("stream", conv.Events(t.Context()))
		conv.OnMessage(func(_ context.Context, e *realtime.MessageEvent) {
			require.Same(t, conv, e.Conversation)
			w.say("handler: %s", e.Message.ID)
		})
		w.peer.Socket().Send(message("Tom", "x", "1"), message("Tom", "y", "2"), message("Tom", "x", "3"))
		synctest.Wait()
		require.Equal(t, []string{"Tom: message 1", "Tom: message 2", "Tom: message 3"}, w.saidBy("Tom"))
		require.Equal(t, []string{"handler: 1", "handler: 3"}, w.saidBy("handler"))
		require.Equal(t, []string{"stream: message 1", "stream: message 3"}, w.saidBy("stream"))
		require.NoError(t, tom.Close(t.Context()))
		wait()
		require.Equal(t, []string{"stream: end: realtime: closed"}, w.saidBy("stream"))
	})
}

func TestRealtimeEvents(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		wait := w.followStream("stream", w.rt.Events(t.Context()))
		w.open("Tom")
		w.peer.Socket().Drop()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, []string{
			"stream: disconnect", "stream: schedule(0, 1s)", "stream: retry(0)", "stream: reconnect",
		}, w.saidBy("stream"))
		require.NoError(t, w.rt.Close(t.Context()))
		wait()
		require.Equal(t, []string{"stream: end: realtime: closed"}, w.saidBy("stream"))
	})
}

func TestEventsWhileTheSessionIsBeingReopenedWait(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.open("Tom")
		w.peer.On(pb.CommandType_session, pb.OpType_open, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			s.Send(w.peer.Usual(s, cmd))
			s.Send(message("Tom", "conv", "early"))
			return nil
		})
		w.peer.Socket().Drop()
		time.Sleep(2 * time.Second)
		w.expect("Tom: disconnect", "Tom: schedule(0, 1s)", "Tom: retry(0)", "Tom: reconnect", "Tom: message early")
	})
}

func TestHandlersRegisteredByAHandlerMissNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.rt.NewIMClient("Tom")
		var once sync.Once
		tom.OnMessage(func(_ context.Context, e *realtime.MessageEvent) {
			once.Do(func() {
				time.Sleep(time.Second) // the next messages wait already
				e.Conversation.OnMessage(func(_ context.Context, e *realtime.MessageEvent) { w.say("%s", e.Message.ID) })
			})
		})
		require.NoError(t, tom.Open(t.Context()))
		w.push("Tom", "1", "2", "3")
		time.Sleep(2 * time.Second)
		w.expect("1", "2", "3")
	})
}

func TestContract4OverflowOfWhatIsStillToBeProcessed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.open("Tom")
		// The first message needs the state of its conversation, which does not
		// come.
		w.peer.On(pb.CommandType_conv, pb.OpType_query, silent)
		for i := range 20 {
			w.push("Tom", fmt.Sprint(i))
		}
		<-tom.Done()
		require.ErrorIs(t, tom.Err(), realtime.ErrEventOverflow)
		require.Len(t, w.received(pb.CommandType_session, pb.OpType_close), 1)
		synctest.Wait()
		said := w.saidBy("Tom")
		require.NotEmpty(t, said)
		require.Contains(t, said[len(said)-1], "close 0 ")
	}, func(o *realtime.Options) { o.EventQueue = 8 })
}
