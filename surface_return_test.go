package realtime_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
	"github.com/leanrtm/realtime/realtimetest"
)

// away keeps a client away while f happens.
func (s *surface) away(id string, f func()) {
	s.t.Helper()
	accept := s.Refuse()
	s.Cut(id)
	moment()
	f()
	accept()
	time.Sleep(10 * time.Second)
	calm()
}

// resume begins a client of an id where another one has stopped.
func (s *surface) resume(id string, p realtime.Position, opts ...realtime.ClientOption) (*realtime.IMClient, *witness) {
	s.t.Helper()
	c := s.realtime().NewIMClient(id, append(opts, realtime.WithPosition(p))...)
	heard := watch(c)
	require.NoError(s.t, c.Open(s.t.Context()))
	calm()
	return c, heard
}

// A message that was edited before it is recovered comes as it is now, and the
// edit is not told once more.
func TestMissedEditOfAMissedMessageIsToldOnce(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		old := s.say(conv, "old")
		heard := watch(jerry)
		s.away("Jerry", func() {
			m := s.say(conv, "one")
			for _, edit := range []*realtime.Message{m, old} {
				_, err := conv.Update(t.Context(), edit, realtime.NewTextMessage("changed"))
				require.NoError(t, err)
			}
		})
		require.Equal(t, []string{"message Tom: changed (missed)", "update Tom: changed (missed)"}, heard.heard("message", "update"))
	})
}

// Unread counts that came over a connection which was lost before everything
// was recovered do not count twice what is recovered over the next one.
func TestCountsOfAnInterruptedRecovery(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		theirs := s.as(jerry, conv)
		heard := watch(jerry)
		s.Inject(realtimetest.Fault{Command: "logs", Client: "Jerry", Times: 2, Do: realtimetest.CutAfter()})
		s.away("Jerry", func() { s.say(conv, "missed") })
		require.Equal(t, []string{"unread 1", "message Tom: missed (missed)"}, heard.heard("unread", "message"))
		require.Equal(t, 1, theirs.UnreadMessagesCount())
	})
}

// What is said while recovery is under way is counted, although the counts that
// come with the login are older.
func TestCountOfWhatIsSaidDuringRecovery(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		position := jerry.Position()
		require.NoError(t, jerry.Close(t.Context()))
		s.say(conv, "missed")
		s.Inject(realtimetest.Fault{Command: "logs", Client: "Jerry", Times: 1, Do: realtimetest.Delay(2 * time.Second)})
		rt := s.realtime()
		again := rt.NewIMClient("Jerry", realtime.WithPosition(position))
		heard := watch(again)
		require.NoError(t, again.Open(t.Context()))
		moment()
		s.say(conv, "said meanwhile")
		require.Equal(t, []string{"message Tom: missed (missed)", "message Tom: said meanwhile (missed)"}, heard.heard("message"))
		require.Equal(t, 2, s.as(again, conv).UnreadMessagesCount())
	})
}

// Who is removed from a conversation has nothing unread in it, also when that
// happens before the counts of the login are settled.
func TestRemovalRightAfterTheLogin(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		position := jerry.Position()
		require.NoError(t, jerry.Close(t.Context()))
		again := s.realtime().NewIMClient("Jerry", realtime.WithPosition(position))
		heard := watch(again)
		require.NoError(t, again.Open(t.Context()))
		moment()
		s.say(conv, "one")
		require.NoError(t, conv.Remove(t.Context(), "Jerry"))
		calm()
		require.Equal(t, []string{"unread 1", "message Tom: one", "unread 0"}, heard.heard("unread", "message"))
		require.NoError(t, conv.Add(t.Context(), "Jerry"))
		calm()
		require.Zero(t, s.as(again, conv).UnreadMessagesCount())
		require.Empty(t, heard.heard("unread"))
	})
}

