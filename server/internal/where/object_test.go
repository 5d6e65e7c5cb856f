package where_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/where"
)

func sortStable[T any](s []T, cmp func(a, b T) int) { slices.SortStableFunc(s, cmp) }

func TestObject(t *testing.T) {
	o := object(t, ` { "a" : 1.50 , "b":[1, {"x":"}\"]"}],"c\u0041": "é\n" ,"a":2e0, "" : null, "esc\"": {} } `)
	require.Equal(t, 5, o.Len())
	require.Equal(t, `{"a":2e0,"b":[1, {"x":"}\"]"}],"cA":"é\n","":null,"esc\"":{}}`, string(o.Text()))
	v, ok := o.Field("a")
	require.True(t, ok)
	require.Equal(t, json.Number("2e0"), v)
	v, ok = o.Field("")
	require.True(t, ok)
	require.Nil(t, v)
	_, ok = o.Field("x")
	require.False(t, ok)
	raw, ok := o.Raw("b")
	require.True(t, ok)
	require.Equal(t, `[1, {"x":"}\"]"}]`, string(raw))
	require.Equal(t, `{"b":[1, {"x":"}\"]"}],"":null}`, string(o.Pick("", "b", "none").Text()))
	require.Equal(t, `{"a":2e0,"cA":"é\n","":null}`, string(o.Without("b", `esc"`, "none").Text()))
	require.Equal(t, `{"a":7}`, string(o.Pick("a").With("a", json.RawMessage(" 7 ")).Text()))
	require.Equal(t, `{"a":2e0,"z":[]}`, string(o.Pick("a").With("z", json.RawMessage("[]")).Text()))
	require.Equal(t, 5, o.Len(), "an object does not change")
	text, err := json.Marshal(map[string]any{"o": o.Pick("a")})
	require.NoError(t, err)
	require.Equal(t, `{"o":{"a":2e0}}`, string(text))

	require.Equal(t, `{}`, string(object(t, "").Text()))
	require.Equal(t, `{}`, string(where.Object{}.Text()))
	require.Equal(t, map[string]json.RawMessage{"p": json.RawMessage("1")}, maps.Collect(object(t, `{"p": 1 }`).All()))
}

func TestObjectRefuses(t *testing.T) {
	for _, text := range []string{`[]`, `1`, `null`, `"x"`, `{`, `{"a"}`, `{"a":1,}`, `{"a":01}`, `{}{}`, ` `, `{"a":'x'}`} {
		_, err := where.ParseObject([]byte(text))
		var typed *where.Error
		require.ErrorAs(t, err, &typed, "%q", text)
	}
}

func TestManyKeys(t *testing.T) {
	var text []byte
	for i := range 100 {
		text = append(text, ',', '"', byte('a'+i%26), byte('a'+i/26%2), '"', ':', byte('0'+i%10))
	}
	text[0] = '{'
	o := object(t, string(append(text, '}')))
	var want map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(append(text, '}'), &want))
	require.Equal(t, len(want), o.Len())
	for k, raw := range o.All() {
		require.Equal(t, string(want[k]), string(raw))
	}
}

