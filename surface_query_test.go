package realtime_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
)

// namesFound are the names of what a query finds, in its order.
func namesFound(t *testing.T, q *realtime.ConversationQuery) []string {
	t.Helper()
	found, err := q.Find(t.Context())
	require.NoError(t, err)
	names := make([]string, len(found))
	for i, c := range found {
		names[i] = c.Name()
	}
	return names
}

// Every operator on every kind of value, on what is missing and on null.
func TestSurfaceQueryOperators(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom := s.Client("Tom")
		day := func(n int) time.Time { return time.Date(2020, 1, n, 0, 0, 0, 0, time.UTC) }
		values := []struct {
			name  string
			value any
		}{
			{"n1", 1}, {"n2", 2.5}, {"n10", 10}, {"sa", "a"}, {"sB", "B"}, {"sab", "ab"},
			{"d1", day(1)}, {"d2", day(2)}, {"true", true}, {"null", nil},
			{"list", []any{1, "a", day(1)}}, {"empty", []any{}}, {"object", map[string]any{"x": 1}}, {"missing", nil},
		}
		for _, v := range values {
			attrs := map[string]any{"k": v.value, "all": true}
			if v.name == "missing" {
				delete(attrs, "k")
			}
			_, err := tom.CreateConversation(t.Context(), realtime.ConversationOptions{
				Name: v.name, NotUnique: true, Attributes: attrs,
			})
			require.NoError(t, err)
			moment()
		}
		everything := func(but ...string) []string {
			var names []string
			for _, v := range values {
				if !slices.Contains(but, v.name) {
					names = append(names, v.name)
				}
			}
			return names
		}
		type q = *realtime.ConversationQuery
		for name, test := range map[string]struct {
			build func(q q) q
			want  []string
		}{
			"equal number":       {func(q q) q { return q.EqualTo("k", 1) }, []string{"n1", "list"}},
			"equal float":        {func(q q) q { return q.EqualTo("k", 2.5) }, []string{"n2"}},
			"equal text":         {func(q q) q { return q.EqualTo("k", "a") }, []string{"sa", "list"}},
			"equal date":         {func(q q) q { return q.EqualTo("k", day(1)) }, []string{"d1", "list"}},
			"equal bool":         {func(q q) q { return q.EqualTo("k", true) }, []string{"true"}},
			"equal null":         {func(q q) q { return q.EqualTo("k", nil) }, []string{"null"}},
			"equal list":         {func(q q) q { return q.EqualTo("k", []any{1, "a", day(1)}) }, []string{"list"}},
			"equal object":       {func(q q) q { return q.EqualTo("k", map[string]any{"x": 1}) }, []string{"object"}},
			"equal part":         {func(q q) q { return q.EqualTo("k.x", 1) }, []string{"object"}},
			"equal replaces":     {func(q q) q { return q.GreaterThan("k", 5).EqualTo("k", 1) }, []string{"n1", "list"}},
			"not equal":          {func(q q) q { return q.NotEqualTo("k", 1) }, everything("n1", "list")},
			"less":               {func(q q) q { return q.LessThan("k", 10) }, []string{"n1", "n2", "list"}},
			"less or equal":      {func(q q) q { return q.LessThanOrEqualTo("k", 10) }, []string{"n1", "n2", "n10", "list"}},
			"greater":            {func(q q) q { return q.GreaterThan("k", 1) }, []string{"n2", "n10"}},
			"greater or equal":   {func(q q) q { return q.GreaterThanOrEqualTo("k", 1) }, []string{"n1", "n2", "n10", "list"}},
			"texts by bytes":     {func(q q) q { return q.LessThan("k", "ab") }, []string{"sa", "sB", "list"}},
			"dates":              {func(q q) q { return q.GreaterThan("k", day(1)) }, []string{"d2"}},
			"contains":           {func(q q) q { return q.Contains("k", "b") }, []string{"sab"}},
			"starts with":        {func(q q) q { return q.StartsWith("k", "a") }, []string{"sa", "sab", "list"}},
			"ends with":          {func(q q) q { return q.EndsWith("k", "b") }, []string{"sab"}},
			"matches":            {func(q q) q { return q.Matches("k", "(?i)^B$") }, []string{"sB"}},
			"contained in":       {func(q q) q { return q.ContainedIn("k", 1, "B", day(2), nil) }, []string{"n1", "sB", "d2", "null", "list"}},
			"contained in none":  {func(q q) q { return q.ContainedIn("k") }, []string{}},
			"not contained in":   {func(q q) q { return q.NotContainedIn("k", 1, "B", nil) }, everything("n1", "sB", "null", "list")},
			"contains all":       {func(q q) q { return q.ContainsAll("k", "a", 1) }, []string{"list"}},
			"contains all dates": {func(q q) q { return q.ContainsAll("k", day(1)) }, []string{"list"}},
			"size":               {func(q q) q { return q.SizeEqualTo("k", 3) }, []string{"list"}},
			"size 0":             {func(q q) q { return q.SizeEqualTo("k", 0) }, []string{"empty"}},
			"exists":             {func(q q) q { return q.Exists("k") }, everything("missing")},
			"does not exist":     {func(q q) q { return q.DoesNotExist("k") }, []string{"missing"}},
			"between":            {func(q q) q { return q.GreaterThan("k", 1).LessThan("k", 10) }, []string{"n2"}},
			"two of one form":    {func(q q) q { return q.NotEqualTo("k", 1).NotEqualTo("k", "B") }, everything("n1", "sB", "list")},
			"two expressions":    {func(q q) q { return q.StartsWith("k", "a").EndsWith("k", "b") }, []string{"sab"}},
			"or": {func(q q) q {
				return q.Or(tom.Query().EqualTo("k", 10), tom.Query().EqualTo("k", "B"))
			}, []string{"n10", "sB"}},
			"or twice": {func(q q) q {
				return q.Or(tom.Query().EqualTo("k", 10), tom.Query().EqualTo("k", "B")).
					Or(tom.Query().EqualTo("name", "sB"), tom.Query().EqualTo("name", "n1"))
			}, []string{"sB"}},
			"and": {func(q q) q {
				return q.And(tom.Query().GreaterThan("k", 1), tom.Query().NotEqualTo("k", 10))
			}, []string{"n2"}},
			"and within or": {func(q q) q {
				return q.Or(tom.Query().And(tom.Query().Exists("k"), tom.Query().EqualTo("name", "null")), tom.Query().DoesNotExist("k"))
			}, []string{"null", "missing"}},
		} {
			query := tom.Query().EqualTo("all", true).Ascending("createdAt").Limit(100)
			require.Equal(t, test.want, namesFound(t, test.build(query)), name)
		}

		// The order of a query, and parts of it.
		all := func() q { return tom.Query().EqualTo("all", true) }
		require.Equal(t, []string{"missing", "object"}, namesFound(t, all().Descending("createdAt").Limit(2)))
		require.Equal(t, []string{"object", "empty"}, namesFound(t, all().Descending("createdAt").Limit(2).Skip(1)))
		require.Equal(t, []string{"d1", "d2", "empty"}, namesFound(t, all().Ascending("name").Limit(3)))
		require.Len(t, namesFound(t, all()), 10, "default limit")
		require.Empty(t, namesFound(t, all().Skip(100)))
		n := 0
		for _, err := range all().Limit(4).All(t.Context()) {
			require.NoError(t, err)
			n++
		}
		require.Equal(t, len(values), n)
	})
}

