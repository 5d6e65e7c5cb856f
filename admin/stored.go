package admin

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/leanrtm/realtime"
)

// object is a JSON object whose members are read one by one. It keeps the first
// mistake; what is absent or null is zero.
type object struct {
	members map[string]json.RawMessage
	err     error
}

func (o *object) has(key string) bool {
	raw, ok := o.members[key]
	return ok && string(raw) != "null"
}

func (o *object) read(key string, to any) {
	if !o.has(key) {
		return
	}
	if err := json.Unmarshal(o.members[key], to); err != nil && o.err == nil {
		o.err = fmt.Errorf("%q: %w", key, err)
	}
}

func (o *object) text(key string) (s string) {
	o.read(key, &s)
	return s
}

func (o *object) flag(key string) (b bool) {
	o.read(key, &b)
	return b
}

func (o *object) list(key string) (ids []string) {
	o.read(key, &ids)
	return ids
}

// number reads a whole number, also one that is written as a fraction.
func (o *object) number(key string) int64 {
	var n json.Number
	o.read(key, &n)
	if n == "" {
		return 0
	}
	if i, err := n.Int64(); err == nil {
		return i
	}
	f, err := n.Float64()
	if err != nil && o.err == nil {
		o.err = fmt.Errorf("%q: %w", key, err)
	}
	return int64(f)
}

// time reads a time in any of its forms: an ISO string, a Date object, or
// milliseconds.
func (o *object) time(key string) time.Time {
	if !o.has(key) {
		return time.Time{}
	}
	iso := ""
	switch o.members[key][0] {
	case '"':
		iso = o.text(key)
	case '{':
		var date wireDate
		o.read(key, &date)
		iso = date.ISO
	default:
		return fromMillis(o.number(key))
	}
	t, err := parseISO(iso)
	if err != nil && o.err == nil {
		o.err = fmt.Errorf("%q: %w", key, err)
	}
	return t
}

// temporaryPrefix begins the ids of temporary conversations.
const temporaryPrefix = "_tmp:"

func (o *object) kind() realtime.Kind {
	switch k := realtime.Kind(o.number("conv_type")); {
	case k >= realtime.KindNormal && k <= realtime.KindTemporary:
		return k
	case o.flag("temp") || strings.HasPrefix(o.text("objectId"), temporaryPrefix):
		return realtime.KindTemporary
	case o.flag("sys"):
		return realtime.KindService
	case o.flag("tr"):
		return realtime.KindChatRoom
	}
	return realtime.KindNormal
}

// conversation reads a conversation as the server stores it. Keys that are not
// built in are attributes.
func (c *Client) conversation(members map[string]json.RawMessage) (realtime.ConversationInfo, error) {
	o := object{members: members}
	info := realtime.ConversationInfo{
		ID: o.text("objectId"), Name: o.text(keyName), Creator: o.text("c"), UniqueID: o.text("uniqueId"),
		Kind: o.kind(), Members: o.list("m"), NotificationsMutedBy: o.list("mu"),
		CreatedAt: o.time("createdAt"), UpdatedAt: o.time("updatedAt"), LastMessageAt: o.time("lm"),
	}
	if ttl := o.number("ttl"); ttl > 0 && info.Kind == realtime.KindTemporary {
		info.ExpiredAt = time.Now().Add(time.Duration(ttl) * time.Second).UTC()
	}
	for key, raw := range members {
		if reservedKey(key) {
			continue
		}
		var value any
		if err := json.Unmarshal(raw, &value); err != nil && o.err == nil {
			o.err = fmt.Errorf("%q: %w", key, err)
		}
		if info.Attributes == nil {
			info.Attributes = make(map[string]any)
		}
		info.Attributes[key] = decodeDates(value)
	}
	if o.has("msg") {
		last, err := c.message(fullMessage{
			Data: o.text("msg"), Binary: o.flag("bin"), ID: o.text("msg_mid"), ConversationID: info.ID,
			From: o.text("msg_from"), Timestamp: o.number("msg_timestamp"), UpdatedAt: o.number("patch_timestamp"),
			MentionList: o.list("mention_pids"), MentionedAll: o.flag("mention_all"),
		})
		if err != nil && o.err == nil {
			o.err = err
		}
		info.LastMessage = last
	}
	if o.err == nil && info.ID == "" {
		o.err = errors.New("it has no objectId")
	}
	if o.err != nil {
		return realtime.ConversationInfo{}, fmt.Errorf("admin: decode conversation %q: %w", info.ID, o.err)
	}
	return info, nil
}

