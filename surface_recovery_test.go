package realtime_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
)

// Everything that was missed comes after the reconnect, in the order of each
// conversation, before what is said then.
func TestSurfaceRecovery(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv, other := s.group(tom, "Jerry"), s.group(tom, "Jerry", "Spike")
		tmp, err := tom.CreateTemporaryConversation(t.Context(), realtime.TemporaryConversationOptions{Members: []string{"Jerry"}})
		require.NoError(t, err)
		s.say(conv, "before")
		heard := watch(jerry)
		accept := s.Refuse()
		s.Cut("Jerry")
		moment()
		want := []string{}
		for i := range 250 { // more than a page
			s.say(conv, fmt.Sprint(i))
			want = append(want, fmt.Sprintf("message Tom: %d (missed)", i))
		}
		s.say(other, "elsewhere", realtime.WithMention("Jerry"))
		s.say(tmp, "in secret")
		s.say(conv, "not this", realtime.WithTransient())
		accept()
		time.Sleep(time.Minute)
		got := heard.heard("message", "recovered")
		require.Equal(t, "recovered 252 of 3", got[len(got)-1])
		require.ElementsMatch(t, append(want,
			"message Tom: elsewhere @me (missed)", "message Tom: in secret (missed)", "recovered 252 of 3"), got)
		require.Equal(t, want, slices.DeleteFunc(got, func(line string) bool { return !slices.Contains(want, line) }))
		require.Equal(t, 100, s.as(jerry, conv).UnreadMessagesCount(), "the server tells no more after a login")
		require.True(t, s.as(jerry, other).UnreadMessagesMentioned())
		s.say(conv, "live")
		require.Equal(t, []string{"message Tom: live"}, heard.heard("message"))
		s.Cut("Jerry")
		require.Empty(t, heard.heard("message"), "nothing comes again")
	})
}

func TestSurfaceRecoveryOfANewConversation(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		heard := watch(jerry)
		old := s.group(tom, "Spike")
		s.say(old, "before Jerry came")
		s.Cut("Jerry")
		moment()
		s.say(s.group(tom, "Jerry"), "welcome")
		require.NoError(t, old.Add(t.Context(), "Jerry"))
		moment()
		s.say(old, "you too")
		require.ElementsMatch(t, []string{
			"invited by Tom (missed)", "invited by Tom (missed)",
			"message Tom: welcome (missed)", "message Tom: you too (missed)",
		}, heard.heard("invited", "message"))
	})
}

func TestSurfaceWithoutRecovery(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry", realtime.WithoutRecovery())
		conv := s.group(tom, "Jerry")
		theirs := s.as(jerry, conv)
		heard := watch(jerry)
		s.Cut("Jerry")
		moment()
		s.say(conv, "missed")
		require.Equal(t, []string{"unread 1"}, heard.heard("message", "unread", "recovered"), "told by the count alone")
		require.Equal(t, "missed", theirs.LastMessage().Text())
		s.say(conv, "live")
		require.Equal(t, []string{"unread 2", "message Tom: live"}, heard.heard("message", "unread"))
	})
}

// A message that was sent again and again, over cuts and lost answers, is
// stored and delivered once.
func TestSurfaceRetryStoresOnce(t *testing.T) {
	for name, action := range map[string]realtimetest.Action{
		"lost answer": realtimetest.LoseAnswer(), "cut before": realtimetest.CutBefore(),
		"cut after": realtimetest.CutAfter(), "dropped": realtimetest.Drop(),
		"late": realtimetest.Delay(30 * time.Second), "answered twice": realtimetest.AnswerTwice(),
	} {
		t.Run(name, func(t *testing.T) {
			onSurface(t, func(t *testing.T, s *surface) {
				tom, jerry := s.Client("Tom"), s.Client("Jerry")
				conv := s.group(tom, "Jerry")
				byTom, byJerry := watch(tom), watch(jerry)
				s.Inject(realtimetest.Fault{Command: "direct", Client: "Tom", Times: 3, Do: action})
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				defer cancel()
				m, err := conv.Send(ctx, realtime.NewTextMessage("once"), realtime.WithRetry())
				require.NoError(t, err)
				require.NotEmpty(t, m.ID)
				time.Sleep(2 * time.Minute)
				require.Equal(t, []string{"message Tom: once"}, byJerry.heard("message"))
				require.Empty(t, byTom.heard("message"), "own sends are no news")
				require.Equal(t, []string{"once"}, s.texts(conv))
				page, err := conv.QueryMessages(t.Context(), realtime.MessageQuery{})
				require.NoError(t, err)
				require.Equal(t, m.ID, page[0].ID)
				require.Equal(t, m.Timestamp, page[0].Timestamp)
				tokens := map[string]bool{}
				for _, c := range s.Commands() {
					if c.Name == "direct" {
						tokens[c.DedupToken] = true
					}
				}
				require.Len(t, tokens, 1)
			})
		})
	}
}

