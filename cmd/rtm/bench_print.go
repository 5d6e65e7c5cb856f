package main

import (
	"encoding/csv"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/leanrtm/realtime/cmd/rtm/internal/bench"
)

// benchOut is a report as JSON.
type benchOut struct {
	*bench.Report
	Server    string `json:"server,omitempty"`
	InProcess bool   `json:"in_process"`
	CPUs      int    `json:"cpus"`
	Go        string `json:"go"`
	Version   string `json:"version"`
}

// printBench prints a report in the form that is wanted.
func (f *benchFlags) printBench(r *bench.Report) error {
	switch {
	case f.json:
		out := benchOut{Report: r, Server: f.server, InProcess: f.inProcess, CPUs: runtime.GOMAXPROCS(0), Go: runtime.Version(), Version: version()}
		if f.inProcess {
			out.Server = ""
		}
		return f.result(out, "")
	case f.csv:
		return f.printCSV(r)
	}
	where := f.server
	if f.inProcess {
		where = "a server in this process"
	}
	if err := f.line("%s: %s, %d processors", r.Work, where, runtime.GOMAXPROCS(0)); err != nil {
		return err
	}
	for i := range r.Runs {
		if err := f.printRun(&r.Runs[i]); err != nil {
			return err
		}
	}
	if r.Interrupted {
		return f.lines("", "interrupted: the last run is not complete")
	}
	return nil
}

func (f *benchFlags) printRun(r *bench.Result) error {
	if err := f.lines("", r.Settings.String()); err != nil {
		return err
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tcount\tper second\tp50\tp90\tp99\tp99.9\tmax\t")
	for i := range r.Measures {
		m := &r.Measures[i]
		l := &m.Latency
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t\n", m.Name, m.Count, rateText(m.PerSecond),
			latencyText(l.P50), latencyText(l.P90), latencyText(l.P99), latencyText(l.P999), latencyText(l.Max))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if err := f.lines(strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")...); err != nil {
		return err
	}
	p, c := &r.Process, &r.Check
	cpu := "CPU time is not known here"
	if p.CPUSecondsPerMillion != nil {
		cpu = fmt.Sprintf("%.2f CPU seconds per million %s", *p.CPUSecondsPerMillion, p.Each)
	}
	if m := r.Main(); m != &r.Measures[0] && p.CPUSeconds != nil && m.Count > 0 {
		cpu += fmt.Sprintf(", %.2f per million %s", *p.CPUSeconds/float64(m.Count)*1e6, m.Name)
	}
	whose := "this process"
	if f.inProcess {
		whose = "this process, server included"
	}
	if err := f.line("%s: %s; %.1f allocations, %.0f bytes for each", whose, cpu, p.AllocationsEach, p.BytesEach); err != nil {
		return err
	}
	return f.printCheck(c)
}

func (f *benchFlags) printCheck(c *bench.Check) error {
	text := fmt.Sprintf("checked: %d as they have to be", c.Received)
	if c.Received == 0 {
		text = "checked: nothing was to arrive"
	}
	for _, n := range []struct {
		n    int64
		what string
	}{{c.Lost, "lost"}, {c.Doubled, "doubled"}, {c.Misordered, "out of order"}, {c.Failed, "failed"}} {
		word := strconv.FormatInt(n.n, 10)
		if n.n == 0 {
			word = "none"
		}
		text += ", " + word + " " + n.what
	}
	if c.Reconnects > 0 {
		text += fmt.Sprintf("; connections were lost and came back, %d times for a client", c.Reconnects)
	}
	if err := f.line("%s", text); err != nil {
		return err
	}
	for _, e := range c.Errors {
		if err := f.line("error: %s", e); err != nil {
			return err
		}
	}
	return nil
}

// lines prints lines.
func (f *benchFlags) lines(lines ...string) error {
	for _, l := range lines {
		if err := f.line("%s", l); err != nil {
			return err
		}
	}
	return nil
}

func rateText(perSecond float64) string {
	if perSecond < 100 {
		return strconv.FormatFloat(perSecond, 'f', 1, 64)
	}
	return strconv.FormatFloat(perSecond, 'f', 0, 64)
}

// latencyText is a time with three digits or so.
func latencyText(us float64) string {
	d := time.Duration(us * float64(time.Microsecond))
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(100 * time.Nanosecond).String()
}

// printCSV prints a line for each measure of each run.
func (f *benchFlags) printCSV(r *bench.Report) error {
	w := csv.NewWriter(f.out)
	header := []string{"work", "kind", "senders", "in_flight", "receivers", "connections", "size", "rate", "clients", "rounds", "messages",
		"conversations", "page", "subscribers", "measure", "count", "seconds", "per_second", "mean_us", "p50_us", "p90_us", "p99_us",
		"p99.9_us", "max_us", "cpu_seconds_per_million", "allocations_each", "bytes_each", "received", "lost", "doubled", "misordered",
		"failed", "reconnects"}
	_ = w.Write(header) // Error tells
	for i := range r.Runs {
		run := &r.Runs[i]
		s, p, c := &run.Settings, &run.Process, &run.Check
		cpu := ""
		if p.CPUSecondsPerMillion != nil {
			cpu = number(*p.CPUSecondsPerMillion)
		}
		for j := range run.Measures {
			m := &run.Measures[j]
			l := &m.Latency
			fields := []any{r.Work, s.Kind, s.Senders, s.InFlight, s.Receivers, s.Connections, s.Size, s.Rate, s.Clients, s.Rounds, s.Messages,
				s.Conversations, s.Page, s.Subscribers, m.Name, m.Count, m.Seconds, m.PerSecond, l.Mean, l.P50, l.P90, l.P99, l.P999, l.Max,
				cpu, p.AllocationsEach, p.BytesEach, c.Received, c.Lost, c.Doubled, c.Misordered, c.Failed, c.Reconnects}
			line := make([]string, len(fields))
			for k, v := range fields {
				if n, ok := v.(float64); ok {
					v = number(n)
				}
				line[k] = fmt.Sprint(v)
			}
			_ = w.Write(line)
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

func number(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// drawChart draws a report into the file that was asked for.
func (f *benchFlags) drawChart(r *bench.Report) error {
	format, err := bench.ChartFormat(f.chart)
	if err != nil {
		return err
	}
	picture, err := bench.Chart(r, format)
	if err != nil {
		return fmt.Errorf("--chart: %w", err)
	}
	const mode = 0o644
	if err := os.WriteFile(f.chart, picture, mode); err != nil {
		return fmt.Errorf("--chart: %w", err)
	}
	return nil
}
