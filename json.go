package realtime

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// messageJSON is the full JSON form of a message.
type messageJSON struct {
	Data         json.RawMessage `json:"data"`
	Binary       bool            `json:"bin,omitempty"`
	ID           string          `json:"id,omitempty"`
	CID          string          `json:"cid,omitempty"`
	From         string          `json:"from,omitempty"`
	Timestamp    jsonTime        `json:"timestamp,omitzero"`
	DeliveredAt  jsonTime        `json:"deliveredAt,omitzero"`
	UpdatedAt    jsonTime        `json:"updatedAt,omitzero"`
	MentionList  []string        `json:"mentionList"`
	MentionedAll bool            `json:"mentionedAll"`
	// The reference does not have it, and does not mind.
	Transient bool `json:"transient,omitempty"`
}

// MarshalJSON returns the full JSON form of the other SDKs, which
// [IMClient.ParseMessage] reads.
func (m *Message) MarshalJSON() ([]byte, error) {
	p := m.payload
	if p.empty() && !isNil(m.Content) {
		var err error
		if p, err = encodeContent(m.Content); err != nil {
			return nil, err
		}
	}
	data, err := payloadJSON(p)
	if err != nil {
		return nil, err
	}
	out := messageJSON{
		Data:         data,
		Binary:       p.binary,
		ID:           m.ID,
		CID:          m.ConversationID,
		From:         m.From,
		Timestamp:    jsonTime{m.Timestamp},
		DeliveredAt:  jsonTime{m.DeliveredAt},
		UpdatedAt:    jsonTime{m.UpdatedAt},
		MentionList:  m.MentionList,
		MentionedAll: m.MentionedAll,
		Transient:    m.Transient,
	}
	if out.MentionList == nil {
		out.MentionList = []string{}
	}
	return marshalJSON(out)
}

// payloadJSON is a content as a JSON value: JSON as itself, unless it is a
// string, other text as a string, and bytes in base64.
func payloadJSON(p payload) (json.RawMessage, error) {
	if p.binary {
		return json.Marshal(base64.StdEncoding.EncodeToString(p.data))
	}
	switch text := strings.TrimSpace(p.text); {
	case text == "" || text[0] == '"' || !json.Valid([]byte(text)):
	case text[0] == '{' || text[0] == '[' || text == p.text:
		return json.RawMessage(p.text), nil
	}
	return marshalJSON(p.text)
}

// ParseMessage reads the full JSON form of a message, written by json.Marshal
// or another SDK. It does no I/O. A content that cannot be read is no error:
// see [Message.ContentErr].
func (c *IMClient) ParseMessage(data []byte) (*Message, error) {
	in, err := decodeMessage(data)
	if err != nil {
		return nil, err
	}
	return c.messageFromJSON(in)
}

// ParseMessage reads the full JSON form of a message, as
// [IMClient.ParseMessage] does, for nobody in particular: Mentioned and Status
// stay zero. It does no I/O.
func (p *MessageParser) ParseMessage(data []byte) (*Message, error) {
	in, err := decodeMessage(data)
	if err != nil {
		return nil, err
	}
	m, content, err := in.envelope()
	if err != nil {
		return nil, err
	}
	m.setContent(p.registry, content)
	return m, nil
}

func decodeMessage(data []byte) (*messageJSON, error) {
	in := new(messageJSON)
	if err := json.Unmarshal(data, in); err != nil {
		return nil, fmt.Errorf("realtime: parse message: %w", err)
	}
	if len(in.Data) == 0 {
		return nil, errors.New("realtime: parse message: it has no data")
	}
	return in, nil
}

func (c *IMClient) messageFromJSON(in *messageJSON) (*Message, error) {
	m, p, err := in.envelope()
	if err != nil {
		return nil, err
	}
	m.setMentions(m.MentionList, m.MentionedAll, c.ID())
	m.Status = c.storedStatus(m)
	m.setContent(c.rt.contents, p)
	return m, nil
}

// envelope is the message without what depends on who reads it, and its
// content as it came over the wire.
func (in *messageJSON) envelope() (*Message, payload, error) {
	p := payload{text: string(in.Data)}
	if in.Data[0] == '"' {
		var text string
		if err := json.Unmarshal(in.Data, &text); err != nil {
			return nil, p, fmt.Errorf("realtime: parse message: %w", err)
		}
		p.text = text
	}
	if in.Binary {
		var err error
		if p, err = storedPayload(p.text, true); err != nil {
			return nil, p, err
		}
	}
	if len(in.MentionList) == 0 {
		in.MentionList = nil
	}
	return &Message{
		ID:             in.ID,
		ConversationID: in.CID,
		From:           in.From,
		Timestamp:      in.Timestamp.Time,
		DeliveredAt:    in.DeliveredAt.Time,
		UpdatedAt:      in.UpdatedAt.Time,
		Transient:      in.Transient,
		MentionList:    in.MentionList,
		MentionedAll:   in.MentionedAll,
	}, p, nil
}

