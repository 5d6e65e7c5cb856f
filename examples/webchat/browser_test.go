//go:build unix

// What is started is ended as a group of processes, which Windows has not.

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/npm"
	"github.com/leanrtm/realtime/typedmessages"
)

// patience is how long a browser may take to start; storyTime is for all that
// happens in it. They end a test that would hang.
const (
	patience  = time.Minute
	storyTime = 5 * time.Minute
)

// TestBrowser lets two people talk in a real browser, see browser/drive.js.
// WEBCHAT_PICTURES=directory keeps pictures of what they saw.
func TestBrowser(t *testing.T) {
	node := need(t, "node")
	browser := need(t, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
	dir, err := npm.Install(t.Context(), os.DirFS("browser"))
	if err == nil {
		_, err = npm.Install(t.Context(), npm.SDK())
	}
	if err != nil {
		unavailable(t, "install the JavaScript packages: %v", err)
	}
	chat := open(t)
	script := t.TempDir()
	require.NoError(t, os.CopyFS(script, os.DirFS("browser")))
	require.NoError(t, os.Symlink(filepath.Join(dir, "node_modules"), filepath.Join(script, "node_modules")))

	devTools := startBrowser(t, browser)
	ctx, cancel := context.WithTimeout(t.Context(), storyTime)
	defer cancel()
	var stderr bytes.Buffer
	stdout, wait := start(ctx, t, &stderr, script, node, []string{"drive.js"}, []string{
		"WEBCHAT_URL=" + chat.url, "WEBCHAT_BROWSER=" + devTools, "NODE_NO_WARNINGS=1", "TMPDIR=" + t.TempDir(),
	})
	seen := follow(t, stdout)
	if err := wait(); err != nil || t.Failed() {
		t.Fatalf("the script ended: %v\n%s", err, stderr.String())
	}
	require.Equal(t, chat.history(t), seen, "what both saw is what the server has")
}

// need finds a program by one of its names.
func need(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	unavailable(t, "this test needs %v", names)
	return ""
}

// unavailable ends the test for want of what it needs: it is skipped, but in CI
// it fails, because there it must run.
func unavailable(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// said is a message as the script tells it.
type said struct {
	ID, From, Text string
}

// follow reports every case of the script as a subtest and returns what was seen.
func follow(t *testing.T, stdout io.Reader) (seen []said) {
	t.Helper()
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Case, Error string
			MS          int
			Seen        []said
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Errorf("the script printed %q", lines.Text())
			continue
		}
		if line.Seen != nil {
			seen = line.Seen
			continue
		}
		t.Run(line.Case, func(t *testing.T) {
			t.Logf("took %v", time.Duration(line.MS)*time.Millisecond)
			if line.Error != "" {
				t.Error(line.Error)
			}
		})
	}
	require.NoError(t, lines.Err())
	return seen
}

// chat is the program under test, with a way to cut connections.
type chat struct {
	url string

	mu      sync.Mutex
	sockets map[string]net.Conn // by the name of the browser window
}

// open runs the program until the test ends.
func open(t *testing.T) *chat {
	t.Helper()
	c := &chat{sockets: make(map[string]net.Conn)}
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan string, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- serve(ctx, io.Discard, settings{
			listen: "127.0.0.1:0", wrap: c.watch, ready: func(url string) { ready <- url },
		})
	}()
	select {
	case c.url = <-ready:
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	return c
}

// watch remembers the sockets, and cuts them when the script asks for it.
func (c *chat) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/test/cut":
			c.mu.Lock()
			socket := c.sockets[r.FormValue("agent")]
			c.mu.Unlock()
			if socket == nil {
				http.Error(w, "this window has no socket", http.StatusNotFound)
				return
			}
			_ = socket.Close() // its owner gets an error, and may close it again
		case r.Header.Get("Upgrade") != "":
			next.ServeHTTP(&hijacked{ResponseWriter: w, note: func(socket net.Conn) {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.sockets[r.UserAgent()] = socket
			}}, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// hijacked tells the connection that a handler takes over.
type hijacked struct {
	http.ResponseWriter
	note func(net.Conn)
}

func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err == nil {
		h.note(conn)
	}
	return conn, rw, err
}

// history is what the server has of the talk, as the Go SDK reads it.
func (c *chat) history(t *testing.T) []said {
	t.Helper()
	var room roomInfo
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+"/page/room.json", nil)
	require.NoError(t, err)
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	require.NoError(t, json.NewDecoder(res.Body).Decode(&room))
	rt, err := realtime.New(realtime.Options{AppID: room.AppID, AppKey: room.AppKey, Server: c.url, Plugins: []realtime.Plugin{typedmessages.Plugin()}})
	require.NoError(t, err)
	defer func() { require.NoError(t, rt.Close(context.Background())) }()
	tom, err := rt.CreateIMClient(t.Context(), "Tom") // members may read it
	require.NoError(t, err)
	conv, err := tom.GetConversation(t.Context(), room.Conversation)
	require.NoError(t, err)
	var all []said
	for m, err := range conv.Messages(t.Context(), realtime.MessageQuery{Direction: realtime.OldToNew}) {
		require.NoError(t, err)
		all = append(all, said{m.ID, m.From, m.Text()})
	}
	return all
}
