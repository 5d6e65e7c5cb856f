package export_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leanrtm/realtime/admin"
	"github.com/leanrtm/realtime/cmd/rtm/internal/export"
	"github.com/leanrtm/realtime/server"
)

// The app of the tests.
const (
	appID     = "export-app"
	masterKey = "export-master-key"
	baseURL   = "http://rtm.test"
)

func TestMain(m *testing.M) {
	if os.Getenv(childURL) != "" {
		child()
		return
	}
	goleak.VerifyTestMain(m)
}

// world is an app on a server that is called without a network.
type world struct {
	testing.TB
	T      *testing.T // nil in a benchmark
	server *server.Server
	// meddle may answer a request in place of the server; nil: the server does.
	meddle   func(r *http.Request) (*http.Response, error)
	requests atomic.Int64
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	s, err := server.New(server.Options{Apps: []server.App{{ID: appID, Key: "export-app-key", MasterKey: masterKey}}})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, s.Close()) })
	return &world{TB: tb, server: s}
}

// bubble runs a test whose time is its own: hours pass at once.
func bubble(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.T = t
		test(w)
	})
}

// later lets time pass.
func later(d time.Duration) { time.Sleep(d) }

// RoundTrip implements http.RoundTripper.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	w.requests.Add(1)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if w.meddle != nil {
		if resp, err := w.meddle(r); resp != nil || err != nil {
			return resp, err
		}
	}
	return w.serve(r), nil
}

func (w *world) serve(r *http.Request) *http.Response {
	r = r.Clone(r.Context())
	if r.Body == nil {
		r.Body = http.NoBody
	}
	answer := httptest.NewRecorder()
	w.server.ServeHTTP(answer, r)
	return answer.Result()
}

func newAdmin(tb testing.TB, url string, transport http.RoundTripper) *admin.Client {
	tb.Helper()
	c, err := admin.New(admin.Options{
		AppID: appID, MasterKey: masterKey, Server: url, HTTPClient: &http.Client{Transport: transport},
	})
	require.NoError(tb, err)
	return c
}

func (w *world) options(dir string) export.Options {
	w.Helper()
	return export.Options{Client: newAdmin(w, baseURL, w), AppID: appID, Server: baseURL, Dir: dir}
}

// call makes a request of the administrator, past what meddles.
func (w *world) call(method, path string, body, answer any) {
	w.Helper()
	text, err := json.Marshal(body)
	require.NoError(w, err)
	r := httptest.NewRequestWithContext(context.Background(), method, baseURL+"/1.2/rtm/"+path, bytes.NewReader(text))
	r.Header.Set("X-LC-Id", appID)
	r.Header.Set("X-LC-Key", masterKey+",master")
	r.Header.Set("Content-Type", "application/json")
	resp := httptest.NewRecorder()
	w.server.ServeHTTP(resp, r)
	require.Equal(w, 2, resp.Code/100, "%s %s: %s", method, path, resp.Body)
	if answer != nil {
		require.NoError(w, json.Unmarshal(resp.Body.Bytes(), answer))
	}
}

type object = map[string]any

// create makes a conversation and returns its id.
func (w *world) create(collection string, attributes object) string {
	w.Helper()
	var made struct {
		ID string `json:"objectId"`
	}
	w.call("POST", collection, attributes, &made)
	return made.ID
}

// sent is a message that was stored.
type sent struct {
	ID        string `json:"msg-id"`
	Timestamp int64  `json:"timestamp"`
}

func (w *world) send(collection, id string, message object) sent {
	w.Helper()
	var s sent
	w.call("POST", collection+"/"+id+"/messages", message, &s)
	return s
}

// fill makes conversations of every kind and n messages in them.
func (w *world) fill(conversations, n int) {
	w.Helper()
	var normal []string
	for i := range conversations {
		normal = append(normal, w.create("conversations", object{
			"name": fmt.Sprintf("talk %d", i), "m": []string{"Tom", fmt.Sprintf("client %d", i)}, "level": i,
		}))
	}
	room := w.create("chatrooms", object{"name": "world"})
	service := w.create("service-conversations", object{"name": "GM"})
	for i := range 120 {
		w.call("POST", "service-conversations/"+service+"/subscribers", object{"client_id": fmt.Sprintf("sub %03d", i)}, nil)
	}
	var newest atomic.Int64
	var sending sync.WaitGroup
	const senders = 4
	for k := range senders {
		sending.Go(func() {
			for i := k; i < n; i += senders {
				message := object{"from_client": "Tom", "message": fmt.Sprintf(`{"_lctype":-1,"_lctext":"message %d <&>"}`, i)}
				var s sent
				if i%10 == 9 {
					s = w.send("chatrooms", room, message)
				} else {
					s = w.send("conversations", normal[i%len(normal)], message)
				}
				for at := newest.Load(); s.Timestamp > at && !newest.CompareAndSwap(at, s.Timestamp); at = newest.Load() {
				}
			}
		})
	}
	sending.Wait()
	later(time.Until(time.UnixMilli(newest.Load()))) // many messages at once get ahead of time
	w.call("POST", "broadcasts", object{"from_client": "GM", "conv_id": service, "message": "to all"}, nil)
}

// dataFiles are the files of an export that do not depend on when it was made.
func dataFiles() []string {
	return []string{
		"conversations.jsonl", "details.jsonl", "subscribers.jsonl", "messages.jsonl", "unlisted.jsonl", "broadcasts.jsonl",
	}
}

// contents reads the files of an export.
func contents(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	found := make(map[string]string)
	for _, name := range dataFiles() {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(tb, err)
		found[name] = string(text)
	}
	return found
}

// sameFiles compares two exports byte by byte.
func sameFiles(tb testing.TB, want, got string) {
	tb.Helper()
	wanted, found := contents(tb, want), contents(tb, got)
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if wanted[name] != found[name] {
			require.Failf(tb, "the exports differ", "%s: %d and %d lines, %d and %d bytes", name,
				strings.Count(wanted[name], "\n"), strings.Count(found[name], "\n"), len(wanted[name]), len(found[name]))
		}
	}
}

// objects decodes the lines of a file.
func objects(tb testing.TB, dir, name string) []object {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(tb, err)
	var out []object
	for line := range strings.Lines(string(text)) {
		d := json.NewDecoder(strings.NewReader(line))
		d.UseNumber()
		var o object
		require.NoError(tb, d.Decode(&o))
		out = append(out, o)
	}
	return out
}

func run(tb testing.TB, o export.Options) *export.Manifest {
	tb.Helper()
	m, err := export.Run(context.Background(), o)
	require.NoError(tb, err)
	return m
}

func verify(tb testing.TB, o export.Options, sample int) *export.Report {
	tb.Helper()
	r, err := export.Verify(context.Background(), o, sample)
	require.NoError(tb, err)
	return r
}
