package realtime

import (
	"context"
	"net/http"
)

// Plugin adds message types and hooks to a Realtime or a MessageParser. No field is
// required; a nil hook is not called.
//
// Hooks of several plugins run in the order of Options.Plugins, each on what
// the one before returned. They run on several goroutines and, but for
// BeforeSend, must not block.
type Plugin struct {
	// Name appears in errors.
	Name string
	// MessageTypes has one prototype per message type, such as &RedPacket{}.
	// Number 0, or a number that is registered twice, is an error of New.
	MessageTypes []Content
	// BeforeMessageParse sees the content of every message before it is read
	// and returns what to read in its place. An error makes the content a
	// RawMessage.
	BeforeMessageParse func(data []byte, binary bool) ([]byte, error)
	// AfterMessageParse returns the content that takes the place of the one
	// that was read. An error makes the content a RawMessage.
	AfterMessageParse func(c Content) (Content, error)
	// BeforeMessageDispatch is asked before a received message becomes an
	// event; false: it does not.
	BeforeMessageDispatch func(m *Message, conv *Conversation) bool
	// BeforeSend runs once per Send or Update, on the goroutine of the sender,
	// and may block: uploads live here. Its error, with the name of the plugin,
	// is the error of the call.
	BeforeSend func(ctx context.Context, out *Outgoing) error

	// OnRealtimeCreate runs at the end of New.
	OnRealtimeCreate func(rt *Realtime)
	// OnIMClientCreate runs at the end of NewIMClient, before any event.
	OnIMClientCreate func(c *IMClient)
	// OnConversationCreate runs when a conversation object was made, before
	// anybody sees it.
	OnConversationCreate func(conv *Conversation)
}

// Outgoing is a content on its way out, as BeforeSend sees it.
type Outgoing struct {
	Conversation *Conversation // nil: package admin sends
	Content      Content       // may be replaced, but not changed: it belongs to the caller of Send
	// Do sends a REST request as the sender; see [Realtime.Do].
	Do func(req *http.Request) (*http.Response, error)
}

// copyPlugins is a copy that shares no slice with the caller.
func copyPlugins(plugins []Plugin) []Plugin {
	out := append([]Plugin(nil), plugins...)
	for i := range out {
		out[i].MessageTypes = append([]Content(nil), out[i].MessageTypes...)
	}
	return out
}
