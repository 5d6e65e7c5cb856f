package bench

import (
	"fmt"
	"strconv"
	"strings"
)

// Report is what was measured. Latencies are in microseconds.
type Report struct {
	Work Work     `json:"work"`
	Runs []Result `json:"runs"`
	// Interrupted: the last run was ended before its time.
	Interrupted bool `json:"interrupted"`
}

// Result is one run.
type Result struct {
	Settings Settings  `json:"settings"`
	Measures []Measure `json:"measures"`
	Process  Process   `json:"process"`
	Check    Check     `json:"check"`
}

// Settings are what distinguishes runs. A zero does not apply.
type Settings struct {
	Kind          string  `json:"kind,omitempty"`
	Senders       int     `json:"senders,omitempty"`
	InFlight      int     `json:"in_flight,omitempty"`
	Receivers     int     `json:"receivers"`
	Connections   int     `json:"connections,omitempty"`
	Size          int     `json:"size,omitempty"`
	Rate          float64 `json:"rate,omitempty"`
	Clients       int     `json:"clients,omitempty"`
	Rounds        int     `json:"rounds,omitempty"`
	Messages      int     `json:"messages,omitempty"`
	Conversations int     `json:"conversations,omitempty"`
	Page          int     `json:"page,omitempty"`
	Subscribers   int     `json:"subscribers,omitempty"`
	All           bool    `json:"all,omitempty"`
}

// String names what the run was about.
func (s *Settings) String() string {
	var parts []string
	for _, n := range []struct {
		n         int
		one, many string
	}{
		{s.Senders, "sender", "senders"}, {s.InFlight, "in flight", "in flight"}, {s.Receivers, "receiver", "receivers"},
		{s.Subscribers, "subscriber offline", "subscribers offline"}, {s.Clients, "client", "clients"},
		{s.Connections, "connection", "connections"}, {s.Rounds, "round", "rounds"}, {s.Messages, "message", "messages"},
		{s.Conversations, "conversation", "conversations"}, {s.Page, "per page", "per page"}, {s.Size, "byte", "bytes"},
	} {
		if n.n > 0 {
			parts = append(parts, plural(n.n, n.one, n.many))
		}
	}
	if s.Kind != "" {
		parts = append(parts, "kind "+s.Kind)
	}
	if s.All {
		parts = append(parts, "to everybody")
	}
	if s.Rate > 0 {
		parts = append(parts, fmt.Sprintf("%g per second", s.Rate))
	}
	return strings.Join(parts, ", ")
}

func plural(n int, one, many string) string {
	if n == 1 {
		many = one
	}
	return strconv.Itoa(n) + " " + many
}

// Names of measures.
const (
	nameAcknowledged = "acknowledged"
	nameDelivered    = "delivered"
	nameComplete     = "complete"
	nameLogins       = "logins"
	nameReconnects   = "reconnects"
	namePages        = "pages"
	nameMessages     = "messages"
	nameQueries      = "queries"
)

// Measure is one kind of thing that was done.
type Measure struct {
	Name      string  `json:"name"`
	Count     int64   `json:"count"`
	Seconds   float64 `json:"seconds"` // from the start to the last of them
	PerSecond float64 `json:"per_second"`
	Latency   Latency `json:"latency_us"`
	Series    []Point `json:"series,omitempty"`
}

// Latency is how long things took, in microseconds.
type Latency struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

// Point is how much was done in a piece of time that ended so many seconds
// after the start.
type Point struct {
	Seconds   float64 `json:"seconds"`
	Count     int64   `json:"count"`
	PerSecond float64 `json:"per_second"`
}

// Process is what the measuring process has used during the run, for each of
// what the first measure counts. CPU time is nil where the system does not tell.
type Process struct {
	Each                 string   `json:"each"` // what these things are
	CPUSeconds           *float64 `json:"cpu_seconds"`
	CPUSecondsPerMillion *float64 `json:"cpu_seconds_per_million"`
	Allocations          uint64   `json:"allocations"`
	AllocatedBytes       uint64   `json:"allocated_bytes"`
	AllocationsEach      float64  `json:"allocations_each"`
	BytesEach            float64  `json:"bytes_each"`
}

// Check is whether everything was as it has to be.
type Check struct {
	Received   int64 `json:"received"` // what was to be received, each once
	Lost       int64 `json:"lost"`
	Doubled    int64 `json:"doubled"`
	Misordered int64 `json:"misordered"`
	Failed     int64 `json:"failed"` // calls that returned an error
	// Reconnects are how often clients had to reconnect that nobody has cut off.
	Reconnects int64    `json:"reconnects"`
	Errors     []string `json:"errors,omitempty"` // some of them
}

// OK tells whether nothing is wrong.
func (c *Check) OK() bool {
	return c.Lost == 0 && c.Doubled == 0 && c.Misordered == 0 && c.Failed == 0
}
