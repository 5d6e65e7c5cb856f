package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/hook"
	"github.com/leanrtm/realtime/server/internal/limit"
	"github.com/leanrtm/realtime/server/internal/store"
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

// typeOf returns the type number of typed content: of a JSON object that has one.
func typeOf(body string, binary bool) (int32, bool) {
	if binary || !strings.Contains(body, typeKey) {
		return 0, false
	}
	if t, typed, ok := flatType(body); ok {
		return t, typed
	}
	return anyType([]byte(body))
}

// anyType is typeOf for whatever the content is.
func anyType(text []byte) (int32, bool) {
	if !json.Valid(text) {
		return 0, false
	}
	text = bytes.TrimLeft(text, blanks)
	if text[0] != '{' {
		return 0, false
	}
	var t int64
	err := errNoType
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			end := i + 1
			for ; text[end] != '"'; end++ {
				if text[end] == '\\' {
					end++
				}
			}
			word := text[i+1 : end]
			i = end
			if depth != 1 || string(word) != typeKey {
				continue
			}
			value, isKey := bytes.CutPrefix(bytes.TrimLeft(text[end+1:], blanks), []byte(":"))
			if !isKey {
				continue // a value that says the same
			}
			value = bytes.TrimLeft(value, blanks)
			if n := bytes.IndexAny(value, ",}"+blanks); n > 0 {
				t, err = strconv.ParseInt(string(value[:n]), 10, 32) // of several, the last one counts
			}
		}
	}
	return int32(t), err == nil
}

const blanks = " \t\r\n"

var errNoType = errors.New("engine: content without a type")

// message is the stored form of what is sent, with an id of its own. Time and
// number are not set yet.
func (e *Engine) message(by Cause, o *Outgoing) *store.Message {
	m := &store.Message{Mid: e.ids.Message(), From: by.Client, Body: o.Body, Mentions: o.Mentions, IP: by.IP}
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
