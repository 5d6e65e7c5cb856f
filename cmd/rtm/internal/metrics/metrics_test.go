package metrics

import (
	"bufio"
	"encoding/json"
	"expvar"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leanrtm/realtime/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// parse reads a page and checks what the format demands.
func parse(t *testing.T, text string) (samples map[string]float64, types map[string]string) {
	t.Helper()
	line := regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)+\})? (\S+)$`)
	samples, types = make(map[string]float64), make(map[string]string)
	helped, current := "", ""
	require.True(t, strings.HasSuffix(text, "\n"))
	for sc := bufio.NewScanner(strings.NewReader(text)); sc.Scan(); {
		l := sc.Text()
		if rest, ok := strings.CutPrefix(l, "# HELP "); ok {
			name, help, _ := strings.Cut(rest, " ")
			require.NotEmpty(t, help)
			require.Empty(t, types[name], "%s is there twice", name)
			helped = name
			continue
		}
		if rest, ok := strings.CutPrefix(l, "# TYPE "); ok {
			name, typ, _ := strings.Cut(rest, " ")
			require.Equal(t, helped, name, "help and type belong together")
			types[name], current = typ, name
			continue
		}
		m := line.FindStringSubmatch(l)
		require.NotNil(t, m, "not a sample: %q", l)
		base := m[1]
		if types[current] == histogram {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				base = strings.TrimSuffix(base, suffix)
			}
		}
		require.Equal(t, current, base, "samples follow their type")
		if types[current] == counter {
			require.True(t, strings.HasSuffix(current, "_total"), current)
		}
		value, err := strconv.ParseFloat(m[3], 64)
		require.NoError(t, err)
		require.NotContains(t, samples, m[1]+m[2])
		samples[m[1]+m[2]] = value
	}
	return samples, types
}

// Every field of the counters is on the page, under its own name and with its
// own value: gauges are signed, counters are not.
func TestEveryCounterIsShown(t *testing.T) {
	var s server.Stats
	v := reflect.ValueOf(&s).Elem()
	want := make(map[float64]string)
	kinds := make(map[float64]string)
	for i := range v.NumField() {
		f, n := v.Field(i), float64(1000+i)
		want[n] = v.Type().Field(i).Name
		kinds[n] = counter
		switch {
		case f.Type() == reflect.TypeFor[time.Duration]():
			f.SetInt(int64(n) * int64(time.Second))
			kinds[n] = gauge
		case f.CanInt():
			f.SetInt(int64(n))
			kinds[n] = gauge
		case f.CanUint():
			f.SetUint(uint64(n))
		case f.Type() == reflect.TypeFor[map[int]uint64]():
			f.Set(reflect.ValueOf(map[int]uint64{4107: uint64(n)}))
		default:
			f.Set(reflect.ValueOf(map[string]uint64{"direct": uint64(n)}))
		}
	}
	samples, types := parse(t, New().text(s))
	for name, value := range samples {
		base, _, _ := strings.Cut(name, "{")
		if field, ok := want[value]; ok && strings.HasPrefix(name, "rtm_") {
			require.Equal(t, kinds[value], types[base], "%s as %s", field, name)
			delete(want, value)
		}
	}
	require.Empty(t, want, "not on the page")
	require.Contains(t, samples, `rtm_disconnects_total{code="4107"}`)
	require.Contains(t, samples, `rtm_commands_total{command="direct"}`)
	require.Contains(t, samples, "go_goroutines")
}

func TestHistograms(t *testing.T) {
	m := New()
	o := m.Observer()
	for i := range 100 {
		o.Command(server.CommandObservation{Name: "direct", Took: time.Duration(i) * time.Millisecond})
	}
	o.Command(server.CommandObservation{Name: "conv/start", Took: time.Hour})
	o.Commit(server.CommitObservation{Batches: 1, Took: time.Microsecond})
	o.Hook(server.HookObservation{Name: server.HookMessageSent, Took: time.Second})
	samples, types := parse(t, m.text(server.Stats{}))
	require.Equal(t, histogram, types["rtm_command_duration_seconds"])
	for le, n := range map[string]float64{"0.001": 2, "0.05": 51, "0.1": 100, "+Inf": 100} {
		require.Equal(t, n, samples[fmt.Sprintf(`rtm_command_duration_seconds_bucket{command="direct",le="%s"}`, le)], le)
	}
	require.Equal(t, 100.0, samples[`rtm_command_duration_seconds_count{command="direct"}`])
	require.InDelta(t, 4.95, samples[`rtm_command_duration_seconds_sum{command="direct"}`], 1e-9)
	require.Equal(t, 0.0, samples[`rtm_command_duration_seconds_bucket{command="conv/start",le="10"}`])
	require.Equal(t, 1.0, samples[`rtm_command_duration_seconds_bucket{command="conv/start",le="+Inf"}`])
	require.Equal(t, 1.0, samples[`rtm_commit_duration_seconds_bucket{le="0.0001"}`])
	require.Equal(t, 1.0, samples["rtm_commit_duration_seconds_count"])
	require.Equal(t, 1.0, samples[`rtm_hook_duration_seconds_bucket{hook="_messageSent",le="1"}`])
}

func TestEscapes(t *testing.T) {
	p := new(page)
	p.metric("m", gauge, "a \\ and\na line")
	p.sample("m", "1", "a", "x", "b", "\"quoted\"\\\n")
	require.Equal(t, "# HELP m a \\\\ and\\na line\n# TYPE m gauge\nm{a=\"x\",b=\"\\\"quoted\\\"\\\\\\n\"} 1\n", p.String())
	parse(t, p.String())
	require.Equal(t, "-3", integer(int64(-3)))
	require.Equal(t, "18446744073709551615", integer(^uint64(0)))
}

func TestHandler(t *testing.T) {
	n := int64(0)
	h := New().Handler(func() server.Stats {
		n++
		return server.Stats{Connections: n, Disconnects: map[int]uint64{0: 2}}
	})
	get := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w
	}
	w := get(http.MethodGet, "/metrics")
	require.Equal(t, "text/plain; version=0.0.4; charset=utf-8", w.Header().Get("Content-Type"))
	samples, _ := parse(t, w.Body.String())
	require.Equal(t, 1.0, samples["rtm_connections"])

	w = get(http.MethodGet, "/debug/vars")
	require.Contains(t, w.Header().Get("Content-Type"), "application/json")
	var vars map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &vars))
	var rtm server.Stats
	require.NoError(t, json.Unmarshal(vars["rtm"], &rtm))
	require.Equal(t, server.Stats{Connections: 2, Disconnects: map[int]uint64{0: 2}}, rtm)
	require.Contains(t, vars, "memstats")
	require.NotNil(t, expvar.Get("cmdline"))
	require.NotContains(t, vars, "cmdline", "keys may be on it")

	require.Equal(t, http.StatusNotFound, get(http.MethodGet, "/").Code)
	require.Equal(t, http.StatusMethodNotAllowed, get(http.MethodPost, "/metrics").Code)
}
