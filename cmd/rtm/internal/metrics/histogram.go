package metrics

import (
	"sync"
	"sync/atomic"
	"time"
)

// bounds are the upper ends of the buckets of all histograms.
func bounds() []time.Duration {
	const ms = time.Millisecond
	return []time.Duration{
		100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond, ms, 2500 * time.Microsecond,
		5 * ms, 10 * ms, 25 * ms, 50 * ms, 100 * ms, 250 * ms, 500 * ms,
		time.Second, 2500 * ms, 5 * time.Second, 10 * time.Second,
	}
}

// times counts durations in buckets, one row of them for each name. Safe for
// concurrent use.
type times struct {
	bounds []time.Duration
	rows   sync.Map // string → *row
}

type row struct {
	buckets []atomic.Uint64 // one for each bound, and the rest
	sum     atomic.Int64    // ns
}

func newTimes() *times { return &times{bounds: bounds()} }

func (ts *times) add(name string, d time.Duration) {
	found, ok := ts.rows.Load(name)
	if !ok {
		found, _ = ts.rows.LoadOrStore(name, &row{buckets: make([]atomic.Uint64, len(ts.bounds)+1)})
	}
	r := found.(*row)
	i := 0
	for i < len(ts.bounds) && d > ts.bounds[i] {
		i++
	}
	r.buckets[i].Add(1)
	r.sum.Add(int64(d))
}

// write puts the rows on a page. label is what their names are; empty: there
// is one row without a name.
func (ts *times) write(p *page, metric, label, help string) {
	p.metric(metric, histogram, help)
	rows := make(map[string]*row)
	ts.rows.Range(func(name, r any) bool {
		rows[name.(string)] = r.(*row)
		return true
	})
	for _, name := range sortedKeys(rows) {
		r := rows[name]
		var labels []string
		if label != "" {
			labels = []string{label, name}
		}
		n := uint64(0) // of a bucket and all below, so that the last one is the count
		for i := range r.buckets {
			n += r.buckets[i].Load()
			le := "+Inf"
			if i < len(ts.bounds) {
				le = float(ts.bounds[i].Seconds())
			}
			p.sample(metric+"_bucket", integer(n), append(labels[:len(labels):len(labels)], "le", le)...)
		}
		p.sample(metric+"_sum", float(time.Duration(r.sum.Load()).Seconds()), labels...)
		p.sample(metric+"_count", integer(n), labels...)
	}
}
