package server_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/server"
)

// A hook that takes its time holds up what it decides about, and nobody else
// on the connection.
func TestSlowHookHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slow = 3 * time.Second
		s := realtimetest.NewServer(t, realtimetest.WithServerOptions(func(o *server.Options) {
			o.Hooks = &server.Hooks{
				MessageReceived: func(_ context.Context, e *server.MessageReceived) (server.MessageVerdict, error) {
					if e.From == "tom" {
						time.Sleep(slow)
					}
					return server.MessageVerdict{}, nil
				},
			}
		}))
		rt, err := realtime.New(s.Options())
		require.NoError(t, err)
		defer rt.Close(context.Background())
		tom, err := rt.CreateIMClient(t.Context(), "tom")
		require.NoError(t, err)
		jerry, err := rt.CreateIMClient(t.Context(), "jerry")
		require.NoError(t, err)
		toMary := heard(s.Client("mary"))
		toms, err := tom.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"mary"}})
		require.NoError(t, err)
		jerrys, err := jerry.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"mary"}})
		require.NoError(t, err)

		start := time.Now()
		var sending sync.WaitGroup
		for _, text := range []string{"1", "2", "3"} {
			sending.Go(func() {
				_, err := say(t, toms, realtime.NewTextMessage(text))
				assert.NoError(t, err)
			})
			synctest.Wait() // so that they leave in this order
		}
		for range 3 {
			_, err = say(t, jerrys, realtime.NewTextMessage("at once"))
			require.NoError(t, err)
			_, err = tom.Query().Find(t.Context())
			require.NoError(t, err)
			_, err = jerrys.Count(t.Context())
			require.NoError(t, err)
		}
		require.Zero(t, time.Since(start))
		require.Equal(t, []string{"at once", "at once", "at once"}, toMary())
		sending.Wait()
		require.Equal(t, 3*slow, time.Since(start), "one after the other")
		require.Equal(t, []string{"1", "2", "3"}, toMary())
	})
}
