package link_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/conn"
	"github.com/leanrtm/realtime/internal/link"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rpc"
	"github.com/leanrtm/realtime/internal/rttest"
	"github.com/leanrtm/realtime/internal/wire"
)

// bubble runs a test in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }

func TestOpen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		require.Equal(t, link.StateInitialized, h.link.State())
		require.Zero(t, h.link.Gen())
		h.open()
		require.EqualValues(t, 1, h.link.Gen())
		h.open() // again
		require.Equal(t, 1, h.connections())
		h.expect() // the first connection is no event
	})
}

func TestLostSocketComesBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		h.peer.Socket().Drop()
		h.expect("disconnect(1)", "schedule(0, 1s)")
		require.Equal(t, link.StateDisconnected, h.link.State())
		require.Zero(t, h.link.Gen())
		h.pass(time.Second - 1)
		h.expect()
		h.pass(1)
		h.expect("retry(0)", "reconnect(2)")
		require.Equal(t, link.StateConnected, h.link.State())
		require.EqualValues(t, 2, h.link.Gen())
	})
}

func TestCloseCodesThatAreRetried(t *testing.T) {
	for _, code := range []wire.Code{1000, wire.CodeReadTimeout, wire.CodeLoginTimeout, wire.CodeFrameTooLong, wire.CodeUnparseableRawMessage, wire.CodeInternalError} {
		bubble(t, func(t *testing.T) {
			h := newHarness(t)
			h.open()
			h.peer.Socket().Close(code, code.Name())
			h.expect("disconnect(1)", "schedule(0, 1s)")
			var closed *conn.CloseError
			require.ErrorAs(t, h.failed, &closed)
			require.Equal(t, code, closed.Code)
			h.pass(time.Second)
			h.expect("retry(0)", "reconnect(2)")
		})
	}
}

func TestGarbageEndsThatConnectionOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		h.peer.Socket().SendRaw([]byte{0xff, 0xff})
		h.expect("disconnect(1)", "schedule(0, 1s)")
		var bad *conn.FrameError
		require.ErrorAs(t, h.failed, &bad)
		h.pass(time.Second)
		h.expect("retry(0)", "reconnect(2)")
	})
}

func TestRetriesThatFail(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		h.refuse()
		h.peer.Socket().Drop()
		h.expect("disconnect(1)", "schedule(0, 1s)")
		h.pass(time.Second)
		h.expect("retry(0)", "schedule(1, 2s)")
		h.pass(2 * time.Second)
		h.expect("retry(1)", "schedule(2, 4s)")
		h.accept()
		h.pass(4 * time.Second)
		h.expect("retry(2)", "reconnect(2)")
		require.Equal(t, []bool{false, false, true, true}, h.fresh, "fresh endpoints once the known ones failed")
	})
}

func TestOnlySettleResetsTheAttempts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		h.peer.Socket().Drop()
		h.pass(time.Second)
		h.expect("disconnect(1)", "schedule(0, 1s)", "retry(0)", "reconnect(2)")
		h.link.Settle(1) // too late
		h.peer.Socket().Drop()
		h.pass(2 * time.Second)
		h.expect("disconnect(2)", "schedule(1, 2s)", "retry(1)", "reconnect(3)")
		h.link.Settle(3)
		h.peer.Socket().Drop()
		h.pass(time.Second)
		h.expect("disconnect(3)", "schedule(0, 1s)", "retry(0)", "reconnect(4)")
	})
}

