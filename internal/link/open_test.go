package link_test

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/conn"
	"github.com/leanrtm/realtime/internal/link"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rpc"
)

// hang makes dials block until their context ends.
func (h *harness) hang() {
	h.peer.Network.SetDialHook(func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() })
}

// async runs Open and returns where its result will be.
func (h *harness) async(ctx context.Context, retry bool) <-chan error {
	result := make(chan error, 1)
	go func() { result <- h.link.Open(ctx, retry) }()
	synctest.Wait()
	return result
}

func TestAllCallersShareOneDial(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.peer.Network.SetLatency(time.Second)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { require.NoError(t, h.link.Open(t.Context(), false)) })
		}
		wg.Wait()
		require.Equal(t, 1, h.connections())
	})
}

func TestTheFirstFailureIsReturned(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.refuse()
		err := h.link.Open(t.Context(), false)
		var dialErr *conn.DialError
		require.ErrorAs(t, err, &dialErr)
		require.Equal(t, 503, dialErr.Status)
		require.ErrorIs(t, err, rpc.ErrDisconnected)
		require.Equal(t, link.StateErrored, h.link.State())
		h.pass(time.Hour)
		h.expect() // no automatic retry
		_, err = h.link.WaitConnected(t.Context())
		require.ErrorAs(t, err, &dialErr)
		h.accept()
		h.open()
		h.expect()
	})
}

func TestOpenWithRetry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.refuse()
		patient := h.async(t.Context(), true)
		h.expect("schedule(0, 1s)")
		require.Equal(t, link.StateDisconnected, h.link.State())
		h.pass(time.Second)
		h.expect("retry(0)", "schedule(1, 2s)")

		impatient := h.async(t.Context(), false) // joins the next attempt
		require.Empty(t, impatient)
		h.pass(2 * time.Second)
		h.expect("retry(1)", "schedule(2, 4s)")
		require.Error(t, <-impatient)
		require.Empty(t, patient)

		h.accept()
		h.pass(4 * time.Second)
		require.NoError(t, <-patient)
		h.expect("retry(2)") // the first connection is no reconnection
		require.EqualValues(t, 1, h.link.Gen())
		require.Equal(t, 7*time.Second, time.Since(h.start))
	})
}

func TestOpenWithRetryEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.refuse()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err := h.link.Open(ctx, true)
		require.Equal(t, 10*time.Second, time.Since(h.start))
		require.ErrorIs(t, err, rpc.ErrTimeout)
		var dialErr *conn.DialError
		require.ErrorAs(t, err, &dialErr, "what went wrong is told too")
		require.Equal(t, link.StateInitialized, h.link.State(), "nobody wants it any more")
		h.expect("schedule(0, 1s)", "retry(0)", "schedule(1, 2s)", "retry(1)", "schedule(2, 4s)", "retry(2)", "schedule(3, 8s)")
		h.pass(time.Hour)
		h.expect()
	})
}

func TestTheDialGoesOnWhileAnybodyWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.peer.Network.SetLatency(4 * time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		first, second := h.async(ctx, false), h.async(t.Context(), false)
		cancel()
		require.Equal(t, context.Canceled, <-first)
		require.NoError(t, <-second)
		require.Equal(t, 1, h.connections())
	})
}

func TestADialThatNobodyWaitsForIsCancelled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.hang()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, h.link.Open(ctx, false), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(h.start))
		require.Equal(t, link.StateInitialized, h.link.State())
		h.peer.Network.SetDialHook(nil)
		h.open()
		require.ErrorIs(t, h.link.Open(ctx, false), nil, "connected: no context is needed")
		h.peer.Socket().Drop()
		synctest.Wait()
		require.ErrorIs(t, h.link.Open(ctx, false), context.DeadlineExceeded)
		require.Equal(t, link.StateDisconnected, h.link.State(), "a lost connection is wanted by itself")
	})
}

func TestOpenWhileALostConnectionIsRetried(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		h.refuse()
		h.peer.Socket().Drop()
		synctest.Wait()
		impatient, patient := h.async(t.Context(), false), h.async(t.Context(), true)
		require.Empty(t, impatient)
		h.pass(time.Second)
		require.Error(t, <-impatient)
		require.Empty(t, patient)
		h.accept()
		h.pass(2 * time.Second)
		require.NoError(t, <-patient)
		h.expect("disconnect(1)", "schedule(0, 1s)", "retry(0)", "schedule(1, 2s)", "retry(1)", "reconnect(2)")
	})
}

func TestOpenWhilePaused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		h.peer.Socket().Drop()
		synctest.Wait()
		waiting, patient := h.async(t.Context(), false), h.async(t.Context(), true)
		h.link.Pause()
		require.ErrorIs(t, <-waiting, rpc.ErrDisconnected)
		require.Empty(t, patient)
		require.ErrorIs(t, h.link.Open(t.Context(), false), rpc.ErrDisconnected)
		h.link.Resume()
		require.NoError(t, <-patient)
		h.expect("disconnect(1)", "schedule(0, 1s)", "offline", "online", "schedule(0, 0s)", "retry(0)", "reconnect(2)")
	})
}

func TestPauseDuringTheFirstRetries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.refuse()
		ctx, cancel := context.WithCancel(t.Context())
		patient := h.async(ctx, true)
		h.link.Pause()
		h.expect("schedule(0, 1s)", "offline")
		cancel()
		require.ErrorIs(t, <-patient, context.Canceled)
		require.Equal(t, link.StateInitialized, h.link.State())
		h.link.Resume()
		h.pass(time.Hour)
		h.expect()
		h.accept()
		h.open()
	})
}

