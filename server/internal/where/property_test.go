package where_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/where"
)

// reference decides a filter straight from its JSON, in the plainest way.
type reference struct{ doc map[string]any }

func (r reference) filter(f map[string]any) bool {
	for key, cond := range f {
		ok := false
		switch key {
		case "$and":
			ok = true
			for _, sub := range cond.([]any) {
				ok = ok && r.filter(sub.(map[string]any))
			}
		case "$or":
			for _, sub := range cond.([]any) {
				ok = ok || r.filter(sub.(map[string]any))
			}
		default:
			ok = r.field(key, cond)
		}
		if !ok {
			return false
		}
	}
	return true
}

func (r reference) get(key string) (any, bool) {
	if v, ok := r.doc[key]; ok {
		return v, true
	}
	var v any = r.doc
	for _, part := range strings.Split(key, ".") {
		m, ok := v.(map[string]any)
		if !ok || isDate(m) {
			return nil, false
		}
		if v, ok = m[part]; !ok {
			return nil, false
		}
	}
	return v, true
}

func isDate(v any) bool {
	_, ok := dateOf(v)
	return ok
}

func dateOf(v any) (time.Time, bool) {
	m, ok := v.(map[string]any)
	if !ok || m["__type"] != "Date" || len(m) != 2 {
		return time.Time{}, false
	}
	iso, _ := m["iso"].(string)
	t, err := time.Parse(time.RFC3339, iso)
	return t, err == nil
}

func (r reference) field(key string, cond any) bool {
	v, ok := r.get(key)
	m, isMap := cond.(map[string]any)
	ops := false
	for k := range m {
		ops = ops || strings.HasPrefix(k, "$")
	}
	if !isMap || !ops {
		return ok && hit(v, cond)
	}
	for name, arg := range m {
		if name == "$options" {
			continue
		}
		if !operator(name, v, ok, arg, m) {
			return false
		}
	}
	return true
}

// hit: equal, or an array with an equal element.
func hit(v, arg any) bool {
	a, _ := v.([]any)
	return same(v, arg) || slices.ContainsFunc(a, func(e any) bool { return same(e, arg) })
}

func same(a, b any) bool {
	x, xd := dateOf(a)
	y, yd := dateOf(b)
	if xd || yd {
		return xd && yd && x.Equal(y)
	}
	return reflect.DeepEqual(a, b)
}

func operator(name string, v any, ok bool, arg any, cond map[string]any) bool {
	each := func(f func(any) bool) bool {
		if a, isArray := v.([]any); isArray {
			return slices.ContainsFunc(a, f)
		}
		return ok && f(v)
	}
	switch name {
	case "$exists":
		return ok == arg
	case "$ne":
		return !(ok && hit(v, arg))
	case "$in", "$nin":
		in := ok && slices.ContainsFunc(arg.([]any), func(x any) bool { return hit(v, x) })
		return in == (name == "$in")
	case "$all":
		a, isArray := v.([]any)
		for _, x := range arg.([]any) {
			isArray = isArray && slices.ContainsFunc(a, func(e any) bool { return same(e, x) })
		}
		return isArray
	case "$size":
		a, isArray := v.([]any)
		return isArray && float64(len(a)) == arg
	case "$regex":
		flags, _ := cond["$options"].(string)
		re := regexp.MustCompile("(?" + flags + ":" + arg.(string) + ")")
		return each(func(e any) bool {
			s, isString := e.(string)
			return isString && re.MatchString(s)
		})
	}
	return each(func(e any) bool {
		var less, equal bool
		switch x := arg.(type) {
		case float64:
			n, is := e.(float64)
			if !is {
				return false
			}
			less, equal = n < x, n == x
		case string:
			s, is := e.(string)
			if !is {
				return false
			}
			less, equal = s < x, s == x
		default:
			d, is := dateOf(e)
			y, _ := dateOf(x)
			if !is {
				return false
			}
			less, equal = d.Before(y), d.Equal(y)
		}
		return map[string]bool{"$lt": less, "$lte": less || equal, "$gt": !less && !equal, "$gte": !less}[name]
	})
}

// generator makes documents and filters that have something to do with each other.
type generator struct{ *rand.Rand }