func TestSurfaceQueryOfBuiltInKeys(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		first, second := s.group(tom, "Jerry"), s.group(jerry, "Tom", "Spike")
		s.say(first, "hi")
		q := tom.Query
		for name, test := range map[string]struct {
			query *realtime.ConversationQuery
			want  []string
		}{
			"mine by default":  {q(), []string{first.ID(), second.ID()}},
			"creator":          {q().EqualTo("c", "Jerry"), []string{second.ID()}},
			"members":          {q().ContainsMembers("Tom", "Jerry"), []string{first.ID(), second.ID()}},
			"exact members":    {q().WithMembers("Jerry", "Tom"), []string{first.ID()}},
			"number of them":   {q().SizeEqualTo("m", 3), []string{second.ID()}},
			"id":               {q().EqualTo("objectId", second.ID()), []string{second.ID()}},
			"ids":              {q().ContainedIn("objectId", first.ID(), second.ID()), []string{first.ID(), second.ID()}},
			"has been spoken":  {q().Exists("lm"), []string{first.ID()}},
			"never spoken":     {q().DoesNotExist("lm").ContainsMembers("Tom"), []string{second.ID()}},
			"last message":     {q().GreaterThanOrEqualTo("lm", first.LastMessageAt()), []string{first.ID()}},
			"created":          {q().LessThanOrEqualTo("createdAt", first.CreatedAt()), []string{first.ID()}},
			"updated":          {q().GreaterThan("updatedAt", first.UpdatedAt()), []string{second.ID()}},
			"of somebody else": {q().EqualTo("m", "Spike"), []string{second.ID()}},
		} {
			found, err := test.query.Find(ctx)
			require.NoError(t, err, name)
			ids := []string{}
			for _, c := range found {
				ids = append(ids, c.ID())
			}
			require.ElementsMatch(t, test.want, ids, name)
		}
		spike := s.Client("Spike")
		found, err := spike.Query().EqualTo("objectId", first.ID()).Compact().WithLastMessagesRefreshed().First(ctx)
		require.NoError(t, err)
		require.Empty(t, found.Members())
		require.Equal(t, "hi", found.LastMessage().Text())
		require.NoError(t, found.Fetch(ctx))
		require.Equal(t, []string{"Jerry", "Tom"}, found.Members())
		_, err = spike.GetConversation(ctx, "555555555555555555555555")
		require.ErrorIs(t, err, realtime.ErrConversationNotFound)
	})
}

