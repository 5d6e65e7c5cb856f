package interop_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
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

// install copies the scripts next to the installed packages, which it installs
// when this lock file has not been installed before, and returns the directory.
func install(t *testing.T) string {
	t.Helper()
	lock, err := os.ReadFile("js/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(lock)
	packages := filepath.Join(cache, "leanrtm-interop", hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(filepath.Join(packages, "installed")); err != nil {
		if err := installInto(t, packages); err != nil {
			unavailable(t, "install the JavaScript packages: %v", err)
		}
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

// installInto installs into a directory of its own and renames it into place,
// so that two test runs at a time cannot see half an installation.
func installInto(t *testing.T, packages string) error {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(packages), 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(packages), "install-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	for _, name := range []string{"package.json", "package-lock.json"} {
		data, err := os.ReadFile(filepath.Join("js", name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(work, name), data, 0o600); err != nil {
			return err
		}
	}
	npm := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = work
	if output, err := npm.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, output)
	}
	if err := os.WriteFile(filepath.Join(work, "installed"), nil, 0o600); err != nil {
		return err
	}
	if err := os.Rename(work, packages); err != nil {
		if _, statErr := os.Stat(filepath.Join(packages, "installed")); statErr == nil {
			return nil // another run was first
		}
		return err
	}
	return nil
}
