package realtime

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every counter and every gauge is added up, whatever is added to the struct.
func TestClientStatsAddUp(t *testing.T) {
	var one ClientStats
	v := reflect.ValueOf(&one).Elem()
	for i := range v.NumField() {
		if v.Field(i).CanInt() {
			v.Field(i).SetInt(1)
		} else {
			v.Field(i).SetUint(1)
		}
	}
	var counters, gauges ClientStats
	counters.addCounters(&one)
	gauges.addGauges(&one)
	for i := range v.NumField() {
		name, signed := v.Type().Field(i).Name, v.Field(i).CanInt()
		require.Equal(t, !signed, !reflect.ValueOf(counters).Field(i).IsZero(), name)
		require.Equal(t, signed, !reflect.ValueOf(gauges).Field(i).IsZero(), name)
	}
}
