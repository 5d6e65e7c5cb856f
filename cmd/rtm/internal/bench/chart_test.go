package bench_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/cmd/rtm/internal/bench"
)

func measureOf(name string, n int) bench.Measure {
	m := bench.Measure{Name: name, Count: int64(n), Seconds: float64(n) / 10, PerSecond: 1234.5,
		Latency: bench.Latency{Mean: 30, P50: 12.5, P90: 150, P99: 2_500, P999: 40_000, Max: 1_500_000}}
	for i := range n {
		m.Series = append(m.Series, bench.Point{Seconds: float64(i+1) / 10, Count: 100, PerSecond: 1000})
	}
	return m
}

func reportOf(runs, points int) *bench.Report {
	r := &bench.Report{Work: bench.FanOut}
	for i := range runs {
		r.Runs = append(r.Runs, bench.Result{
			Settings: bench.Settings{Senders: 1, InFlight: 1 << i, Receivers: 10, Size: 200, Kind: "room"},
			Measures: []bench.Measure{measureOf("acknowledged", points), measureOf("delivered", points), measureOf("complete", points)},
		})
	}
	return r
}

func TestChart(t *testing.T) {
	for _, size := range []struct{ runs, points int }{{1, 1}, {1, 1000}, {9, 1}} {
		r := reportOf(size.runs, size.points)
		picture, err := bench.Chart(r, "svg")
		require.NoError(t, err)
		text := textOf(t, picture)
		assert.Contains(t, text, "rtm bench fanout")
		assert.Contains(t, text, "Throughput: delivered per second")
		for _, label := range []string{"p99.9", "10 µs", "100 µs", "1 ms", "10 ms", "1 s", "10 s"} {
			assert.Contains(t, text, label)
		}
		if size.runs > 1 {
			assert.Contains(t, text, "2 in flight")
			assert.Contains(t, text, "1.23 k")
		} else {
			assert.Contains(t, text, "complete")
		}
	}
	picture, err := bench.Chart(reportOf(2, 10), "png")
	require.NoError(t, err)
	img, err := png.Decode(bytes.NewReader(picture))
	require.NoError(t, err)
	assert.Equal(t, 1280, img.Bounds().Dx())
	assert.Equal(t, 560, img.Bounds().Dy())
}

// What was interrupted at once has nothing in it.
func TestChartOfNothing(t *testing.T) {
	r := &bench.Report{Work: bench.Send, Runs: []bench.Result{{Measures: []bench.Measure{{Name: "acknowledged"}}}}}
	picture, err := bench.Chart(r, "svg")
	require.NoError(t, err)
	assert.Contains(t, textOf(t, picture), "rtm bench send")
}

func TestChartFormat(t *testing.T) {
	for name, want := range map[string]string{"a.png": "png", "b/c.SVG": "svg"} {
		got, err := bench.ChartFormat(name)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	for _, name := range []string{"a", "a.jpg", "png", ".png.txt"} {
		_, err := bench.ChartFormat(name)
		assert.Error(t, err, name)
	}
}

// textOf is the text of a drawing.
func textOf(t *testing.T, svg []byte) string {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(svg))
	var b strings.Builder
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		require.NoError(t, err)
		if text, ok := token.(xml.CharData); ok {
			b.Write(text)
			b.WriteByte('\n')
		}
	}
}
