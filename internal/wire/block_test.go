package wire_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// What was in a block before, or failed to be, does not show in the next command;
// what was taken out of one stays as it was.
func TestABlockForgets(t *testing.T) {
	full := &pb.GenericCommand{
		Cmd: pb.CommandType_direct.Enum(), I: proto.Int32(7), PeerId: proto.String("tom"), AppId: proto.String("app"),
		DirectMessage: &pb.DirectCommand{
			Cid: proto.String("c"), Msg: proto.String("hello"), Dt: proto.String("token"), MentionPids: []string{"a", "b"},
			BinaryMsg: []byte("bytes"), R: proto.Bool(true), Timestamp: proto.Int64(5), ConvType: proto.Int32(1),
		},
	}
	frames := []*pb.GenericCommand{
		full,
		{Cmd: pb.CommandType_direct.Enum(), DirectMessage: &pb.DirectCommand{Cid: proto.String("d")}},
		{Cmd: pb.CommandType_ack.Enum(), I: proto.Int32(9), AckMessage: &pb.AckCommand{Uid: proto.String("m"), T: proto.Int64(1), Code: proto.Int32(3)}},
		{Cmd: pb.CommandType_ack.Enum(), AckMessage: &pb.AckCommand{}},
		{Cmd: pb.CommandType_echo.Enum()}, // these two lie in no block
		{Cmd: pb.CommandType_logs.Enum(), LogsMessage: &pb.LogsCommand{Cid: proto.String("e"), Logs: []*pb.LogItem{{From: proto.String("tom"), Data: proto.String("x")}}}},
		full,
	}
	for _, codec := range []wire.Codec{{}, {Text: true}} {
		var blocks wire.Blocks
		block := new(wire.Block)
		var kept []string
		for range 2 {
			for _, want := range frames {
				frame, err := codec.Marshal(want)
				require.NoError(t, err)
				got, inside, err := codec.UnmarshalInto(block, frame)
				require.NoError(t, err)
				require.True(t, proto.Equal(want, got), "%v, want %v", got, want)
				require.Equal(t, want.DirectMessage != nil || want.AckMessage != nil, inside)
				if d := got.GetDirectMessage(); d != nil {
					kept = append(kept, d.GetMsg()+d.GetCid())
					if len(d.MentionPids) > 0 {
						kept = append(kept, d.MentionPids...)
					}
				}
				blocks.Put(block)
				// Whatever of a frame comes before its defect is forgotten too.
				for cut := range frame {
					cmd, inside, err := codec.UnmarshalInto(block, frame[:cut])
					if err != nil {
						require.False(t, inside)
						continue
					}
					again, err := codec.Unmarshal(frame[:cut])
					require.NoError(t, err)
					require.True(t, proto.Equal(again, cmd))
					if inside {
						blocks.Put(block)
					}
				}
			}
		}
		require.Equal(t, []string{"helloc", "a", "b", "d", "helloc", "a", "b", "helloc", "a", "b", "d", "helloc", "a", "b"}, kept)
	}
}
