package engine

import "strconv"

// flatType is typeOf for what most contents are: an object of strings without
// escapes, whole numbers and words, which says its type once. It reads the text
// once and copies nothing. ok is false for everything else, correct or not.
func flatType(body string) (t int32, typed, ok bool) {
	f := flat{s: body}
	if !f.take('{') {
		return 0, false, false
	}
	for {
		key, ok := f.quoted()
		if !ok || !f.take(':') {
			return 0, false, false
		}
		f.blanks()
		if key == typeKey {
			n, err := strconv.ParseInt(f.number(), 10, 32)
			if err != nil || typed {
				return 0, false, false
			}
			t, typed = int32(n), true
		} else if !f.value() {
			return 0, false, false
		}
		if f.take(',') {
			continue
		}
		if !f.take('}') {
			return 0, false, false
		}
		f.blanks()
		return t, typed, f.i == len(body)
	}
}

// flat reads the parts of an object.
type flat struct {
	s string
	i int
}

func (f *flat) blanks() {
	for f.i < len(f.s) && (f.s[f.i] == ' ' || f.s[f.i] == '\t' || f.s[f.i] == '\r' || f.s[f.i] == '\n') {
		f.i++
	}
}

// take takes a mark, and blanks before it.
func (f *flat) take(mark byte) bool {
	if f.blanks(); f.i < len(f.s) && f.s[f.i] == mark {
		f.i++
		return true
	}
	return false
}

// quoted takes a string without escapes.
func (f *flat) quoted() (string, bool) {
	if !f.take('"') {
		return "", false
	}
	for start := f.i; f.i < len(f.s); f.i++ {
		switch c := f.s[f.i]; {
		case c == '"':
			f.i++
			return f.s[start : f.i-1], true
		case c < ' ' || c == '\\':
			return "", false
		}
	}
	return "", false
}

// number takes a whole number as JSON writes it; empty: there is none.
func (f *flat) number() string {
	start := f.i
	if f.i < len(f.s) && f.s[f.i] == '-' {
		f.i++
	}
	first := f.i
	for f.i < len(f.s) && '0' <= f.s[f.i] && f.s[f.i] <= '9' {
		f.i++
	}
	if f.i == first || f.s[first] == '0' && f.i > first+1 {
		return ""
	}
	return f.s[start:f.i]
}

// value takes a string, a whole number or a word.
func (f *flat) value() bool {
	if f.i == len(f.s) {
		return false
	}
	switch c := f.s[f.i]; c {
	case '"':
		_, ok := f.quoted()
		return ok
	case 't':
		return f.word("true")
	case 'f':
		return f.word("false")
	case 'n':
		return f.word("null")
	}
	return f.number() != ""
}

func (f *flat) word(w string) bool {
	if len(f.s)-f.i < len(w) || f.s[f.i:f.i+len(w)] != w {
		return false
	}
	f.i += len(w)
	return true
}
