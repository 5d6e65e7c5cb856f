package wire_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// paths calls f for every message that a command can hold, with a function
// that makes a command holding an empty one, and one that finds it again.
func paths(f func(name string, build func() (*pb.GenericCommand, protoreflect.Message), find func(*pb.GenericCommand) protoreflect.Message)) {
	root := new(pb.GenericCommand).ProtoReflect().Descriptor()
	var walk func(name string, desc protoreflect.MessageDescriptor, path []protoreflect.FieldDescriptor)
	walk = func(name string, desc protoreflect.MessageDescriptor, path []protoreflect.FieldDescriptor) {
		build := func() (*pb.GenericCommand, protoreflect.Message) {
			cmd := new(pb.GenericCommand)
			m := cmd.ProtoReflect()
			for _, field := range path {
				fillRequired(m)
				if field.IsList() {
					m = m.Mutable(field).List().AppendMutable().Message()
				} else {
					m = m.Mutable(field).Message()
				}
			}
			fillRequired(m)
			return cmd, m
		}
		find := func(cmd *pb.GenericCommand) protoreflect.Message {
			m := cmd.ProtoReflect()
			for _, field := range path {
				if field.IsList() {
					m = m.Get(field).List().Get(0).Message()
				} else {
					m = m.Get(field).Message()
				}
			}
			return m
		}
		f(name, build, find)
		for i := range desc.Fields().Len() {
			if field := desc.Fields().Get(i); field.Message() != nil {
				walk(name+"."+string(field.Name()), field.Message(), append(path[:len(path):len(path)], field))
			}
		}
	}
	walk("GenericCommand", root, nil)
}

// fillRequired sets the fields without which a message cannot be encoded.
func fillRequired(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		if field := fields.Get(i); field.Cardinality() == protoreflect.Required {
			m.Set(field, zero(field))
		}
	}
}

// zero is the value that absence must not be mistaken for.
func zero(field protoreflect.FieldDescriptor) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(field.Enum().Values().Get(0).Number())
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte{})
	case protoreflect.StringKind:
		return protoreflect.ValueOfString("")
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(false)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(0)
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(0)
	}
	panic("a kind of field that the schema did not have: " + field.Kind().String())
}

func TestAbsentAndZeroDiffer(t *testing.T) {
	tested := 0
	paths(func(name string, build func() (*pb.GenericCommand, protoreflect.Message), find func(*pb.GenericCommand) protoreflect.Message) {
		_, m := build()
		fields := m.Descriptor().Fields()
		for i := range fields.Len() {
			field := fields.Get(i)
			if field.IsList() || field.Message() != nil || field.Cardinality() == protoreflect.Required {
				continue
			}
			for _, present := range []bool{false, true} {
				cmd, m := build()
				if present {
					m.Set(field, zero(field))
				}
				// The fields that decide how a frame is read.
				if name != "GenericCommand" || field.Name() != "cmd" {
					cmd.Cmd = pb.CommandType_direct.Enum()
				}
				frame, err := wire.Append(nil, cmd)
				require.NoError(t, err)
				decoded, err := wire.Unmarshal(frame)
				require.NoError(t, err)
				require.Equal(t, present, find(decoded).Has(field), "%s.%s", name, field.Name())
				requireEqual(t, cmd, decoded)
			}
			tested++
		}
	})
	require.Greater(t, tested, 150)
}

func TestEmptyMessagesArePresent(t *testing.T) {
	fields := new(pb.GenericCommand).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if field.Message() == nil {
			continue
		}
		cmd := new(pb.GenericCommand)
		fillRequired(cmd.ProtoReflect().Mutable(field).Message())
		frame, err := wire.Append(nil, cmd)
		require.NoError(t, err)
		decoded, err := wire.Unmarshal(frame)
		require.NoError(t, err)
		require.True(t, decoded.ProtoReflect().Has(field), "%s", field.Name())
	}
}

