// Package metrics shows what a server does to those who watch it: as a page in
// the text format of Prometheus, and as JSON like package expvar.
//
// The text is written here, from server.Stats: the format is a page of
// specification, while the usual client library would bring a dozen modules to
// everybody who imports this one, for registries that Stats makes unnecessary.
package metrics

import (
	"encoding/json"
	"expvar"
	"net/http"
	"runtime"
	"strconv"

	"github.com/leanrtm/realtime/server"
)

// Metrics collects what a server's Stats do not have. Safe for concurrent use.
type Metrics struct {
	commands, commits, hooks *times
}

// New returns a Metrics that has seen nothing.
func New() *Metrics {
	return &Metrics{commands: newTimes(), commits: newTimes(), hooks: newTimes()}
}

// Observer is for the options of the server.
func (m *Metrics) Observer() *server.Observer {
	return &server.Observer{
		Command: func(c server.CommandObservation) { m.commands.add(c.Name, c.Took) },
		Commit:  func(c server.CommitObservation) { m.commits.add("", c.Took) },
		Hook:    func(h server.HookObservation) { m.hooks.add(h.Name, h.Took) },
	}
}

// Paths of the handler.
const (
	PathText = "/metrics"
	PathVars = "/debug/vars"
)

// Handler serves both forms. stats is called for every request.
func (m *Metrics) Handler(stats func() server.Stats) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+PathText, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		// What fails from here on is the scraper's connection.
		_, _ = w.Write([]byte(m.text(stats())))
	})
	mux.HandleFunc("GET "+PathVars, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_ = json.NewEncoder(w).Encode(vars(stats()))
	})
	return mux
}

// vars is what is published in this process, and the counters under "rtm". The
// command line is left out: it may contain keys.
func vars(s server.Stats) map[string]json.RawMessage {
	out := make(map[string]json.RawMessage)
	expvar.Do(func(kv expvar.KeyValue) {
		if kv.Key != "cmdline" {
			out[kv.Key] = json.RawMessage(kv.Value.String())
		}
	})
	encoded, err := json.Marshal(s)
	if err != nil {
		panic(err) // numbers and maps of them always encode
	}
	out["rtm"] = encoded
	return out
}

// text is the page.
func (m *Metrics) text(s server.Stats) string {
	p := new(page)
	for _, f := range fields() {
		switch {
		case f.number != nil:
			p.plain(f.name, f.typ, f.help, f.number(&s))
		case f.byCode != nil:
			p.metric(f.name, f.typ, f.help)
			counts := f.byCode(&s)
			for _, code := range sortedKeys(counts) {
				p.sample(f.name, integer(counts[code]), "code", strconv.Itoa(code))
			}
		default:
			p.metric(f.name, f.typ, f.help)
			counts := f.byName(&s)
			for _, name := range sortedKeys(counts) {
				p.sample(f.name, integer(counts[name]), "command", name)
			}
		}
	}
	m.commands.write(p, "rtm_command_duration_seconds", "command", "Time until a command was answered and nothing of it ran any more.")
	m.commits.write(p, "rtm_commit_duration_seconds", "", "Time of a call that writes to the store.")
	m.hooks.write(p, "rtm_hook_duration_seconds", "hook", "Time of a call of a hook.")

	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	p.plain("go_goroutines", gauge, "Goroutines that exist.", integer(int64(runtime.NumGoroutine())))
	p.plain("go_memstats_heap_alloc_bytes", gauge, "Bytes of heap objects.", integer(mem.HeapAlloc))
	p.plain("go_memstats_sys_bytes", gauge, "Bytes obtained from the system.", integer(mem.Sys))
	return p.String()
}
