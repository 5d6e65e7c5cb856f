package where_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leanrtm/realtime/server/internal/where"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func parse(t testing.TB, text string) *where.Filter {
	t.Helper()
	f, err := where.Parse([]byte(text), where.DefaultLimits())
	require.NoError(t, err, text)
	return f
}

func object(t testing.TB, text string) where.Object {
	t.Helper()
	o, err := where.ParseObject([]byte(text))
	require.NoError(t, err, text)
	return o
}

func TestMatch(t *testing.T) {
	const doc = `{
		"s": "Hello", "n": 5, "f": 2.5, "big": 9007199254740993, "huge": 123456789012345678901234567890, "neg": -123456789012345678901234567890, "zero": -0, "t": true, "no": false, "nil": null,
		"a": ["x", "y", 3, null], "e": [], "nums": [1, 10], "aa": [["x"], "y"], "o": {"p": {"q": 1}, "s": "in"}, "d": {"__type": "Date", "iso": "2016-02-27T10:00:00.000Z"},
		"ds": [{"__type": "Date", "iso": "2016-02-27T10:00:00.000Z"}], "dot.ted": "yes", "list": [{"p": 1}], "text": "line one\nLine two"
	}`
	d := object(t, doc)
	for _, c := range []struct {
		where string
		want  bool
	}{
		{`{}`, true},
		// Equality.
		{`{"s": "Hello"}`, true},
		{`{"s": "hello"}`, false},
		{`{"n": 5}`, true},
		{`{"n": 5.0}`, true},
		{`{"n": 5e0}`, true},
		{`{"n": "5"}`, false},
		{`{"big": 9007199254740993}`, true},
		{`{"big": 9007199254740992}`, false},
		{`{"huge": 123456789012345678901234567890}`, true},
		{`{"huge": 123456789012345678901234567891}`, false},
		{`{"t": true, "no": false}`, true},
		{`{"t": 1}`, false},
		{`{"nil": null}`, true},
		{`{"missing": null}`, false},
		{`{"a": "x"}`, true},
		{`{"a": 3}`, true},
		{`{"a": null}`, true},
		{`{"a": "z"}`, false},
		{`{"a": ["x", "y", 3, null]}`, true},
		{`{"a": ["y", "x", 3, null]}`, false},
		{`{"aa": ["x"]}`, true},
		{`{"e": []}`, true},
		{`{"o": {"s": "in", "p": {"q": 1.0}}}`, true},
		{`{"o": {"s": "in"}}`, false},
		{`{"d": {"__type": "Date", "iso": "2016-02-27T11:00:00.000+01:00"}}`, true},
		{`{"d": {"__type": "Date", "iso": "2016-02-27T10:00:00.001Z"}}`, false},
		{`{"d": "2016-02-27T10:00:00.000Z"}`, false},
		{`{"ds": {"__type": "Date", "iso": "2016-02-27T10:00:00Z"}}`, true},
		{`{"neg": -123456789012345678901234567890}`, true},
		{`{"neg": {"$lt": -123456789012345678901234567889}}`, true},
		{`{"neg": {"$gt": -123456789012345678901234567889}}`, false},
		{`{"neg": {"$gt": -1234567890123456789012345678900}}`, true},
		{`{"neg": {"$lt": 123456789012345678901234567890}}`, true},
		{`{"huge": {"$gt": -123456789012345678901234567890}}`, true},
		{`{"zero": 0}`, true},
		{`{"zero": {"$lt": 123456789012345678901234567890}}`, true},
		{`{"zero": {"$gte": 0.0}}`, true},
		// Paths.
		{`{"o.p.q": 1}`, true},
		{`{"o.p": {"q": 1}}`, true},
		{`{"o.p.x": {"$exists": false}}`, true},
		{`{"o.s.x": 1}`, false},
		{`{"dot.ted": "yes"}`, true},
		{`{"list.p": 1}`, false},
		{`{"missing.p": {"$ne": 1}}`, true},
		// Order.
		{`{"n": {"$lt": 6}}`, true},
		{`{"n": {"$lt": 5}}`, false},
		{`{"n": {"$lte": 5, "$gte": 5}}`, true},
		{`{"n": {"$gt": 4.999}}`, true},
		{`{"n": {"$gt": 1, "$lt": 3}}`, false},
		{`{"n": {"$gt": "1"}}`, false},
		{`{"s": {"$gt": "Hell", "$lt": "Hellp"}}`, true},
		{`{"s": {"$gt": 1}}`, false},
		{`{"huge": {"$gt": 123456789012345678901234567889}}`, true},
		{`{"huge": {"$lt": 1e40}}`, true},
		{`{"big": {"$gt": -1e400}}`, true},
		{`{"d": {"$gt": {"__type": "Date", "iso": "2016-02-27T09:59:59.999Z"}}}`, true},
		{`{"d": {"$gte": {"__type": "Date", "iso": "2016-02-27T10:00:00.001Z"}}}`, false},
		{`{"nums": {"$gt": 9}}`, true},
		{`{"nums": {"$gt": 10}}`, false},
		{`{"nums": {"$lt": 2, "$gt": 9}}`, true},
		{`{"t": {"$gt": 0}}`, false},
		{`{"missing": {"$lt": 1}}`, false},
		{`{"missing": {"$gte": "a"}}`, false},
		// Not.
		{`{"s": {"$ne": "x"}}`, true},
		{`{"s": {"$ne": "Hello"}}`, false},
		{`{"a": {"$ne": "x"}}`, false},
		{`{"a": {"$ne": "z"}}`, true},
		{`{"missing": {"$ne": 1}}`, true},
		{`{"missing": {"$ne": null}}`, true},
		{`{"nil": {"$ne": null}}`, false},
		// Lists.
		{`{"s": {"$in": ["a", "Hello"]}}`, true},
		{`{"s": {"$in": []}}`, false},
		{`{"a": {"$in": ["q", 3]}}`, true},
		{`{"a": {"$in": ["q"]}}`, false},
		{`{"a": {"$in": ["1","2","3","4","5","6","7","8","9","y"]}}`, true},
		{`{"a": {"$in": ["1","2","3","4","5","6","7","8","9","10"]}}`, false},
		{`{"n": {"$in": ["1","2","3","4","5","6","7","8","9","10"]}}`, false},
		{`{"missing": {"$in": [null]}}`, false},
		{`{"s": {"$nin": ["a"]}}`, true},
		{`{"s": {"$nin": ["a", "Hello"]}}`, false},
		{`{"a": {"$nin": ["x"]}}`, false},
		{`{"a": {"$nin": ["1","2","3","4","5","6","7","8","9","y"]}}`, false},
		{`{"missing": {"$nin": ["x"]}}`, true},
		{`{"missing": {"$nin": []}}`, true},
		{`{"a": {"$all": ["y", "x"]}}`, true},
		{`{"a": {"$all": ["y", "q"]}}`, false},
		{`{"a": {"$all": []}}`, true},
		{`{"a": {"$all": ["x","x","x","x","x","x","x","x","x","y"]}}`, true},
		{`{"a": {"$all": ["x","x","x","x","x","x","x","x","x","q"]}}`, false},
		{`{"s": {"$all": ["Hello"]}}`, false},
		{`{"missing": {"$all": []}}`, false},
		{`{"a": {"$size": 4}}`, true},
		{`{"a": {"$size": 3}}`, false},
		{`{"e": {"$size": 0}}`, true},
		{`{"s": {"$size": 5}}`, false},
		{`{"missing": {"$size": 0}}`, false},
		{`{"a": {"$all": ["x", "y"], "$size": 4}}`, true},
		// Presence.
		{`{"s": {"$exists": true}}`, true},
		{`{"nil": {"$exists": true}}`, true},
		{`{"missing": {"$exists": false}}`, true},
		{`{"missing": {"$exists": true}}`, false},
		{`{"o.p.q": {"$exists": true}}`, true},
		// Expressions.
		{`{"s": {"$regex": "ell"}}`, true},
		{`{"s": {"$regex": "^ell"}}`, false},
		{`{"s": {"$regex": "^hel", "$options": "i"}}`, true},
		{`{"s": {"$regex": "^\\QHel\\E"}}`, true},
		{`{"s": {"$regex": "\\Qllo\\E$"}}`, true},
		{`{"s": {"$regex": "\\QHel\\E$"}}`, false},
		{`{"text": {"$regex": "^Line two$"}}`, false},
		{`{"text": {"$regex": "^Line two$", "$options": "m"}}`, true},
		{`{"text": {"$regex": "one.Line"}}`, false},
		{`{"text": {"$regex": "one.Line", "$options": "s"}}`, true},
		{`{"text": {"$regex": "ONE.line$", "$options": "ims"}}`, false},
		{`{"text": {"$regex": "^LINE.*TWO$", "$options": "is"}}`, true},
		{`{"s": {"$regex": " H e l # comment\n lo", "$options": "x"}}`, true},
		{`{"text": {"$regex": "line\\ one", "$options": "x"}}`, true},
		{`{"text": {"$regex": "line[ ]one", "$options": "x"}}`, true},
		{`{"text": {"$regex": "\\Qline one\\E # yes", "$options": "x"}}`, true},
		{`{"text": {"$regex": "line one", "$options": "x"}}`, false},
		{`{"text": {"$regex": "[]# ]one", "$options": "xx"}}`, true},
		{`{"text": {"$regex": "[^]#\\s]ine\\ one", "$options": "xx"}}`, true},
		{`{"text": {"$regex": "line # the rest", "$options": "x"}}`, true},
		{`{"text": {"$regex": "\\Qline one", "$options": "x"}}`, true},
		{`{"text": {"$regex": "one # one\n [\\n]Line", "$options": "x"}}`, true},
		{`{"a": {"$regex": "^y$"}}`, true},
		{`{"a": {"$regex": "^z$"}}`, false},
		{`{"n": {"$regex": "5"}}`, false},
		{`{"missing": {"$regex": ""}}`, false},
		// Combinations.
		{`{"$or": [{"n": 1}, {"s": "Hello"}]}`, true},
		{`{"$or": [{"n": 1}, {"n": 2}]}`, false},
		{`{"$or": [{}]}`, true},
		{`{"$and": [{"n": 5}, {"s": "Hello"}]}`, true},
		{`{"$and": [{"n": 5}, {"s": "no"}]}`, false},
		{`{"n": 5, "$or": [{"s": "x"}, {"$and": [{"t": true}, {"$or": [{"no": true}, {"f": 2.5}]}]}]}`, true},
		{`{"n": 6, "$or": [{"s": "Hello"}]}`, false},
		{`{"$and": [{"$or": [{"n": 5}]}, {"$or": [{"n": 6}]}]}`, false},
	} {
		require.Equal(t, c.want, parse(t, c.where).Match(d), c.where)
	}
}