// What costs too much, or cannot be understood, is refused as such.
func TestSurfaceQueryIsBounded(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom := s.Client("Tom")
		s.group(tom)
		for name, q := range map[string]*realtime.ConversationQuery{
			"long expression":    tom.Query().Matches("name", strings.Repeat("a", 2000)),
			"complex expression": tom.Query().Matches("name", "((a{1,30}){1,30}){1,30}"),
			"back-reference":     tom.Query().Matches("name", `(a)\1`),
			"bad expression":     tom.Query().Matches("name", "("),
		} {
			_, err := q.Find(t.Context())
			require.ErrorIs(t, err, realtime.ErrConversationQueryFailed, name)
			require.NoError(t, tom.Err())
		}
		mark := len(s.Commands())
		for name, q := range map[string]*realtime.ConversationQuery{
			"limit":       tom.Query().Limit(1001),
			"skip":        tom.Query().Skip(-1),
			"operator":    tom.Query().EqualTo("$where", "x"),
			"no UTF-8":    tom.Query().Contains("name", "\xff"),
			"empty key":   tom.Query().Exists(""),
			"sort by two": tom.Query().Ascending("a,b"),
			"or nothing":  tom.Query().Or(),
		} {
			_, err := q.Find(t.Context())
			require.ErrorIs(t, err, realtime.ErrInvalidArgument, name)
		}
		require.Empty(t, s.sent(mark))
	})
}

// Contains, StartsWith and EndsWith find what strings.Contains and its
// relatives find, whatever the texts are.
func TestSurfaceQueryTextsAreLiteral(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	pieces := []string{
		`\`, `\E`, `\Q`, `E`, `Q`, `\\`, "$", "^", ".", "*", "(", ")", "[", "]", "{", "}", "|", "+", "?", "/", "-", "#", " ",
		"\n", "\r\n", "\t", "\x00", `"`, `'`, "<", ">", "&", "%", "a", "b", "A", "ß", "é", "é", "中文", "🐭", "\u2028", "\ufffd", "\u200d", "İ", "ǅ",
	}
	text := func(most int) string {
		var b strings.Builder
		for range r.IntN(most + 1) {
			if r.IntN(8) == 0 {
				b.WriteRune(rune(r.IntN(0xd800)))
			} else {
				b.WriteString(pieces[r.IntN(len(pieces))])
			}
		}
		return b.String()
	}
	part := func(s string) string { // of whole characters
		runes := []rune(s)
		from := r.IntN(len(runes) + 1)
		return string(runes[from : from+r.IntN(len(runes)-from+1)])
	}
	onSurface(t, func(t *testing.T, s *surface) {
		tom := s.Client("Tom")
		texts := map[string]string{}
		for i := range 40 {
			name := fmt.Sprintf("%02d", i)
			texts[name] = text(12)
			_, err := tom.CreateConversation(t.Context(), realtime.ConversationOptions{
				Name: name, NotUnique: true, Attributes: map[string]any{"text": texts[name], "deep": map[string]any{"text": texts[name]}},
			})
			require.NoError(t, err)
		}
		some := func() string { return texts[fmt.Sprintf("%02d", r.IntN(len(texts)))] }
		for range stories(150, 50) {
			pattern := text(4)
			if r.IntN(3) > 0 {
				pattern = part(some())
			}
			key := "text"
			if r.IntN(2) == 0 {
				key = "deep.text"
			}
			for name, test := range map[string]struct {
				query *realtime.ConversationQuery
				is    func(s, part string) bool
			}{
				"contains":    {tom.Query().Contains(key, pattern), strings.Contains},
				"starts with": {tom.Query().StartsWith(key, pattern), strings.HasPrefix},
				"ends with":   {tom.Query().EndsWith(key, pattern), strings.HasSuffix},
				"equals":      {tom.Query().EqualTo(key, pattern), func(s, p string) bool { return s == p }},
			} {
				want := []string{}
				for name, text := range texts {
					if test.is(text, pattern) {
						want = append(want, name)
					}
				}
				slices.Sort(want)
				require.Equal(t, want, namesFound(t, test.query.Ascending("name").Limit(1000)), "%s %q of %q", name, pattern, texts)
			}
		}
		// Keys are taken as they are, too.
		for _, key := range []string{"a b", "ключ", `q"uote`, `back\slash`, "new\nline", "<&>"} {
			conv, err := tom.CreateConversation(t.Context(), realtime.ConversationOptions{
				Name: "key", NotUnique: true, Attributes: map[string]any{key: "here"},
			})
			require.NoError(t, err)
			require.Equal(t, []string{"key"}, namesFound(t, tom.Query().EqualTo(key, "here")), key)
			require.Equal(t, "here", s.as(s.Client("Jerry"), conv).Get(key))
		}
	})
}
