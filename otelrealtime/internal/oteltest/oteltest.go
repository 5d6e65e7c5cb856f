// Package oteltest reads what instruments report, in tests.
package oteltest

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Reader collects by hand.
type Reader struct {
	Provider *metric.MeterProvider
	t        *testing.T
	reader   *metric.ManualReader
}

// New returns a provider with a reader. It has no goroutines.
func New(t *testing.T) *Reader {
	r := metric.NewManualReader()
	return &Reader{Provider: metric.NewMeterProvider(metric.WithReader(r)), t: t, reader: r}
}

// Point is one value. Of a histogram it is the sum.
type Point struct {
	Value     float64
	Count     uint64 // of a histogram
	Monotonic bool
}

// Collect returns all points by the name of the instrument and the attributes,
// as in "rtm.commands rtm.command=direct".
func (r *Reader) Collect() map[string]Point {
	r.t.Helper()
	var data metricdata.ResourceMetrics
	require.NoError(r.t, r.reader.Collect(r.t.Context(), &data))
	points := make(map[string]Point)
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			require.NotEmpty(r.t, m.Unit, m.Name)
			require.NotEmpty(r.t, m.Description, m.Name)
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				require.Equal(r.t, metricdata.CumulativeTemporality, d.Temporality)
				for _, p := range d.DataPoints {
					points[key(m.Name, p.Attributes)] = Point{Value: float64(p.Value), Monotonic: d.IsMonotonic}
				}
			case metricdata.Gauge[float64]:
				for _, p := range d.DataPoints {
					points[key(m.Name, p.Attributes)] = Point{Value: p.Value}
				}
			case metricdata.Histogram[float64]:
				for _, p := range d.DataPoints {
					points[key(m.Name, p.Attributes)] = Point{Value: p.Sum, Count: p.Count}
				}
			default:
				require.FailNow(r.t, "an unknown kind of data", "%s: %T", m.Name, d)
			}
		}
	}
	return points
}

func key(name string, set attribute.Set) string {
	for _, kv := range set.ToSlice() {
		name += fmt.Sprintf(" %s=%s", kv.Key, kv.Value.Emit())
	}
	return name
}

// Fill gives every field of a struct, and of structs in it, a value of its own
// from first on, and returns the names by value, counters being unsigned or
// maps. Maps get one entry. leave are fields that stay as they are.
func Fill(s any, first int, leave ...string) (names map[float64]string, counters map[float64]bool) {
	names, counters = make(map[float64]string), make(map[float64]bool)
	n := first
	var fill func(v reflect.Value, prefix string)
	fill = func(v reflect.Value, prefix string) {
	fields:
		for i := range v.NumField() {
			f, name := v.Field(i), prefix+v.Type().Field(i).Name
			for _, l := range leave {
				if l == name {
					continue fields
				}
			}
			if f.Kind() == reflect.Struct {
				fill(f, name+".")
				continue
			}
			n++
			value := float64(n)
			names[value], counters[value] = name, true
			switch {
			case f.Type() == reflect.TypeFor[time.Duration]():
				f.SetInt(int64(n) * int64(time.Second))
				counters[value] = false
			case f.CanInt():
				f.SetInt(int64(n))
				counters[value] = false
			case f.CanUint():
				f.SetUint(uint64(n))
			case f.Type() == reflect.TypeFor[map[int]uint64]():
				f.Set(reflect.ValueOf(map[int]uint64{4107: uint64(n)}))
			default:
				f.Set(reflect.ValueOf(map[string]uint64{"direct": uint64(n)}))
			}
		}
	}
	fill(reflect.ValueOf(s).Elem(), "")
	return names, counters
}
