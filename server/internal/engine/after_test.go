package engine

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/store"
)

func TestAfterwardsRunsInOrderAndToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(lines)
		var w afterwards
		w.start(slog.New(slog.NewTextHandler(log, nil)))
		var got []int
		for i := range 100 {
			w.do(func(context.Context) {
				if i == 50 {
					panic("hook")
				}
				got = append(got, i)
			})
		}
		w.stop(t.Context())
		require.Len(t, got, 99)
		require.Equal(t, 99, got[98])
		require.Contains(t, log.String(), "hook panicked")
		w.do(func(context.Context) { t.Error("after the end") })
	})
}

// A hook that is too slow costs calls of hooks and nothing else.
func TestAfterwardsIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(lines)
		var w afterwards
		w.start(slog.New(slog.NewTextHandler(log, nil)))
		n, release := 0, make(chan struct{})
		w.do(func(context.Context) { <-release })
		synctest.Wait()
		for range afterLimit + 5 {
			w.do(func(context.Context) { n++ })
		}
		close(release)
		synctest.Wait()
		require.Equal(t, afterLimit, n)
		require.Contains(t, log.String(), "calls=5")
		w.do(func(context.Context) { n++ })
		w.stop(t.Context())
		require.Equal(t, afterLimit+1, n)
	})
}

func TestAfterwardsIsToldToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w afterwards
		w.start(slog.New(slog.DiscardHandler))
		w.do(func(ctx context.Context) { <-ctx.Done() })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		w.stop(ctx)
		require.Equal(t, time.Minute, time.Since(begin))
	})
}

func TestRecentSendsForget(t *testing.T) {
	var r recentSends
	key := func(i int) store.SendKey { return store.SendKey{Token: fmt.Sprint(i)} }
	now := int64(1_000_000)
	r.put(store.SendKey{}, Sent{Mid: "no token"}, now)
	_, ok := r.find(store.SendKey{}, now)
	require.False(t, ok)
	r.put(key(1), Sent{Mid: "1", TS: now}, now)
	now += dedupFor.Milliseconds() - 1
	s, ok := r.find(key(1), now)
	require.True(t, ok)
	require.Equal(t, "1", s.Mid)
	_, ok = r.find(key(1), now+1)
	require.False(t, ok)
	for i := range 5 * recentLimit {
		r.put(key(i), Sent{TS: now}, now)
	}
	require.LessOrEqual(t, len(r.cur)+len(r.old), 2*recentLimit)
	_, ok = r.find(key(5*recentLimit-1), now)
	require.True(t, ok)
}

func TestReturnsForget(t *testing.T) {
	var r returns
	for i := range 10 * firstSweep {
		token := fmt.Sprint(i)
		r.opened(token, fanout.SessionRef(i+1), int64(i))
		r.ended(token, fanout.SessionRef(i+1), roomNote{cid: "room", until: int64(i + 100)}, int64(i))
	}
	require.LessOrEqual(t, len(r.notes), 2*firstSweep)
	require.Empty(t, r.open)
	now := int64(10 * firstSweep)
	cid, _ := r.opened(fmt.Sprint(10*firstSweep-1), 1, now)
	require.Equal(t, "room", cid)
	cid, _ = r.opened(fmt.Sprint(10*firstSweep-100), 2, now)
	require.Empty(t, cid, "too late")
	// The end of an old session says nothing about the new one of its chain.
	r.opened("x", 10, now)
	_, old := r.opened("x", 11, now)
	require.EqualValues(t, 10, old)
	r.ended("x", 10, roomNote{cid: "room", until: now + 100}, now)
	_, old = r.opened("x", 12, now)
	require.EqualValues(t, 11, old)
}
