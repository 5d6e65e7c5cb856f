//go:build unix

// What is started is ended as a group of processes, which Windows has not.

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
		"WEBCHAT_URL=" + chat.url, "WEBCHAT_CONTROL=" + chat.control, "WEBCHAT_BROWSER=" + devTools, "NODE_NO_WARNINGS=1", "TMPDIR=" + t.TempDir(),
	})
	follow(t, stdout)
	if err := wait(); err != nil || t.Failed() {
		t.Fatalf("the script ended: %v\n%s", err, stderr.String())
	}
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

// follow reports every case of the script as a subtest.
func follow(t *testing.T, stdout io.Reader) {
	t.Helper()
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Case, Error string
			MS          int
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Errorf("the script printed %q", lines.Text())
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
}

// chat is the program under test, with what the script can do to it.
type chat struct {
	url     string // of the page
	control string // of what the script can do

	mu      sync.Mutex
	sockets map[string]net.Conn // by the name of the browser window
	stop    func() error
}

// open runs the program until the test ends.
func open(t *testing.T) *chat {
	t.Helper()
	c := &chat{sockets: make(map[string]net.Conn)}
	require.NoError(t, c.start("127.0.0.1:0"))
	mux := http.NewServeMux()
	for path, do := range map[string]func(r *http.Request) (any, error){
		"/cut": c.cut, "/restart": c.restart, "/history": c.history,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			answer, err := do(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			_ = json.NewEncoder(w).Encode(answer) // a script that was killed needs none
		})
	}
	control := httptest.NewServer(mux)
	c.control = control.URL
	t.Cleanup(func() {
		control.Close()
		require.NoError(t, c.stop())
	})
	return c
}

// start runs the program until stop.
func (c *chat) start(listen string) error {
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan string, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- serve(ctx, io.Discard, settings{listen: listen, wrap: c.watch, ready: func(url string) { ready <- url }})
	}()
	c.stop = func() error {
		cancel()
		return <-ended
	}
	select {
	case c.url = <-ready:
		return nil
	case err := <-ended:
		ended <- err
		return errors.Join(err, c.stop())
	}
}

// watch remembers the sockets.
func (c *chat) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			w = &hijacked{ResponseWriter: w, note: func(socket net.Conn) {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.sockets[r.UserAgent()] = socket
			}}
		}
		next.ServeHTTP(w, r)
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

// cut ends the connection of a window.
func (c *chat) cut(r *http.Request) (any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	socket := c.sockets[r.FormValue("agent")]
	if socket == nil {
		return nil, errors.New("this window has no socket")
	}
	_ = socket.Close() // the server may have been faster
	return "cut", nil
}

// restart ends the program and starts it anew on the same port. All that was said
// is gone.
func (c *chat) restart(*http.Request) (any, error) {
	if err := c.stop(); err != nil {
		return nil, err
	}
	return "restarted", c.start(strings.TrimPrefix(c.url, "http://"))
}

// said is a message as the script compares it.
type said struct {
	ID   string `json:"id"`
	From string `json:"from"`
	Text string `json:"text"`
}

// history is what the server has of the talk, as the Go SDK reads it.
func (c *chat) history(r *http.Request) (all any, err error) {
	ctx := r.Context()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/page/room.json", nil)
	if err != nil {
		return nil, err
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	var room roomInfo
	if err := json.NewDecoder(res.Body).Decode(&room); err != nil {
		return nil, err
	}
	rt, err := realtime.New(realtime.Options{
		AppID: room.AppID, AppKey: room.AppKey, Server: c.url, Plugins: []realtime.Plugin{typedmessages.Plugin()},
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rt.Close(ctx)) }()
	tom, err := rt.CreateIMClient(ctx, "Tom") // members may read it
	if err != nil {
		return nil, err
	}
	conv, err := tom.GetConversation(ctx, room.Conversation)
	if err != nil {
		return nil, err
	}
	var messages []said
	for m, err := range conv.Messages(ctx, realtime.MessageQuery{Direction: realtime.OldToNew}) {
		if err != nil {
			return nil, err
		}
		messages = append(messages, said{m.ID, m.From, m.Text()})
	}
	return messages, nil
}
