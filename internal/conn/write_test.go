package conn_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/conn"
)

// A sender that is alone writes its frame itself: when TrySend returns it is out.
func TestASenderThatIsAloneWritesItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, nil)
		var n conn.Counters
		c, ws := h.dial(conn.Options{Counters: &n})
		for i := range int32(10) {
			f, err := c.Encode(command(0, "x"), i+1)
			require.NoError(t, err)
			accepted, err := c.TrySend(f, nil, 0)
			require.NoError(t, err)
			require.True(t, accepted)
			require.EqualValues(t, i+1, n.FramesOut.Load())
			require.Equal(t, i+1, receive(t, ws).GetI())
		}
	})
}

// A server that does not read holds up no sender, whoever writes and whatever
// the library has to answer meanwhile; and when it reads again it gets
// everything in its order.
func TestAFullNetworkHoldsUpNoSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, nil)
		c, ws := h.dial(conn.Options{WriteTimeout: time.Hour})
		start := time.Now()
		text := strings.Repeat("x", 3000)
		sent := int32(0)
		for {
			f, err := c.Encode(command(0, text), sent+1)
			require.NoError(t, err)
			accepted, err := c.TrySend(f, nil, 0)
			require.NoError(t, err)
			synctest.Wait()
			if !accepted {
				break
			}
			sent++
		}
		require.Zero(t, time.Since(start))
		require.Greater(t, sent, int32(256<<10/3000), "more than the network takes")
		for range 300 { // of whose pongs not even all are kept
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			require.ErrorIs(t, ws.Ping(ctx), context.DeadlineExceeded)
			cancel()
		}
		for i := range sent {
			require.Equal(t, i+1, receive(t, ws).GetI())
		}
		send(t, c, command(0, "x"), 3000, nil)
		require.EqualValues(t, 3000, receive(t, ws).GetI())
		ctx := ws.CloseRead(t.Context())
		require.NoError(t, ws.Ping(ctx))
		require.NoError(t, c.Err())
	})
}

// Senders, pings, heartbeats and the goodbye meet: what was accepted arrives,
// once, in order and whole.
func TestWhatWasAcceptedBeforeCloseArrives(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			h := serve(t, nil)
			c, ws := h.dial(conn.Options{HeartbeatInterval: 3 * time.Millisecond})
			pings, cancel := context.WithCancel(t.Context())
			var pinging sync.WaitGroup
			pinging.Go(func() {
				for ws.Ping(pings) == nil {
					time.Sleep(time.Millisecond)
				}
			})
			const senders = 4
			var accepted [senders]int32
			var sending sync.WaitGroup
			for s := range senders {
				sending.Go(func() {
					for i := int32(1); ; i++ {
						f, err := c.Encode(command(0, string(rune('a'+s))+strings.Repeat(" ", int(i*i*37)%9000)), i)
						if err != nil {
							t.Error(err)
							return
						}
						if c.Send(t.Context(), f, nil, int(i+int32(s))%3*2) != nil {
							return
						}
						accepted[s] = i
						if i%5 == 0 {
							time.Sleep(time.Millisecond)
						}
					}
				})
			}
			closed := make(chan struct{})
			go func() {
				time.Sleep(10 * time.Millisecond)
				c.Close(time.Minute)
				close(closed)
			}()
			var got [senders]int32
			for {
				_, frame, err := ws.Read(context.Background())
				if err != nil {
					break
				}
				cmd := decode(t, frame)
				if cid := cmd.GetDirectMessage().GetCid(); cid != "" {
					got[cid[0]-'a']++
					require.Equal(t, got[cid[0]-'a'], cmd.GetI())
				}
			}
			<-closed
			sending.Wait()
			require.Equal(t, accepted, got)
			cancel()
			pinging.Wait()
		})
	}
}