// fullMessage is the form in which a realtime.MessageParser reads a message:
// its content stays as it came over the wire.
type fullMessage struct {
	Data           string   `json:"data"`
	Binary         bool     `json:"bin,omitempty"`
	ID             string   `json:"id"`
	ConversationID string   `json:"cid"`
	From           string   `json:"from"`
	Timestamp      int64    `json:"timestamp"`
	DeliveredAt    int64    `json:"deliveredAt,omitempty"`
	UpdatedAt      int64    `json:"updatedAt,omitempty"`
	MentionList    []string `json:"mentionList"`
	MentionedAll   bool     `json:"mentionedAll"`
}

func (c *Client) message(f fullMessage) (*realtime.Message, error) {
	if f.Binary {
		if _, err := base64.StdEncoding.DecodeString(f.Data); err != nil {
			f.Binary = false // damaged: what is there is taken for text
		}
	}
	data, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("admin: decode message: %w", err)
	}
	m, err := c.parser.ParseMessage(data)
	if err != nil {
		return nil, fmt.Errorf("admin: decode message %q: %w", f.ID, err)
	}
	return m, nil
}

// StoredMessage is a message of the history with what only administrators see.
type StoredMessage struct {
	// Message never marks a mention as one of somebody in particular.
	Message *realtime.Message
	// To are the clients it was for, if it was not for all of the conversation and
	// the server says so: this project's does for messages of services, the cloud
	// does not.
	To []string
	// FromIP is the address that it was sent from; "": not told.
	FromIP string
	// ValidTill is until when a broadcast to all is delivered to those who log
	// in; zero for other messages, or if it is not told.
	ValidTill time.Time
}

// storedItem is an item of the history as the server tells it.
type storedItem struct {
	Timestamp      int64           `json:"timestamp"`
	ConversationID string          `json:"conv-id"`
	Data           string          `json:"data"`
	From           string          `json:"from"`
	ID             string          `json:"msg-id"`
	To             json.RawMessage `json:"to"`
	Binary         bool            `json:"bin"`
	FromIP         string          `json:"from-ip"`
	AckAt          int64           `json:"ack-at"`
	PatchTimestamp int64           `json:"patch-timestamp"`
	MentionAll     bool            `json:"mention-all"`
	MentionList    []string        `json:"mention-pids"`
	ToClients      []string        `json:"to-clients"`
	ValidTill      int64           `json:"valid-till"`
}

func (c *Client) stored(it *storedItem) (StoredMessage, error) {
	m, err := c.message(fullMessage{
		Data: it.Data, Binary: it.Binary, ID: it.ID, ConversationID: it.ConversationID, From: it.From,
		Timestamp: it.Timestamp, DeliveredAt: it.AckAt, UpdatedAt: it.PatchTimestamp,
		MentionList: it.MentionList, MentionedAll: it.MentionAll,
	})
	return StoredMessage{
		Message: m, To: it.addressees(), FromIP: it.FromIP, ValidTill: fromMillis(it.ValidTill),
	}, err
}

// addressees reads a list, or one id; that of the conversation says nothing.
func (it *storedItem) addressees() []string {
	if len(it.ToClients) > 0 {
		return it.ToClients
	}
	var ids []string
	if json.Unmarshal(it.To, &ids) == nil {
		return ids
	}
	var id string
	if json.Unmarshal(it.To, &id) == nil && id != "" && id != it.ConversationID {
		return []string{id}
	}
	return nil
}
