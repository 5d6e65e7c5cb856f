package admin

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/leanrtm/realtime"
)

// Message is a message to be sent.
type Message struct {
	// From is the client in whose name it is sent. It is required, but need not
	// be a member.
	From    string
	Content realtime.Content
	// Transient reaches only who is online and is not stored.
	Transient bool
	// NoSync keeps it from the other devices of From. Chat rooms ignore it.
	NoSync     bool
	MentionAll bool
	Mention    []string // at most 20 ids
	// Priority is for chat rooms; 0: normal.
	Priority realtime.MessagePriority
	// PushData is for those who are offline: JSON of it. Chat rooms ignore it.
	PushData any
}

// Broadcast is a message to many.
type Broadcast struct {
	// From is the client in whose name it is sent. It is required.
	From    string
	Content realtime.Content
	// ValidTill is until when those who log in get it, at most a month from
	// now; zero: a month. It is for BroadcastToAll only.
	ValidTill time.Time
	PushData  any
	// Transient reaches only who is online and is not stored.
	Transient bool
}

// outgoing is the body of a request that sends a message.
type outgoing struct {
	From       string          `json:"from_client"`
	Message    string          `json:"message"`
	Binary     bool            `json:"bin,omitempty"`
	To         []string        `json:"to_clients,omitempty"`
	ConvID     string          `json:"conv_id,omitempty"`
	Transient  bool            `json:"transient,omitempty"`
	NoSync     bool            `json:"no_sync,omitempty"`
	PushData   json.RawMessage `json:"push_data,omitempty"`
	Push       json.RawMessage `json:"push,omitempty"`
	Priority   string          `json:"priority,omitempty"`
	MentionAll bool            `json:"mention_all,omitempty"`
	Mention    []string        `json:"mention_client_ids,omitempty"`
	ValidTill  int64           `json:"valid_till,omitempty"`
	Token      string          `json:"dt,omitempty"`
}

// priority is what a priority is called in requests.
func priority(p realtime.MessagePriority) (string, error) {
	switch p {
	case 0:
		return "", nil
	case realtime.PriorityHigh:
		return "high", nil
	case realtime.PriorityNormal:
		return "normal", nil
	case realtime.PriorityLow:
		return "low", nil
	}
	return "", invalidArgument("Priority %d", p)
}

// encoded is a content on its way.
type encoded struct {
	content realtime.Content // that the plugins left
	data    []byte
	binary  bool
	text    string // as it stands in a request
}

// encode runs the plugins and encodes what they leave.
func (c *Client) encode(ctx context.Context, content realtime.Content) (encoded, error) {
	var e encoded
	if isNil(content) {
		return e, invalidArgument("the content is nil")
	}
	for i := range c.opts.Plugins {
		hook := c.opts.Plugins[i].BeforeSend
		if hook == nil {
			continue
		}
		out := &realtime.Outgoing{Content: content, Do: c.Do}
		if err := hook(ctx, out); err != nil {
			return e, fmt.Errorf("admin: plugin %q: BeforeSend: %w", c.opts.Plugins[i].Name, err)
		}
		if isNil(out.Content) {
			return e, invalidArgument("plugin %q: BeforeSend left no content", c.opts.Plugins[i].Name)
		}
		content = out.Content
	}
	data, binary, err := realtime.MarshalContent(content)
	if err != nil {
		return e, err
	}
	e = encoded{content: content, data: data, binary: binary, text: string(data)}
	if binary {
		e.text = base64.StdEncoding.EncodeToString(data)
	}
	return e, nil
}

func isNil(content realtime.Content) bool {
	if content == nil {
		return true
	}
	v := reflect.ValueOf(content)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

// copied is a content of the same type that shares nothing with the caller's.
func (e *encoded) copied() realtime.Content {
	switch e.content.(type) {
	case *realtime.BinaryMessage:
		return realtime.NewBinaryMessage(e.data)
	case *realtime.RawMessage:
		return realtime.NewRawMessage(e.text)
	}
	out, ok := reflect.New(reflect.TypeOf(e.content).Elem()).Interface().(realtime.Content)
	if !ok || json.Unmarshal(e.data, out) != nil {
		return realtime.NewRawMessage(e.text)
	}
	return out
}

// message is the request for a message to a conversation or to clients.
func (c *Client) outgoingMessage(ctx context.Context, m *Message) (*outgoing, *encoded, error) {
	if m.From == "" {
		return nil, nil, invalidArgument("From is required")
	}
	out := &outgoing{
		From: m.From, Transient: m.Transient, NoSync: m.NoSync,
		MentionAll: m.MentionAll, Mention: slices.Clone(m.Mention),
	}
	var err error
	if out.Priority, err = priority(m.Priority); err != nil {
		return nil, nil, err
	}
	if out.PushData, err = pushData(m.PushData); err != nil {
		return nil, nil, err
	}
	e, err := c.encode(ctx, m.Content)
	if err != nil {
		return nil, nil, err
	}
	out.Message, out.Binary = e.text, e.binary
	return out, &e, nil
}

// broadcast is the request for a broadcast.
func (c *Client) outgoingBroadcast(ctx context.Context, b *Broadcast) (*outgoing, *encoded, error) {
	out, e, err := c.outgoingMessage(ctx, &Message{From: b.From, Content: b.Content, Transient: b.Transient})
	if err != nil {
		return nil, nil, err
	}
	out.Push, err = pushData(b.PushData)
	return out, e, err
}

func pushData(v any) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	data, err := marshalJSON(v)
	if err != nil {
		return nil, invalidArgument("PushData: %w", err)
	}
	return data, nil
}

// sentAnswer is the answer to a message that was sent.
type sentAnswer struct {
	ID        string `json:"msg-id"`
	Timestamp int64  `json:"timestamp"`
	// Some servers put it here.
	Result struct {
		ID        string `json:"msg-id"`
		Timestamp int64  `json:"timestamp"`
	} `json:"result"`
}

// send makes the request and returns the message that was sent.
func (c *Client) send(ctx context.Context, q quota, at, cid string, out *outgoing, e *encoded) (*realtime.Message, error) {
	var answer sentAnswer
	k := call{method: "POST", path: at, body: out, answer: &answer, effect: once, quota: q, sends: true}
	if c.opts.RetrySends {
		out.Token = rand.Text()
		k.effect = repeatable
	}
	if err := c.do(ctx, k); err != nil {
		return nil, err
	}
	if answer.ID == "" {
		answer.ID, answer.Timestamp = answer.Result.ID, answer.Result.Timestamp
	}
	return &realtime.Message{
		ID: answer.ID, ConversationID: cid, From: out.From, Timestamp: fromMillis(answer.Timestamp),
		Status: realtime.StatusSent, Transient: out.Transient,
		MentionList: out.Mention, MentionedAll: out.MentionAll, Content: e.copied(),
	}, nil
}

// edit is the body of a request that changes or recalls a message.
type edit struct {
	From      string   `json:"from_client"`
	Message   *string  `json:"message,omitempty"`
	Binary    bool     `json:"bin,omitempty"`
	Timestamp int64    `json:"timestamp"`
	To        []string `json:"to_clients,omitempty"`
}

// checkMessage tells whether a message can be found by what it says of itself.
func checkMessage(m *realtime.Message) error {
	switch {
	case m == nil:
		return invalidArgument("the message is nil")
	case m.ID == "" || m.Timestamp.IsZero() || m.From == "":
		return invalidArgument("the message has no ID, Timestamp or From: use one that was sent or read")
	}
	return nil
}
