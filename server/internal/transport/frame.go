package transport

import (
	"encoding/base64"
	"encoding/binary"
	"strings"

	"github.com/leanrtm/realtime/internal/wire"
)

// First byte of a WebSocket frame that is a whole message.
const (
	frameText   = 0x80 | 0x1
	frameBinary = 0x80 | 0x2
	frameClose  = 0x80 | 0x8
)

const (
	opcodeMask     = 0x0f
	opcodeClose    = 0x8
	maxFrameHeader = 10  // of a frame that a server sends
	maxSmall       = 125 // payload whose length fits into the second byte
	len16          = 126
	len64          = 127
	max16          = 1<<16 - 1
	maxReason      = maxSmall - 2 // bytes of the reason of a close
)

// statusGoingAway is the WebSocket status of a server that shuts down.
const statusGoingAway wire.Code = 1001

// appendHeader appends the header of an unmasked frame with n bytes of payload.
func appendHeader(dst []byte, first byte, n int) []byte {
	switch {
	case n <= maxSmall:
		return append(dst, first, byte(n))
	case n <= max16:
		return binary.BigEndian.AppendUint16(append(dst, first, len16), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, first, len64), uint64(n))
}

// closeFrame is a frame that closes the connection.
func closeFrame(code wire.Code, reason string) []byte {
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "") // may have cut a character in two
	}
	f := appendHeader(nil, frameClose, 2+len(reason))
	f = binary.BigEndian.AppendUint16(f, uint16(code))
	return append(f, reason...)
}

// payloadLen is how many bytes n bytes of command make on the wire.
func payloadLen(codec wire.Codec, n int) int {
	if codec.Text {
		return base64.StdEncoding.EncodedLen(n)
	}
	return n
}