// What was said in the very millisecond in which a client became a member is news
// to it if it was said after that, and not if it was said before.
func TestMessagesInTheMillisecondOfJoining(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Spike")
		heard := watch(jerry)
		s.away("Jerry", func() {
			for _, text := range []string{"one", "two", "three"} { // their times run ahead of the clock
				_, err := conv.Send(t.Context(), realtime.NewTextMessage(text))
				require.NoError(t, err)
			}
			require.NoError(t, conv.Add(t.Context(), "Jerry"))
			_, err := conv.Send(t.Context(), realtime.NewTextMessage("four"))
			require.NoError(t, err)
		})
		require.Equal(t, []string{"unread 1", "message Tom: four (missed)"}, heard.heard("unread", "message"))
		require.Equal(t, 1, s.as(jerry, conv).UnreadMessagesCount())
		n, err := s.Admin().IMClient("Jerry").UnreadCount(t.Context(), conv.ID())
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
}

// Who is removed while recovery asks for the history gets what it missed when it is
// back.
func TestRemovalDuringRecovery(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		heard := watch(jerry)
		s.Inject(realtimetest.Fault{Command: "logs", Client: "Jerry", Times: 1, Do: realtimetest.Delay(14 * time.Second)})
		s.away("Jerry", func() { s.say(conv, "missed") })
		require.NoError(t, conv.Remove(t.Context(), "Jerry"))
		time.Sleep(10 * time.Second)
		s.say(conv, "none of his business")
		require.Empty(t, heard.heard("message"))
		require.NoError(t, conv.Add(t.Context(), "Jerry"))
		calm()
		s.say(conv, "again")
		require.Equal(t, []string{"message Tom: missed (missed)", "message Tom: again"}, heard.heard("message"))
		require.Equal(t, 1, s.as(jerry, conv).UnreadMessagesCount())
	})
}

// A client that is kicked out during recovery has not recovered: the one that goes
// on from its position does.
func TestKickedOutDuringRecovery(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		heard := watch(jerry)
		s.Inject(realtimetest.Fault{Command: "logs", Client: "Jerry", Times: 1, Do: realtimetest.Delay(14 * time.Second)})
		s.away("Jerry", func() { s.say(conv, "missed") })
		require.NoError(t, s.Admin().IMClient("Jerry").Kick(t.Context(), "because"))
		time.Sleep(10 * time.Second)
		require.ErrorIs(t, jerry.Err(), realtime.ErrKickedByApp)
		require.Empty(t, heard.heard("message", "recovered"))
		_, heard = s.resume("Jerry", through(t, jerry.Position()))
		require.Equal(t, []string{"message Tom: missed (missed)"}, heard.heard("message"))
	})
}

// A program that goes on where it stopped does not take for unread what was read
// on another device meanwhile.
func TestResumedClientLearnsWhatWasReadElsewhere(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, phone, bot := s.Client("Tom"), s.Client("Jerry"), s.Client("Jerry")
		conv, other := s.group(tom, "Jerry"), s.group(tom, "Jerry")
		position := bot.Position()
		require.NoError(t, bot.Close(t.Context()))
		s.say(conv, "one")
		s.say(other, "two")
		require.NoError(t, s.as(phone, conv).Read(t.Context()))
		calm()
		bot, heard := s.resume("Jerry", position)
		require.ElementsMatch(t, []string{"message Tom: one (missed)", "message Tom: two (missed)"}, heard.heard("message"))
		require.Zero(t, s.as(bot, conv).UnreadMessagesCount())
		require.Equal(t, 1, s.as(bot, other).UnreadMessagesCount())
	})
}

// A read point that was lost together with its connection is told again.
func TestReadPointThatGotLost(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		theirs := s.as(jerry, conv)
		s.say(conv, "one")
		calm()
		s.Inject(realtimetest.Fault{Command: "read", Client: "Jerry", Times: 1, Do: realtimetest.CutBefore()})
		heard := watch(jerry)
		require.NoError(t, theirs.Read(t.Context()))
		time.Sleep(10 * time.Second)
		n, err := s.Admin().IMClient("Jerry").UnreadCount(t.Context(), conv.ID())
		require.NoError(t, err)
		require.Zero(t, n)
		require.Equal(t, []string{"unread 0"}, heard.heard("unread"), "what the server does not know yet is not unread again")
	})
}

