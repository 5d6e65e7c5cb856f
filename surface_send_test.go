package realtime_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/server"
)

// nudge is a content that brings its own send options.
type nudge struct {
	realtime.TypedMessage
	Strength int `json:"strength"`
}

func (*nudge) Type() int { return 77 }

func (n *nudge) SendOptions() []realtime.SendOption {
	return []realtime.SendOption{realtime.WithTransient(), realtime.WithMention("Jerry")}
}

func TestSurfaceTransientMessage(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry", "Spike")
		theirs := s.as(jerry, conv)
		heard := watch(jerry)
		m := s.say(conv, "is typing", realtime.WithTransient(), realtime.WithReceipt())
		require.NotEmpty(t, m.ID)
		require.NotZero(t, m.Timestamp)
		require.True(t, m.Transient)
		require.Equal(t, []string{"message Tom: is typing"}, heard.heard())
		require.Zero(t, theirs.UnreadMessagesCount())
		require.Nil(t, theirs.LastMessage())
		require.Nil(t, conv.LastMessage())
		require.Zero(t, conv.LastMessageAt())
		require.Empty(t, s.texts(conv))
		require.Zero(t, conv.LastDeliveredAt(), "there is no receipt")
		require.Empty(t, watch(s.Client("Spike")).heard(), "who comes later is not told")
	})
}

func TestSurfaceMessageStatus(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		var tokens []string
		events := watch(tom)
		conv.OnMessageStatus(func(_ context.Context, e *realtime.MessageStatusEvent) { tokens = append(tokens, e.Token) })

		s.say(conv, "plain")
		require.Equal(t, []string{"status plain: sending", "status plain: sent"}, events.heard("status"))
		m := s.say(conv, "with receipt", realtime.WithReceipt(), realtime.WithDedupToken("my token"))
		require.Equal(t, realtime.StatusSent, m.Status)
		require.Equal(t, []string{
			"status with receipt: sending", "status with receipt: sent",
			"delivered to Jerry", "status with receipt: delivered",
		}, events.heard("status", "delivered"))
		require.Equal(t, tokens[0], tokens[1])
		require.Equal(t, []string{"my token", "my token", "my token"}, tokens[2:])
		require.Equal(t, realtime.StatusDelivered, conv.LastMessage().Status)
		require.NotZero(t, conv.LastMessage().DeliveredAt)
		require.Equal(t, realtime.StatusSent, m.Status, "a snapshot")

		// The history tells how far messages have got, those of others have no status.
		theirs := s.as(jerry, conv)
		s.say(theirs, "hi")
		calm()
		page, err := conv.QueryMessages(ctx, realtime.MessageQuery{})
		require.NoError(t, err)
		require.Equal(t, realtime.StatusDelivered, page[1].Status)
		require.Equal(t, realtime.StatusNone, page[2].Status)
		require.Equal(t, "none", page[2].Status.String())

		events.heard()
		remove := s.Inject(realtimetest.Fault{Command: "direct", Do: realtimetest.Fail(realtime.ErrMessageRejectedByApp)})
		var failure *realtime.MessageStatusEvent
		conv.OnMessageStatus(func(_ context.Context, e *realtime.MessageStatusEvent) {
			if e.Err != nil {
				failure = e
			}
		})
		_, err = conv.Send(ctx, realtime.NewTextMessage("bad"))
		require.ErrorIs(t, err, realtime.ErrMessageRejectedByApp)
		remove()
		require.Equal(t, []string{"status bad: sending", "status bad: failed"}, events.heard("status"))
		require.ErrorIs(t, failure.Err, realtime.ErrMessageRejectedByApp)
		require.Equal(t, "hi", conv.LastMessage().Text(), "what failed is not the last message")
	})
}

