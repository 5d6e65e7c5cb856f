package wire_test

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// requireSame checks that a command goes out and comes in as the library would
// have it.
func requireSame(t testing.TB, cmd *pb.GenericCommand) {
	t.Helper()
	want, err := proto.Marshal(cmd)
	require.NoError(t, err)
	got, err := wire.Append([]byte{1, 2, 3}, cmd)
	require.NoError(t, err)
	require.Equal(t, []byte{1, 2, 3}, got[:3])
	require.Equal(t, fmt.Sprintf("%x", want), fmt.Sprintf("%x", got[3:]), "%v", cmd)
	decoded, err := wire.Unmarshal(want)
	require.NoError(t, err)
	requireEqual(t, cmd, decoded)
	again, err := wire.Append(nil, decoded)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, again))
}

// filled is a value of a field that no other has.
func filled(field protoreflect.FieldDescriptor) protoreflect.Value {
	n := int64(field.Number())
	switch field.Kind() {
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(field.Enum().Values().Get(1).Number())
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte{byte(n), 0xff, 0})
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(fmt.Sprintf("value of %d", n))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(-n))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(n << 40)
	}
	panic(field.Kind())
}

// TestEveryFieldOfDirectAndAck sets each field of the two bodies and of the
// command around them, alone and all together: a field that is new in the
// schema must not be lost on the short way.
func TestEveryFieldOfDirectAndAck(t *testing.T) {
	direct := func() (*pb.GenericCommand, proto.Message) {
		body := new(pb.DirectCommand)
		return &pb.GenericCommand{DirectMessage: body}, body
	}
	ack := func() (*pb.GenericCommand, proto.Message) {
		body := new(pb.AckCommand)
		return &pb.GenericCommand{AckMessage: body}, body
	}
	set := func(m protoreflect.Message, field protoreflect.FieldDescriptor) {
		switch {
		case field.IsList() && field.Message() != nil:
			fillRequired(m.Mutable(field).List().AppendMutable().Message())
		case field.IsList():
			m.Mutable(field).List().Append(filled(field))
			m.Mutable(field).List().Append(filled(field))
		case field.Message() != nil:
			fillRequired(m.Mutable(field).Message())
		default:
			m.Set(field, filled(field))
		}
	}
	for name, build := range map[string]func() (*pb.GenericCommand, proto.Message){"direct": direct, "ack": ack} {
		t.Run(name, func(t *testing.T) {
			all, allBody := build()
			for _, whole := range []bool{false, true} {
				target := func(cmd *pb.GenericCommand, body proto.Message) protoreflect.Message {
					if whole {
						return cmd.ProtoReflect()
					}
					return body.ProtoReflect()
				}
				fields := target(all, allBody).Descriptor().Fields()
				for i := range fields.Len() {
					field := fields.Get(i)
					cmd, body := build()
					set(target(cmd, body), field)
					requireSame(t, cmd)
					set(target(all, allBody), field)
				}
				requireSame(t, all)
			}
			unknown := protowire.AppendVarint(protowire.AppendTag(nil, 777, protowire.VarintType), 1)
			cmd, body := build()
			body.ProtoReflect().SetUnknown(unknown)
			requireSame(t, cmd)
			cmd, _ = build()
			cmd.ProtoReflect().SetUnknown(unknown)
			requireSame(t, cmd)
		})
	}
	requireSame(t, &pb.GenericCommand{})
	requireSame(t, &pb.GenericCommand{DirectMessage: &pb.DirectCommand{}, AckMessage: &pb.AckCommand{}})
}

func TestBodiesOfEverySize(t *testing.T) {
	for _, n := range []int{0, 1, 100, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 16370, 16376, 16377, 16378, 16379, 16380, 16383, 16384, 16390, 1 << 21} {
		requireSame(t, &pb.GenericCommand{Cmd: pb.CommandType_direct.Enum(), DirectMessage: &pb.DirectCommand{Msg: proto.String(strings.Repeat("x", n))}})
	}
}

func TestExtremeNumbers(t *testing.T) {
	for _, n := range []int64{0, 1, -1, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64} {
		requireSame(t, &pb.GenericCommand{
			Cmd: pb.CommandType(int32(n)).Enum(), I: proto.Int32(int32(n)), ServerTs: proto.Int64(n),
			DirectMessage: &pb.DirectCommand{Timestamp: proto.Int64(n), ConvType: proto.Int32(int32(n)), R: proto.Bool(n != 0)},
		})
	}
}

