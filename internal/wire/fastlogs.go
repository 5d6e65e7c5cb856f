package wire

import "github.com/leanrtm/realtime/internal/pb"

// logsBlock holds a page of the history and all that it points to but the texts
// of its messages.
type logsBlock struct {
	fields
	body  pb.LogsCommand
	cid   string
	items []logBlock
}

// logBlock holds a message of a page.
type logBlock struct {
	item                              pb.LogItem
	from, data, msgID                 string
	timestamp, ackAt, readAt, patched int64
	convType                          int32
	mentionAll, bin                   bool
}

// decodeLogs decodes the body of a logs command that is a page; a request, which
// has other fields, is left to the library.
func decodeLogs(frame []byte, h *header, body stretch) *pb.GenericCommand {
	if max(h.appID.to, h.peerID.to) > body.from {
		return nil // not before the body: unusual
	}
	frame = frame[:body.to]
	n := 0
	for pos := body.from; pos < len(frame); {
		var field uint64
		if field, _, pos = next(frame, pos); pos < 0 {
			return nil
		}
		switch field {
		case tagLogsCid:
		case tagLogsLogs:
			n++
		default:
			return nil
		}
	}
	b := &logsBlock{items: make([]logBlock, n)}
	// Of the frame only what comes before the body is kept as text: it is small.
	b.fill(h, string(frame[:body.from]))
	b.cmd.LogsMessage = &b.body
	if n > 0 {
		b.body.Logs = make([]*pb.LogItem, n)
	}
	n = 0
	for pos := body.from; pos < len(frame); {
		var field uint64
		var v value
		field, v, pos = next(frame, pos)
		part := frame[v.stretch.from:v.stretch.to]
		if field == tagLogsCid {
			b.cid = string(part)
			b.body.Cid = &b.cid
			continue
		}
		if !b.items[n].decode(part) {
			return nil
		}
		b.body.Logs[n] = &b.items[n].item
		n++
	}
	return &b.cmd
}

// decode decodes one message. Its strings share a copy of their own, so that who
// keeps one message of a page does not keep the others.
func (b *logBlock) decode(frame []byte) bool {
	text := string(frame)
	for pos := 0; pos < len(frame); {
		var field uint64
		var v value
		if field, v, pos = next(frame, pos); pos < 0 {
			return false
		}
		part := text[v.stretch.from:v.stretch.to]
		switch field {
		case tagLogFrom:
			b.from, b.item.From = part, &b.from
		case tagLogData:
			b.data, b.item.Data = part, &b.data
		case tagLogTimestamp:
			b.timestamp, b.item.Timestamp = int64(v.number), &b.timestamp
		case tagLogMsgID:
			b.msgID, b.item.MsgId = part, &b.msgID
		case tagLogAckAt:
			b.ackAt, b.item.AckAt = int64(v.number), &b.ackAt
		case tagLogReadAt:
			b.readAt, b.item.ReadAt = int64(v.number), &b.readAt
		case tagLogPatchTimestamp:
			b.patched, b.item.PatchTimestamp = int64(v.number), &b.patched
		case tagLogMentionAll:
			b.mentionAll, b.item.MentionAll = v.number != 0, &b.mentionAll
		case tagLogMentionPids:
			b.item.MentionPids = append(b.item.MentionPids, part)
		case tagLogBin:
			b.bin, b.item.Bin = v.number != 0, &b.bin
		case tagLogConvType:
			b.convType, b.item.ConvType = int32(v.number), &b.convType
		default:
			return false
		}
	}
	return true
}
