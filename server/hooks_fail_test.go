package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
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

// failing are hooks that give no decision.
func failing(t *testing.T) map[string]*server.Hooks {
	return map[string]*server.Hooks{
		"error": {
			MessageReceived: func(context.Context, *server.MessageReceived) (server.MessageVerdict, error) {
				return server.MessageVerdict{}, errors.New("out of order")
			},
			ConversationStart: func(context.Context, *server.ConversationStart) (server.Verdict, error) {
				return server.Verdict{Reject: true}, errors.New("out of order")
			},
		},
		"panic": {
			MessageReceived: func(context.Context, *server.MessageReceived) (server.MessageVerdict, error) {
				panic("out of order")
			},
			ConversationStart: func(context.Context, *server.ConversationStart) (server.Verdict, error) {
				panic("out of order")
			},
		},
		"too slow": {
			MessageReceived: func(ctx context.Context, _ *server.MessageReceived) (server.MessageVerdict, error) {
				start := time.Now()
				<-ctx.Done()
				require.Equal(t, 3*time.Second, time.Since(start))
				return server.MessageVerdict{}, ctx.Err()
			},
			ConversationStart: func(ctx context.Context, _ *server.ConversationStart) (server.Verdict, error) {
				<-ctx.Done()
				return server.Verdict{}, ctx.Err()
			},
		},
	}
}

func TestHooksThatFail(t *testing.T) {
	for name := range failing(t) {
		for _, policy := range []server.HookFailure{server.HookFailureProceeds, server.HookFailureRefuses} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := realtimetest.NewServer(t, realtimetest.WithServerOptions(func(o *server.Options) {
						o.Hooks, o.HookFailure, o.HookTimeout = failing(t)[name], policy, 3*time.Second
					}))
					tom := s.Client("tom")
					_, err := tom.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"jerry"}})
					room, roomErr := s.Admin().CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"tom"}})
					if policy == server.HookFailureProceeds {
						require.NoError(t, err)
						require.NoError(t, roomErr)
						_, err = room.Send(t.Context(), admin.Message{From: "tom", Content: realtime.NewTextMessage("x")})
						require.NoError(t, err)
						return
					}
					require.ErrorIs(t, err, realtime.ErrConversationRejectedByApp)
					require.ErrorIs(t, roomErr, realtime.ErrConversationRejectedByApp)
					require.NotContains(t, err.Error(), "out of order", "that is for the log")
				})
			})
		}
	}
}

// Where a hook fails over HTTP, every kind of failure counts.
func TestHTTPHooksThatFail(t *testing.T) {
	hooked(t, func(t *testing.T, s *realtimetest.Server, e *endpoint) {
		tom := s.Client("tom")
		conv, err := tom.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"jerry"}})
		require.NoError(t, err)
		for name, answer := range map[string]any{
			"nonsense": "<html>", "another type": `{"drop":"yes"}`, "no base64": `{"content":"!","bin":true}`,
			"a list": "[]", "too long": `{"detail":"` + strings.Repeat("x", 1<<20) + `"}`,
		} {
			e.says(server.HookMessageReceived, answer)
			_, err := say(t, conv, realtime.NewTextMessage("x"))
			require.ErrorIs(t, err, realtime.ErrMessageRejectedByApp, name)
			require.ErrorContains(t, err, "the app's hook failed", name)
		}
		e.says(server.HookMessageReceived, map[string]any{})
		sent, err := say(t, conv, realtime.NewTextMessage("x"))
		require.NoError(t, err)
		for _, status := range []int{301, 404, 500} {
			e.mu.Lock()
			e.status = status
			e.mu.Unlock()
			_, err = say(t, conv, realtime.NewTextMessage("x"))
			require.ErrorIs(t, err, realtime.ErrMessageRejectedByApp)
			_, err = conv.Update(t.Context(), sent, realtime.NewTextMessage("y"))
			require.ErrorIs(t, err, realtime.ErrMessageUpdateRejectedByApp)
			require.ErrorIs(t, conv.Save(t.Context(), map[string]any{"a": 1}), realtime.ErrConversationRejectedByApp)
			require.ErrorIs(t, conv.Mute(t.Context()), realtime.ErrConversationRejectedByApp)
			require.ErrorIs(t, conv.Add(t.Context(), "x"), realtime.ErrConversationRejectedByApp)
			require.ErrorIs(t, conv.Remove(t.Context(), "jerry"), realtime.ErrConversationRejectedByApp)
		}
	}, func(o *server.Options) { o.HookFailure = server.HookFailureRefuses })
}

