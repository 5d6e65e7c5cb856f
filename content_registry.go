package realtime

import (
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

// MessageParser reads contents without a client: for exporters, server hooks
// and package admin. It is safe for concurrent use.
type MessageParser struct{ registry *contentRegistry }
