package server

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// A hook that is not counted would not be called.
func TestEveryHookIsCounted(t *testing.T) {
	hooks := new(Hooks)
	all := reflect.ValueOf(hooks).Elem()
	for i := range all.NumField() {
		all.Field(i).Set(reflect.MakeFunc(all.Field(i).Type(), nil))
	}
	counted := reflect.ValueOf(new(hookCounts).counted(hooks)).Elem()
	for i := range counted.NumField() {
		require.False(t, counted.Field(i).IsNil(), counted.Type().Field(i).Name)
	}
}
