package event_test

import (
	"context"
	"errors"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/event"
)

var errEnded = errors.New("ended")

func TestQueueHandlesInOrderOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int // written by the worker only: the race detector proves "one at a time"
		q := event.NewQueue(t.Context(), event.QueueOptions[int]{
			Limit: 1000,
			Handle: func(_ context.Context, v int) {
				if v%100 == 0 {
					time.Sleep(time.Second)
				}
				got = append(got, v)
			},
		})
		for i := range 500 {
			require.True(t, q.Push(i))
		}
		require.NoError(t, q.Wait(t.Context()))
		require.Len(t, got, 500)
		require.IsIncreasing(t, got)
		require.Zero(t, q.Len())
	})
}

func TestQueueHasNoGoroutineWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queues := make([]*event.Queue[int], 100)
		handled := 0
		var mu sync.Mutex
		for i := range queues {
			queues[i] = event.NewQueue(t.Context(), event.QueueOptions[int]{
				Limit:  10,
				Handle: func(context.Context, int) { mu.Lock(); handled++; mu.Unlock() },
			})
			queues[i].Push(i)
		}
		synctest.Wait()
		require.Equal(t, 100, handled)
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		// Workers of other tests may still be on their way out: only those of this
		// bubble count, which the first line names, that of the test itself.
		bubble := regexp.MustCompile(`synctest bubble \d+\]`).FindString(string(stacks))
		require.NotEmpty(t, bubble)
		for stack := range strings.SplitSeq(string(stacks), "\n\n") {
			if header, rest, _ := strings.Cut(stack, "\n"); strings.Contains(header, bubble) {
				require.NotContains(t, rest, "event.(*Queue")
			}
		}
	})
}

func TestQueueOverflowIsToldOnceAndKeepsWhatItAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int
		overflows := 0
		release := make(chan struct{})
		var q *event.Queue[int]
		q = event.NewQueue(t.Context(), event.QueueOptions[int]{
			Limit:  3,
			Handle: func(_ context.Context, v int) { <-release; got = append(got, v) },
			Overflow: func() {
				overflows++
				require.Equal(t, 3, q.Len(), "called without the lock held")
			},
		})
		require.True(t, q.Push(0))
		synctest.Wait() // 0 is being handled and no longer counts
		for i := 1; i <= 3; i++ {
			require.True(t, q.Push(i))
		}
		require.False(t, q.Push(4))
		require.False(t, q.Push(5))
		require.Equal(t, 1, overflows)
		close(release)
		require.NoError(t, q.Wait(t.Context()))
		require.Equal(t, []int{0, 1, 2, 3}, got)
		require.False(t, q.Push(6), "also after it has become empty again")
		require.Equal(t, 1, overflows)
	})
}

func TestQueueCloseLetsTheRunningHandlerFinishAndDiscardsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int
		var cause error
		q := event.NewQueue(t.Context(), event.QueueOptions[int]{
			Limit: 10,
			Handle: func(ctx context.Context, v int) {
				<-ctx.Done()
				cause = context.Cause(ctx)
				time.Sleep(time.Minute)
				got = append(got, v)
			},
		})
		q.Push(1)
		q.Push(2)
		synctest.Wait()
		q.Close(errEnded)
		q.Close(errors.New("too late"))
		require.False(t, q.Push(3))

		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, q.Wait(short), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))

		require.NoError(t, q.Wait(t.Context()))
		require.Equal(t, time.Minute, time.Since(start))
		require.Equal(t, []int{1}, got)
		require.Equal(t, errEnded, cause)
		require.Equal(t, errEnded, context.Cause(q.Context()))
	})
}

func TestQueueWaitInsideAHandlerDoesNotWaitForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type private struct{}
		var q, other *event.Queue[int]
		done := make(chan struct{})
		q = event.NewQueue(t.Context(), event.QueueOptions[int]{
			Limit: 10,
			Handle: func(ctx context.Context, v int) {
				defer close(done)
				require.True(t, q.InHandler(ctx))
				require.False(t, other.InHandler(ctx))
				q.Close(errEnded)
				derived := context.WithValue(context.WithoutCancel(ctx), private{}, 1)
				require.NoError(t, q.Wait(derived))

				// Another queue is waited for all the same.
				other.Push(1)
				start := time.Now()
				require.NoError(t, other.Wait(context.WithoutCancel(ctx)))
				require.Equal(t, time.Hour, time.Since(start))
			},
		})
		other = event.NewQueue(t.Context(), event.QueueOptions[int]{
			Limit:  10,
			Handle: func(context.Context, int) { time.Sleep(time.Hour) },
		})
		q.Push(1)
		<-done
		require.NoError(t, q.Wait(t.Context()))
		require.False(t, q.InHandler(t.Context()))
	})
}

func TestQueueDrainHandlesTheRestAndThenTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int
		var over []bool
		q := event.NewQueue(t.Context(), event.QueueOptions[int]{
			Limit: 2,
			Handle: func(ctx context.Context, v int) {
				time.Sleep(time.Second)
				got = append(got, v)
				over = append(over, ctx.Err() != nil)
			},
		})
		q.Push(1)
		synctest.Wait()
		q.Push(2)
		q.Push(3)
		q.Drain(errEnded, 98, 99) // beyond the limit
		require.False(t, q.Push(4))
		q.Drain(errEnded, 100)
		require.NoError(t, q.Wait(t.Context()))
		require.Equal(t, []int{1, 2, 3, 98, 99}, got)
		require.Equal(t, []bool{true, true, true, true, true}, over)
		require.Equal(t, errEnded, context.Cause(q.Context()))
	})
}

