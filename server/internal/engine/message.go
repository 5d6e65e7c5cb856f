package engine

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/hook"
	"github.com/leanrtm/realtime/server/internal/limit"
	"github.com/leanrtm/realtime/server/internal/store"
	"github.com/leanrtm/realtime/server/internal/where"
)

// Outgoing is a message that somebody wants to send.
type Outgoing struct {
	Body   string // text, or the bytes as they are
	Binary bool

	Token      string // the sender's: sends with the same one are one send; may be empty
	Transient  bool   // to those online, not kept
	Receipt    bool   // the sender wants to know when it was received and read
	Will       bool   // to be delivered when the sender's connection is lost
	PushData   string // JSON for the offline push
	Priority   int32  // wire.PriorityHigh to PriorityLow, in chat rooms
	Mentions   []string
	MentionAll bool

	NoSync bool // administrators: not to the named sender's own sessions
}

// Sent is a message that was accepted.
type Sent struct {
	Mid string
	TS  int64
}

// typeKey is the key of the type number in typed content.
const typeKey = "_lctype"

// typeOf returns the type number of typed content.
func typeOf(body string, binary bool) (int32, bool) {
	if binary || !strings.Contains(body, typeKey) {
		return 0, false
	}
	o, err := where.ParseObject([]byte(body))
	if err != nil {
		return 0, false
	}
	v, ok := o.Field(typeKey)
	if !ok {
		return 0, false
	}
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	t, err := strconv.ParseInt(n.String(), 10, 32)
	return int32(t), err == nil
}

// message is the stored form of what is sent; position and number are not set
// yet.
func (o *Outgoing) message(by Cause) *store.Message {
	m := &store.Message{From: by.Client, Body: o.Body, Mentions: o.Mentions, IP: by.IP}
	if o.Binary {
		m.Flags |= store.FlagBinary
	}
	if o.MentionAll {
		m.Flags |= store.FlagMentionAll
	}
	if o.Receipt {
		m.Flags |= store.FlagReceipt
	}
	if by.Admin {
		m.Flags |= store.FlagSystem
	}
	if t, ok := typeOf(o.Body, o.Binary); ok {
		m.Flags |= store.FlagTyped
		m.Type = t
	}
	return m
}

// check refuses a message for what it is.
func (e *Engine) check(o *Outgoing) error {
	if limit.Exceeds(len(o.Body)+len(o.PushData), e.limits.MessageSize) {
		return refuse(wire.CodeFrameTooLong, "message of "+strconv.Itoa(len(o.Body)+len(o.PushData))+" bytes")
	}
	return nil
}

func (o *Outgoing) content() hook.Content { return hook.Content{Data: o.Body, Binary: o.Binary} }

// content is what hooks see of a stored message.
func content(m *store.Message) hook.Content {
	return hook.Content{Data: m.Body, Binary: m.Flags.Has(store.FlagBinary)}
}
