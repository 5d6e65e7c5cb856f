package realtime_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/server"
)

// The benchmarks run the client and the server of this module in one process,
// over TCP on the loopback interface. Those named floor are beside them.

const (
	benchApp  = "bench-app"
	benchKey  = "bench-key"
	benchText = "The quick brown fox jumps over the lazy dog."
)

// benchServer serves on a free port of the loopback interface.
func benchServer(b testing.TB) (url string) {
	b.Helper()
	return benchServe(b, func(core http.Handler) http.Handler { return core })
}

// benchServe is benchServer with something around the server.
func benchServe(b testing.TB, around func(core http.Handler) http.Handler) (url string) {
	b.Helper()
	core, err := server.New(server.Options{
		Apps:   []server.App{{ID: benchApp, Key: benchKey}},
		Limits: server.Limits{SessionsConn: server.NoLimit},
	})
	if err != nil {
		b.Fatal(err)
	}
	ts := httptest.NewServer(around(core))
	b.Cleanup(func() {
		core.Close()
		ts.Close()
	})
	return ts.URL
}

// benchRealtime is a connection to url.
func benchRealtime(b testing.TB, url string) *realtime.Realtime {
	b.Helper()
	return benchRealtimeWith(b, realtime.Options{Server: url})
}

func benchRealtimeWith(b testing.TB, o realtime.Options) *realtime.Realtime {
	b.Helper()
	o.AppID, o.AppKey, o.NoSSL = benchApp, benchKey, true
	rt, err := realtime.New(o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { rt.Close(context.Background()) })
	return rt
}

// benchConversation is a conversation of Tom, who is logged in, and Jerry.
func benchConversation(b testing.TB, url string) *realtime.Conversation {
	b.Helper()
	tom, err := benchRealtime(b, url).CreateIMClient(b.Context(), "Tom")
	if err != nil {
		b.Fatal(err)
	}
	conv, err := tom.CreateConversation(b.Context(), realtime.ConversationOptions{Members: []string{"Jerry"}})
	if err != nil {
		b.Fatal(err)
	}
	return conv
}
