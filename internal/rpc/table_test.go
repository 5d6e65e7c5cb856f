package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rpc"
)

var errGone = fmt.Errorf("connection reset: %w", rpc.ErrDisconnected)

func reply(serial int32) *pb.GenericCommand {
	return &pb.GenericCommand{Cmd: pb.CommandType_ack.Enum(), I: proto.Int32(serial)}
}

func register(t *testing.T, table *rpc.Table, serial int32) *rpc.Call {
	t.Helper()
	return registerFor(t, table, serial, time.Minute)
}

func registerFor(t *testing.T, table *rpc.Table, serial int32, timeout time.Duration) *rpc.Call {
	t.Helper()
	c, err := table.Register(serial, timeout)
	require.NoError(t, err)
	return c
}

func TestRepliesFindTheirCalls(t *testing.T) {
	table := rpc.NewTable()
	calls := map[int32]*rpc.Call{}
	for serial := int32(1); serial <= 3; serial++ {
		calls[serial] = register(t, table, serial)
		require.True(t, calls[serial].Begin())
	}
	require.Equal(t, 3, table.Len())
	for _, serial := range []int32{2, 3, 1} { // any order
		want := reply(serial)
		require.True(t, table.Resolve(want, nil))
		got, err := calls[serial].Wait(t.Context())
		require.NoError(t, err)
		require.Same(t, want, got.GenericCommand)
	}
	require.False(t, table.Resolve(reply(1), nil), "answered twice")
	require.False(t, table.Resolve(reply(9), nil), "never asked")
	require.Zero(t, table.Len())
}

func TestFailEndsEveryCallWithTheCause(t *testing.T) {
	table := rpc.NewTable()
	sent, unsent := register(t, table, 1), register(t, table, 2)
	require.True(t, sent.Begin())
	table.Fail(errGone)
	table.Fail(errors.New("too late"))

	_, err := sent.Wait(t.Context())
	require.ErrorIs(t, err, rpc.ErrDisconnected)
	require.ErrorIs(t, err, rpc.ErrOutcomeUnknown)
	require.ErrorIs(t, err, errGone)

	_, err = unsent.Wait(t.Context())
	require.ErrorIs(t, err, rpc.ErrDisconnected)
	require.NotErrorIs(t, err, rpc.ErrOutcomeUnknown)
	require.False(t, unsent.Begin(), "it must not be sent any more")

	_, err = table.Register(3, time.Minute)
	require.Equal(t, errGone, err)
	_, _, err = table.Join("x", func() int32 { t.Error("numbered"); return 3 })
	require.Equal(t, errGone, err)
	require.False(t, table.Resolve(reply(1), nil))
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := rpc.NewTable()
		c := registerFor(t, table, 1, 20*time.Second)
		c.Begin()
		start := time.Now()
		_, err := c.Wait(t.Context())
		require.Equal(t, 20*time.Second, time.Since(start))
		require.ErrorIs(t, err, rpc.ErrTimeout)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, rpc.ErrOutcomeUnknown)
		require.NotErrorIs(t, err, rpc.ErrDisconnected)
		var timeout interface{ Timeout() bool }
		require.ErrorAs(t, err, &timeout)
		require.True(t, timeout.Timeout())
		require.False(t, table.Resolve(reply(1), nil), "a late reply is nobody's")

		c = registerFor(t, table, 2, 20*time.Second)
		_, err = c.Wait(t.Context())
		require.ErrorIs(t, err, rpc.ErrTimeout)
		require.NotErrorIs(t, err, rpc.ErrOutcomeUnknown, "still in the queue")
		require.False(t, c.Begin())
	})
}

// Calls with times of their own end at those times, to the moment, whichever
// was registered first and whatever was answered meanwhile.
func TestEveryCallHasItsOwnTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := rpc.NewTable()
		start := time.Now()
		var callers sync.WaitGroup
		for i, timeout := range []time.Duration{30 * time.Second, 10 * time.Second, 0, 20 * time.Second, 10 * time.Second} {
			c := registerFor(t, table, int32(i+1), timeout)
			callers.Go(func() {
				_, err := c.Wait(t.Context())
				if timeout == 0 {
					require.NoError(t, err)
					require.Equal(t, time.Hour, time.Since(start))
					return
				}
				require.ErrorIs(t, err, rpc.ErrTimeout)
				require.Equal(t, timeout, time.Since(start))
			})
		}
		time.Sleep(5 * time.Second)
		answered := registerFor(t, table, 100, time.Second)
		table.Resolve(reply(100), nil)
		_, err := answered.Wait(t.Context())
		require.NoError(t, err)
		late := registerFor(t, table, 101, 27*time.Second)
		_, err = late.Wait(t.Context())
		require.ErrorIs(t, err, rpc.ErrTimeout)
		require.Equal(t, 32*time.Second, time.Since(start))
		time.Sleep(time.Hour - time.Since(start))
		require.Equal(t, 1, table.Len())
		table.Resolve(reply(3), nil)
		callers.Wait()
	})
}

