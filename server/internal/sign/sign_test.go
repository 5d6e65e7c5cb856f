package sign_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leanrtm/realtime/server/internal/sign"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	key = "master"
	app = "app"
)

// at is inside the examples' own time.
var at = time.UnixMilli(1_700_000_000_123)

func hexOf(text string) string {
	h := hmac.New(sha1.New, []byte(key))
	h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil))
}

func TestTexts(t *testing.T) {
	members := []string{"tom", "Jerry", "bob"}
	for name, c := range map[string]struct {
		text sign.Text
		want string
	}{
		"login":            {sign.Login(app, "tom"), "app:tom::1700000000123:n"},
		"create":           {sign.Create(app, "tom", members), "app:tom:Jerry:bob:tom:1700000000123:n"},
		"create of nobody": {sign.Create(app, "tom", nil), "app:tom::1700000000123:n"},
		"invite":           {sign.Members(app, "tom", "c1", members, sign.Invite), "app:tom:c1:Jerry:bob:tom:1700000000123:n:invite"},
		"kick":             {sign.Members(app, "tom", "c1", []string{"bob"}, sign.Kick), "app:tom:c1:bob:1700000000123:n:kick"},
		"block":            {sign.Members(app, "tom", "c1", []string{"bob"}, sign.BlockClients), "app:tom:c1:bob:1700000000123:n:conversation-block-clients"},
		"unblock":          {sign.Members(app, "tom", "c1", []string{"bob"}, sign.UnblockClients), "app:tom:c1:bob:1700000000123:n:conversation-unblock-clients"},
		"own block":        {sign.Convs(app, "tom", "c1", sign.BlockConvs), "app:tom:c1::1700000000123:n:client-block-conversations"},
		"own unblock":      {sign.Convs(app, "tom", "c1", sign.UnblockConvs), "app:tom:c1::1700000000123:n:client-unblock-conversations"},
		"history":          {sign.History(app, "tom", "c1"), "app:tom:c1:n:1700000000123"},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.text.Sign(key, at.UnixMilli(), "n")
			require.Equal(t, hexOf(c.want), s.Value)
			require.NoError(t, c.text.Verify(key, s, at))
		})
	}
	require.Equal(t, []string{"tom", "Jerry", "bob"}, members, "the caller's list keeps its order")
}

func TestVerify(t *testing.T) {
	text := sign.Members(app, "tom", "c1", []string{"bob"}, sign.Invite)
	good := text.Sign(key, at.UnixMilli(), "n")

	upper := good
	upper.Value = strings.ToUpper(good.Value)
	require.NoError(t, text.Verify(key, upper, at), "hex in either case")

	seconds := text.Sign(key, at.Unix(), "n")
	require.NoError(t, text.Verify(key, seconds, at), "seconds by magnitude")

	require.NoError(t, text.Verify(key, good, at.Add(sign.Lifetime)))
	require.NoError(t, text.Verify(key, good, at.Add(-sign.Lifetime)))
	require.ErrorIs(t, text.Verify(key, good, at.Add(sign.Lifetime+time.Millisecond)), sign.ErrExpired)
	require.ErrorIs(t, text.Verify(key, good, at.Add(-sign.Lifetime-time.Millisecond)), sign.ErrExpired)

	require.ErrorIs(t, text.Verify("other", good, at), sign.ErrWrong)
	require.ErrorIs(t, sign.Members(app, "tom", "c1", []string{"bob"}, sign.Kick).Verify(key, good, at), sign.ErrWrong)
	require.ErrorIs(t, sign.Members(app, "tom", "c1", []string{"eve"}, sign.Invite).Verify(key, good, at), sign.ErrWrong)

	for name, c := range map[string]struct {
		change func(*sign.Signature)
		want   error
	}{
		"absent":        {func(s *sign.Signature) { s.Value = "" }, sign.ErrMissing},
		"a word":        {func(s *sign.Signature) { s.Value = "signature" }, sign.ErrWrong},
		"shorter":       {func(s *sign.Signature) { s.Value = s.Value[:38] }, sign.ErrWrong},
		"other nonce":   {func(s *sign.Signature) { s.Nonce = "m" }, sign.ErrWrong},
		"other time":    {func(s *sign.Signature) { s.Timestamp++ }, sign.ErrWrong},
		"no time":       {func(s *sign.Signature) { s.Timestamp = 0 }, sign.ErrExpired},
		"negative time": {func(s *sign.Signature) { s.Timestamp = math.MinInt64 }, sign.ErrExpired},
		"end of time":   {func(s *sign.Signature) { s.Timestamp = math.MaxInt64 }, sign.ErrExpired},
	} {
		t.Run(name, func(t *testing.T) {
			s := good
			c.change(&s)
			require.ErrorIs(t, text.Verify(key, s, at), c.want)
		})
	}
}

func TestHistoryTakesBothOrders(t *testing.T) {
	text := sign.History(app, "tom", "c1")
	for _, signed := range []string{"app:tom:c1:n:1700000000123", "app:tom:c1:1700000000123:n"} {
		s := sign.Signature{Timestamp: at.UnixMilli(), Nonce: "n", Value: hexOf(signed)}
		require.NoError(t, text.Verify(key, s, at), signed)
	}
	login := sign.Login(app, "tom")
	s := sign.Signature{Timestamp: at.UnixMilli(), Nonce: "n", Value: hexOf("app:tom::n:1700000000123")}
	require.ErrorIs(t, login.Verify(key, s, at), sign.ErrWrong, "no other text does")
}
