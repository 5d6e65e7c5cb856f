package realtime

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// payload is a content as it goes over the wire.
type payload struct {
	text   string // when it is a text
	data   []byte // when it is binary
	binary bool
}

func (p payload) empty() bool { return p.text == "" && p.data == nil && !p.binary }

// bytes is a copy.
func (p payload) bytes() []byte {
	if p.binary {
		return bytes.Clone(p.data)
	}
	return []byte(p.text)
}

// MarshalContent returns what c says on the wire: the bytes of a
// [BinaryMessage] with binary true, else a text, JSON for all types but
// [RawMessage]. It fails with ErrInvalidArgument for nil and for a type
// without a number, and with the error of encoding/json. Safe for concurrent
// use as long as c does not change.
func MarshalContent(c Content) (data []byte, binary bool, err error) {
	p, err := encodeContent(c)
	if err != nil {
		return nil, false, err
	}
	return p.bytes(), p.binary, nil
}

// encodeContent is MarshalContent without the copy.
func encodeContent(c Content) (payload, error) {
	if isNil(c) {
		return payload{}, invalidArgument("the content is nil")
	}
	switch c := c.(type) {
	case *BinaryMessage:
		return payload{data: c.Data, binary: true}, nil
	case *RawMessage:
		if !utf8.ValidString(c.Data) {
			return payload{}, invalidArgument("the text is not UTF-8: some receivers could not decode the frame")
		}
		return payload{text: c.Data}, nil
	case *TextMessage:
		if len(c.Attributes) == 0 {
			return payload{text: encodeText(c.Text)}, nil
		}
	}
	text, err := encodeTyped(c)
	return payload{text: text}, err
}

// encodeText is the short way for what most messages are.
func encodeText(text string) string {
	var b strings.Builder
	b.Grow(len(text) + len(text)/16 + 32)
	b.WriteString(`{"_lctype":-1`)
	if text != "" {
		b.WriteString(`,"_lctext":`)
		appendQuoted(&b, text)
	}
	b.WriteByte('}')
	return b.String()
}

// encodeTyped adds the message type to what encoding/json makes of c.
func encodeTyped(c Content) (string, error) {
	number := c.Type()
	if number == 0 {
		return "", invalidArgument("the type of a message must not be 0 (%T)", c)
	}
	out, err := marshalJSON(c)
	if err != nil {
		return "", invalidArgument("encode %T: %w", c, err)
	}
	body := string(out)
	head, ok := scanContent(body)
	switch {
	case !ok:
		return "", invalidArgument("%T is not a JSON object", c)
	case head.hasType && head.typ == number:
		return body, nil
	case head.hasType:
		return "", invalidArgument("%T says it is of type %d and writes %s %d", c, number, keyType, head.typ)
	}
	var b strings.Builder
	b.Grow(len(body) + 16)
	b.WriteString(`{"` + keyType + `":`)
	b.WriteString(strconv.Itoa(number))
	if body != "{}" {
		b.WriteByte(',')
	}
	b.WriteString(body[1:])
	return b.String(), nil
}

// decodeTyped reads text into c, a pointer to a zero value. A value of the
// wrong kind leaves its field zero and the rest is read: then partial is true.
func decodeTyped(text string, c Content) (partial bool, err error) {
	err = json.Unmarshal([]byte(text), c)
	var kind *json.UnmarshalTypeError
	// A content that reads itself tells its mistakes in its own way.
	if _, own := c.(json.Unmarshaler); !own && errors.As(err, &kind) && kind.Field != "" {
		partial = true
	}
	if err != nil {
		err = fmt.Errorf("realtime: decode %T: %w", c, err)
	}
	return partial, err
}

// copyContent is a content of the same type that shares nothing with c, made
// from what c says on the wire.
func copyContent(c Content, p payload) (Content, error) {
	switch c := c.(type) {
	case *TextMessage:
		if len(c.Attributes) == 0 {
			return NewTextMessage(c.Text), nil
		}
	case *RawMessage:
		return NewRawMessage(c.Data), nil
	case *BinaryMessage:
		return NewBinaryMessage(p.data), nil
	}
	out := reflect.New(reflect.TypeOf(c).Elem()).Interface().(Content)
	partial, err := decodeTyped(p.text, out)
	if err != nil && !partial {
		return NewRawMessage(p.text), err
	}
	return out, err
}
