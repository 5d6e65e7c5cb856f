package typedmessages

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"time"
)

// The parsers below read a bounded number of bytes, whatever the file says, and
// report false for what they do not understand. Libraries that decode these
// formats read the whole recording to tell how long it is.

func seconds(samples, rate float64) (time.Duration, bool) {
	if rate <= 0 || samples < 0 || samples/rate > maxDuration.Seconds() {
		return 0, false
	}
	return time.Duration(math.Round(samples / rate * float64(time.Second))), true
}

// maxChunks is how many chunks or boxes of one level are looked at.
const maxChunks = 1000

// wavDuration walks the chunks of a RIFF file to its format and data.
func wavDuration(r io.ReadSeeker, size int64) (time.Duration, bool) {
	var header [12]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, false
	}
	at, bytesPerSecond := int64(len(header)), uint32(0)
	for range maxChunks {
		var chunk [8]byte
		if _, err := io.ReadFull(r, chunk[:]); err != nil {
			return 0, false
		}
		length := int64(binary.LittleEndian.Uint32(chunk[4:]))
		at += int64(len(chunk))
		switch string(chunk[:4]) {
		case "fmt ":
			var format [16]byte
			if length < int64(len(format)) {
				return 0, false
			}
			if _, err := io.ReadFull(r, format[:]); err != nil {
				return 0, false
			}
			bytesPerSecond = binary.LittleEndian.Uint32(format[8:])
		case "data":
			if size >= 0 {
				length = min(length, size-at) // a stream that was cut, or written without knowing its end
			}
			return seconds(float64(length), float64(bytesPerSecond))
		}
		at += length + length%2
		if _, err := r.Seek(at, io.SeekStart); err != nil {
			return 0, false
		}
	}
	return 0, false
}

// mp3Header is what the header of an MPEG audio frame says.
type mp3Header struct {
	mpeg1      bool
	layer      int
	bitrate    int // bits per second
	sampleRate int
	samples    int // in the frame
	length     int // of the frame, bytes
	mono       bool
}

// parseMP3Header reads the header of a frame of layer III.
func parseMP3Header(b []byte) (h mp3Header, ok bool) {
	if b[0] != 0xff || b[1]&0xe0 != 0xe0 {
		return h, false
	}
	version, layer := b[1]>>3&3, b[1]>>1&3
	const reservedVersion, layerIII = 1, 1
	rateIndex, frequency := int(b[2]>>4), int(b[2]>>2&3)
	if version == reservedVersion || layer != layerIII || rateIndex == 0 || rateIndex == 15 || frequency == 3 {
		return h, false
	}
	h.mpeg1 = version == 3
	h.layer = 3
	h.mono = b[3]>>6 == 3
	rates := [16]int{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160}
	h.sampleRate = [3]int{44100, 48000, 32000}[frequency]
	h.samples = 1152
	if h.mpeg1 {
		rates = [16]int{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}
	} else {
		h.samples = 576
		h.sampleRate /= 2
		if version == 0 { // MPEG 2.5
			h.sampleRate /= 2
		}
	}
	h.bitrate = rates[rateIndex] * 1000
	h.length = h.samples/8*h.bitrate/h.sampleRate + int(b[2]>>1&1)
	return h, true
}

// mp3Duration uses the frame count that encoders write into the first frame.
// Without it, a recording whose first frames all have one bit rate is taken to
// have it throughout; for any other the duration is not known.
func mp3Duration(r io.ReadSeeker, size int64) (time.Duration, bool) {
	start, ok := skipID3(r)
	if !ok {
		return 0, false
	}
	const enough = 16 << 10
	head := make([]byte, enough)
	n, _ := io.ReadFull(r, head)
	head = head[:n]
	if len(head) < 4 {
		return 0, false
	}
	first, ok := parseMP3Header(head)
	if !ok {
		return 0, false
	}
	if frames, ok := xingFrames(head, first); ok {
		return seconds(float64(frames)*float64(first.samples), float64(first.sampleRate))
	}
	const sample = 8
	at := 0
	for i := range sample {
		if len(head) < at+4 {
			if i < 2 && int64(n) < size-start {
				return 0, false
			}
			break
		}
		h, ok := parseMP3Header(head[at:])
		if !ok || h.bitrate != first.bitrate || h.sampleRate != first.sampleRate {
			return 0, false
		}
		at += h.length
	}
	if size < 0 {
		return 0, false
	}
	return seconds(float64(size-start)*8, float64(first.bitrate))
}

