package event_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/event"
)

func TestRegistryCallsInOrderOfAdding(t *testing.T) {
	var r event.Registry[int]
	var got []string
	r.Call(t.Context(), 0) // nobody there
	stopA := r.Add(func(_ context.Context, e int) { got = append(got, "a") })
	r.Add(func(_ context.Context, e int) { got = append(got, "b") })
	stopC := r.Add(func(_ context.Context, e int) { got = append(got, "c") })
	r.Call(t.Context(), 1)
	require.Equal(t, []string{"a", "b", "c"}, got)
	require.Equal(t, 3, r.Len())

	got = nil
	stopA()
	stopA() // idempotent: it must not take off another one
	r.Call(t.Context(), 2)
	require.Equal(t, []string{"b", "c"}, got)

	got = nil
	stopC()
	r.Add(func(_ context.Context, e int) { got = append(got, "d") })
	r.Call(t.Context(), 3)
	require.Equal(t, []string{"b", "d"}, got)
	require.Equal(t, 2, r.Len())
}

func TestRegistrySameFunctionTwiceIsTwoHandlers(t *testing.T) {
	var r event.Registry[int]
	calls := 0
	h := func(context.Context, int) { calls++ }
	stop := r.Add(h)
	r.Add(h)
	r.Call(t.Context(), 0)
	require.Equal(t, 2, calls)
	stop()
	r.Call(t.Context(), 0)
	require.Equal(t, 3, calls)
}

func TestRegistryStopInsideACallTakesEffectAtOnce(t *testing.T) {
	var r event.Registry[int]
	var got []string
	var stopB func()
	var stopA func()
	stopA = r.Add(func(context.Context, int) {
		got = append(got, "a")
		stopA()
		stopB() // a later handler of the same event
		r.Add(func(context.Context, int) { got = append(got, "late") })
	})
	stopB = r.Add(func(context.Context, int) { got = append(got, "b") })
	r.Add(func(context.Context, int) { got = append(got, "c") })
	r.Call(t.Context(), 0)
	require.Equal(t, []string{"a", "c"}, got, "the stopped one is left out, the new one waits for the next event")
	r.Call(t.Context(), 0)
	require.Equal(t, []string{"a", "c", "c", "late"}, got)
}

func TestRegistryRefusesNil(t *testing.T) {
	var r event.Registry[int]
	require.Panics(t, func() { r.Add(nil) })
	require.Zero(t, r.Len())
}

func TestRegistryConcurrentUse(t *testing.T) {
	var r event.Registry[int]
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				stop := r.Add(func(context.Context, int) {})
				r.Call(t.Context(), 0)
				stop()
			}
		})
	}
	wg.Wait()
	require.Zero(t, r.Len())
}
