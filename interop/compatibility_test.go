package interop_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

const compatibilityFile = "../docs/compatibility.md"

// checklist is every capability that has to be shown in every way with every
// version, in the order of the table. A version that cannot do one says so in
// the case.
func checklist() []struct {
	title        string
	capabilities []string
} {
	return []struct {
		title        string
		capabilities []string
	}{
		{"Connection and login", []string{
			"log in and out", "log in without an id", "tag and conflict", "several devices of one client",
			"several clients on one connection", "signed login", "login as a user of the app",
			"signed conversation operations", "signed blocks",
			"who is online", "base64 frames", "router, socket and REST over TLS", "lost connection",
			"pause and resume", "server restart", "goaway", "session token expiry", "session token refresh",
			"kick by the app",
		}},
		{"Conversations", []string{
			"normal conversation", "unique conversation", "chat room", "temporary conversation", "service conversation",
			"adding and removing members", "joining and quitting", "attributes and dates", "muted notifications", "count",
			"query: comparisons", "query: text", "query: lists and members", "query: existence and size",
			"query: order and pages", "query: and, or", "query: kinds", "query: compact, last message",
			"roles", "silence", "block",
		}},
		{"Messages", []string{
			"text", "plain and JSON text", "binary", "custom type", "image from an uploaded file", "audio", "video", "file",
			"location", "transient", "will", "priority", "push data", "mention", "delivery receipt", "read receipt",
			"unread after absence", "missed messages pushed at login", "read on another device", "update", "recall", "edits made while away",
			"history: directions", "history: bounds", "history: by type", "history: iterator", "refused messages",
		}},
		{"From the app's servers", []string{
			"REST message", "REST message to a chat room", "subscription", "broadcast to subscribers", "service message to some",
			"broadcast to all",
		}},
	}
}

// ways are the directions, as the scripts call them.
func ways() []string { return []string{"JS → JS", "JS → Go", "Go → JS"} }

// update writes the documents that are made from results of tests.
var update = flag.Bool("update", false, "write the documents that are made from test results")

// checkCompatibility holds the table of compatibility to the results.
func checkCompatibility(t *testing.T, r *results, scripts int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.scripts < scripts || os.Getenv(onlyCases) != "" || underRace {
		t.Log("not all cases have run: the table of compatibility is not compared")
		return
	}
	want := table(t, r)
	have, err := os.ReadFile(compatibilityFile)
	if *update && !t.Failed() {
		if err := os.WriteFile(compatibilityFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err != nil || string(have) != want {
		t.Errorf("%s is not what the cases have shown (%v); go test ./interop -update writes it:\n%s", compatibilityFile, err, want)
	}
}

// outcome is what the cases have shown of one cell of the table.
type outcome struct {
	passed, failed int
	lacks          string
}

func table(t *testing.T, r *results) string {
	packages := map[string]string{"rc8": "5.0.0-rc.8", "v4": "4.3.1"}
	cells := make(map[[3]string]*outcome) // version, capability, way
	known := make(map[string]bool)
	for _, g := range checklist() {
		for _, c := range g.capabilities {
			known[c] = true
		}
	}
	for version, cases := range r.cases {
		for _, c := range cases {
			if !known[c.Capability] || !slices.Contains(ways(), c.Way) {
				t.Errorf("case %q: %q, %q is not in the checklist", c.Case, c.Capability, c.Way)
			}
			key := [3]string{version, c.Capability, c.Way}
			if cells[key] == nil {
				cells[key] = &outcome{}
			}
			switch o := cells[key]; {
			case c.Error != "":
				o.failed++
			case c.Lacks != "":
				o.lacks = c.Lacks
			default:
				o.passed++
			}
		}
	}
	var out strings.Builder
	var notes []string
	out.WriteString(compatibilityHead)
	for _, g := range checklist() {
		fmt.Fprintf(&out, "\n## %s\n\n| |", g.title)
		rule := "|---|"
		for _, version := range versions() {
			for _, way := range ways() {
				fmt.Fprintf(&out, " %s<br>%s |", packages[version], way)
				rule += ":---:|"
			}
		}
		fmt.Fprintf(&out, "\n%s\n", rule)
		for _, capability := range g.capabilities {
			fmt.Fprintf(&out, "| %s |", capability)
			for _, version := range versions() {
				for _, way := range ways() {
					o := cells[[3]string{version, capability, way}]
					if o == nil {
						t.Errorf("no case shows %q, %s, with %s", capability, way, version)
						o = &outcome{}
					}
					mark := o.mark()
					if o.lacks != "" {
						note := fmt.Sprintf("%s, %s: %s.", capability, packages[version], o.lacks)
						if !slices.Contains(notes, note) {
							notes = append(notes, note)
						}
						mark += fmt.Sprintf(" (%d)", slices.Index(notes, note)+1)
					}
					fmt.Fprintf(&out, " %s |", mark)
				}
			}
			out.WriteString("\n")
		}
	}
	out.WriteString("\n## Notes\n\n")
	for i, note := range notes {
		fmt.Fprintf(&out, "%d. %s\n", i+1, note)
	}
	return out.String()
}

func (o *outcome) mark() string {
	switch {
	case o.failed > 0:
		return "fails"
	case o.passed > 0 && o.lacks != "":
		return "partly"
	case o.passed > 0:
		return "yes"
	case o.lacks != "":
		return "no"
	}
	return "untested"
}

const compatibilityHead = `# Compatibility with the official JavaScript SDK

What the tests in [interop](../interop) have shown with the packages as they come from the registry, on the wire of our
server. The table is written by these tests (` + "`go test ./interop -update`" + `) and they fail when it is not what they
have seen.

- **JS → JS**: both ends are the JavaScript SDK; only the server is ours.
- **JS → Go**: the JavaScript SDK acts, the Go SDK sees it.
- **Go → JS**: the Go SDK acts, the JavaScript SDK sees it.

What the two SDKs put on the wire for the same calls is compared in [wire-differences.md](wire-differences.md).
`
