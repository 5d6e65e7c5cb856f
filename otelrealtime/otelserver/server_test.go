package otelserver

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/otelrealtime/internal/instrument"
	"github.com/leanrtm/realtime/otelrealtime/internal/oteltest"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/server"
)

func TestEveryFieldIsReported(t *testing.T) {
	var s server.Stats
	names, counters := oteltest.Fill(&s, 1000)
	r := oteltest.New(t)
	_, err := instrument.Register(r.Provider.Meter("test"), fields(), func() server.Stats { return s }, nil)
	require.NoError(t, err)
	got := r.Collect()
	require.Contains(t, got, "rtm.disconnects rtm.code=4107")
	require.Contains(t, got, "rtm.commands rtm.command=direct")
	for name, p := range got {
		require.Contains(t, names, p.Value, name)
		require.Equal(t, counters[p.Value], p.Monotonic, "%s is %s", name, names[p.Value])
		delete(names, p.Value)
	}
	require.Empty(t, names, "not reported")
}

func TestServerIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := oteltest.New(t)
		observer, err := Observer(r.Provider)
		require.NoError(t, err)
		hooks := &server.Hooks{
			MessageReceived: func(context.Context, *server.MessageReceived) (server.MessageVerdict, error) {
				time.Sleep(time.Second)
				return server.MessageVerdict{}, errors.New("no opinion")
			},
		}
		s := realtimetest.NewServer(t, realtimetest.WithServerOptions(func(o *server.Options) { o.Observer, o.Hooks = observer, hooks }))
		register(t, r.Provider, s)
		tom := s.Client("Tom")
		conv, err := tom.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"Jerry"}})
		require.NoError(t, err)
		_, err = conv.Send(t.Context(), realtime.NewTextMessage("hello"))
		require.NoError(t, err)
		_, err = tom.GetConversation(t.Context(), "000000000000000000000000")
		require.Error(t, err)
		synctest.Wait()

		got := r.Collect()
		for name, want := range map[string]float64{
			"rtm.connections": 1, "rtm.sessions": 1, "rtm.messages": 1, "rtm.commands rtm.command=direct": 1,
			"rtm.hooks.failed":                                             1,
			"rtm.command.duration rtm.command=direct":                      1,
			"rtm.hook.duration error.type=error rtm.hook=_messageReceived": 1,
		} {
			require.Equal(t, want, got[name].Value, "%s in %v", name, got)
		}
		require.Positive(t, got["rtm.commit.duration"].Count)
	})
}

// register is Register for a server in a test, which is a server.Server only
// inside.
func register(t *testing.T, p *metric.MeterProvider, s *realtimetest.Server) {
	t.Helper()
	_, err := instrument.Register(p.Meter(scope), fields(), s.Stats, nil)
	require.NoError(t, err)
}

func TestRegister(t *testing.T) {
	r := oteltest.New(t)
	s, err := server.New(server.Options{Apps: []server.App{{ID: "app", Key: "key", MasterKey: "master"}}})
	require.NoError(t, err)
	registration, err := Register(r.Provider, s)
	require.NoError(t, err)
	require.Contains(t, r.Collect(), "rtm.connections")
	require.NoError(t, registration.Unregister())
	require.NoError(t, s.Close())
}
