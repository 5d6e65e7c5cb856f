// Package wire turns commands into frames and back, for both ends of the
// protocol: the client and the server share it and nothing else.
//
// One frame is one serialized [pb.GenericCommand]. The binary subprotocols
// carry it in a binary WebSocket message, the text ones as standard base64 in a
// text message. There is no length prefix and no batching.
//
// Everything here is pure: no I/O, no state, safe for concurrent use.
package wire

import (
	"encoding/base64"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
)

// The WebSocket subprotocols. The number after the dot of the last two is the
// session mode: with 3 the server counts unread messages, with 1 it pushes the
// messages that were missed.
const (
	SubprotocolBinary        = "lc.protobuf2.3"
	SubprotocolText          = "lc.proto2base64.3"
	SubprotocolBinaryOffline = "lc.protobuf2.1"
	SubprotocolTextOffline   = "lc.proto2base64.1"
)

// Codec is the framing that a subprotocol names.
type Codec struct {
	Text    bool // base64 in text messages
	Offline bool // missed messages are pushed after login, not counted
}

// CodecFor returns the codec of a subprotocol and whether it is known.
func CodecFor(subprotocol string) (Codec, bool) {
	switch subprotocol {
	case SubprotocolBinary:
		return Codec{}, true
	case SubprotocolText:
		return Codec{Text: true}, true
	case SubprotocolBinaryOffline:
		return Codec{Offline: true}, true
	case SubprotocolTextOffline:
		return Codec{Text: true, Offline: true}, true
	}
	return Codec{}, false
}

// Marshal returns the frame of a command under this codec.
func (c Codec) Marshal(cmd *pb.GenericCommand) ([]byte, error) {
	frame, err := Append(nil, cmd)
	if err != nil || !c.Text {
		return frame, err
	}
	return AppendText(nil, frame), nil
}

// Unmarshal reads a frame of this codec. The command shares no memory with the
// frame.
func (c Codec) Unmarshal(frame []byte) (*pb.GenericCommand, error) {
	if !c.Text {
		return Unmarshal(frame)
	}
	binary, err := base64.StdEncoding.AppendDecode(nil, frame)
	if err != nil {
		return nil, fmt.Errorf("decode base64 frame: %w", err)
	}
	return Unmarshal(binary)
}

// AppendText appends the base64 form of a binary frame to dst.
func AppendText(dst, frame []byte) []byte {
	return base64.StdEncoding.AppendEncode(dst, frame)
}

// Append appends the binary frame of cmd to dst.
func Append(dst []byte, cmd *pb.GenericCommand) ([]byte, error) {
	if frame, ok := fastAppend(dst, cmd); ok {
		return frame, nil
	}
	frame, err := proto.MarshalOptions{}.MarshalAppend(dst, cmd)
	if err != nil {
		return nil, fmt.Errorf("encode command: %w", err)
	}
	return frame, nil
}

// Unmarshal reads a binary frame. The command shares no memory with the frame,
// but its strings may share one copy of it: whoever keeps a small one for long
// should clone it. Fields and enum values that the schema does not know are kept as they are.
func Unmarshal(frame []byte) (*pb.GenericCommand, error) {
	if cmd := fastUnmarshal(frame, nil); cmd != nil {
		return cmd, nil
	}
	return slowUnmarshal(frame)
}

// slowUnmarshal lets the library decode.
func slowUnmarshal(frame []byte) (*pb.GenericCommand, error) {
	cmd := new(pb.GenericCommand)
	if err := proto.Unmarshal(frame, cmd); err != nil {
		return nil, fmt.Errorf("decode command: %w", err)
	}
	return cmd, nil
}

// AppendPeer appends the peerId field alone. Protobuf fields come in any
// order, so the frame for one receiver is this prefix followed by a body that
// all receivers share.
func AppendPeer(dst []byte, peerID string) []byte {
	dst = protowire.AppendTag(dst, peerIDField, protowire.BytesType)
	return protowire.AppendString(dst, peerID)
}

// AppendSerial appends the field i alone, so that a command can be numbered
// after it was encoded. The last of several wins.
func AppendSerial(dst []byte, serial int32) []byte {
	dst = protowire.AppendTag(dst, serialField, protowire.VarintType)
	return protowire.AppendVarint(dst, uint64(int64(serial)))
}

// Fields of GenericCommand.
const (
	peerIDField = 4 // peerId
	serialField = 5 // i
)