func TestApply(t *testing.T) {
	const id = `12345678901234567890.10`
	for _, c := range []struct {
		old, changes, want string
		touched            []string
	}{
		{`{}`, ``, `{}`, nil},
		{`{}`, `{}`, `{}`, nil},
		{`{"a":1}`, `{"b": 2}`, `{"a":1,"b":2}`, []string{"b"}},
		{`{"a":1,"b":2}`, `{"a": [ 1.0 ]}`, `{"a":[ 1.0 ],"b":2}`, []string{"a"}},
		{`{"a":` + id + `}`, `{"b": ` + id + `}`, `{"a":` + id + `,"b":` + id + `}`, []string{"b"}},
		// Paths.
		{`{"attr":{"x":` + id + `,"y":{"z":1e1}}}`, `{"attr.n": 1, "attr.y.w": 2}`, `{"attr":{"x":` + id + `,"y":{"z":1e1,"w":2},"n":1}}`, []string{"attr"}},
		{`{}`, `{"a.b.c": 1}`, `{"a":{"b":{"c":1}}}`, []string{"a"}},
		{`{"a":{"b":1}}`, `{"a": {"c": 2}}`, `{"a":{"c": 2}}`, []string{"a"}},
		{`{}`, `{"a": {}, "a.b": 1, "c": 2}`, `{"a":{"b":1},"c":2}`, []string{"a", "c"}},
		// Delete.
		{`{"a":1,"b":2}`, `{"a": {"__op": "Delete"}}`, `{"b":2}`, []string{"a"}},
		{`{"a":{"x":1,"y":2}}`, `{"a.x": {"__op": "Delete"}}`, `{"a":{"y":2}}`, []string{"a"}},
		{`{"b":1}`, `{"a.x": {"__op": "Delete"}, "c": {"__op": "Delete"}}`, `{"b":1}`, []string{"a", "c"}},
		// Increment.
		{`{"n":9007199254740993}`, `{"n": {"__op": "Increment", "amount": 1}}`, `{"n":9007199254740994}`, []string{"n"}},
		{`{"n":9223372036854775807}`, `{"n": {"__op": "Increment", "amount": 1}}`, `{"n":9223372036854775808}`, []string{"n"}},
		{`{"n":1}`, `{"n": {"__op": "Increment", "amount": -3}}`, `{"n":-2}`, []string{"n"}},
		{`{"n":1}`, `{"n": {"__op": "Increment", "amount": 0.5}}`, `{"n":1.5}`, []string{"n"}},
		{`{}`, `{"a.n": {"__op": "Increment", "amount": 2}}`, `{"a":{"n":2}}`, []string{"a"}},
		// Arrays.
		{`{"l":[1.0,"x"]}`, `{"l": {"__op": "Add", "objects": ["x", 2]}}`, `{"l":[1.0,"x","x",2]}`, []string{"l"}},
		{`{}`, `{"l": {"__op": "Add", "objects": ["x"]}}`, `{"l":["x"]}`, []string{"l"}},
		{`{"l":[1.0,"x"]}`, `{"l": {"__op": "AddUnique", "objects": [1, "y", "y", {"a": 1}]}}`, `{"l":[1.0,"x","y",{"a": 1}]}`, []string{"l"}},
		{`{"l":[1,"x",1.0,{"a":1},` + id + `]}`, `{"l": {"__op": "Remove", "objects": [1, {"a": 1.0}]}}`, `{"l":["x",` + id + `]}`, []string{"l"}},
		{`{}`, `{"l": {"__op": "Remove", "objects": [1]}}`, `{"l":[]}`, []string{"l"}},
		// What only looks like an operation.
		{`{}`, `{"a": {"x": {"__op": "Delete"}}}`, `{"a":{"x": {"__op": "Delete"}}}`, []string{"a"}},
		{`{}`, `{"a": "__op"}`, `{"a":"__op"}`, []string{"a"}},
		{`{}`, `{"a": {"k": "__op"}}`, `{"a":{"k": "__op"}}`, []string{"a"}},
		// Skipped keys.
		{`{"m":1}`, `{"m": 2, "m.x": 1, "b": 1, "$c": 1}`, `{"m":1,"b":1}`, []string{"b"}},
	} {
		old := object(t, c.old)
		got, touched, err := old.Apply([]byte(c.changes), where.DefaultLimits(), func(k string) bool { return k == "m" || k == "$c" })
		require.NoError(t, err, c.changes)
		require.Equal(t, c.want, string(got.Text()), "%s on %s", c.changes, c.old)
		require.Equal(t, c.touched, touched, c.changes)
		require.Equal(t, c.old, string(old.Text()))
	}
}

func TestApplyRefuses(t *testing.T) {
	old := object(t, `{"s":"x","n":1,"l":[],"o":{}}`)
	deep := ""
	for range 20 {
		deep += "a."
	}
	for _, changes := range []string{
		`[]`, `x`, `{"s.x": 1}`, `{"l.0": 1}`, `{"": 1}`, `{"a..b": 1}`, `{".a": 1}`, `{"a.": 1}`, `{"$a": 1}`, `{"a.$b": 1}`, `{"` + deep + `b": 1}`,
		`{"a": {"__op": "Batch"}}`, `{"a": {"__op": 1}}`, `{"n": {"__op": "Increment"}}`, `{"n": {"__op": "Increment", "amount": "1"}}`,
		`{"s": {"__op": "Increment", "amount": 1}}`, `{"s": {"__op": "Add", "objects": []}}`, `{"l": {"__op": "Add"}}`, `{"l": {"__op": "Remove", "objects": {}}}`,
		`{"n": {"__op": "Increment", "amount": 1e999}}`, `{"o": {"__op": "AddUnique", "objects": [1]}}`,
	} {
		got, touched, err := old.Apply([]byte(changes), where.DefaultLimits(), nil)
		var typed *where.Error
		require.ErrorAs(t, err, &typed, changes)
		require.Equal(t, old, got)
		require.Nil(t, touched)
	}
}
