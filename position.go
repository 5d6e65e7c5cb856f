package realtime

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/leanrtm/realtime/internal/mutant"
)

// point is a place in the history of a conversation: messages are ordered by
// time, then by id as plain bytes. The zero value is before all of them.
type point struct {
	at int64 // ms
	id string
}

func (p point) before(q point) bool { return p.at < q.at || p.at == q.at && p.id < q.id }

func later(p, q point) point {
	if p.before(q) {
		return q
	}
	return p
}

// Position tells how far messages of a client have been handled, by all
// handlers and all streams, and which of their acknowledgements may not have
// reached the server. It is opaque and made to be stored: MarshalText and
// UnmarshalText turn it into text and back. The zero value is no position.
//
// A client that is opened [WithPosition] is told what came after. Of the last
// half minute before, what the client itself sent may be told again, as a
// message from another device would be.
type Position struct {
	base   int64            // everything up to here has been handled, in all conversations but
	convs  map[string]place // these, which stand elsewhere; never changed
	edits  int64            // up to here edits have been handled
	notifs int64            // up to here reliable notifications have been handled
	events int64            // up to here the others have been
	acks   acks             // of handled messages, may not have reached the server; never changed
}

// place is how far the messages of one conversation have been handled.
type place struct {
	point
	left     int64  // when the client was removed from it, with messages missing; 0: it was not
	outside  []span // times after point in which it was no member; never changed
	unlisted bool
}

// Position returns how far messages have been handled. It does not block.
func (c *IMClient) Position() Position {
	s := &c.sync
	s.mu.Lock()
	answered := s.ownNewest
	s.mu.Unlock()
	idle := c.work.Idle() // then nothing that came before that answer waits
	s.mu.Lock()
	defer s.mu.Unlock()
	newest := s.newest
	if idle {
		newest = max(newest, answered)
	}
	p := Position{
		base:  s.safeBase(newest),
		edits: s.editsHandled, notifs: s.notifsHandled, events: s.eventsHandled,
		acks: s.acking.unsure(),
	}
	for cid, m := range s.marks {
		if mutant.On(mutant.RunsAhead) && m.pending > 0 || mutant.On(mutant.ForgetsUnlisted) && (m.unlisted || temporaryID(cid)) {
			continue
		}
		at := place{point: m.handled, outside: slices.Clone(m.outside), unlisted: m.unlisted}
		switch {
		case m.hole:
			if at.left = m.leftAt; m.pending == 0 {
				at.point = later(m.received, m.handled)
			}
		case m.pending > 0 || m.gap || m.handled.at > p.base:
		case m.unlisted || temporaryID(cid):
			at.at, at.id = p.base, ""
		default:
			continue
		}
		if p.convs == nil {
			p.convs = make(map[string]place)
		}
		p.convs[cid] = at
	}
	return p
}

// resume begins where another client of this id has stopped.
func (s *clientSync) resume(p Position) {
	if p.base == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resumed = true
	s.base, s.newest = p.base, p.base
	s.lastPatch, s.editsHandled = p.edits, p.edits
	s.lastNotif, s.notifsHandled = p.notifs, p.notifs
	s.lastEvent, s.eventsHandled = p.events, p.events
	s.acking.due.addAll(p.acks)
	for cid, at := range p.convs {
		m := s.mark(cid)
		m.received, m.handled = at.point, at.point
		m.unlisted = at.unlisted
		m.leftAt, m.hole, m.outside = at.left, at.left != 0, slices.Clone(at.outside)
		m.gap = at.at < p.base && !m.hole // then the base does not hold for it
	}
}

// positionVersion is the first byte of a position.
const positionVersion = 2

// errPosition is a text that is no position.
var errPosition = errors.New("realtime: not a position")

// MarshalText returns the position as text: letters, digits, "-" and "_". The
// zero value is an empty text.
func (p Position) MarshalText() ([]byte, error) {
	if p.base == 0 {
		return []byte{}, nil
	}
	out := []byte{positionVersion}
	for _, at := range [...]int64{p.base, p.edits, p.notifs, p.events} {
		out = binary.AppendVarint(out, at)
	}
	out = binary.AppendUvarint(out, uint64(len(p.convs)))
	for _, cid := range slices.Sorted(maps.Keys(p.convs)) {
		at := p.convs[cid]
		out = appendText(out, cid)
		out = binary.AppendVarint(out, at.at-p.base)
		out = appendText(out, at.id)
		out = append(out, flag(at.unlisted))
		out = binary.AppendVarint(out, at.left)
		out = binary.AppendUvarint(out, uint64(len(at.outside)))
		for _, s := range at.outside {
			out = binary.AppendVarint(out, s.from-p.base)
			out = binary.AppendVarint(out, s.to-p.base)
		}
	}
	out = binary.AppendUvarint(out, uint64(len(p.acks)))
	for _, cid := range slices.Sorted(maps.Keys(p.acks)) {
		times := p.acks[cid]
		out = appendText(out, cid)
		out = binary.AppendVarint(out, times.from-p.base)
		out = binary.AppendVarint(out, times.to-p.base)
	}
	return base64.RawURLEncoding.AppendEncode(nil, out), nil
}

func flag(on bool) byte {
	if on {
		return 1
	}
	return 0
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// UnmarshalText reads what MarshalText wrote.
func (p *Position) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*p = Position{}
		return nil
	}
	raw, err := base64.RawURLEncoding.AppendDecode(nil, text)
	if err != nil {
		return fmt.Errorf("%w: %w", errPosition, err)
	}
	r := positionReader{rest: raw}
	if r.byte() != positionVersion {
		return fmt.Errorf("%w of a version that is known here", errPosition)
	}
	var out Position
	out.base, out.edits, out.notifs, out.events = r.varint(), r.varint(), r.varint(), r.varint()
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		cid := r.text()
		at := place{point: point{at: out.base + r.varint(), id: r.text()}, unlisted: r.byte() != 0, left: r.varint()}
		for n := r.uvarint(); n > 0 && !r.bad; n-- {
			at.outside = append(at.outside, span{out.base + r.varint(), out.base + r.varint()})
		}
		if out.convs == nil {
			out.convs = make(map[string]place)
		}
		out.convs[cid] = at
	}
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		out.acks.add(r.text(), span{out.base + r.varint(), out.base + r.varint()})
	}
	if r.bad || len(r.rest) > 0 || out.base <= 0 {
		return errPosition
	}
	*p = out
	return nil
}

// positionReader takes a position apart. After a mistake it is bad and returns
// zeros.
type positionReader struct {
	rest []byte
	bad  bool
}

func (r *positionReader) byte() byte {
	if len(r.rest) == 0 {
		r.bad = true
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *positionReader) varint() int64 {
	v, n := binary.Varint(r.rest)
	r.skip(n)
	return v
}

func (r *positionReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	r.skip(n)
	return v
}

func (r *positionReader) skip(n int) {
	if n <= 0 {
		r.bad, r.rest = true, nil
		return
	}
	r.rest = r.rest[n:]
}

func (r *positionReader) text() string {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}
