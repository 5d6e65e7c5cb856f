package bench_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
	"github.com/leanrtm/realtime/cmd/rtm/internal/bench"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/server"
)

// oneWay is how long everything takes on the network of the tests.
const oneWay = 5 * time.Millisecond

// roundTrip is what a command and its answer take, in microseconds. Histograms
// keep three digits.
const (
	roundTrip = 10_000.
	slack     = 50.
)

// inBubble runs a test with a server on a network that takes its time.
func inBubble(t *testing.T, test func(t *testing.T, s *realtimetest.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(t, realtimetest.NewServer(t, realtimetest.WithLatency(oneWay), realtimetest.WithServerOptions(func(o *server.Options) {
			o.Logger = slog.New(slog.DiscardHandler) // there is much to do
		})))
	})
}

// options are those of a small piece of work.
func options(s *realtimetest.Server, work bench.Work) bench.Options {
	connect := s.Options()
	connect.Logger = nil
	return bench.Options{
		Work: work, Connect: connect, Admin: s.Admin(),
		Senders: 1, InFlight: []int{1}, Receivers: []int{0}, Size: 100, Count: 50,
		Clients: 7, Connections: 3, Rounds: 2, Messages: 50, Page: 20, Conversations: 11, Patience: 5 * time.Second,
	}
}

// measure does the work, of which there is one run.
func measure(t *testing.T, o bench.Options) *bench.Result {
	t.Helper()
	report, err := bench.Run(t.Context(), o)
	require.NoError(t, err)
	require.Len(t, report.Runs, 1)
	require.False(t, report.Interrupted)
	return &report.Runs[0]
}

// clean asserts that everything arrived that had to.
func clean(t *testing.T, r *bench.Result, received int) {
	t.Helper()
	assert.True(t, r.Check.OK(), "%+v", r.Check)
	assert.EqualValues(t, received, r.Check.Received)
	assert.Empty(t, r.Check.Errors)
}

func TestSend(t *testing.T) {
	inBubble(t, func(t *testing.T, s *realtimetest.Server) {
		r := measure(t, options(s, bench.Send))
		clean(t, r, 0)
		require.Len(t, r.Measures, 1)
		m := &r.Measures[0]
		assert.Equal(t, "acknowledged", m.Name)
		assert.EqualValues(t, 50, m.Count)
		assert.InDelta(t, 0.5, m.Seconds, 1e-9)
		assert.InDelta(t, 100, m.PerSecond, 1e-6)
		for _, latency := range []float64{m.Latency.Mean, m.Latency.P50, m.Latency.P999} {
			assert.InDelta(t, roundTrip, latency, slack)
		}
		assert.InDelta(t, roundTrip, m.Latency.Max, 1e-6, "the largest is exact")
		var counted int64
		for _, p := range m.Series {
			counted += p.Count
		}
		assert.EqualValues(t, 50, counted)
		assert.Positive(t, r.Process.AllocationsEach)
		assert.Equal(t, "messages", r.Process.Each)
	})
}

func TestInFlight(t *testing.T) {
	inBubble(t, func(t *testing.T, s *realtimetest.Server) {
		o := options(s, bench.Send)
		o.Senders, o.InFlight, o.Receivers = 2, []int{1, 5}, []int{0, 3}
		report, err := bench.Run(t.Context(), o)
		require.NoError(t, err)
		require.Len(t, report.Runs, 4)
		for i, want := range []struct{ inFlight, receivers int }{{1, 0}, {5, 0}, {1, 3}, {5, 3}} {
			r := &report.Runs[i]
			assert.Equal(t, want.inFlight, r.Settings.InFlight)
			assert.Equal(t, want.receivers, r.Settings.Receivers)
			assert.InDelta(t, float64(100*2*want.inFlight), r.Measures[0].PerSecond, 1)
			assert.True(t, r.Check.OK(), "%+v", r.Check)
			if want.receivers > 0 { // dealt out, two to the first sender and one to the second
				assert.Equal(t, r.Measures[1].Count, r.Check.Received)
				assert.Greater(t, r.Check.Received, int64(50))
				assert.InDelta(t, roundTrip, r.Measures[1].Latency.P50, slack, "two ways as well")
			}
		}
	})
}

