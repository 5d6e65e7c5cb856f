package wire

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/leanrtm/realtime/internal/pb"
)

// The way out of direct and ack commands. It writes the very bytes that the
// protobuf library writes, without asking each field for its size first. As on
// the way in, a command with anything unusual is left to the library.

// fastAppend appends the frame of a direct or ack command to dst, or reports
// false and leaves it to the library.
func fastAppend(dst []byte, cmd *pb.GenericCommand) ([]byte, bool) {
	if !encodable(cmd) {
		return dst, false
	}
	if cmd.Cmd != nil {
		dst = appendInt(dst, tagCmd, int64(*cmd.Cmd))
	}
	dst = appendString(dst, tagAppID, cmd.AppId)
	dst = appendString(dst, tagPeerID, cmd.PeerId)
	dst = appendInt32(dst, tagI, cmd.I)
	dst = appendInt32(dst, tagPriority, cmd.Priority)
	dst = appendInt32(dst, tagService, cmd.Service)
	dst = appendInt64(dst, tagServerTs, cmd.ServerTs)
	dst = appendInt64(dst, tagClientTs, cmd.ClientTs)
	dst = appendInt32(dst, tagNotificationType, cmd.NotificationType)
	if cmd.DirectMessage != nil {
		dst, at := beginMessage(dst, tagDirectMessage)
		return endMessage(appendDirect(dst, cmd.DirectMessage), at), true
	}
	dst, at := beginMessage(dst, tagAckMessage)
	return endMessage(appendAck(dst, cmd.AckMessage), at), true
}

// encodable reports whether a command has nothing but what fastAppend knows.
func encodable(cmd *pb.GenericCommand) bool {
	switch {
	case cmd == nil, cmd.Op != nil, cmd.InstallationId != nil,
		cmd.DataMessage != nil, cmd.SessionMessage != nil, cmd.ErrorMessage != nil,
		cmd.UnreadMessage != nil, cmd.ReadMessage != nil, cmd.RcpMessage != nil,
		cmd.LogsMessage != nil, cmd.ConvMessage != nil, cmd.RoomMessage != nil,
		cmd.PresenceMessage != nil, cmd.ReportMessage != nil, cmd.PatchMessage != nil,
		cmd.PubsubMessage != nil, cmd.BlacklistMessage != nil,
		(cmd.DirectMessage == nil) == (cmd.AckMessage == nil),
		len(cmd.ProtoReflect().GetUnknown()) > 0:
		return false
	}
	if d := cmd.DirectMessage; d != nil {
		return d.Uid == nil && d.RoomId == nil && len(d.ToPeerIds) == 0 && len(d.ProtoReflect().GetUnknown()) == 0
	}
	a := cmd.AckMessage
	return a.Type == nil && len(a.Ids) == 0 && len(a.ProtoReflect().GetUnknown()) == 0
}

func appendDirect(dst []byte, d *pb.DirectCommand) []byte {
	dst = appendString(dst, tagDirectMsg, d.Msg)
	dst = appendString(dst, tagDirectFromPeerID, d.FromPeerId)
	dst = appendInt64(dst, tagDirectTimestamp, d.Timestamp)
	dst = appendBool(dst, tagDirectOffline, d.Offline)
	dst = appendBool(dst, tagDirectHasMore, d.HasMore)
	dst = appendBool(dst, tagDirectR, d.R)
	dst = appendString(dst, tagDirectCid, d.Cid)
	dst = appendString(dst, tagDirectID, d.Id)
	dst = appendBool(dst, tagDirectTransient, d.Transient)
	dst = appendString(dst, tagDirectDt, d.Dt)
	dst = appendString(dst, tagDirectPushData, d.PushData)
	dst = appendBool(dst, tagDirectWill, d.Will)
	dst = appendInt64(dst, tagDirectPatchTimestamp, d.PatchTimestamp)
	if d.BinaryMsg != nil {
		dst = protowire.AppendVarint(dst, tagDirectBinaryMsg)
		dst = protowire.AppendBytes(dst, d.BinaryMsg)
	}
	for i := range d.MentionPids {
		dst = appendString(dst, tagDirectMentionPids, &d.MentionPids[i])
	}
	dst = appendBool(dst, tagDirectMentionAll, d.MentionAll)
	return appendInt32(dst, tagDirectConvType, d.ConvType)
}

func appendAck(dst []byte, a *pb.AckCommand) []byte {
	dst = appendInt32(dst, tagAckCode, a.Code)
	dst = appendString(dst, tagAckReason, a.Reason)
	dst = appendString(dst, tagAckMid, a.Mid)
	dst = appendString(dst, tagAckCid, a.Cid)
	dst = appendInt64(dst, tagAckT, a.T)
	dst = appendString(dst, tagAckUID, a.Uid)
	dst = appendInt64(dst, tagAckFromTs, a.Fromts)
	dst = appendInt64(dst, tagAckToTs, a.Tots)
	dst = appendInt32(dst, tagAckAppCode, a.AppCode)
	return appendString(dst, tagAckAppMsg, a.AppMsg)
}

func appendInt(dst []byte, tag uint64, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendVarint(dst, tag), uint64(v))
}

func appendInt32(dst []byte, tag uint64, v *int32) []byte {
	if v == nil {
		return dst
	}
	return appendInt(dst, tag, int64(*v))
}

func appendInt64(dst []byte, tag uint64, v *int64) []byte {
	if v == nil {
		return dst
	}
	return appendInt(dst, tag, *v)
}

func appendBool(dst []byte, tag uint64, v *bool) []byte {
	if v == nil {
		return dst
	}
	return appendInt(dst, tag, int64(protowire.EncodeBool(*v)))
}

func appendString(dst []byte, tag uint64, v *string) []byte {
	if v == nil {
		return dst
	}
	return protowire.AppendString(protowire.AppendVarint(dst, tag), *v)
}

// lengthBytes is how many bytes the length of a usual body takes.
const lengthBytes = 2

// beginMessage leaves room for the length of a body, which is known when it
// has been written.
func beginMessage(dst []byte, tag uint64) (begun []byte, at int) {
	dst = protowire.AppendVarint(dst, tag)
	return append(dst, make([]byte, lengthBytes)...), len(dst)
}

// endMessage fills in the length, moving the body if it takes more or less
// room than was left.
func endMessage(dst []byte, at int) []byte {
	n := len(dst) - at - lengthBytes
	need := protowire.SizeVarint(uint64(n))
	if need > lengthBytes {
		dst = append(dst, make([]byte, need-lengthBytes)...)
	}
	if need != lengthBytes {
		copy(dst[at+need:], dst[at+lengthBytes:at+lengthBytes+n])
	}
	protowire.AppendVarint(dst[:at], uint64(n))
	return dst[:at+need+n]
}