// TestUnusualEncodings are valid frames that no encoder of ours writes.
func TestUnusualEncodings(t *testing.T) {
	body := protowire.AppendString(protowire.AppendTag(nil, 11, protowire.BytesType), "c1")
	inBody := func(b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag([]byte{0x08, 0x02}, 104, protowire.BytesType), b)
	}
	for name, frame := range map[string][]byte{
		"fields out of order":     append(inBody(body), wire.AppendPeer(nil, "Tom")...),
		"a field twice":           append(append(wire.AppendPeer(nil, "Tom"), wire.AppendPeer(nil, "Jerry")...), inBody(body)...),
		"a body twice":            append(inBody(body), inBody(protowire.AppendString(protowire.AppendTag(nil, 12, protowire.BytesType), "m1"))...),
		"both bodies":             append(inBody(body), protowire.AppendBytes(protowire.AppendTag(nil, 105, protowire.BytesType), nil)...),
		"overlong number":         {0x08, 0x82, 0x80, 0x00, 0xc2, 0x06, 0x00},
		"number over 32 bits":     append([]byte{0x28, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}, inBody(body)...),
		"boolean over 1":          inBody([]byte{0x50, 0x05}),
		"overlong tag":            append([]byte{0xa2, 0x80, 0x00, 0x03, 'T', 'o', 'm'}, inBody(body)...),
		"other wire type":         append([]byte{0x20, 0x05}, inBody(body)...),
		"other wire type in body": inBody([]byte{0x58, 0x05}),
		"group":                   append([]byte{0xf3, 0x3e, 0xf4, 0x3e}, inBody(body)...),
		"fixed numbers":           append([]byte{0xf5, 0x3e, 1, 2, 3, 4, 0xf1, 0x3e, 1, 2, 3, 4, 5, 6, 7, 8}, inBody(body)...),
		"invalid UTF-8":           inBody(protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "\xff\xfe")),
		"empty body":              inBody(nil),
		"empty strings":           inBody([]byte{0x0a, 0x00, 0x9a, 0x01, 0x00, 0xa2, 0x01, 0x00}),
	} {
		t.Run(name, func(t *testing.T) {
			want := new(pb.GenericCommand)
			require.NoError(t, proto.Unmarshal(frame, want))
			got, err := wire.Unmarshal(frame)
			require.NoError(t, err)
			requireEqual(t, want, got)
		})
	}
	for name, frame := range map[string][]byte{
		"body longer than the frame":  {0x08, 0x02, 0xc2, 0x06, 0x05, 0x0a},
		"string longer than the body": {0x08, 0x02, 0xc2, 0x06, 0x02, 0x0a, 0x05, 'x', 'x', 'x', 'x', 'x'},
		"length over 63 bits":         {0x22, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"endless number":              {0x28, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"field number 0":              {0x00, 0x01, 0xc2, 0x06, 0x00},
		"tag cut off":                 {0xc2},
	} {
		t.Run(name, func(t *testing.T) {
			require.Error(t, proto.Unmarshal(frame, new(pb.GenericCommand)))
			_, err := wire.Unmarshal(frame)
			require.Error(t, err)
		})
	}
}

func TestDecodedCommandsBehaveAsMessages(t *testing.T) {
	frame, err := wire.Append(nil, delivery)
	require.NoError(t, err)
	cmd, err := wire.Unmarshal(frame)
	require.NoError(t, err)
	require.Contains(t, cmd.String(), "Jerry")
	clone := proto.Clone(cmd).(*pb.GenericCommand)
	requireEqual(t, cmd, clone)
	cmd.DirectMessage.Msg = proto.String("changed")
	require.NotEqual(t, "changed", clone.GetDirectMessage().GetMsg())
	proto.Merge(cmd, clone)
	requireEqual(t, clone, cmd)
	requireSame(t, cmd)
}

var (
	delivery = &pb.GenericCommand{
		Cmd: pb.CommandType_direct.Enum(), PeerId: proto.String("Tom"), Service: proto.Int32(2),
		DirectMessage: &pb.DirectCommand{
			Cid: proto.String("551a2847e4b04d688d73dc54"), Id: proto.String("c1Jl7ok5TgyCp0xNqpDvXg"),
			FromPeerId: proto.String("Jerry"), Timestamp: proto.Int64(1700000000123), ConvType: proto.Int32(1),
			Msg: proto.String(`{"_lctype":-1,"_lctext":"` + strings.Repeat("text ", 20) + `"}`),
		},
	}
	acknowledgement = &pb.GenericCommand{
		Cmd: pb.CommandType_ack.Enum(), PeerId: proto.String("Tom"), Service: proto.Int32(2), I: proto.Int32(7),
		AckMessage: &pb.AckCommand{
			Cid: proto.String("551a2847e4b04d688d73dc54"), Uid: proto.String("c1Jl7ok5TgyCp0xNqpDvXg"), T: proto.Int64(1700000000123),
		},
	}
)

func TestAllocations(t *testing.T) {
	for name, cmd := range map[string]*pb.GenericCommand{"direct": delivery, "ack": acknowledgement} {
		frame, err := wire.Append(nil, cmd)
		require.NoError(t, err)
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() { _, _ = wire.Unmarshal(frame) }), 2.0, name)
		require.Zero(t, testing.AllocsPerRun(100, func() { frame, _ = wire.Append(frame[:0], cmd) }), name)
	}
}

func BenchmarkCodec(b *testing.B) {
	for name, cmd := range map[string]*pb.GenericCommand{"direct": delivery, "ack": acknowledgement} {
		frame, err := proto.Marshal(cmd)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name+"/decode", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = wire.Unmarshal(frame)
			}
		})
		b.Run(name+"/decode/library", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = proto.Unmarshal(frame, new(pb.GenericCommand))
			}
		})
		buf := make([]byte, 0, 2*len(frame))
		b.Run(name+"/encode", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = wire.Append(buf, cmd)
			}
		})
		b.Run(name+"/encode/library", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = proto.MarshalOptions{}.MarshalAppend(buf, cmd)
			}
		})
	}
}