func TestPauseAndResume(t *testing.T) {
	// Each case brings the link into a state; what follows is the same.
	for _, test := range []struct {
		name   string
		reach  func(h *harness)
		events []string // of Pause
	}{
		{"connected", func(h *harness) {}, []string{"disconnect(1)", "offline"}},
		{"disconnected", func(h *harness) {
			h.peer.Socket().Drop()
			h.expect("disconnect(1)", "schedule(0, 1s)")
		}, []string{"offline"}},
		{"reconnecting", func(h *harness) {
			h.peer.Network.SetDialHook(func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() })
			h.peer.Socket().Drop()
			h.pass(time.Second)
			h.expect("disconnect(1)", "schedule(0, 1s)", "retry(0)")
			require.Equal(h.t, link.StateReconnecting, h.link.State())
		}, []string{"offline"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHarness(t)
				h.open()
				test.reach(h)
				h.link.Pause()
				require.Equal(t, link.StateOffline, h.link.State())
				h.expect(test.events...)
				h.peer.Network.SetDialHook(nil)
				h.link.Pause() // ignored
				h.pass(time.Hour)
				h.expect() // nothing is planned while offline
				_, err := h.link.Do(t.Context(), query("x"), link.CallOptions{})
				require.ErrorIs(t, err, rpc.ErrDisconnected)

				h.link.Resume()
				h.expect("online", "schedule(0, 0s)", "retry(0)", "reconnect(2)")
				h.link.Resume() // ignored
				h.expect()
				require.Len(t, h.peer.Network.Conns(), 1)
			})
		})
	}
}

func TestPauseAndResumeWhereTheyDoNotApply(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.link.Pause() // before Open
		h.link.Resume()
		require.Equal(t, link.StateInitialized, h.link.State())
		h.open()
		h.link.Resume()
		require.Equal(t, link.StateConnected, h.link.State())
		h.peer.Socket().Close(wire.CodeInvalidLogin, "")
		h.expect("failed(1)")
		h.link.Pause()
		h.link.Resume()
		require.Equal(t, link.StateErrored, h.link.State())
		require.NoError(t, h.link.Close(t.Context()))
		h.link.Pause()
		h.link.Resume()
		h.expect()
	})
}

func TestAnAttemptThatSucceedsAfterPauseIsDiscarded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		h.peer.Socket().Drop()
		h.expect("disconnect(1)", "schedule(0, 1s)")
		h.peer.Network.SetLatency(4 * time.Second)
		h.pass(time.Second)
		h.expect("retry(0)")
		h.pass(15 * time.Second) // the answer is on its way
		h.link.Pause()
		h.pass(time.Hour)
		h.expect("offline")
		require.Empty(t, h.peer.Network.Conns())
	})
}

func TestGoAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		old := h.peer.Socket()
		old.Send(&pb.GenericCommand{Cmd: pb.CommandType_goaway.Enum()})
		h.expect("disconnect(1)", "schedule(0, 1s)")
		require.Error(t, old.Ended())
		h.pass(time.Second)
		h.expect("retry(0)", "reconnect(2)")
		require.Equal(t, []bool{false, true}, h.fresh)
		h.peer.Socket().Drop()
		h.pass(2 * time.Second)
		require.Equal(t, []bool{false, true, false}, h.fresh, "asked anew once")
	})
}

func TestFatalCloses(t *testing.T) {
	for _, code := range []wire.Code{wire.CodeAppNotAvailable, wire.CodeInvalidLogin, wire.CodeInvalidOrigin} {
		t.Run(code.Name(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHarness(t)
				h.open()
				h.peer.On(pb.CommandType_conv, pb.OpType_query, func(s *rttest.Socket, _ *pb.GenericCommand) *pb.GenericCommand {
					go s.Close(code, code.Name())
					return nil
				})
				_, err := h.link.Do(t.Context(), query("x"), link.CallOptions{})
				require.Zero(t, time.Since(h.start), "commands in flight fail at once")
				require.ErrorIs(t, err, rpc.ErrDisconnected)
				require.ErrorIs(t, err, rpc.ErrOutcomeUnknown)
				var closed *conn.CloseError
				require.ErrorAs(t, err, &closed)
				require.Equal(t, code, closed.Code)

				h.expect("failed(1)")
				require.Equal(t, link.StateErrored, h.link.State())
				_, err = h.link.Do(t.Context(), query("x"), link.CallOptions{})
				require.ErrorAs(t, err, &closed)
				require.NotErrorIs(t, err, rpc.ErrOutcomeUnknown)
				_, err = h.link.WaitConnected(t.Context())
				require.ErrorAs(t, err, &closed)
				h.pass(time.Hour)
				h.expect()

				h.open() // begins anew
				require.EqualValues(t, 2, h.link.Gen())
				h.expect() // which is no reconnect
			})
		})
	}
}

