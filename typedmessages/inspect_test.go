package typedmessages

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/image/bmp"
)

func picture(t testing.TB, encode func(w io.Writer, m image.Image) error) []byte {
	t.Helper()
	m := image.NewPaletted(image.Rect(0, 0, 31, 17), color.Palette{color.Black, color.White})
	var b bytes.Buffer
	require.NoError(t, encode(&b, m))
	return b.Bytes()
}

// lossyWebP is the header of a VP8 picture: enough to tell its size.
func lossyWebP(width, height uint16) []byte {
	frame := []byte{0x10, 0, 0, 0x9d, 0x01, 0x2a}
	frame = binary.LittleEndian.AppendUint16(frame, width)
	frame = binary.LittleEndian.AppendUint16(frame, height)
	frame = append(frame, make([]byte, 8)...)
	chunk := append([]byte("WEBPVP8 "), binary.LittleEndian.AppendUint32(nil, uint32(len(frame)))...)
	chunk = append(chunk, frame...)
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(chunk))), chunk...)
}

// waveFile has one second per 8,000 bytes.
func waveFile(dataSize int, odd bool) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32([]byte("RIFF"), uint32(36+dataSize))
	b = append(b, "WAVE"...)
	if odd { // a chunk of odd length, which is padded
		b = append(le.AppendUint32(append(b, "note"...), 3), 1, 2, 3, 0)
	}
	b = le.AppendUint32(append(b, "fmt "...), 16)
	b = le.AppendUint16(b, 1)
	b = le.AppendUint16(b, 1)
	b = le.AppendUint32(b, 8000)
	b = le.AppendUint32(b, 8000)
	b = le.AppendUint16(b, 1)
	b = le.AppendUint16(b, 8)
	b = le.AppendUint32(append(b, "data"...), uint32(dataSize))
	return append(b, make([]byte, dataSize)...)
}

// mp3Frames is MPEG 1 layer III at 128 kbit/s and 44.1 kHz, 417 bytes a frame.
func mp3Frames(n int) []byte {
	frame := make([]byte, 417)
	copy(frame, []byte{0xff, 0xfb, 0x90, 0x00})
	return bytes.Repeat(frame, n)
}

func withXing(frames []byte, count uint32) []byte {
	out := bytes.Clone(frames)
	binary.BigEndian.PutUint32(out[4+32:], binary.BigEndian.Uint32([]byte("Xing")))
	binary.BigEndian.PutUint32(out[4+32+4:], 1)
	binary.BigEndian.PutUint32(out[4+32+8:], count)
	return out
}

func withID3(b []byte) []byte {
	return append([]byte{'I', 'D', '3', 4, 0, 0, 0, 0, 1, 0}, append(make([]byte, 128), b...)...)
}

func oggPage(granule uint64, packet []byte) []byte {
	b := append([]byte("OggS"), 0, 0)
	b = binary.LittleEndian.AppendUint64(b, granule)
	b = append(b, make([]byte, 12)...)
	b = append(b, 1, byte(len(packet)))
	return append(b, packet...)
}

func vorbisFile(samples uint64) []byte {
	head := append([]byte("\x01vorbis"), 0, 0, 0, 0, 2)
	head = binary.LittleEndian.AppendUint32(head, 44100)
	head = append(head, make([]byte, 14)...)
	return append(oggPage(0, head), oggPage(samples, make([]byte, 100))...)
}

func opusFile(samples uint64) []byte {
	head := append([]byte("OpusHead"), 1, 2)
	head = binary.LittleEndian.AppendUint16(head, 312)
	head = append(head, make([]byte, 7)...)
	return append(oggPage(0, head), oggPage(samples, make([]byte, 100))...)
}

func mp4Box(kind string, content ...[]byte) []byte {
	body := bytes.Join(content, nil)
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+8)), kind...), body...)
}

func mp4File(brand string, video, headerLast bool) []byte {
	be := binary.BigEndian
	movie := make([]byte, 100)
	be.PutUint32(movie[12:], 1000)
	be.PutUint32(movie[16:], 12500)
	track := make([]byte, 84)
	handler := append(make([]byte, 8), "soun"...)
	if video {
		be.PutUint32(track[76:], 1280<<16)
		be.PutUint32(track[80:], 720<<16)
		handler = append(make([]byte, 8), "vide"...)
	}
	handler = append(handler, make([]byte, 13)...)
	moov := mp4Box("moov", mp4Box("mvhd", movie), mp4Box("trak", mp4Box("tkhd", track), mp4Box("mdia", mp4Box("hdlr", handler))))
	ftyp := mp4Box("ftyp", []byte(brand), make([]byte, 4))
	media := mp4Box("mdat", make([]byte, 200<<10))
	if headerLast {
		return bytes.Join([][]byte{ftyp, media, moov}, nil)
	}
	return bytes.Join([][]byte{ftyp, moov, media}, nil)
}

type sample struct {
	data []byte
	want contentInfo
	// headOnly is what is known when the reader cannot go back, if different.
	headOnly *contentInfo
}

