package link_test

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/link"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rpc"
	"github.com/leanrtm/realtime/internal/rttest"
)

// goroutines returns the stacks of those that run something of package link or
// were started by it.
func goroutines() (stacks []string) {
	all := make([]byte, 4<<20)
	all = all[:runtime.Stack(all, true)]
	for stack := range strings.SplitSeq(string(all), "\n\n") {
		if strings.Contains(stack, "realtime/internal/link.") {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

func TestALinkThatIsLeftAloneHasNoGoroutine(t *testing.T) {
	for _, test := range []struct {
		name  string
		reach func(h *harness)
		state link.State
	}{
		{"new", func(h *harness) {}, link.StateInitialized},
		{"connected", func(h *harness) { h.open() }, link.StateConnected},
		{"used", func(h *harness) {
			h.open()
			_, err := h.link.Do(h.t.Context(), query("x"), plain)
			require.NoError(h.t, err)
			h.peer.Socket().Send(pushFor("x"))
		}, link.StateConnected},
		{"connected again", func(h *harness) { h.open(); h.peer.Socket().Drop(); h.pass(time.Second) }, link.StateConnected},
		{"disconnected", func(h *harness) { h.open(); h.peer.Socket().Drop() }, link.StateDisconnected},
		{"offline", func(h *harness) { h.open(); h.link.Pause() }, link.StateOffline},
		{"errored", func(h *harness) { h.open(); h.peer.Socket().Close(wireFatal, "") }, link.StateErrored},
		{"closed", func(h *harness) { h.open(); require.NoError(h.t, h.link.Close(h.t.Context())) }, link.StateClosed},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHarness(t)
				test.reach(h)
				synctest.Wait()
				require.Equal(t, test.state, h.link.State())
				require.Empty(t, goroutines())
			})
		})
	}
}

func TestTheGoroutinesOfALinkAreSeen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		release := h.hold()
		synctest.Wait() // what has dialled may be about to end
		require.Len(t, goroutines(), 1)
		release()
		h.hang()
		h.peer.Socket().Drop()
		h.pass(time.Second)
		require.Len(t, goroutines(), 1, "the dial")
	})
}

// hold keeps the owner busy until release is called, or the test ends.
func (h *harness) hold() (release func()) {
	release = sync.OnceFunc(h.link.Hold())
	h.t.Cleanup(release)
	return release
}

// later calls a method of the link, which waits for its turn.
func (h *harness) later(call func()) (done <-chan struct{}) {
	ended := make(chan struct{})
	before := h.link.Waiting()
	go func() {
		defer close(ended)
		call()
	}()
	synctest.Wait()
	require.Equal(h.t, before+1, h.link.Waiting())
	return ended
}

// posted says that so many steps wait.
func (h *harness) posted(n int) {
	h.t.Helper()
	synctest.Wait()
	require.Equal(h.t, n, h.link.Waiting())
}

func TestWhatHappensIsDealtWithInOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		release := h.hold()
		h.later(h.link.Pause)
		h.later(h.link.Resume)
		h.later(h.link.Pause)
		h.later(h.link.Pause)
		h.later(h.link.Resume)
		require.Equal(t, link.StateConnected, h.link.State(), "nothing is done yet")
		release()
		h.expect("disconnect(1)", "offline", "online", "schedule(0, 0s)", "retry(0)",
			"offline", "online", "schedule(0, 0s)", "retry(0)", "reconnect(2)")
		require.Len(t, h.peer.Network.Conns(), 1)
	})
}

