// Package redpacket shows a message type of one's own: a red packet with money
// in it, which travels, is stored and is found in history like any other
// message.
//
//	rt, err := realtime.New(realtime.Options{ /* … */ Plugins: []realtime.Plugin{redpacket.Plugin()}})
//	conv.Send(ctx, redpacket.New(520, "happy new year"))
//	packets, err := conv.QueryMessages(ctx, realtime.MessageQuery{Type: redpacket.Type})
package redpacket

import (
	"fmt"

	"github.com/leanrtm/realtime"
)

// Type is the number of the message type. Custom types take positive numbers,
// one meaning each in the whole app.
const Type = 1

// Message is a red packet. The embedded TypedMessage brings the text and the
// attributes that every message may carry.
type Message struct {
	realtime.TypedMessage
	Cents  int  `json:"cents"`
	Opened bool `json:"opened,omitempty"`
}

// New returns a red packet with that much money and a wish.
func New(cents int, wish string) *Message {
	m := &Message{Cents: cents}
	m.Text = wish
	return m
}

// Type is [Type].
func (*Message) Type() int { return Type }

// Summary is what a list of conversations shows instead of the message.
func (m *Message) Summary() string { return fmt.Sprintf("[红包] %s", m.Text) }

// SendOptions are the options of every send of a red packet: the sender wants
// to know that it has arrived.
func (*Message) SendOptions() []realtime.SendOption {
	return []realtime.SendOption{realtime.WithReceipt()}
}

// Plugin registers the type.
func Plugin() realtime.Plugin {
	return realtime.Plugin{Name: "redpacket", MessageTypes: []realtime.Content{&Message{}}}
}