func TestQueueDrainWorksOnAnIdleAndOnAnOverflowedQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int
		q := event.NewQueue(t.Context(), event.QueueOptions[int]{
			Limit: 1,
			Handle: func(ctx context.Context, v int) {
				require.ErrorIs(t, ctx.Err(), context.Canceled)
				got = append(got, v)
			},
		})
		q.Drain(errEnded, 1)
		require.NoError(t, q.Wait(t.Context()))
		require.Equal(t, []int{1}, got)

		got = nil
		release := make(chan struct{})
		q = event.NewQueue(t.Context(), event.QueueOptions[int]{
			Limit:  1,
			Handle: func(_ context.Context, v int) { <-release; got = append(got, v) },
		})
		q.Push(1)
		synctest.Wait()
		q.Push(2)
		require.False(t, q.Push(3))
		q.Drain(event.ErrOverflow, 4)
		close(release)
		require.NoError(t, q.Wait(t.Context()))
		require.Equal(t, []int{1, 2, 4}, got)
	})
}

func TestQueueCloseAfterDrainDiscardsWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int
		q := event.NewQueue(t.Context(), event.QueueOptions[int]{
			Limit:  10,
			Handle: func(_ context.Context, v int) { time.Sleep(time.Second); got = append(got, v) },
		})
		q.Push(1)
		q.Push(2)
		synctest.Wait()
		q.Drain(errEnded, 3)
		q.Close(errors.New("later"))
		q.Drain(errEnded, 4)
		require.NoError(t, q.Wait(t.Context()))
		require.Equal(t, []int{1}, got)
		require.Equal(t, errEnded, context.Cause(q.Context()), "the first cause stays")
	})
}

func TestQueueSurvivesGoexitInAHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int
		q := event.NewQueue(t.Context(), event.QueueOptions[int]{
			Limit: 10,
			Handle: func(_ context.Context, v int) {
				got = append(got, v)
				if v == 1 {
					runtime.Goexit()
				}
			},
			Slow: time.Second, OnSlow: func(int) { t.Error("nothing was slow") },
		})
		q.Push(1)
		q.Push(2)
		require.NoError(t, q.Wait(t.Context()))
		require.Equal(t, []int{1, 2}, got)
	})
}

func TestQueueTellsOfASlowHandlerOnceWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		var slow []int
		q := event.NewQueue(t.Context(), event.QueueOptions[int]{
			Limit:  10,
			Handle: func(_ context.Context, v int) { time.Sleep(time.Duration(v) * time.Second) },
			Slow:   10 * time.Second,
			OnSlow: func(v int) {
				mu.Lock()
				defer mu.Unlock()
				slow = append(slow, v)
				if v == 60 {
					assert.InDelta(t, 12.5, time.Since(start).Seconds(), 0.5, "told while it runs, at most a tenth late")
				}
			},
		})
		for _, v := range []int{2, 60, 9, 12} {
			q.Push(v)
		}
		require.NoError(t, q.Wait(t.Context()))
		require.Equal(t, []int{60, 12}, slow)

		// The first of a worker is told of to the moment, and so is the next worker's.
		slow, start = nil, time.Now()
		for range 2 {
			q.Push(11)
			require.NoError(t, q.Wait(t.Context()))
		}
		require.Equal(t, []int{11, 11}, slow)
	})
}

func TestQueueConcurrentPushes(t *testing.T) {
	const senders, each = 8, 500
	next := make([]int, senders)
	q := event.NewQueue(t.Context(), event.QueueOptions[[2]int]{
		Limit: senders * each,
		Handle: func(_ context.Context, v [2]int) {
			if next[v[0]] != v[1] {
				t.Errorf("sender %d: got %d, want %d", v[0], v[1], next[v[0]])
			}
			next[v[0]]++
		},
	})
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				q.Push([2]int{s, i})
			}
		})
	}
	wg.Wait()
	require.NoError(t, q.Wait(t.Context()))
	for _, n := range next {
		require.Equal(t, each, n)
	}
}

func TestQueueContextEndsWithItsParent(t *testing.T) {
	parent, cancel := context.WithCancelCause(t.Context())
	q := event.NewQueue(parent, event.QueueOptions[int]{Limit: 1, Handle: func(context.Context, int) {}})
	cancel(errEnded)
	require.ErrorIs(t, context.Cause(q.Context()), errEnded)
}

func BenchmarkQueue(b *testing.B) {
	b.ReportAllocs()
	n := 0
	q := event.NewQueue(b.Context(), event.QueueOptions[int]{
		Limit:  1 << 20,
		Handle: func(context.Context, int) { n++ },
		Slow:   time.Minute, OnSlow: func(int) {},
	})
	for b.Loop() {
		for !q.Push(1) {
			b.Fatal("overflow")
		}
		if q.Len() > 1<<12 {
			_ = q.Wait(b.Context())
		}
	}
	_ = q.Wait(b.Context())
}
