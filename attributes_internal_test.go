package realtime

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func rawAttributes(t *testing.T, text string) attributes {
	t.Helper()
	var a attributes
	require.NoError(t, json.Unmarshal([]byte(text), &a))
	return a
}

func TestAttributesWith(t *testing.T) {
	for _, tt := range []struct{ name, before, changes, after string }{
		{"replace", `{"a":{"x":1},"b":2}`, `{"a":3}`, `{"a":3,"b":2}`},
		{"add", `{}`, `{"a":3}`, `{"a":3}`},
		{"path", `{"a":{"x":1,"y":2},"b":2}`, `{"a.x":3}`, `{"a":{"x":3,"y":2},"b":2}`},
		{"deep path", `{"a":{"x":{"k":1}}}`, `{"a.x.l":{"m":1}}`, `{"a":{"x":{"k":1,"l":{"m":1}}}}`},
		{"new path", `{}`, `{"a.b.c":1}`, `{"a":{"b":{"c":1}}}`},
		{"path through a value", `{"a":1}`, `{"a.b":1}`, `{"a":{"b":1}}`},
		{"delete", `{"a":1,"b":2}`, `{"a":{"__op":"Delete"}}`, `{"b":2}`},
		{"delete a path", `{"a":{"x":1,"y":2}}`, `{"a.x":{"__op":"Delete"}}`, `{"a":{"y":2}}`},
		{"other operations", `{"a":1}`, `{"a":{"__op":"Increment","amount":1}}`, `{"a":1}`},
		{"numbers keep their text", `{"a":{"big":12345678901234567890,"f":1.50,"x":1}}`, `{"a.x":2}`, `{"a":{"big":12345678901234567890,"f":1.50,"x":2}}`},
		{"built-in keys", `{"a":1}`, `{"name":"x","m":[],"c.d":1,"objectId":"y"}`, `{"a":1}`},
		{"null", `{"a":1}`, `{"a":null}`, `{"a":null}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := rawAttributes(t, tt.before)
			after := before.with(rawAttributes(t, tt.changes))
			got, err := encodeObject(after)
			require.NoError(t, err)
			require.Equal(t, tt.after, got)
			require.Equal(t, rawAttributes(t, tt.before), before, "the old ones are not touched")
		})
	}
}

func TestEncodeChanges(t *testing.T) {
	at := time.Date(2016, 2, 27, 18, 0, 0, 123456789, time.FixedZone("", 8*3600))
	type named string
	type st struct{ At time.Time }
	got, err := encodeChanges(map[string]any{
		"t": at, "p": &at, "map": map[named]any{"k": []any{at, map[string]time.Time{"z": at}}}, "raw": json.RawMessage(`{"a":1}`),
		"list": []time.Time{at}, "bytes": []byte("hi"), "html": "<&>", "nil": nil, "nilptr": (*time.Time)(nil), "nilmap": map[string]any(nil),
		"ints": map[int]string{1: "a"}, "deep.path": 1, "struct": &st{}, "array": [2]int{1, 2},
	}, false)
	require.NoError(t, err)
	const date = `{"__type":"Date","iso":"2016-02-27T10:00:00.123Z"}`
	for key, want := range map[string]string{
		"t": date, "p": date, "map": `{"k":[` + date + `,{"z":` + date + `}]}`, "raw": `{"a":1}`, "list": `[` + date + `]`,
		"bytes": `"aGk="`, "html": `"<&>"`, "nil": "null", "nilptr": "null", "nilmap": "null", "ints": `{"1":"a"}`, "deep.path": "1",
		"struct": `{"At":"0001-01-01T00:00:00Z"}`, "array": "[1,2]",
	} {
		require.Equal(t, want, string(got[key]), key)
	}

	loop := map[string]any{}
	loop["loop"] = loop
	for _, bad := range []map[string]any{
		{"": 1}, {".a": 1}, {"a.": 1}, {"a..b": 1}, {"m": 1}, {"objectId": 1}, {"c.x": 1}, {"$inc": 1}, {"a.$inc": 1},
		{"a": 1, "a.b": 2}, {"a.b": 1, "a.b.c": 2}, {"f": func() {}}, {"loop": loop},
	} {
		_, err := encodeChanges(bad, false)
		require.ErrorIs(t, err, ErrInvalidArgument, "%v", len(bad))
	}
	for _, bad := range []map[string]any{{"name": "x"}, {"a.b": 1}, {"lm": 1}} {
		_, err := encodeChanges(bad, true)
		require.ErrorIs(t, err, ErrInvalidArgument)
	}
	_, err = encodeChanges(map[string]any{"name": "x", "a": 1, "ab": 2, "a_b.c": 3}, false)
	require.NoError(t, err)
}
