package admin_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
)

func TestQuota(t *testing.T) {
	limited := func(q *admin.Quota) func(o *admin.Options) { return func(o *admin.Options) { o.Quota = q } }
	sendMessage := func(ctx context.Context, c *admin.Client) error {
		return errOf(c.Conversation("c").Send(ctx, text("tom", "x")))
	}
	sendTo := func(ctx context.Context, c *admin.Client) error {
		return errOf(c.ServiceConversation("c").SendTo(ctx, []string{"a"}, text("tom", "x")))
	}
	toSubscribers := func(ctx context.Context, c *admin.Client) error {
		return errOf(c.ServiceConversation("c").BroadcastToSubscribers(ctx, cast("tom", "x")))
	}
	toAll := func(ctx context.Context, c *admin.Client) error {
		return errOf(c.ServiceConversation("c").BroadcastToAll(ctx, cast("tom", "x")))
	}
	for name, tc := range map[string]struct {
		call      func(ctx context.Context, c *admin.Client) error
		perMinute int
		quota     *admin.Quota
	}{
		"messages":              {sendMessage, 1800, admin.ProductionQuota()},
		"messages, free":        {sendMessage, 120, admin.DevelopmentQuota()},
		"to clients, free":      {sendTo, 120, admin.DevelopmentQuota()},
		"to subscribers":        {toSubscribers, 30, admin.ProductionQuota()},
		"to subscribers, free":  {toSubscribers, 10, admin.DevelopmentQuota()},
		"to all":                {toAll, 10, admin.ProductionQuota()},
		"to all, free":          {toAll, 1, admin.DevelopmentQuota()},
		"of one's own":          {sendMessage, 3, &admin.Quota{MessagesPerMinute: 3}},
		"of one's own, per day": {toAll, 3, &admin.Quota{BroadcastsPerMinute: 3, BroadcastsPerDay: 7}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, c := scripted(t, limited(tc.quota), sent)
				start := time.Now()
				for range tc.perMinute {
					require.NoError(t, tc.call(t.Context(), c))
				}
				require.Zero(t, time.Since(start), "no wait up to the figure")
				require.NoError(t, tc.call(t.Context(), c))
				require.Equal(t, time.Minute, time.Since(start))
				require.Len(t, s.at, tc.perMinute+1)

				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				for range tc.perMinute - 1 {
					require.NoError(t, tc.call(ctx, c))
				}
				err := tc.call(ctx, c)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.True(t, realtime.SafeToRetry(err), "it was not sent")
			})
		})
	}
}

func TestDailyQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := scripted(t, func(o *admin.Options) { o.Quota = admin.DevelopmentQuota() }, sent)
		h := c.ServiceConversation("c")
		start := time.Now()
		for range 10 {
			_, err := h.BroadcastToAll(t.Context(), cast("GM", "x"))
			require.NoError(t, err)
		}
		_, err := h.BroadcastToAll(t.Context(), cast("GM", "x"))
		require.ErrorIs(t, err, realtime.ErrMessageSentQuotaExceeded, "nobody waits until tomorrow")
		require.ErrorContains(t, err, start.Add(24*time.Hour).UTC().Format(time.RFC3339))
		require.True(t, realtime.SafeToRetry(err))
		require.Len(t, s.at, 10)
		_, err = h.BroadcastToSubscribers(t.Context(), cast("GM", "x"))
		require.NoError(t, err, "each kind has its own figures")

		time.Sleep(time.Until(start.Add(24*time.Hour - 30*time.Second)))
		_, err = h.BroadcastToAll(t.Context(), cast("GM", "x"))
		require.NoError(t, err, "soon enough to wait for")
		require.Equal(t, 24*time.Hour, time.Since(start))
	})
}

// Retries count, since the server counts them.
func TestQuotaCountsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := scripted(t, func(o *admin.Options) {
			o.RetrySends, o.Quota = true, &admin.Quota{MessagesPerMinute: 2}
		}, lost, lost, sent)
		_, err := c.Conversation("c").Send(t.Context(), text("tom", "x"))
		require.NoError(t, err)
		require.Len(t, s.at, 3)
		require.Equal(t, time.Minute, s.at[2].Sub(s.at[0]))
	})
}

func TestReadingIsNotLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := scripted(t, func(o *admin.Options) { o.Quota = &admin.Quota{MessagesPerMinute: 1} }, stats)
		start := time.Now()
		for range 100 {
			_, err := c.Stats(t.Context())
			require.NoError(t, err)
		}
		require.Zero(t, time.Since(start))
	})
}