// A stall counts once where the next message is sent when one is done, and for
// all that it has delayed where messages are due at fixed times.
func TestCoordinatedOmission(t *testing.T) {
	inBubble(t, func(t *testing.T, s *realtimetest.Server) {
		stall := func() {
			s.Inject(realtimetest.Fault{Command: "direct", Skip: 100, Times: 1, Do: realtimetest.Delay(time.Second)})
		}
		o := options(s, bench.Send)
		o.Count = 400
		stall()
		closed := measure(t, o)
		clean(t, closed, 0)
		assert.InDelta(t, roundTrip, closed.Measures[0].Latency.P99, slack)
		assert.InDelta(t, 1e6+roundTrip, closed.Measures[0].Latency.Max, slack)

		o.Rate = 50
		stall()
		open := measure(t, o)
		clean(t, open, 0)
		assert.InDelta(t, roundTrip, open.Measures[0].Latency.P50, slack)
		assert.Greater(t, open.Measures[0].Latency.P99, 0.5e6, "what came after it has waited as well")
		assert.InDelta(t, 1e6+roundTrip, open.Measures[0].Latency.Max, slack)
		assert.InDelta(t, 50, open.Measures[0].PerSecond, 1)
	})
}

func TestFanOut(t *testing.T) {
	const receivers = 210 // more than one command can add
	for name, room := range map[string]bool{"normal": false, "room": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *realtimetest.Server) {
				o := options(s, bench.FanOut)
				o.Room, o.Senders, o.InFlight, o.Receivers, o.Connections = room, 2, []int{3}, []int{receivers}, 4
				o.Count = 10
				r := measure(t, o)
				clean(t, r, 10*(receivers+1)) // the other sender hears it as well
				assert.Equal(t, name, r.Settings.Kind)
				assert.EqualValues(t, 10, r.Measures[0].Count)
				assert.EqualValues(t, 10*(receivers+1), r.Measures[1].Count)
				assert.EqualValues(t, 10, r.Measures[2].Count)
				assert.InDelta(t, roundTrip, r.Measures[2].Latency.P50, slack)
				assertTidy(t, s)
			})
		})
	}
}

// assertTidy asserts that no conversation is left.
func assertTidy(t *testing.T, s *realtimetest.Server) {
	t.Helper()
	for info, err := range s.Admin().AllConversations(t.Context(), admin.Query{}) {
		require.NoError(t, err)
		assert.Fail(t, "a conversation is left", info.ID)
	}
}

func TestBroadcast(t *testing.T) {
	inBubble(t, func(t *testing.T, s *realtimetest.Server) {
		o := options(s, bench.Broadcast)
		o.InFlight, o.Receivers, o.Subscribers = []int{2}, []int{9}, 4
		clean(t, measure(t, o), 50*9)
		o.All = true
		clean(t, measure(t, o), 50*9)
		assertTidy(t, s)
	})
}

func TestLogin(t *testing.T) {
	inBubble(t, func(t *testing.T, s *realtimetest.Server) {
		o := options(s, bench.Login)
		o.Clients = 45 // more than can be asked for at once
		r := measure(t, o)
		clean(t, r, 45)
		assert.EqualValues(t, 45, r.Measures[0].Count)
		assert.Equal(t, 3, r.Settings.Connections)
	})
}

func TestReconnect(t *testing.T) {
	inBubble(t, func(t *testing.T, s *realtimetest.Server) {
		o := options(s, bench.Reconnect)
		o.Backoff = time.Second
		r := measure(t, o)
		clean(t, r, 7)
		assert.EqualValues(t, 14, r.Measures[0].Count)
		assert.GreaterOrEqual(t, r.Measures[0].Latency.P50, 1e6, "a second, and the way back")
		assert.Less(t, r.Measures[0].Latency.Max, 3e6)
	})
}

