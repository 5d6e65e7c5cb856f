package main

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
	"github.com/leanrtm/realtime/realtimetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryAnnouncementReachesEveryPlayer(t *testing.T) {
	const players, connections, rounds = 1000, 4, 2
	var out bytes.Buffer
	results, err := play(t.Context(), &out, players, connections, rounds)
	require.NoError(t, err, "%s", &out)
	t.Logf("\n%s", &out)
	require.Len(t, results, 3)
	for _, r := range results {
		require.Equal(t, players, r.reach, r.way)
		require.Zero(t, r.again, "%s: somebody was told twice", r.way)
		require.Positive(t, r.p50, r.way)
		require.LessOrEqual(t, r.p50, r.p99, r.way)
		require.LessOrEqual(t, r.p99, r.max, r.way)
		require.Less(t, r.max, late, r.way)
	}

	lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	require.Regexp(t, `^1000 players on 4 connections are in after `, lines[0])
	require.Equal(t, []string{"announcement", "rounds", "reach", "p50", "p99", "max"}, strings.Fields(lines[2]))
	for i, name := range []string{"room, high priority", "to subscribers", "to all"} {
		require.Regexp(t, `^\s*`+regexp.QuoteMeta(name)+`\s+2\s+1000 of 1000(\s+[0-9.]+(ms|s)){3}\s*$`, lines[3+i])
	}
}

// What each way is for: who is away finds what was told to subscribers and to
// all, not what was said in a room that it has left.
func TestWhoIsAway(t *testing.T) {
	s := realtimetest.NewServer(t)
	m, err := newGM(t.Context(), s.AdminOptions())
	require.NoError(t, err)
	require.NoError(t, m.account.Subscribe(t.Context(), "subscriber"))
	require.NoError(t, s.Client("stranger").Close(t.Context()))
	for _, w := range m.ways() {
		require.NoError(t, w.speak(t.Context(), realtime.NewTextMessage(w.name)))
	}
	for player, want := range map[string]int{"subscriber": 2, "stranger": 1} {
		n, err := s.Admin().IMClient(player).UnreadCount(t.Context(), "")
		require.NoError(t, err)
		require.Equal(t, want, n, player)
	}
}

func TestReachTellsWhoIsMissing(t *testing.T) {
	c, err := newCrowd(realtime.Options{AppID: "a", AppKey: "k", Server: "http://nowhere.test"}, 3, 2)
	require.NoError(t, err)
	a := c.expect("hello")
	hello := &realtime.Message{Content: realtime.NewTextMessage("hello")}
	c.heard(0, hello, a.sent.Add(2*time.Millisecond))
	c.heard(2, hello, a.sent.Add(time.Millisecond))
	c.heard(2, hello, a.sent.Add(3*time.Millisecond))
	c.heard(1, &realtime.Message{Content: realtime.NewTextMessage("something else")}, a.sent)
	took, again, err := c.wait(t.Context(), a, time.Millisecond)
	require.NoError(t, err)
	require.ElementsMatch(t, []time.Duration{time.Millisecond, 2 * time.Millisecond}, took)
	require.Equal(t, 1, again)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = c.wait(ctx, a, time.Hour)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, c.Close(t.Context()))
}

func TestPercentile(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1))
	}
	for _, tc := range []struct {
		of   []time.Duration
		p    int
		want time.Duration
	}{
		{nil, 50, 0}, {hundred[:1], 50, 1}, {hundred[:1], 99, 1}, {hundred, 50, 50}, {hundred, 99, 99},
		{hundred, 100, 100}, {hundred[:3], 50, 2}, {hundred[:10], 99, 10},
	} {
		require.Equal(t, tc.want, percentile(tc.of, tc.p))
	}
}

func TestMistakes(t *testing.T) {
	for _, n := range [][2]int{{0, 1}, {1, 0}, {-1, 4}} {
		_, err := play(t.Context(), new(bytes.Buffer), n[0], n[1], 1)
		require.Error(t, err)
	}
	_, err := newGM(t.Context(), admin.Options{})
	require.ErrorIs(t, err, realtime.ErrInvalidArgument)
}
