package admin_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/server"
)

// A server with quotas refuses what is over them, each by itself, until their
// time is over.
func TestQuotasOfTheServer(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		conv, room, service := e.conversation("tom"), e.room(), e.service()
		over := func(err error) {
			t.Helper()
			require.ErrorIs(t, err, realtime.ErrMessageSentQuotaExceeded)
			wantRefusal(t, err, http.StatusTooManyRequests)
			require.True(t, realtime.SafeToRetry(err), "it was not sent")
		}
		subscribers := func() error { return errOf(service.BroadcastToSubscribers(e.ctx(), cast("GM", "x"))) }
		everybody := func() error { return errOf(service.BroadcastToAll(e.ctx(), cast("GM", "x"))) }

		require.NoError(t, errOf(conv.Send(e.ctx(), text("tom", "1"))))
		require.NoError(t, errOf(room.Send(e.ctx(), text("tom", "2"))))
		require.NoError(t, errOf(service.SendTo(e.ctx(), []string{"tom"}, text("GM", "3"))))
		over(errOf(conv.Send(e.ctx(), text("tom", "4"))))
		over(errOf(service.SendTo(e.ctx(), []string{"tom"}, text("GM", "4"))))
		require.NoError(t, subscribers())
		require.NoError(t, subscribers())
		over(subscribers())
		require.NoError(t, everybody())
		over(everybody())
		tom := e.player("tom")
		tom.say(conv.ID(), "clients have quotas of their own")
		require.NoError(t, conv.Save(e.ctx(), map[string]any{"a": 1}), "other requests have none")

		time.Sleep(time.Minute)
		require.NoError(t, errOf(conv.Send(e.ctx(), text("tom", "5"))))
		require.NoError(t, subscribers())
		over(subscribers()) // three a day
		time.Sleep(time.Minute)
		over(subscribers())
		require.NoError(t, everybody())
		time.Sleep(24 * time.Hour)
		require.NoError(t, subscribers())

		req, err := http.NewRequestWithContext(e.ctx(), http.MethodPost, "/1.2/rtm/broadcasts", http.NoBody)
		require.NoError(t, err)
		resp, err := e.c.Do(req) // counts, although it is wrong
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusBadRequest, resp.StatusCode)
		time.Sleep(1500 * time.Millisecond)
		resp, err = e.c.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusTooManyRequests, resp.StatusCode)
		require.Equal(t, "59", resp.Header.Get("Retry-After"))
	}, realtimetest.WithServerOptions(func(o *server.Options) {
		o.Limits.RESTSendRate, o.Limits.SubscriberBroadcastRate, o.Limits.SubscriberBroadcastsPerDay = 3, 2, 3
		o.Limits.BroadcastRate = 1
	}))
}
