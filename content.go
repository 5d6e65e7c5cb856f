package realtime

import (
	"encoding/json"
	"reflect"

	"github.com/leanrtm/realtime/internal/wire"
)

// The numbers of the message types that this package knows by itself. Custom
// types use positive numbers.
const (
	TypeText     = wire.TypeText
	TypeRecalled = wire.TypeRecalled
)

// Content is what a message says. The interface is sealed: its implementations
// are pointers to structs that embed [TypedMessage] and declare a Type method,
// and [TextMessage], [RecalledMessage], [BinaryMessage] and [RawMessage].
type Content interface {
	// Type is the number of the message type, 0 for content without one.
	Type() int
	typed() *TypedMessage
}

// TypedMessage is the common part of all typed contents. A custom type embeds
// it by value, adds its own fields with JSON tags and a Type method on the
// pointer:
//
//	type RedPacket struct {
//		realtime.TypedMessage
//		Cents int `json:"cents"`
//	}
//
//	func (*RedPacket) Type() int { return 1 }
//
// It has no MarshalJSON or UnmarshalJSON, so structs that embed it keep theirs.
type TypedMessage struct {
	// Text is the caption or text of the message.
	Text string `json:"_lctext,omitempty"`
	// Attributes are the sender's own additions, as encoding/json reads them.
	Attributes map[string]any `json:"_lcattrs,omitempty"`
}

// Summary is what a list of conversations would show of the message: its text.
// A type that embeds TypedMessage may define its own.
func (t *TypedMessage) Summary() string { return t.Text }

func (t *TypedMessage) typed() *TypedMessage { return t }

// TextMessage is a text, with attributes if wanted.
type TextMessage struct{ TypedMessage }

// NewTextMessage returns a text message.
func NewTextMessage(text string) *TextMessage {
	return &TextMessage{TypedMessage{Text: text}}
}

// Type is [TypeText].
func (*TextMessage) Type() int { return TypeText }

// RecalledMessage stands where a message has been recalled.
type RecalledMessage struct{ TypedMessage }

// Type is [TypeRecalled].
func (*RecalledMessage) Type() int { return TypeRecalled }

// BinaryMessage is a message of bytes.
type BinaryMessage struct{ Data []byte }

// NewBinaryMessage returns a binary message. It keeps data, which must not
// change until the message has been sent.
func NewBinaryMessage(data []byte) *BinaryMessage { return &BinaryMessage{Data: data} }

// Type is 0: bytes have no message type.
func (*BinaryMessage) Type() int { return 0 }

func (*BinaryMessage) typed() *TypedMessage { return nil }

// RawMessage is any text that no registered type claims, be it JSON or not.
type RawMessage struct{ Data string }

// NewRawMessage returns a message of exactly this text.
func NewRawMessage(data string) *RawMessage { return &RawMessage{Data: data} }

// Type is the number that the text names as its message type, 0 if it names
// none.
func (m *RawMessage) Type() int {
	head, ok := scanContent(m.Data)
	if !ok || !head.hasType || !json.Valid([]byte(m.Data)) {
		return 0
	}
	return head.typ
}

func (*RawMessage) typed() *TypedMessage { return nil }

// isNil reports whether there is no content: nil, or a nil pointer in it.
func isNil(c Content) bool {
	switch c := c.(type) {
	case nil:
		return true
	case *TextMessage:
		return c == nil
	case *BinaryMessage:
		return c == nil
	case *RawMessage:
		return c == nil
	}
	v := reflect.ValueOf(c)
	return v.Kind() == reflect.Pointer && v.IsNil()
}
