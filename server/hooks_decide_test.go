package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/server"
)

func TestHooksDecideAboutMessages(t *testing.T) {
	hooked(t, func(t *testing.T, s *realtimetest.Server, e *endpoint) {
		tom, jerry, mary := s.Client("tom"), s.Client("jerry"), s.Client("mary")
		conv, err := tom.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"jerry", "mary"}})
		require.NoError(t, err)
		toJerry, toMary := heard(jerry), heard(mary)
		rest := s.Admin().Conversation(conv.ID())
		bySocket := func(text string) error {
			_, err := say(t, conv, realtime.NewTextMessage(text))
			return err
		}
		byREST := func(text string) error {
			_, err := rest.Send(t.Context(), admin.Message{From: "tom", Content: realtime.NewTextMessage(text)})
			return err
		}
		history := func() (texts []string) {
			for m, err := range rest.Messages(t.Context(), realtime.MessageQuery{Direction: realtime.OldToNew}) {
				require.NoError(t, err)
				texts = append(texts, m.Message.Text())
			}
			return texts
		}
		for name, send := range map[string]func(text string) error{"socket": bySocket, "REST": byREST} {
			t.Log(name)
			e.says(server.HookMessageReceived, map[string]any{"drop": true, "code": 77, "detail": "no links"})
			before := len(history())
			err := send("http://spam")
			require.ErrorIs(t, err, realtime.ErrMessageRejectedByApp)
			var refused *realtime.Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, 77, refused.AppCode)
			require.Equal(t, "no links", refused.AppMessage)
			require.Empty(t, toJerry())
			require.Len(t, history(), before, "not stored")

			e.says(server.HookMessageReceived, map[string]any{"content": `{"_lctype":-1,"_lctext":"***"}`})
			require.NoError(t, send("bad word"))
			require.Equal(t, []string{"***"}, toJerry())
			require.Equal(t, "***", history()[before])
			require.Equal(t, []string{"***"}, toMary())

			e.says(server.HookMessageReceived, map[string]any{"content": "AQID", "bin": true})
			require.NoError(t, send("bytes"))
			require.Len(t, toJerry(), 1)
			for m := range rest.Messages(t.Context(), realtime.MessageQuery{}) {
				require.Equal(t, realtime.NewBinaryMessage([]byte{1, 2, 3}), m.Message.Content)
				break
			}

			e.says(server.HookMessageReceived, map[string]any{"toPeers": []string{"jerry"}})
			toMary()
			require.NoError(t, send("for jerry"))
			require.Equal(t, []string{"for jerry"}, toJerry())
			require.Empty(t, toMary())

			e.says(server.HookMessageReceived, map[string]any{"result": map[string]any{"drop": true}})
			require.ErrorIs(t, send("wrapped"), realtime.ErrMessageRejectedByApp)
			for _, nothing := range []any{"", map[string]any{}, map[string]any{"result": "ok"}, map[string]any{"result": map[string]any{}}} {
				e.says(server.HookMessageReceived, nothing)
				require.NoError(t, send("passes"))
				require.Equal(t, []string{"passes"}, toJerry())
				toMary()
			}
		}

		sent, err := say(t, conv, realtime.NewTextMessage("original"))
		require.NoError(t, err)
		toJerry()
		e.says(server.HookMessageUpdate, map[string]any{"drop": true, "code": 5, "detail": "too late"})
		_, err = conv.Update(t.Context(), sent, realtime.NewTextMessage("edited"))
		require.ErrorIs(t, err, realtime.ErrMessageUpdateRejectedByApp)
		var refused *realtime.Error
		require.ErrorAs(t, err, &refused)
		require.Equal(t, 5, refused.AppCode)
		require.ErrorIs(t, rest.Recall(t.Context(), sent), realtime.ErrMessageUpdateRejectedByApp)
		require.Empty(t, toJerry())
		e.says(server.HookMessageUpdate, map[string]any{"content": `{"_lctype":-1,"_lctext":"censored"}`})
		_, err = conv.Update(t.Context(), sent, realtime.NewTextMessage("edited"))
		require.NoError(t, err)
		require.Equal(t, []string{"edit: censored"}, toJerry())
		require.NoError(t, rest.Recall(t.Context(), sent), "a recall has no content to replace")
		require.Equal(t, []string{"recall"}, toJerry())
	})
}

