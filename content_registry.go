package realtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// contentRegistry knows the message types and parse hooks of one Realtime or
// MessageParser. It never changes after it was made.
type contentRegistry struct {
	types  map[int]reflect.Type // struct types, by message type
	before []parseHook[func(data []byte, binary bool) ([]byte, error)]
	after  []parseHook[func(c Content) (Content, error)]
}

// parseHook is a hook with the name of its plugin, for errors.
type parseHook[F any] struct {
	plugin string
	fn     F
}

// newContentRegistry collects the message types of the plugins, or all their
// mistakes.
func newContentRegistry(plugins []Plugin) (*contentRegistry, error) {
	r := &contentRegistry{types: map[int]reflect.Type{
		TypeText:     reflect.TypeFor[TextMessage](),
		TypeRecalled: reflect.TypeFor[RecalledMessage](),
	}}
	var mistakes []error
	for _, p := range plugins {
		for _, prototype := range p.MessageTypes {
			if err := r.register(prototype); err != nil {
				mistakes = append(mistakes, fmt.Errorf("plugin %q: %w", p.Name, err))
			}
		}
		if p.BeforeMessageParse != nil {
			r.before = append(r.before, parseHook[func([]byte, bool) ([]byte, error)]{p.Name, p.BeforeMessageParse})
		}
		if p.AfterMessageParse != nil {
			r.after = append(r.after, parseHook[func(Content) (Content, error)]{p.Name, p.AfterMessageParse})
		}
	}
	if len(mistakes) > 0 {
		return nil, fmt.Errorf("%w: %w", ErrInvalidArgument, errors.Join(mistakes...))
	}
	return r, nil
}

func (r *contentRegistry) register(prototype Content) error {
	if prototype == nil {
		return errors.New("a message type is nil")
	}
	// A typed nil serves as well: only its type is used, but a Type method that
	// reads a field would not survive it.
	t := reflect.TypeOf(prototype)
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("message type %v is not a pointer to a struct", t)
	}
	value := reflect.New(t.Elem()).Interface().(Content)
	if value.typed() == nil {
		return fmt.Errorf("message type %v does not embed TypedMessage by value", t)
	}
	number := value.Type()
	if number == 0 {
		return fmt.Errorf("message type %v has the number 0", t)
	}
	if other, taken := r.types[number]; taken {
		return fmt.Errorf("message type %v has the number %d, which %v has too", t, number, reflect.PointerTo(other))
	}
	r.types[number] = t.Elem()
	return nil
}

// parse reads a content. It always returns one; err tells why it was read only
// in part, or is a RawMessage although a type claims it.
func (r *contentRegistry) parse(p payload) (Content, error) {
	in := p
	for _, hook := range r.before {
		data, err := hook.fn(in.bytes(), in.binary)
		if err != nil {
			return rawContent(p), fmt.Errorf("realtime: plugin %q: BeforeMessageParse: %w", hook.plugin, err)
		}
		if in.binary {
			in.data = data
		} else {
			in.text = string(data)
		}
	}
	c, err := r.read(in)
	for _, hook := range r.after {
		var hookErr error
		c, hookErr = hook.fn(c)
		if hookErr == nil && isNil(c) {
			hookErr = errors.New("no content returned")
		}
		if hookErr != nil {
			return rawContent(p), fmt.Errorf("realtime: plugin %q: AfterMessageParse: %w", hook.plugin, hookErr)
		}
	}
	return c, err
}

// read is parse without the hooks.
func (r *contentRegistry) read(p payload) (Content, error) {
	if p.binary {
		return NewBinaryMessage(p.data), nil
	}
	head, ok := scanContent(p.text)
	if !ok || !head.hasType {
		return NewRawMessage(p.text), nil
	}
	if head.typ == TypeText && head.plain {
		return NewTextMessage(head.text), nil
	}
	t, known := r.types[head.typ]
	if !known {
		return NewRawMessage(p.text), nil
	}
	c := reflect.New(t).Interface().(Content)
	partial, err := decodeTyped(p.text, c)
	switch {
	case err == nil, partial:
		return c, err
	case !json.Valid([]byte(p.text)): // some text that begins like JSON
		return NewRawMessage(p.text), nil
	}
	return NewRawMessage(p.text), err
}

// rawContent is a content that nobody reads.
func rawContent(p payload) Content {
	if p.binary {
		return NewRawMessage(string(p.data))
	}
	return NewRawMessage(p.text)
}

// MessageParser reads contents without a client: for exporters, server hooks
// and package admin. It is safe for concurrent use.
type MessageParser struct{ registry *contentRegistry }

// NewMessageParser returns a parser that knows the message types of this
// package and of the plugins, and runs their parse hooks. Mistakes in the
// plugins match ErrInvalidArgument.
func NewMessageParser(plugins ...Plugin) (*MessageParser, error) {
	registry, err := newContentRegistry(copyPlugins(plugins))
	if err != nil {
		return nil, err
	}
	return &MessageParser{registry}, nil
}

// Parse reads a content as it goes over the wire; binary says that it is bytes
// and no text. It always returns a content. The error tells why it was read
// only in part, or is a [RawMessage] although a type claims it.
func (p *MessageParser) Parse(data []byte, binary bool) (Content, error) {
	in := payload{binary: binary}
	if binary {
		in.data = append([]byte(nil), data...)
	} else {
		in.text = string(data)
	}
	return p.registry.parse(in)
}
