package engine

import (
	"encoding/json"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/store"
)

// encode returns the frame of a push, without peerId.
func encode(cmd *pb.GenericCommand) []byte {
	cmd.Service = proto.Int32(wire.ServiceIM)
	b, err := wire.Append(nil, cmd)
	if err != nil {
		// Only a missing required field can do that, and every push here sets its
		// own; the tests decode each of them.
		panic("engine: " + err.Error())
	}
	return b
}

// ISO is a time as clients read it: milliseconds, in UTC.
func ISO(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

// notice is something that happened to a conversation, as its members or the
// clients concerned are told.
type notice struct {
	op      pb.OpType
	cid     string
	initBy  string // empty: an administrator
	clients []string
	updated int64
	attr    json.RawMessage // as asked for, for updated
	result  json.RawMessage // the resulting values, for updated
	info    *MemberInfo
}

// Names of the notices that are kept, as the notifications interface has them.
const (
	noteJoined = "joined"
	noteLeft   = "left"
	noteRcp    = "rcp"
)

// name is the notice in the lists of droppable notices, where words are joined
// by dashes.
func (n *notice) name() string {
	switch n.op {
	case pb.OpType_joined:
		return noteJoined
	case pb.OpType_left:
		return noteLeft
	case pb.OpType_members_joined:
		return "members-joined"
	case pb.OpType_members_left:
		return "members-left"
	case pb.OpType_member_info_changed:
		return "member-info-changed"
	case pb.OpType_members_blocked:
		return "members-blocked"
	case pb.OpType_members_unblocked:
		return "members-unblocked"
	case pb.OpType_members_shutuped:
		return "members-shutuped"
	case pb.OpType_members_unshutuped:
		return "members-unshutuped"
	}
	return n.op.String()
}

// permanent tells whether the notice must not be missed.
func (n *notice) permanent() bool {
	return n.op == pb.OpType_joined || n.op == pb.OpType_left
}

// frame encodes the push.
func (n *notice) frame(ts int64) []byte {
	kind := int32(wire.NotificationDroppable)
	if n.permanent() {
		kind = wire.NotificationPermanent
	}
	m := &pb.ConvCommand{Cid: &n.cid, M: n.clients, Udate: proto.String(ISO(n.updated))}
	if n.initBy != "" {
		m.InitBy = &n.initBy
	}
	if n.attr != nil {
		m.Attr = &pb.JsonObjectMessage{Data: proto.String(string(n.attr))}
	}
	if n.result != nil {
		m.AttrModified = &pb.JsonObjectMessage{Data: proto.String(string(n.result))}
	}
	if n.info != nil {
		m.Info = &pb.ConvMemberInfo{Pid: &n.info.Client, Role: &n.info.Role, InfoId: &n.info.ID}
	}
	return encode(&pb.GenericCommand{
		Cmd: pb.CommandType_conv.Enum(), Op: n.op.Enum(),
		ServerTs: &ts, NotificationType: &kind,
		ConvMessage: m,
	})
}

// noteBody is a notice as it is kept: the fields of the push under their names
// on the wire.
type noteBody struct {
	Cid          string          `json:"cid"`
	InitBy       string          `json:"initBy,omitempty"`
	M            []string        `json:"m,omitempty"`
	Udate        string          `json:"udate,omitempty"`
	Attr         json.RawMessage `json:"attr,omitempty"`
	AttrModified json.RawMessage `json:"attrModified,omitempty"`
	Info         *noteInfo       `json:"info,omitempty"`

	ID   string `json:"id,omitempty"` // receipts
	From string `json:"from,omitempty"`
	T    int64  `json:"t,omitempty"`
	Read bool   `json:"read,omitempty"`
}

type noteInfo struct {
	PID    string `json:"pid"`
	Role   string `json:"role"`
	InfoID string `json:"infoId,omitempty"`
}

func (b *noteBody) text() []byte {
	text, err := json.Marshal(b)
	if err != nil {
		// Strings, numbers and JSON that was parsed before: nothing can fail.
		panic("engine: " + err.Error())
	}
	return text
}

// body is the notice as it is kept.
func (n *notice) body() []byte {
	b := noteBody{Cid: n.cid, InitBy: n.initBy, M: n.clients, Udate: ISO(n.updated), Attr: n.attr, AttrModified: n.result}
	if n.info != nil {
		b.Info = &noteInfo{PID: n.info.Client, Role: n.info.Role, InfoID: n.info.ID}
	}
	return b.text()
}

// patchItem is a changed message as clients are told.
func patchItem(cid string, m *store.Message) *pb.PatchItem {
	it := &pb.PatchItem{
		Cid: &cid, Mid: &m.Mid, Timestamp: &m.TS, From: &m.From, PatchTimestamp: &m.PatchTS,
		Recall:      proto.Bool(m.Flags.Has(store.FlagRecalled)),
		MentionPids: m.Mentions,
		MentionAll:  proto.Bool(m.Flags.Has(store.FlagMentionAll)),
	}
	if m.Flags.Has(store.FlagBinary) {
		it.BinaryMsg = []byte(m.Body)
	} else {
		it.Data = &m.Body
	}
	if m.PatchCode != 0 {
		it.PatchCode = proto.Int64(int64(m.PatchCode))
		it.PatchReason = &m.PatchReason
	}
	return it
}

func patchFrame(items ...*pb.PatchItem) []byte {
	return encode(&pb.GenericCommand{
		Cmd: pb.CommandType_patch.Enum(), Op: pb.OpType_modify.Enum(),
		PatchMessage: &pb.PatchCommand{Patches: items},
	})
}

// unreadTuple tells the unread count of a conversation and its last message, if
// it has one.
func unreadTuple(cid string, kind store.ConvKind, u store.Unread, last *store.Message) *pb.UnreadTuple {
	t := &pb.UnreadTuple{
		Cid: &cid, Unread: proto.Int32(int32(u.Count)), Mentioned: &u.Mentioned, ConvType: proto.Int32(int32(kind)),
	}
	if last == nil {
		return t
	}
	t.Mid, t.Timestamp, t.From = &last.Mid, &last.TS, &last.From
	if last.Flags.Has(store.FlagBinary) {
		t.BinaryMsg = []byte(last.Body)
	} else {
		t.Data = &last.Body
	}
	if last.PatchTS != 0 {
		t.PatchTimestamp = &last.PatchTS
	}
	return t
}

// unreadFrame has no notifTime if it is 0: then the client's cursor stays.
func unreadFrame(tuples []*pb.UnreadTuple, notifTime int64) []byte {
	m := &pb.UnreadCommand{Convs: tuples}
	if notifTime > 0 {
		m.NotifTime = &notifTime
	}
	return encode(&pb.GenericCommand{Cmd: pb.CommandType_unread.Enum(), UnreadMessage: m})
}

// receipt says that a message was received or read.
type receipt struct {
	cid, mid, from string // from: who received or read it
	ts             int64  // when
	read           bool
}

func (r *receipt) frame() []byte {
	m := &pb.RcpCommand{Id: &r.mid, Cid: &r.cid, T: &r.ts, From: &r.from}
	if r.read {
		m.Read = &r.read
	}
	return encode(&pb.GenericCommand{Cmd: pb.CommandType_rcp.Enum(), RcpMessage: m})
}

func (r *receipt) body() []byte {
	return (&noteBody{Cid: r.cid, ID: r.mid, From: r.from, T: r.ts, Read: r.read}).text()
}