func TestContextEndsTheCall(t *testing.T) {
	cause := errors.New("the window was closed")
	canceled, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	expired, cancel2 := context.WithTimeout(t.Context(), -1)
	defer cancel2()
	for _, test := range []struct {
		name  string
		ctx   context.Context
		begun bool
		is    []error
	}{
		{"canceled", canceled, false, []error{context.Canceled, cause}},
		{"canceled after sending", canceled, true, []error{context.Canceled, cause, rpc.ErrOutcomeUnknown}},
		{"deadline", expired, false, []error{context.DeadlineExceeded, rpc.ErrTimeout}},
		{"deadline after sending", expired, true, []error{context.DeadlineExceeded, rpc.ErrTimeout, rpc.ErrOutcomeUnknown}},
	} {
		t.Run(test.name, func(t *testing.T) {
			table := rpc.NewTable()
			c := register(t, table, 1)
			if test.begun {
				c.Begin()
			}
			_, err := c.Wait(test.ctx)
			for _, want := range test.is {
				require.ErrorIs(t, err, want)
			}
			require.Equal(t, test.begun, errors.Is(err, rpc.ErrOutcomeUnknown))
			require.Zero(t, table.Len())
		})
	}
}

func TestContextError(t *testing.T) {
	cause := errors.New("why")
	ctx, cancel := context.WithTimeoutCause(t.Context(), -1, cause)
	defer cancel()
	require.ErrorIs(t, rpc.ContextError(ctx), rpc.ErrTimeout)
	require.ErrorIs(t, rpc.ContextError(ctx), context.DeadlineExceeded)
	require.ErrorIs(t, rpc.ContextError(ctx), cause)
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	require.Equal(t, context.Canceled, rpc.ContextError(ctx))
	ctx, cancel = context.WithTimeout(t.Context(), -1)
	defer cancel()
	require.Equal(t, rpc.ErrTimeout, rpc.ContextError(ctx))
}

func TestAResultThatRacedWithCancellationWins(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 { // the select picks one of two ready cases at random
		table := rpc.NewTable()
		c := register(t, table, 1)
		c.Begin()
		table.Resolve(reply(1), nil)
		table.Fail(errGone)
		got, err := c.Wait(canceled)
		require.NoError(t, err)
		require.EqualValues(t, 1, got.GetI())
	}
}

func TestAbandonedCallIsNeverSent(t *testing.T) {
	table := rpc.NewTable()
	c := register(t, table, 1)
	c.Abandon()
	require.False(t, c.Begin())
	require.False(t, table.Resolve(reply(1), nil))
}

func TestCallsAreReused(t *testing.T) {
	table := rpc.NewTable()
	serial := int32(0)
	allocs := testing.AllocsPerRun(100, func() {
		serial++
		c, err := table.Register(serial, time.Minute)
		if err != nil || !c.Begin() {
			t.Fatal("not usable")
		}
		table.Resolve(&pb.GenericCommand{I: &serial}, nil)
		if _, err := c.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	require.LessOrEqual(t, allocs, 1.0, "the reply is the test's own")
}

func TestACallAnsweredBeforeItWasSentIsNotReused(t *testing.T) {
	table := rpc.NewTable()
	c := register(t, table, 1)
	require.True(t, table.Resolve(reply(1), nil)) // the server guessed the serial
	_, err := c.Wait(t.Context())
	require.NoError(t, err)
	next := register(t, table, 2)
	require.NotSame(t, c, next, "the queue still refers to it")
}

func join(t *testing.T, table *rpc.Table, content string, serial int32) (*rpc.Group, bool) {
	t.Helper()
	g, leader, err := table.Join(content, func() int32 { return serial })
	require.NoError(t, err)
	return g, leader
}

func TestIdenticalCommandsShareOneReply(t *testing.T) {
	table := rpc.NewTable()
	g, leader := join(t, table, "query", 7)
	require.True(t, leader)
	require.EqualValues(t, 7, g.Serial())
	same, leader := join(t, table, "query", 8)
	require.False(t, leader)
	require.Same(t, g, same)
	other, leader := join(t, table, "other query", 9)
	require.True(t, leader)
	require.NotSame(t, g, other)

	g.Begin()
	require.True(t, table.Resolve(reply(7), nil))
	for range 2 {
		got, err := g.Wait(t.Context(), time.Minute)
		require.NoError(t, err)
		require.EqualValues(t, 7, got.GetI())
	}
	_, leader = join(t, table, "query", 10)
	require.True(t, leader, "an answered command is not shared any more")
}

func TestAGroupOutlivesTheCallersThatGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := rpc.NewTable()
		g, _ := join(t, table, "query", 1)
		join(t, table, "query", 2)
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := g.Wait(canceled, 0) // the leader
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, rpc.ErrOutcomeUnknown, "it is still going out for the other one")
		require.True(t, g.Begin())
		go func() { time.Sleep(time.Second); table.Resolve(reply(1), nil) }()
		got, err := g.Wait(t.Context(), time.Minute)
		require.NoError(t, err)
		require.EqualValues(t, 1, got.GetI())
	})
}

func TestAGroupThatAllGiveUpIsWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := rpc.NewTable()
		g, _ := join(t, table, "query", 1)
		join(t, table, "query", 2)
		_, err := g.Wait(t.Context(), time.Second)
		require.ErrorIs(t, err, rpc.ErrTimeout)
		_, err = g.Wait(t.Context(), time.Second)
		require.ErrorIs(t, err, rpc.ErrTimeout)
		require.NotErrorIs(t, err, rpc.ErrOutcomeUnknown)
		require.False(t, g.Begin())
		require.Zero(t, table.Len())
		_, leader := join(t, table, "query", 3)
		require.True(t, leader)
	})
}

func TestFollowersOfALeaderThatCouldNotSend(t *testing.T) {
	table := rpc.NewTable()
	g, _ := join(t, table, "query", 1)
	follower, _ := join(t, table, "query", 2)
	g.Abort()
	require.False(t, g.Begin())
	_, err := follower.Wait(t.Context(), 0)
	require.Equal(t, rpc.ErrNotSent, err)
	_, leader := join(t, table, "query", 3)
	require.True(t, leader)
}

func TestGroupFails(t *testing.T) {
	table := rpc.NewTable()
	g, _ := join(t, table, "a", 1)
	join(t, table, "a", 1)
	unsent, _ := join(t, table, "b", 2)
	join(t, table, "b", 2)
	g.Begin()
	table.Fail(errGone)
	for range 2 {
		_, err := g.Wait(t.Context(), 0)
		require.ErrorIs(t, err, rpc.ErrDisconnected)
		require.ErrorIs(t, err, rpc.ErrOutcomeUnknown)
		_, err = unsent.Wait(t.Context(), 0)
		require.ErrorIs(t, err, rpc.ErrDisconnected)
		require.NotErrorIs(t, err, rpc.ErrOutcomeUnknown)
	}
	unsent.Abort() // the leader finds out late
}

// TestEveryCallEndsOnceUnderLoad lets replies, cancellations and the end of the
// connection race.
func TestEveryCallEndsOnceUnderLoad(t *testing.T) {
	table := rpc.NewTable()
	var serials atomic.Int32
	asked := make(chan int32, 1024)
	var servers, callers sync.WaitGroup
	for range 2 {
		servers.Go(func() {
			for serial := range asked {
				table.Resolve(reply(serial), nil)
				table.Resolve(reply(serial), nil) // twice
			}
		})
	}
	var answered, failed, gaveUp atomic.Int64
	for range 8 {
		callers.Go(func() {
			for i := range 500 {
				ctx, cancel := context.WithCancel(t.Context())
				serial := serials.Add(1)
				c, err := table.Register(serial, time.Minute)
				if err != nil {
					failed.Add(1)
					cancel()
					continue
				}
				if !c.Begin() {
					t.Error("a fresh call cannot begin")
				}
				asked <- serial
				if rand.IntN(4) == 0 {
					go cancel()
				}
				got, err := c.Wait(ctx)
				switch {
				case err == nil && got.GetI() == serial:
					answered.Add(1)
				case errors.Is(err, rpc.ErrDisconnected):
					failed.Add(1)
				case errors.Is(err, context.Canceled) && errors.Is(err, rpc.ErrOutcomeUnknown):
					gaveUp.Add(1)
				default:
					t.Errorf("call %d: got %v, %v", serial, got, err)
				}
				cancel()
				if i == 400 {
					table.Fail(errGone)
				}
			}
		})
	}
	callers.Wait()
	close(asked)
	servers.Wait()
	require.EqualValues(t, 8*500, answered.Load()+failed.Load()+gaveUp.Load())
	require.NotZero(t, answered.Load())
	require.NotZero(t, failed.Load())
	require.Zero(t, table.Len())
}

func BenchmarkCall(b *testing.B) {
	table := rpc.NewTable()
	serial := int32(0)
	answer := &pb.GenericCommand{I: &serial}
	b.ReportAllocs()
	for b.Loop() {
		serial++
		c, _ := table.Register(serial, time.Minute)
		c.Begin()
		table.Resolve(answer, nil)
		_, _ = c.Wait(b.Context())
	}
}
