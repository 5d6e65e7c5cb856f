package where

import "encoding/json"

// scanner walks over text that is known to be valid JSON.
type scanner struct {
	text []byte
	at   int
}

// next goes to the key of the next field and returns it with its quotes, nil at
// the end of the object.
func (s *scanner) next() []byte {
	for {
		switch s.text[s.at] {
		case ',', ' ', '\t', '\r', '\n':
			s.at++
		case '}':
			return nil
		default:
			return s.value()
		}
	}
}

// toValue goes from the end of a key to its value.
func (s *scanner) toValue() {
	for {
		switch s.text[s.at] {
		case ':', ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// value passes one value and returns its text.
func (s *scanner) value() []byte {
	from, open := s.at, 0
	for {
		switch s.text[s.at] {
		case '"':
			s.string()
		case '{', '[':
			open++
			s.at++
		case '}', ']':
			open--
			s.at++
		case ',', ':', ' ', '\t', '\r', '\n':
			// Reached inside of brackets only: a value does not begin with these.
			s.at++
		default:
			s.word()
		}
		if open == 0 {
			return s.text[from:s.at:s.at]
		}
	}
}

// string passes a string.
func (s *scanner) string() {
	text := s.text
	i := s.at + 1
	for text[i] != '"' {
		if text[i] == '\\' {
			i++
		}
		i++
	}
	s.at = i + 1
}

// word passes a number, true, false or null.
func (s *scanner) word() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case '{', '}', '[', ']', ',', ':', '"', ' ', '\t', '\r', '\n':
			return
		}
		s.at++
	}
}

// Text is a JSON object of which only what is asked for is read, and each time
// anew: it serves those who look at few fields of many objects. It must be
// valid, which ParseObject finds out; empty text is the empty object. It
// answers as the Object of the same text does.
type Text []byte

// Field decodes a field's value.
func (t Text) Field(key string) (any, bool) {
	raw, ok := lookUp(t, key)
	if !ok {
		return nil, false
	}
	v, err := decode(raw)
	return v, err == nil
}

// Path decodes the value at the end of a path through objects.
func (t Text) Path(path []string) (any, bool) {
	raw, ok := t.follow(path)
	if !ok {
		return nil, false
	}
	v, err := decode(raw)
	return v, err == nil
}

// Raw returns the text of the value of a field, or at the end of the path.
func (t Text) Raw(key string, path []string) (raw json.RawMessage, ok, kept bool) {
	if raw, ok = lookUp(t, key); !ok && path != nil {
		raw, ok = t.follow(path)
	}
	return raw, ok, true
}

func (t Text) follow(path []string) (raw json.RawMessage, ok bool) {
	raw = json.RawMessage(t)
	for i, name := range path {
		if i > 0 && (raw[0] != '{' || isDate(raw)) {
			return nil, false
		}
		if raw, ok = lookUp(raw, name); !ok {
			return nil, false
		}
	}
	return raw, true
}

// lookUp returns the text of a field's value. Of a key that occurs more than
// once, the last value counts.
func lookUp(text []byte, key string) (raw json.RawMessage, ok bool) {
	s := scanner{text: text}
	if !s.enter() {
		return nil, false
	}
	for name := s.next(); name != nil; name = s.next() {
		s.toValue()
		v := s.value()
		if isKey(name, key) {
			raw, ok = v, true
		}
	}
	return raw, ok
}

// enter goes into the object, if there is one.
func (s *scanner) enter() bool {
	for s.at < len(s.text) {
		s.at++
		if s.text[s.at-1] == '{' {
			return true
		}
	}
	return false
}

// isKey compares a key as it is written with one as it is meant.
func isKey(quoted []byte, key string) bool {
	inside := quoted[1 : len(quoted)-1]
	if string(inside) == key {
		return verbatim(inside)
	}
	if verbatim(inside) {
		return false
	}
	meant, err := decodeString(quoted)
	return err == nil && meant == key
}

// isDate tells whether an object is the text of a date.
func isDate(raw []byte) bool {
	if _, ok := lookUp(raw, "__type"); !ok {
		return false
	}
	v, err := decode(raw)
	if err != nil {
		return false
	}
	_, ok := v.(Date)
	return ok
}
