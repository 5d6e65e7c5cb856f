package realtime_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
)

func TestStats(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		rt, err := realtime.New(s.Options())
		require.NoError(t, err)
		defer rt.Close(t.Context())
		require.Equal(t, realtime.Stats{}, rt.Stats())
		tom, err := rt.CreateIMClient(t.Context(), "Tom")
		require.NoError(t, err)
		jerry, err := rt.CreateIMClient(t.Context(), "Jerry")
		require.NoError(t, err)
		heard := watch(jerry)
		conv := s.group(tom, "Jerry")
		s.say(conv, "one")
		s.say(conv, "two")
		_, err = tom.GetConversation(t.Context(), "000000000000000000000000")
		require.Error(t, err)
		calm()
		require.Len(t, heard.heard("message"), 2)

		st := rt.Stats()
		require.Equal(t, realtime.StateConnected, st.State)
		require.Equal(t, int64(2), st.Clients)
		require.Equal(t, uint64(1), st.Dials)
		require.Equal(t, uint64(1), st.Connects)
		require.Zero(t, st.DialsFailed+st.Disconnects+st.CommandsRefused+st.CommandsFailed+st.Overflows+st.PushesUnknown)
		require.Equal(t, uint64(2+1+2+1+1), st.Commands, "logins, conversation, messages, query, and Jerry's question about the conversation")
		require.Equal(t, st.Commands+st.Pushes, st.FramesIn)
		require.GreaterOrEqual(t, st.FramesOut, st.Commands+1, "and an acknowledgement")
		require.Greater(t, st.BytesIn, st.FramesIn)
		require.Greater(t, st.BytesOut, st.FramesOut)
		onServer := s.Stats()
		require.Equal(t, onServer.FramesIn, st.FramesOut)
		require.Equal(t, onServer.FramesOut, st.FramesIn)
		require.Equal(t, onServer.BytesIn, st.BytesOut)

		require.Equal(t, realtime.ClientStats{
			Opens: 1, Sent: 2, Events: tom.Stats().Events, Conversations: tom.Stats().Conversations,
		}, tom.Stats())
		js := jerry.Stats()
		require.Equal(t, uint64(2), js.Received)
		require.Zero(t, js.Recovered+js.Duplicates)
		require.Equal(t, int64(1), js.Conversations)
		require.Equal(t, uint64(2), rt.Stats().Sum.Sent)
		require.Equal(t, tom.Stats().Events+js.Events, rt.Stats().Sum.Events)

		// Away, with a message missed.
		spike := s.Client("Spike")
		theirs := s.group(spike, "Jerry")
		moment()
		accept := s.Refuse()
		s.Cut("Tom") // and with him Jerry
		synctest.Wait()
		_, err = conv.Send(t.Context(), realtime.NewTextMessage("not sent"))
		require.ErrorIs(t, err, realtime.ErrDisconnected)
		s.say(theirs, "missed")
		time.Sleep(10 * time.Second)
		accept()
		time.Sleep(time.Minute)
		st = rt.Stats()
		require.Equal(t, uint64(2), st.Connects)
		require.Equal(t, uint64(1), st.Disconnects)
		require.Equal(t, st.Dials, st.Connects+st.DialsFailed)
		require.Positive(t, st.DialsFailed)
		require.Equal(t, uint64(1), tom.Stats().SendsFailed)
		js = jerry.Stats()
		require.Equal(t, uint64(2), js.Opens)
		require.Equal(t, uint64(1), js.Reopens)
		require.Equal(t, uint64(1), js.Recovered)
		require.Equal(t, uint64(3), js.Received)

		require.NoError(t, rt.Close(t.Context()))
		st = rt.Stats()
		require.Equal(t, realtime.StateClosed, st.State)
		require.Zero(t, st.Clients)
		require.Equal(t, uint64(1), st.Disconnects, "Close loses nothing")
		require.Equal(t, js.Received, jerry.Stats().Received, "also after the end")
		synctest.Wait()
		require.Equal(t, uint64(3), rt.Stats().Sum.Received)
		require.Equal(t, uint64(2), rt.Stats().Sum.Sent)
		require.Equal(t, uint64(4), rt.Stats().Sum.Opens)
		require.Zero(t, rt.Stats().Sum.Conversations)
	})
}

