package interop_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/leanrtm/realtime/internal/npm"
)

// node returns the path of Node.js.
func node(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("node")
	if err == nil {
		_, err = exec.LookPath("npm")
	}
	if err != nil {
		unavailable(t, "the interop tests need Node.js: %v", err)
	}
	return path
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

// install copies the scripts next to the installed packages and returns the
// directory.
func install(t *testing.T) string {
	t.Helper()
	packages, err := npm.Install(t.Context(), npm.SDK())
	if err != nil {
		unavailable(t, "install the JavaScript packages: %v", err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("js")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(packages, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return dir
}
