package main

import (
	"bytes"
	"encoding/csv"
	"image/png"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// calm gives a bench on a busy machine all the time that a test has.
var calm = map[string]string{"RTM_PATIENCE": patience.String()}

// Every kind of work runs against a server of its own, and all is well.
func TestBench(t *testing.T) {
	for args, says := range map[string]string{
		"send --count 50 --senders 2 --in-flight 1,3":                   `(?s)2 senders, 1 in flight.* acknowledged +50 .*2 senders, 3 in flight`,
		"send --count 50 --receivers 3":                                 `(?s) delivered +150 .*checked: 150 as they`,
		"fanout --count 10 --receivers 5 --kind room --connections 2":   `(?s)5 receivers, 2 connections, 200 bytes, kind room.* delivered +50 .*per million delivered`,
		"broadcast --count 5 --receivers 4 --subscribers 3":             ` complete +5 `,
		"broadcast --count 5 --receivers 4 --all --in-flight 2":         ` delivered +20 `,
		"login --clients 20 --connections 2":                            ` logins +20 `,
		"reconnect --clients 20 --connections 2 --rounds 2":             ` reconnects +40 `,
		"history --messages 50 --page 20 --in-flight 2":                 ` messages +100 `,
		"query --conversations 20 --count 30":                           ` queries +30 `,
		"send --rate 500 --duration 200ms --size 64 --patience 20s":     `64 bytes, kind normal, 500 per second`,
		"send --in-process --server http://127.0.0.1:1 --count 10 -v=0": `a server in this process, \d+ processors`,
	} {
		t.Run(args, func(t *testing.T) {
			p := start(t, calm, append([]string{"bench"}, strings.Fields(args)...)...)
			require.Equal(t, exitOK, p.exitCode(), p.err)
			assert.Regexp(t, says, p.out.String())
			assert.Contains(t, p.out.String(), "none lost, none doubled, none out of order, none failed")
			assert.Contains(t, p.out.String(), "this process, server included: ")
			assert.Empty(t, p.err.String(), "progress is for terminals")
		})
	}
}

// What is created on somebody else's server is deleted with the master key.
func TestBenchOfAServer(t *testing.T) {
	_, url := startServer(t)
	server := with("RTM_PATIENCE", patience.String(), "RTM_SERVER", url)
	out := do(t, server, "bench", "fanout", "--count", "10", "--receivers", "3")
	assert.Contains(t, out, "fanout: "+url)
	assert.Contains(t, out, "\nthis process: ")
	assert.Empty(t, do(t, server, "conv", "list"))

	do(t, with("RTM_PATIENCE", patience.String(), "RTM_SERVER", url, "RTM_MASTER_KEY", ""), "bench", "send", "--count", "10")
	assert.Contains(t, do(t, server, "conv", "list"), "rtm bench", "without it, it stays")
}

func TestBenchJSON(t *testing.T) {
	out := decode(t, do(t, calm, "bench", "fanout", "--json", "--count", "10", "--receivers", "2,3"))[0]
	assert.Equal(t, "fanout", out["work"])
	assert.Equal(t, true, out["in_process"])
	assert.Equal(t, false, out["interrupted"])
	assert.NotContains(t, out, "server", "which is gone")
	runs := out["runs"].([]any)
	require.Len(t, runs, 2)
	run := runs[1].(map[string]any)
	assert.EqualValues(t, 3, run["settings"].(map[string]any)["receivers"])
	measures := run["measures"].([]any)
	require.Len(t, measures, 3)
	delivered := measures[1].(map[string]any)
	assert.Equal(t, "delivered", delivered["name"])
	assert.EqualValues(t, 30, delivered["count"])
	latency := delivered["latency_us"].(map[string]any)
	last := 0.
	for _, p := range []string{"p50", "p90", "p99", "p99.9", "max"} {
		require.Contains(t, latency, p)
		assert.GreaterOrEqual(t, latency[p], last, p)
		last = latency[p].(float64)
	}
	assert.Positive(t, last)
	assert.Positive(t, run["process"].(map[string]any)["allocations_each"])
	assert.EqualValues(t, 30, run["check"].(map[string]any)["received"])
}

func TestBenchCSV(t *testing.T) {
	out := do(t, calm, "bench", "send", "--csv", "--count", "20", "--in-flight", "1,2", "--receivers", "1")
	lines, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	require.NoError(t, err)
	require.Len(t, lines, 1+2*2, "two measures of two runs")
	column := func(line int, name string) string {
		for i, n := range lines[0] {
			if n == name {
				return lines[line][i]
			}
		}
		require.Fail(t, "there is no column "+name)
		return ""
	}
	for i, want := range []struct{ inFlight, measure string }{{"1", "acknowledged"}, {"1", "delivered"}, {"2", "acknowledged"}, {"2", "delivered"}} {
		assert.Equal(t, "send", column(i+1, "work"))
		assert.Equal(t, want.inFlight, column(i+1, "in_flight"))
		assert.Equal(t, want.measure, column(i+1, "measure"))
		assert.Equal(t, "20", column(i+1, "count"))
		assert.Equal(t, "0", column(i+1, "lost"))
		for _, name := range []string{"per_second", "p50_us", "p99.9_us", "max_us", "allocations_each"} {
			n, err := strconv.ParseFloat(column(i+1, name), 64)
			require.NoError(t, err, name)
			assert.Positive(t, n, name)
		}
	}
}

func TestBenchChart(t *testing.T) {
	name := filepath.Join(t.TempDir(), "chart.png")
	do(t, calm, "bench", "send", "--count", "20", "--chart", name)
	picture, err := os.ReadFile(name)
	require.NoError(t, err)
	_, err = png.Decode(bytes.NewReader(picture))
	require.NoError(t, err)

	p := start(t, calm, "bench", "send", "--count", "20", "--chart", filepath.Join(t.TempDir(), "no", "such.svg"))
	assert.Equal(t, exitFailure, p.exitCode())
	assert.Contains(t, p.err.String(), "--chart")
	assert.Empty(t, p.out.String(), "it is told before the work")
}

// An interrupt ends the measuring, and what there is is printed and drawn.
func TestBenchInterrupted(t *testing.T) {
	server, url := startServer(t)
	name := filepath.Join(t.TempDir(), "chart.svg")
	p := start(t, with("RTM_PATIENCE", patience.String(), "RTM_SERVER", url), "bench", "send", "--duration", "1h", "--receivers", "1", "--chart", name, "--verbose")
	p.err.waitFor(t, "cmd=direct|direct") // it has begun to send
	p.interrupt()
	assert.Equal(t, exitInterrupted, p.exitCode())
	assert.Regexp(t, `(?m)^ +acknowledged +\d+ `, p.out.String())
	assert.Contains(t, p.out.String(), "interrupted: the last run is not complete")
	assert.Contains(t, p.out.String(), "none lost, none doubled")
	picture, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Contains(t, string(picture), "rtm bench send")
	server.interrupt()
	assert.Equal(t, exitOK, server.exitCode(), "nobody is left")
}

func TestBenchFailures(t *testing.T) {
	_, url := startServer(t)
	nobody := start(t, with("RTM_SERVER", "http://127.0.0.1:1"), "bench", "send")
	assert.Equal(t, exitUnreachable, nobody.exitCode(), nobody.err)
	assert.Contains(t, nobody.err.String(), "bench send: log in to http://127.0.0.1:1 as bench-")

	refused := start(t, with("RTM_PATIENCE", patience.String(), "RTM_SERVER", url, "RTM_MASTER_KEY", "wrong-key"), "bench", "broadcast")
	assert.Equal(t, exitRefused, refused.exitCode(), refused.err)

	// Messages that the server refuses: they fail, and it says so.
	large := start(t, with("RTM_PATIENCE", patience.String(), "RTM_SERVER", url), "bench", "send", "--count", "5", "--size", "6000")
	assert.Equal(t, exitIncomplete, large.exitCode(), large.err)
	assert.Contains(t, large.out.String(), "5 failed")
	assert.Contains(t, large.err.String(), "5 failed, 0 lost, 0 doubled")
	assert.Regexp(t, "(?m)^error: .+", large.out.String())
}

func TestBenchUsageErrors(t *testing.T) {
	for args, says := range map[string]string{
		"dance":                                 `there is no command "dance"`,
		"send now":                              "takes no arguments",
		"send --json --csv":                     "exclude each other",
		"send --count 5 --duration 1s":          "--count and --duration exclude each other",
		"send --kind service":                   "--kind",
		"send --chart chart.jpg":                ".png or .svg",
		"send --in-flight 0":                    "0 in flight",
		"send --in-flight many":                 "--in-flight",
		"send --senders 0":                      "0 senders",
		"send --size 10":                        "must be 64 bytes at least",
		"send --count 0":                        "how many messages",
		"send --count -1":                       "-1 count",
		"send --duration -1s":                   "duration of -1s",
		"send --rate -1":                        "rate of -1",
		"send --patience 0s":                    "patience of 0s",
		"fanout --receivers 0":                  "0 receivers",
		"login --clients 0":                     "0 clients",
		"reconnect --rounds 0":                  "a round",
		"reconnect --in-flight 3":               "--in-flight",
		"history --page 1001":                   "page of 1001",
		"query --conversations 0":               "0 conversations",
		"send --server http://127.0.0.1:1":      "--app-id (or RTM_APP_ID) is required",
		"broadcast --server http://127.0.0.1:1": "is required",
	} {
		t.Run(args, func(t *testing.T) {
			p := start(t, nil, append([]string{"bench"}, strings.Fields(args)...)...)
			assert.Equal(t, exitUsage, p.exitCode(), p.err)
			assert.Contains(t, p.err.String(), says)
			assert.Empty(t, p.out.String())
		})
	}
	p := start(t, map[string]string{"RTM_SERVER": "http://127.0.0.1:1", "RTM_APP_ID": "x", "RTM_APP_KEY": "y"}, "bench", "broadcast")
	assert.Equal(t, exitUsage, p.exitCode())
	assert.Contains(t, p.err.String(), "--master-key (or RTM_MASTER_KEY) is required")
	help := do(t, calm, "bench", "fanout", "--help")
	for _, s := range []string{"Latency is from the moment", "CPU time and allocations", "--chart", "exit\ncode is 5"} {
		assert.Contains(t, help, s)
	}
}
