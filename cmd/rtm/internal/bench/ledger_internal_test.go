package bench

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whatever order messages come in, and however often, the ledger counts right.
func TestLedger(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		streams := make([]*stream, 1+random.IntN(4))
		for i := range streams {
			streams[i] = &stream{number: 3 * i, failed: map[int32]bool{}}
		}
		type message struct {
			s   *stream
			seq int32
		}
		var arriving []message
		var want Check
		for _, s := range streams {
			for range random.IntN(50) {
				m := message{s, s.next}
				s.next++
				switch random.IntN(10) {
				case 0:
					want.Lost++
				case 1: // not sent, or so it seems
					s.failed[m.seq] = true
					if random.IntN(2) == 0 {
						arriving = append(arriving, m)
						want.Received++
					}
				case 2:
					arriving = append(arriving, m, m)
					want.Received++
					want.Doubled++
				default:
					arriving = append(arriving, m)
					want.Received++
				}
			}
		}
		if seed%2 == 0 {
			random.Shuffle(len(arriving), func(i, j int) { arriving[i], arriving[j] = arriving[j], arriving[i] })
		}
		seen := map[message]bool{}
		highest := map[*stream]int32{}
		l := newLedger(streams)
		for _, m := range arriving {
			assert.Equal(t, !seen[m], l.note(m.s, m.seq))
			if h, ok := highest[m.s]; !seen[m] && ok && m.seq < h {
				want.Misordered++
			}
			seen[m] = true
			highest[m.s] = max(highest[m.s], m.seq)
		}
		var got Check
		l.add(&got)
		require.Equal(t, want, got, "seed %d", seed)
	}
}

func TestLedgerOfAStranger(t *testing.T) {
	l := newLedger([]*stream{{number: 1}})
	assert.False(t, l.note(&stream{number: 2}, 0))
	assert.EqualValues(t, 1, l.doubled)
}

func TestText(t *testing.T) {
	padding := strings.Repeat("x", 200)
	for _, size := range []int{MinSize, 100, 200} {
		for _, e := range []envelope{{}, {stream: 7, seq: 8, due: 9}, {stream: maxStreams, seq: 1 << 30, due: time.Hour}} {
			text := e.text("bench-abcdefgh", size, padding)
			assert.Len(t, text, size)
			got, ok := parseText("bench-abcdefgh", text)
			require.True(t, ok, text)
			assert.Equal(t, e, got)
		}
	}
	for _, text := range []string{"", "bench-a", "bench-a ", "bench-a 1 2", "bench-a 1 2 3", "bench-a 1 x 3 ", "bench-a -1 2 3 ", "bench-b 1 2 3 "} {
		_, ok := parseText("bench-a", text)
		assert.False(t, ok, text)
	}
}

// Percentiles are as exact as three digits, and the largest is exact.
func TestRecorder(t *testing.T) {
	start := time.Now()
	r := newRecorder("things", start)
	random := rand.New(rand.NewPCG(1, 2))
	var all []float64
	for i := range 10_000 {
		took := time.Duration(random.ExpFloat64() * float64(3*time.Millisecond))
		all = append(all, float64(took)/float64(time.Microsecond))
		due := start.Add(time.Duration(i) * time.Millisecond)
		r.record(i, due, due.Add(took))
	}
	slices.Sort(all)
	m := r.measure()
	assert.EqualValues(t, len(all), m.Count)
	assert.EqualValues(t, len(all), r.count())
	assert.InEpsilon(t, all[4999], m.Latency.P50, 0.002)
	assert.InEpsilon(t, all[8999], m.Latency.P90, 0.002)
	assert.InEpsilon(t, all[9899], m.Latency.P99, 0.002)
	assert.InEpsilon(t, all[9989], m.Latency.P999, 0.002)
	assert.InEpsilon(t, all[9999], m.Latency.Max, 1e-9)
	assert.InDelta(t, 1000, m.PerSecond, 5)
	var n int64
	for _, p := range m.Series {
		n += p.Count
	}
	assert.EqualValues(t, len(all), n)

	late := newRecorder("late", start)
	late.record(0, start, start.Add(2*time.Hour)) // longer than the histogram reaches
	late.record(1, start.Add(time.Second), start) // a clock that went back
	assert.InEpsilon(t, 7.2e9, late.measure().Latency.Max, 1e-9)
	assert.Zero(t, newRecorder("none", start).measure().PerSecond)
}