func TestHooksDecideAboutConversations(t *testing.T) {
	hooked(t, func(t *testing.T, s *realtimetest.Server, e *endpoint) {
		tom := s.Client("tom")
		create := func() (*realtime.Conversation, error) {
			return tom.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"jerry"}, NotUnique: true})
		}
		no := map[string]any{"reject": true, "code": 9, "detail": "not today"}
		rejected := func(err error) {
			t.Helper()
			require.ErrorIs(t, err, realtime.ErrConversationRejectedByApp)
			var refused *realtime.Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, 9, refused.AppCode)
			require.Equal(t, "not today", refused.AppMessage)
		}
		e.says(server.HookConversationStart, no)
		_, err := create()
		rejected(err)
		_, err = s.Admin().CreateChatRoom(t.Context(), realtime.ChatRoomOptions{})
		rejected(err)
		require.Empty(t, e.of(server.HookConversationStarted))
		e.says(server.HookConversationStart, map[string]any{})
		conv, err := create()
		require.NoError(t, err)
		rest := s.Admin().Conversation(conv.ID())

		e.says(server.HookConversationAdd, no)
		require.ErrorIs(t, conv.Add(t.Context(), "mary"), realtime.ErrConversationRejectedByApp)
		rejected(rest.Add(t.Context(), "mary"))
		e.says(server.HookConversationRemove, no)
		require.ErrorIs(t, conv.Remove(t.Context(), "jerry"), realtime.ErrConversationRejectedByApp)
		rejected(rest.Remove(t.Context(), "jerry"))
		require.Empty(t, e.of(server.HookConversationAdded))
		require.Empty(t, e.of(server.HookConversationRemoved))
		members, err := rest.Members(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"jerry", "tom"}, members)

		e.says(server.HookConversationUpdate, no)
		rejected(conv.Save(t.Context(), map[string]any{"name": "x"}))
		rejected(rest.Save(t.Context(), map[string]any{"name": "x"}))
		rejected(conv.Mute(t.Context()))
		e.says(server.HookConversationUpdate, map[string]any{"attr": map[string]any{"name": "moderated"}, "mute": true})
		require.NoError(t, rest.Save(t.Context(), map[string]any{"name": "x", "other": 1}))
		info, err := rest.Fetch(t.Context())
		require.NoError(t, err)
		require.Equal(t, "moderated", info.Name)
		require.NotContains(t, info.Attributes, "other")
		require.NoError(t, conv.Unmute(t.Context()))
		muted, err := rest.NotificationsMutedBy(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"tom"}, muted, "the hook says otherwise")
	})
}