func TestADialThatIsCancelledAfterItHasEnded(t *testing.T) {
	for _, refused := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			h := newHarness(t)
			h.open()
			h.peer.Network.SetLatency(time.Second)
			h.peer.Socket().Drop()
			h.pass(3 * time.Second) // the dial is under way
			h.expect("disconnect(1)", "schedule(0, 1s)", "retry(0)")
			if refused {
				h.refuse()
			}
			release := h.hold()
			h.later(h.link.Pause)
			h.pass(time.Minute)
			h.posted(2) // and the dial has ended
			release()
			h.pass(time.Minute)
			h.expect("offline")
			if !refused {
				require.Equal(t, 2, h.connections())
				require.Empty(t, h.peer.Network.Conns(), "it is closed")
			}
			h.accept()
			h.link.Resume()
			h.pass(time.Minute)
			h.expect("online", "schedule(0, 0s)", "retry(0)", "reconnect(2)")
		})
	}
}

func TestAConnectionThatDiesBeforeItIsAdopted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.peer.Network.SetLatency(time.Second)
		opened := h.async(t.Context(), false)
		release := h.hold()
		h.pass(time.Minute)
		h.posted(1) // the dial has ended
		h.peer.Socket().Drop()
		h.pass(time.Minute)
		h.posted(2) // so has the connection
		release()
		require.NoError(t, <-opened)
		h.expect("disconnect(1)", "schedule(0, 1s)")
		h.pass(time.Minute)
		h.expect("retry(0)", "reconnect(2)")
	})
}

func TestAConnectionThatDiesBeforeItsDialIsOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		require.NoError(t, h.link.DialDead(rttest.SocketURL))
		h.expect("disconnect(1)", "schedule(0, 1s)")
		require.ErrorContains(t, h.failed, "died at once")
		h.pass(time.Second)
		h.expect("retry(0)", "reconnect(2)")
	})
}

func TestADeathThatIsToldOfTooLate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		release := h.hold()
		h.later(h.link.Pause)
		h.later(h.link.Resume)
		h.peer.Socket().Drop()
		h.posted(3)
		release()
		h.expect("disconnect(1)", "offline", "online", "schedule(0, 0s)", "retry(0)", "reconnect(2)")
		require.Equal(t, link.StateConnected, h.link.State())
	})
}

// The goroutine that leaves a connection last may be slow to say so.
func TestADeathThatIsToldOfWhenThereIsAnotherConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		late := h.link.DiedFunc()
		h.peer.Socket().Drop()
		h.pass(time.Second)
		h.expect("disconnect(1)", "schedule(0, 1s)", "retry(0)", "reconnect(2)")
		late()
		h.expect()
		require.Equal(t, link.StateConnected, h.link.State())
	})
}

func TestAGoAwayThatIsToldOfTooLate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		goaway := &pb.GenericCommand{Cmd: pb.CommandType_goaway.Enum()}
		release := h.hold()
		h.later(h.link.Pause)
		h.peer.Socket().Send(goaway, goaway, goaway)
		h.posted(2) // once is enough
		release()
		h.expect("disconnect(1)", "offline")
		h.link.Resume()
		h.expect("online", "schedule(0, 0s)", "retry(0)", "reconnect(2)")
		require.Equal(t, []bool{false, false}, h.fresh, "nobody was sent away from the endpoints in use")
	})
}

func TestATimerThatIsStoppedAfterItHasGoneOff(t *testing.T) {
	for _, test := range []struct {
		name   string
		before func(h *harness) // what comes before the time is up
		events []string
		later  []string
	}{
		{"by Retry", func(h *harness) { h.later(func() { require.NoError(h.t, h.link.Retry()) }) },
			[]string{"retry(0)", "schedule(1, 2s)"}, []string{"retry(1)", "schedule(2, 4s)"}},
		{"by Pause", func(h *harness) { h.later(h.link.Pause) },
			[]string{"offline"}, nil},
		{"by Pause, and another attempt begun", func(h *harness) { h.later(h.link.Pause); h.later(h.link.Resume) },
			[]string{"offline", "online", "schedule(0, 0s)", "retry(0)", "schedule(1, 2s)"}, []string{"retry(1)", "schedule(2, 4s)"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHarness(t)
				h.open()
				h.refuse()
				h.peer.Socket().Drop()
				h.expect("disconnect(1)", "schedule(0, 1s)")
				release := h.hold()
				test.before(h)
				n := h.link.Waiting()
				h.pass(time.Second)
				h.posted(n + 1)
				release()
				h.expect(test.events...)
				h.pass(2 * time.Second)
				h.expect(test.later...)
			})
		})
	}
}

