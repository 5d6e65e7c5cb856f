package npm_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leanrtm/realtime/internal/npm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// withNPM puts a script in the place of npm, and an empty directory in that of
// the user's cache.
func withNPM(t *testing.T, script string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("npm is played by a shell script")
	}
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "npm"), []byte("#!/bin/sh\n"+script), 0o755))
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	newCache(t)
}

func newCache(t *testing.T) {
	t.Helper()
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)
}

// packages asks for nothing in particular.
func packages(lock string) fs.FS {
	return fstest.MapFS{
		"package.json":      {Data: []byte("{}")},
		"package-lock.json": {Data: []byte(lock)},
	}
}

const installs = `mkdir node_modules && cp package.json package-lock.json node_modules && echo "$@" > node_modules/args
echo run >> "$HOME/runs"
`

func TestInstallRunsOnce(t *testing.T) {
	withNPM(t, installs)
	_, installed, err := npm.Directory(packages("one"))
	require.NoError(t, err)
	require.False(t, installed)
	dir, err := npm.Install(t.Context(), packages("one"))
	require.NoError(t, err)
	for name, want := range map[string]string{
		"package.json": "{}", "package-lock.json": "one", "args": "ci --ignore-scripts --no-audit --no-fund\n",
	} {
		data, err := os.ReadFile(filepath.Join(dir, "node_modules", name))
		require.NoError(t, err)
		require.Equal(t, want, string(data))
	}
	again, err := npm.Install(t.Context(), packages("one"))
	require.NoError(t, err)
	require.Equal(t, dir, again)
	other, err := npm.Install(t.Context(), packages("two"))
	require.NoError(t, err)
	require.NotEqual(t, dir, other, "another lock file, another installation")
	runs, err := os.ReadFile(filepath.Join(os.Getenv("HOME"), "runs"))
	require.NoError(t, err)
	require.Equal(t, "run\nrun\n", string(runs))
}

func TestInstallTogether(t *testing.T) {
	withNPM(t, installs)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			dir, err := npm.Install(t.Context(), packages("one"))
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := os.Stat(filepath.Join(dir, "node_modules", "args")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	requireTidy(t, "one", 1)
}

func TestInstallFails(t *testing.T) {
	withNPM(t, "echo no such package; exit 7\n")
	_, err := npm.Install(t.Context(), packages("one"))
	require.ErrorContains(t, err, "exit status 7")
	require.ErrorContains(t, err, "no such package")
	requireTidy(t, "one", 0)
}

func TestInstallCancelled(t *testing.T) {
	withNPM(t, "exec sleep 60\n")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := npm.Install(ctx, packages("one"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	requireTidy(t, "one", 0)
}

func TestInstallWithoutNPM(t *testing.T) {
	newCache(t)
	t.Setenv("PATH", t.TempDir())
	_, err := npm.Install(t.Context(), packages("one"))
	require.ErrorIs(t, err, npm.ErrMissing)
}

func TestInstallWithoutLock(t *testing.T) {
	_, err := npm.Install(t.Context(), fstest.MapFS{})
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// requireTidy checks that the cache has so many installations and nothing else.
func requireTidy(t *testing.T, lock string, want int) {
	t.Helper()
	dir, _, err := npm.Directory(packages(lock))
	require.NoError(t, err)
	entries, err := os.ReadDir(filepath.Dir(dir))
	require.NoError(t, err)
	require.Len(t, entries, want)
}

// The SDKs are fixed to the version, and wherever the lock file was made does
// not show in it.
func TestSDK(t *testing.T) {
	data, err := fs.ReadFile(npm.SDK(), "package.json")
	require.NoError(t, err)
	var manifest struct{ Dependencies map[string]string }
	require.NoError(t, json.Unmarshal(data, &manifest))
	require.Equal(t, map[string]string{
		"leancloud-realtime":                       "5.0.0-rc.8",
		"leancloud-realtime-4":                     "npm:leancloud-realtime@4.3.1",
		"leancloud-realtime-plugin-typed-messages": "4.0.2",
		"leancloud-storage":                        "4.15.2",
	}, manifest.Dependencies)
	lock, err := fs.ReadFile(npm.SDK(), "package-lock.json")
	require.NoError(t, err)
	require.NotContains(t, string(lock), `"resolved"`)
}
