package realtime

import (
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestQueryFilters(t *testing.T) {
	at := time.Date(2016, 2, 27, 10, 0, 0, 0, time.UTC)
	const date = `{"__type":"Date","iso":"2016-02-27T10:00:00.000Z"}`
	q := func() *ConversationQuery { return &ConversationQuery{} }
	for _, tt := range []struct {
		q    *ConversationQuery
		want string
	}{
		{q(), `{}`},
		{q().EqualTo("a", 1), `{"a":1}`},
		{q().EqualTo("a", nil), `{"a":null}`},
		{q().EqualTo("a", at), `{"a":` + date + `}`},
		{q().EqualTo("a.b", map[string]any{"x": at}), `{"a.b":{"x":` + date + `}}`},
		{q().GreaterThan("a", 1).LessThan("a", 5).LessThanOrEqualTo("b", at), `{"a":{"$gt":1,"$lt":5},"b":{"$lte":` + date + `}}`},
		{q().GreaterThanOrEqualTo("a", 1).NotEqualTo("a", "x"), `{"a":{"$gte":1,"$ne":"x"}}`},
		{q().GreaterThan("a", 1).EqualTo("a", 2), `{"a":2}`},
		{q().EqualTo("a", 1).EqualTo("a", 2), `{"a":2}`},
		{q().EqualTo("a", 1).NotEqualTo("a", 2), `{"a":1,"$and":[{"a":{"$ne":2}}]}`},
		{q().NotEqualTo("a", 1).NotEqualTo("a", 2), `{"a":{"$ne":1},"$and":[{"a":{"$ne":2}}]}`},
		{q().Contains("a", "x").StartsWith("a", "y"), `{"a":{"$regex":"\\Qx\\E"},"$and":[{"a":{"$regex":"^\\Qy\\E"}}]}`},
		{q().EndsWith("a", `z\E.`), `{"a":{"$regex":"\\Qz\\E\\\\E\\Q.\\E$"}}`},
		{q().Matches("a", "(?i)^x"), `{"a":{"$regex":"(?i)^x"}}`},
		{q().ContainedIn("a", 1, "x", at), `{"a":{"$in":[1,"x",` + date + `]}}`},
		{q().ContainedIn("a", []string{"x", "y"}), `{"a":{"$in":["x","y"]}}`},
		{q().ContainedIn("a", []string(nil)), `{"a":{"$in":[]}}`},
		{q().ContainedIn("a"), `{"a":{"$in":[]}}`},
		{q().ContainedIn("a", "x"), `{"a":{"$in":["x"]}}`},
		{q().NotContainedIn("a", []any{1}, 2), `{"a":{"$nin":[[1],2]}}`},
		{q().ContainsAll("a", [2]int{1, 2}), `{"a":{"$all":[1,2]}}`},
		{q().ContainsMembers("Tom", "Jerry"), `{"m":{"$all":["Tom","Jerry"]}}`},
		{q().ContainsMembers(), `{}`},
		{q().WithMembers("Tom", "Jerry", "Tom"), `{"m":{"$all":["Tom","Jerry"],"$size":2}}`},
		{q().SizeEqualTo("a", 3).Exists("b").DoesNotExist("c"), `{"a":{"$size":3},"b":{"$exists":true},"c":{"$exists":false}}`},
		{q().Or(q().EqualTo("a", 1), q().EqualTo("b", 2)).EqualTo("c", 3), `{"$or":[{"a":1},{"b":2}],"c":3}`},
		{q().Or(q().EqualTo("a", 1)).Or(q().EqualTo("b", 2)), `{"$or":[{"a":1}],"$and":[{"$or":[{"b":2}]}]}`},
		{q().EqualTo("a", 1).And(q().EqualTo("a", 2), q().Exists("b")).And(q().Exists("c")), `{"a":1,"$and":[{"a":2},{"b":{"$exists":true}},{"c":{"$exists":true}}]}`},
		{(&IMClient{}).ChatRoomQuery(), `{"tr":true}`},
		{(&IMClient{}).ServiceConversationQuery().Exists("x"), `{"sys":true,"x":{"$exists":true}}`},
	} {
		require.NoError(t, tt.q.err())
		got, err := json.Marshal(tt.q.filter())
		require.NoError(t, err)
		require.JSONEq(t, tt.want, string(got))
	}

	self := q().EqualTo("a", 1)
	self.And(self) // as it was then
	got, err := json.Marshal(self.filter())
	require.NoError(t, err)
	require.JSONEq(t, `{"a":1,"$and":[{"a":1}]}`, string(got))
}

func TestQueryMistakes(t *testing.T) {
	q := func() *ConversationQuery { return &ConversationQuery{} }
	for _, bad := range []*ConversationQuery{
		q().EqualTo("", 1), q().EqualTo("$or", 1), q().Exists("a.$x"), q().EqualTo("a", map[string]any{"$ne": 1}),
		q().EqualTo("a", func() {}), q().Contains("a", "\xff"), q().Matches("\xff", "a"), q().SizeEqualTo("a", -1),
		q().Limit(-1), q().Limit(1001), q().Skip(-1), q().Ascending(""), q().AddDescending("-a"), q().Descending("a,b"),
		q().Or(), q().And(nil), q().And(q().Limit(-1)),
	} {
		_, err := bad.Find(t.Context())
		require.ErrorIs(t, err, ErrInvalidArgument)
		_, err = bad.First(t.Context())
		require.ErrorIs(t, err, ErrInvalidArgument)
		n := 0
		for _, err := range bad.All(t.Context()) {
			require.ErrorIs(t, err, ErrInvalidArgument)
			n++
		}
		require.Equal(t, 1, n)
	}
	_, err := q().Limit(-1).Skip(-1).Find(t.Context())
	require.ErrorContains(t, err, "Limit(-1)")
	require.ErrorContains(t, err, "Skip(-1)")
}

func TestQuerySort(t *testing.T) {
	q := (&ConversationQuery{}).AddAscending("a").AddDescending("b.c")
	require.Equal(t, []string{"a", "-b.c"}, q.sort)
	require.Equal(t, []string{"-x"}, q.Descending("x").sort)
	require.Equal(t, []string{"y"}, q.Ascending("y").sort)
}

// A quoted text matches itself and nothing else.
func FuzzQuoteRegexp(f *testing.F) {
	for _, s := range []string{"", "a", `\`, `\E`, `\\E`, `\Q\E`, `a\`, `.*+?()[]{}|^$`, "\n", `E\`, `\E\E`, "😀\\"} {
		f.Add(s, s+"x")
	}
	f.Fuzz(func(t *testing.T, s, other string) {
		if !utf8.ValidString(s) || !utf8.ValidString(other) {
			return // refused before
		}
		quoted := quoteRegexp(s)
		require.True(t, regexp.MustCompile("^(?:"+quoted+")$").MatchString(s))
		require.Equal(t, strings.Contains(other, s), regexp.MustCompile(quoted).MatchString(other))
		require.Equal(t, strings.HasPrefix(other, s), regexp.MustCompile("^"+quoted).MatchString(other))
		require.Equal(t, strings.HasSuffix(other, s), regexp.MustCompile(quoted+"$").MatchString(other))
	})
}

// Keys and values reach the server as they are, whatever is in them.
func TestQueryEscapesKeysAndValues(t *testing.T) {
	letters := []rune("ab.$\"\\{}[]:,\n\u2028<&>'\x00é😀 \u007f")
	random := func() string {
		out := make([]rune, rand.IntN(8))
		for i := range out {
			out[i] = letters[rand.IntN(len(letters))]
		}
		return string(out)
	}
	for range 2000 {
		key, value := random(), random()
		q := (&ConversationQuery{}).EqualTo(key, value).NotEqualTo(key+"x", value)
		if key == "" || key[0] == '$' || strings.Contains(key, ".$") {
			require.ErrorIs(t, q.err(), ErrInvalidArgument)
			continue
		}
		require.NoError(t, q.err())
		text, err := marshalJSON(q.filter())
		require.NoError(t, err)
		var got map[string]any
		require.NoError(t, json.Unmarshal(text, &got))
		require.Equal(t, map[string]any{key: value, key + "x": map[string]any{"$ne": value}}, got)
	}
}