// Who comes and goes while a client is away is told when it is back.
func TestMembersThatChangedWhileAway(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry", "Mary")
		theirs := s.as(jerry, conv)
		heard := watch(jerry)
		s.away("Jerry", func() {
			require.NoError(t, conv.Add(t.Context(), "Spike"))
			moment()
			require.NoError(t, conv.Remove(t.Context(), "Mary"))
			moment()
			require.NoError(t, conv.Save(t.Context(), map[string]any{"name": "new"}))
		})
		require.Equal(t, []string{"joined Spike by Tom (missed)", "left Mary by Tom (missed)", `info {"name":"new"} by Tom (missed)`},
			heard.heard("joined", "left", "info"))
		require.ElementsMatch(t, []string{"Tom", "Jerry", "Spike"}, theirs.Members())
		require.Equal(t, "new", theirs.Name())
		s.Cut("Jerry")
		time.Sleep(10 * time.Second)
		require.Empty(t, heard.heard("joined", "left", "info"), "each once")
	})
}

// More happened than the server keeps: the client asks how things stand.
func TestMoreChangesThanAreKept(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		theirs := s.as(jerry, conv)
		s.away("Jerry", func() {
			require.NoError(t, conv.Add(t.Context(), "Spike"))
			for i := range 250 {
				require.NoError(t, conv.Save(t.Context(), map[string]any{"name": fmt.Sprint(i)}))
			}
		})
		require.ElementsMatch(t, []string{"Tom", "Jerry", "Spike"}, theirs.Members())
		require.Equal(t, "249", theirs.Name())
	})
}

// A client that was removed and came back, while it was away or while it was not,
// gets what was said while it was a member, and nothing else.
func TestRemovedAndBack(t *testing.T) {
	for name, test := range map[string]struct{ back bool }{"while away": {true}, "later": {false}} {
		t.Run(name, func(t *testing.T) {
			onSurface(t, func(t *testing.T, s *surface) {
				tom, jerry := s.Client("Tom"), s.Client("Jerry")
				conv := s.group(tom, "Jerry")
				theirs := s.as(jerry, conv)
				heard := watch(jerry)
				add := func() { require.NoError(t, conv.Add(t.Context(), "Jerry")); moment() }
				s.away("Jerry", func() {
					s.say(conv, "as a member")
					require.NoError(t, conv.Remove(t.Context(), "Jerry"))
					moment()
					s.say(conv, "among ourselves")
					require.NoError(t, conv.Add(t.Context(), "Spike"))
					if test.back {
						add()
					}
				})
				if !test.back {
					require.Equal(t, []string{"kicked by Tom (missed)"}, heard.heard("message", "kicked"))
					position := jerry.Position()
					require.NoError(t, jerry.Close(t.Context()))
					jerry, heard = s.resume("Jerry", position)
					theirs = s.as(jerry, conv)
					add()
				}
				s.say(conv, "welcome back")
				told := heard.heard("message")
				require.Len(t, told, 2)
				require.Equal(t, "message Tom: as a member (missed)", told[0])
				require.Contains(t, told[1], "message Tom: welcome back")
				require.Equal(t, 1, theirs.UnreadMessagesCount(), "since it is back")
				require.ElementsMatch(t, []string{"Tom", "Jerry", "Spike"}, theirs.Members())
			})
		})
	}
}

// The position of a client that was removed and came back leaves out what was
// said in between, also when it had not handled everything from before.
func TestPositionOfWhoCameBack(t *testing.T) {
	for _, slow := range []bool{false, true} {
		t.Run(fmt.Sprint("slow ", slow), func(t *testing.T) {
			onSurface(t, func(t *testing.T, s *surface) {
				tom := s.Client("Tom")
				conv := s.group(tom, "Jerry")
				jerry := s.realtime().NewIMClient("Jerry")
				block := make(chan struct{})
				jerry.OnMessage(func(context.Context, *realtime.MessageEvent) {
					if slow {
						<-block
					}
				})
				require.NoError(t, jerry.Open(t.Context()))
				s.say(conv, "as a member")
				require.NoError(t, conv.Remove(t.Context(), "Jerry"))
				moment()
				s.say(conv, "among ourselves")
				require.NoError(t, conv.Add(t.Context(), "Jerry"))
				calm()
				position := jerry.Position()
				close(block)
				require.NoError(t, jerry.Close(t.Context()))
				s.say(conv, "welcome back")
				jerry, heard := s.resume("Jerry", position)
				want := []string{"message Tom: as a member (missed)", "message Tom: welcome back (missed)"}
				if !slow {
					want = want[1:]
				}
				require.Equal(t, want, heard.heard("message"))
				_, heard = s.resume("Jerry", jerry.Position())
				require.Empty(t, heard.heard("message"))
			})
		})
	}
}