func TestHistory(t *testing.T) {
	inBubble(t, func(t *testing.T, s *realtimetest.Server) {
		for _, room := range []bool{false, true} {
			o := options(s, bench.History)
			o.InFlight, o.Room = []int{2}, room
			r := measure(t, o)
			clean(t, r, 2*2*50)
			assert.EqualValues(t, 200, r.Measures[1].Count)
			assert.InDelta(t, roundTrip, r.Measures[0].Latency.P50, slack)
		}
		assertTidy(t, s)
	})
}

func TestQuery(t *testing.T) {
	inBubble(t, func(t *testing.T, s *realtimetest.Server) {
		o := options(s, bench.Query)
		o.InFlight = []int{4}
		r := measure(t, o)
		clean(t, r, 50)
		assert.InDelta(t, 400, r.Measures[0].PerSecond, 20)
		assertTidy(t, s)
	})
}

// What does not arrive, or arrives twice, or cannot be sent is found.
func TestFaultsAreFound(t *testing.T) {
	for _, test := range []struct {
		name  string
		fault realtimetest.Fault
		check bench.Check
	}{
		{"lost", realtimetest.Fault{Pushes: true, Do: realtimetest.Drop()}, bench.Check{Received: 148, Lost: 2}},
		{"late", realtimetest.Fault{Pushes: true, Do: realtimetest.Delay(time.Second)}, bench.Check{Received: 150, Misordered: 2}},
		{"refused", realtimetest.Fault{Do: realtimetest.Fail(realtime.ErrMessageRejectedByApp)}, bench.Check{Received: 144, Failed: 2}},
		{"unanswered", realtimetest.Fault{Do: realtimetest.LoseAnswer()}, bench.Check{Received: 150, Failed: 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *realtimetest.Server) {
				test.fault.Command, test.fault.Skip, test.fault.Times = "direct", 20, 2
				s.Inject(test.fault)
				o := options(s, bench.Send)
				o.Receivers = []int{3}
				r := measure(t, o)
				assert.False(t, r.Check.OK())
				errs := r.Check.Errors
				r.Check.Errors = nil
				assert.Equal(t, test.check, r.Check)
				assert.Equal(t, test.check.Failed > 0, len(errs) > 0, errs)
			})
		})
	}
}

// Who waits for all receivers waits no longer than the patience.
func TestFanOutLost(t *testing.T) {
	inBubble(t, func(t *testing.T, s *realtimetest.Server) {
		s.Inject(realtimetest.Fault{Command: "direct", Pushes: true, Skip: 20, Times: 1, Do: realtimetest.Drop()})
		o := options(s, bench.FanOut)
		o.Receivers = []int{3}
		r := measure(t, o)
		assert.EqualValues(t, 1, r.Check.Lost)
		assert.EqualValues(t, 1, r.Check.Failed)
		assert.EqualValues(t, 49, r.Measures[2].Count)
		assert.Contains(t, r.Check.Errors[0], "has not reached all receivers")
	})
}

func TestInterrupt(t *testing.T) {
	for _, work := range []bench.Work{bench.Send, bench.FanOut, bench.Broadcast, bench.History, bench.Query, bench.Reconnect} {
		t.Run(string(work), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *realtimetest.Server) {
				ctx, interrupt := context.WithCancel(t.Context())
				o := options(s, work)
				o.Receivers, o.Count, o.Duration, o.Rounds = []int{2}, 0, time.Hour, 1_000_000
				o.Progress = func(stage string, done, _ int) {
					if stage == string(work) && done >= 30 {
						interrupt()
					}
				}
				report, err := bench.Run(ctx, o)
				require.NoError(t, err)
				require.Len(t, report.Runs, 1)
				assert.True(t, report.Interrupted)
				assert.True(t, report.Runs[0].Check.OK(), "%+v", report.Runs[0].Check)
				assert.Positive(t, report.Runs[0].Measures[0].Count)
			})
		})
	}
}

