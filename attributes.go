package realtime

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// attributes are the custom attributes of a conversation: top-level keys with
// their JSON as the server wrote it, so that what nobody touches keeps its
// form, large numbers included. Neither the map nor a value is ever changed in
// place.
type attributes map[string]json.RawMessage

// keyName is the one built-in key that can be saved like an attribute.
const keyName = "name"

// reservedKey tells the keys of a stored conversation that are not attributes.
func reservedKey(key string) bool {
	switch key {
	case keyName, "objectId", "c", "m", "mu", "lm", "tr", "sys", "temp", "conv_type", "unique", "uniqueId",
		"createdAt", "updatedAt", "ACL", "ttl", "joined", "joinedAt", "muted",
		"msg", "bin", "msg_from", "msg_mid", "msg_timestamp", "patch_timestamp", "mention_all", "mention_pids":
		return true
	}
	return false
}

// get returns a decoded attribute. The key may be a path with dots.
func (a attributes) get(key string) (any, bool) {
	if raw, ok := a[key]; ok {
		return decodeValue(raw), true
	}
	top, rest, dotted := strings.Cut(key, ".")
	if !dotted {
		return nil, false
	}
	raw, ok := a[top]
	if !ok {
		return nil, false
	}
	value := decodeValue(raw)
	for _, step := range strings.Split(rest, ".") {
		switch parent := value.(type) {
		case map[string]any:
			if value, ok = parent[step]; !ok {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(parent) {
				return nil, false
			}
			value = parent[i]
		default:
			return nil, false
		}
	}
	return value, true
}

// decoded is a copy that the caller may keep and change; nil if there are none.
func (a attributes) decoded() map[string]any {
	if len(a) == 0 {
		return nil
	}
	out := make(map[string]any, len(a))
	for key, raw := range a {
		out[key] = decodeValue(raw)
	}
	return out
}

// with returns the attributes after changes, whose keys may be paths with dots.
// Operations other than deletion are left out: only the server knows what they
// result in.
func (a attributes) with(changes map[string]json.RawMessage) attributes {
	out := maps.Clone(a)
	if out == nil {
		out = make(attributes, len(changes))
	}
	for key, value := range changes {
		top, rest, dotted := strings.Cut(key, ".")
		if reservedKey(top) {
			continue
		}
		op := operation(value)
		switch {
		case op == "Delete" && !dotted:
			delete(out, key)
		case op != "" && op != "Delete":
		case dotted:
			if op == "Delete" {
				value = nil
			}
			out[top] = setPath(out[top], strings.Split(rest, "."), value)
		default:
			out[key] = value
		}
	}
	return out
}

// setPath returns the object raw with one nested value replaced; value nil
// deletes it. What is no object becomes one.
func setPath(raw json.RawMessage, path []string, value json.RawMessage) json.RawMessage {
	object := map[string]json.RawMessage{}
	if json.Unmarshal(raw, &object) != nil || object == nil {
		object = map[string]json.RawMessage{}
	}
	switch key := path[0]; {
	case len(path) > 1:
		object[key] = setPath(object[key], path[1:], value)
	case value == nil:
		delete(object, key)
	default:
		object[key] = value
	}
	out, err := marshalJSON(object)
	if err != nil {
		return raw // cannot be: a map of JSON is JSON
	}
	return out
}

// operation is the name of an operation that stands in the place of a value,
// "" for a value.
func operation(raw json.RawMessage) string {
	if !bytes.Contains(raw, []byte(`"__op"`)) {
		return ""
	}
	var op struct {
		Op string `json:"__op"`
	}
	if json.Unmarshal(raw, &op) != nil {
		return ""
	}
	return op.Op
}

// dateFormat is how the server writes times.
const dateFormat = "2006-01-02T15:04:05.000Z"

// wireDate is a time as an attribute value.
type wireDate struct {
	Type string `json:"__type"`
	ISO  string `json:"iso"`
}

func newWireDate(t time.Time) wireDate { return wireDate{"Date", t.UTC().Format(dateFormat)} }

// decodeValue is a JSON value in Go: as encoding/json reads it, with Dates as
// time.Time. What is no JSON is nil.
func decodeValue(raw json.RawMessage) any {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	return decodeDates(v)
}

func decodeDates(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if v["__type"] == "Date" {
			if iso, ok := v["iso"].(string); ok {
				if t, err := time.Parse(time.RFC3339Nano, iso); err == nil {
					return t.UTC()
				}
			}
		}
		for key, value := range v {
			v[key] = decodeDates(value)
		}
	case []any:
		for i, value := range v {
			v[i] = decodeDates(value)
		}
	}
	return v
}