func TestStatsOfSends(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		s.Inject(realtimetest.Fault{Command: "direct", Times: 1, Do: realtimetest.Drop()})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := conv.Send(ctx, realtime.NewTextMessage("lost"))
		require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
		_, err = conv.Send(t.Context(), realtime.NewTextMessage(string(make([]byte, 6000))))
		refusal := (*realtime.Error)(nil)
		require.ErrorAs(t, err, &refusal)

		accept := s.Refuse()
		s.Cut("Tom")
		var sending sync.WaitGroup
		sending.Go(func() {
			_, err := conv.Send(t.Context(), realtime.NewTextMessage("patient"), realtime.WithRetry())
			require.NoError(t, err)
		})
		time.Sleep(2 * time.Second)
		st := tom.Stats()
		require.Equal(t, int64(1), st.SendsInFlight)
		require.Equal(t, int64(1), st.SendsWaiting)
		accept()
		sending.Wait()
		st = tom.Stats()
		require.Zero(t, st.SendsInFlight+st.SendsWaiting)
		require.Equal(t, uint64(1), st.Sent)
		require.Equal(t, uint64(1), st.SendsUnknown)
		require.Equal(t, uint64(1), st.SendsRefused)
		require.Zero(t, st.SendsFailed)
		require.Equal(t, uint64(1), st.SendRetries)
		calm()

		// A slow handler makes events wait.
		s.Inject(realtimetest.Fault{Command: "direct", Client: "Jerry", Pushes: true, Times: 1, Do: realtimetest.AnswerTwice()})
		block := make(chan struct{})
		jerry.OnMessage(func(context.Context, *realtime.MessageEvent) { <-block })
		s.say(conv, "one")
		s.say(conv, "two")
		s.say(conv, "three")
		require.GreaterOrEqual(t, jerry.Stats().EventsWaiting, int64(2), "with the counts of unread messages")
		require.Equal(t, uint64(1), jerry.Stats().Duplicates)
		close(block)
		calm()
		require.Zero(t, jerry.Stats().EventsWaiting)
	})
}

func TestObserver(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		var (
			mu       sync.Mutex
			commands []realtime.CommandObservation
			handlers []realtime.HandlerObservation
		)
		o := s.Options()
		o.Observer = &realtime.Observer{
			Command: func(_ context.Context, c realtime.CommandObservation) {
				mu.Lock()
				defer mu.Unlock()
				commands = append(commands, c)
			},
			Handler: func(_ context.Context, h realtime.HandlerObservation) {
				mu.Lock()
				defer mu.Unlock()
				handlers = append(handlers, h)
			},
		}
		rt, err := realtime.New(o)
		require.NoError(t, err)
		defer rt.Close(t.Context())
		jerry := rt.NewIMClient("Jerry")
		jerry.OnMessage(func(context.Context, *realtime.MessageEvent) { time.Sleep(time.Second) })
		require.NoError(t, jerry.Open(t.Context()))
		conv := s.group(s.Client("Tom"), "Jerry")
		s.say(conv, "hello")
		s.Inject(realtimetest.Fault{Command: "conv/query", Times: 1, Do: realtimetest.Delay(2 * time.Second)})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = jerry.Query().Find(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		calm()

		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, "session/open", commands[0].Name)
		require.NoError(t, commands[0].Err)
		last := commands[len(commands)-1]
		require.Equal(t, "conv/query", last.Name)
		require.Equal(t, "Jerry", last.ClientID)
		require.Equal(t, time.Second, last.Took)
		require.ErrorIs(t, last.Err, context.DeadlineExceeded)
		var took time.Duration
		for _, h := range handlers {
			require.Equal(t, "Jerry", h.ClientID)
			if h.Event == "MessageEvent" {
				took = h.Took
			}
		}
		require.Equal(t, time.Second, took)
	})
}

// Stats can be asked for at any time.
func TestStatsWhileEverythingMoves(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		stop := make(chan struct{})
		var looking sync.WaitGroup
		for _, c := range []*realtime.IMClient{tom, jerry} {
			looking.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond):
					}
					st, cs := c.Realtime().Stats(), c.Stats()
					if st.Disconnects > st.Connects || st.DialsFailed > st.Dials || cs.Recovered > cs.Received || cs.Reopens > cs.Opens {
						t.Errorf("a part is more than the whole: %+v %+v", st, cs)
					}
				}
			})
		}
		for range 20 {
			for range 5 {
				_, err := conv.Send(t.Context(), realtime.NewTextMessage("hello"), realtime.WithRetry())
				require.NoError(t, err)
			}
			s.Cut("Jerry", "Tom")
			moment()
		}
		time.Sleep(5 * time.Second)
		close(stop)
		looking.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, uint64(100), tom.Stats().Sent)
		require.Equal(t, uint64(100), jerry.Stats().Received)
	})
}
