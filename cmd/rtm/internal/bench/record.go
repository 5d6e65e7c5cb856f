package bench

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Bounds of the histograms.
const (
	longest = int64(time.Hour)
	digits  = 3
	// slot is the time for which things are counted together.
	slot = 100 * time.Millisecond
	// shards is how many goroutines can record without waiting for each other.
	shards = 8
)

// recorder keeps when things were done and how long they took. It is safe for
// concurrent use.
type recorder struct {
	name  string
	start time.Time
	shard [shards]shard
}

type shard struct {
	mu    sync.Mutex
	hist  *hdrhistogram.Histogram // nil: nothing was recorded
	max   int64
	last  time.Duration // since the start, of what was done last
	slots []int64
}

func newRecorder(name string, start time.Time) *recorder {
	return &recorder{name: name, start: start}
}

// record notes that something was done now that was due then. Callers with
// different numbers rarely wait for each other.
func (r *recorder) record(caller int, due, now time.Time) {
	took := max(int64(now.Sub(due)), 0)
	since := max(now.Sub(r.start), 0)
	s := &r.shard[caller%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hist == nil {
		s.hist = hdrhistogram.New(1, longest, digits)
	}
	_ = s.hist.RecordValue(min(took, longest)) // which is in range
	s.max = max(s.max, took)
	s.last = max(s.last, since)
	i := int(since / slot)
	for len(s.slots) <= i {
		s.slots = append(s.slots, 0)
	}
	s.slots[i]++
}

// count is how many were recorded.
func (r *recorder) count() (n int64) {
	for i := range r.shard {
		s := &r.shard[i]
		s.mu.Lock()
		if s.hist != nil {
			n += s.hist.TotalCount()
		}
		s.mu.Unlock()
	}
	return n
}

// measure is what was recorded.
func (r *recorder) measure() Measure {
	all := hdrhistogram.New(1, longest, digits)
	m := Measure{Name: r.name}
	var last time.Duration
	var largest int64
	var slots []int64
	for i := range r.shard {
		s := &r.shard[i]
		s.mu.Lock()
		if s.hist != nil {
			all.Merge(s.hist)
		}
		largest, last = max(largest, s.max), max(last, s.last)
		for len(slots) < len(s.slots) {
			slots = append(slots, 0)
		}
		for i, n := range s.slots {
			slots[i] += n
		}
		s.mu.Unlock()
	}
	m.Count = all.TotalCount()
	m.Seconds = last.Seconds()
	if last > 0 {
		m.PerSecond = float64(m.Count) / last.Seconds()
	}
	if m.Count > 0 {
		m.Latency = Latency{
			Mean: micros(all.Mean()), P50: quantile(all, 50, largest), P90: quantile(all, 90, largest),
			P99: quantile(all, 99, largest), P999: quantile(all, 99.9, largest), Max: micros(float64(largest)),
		}
	}
	m.Series = series(slots, last)
	return m
}

// quantile is a percentile in microseconds. A bucket's upper bound is not told
// where the largest value is smaller.
func quantile(h *hdrhistogram.Histogram, p float64, largest int64) float64 {
	return micros(float64(min(h.ValueAtQuantile(p), largest)))
}

func micros(ns float64) float64 { return ns / float64(time.Microsecond) }

// series are the counts per slot. The last slot is as long as the run was, and
// part of the one before if that is too short for a rate of its own.
func series(slots []int64, last time.Duration) []Point {
	points := make([]Point, 0, len(slots))
	for i, n := range slots {
		begin := time.Duration(i) * slot
		end := min(begin+slot, last)
		if i > 0 && end-begin < slot/10 {
			begin -= slot
			n += points[i-1].Count
			points = points[:i-1]
		}
		p := Point{Seconds: end.Seconds(), Count: n}
		if end > begin {
			p.PerSecond = float64(n) / (end - begin).Seconds()
		}
		points = append(points, p)
	}
	return points
}
