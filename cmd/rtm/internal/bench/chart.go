package bench

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-analyze/charts"
)

// ChartFormat is the format of a picture by its file name: png or svg.
func ChartFormat(name string) (string, error) {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".png":
		return charts.ChartOutputPNG, nil
	case ".svg":
		return charts.ChartOutputSVG, nil
	}
	return "", fmt.Errorf("%q: must end with .png or .svg", name)
}

// Measures of the picture, in pixels.
const (
	chartWidth  = 1280
	chartHeight = 560
	titleSize   = 15
	labelSize   = 11
	headHeight  = "84"
	legendTop   = "26"
	timeLabels  = 6
	chartPoints = 60 // on a line over time, at most
)

// Chart draws a report: on the left how much was done, over time or by run, on
// the right how long it took, as a logarithm.
func Chart(r *Report, format string) ([]byte, error) {
	p := charts.NewPainter(charts.PainterOptions{OutputFormat: format, Width: chartWidth, Height: chartHeight})
	theme := charts.GetTheme(charts.ThemeLight)
	p.FilledRect(0, 0, chartWidth, chartHeight, theme.GetBackgroundColor(), theme.GetBackgroundColor(), 0)
	places, err := p.LayoutByRows().Row().Height(headHeight).Col("head", "").Row().Columns("left", "right").Build()
	if err != nil {
		return nil, fmt.Errorf("lay out: %w", err)
	}
	chartHead(places["head"], r, theme)
	throughput := chartOverTime
	if len(r.Runs) > 1 {
		throughput = chartByRun
	}
	if err := throughput(places["left"], r, theme); err != nil {
		return nil, err
	}
	if err := chartLatency(places["right"], r, theme); err != nil {
		return nil, err
	}
	picture, err := p.Bytes()
	if err != nil {
		return nil, fmt.Errorf("draw: %w", err)
	}
	return picture, nil
}

// chartHead says what was measured.
func chartHead(p *charts.Painter, r *Report, theme charts.ColorPalette) {
	s := &r.Runs[0].Settings
	if len(r.Runs) > 1 { // what differs is in the legends
		common := *s
		for i := range r.Runs {
			if r.Runs[i].Settings.InFlight != s.InFlight {
				common.InFlight = 0
			}
			if r.Runs[i].Settings.Receivers != s.Receivers {
				common.Receivers, common.Connections = 0, 0
			}
		}
		s = &common
	}
	style := charts.FontStyle{FontSize: titleSize + 3, FontColor: theme.GetTitleTextColor()}
	p.Text("rtm bench "+string(r.Work), 24, 36, 0, style)
	style = charts.FontStyle{FontSize: labelSize + 1, FontColor: theme.GetTitleTextColor()}
	p.Text(s.String(), 24, 64, 0, style)
}

// Main is the measure that tells how much a run has done.
func (r *Result) Main() *Measure {
	for i := range r.Measures {
		if r.Measures[i].Name == nameDelivered || r.Measures[i].Name == nameMessages {
			return &r.Measures[i]
		}
	}
	return &r.Measures[0]
}

// slowest is the measure whose latency stands for a run: the last thing that a
// stream waits for.
func (r *Result) slowest() *Measure {
	for i := range r.Measures {
		if r.Measures[i].Name == nameComplete {
			return &r.Measures[i]
		}
	}
	return &r.Measures[0]
}

// chartOverTime draws how much was done per second during the only run.
func chartOverTime(p *charts.Painter, r *Report, theme charts.ColorPalette) error {
	m := r.Runs[0].Main()
	points := thin(m.Series, chartPoints)
	values := make([]float64, len(points))
	labels := make([]string, len(points))
	for i, point := range points {
		values[i] = point.PerSecond
		labels[i] = strconv.FormatFloat(point.Seconds, 'f', 1, 64) + " s"
	}
	o := charts.NewLineChartOptionWithData([][]float64{values})
	o.Theme = theme
	o.Padding = chartPadding()
	o.Title = chartTitle("Throughput: " + m.Name + " per second")
	o.XAxis.Labels = labels
	o.XAxis.LabelCount = min(len(labels), timeLabels)
	o.XAxis.BoundaryGap = charts.Ptr(len(labels) == 1)
	o.Symbol = charts.SymbolNone
	if len(labels) == 1 {
		o.Symbol = charts.SymbolCircle
	}
	o.LineStrokeWidth = 2
	o.FillArea = charts.Ptr(len(labels) > 1)
	const opacity = 60
	o.FillOpacity = opacity
	o.ValueFormatter = perSecond
	o.YAxis[0].Min = charts.Ptr(0.)
	o.YAxis[0].ValueFormatter = perSecond
	if err := p.LineChart(o); err != nil {
		return fmt.Errorf("draw the throughput: %w", err)
	}
	return nil
}

// chartByRun draws how much each run did per second.
func chartByRun(p *charts.Painter, r *Report, theme charts.ColorPalette) error {
	values := make([]float64, len(r.Runs))
	labels := make([]string, len(r.Runs))
	for i := range r.Runs {
		values[i] = r.Runs[i].Main().PerSecond
		labels[i] = r.label(i)
	}
	series := charts.NewSeriesListBar([][]float64{values})
	series[0].Label = charts.SeriesLabel{Show: charts.Ptr(true), ValueFormatter: perSecond, FontStyle: charts.FontStyle{FontSize: labelSize}}
	o := charts.NewBarChartOptionWithSeries(series)
	o.Theme = theme
	o.Padding = chartPadding()
	o.Title = chartTitle("Throughput: " + r.Runs[0].Main().Name + " per second")
	o.CategoryAxis.Labels = labels
	const widest = 90
	o.BarSize = min(widest, chartWidth/4/len(labels))
	o.ValueAxis = []charts.ValueAxisOption{{Min: charts.Ptr(0.), ValueFormatter: perSecond}}
	if err := p.BarChart(o); err != nil {
		return fmt.Errorf("draw the throughput: %w", err)
	}
	return nil
}