func pick[T any](g generator, of ...T) T { return of[g.IntN(len(of))] }

func (g generator) key() string {
	return pick(g, "a", "b", "c", "o.a", "o.b.a", "o", "objectId", "m", "tr", "sys", "temp", "unique", "uniqueId", "conv_type")
}

func (g generator) scalar() any {
	switch g.IntN(6) {
	case 0:
		return float64(g.IntN(4))
	case 1:
		return pick(g, "", "x", "xy", "yx", "X")
	case 2:
		return g.IntN(2) == 0
	case 3:
		return map[string]any{"__type": "Date", "iso": time.Date(2020, 1, 1, 0, 0, g.IntN(3), 0, time.UTC).Format("2006-01-02T15:04:05.000Z")}
	case 4:
		return pick[any](g, nil, 0.5, 1.5, "tom")
	}
	return pick(g, "a", "b", "tom", "ann")
}

func (g generator) value(depth int) any {
	switch n := g.IntN(8); {
	case depth > 0 && n == 0:
		list := []any{}
		for range g.IntN(4) {
			list = append(list, g.value(depth-1))
		}
		return list
	case depth > 0 && n == 1:
		m := map[string]any{}
		for range g.IntN(3) {
			m[pick(g, "a", "b")] = g.value(depth - 1)
		}
		return m
	}
	return g.scalar()
}

func (g generator) doc() map[string]any {
	d := map[string]any{}
	for range g.IntN(8) {
		d[pick(g, "a", "b", "c", "uniqueId")] = g.value(2)
	}
	if g.IntN(2) == 0 {
		d["o"] = map[string]any{"a": g.value(1), "b": map[string]any{"a": g.scalar()}}
	}
	d["objectId"] = pick(g, "a", "b", "x")
	d["m"] = g.strings()
	d["conv_type"] = float64(g.IntN(4))
	for _, k := range []string{"tr", "sys", "temp", "unique"} {
		if g.IntN(2) == 0 {
			d[k] = g.IntN(3) > 0
		}
	}
	return d
}

func (g generator) strings() []any {
	var out []any
	for _, s := range []string{"tom", "ann", "a", "b"} {
		if g.IntN(2) == 0 {
			out = append(out, s)
		}
	}
	if out == nil {
		return []any{}
	}
	return out
}

func (g generator) list() []any {
	list := []any{}
	for range g.IntN(4) {
		list = append(list, g.scalar())
	}
	if g.IntN(6) == 0 {
		// Long enough for the set of strings.
		for i := range 10 {
			list = append(list, fmt.Sprint(i))
		}
	}
	return list
}

func (g generator) cond() any {
	switch g.IntN(10) {
	case 0, 1, 2:
		return g.value(1)
	case 3:
		return map[string]any{"$regex": pick(g, "x", "^x", "Y$", ".", "", "^\\Qx\\E"), "$options": pick(g, "", "i", "m", "is")}
	case 4:
		return map[string]any{"$size": float64(g.IntN(4))}
	case 5:
		return map[string]any{"$exists": g.IntN(2) == 0}
	case 6:
		return map[string]any{pick(g, "$in", "$nin", "$all"): g.list()}
	case 7:
		return map[string]any{"$ne": g.value(1)}
	case 8:
		return map[string]any{"$all": g.strings(), "$size": float64(g.IntN(4))}
	}
	order := func() any {
		for {
			switch v := g.scalar().(type) {
			case float64, string, map[string]any:
				return v
			}
		}
	}
	return map[string]any{pick(g, "$lt", "$lte"): order(), pick(g, "$gt", "$gte"): order()}
}

func (g generator) filter(depth int) map[string]any {
	f := map[string]any{}
	for range g.IntN(3) {
		f[g.key()] = g.cond()
	}
	if depth > 0 && g.IntN(3) == 0 {
		var subs []any
		for range 1 + g.IntN(3) {
			subs = append(subs, g.filter(depth-1))
		}
		f[pick(g, "$or", "$and")] = subs
	}
	return f
}

