package event_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/event"
)

// collect ranges to the end and returns what it saw.
func collect(seq func(func(int, error) bool)) (got []int, err error) {
	for e, failure := range seq {
		if failure != nil {
			err = errors.Join(err, failure)
			continue // to prove that nothing comes after it
		}
		got = append(got, e)
	}
	return got, err
}

// taken publishes an event that so many streams take and none refuses.
func taken(t *testing.T, h *event.Hub[int], e, want int) {
	t.Helper()
	n, refused := h.Publish(e)
	require.Equal(t, want, n)
	require.False(t, refused)
}

func TestStreamStartsWhenItIsMade(t *testing.T) {
	var h event.Hub[int]
	taken(t, &h, 1, 0)
	s := h.Stream(t.Context(), event.StreamOptions[int]{Limit: 10})
	require.Equal(t, 1, h.Len())
	taken(t, &h, 2, 1)
	taken(t, &h, 3, 1)
	h.End(errEnded)
	h.End(errors.New("too late"))
	taken(t, &h, 4, 0)
	got, err := collect(s)
	require.Equal(t, []int{2, 3}, got)
	require.ErrorIs(t, err, errEnded)
	require.NotContains(t, err.Error(), "too late")
	require.Zero(t, h.Len())
}

func TestStreamOfAnEndedHub(t *testing.T) {
	var h event.Hub[int]
	h.End(errEnded)
	got, err := collect(h.Stream(t.Context(), event.StreamOptions[int]{Limit: 10}))
	require.Empty(t, got)
	require.Equal(t, errEnded.Error(), err.Error())
}

func TestStreamThatLagsEndsAlone(t *testing.T) {
	var h event.Hub[int]
	lagging := h.Stream(t.Context(), event.StreamOptions[int]{Limit: 2})
	roomy := h.Stream(t.Context(), event.StreamOptions[int]{Limit: 10})
	taken(t, &h, 1, 2)
	taken(t, &h, 2, 2)
	n, refused := h.Publish(3)
	require.Equal(t, 1, n)
	require.True(t, refused)
	require.Equal(t, 1, h.Len())
	taken(t, &h, 4, 1)
	h.End(errEnded)

	got, err := collect(lagging)
	require.Equal(t, []int{1, 2}, got, "no gap before the error")
	require.ErrorIs(t, err, event.ErrOverflow)
	require.NotErrorIs(t, err, errEnded)

	got, err = collect(roomy)
	require.Equal(t, []int{1, 2, 3, 4}, got)
	require.ErrorIs(t, err, errEnded)
}

func TestStreamCanBeRangedOverOnce(t *testing.T) {
	var h event.Hub[int]
	s := h.Stream(t.Context(), event.StreamOptions[int]{Limit: 2})
	h.Publish(1)
	for e, err := range s {
		require.NoError(t, err)
		require.Equal(t, 1, e)
		break
	}
	require.Zero(t, h.Len(), "break unsubscribes")
	got, err := collect(s)
	require.Empty(t, got)
	require.ErrorContains(t, err, "once")
}

func TestStreamEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		var h event.Hub[int]
		var dropped []int
		s := h.Stream(ctx, event.StreamOptions[int]{Limit: 10, Dropped: func(e int) { dropped = append(dropped, e) }})
		h.Publish(1)
		h.Publish(2)
		h.Publish(3)
		var got []int
		var end error
		for e, err := range s {
			if err != nil {
				require.Equal(t, []int{2, 3}, dropped, "settled before the consumer hears of it")
				end = err
				break
			}
			got = append(got, e)
			cancel(cause)
		}
		require.Equal(t, []int{1}, got)
		require.ErrorIs(t, end, context.Canceled)
		require.ErrorIs(t, end, cause)
		synctest.Wait()
		require.Equal(t, []int{2, 3}, dropped, "each once")
	})
}

func TestStreamNobodyRangesOverLeavesWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var h event.Hub[int]
		var dropped []int
		h.Stream(ctx, event.StreamOptions[int]{Limit: 10, Dropped: func(e int) { dropped = append(dropped, e) }})
		h.Publish(1)
		h.Publish(2)
		cancel()
		synctest.Wait()
		require.Zero(t, h.Len())
		require.Equal(t, []int{1, 2}, dropped)
		taken(t, &h, 3, 0)
	})
}

func TestStreamWaitsForEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h event.Hub[int]
		s := h.Stream(t.Context(), event.StreamOptions[int]{Limit: 10})
		go func() {
			for i := range 3 {
				time.Sleep(time.Minute)
				h.Publish(i)
			}
			time.Sleep(time.Minute)
			h.End(errEnded)
		}()
		start := time.Now()
		got, err := collect(s)
		require.Equal(t, []int{0, 1, 2}, got)
		require.ErrorIs(t, err, errEnded)
		require.Equal(t, 4*time.Minute, time.Since(start))
	})
}

func TestStreamHandledWhenTheConsumerAsksForMore(t *testing.T) {
	var h event.Hub[int]
	var handled, dropped []int
	s := h.Stream(t.Context(), event.StreamOptions[int]{
		Limit:   10,
		Handled: func(e int) { handled = append(handled, e) },
		Dropped: func(e int) { dropped = append(dropped, e) },
	})
	for i := range 5 {
		h.Publish(i)
	}
	for e, err := range s {
		require.NoError(t, err)
		require.Len(t, handled, e, "the present one is not handled yet")
		if e == 2 {
			break
		}
	}
	require.Equal(t, []int{0, 1}, handled)
	require.Equal(t, []int{2, 3, 4}, dropped)
}

func TestStreamConsumerMayPanic(t *testing.T) {
	var h event.Hub[int]
	var dropped []int
	s := h.Stream(t.Context(), event.StreamOptions[int]{Limit: 10, Dropped: func(e int) { dropped = append(dropped, e) }})
	h.Publish(1)
	h.Publish(2)
	require.Panics(t, func() {
		for range s {
			panic("consumer")
		}
	})
	require.Zero(t, h.Len())
	require.Equal(t, []int{1, 2}, dropped)
}

func TestStreamFilter(t *testing.T) {
	var h event.Hub[int]
	even := h.Stream(t.Context(), event.StreamOptions[int]{Limit: 2, Filter: func(e int) bool { return e%2 == 0 }})
	taken := 0
	for i := range 4 {
		n, _ := h.Publish(i)
		taken += n
	}
	require.Equal(t, 2, taken)
	h.End(errEnded)
	got, err := collect(even)
	require.Equal(t, []int{0, 2}, got, "what is filtered out takes no room")
	require.ErrorIs(t, err, errEnded)
}

func TestStreamMayPublishAndSubscribeWhileRanging(t *testing.T) {
	var h event.Hub[int]
	s := h.Stream(t.Context(), event.StreamOptions[int]{Limit: 10})
	h.Publish(0)
	var got []int
	for e, err := range s {
		if err != nil {
			break
		}
		if got = append(got, e); e < 3 {
			h.Publish(e + 1)
			continue
		}
		h.End(errEnded)
	}
	require.Equal(t, []int{0, 1, 2, 3}, got)
}

func BenchmarkHubPublish(b *testing.B) {
	for _, streams := range []int{0, 1} {
		b.Run(map[int]string{0: "nobody", 1: "one"}[streams], func(b *testing.B) {
			b.ReportAllocs()
			var h event.Hub[int]
			ctx, cancel := context.WithCancel(b.Context())
			done := make(chan struct{})
			if streams == 1 {
				s := h.Stream(ctx, event.StreamOptions[int]{Limit: 1 << 30})
				go func() {
					defer close(done)
					for range s {
					}
				}()
			} else {
				close(done)
			}
			for b.Loop() {
				h.Publish(1)
			}
			cancel()
			<-done
		})
	}
}
