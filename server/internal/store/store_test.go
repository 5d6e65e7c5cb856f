package store_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leanrtm/realtime/server/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestGuardKindsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for k := store.GuardFence; k <= store.GuardPatch; k++ {
		require.NotContains(t, k.String(), "GuardKind")
		require.False(t, seen[k.String()])
		seen[k.String()] = true
	}
	require.Equal(t, "GuardKind(0)", store.GuardKind(0).String())
	require.Equal(t, "GuardKind(9)", (store.GuardPatch + 1).String())
}

func TestErrors(t *testing.T) {
	err := fmt.Errorf("commit: %w", &store.GuardError{Which: store.GuardSeq, Cid: "a", N: 7})
	g, ok := store.AsGuard(err, store.GuardSeq)
	require.True(t, ok)
	require.Equal(t, int64(7), g.N)
	require.ErrorContains(t, err, "sequence")
	_, ok = store.AsGuard(err, store.GuardConv)
	require.False(t, ok)
	_, ok = store.AsGuard(errors.New("else"), store.GuardSeq)
	require.False(t, ok)
	_, ok = store.AsGuard(nil, store.GuardSeq)
	require.False(t, ok)
	require.ErrorContains(t, &store.SentError{Mid: "m", TS: 5}, "m at 5")
}

func TestRangeHolds(t *testing.T) {
	m := &store.Message{TS: 10, Mid: "b", Type: 3, Flags: store.FlagTyped}
	at := func(ts int64, mid string, closed bool) store.Bound {
		return store.Bound{Set: true, TS: ts, Mid: mid, Closed: closed}
	}
	for _, c := range []struct {
		r    store.Range
		want bool
	}{
		{store.Range{}, true},
		{store.Range{Newer: true}, true},
		{store.Range{Typed: true, Type: 3}, true},
		{store.Range{Typed: true, Type: 4}, false},
		{store.Range{Start: at(10, "", false)}, false},
		{store.Range{Start: at(10, "", true)}, true},
		{store.Range{Start: at(10, "c", false)}, true},
		{store.Range{Start: at(10, "b", false)}, false},
		{store.Range{End: at(10, "a", false)}, true},
		{store.Range{End: at(10, "b", true)}, true},
		{store.Range{End: at(11, "", true)}, false},
		{store.Range{Newer: true, Start: at(9, "", false), End: at(10, "b", false)}, false},
		{store.Range{Newer: true, Start: at(10, "a", false), End: at(10, "b", true)}, true},
	} {
		require.Equal(t, c.want, c.r.Holds(m), "%+v", c.r)
	}
	require.False(t, store.Range{Typed: true}.Holds(&store.Message{}), "a message without a type has no type 0")
}

func TestMentioned(t *testing.T) {
	require.True(t, (&store.Message{Mentions: []string{"a", "b"}}).Mentioned("b"))
	require.False(t, (&store.Message{Mentions: []string{"a", "b"}}).Mentioned("c"))
	require.True(t, (&store.Message{Flags: store.FlagMentionAll}).Mentioned("c"))
}
