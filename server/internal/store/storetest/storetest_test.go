package storetest

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/leanrtm/realtime/server/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestModel: two implementations of the contract keep the suite honest.
func TestModel(t *testing.T) {
	Run(t, func(testing.TB) store.Store { return newModel() })
}
