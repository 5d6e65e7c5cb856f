package server_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/server"
)

// endpoint is the app's own HTTP server: it notes what it is told and decides as
// it is set.
type endpoint struct {
	mu      sync.Mutex
	calls   []hookCall
	decide  map[string]func(params map[string]any) any // nil: an empty object
	status  int                                        // of all answers; 0: 200
	secrets []string
}

type hookCall struct {
	name   string
	params map[string]any
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	var params map[string]any
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if body[0] == '[' {
		var list []map[string]any
		err = json.Unmarshal(body, &list)
		params = list[0]
	} else {
		err = json.Unmarshal(body, &params)
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	e.mu.Lock()
	e.calls = append(e.calls, hookCall{name, params})
	e.secrets = append(e.secrets, r.Header.Get("X-Hook-Key"))
	decide, status := e.decide[name], e.status
	e.mu.Unlock()
	if status != 0 {
		w.WriteHeader(status)
		return
	}
	answer := any(map[string]any{})
	if decide != nil {
		answer = decide(params)
	}
	if text, ok := answer.(string); ok {
		_, _ = io.WriteString(w, text)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// RoundTrip serves a request in the process, for bubbles.
func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	return w.Result(), nil
}

func (e *endpoint) on(name string, decide func(params map[string]any) any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.decide == nil {
		e.decide = make(map[string]func(params map[string]any) any)
	}
	e.decide[name] = decide
}

func (e *endpoint) says(name string, answer any) {
	e.on(name, func(map[string]any) any { return answer })
}

// of returns the calls of one hook since the last time it was asked for.
func (e *endpoint) of(name string) []map[string]any {
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []map[string]any
	var rest []hookCall
	for _, c := range e.calls {
		if c.name == name {
			out = append(out, c.params)
		} else {
			rest = append(rest, c)
		}
	}
	e.calls = rest
	return out
}

func (e *endpoint) forget() {
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = nil
}

// one is the only call of a hook.
func (e *endpoint) one(t testing.TB, name string) map[string]any {
	t.Helper()
	calls := e.of(name)
	require.Len(t, calls, 1, name)
	return calls[0]
}

// hooked runs a test against a server whose hooks are answered over HTTP.
func hooked(t *testing.T, f func(t *testing.T, s *realtimetest.Server, e *endpoint), change ...func(o *server.Options)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := new(endpoint)
		hooks, err := server.HTTPHooks{
			URL: "http://hooks.test/1.1/functions/", ServiceMessageURL: "http://hooks.test/service",
			Client: &http.Client{Transport: e}, Header: http.Header{"X-Hook-Key": {"sesame"}},
		}.Hooks()
		require.NoError(t, err)
		f(t, realtimetest.NewServer(t, realtimetest.WithServerOptions(func(o *server.Options) {
			o.Hooks = hooks
			for _, c := range change {
				c(o)
			}
		})), e)
	})
}

func say(t testing.TB, conv *realtime.Conversation, content realtime.Content, opts ...realtime.SendOption) (*realtime.Message, error) {
	t.Helper()
	return conv.Send(t.Context(), content, opts...)
}