// skipID3 moves to the first frame and returns where that is.
func skipID3(r io.ReadSeeker) (int64, bool) {
	var tag [10]byte
	if _, err := io.ReadFull(r, tag[:]); err != nil {
		return 0, false
	}
	start := int64(0)
	if string(tag[:3]) == "ID3" {
		start = int64(tag[6]&0x7f)<<21 | int64(tag[7]&0x7f)<<14 | int64(tag[8]&0x7f)<<7 | int64(tag[9]&0x7f)
		start += int64(len(tag))
	}
	if _, err := r.Seek(start, io.SeekStart); err != nil {
		return 0, false
	}
	return start, true
}

// xingFrames reads the number of frames that the Xing, Info or VBRI header in
// the first frame names.
func xingFrames(frame []byte, h mp3Header) (uint32, bool) {
	const headerSize, vbriOffset = 4, 36
	side := 32 // size of the side information before the Xing header
	switch {
	case h.mpeg1 && h.mono, !h.mpeg1 && !h.mono:
		side = 17
	case !h.mpeg1:
		side = 9
	}
	if b := tail(frame, headerSize+side); len(b) >= 12 && (string(b[:4]) == "Xing" || string(b[:4]) == "Info") {
		const hasFrames = 1
		frames := binary.BigEndian.Uint32(b[8:])
		return frames, binary.BigEndian.Uint32(b[4:])&hasFrames != 0 && frames > 0
	}
	if b := tail(frame, vbriOffset); len(b) >= 18 && string(b[:4]) == "VBRI" {
		frames := binary.BigEndian.Uint32(b[14:])
		return frames, frames > 0
	}
	return 0, false
}

func tail(b []byte, from int) []byte {
	if from > len(b) {
		return nil
	}
	return b[from:]
}

// oggDuration takes the sample rate from the first page and the position from
// the last one, which must be within reach.
func oggDuration(r io.ReadSeeker, size int64) (time.Duration, bool) {
	const (
		pageHeader  = 27
		maxPage     = 64 << 10
		opusRate    = 48000 // the positions of Opus count at this rate, whatever was recorded
		granuleAt   = 6
		unknownTime = -1
	)
	first := make([]byte, 256)
	n, _ := io.ReadFull(r, first)
	first = first[:n]
	if len(first) < pageHeader+1 || size < 0 {
		return 0, false
	}
	packet := tail(first, pageHeader+int(first[26]))
	rate, skip := 0.0, 0.0
	switch {
	case len(packet) >= 16 && string(packet[:7]) == "\x01vorbis":
		rate = float64(binary.LittleEndian.Uint32(packet[12:]))
	case len(packet) >= 12 && string(packet[:8]) == "OpusHead":
		rate, skip = opusRate, float64(binary.LittleEndian.Uint16(packet[10:]))
	default:
		return 0, false
	}
	if _, err := r.Seek(max(0, size-maxPage), io.SeekStart); err != nil {
		return 0, false
	}
	last := make([]byte, min(size, maxPage))
	n, err := io.ReadFull(r, last)
	if err != nil {
		return 0, false // only the beginning is there
	}
	for last = last[:n]; ; {
		at := bytes.LastIndex(last, []byte("OggS"))
		if at < 0 {
			return 0, false
		}
		if len(last) >= at+pageHeader {
			if granule := int64(binary.LittleEndian.Uint64(last[at+granuleAt:])); granule > 0 && granule != unknownTime {
				return seconds(float64(granule)-skip, rate)
			}
		}
		last = last[:at]
	}
}
