package memory

import (
	"cmp"

	"github.com/leanrtm/realtime/server/internal/store"
)

// msgLog is one log. Its messages are in a text, and its lists have no pointers
// but those to their blocks.
type msgLog struct {
	head    store.Head
	used    bool      // had a message at some time
	low     store.Pos // of the message with head.FirstSeq, erased or not
	text    text
	msgs    list[ref]
	patches list[patched] // those that were patched, by last patch time

	// Those with a type, by type. Most logs have one type, which is kept apart.
	typ    int32
	typed  list[ref]
	byType map[int32]*list[ref]
}

// ref is a message of a log.
type ref struct {
	ts int64
	place
}

// patched is a message of a log that was patched, and when.
type patched struct {
	patch int64
	ref
}

func (l *msgLog) mid(r ref) string { return mid(l.text.at(r.place)) }

func (l *msgLog) pos(r ref) store.Pos { return store.Pos{TS: r.ts, Mid: l.mid(r)} }

// compare orders a message and a position.
func (l *msgLog) compare(r ref, p store.Pos) int {
	if c := cmp.Compare(r.ts, p.TS); c != 0 {
		return c // without a look at the text
	}
	return l.pos(r).Compare(p)
}

// read returns a message.
func (l *msgLog) read(r ref) *store.Message {
	m := new(store.Message)
	message(l.text.at(r.place), r.ts, m)
	return m
}

// last returns the newest message, nil if there is none.
func (l *msgLog) last() *store.Message {
	r, ok := l.msgs.last()
	if !ok {
		return nil
	}
	return l.read(r)
}

// locate returns the place of a position in one of the lists by position.
func (l *msgLog) locate(in *list[ref], p store.Pos) (at cursor[ref], found bool) {
	at = in.search(func(r ref) bool { return l.compare(r, p) >= 0 })
	return at, at.valid() && l.compare(at.item(), p) == 0
}

// find returns the message at a position, nil if there is none.
func (l *msgLog) find(p store.Pos) *store.Message {
	at, found := l.locate(&l.msgs, p)
	if !found {
		return nil
	}
	return l.read(at.item())
}

// ofType returns the messages with a type, nil if there never was one.
func (l *msgLog) ofType(typ int32) *list[ref] {
	if typ == l.typ {
		return &l.typed
	}
	return l.byType[typ]
}

// openType is ofType that makes the list if need be.
func (l *msgLog) openType(typ int32) *list[ref] {
	if t := l.ofType(typ); t != nil {
		return t
	}
	if l.typed.n == 0 {
		delete(l.byType, l.typ)
		l.typ = typ
		return &l.typed
	}
	if l.byType == nil {
		l.byType = make(map[int32]*list[ref])
	}
	t := new(list[ref])
	l.byType[typ] = t
	return t
}

// enter adds a message whose number is set and moves the ends of the log.
func (l *msgLog) enter(m *store.Message) {
	at := m.Pos()
	newest := !l.used || at.Compare(l.head.Pos()) > 0
	switch {
	case !l.used:
		l.used = true
		l.head.FirstSeq, l.low = m.Seq, at
		l.head.Seq, l.head.TS, l.head.Mid = m.Seq, m.TS, m.Mid
	case m.Seq > l.head.Seq:
		l.head.Seq, l.head.TS, l.head.Mid = m.Seq, m.TS, m.Mid
	case m.Seq != store.SeqNone:
		l.head.FirstSeq, l.low = m.Seq, at
	}
	l.insert(m, newest)
}

// insert puts a message into the text and every list of the log. Newest tells
// that its position is above all others, which spares the search.
func (l *msgLog) insert(m *store.Message, newest bool) {
	var scratch [512]byte
	r := ref{m.TS, l.text.add(appendMessage(scratch[:0], m))}
	l.put(&l.msgs, r, m.Pos(), newest)
	if m.PatchTS > 0 {
		l.putPatched(patched{m.PatchTS, r})
		l.head.PatchTS = max(l.head.PatchTS, m.PatchTS)
	}
	if m.Flags.Has(store.FlagTyped) {
		l.put(l.openType(m.Type), r, m.Pos(), newest)
	}
}

func (l *msgLog) put(in *list[ref], r ref, p store.Pos, newest bool) {
	if newest {
		in.push(r)
		return
	}
	if at, found := l.locate(in, p); found {
		at.set(r)
	} else {
		in.insert(at, r)
	}
}

// locatePatched returns the place of a message in the order of patches.
func (l *msgLog) locatePatched(ts int64, p store.Pos) cursor[patched] {
	return l.patches.search(func(x patched) bool {
		if c := cmp.Compare(x.patch, ts); c != 0 {
			return c > 0
		}
		return l.compare(x.ref, p) >= 0
	})
}

func (l *msgLog) putPatched(x patched) {
	l.patches.insert(l.locatePatched(x.patch, l.pos(x.ref)), x)
}

// erase takes the message at a position out of the log. No-op if there is none.
func (l *msgLog) erase(p store.Pos) {
	at, found := l.locate(&l.msgs, p)
	if !found {
		return
	}
	l.forget(at.item())
	l.msgs.removeAt(at)
	l.tidy()
}

// replace puts a message in the place of the one at its position.
func (l *msgLog) replace(m *store.Message) {
	at, _ := l.locate(&l.msgs, m.Pos())
	l.forget(at.item())
	l.insert(m, false)
	l.tidy()
}

// forget takes a message out of every list but that of all messages.
func (l *msgLog) forget(r ref) {
	var m store.Message
	l.text.garbage += message(l.text.at(r.place), r.ts, &m)
	if m.PatchTS > 0 {
		l.patches.removeAt(l.locatePatched(m.PatchTS, m.Pos()))
	}
	if m.Flags.Has(store.FlagTyped) {
		t := l.ofType(m.Type)
		at, _ := l.locate(t, m.Pos())
		t.removeAt(at)
		if t.n == 0 && t != &l.typed {
			delete(l.byType, m.Type)
		}
	}
}

// tidy writes the text anew when more than half of it is garbage. That happens
// after as many changes as there are messages, so a change costs no more for it.
func (l *msgLog) tidy() {
	if l.text.garbage < pieceSize || l.text.garbage < l.text.size()/2 {
		return
	}
	old := *l
	l.text, l.msgs, l.patches = text{}, list[ref]{}, list[patched]{}
	l.typ, l.typed, l.byType = 0, list[ref]{}, nil
	for at := old.msgs.first(); at.valid(); at.next() {
		l.insert(old.read(at.item()), true)
	}
}