func TestRetryNow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		notIn := func(state link.State) {
			t.Helper()
			var stateErr *link.StateError
			require.ErrorAs(t, h.link.Retry(), &stateErr)
			require.Equal(t, state, stateErr.State)
			require.Contains(t, stateErr.Error(), "retry while "+state.String())
		}
		notIn(link.StateInitialized)
		h.open()
		notIn(link.StateConnected)
		h.refuse()
		h.peer.Socket().Drop()
		h.pass(7 * time.Second)
		h.expect("disconnect(1)", "schedule(0, 1s)", "retry(0)", "schedule(1, 2s)", "retry(1)", "schedule(2, 4s)", "retry(2)", "schedule(3, 8s)")
		require.NoError(t, h.link.Retry())
		h.expect("retry(0)", "schedule(1, 2s)")
		h.accept()
		require.NoError(t, h.link.Retry())
		h.expect("retry(0)", "reconnect(2)")
		h.pass(time.Hour)
		h.expect() // the old timer is gone

		h.link.Pause()
		notIn(link.StateOffline)
		require.NoError(t, h.link.Close(t.Context()))
		notIn(link.StateClosed)
	})
}

func TestEndpointsRotate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.urls = []string{rttest.SocketURL + "/a", rttest.SocketURL + "/b", rttest.SocketURL + "/c"}
		h.open()
		next := func() string {
			h.peer.Socket().Drop()
			synctest.Wait()
			require.NoError(t, h.link.Retry())
			synctest.Wait()
			return h.peer.Socket().Path()
		}
		require.Equal(t, "/socket/a", h.peer.Socket().Path())
		require.Equal(t, "/socket/b", next())
		require.Equal(t, "/socket/c", next())
		require.Equal(t, "/socket/a", next())
		h.urls = []string{"ws://nobody.test/", rttest.SocketURL + "/d"}
		require.Equal(t, "/socket/d", next(), "another list is taken as it is; the first that opens wins")
		require.Equal(t, "/socket/d", next())
		h.urlErr = errors.New("the router is down")
		require.Equal(t, "/socket/d", next(), "known endpoints are better than none")
	})
}

func TestNoEndpoints(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.urls = nil
		require.ErrorContains(t, h.link.Open(t.Context(), false), "no endpoints")
		h.urlErr = errors.New("the router is down")
		err := h.link.Open(t.Context(), false)
		require.ErrorIs(t, err, h.urlErr)
		require.ErrorIs(t, err, rpc.ErrDisconnected)
	})
}

func TestADialThatHangsGoesOnToTheNextEndpoint(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t, func(o *link.Options) { o.DialTimeout = 5 * time.Second })
		h.urls = []string{"ws://slow.test/", rttest.SocketURL}
		h.peer.Network.SetDialHook(func(ctx context.Context, addr string) error {
			if addr == "slow.test:80" {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		h.open()
		require.Equal(t, 5*time.Second, time.Since(h.start))
	})
}

func TestSilenceIsALoss(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		h.pass(time.Hour)
		h.expect() // heartbeats are answered
		beats := h.peer.Commands()
		require.InDelta(t, 20, len(beats), 3)
		for i, beat := range beats {
			require.Equal(t, pb.CommandType_echo, beat.GetCmd())
			require.EqualValues(t, i+1, beat.GetI())
		}
		h.peer.Socket().Conn().Blackhole()
		h.pass((380 - 180*1.1 - 1) * time.Second) // the last answer may be that old
		h.expect()
		h.pass(200 * time.Second)
		h.expect("disconnect(1)", "schedule(0, 1s)", "retry(0)", "reconnect(2)")
		require.ErrorIs(t, h.failed, conn.ErrSilence)
	})
}

