package realtime_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
)

// doubling is the default backoff without its jitter: one second, two, four.
func doubling(attempt int) time.Duration { return time.Second << attempt }

// steady is a client whose reconnects are exactly predictable.
func steady(t *testing.T, s *story, id string, opts ...realtime.ClientOption) *realtime.IMClient {
	t.Helper()
	o := s.Options()
	o.Backoff = doubling
	rt, err := realtime.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rt.Close(context.Background())) })
	c, err := rt.CreateIMClient(t.Context(), id, opts...)
	require.NoError(t, err)
	s.clients[id], s.events[id] = c, follow(c)
	return c
}

// listenToConnection collects the events of a connection.
func listenToConnection(rt *realtime.Realtime) *journal {
	r := new(journal)
	stream := rt.Events(context.Background())
	go func() {
		for e, err := range stream {
			if err != nil {
				return
			}
			r.mu.Lock()
			r.list = append(r.list, eventLine(e))
			r.mu.Unlock()
		}
	}()
	return r
}

func TestE2EReconnectEvents(t *testing.T) {
	tests := map[string]struct {
		do   func(t *testing.T, s *story, rt *realtime.Realtime)
		want []string
		end  realtime.State
	}{
		"lost and back at the first attempt": {
			do:   func(_ *testing.T, s *story, _ *realtime.Realtime) { s.Cut("Tom") },
			want: []string{"disconnect", "schedule(0, 1s)", "retry(0)", "reconnect"},
			end:  realtime.StateConnected,
		},
		"back at the third attempt": {
			do: func(_ *testing.T, s *story, _ *realtime.Realtime) {
				accept := s.Refuse()
				s.Cut("Tom")
				time.AfterFunc(5*time.Second, accept)
			},
			want: []string{
				"disconnect", "schedule(0, 1s)", "retry(0)", "schedule(1, 2s)", "retry(1)",
				"schedule(2, 4s)", "retry(2)", "reconnect",
			},
			end: realtime.StateConnected,
		},
		"lost twice: attempts count from 0 again": {
			do: func(_ *testing.T, s *story, _ *realtime.Realtime) {
				s.Cut("Tom")
				time.Sleep(10 * time.Second)
				s.Cut("Tom")
			},
			want: []string{
				"disconnect", "schedule(0, 1s)", "retry(0)", "reconnect",
				"disconnect", "schedule(0, 1s)", "retry(0)", "reconnect",
			},
			end: realtime.StateConnected,
		},
		"sent away": {
			do:   func(_ *testing.T, s *story, _ *realtime.Realtime) { s.GoAway("Tom") },
			want: []string{"disconnect", "schedule(0, 1s)", "retry(0)", "reconnect"},
			end:  realtime.StateConnected,
		},
		"paused": {
			do:   func(_ *testing.T, _ *story, rt *realtime.Realtime) { rt.Pause() },
			want: []string{"disconnect", "offline"},
			end:  realtime.StateOffline,
		},
		"paused and resumed": {
			do: func(_ *testing.T, _ *story, rt *realtime.Realtime) {
				rt.Resume() // does not apply
				rt.Pause()
				rt.Pause()
				time.Sleep(time.Hour)
				rt.Resume()
				rt.Resume()
			},
			want: []string{"disconnect", "offline", "online", "schedule(0, 0s)", "retry(0)", "reconnect"},
			end:  realtime.StateConnected,
		},
		"paused while lost": {
			do: func(_ *testing.T, s *story, rt *realtime.Realtime) {
				s.Cut("Tom")
				synctest.Wait()
				rt.Pause()
				time.Sleep(time.Hour)
				rt.Resume()
			},
			want: []string{"disconnect", "schedule(0, 1s)", "offline", "online", "schedule(0, 0s)", "retry(0)", "reconnect"},
			end:  realtime.StateConnected,
		},
		"retried by hand": {
			do: func(t *testing.T, s *story, rt *realtime.Realtime) {
				require.Error(t, rt.Retry(), "connected")
				accept := s.Refuse()
				s.Cut("Tom")
				time.Sleep(2 * time.Second)
				accept()
				require.Equal(t, realtime.StateDisconnected, rt.State())
				require.NoError(t, rt.Retry())
			},
			want: []string{"disconnect", "schedule(0, 1s)", "retry(0)", "schedule(1, 2s)", "retry(0)", "reconnect"},
			end:  realtime.StateConnected,
		},
		"silence": {
			do:   func(_ *testing.T, s *story, _ *realtime.Realtime) { s.Blackhole("Tom"); time.Sleep(380 * time.Second) },
			want: []string{"disconnect", "schedule(0, 1s)", "retry(0)", "reconnect"},
			end:  realtime.StateConnected,
		},
		"the server starts anew": {
			do:   func(_ *testing.T, s *story, _ *realtime.Realtime) { s.Restart() },
			want: []string{"disconnect", "schedule(0, 1s)", "retry(0)", "reconnect"},
			end:  realtime.StateConnected,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			play(t, []string{"Jerry"}, func(t *testing.T, s *story) {
				tom := steady(t, s, "Tom")
				events := listenToConnection(tom.Realtime())
				test.do(t, s, tom.Realtime())
				time.Sleep(time.Minute)
				require.Equal(t, test.want, without(s.events["Tom"].take(), "recovered"))
				require.Equal(t, test.want, events.take(), "on the Realtime")
				require.Equal(t, test.end, tom.Realtime().State())
			})
		})
	}
}