// Who is interrupted before anything was measured has nothing to report.
func TestInterruptBefore(t *testing.T) {
	inBubble(t, func(t *testing.T, s *realtimetest.Server) {
		ctx, interrupt := context.WithCancel(t.Context())
		o := options(s, bench.Send)
		o.Progress = func(string, int, int) { interrupt() }
		_, err := bench.Run(ctx, o)
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestDuration(t *testing.T) {
	inBubble(t, func(t *testing.T, s *realtimetest.Server) {
		o := options(s, bench.Send)
		o.Count, o.Duration, o.Rate = 0, 10*time.Second, 20
		r := measure(t, o)
		clean(t, r, 0)
		assert.EqualValues(t, 200, r.Measures[0].Count)
		assert.InDelta(t, 20, r.Measures[0].PerSecond, 0.2)
	})
}

func TestValidate(t *testing.T) {
	good := bench.Options{
		Work: bench.Send, Senders: 1, InFlight: []int{1}, Receivers: []int{1}, Size: 64, Count: 1, Clients: 1,
		Rounds: 1, Messages: 1, Page: 1, Conversations: 1, Patience: time.Second,
	}
	for _, work := range []bench.Work{bench.Send, bench.FanOut, bench.Login, bench.Reconnect, bench.History, bench.Query} {
		o := good
		o.Work = work
		assert.NoError(t, o.Validate(), work)
	}
	for says, change := range map[string]func(o *bench.Options){
		"0 in flight":         func(o *bench.Options) { o.InFlight = []int{1, 0} },
		"-1 receivers":        func(o *bench.Options) { o.Receivers = []int{-1} },
		"-1 connections":      func(o *bench.Options) { o.Connections = -1 },
		"size of 63":          func(o *bench.Options) { o.Size = 63 },
		"how many messages":   func(o *bench.Options) { o.Count = 0 },
		"0 senders":           func(o *bench.Options) { o.Senders = 0 },
		"0 receivers":         func(o *bench.Options) { o.Work, o.Receivers = bench.FanOut, []int{0} },
		"administrator":       func(o *bench.Options) { o.Work = bench.Broadcast },
		"0 clients":           func(o *bench.Options) { o.Work, o.Clients = bench.Login, 0 },
		"a client":            func(o *bench.Options) { o.Work, o.Rounds = bench.Reconnect, 0 },
		"a message":           func(o *bench.Options) { o.Work, o.Messages = bench.History, 0 },
		"page of 1001":        func(o *bench.Options) { o.Work, o.Page = bench.History, 1001 },
		"0 conversations":     func(o *bench.Options) { o.Work, o.Conversations = bench.Query, 0 },
		"how many queries":    func(o *bench.Options) { o.Work, o.Count = bench.Query, 0 },
		`no work "dance"`:     func(o *bench.Options) { o.Work = "dance" },
		"patience":            func(o *bench.Options) { o.Patience = 0 },
		"a rate of -1":        func(o *bench.Options) { o.Rate = -1 },
		"duration of -1s":     func(o *bench.Options) { o.Duration = -time.Second },
		"backoff of -1s":      func(o *bench.Options) { o.Backoff = -time.Second },
		"are in flight":       func(o *bench.Options) { o.InFlight = nil },
		"1000000 in flight":   func(o *bench.Options) { o.InFlight = []int{1_000_000} },
		"10000000 clients":    func(o *bench.Options) { o.Clients = 10_000_000 },
		"through an HTTP cli": func(o *bench.Options) { o.Connect.HTTPClient = http.DefaultClient },
	} {
		o := good
		change(&o)
		assert.ErrorContains(t, o.Validate(), says)
	}
}
