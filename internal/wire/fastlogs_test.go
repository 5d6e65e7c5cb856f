package wire_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// TestEveryFieldOfLogs sets each field of a page and of its messages, alone and
// all together.
func TestEveryFieldOfLogs(t *testing.T) {
	page := func(items ...*pb.LogItem) *pb.GenericCommand {
		return &pb.GenericCommand{
			Cmd: pb.CommandType_logs.Enum(), PeerId: proto.String("Tom"), I: proto.Int32(7),
			LogsMessage: &pb.LogsCommand{Cid: proto.String("c"), Logs: items},
		}
	}
	all := new(pb.LogItem)
	fields := all.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		one := new(pb.LogItem)
		for _, m := range []*pb.LogItem{one, all} {
			if field.IsList() {
				m.ProtoReflect().Mutable(field).List().Append(filled(field))
				m.ProtoReflect().Mutable(field).List().Append(filled(field))
			} else {
				m.ProtoReflect().Set(field, filled(field))
			}
		}
		requireSame(t, page(one))
		requireSame(t, page(one, new(pb.LogItem), all))
	}
	requireSame(t, page())
	requireSame(t, &pb.GenericCommand{LogsMessage: &pb.LogsCommand{}})
	requireSame(t, &pb.GenericCommand{LogsMessage: &pb.LogsCommand{}, AckMessage: &pb.AckCommand{}})
	request := new(pb.LogsCommand)
	fields = request.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if field := fields.Get(i); !field.IsList() {
			request.ProtoReflect().Set(field, filled(field))
			requireSame(t, &pb.GenericCommand{Cmd: pb.CommandType_logs.Enum(), LogsMessage: request})
		}
	}
	unknown := page(&pb.LogItem{From: proto.String("a")})
	unknown.LogsMessage.Logs[0].ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 777, protowire.VarintType), 1))
	requireSame(t, unknown)
}

// A page whose receiver is named behind it is as good as any.
func TestLogsBeforeTheirReceiver(t *testing.T) {
	frame, err := proto.Marshal(&pb.GenericCommand{Cmd: pb.CommandType_logs.Enum(), LogsMessage: &pb.LogsCommand{Logs: []*pb.LogItem{{From: proto.String("a")}}}})
	require.NoError(t, err)
	frame = wire.AppendPeer(frame, "Tom")
	want := new(pb.GenericCommand)
	require.NoError(t, proto.Unmarshal(frame, want))
	got, err := wire.Unmarshal(frame)
	require.NoError(t, err)
	requireEqual(t, want, got)
}

// TestAllocationsOfLogs holds a page to one allocation per message, and a few.
func TestAllocationsOfLogs(t *testing.T) {
	const n = 100
	items := make([]*pb.LogItem, n)
	for i := range items {
		items[i] = &pb.LogItem{
			From: proto.String("Tom"), Data: proto.String(fmt.Sprint("message ", i)), MsgId: proto.String("AAAAAAAAAAAAAAAAAAAAAA"),
			Timestamp: proto.Int64(1), AckAt: proto.Int64(2), MentionAll: proto.Bool(false), ConvType: proto.Int32(1),
		}
	}
	frame, err := proto.Marshal(&pb.GenericCommand{Cmd: pb.CommandType_logs.Enum(), LogsMessage: &pb.LogsCommand{Logs: items}})
	require.NoError(t, err)
	require.LessOrEqual(t, testing.AllocsPerRun(20, func() {
		if _, err := wire.Unmarshal(frame); err != nil {
			t.Error(err)
		}
	}), float64(n+6))
}