// heard collects the texts of messages that a client gets.
func heard(c *realtime.IMClient) (take func() []string) {
	var mu sync.Mutex
	var texts []string
	stream := c.Events(context.Background())
	go func() {
		for ev, err := range stream {
			if err != nil {
				return
			}
			mu.Lock()
			switch ev := ev.(type) {
			case *realtime.MessageEvent:
				texts = append(texts, ev.Message.Text())
			case *realtime.MessageUpdateEvent:
				texts = append(texts, "edit: "+ev.Message.Text())
			case *realtime.MessageRecallEvent:
				texts = append(texts, "recall")
			}
			mu.Unlock()
		}
	}()
	return func() []string {
		time.Sleep(time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		out := append([]string{}, texts...)
		texts = nil
		return out
	}
}

func TestHooksAreTold(t *testing.T) {
	hooked(t, func(t *testing.T, s *realtimetest.Server, e *endpoint) {
		tom := s.Client("tom", realtime.WithTag("Mobile"))
		synctest.Wait() // hooks that only listen are told on the side
		jerry := s.Client("jerry")
		synctest.Wait()
		online := e.of(server.HookClientOnline)
		require.Len(t, online, 2)
		require.Equal(t, "tom", online[0]["peerId"])
		require.Equal(t, "Mobile", online[0]["tag"])
		require.Equal(t, 0.0, online[0]["reconnect"])
		require.NotEmpty(t, online[0]["sourceIP"])

		conv, err := tom.CreateConversation(t.Context(), realtime.ConversationOptions{
			Members: []string{"jerry", "mary"}, Name: "three", Attributes: map[string]any{"level": 3},
		})
		require.NoError(t, err)
		start := e.one(t, server.HookConversationStart)
		require.Equal(t, "tom", start["initBy"])
		require.ElementsMatch(t, []any{"tom", "jerry", "mary"}, start["members"])
		require.Equal(t, map[string]any{"name": "three", "level": 3.0}, start["attr"])
		require.Equal(t, map[string]any{"convId": conv.ID()}, e.one(t, server.HookConversationStarted))
		require.Empty(t, e.of(server.HookConversationAdd), "not for the members of a new one")

		sent, err := say(t, conv, realtime.NewTextMessage("hello"), realtime.WithReceipt(), realtime.WithMention("mary"))
		require.NoError(t, err)
		received := e.one(t, server.HookMessageReceived)
		require.Equal(t, "tom", received["fromPeer"])
		require.Equal(t, conv.ID(), received["convId"])
		require.ElementsMatch(t, []any{"jerry", "mary"}, received["toPeers"])
		require.JSONEq(t, `{"_lctype":-1,"_lctext":"hello"}`, received["content"].(string))
		require.Equal(t, []any{false, true, false, false},
			[]any{received["transient"], received["receipt"], received["system"], received["bin"]})
		require.NotEmpty(t, received["sourceIP"])
		require.NotZero(t, received["timestamp"])
		told := e.one(t, server.HookMessageSent)
		require.Equal(t, sent.ID, told["msgId"])
		require.Equal(t, []any{"jerry"}, told["onlinePeers"])
		require.Equal(t, []any{"mary"}, told["offlinePeers"])
		require.Equal(t, float64(sent.Timestamp.UnixMilli()), told["timestamp"])
		offline := e.one(t, server.HookReceiversOffline)
		require.Equal(t, []any{"mary"}, offline["offlinePeers"])
		require.Equal(t, []any{"mary"}, offline["mentionOfflinePeers"])
		require.Equal(t, false, offline["mentionAll"])

		// The same by REST.
		byREST, err := s.Admin().Conversation(conv.ID()).Send(t.Context(), admin.Message{
			From: "tom", Content: realtime.NewBinaryMessage([]byte{1, 2, 3}),
		})
		require.NoError(t, err)
		received = e.one(t, server.HookMessageReceived)
		require.Equal(t, []any{false, true, "AQID"}, []any{received["system"], received["bin"], received["content"]})
		require.Equal(t, byREST.ID, e.one(t, server.HookMessageSent)["msgId"])

		_, err = conv.Update(t.Context(), sent, realtime.NewTextMessage("bye"))
		require.NoError(t, err)
		edit := e.one(t, server.HookMessageUpdate)
		require.Equal(t, []any{sent.ID, false, false}, []any{edit["msgId"], edit["recall"], edit["system"]})
		require.JSONEq(t, `{"_lctype":-1,"_lctext":"bye"}`, edit["content"].(string))
		require.NoError(t, s.Admin().Conversation(conv.ID()).Recall(t.Context(), sent))
		edit = e.one(t, server.HookMessageUpdate)
		require.Equal(t, []any{true, false}, []any{edit["recall"], edit["system"]})
		require.ElementsMatch(t, []any{"jerry", "mary"}, edit["toPeers"])

		require.NoError(t, conv.Add(t.Context(), "bob"))
		want := map[string]any{"initBy": "tom", "members": []any{"bob"}, "convId": conv.ID()}
		require.Equal(t, want, e.one(t, server.HookConversationAdd))
		require.Equal(t, want, e.one(t, server.HookConversationAdded))
		require.NoError(t, conv.Remove(t.Context(), "bob"))
		require.Equal(t, want, e.one(t, server.HookConversationRemove))
		require.Equal(t, want, e.one(t, server.HookConversationRemoved))
		require.NoError(t, s.Admin().Conversation(conv.ID()).Add(t.Context(), "bob"))
		want["initBy"] = ""
		require.Equal(t, want, e.one(t, server.HookConversationAdd))

		require.NoError(t, conv.Save(t.Context(), map[string]any{"level": 4}))
		update := e.one(t, server.HookConversationUpdate)
		require.Equal(t, map[string]any{"initBy": "tom", "convId": conv.ID(), "attr": map[string]any{"level": 4.0}}, update)
		require.NoError(t, conv.Mute(t.Context()))
		require.Equal(t, true, e.one(t, server.HookConversationUpdate)["mute"])
		require.NoError(t, conv.Unmute(t.Context()))
		require.Equal(t, false, e.one(t, server.HookConversationUpdate)["mute"])

		his, err := jerry.GetConversation(t.Context(), conv.ID())
		require.NoError(t, err)
		require.NoError(t, his.Quit(t.Context()))
		require.Empty(t, e.of(server.HookConversationRemove), "not for leaving")

		for _, secret := range e.secrets {
			require.Equal(t, "sesame", secret)
		}
	})
}

func TestHooksOfChatRoomsAndServices(t *testing.T) {
	hooked(t, func(t *testing.T, s *realtimetest.Server, e *endpoint) {
		tom := s.Client("tom")
		room, err := tom.CreateChatRoom(t.Context(), realtime.ChatRoomOptions{})
		require.NoError(t, err)
		e.forget()
		_, err = say(t, room, realtime.NewTextMessage("hello"))
		require.NoError(t, err)
		require.Empty(t, e.one(t, server.HookMessageReceived)["toPeers"])
		require.Len(t, e.of(server.HookMessageSent), 1)
		require.Empty(t, e.of(server.HookReceiversOffline), "nobody of a room is offline")

		service, err := s.Admin().CreateServiceConversation(t.Context(), admin.ServiceConversationOptions{})
		require.NoError(t, err)
		conv, err := tom.GetConversation(t.Context(), service.ID())
		require.NoError(t, err)
		sent, err := say(t, conv, realtime.NewTextMessage("help!"))
		require.NoError(t, err)
		m := e.one(t, "service")
		require.Equal(t, []any{sent.ID, "tom", false}, []any{m["msgId"], m["from"], m["bin"]})
		require.JSONEq(t, `{"_lctype":-1,"_lctext":"help!"}`, m["data"].(string))
		require.Equal(t, map[string]any{"__type": "Pointer", "className": "_Conversation", "objectId": service.ID()}, m["conv"])
		require.Equal(t, map[string]any{"__type": "Date", "iso": sent.Timestamp.UTC().Format("2006-01-02T15:04:05.000Z")}, m["createdAt"])
		require.NotEmpty(t, m["fromIp"])
		asked := e.one(t, server.HookMessageReceived)
		require.Equal(t, []any{"tom", true, []any{}}, []any{asked["fromPeer"], asked["system"], asked["toPeers"]})

		// What the service says to some is asked about, with who they are.
		e.forget()
		_, err = service.SendTo(t.Context(), []string{"tom", "away"}, admin.Message{From: "GM", Content: realtime.NewTextMessage("soon")})
		require.NoError(t, err)
		asked = e.one(t, server.HookMessageReceived)
		require.Equal(t, []any{"GM", true, []any{"tom", "away"}}, []any{asked["fromPeer"], asked["system"], asked["toPeers"]})
		told := e.one(t, server.HookMessageSent)
		require.Equal(t, []any{true, []any{"tom"}, []any{"away"}}, []any{told["system"], told["onlinePeers"], told["offlinePeers"]})
		require.Equal(t, []any{"away"}, e.one(t, server.HookReceiversOffline)["offlinePeers"])

		// What it says to all is not: nobody could say who they are.
		_, err = service.BroadcastToSubscribers(t.Context(), admin.Broadcast{From: "GM", Content: realtime.NewTextMessage("hear")})
		require.NoError(t, err)
		_, err = service.BroadcastToAll(t.Context(), admin.Broadcast{From: "GM", Content: realtime.NewTextMessage("hear")})
		require.NoError(t, err)
		require.Empty(t, e.of(server.HookMessageReceived))
		broadcasts := e.of(server.HookMessageSent)
		require.Len(t, broadcasts, 2)
		require.Equal(t, true, broadcasts[0]["system"])
		require.Empty(t, e.of(server.HookReceiversOffline))
	})
}

func TestHooksOfGoingOffline(t *testing.T) {
	hooked(t, func(t *testing.T, s *realtimetest.Server, e *endpoint) {
		gone := func() map[string]any { return e.one(t, server.HookClientOffline) }
		require.NoError(t, s.Client("tom").Close(t.Context()))
		call := gone()
		require.Equal(t, []any{"tom", 1.0}, []any{call["peerId"], call["closeCode"]})
		require.NotEmpty(t, call["sourceIP"])

		s.Client("tom")
		e.forget()
		s.Cut("tom")
		time.Sleep(10 * time.Second)
		call = gone()
		require.Equal(t, 2.0, call["closeCode"])
		require.NotContains(t, call, "sourceIP")
		require.Equal(t, 1.0, e.one(t, server.HookClientOnline)["reconnect"], "it came back by itself")

		s.Client("mary", realtime.WithTag("Web"))
		e.forget()
		s.Displace("mary")
		call = gone()
		require.Equal(t, []any{"mary", 3.0, "Web"}, []any{call["peerId"], call["closeCode"], call["tag"]})

		s.Client("jerry")
		require.NoError(t, s.Admin().IMClient("jerry").Kick(t.Context(), "bye"))
		call = gone()
		require.Equal(t, []any{"jerry", 4.0, "bye"}, []any{call["peerId"], call["closeCode"], call["closeMsg"]})

		s.Client("bob")
		defer s.Blackhole("bob")()
		e.forget()
		time.Sleep(7 * time.Minute)
		call = gone()
		require.Equal(t, []any{"bob", 2.0, 4107.0, "READ_TIMEOUT"},
			[]any{call["peerId"], call["closeCode"], call["errorCode"], call["errorMsg"]})
	})
}
