package engine

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/leanrtm/realtime/server/internal/store"
	"github.com/leanrtm/realtime/server/internal/where"
)

// Fields of a conversation's JSON that the server itself makes.
const (
	fieldID        = "objectId"
	fieldName      = "name"
	fieldCreator   = "c"
	fieldMembers   = "m"
	fieldMuted     = "mu"
	fieldRoom      = "tr"
	fieldService   = "sys"
	fieldTemp      = "temp"
	fieldConvType  = "conv_type"
	fieldUnique    = "unique"
	fieldUniqueID  = "uniqueId"
	fieldCreated   = "createdAt"
	fieldUpdated   = "updatedAt"
	fieldLast      = "lm"
	fieldTTL       = "ttl"
	fieldJoined    = "joined"
	fieldJoinedAt  = "joinedAt"
	fieldMutedHere = "muted"
	fieldMsg       = "msg"
	fieldBin       = "bin"
	fieldMsgFrom   = "msg_from"
	fieldMsgID     = "msg_mid"
	fieldMsgTime   = "msg_timestamp"
	fieldPatchTime = "patch_timestamp"
	fieldAll       = "mention_all"
	fieldMentions  = "mention_pids"
)

// reserved tells whether a top-level key is the server's own: clients cannot
// write it.
func reserved(key string) bool {
	switch key {
	case fieldID, fieldCreator, fieldMembers, fieldMuted, fieldRoom, fieldService, fieldTemp, fieldConvType,
		fieldUnique, fieldUniqueID, fieldCreated, fieldUpdated, fieldLast, fieldTTL,
		fieldJoined, fieldJoinedAt, fieldMutedHere,
		fieldMsg, fieldBin, fieldMsgFrom, fieldMsgID, fieldMsgTime, fieldPatchTime, fieldAll, fieldMentions:
		return true
	}
	return false
}

// document is a conversation as filters and sort orders see it.
type document struct {
	c   *store.Conv
	now int64
}

var _ where.TextDoc = (*document)(nil)

// Field implements where.Doc.
func (d *document) Field(key string) (any, bool) {
	c := d.c
	switch key {
	case fieldID:
		return c.Cid, true
	case fieldCreator:
		return c.Creator, c.Creator != ""
	case fieldMembers:
		if !listed(c.Kind) {
			return nil, false
		}
		return memberValues(c.Members, func(*store.Member) bool { return true }), true
	case fieldMuted:
		if !listed(c.Kind) {
			return nil, false
		}
		return memberValues(c.Members, muted), true
	case fieldRoom:
		return true, c.Kind == store.KindRoom
	case fieldService:
		return true, c.Kind == store.KindService
	case fieldTemp:
		return true, c.Kind == store.KindTemporary
	case fieldConvType:
		return int64(c.Kind), true
	case fieldUnique:
		return true, c.Unique
	case fieldUniqueID:
		return c.UniqueID, c.UniqueID != ""
	case fieldCreated:
		return where.Date(c.Created), true
	case fieldUpdated:
		return where.Date(c.Updated), true
	case fieldLast:
		return where.Date(c.Head.TS), c.Head.TS != 0
	case fieldTTL:
		return int64(left(c, d.now) / time.Second), c.TTLEnd != 0
	}
	if reserved(key) {
		return nil, false
	}
	return where.Text(c.Attrs).Field(key) // valid: it was checked when it was written
}

// Path implements where.PathDoc. Nothing but an attribute is an object.
func (d *document) Path(path []string) (any, bool) {
	if reserved(path[0]) {
		return nil, false
	}
	return where.Text(d.c.Attrs).Path(path)
}

// Raw implements where.TextDoc.
func (d *document) Raw(key string, path []string) (raw json.RawMessage, ok, kept bool) {
	if reserved(key) {
		return nil, false, false
	}
	if path != nil && reserved(path[0]) {
		path = nil
	}
	return where.Text(d.c.Attrs).Raw(key, path)
}

func muted(m *store.Member) bool { return m.Muted }

func memberValues(members []store.Member, want func(*store.Member) bool) []any {
	vs := make([]any, 0, len(members))
	for i := range members {
		if want(&members[i]) {
			vs = append(vs, members[i].Client)
		}
	}
	return vs
}

