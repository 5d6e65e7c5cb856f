package limit_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leanrtm/realtime/server/internal/limit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDefaults(t *testing.T) {
	l := limit.Limits{Members: 7, QueryPage: limit.NoLimit, SendRate: 60}.WithDefaults()
	require.Equal(t, 7, l.Members)
	require.Equal(t, limit.NoLimit, l.QueryPage)
	require.Equal(t, 60, l.SendRate)
	require.Equal(t, 5120, l.MessageSize)
	require.Equal(t, limit.NoLimit, l.HistoryRate)
	require.Equal(t, l, l.WithDefaults())
}

func TestExceedsAndClamp(t *testing.T) {
	for _, tc := range []struct {
		n, limit int
		exceeds  bool
		clamp    int
	}{
		{5, 5, false, 5}, {6, 5, true, 5}, {0, 0, false, 0}, {1, 0, true, 0}, {1 << 30, limit.NoLimit, false, 1 << 30},
	} {
		require.Equal(t, tc.exceeds, limit.Exceeds(tc.n, tc.limit))
		require.Equal(t, tc.clamp, limit.Clamp(tc.n, tc.limit))
	}
}

func TestAppHidesItsKeys(t *testing.T) {
	a := limit.App{ID: "a1", Key: "secret-key", MasterKey: "secret-master"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, v := range []any{a, &a, []limit.App{a}, struct{ A limit.App }{a}} {
			require.NotContains(t, fmt.Sprintf(verb, v), "secret", "%s", verb)
		}
	}
}

func TestValidate(t *testing.T) {
	require.NoError(t, limit.App{ID: "a"}.Validate())
	require.NoError(t, limit.App{ID: "a", MasterKey: "m", VerifyLogin: true}.Validate())
	require.Error(t, limit.App{}.Validate())
	for _, a := range []limit.App{{VerifyLogin: true}, {VerifyConversation: true}, {VerifyBlacklist: true}, {VerifyHistory: true}} {
		a.ID = "a"
		require.ErrorContains(t, a.Validate(), "MasterKey")
	}
}
