package realtime_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
)

// TestChaos lets users and a network do what they want for an hour. Whatever
// that was, the events of every client make sense, nothing blocks, and Close
// leaves nothing behind.
func TestChaos(t *testing.T) {
	for seed := range stories(8, 2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) { chaos(t, w, seed) }, func(o *realtime.Options) {
				o.RetryOpen = seed%2 == 0
				o.Backoff = func(attempt int) time.Duration { return time.Second << min(attempt, 4) }
			})
		})
	}
}

func chaos(t *testing.T, w *world, seed uint64) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	var users sync.WaitGroup
	for i := range 6 {
		users.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for ctx.Err() == nil {
				oneLife(ctx, t, w, r, fmt.Sprintf("user%d", i%4)) // some share an id
			}
		})
	}
	users.Go(func() {
		r := rand.New(rand.NewPCG(seed, 100))
		for ctx.Err() == nil {
			disturb(w, r)
			time.Sleep(upTo(r, time.Minute))
		}
	})
	users.Wait()
	w.peer.Refuse(0)
	w.rt.Resume()

	// After all that, it works.
	c, err := w.rt.CreateIMClient(after(t, time.Hour), "survivor")
	require.NoError(t, err)
	synctest.Wait()
	_, err = c.OnlineClients(t.Context(), "x")
	require.NoError(t, err)
	require.NoError(t, w.rt.Close(t.Context()))
}

// oneLife opens a client, uses it and closes it.
func oneLife(ctx context.Context, t *testing.T, w *world, r *rand.Rand, id string) {
	c := w.rt.NewIMClient(id)
	var mu sync.Mutex
	away, ended := false, false
	check := func(ev realtime.Event, fromAway, toAway bool) {
		mu.Lock()
		defer mu.Unlock()
		if ended {
			t.Errorf("%s after the last event", describe(ev))
		}
		if away != fromAway {
			t.Errorf("%s while away is %v", describe(ev), away)
		}
		away = toAway
	}
	c.OnSchedule(func(_ context.Context, e *realtime.ScheduleEvent) { check(e, true, true) })
	c.OnRetry(func(_ context.Context, e *realtime.RetryEvent) { check(e, true, true) })
	c.OnOffline(func(_ context.Context, e *realtime.OfflineEvent) { check(e, true, true) })
	c.OnOnline(func(_ context.Context, e *realtime.OnlineEvent) { check(e, true, true) })
	c.OnReconnectError(func(_ context.Context, e *realtime.ReconnectErrorEvent) { check(e, true, true) })
	c.OnReconnect(func(_ context.Context, e *realtime.ReconnectEvent) { check(e, true, false) })
	c.OnDisconnect(func(_ context.Context, e *realtime.DisconnectEvent) {
		mu.Lock()
		defer mu.Unlock()
		away = true // it may have been before, too
	})
	c.OnMessage(func(ctx context.Context, e *realtime.MessageEvent) {
		check(e, false, false)
		_, _ = e.Conversation.Send(ctx, realtime.NewTextMessage("yes"))
		if r := len(e.Message.ID); r%5 == 0 {
			_ = c.Close(ctx)
		}
	})
	last := func(ev realtime.Event) {
		mu.Lock()
		defer mu.Unlock()
		if ended {
			t.Errorf("%s is not the first last event", describe(ev))
		}
		ended = true
	}
	c.OnConflict(func(_ context.Context, e *realtime.ConflictEvent) { last(e) })
	c.OnClose(func(_ context.Context, e *realtime.CloseEvent) { last(e) })

	// An Open that takes too long is cancelled.
	opening, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if c.Open(opening) == nil {
		for range r.IntN(20) {
			calling, done := context.WithTimeout(ctx, time.Minute)
			_, _ = c.OnlineClients(calling, "x")
			done()
			time.Sleep(upTo(r, time.Minute))
		}
	}
	closing, done := context.WithTimeout(context.Background(), time.Minute)
	defer done()
	require.NoError(t, c.Close(closing))
	select {
	case <-c.Done():
	default:
		t.Error("closed, but not done")
	}
	time.Sleep(upTo(r, 10*time.Second))
}

// disturb does something to the network or the server.
func disturb(w *world, r *rand.Rand) {
	sockets := w.peer.Sockets()
	if len(sockets) == 0 {
		return
	}
	s, id := sockets[len(sockets)-1], fmt.Sprintf("user%d", r.IntN(4))
	switch r.IntN(9) {
	case 0, 1:
		s.Drop()
	case 2:
		w.rt.Pause()
	case 3:
		w.rt.Resume()
	case 4:
		_ = w.rt.Retry()
	case 5:
		w.peer.Refuse(http.StatusServiceUnavailable)
		time.Sleep(upTo(r, 30*time.Second))
		w.peer.Refuse(0)
	case 6:
		s.Send(closed(id, realtime.ErrKickedByApp, "because"))
	case 7, 8:
		for i := range r.IntN(10) {
			s.Send(message(id, "conv", fmt.Sprintf("m%0*d", 1+r.IntN(6), i)))
		}
	}
}

// upTo is a random time.
func upTo(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }
