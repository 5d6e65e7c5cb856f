package wire

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/leanrtm/realtime/internal/pb"
)

// The frames of messages on their way, direct and ack, are most of what a
// client and a server ever decode. The protobuf library allocates every field
// of them by itself, a dozen times per message. Here the command, its body and
// all values lie in one block, and all strings are parts of one copy of the
// frame: two allocations, and one more for binary content or mentions.
//
// Whatever is not usual (any other field, an unexpected wire type, a body that
// comes twice, a malformed frame) makes the fast path step back, so that the
// library decides what becomes of it.

// header is what surrounds the body. Strings are stretches of the frame.
type header struct {
	has              uint16 // bit n: field number n
	cmd              pb.CommandType
	appID, peerID    stretch
	i                int32
	priority         int32
	service          int32
	notificationType int32
	serverTs         int64
	clientTs         int64
}

type stretch struct{ from, to int }

// fields is the part of a block that direct and ack have in common.
type fields struct {
	cmd              pb.GenericCommand
	cmdType          pb.CommandType
	i                int32
	priority         int32
	service          int32
	notificationType int32
	serverTs         int64
	clientTs         int64
	appID, peerID    string
}

// directBlock holds a direct command and all that it points to.
type directBlock struct {
	fields
	body                                             pb.DirectCommand
	msg, fromPeerID, cid, id, dt, pushData           string
	timestamp, patchTimestamp                        int64
	convType                                         int32
	offline, hasMore, r, transient, will, mentionAll bool
}

// ackBlock holds an ack command and all that it points to.
type ackBlock struct {
	fields
	body                          pb.AckCommand
	reason, mid, cid, uid, appMsg string
	t, fromTs, toTs               int64
	code, appCode                 int32
}

// fastUnmarshal decodes a direct, ack or logs frame; nil: the library has to. A
// direct or ack command lies in into if that is not nil, and then it is not ready
// any more; nor need it be after a failure.
func fastUnmarshal(frame []byte, into *Block) *pb.GenericCommand {
	var h header
	body, tag := stretch{}, uint64(0)
	for pos := 0; pos < len(frame); {
		var field uint64
		var v value
		if field, v, pos = next(frame, pos); pos < 0 {
			return nil
		}
		switch field {
		case tagCmd:
			h.cmd = pb.CommandType(v.number)
		case tagAppID:
			h.appID = v.stretch
		case tagPeerID:
			h.peerID = v.stretch
		case tagI:
			h.i = int32(v.number)
		case tagPriority:
			h.priority = int32(v.number)
		case tagService:
			h.service = int32(v.number)
		case tagServerTs:
			h.serverTs = int64(v.number)
		case tagClientTs:
			h.clientTs = int64(v.number)
		case tagNotificationType:
			h.notificationType = int32(v.number)
		case tagDirectMessage, tagAckMessage, tagLogsMessage:
			if tag != 0 {
				return nil
			}
			tag, body = field, v.stretch
			continue
		default:
			return nil
		}
		h.has |= 1 << (field >> 3)
	}
	switch tag {
	case tagDirectMessage:
		if into == nil {
			return decodeDirect(frame, &h, body, new(directBlock))
		}
		into.holds = tag
		return decodeDirect(frame, &h, body, &into.direct)
	case tagAckMessage:
		if into == nil {
			return decodeAck(frame, &h, body, new(ackBlock))
		}
		into.holds = tag
		return decodeAck(frame, &h, body, &into.ack)
	case tagLogsMessage:
		return decodeLogs(frame, &h, body)
	}
	return nil
}

// value is that of a field: a number or a stretch of the frame, as the wire
// type says.
type value struct {
	number  uint64
	stretch stretch
}

// next reads the field at pos and returns its tag, its value and the position
// behind it; negative: it is malformed or of another wire type.
func next(frame []byte, pos int) (tag uint64, v value, end int) {
	tag, pos = number(frame, pos)
	if pos < 0 {
		return 0, v, -1
	}
	switch tag & 7 {
	case varint:
		v.number, pos = number(frame, pos)
		return tag, v, pos
	case length:
		var n uint64
		if n, pos = number(frame, pos); pos < 0 || n > uint64(len(frame)-pos) {
			return 0, v, -1
		}
		v.stretch = stretch{pos, pos + int(n)}
		return tag, v, v.stretch.to
	}
	return 0, v, -1
}

// number reads a varint.
func number(frame []byte, pos int) (v uint64, end int) {
	if pos < len(frame) && frame[pos] < 0x80 {
		return uint64(frame[pos]), pos + 1
	}
	v, n := protowire.ConsumeVarint(frame[pos:])
	if n < 0 {
		return 0, -1
	}
	return v, pos + n
}

func (h *header) present(tag int) bool { return h.has&(1<<(tag>>3)) != 0 }

// fill takes over the header. text is the frame as a string.
func (f *fields) fill(h *header, text string) {
	if h.present(tagCmd) {
		f.cmdType = h.cmd
		f.cmd.Cmd = &f.cmdType
	}
	if h.present(tagI) {
		f.i = h.i
		f.cmd.I = &f.i
	}
	if h.present(tagPriority) {
		f.priority = h.priority
		f.cmd.Priority = &f.priority
	}
	if h.present(tagService) {
		f.service = h.service
		f.cmd.Service = &f.service
	}
	if h.present(tagServerTs) {
		f.serverTs = h.serverTs
		f.cmd.ServerTs = &f.serverTs
	}
	if h.present(tagClientTs) {
		f.clientTs = h.clientTs
		f.cmd.ClientTs = &f.clientTs
	}
	if h.present(tagNotificationType) {
		f.notificationType = h.notificationType
		f.cmd.NotificationType = &f.notificationType
	}
	if h.present(tagAppID) {
		f.appID = text[h.appID.from:h.appID.to]
		f.cmd.AppId = &f.appID
	}
	if h.present(tagPeerID) {
		f.peerID = text[h.peerID.from:h.peerID.to]
		f.cmd.PeerId = &f.peerID
	}
}

// decodeDirect decodes the body of a direct command into b.
func decodeDirect(frame []byte, h *header, body stretch, b *directBlock) *pb.GenericCommand {
	text := string(frame)
	b.fill(h, text)
	b.cmd.DirectMessage = &b.body
	frame = frame[:body.to]
	for pos := body.from; pos < len(frame); {
		var field uint64
		var v value
		if field, v, pos = next(frame, pos); pos < 0 {
			return nil
		}
		part := text[v.stretch.from:v.stretch.to]
		switch field {
		case tagDirectMsg:
			b.msg, b.body.Msg = part, &b.msg
		case tagDirectFromPeerID:
			b.fromPeerID, b.body.FromPeerId = part, &b.fromPeerID
		case tagDirectTimestamp:
			b.timestamp, b.body.Timestamp = int64(v.number), &b.timestamp
		case tagDirectOffline:
			b.offline, b.body.Offline = v.number != 0, &b.offline
		case tagDirectHasMore:
			b.hasMore, b.body.HasMore = v.number != 0, &b.hasMore
		case tagDirectR:
			b.r, b.body.R = v.number != 0, &b.r
		case tagDirectCid:
			b.cid, b.body.Cid = part, &b.cid
		case tagDirectID:
			b.id, b.body.Id = part, &b.id
		case tagDirectTransient:
			b.transient, b.body.Transient = v.number != 0, &b.transient
		case tagDirectDt:
			b.dt, b.body.Dt = part, &b.dt
		case tagDirectPushData:
			b.pushData, b.body.PushData = part, &b.pushData
		case tagDirectWill:
			b.will, b.body.Will = v.number != 0, &b.will
		case tagDirectPatchTimestamp:
			b.patchTimestamp, b.body.PatchTimestamp = int64(v.number), &b.patchTimestamp
		case tagDirectBinaryMsg:
			b.body.BinaryMsg = append([]byte{}, part...) // empty is not absent
		case tagDirectMentionPids:
			b.body.MentionPids = append(b.body.MentionPids, part)
		case tagDirectMentionAll:
			b.mentionAll, b.body.MentionAll = v.number != 0, &b.mentionAll
		case tagDirectConvType:
			b.convType, b.body.ConvType = int32(v.number), &b.convType
		default:
			return nil
		}
	}
	return &b.cmd
}

// decodeAck decodes the body of an ack command into b.
func decodeAck(frame []byte, h *header, body stretch, b *ackBlock) *pb.GenericCommand {
	text := string(frame)
	b.fill(h, text)
	b.cmd.AckMessage = &b.body
	frame = frame[:body.to]
	for pos := body.from; pos < len(frame); {
		var field uint64
		var v value
		if field, v, pos = next(frame, pos); pos < 0 {
			return nil
		}
		part := text[v.stretch.from:v.stretch.to]
		switch field {
		case tagAckCode:
			b.code, b.body.Code = int32(v.number), &b.code
		case tagAckReason:
			b.reason, b.body.Reason = part, &b.reason
		case tagAckMid:
			b.mid, b.body.Mid = part, &b.mid
		case tagAckCid:
			b.cid, b.body.Cid = part, &b.cid
		case tagAckT:
			b.t, b.body.T = int64(v.number), &b.t
		case tagAckUID:
			b.uid, b.body.Uid = part, &b.uid
		case tagAckFromTs:
			b.fromTs, b.body.Fromts = int64(v.number), &b.fromTs
		case tagAckToTs:
			b.toTs, b.body.Tots = int64(v.number), &b.toTs
		case tagAckAppCode:
			b.appCode, b.body.AppCode = int32(v.number), &b.appCode
		case tagAckAppMsg:
			b.appMsg, b.body.AppMsg = part, &b.appMsg
		default:
			return nil
		}
	}
	return &b.cmd
}
