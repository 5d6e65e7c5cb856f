package main

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fetch gets a page and leaves no connection behind.
func fetch(t *testing.T, url string) (status int, body string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	res, err := client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(b)
}

func TestServeMetrics(t *testing.T) {
	p := start(t, with("RTM_LISTEN", "127.0.0.1:0"), "serve", "--metrics", "127.0.0.1:0")
	at := p.err.waitFor(t, `msg=metrics url=(\S+)`)[1]
	url := p.err.waitFor(t, `msg=ready url=(\S+)`)[1]
	do(t, with("RTM_SERVER", url), "send", "--as", "Tom", "--with", "Jerry", "hello")

	status, body := fetch(t, at)
	require.Equal(t, http.StatusOK, status)
	for _, line := range []string{
		"# TYPE rtm_messages_total counter", "rtm_messages_total 1", "rtm_logins_total 1",
		`rtm_commands_total{command="direct"} 1`, `rtm_command_duration_seconds_count{command="conv/start"} 1`,
	} {
		assert.Contains(t, body, line+"\n")
	}
	status, _ = fetch(t, url+"/metrics")
	assert.Equal(t, http.StatusNotFound, status, "not where clients are")

	p.interrupt()
	assert.Equal(t, exitOK, p.exitCode())
}

func TestServeMetricsOnATakenAddress(t *testing.T) {
	_, url := startServer(t)
	p := start(t, with("RTM_LISTEN", "127.0.0.1:0"), "serve", "--metrics", url[len("http://"):])
	assert.NotEqual(t, exitOK, p.exitCode())
	p.err.waitFor(t, "listen on")
}