// view is how one caller is shown a conversation.
type view struct {
	compact  bool          // without members
	withLast bool          // with the last message
	me       *store.Member // of service conversations: the caller's subscription
	client   bool          // the caller is a client, who may have a subscription
	now      int64
}

// render appends the JSON of a conversation. The attributes' text is copied as it
// was stored.
func render(b []byte, c *store.Conv, v view) []byte {
	b = append(b, '{')
	if attrs := strings.TrimSpace(string(c.Attrs)); len(attrs) > 2 {
		if inner := strings.TrimSpace(attrs[1 : len(attrs)-1]); inner != "" {
			b = append(append(b, inner...), ',')
		}
	}
	b = appendText(b, fieldID, c.Cid)
	b = appendField(b, fieldConvType, strconv.AppendInt(nil, int64(c.Kind), 10))
	if c.Creator != "" {
		b = appendText(b, fieldCreator, c.Creator)
	}
	if listed(c.Kind) && !v.compact {
		b = appendIDs(b, fieldMembers, c.Members, nil)
		b = appendIDs(b, fieldMuted, c.Members, muted)
	}
	switch c.Kind {
	case store.KindRoom:
		b = appendField(b, fieldRoom, []byte("true"))
	case store.KindService:
		b = appendField(b, fieldService, []byte("true"))
		b = v.subscription(b)
	case store.KindTemporary:
		b = appendField(b, fieldTemp, []byte("true"))
		b = appendField(b, fieldTTL, strconv.AppendInt(nil, int64(left(c, v.now)/time.Second), 10))
	}
	if c.Unique {
		b = appendField(b, fieldUnique, []byte("true"))
		b = appendText(b, fieldUniqueID, c.UniqueID)
	}
	b = appendText(b, fieldCreated, ISO(c.Created))
	b = appendText(b, fieldUpdated, ISO(c.Updated))
	if c.Head.TS != 0 {
		b = appendField(b, fieldLast, []byte(`{"__type":"Date","iso":"`+ISO(c.Head.TS)+`"}`))
	}
	if v.withLast && c.Last != nil {
		b = appendLast(b, c.Last)
	}
	b[len(b)-1] = '}' // the last comma
	return b
}

// subscription tells the caller how it stands to a service conversation.
func (v *view) subscription(b []byte) []byte {
	if !v.client {
		return b
	}
	b = appendField(b, fieldJoined, strconv.AppendBool(nil, v.me != nil))
	if v.me != nil {
		b = appendField(b, fieldJoinedAt, strconv.AppendInt(nil, v.me.Joined, 10))
	}
	return appendField(b, fieldMutedHere, strconv.AppendBool(nil, v.me != nil && v.me.Muted))
}

func appendLast(b []byte, m *store.Message) []byte {
	if m.Flags.Has(store.FlagBinary) {
		b = appendText(b, fieldMsg, base64.StdEncoding.EncodeToString([]byte(m.Body)))
		b = appendField(b, fieldBin, []byte("true"))
	} else {
		b = appendText(b, fieldMsg, m.Body)
	}
	b = appendText(b, fieldMsgFrom, m.From)
	b = appendText(b, fieldMsgID, m.Mid)
	b = appendField(b, fieldMsgTime, strconv.AppendInt(nil, m.TS, 10))
	if m.PatchTS != 0 {
		b = appendField(b, fieldPatchTime, strconv.AppendInt(nil, m.PatchTS, 10))
	}
	if m.Flags.Has(store.FlagMentionAll) {
		b = appendField(b, fieldAll, []byte("true"))
	}
	if len(m.Mentions) > 0 {
		b = appendField(b, fieldMentions, jsonText(m.Mentions))
	}
	return b
}

func appendField(b []byte, key string, raw []byte) []byte {
	b = append(b, '"')
	b = append(b, key...)
	b = append(b, '"', ':')
	b = append(b, raw...)
	return append(b, ',')
}

func appendText(b []byte, key, s string) []byte { return appendField(b, key, jsonText(s)) }

func appendIDs(b []byte, key string, members []store.Member, want func(*store.Member) bool) []byte {
	ids := make([]string, 0, len(members))
	for i := range members {
		if want == nil || want(&members[i]) {
			ids = append(ids, members[i].Client)
		}
	}
	return appendField(b, key, jsonText(ids))
}

// jsonText encodes strings and lists of them.
func jsonText(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic("engine: " + err.Error()) // strings always encode
	}
	return text
}
