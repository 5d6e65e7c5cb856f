package server_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/server"
)

// pushes are the notifications that an app's own push service gets.
type pushes struct {
	mu   sync.Mutex
	list []*server.OfflinePush
}

func (p *pushes) add(_ context.Context, e *server.OfflinePush) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, e)
}

func (p *pushes) take() []*server.OfflinePush {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.list
	p.list = nil
	return list
}

// one takes the only push and its receivers, sorted.
func (p *pushes) one(t testing.TB) (*server.OfflinePush, []string) {
	t.Helper()
	list := p.take()
	require.Len(t, list, 1)
	to := slices.Clone(list[0].To)
	slices.Sort(to)
	return list[0], to
}

func TestOfflinePush(t *testing.T) {
	var sent pushes
	hooked(t, func(t *testing.T, s *realtimetest.Server, e *endpoint) {
		tom := s.Client("tom")
		s.Client("here")
		conv, err := tom.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"here", "jerry", "mary", "spike"}})
		require.NoError(t, err)
		require.NoError(t, s.Admin().Conversation(conv.ID()).MuteNotifications(t.Context(), "spike"))
		say := func(opts ...realtime.SendOption) *realtime.Message {
			t.Helper()
			m, err := say(t, conv, realtime.NewTextMessage("hello"), opts...)
			require.NoError(t, err)
			return m
		}
		m := say(realtime.WithMention("mary", "spike", "here"), realtime.WithPushData(map[string]string{"alert": "ding"}))
		push, to := sent.one(t)
		require.Equal(t, []string{"jerry", "mary"}, to, "neither who is here nor who turned it off")
		require.Equal(t, []string{"mary"}, push.Mentions)
		require.JSONEq(t, `{"alert":"ding"}`, push.Message)
		require.Equal(t, []any{"tom", conv.ID(), m.ID, m.Timestamp.UnixMilli()}, []any{push.From, push.ConvID, push.MessageID, push.Timestamp})
		require.JSONEq(t, `{"_lctype":-1,"_lctext":"hello"}`, push.Content.Data)

		e.says(server.HookReceiversOffline, map[string]any{"skip": true})
		say()
		require.Empty(t, sent.take())
		e.says(server.HookReceiversOffline, map[string]any{"offlinePeers": []string{"jerry", "stranger"}, "pushMessage": `{"alert":"new"}`})
		say(realtime.WithPushData("ding"))
		push, to = sent.one(t)
		require.Equal(t, []string{"jerry"}, to)
		require.Equal(t, `{"alert":"new"}`, push.Message)
		e.says(server.HookReceiversOffline, map[string]any{"force": true})
		say()
		push, to = sent.one(t)
		require.Equal(t, []string{"jerry", "mary", "spike"}, to)
		require.Empty(t, push.Message)
		e.says(server.HookReceiversOffline, map[string]any{"offlinePeers": []string{"spike"}})
		say()
		require.Empty(t, sent.take(), "he turned it off")

		e.says(server.HookReceiversOffline, "<html>") // fails, which decides nothing
		say()
		_, to = sent.one(t)
		require.Equal(t, []string{"jerry", "mary"}, to)
		e.says(server.HookReceiversOffline, nil)
		say(realtime.WithTransient())
		room, err := tom.CreateChatRoom(t.Context(), realtime.ChatRoomOptions{})
		require.NoError(t, err)
		_, err = room.Send(t.Context(), realtime.NewTextMessage("anybody?"))
		require.NoError(t, err)
		require.Empty(t, sent.take())

		service, err := s.Admin().CreateServiceConversation(t.Context(), admin.ServiceConversationOptions{})
		require.NoError(t, err)
		require.NoError(t, service.Subscribe(t.Context(), "jerry"))
		require.NoError(t, service.Subscribe(t.Context(), "mary"))
		mary := s.Client("mary")
		hers, err := mary.GetConversation(t.Context(), service.ID())
		require.NoError(t, err)
		require.NoError(t, hers.Mute(t.Context()))
		require.NoError(t, mary.Close(t.Context()))
		_, err = service.SendTo(t.Context(), []string{"tom", "jerry", "mary"}, admin.Message{From: "GM", Content: realtime.NewTextMessage("you")})
		require.NoError(t, err)
		_, to = sent.one(t)
		require.Equal(t, []string{"jerry"}, to)
	}, func(o *server.Options) { o.Hooks.OfflinePush = sent.add })
}