func TestSurfaceWill(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry", "Spike")
		theirs := s.as(jerry, conv)
		heard := watch(jerry)
		s.say(conv, "an older will", realtime.WithWill())
		will := s.say(conv, "I am lost", realtime.WithWill(), realtime.WithMention("Jerry"))
		require.Empty(t, heard.heard("message"), "not yet")
		var got *realtime.Message
		theirs.OnMessage(func(_ context.Context, e *realtime.MessageEvent) { got = e.Message })

		defer s.Refuse()()
		s.Cut("Tom")
		require.Equal(t, []string{"message Tom: I am lost @me"}, heard.heard("message"))
		require.Equal(t, will.ID, got.ID)
		require.True(t, got.Timestamp.After(will.Timestamp), "it is of the moment of the loss")
		require.Empty(t, s.texts(theirs), "it is not stored")
	})
	// Who says goodbye leaves no will.
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		heard := watch(jerry)
		s.say(conv, "I am lost", realtime.WithWill())
		require.NoError(t, tom.Close(t.Context()))
		require.Empty(t, heard.heard("message"))
	})
	// A client that comes back has none any more.
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		heard := watch(jerry)
		s.say(conv, "I am lost", realtime.WithWill())
		s.Cut("Tom")
		require.Equal(t, []string{"message Tom: I am lost"}, heard.heard("message"))
		s.Cut("Tom")
		require.Empty(t, heard.heard("message"))
	})
}

func TestSurfaceMentions(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry", "Spike")
		theirs := s.as(jerry, conv)
		heard, own := watch(jerry), watch(s.Client("Tom"))
		m := s.say(conv, "you", realtime.WithMention("Jerry"), realtime.WithMention("Tom", "Butch"))
		require.Equal(t, []string{"Jerry", "Tom", "Butch"}, m.MentionList)
		require.False(t, m.Mentioned)
		require.Equal(t, []string{"unread 1 @me", "message Tom: you @me"}, heard.heard())
		require.Equal(t, []string{"message Tom: you"}, own.heard(), "one does not mention oneself")
		s.say(conv, "somebody else", realtime.WithMention("Spike"))
		require.Equal(t, []string{"unread 2 @me", "message Tom: somebody else"}, heard.heard(), "one of the two")
		s.say(conv, "all", realtime.WithMentionAll())
		require.Equal(t, []string{"unread 3 @me", "message Tom: all @me"}, heard.heard())
		require.True(t, theirs.UnreadMessagesMentioned())
		require.NoError(t, theirs.Read(t.Context()))
		require.Equal(t, []string{"unread 0"}, heard.heard())
		require.False(t, theirs.UnreadMessagesMentioned())

		page, err := theirs.QueryMessages(t.Context(), realtime.MessageQuery{})
		require.NoError(t, err)
		require.True(t, page[0].Mentioned)
		require.False(t, page[1].Mentioned)
		require.True(t, page[2].MentionedAll)
		require.Equal(t, []string{"unread 3 @me"}, watch(s.Client("Spike")).heard(), "told at login")
	})
}

func TestSurfaceDefaultsOfAContent(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		plugged := func(o *realtime.Options) {
			o.Plugins = []realtime.Plugin{{Name: "nudges", MessageTypes: []realtime.Content{&nudge{}}}}
		}
		tom, jerry := s.client(s.realtime(plugged), "Tom"), s.client(s.realtime(plugged), "Jerry")
		conv := s.group(tom, "Jerry")
		theirs := s.as(jerry, conv)
		var got *realtime.Message
		theirs.OnMessage(func(_ context.Context, e *realtime.MessageEvent) { got = e.Message })
		m, err := conv.Send(ctx, &nudge{Strength: 3})
		require.NoError(t, err)
		require.True(t, m.Transient)
		calm()
		require.True(t, got.Transient)
		require.True(t, got.Mentioned)
		require.Equal(t, 3, got.Content.(*nudge).Strength)
		require.Equal(t, 77, got.Type())
		require.Empty(t, s.texts(conv))

		m, err = conv.Send(ctx, &nudge{Strength: 4}, realtime.WithoutDefaults())
		require.NoError(t, err)
		require.False(t, m.Transient)
		calm()
		require.False(t, got.Mentioned)
		require.Equal(t, 1, theirs.UnreadMessagesCount())
		m, err = conv.Send(ctx, &nudge{}, realtime.WithMention("Spike"))
		require.NoError(t, err)
		require.Equal(t, []string{"Jerry", "Spike"}, m.MentionList, "after the defaults")
	})
}

