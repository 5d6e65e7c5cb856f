package wire_test

import (
	"bytes"
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// seed adds all vectors, and each of them damaged.
func seed(f *testing.F, encode func(frame []byte) []byte) {
	for _, v := range vectors(f) {
		f.Add(encode(v.frame))
		f.Add(encode(v.frame[:len(v.frame)*2/3]))
		f.Add(encode(append(v.frame[:len(v.frame):len(v.frame)], v.frame...)))
	}
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
}

// FuzzUnmarshal checks that whatever is decoded is what the protobuf library
// would have decoded, and can be encoded again.
func FuzzUnmarshal(f *testing.F) {
	seed(f, func(frame []byte) []byte { return frame })
	f.Fuzz(func(t *testing.T, frame []byte) {
		want := new(pb.GenericCommand)
		wantErr := proto.Unmarshal(frame, want)
		got, err := wire.Unmarshal(frame)
		require.Equal(t, wantErr == nil, err == nil, "the library says %v, the codec %v", wantErr, err)
		if err != nil {
			return
		}
		requireEqual(t, want, got)
		wantFrame, err := proto.Marshal(want)
		require.NoError(t, err)
		gotFrame, err := wire.Append(nil, got)
		require.NoError(t, err)
		require.True(t, bytes.Equal(wantFrame, gotFrame), "the library encodes %x, the codec %x", wantFrame, gotFrame)
	})
}

// FuzzUnmarshalText does the same with base64.
func FuzzUnmarshalText(f *testing.F) {
	seed(f, func(frame []byte) []byte { return wire.AppendText(nil, frame) })
	f.Add([]byte("===="))
	f.Add([]byte("CAI=\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := wire.Codec{Text: true}.Unmarshal(text)
		binary, decodeErr := base64.StdEncoding.DecodeString(string(text))
		want := new(pb.GenericCommand)
		if decodeErr == nil {
			decodeErr = proto.Unmarshal(binary, want)
		}
		require.Equal(t, decodeErr == nil, err == nil)
		if err == nil {
			requireEqual(t, want, got)
		}
	})
}
