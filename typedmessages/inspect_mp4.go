package typedmessages

import (
	"encoding/binary"
	"io"
	"time"
)

// mp4Info is what the header of an MP4 file says.
type mp4Info struct {
	duration           time.Duration
	width, height      int
	hasVideo, hasAudio bool
}

// box is one box of an MP4 file: where its content is.
type box struct {
	kind       string
	start, end int64
}

// maxBoxDepth is how deep the boxes that matter lie: moov, trak, mdia, hdlr.
const maxBoxDepth = 4

// readMP4 finds the movie header, which may be behind the recording: only what
// leads there is read.
func readMP4(r io.ReadSeeker, size int64) (info mp4Info, ok bool) {
	if size < 0 {
		end, err := r.Seek(0, io.SeekEnd)
		if err != nil {
			return info, false
		}
		size = end
	}
	budget := maxChunks
	ok = walkBoxes(r, 0, size, 0, &budget, &info)
	return info, ok && (info.duration > 0 || info.hasVideo || info.hasAudio)
}

// walkBoxes reads the boxes between from and to. It reports false when they
// make no sense.
func walkBoxes(r io.ReadSeeker, from, to int64, depth int, budget *int, info *mp4Info) bool {
	for from < to {
		if *budget--; *budget < 0 {
			return false
		}
		b, ok := readBox(r, from, to)
		if !ok {
			return false
		}
		switch b.kind {
		case "moov", "trak", "mdia":
			if depth+1 < maxBoxDepth && !walkBoxes(r, b.start, b.end, depth+1, budget, info) {
				return false
			}
		case "mvhd":
			info.readMovieHeader(readBoxHead(r, b))
		case "tkhd":
			info.readTrackHeader(readBoxHead(r, b))
		case "hdlr":
			info.readHandler(readBoxHead(r, b))
		}
		if b.kind == "moov" {
			return true // nothing behind it matters
		}
		from = b.end
	}
	return true
}

// readBox reads the header of the box at from, which must end by to.
func readBox(r io.ReadSeeker, from, to int64) (box, bool) {
	var header [16]byte
	if _, err := r.Seek(from, io.SeekStart); err != nil {
		return box{}, false
	}
	if _, err := io.ReadFull(r, header[:8]); err != nil {
		return box{}, false
	}
	length, headerSize := int64(binary.BigEndian.Uint32(header[:])), int64(8)
	const toTheEnd, large = 0, 1
	switch length {
	case toTheEnd:
		length = to - from
	case large:
		if _, err := io.ReadFull(r, header[8:]); err != nil {
			return box{}, false
		}
		length, headerSize = int64(binary.BigEndian.Uint64(header[8:])), 16
	}
	if length < headerSize || length > to-from {
		return box{}, false
	}
	return box{kind: string(header[4:8]), start: from + headerSize, end: from + length}, true
}

// readBoxHead reads the first bytes of a box, as many as any header needs.
func readBoxHead(r io.ReadSeeker, b box) []byte {
	head := make([]byte, min(b.end-b.start, 128))
	n, _ := io.ReadFull(r, head)
	return head[:n]
}

func (m *mp4Info) readMovieHeader(b []byte) {
	var scale, length float64
	switch {
	case len(b) >= 20 && b[0] == 0:
		scale, length = float64(binary.BigEndian.Uint32(b[12:])), float64(binary.BigEndian.Uint32(b[16:]))
	case len(b) >= 32 && b[0] == 1:
		scale, length = float64(binary.BigEndian.Uint32(b[20:])), float64(binary.BigEndian.Uint64(b[24:]))
	}
	if d, ok := seconds(length, scale); ok {
		m.duration = d
	}
}

// readTrackHeader takes the picture size of the first track that has one.
func (m *mp4Info) readTrackHeader(b []byte) {
	at := 76
	if len(b) > 0 && b[0] == 1 {
		at = 88
	}
	if m.width > 0 || len(b) < at+8 {
		return
	}
	const fixedPoint = 16 // bits behind the point
	m.width = int(binary.BigEndian.Uint32(b[at:]) >> fixedPoint)
	m.height = int(binary.BigEndian.Uint32(b[at+4:]) >> fixedPoint)
}

func (m *mp4Info) readHandler(b []byte) {
	if len(b) < 12 {
		return
	}
	switch string(b[8:12]) {
	case "vide":
		m.hasVideo = true
	case "soun":
		m.hasAudio = true
	}
}
