//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// grace is how long a program may take to end after it was asked to, before it is
// killed.
const grace = 5 * time.Second

// start runs a program in a process group of its own until the test ends, or ctx
// if that is earlier. wait returns when all of the group has ended, which is when
// nobody holds the group's standard error any more. Whatever the program is, and
// however the test ends, nothing of it is left.
func start(ctx context.Context, t *testing.T, stderr io.Writer, dir, name string, args, env []string) (stdout io.Reader, wait func() error) {
	t.Helper()
	ctx, kill := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = grace // should a process have left the group
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	wait = sync.OnceValue(cmd.Wait)
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
		timer := time.AfterFunc(grace, kill)
		if err := wait(); errors.Is(err, exec.ErrWaitDelay) {
			t.Errorf("%s left a process behind", name)
		}
		timer.Stop()
		kill()
	})
	return stdout, wait
}

// browserFlags let Chromium run as root, without a screen, and without a word to
// anybody but our server.
func browserFlags(profile string) []string {
	return []string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-breakpad", "--user-data-dir=" + profile, "--remote-debugging-port=0", "about:blank",
	}
}

// startBrowser returns the address of the DevTools of a browser that runs until
// the test ends.
func startBrowser(t *testing.T, program string) string {
	t.Helper()
	profile := t.TempDir()
	output := &watched{pattern: regexp.MustCompile(`DevTools listening on (ws://\S+)`), found: make(chan string, 1)}
	start(context.Background(), t, output, profile, program, browserFlags(profile),
		[]string{"XDG_CONFIG_HOME=" + profile, "XDG_CACHE_HOME=" + profile, "TMPDIR=" + profile})
	select {
	case url := <-output.found:
		return url
	case <-time.After(patience):
		t.Fatalf("the browser did not start:\n%s", output.String())
		return ""
	}
}

// watched keeps what is written to it, and tells the first match of a pattern.
type watched struct {
	pattern *regexp.Regexp
	found   chan string // gets the pattern's group, once

	mu   sync.Mutex
	told bool
	buf  bytes.Buffer
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(p)
	if m := w.pattern.FindSubmatch(w.buf.Bytes()); m != nil && !w.told {
		w.told = true
		w.found <- string(m[1])
	}
	return len(p), nil
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}
