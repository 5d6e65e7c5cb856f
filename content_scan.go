package realtime

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The keys of typed content that every type has.
const (
	keyType       = "_lctype"
	keyText       = "_lctext"
	keyAttributes = "_lcattrs"
)

// contentHead is what a look over a text content finds out.
type contentHead struct {
	hasType bool
	typ     int
	// plain: nothing but scalars, no attributes and no key that only
	// encoding/json, which ignores case, would take for text: text is then all
	// there is to read.
	plain bool
	text  string
}

// scanContent looks for the message type of a text content, without
// allocating in the common case. ok is false if the text is no JSON object. It
// does not find every mistake inside of nested values: what is not plain has
// to be validated by whoever reads it.
func scanContent(s string) (head contentHead, ok bool) {
	o := objectScanner{s: s}
	if !o.open() {
		return head, false
	}
	head.plain = true
	for {
		key, value, more := o.next()
		if !more {
			return head, o.finished()
		}
		scalar := value[0] != '{' && value[0] != '['
		if !scalar {
			head.plain = false
		}
		switch {
		case key == keyType:
			head.typ, head.hasType = wholeNumber(value)
		case key == keyText && value[0] == '"':
			text, ok := o.text(value)
			if !ok {
				return head, false
			}
			head.text = text
		case key == keyText || strings.EqualFold(key, keyText) || strings.EqualFold(key, keyAttributes):
			head.plain = false
		}
	}
}

// wholeNumber is a JSON number without a fraction, however it is written.
func wholeNumber(value string) (int, bool) {
	if n, err := strconv.Atoi(value); err == nil {
		return n, true
	}
	if value[0] != '-' && (value[0] < '0' || value[0] > '9') {
		return 0, false
	}
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > math.MaxInt32 {
		return 0, false
	}
	return int(f), true
}

// objectScanner walks over the members of one JSON object.
type objectScanner struct {
	s      string
	i      int
	begun  bool
	closed bool
	plain  bool // the last string that was taken is of plain ASCII, without escapes
}

func (o *objectScanner) space() {
	for o.i < len(o.s) {
		switch o.s[o.i] {
		case ' ', '\t', '\r', '\n':
			o.i++
		default:
			return
		}
	}
}

func (o *objectScanner) take(c byte) bool {
	if o.space(); o.i < len(o.s) && o.s[o.i] == c {
		o.i++
		return true
	}
	return false
}

// open enters the object.
func (o *objectScanner) open() bool { return o.take('{') }

// finished reports whether the object was closed and nothing follows.
func (o *objectScanner) finished() bool {
	o.space()
	return o.closed && o.i == len(o.s)
}

// next returns a member: its key, and its value as it is written, never empty.
// more is false at the end and at a mistake.
func (o *objectScanner) next() (key, value string, more bool) {
	if o.take('}') {
		o.closed = !o.closed && !o.trailing()
		return "", "", false
	}
	if o.begun && !o.take(',') {
		return "", "", false
	}
	o.begun = true
	o.space()
	quoted, ok := o.string()
	if !ok {
		return "", "", false
	}
	if key, ok = o.text(quoted); !ok || !o.take(':') {
		return "", "", false
	}
	o.space()
	value, ok = o.value()
	return key, value, ok
}

// trailing reports whether the brace just taken follows a comma.
func (o *objectScanner) trailing() bool {
	return strings.HasSuffix(strings.TrimRight(o.s[:o.i-1], " \t\r\n"), ",")
}

// string takes a string, with its quotes.
func (o *objectScanner) string() (quoted string, ok bool) {
	start := o.i
	if o.i >= len(o.s) || o.s[o.i] != '"' {
		return "", false
	}
	o.plain = true
	for o.i++; o.i < len(o.s); o.i++ {
		switch c := o.s[o.i]; {
		case c == '"':
			o.i++
			return o.s[start:o.i], true
		case c == '\\':
			o.plain = false
			o.i++
		case c < ' ' || c >= utf8.RuneSelf:
			o.plain = false
		}
	}
	return "", false
}

// text reads the string that was just taken.
func (o *objectScanner) text(quoted string) (string, bool) {
	if o.plain {
		return quoted[1 : len(quoted)-1], true
	}
	return unquote(quoted)
}

// value takes a value.
func (o *objectScanner) value() (value string, ok bool) {
	start, depth := o.i, 0
	for o.i < len(o.s) {
		switch o.s[o.i] {
		case '"':
			if _, ok := o.string(); !ok {
				return "", false
			}
			if depth == 0 {
				return o.s[start:o.i], true
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 { // ends the object around a number or word
				return o.word(start)
			}
			if depth--; depth == 0 {
				o.i++
				return o.s[start:o.i], true
			}
		case ',':
			if depth == 0 {
				return o.word(start)
			}
		}
		o.i++
	}
	return "", false
}

// word is a value that is neither string nor composite.
func (o *objectScanner) word(start int) (string, bool) {
	word := strings.TrimRight(o.s[start:o.i], " \t\r\n")
	switch word {
	case "true", "false", "null":
		return word, true
	case "":
		return "", false
	}
	if c := word[0]; c != '-' && (c < '0' || c > '9') || !json.Valid([]byte(word)) {
		return "", false
	}
	return word, true
}

// unquote reads a JSON string. Without escapes the result shares the memory of
// the quoted one.
func unquote(quoted string) (string, bool) {
	s := quoted[1 : len(quoted)-1]
	clean := utf8.ValidString(s)
	for i := 0; clean && i < len(s); i++ {
		if s[i] < ' ' || s[i] == '\\' {
			clean = false
		}
	}
	if clean {
		return s, true
	}
	var out string
	if json.Unmarshal([]byte(quoted), &out) != nil {
		return "", false
	}
	return out, true
}

// appendQuoted appends s as a JSON string. Unlike encoding/json it does not
// escape what matters in HTML only: the size of a message is limited.
func appendQuoted(b *strings.Builder, s string) {
	const hex = "0123456789abcdef"
	b.WriteByte('"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b.WriteString(s[start:i])
				b.WriteString(string(utf8.RuneError))
				start = i + size
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b.WriteString(s[start:i])
		switch c {
		case '"', '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		default:
			b.WriteString(`\u00`)
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
		i++
		start = i
	}
	b.WriteString(s[start:])
	b.WriteByte('"')
}
