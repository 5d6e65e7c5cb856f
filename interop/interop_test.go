package interop_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// onlyCases is the variable with a regular expression of the cases to run.
const onlyCases = "RTM_CASE"

// goOnly is the variable that leaves out, of the cases that run in every
// direction, those in which both sides are JavaScript. It is set under the race
// detector, to which these show only what the server does in the others too, and
// which makes the rest slow enough.
const goOnly = "RTM_GO_ONLY"

// versions are the versions of the official SDK, by the name that the scripts
// know them by.
func versions() []string { return []string{"rc8", "v4"} }

func TestInterop(t *testing.T) {
	t.Parallel()
	nodePath := node(t)
	dir := install(t)
	files, err := filepath.Glob("js/cases/*.js")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	results := &results{}
	for i, file := range files {
		files[i] = filepath.Join("cases", filepath.Base(file))
	}
	t.Run("cases", func(t *testing.T) {
		for _, version := range versions() {
			t.Run(version, func(t *testing.T) {
				t.Parallel()
				results.add(version, runScript(t, nodePath, dir, append([]string{"run.js", version}, files...)...))
			})
		}
	})
	checkCompatibility(t, results, len(versions()))
}

// results are what the cases have told, for the table of compatibility.
type results struct {
	mu      sync.Mutex
	scripts int
	cases   map[string][]line // by version
}

func (r *results) add(version string, cases []line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cases == nil {
		r.cases = make(map[string][]line)
	}
	r.scripts++
	r.cases[version] = append(r.cases[version], cases...)
}

// line is one line that the scripts print: the result of a case or a call to
// the Go side.
type line struct {
	Case       string          `json:"case"`
	Capability string          `json:"capability"`
	Way        string          `json:"way"`
	MS         int             `json:"ms"`
	Error      string          `json:"error"`
	Lacks      string          `json:"lacks"`
	Call       int             `json:"call"`
	Method     string          `json:"method"`
	Args       json.RawMessage `json:"args"`
}

// runScript runs a script with a server of its own and reports its cases as
// subtests.
func runScript(t *testing.T, nodePath, dir string, args ...string) []line {
	b := newBridge(t, nil)
	defer b.close()
	cases := b.run(nodePath, dir, args...)
	if len(cases) == 0 && os.Getenv(onlyCases) == "" {
		t.Error("no case ran")
	}
	return cases
}

// run runs a script to its end.
func (b *bridge) run(nodePath, dir string, args ...string) []line {
	t := b.t
	script := exec.CommandContext(t.Context(), nodePath, args...)
	script.Dir = dir
	script.Env = append(os.Environ(), b.servers[mainServer].environment()...)
	if underRace {
		script.Env = append(script.Env, goOnly+"=1")
	}
	// The certificate of the TLS listeners is the test's own.
	script.Env = append(script.Env, "NODE_TLS_REJECT_UNAUTHORIZED=0", "NODE_NO_WARNINGS=1")
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
	b.answers = json.NewEncoder(stdin)
	cases := follow(t, stdout, b)
	if err := script.Wait(); err != nil {
		t.Errorf("the script ended with %v", err)
	}
	if t.Failed() {
		t.Logf("standard error of the script:\n%s", stderr.String())
	}
	return cases
}

// follow reports every case as a subtest and answers the calls between them.
func follow(t *testing.T, stdout io.Reader, b *bridge) (cases []line) {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Errorf("the script printed %q", lines.Text())
			continue
		}
		if l.Call != 0 {
			b.answer(l)
			continue
		}
		cases = append(cases, l)
		t.Run(l.Capability+": "+l.Case, func(t *testing.T) {
			t.Logf("took %v in JavaScript", time.Duration(l.MS)*time.Millisecond)
			if l.Lacks != "" {
				t.Logf("not with this version: %s", l.Lacks)
			}
			if l.Error != "" {
				t.Error(l.Error)
			}
		})
	}
	if err := lines.Err(); err != nil {
		t.Errorf("read the script: %v", err)
	}
	return cases
}
