package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/npm"
)

// get asks a site in which every other path is a teapot.
func get(t *testing.T, s *site, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	s.rtm = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	s.handler().ServeHTTP(rec, req)
	return rec
}

func TestSite(t *testing.T) {
	sdk := t.TempDir()
	for _, path := range scripts() {
		path = filepath.Join(sdk, "node_modules", path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte("/* "+filepath.Base(path)+" */"), 0o600))
	}
	s := &site{sdk: sdk}

	page := get(t, s, "/")
	require.Equal(t, http.StatusOK, page.Code)
	require.Equal(t, policy, page.Header().Get("Content-Security-Policy"))
	require.NotContains(t, page.Body.String(), "<script>", "the policy forbids it")
	for _, name := range []string{"storage.js", "realtime.js", "typed-messages.js"} {
		require.Contains(t, page.Body.String(), `src="/page/sdk/`+name+`"`)
		script := get(t, s, "/page/sdk/"+name)
		require.Equal(t, http.StatusOK, script.Code)
		require.Contains(t, script.Header().Get("Content-Type"), "javascript")
		require.Equal(t, "/* "+filepath.Base(scripts()[name])+" */", script.Body.String())
	}
	for _, name := range []string{"main.js", "style.css", "icon.svg"} {
		require.Equal(t, http.StatusOK, get(t, s, "/page/"+name).Code, name)
	}
	for _, path := range []string{"/page/sdk/other.js", "/page/sdk/..%2f..%2fpackage.json", "/page/none.js"} {
		require.Equal(t, http.StatusNotFound, get(t, s, path).Code, path)
	}

	require.Equal(t, http.StatusTeapot, get(t, s, "/1.1/files").Code, "the server's own")
	require.Equal(t, http.StatusTeapot, get(t, s, "/", "Upgrade", "websocket").Code, "the socket")

	require.Equal(t, http.StatusServiceUnavailable, get(t, s, "/page/room.json").Code)
	s.open(roomInfo{AppID: "a", AppKey: "k", Conversation: "c", Name: "n", Bot: "b"})
	room := get(t, s, "/page/room.json")
	require.Equal(t, "application/json", room.Header().Get("Content-Type"))
	require.JSONEq(t, `{"appId":"a","appKey":"k","conversation":"c","name":"n","bot":"b"}`, room.Body.String())
}

func TestReachable(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:7789", "192.0.2.7:80", "[2001:db8::1]:80"} {
		tcp, err := net.ResolveTCPAddr("tcp", addr)
		require.NoError(t, err)
		here, elsewhere := reachable(t.Context(), tcp)
		require.Equal(t, []string{addr, addr}, []string{here, elsewhere})
	}
	for _, any := range []net.IP{net.IPv4zero, net.IPv6unspecified} {
		here, elsewhere := reachable(t.Context(), &net.TCPAddr{IP: any, Port: 7789})
		require.Equal(t, "127.0.0.1:7789", here)
		host, port, err := net.SplitHostPort(elsewhere)
		require.NoError(t, err)
		require.Equal(t, "7789", port)
		require.False(t, net.ParseIP(host).IsUnspecified())
	}
}

func TestWithoutNPM(t *testing.T) {
	nothing := t.TempDir()
	for _, name := range []string{"PATH", "HOME", "XDG_CACHE_HOME", "LocalAppData"} {
		t.Setenv(name, nothing)
	}
	var out bytes.Buffer
	require.ErrorIs(t, serve(t.Context(), &out, settings{listen: "127.0.0.1:0"}), npm.ErrMissing)
}

func TestServe(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", os.Getenv("XDG_CACHE_HOME"))
	dir, _, err := npm.Directory(npm.SDK())
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "installed"), nil, 0o600))

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out bytes.Buffer
	err = serve(ctx, &out, settings{listen: "127.0.0.1:0", url: "https://chat.example/", ready: func(string) { cancel() }})
	require.NoError(t, err, "an interrupt is the regular end")
	require.True(t, strings.HasPrefix(out.String(), "The chat is at https://chat.example/\n"), out.String())

	err = serve(t.Context(), &out, settings{listen: "127.0.0.1:99999"})
	require.ErrorContains(t, err, "-listen")
}
