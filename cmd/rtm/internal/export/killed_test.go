package export_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/admin"
	"github.com/leanrtm/realtime/cmd/rtm/internal/export"
)

// What a child process finds in its environment.
const (
	childURL   = "RTM_EXPORT_TEST_URL"
	childDir   = "RTM_EXPORT_TEST_DIR"
	childEvery = "RTM_EXPORT_TEST_COMMIT" // how often it commits
)

// child is an export in a process of its own.
func child() {
	url := os.Getenv(childURL)
	every, err := time.ParseDuration(os.Getenv(childEvery))
	if err != nil {
		panic(err)
	}
	c, err := admin.New(admin.Options{AppID: appID, MasterKey: masterKey, Server: url})
	if err != nil {
		panic(err)
	}
	if _, err := export.Run(context.Background(), export.Options{
		Client: c, AppID: appID, Server: url, Dir: os.Getenv(childDir), PageSize: 500, CommitEvery: every,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}); err != nil {
		panic(err)
	}
}

// unruly is the server of an export that is killed and refused again and again.
type unruly struct {
	server  http.Handler
	process atomic.Pointer[os.Process] // to kill
	left    atomic.Int64               // requests until then

	requests, quota, failures atomic.Int64
}

// Every so many requests are refused. The numbers have no common divisor, so all
// kinds of requests are met.
const (
	everyQuota   = 89
	everyFailure = 67
)

func (u *unruly) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p := u.process.Load(); p != nil && u.left.Add(-1) <= 0 {
		_ = p.Kill() // it may just have ended
	}
	switch n := u.requests.Add(1); {
	case n%everyQuota == 0:
		u.quota.Add(1)
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	case n%everyFailure == 0:
		w.WriteHeader([]int{http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable}[u.failures.Add(1)%3])
	default:
		u.server.ServeHTTP(w, r)
	}
}

// An app with a hundred thousand messages, an export in a process that is killed
// in the middle of anything, and a server that refuses time and again: nothing is
// lost, and nothing is there twice.
func TestAHundredThousandMessagesAndKills(t *testing.T) {
	n := 100_000
	if testing.Short() || raceEnabled {
		n = 5_000
	}
	w := newWorld(t)
	w.fill(40, n)
	u := &unruly{server: w.server}
	web := httptest.NewServer(u)
	defer web.Close()

	dir := t.TempDir()
	kills := 0
	for {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		// Commits of every unit would take most of the time: disks are slow.
		every := "100ms"
		if kills%2 == 0 {
			every = "-1ns"
		}
		u.left.Store(1 + rand.Int64N(100))
		if kills >= 10 {
			every = "100ms"
			u.left.Store(1 << 30)
		}
		cmd.Env = append(os.Environ(), childURL+"="+web.URL, childDir+"="+dir, childEvery+"="+every)
		require.NoError(t, cmd.Start())
		u.process.Store(cmd.Process)
		err := cmd.Wait()
		u.process.Store(nil)
		if err == nil {
			break
		}
		require.Equal(t, -1, cmd.ProcessState.ExitCode(), "it was killed and did not fail: %v", err)
		kills++
	}
	t.Log(kills, "kills", u.requests.Load(), "requests", u.quota.Load(), "over quota", u.failures.Load(), "failed")
	assert.Positive(t, kills)
	assert.Positive(t, u.quota.Load())
	assert.Positive(t, u.failures.Load())

	m, err := export.ReadManifest(dir)
	require.NoError(t, err)
	require.EqualValues(t, n+1, m.Counts.Messages)
	seen := make(map[string]bool, n)
	for _, o := range objects(t, dir, "messages.jsonl") {
		seen[o["msg-id"].(string)] = true
	}
	require.Len(t, seen, n+1)

	// It is the same as one that nothing has happened to.
	whole := w.options(t.TempDir())
	whole.Until = m.Until
	run(t, whole)
	sameFiles(t, whole.Dir, dir)
	r := verify(t, whole, 200)
	assert.True(t, r.OK, "%+v", r)
	assert.Equal(t, m.Counts.Messages, r.Source.Messages)
}