// Without the option the caller is told that the outcome is not known; to
// repeat the call with a token of its own is safe.
func TestSurfaceDedupToken(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		heard := watch(jerry)
		s.Inject(realtimetest.Fault{Command: "direct", Times: 2, Do: realtimetest.CutAfter()})
		_, err := conv.Send(t.Context(), realtime.NewTextMessage("maybe"))
		require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
		require.False(t, realtime.SafeToRetry(err))
		calm()
		token := realtime.WithDedupToken("the one and only")
		_, err = conv.Send(t.Context(), realtime.NewTextMessage("twice"), token)
		require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
		require.True(t, realtime.SafeToRetry(err))
		calm()
		first := s.say(conv, "twice", token)
		second := s.say(conv, "twice", token)
		require.Equal(t, first.ID, second.ID)
		require.Equal(t, first.Timestamp, second.Timestamp)
		require.Equal(t, []string{"maybe", "twice"}, s.texts(conv))
		require.Equal(t, []string{"message Tom: maybe", "message Tom: twice"}, heard.heard("message"))
		// After some minutes the server has forgotten it.
		time.Sleep(15 * time.Minute)
		require.NotEqual(t, first.ID, s.say(conv, "twice", token).ID)
	})
}

// What the server pushes twice is one event.
func TestSurfaceDuplicatesAreDropped(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		theirs := s.as(jerry, conv)
		calm()
		heard := watch(jerry)
		for _, command := range []string{"direct", "patch/modify", "conv/joined", "conv/left"} {
			s.Inject(realtimetest.Fault{Command: command, Pushes: true, Do: realtimetest.AnswerTwice()})
		}
		m := s.say(conv, "one")
		_, err := conv.Update(t.Context(), m, realtime.NewTextMessage("eins"))
		require.NoError(t, err)
		require.NoError(t, conv.Remove(t.Context(), "Jerry"))
		calm()
		require.NoError(t, conv.Add(t.Context(), "Jerry"))
		require.Equal(t, []string{"unread 1", "message Tom: one", "update Tom: eins", "unread 0", "kicked by Tom", "invited by Tom"},
			heard.heard("unread", "message", "update", "kicked", "invited"))
		require.Zero(t, theirs.UnreadMessagesCount(), "what was said before it came back is not unread")
		require.ElementsMatch(t, []string{"Jerry", "Tom"}, theirs.Members())
	})
}

// A client goes on where another program has stopped.
func TestSurfacePosition(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		m := s.say(conv, "handled")
		calm()
		text, err := jerry.Position().MarshalText()
		require.NoError(t, err)
		require.NoError(t, jerry.Close(ctx))

		s.say(conv, "one")
		_, err = conv.Update(ctx, m, realtime.NewTextMessage("handled, but changed"))
		require.NoError(t, err)
		s.say(s.group(tom, "Jerry", "Spike"), "two")
		time.Sleep(time.Hour)

		var position realtime.Position
		require.NoError(t, position.UnmarshalText(text))
		resume := func(p realtime.Position) []string {
			c := s.realtime().NewIMClient("Jerry", realtime.WithPosition(p))
			heard := watch(c)
			require.NoError(t, c.Open(ctx))
			lines := heard.heard("message", "update", "invited")
			position = c.Position()
			require.NoError(t, c.Close(ctx))
			return lines
		}
		require.ElementsMatch(t, []string{
			"message Tom: one (missed)", "message Tom: two (missed)",
			"update Tom: handled, but changed (missed)", "invited by Tom (missed)",
		}, resume(position))
		require.Empty(t, resume(position), "all of it is handled now")
		s.say(conv, "three")
		require.Equal(t, []string{"message Tom: three (missed)"}, resume(position))
	})
}

// A handler that has not come to its end when the program is killed gets its
// message again.
func TestSurfacePositionOfAKilledProgram(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom := s.Client("Tom")
		conv := s.group(tom, "Jerry")
		rt := s.realtime()
		jerry := rt.NewIMClient("Jerry")
		block := make(chan struct{})
		jerry.OnMessage(func(_ context.Context, e *realtime.MessageEvent) {
			if e.Message.Text() == "two" {
				<-block
			}
		})
		require.NoError(t, jerry.Open(t.Context()))
		for _, text := range []string{"one", "two", "three"} {
			s.say(conv, text)
		}
		position := jerry.Position()
		close(block)
		require.NoError(t, jerry.Close(t.Context()))
		again := s.realtime().NewIMClient("Jerry", realtime.WithPosition(position))
		heard := watch(again)
		require.NoError(t, again.Open(t.Context()))
		require.Equal(t, []string{"message Tom: two (missed)", "message Tom: three (missed)"}, heard.heard("message"))
	})
}

