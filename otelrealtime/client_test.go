package otelrealtime

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/otelrealtime/internal/instrument"
	"github.com/leanrtm/realtime/otelrealtime/internal/oteltest"
	"github.com/leanrtm/realtime/realtimetest"
)

func TestEveryFieldIsReported(t *testing.T) {
	var s realtime.Stats
	names, counters := oteltest.Fill(&s, 1000, "State")
	r := oteltest.New(t)
	registration, err := instrument.Register(r.Provider.Meter("test"), fields(), func() realtime.Stats { return s }, nil)
	require.NoError(t, err)
	for name, p := range r.Collect() {
		if name == "realtime.connected" {
			require.Zero(t, p.Value)
			continue
		}
		require.Contains(t, names, p.Value, name)
		require.Equal(t, counters[p.Value], p.Monotonic, "%s is %s", name, names[p.Value])
		delete(names, p.Value)
	}
	require.Empty(t, names, "not reported")
	require.NoError(t, registration.Unregister())
	require.Empty(t, r.Collect())
}

func TestClientsAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t)
		r := oteltest.New(t)
		which := attribute.String("bot", "echo")
		o := s.Options()
		var err error
		o.Observer, err = Observer(r.Provider, which)
		require.NoError(t, err)
		rt, err := realtime.New(o)
		require.NoError(t, err)
		defer rt.Close(t.Context())
		_, err = Register(r.Provider, rt, which)
		require.NoError(t, err)
		jerry := rt.NewIMClient("Jerry")
		jerry.OnMessage(func(context.Context, *realtime.MessageEvent) { time.Sleep(2 * time.Second) })
		require.NoError(t, jerry.Open(t.Context()))

		tom := s.Client("Tom") // not of this Realtime
		conv, err := tom.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"Jerry"}})
		require.NoError(t, err)
		_, err = conv.Send(t.Context(), realtime.NewTextMessage("hello"))
		require.NoError(t, err)
		_, err = jerry.GetConversation(t.Context(), "000000000000000000000000")
		require.Error(t, err)
		s.Inject(realtimetest.Fault{Command: "session/query", Do: realtimetest.Drop()})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err = jerry.OnlineClients(ctx, "Tom")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.Sleep(time.Minute)

		got := r.Collect()
		for name, want := range map[string]float64{
			"realtime.connected bot=echo": 1, "realtime.clients bot=echo": 1, "realtime.connects bot=echo": 1,
			"realtime.client.opens bot=echo": 1, "realtime.client.received bot=echo": 1, "realtime.commands.failed bot=echo": 1,
			"realtime.command.duration bot=echo error.type=timeout realtime.command=session/query": 3,
			"realtime.handler.duration bot=echo realtime.event=MessageEvent":                       2,
		} {
			require.Equal(t, want, got[name].Value, "%s in %v", name, got)
		}
		require.Equal(t, uint64(1), got["realtime.command.duration bot=echo realtime.command=session/open"].Count)
	})
}

func TestErrorTypes(t *testing.T) {
	for want, err := range map[string]error{
		"4303":         fmt.Errorf("send: %w", &realtime.Error{Code: realtime.ErrConversationNotFound}),
		"timeout":      realtime.ErrTimeout,
		"canceled":     context.Canceled,
		"disconnected": realtime.ErrDisconnected,
		"other":        errors.New("the dog ate it"),
	} {
		require.Equal(t, want, errorType(err))
	}
	require.Equal(t, "timeout", errorType(context.DeadlineExceeded))
}
