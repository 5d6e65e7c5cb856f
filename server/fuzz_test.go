package server_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/server/internal/wstest"
)

// FuzzFrame lets a client that is logged in send one frame of any content. The
// server answers or closes, does not panic, and goes on to serve others.
func FuzzFrame(f *testing.F) {
	for _, cmd := range []*pb.GenericCommand{
		{Cmd: pb.CommandType_echo.Enum()},
		openCommand("tom"),
		direct("cid", "text", 3),
		convCommand(pb.OpType_start, 3, &pb.ConvCommand{M: []string{"a", "b"}, Attr: &pb.JsonObjectMessage{Data: proto.String(`{"name":"x"}`)}}),
		convCommand(pb.OpType_query, 3, &pb.ConvCommand{Where: &pb.JsonObjectMessage{Data: proto.String(`{"m":{"$all":["a"]}}`)}, Sort: proto.String("-lm")}),
		{Cmd: pb.CommandType_logs.Enum(), I: proto.Int32(3), LogsMessage: &pb.LogsCommand{Cid: proto.String("cid"), L: proto.Int32(-1)}},
		{Cmd: pb.CommandType_patch.Enum(), Op: pb.OpType_modify.Enum(), I: proto.Int32(3), PatchMessage: &pb.PatchCommand{Patches: []*pb.PatchItem{{}}}},
		{Cmd: pb.CommandType_read.Enum(), ReadMessage: &pb.ReadCommand{Convs: []*pb.ReadTuple{{Cid: proto.String("cid")}}}},
		{Cmd: pb.CommandType_blacklist.Enum(), Op: pb.OpType_block.Enum(), I: proto.Int32(3), BlacklistMessage: &pb.BlacklistCommand{ToPids: []string{"x"}}},
	} {
		b, err := proto.Marshal(cmd)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		synctest.Test(t, func(t *testing.T) {
			e := newEnv(t, options())
			c, other := e.login("mallory"), e.login("tom")
			c.Frame(wstest.OpBinary, payload)
			other.Send(&pb.GenericCommand{Cmd: pb.CommandType_echo.Enum(), I: proto.Int32(5)})
			require.Equal(t, int32(5), until(t, other, 5).GetI())
		})
	})
}

// FuzzStream sends any bytes in the place of WebSocket frames.
func FuzzStream(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add(wstest.AppendFrame(nil, true, wstest.OpPing, []byte("x")))
	f.Add(wstest.AppendFrame(wstest.AppendFrame(nil, false, wstest.OpBinary, []byte{8}), true, 0, []byte{14}))
	f.Add(wstest.AppendFrame(nil, true, wstest.OpClose, []byte{3, 232}))
	f.Add([]byte{0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, stream []byte) {
		synctest.Test(t, func(t *testing.T) {
			e := newEnv(t, options())
			c := e.connect()
			if _, err := c.Net.Write(stream); err == nil {
				synctest.Wait()
			}
			c.Net.Close()
		})
	})
}