func TestMatchBuiltInFields(t *testing.T) {
	d := where.DocFunc(func(key string) (any, bool) {
		switch key {
		case "m":
			return []any{"ann", "tom"}, true
		case "conv_type":
			return 1, true
		case "n64":
			return int64(1) << 60, true
		case "half":
			return 0.5, true
		case "lm":
			return where.Date(1456567200000), true
		case "attr":
			return map[string]any{"x": "y"}, true
		}
		return nil, false
	})
	for text, want := range map[string]bool{
		`{"m": {"$all": ["tom", "ann"], "$size": 2}}`: true,
		`{"conv_type": 1}`:                            true,
		`{"conv_type": {"$in": [2, 1.0]}}`:            true,
		`{"n64": 1152921504606846976}`:                true,
		`{"n64": 1152921504606846977}`:                false,
		`{"n64": {"$lt": 1e30}}`:                      true,
		`{"half": {"$lt": 1}}`:                        true,
		`{"half": 0.50}`:                              true,
		`{"lm": {"$lte": {"__type": "Date", "iso": "2016-02-27T10:00:00.000Z"}}}`: true,
		`{"lm": {"$lt": {"__type": "Date", "iso": "2016-02-27T10:00:00.000Z"}}}`:  false,
		`{"attr.x": "y"}`: true,
		`{"attr.y": "y"}`: false,
	} {
		require.Equal(t, want, parse(t, text).Match(d), text)
	}
}