func TestE2ENothingHappensWhileIdle(t *testing.T) {
	play(t, nil, func(t *testing.T, s *story) {
		tom := steady(t, s, "Tom")
		time.Sleep(7 * 24 * time.Hour)
		require.Empty(t, s.events["Tom"].take())
		_, err := tom.OnlineClients(t.Context(), "Tom")
		require.NoError(t, err)
	})
}

func TestE2EClientsOfOneConnectionReconnectTogether(t *testing.T) {
	play(t, nil, func(t *testing.T, s *story) {
		tom := steady(t, s, "Tom")
		jerry, err := tom.Realtime().CreateIMClient(t.Context(), "Jerry")
		require.NoError(t, err)
		s.events["Jerry"] = follow(jerry)
		s.Cut()
		time.Sleep(time.Minute)
		for _, id := range []string{"Tom", "Jerry"} {
			require.Equal(t, []string{"disconnect", "schedule(0, 1s)", "retry(0)", "reconnect"},
				without(s.events[id].take(), "recovered"), id)
		}
	})
}

// The connection is back, but logging in fails.
func TestE2EReopenFails(t *testing.T) {
	tests := map[string]struct {
		code  realtime.ErrorCode
		times int
		want  []string
		err   error
	}{
		"for a while": {
			code: realtime.ErrInternalError, times: 2,
			want: []string{"reconnect error", "reconnect error", "reconnect"},
		},
		"conflict": {
			code: realtime.ErrSessionConflict,
			want: []string{"reconnect error", "conflict SESSION_CONFLICT"}, err: realtime.ErrSessionConflict,
		},
		"for good": {
			code: realtime.ErrBlacklisted,
			want: []string{"reconnect error", "close 4106 BLACKLISTED"}, err: realtime.ErrBlacklisted,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(t *testing.T, s *story) {
				tom := steady(t, s, "Tom")
				s.Inject(realtimetest.Fault{Command: "session/open", Times: test.times, Do: realtimetest.Fail(test.code)})
				s.Cut("Tom")
				time.Sleep(time.Minute)
				require.Equal(t, append([]string{"disconnect", "schedule(0, 1s)", "retry(0)"}, test.want...),
					without(s.events["Tom"].take(), "recovered"))
				if test.err == nil {
					require.NoError(t, tom.Err())
				} else {
					require.ErrorIs(t, tom.Err(), test.err)
				}
			})
		})
	}
}