// chartLatency draws the percentiles of each run, or of each measure of the only
// one.
func chartLatency(p *charts.Painter, r *Report, theme charts.ColorPalette) error {
	var values [][]float64
	var names []string
	lowest, highest := math.Inf(1), math.Inf(-1)
	add := func(name string, l *Latency) {
		var line []float64
		for _, us := range []float64{l.P50, l.P90, l.P99, l.P999, l.Max} {
			exponent := math.Log10(max(us, least))
			lowest, highest = min(lowest, exponent), max(highest, exponent)
			line = append(line, exponent)
		}
		values, names = append(values, line), append(names, name)
	}
	if len(r.Runs) == 1 {
		for i := range r.Runs[0].Measures {
			m := &r.Runs[0].Measures[i]
			add(m.Name, &m.Latency)
		}
	} else {
		for i := range r.Runs {
			add(r.label(i), &r.Runs[i].slowest().Latency)
		}
	}
	o := charts.NewLineChartOptionWithData(values)
	o.Theme = theme
	o.Padding = chartPadding()
	o.Title = chartTitle("Latency (logarithmic)")
	if len(r.Runs) > 1 {
		o.Title = chartTitle("Latency (logarithmic): " + r.Runs[0].slowest().Name)
	}
	o.Legend = charts.LegendOption{SeriesNames: names, Offset: charts.OffsetStr{Left: charts.PositionLeft, Top: legendTop}}
	o.XAxis.Labels = []string{"p50", "p90", "p99", "p99.9", "max"}
	o.LineStrokeWidth = 2
	bottom, top := math.Floor(lowest), math.Ceil(highest)
	if top == bottom {
		top++
	}
	o.ValueFormatter = exponentText
	o.YAxis[0].Min, o.YAxis[0].Max = &bottom, &top
	o.YAxis[0].RangeValuePaddingScale = charts.Ptr(0.)
	o.YAxis[0].LabelCount = int(top-bottom) + 1
	o.YAxis[0].ValueFormatter = exponentText
	// The figures of one line are enough to read. They stand on the line: the
	// background keeps it from striking them out.
	o.SeriesList[0].Label = charts.SeriesLabel{Show: charts.Ptr(true), LabelFormatter: func(_ int, _ string, v float64) (string, *charts.LabelStyle) {
		return exponentText(v), &charts.LabelStyle{
			FontStyle: charts.FontStyle{FontSize: labelSize}, BackgroundColor: theme.GetBackgroundColor(),
		}
	}}
	if err := p.LineChart(o); err != nil {
		return fmt.Errorf("draw the latency: %w", err)
	}
	return nil
}

// least is what is drawn of latencies that are next to nothing, in microseconds.
const least = 0.1

func chartPadding() charts.Box { return charts.NewBox(24, 8, 24, 12) }

func chartTitle(text string) charts.TitleOption {
	return charts.TitleOption{Text: text, FontStyle: charts.FontStyle{FontSize: titleSize - 2}}
}

// label is what distinguishes a run from the others.
func (r *Report) label(i int) string {
	s, first := &r.Runs[i].Settings, &r.Runs[0].Settings
	inFlight, receivers := false, false
	for j := range r.Runs {
		inFlight = inFlight || r.Runs[j].Settings.InFlight != first.InFlight
		receivers = receivers || r.Runs[j].Settings.Receivers != first.Receivers
	}
	var parts []string
	if inFlight || !receivers {
		parts = append(parts, plural(s.InFlight, "in flight", "in flight"))
	}
	if receivers {
		parts = append(parts, plural(s.Receivers, "receiver", "receivers"))
	}
	return strings.Join(parts, ", ")
}

// thin joins points so that there are no more than n.
func thin(points []Point, n int) []Point {
	group := (len(points) + n - 1) / n
	if group <= 1 {
		return points
	}
	var out []Point
	begin := 0.
	for len(points) > 0 {
		part := points[:min(group, len(points))]
		points = points[len(part):]
		p := Point{Seconds: part[len(part)-1].Seconds}
		for _, q := range part {
			p.Count += q.Count
		}
		p.PerSecond = float64(p.Count) / (p.Seconds - begin)
		begin = p.Seconds
		out = append(out, p)
	}
	return out
}

// perSecond is a rate as a label.
func perSecond(n float64) string {
	const thousand, million = 1e3, 1e6
	switch {
	case n >= million:
		return strconv.FormatFloat(n/million, 'g', 3, 64) + " M"
	case n >= thousand:
		return strconv.FormatFloat(n/thousand, 'g', 3, 64) + " k"
	}
	return strconv.FormatFloat(n, 'g', 3, 64)
}

// exponentText is the time whose logarithm in microseconds was drawn.
func exponentText(exponent float64) string {
	us := math.Pow(10, exponent)
	for _, unit := range []struct {
		us   float64
		name string
	}{{float64(time.Second / time.Microsecond), "s"}, {float64(time.Millisecond / time.Microsecond), "ms"}} {
		if us >= unit.us*0.9995 {
			return strconv.FormatFloat(us/unit.us, 'g', 3, 64) + " " + unit.name
		}
	}
	return strconv.FormatFloat(us, 'g', 3, 64) + " µs"
}