// TestMatchAgainstReference: the evaluator agrees with the plain one, and the plan excludes nothing that matches.
func TestMatchAgainstReference(t *testing.T) {
	for _, seed := range []uint64{1, 2, rand.Uint64()} {
		g := generator{rand.New(rand.NewPCG(seed, 7))}
		matched := 0
		const n = 5000
		for range n {
			docText, err := json.Marshal(g.doc())
			require.NoError(t, err)
			filterText, err := json.Marshal(g.filter(2))
			require.NoError(t, err)
			var doc, filter map[string]any
			require.NoError(t, json.Unmarshal(docText, &doc))
			require.NoError(t, json.Unmarshal(filterText, &filter))
			f := parse(t, string(filterText))
			got := f.Match(object(t, string(docText)))
			require.Equal(t, reference{doc}.filter(filter), got, "seed %d: %s on %s", seed, filterText, docText)
			require.Equal(t, got, f.Match(where.Text(docText)), "seed %d: %s on the text of %s", seed, filterText, docText)
			if got {
				matched++
				requireAdmitted(t, f.Plan(), doc, fmt.Sprintf("seed %d: %s on %s", seed, filterText, docText))
			}
		}
		require.Greater(t, matched, n/10, "the test must match often enough to say something")
		require.Less(t, matched, n-n/10)
	}
}

// TestTextIsTheObject: what is read out of the text is what the decoded object has,
// however its keys and white space are written.
func TestTextIsTheObject(t *testing.T) {
	for _, text := range []string{
		``, ` { } `, `{"a":1}`, ` {"a" : [1 , {"b":"}\\\""}] , "b.c":null,"b":{"c":2}} `, `{"a":1,"\u0061":{"b":2,"b":3}}`,
		`{"a":{"__type":"Date","iso":"2016-02-27T10:00:00.000Z"}}`, `{"a":{"\u005f_type":"Date","iso":"2016-02-27T10:00:00.000Z"}}`,
		`{"a":{"__type":"Date","iso":"never"}}`, `{"a":{"__type":"Date","iso":"2016-02-27T10:00:00.000Z","b":1}}`,
		`{"a":"日本","é":true,"\u00e9":false,"b":"\u65e5"}`, "{\"a\":\"\xff\",\"\xff\":1,\"b\":-1.50e+3}", `{"a":{"b":{"c":[]}},"b":0}`, `{"a\\\\b":1,"a\\b":2}`,
	} {
		o := object(t, text)
		keys := []string{"a", "b", "c", "b.c", "é", "\ufffd", "", "iso", `a\\b`, `a\b`}
		for _, key := range keys {
			want, wantOK := o.Field(key)
			got, ok := where.Text(text).Field(key)
			require.Equal(t, wantOK, ok, "%s of %s", key, text)
			require.Equal(t, want, got, "%s of %s", key, text)
		}
		for _, path := range [][]string{{"a", "b"}, {"b", "c"}, {"a", "iso"}, {"a", "b", "c"}, {"é", "a"}, {"none", "a"}} {
			v, in := o.Field(path[0])
			for _, name := range path[1:] {
				m, _ := v.(map[string]any)
				v, in = m[name]
			}
			got, ok := where.Text(text).Path(path)
			require.Equal(t, in, ok, "%v of %s", path, text)
			require.Equal(t, v, got, "%v of %s", path, text)
		}
	}
}

func requireAdmitted(t *testing.T, p where.Plan, doc map[string]any, what string) {
	t.Helper()
	if p.HasIDs {
		require.Contains(t, p.IDs, doc["objectId"], what)
	}
	members := doc["m"].([]any)
	for _, m := range p.Members {
		require.Contains(t, members, m, what)
	}
	if len(p.AnyMember) > 0 {
		require.True(t, slices.ContainsFunc(p.AnyMember, func(m string) bool { return slices.Contains(members, any(m)) }), what)
	}
	if p.ExactMembers {
		require.Len(t, members, len(p.Members), what)
	}
	if p.ConvTypes != nil {
		require.Contains(t, p.ConvTypes, int64(doc["conv_type"].(float64)), what)
	}
	if s, ok := doc["uniqueId"].(string); ok && p.UniqueID != "" {
		require.Equal(t, p.UniqueID, s, what)
	}
	for key, marker := range map[string]where.Marker{"tr": p.Room, "sys": p.Service, "temp": p.Temporary, "unique": p.Unique} {
		switch marker {
		case where.Yes:
			require.Equal(t, true, doc[key], what)
		case where.No:
			require.NotEqual(t, true, doc[key], what)
		}
	}
}