func TestE2ECallsAroundALoss(t *testing.T) {
	play(t, []string{"Jerry"}, func(t *testing.T, s *story) {
		tom := steady(t, s, "Tom")
		conv := s.conversation("Tom", "Jerry")
		settle()
		defer s.Inject(realtimetest.Fault{Command: "direct", Do: realtimetest.Drop()})()
		pending := make(chan error, 1)
		go func() {
			_, err := conv.Send(t.Context(), realtime.NewTextMessage("pending"))
			pending <- err
		}()
		synctest.Wait()
		start := time.Now()
		s.Cut("Tom")
		err := <-pending
		require.Zero(t, time.Since(start), "told at once")
		require.ErrorIs(t, err, realtime.ErrDisconnected)
		require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
		require.False(t, realtime.SafeToRetry(err))

		_, err = conv.Send(t.Context(), realtime.NewTextMessage("while away"))
		require.ErrorIs(t, err, realtime.ErrDisconnected)
		require.NotErrorIs(t, err, realtime.ErrOutcomeUnknown)
		require.True(t, realtime.SafeToRetry(err), "it was certainly not sent")
		_, err = tom.OnlineClients(t.Context(), "Jerry")
		require.ErrorIs(t, err, realtime.ErrDisconnected)
		require.Zero(t, time.Since(start))
	})
}

func TestE2ESendWithRetrySurvivesReconnects(t *testing.T) {
	for name, do := range map[string]realtimetest.Action{
		"cut before it": realtimetest.CutBefore(), "cut after it": realtimetest.CutAfter(),
	} {
		t.Run(name, func(t *testing.T) {
			play(t, []string{"Jerry"}, func(t *testing.T, s *story) {
				steady(t, s, "Tom")
				conv := s.conversation("Tom", "Jerry")
				s.happened()
				s.Inject(realtimetest.Fault{Command: "direct", Times: 3, Do: do})
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				sent, err := conv.Send(ctx, realtime.NewTextMessage("at last"), realtime.WithRetry())
				require.NoError(t, err)
				page := mustQuery(t, conv, realtime.MessageQuery{})
				require.Equal(t, []string{"at last"}, texts(page), "stored once")
				require.Equal(t, sent.ID, page[0].ID)
				require.Equal(t, []string{"Tom: at last"}, s.happened()["Jerry"])
			})
		})
	}
	t.Run("until its context ends", func(t *testing.T) {
		play(t, nil, func(t *testing.T, s *story) {
			steady(t, s, "Tom")
			conv := s.conversation("Tom", "Jerry")
			s.Refuse()
			s.Cut()
			settle() // else the first attempt might have got through
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			start := time.Now()
			_, err := conv.Send(ctx, realtime.NewTextMessage("never"), realtime.WithRetry())
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.NotErrorIs(t, err, realtime.ErrOutcomeUnknown)
			require.Equal(t, time.Hour, time.Since(start))
		})
	})
	t.Run("not longer than the server remembers it", func(t *testing.T) {
		play(t, nil, func(t *testing.T, s *story) {
			steady(t, s, "Tom")
			conv := s.conversation("Tom", "Jerry")
			settle()
			accept := s.Refuse()
			s.Inject(realtimetest.Fault{Command: "direct", Times: 1, Do: realtimetest.CutAfter()})
			time.AfterFunc(20*time.Minute, accept)
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			_, err := conv.Send(ctx, realtime.NewTextMessage("did it?"), realtime.WithRetry())
			require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
			time.Sleep(time.Hour)
			require.Equal(t, []string{"did it?"}, texts(mustQuery(t, conv, realtime.MessageQuery{})))
		})
	})
}

// Messages of the time away come after the reconnect, in order, each once.
func TestE2ERecovery(t *testing.T) {
	play(t, []string{"Jerry"}, func(t *testing.T, s *story) {
		steady(t, s, "Tom")
		conv := s.conversation("Jerry", "Tom")
		mustSend(t, conv, "before")
		s.happened()
		accept := s.Refuse()
		s.Cut("Tom")
		const missed = 250
		for n := range missed {
			mustSend(t, conv, fmt.Sprint("missed ", n))
		}
		accept()
		time.Sleep(time.Minute)
		mustSend(t, conv, "after")

		var heard []string
		for _, line := range s.happened()["Tom"] {
			if text, isMessage := strings.CutPrefix(line, "Jerry: "); isMessage {
				heard = append(heard, text)
			}
		}
		var want []string
		for n := range missed {
			want = append(want, fmt.Sprintf("missed %d (recovered)", n))
		}
		require.Equal(t, append(want, "after"), heard)
	})
}