func TestParseRefuses(t *testing.T) {
	lim := where.DefaultLimits()
	nest := func(n int) string { return strings.Repeat(`{"$and":[`, n) + `{}` + strings.Repeat(`]}`, n) }
	many := func(n int, format string) string {
		var parts []string
		for i := range n {
			parts = append(parts, fmt.Sprintf(format, i))
		}
		return strings.Join(parts, ",")
	}
	for _, text := range []string{
		`x`, `[]`, `1`, `null`, `"a"`, `{`, `{} {}`, `{"a":}`, "{\"a\":\"\x01\"}",
		`{"$nor": []}`, `{"$where": "1"}`, `{"a": {"$eq": 1}}`, `{"a": {"$near": 1}}`, `{"a": {"$nearSphere": {}}}`, `{"a": {"$gt": 1, "b": 2}}`,
		`{"a": {"$gt": null}}`, `{"a": {"$gt": true}}`, `{"a": {"$lt": []}}`, `{"a": {"$lte": {}}}`, `{"a": {"$gte": {"__type": "Date", "iso": "yesterday"}}}`,
		`{"a": {"$in": 1}}`, `{"a": {"$nin": {}}}`, `{"a": {"$all": "x"}}`, `{"a": {"$size": "1"}}`, `{"a": {"$size": -1}}`, `{"a": {"$size": 1.5}}`,
		`{"a": {"$exists": 1}}`, `{"$or": {}}`, `{"$or": []}`, `{"$or": [1]}`, `{"$and": [[]]}`, `{"$and": null}`,
		`{"a": {"$regex": 1}}`, `{"a": {"$regex": "("}}`, `{"a": {"$regex": "a", "$options": "g"}}`, `{"a": {"$regex": "a", "$options": 1}}`, `{"a": {"$options": "i"}}`,
		`{"a": {"$regex": "(?=a)"}}`, `{"a": {"$regex": "(?<!a)b"}}`, `{"a": {"$regex": "(a)\\1"}}`, `{"a": {"$regex": "(?>a)"}}`, `{"a": {"$regex": "a++"}}`,
		`{"a": {"$regex": "(x{100}){10}y{900}"}}`, `{"a": {"$regex": "((x{10}){10}){10}z"}}`, `{"a": {"$regex": "(` + strings.Repeat("x", 500) + `){1000}"}}`,
		`{"a": {"$regex": "` + strings.Repeat("x", lim.Regex+1) + `"}}`,
		`{` + many(lim.Regexes+1, `"k%d": {"$regex": "a"}`) + `}`,
		`{` + many(lim.Clauses+1, `"k%d": 1`) + `}`,
		`{"$or": [` + many(lim.Clauses+1, `{}`) + `]}`,
		`{"$or": [` + many(lim.Clauses, `{"a": %d}`) + `]}`,
		`{"a": {"$in": [` + many(lim.List+1, `%d`) + `]}}`,
		nest(lim.Depth), `{"a": ` + strings.Repeat("[", lim.Depth) + strings.Repeat("]", lim.Depth) + `}`,
		`{"a": "` + strings.Repeat("x", lim.Text) + `"}`,
		strings.Repeat("[", 1<<20),
	} {
		_, err := where.Parse([]byte(text), lim)
		var typed *where.Error
		require.ErrorAs(t, err, &typed, "%.200s", text)
		require.NotEmpty(t, err.Error())
	}
	for _, text := range []string{
		``, `{}`, `{"a": {"$in": [` + many(lim.List, `%d`) + `]}}`, nest((lim.Depth - 1) / 2), `{` + many(lim.Clauses, `"k%d": 1`) + `}`,
		`{"a": "` + strings.Repeat("[", 100) + `\"{"}`, `{"a": {"$regex": "x{100}"}}`,
	} {
		parse(t, text)
	}
}