// The server has opened a session and its answer got lost: what it pushes does
// not overtake what was missed before.
func TestPushesOfALoginWithoutAnAnswer(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom := s.Client("Tom")
		conv := s.group(tom, "Jerry")
		rt := s.realtime(func(o *realtime.Options) { o.CommandTimeout = 5 * time.Second })
		jerry := s.client(rt, "Jerry")
		theirs := s.as(jerry, conv)
		heard := watch(jerry)
		s.Inject(realtimetest.Fault{Command: "session/open", Client: "Jerry", Times: 1, Do: realtimetest.LoseAnswer()})
		accept := s.Refuse()
		s.Cut("Jerry")
		moment()
		s.say(conv, "missed")
		accept()
		time.Sleep(4 * time.Second)
		s.say(conv, "pushed")
		time.Sleep(20 * time.Second)
		require.Equal(t, []string{"message Tom: missed (missed)", "message Tom: pushed (missed)"}, heard.heard("message"))
		require.Equal(t, 2, theirs.UnreadMessagesCount())
	})
}

// No query finds temporary conversations: the position knows them.
func TestPositionKnowsTemporaryConversations(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, phone, bot := s.Client("Tom"), s.Client("Jerry"), s.Client("Jerry")
		conv, err := tom.CreateTemporaryConversation(t.Context(), realtime.TemporaryConversationOptions{Members: []string{"Jerry"}})
		require.NoError(t, err)
		moment()
		s.say(conv, "handled")
		time.Sleep(time.Hour)
		s.say(s.group(tom, "Jerry"), "so that the time moves on")
		calm()
		position := bot.Position()
		require.NoError(t, bot.Close(t.Context()))
		s.say(s.as(phone, conv), "from the phone") // the server tells no unread count of it
		bot, heard := s.resume("Jerry", position)
		require.Equal(t, []string{"message Jerry: from the phone (missed)"}, heard.heard("message"))
		_, heard = s.resume("Jerry", bot.Position())
		require.Empty(t, heard.heard("message"))
	})
}

// What a service says to one client alone is found though no query shows it and
// another device has read it.
func TestServiceSpeaksToOneClientWhoReadsElsewhere(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		phone, bot := s.Client("Jerry"), s.Client("Jerry")
		service := s.Admin().ServiceConversation(s.service(map[string]any{"name": "news"}))
		require.NoError(t, service.Subscribe(t.Context(), "Jerry"))
		_, err := service.BroadcastToSubscribers(t.Context(), broadcast("welcome"))
		require.NoError(t, err)
		calm()
		position := bot.Position()
		require.NoError(t, bot.Close(t.Context()))
		_, err = service.SendTo(t.Context(), []string{"Jerry"}, administered("for you"))
		require.NoError(t, err)
		calm()
		conv, err := phone.GetConversation(t.Context(), service.ID())
		require.NoError(t, err)
		require.NoError(t, conv.Read(t.Context()))
		calm()
		_, heard := s.resume("Jerry", position)
		require.Equal(t, []string{"message boss: for you (missed)"}, heard.heard("message"))
	})
}

func broadcast(text string) admin.Broadcast {
	return admin.Broadcast{From: "boss", Content: realtime.NewTextMessage(text)}
}

func administered(text string) admin.Message {
	return admin.Message{From: "boss", Content: realtime.NewTextMessage(text)}
}

