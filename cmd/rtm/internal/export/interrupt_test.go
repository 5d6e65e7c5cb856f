package export_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
