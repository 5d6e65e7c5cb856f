package where

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strings"
)

// The operation values of changes.
const (
	keyOp       = "__op"
	opDelete    = "Delete"
	opIncrement = "Increment"
	opAdd       = "Add"
	opAddUnique = "AddUnique"
	opRemove    = "Remove"
)

// maxIntegerDigits bounds integers that are added exactly; longer ones are added as float64.
const maxIntegerDigits = 64

// Apply returns the object after the changes, which are a JSON object, and the top-level
// keys that were changed, each once, in the order of the changes. A key with dots leads
// through objects and creates those that are missing. A value is set as it is, except for
// operation values:
//
//	{"__op":"Delete"}                        remove the field
//	{"__op":"Increment","amount":n}          add to a number; absent counts as 0
//	{"__op":"Add","objects":[...]}           append to an array; absent counts as empty
//	{"__op":"AddUnique","objects":[...]}     append those that it does not contain
//	{"__op":"Remove","objects":[...]}        remove every equal element
//
// Top-level keys for which skip returns true are left as they are; nil skips none. Errors
// are of type *Error and leave nothing half done.
func (o Object) Apply(changes []byte, lim Limits, skip func(key string) bool) (Object, []string, error) {
	if len(changes) == 0 {
		return o, nil, nil
	}
	if err := lim.check(changes); err != nil {
		return o, nil, err
	}
	list, err := ParseObject(changes)
	if err != nil {
		return o, nil, err
	}
	var touched []string
	seen := make(map[string]struct{})
	result := o
	for key, raw := range list.All() {
		path := strings.Split(key, ".")
		if skip != nil && skip(path[0]) {
			continue
		}
		if len(path)+depth(raw) > lim.Depth {
			return o, nil, &Error{Key: key, Reason: fmt.Sprintf("nested deeper than %d", lim.Depth)}
		}
		for _, name := range path {
			if name == "" || name[0] == '$' {
				return o, nil, &Error{Key: key, Reason: "invalid key"}
			}
		}
		ch, err := parseChange(raw)
		if err != nil {
			return o, nil, &Error{Key: key, Reason: err.Error()}
		}
		if result, err = result.change(path, ch); err != nil {
			return o, nil, &Error{Key: key, Reason: err.Error()}
		}
		if _, ok := seen[path[0]]; !ok {
			seen[path[0]] = struct{}{}
			touched = append(touched, path[0])
		}
	}
	return result, touched, nil
}

// change is one value of a list of changes.
type change struct {
	op      string // empty: set to raw
	raw     json.RawMessage
	amount  json.Number
	objects []json.RawMessage
}

func parseChange(raw json.RawMessage) (change, error) {
	if raw[0] != '{' || !bytes.Contains(raw, []byte(keyOp)) {
		return change{raw: raw}, nil
	}
	obj, err := ParseObject(raw)
	if err != nil {
		return change{}, err
	}
	v, ok := obj.Field(keyOp)
	if !ok {
		return change{raw: raw}, nil
	}
	c := change{}
	if c.op, ok = v.(string); !ok {
		return c, fmt.Errorf("unknown operation")
	}
	switch c.op {
	case opDelete:
	case opIncrement:
		v, _ := obj.Field("amount")
		if c.amount, ok = v.(json.Number); !ok {
			return c, fmt.Errorf("operation needs an amount")
		}
	case opAdd, opAddUnique, opRemove:
		list, _ := obj.Raw("objects")
		if c.objects, ok = elements(list); !ok {
			return c, fmt.Errorf("operation needs objects")
		}
	default:
		return c, fmt.Errorf("unknown operation")
	}
	return c, nil
}

// change applies one change below a path.
func (o Object) change(path []string, c change) (Object, error) {
	name := path[0]
	old, exists := o.Raw(name)
	if len(path) == 1 {
		if c.op == opDelete {
			return o.Without(name), nil
		}
		raw, err := c.value(old, exists)
		if err != nil {
			return o, err
		}
		return o.With(name, raw), nil
	}
	var inner Object
	if exists {
		if old[0] != '{' {
			return o, fmt.Errorf("%s is not an object", name)
		}
		var err error
		if inner, err = ParseObject(old); err != nil {
			return o, err
		}
	} else if c.op == opDelete {
		return o, nil
	}
	inner, err := inner.change(path[1:], c)
	if err != nil {
		return o, err
	}
	return o.With(name, inner.Text()), nil
}

// value is the new text of a field.
func (c change) value(old json.RawMessage, exists bool) (json.RawMessage, error) {
	switch c.op {
	case opIncrement:
		if !exists {
			return json.RawMessage(c.amount), nil
		}
		v, err := decode(old)
		if err != nil {
			return nil, err
		}
		n, ok := v.(json.Number)
		if !ok {
			return nil, fmt.Errorf("not a number")
		}
		return add(n, c.amount)
	case opAdd, opAddUnique, opRemove:
		var list []json.RawMessage
		if exists {
			var ok bool
			if list, ok = elements(old); !ok {
				return nil, fmt.Errorf("not an array")
			}
		}
		return c.array(list)
	}
	return c.raw, nil
}

func (c change) array(list []json.RawMessage) (json.RawMessage, error) {
	if c.op == opAdd {
		return joinArray(append(list, c.objects...)), nil
	}
	wanted, err := decodeAll(c.objects)
	if err != nil {
		return nil, err
	}
	have, err := decodeAll(list)
	if err != nil {
		return nil, err
	}
	if c.op == opAddUnique {
		for i, v := range wanted {
			if !contains(have, v) {
				list, have = append(list, c.objects[i]), append(have, v)
			}
		}
		return joinArray(list), nil
	}
	var kept []json.RawMessage
	for i, v := range have {
		if !contains(wanted, v) {
			kept = append(kept, list[i])
		}
	}
	return joinArray(kept), nil
}

func decodeAll(list []json.RawMessage) ([]any, error) {
	vs := make([]any, len(list))
	for i, raw := range list {
		v, err := decode(raw)
		if err != nil {
			return nil, err
		}
		vs[i] = v
	}
	return vs, nil
}

func joinArray(list []json.RawMessage) json.RawMessage {
	b := []byte{'['}
	for i, raw := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, raw...)
	}
	return append(b, ']')
}

// add adds two numbers: exactly if both are written as integers.
func add(a, b json.Number) (json.RawMessage, error) {
	x, xInt := integerText(a)
	y, yInt := integerText(b)
	if xInt && yInt && len(x) <= maxIntegerDigits && len(y) <= maxIntegerDigits {
		var i, j big.Int
		i.SetString(x, 10)
		j.SetString(y, 10)
		return json.RawMessage(i.Add(&i, &j).String()), nil
	}
	sum := float(a) + float(b)
	if math.IsInf(sum, 0) || math.IsNaN(sum) {
		return nil, fmt.Errorf("number out of range")
	}
	return encodeValue(sum), nil
}
