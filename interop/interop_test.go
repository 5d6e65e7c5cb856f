package interop_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leanrtm/realtime/realtimetest"
)

// versions are the versions of the official SDK, by the name that the scripts
// know them by.
var versions = []string{"rc8", "v4"}

func TestInterop(t *testing.T) {
	nodePath := node(t)
	dir := install(t)
	files, err := filepath.Glob("js/cases/*.js")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, version := range versions {
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".js")
			t.Run(version+"/"+name, func(t *testing.T) {
				t.Parallel()
				runCases(t, nodePath, dir, version, filepath.Join("cases", filepath.Base(file)))
			})
		}
	}
}

// line is one line that the scripts print: the result of a case or a call to
// the Go side.
type line struct {
	Case   string          `json:"case"`
	MS     int             `json:"ms"`
	Error  string          `json:"error"`
	Call   int             `json:"call"`
	Method string          `json:"method"`
	Args   json.RawMessage `json:"args"`
}

func runCases(t *testing.T, nodePath, dir, version, file string) {
	srv := realtimetest.NewServer(t)
	plain := httptest.NewServer(srv.Handler())
	defer plain.Close()
	secure := httptest.NewTLSServer(srv.Handler())
	defer secure.Close()

	script := exec.CommandContext(t.Context(), nodePath, "run.js", version, file)
	script.Dir = dir
	script.Env = append(os.Environ(),
		"RTM_APP_ID="+srv.AppID, "RTM_APP_KEY="+srv.AppKey, "RTM_MASTER_KEY="+srv.MasterKey,
		"RTM_SERVER="+plain.URL, "RTM_SOCKET=ws"+strings.TrimPrefix(plain.URL, "http"), "RTM_TLS_SERVER="+secure.URL,
		// The certificate of the TLS listener is the test's own.
		"NODE_TLS_REJECT_UNAUTHORIZED=0", "NODE_NO_WARNINGS=1")
	var stderr bytes.Buffer
	script.Stderr = &stderr
	stdin, err := script.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := script.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := script.Start(); err != nil {
		t.Fatal(err)
	}
	bridge := newBridge(t, srv, plain.URL)
	defer bridge.close()
	cases := follow(t, stdout, stdin, bridge)
	err = script.Wait()
	if cases == 0 {
		t.Errorf("no case ran: %v\n%s", err, stderr.String())
	}
	if t.Failed() && stderr.Len() > 0 {
		t.Logf("standard error of the scripts:\n%s", stderr.String())
	}
	if err != nil && !t.Failed() {
		t.Errorf("the scripts ended with %v\n%s", err, stderr.String())
	}
}

// follow reports every case as a subtest and answers the calls between them.
func follow(t *testing.T, stdout io.Reader, stdin io.Writer, b *bridge) (cases int) {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	answers := json.NewEncoder(stdin)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Errorf("the scripts printed %q", lines.Text())
			continue
		}
		if l.Call == 0 {
			cases++
			t.Run(l.Case, func(t *testing.T) {
				t.Logf("took %v in JavaScript", time.Duration(l.MS)*time.Millisecond)
				if l.Error != "" {
					t.Error(l.Error)
				}
			})
			continue
		}
		answer := map[string]any{"id": l.Call}
		if result, err := b.do(t.Context(), l.Method, l.Args); err != nil {
			answer["error"] = err.Error()
		} else {
			answer["result"] = result
		}
		if err := answers.Encode(answer); err != nil {
			t.Errorf("answer the scripts: %v", err)
		}
	}
	if err := lines.Err(); err != nil {
		t.Errorf("read the scripts: %v", err)
	}
	return cases
}
