package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/typedmessages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// withBot runs a test in which Tom is in the bot's room.
func withBot(t *testing.T, test func(t *testing.T, s *realtimetest.Server, rt *realtime.Realtime, room *realtime.Conversation)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t)
		b, err := newBot(t.Context(), s.Options(), s.Options().Server)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, b.close(context.Background())) })
		o := s.Options()
		o.Plugins = []realtime.Plugin{typedmessages.Plugin()}
		rt, err := realtime.New(o)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, rt.Close(context.Background())) })
		tom, err := rt.CreateIMClient(t.Context(), "Tom")
		require.NoError(t, err)
		room, err := tom.GetConversation(t.Context(), b.room().Conversation)
		require.NoError(t, err)
		require.NoError(t, room.Join(t.Context()))
		time.Sleep(time.Second) // Tom has been greeted
		test(t, s, rt, room)
	})
}

// talk is what was said, when all has come to rest.
func talk(t *testing.T, room *realtime.Conversation) (all []string) {
	t.Helper()
	time.Sleep(time.Minute)
	for m, err := range room.Messages(t.Context(), realtime.MessageQuery{Direction: realtime.OldToNew}) {
		require.NoError(t, err)
		all = append(all, fmt.Sprintf("%s: %s", m.From, m.Text()))
	}
	return all
}

func say(t *testing.T, room *realtime.Conversation, content realtime.Content) {
	t.Helper()
	_, err := room.Send(t.Context(), content, realtime.WithRetry())
	require.NoError(t, err)
}

const welcome = "Robot: Welcome, Tom! Write something, send a picture, or ask me to draw one."

func TestBotAnswersText(t *testing.T) {
	withBot(t, func(t *testing.T, s *realtimetest.Server, _ *realtime.Realtime, room *realtime.Conversation) {
		say(t, room, realtime.NewTextMessage("Hello"))
		s.Cut(botID)
		say(t, room, realtime.NewTextMessage("Still there?"))
		say(t, room, realtime.NewBinaryMessage([]byte("bytes")))
		require.ElementsMatch(t, []string{
			welcome, "Tom: Hello", "Robot: Tom said: Hello", "Tom: Still there?", "Robot: Tom said: Still there?", "Tom: ",
		}, talk(t, room))
	})
}

func TestBotDraws(t *testing.T) {
	withBot(t, func(t *testing.T, _ *realtimetest.Server, rt *realtime.Realtime, room *realtime.Conversation) {
		say(t, room, realtime.NewTextMessage(" Draw a cat"))
		require.Equal(t, []string{welcome, "Tom:  Draw a cat", "Robot: For Tom."}, talk(t, room))
		picture, ok := room.LastMessage().Content.(*typedmessages.ImageMessage)
		require.True(t, ok)
		require.Equal(t, []int{320, 200}, []int{picture.File.Width, picture.File.Height})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, picture.File.URL, nil)
		require.NoError(t, err)
		res, err := rt.Do(req)
		require.NoError(t, err)
		defer func() { require.NoError(t, res.Body.Close()) }()
		_, err = png.Decode(res.Body)
		require.NoError(t, err)
	})
}

func TestBotLooksAtPictures(t *testing.T) {
	withBot(t, func(t *testing.T, _ *realtimetest.Server, _ *realtime.Realtime, room *realtime.Conversation) {
		var data bytes.Buffer
		require.NoError(t, png.Encode(&data, image.NewGray(image.Rect(0, 0, 30, 20))))
		size := data.Len()
		say(t, room, typedmessages.NewImageMessage(typedmessages.NewFile("grey.png", &data)))
		say(t, room, typedmessages.NewImageMessage(typedmessages.NewFile("none.png", bytes.NewReader([]byte("no picture")))))
		say(t, room, typedmessages.NewImageMessage(typedmessages.FileWithURL("spy.png", "http://192.0.2.1/spy.png")))
		said := talk(t, room)
		require.Contains(t, said, fmt.Sprintf("Robot: Nice picture, Tom: grey.png is a png of 30 × 20 pixels in %d bytes.", size))
		require.Contains(t, said, "Robot: Tom, I cannot read none.png.")
		require.Contains(t, said, "Robot: Tom, I do not open pictures from elsewhere.")
	})
}

// The answer is stored and the connection dies before the bot knows.
func TestBotAnswersOnce(t *testing.T) {
	withBot(t, func(t *testing.T, s *realtimetest.Server, _ *realtime.Realtime, room *realtime.Conversation) {
		s.Inject(realtimetest.Fault{Command: "direct", Client: botID, Times: 1, Do: realtimetest.CutAfter()})
		say(t, room, realtime.NewTextMessage("once"))
		require.Equal(t, []string{welcome, "Tom: once", "Robot: Tom said: once"}, talk(t, room))
	})
}

func TestBotWithoutServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t)
		s.Refuse()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := newBot(ctx, s.Options(), "")
		require.Error(t, err)
	})
}
