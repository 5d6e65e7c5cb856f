package memory

import (
	"encoding/binary"
	"strings"

	"github.com/leanrtm/realtime/server/internal/store"
)

// text holds messages as bytes, in pieces. The garbage collector looks at a piece
// as a whole and at nothing in it, so a million messages cost it no more than a few
// thousand do. What was written never changes, so messages that are read out of a
// piece share its bytes.
type text struct {
	done    []string // full pieces
	last    strings.Builder
	garbage int // bytes of messages that are gone
}

// pieceSize is from how many bytes on a piece is full.
const pieceSize = 16 << 10

// place is where a message is in a text.
type place struct {
	piece, at uint32
}

func (t *text) add(record []byte) place {
	if t.last.Len() >= pieceSize {
		t.done = append(t.done, t.last.String())
		t.last = strings.Builder{}
		t.last.Grow(pieceSize + pieceSize/16)
	}
	p := place{uint32(len(t.done)), uint32(t.last.Len())}
	t.last.Write(record)
	return p
}

// at returns the text from a place on.
func (t *text) at(p place) string {
	if int(p.piece) < len(t.done) {
		return t.done[p.piece][p.at:]
	}
	return t.last.String()[p.at:]
}

// size is about how many bytes there are.
func (t *text) size() int { return len(t.done)*pieceSize + t.last.Len() }

// appendMessage appends what a text has of a message. The time of the message is
// not in it: that is kept with the place.
func appendMessage(b []byte, m *store.Message) []byte {
	b = appendString(b, m.Mid)
	b = binary.AppendVarint(b, m.Seq)
	b = appendString(b, m.From)
	b = binary.AppendUvarint(b, uint64(m.Flags))
	b = binary.AppendVarint(b, int64(m.Type))
	b = binary.AppendUvarint(b, uint64(len(m.Mentions)))
	for _, client := range m.Mentions {
		b = appendString(b, client)
	}
	b = appendString(b, m.IP)
	b = binary.AppendVarint(b, m.PatchTS)
	if m.PatchTS != 0 {
		b = binary.AppendVarint(b, int64(m.PatchCode))
		b = appendString(b, m.PatchReason)
	}
	return appendString(b, m.Body)
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// message reads a message back and returns how many bytes it has. Its strings
// share the text.
func message(s string, ts int64, m *store.Message) int {
	r := reader{rest: s}
	*m = store.Message{TS: ts, Mid: r.string(), Seq: r.int(), From: r.string(), Flags: store.Flags(r.uint()), Type: int32(r.int())}
	if n := int(r.uint()); n > 0 {
		m.Mentions = make([]string, n)
		for i := range m.Mentions {
			m.Mentions[i] = r.string()
		}
	}
	m.IP = r.string()
	if m.PatchTS = r.int(); m.PatchTS != 0 {
		m.PatchCode, m.PatchReason = int32(r.int()), r.string()
	}
	m.Body = r.string()
	return len(s) - len(r.rest)
}

// mid is the id of the message that a text begins with.
func mid(s string) string {
	r := reader{rest: s}
	return r.string()
}

// sender is who sent the message that a text begins with.
func sender(s string) string {
	r := reader{rest: s}
	r.string()
	r.int()
	return r.string()
}

// reader takes apart what appendMessage made, which it trusts.
type reader struct{ rest string }

func (r *reader) uint() uint64 {
	var n uint64
	for i := 0; ; i++ {
		c := r.rest[i]
		n |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			r.rest = r.rest[i+1:]
			return n
		}
	}
}

func (r *reader) int() int64 {
	n := r.uint()
	return int64(n>>1) ^ -int64(n&1)
}

func (r *reader) string() string {
	n := r.uint()
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}