// fullKey tells the keys of the full JSON form of a conversation from its
// attributes.
func fullKey(key string) bool {
	switch key {
	case "id", "members", "lastMessageAt", "lastDeliveredAt", "lastReadAt", "lastMessage",
		"unreadMessagesCount", "mentioned", "creator", "system", "transient", "muted", "mutedMembers",
		"createdAt", "updatedAt", "expiredAt":
		return true
	}
	return false
}

// MarshalJSON returns the full JSON form of the other SDKs, which
// [IMClient.ParseConversation] reads. An attribute that is named like one of
// the keys of that form is left out.
func (c *Conversation) MarshalJSON() ([]byte, error) {
	c.mu.Lock()
	s := c.state
	unread, mentioned := c.client.sync.unread(c.id)
	c.mu.Unlock()

	out := make(map[string]any, len(s.attrs)+16)
	for key, raw := range s.attrs {
		if !fullKey(key) {
			out[key] = raw
		}
	}
	set := func(key string, value any, there bool) {
		if there {
			out[key] = value
		}
	}
	setTime := func(key string, t time.Time) { set(key, jsonTime{t}, !t.IsZero()) }
	members := s.members
	if members == nil {
		members = []string{}
	}
	out["id"], out["members"], out["unreadMessagesCount"] = c.id, members, unread
	set("mentioned", true, mentioned)
	setTime("lastMessageAt", s.lastMessageAt)
	setTime("lastDeliveredAt", s.deliveredAt)
	setTime("lastReadAt", s.readUpToAt)
	set("lastMessage", s.lastMessage, s.lastMessage != nil)
	set("creator", s.creator, s.creator != "")
	setTime("createdAt", s.createdAt)
	setTime("updatedAt", s.updatedAt)
	if s.kind == KindTemporary {
		setTime("expiredAt", s.expiredAt)
	} else {
		out["system"], out["transient"] = s.kind == KindService, s.kind == KindChatRoom
	}
	set("muted", true, s.notificationsMuted(c.client.ID()))
	set("mutedMembers", s.mutedBy, len(s.mutedBy) > 0)
	set(keyName, s.name, s.name != "")
	set("unique", true, s.unique)
	set("uniqueId", s.uniqueID, s.uniqueID != "")
	return marshalJSON(out)
}

// ParseConversation reads the full JSON form of a conversation, written by
// json.Marshal or another SDK, and returns the conversation of that id. One
// that this client knows already keeps its state: it is newer. It does no I/O.
func (c *IMClient) ParseConversation(data []byte) (*Conversation, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return nil, fmt.Errorf("realtime: parse conversation: %w", err)
	}
	f := fields{object: object}
	out := &convData{
		id:            f.string("id"),
		name:          f.string(keyName),
		creator:       f.string("creator"),
		uniqueID:      f.string("uniqueId"),
		unique:        f.bool("unique"),
		muted:         f.bool("muted"),
		createdAt:     f.time("createdAt"),
		updatedAt:     f.time("updatedAt"),
		lastMessageAt: f.time("lastMessageAt"),
		deliveredAt:   f.time("lastDeliveredAt"),
		readUpToAt:    f.time("lastReadAt"),
		expiredAt:     f.time("expiredAt"),
		hasAttrs:      true,
	}
	out.members, out.hasMembers = f.strings("members")
	out.mutedBy, out.hasMutedBy = f.strings("mutedMembers")
	switch {
	case f.bool("transient"):
		out.kind = KindChatRoom
	case f.bool("system"):
		out.kind = KindService
	case !out.expiredAt.IsZero() || temporaryID(out.id):
		out.kind = KindTemporary
	default:
		out.kind = KindNormal
	}
	for key, raw := range object {
		if !fullKey(key) && !reservedKey(key) {
			if out.attrs == nil {
				out.attrs = make(attributes)
			}
			out.attrs[key] = raw
		}
	}
	unread, mentioned := f.int("unreadMessagesCount"), f.bool("mentioned")
	if f.err == nil && f.has("lastMessage") {
		out.lastMessage, f.err = c.ParseMessage(object["lastMessage"])
	}
	if f.err == nil && out.id == "" {
		f.err = fmt.Errorf("it has no id")
	}
	if f.err != nil {
		return nil, fmt.Errorf("realtime: parse conversation: %w", f.err)
	}
	conv := c.convs.learnMissing(out)
	c.sync.restoreUnread(out.id, int(max(unread, 0)), mentioned)
	return conv, nil
}

// jsonTime is a time in a full JSON form: milliseconds, though ISO strings and
// Date objects are read as well.
type jsonTime struct{ time.Time }

// MarshalJSON writes milliseconds.
func (t jsonTime) MarshalJSON() ([]byte, error) {
	return strconv.AppendInt(nil, t.UnixMilli(), 10), nil
}

// UnmarshalJSON reads any form of a time.
func (t *jsonTime) UnmarshalJSON(data []byte) error {
	f := fields{object: map[string]json.RawMessage{"": data}}
	t.Time = f.time("")
	return f.err
}
