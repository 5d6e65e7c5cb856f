package sign_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/sign"
)

func TestKickMakesSignaturesVoid(t *testing.T) {
	var revoked sign.Revoked
	require.NoError(t, revoked.Check("tom", at.UnixMilli()), "nobody was kicked")
	revoked.Revoke("tom", at)
	for name, c := range map[string]struct {
		client    string
		timestamp int64
		want      error
	}{
		"before":                     {"tom", at.Add(-time.Millisecond).UnixMilli(), sign.ErrRevoked},
		"at the very time":           {"tom", at.UnixMilli(), sign.ErrRevoked},
		"after":                      {"tom", at.Add(time.Millisecond).UnixMilli(), nil},
		"the second before":          {"tom", at.Unix() - 1, sign.ErrRevoked},
		"the same second, uncertain": {"tom", at.Unix(), nil},
		"somebody else":              {"jerry", at.Add(-time.Hour).UnixMilli(), nil},
		"no time":                    {"tom", 0, sign.ErrRevoked},
	} {
		require.ErrorIs(t, revoked.Check(c.client, c.timestamp), c.want, name)
	}
	revoked.Revoke("tom", at.Add(-time.Hour)) // a clock that was set back
	require.ErrorIs(t, revoked.Check("tom", at.UnixMilli()), sign.ErrRevoked)
	revoked.Revoke("tom", at.Add(time.Hour))
	require.ErrorIs(t, revoked.Check("tom", at.Add(time.Minute).UnixMilli()), sign.ErrRevoked, "kicked again")
}

// What is over is refused by its age: nothing is remembered for ever.
func TestKicksAreForgotten(t *testing.T) {
	var revoked sign.Revoked
	for i := range 100 {
		revoked.Revoke(strconv.Itoa(i), at)
	}
	revoked.Revoke("tom", at.Add(sign.Lifetime))
	require.ErrorIs(t, revoked.Check("0", at.UnixMilli()), sign.ErrRevoked, "one of that age may still be valid")
	revoked.Revoke("tom", at.Add(sign.Lifetime+time.Minute))
	for i := range 100 {
		require.NoError(t, revoked.Check(strconv.Itoa(i), at.UnixMilli()))
	}
	require.ErrorIs(t, revoked.Check("tom", at.Add(sign.Lifetime).UnixMilli()), sign.ErrRevoked)
}
