package realtimetest_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
)

// scene is Tom, who speaks, and Jerry, who listens.
type scene struct {
	*realtimetest.Server
	conv         *realtime.Conversation // Tom's
	toms, jerrys *recorder
}

func newScene(t *testing.T) scene {
	s := realtimetest.NewServer(t)
	tom, jerry := s.Client("Tom"), s.Client("Jerry")
	conv := talk(t, tom, "Jerry")
	wait(time.Second) // the server holds pushes back for a moment after a login
	return scene{Server: s, conv: conv, toms: record(t, tom), jerrys: record(t, jerry)}
}

func TestActionsOnCommands(t *testing.T) {
	tests := map[string]struct {
		do       realtimetest.Action
		check    func(t *testing.T, err error, took time.Duration)
		executed bool
		cut      bool
	}{
		"Drop": {
			do:    realtimetest.Drop(),
			check: outcomeUnknownAfter(20 * time.Second),
		},
		"LoseAnswer": {
			do:       realtimetest.LoseAnswer(),
			check:    outcomeUnknownAfter(20 * time.Second),
			executed: true,
		},
		"AnswerTwice": {
			do:       realtimetest.AnswerTwice(),
			check:    succeededAfter(0),
			executed: true,
		},
		"CutBefore": {
			do:    realtimetest.CutBefore(),
			check: disconnected,
			cut:   true,
		},
		"CutAfter": {
			do:       realtimetest.CutAfter(),
			check:    disconnected,
			executed: true,
			cut:      true,
		},
		"Delay": {
			do:       realtimetest.Delay(3 * time.Second),
			check:    succeededAfter(3 * time.Second),
			executed: true,
		},
		"Delay too long": {
			do:       realtimetest.Delay(30 * time.Second),
			check:    outcomeUnknownAfter(20 * time.Second),
			executed: true,
		},
		"Fail": {
			do: realtimetest.Fail(realtime.ErrSilenced),
			check: func(t *testing.T, err error, took time.Duration) {
				require.ErrorIs(t, err, realtime.ErrSilenced)
				require.True(t, realtime.SafeToRetry(err))
				var e *realtime.Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, "SILIENCED", e.Reason)
				require.Zero(t, took)
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				s.Inject(realtimetest.Fault{Command: "direct", Times: 1, Do: test.do})
				start := time.Now()
				err := say(t, s.conv, "hit")
				test.check(t, err, time.Since(start))
				wait(30 * time.Second)

				wantTom := []string{}
				if test.cut { // what was stored all the same is his own, and no news to him
					wantTom = slices.Clone(reconnected)
				}
				toms := s.toms.take()
				require.Equal(t, wantTom, names(toms))
				if test.cut { // and what has become of the message, Tom learns when he is back
					require.Equal(t, test.executed, lastStatus(toms) != realtime.StatusFailed)
				}
				wantJerry, wantHistory := []string{}, []string{}
				if test.executed {
					wantJerry, wantHistory = []string{"hit"}, []string{"hit"}
				}
				require.Equal(t, wantJerry, names(s.jerrys.take()))
				require.Equal(t, wantHistory, history(t, s.conv))

				require.NoError(t, say(t, s.conv, "spared"))
				require.Equal(t, []string{"spared"}, names(s.jerrys.take()))
			})
		})
	}
}

func outcomeUnknownAfter(d time.Duration) func(t *testing.T, err error, took time.Duration) {
	return func(t *testing.T, err error, took time.Duration) {
		t.Helper()
		require.ErrorIs(t, err, realtime.ErrTimeout)
		require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
		require.False(t, realtime.SafeToRetry(err))
		require.Equal(t, d, took)
	}
}

func succeededAfter(d time.Duration) func(t *testing.T, err error, took time.Duration) {
	return func(t *testing.T, err error, took time.Duration) {
		t.Helper()
		require.NoError(t, err)
		require.Equal(t, d, took)
	}
}

func disconnected(t *testing.T, err error, took time.Duration) {
	t.Helper()
	require.ErrorIs(t, err, realtime.ErrDisconnected)
	require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
	require.Zero(t, took)
}

