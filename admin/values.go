package admin

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Attribute values: times travel as Date objects, everything else as
// encoding/json writes it.

// dateFormat is how the server writes times.
const dateFormat = "2006-01-02T15:04:05.000Z"

// wireDate is a time as a value.
type wireDate struct {
	Type string `json:"__type"`
	ISO  string `json:"iso"`
}

const typeDate = "Date"

// parseISO reads a time of the server; "" is none.
func parseISO(iso string) (time.Time, error) {
	if iso == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, iso)
	return t.UTC(), err
}

// fromMillis is a time of the protocol; 0 is none.
func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// decodeDates makes times of the Date objects in a decoded value.
func decodeDates(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if v["__type"] == typeDate {
			if iso, ok := v["iso"].(string); ok {
				if t, err := parseISO(iso); err == nil && iso != "" {
					return t
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

// encodeValue is a value as the server wants it: every time.Time in maps and
// lists is a Date.
func encodeValue(v any) (json.RawMessage, error) {
	prepared, err := prepare(reflect.ValueOf(v), 0)
	if err != nil {
		return nil, err
	}
	return marshalJSON(prepared)
}

// maxDepth is far more than a stored value can have, and fewer than a value
// that contains itself has.
const maxDepth = 200

func prepare(v reflect.Value, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("a value is nested more than %d deep", maxDepth)
	}
	if !v.IsValid() {
		return nil, nil
	}
	if t, ok := v.Interface().(time.Time); ok {
		return wireDate{typeDate, t.UTC().Format(dateFormat)}, nil
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil, nil
		}
		if _, date := v.Elem().Interface().(time.Time); !date && (writesItself(v) || v.Elem().Kind() == reflect.Struct) {
			return v.Interface(), nil
		}
		return prepare(v.Elem(), depth+1)
	case reflect.Map:
		if v.IsNil() || v.Type().Key().Kind() != reflect.String || writesItself(v) || writesItself(reflect.Zero(v.Type().Key())) {
			return v.Interface(), nil
		}
		out := make(map[string]any, v.Len())
		for it := v.MapRange(); it.Next(); {
			value, err := prepare(it.Value(), depth+1)
			if err != nil {
				return nil, err
			}
			out[it.Key().String()] = value
		}
		return out, nil
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && v.IsNil() || v.Type().Elem().Kind() == reflect.Uint8 || writesItself(v) {
			return v.Interface(), nil
		}
		out := make([]any, v.Len())
		for i := range out {
			value, err := prepare(v.Index(i), depth+1)
			if err != nil {
				return nil, err
			}
			out[i] = value
		}
		return out, nil
	}
	return v.Interface(), nil
}

// writesItself reports whether a value decides how it is written.
func writesItself(v reflect.Value) bool {
	switch v.Interface().(type) {
	case json.Marshaler, encoding.TextMarshaler:
		return true
	}
	return false
}

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

// encodeAttributes encodes the attributes of a new conversation, or changes of
// an existing one, whose keys may be paths with dots.
func encodeAttributes(values map[string]any, create bool) (map[string]json.RawMessage, error) {
	out := make(map[string]json.RawMessage, len(values)+2)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if err := checkKey(key, values, create); err != nil {
			return nil, err
		}
		raw, err := encodeValue(values[key])
		if err != nil {
			return nil, invalidArgument("attribute %q: %w", key, err)
		}
		out[key] = raw
	}
	return out, nil
}

func checkKey(key string, values map[string]any, create bool) error {
	top, _, dotted := strings.Cut(key, ".")
	switch {
	case create && key == keyName:
		return invalidArgument("the name is the field Name, not an attribute")
	case create && dotted:
		return invalidArgument("attribute %q: a new conversation has no paths", key)
	case reservedKey(top) && key != keyName:
		return invalidArgument("attribute %q is reserved", key)
	case strings.HasPrefix(key, "$") || strings.Contains(key, ".$"):
		return invalidArgument("attribute %q: no part of a key begins with $", key)
	case key == "" || strings.HasPrefix(key, ".") || strings.HasSuffix(key, ".") || strings.Contains(key, ".."):
		return invalidArgument("attribute %q: a part of the key is empty", key)
	}
	for i := range len(key) {
		if key[i] != '.' {
			continue
		}
		// Two changes of which one is within the other have no order.
		if _, both := values[key[:i]]; both {
			return invalidArgument("attribute %q is within %q, which changes too", key, key[:i])
		}
	}
	return nil
}
