package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// moderator answers hooks: it drops what shouts.
type moderator struct {
	mu     sync.Mutex
	calls  []string
	broken bool
	keys   map[string]bool
}

func (m *moderator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, r.URL.Path)
	m.keys[r.Header.Get(headerHookKey)] = true
	if m.broken {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	var params struct{ Content string }
	if json.Unmarshal(body, &params) == nil && strings.Contains(params.Content, "!!!") {
		_, _ = io.WriteString(w, `{"drop":true,"code":9,"detail":"do not shout"}`)
		return
	}
	_, _ = io.WriteString(w, `{}`)
}

func (m *moderator) took() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	calls := m.calls
	m.calls = nil
	return calls
}

func TestServeHooks(t *testing.T) {
	m := &moderator{keys: map[string]bool{}}
	web := httptest.NewServer(m)
	defer web.Close()
	serve := func(args ...string) (url string) {
		t.Helper()
		variables := map[string]string{"RTM_HOOK_KEY": "sesame", "RTM_HOOKS": web.URL + "/hooks/"}
		for key, value := range keys {
			variables[key] = value
		}
		p := start(t, variables, append([]string{"serve"}, args...)...)
		return p.err.waitFor(t, `msg=ready url=(\S+)`)[1]
	}
	send := func(url, text string) (int, string) {
		t.Helper()
		p := start(t, with("RTM_SERVER", url), "send", "--as", "Tom", "--with", "Jerry", text)
		return p.exitCode(), p.err.String()
	}
	only := serve("--hook", "_messageReceived")
	code, _ := send(only, "hello")
	assert.Equal(t, exitOK, code)
	code, says := send(only, "HELLO!!!")
	assert.Equal(t, exitRefused, code)
	assert.Contains(t, says, "do not shout")
	assert.Equal(t, []string{"/hooks/_messageReceived", "/hooks/_messageReceived"}, m.took())
	assert.Equal(t, map[string]bool{"sesame": true}, m.keys)

	m.mu.Lock()
	m.broken = true
	m.mu.Unlock()
	code, _ = send(only, "nobody decides")
	assert.Equal(t, exitOK, code)
	code, says = send(serve("--hook", "_messageReceived", "--hooks-must-answer"), "nobody decides")
	assert.Equal(t, exitRefused, code)
	assert.NotContains(t, says, "sesame")
}

func TestServeMistakes(t *testing.T) {
	for args, says := range map[string]string{
		"--hook _messageReceived":                         "need --hooks",
		"--hooks-must-answer":                             "need --hooks",
		"--hooks ftp://x":                                 "http",
		"--hooks http://x --hook _messageRecieved":        "_messageRecieved",
		"--hooks http://x --hook-timeout 0s":              "must be positive",
		"--service-hook nowhere":                          "http",
		"--verify everything":                             "--verify takes blacklist, conversation, history, login",
		"--without limits":                                "--without takes blacklist, edit, recall, roles",
		"--max-frame 5":                                   "MaxFrame is 5",
		"--origins x/y":                                   "Origins",
		"--token-key short":                               "TokenKey",
		"--grace -1s":                                     "must not be negative",
		"--hooks http://x --hook _messageSent --listen x": "listen on x",
	} {
		p := start(t, keys, append([]string{"serve"}, strings.Fields(args)...)...)
		code := p.exitCode()
		assert.NotEqual(t, exitOK, code, args)
		assert.Contains(t, p.err.String(), says, args)
	}
}

// Uploaded files outlive the server if it has a directory for them.
func TestServeFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "files")
	p := start(t, keys, "serve", "--files", dir)
	p.err.waitFor(t, "msg=ready")
	require.DirExists(t, dir)
}

// What a configuration file says of one way to use a command does not spoil the
// others.
func TestHabits(t *testing.T) {
	_, url := startServer(t)
	variables := with("RTM_SERVER", url, "RTM_CONFIG", filepath.Join(writeConfig(t, `{"tail":{"history":3}}`, 0o600), configDir, configName))
	p := start(t, variables, "tail", "--as", "Tom")
	p.shows("listening")
	p = start(t, variables, "tail", "--as", "Tom", "--history", "3")
	assert.Equal(t, exitUsage, p.exitCode())
}
