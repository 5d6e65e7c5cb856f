package where

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// decode turns one valid JSON text into a value.
func decode(text []byte) (any, error) {
	if v, ok := scalar(text); ok {
		return v, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, &Error{Reason: "invalid JSON"}
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, &Error{Reason: "invalid JSON"}
	}
	return withDates(v), nil
}

// scalar decodes what needs no decoder: numbers, words, and strings that mean
// themselves. Text is valid JSON.
func scalar(text []byte) (v any, ok bool) {
	n := len(text)
	if n == 0 {
		return nil, false
	}
	switch c := text[0]; {
	case c == '"':
		if n >= 2 && verbatim(text[1:n-1]) {
			return string(text[1 : n-1]), true
		}
	case c == '-' || '0' <= c && c <= '9':
		if '0' <= text[n-1] && text[n-1] <= '9' { // no white space after it
			return json.Number(text), true
		}
	case string(text) == "true":
		return true, true
	case string(text) == "false":
		return false, true
	case string(text) == "null":
		return nil, true
	}
	return nil, false
}

// plainString tells whether a string is the inside of its JSON.
func plainString(b []byte) bool {
	for _, c := range b {
		if c < 0x20 || c >= 0x80 || c == '\\' || c == '"' {
			return false
		}
	}
	return true
}

// verbatim tells whether the inside of a JSON string means itself.
func verbatim(b []byte) bool {
	ascii := true
	for _, c := range b {
		if c < 0x20 || c == '\\' || c == '"' {
			return false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	return ascii || utf8.Valid(b)
}

// withDates replaces date objects by Date, in place.
func withDates(v any) any {
	switch x := v.(type) {
	case []any:
		for i, e := range x {
			x[i] = withDates(e)
		}
	case map[string]any:
		if d, ok := asDate(x); ok {
			return d
		}
		for k, e := range x {
			x[k] = withDates(e)
		}
	}
	return v
}

func asDate(m map[string]any) (Date, bool) {
	if len(m) != 2 || m["__type"] != "Date" {
		return 0, false
	}
	iso, ok := m["iso"].(string)
	if !ok {
		return 0, false
	}
	return ParseDate(iso)
}

// ParseDate reads the text of a date, such as 2016-02-27T10:00:00.000Z.
func ParseDate(iso string) (Date, bool) {
	t, err := time.Parse(time.RFC3339Nano, iso)
	if err != nil {
		return 0, false
	}
	return Date(t.UnixMilli()), true
}

// rank orders values of different types when sorting; equal ranks are comparable.
type rank int8

const (
	rankNull rank = iota
	rankNumber
	rankString
	rankObject
	rankArray
	rankBool
	rankDate
	rankOther
)

func rankOf(v any) rank {
	switch v.(type) {
	case nil:
		return rankNull
	case json.Number, int, int64, float64:
		return rankNumber
	case string:
		return rankString
	case map[string]any:
		return rankObject
	case []any:
		return rankArray
	case bool:
		return rankBool
	case Date:
		return rankDate
	}
	return rankOther
}

func equal(a, b any) bool {
	r := rankOf(a)
	if r != rankOf(b) {
		return false
	}
	switch r {
	case rankNull:
		return true
	case rankNumber:
		return compareNumbers(a, b) == 0
	case rankString:
		return a.(string) == b.(string)
	case rankBool:
		return a.(bool) == b.(bool)
	case rankDate:
		return a.(Date) == b.(Date)
	case rankArray:
		x, y := a.([]any), b.([]any)
		if len(x) != len(y) {
			return false
		}
		for i := range x {
			if !equal(x[i], y[i]) {
				return false
			}
		}
		return true
	case rankObject:
		x, y := a.(map[string]any), b.(map[string]any)
		if len(x) != len(y) {
			return false
		}
		for k, v := range x {
			w, ok := y[k]
			if !ok || !equal(v, w) {
				return false
			}
		}
		return true
	}
	return false
}

// compare orders two numbers, strings or dates; ok is false for everything else.
func compare(a, b any) (c int, ok bool) {
	r := rankOf(a)
	if r != rankOf(b) {
		return 0, false
	}
	switch r {
	case rankNumber:
		return compareNumbers(a, b), true
	case rankString:
		return strings.Compare(a.(string), b.(string)), true
	case rankDate:
		return cmp.Compare(a.(Date), b.(Date)), true
	}
	return 0, false
}

func compareNumbers(a, b any) int {
	if x, ok := smallInt(a); ok {
		if y, ok := smallInt(b); ok {
			return cmp.Compare(x, y)
		}
	}
	x, xInt := integerText(a)
	y, yInt := integerText(b)
	if xInt && yInt {
		return compareIntegers(x, y)
	}
	return cmp.Compare(float(a), float(b))
}

func smallInt(v any) (int64, bool) {
	switch x := v.(type) {
	case int:
		return int64(x), true
	case int64:
		return x, true
	case json.Number:
		n, err := strconv.ParseInt(string(x), 10, 64)
		return n, err == nil
	}
	return 0, false
}

// integerText returns the decimal digits of a number that is written as an integer.
func integerText(v any) (string, bool) {
	switch x := v.(type) {
	case int:
		return strconv.Itoa(x), true
	case int64:
		return strconv.FormatInt(x, 10), true
	case json.Number:
		return string(x), !strings.ContainsAny(string(x), ".eE")
	}
	return "", false
}

// compareIntegers compares two integers in JSON notation, which has no leading zeros.
func compareIntegers(x, y string) int {
	if x == "-0" {
		x = "0"
	}
	if y == "-0" {
		y = "0"
	}
	xd, xNeg := strings.CutPrefix(x, "-")
	yd, yNeg := strings.CutPrefix(y, "-")
	if xNeg != yNeg {
		if xNeg {
			return -1
		}
		return 1
	}
	c := cmp.Compare(len(xd), len(yd))
	if c == 0 {
		c = strings.Compare(xd, yd)
	}
	if xNeg {
		return -c
	}
	return c
}

func float(v any) float64 {
	switch x := v.(type) {
	case int:
		return float64(x)
	case int64:
		return float64(x)
	case float64:
		return x
	case json.Number:
		// Out of range gives an infinity of the right sign, which orders as it should.
		f, _ := strconv.ParseFloat(string(x), 64)
		return f
	}
	return 0
}
