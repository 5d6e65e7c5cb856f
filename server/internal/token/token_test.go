package token_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leanrtm/realtime/server/internal/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	key1 = []byte("the first key of sixteen bytes or more")
	key2 = []byte("another key of sixteen bytes or more")
)

func ring(t testing.TB, keys ...[]byte) *token.Ring {
	t.Helper()
	r, err := token.NewRing(keys...)
	require.NoError(t, err)
	return r
}

func claims() token.Claims {
	return token.Claims{
		App: "app", Client: "tom@\x00 汤姆", Tag: "Mobile", Device: "d", ID: "chain",
		Issued: time.UnixMilli(1700000000123),
	}
}

func TestRoundTrip(t *testing.T) {
	for name, c := range map[string]token.Claims{
		"full":  claims(),
		"empty": {Issued: time.UnixMilli(0)},
		"long":  {Client: strings.Repeat("x", 300), Issued: time.UnixMilli(1)},
	} {
		t.Run(name, func(t *testing.T) {
			r := ring(t, key1)
			got, err := r.Parse(r.Issue(c))
			require.NoError(t, err)
			require.Equal(t, c, got)
		})
	}
}

func TestKeysRotate(t *testing.T) {
	old, both, next := ring(t, key1), ring(t, key2, key1), ring(t, key2)
	issued := old.Issue(claims())
	got, err := both.Parse(issued)
	require.NoError(t, err)
	require.Equal(t, claims(), got)
	_, err = next.Parse(issued)
	require.ErrorIs(t, err, token.ErrInvalid)
	_, err = next.Parse(both.Issue(claims())) // the first key signs
	require.NoError(t, err)
}

func TestChangedTokensAreInvalid(t *testing.T) {
	r := ring(t, key1)
	raw, err := base64.RawURLEncoding.DecodeString(r.Issue(claims()))
	require.NoError(t, err)
	for i := range raw {
		for _, bit := range []byte{1, 0x80} {
			changed := append([]byte(nil), raw...)
			changed[i] ^= bit
			_, err := r.Parse(base64.RawURLEncoding.EncodeToString(changed))
			require.ErrorIs(t, err, token.ErrInvalid, "byte %d", i)
		}
		_, err := r.Parse(base64.RawURLEncoding.EncodeToString(raw[:i]))
		require.ErrorIs(t, err, token.ErrInvalid, "first %d bytes", i)
	}
	for _, s := range []string{"", "x", "not base64!", strings.Repeat("A", 500)} {
		_, err := r.Parse(s)
		require.ErrorIs(t, err, token.ErrInvalid)
	}
}

func TestExpiry(t *testing.T) {
	c := claims()
	require.False(t, c.Expired(c.Issued.Add(time.Hour-1), time.Hour))
	require.True(t, c.Expired(c.Issued.Add(time.Hour), time.Hour))
}

func TestKeysAreChecked(t *testing.T) {
	for name, keys := range map[string][][]byte{
		"none":  nil,
		"short": {key1, []byte("short")},
		"twice": {key1, key2, key1},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := token.NewRing(keys...)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "short key")
		})
	}
}

func FuzzParse(f *testing.F) {
	r := ring(f, key1)
	f.Add(r.Issue(claims()))
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := r.Parse(s)
		if err != nil {
			require.Zero(t, c)
			return
		}
		again, err := r.Parse(r.Issue(c))
		require.NoError(t, err)
		require.Equal(t, c, again)
	})
}

func BenchmarkParse(b *testing.B) {
	r := ring(b, key1)
	s := r.Issue(claims())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Parse(s); err != nil {
			b.Fatal(err)
		}
	}
}
