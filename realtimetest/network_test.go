package realtimetest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
)

var reconnected = []string{"disconnect", "schedule(0)", "retry(0)", "reconnect"}

// enough is longer than the longest first delay of a reconnect.
const enough = 5 * time.Second

func TestCut(t *testing.T) {
	cuts := map[string]func(s *realtimetest.Server, ids ...string){
		"whole":     (*realtimetest.Server).Cut,
		"mid frame": (*realtimetest.Server).CutMidFrame,
	}
	for name, cut := range cuts {
		t.Run(name+", one client", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := realtimetest.NewServer(t)
				tom, jerry := s.Client("Tom"), s.Client("Jerry")
				toms, jerrys := record(t, tom), record(t, jerry)
				cut(s, "Tom")
				wait(enough)
				require.Equal(t, reconnected, names(toms.take()))
				require.Empty(t, jerrys.take())
				require.NoError(t, say(t, talk(t, tom, "Jerry"), "back"))
			})
		})
		t.Run(name+", all clients", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := realtimetest.NewServer(t)
				toms, jerrys := record(t, s.Client("Tom")), record(t, s.Client("Jerry"))
				cut(s)
				wait(enough)
				require.Equal(t, reconnected, names(toms.take()))
				require.Equal(t, reconnected, names(jerrys.take()))
			})
		})
	}
}

func TestCutHitsTheClientsOfOneConnectionTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t)
		tom := s.Client("Tom")
		jerry, err := tom.Realtime().CreateIMClient(t.Context(), "Jerry")
		require.NoError(t, err)
		toms, jerrys := record(t, tom), record(t, jerry)
		s.Cut("Jerry")
		wait(enough)
		require.Equal(t, reconnected, names(toms.take()))
		require.Equal(t, reconnected, names(jerrys.take()))
	})
}

func TestUnknownClientFailsTheTest(t *testing.T) {
	b := &brokenTest{TB: t}
	s := realtimetest.NewServer(b)
	for name, fault := range map[string]func(ids ...string){
		"Cut": s.Cut, "CutMidFrame": s.CutMidFrame, "GoAway": s.GoAway, "ExpireTokens": s.ExpireTokens,
		"Blackhole": func(ids ...string) { s.Blackhole(ids...)() },
		"Displace":  func(ids ...string) { s.Displace(ids[0]) },
	} {
		fails := b.run(func() { fault("Tomm") })
		require.Len(t, fails, 1, name)
		require.Contains(t, fails[0], `client "Tomm" was never logged in`)
	}
}

func TestGoAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t)
		toms, jerrys := record(t, s.Client("Tom")), record(t, s.Client("Jerry"))
		s.GoAway("Tom")
		wait(enough)
		require.Equal(t, reconnected, names(toms.take()))
		require.Empty(t, jerrys.take())
		s.GoAway()
		wait(enough)
		require.Equal(t, reconnected, names(toms.take()))
		require.Equal(t, reconnected, names(jerrys.take()))
	})
}

// logins counts how often a client has asked to log in.
func logins(s *realtimetest.Server, id string) (n int) {
	for _, c := range s.Commands() {
		if c.Name == "session/open" && c.ClientID == id {
			n++
		}
	}
	return n
}

func TestExpireTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t)
		toms, jerrys := record(t, s.Client("Tom")), record(t, s.Client("Jerry"))
		s.ExpireTokens("Tom")
		s.Cut()
		wait(enough)
		require.Equal(t, reconnected, names(toms.take()))
		require.Equal(t, reconnected, names(jerrys.take()))
		require.Equal(t, 3, logins(s, "Tom"), "one at first, one with the token, one without")
		require.Equal(t, 2, logins(s, "Jerry"))

		s.Cut()
		wait(enough)
		require.Equal(t, reconnected, names(toms.take()))
		require.Equal(t, 4, logins(s, "Tom"), "the new token is good")

		s.ExpireTokens()
		s.Cut()
		wait(enough)
		require.Equal(t, 6, logins(s, "Tom"))
		require.Equal(t, 5, logins(s, "Jerry"))
	})
}

// The client gets a new token for its next REST request.
func TestExpireTokensConcernsREST(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t)
		conv := talk(t, s.Client("Tom"), "Jerry")
		refreshes := func() (n int) {
			for _, c := range s.Commands() {
				if c.Name == "session/refresh" {
					n++
				}
			}
			return n
		}
		_, err := conv.GetAllMemberInfo(t.Context())
		require.NoError(t, err)
		require.Zero(t, refreshes())
		s.ExpireTokens("Tom")
		_, err = conv.GetAllMemberInfo(t.Context(), realtime.WithoutCache())
		require.NoError(t, err)
		require.Equal(t, 1, refreshes())
	})
}

func TestBlackholeAnswersNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t)
		tom := s.Client("Tom")
		conv := talk(t, tom, "Jerry")
		toms := record(t, tom)
		restore := s.Blackhole("Tom")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := conv.Send(ctx, realtime.NewTextMessage("lost"))
		require.ErrorIs(t, err, realtime.ErrTimeout)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
		require.False(t, realtime.SafeToRetry(err))
		require.Empty(t, names(toms.take()), "nothing closes")

		restore()
		restore()
		require.NoError(t, say(t, conv, "found"))
		require.Equal(t, []string{"lost", "found"}, history(t, conv), "TCP repeats what was held up")
		require.Empty(t, names(toms.take()))
	})
}

func TestBlackholeOfOneClientLetsItReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t)
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		toms, jerrys := record(t, tom), record(t, jerry)
		defer s.Blackhole("Tom")()
		wait(400 * time.Second) // longer than the silence a client accepts
		require.Equal(t, reconnected, names(toms.take()))
		require.Empty(t, names(jerrys.take()))
	})
}

func TestBlackholeOfAllSwallowsDials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t)
		toms := record(t, s.Client("Tom"))
		restore := s.Blackhole()
		wait(time.Hour)
		events := names(toms.take())
		require.Equal(t, []string{"disconnect", "schedule(0)", "retry(0)", "schedule(1)"}, events[:4])
		require.NotContains(t, events, "reconnect")
		restore()
		wait(20 * time.Minute)
		require.Contains(t, names(toms.take()), "reconnect")
	})
}

func TestRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t)
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		toms, jerrys := record(t, tom), record(t, jerry)
		accept := s.Refuse()
		acceptToo := s.Refuse()
		s.Cut("Tom")
		wait(enough)
		require.Equal(t, []string{"disconnect", "schedule(0)", "retry(0)", "schedule(1)"}, names(toms.take())[:4])
		require.Empty(t, jerrys.take(), "what is open goes on")

		accept()
		accept()
		wait(time.Minute)
		require.NotContains(t, names(toms.take()), "reconnect", "one still refuses")
		acceptToo()
		wait(10 * time.Minute)
		require.Contains(t, names(toms.take()), "reconnect")
	})
}

func TestDisplace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t)
		tom := s.Client("Tom", realtime.WithTag("Mobile"))
		jerry := s.Client("Jerry")
		toms := record(t, tom)
		before := len(s.Commands())
		s.Displace("Tom")
		wait(time.Second)
		require.Equal(t, []string{"conflict"}, names(toms.take()))
		require.ErrorIs(t, tom.Err(), realtime.ErrSessionConflict)
		online, err := jerry.OnlineClients(t.Context(), "Tom")
		require.NoError(t, err)
		require.Equal(t, []string{"Tom"}, online, "on the other device")
		for _, c := range s.Commands()[before:] {
			require.Equal(t, "Jerry", c.ClientID, "the other device is not recorded")
		}
	})
}

// A client that is away learns of the other device when it comes back.
func TestDisplaceDuringABlackhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t)
		tom := s.Client("Tom", realtime.WithTag("Mobile"))
		toms := record(t, tom)
		restore := s.Blackhole()
		s.Displace("Tom")
		require.Empty(t, names(toms.take()))
		restore()
		wait(time.Second)
		require.Equal(t, []string{"conflict"}, names(toms.take()))
	})
}

func TestDisplaceNeedsATag(t *testing.T) {
	b := &brokenTest{TB: t}
	s := realtimetest.NewServer(b)
	s.Client("Tom")
	s.Client("Jerry", realtime.WithTag("default"))
	for _, id := range []string{"Tom", "Jerry"} {
		fails := b.run(func() { s.Displace(id) })
		require.Len(t, fails, 1)
		require.Contains(t, fails[0], "has no tag")
	}
}

func TestRestartKeepsWhatIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t)
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := talk(t, tom, "Jerry")
		require.NoError(t, say(t, conv, "before"))
		toms, jerrys := record(t, tom), record(t, jerry)

		s.Restart()
		wait(enough)
		require.Equal(t, reconnected, names(toms.take()))
		require.Equal(t, reconnected, names(jerrys.take())[:4])
		require.NoError(t, say(t, conv, "after"))
		require.Equal(t, []string{"before", "after"}, history(t, conv))
		require.Contains(t, names(jerrys.take()), "after")
		require.Equal(t, 2, logins(s, "Tom"), "session tokens outlive the server")
	})
}
