// Package instrument makes observable instruments of the fields of a struct.
package instrument

import (
	"context"
	"fmt"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Field is a field of S as an instrument. One of its functions is set.
type Field[S any] struct {
	Name, Unit, Help string

	Count  func(s *S) uint64  // a counter
	Level  func(s *S) int64   // a gauge that adds up over several sources
	Float  func(s *S) float64 // a gauge that does not
	ByCode func(s *S) map[int]uint64
	ByName func(s *S) map[string]uint64
	Key    string // attribute of ByCode and ByName
}

// Register makes the instruments and has them observed by one call of read, so
// that all values of a collection are of one moment.
func Register[S any](m metric.Meter, fields []Field[S], read func() S, attrs []attribute.KeyValue) (metric.Registration, error) {
	attrs = slices.Clone(attrs)
	instruments := make([]metric.Observable, len(fields))
	observe := make([]func(o metric.Observer, s *S), len(fields))
	base := metric.WithAttributeSet(attribute.NewSet(attrs...))
	for i := range fields {
		f := &fields[i]
		var err error
		switch {
		case f.Level != nil:
			var in metric.Int64ObservableUpDownCounter
			in, err = m.Int64ObservableUpDownCounter(f.Name, metric.WithUnit(f.Unit), metric.WithDescription(f.Help))
			instruments[i] = in
			observe[i] = func(o metric.Observer, s *S) { o.ObserveInt64(in, f.Level(s), base) }
		case f.Float != nil:
			var in metric.Float64ObservableGauge
			in, err = m.Float64ObservableGauge(f.Name, metric.WithUnit(f.Unit), metric.WithDescription(f.Help))
			instruments[i] = in
			observe[i] = func(o metric.Observer, s *S) { o.ObserveFloat64(in, f.Float(s), base) }
		default:
			var in metric.Int64ObservableCounter
			in, err = m.Int64ObservableCounter(f.Name, metric.WithUnit(f.Unit), metric.WithDescription(f.Help))
			instruments[i] = in
			observe[i] = f.counts(in, base, attrs)
		}
		if err != nil {
			return nil, fmt.Errorf("make instrument %s: %w", f.Name, err)
		}
	}
	return m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := read()
		for _, f := range observe {
			f(o, &s)
		}
		return nil
	}, instruments...)
}

// counts observes a counter of one value or of one for each key.
func (f *Field[S]) counts(in metric.Int64Observable, base metric.MeasurementOption, attrs []attribute.KeyValue) func(metric.Observer, *S) {
	with := func(kv attribute.KeyValue) metric.MeasurementOption {
		return metric.WithAttributes(append(attrs[:len(attrs):len(attrs)], kv)...)
	}
	switch {
	case f.ByCode != nil:
		return func(o metric.Observer, s *S) {
			for code, n := range f.ByCode(s) {
				o.ObserveInt64(in, int64(n), with(attribute.Int(f.Key, code)))
			}
		}
	case f.ByName != nil:
		return func(o metric.Observer, s *S) {
			for name, n := range f.ByName(s) {
				o.ObserveInt64(in, int64(n), with(attribute.String(f.Key, name)))
			}
		}
	}
	return func(o metric.Observer, s *S) { o.ObserveInt64(in, int64(f.Count(s)), base) }
}

// Seconds makes a histogram of durations. Its buckets begin where a local
// network does.
func Seconds(m metric.Meter, name, help string) (metric.Float64Histogram, error) {
	h, err := m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(help), metric.WithExplicitBucketBoundaries(
		0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30))
	if err != nil {
		return nil, fmt.Errorf("make instrument %s: %w", name, err)
	}
	return h, nil
}
