package realtime

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whether an event counts as handled decides whether a message is
// acknowledged, and nothing public tells.
func TestHandled(t *testing.T) {
	const handles, givesUp = false, true
	for _, tt := range []struct {
		name    string
		early   []bool // receivers that finish before all are counted
		late    []bool
		refused bool
		want    bool
	}{
		{"nobody listens", nil, nil, false, true},
		{"one handles", nil, []bool{handles}, false, true},
		{"one handles early", []bool{handles}, nil, false, true},
		{"one gives up", nil, []bool{givesUp}, false, false},
		{"the last gives up", nil, []bool{handles, givesUp}, false, true},
		{"the first gives up", []bool{givesUp}, []bool{handles}, false, true},
		{"all give up", []bool{givesUp}, []bool{givesUp}, false, false},
		{"nobody can take it", nil, nil, true, false},
		{"one handles, one cannot take it", nil, []bool{handles}, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var calls []bool
			h := newHandled(func(handled bool) { calls = append(calls, handled) })
			for _, gaveUp := range tt.early {
				h.finished(gaveUp)
			}
			require.Empty(t, calls)
			h.published(len(tt.early)+len(tt.late), tt.refused)
			for i, gaveUp := range tt.late {
				require.Empty(t, calls, "receiver %d has not finished", i)
				h.finished(gaveUp)
			}
			require.Equal(t, []bool{tt.want}, calls)
		})
	}
}

func TestNilHandlerPanics(t *testing.T) {
	rt, err := New(Options{AppID: "app", AppKey: "key"})
	require.NoError(t, err)
	c := rt.NewIMClient("Tom")
	conv, _ := c.convs.getOrMake("5f0b")
	require.Panics(t, func() { rt.OnDisconnect(nil) })
	require.Panics(t, func() { c.OnMessage(nil) })
	require.Panics(t, func() { conv.OnMessage(nil) })
	require.NoError(t, rt.Close(context.Background()))
}

// What the worker of the handlers took out before Close had discarded the rest is
// discarded as well, however late it comes to it.
func TestNoHandlerBeginsAfterClose(t *testing.T) {
	rt, err := New(Options{AppID: "app", AppKey: "key"})
	require.NoError(t, err)
	c := rt.NewIMClient("Tom")
	calls := 0
	c.OnClose(func(context.Context, *CloseEvent) { calls++ })
	late := delivery{event: &CloseEvent{}}
	c.handle(t.Context(), late)
	require.Equal(t, 1, calls)
	require.NoError(t, c.Close(t.Context()))
	c.handle(t.Context(), late)
	require.Equal(t, 1, calls)
	require.NoError(t, rt.Close(t.Context()))
}