// quote is how clients quote a literal.
func quote(s string) string { return `\Q` + strings.ReplaceAll(s, `\E`, `\E\\E\Q`) + `\E` }

// TestQuotedLiterals: contains, starts with and ends with mean exactly that, for any string.
func TestQuotedLiterals(t *testing.T) {
	g := generator{rand.New(rand.NewPCG(rand.Uint64(), 1))}
	piece := func() string {
		return pick(g, "a", "b", `\`, `\E`, `\Q`, "E", "Q", ".", "*", "(", "[", "]", "$", "^", "\n", " ", "#", "é", "日本", "\u0000", "\"", "|", "{2}", "+", "?", "\U0001f600")
	}
	text := func(n int) string {
		var s string
		for range g.IntN(n) {
			s += piece()
		}
		return s
	}
	hits := 0
	for range 2500 {
		hay, needle := text(8), text(4)
		if n := len(hay); n > 0 && g.IntN(2) == 0 {
			runes := []rune(hay)
			from := g.IntN(len(runes))
			needle = string(runes[from : from+g.IntN(len(runes)-from+1)])
		}
		for pattern, want := range map[string]bool{
			quote(needle):       strings.Contains(hay, needle),
			"^" + quote(needle): strings.HasPrefix(hay, needle),
			quote(needle) + "$": strings.HasSuffix(hay, needle),
		} {
			for _, options := range []string{"", "x", "s"} {
				filter, err := json.Marshal(map[string]any{"k": map[string]any{"$regex": pattern, "$options": options}})
				require.NoError(t, err)
				doc, err := json.Marshal(map[string]any{"k": hay})
				require.NoError(t, err)
				require.Equal(t, want, parse(t, string(filter)).Match(object(t, string(doc))), "%q with %q in %q", pattern, options, hay)
			}
			if want {
				hits++
			}
		}
	}
	require.Greater(t, hits, 600)
}

// TestApplyKeepsText: what a change does not touch is the same text as before.
func TestApplyKeepsText(t *testing.T) {
	g := generator{rand.New(rand.NewPCG(rand.Uint64(), 3))}
	numbers := []string{"1", "1.0", "1e3", "9007199254740993", "-0", "0.10", "123456789012345678901234567890", "1E-7"}
	var raw func(depth int) string
	raw = func(depth int) string {
		if depth == 0 || g.IntN(3) > 0 {
			return pick(g, numbers...)
		}
		return fmt.Sprintf(`{"x":%s,"y":[%s],"z":%s}`, raw(depth-1), raw(depth-1), raw(depth-1))
	}
	for range 1000 {
		o := object(t, fmt.Sprintf(`{"p":%s,"q":%s,"r":{"x":{"x":1},"y":%s,"z":%s}}`, raw(3), raw(3), raw(2), raw(2)))
		change := pick(g, `{"r.x.x": 2}`, `{"r.x": 5}`, `{"r.x.n": {"__op": "Increment", "amount": 1}}`, `{"r.x": {"__op": "Delete"}}`, `{"r.x.y.z": []}`)
		got, touched, err := o.Apply([]byte(change), where.DefaultLimits(), nil)
		require.NoError(t, err)
		require.Equal(t, []string{"r"}, touched)
		for _, k := range []string{"p", "q"} {
			was, _ := o.Raw(k)
			is, _ := got.Raw(k)
			require.Equal(t, string(was), string(is))
		}
		was, is := sub(t, o, "r"), sub(t, got, "r")
		for _, k := range []string{"y", "z"} {
			a, _ := was.Raw(k)
			b, _ := is.Raw(k)
			require.Equal(t, string(a), string(b))
		}
		require.True(t, json.Valid(got.Text()))
	}
}

func sub(t *testing.T, o where.Object, key string) where.Object {
	t.Helper()
	raw, ok := o.Raw(key)
	require.True(t, ok)
	return object(t, string(raw))
}
