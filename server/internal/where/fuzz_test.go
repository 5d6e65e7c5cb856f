package where_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/leanrtm/realtime/server/internal/where"
)

func typed(t *testing.T, err error) {
	t.Helper()
	var e *where.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v is not typed", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		``, `{}`, `{"objectId":"a"}`, `{"m":{"$all":["a","b"],"$size":2}}`, `{"$or":[{"a":{"$gt":1}},{"b.c":{"$in":[1,"x",null]}}]}`,
		`{"name":{"$regex":"^\\Qa\\E","$options":"imxs"}}`, `{"lm":{"$lt":{"__type":"Date","iso":"2016-02-27T10:00:00.000Z"}}}`, `{"a":{"$exists":true,"$ne":[1]}}`,
		`{"a":{"$regex":"(a{10}){10}[^]\\s] # x\n"}}`, `{"tr":true,"sys":{"$ne":true}}`,
	} {
		f.Add([]byte(s), []byte(`{"a":[1,"x"],"b":{"c":null},"m":["a","b"],"name":"abc","objectId":"a"}`))
	}
	f.Fuzz(func(t *testing.T, text, doc []byte) {
		lim := where.DefaultLimits()
		filter, err := where.Parse(text, lim)
		if err != nil {
			typed(t, err)
			return
		}
		if len(text) > 0 && !json.Valid(text) {
			t.Fatal("took what is not JSON")
		}
		filter.Plan()
		d, err := where.ParseObject(doc)
		if err != nil {
			typed(t, err)
			return
		}
		if once, again := filter.Match(d), filter.Match(d); once != again {
			t.Fatal("not deterministic")
		} else if filter.Match(where.Text(doc)) != once {
			t.Fatal("the text is not the object")
		}
		filter.Match(where.DocFunc(func(string) (any, bool) { return nil, false }))
	})
}

func FuzzObject(f *testing.F) {
	for _, s := range []string{`{}`, ` {"a": [1 , {"b":"}"}], "\u0061": 1e5}`, `{"a":{"__type":"Date","iso":"2016-02-27T10:00:00.000Z"}}`} {
		f.Add([]byte(s), []byte(`{"a.b":1,"c":{"__op":"Increment","amount":1}}`))
		f.Add([]byte(s), []byte(`{"a":{"__op":"AddUnique","objects":[1,{"b":"}"}]},"x":{"__op":"Delete"}}`))
	}
	f.Fuzz(func(t *testing.T, text, changes []byte) {
		o, err := where.ParseObject(text)
		if err != nil {
			typed(t, err)
			return
		}
		sameJSON(t, text, o.Text())
		for k := range o.All() {
			v, _ := o.Field(k)
			if w, _ := where.Text(text).Field(k); !reflect.DeepEqual(v, w) {
				t.Fatalf("%q is %v in the object and %v in the text", k, v, w)
			}
		}
		got, touched, err := o.Apply(changes, where.DefaultLimits(), nil)
		if err != nil {
			typed(t, err)
			return
		}
		if !json.Valid(got.Text()) {
			t.Fatalf("%s is not JSON", got.Text())
		}
		for k, raw := range o.All() {
			after, ok := got.Raw(k)
			if !contains(touched, k) && (!ok || string(after) != string(raw)) {
				t.Fatalf("%q was not touched and changed from %s to %s", k, raw, after)
			}
		}
	})
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

// sameJSON compares meanings. Numbers are compared as text, which is to be kept.
func sameJSON(t *testing.T, a, b []byte) {
	t.Helper()
	if len(a) == 0 {
		a = []byte("{}")
	}
	var x, y map[string]json.RawMessage
	if err := json.Unmarshal(a, &x); err != nil {
		t.Fatalf("took %q: %v", a, err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Fatalf("made %q: %v", b, err)
	}
	if !reflect.DeepEqual(x, y) {
		t.Fatalf("%s became %s", a, b)
	}
}

func FuzzParseSort(f *testing.F) {
	for _, s := range []string{"", "-lm,createdAt", "a.b, -c", ",", "-", "$x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := where.ParseSort(text, where.DefaultLimits())
		if err != nil {
			typed(t, err)
			return
		}
		o, err := where.ParseObject([]byte(`{"a":1,"b":{"c":[1]}}`))
		if err != nil {
			t.Fatal(err)
		}
		k := s.Key(o)
		if s.Compare(k, k) != 0 {
			t.Fatal("differs from itself")
		}
	})
}