func TestSurfacePriority(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		room := mustRoom(t, tom)
		require.NoError(t, s.as(jerry, room).Join(t.Context()))
		heard := watch(jerry)
		want := []string{}
		for _, p := range []realtime.MessagePriority{realtime.PriorityLow, realtime.PriorityNormal, realtime.PriorityHigh} {
			s.say(room, p.String(), realtime.WithPriority(p), realtime.WithReceipt())
			want = append(want, "message Tom: "+p.String())
		}
		require.Equal(t, want, heard.heard())
		conv := s.group(tom, "Jerry")
		s.say(conv, "ignored", realtime.WithPriority(realtime.PriorityHigh))
		require.Contains(t, heard.heard(), "message Tom: ignored")
		mark := len(s.Commands())
		_, err := room.Send(t.Context(), realtime.NewTextMessage("x"), realtime.WithPriority(4))
		require.ErrorIs(t, err, realtime.ErrInvalidArgument)
		require.Empty(t, s.sent(mark))
	})
}

// Content and push data share one limit; they go to the same server.
func TestSurfacePushDataAndSize(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		conv := s.group(s.Client("Tom"), "Jerry")
		push := map[string]any{"alert": "hi", "badge": 1, "at": time.Now()}
		s.say(conv, "one", realtime.WithPushData(push))
		send := func(text, data int) error {
			_, err := conv.Send(ctx, realtime.NewRawMessage(strings.Repeat("x", text)),
				realtime.WithPushData(strings.Repeat("y", data)))
			return err
		}
		const limit = 5 * 1024
		require.NoError(t, send(limit-102, 100)) // and two quotes
		require.ErrorIs(t, send(limit-101, 100), realtime.ErrFrameTooLong)
		require.ErrorIs(t, send(100, limit-101), realtime.ErrFrameTooLong)
		require.NoError(t, send(100, limit-102))
		_, err := conv.Send(ctx, realtime.NewBinaryMessage(make([]byte, limit+1)))
		require.ErrorIs(t, err, realtime.ErrFrameTooLong)
		_, err = conv.Send(ctx, realtime.NewTextMessage("x"), realtime.WithPushData(func() {}))
		require.ErrorIs(t, err, realtime.ErrInvalidArgument)
	})
}

// What a hook of the app decides reaches the sender, and what it changes the
// receivers.
func TestSurfaceMessageHook(t *testing.T) {
	hooks := &server.Hooks{
		MessageReceived: func(_ context.Context, e *server.MessageReceived) (server.MessageVerdict, error) {
			switch {
			case strings.Contains(e.Content.Data, "forbidden"):
				return server.MessageVerdict{Drop: true, Code: 123, Detail: "no such words"}, nil
			case strings.Contains(e.Content.Data, "change me"):
				return server.MessageVerdict{Content: &server.Content{Data: textContent("changed")}}, nil
			case strings.Contains(e.Content.Data, "fail"):
				return server.MessageVerdict{Drop: true}, errors.New("a hook that fails decides nothing")
			}
			return server.MessageVerdict{}, nil
		},
	}
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		heard := watch(jerry)
		_, err := conv.Send(t.Context(), realtime.NewTextMessage("forbidden"))
		var e *realtime.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, realtime.ErrMessageRejectedByApp, e.Code)
		require.Equal(t, 123, e.AppCode)
		require.Equal(t, "no such words", e.AppMessage)
		s.say(conv, "change me")
		s.say(conv, "fail")
		require.Equal(t, []string{"message Tom: changed", "message Tom: fail"}, heard.heard("message"))
		require.Equal(t, []string{"changed", "fail"}, s.texts(conv))
	}, settings(func(o *server.Options) { o.Hooks = hooks }))
}
