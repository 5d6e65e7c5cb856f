package metrics

import (
	"slices"
	"strconv"
	"strings"
)

// contentType is that of the text format, in its version that every scraper
// reads.
const contentType = "text/plain; version=0.0.4; charset=utf-8"

// The types of a metric.
const (
	counter   = "counter"
	gauge     = "gauge"
	histogram = "histogram"
)

// page is a document in the text format. A metric is begun once, and all its
// samples follow.
type page struct{ strings.Builder }

// metric begins one.
func (p *page) metric(name, typ, help string) {
	p.WriteString("# HELP " + name + " " + escapeHelp(help) + "\n")
	p.WriteString("# TYPE " + name + " " + typ + "\n")
}

// sample writes one value. labels are names and values in turn.
func (p *page) sample(name, value string, labels ...string) {
	p.WriteString(name)
	for i := 0; i+1 < len(labels); i += 2 {
		if i == 0 {
			p.WriteByte('{')
		} else {
			p.WriteByte(',')
		}
		p.WriteString(labels[i] + `="` + escapeLabel(labels[i+1]) + `"`)
	}
	if len(labels) > 0 {
		p.WriteByte('}')
	}
	p.WriteString(" " + value + "\n")
}

// plain is a metric of one sample.
func (p *page) plain(name, typ, help, value string) {
	p.metric(name, typ, help)
	p.sample(name, value)
}

// escapeHelp keeps a text on its line, escapeLabel also within its quotes.
func escapeHelp(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), "\n", `\n`)
}

func escapeLabel(s string) string { return strings.ReplaceAll(escapeHelp(s), `"`, `\"`) }

func integer[T int64 | uint64](n T) string {
	if n < 0 {
		return strconv.FormatInt(int64(n), 10)
	}
	return strconv.FormatUint(uint64(n), 10)
}

func float(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// sortedKeys makes the same page of the same numbers.
func sortedKeys[K int | string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