// TestWhatTheReferenceDependsOn spells out the cases in which a client of the
// official SDKs goes wrong when a field is there that should not be, or the
// other way round.
func TestWhatTheReferenceDependsOn(t *testing.T) {
	for _, test := range []struct {
		name    string
		command *pb.GenericCommand
		absent  func(cmd *pb.GenericCommand) bool
		present func(cmd *pb.GenericCommand) bool
	}{
		{"code of an ack",
			&pb.GenericCommand{Cmd: pb.CommandType_ack.Enum(), AckMessage: &pb.AckCommand{Uid: proto.String("m"), T: proto.Int64(0)}},
			func(cmd *pb.GenericCommand) bool { return cmd.AckMessage.Code == nil },
			func(cmd *pb.GenericCommand) bool { return cmd.AckMessage.T != nil }},
		{"serial of a push",
			&pb.GenericCommand{Cmd: pb.CommandType_direct.Enum(), Service: proto.Int32(2), DirectMessage: &pb.DirectCommand{}},
			func(cmd *pb.GenericCommand) bool { return cmd.I == nil && cmd.PeerId == nil },
			func(cmd *pb.GenericCommand) bool { return cmd.Service != nil }},
		{"binary content",
			&pb.GenericCommand{Cmd: pb.CommandType_direct.Enum(), DirectMessage: &pb.DirectCommand{BinaryMsg: []byte{}}},
			func(cmd *pb.GenericCommand) bool { return cmd.DirectMessage.Msg == nil },
			func(cmd *pb.GenericCommand) bool { return cmd.DirectMessage.BinaryMsg != nil }},
		{"text content",
			&pb.GenericCommand{Cmd: pb.CommandType_direct.Enum(), DirectMessage: &pb.DirectCommand{Msg: proto.String("")}},
			func(cmd *pb.GenericCommand) bool {
				return cmd.DirectMessage.BinaryMsg == nil && cmd.DirectMessage.PatchTimestamp == nil
			},
			func(cmd *pb.GenericCommand) bool { return cmd.DirectMessage.Msg != nil }},
		{"limit 0",
			&pb.GenericCommand{Cmd: pb.CommandType_logs.Enum(), LogsMessage: &pb.LogsCommand{L: proto.Int32(0)}},
			func(cmd *pb.GenericCommand) bool {
				return cmd.LogsMessage.Limit == nil && cmd.LogsMessage.Direction == nil
			},
			func(cmd *pb.GenericCommand) bool { return cmd.LogsMessage.L != nil }},
		{"explicit false",
			&pb.GenericCommand{Cmd: pb.CommandType_session.Enum(), SessionMessage: &pb.SessionCommand{R: proto.Bool(false)}},
			func(cmd *pb.GenericCommand) bool { return cmd.SessionMessage.Code == nil },
			func(cmd *pb.GenericCommand) bool { return cmd.SessionMessage.R != nil }},
		{"times that are not known",
			&pb.GenericCommand{Cmd: pb.CommandType_conv.Enum(), ConvMessage: &pb.ConvCommand{MaxReadTuples: []*pb.MaxReadTuple{{Pid: proto.String("Tom")}}}},
			func(cmd *pb.GenericCommand) bool {
				tuple := cmd.ConvMessage.MaxReadTuples[0]
				return tuple.MaxAckTimestamp == nil && tuple.MaxReadTimestamp == nil && cmd.ConvMessage.MaxReadTimestamp == nil
			},
			func(cmd *pb.GenericCommand) bool { return cmd.ConvMessage.MaxReadTuples[0].Pid != nil }},
		{"command 0",
			&pb.GenericCommand{Cmd: pb.CommandType_session.Enum()},
			func(cmd *pb.GenericCommand) bool { return cmd.Op == nil && cmd.SessionMessage == nil },
			func(cmd *pb.GenericCommand) bool { return cmd.Cmd != nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			frame, err := wire.Append(nil, test.command)
			require.NoError(t, err)
			decoded, err := wire.Unmarshal(frame)
			require.NoError(t, err)
			require.True(t, test.absent(decoded), "%v", decoded)
			require.True(t, test.present(decoded), "%v", decoded)
		})
	}
}

func TestRequiredFields(t *testing.T) {
	for name, cmd := range map[string]*pb.GenericCommand{
		"error without reason": {ErrorMessage: &pb.ErrorCommand{Code: proto.Int32(1)}},
		"error without code":   {ErrorMessage: &pb.ErrorCommand{Reason: proto.String("x")}},
		"unread without count": {UnreadMessage: &pb.UnreadCommand{Convs: []*pb.UnreadTuple{{Cid: proto.String("c")}}}},
		"unread without cid":   {UnreadMessage: &pb.UnreadCommand{Convs: []*pb.UnreadTuple{{Unread: proto.Int32(1)}}}},
		"read without cid":     {ReadMessage: &pb.ReadCommand{Convs: []*pb.ReadTuple{{}}}},
		"json without data":    {ConvMessage: &pb.ConvCommand{Attr: &pb.JsonObjectMessage{}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := wire.Append(nil, cmd)
			require.Error(t, err)
			frame, err := proto.MarshalOptions{AllowPartial: true}.Marshal(cmd)
			require.NoError(t, err)
			_, err = wire.Unmarshal(frame)
			require.Error(t, err)
		})
	}
}

func TestUnknownFieldsAreKept(t *testing.T) {
	for _, cmd := range []*pb.GenericCommand{
		{Cmd: pb.CommandType_direct.Enum(), DirectMessage: &pb.DirectCommand{Cid: proto.String("c")}},
		{Cmd: pb.CommandType_ack.Enum(), AckMessage: &pb.AckCommand{Cid: proto.String("c")}},
		{Cmd: pb.CommandType_conv.Enum(), ConvMessage: &pb.ConvCommand{Cid: proto.String("c")}},
	} {
		known, err := wire.Append(nil, cmd)
		require.NoError(t, err)
		unknown := protowire.AppendVarint(protowire.AppendTag(nil, 999, protowire.VarintType), 5)
		decoded, err := wire.Unmarshal(append(known, unknown...))
		require.NoError(t, err)
		require.Equal(t, unknown, []byte(decoded.ProtoReflect().GetUnknown()))
		again, err := wire.Append(nil, decoded)
		require.NoError(t, err)
		require.Equal(t, append(known, unknown...), again)

		// The same inside the body.
		body := cmd.ProtoReflect()
		body.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			if field.Message() != nil {
				v.Message().SetUnknown(unknown)
			}
			return true
		})
		frame, err := wire.Append(nil, cmd)
		require.NoError(t, err)
		decoded, err = wire.Unmarshal(frame)
		require.NoError(t, err)
		requireEqual(t, cmd, decoded)
	}
}

func TestUnknownEnumValuesAreKept(t *testing.T) {
	frame := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 99)
	frame = wire.AppendSerial(frame, 7)
	cmd, err := wire.Unmarshal(frame)
	require.NoError(t, err)
	require.EqualValues(t, 99, cmd.GetCmd(), "so that it does not pass for another command")
	require.EqualValues(t, 7, cmd.GetI())
	again, err := wire.Append(nil, cmd)
	require.NoError(t, err)
	require.Equal(t, frame, again)
}