// Everybody talks while connections break in every way and the server is
// started anew: all that was accepted is stored once, and delivered to
// everybody else once, in order.
func TestSurfaceTalkOverABadNetwork(t *testing.T) {
	for seed := range stories(6, 2) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			onSurface(t, func(t *testing.T, s *surface) { s.talkOverABadNetwork(rand.New(rand.NewPCG(seed, 7))) })
		})
	}
}

func (s *surface) talkOverABadNetwork(r *rand.Rand) {
	t := s.t
	ids := []string{"Tom", "Jerry", "Spike", "Butch"}
	clients, heard := map[string]*realtime.IMClient{}, map[string]*witness{}
	seeds := map[string]uint64{}
	for _, id := range ids {
		clients[id] = s.Client(id)
		heard[id] = watch(clients[id])
		seeds[id] = r.Uint64()
	}
	convs := []*realtime.Conversation{s.group(clients["Tom"], ids...), s.group(clients["Spike"], ids...)}
	calm()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	var talking sync.WaitGroup
	const each = 40
	for _, id := range ids {
		mine := []*realtime.Conversation{s.as(clients[id], convs[0]), s.as(clients[id], convs[1])}
		talking.Go(func() {
			r := rand.New(rand.NewPCG(seeds[id], 0))
			for i := range each {
				time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond)
				_, err := mine[i%2].Send(ctx, realtime.NewTextMessage(fmt.Sprintf("%d/%s/%02d", i%2, id, i)), realtime.WithRetry())
				if err != nil {
					t.Errorf("%s: %v", id, err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { talking.Wait(); close(done) }()
	quiet := func(d time.Duration) bool {
		select {
		case <-done:
			return true
		case <-time.After(d):
			return false
		}
	}
	var faults []func()
	for !quiet(time.Duration(500+r.IntN(4000)) * time.Millisecond) {
		some := ids[r.IntN(len(ids))]
		switch r.IntN(9) {
		case 0:
			s.Cut(some)
		case 1:
			s.CutMidFrame(some)
		case 2:
			restore := s.Blackhole(some)
			quiet(time.Duration(1+r.IntN(30)) * time.Second)
			restore()
			s.Cut(some) // or it would take minutes to be noticed
		case 3:
			accept := s.Refuse()
			s.Cut()
			quiet(time.Duration(1+r.IntN(5)) * time.Second)
			accept()
		case 4:
			s.Restart()
		case 5:
			s.GoAway(some)
		case 6:
			faults = append(faults, s.Inject(realtimetest.Fault{Command: "direct", Client: some, Times: 1, Do: realtimetest.LoseAnswer()}))
		case 7:
			faults = append(faults, s.Inject(realtimetest.Fault{Command: "direct", Pushes: true, Client: some, Times: 1, Do: realtimetest.CutBefore()}))
		case 8:
			faults = append(faults, s.Inject(realtimetest.Fault{Command: "logs", Client: some, Times: 1, Do: realtimetest.CutAfter()}))
		}
	}
	for _, remove := range faults {
		remove()
	}
	time.Sleep(10 * time.Minute)
	synctest.Wait()

	for i, conv := range convs {
		stored := s.texts(s.as(clients["Tom"], conv))
		require.Len(t, stored, each/2*len(ids), "each once")
		require.Len(t, slices.Compact(sorted(slices.Clone(stored))), len(stored), "each once")
		for _, id := range ids {
			require.NoError(t, clients[id].Err())
			var want []string // in the order of the server
			for _, text := range stored {
				if !strings.Contains(text, "/"+id+"/") {
					want = append(want, text)
				}
			}
			var got []string
			heard[id].mu.Lock()
			for _, line := range heard[id].lines {
				if _, text, ok := strings.Cut(line, ": "); ok && strings.HasPrefix(line, "message") && strings.HasPrefix(text, fmt.Sprint(i, "/")) &&
					!strings.Contains(text, "/"+id+"/") {
					got = append(got, strings.TrimSuffix(text, " (missed)"))
				}
			}
			heard[id].mu.Unlock()
			require.Equal(t, want, got, "%s in conversation %d", id, i)
		}
	}
}
