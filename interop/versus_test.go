//go:build unix

package interop_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
	"github.com/leanrtm/realtime/server"
)

// versusRuns is how often TestVersus measures in earnest. As part of the other
// tests it only does a little work, so that it keeps working.
var versusRuns = flag.Int("versus", 0, "measure against the JavaScript SDK in so many interleaved runs")

// The app of the comparison, and what is said in it: with its envelope, a frame
// of about 200 bytes.
const (
	versusApp    = "versus"
	versusKey    = "versus-app-key"
	versusMaster = "versus-master-key"
	versusText   = "The quick brown fox jumps over the lazy dog."
)

// contest is one kind of work, and who does it.
type contest struct {
	name            string
	work            string // of the client process
	inFlight, count int
	sides           []string
}

// Sides of the comparison: the Go SDK, the two versions of the official SDK, and
// the plain way of a Go program without an SDK, a REST call per message. The
// bare side is no side but the floor: it exchanges frames of the same sizes over
// the WebSocket library of the Go SDK and does nothing else.
const (
	sideGo   = "go"
	sideGo1  = "go1" // with one thread for Go code, as Node.js has one for its own
	sideREST = "rest"
	sideBare = "bare"
)

func contests() []contest {
	all := append([]string{sideGo}, versions()...)
	return []contest{
		{"send, one at a time", "send", 1, 20_000, append(slices.Clone(all), sideGo1, sideREST, sideBare)},
		{"send, 64 in flight", "send", 64, 40_000, append(slices.Clone(all), sideREST, sideBare)},
		{"receive", "receive", 64, 40_000, all},
	}
}

// figures are what one process reports.
type figures struct {
	Count   int     `json:"count"`
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu"`
	Ready   bool    `json:"ready"`
}

// TestVersus has the Go SDK, the official JavaScript SDK and plain REST calls do
// the same work against the same server, each in a process of its own, and tells
// ratios:
//
//	go test ./interop -run '^TestVersus$' -v -versus 8
func TestVersus(t *testing.T) {
	if *versusRuns == 0 {
		t.Parallel() // nothing is measured
	}
	nodePath := node(t)
	dir := install(t)
	v := newVersus(t, nodePath, dir)
	runs, warmup := *versusRuns, 4000
	if runs == 0 {
		runs, warmup = 1, 8
	}
	for _, c := range contests() {
		if *versusRuns == 0 {
			c.count = 100
			if underRace {
				c.sides = c.sides[:2] // the others are at work in other runs, and each takes seconds
			}
		}
		t.Run(c.name, func(t *testing.T) {
			results := make(map[string][]figures)
			for run := range runs {
				for i := range c.sides { // in another order each time
					side := c.sides[(i+run)%len(c.sides)]
					f := v.run(t, &c, side, warmup)
					if f.Count != c.count || f.Seconds <= 0 || f.CPU < 0 {
						t.Fatalf("%s reports %+v", side, f)
					}
					results[side] = append(results[side], f)
				}
			}
			if *versusRuns > 0 {
				report(t, &c, results)
			}
		})
	}
}

// report prints how often as much the Go SDK does, as medians of the runs.
func report(t *testing.T, c *contest, results map[string][]figures) {
	perSecond := func(f figures) float64 { return float64(f.Count) / f.Seconds }
	perCPU := func(f figures) float64 { return float64(f.Count) / f.CPU }
	for _, side := range c.sides[1:] {
		var speed, cost []float64
		for i, f := range results[side] {
			own := results[sideGo][i]
			speed = append(speed, perSecond(own)/perSecond(f))
			cost = append(cost, perCPU(own)/perCPU(f))
		}
		slices.Sort(speed)
		slices.Sort(cost)
		t.Logf("%-20s against %-4s: %5.1f × messages per second (%.1f to %.1f), %5.1f × messages per CPU second (%.1f to %.1f)",
			c.name, side, median(speed), speed[0], speed[len(speed)-1], median(cost), cost[0], cost[len(cost)-1])
	}
}

// median needs sorted values.
func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// versus is the server of the comparison and who talks to the receivers.
type versus struct {
	url, tlsURL  string
	echoURL      string // what the bare side talks to
	node, dir    string
	conv         *realtime.Conversation // of the receiver
	conversation string                 // of the sender, who is alone in it but for somebody absent
}

