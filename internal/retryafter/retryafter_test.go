package retryafter_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leanrtm/realtime/internal/retryafter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := func(d time.Duration) string { return time.Now().UTC().Add(d).Format(http.TimeFormat) }
		for _, test := range []struct {
			status int
			text   string
			date   string
			want   time.Duration
		}{
			{429, "7", "", 7 * time.Second},
			{503, "7", "", 7 * time.Second},
			{500, "7", "", 0},
			{200, "7", "", 0},
			{503, "", "", 0},
			{503, "0", "", 0},
			{503, "-3", "", 0},
			{503, "soon", "", 0},
			{503, "1e3", "", 0},
			{503, "99999999999999999999", "", 0},
			{503, "2147483647", "", 2147483647 * time.Second},
			{503, in(9 * time.Second), "", 9 * time.Second},
			{503, in(-time.Hour), "", 0},
			{503, in(time.Hour + 9*time.Second), in(time.Hour), 9 * time.Second},
		} {
			h := http.Header{"Retry-After": {test.text}, "Date": {test.date}}
			require.Equal(t, test.want, retryafter.Of(&http.Response{StatusCode: test.status, Header: h}), "%d %s", test.status, test.text)
		}
	})
}

func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		require.True(t, retryafter.Fits(t.Context(), time.Minute))
		require.False(t, retryafter.Fits(t.Context(), time.Minute+1))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		require.True(t, retryafter.Fits(ctx, 9*time.Second))
		require.False(t, retryafter.Fits(ctx, 10*time.Second))
		begin := time.Now()
		require.True(t, retryafter.Sleep(ctx, 9*time.Second))
		require.False(t, retryafter.Sleep(ctx, 9*time.Second))
		require.Equal(t, 10*time.Second, time.Since(begin))
	})
}
