package realtime

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// parseStored reads the conversations of a query result: a JSON array of
// objects as the server stores them.
func (c *IMClient) parseStored(results string) ([]*convData, error) {
	if results == "" {
		return nil, nil
	}
	var objects []map[string]json.RawMessage
	if err := json.Unmarshal([]byte(results), &objects); err != nil {
		return nil, fmt.Errorf("realtime: decode query results: %w", err)
	}
	out := make([]*convData, 0, len(objects))
	for _, object := range objects {
		data, err := c.storedConversation(object)
		if err != nil {
			// Any member may have stored nonsense: that must not hide the rest.
			c.log.LogAttrs(c.ctx, slog.LevelWarn, "a stored conversation is damaged",
				slog.String("conv_id", data.id), slog.Any("error", err))
		}
		if data.id != "" {
			out = append(out, data)
		}
	}
	return out, nil
}

// storedConversation reads one conversation as the server stores it. Keys that
// are not built in are attributes. What cannot be read is left out; the error
// tells the first of it.
func (c *IMClient) storedConversation(object map[string]json.RawMessage) (*convData, error) {
	f := fields{object: object}
	data := &convData{
		id:            f.string("objectId"),
		name:          f.string(keyName),
		creator:       f.string("c"),
		uniqueID:      f.string("uniqueId"),
		unique:        f.bool("unique"),
		muted:         f.bool("muted"),
		joined:        f.bool("joined"),
		createdAt:     f.time("createdAt"),
		updatedAt:     f.time("updatedAt"),
		lastMessageAt: f.time("lm"),
		hasAttrs:      true,
	}
	data.members, data.hasMembers = f.strings("m")
	data.mutedBy, data.hasMutedBy = f.strings("mu")
	data.kind = storedKind(&f, data.id)
	if ttl := f.int("ttl"); ttl > 0 && data.kind == KindTemporary {
		data.expiredAt = expiry(ttl)
	}
	for key, raw := range object {
		if !reservedKey(key) {
			if data.attrs == nil {
				data.attrs = make(attributes, len(object))
			}
			data.attrs[key] = raw
		}
	}
	if f.has("msg") {
		data.lastMessage = c.storedMessage(&f, data.id)
	}
	if data.id == "" && f.err == nil {
		f.err = errors.New("it has no objectId")
	}
	return data, f.err
}

func storedKind(f *fields, id string) Kind {
	if kind := Kind(f.int("conv_type")); kind >= KindNormal && kind <= KindTemporary {
		return kind
	}
	switch {
	case f.bool("temp") || temporaryID(id):
		return KindTemporary
	case f.bool("sys"):
		return KindService
	case f.bool("tr"):
		return KindChatRoom
	}
	return KindNormal
}

// storedMessage reads the last message of a conversation.
func (c *IMClient) storedMessage(f *fields, cid string) *Message {
	p, err := storedPayload(f.string("msg"), f.bool("bin"))
	mentions, _ := f.strings("mention_pids")
	m := &Message{
		ID:             f.string("msg_mid"),
		ConversationID: cid,
		From:           f.string("msg_from"),
		Timestamp:      fromMillis(f.int("msg_timestamp")),
		UpdatedAt:      fromMillis(f.int("patch_timestamp")),
	}
	m.setMentions(mentions, f.bool("mention_all"), c.ID())
	m.Status = c.storedStatus(m)
	m.setContent(c.rt.contents, p)
	if err != nil {
		m.contentErr = err
	}
	return m
}

// storedStatus is the status of a message that the server has: of others there
// is none.
func (c *IMClient) storedStatus(m *Message) MessageStatus {
	switch {
	case m.From != c.ID():
		return StatusNone
	case !m.DeliveredAt.IsZero():
		return StatusDelivered
	}
	return StatusSent
}

// storedPayload is content that is kept as text, in base64 if it is binary. If
// that is damaged, what is there is taken for text.
func storedPayload(data string, binary bool) (payload, error) {
	if !binary {
		return payload{text: data}, nil
	}
	raw, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return payload{text: data}, fmt.Errorf("realtime: decode binary content: %w", err)
	}
	return payload{data: raw, binary: true}, nil
}

// fields reads the members of a JSON object by kind and keeps the first
// mistake. What is absent or null is zero.
type fields struct {
	object map[string]json.RawMessage
	err    error
}

func (f *fields) has(key string) bool {
	raw, has := f.object[key]
	return has && string(raw) != "null"
}

// read decodes a member into v and reports whether it is there.
func (f *fields) read(key string, v any) bool {
	if !f.has(key) {
		return false
	}
	if err := json.Unmarshal(f.object[key], v); err != nil {
		if f.err == nil {
			f.err = fmt.Errorf("%q: %w", key, err)
		}
		return false
	}
	return true
}

func (f *fields) string(key string) string {
	var s string
	f.read(key, &s)
	return s
}

func (f *fields) bool(key string) bool {
	var b bool
	f.read(key, &b)
	return b
}

// int reads a whole number, also one that is written as a fraction.
func (f *fields) int(key string) int64 {
	var n json.Number
	if !f.read(key, &n) {
		return 0
	}
	if i, err := n.Int64(); err == nil {
		return i
	}
	x, err := n.Float64()
	if err != nil && f.err == nil {
		f.err = fmt.Errorf("%q: %w", key, err)
	}
	return int64(x)
}

func (f *fields) strings(key string) (list []string, has bool) {
	has = f.read(key, &list)
	return list, has
}

// time reads a time in any of its forms: an ISO string, a Date object, or
// milliseconds.
func (f *fields) time(key string) time.Time {
	if !f.has(key) {
		return time.Time{}
	}
	switch f.object[key][0] {
	case '{':
		var date wireDate
		f.read(key, &date)
		return f.iso(key, date.ISO)
	case '"':
		return f.iso(key, f.string(key))
	}
	return fromMillis(f.int(key))
}

func (f *fields) iso(key, iso string) time.Time {
	t, err := parseISO(iso)
	if err != nil && f.err == nil {
		f.err = fmt.Errorf("%q: %w", key, err)
	}
	return t
}

// parseISO reads a time as the server writes it; "" is none.
func parseISO(iso string) (time.Time, error) {
	if iso = strings.TrimSpace(iso); iso == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, iso)
	return t.UTC(), err
}