func TestE2EChatRoomSurvivesAReconnect(t *testing.T) {
	play(t, []string{"Jerry"}, func(t *testing.T, s *story) {
		tom := steady(t, s, "Tom")
		room, err := s.clients["Jerry"].CreateChatRoom(t.Context(), realtime.ChatRoomOptions{Name: "lobby"})
		require.NoError(t, err)
		toms, err := tom.GetConversation(t.Context(), room.ID())
		require.NoError(t, err)
		require.NoError(t, toms.Join(t.Context()))
		s.Cut("Tom")
		time.Sleep(time.Minute)
		s.happened()
		mustSend(t, room, "still there?")
		require.Equal(t, map[string][]string{"Tom": {"Jerry: still there?"}}, s.happened())
	})
}

// Closing must not wait for a network that does not answer.
func TestE2ECloseInBadTimes(t *testing.T) {
	tests := map[string]func(s *story){
		"while waiting to reconnect": func(s *story) { s.Refuse(); s.Cut("Tom"); synctest.Wait() },
		"while dialling":             func(s *story) { s.Cut("Tom"); s.Blackhole(); time.Sleep(5 * time.Second) },
		"in a black hole":            func(s *story) { s.Blackhole() },
		"while paused":               func(s *story) { s.clients["Tom"].Realtime().Pause() },
		"while logging in again": func(s *story) {
			s.Inject(realtimetest.Fault{Command: "session/open", Do: realtimetest.Drop()})
			s.Cut("Tom")
			time.Sleep(5 * time.Second)
		},
	}
	for name, trouble := range tests {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(t *testing.T, s *story) {
				tom := steady(t, s, "Tom")
				trouble(s)
				start := time.Now()
				require.NoError(t, tom.Close(t.Context()))
				require.NoError(t, tom.Realtime().Close(t.Context()))
				require.LessOrEqual(t, time.Since(start), 25*time.Second)
				require.ErrorIs(t, tom.Err(), realtime.ErrClosed)
			})
		})
	}
}

// Many clients that lose their connections again and again, while everybody
// talks: nobody misses anything, nothing comes twice, order holds.
func TestE2ETalkOnABadNetwork(t *testing.T) {
	const clients, each = 4, 25
	play(t, nil, func(t *testing.T, s *story) {
		var ids []string
		for n := range clients {
			ids = append(ids, fmt.Sprintf("client-%d", n))
			steady(t, s, ids[n])
		}
		s.login("Tom")
		conv := s.conversation("Tom", ids...)
		s.happened()
		var all sync.WaitGroup
		for _, id := range ids {
			own := s.as(id, conv)
			all.Go(func() {
				for n := range each {
					ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
					_, err := own.Send(ctx, realtime.NewTextMessage(fmt.Sprint(n)), realtime.WithRetry())
					cancel()
					if err != nil {
						t.Error(id, n, err)
					}
					time.Sleep(700 * time.Millisecond)
				}
			})
		}
		stop := make(chan struct{})
		var trouble sync.WaitGroup
		trouble.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(3100 * time.Millisecond):
				}
				s.Cut(ids[n%clients])
			}
		})
		all.Wait()
		close(stop)
		trouble.Wait()
		time.Sleep(time.Minute)

		var order []string
		for m, err := range conv.Messages(t.Context(), realtime.MessageQuery{Direction: realtime.OldToNew}) {
			require.NoError(t, err)
			order = append(order, m.From+": "+m.Text())
		}
		require.Len(t, order, clients*each, "stored once each")
		for id, happened := range s.happened() {
			var heard []string
			for _, line := range happened {
				if strings.HasPrefix(line, "client-") {
					heard = append(heard, strings.TrimSuffix(line, " (recovered)"))
				}
			}
			require.Equal(t, without(order, id+":"), heard, "as %s heard it", id)
		}
	})
}