// encodeValue is a value as the server wants it: JSON, with every time.Time in
// it that is not a field of a struct as a Date.
func encodeValue(v any) (json.RawMessage, error) {
	prepared, err := prepareValue(reflect.ValueOf(v), 0)
	if err != nil {
		return nil, err
	}
	return marshalJSON(prepared)
}

// marshalJSON is json.Marshal that does not escape what matters in HTML only:
// the size of what goes to the server is limited.
func marshalJSON(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(buf.Bytes(), "\n"), nil
}

// maxDepth is far more than a stored value can have, and fewer than a value
// that contains itself has.
const maxDepth = 200

// prepareValue replaces the times in maps and lists.
func prepareValue(v reflect.Value, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("a value is nested more than %d deep", maxDepth)
	}
	if !v.IsValid() {
		return nil, nil
	}
	if t, ok := v.Interface().(time.Time); ok {
		return newWireDate(t), nil
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil, nil
		}
		elem := v.Elem()
		if _, date := elem.Interface().(time.Time); !date && (ownJSON(v) || elem.Kind() == reflect.Struct) {
			return v.Interface(), nil
		}
		return prepareValue(elem, depth+1)
	case reflect.Map:
		if v.IsNil() || v.Type().Key().Kind() != reflect.String || ownJSON(v) || ownJSON(reflect.Zero(v.Type().Key())) {
			return v.Interface(), nil
		}
		out := make(map[string]any, v.Len())
		for it := v.MapRange(); it.Next(); {
			value, err := prepareValue(it.Value(), depth+1)
			if err != nil {
				return nil, err
			}
			out[it.Key().String()] = value
		}
		return out, nil
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && v.IsNil() || v.Type().Elem().Kind() == reflect.Uint8 || ownJSON(v) {
			return v.Interface(), nil
		}
		out := make([]any, v.Len())
		for i := range out {
			value, err := prepareValue(v.Index(i), depth+1)
			if err != nil {
				return nil, err
			}
			out[i] = value
		}
		return out, nil
	}
	return v.Interface(), nil
}

// ownJSON reports whether a value decides itself how it is written.
func ownJSON(v reflect.Value) bool {
	switch v.Interface().(type) {
	case json.Marshaler, encoding.TextMarshaler:
		return true
	}
	return false
}

// encodeChanges encodes the changes of a Save, or the attributes of a new
// conversation, and refuses keys that cannot be written. create does not allow
// paths.
func encodeChanges(changes map[string]any, create bool) (map[string]json.RawMessage, error) {
	out := make(map[string]json.RawMessage, len(changes))
	for key, value := range changes {
		if err := checkKey(key, changes, create); err != nil {
			return nil, err
		}
		raw, err := encodeValue(value)
		if err != nil {
			return nil, invalidArgument("attribute %q: %w", key, err)
		}
		out[key] = raw
	}
	return out, nil
}

func checkKey(key string, changes map[string]any, create bool) error {
	top, _, dotted := strings.Cut(key, ".")
	switch {
	case create && key == keyName:
		return invalidArgument("the name of a conversation is the field Name, not an attribute")
	case create && dotted:
		return invalidArgument("attribute %q: a new conversation has no paths", key)
	case reservedKey(top) && key != keyName:
		return invalidArgument("attribute %q is reserved", key)
	case strings.HasPrefix(key, "$") || strings.Contains(key, ".$"):
		return invalidArgument("attribute %q: no part of a key begins with $", key)
	}
	for end := 0; end < len(key); end++ {
		if key[end] != '.' {
			continue
		}
		// Two changes of which one is within the other have no order.
		if _, both := changes[key[:end]]; both {
			return invalidArgument("attribute %q is within %q, which changes too", key, key[:end])
		}
	}
	if key == "" || strings.HasPrefix(key, ".") || strings.HasSuffix(key, ".") || strings.Contains(key, "..") {
		return invalidArgument("attribute %q: a part of the key is empty", key)
	}
	return nil
}

// encodeObject is a JSON object of encoded values.
func encodeObject(values map[string]json.RawMessage) (string, error) {
	if len(values) == 0 {
		return "{}", nil
	}
	out, err := marshalJSON(values)
	return string(out), err
}