func samples(t testing.TB) map[string]sample {
	image1 := func(mimeType, format string) contentInfo {
		return contentInfo{mimeType: mimeType, format: format, width: 31, height: 17}
	}
	film := contentInfo{mimeType: "video/mp4", format: "mp4", width: 1280, height: 720, duration: 12500 * time.Millisecond}
	return map[string]sample{
		"png": {data: picture(t, png.Encode), want: image1("image/png", "png")},
		"jpeg": {data: picture(t, func(w io.Writer, m image.Image) error { return jpeg.Encode(w, m, nil) }),
			want: image1("image/jpeg", "jpeg")},
		"gif": {data: picture(t, func(w io.Writer, m image.Image) error { return gif.Encode(w, m, nil) }),
			want: image1("image/gif", "gif")},
		"bmp":      {data: picture(t, bmp.Encode), want: image1("image/bmp", "bmp")},
		"webp":     {data: lossyWebP(31, 17), want: image1("image/webp", "webp")},
		"wav":      {data: waveFile(12000, false), want: contentInfo{mimeType: "audio/wave", format: "wav", duration: 1500 * time.Millisecond}},
		"wav, odd": {data: waveFile(12000, true), want: contentInfo{mimeType: "audio/wave", format: "wav", duration: 1500 * time.Millisecond}},
		"mp3, constant rate": {data: mp3Frames(100),
			want: contentInfo{mimeType: "audio/mpeg", format: "mp3", duration: 2606250 * time.Microsecond}},
		"mp3, tagged, frame count": {data: withID3(withXing(mp3Frames(20), 1000)),
			want: contentInfo{mimeType: "audio/mpeg", format: "mp3", duration: 26122448980}},
		"ogg vorbis": {data: vorbisFile(88200), want: contentInfo{mimeType: "audio/ogg", format: "ogg", duration: 2 * time.Second}},
		"ogg opus":   {data: opusFile(96312), want: contentInfo{mimeType: "audio/ogg", format: "ogg", duration: 2 * time.Second}},
		"mp4":        {data: mp4File("isom", true, false), want: film},
		"mp4, header last": {data: mp4File("isom", true, true), want: film,
			headOnly: &contentInfo{mimeType: "video/mp4", format: "mp4"}},
		"m4a": {data: mp4File("M4A ", false, false),
			want: contentInfo{mimeType: "audio/mp4", format: "m4a", duration: 12500 * time.Millisecond}},
		"audio in mp4": {data: mp4File("isom", false, false),
			want: contentInfo{mimeType: "audio/mp4", format: "m4a", duration: 12500 * time.Millisecond}},
		"text":    {data: []byte("hello"), want: contentInfo{mimeType: "text/plain; charset=utf-8", format: "txt"}},
		"empty":   {data: nil, want: contentInfo{mimeType: "text/plain; charset=utf-8", format: "txt"}},
		"unknown": {data: []byte{0, 1, 2, 3}, want: contentInfo{mimeType: "application/octet-stream"}},
	}
}

func TestInspect(t *testing.T) {
	for name, s := range samples(t) {
		t.Run(name, func(t *testing.T) {
			size := int64(len(s.data))
			require.Equal(t, s.want, inspectSeeker(bytes.NewReader(s.data), size))
			want := s.want
			if s.headOnly != nil {
				want = *s.headOnly
			}
			require.Equal(t, want, inspectHead(s.data[:min(len(s.data), headSize)], size))
		})
	}
}

// A file that was cut, anywhere, yields less or nothing, and never trouble.
func TestInspectTruncated(t *testing.T) {
	for name, s := range samples(t) {
		t.Run(name, func(t *testing.T) {
			for cut := range min(len(s.data), 600) {
				inspectSeeker(bytes.NewReader(s.data[:cut]), int64(cut))
				inspectHead(s.data[:cut], -1)
			}
		})
	}
}

func TestInspectDoesNotBelieveHugeClaims(t *testing.T) {
	huge := picture(t, png.Encode)
	binary.BigEndian.PutUint32(huge[16:], 1<<30) // the checksum is wrong now as well
	require.Zero(t, inspectSeeker(bytes.NewReader(huge), int64(len(huge))).width)

	endless := mp4File("isom", true, false)
	at := bytes.Index(endless, []byte("mvhd"))
	binary.BigEndian.PutUint32(endless[at+4+12:], 1)
	binary.BigEndian.PutUint32(endless[at+4+16:], 1<<31)
	require.Zero(t, inspectSeeker(bytes.NewReader(endless), int64(len(endless))).duration)
}

func FuzzInspect(f *testing.F) {
	for _, s := range samples(f) {
		if len(s.data) < 4<<10 {
			f.Add(s.data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, info := range []contentInfo{
			inspectSeeker(bytes.NewReader(data), int64(len(data))), inspectHead(data, -1),
		} {
			if info.width < 0 || info.height < 0 || info.duration < 0 || info.duration > maxDuration {
				t.Fatalf("impossible: %+v", info)
			}
		}
	})
}
