package memory_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/leanrtm/realtime/server/internal/store"
	"github.com/leanrtm/realtime/server/internal/store/memory"
	"github.com/leanrtm/realtime/server/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	storetest.Run(t, func(testing.TB) store.Store { return memory.New() })
}