func TestActionsOnPushes(t *testing.T) {
	tests := map[string]struct {
		do     realtimetest.Action
		before []string // of two messages, at once
		after  []string // later
	}{
		"Drop":        {do: realtimetest.Drop(), before: []string{"two"}},
		"AnswerTwice": {do: realtimetest.AnswerTwice(), before: []string{"one", "two"}}, // the client notices
		"Delay":       {do: realtimetest.Delay(time.Minute), before: []string{"two"}, after: []string{"one"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				s.Inject(realtimetest.Fault{Command: "direct", Client: "Jerry", Pushes: true, Times: 1, Do: test.do})
				require.NoError(t, say(t, s.conv, "one"))
				require.NoError(t, say(t, s.conv, "two"))
				require.Equal(t, test.before, names(s.jerrys.take()))
				wait(time.Minute)
				require.Equal(t, append([]string{}, test.after...), names(s.jerrys.take()))
			})
		})
	}
	t.Run("CutBefore", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t)
			s.Inject(realtimetest.Fault{Command: "direct", Pushes: true, Times: 1, Do: realtimetest.CutBefore()})
			require.NoError(t, say(t, s.conv, "one"))
			wait(enough)
			require.Equal(t, "disconnect", names(s.jerrys.take())[0])
			require.Empty(t, names(s.toms.take()))
		})
	})
}

// Two commands that are held back for the same time keep their order, and one
// that is held back for less overtakes them.
func TestDelaysKeepOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		token := func(want string) func(realtimetest.Command) bool {
			return func(c realtimetest.Command) bool { return c.DedupToken == want }
		}
		s.Inject(realtimetest.Fault{Command: "direct", Match: token("short"), Do: realtimetest.Delay(time.Second)})
		s.Inject(realtimetest.Fault{Command: "direct", Do: realtimetest.Delay(10 * time.Second)})
		done := make(chan error)
		for _, text := range []string{"long 1", "long 2", "long 3", "short"} {
			go func() { done <- say(t, s.conv, text, realtime.WithDedupToken(text)) }()
			synctest.Wait()
		}
		for range 4 {
			require.NoError(t, <-done)
		}
		require.Equal(t, []string{"short", "long 1", "long 2", "long 3"}, names(s.jerrys.take()))
	})
}

func TestDelayIsLostWithItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.Inject(realtimetest.Fault{Command: "direct", Do: realtimetest.Delay(10 * time.Second)})
		done := make(chan error)
		go func() { done <- say(t, s.conv, "too late") }()
		wait(5 * time.Second)
		s.Cut("Tom")
		require.ErrorIs(t, <-done, realtime.ErrOutcomeUnknown)
		wait(time.Minute)
		require.Empty(t, history(t, s.conv))
	})
}

func TestFaultCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.Inject(realtimetest.Fault{Command: "direct", Skip: 2, Times: 3, Do: realtimetest.Fail(realtime.ErrSilenced)})
		var failed []int
		for i := range 8 {
			if err := say(t, s.conv, "hello"); err != nil {
				require.ErrorIs(t, err, realtime.ErrSilenced)
				failed = append(failed, i)
			}
		}
		require.Equal(t, []int{2, 3, 4}, failed)
	})
}

func TestFaultWithoutTimesActsUntilItIsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		remove := s.Inject(realtimetest.Fault{Command: "direct", Do: realtimetest.Fail(realtime.ErrSilenced)})
		for range 5 {
			require.ErrorIs(t, say(t, s.conv, "no"), realtime.ErrSilenced)
		}
		remove()
		remove()
		require.NoError(t, say(t, s.conv, "yes"))
	})
}

func TestFaultsAreMetInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		fail := func(code realtime.ErrorCode) realtimetest.Action { return realtimetest.Fail(code) }
		s.Inject(realtimetest.Fault{Command: "direct", Times: 1, Do: fail(realtime.ErrSilenced)})
		s.Inject(realtimetest.Fault{Command: "direct", Skip: 1, Times: 1, Do: fail(realtime.ErrBlockedByConv)})
		require.ErrorIs(t, say(t, s.conv, "1"), realtime.ErrSilenced)
		require.NoError(t, say(t, s.conv, "2"), "the second fault has not seen the first message")
		require.ErrorIs(t, say(t, s.conv, "3"), realtime.ErrBlockedByConv)
		require.NoError(t, say(t, s.conv, "4"))
	})
}

func TestFaultChoosesClientAndCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		mary := s.Client("Mary")
		marys := talk(t, mary, "Tom")
		s.Inject(realtimetest.Fault{Client: "Mary", Match: func(c realtimetest.Command) bool {
			return c.ConversationID == marys.ID() && c.Name != "logs"
		}, Do: realtimetest.Fail(realtime.ErrInternalError)})
		require.NoError(t, say(t, s.conv, "not Mary"))
		require.ErrorIs(t, say(t, marys, "Mary"), realtime.ErrInternalError)
		_, err := marys.Count(t.Context())
		require.ErrorIs(t, err, realtime.ErrInternalError)
		require.Empty(t, history(t, marys))
	})
}

func TestMatchMayUseTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		before := len(s.Commands())
		s.Inject(realtimetest.Fault{Command: "direct", Times: 1, Match: func(realtimetest.Command) bool {
			return len(s.Commands()) > before // the command itself is recorded already
		}, Do: realtimetest.Fail(realtime.ErrSilenced)})
		require.ErrorIs(t, say(t, s.conv, "hit"), realtime.ErrSilenced)
	})
}

func TestFailAtLogin(t *testing.T) {
	for _, code := range []realtime.ErrorCode{
		realtime.ErrSignatureFailed, realtime.ErrSessionConflict, realtime.ErrAppNotAvailable,
		realtime.ErrInvalidLogin, realtime.ErrAppQuotaExceeded,
	} {
		t.Run(code.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := realtimetest.NewServer(t)
				s.Inject(realtimetest.Fault{Command: "session/open", Times: 1, Do: realtimetest.Fail(code)})
				rt, err := realtime.New(s.Options())
				require.NoError(t, err)
				defer rt.Close(context.Background())
				start := time.Now()
				_, err = rt.CreateIMClient(t.Context(), "Tom")
				require.ErrorIs(t, err, code)
				require.Zero(t, time.Since(start))
			})
		})
	}
}

// A session whose answer was lost exists for the server.
func TestLoseAnswerOfLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t)
		s.Inject(realtimetest.Fault{Command: "session/open", Client: "Tom", Times: 1, Do: realtimetest.LoseAnswer()})
		rt, err := realtime.New(s.Options())
		require.NoError(t, err)
		defer rt.Close(context.Background())
		_, err = rt.CreateIMClient(t.Context(), "Tom")
		require.ErrorIs(t, err, realtime.ErrTimeout)
		_, err = rt.CreateIMClient(t.Context(), "Tom")
		require.NoError(t, err)
	})
}

func TestFaultsThatCannotHappenFailTheTest(t *testing.T) {
	drop, lose, twice := realtimetest.Drop(), realtimetest.LoseAnswer(), realtimetest.AnswerTwice()
	tests := map[string]struct {
		fault realtimetest.Fault
		want  string
	}{
		"unknown name":        {realtimetest.Fault{Command: "conv/begin", Do: drop}, "no command of this name"},
		"half a name":         {realtimetest.Fault{Command: "conv", Do: drop}, "no command of this name"},
		"no action":           {realtimetest.Fault{Command: "direct"}, "no action"},
		"negative skip":       {realtimetest.Fault{Skip: -1, Do: drop}, "count from 0"},
		"negative times":      {realtimetest.Fault{Times: -1, Do: drop}, "count from 0"},
		"negative delay":      {realtimetest.Fault{Do: realtimetest.Delay(-1)}, "negative"},
		"no code":             {realtimetest.Fault{Do: realtimetest.Fail(0)}, "needs a code"},
		"never pushed":        {realtimetest.Fault{Command: "conv/start", Pushes: true, Do: drop}, "does not push"},
		"never sent":          {realtimetest.Fault{Command: "conv/joined", Do: drop}, "do not send"},
		"push without answer": {realtimetest.Fault{Command: "direct", Pushes: true, Do: lose}, "no answer"},
		"push that fails":     {realtimetest.Fault{Pushes: true, Do: realtimetest.Fail(realtime.ErrSilenced)}, "no answer"},
		"push without end":    {realtimetest.Fault{Pushes: true, Do: realtimetest.CutAfter()}, "no end"},
		"never answered":      {realtimetest.Fault{Command: "read", Do: twice}, "never answered"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := &brokenTest{TB: t}
			s := realtimetest.NewServer(b)
			fails := b.run(func() { s.Inject(test.fault) })
			require.Len(t, fails, 1)
			require.Contains(t, fails[0], test.want)
		})
	}
}

// lastStatus is what was told last about a message that was sent.
func lastStatus(events []realtime.Event) (s realtime.MessageStatus) {
	for _, e := range events {
		if e, ok := e.(*realtime.MessageStatusEvent); ok {
			s = e.Message.Status
		}
	}
	return s
}