// What users write to a service is told again if it was not taken.
func TestServiceMessageIsRepeated(t *testing.T) {
	hooked(t, func(t *testing.T, s *realtimetest.Server, e *endpoint) {
		tom := s.Client("tom")
		service, err := s.Admin().CreateServiceConversation(t.Context(), admin.ServiceConversationOptions{})
		require.NoError(t, err)
		conv, err := tom.GetConversation(t.Context(), service.ID())
		require.NoError(t, err)
		e.mu.Lock()
		e.status = 503
		e.mu.Unlock()
		_, err = say(t, conv, realtime.NewTextMessage("help!"))
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		require.Len(t, e.of("service"), 2)
		time.Sleep(time.Hour)
		require.Len(t, e.of("service"), 2, "four times in all")
	})
}

func TestOnlyTheHooksThatAreWanted(t *testing.T) {
	hooks, err := server.HTTPHooks{URL: "https://hooks.test", Only: []string{server.HookMessageSent, server.HookClientOnline}}.Hooks()
	require.NoError(t, err)
	require.NotNil(t, hooks.MessageSent)
	require.NotNil(t, hooks.ClientOnline)
	require.Nil(t, hooks.MessageReceived)
	require.Nil(t, hooks.ClientOffline)
	require.Nil(t, hooks.ServiceMessage)
	for _, name := range server.HookNames() {
		hooks, err := server.HTTPHooks{URL: "https://hooks.test", Only: []string{name}}.Hooks()
		require.NoError(t, err)
		require.NotEqual(t, server.Hooks{}, *hooks, name)
	}
	hooks, err = server.HTTPHooks{ServiceMessageURL: "https://hooks.test"}.Hooks()
	require.NoError(t, err)
	require.Nil(t, hooks.MessageSent)
	require.NotNil(t, hooks.ServiceMessage)

	for name, bad := range map[string]server.HTTPHooks{
		"nothing": {}, "scheme": {URL: "ftp://hunter2@x"}, "no host": {URL: "http:///hunter2"}, "no URL": {URL: "http://hunter2 x"},
		"name": {URL: "http://x", Only: []string{"_messageRecieved"}}, "timeout": {URL: "http://x", Timeout: -1},
		"service": {URL: "http://x", ServiceMessageURL: "hunter2"},
	} {
		_, err := bad.Hooks()
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "hunter2")
	}
	_, err = server.New(server.Options{Apps: []server.App{{ID: "x"}}, HookFailure: 7})
	require.ErrorContains(t, err, "HookFailure")
}

// Over a real socket, with an endpoint that hangs.
func TestHTTPHooksOverTheNetwork(t *testing.T) {
	e := new(endpoint)
	release, told := make(chan struct{}), make(chan string, 100)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, server.HookConversationAdd) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
			return
		}
		e.ServeHTTP(w, r)
		told <- r.URL.Path
	}))
	defer web.Close()
	defer close(release)
	var log bytes.Buffer
	var mu sync.Mutex
	hooks, err := server.HTTPHooks{
		URL: web.URL + "/hooks", Client: web.Client(), Timeout: time.Second,
		Header: http.Header{"Authorization": {"Bearer hunter2"}},
		Logger: slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, nil)),
	}.Hooks()
	require.NoError(t, err)
	s := realtimetest.NewServer(t, realtimetest.WithServerOptions(func(o *server.Options) {
		o.Hooks, o.HookFailure = hooks, server.HookFailureRefuses
	}))
	e.says(server.HookMessageReceived, map[string]any{"drop": true, "code": 7, "detail": "closed"})
	tom := s.Client("tom")
	conv, err := tom.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"jerry"}})
	require.NoError(t, err)
	_, err = say(t, conv, realtime.NewTextMessage("x"))
	require.ErrorIs(t, err, realtime.ErrMessageRejectedByApp)
	require.ErrorIs(t, conv.Add(t.Context(), "mary"), realtime.ErrConversationRejectedByApp, "no answer in time")
	want := map[string]bool{
		"/hooks/" + server.HookClientOnline: true, "/hooks/" + server.HookConversationStart: true,
		"/hooks/" + server.HookConversationStarted: true, "/hooks/" + server.HookMessageReceived: true,
	}
	for len(want) > 0 {
		delete(want, <-told)
	}
	s.Close()
	mu.Lock()
	defer mu.Unlock()
	require.NotContains(t, log.String(), "hunter2")
	require.NotContains(t, log.String(), web.URL)
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