func TestUses(t *testing.T) {
	f := parse(t, `{"m": "tom", "$or": [{"attr.x": 1}, {"lm": {"$exists": true}}]}`)
	for _, k := range []string{"m", "attr", "lm", "attr.x"} {
		require.True(t, f.Uses(k), k)
	}
	for _, k := range []string{"", "x", "$or", "mu"} {
		require.False(t, f.Uses(k), k)
	}
	require.False(t, f.Empty())
	require.True(t, parse(t, ``).Empty())
	require.True(t, parse(t, `{"$and": [{}]}`).Empty())
}

func TestPlan(t *testing.T) {
	for text, want := range map[string]where.Plan{
		`{}`:                {},
		`{"objectId": "a"}`: {HasIDs: true, IDs: []string{"a"}},
		`{"objectId": {"$in": ["b", "a", "b", 3]}}`:                                      {HasIDs: true, IDs: []string{"a", "b"}},
		`{"objectId": {"$in": ["b", "a"]}, "$and": [{"objectId": {"$in": ["b", "c"]}}]}`: {HasIDs: true, IDs: []string{"b"}},
		`{"objectId": {"$in": []}}`:                                                      {HasIDs: true},
		`{"objectId": "a", "$and": [{"objectId": "b"}]}`:                                 {HasIDs: true},
		`{"objectId": {"$ne": "a"}}`:                                                     {},
		`{"$or": [{"objectId": "b"}, {"objectId": "a", "x": 1}]}`:                        {HasIDs: true, IDs: []string{"a", "b"}},
		`{"$or": [{"objectId": "b"}, {"x": 1}]}`:                                         {},
		`{"m": "tom"}`:                                                                   {Members: []string{"tom"}},
		`{"m": {"$all": ["tom", "ann"], "$size": 2}}`:                                    {Members: []string{"ann", "tom"}, ExactMembers: true},
		`{"m": {"$all": ["tom", "tom"], "$size": 2}}`:                                    {Members: []string{"tom"}},
		`{"m": {"$all": ["tom"]}, "$and": [{"m": {"$size": 1}}]}`:                        {Members: []string{"tom"}, ExactMembers: true},
		`{"m": {"$in": ["tom", "ann"]}}`:                                                 {AnyMember: []string{"ann", "tom"}},
		`{"m": {"$in": ["tom", 1]}}`:                                                     {},
		`{"tr": true}`:                                                                   {Room: where.Yes},
		`{"tr": {"$ne": true}, "sys": {"$exists": false}}`:                               {Room: where.No, Service: where.No},
		`{"sys": true, "temp": false, "unique": true}`:                                   {Service: where.Yes, Temporary: where.No, Unique: where.Yes},
		`{"uniqueId": "u"}`:                                                              {UniqueID: "u"},
		`{"conv_type": 2}`:                                                               {ConvTypes: []int64{2}},
		`{"conv_type": {"$in": [3, 1]}}`:                                                 {ConvTypes: []int64{1, 3}},
		`{"conv_type": {"$in": [3, 1]}, "$and": [{"conv_type": {"$in": [3, 2]}}]}`:       {ConvTypes: []int64{3}},
		`{"conv_type": {"$in": [3, 1.5]}}`:                                               {},
		`{"$or": [{"tr": true}]}`:                                                        {},
	} {
		got := parse(t, text).Plan()
		require.Equal(t, len(want.IDs), len(got.IDs), text)
		if len(want.IDs) == 0 {
			got.IDs, want.IDs = nil, nil
		}
		if len(want.Members) == 0 {
			got.Members, want.Members = nil, nil
		}
		if len(want.AnyMember) == 0 {
			got.AnyMember, want.AnyMember = nil, nil
		}
		require.Equal(t, want, got, text)
	}
}