func TestPushes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		s := h.peer.Socket()
		s.Send(pushFor("a"), pushFor("b"), &pb.GenericCommand{Cmd: pb.CommandType_echo.Enum()}, pushFor("c"))
		late := pushFor("answer nobody waits for")
		late.I = new(int32)
		*late.I = 99
		s.Send(late, pushFor("d"))
		h.expect("push(1, a)", "push(1, b)", "push(1, c)", "push(1, d)")
	})
}

func TestNoPushOfAGenerationThatIsGone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		for range 50 {
			h.peer.Socket().Send(pushFor("x"))
		}
		h.link.Pause() // the reader may be anywhere
		h.mu.Lock()
		require.Equal(t, "offline", h.log[len(h.log)-1])
		noted := len(h.log)
		h.mu.Unlock()
		h.pass(time.Minute)
		require.Len(t, h.log, noted)
	})
}

func TestAPushThatComesAtOnceFollowsTheReconnectEvent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var h *harness
		h = newHarness(t, func(o *link.Options) {
			onEvent := o.OnEvent
			o.OnEvent = func(e link.Event) {
				if e.Kind == link.EventReconnect {
					h.peer.Socket().Send(pushFor("early"))
					time.Sleep(time.Second) // the reader has it by now
				}
				onEvent(e)
			}
		})
		h.open()
		h.peer.Socket().Drop()
		h.pass(3 * time.Second)
		h.expect("disconnect(1)", "schedule(0, 1s)", "retry(0)", "reconnect(2)", "push(2, early)")
	})
}

func TestStringsAreReadable(t *testing.T) {
	for state := link.StateInitialized; state <= link.StateErrored; state++ {
		require.NotContains(t, state.String(), "state")
	}
	require.Equal(t, "state 99", link.State(99).String())
	for kind := link.EventDisconnect; kind <= link.EventFailed; kind++ {
		require.NotContains(t, kind.String(), "event")
	}
	require.Equal(t, "event 99", link.EventKind(99).String())
}

// A server that was lost by many at once, and stays away for any time, is not
// tried by more than a fifth of them in any second, then or when it is back.
func TestDefaultBackoffSpreadsAStorm(t *testing.T) {
	const clients = 5000
	for _, outage := range []time.Duration{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 30, 60, 300} {
		outage *= time.Second
		var attempts []time.Duration
		for range clients {
			at := link.DefaultBackoff(0)
			attempts = append(attempts, at)
			for n := 1; at < outage; n++ {
				at += link.DefaultBackoff(n)
				attempts = append(attempts, at)
			}
		}
		slices.Sort(attempts)
		most, first := 0, 0
		for last := range attempts {
			for attempts[last]-attempts[first] >= time.Second {
				first++
			}
			most = max(most, last-first+1)
		}
		require.Less(t, most, clients/5, "away for %v", outage)
	}
}

func TestDefaultBackoff(t *testing.T) {
	for attempt, bounds := range [][2]time.Duration{
		{1, 8}, {8, 16}, {16, 32}, {32, 64}, {64, 128}, {128, 256}, {256, 512}, {300, 600}, {300, 600}, {300, 600},
	} {
		least, most := bounds[0]*time.Second, bounds[1]*time.Second
		low, high := time.Duration(1<<62), time.Duration(0)
		for range 300 {
			d := link.DefaultBackoff(attempt)
			low, high = min(low, d), max(high, d)
		}
		const rounding = time.Microsecond
		require.GreaterOrEqual(t, low, least-rounding)
		require.LessOrEqual(t, high, most+rounding)
		require.Greater(t, high-low, (most-least)*8/10, "it varies, also at the cap")
	}
	require.GreaterOrEqual(t, link.DefaultBackoff(1<<40), 300*time.Second-time.Microsecond)
}