// A hook decides about what a service says to some clients as about any other
// message.
func TestHooksDecideAboutServiceMessages(t *testing.T) {
	hooked(t, func(t *testing.T, s *realtimetest.Server, e *endpoint) {
		toTom, toJerry := heard(s.Client("tom")), heard(s.Client("jerry"))
		service, err := s.Admin().CreateServiceConversation(t.Context(), admin.ServiceConversationOptions{})
		require.NoError(t, err)
		send := func(text string) (*realtime.Message, error) {
			return service.SendTo(t.Context(), []string{"tom", "jerry"}, admin.Message{From: "GM", Content: realtime.NewTextMessage(text)})
		}
		stored := func(client string) (texts []string) {
			for m, err := range service.MessagesOf(t.Context(), client, realtime.MessageQuery{Direction: realtime.OldToNew}) {
				require.NoError(t, err)
				texts = append(texts, m.Message.Text())
			}
			return texts
		}
		e.says(server.HookMessageReceived, map[string]any{"drop": true, "code": 77, "detail": "no"})
		_, err = send("one")
		require.ErrorIs(t, err, realtime.ErrMessageRejectedByApp)
		var refused *realtime.Error
		require.ErrorAs(t, err, &refused)
		require.Equal(t, 77, refused.AppCode)
		require.Empty(t, stored("tom"))

		e.says(server.HookMessageReceived, map[string]any{"content": `{"_lctype":-1,"_lctext":"***"}`})
		_, err = send("two")
		require.NoError(t, err)
		require.Equal(t, []string{"***"}, toTom())
		require.Equal(t, []string{"***"}, toJerry())

		e.says(server.HookMessageReceived, map[string]any{"toPeers": []string{"jerry", "stranger"}})
		_, err = send("three")
		require.NoError(t, err)
		require.Empty(t, toTom())
		require.Equal(t, []string{"three"}, toJerry())
		require.Equal(t, []string{"***"}, stored("tom"))
		require.Equal(t, []string{"***", "three"}, stored("jerry"))
		require.Empty(t, stored("stranger"))

		e.says(server.HookMessageReceived, map[string]any{"toPeers": []string{}})
		_, err = send("four")
		require.NoError(t, err, "for nobody")
		require.Empty(t, toJerry())

		e.says(server.HookMessageReceived, nil)
		sent, err := send("five")
		require.NoError(t, err)
		toTom()
		toJerry()
		e.says(server.HookMessageUpdate, map[string]any{"toPeers": []string{"tom"}})
		require.NoError(t, service.Update(t.Context(), sent, realtime.NewTextMessage("5"), "tom", "jerry"))
		require.Equal(t, []string{"edit: 5"}, toTom())
		require.Empty(t, toJerry(), "is not told, for now")
		require.Equal(t, []string{"***", "three", "5"}, stored("jerry"))
		asked := e.one(t, server.HookMessageUpdate)
		require.Equal(t, []any{true, []any{"tom", "jerry"}}, []any{asked["system"], asked["toPeers"]})
	})
}

// The other devices of the sender are no matter of the hook.
func TestHookLeavesTheSendersOtherDevices(t *testing.T) {
	hooked(t, func(t *testing.T, s *realtimetest.Server, e *endpoint) {
		phone, tablet := s.Client("tom"), heard(s.Client("tom"))
		toJerry, toMary := heard(s.Client("jerry")), heard(s.Client("mary"))
		conv, err := phone.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"jerry", "mary"}})
		require.NoError(t, err)
		e.says(server.HookMessageReceived, map[string]any{"toPeers": []string{"mary"}})
		sent, err := say(t, conv, realtime.NewTextMessage("psst"))
		require.NoError(t, err)
		e.says(server.HookMessageUpdate, map[string]any{"toPeers": []string{"mary"}})
		_, err = conv.Update(t.Context(), sent, realtime.NewTextMessage("psssst"))
		require.NoError(t, err)
		require.Equal(t, []string{"psst", "edit: psssst"}, tablet())
		require.Equal(t, []string{"psst", "edit: psssst"}, toMary())
		require.Empty(t, toJerry())
	})
}

// A binary message stays one when the hook says nothing of it.
func TestHookKeepsBinaryMessages(t *testing.T) {
	hooked(t, func(t *testing.T, s *realtimetest.Server, e *endpoint) {
		tom := s.Client("tom")
		conv, err := tom.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"jerry"}})
		require.NoError(t, err)
		e.says(server.HookMessageReceived, map[string]any{"content": "AQID"})
		_, err = say(t, conv, realtime.NewBinaryMessage([]byte{9}))
		require.NoError(t, err)
		page, err := conv.QueryMessages(t.Context(), realtime.MessageQuery{})
		require.NoError(t, err)
		require.Equal(t, realtime.NewBinaryMessage([]byte{1, 2, 3}), page[0].Content)
	})
}
