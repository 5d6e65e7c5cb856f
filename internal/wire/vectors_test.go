package wire_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// vector is a command with the frame that the official JavaScript SDK makes of
// it; see testdata/encode.cjs.
type vector struct {
	name    string
	command *pb.GenericCommand
	frame   []byte
}

func vectors(t testing.TB) []vector {
	t.Helper()
	text, err := os.ReadFile("testdata/commands.hex")
	require.NoError(t, err)
	frames := map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		digits, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		frame, err := hex.DecodeString(digits)
		require.NoError(t, err)
		frames[name] = frame
	}
	text, err = os.ReadFile("testdata/commands.json")
	require.NoError(t, err)
	var list []struct {
		Name    string
		Command json.RawMessage
	}
	require.NoError(t, json.Unmarshal(text, &list))
	vectors := make([]vector, len(list))
	for i, entry := range list {
		cmd := new(pb.GenericCommand)
		require.NoError(t, protojson.Unmarshal(entry.Command, cmd), entry.Name)
		require.NotNil(t, frames[entry.Name], "%s has no frame: run testdata/encode.cjs", entry.Name)
		vectors[i] = vector{entry.Name, cmd, frames[entry.Name]}
	}
	require.Len(t, frames, len(vectors))
	return vectors
}

func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.name, func(t *testing.T) {
			decoded, err := wire.Unmarshal(v.frame)
			require.NoError(t, err)
			requireEqual(t, v.command, decoded)
			frame, err := wire.Append([]byte("before"), v.command)
			require.NoError(t, err)
			require.Equal(t, hex.EncodeToString(v.frame), hex.EncodeToString(frame[len("before"):]))

			text := wire.Codec{Text: true}
			frame, err = text.Marshal(v.command)
			require.NoError(t, err)
			require.Equal(t, base64.StdEncoding.EncodeToString(v.frame), string(frame))
			decoded, err = text.Unmarshal(frame)
			require.NoError(t, err)
			requireEqual(t, v.command, decoded)
		})
	}
}

// requireEqual compares commands, and says which they are when they differ.
func requireEqual(t testing.TB, want, got *pb.GenericCommand) {
	t.Helper()
	if !proto.Equal(want, got) {
		t.Fatalf("not equal:\nwant %v\ngot  %v", want, got)
	}
}

// TestVectorsCoverEveryCommand names what a client and a server say to each
// other; whatever is missing here has no vector.
func TestVectorsCoverEveryCommand(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range vectors(t) {
		name := v.command.GetCmd().String()
		if v.command.Op != nil {
			name += "/" + v.command.GetOp().String()
		}
		seen[name] = true
	}
	for want := range strings.FieldsSeq(`
		session/open session/opened session/refresh session/refreshed session/query session/query_result
		session/close session/closed echo goaway error direct ack rcp unread read logs
		conv/start conv/started conv/query conv/results conv/add conv/added conv/remove conv/removed
		conv/update conv/updated conv/mute conv/unmute conv/count conv/result conv/members conv/is_member
		conv/max_read conv/member_info_update conv/member_info_updated conv/member_info_changed
		conv/add_shutup conv/shutup_added conv/remove_shutup conv/shutup_removed conv/query_shutup
		conv/shutup_result conv/check_shutup conv/check_result conv/joined conv/members_joined conv/left
		conv/members_left conv/blocked conv/unblocked conv/members_blocked conv/members_unblocked
		conv/shutuped conv/unshutuped conv/members_shutuped conv/members_unshutuped
		blacklist/block blacklist/blocked blacklist/unblock blacklist/unblocked blacklist/query
		blacklist/query_result blacklist/check_block blacklist/check_result
		patch/modify patch/modified report/upload report/uploaded`) {
		require.True(t, seen[want], "no vector of %s", want)
	}
}

func TestDecodedCommandSharesNoMemoryWithTheFrame(t *testing.T) {
	for _, v := range vectors(t) {
		frame := bytes.Clone(v.frame)
		decoded, err := wire.Unmarshal(frame)
		require.NoError(t, err)
		for i := range frame {
			frame[i] = 0xff
		}
		requireEqual(t, v.command, decoded)
	}
}

func TestTruncatedFramesDoNotPanic(t *testing.T) {
	for _, v := range vectors(t) {
		for n := range v.frame {
			decoded, err := wire.Unmarshal(v.frame[:n])
			reference := new(pb.GenericCommand)
			refErr := proto.Unmarshal(v.frame[:n], reference)
			require.Equal(t, refErr == nil, err == nil, "%s cut to %d bytes", v.name, n)
			if err == nil {
				requireEqual(t, reference, decoded)
			}
		}
	}
}

func TestAppendedFields(t *testing.T) {
	body, err := wire.Append(nil, &pb.GenericCommand{Cmd: pb.CommandType_direct.Enum(), DirectMessage: &pb.DirectCommand{Cid: proto.String("c")}})
	require.NoError(t, err)
	cmd, err := wire.Unmarshal(append(wire.AppendPeer(nil, "Tom"), body...))
	require.NoError(t, err)
	require.Equal(t, "Tom", cmd.GetPeerId())
	require.Equal(t, "c", cmd.GetDirectMessage().GetCid())
	for _, serial := range []int32{1, 127, 128, 1<<31 - 1, -1} {
		cmd, err = wire.Unmarshal(wire.AppendSerial(bytes.Clone(body), serial))
		require.NoError(t, err)
		require.Equal(t, serial, cmd.GetI())
		require.Equal(t, "c", cmd.GetDirectMessage().GetCid())
	}
	cmd, err = wire.Unmarshal(wire.AppendSerial(wire.AppendSerial(nil, 1), 2))
	require.NoError(t, err)
	require.EqualValues(t, 2, cmd.GetI(), "the last one wins")
}

func TestCodecs(t *testing.T) {
	for subprotocol, want := range map[string]wire.Codec{
		"lc.protobuf2.3":    {},
		"lc.proto2base64.3": {Text: true},
		"lc.protobuf2.1":    {Offline: true},
		"lc.proto2base64.1": {Text: true, Offline: true},
	} {
		codec, known := wire.CodecFor(subprotocol)
		require.True(t, known)
		require.Equal(t, want, codec)
	}
	for _, unknown := range []string{"", "lc.protobuf2.2", "LC.PROTOBUF2.3", "graphql-ws"} {
		codec, known := wire.CodecFor(unknown)
		require.False(t, known)
		require.Zero(t, codec)
	}
	for _, bad := range []string{"?", "CAI", "CAI= ", "CAI", "-_8="} {
		_, err := wire.Codec{Text: true}.Unmarshal([]byte(bad))
		require.Error(t, err, "%q", bad)
	}
}

func TestCodeNames(t *testing.T) {
	require.Equal(t, "CONVERSATION_NOT_FOUND", wire.CodeConversationNotFound.Name())
	require.Equal(t, "SILIENCED", wire.CodeSilenced.Name(), "spelt as the protocol does")
	require.Equal(t, "12345", wire.Code(12345).Name())
	names := map[string]wire.Code{}
	for code := wire.Code(4000); code < 6000; code++ {
		name := code.Name()
		if name[0] >= '0' && name[0] <= '9' {
			continue
		}
		require.NotContains(t, names, name)
		names[name] = code
	}
	require.Len(t, names, 59)
}
