package tap_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leanrtm/realtime/internal/tap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type none struct{}

func (*none) Open(tap.Conn) tap.Pipe { return nil }

func TestContext(t *testing.T) {
	require.Nil(t, tap.From(context.Background()))
	want := new(none)
	require.Same(t, want, tap.From(tap.With(context.Background(), want)))
}