func TestSort(t *testing.T) {
	docs := []string{
		`{"n": 2, "s": "b", "o": {"k": 1}}`, `{"n": 1, "s": "b"}`, `{"n": 2, "s": "a", "o": {"k": 0}}`, `{"s": "c"}`, `{"n": null, "s": "d"}`, `{"n": "1", "s": "e"}`,
		`{"n": true, "s": "f"}`, `{"n": false, "s": "g"}`, `{"n": {"__type": "Date", "iso": "2016-02-27T10:00:00.000Z"}, "s": "h"}`, `{"n": [1], "s": "i"}`, `{"n": {}, "s": "j"}`,
		`{"n": {"__type": "Date", "iso": "2015-02-27T10:00:00.000Z"}, "s": "k"}`,
	}
	for text, want := range map[string]string{
		"":        "bbacdefghijk",
		"n":       "cdbbaejigfkh",
		"-n":      "hkfgijebabcd",
		"n,s":     "cdbabejigfkh",
		"n,-s":    "dcbbaejigfkh",
		" s , -n": "abbcdefghijk",
		"-o.k,s":  "babcdefghijk",
	} {
		s, err := where.ParseSort(text, where.DefaultLimits())
		require.NoError(t, err)
		require.Equal(t, text == "", s.Empty())
		type row struct {
			key  where.SortKey
			name string
		}
		var rows []row
		for _, d := range docs {
			o := object(t, d)
			name, _ := o.Field("s")
			rows = append(rows, row{s.Key(o), name.(string)})
		}
		sortStable(rows, func(a, b row) int { return s.Compare(a.key, b.key) })
		var got string
		for _, r := range rows {
			got += r.name
		}
		require.Equal(t, want, got, "order %q", text)
	}
	s, err := where.ParseSort("-lm,attr.x", where.DefaultLimits())
	require.NoError(t, err)
	require.True(t, s.Uses("lm") && s.Uses("attr") && s.Uses("attr.x"))
	require.False(t, s.Uses("m"))
	for _, text := range []string{",", "a,", "-", "$or", "a,,b", strings.Repeat("a,", 8) + "a"} {
		_, err := where.ParseSort(text, where.DefaultLimits())
		var typed *where.Error
		require.ErrorAs(t, err, &typed, text)
	}
}

// flag is a document that has one field or none, and says true in either case.
type flag bool

func (f flag) Field(string) (any, bool) { return true, bool(f) }

func TestWhatIsMissingSortsFirst(t *testing.T) {
	s, err := where.ParseSort("tr", where.DefaultLimits())
	require.NoError(t, err)
	require.Negative(t, s.Compare(s.Key(flag(false)), s.Key(flag(true))))
	require.Zero(t, s.Compare(s.Key(flag(false)), s.Key(flag(false))))
}
