package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDemo(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, demo(t.Context(), &out))
	require.Equal(t, []string{
		"Tom: Hello?",
		"echobot: echo: Hello?",
		"(the server restarts)",
		"Tom: Still there?",
		"echobot: echo: Still there?",
		"",
	}, strings.Split(out.String(), "\n"))
}

func TestBotIsSmall(t *testing.T) {
	source, err := os.ReadFile("main.go")
	require.NoError(t, err)
	require.Less(t, bytes.Count(source, []byte("\n")), 100)
}

// talk is a conversation with the bot.
type talk struct {
	t    *testing.T
	s    *realtimetest.Server
	conv *realtime.Conversation
	mu   sync.Mutex
	got  []string
}

// withBot runs a test in which the bot serves, and ends it.
func withBot(t *testing.T, test func(t *testing.T, k *talk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t)
		ctx, stop := context.WithCancel(t.Context())
		var bot sync.WaitGroup
		bot.Go(func() { require.ErrorIs(t, serve(ctx, s.Options()), context.Canceled) })
		synctest.Wait() // the bot is there
		k := &talk{t: t, s: s}
		tom := s.Client("Tom")
		tom.OnMessage(func(_ context.Context, e *realtime.MessageEvent) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.got = append(k.got, e.Message.From+": "+e.Message.Text())
		})
		var err error
		k.conv, err = tom.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{botID}})
		require.NoError(t, err)
		test(t, k)
		stop()
		bot.Wait()
	})
}

func (k *talk) say(content realtime.Content, opts ...realtime.SendOption) {
	k.t.Helper()
	_, err := k.conv.Send(k.t.Context(), content, append(opts, realtime.WithRetry())...)
	require.NoError(k.t, err)
}

// answers are what came since the last time, when all has come to rest.
func (k *talk) answers() []string {
	time.Sleep(time.Minute)
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	got := append([]string{}, k.got...)
	k.got = nil
	return got
}

func TestBotAnswers(t *testing.T) {
	withBot(t, func(t *testing.T, k *talk) {
		k.say(realtime.NewTextMessage("one"))
		k.say(realtime.NewTextMessage("two"))
		require.Equal(t, []string{"echobot: echo: one", "echobot: echo: two"}, k.answers(), "in order")
		k.say(realtime.NewTextMessage("typing"), realtime.WithTransient())
		k.say(realtime.NewBinaryMessage([]byte("bytes")))
		require.Empty(t, k.answers(), "there is nothing to say to that")
	})
}

func TestBotSurvivesRestarts(t *testing.T) {
	withBot(t, func(t *testing.T, k *talk) {
		for _, text := range []string{"first", "second", "third"} {
			k.s.Restart()
			k.say(realtime.NewTextMessage(text))
			require.Equal(t, []string{"echobot: echo: " + text}, k.answers())
		}
	})
}

func TestBotAnswersWhatItMissed(t *testing.T) {
	withBot(t, func(t *testing.T, k *talk) {
		accept := k.s.Refuse()
		k.s.Cut(botID)
		k.say(realtime.NewTextMessage("into the void"))
		require.Empty(t, k.answers())
		accept()
		time.Sleep(10 * time.Minute)
		require.Equal(t, []string{"echobot: echo: into the void"}, k.answers())
	})
}

// The answer is stored and the connection dies before the bot knows.
func TestBotAnswersOnce(t *testing.T) {
	withBot(t, func(t *testing.T, k *talk) {
		k.s.Inject(realtimetest.Fault{Command: "direct", Client: botID, Times: 1, Do: realtimetest.CutAfter()})
		k.say(realtime.NewTextMessage("once"))
		require.Equal(t, []string{"echobot: echo: once"}, k.answers())
	})
}

func TestBotIsThrownOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t)
		var bot sync.WaitGroup
		bot.Go(func() { require.ErrorIs(t, serve(t.Context(), s.Options()), realtime.ErrSessionConflict) })
		synctest.Wait()
		s.Displace(botID)
		bot.Wait()
	})
}

func TestBotWithoutSettings(t *testing.T) {
	require.ErrorIs(t, serve(t.Context(), realtime.Options{}), realtime.ErrInvalidArgument)
}