func newVersus(t *testing.T, nodePath, dir string) *versus {
	t.Helper()
	core, err := server.New(server.Options{
		Apps: []server.App{{ID: versusApp, Key: versusKey, MasterKey: versusMaster}},
		// Nobody is cut off for being slow.
		QueueFrames: 1 << 20, QueueBytes: 1 << 28,
	})
	if err != nil {
		t.Fatal(err)
	}
	echo := newEcho(t)
	plain, secure := httptest.NewServer(core), httptest.NewTLSServer(core)
	rt, err := realtime.New(realtime.Options{AppID: versusApp, AppKey: versusKey, Server: plain.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = rt.Close(context.Background())
		_ = core.Close()
		plain.Close()
		secure.Close()
	})
	v := &versus{url: plain.URL, tlsURL: secure.URL, echoURL: echo, node: nodePath, dir: dir}
	parent, err := rt.CreateIMClient(t.Context(), "parent")
	if err != nil {
		t.Fatal(err)
	}
	if v.conv, err = parent.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"receiver"}}); err != nil {
		t.Fatal(err)
	}
	// The parent is not in this one, so that sending is all that is to do.
	master, err := admin.New(admin.Options{AppID: versusApp, MasterKey: versusMaster, Server: plain.URL})
	if err != nil {
		t.Fatal(err)
	}
	own, err := master.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"sender", "absent"}})
	if err != nil {
		t.Fatal(err)
	}
	v.conversation = own.ID()
	return v
}

// run has one side do the work in a process of its own.
func (v *versus) run(t *testing.T, c *contest, side string, warmup int) figures {
	t.Helper()
	args := []string{side, c.work, v.conversation, strconv.Itoa(c.count), strconv.Itoa(warmup), strconv.Itoa(c.inFlight)}
	var process *exec.Cmd
	if slices.Contains(versions(), side) {
		process = exec.CommandContext(t.Context(), v.node, append([]string{"versus.js"}, args...)...)
		process.Dir = v.dir
	} else {
		process = exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestVersusProcess$")
	}
	process.Env = append(os.Environ(), versusProcess+"="+strings.Join(args, " "), "RTM_TEXT="+versusText,
		"RTM_APP_ID="+versusApp, "RTM_APP_KEY="+versusKey, "RTM_MASTER_KEY="+versusMaster,
		"RTM_SERVER="+v.url, "RTM_SOCKET=ws"+strings.TrimPrefix(v.url, "http"), "RTM_TLS_SERVER="+v.tlsURL, "RTM_ECHO="+v.echoURL,
		"NODE_TLS_REJECT_UNAUTHORIZED=0", "NODE_NO_WARNINGS=1", "NODE_ENV=production")
	if side == sideGo1 {
		process.Env = append(process.Env, "GOMAXPROCS=1")
	}
	var stderr, other bytes.Buffer
	process.Stderr = &stderr
	stdout, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	var result figures
	var telling sync.WaitGroup
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		var f figures
		switch err := json.Unmarshal(lines.Bytes(), &f); {
		case err != nil: // what the testing package says in a process of its own
			fmt.Fprintln(&other, lines.Text())
		case f.Ready && c.work == "receive":
			telling.Go(func() { v.tell(t, warmup+c.count, c.inFlight) })
		case !f.Ready:
			result = f
		}
	}
	err = process.Wait()
	telling.Wait()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", side, c.work, err, &other, &stderr)
	}
	return result
}

// tell sends messages to the receiver.
func (v *versus) tell(t *testing.T, n, inFlight int) {
	if err := many(n, inFlight, func() error {
		_, err := v.conv.Send(t.Context(), realtime.NewTextMessage(versusText))
		return err
	}); err != nil {
		t.Errorf("send to the receiver: %v", err)
	}
}

// many calls do n times, so many at a time, and returns the first error.
func many(n, inFlight int, do func() error) error {
	var begun atomic.Int64
	var failed error
	var once sync.Once
	var workers sync.WaitGroup
	for range inFlight {
		workers.Go(func() {
			for begun.Add(1) <= int64(n) {
				if err := do(); err != nil {
					once.Do(func() { failed = err })
					return
				}
			}
		})
	}
	workers.Wait()
	if failed != nil {
		return fmt.Errorf("one of %d: %w", n, failed)
	}
	return nil
}
