package where

import (
	"bytes"
	"encoding/json"
	"io"
	"iter"
	"slices"
)

// Object is a JSON object whose values stay text until they are asked for. It is
// immutable and serves as a Doc. The zero Object is empty.
type Object struct {
	fields []field
}

type field struct {
	key string
	raw json.RawMessage
}

// ParseObject reads a JSON object; empty text is the empty object. Of a key that
// occurs more than once, the last value counts. The Object keeps text: the caller
// must not change it. Errors are of type *Error.
func ParseObject(text []byte) (Object, error) {
	if len(text) == 0 {
		return Object{}, nil
	}
	if !json.Valid(text) {
		return Object{}, &Error{Reason: "invalid JSON"}
	}
	text = bytes.TrimSpace(text)
	if text[0] != '{' {
		return Object{}, &Error{Reason: "not an object"}
	}
	var o Object
	var seen map[string]int // built once the object is too large to search
	for s := (scanner{text: text, at: 1}); ; {
		name := s.next()
		if name == nil {
			return o, nil
		}
		s.toValue()
		key, err := decodeString(name)
		if err != nil {
			return Object{}, err
		}
		f := field{key, s.value()}
		if seen == nil && len(o.fields) == smallObject {
			seen = make(map[string]int, 4*smallObject)
			for i, f := range o.fields {
				seen[f.key] = i
			}
		}
		var (
			at int
			ok bool
		)
		if seen != nil {
			at, ok = seen[key]
		} else {
			at = o.index(key)
			ok = at >= 0
		}
		if ok {
			o.fields[at] = f
			continue
		}
		if seen != nil {
			seen[key] = len(o.fields)
		}
		o.fields = append(o.fields, f)
	}
}

// smallObject is the number of fields up to which a search beats a map.
const smallObject = 16

func decodeString(raw []byte) (string, error) {
	if n := len(raw); verbatim(raw[1 : n-1]) {
		return string(raw[1 : n-1]), nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", &Error{Reason: "invalid JSON"}
	}
	return s, nil
}

func (o Object) index(key string) int {
	return slices.IndexFunc(o.fields, func(f field) bool { return f.key == key })
}

// Len returns the number of fields.
func (o Object) Len() int { return len(o.fields) }

// All yields the fields in their order, with the values as text.
func (o Object) All() iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		for _, f := range o.fields {
			if !yield(f.key, f.raw) {
				return
			}
		}
	}
}

// Raw returns the text of a field's value.
func (o Object) Raw(key string) (json.RawMessage, bool) {
	if i := o.index(key); i >= 0 {
		return o.fields[i].raw, true
	}
	return nil, false
}

// Field decodes a field's value.
func (o Object) Field(key string) (any, bool) {
	i := o.index(key)
	if i < 0 {
		return nil, false
	}
	v, err := decode(o.fields[i].raw)
	return v, err == nil
}

// With returns the object with a field set to a value, which must be valid JSON text.
func (o Object) With(key string, raw json.RawMessage) Object {
	raw = bytes.TrimSpace(raw)
	fields := slices.Clone(o.fields)
	if i := o.index(key); i >= 0 {
		fields[i].raw = raw
	} else {
		fields = append(fields, field{key, raw})
	}
	return Object{fields}
}

// Without returns the object without the given fields.
func (o Object) Without(keys ...string) Object {
	fields := make([]field, 0, len(o.fields))
	for _, f := range o.fields {
		if !slices.Contains(keys, f.key) {
			fields = append(fields, f)
		}
	}
	return Object{fields}
}

// Pick returns an object of those of the given fields that exist.
func (o Object) Pick(keys ...string) Object {
	fields := make([]field, 0, len(keys))
	for _, f := range o.fields {
		if slices.Contains(keys, f.key) {
			fields = append(fields, f)
		}
	}
	return Object{fields}
}

// Text returns the object as JSON.
func (o Object) Text() json.RawMessage {
	n := 2
	for _, f := range o.fields {
		n += len(f.key) + len(f.raw) + 4
	}
	b := make([]byte, 0, n)
	b = append(b, '{')
	for i, f := range o.fields {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, f.key)
		b = append(b, ':')
		b = append(b, f.raw...)
	}
	return append(b, '}')
}

// MarshalJSON returns Text.
func (o Object) MarshalJSON() ([]byte, error) { return o.Text(), nil }

func appendString(b []byte, s string) []byte {
	if plainString([]byte(s)) {
		b = append(b, '"')
		b = append(b, s...)
		return append(b, '"')
	}
	return append(b, encodeValue(s)...)
}

// encodeValue is JSON without the escapes that are meant for web pages.
func encodeValue(v any) json.RawMessage {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		// Only values of this package come here, all of which can be encoded.
		return json.RawMessage("null")
	}
	return bytes.TrimRight(buf.Bytes(), "\n")
}

// elements splits the text of a JSON array.
func elements(raw []byte) ([]json.RawMessage, bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	var list []json.RawMessage
	if len(raw) == 0 || bytes.TrimSpace(raw)[0] != '[' || d.Decode(&list) != nil {
		return nil, false
	}
	_, err := d.Token()
	return list, err == io.EOF
}
