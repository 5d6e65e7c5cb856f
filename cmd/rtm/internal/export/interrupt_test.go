package export_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/admin"
	"github.com/leanrtm/realtime/cmd/rtm/internal/export"
)

// However often and wherever an export is interrupted, it ends as if it had not
// been.
func TestInterruptedAtRandomPoints(t *testing.T) {
	bubble(t, testInterruptedAtRandomPoints)
}

func testInterruptedAtRandomPoints(w *world) {
	t := w.T
	w.fill(30, 2000)
	whole := t.TempDir()
	o := w.options(whole)
	o.PageSize = 50
	first := run(t, o)
	require.EqualValues(t, 2001, first.Counts.Messages)
	requests := w.requests.Load()

	for _, every := range []time.Duration{-1, time.Hour} { // each unit is a commit, or only the interruption
		dir := t.TempDir()
		o.Dir, o.CommitEvery, o.Until = dir, every, first.Until
		interruptions := 0
		for {
			ctx, cancel := context.WithCancelCause(context.Background())
			cause := errors.New("pulled the plug")
			left := atomic.Int64{}
			left.Store(1 + rand.Int64N(requests/4))
			w.meddle = func(*http.Request) (*http.Response, error) {
				if left.Add(-1) == 0 {
					cancel(cause)
				}
				return nil, nil //nolint:nilnil // the server answers
			}
			m, err := export.Run(ctx, o)
			cancel(nil)
			if err == nil {
				assert.Equal(t, first.Counts, m.Counts)
				assert.Equal(t, first.Files, m.Files)
				break
			}
			require.ErrorIs(t, err, cause)
			require.ErrorIs(t, err, context.Canceled)
			interruptions++
			spoilTails(t, dir)
		}
		w.meddle = nil
		assert.Positive(t, interruptions)
		sameFiles(t, whole, dir)
		assert.NoFileExists(t, filepath.Join(dir, "checkpoint.json"))
	}
}

// spoilTails leaves behind what a process may that dies while it writes.
func spoilTails(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "checkpoint.json")); errors.Is(err, os.ErrNotExist) {
		return // it has not written anything
	}
	for _, name := range dataFiles() {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_APPEND, 0)
		require.NoError(t, err)
		_, err = f.WriteString(`{"a whole line": 1}` + "\n" + `{"and a par`)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
}

func TestDamagedFilesAreNoticed(t *testing.T) {
	bubble(t, testDamagedFilesAreNoticed)
}

func testDamagedFilesAreNoticed(w *world) {
	t := w.T
	w.fill(5, 200)
	for name, damage := range map[string]func(name string) error{
		"shorter": func(name string) error { return os.Truncate(name, 10) },
		"changed": func(name string) error {
			text, err := os.ReadFile(name)
			text[5] ^= 1
			return errors.Join(err, os.WriteFile(name, text, 0o600))
		},
	} {
		o := w.options(t.TempDir())
		o.PageSize = 20
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		o.Progress = func(p export.Progress) {
			if p.Stage == "messages" && p.Lines >= 60 {
				cancel()
			}
		}
		_, err := export.Run(ctx, o)
		require.ErrorIs(t, err, context.Canceled)
		require.NoError(t, damage(filepath.Join(o.Dir, "messages.jsonl")))
		o.Progress = nil
		_, err = export.Run(context.Background(), o)
		require.ErrorIs(t, err, export.ErrDamaged)
		assert.ErrorContains(t, err, "messages.jsonl", name)
	}
}

// What is no export is not overwritten.
func TestForeignFilesAreLeftAlone(t *testing.T) {
	bubble(t, func(w *world) {
		o := w.options(t.TempDir())
		name := filepath.Join(o.Dir, "messages.jsonl")
		require.NoError(t, os.WriteFile(name, []byte("dear diary\n"), 0o600))
		_, err := export.Run(context.Background(), o)
		require.ErrorIs(t, err, export.ErrOther)
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		assert.Equal(t, "dear diary\n", string(text))
	})
}

func TestTwoExportsInOneDirectory(t *testing.T) {
	bubble(t, testTwoExportsInOneDirectory)
}

func testTwoExportsInOneDirectory(w *world) {
	t := w.T
	w.fill(3, 10)
	o := w.options(t.TempDir())
	second := o
	busy := false
	o.Progress = func(export.Progress) {
		_, err := export.Run(context.Background(), second)
		assert.ErrorIs(t, err, export.ErrBusy)
		busy = true
	}
	run(t, o)
	assert.True(t, busy)
}

func TestExportOfSomethingElseIsNotContinued(t *testing.T) {
	bubble(t, testExportOfSomethingElseIsNotContinued)
}

func testExportOfSomethingElseIsNotContinued(w *world) {
	t := w.T
	w.fill(3, 10)
	o := w.options(t.TempDir())
	run(t, o)
	for name, change := range map[string]func(o *export.Options){
		"app":    func(o *export.Options) { o.AppID = "another" },
		"server": func(o *export.Options) { o.Server = "https://example.com" },
		"since":  func(o *export.Options) { o.Since = time.Now() },
	} {
		other := o
		change(&other)
		_, err := export.Run(context.Background(), other)
		assert.ErrorIs(t, err, export.ErrOther, name)
	}
}

// What a child process finds in its environment.
const (
	childURL = "RTM_EXPORT_TEST_URL"
	childDir = "RTM_EXPORT_TEST_DIR"
)

// child is an export in a process of its own.
func child() {
	url := os.Getenv(childURL)
	c, err := admin.New(admin.Options{AppID: appID, MasterKey: masterKey, Server: url})
	if err != nil {
		panic(err)
	}
	if _, err := export.Run(context.Background(), export.Options{
		Client: c, AppID: appID, Server: url, Dir: os.Getenv(childDir), PageSize: 20, CommitEvery: -1,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}); err != nil {
		panic(err)
	}
}

// A process that is killed in the middle loses nothing and repeats nothing.
func TestKilledAtRandomPoints(t *testing.T) {
	w := newWorld(t)
	w.fill(20, 1500)
	var left atomic.Int64
	var process atomic.Pointer[os.Process]
	web := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if p := process.Load(); p != nil && left.Add(-1) <= 0 {
			_ = p.Kill() // it may just have ended
		}
		w.server.ServeHTTP(rw, r)
	}))
	defer web.Close()

	dir := t.TempDir()
	kills := 0
	for {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childURL+"="+web.URL, childDir+"="+dir)
		left.Store(1 + rand.Int64N(60))
		if kills >= 12 {
			left.Store(1 << 30)
		}
		require.NoError(t, cmd.Start())
		process.Store(cmd.Process)
		err := cmd.Wait()
		process.Store(nil)
		if err == nil {
			break
		}
		require.Equal(t, -1, cmd.ProcessState.ExitCode(), "it was killed and did not fail: %v", err)
		kills++
	}
	assert.Positive(t, kills)

	m, err := export.ReadManifest(dir)
	require.NoError(t, err)
	require.EqualValues(t, 1501, m.Counts.Messages)
	whole := w.options(t.TempDir())
	whole.Until = m.Until
	run(t, whole)
	sameFiles(t, whole.Dir, dir)
	check := w.options(dir)
	check.Server = web.URL
	assert.True(t, verify(t, check, 50).OK)
}