// A timer that was stopped while its function was on the way, and whose plan was
// followed by another one before it could say so.
func TestATimerOfAnEarlierPlan(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		h.refuse()
		h.peer.Socket().Drop()
		h.expect("disconnect(1)", "schedule(0, 1s)")
		late := h.link.TimerFunc()
		require.NoError(t, h.link.Retry())
		h.expect("retry(0)", "schedule(1, 2s)")
		late()
		h.expect()
		h.pass(2*time.Second - 1)
		h.expect()
		h.pass(1)
		h.expect("retry(1)", "schedule(2, 4s)")
	})
}

func TestCloseComesAfterWhatWasAskedBefore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.peer.Network.SetLatency(time.Second)
		release := h.hold()
		opened := h.async(t.Context(), true)
		paused := h.later(h.link.Pause)
		closed := h.later(func() { require.NoError(t, h.link.Close(context.Background())) })
		refused := h.async(t.Context(), true)
		require.Equal(t, rpc.ErrClosed, <-refused, "asked after")
		h.link.Pause()
		var stateErr *link.StateError
		require.ErrorAs(t, h.link.Retry(), &stateErr)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, h.link.Close(ctx), context.Canceled, "it is not closed yet")
		require.Equal(t, 3, h.link.Waiting())
		release()
		<-closed
		<-paused
		require.Equal(t, rpc.ErrClosed, <-opened)
		h.expect()
		require.Empty(t, goroutines())
	})
}

func TestCloseWaitsForADialThatHasEnded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.peer.Network.SetLatency(time.Second)
		opened := h.async(t.Context(), false)
		release := h.hold()
		closed := h.later(func() { require.NoError(t, h.link.Close(context.Background())) })
		h.pass(time.Minute)
		h.posted(1) // the dial has ended, and nobody is told
		require.Equal(t, 1, h.connections())
		release()
		<-closed
		require.Equal(t, rpc.ErrClosed, <-opened)
		require.Empty(t, goroutines())
		h.pass(time.Minute)
		require.Empty(t, h.peer.Network.Conns())
		h.expect()
	})
}

func TestCloseAfterTheTimerHasGoneOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		h.peer.Socket().Drop()
		h.expect("disconnect(1)", "schedule(0, 1s)")
		release := h.hold()
		closed := h.later(func() { require.NoError(t, h.link.Close(context.Background())) })
		h.pass(time.Minute)
		h.posted(1) // nobody is told
		release()
		<-closed
		require.Empty(t, goroutines())
		h.expect()
	})
}

func TestCloseWithoutOpenNeedsNoTime(t *testing.T) {
	h := newHarness(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.link.Pause()
	h.link.Resume()
	require.NoError(t, h.link.Close(ctx))
	require.Equal(t, link.StateClosed, h.link.State())
}

// A test that fails in a function of Options ends the goroutine it runs on.
func TestAFunctionThatEndsItsGoroutine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t, func(o *link.Options) {
			backoff, first := o.Backoff, true
			o.Backoff = func(attempt int) time.Duration {
				if first {
					first = false
					runtime.Goexit()
				}
				return backoff(attempt)
			}
		})
		h.open()
		release := h.hold()
		h.peer.Socket().Drop()
		h.posted(1)
		paused := h.later(h.link.Pause)
		release()
		<-paused
		h.expect("disconnect(1)", "offline")
		h.link.Resume()
		h.expect("online", "schedule(0, 0s)", "retry(0)", "reconnect(2)")
	})
}