func TestWaitConnected(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		gens := make(chan uint64, 3)
		wait := func() {
			gen, err := h.link.WaitConnected(t.Context())
			require.NoError(t, err)
			gens <- gen
		}
		go wait()
		synctest.Wait()
		require.Empty(t, gens)
		h.open()
		require.EqualValues(t, 1, <-gens)
		wait()
		require.EqualValues(t, 1, <-gens)

		h.refuse()
		h.peer.Socket().Drop()
		synctest.Wait()
		go wait()
		h.pass(time.Second)
		require.Empty(t, gens)
		h.accept()
		h.pass(2 * time.Second)
		require.EqualValues(t, 2, <-gens)

		h.link.Pause()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := h.link.WaitConnected(ctx)
		require.ErrorIs(t, err, rpc.ErrTimeout)
		failed := make(chan error, 1)
		go func() { _, err := h.link.WaitConnected(t.Context()); failed <- err }()
		synctest.Wait()
		require.NoError(t, h.link.Close(t.Context()))
		require.ErrorIs(t, <-failed, rpc.ErrClosed)
	})
}

func TestClose(t *testing.T) {
	for _, test := range []struct {
		name  string
		reach func(h *harness)
		takes time.Duration
	}{
		{"never opened", func(h *harness) {}, 0},
		{"first dial", func(h *harness) { h.hang(); h.async(context.Background(), false) }, 0},
		{"first retries", func(h *harness) { h.refuse(); h.async(context.Background(), true) }, 0},
		{"connected", func(h *harness) { h.open() }, 0},
		{"connected to a dead server", func(h *harness) { h.open(); h.peer.Socket().Conn().Blackhole() }, time.Second},
		{"backoff", func(h *harness) { h.open(); h.peer.Socket().Drop() }, 0},
		{"reconnecting", func(h *harness) { h.open(); h.hang(); h.peer.Socket().Drop(); h.pass(time.Second) }, 0},
		{"offline", func(h *harness) { h.open(); h.link.Pause() }, 0},
		{"errored", func(h *harness) { h.open(); h.peer.Socket().Close(wireFatal, "") }, 0},
		{"first dial failed", func(h *harness) { h.refuse(); _ = h.link.Open(context.Background(), false) }, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHarness(t)
				test.reach(h)
				synctest.Wait()
				h.mu.Lock()
				h.log = nil
				h.mu.Unlock()
				start := time.Now()
				var wg sync.WaitGroup
				for range 3 {
					wg.Go(func() { require.NoError(t, h.link.Close(t.Context())) })
				}
				wg.Wait()
				require.Equal(t, test.takes, time.Since(start))
				require.Equal(t, link.StateClosed, h.link.State())
				require.Zero(t, h.link.Gen())
				h.pass(time.Hour)
				h.expect()
				if h.connections() > 0 && test.takes == 0 {
					require.Error(t, h.peer.Socket().Ended())
				}

				require.Equal(t, rpc.ErrClosed, h.link.Open(t.Context(), true))
				_, err := h.link.Do(t.Context(), query("x"), link.CallOptions{})
				require.Equal(t, rpc.ErrClosed, err)
				require.Equal(t, rpc.ErrClosed, h.link.Post(t.Context(), query("x"), link.PostOptions{}))
				_, err = h.link.WaitConnected(t.Context())
				require.Equal(t, rpc.ErrClosed, err)
			})
		})
	}
}

const wireFatal = 4103

func TestCloseSaysGoodbye(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		require.NoError(t, h.link.Post(t.Context(), &pb.GenericCommand{Cmd: pb.CommandType_ack.Enum()}, link.PostOptions{}))
		require.NoError(t, h.link.Close(t.Context()))
		synctest.Wait()
		require.EqualValues(t, conn.CodeNoStatus, h.peer.Socket().Said())
		require.Len(t, h.peer.Commands(), 1, "what was queued is sent first")
	})
}

func TestCloseAnswersWhoeverWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.hang()
		opens := []<-chan error{h.async(t.Context(), false), h.async(t.Context(), true)}
		require.NoError(t, h.link.Close(t.Context()))
		for _, open := range opens {
			require.Equal(t, rpc.ErrClosed, <-open)
		}

		h = newHarness(t)
		h.open()
		h.peer.On(pb.CommandType_conv, pb.OpType_query, silent)
		failed := make(chan error, 1)
		go func() { _, err := h.link.Do(t.Context(), query("x"), link.CallOptions{}); failed <- err }()
		synctest.Wait()
		require.NoError(t, h.link.Close(t.Context()))
		err := <-failed
		require.ErrorIs(t, err, rpc.ErrClosed)
		require.ErrorIs(t, err, rpc.ErrOutcomeUnknown)
	})
}

func TestTheContextOfCloseBoundsTheWaiting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		h.peer.Socket().Conn().Blackhole()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, h.link.Close(ctx), context.Canceled)
		require.Equal(t, link.StateClosed, func() link.State { synctest.Wait(); return h.link.State() }())
		require.NoError(t, h.link.Close(t.Context()))
		require.NoError(t, h.link.Close(ctx), "it is closed: no waiting is needed")
		require.Equal(t, time.Second, time.Since(h.start))
	})
}

// When to come back is what everybody says who was asked, the soonest of it.
func TestAfter(t *testing.T) {
	says := func(d time.Duration) error { return fmt.Errorf("ask: %w", &conn.DialError{After: d, Err: io.EOF}) }
	for _, test := range []struct {
		failures []error
		want     time.Duration
	}{
		{[]error{io.EOF}, 0},
		{[]error{says(3)}, 3},
		{[]error{says(3), says(2), says(4)}, 2},
		{[]error{says(3), io.EOF}, 0},
		{[]error{io.EOF, says(3)}, 0},
		{[]error{says(3), says(0)}, 0},
	} {
		require.Equal(t, test.want, link.After(test.failures))
	}
}