// What comes while a resumed client is finding out what was read elsewhere is
// counted all the same.
func TestResumedClientCountsWhatComesMeanwhile(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, phone, bot := s.Client("Tom"), s.Client("Jerry"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		position := bot.Position()
		require.NoError(t, bot.Close(t.Context()))
		s.say(conv, "one")
		require.NoError(t, s.as(phone, conv).Read(t.Context()))
		calm()
		bot = s.realtime().NewIMClient("Jerry", realtime.WithPosition(position))
		require.NoError(t, bot.Open(t.Context()))
		moment()
		s.say(conv, "two")
		calm()
		require.Equal(t, 1, s.as(bot, conv).UnreadMessagesCount())
	})
}

// A client that comes back by itself learns who came and went meanwhile.
func TestMembersOfAConversationJoinedAgain(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry", "Mary")
		theirs := s.as(jerry, conv)
		require.NoError(t, theirs.Quit(t.Context()))
		moment()
		require.NoError(t, conv.Add(t.Context(), "Spike"))
		require.NoError(t, conv.Remove(t.Context(), "Mary"))
		moment()
		require.NoError(t, theirs.Fetch(t.Context())) // knows it as one who is no member
		require.NoError(t, conv.Add(t.Context(), "Tyke"))
		moment()
		require.NoError(t, theirs.Join(t.Context()))
		calm()
		require.ElementsMatch(t, []string{"Tom", "Jerry", "Spike", "Tyke"}, theirs.Members())
	})
}

// The removal comes while what was missed is still being fetched, and then the
// connection is lost: it is fetched when the client is back.
func TestRemovedDuringRecovery(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		heard := watch(jerry)
		s.Inject(realtimetest.Fault{Command: "logs", Client: "Jerry", Times: 1, Do: realtimetest.Drop()})
		accept := s.Refuse()
		s.Cut("Jerry")
		moment()
		s.say(conv, "missed")
		accept()
		time.Sleep(5 * time.Second)
		require.NoError(t, conv.Remove(t.Context(), "Jerry"))
		moment()
		s.say(conv, "among ourselves")
		s.Cut("Jerry")
		time.Sleep(10 * time.Second)
		require.Empty(t, heard.heard("message"))
		require.NoError(t, conv.Add(t.Context(), "Jerry"))
		calm()
		require.Equal(t, []string{"message Tom: missed (missed)"}, heard.heard("message"))
	})
}

// The answer to a change of one's own may overtake the push of an earlier one by
// somebody else, which waits behind a slow recovery.
func TestOwnChangeOvertakesAnotherOne(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry", "Spike", "Tyke")
		theirs := s.as(jerry, conv)
		s.Inject(realtimetest.Fault{Command: "logs", Client: "Jerry", Times: 1, Do: realtimetest.Delay(10 * time.Second)})
		accept := s.Refuse()
		s.Cut("Jerry")
		moment()
		s.say(conv, "missed")
		accept()
		time.Sleep(5 * time.Second)
		require.NoError(t, conv.Remove(t.Context(), "Spike"))
		moment()
		require.NoError(t, conv.Remove(t.Context(), "Tyke"))
		moment()
		require.NoError(t, theirs.Add(t.Context(), "Tyke"))
		require.Contains(t, theirs.Members(), "Tyke")
		time.Sleep(20 * time.Second)
		require.ElementsMatch(t, []string{"Tom", "Jerry", "Tyke"}, theirs.Members())
	})
}

// What a client missed before a removal is asked for again in the same session, if
// the server was mistaken about that.
func TestReturnToAMistakenServer(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		heard := watch(jerry)
		s.away("Jerry", func() {
			s.say(conv, "missed")
			require.NoError(t, conv.Remove(t.Context(), "Jerry"))
		})
		require.Empty(t, heard.heard("message"))
		s.Inject(realtimetest.Fault{Command: "logs", Client: "Jerry", Times: 1, Do: realtimetest.Fail(realtime.ErrSessionRequired)})
		require.NoError(t, conv.Add(t.Context(), "Jerry"))
		time.Sleep(10 * time.Second)
		s.say(conv, "again")
		calm()
		require.Equal(t, []string{"message Tom: missed (missed)", "message Tom: again"}, heard.heard("message"))
		require.NoError(t, jerry.Err())
	})
}
