package memory

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/leanrtm/realtime/server/internal/store"
)

// key names something in an app.
type key struct{ app, id string }

// recordKey names the records of one kind in an app.
type recordKey struct {
	app  string
	kind store.RecordKind
}

// shard is a part of the data under one lock.
type shard struct {
	mu      sync.RWMutex
	convs   map[key]*conv
	clients map[key]*client
	records map[recordKey]*list[*store.Record]
	sends   map[string]*sendLog // by app
	fences  map[uint32]uint64
	_       [64]byte // keeps the locks of neighbours off one cache line
}

// conv is a conversation with all that belongs to it.
type conv struct {
	row     *store.Conv // as put; the fields that reads fill are not used
	main    msgLog
	views   map[string]*msgLog
	members list[store.Member]
	marks   list[store.Mark]
	events  feed
	lists   [store.ListSilenced + 1]*list[store.Entry] // by kind
}

func newConv() *conv {
	return &conv{
		main:    newLog(),
		members: newList(byClient),
		marks:   newList(func(a, b store.Mark) int { return strings.Compare(a.Client, b.Client) }),
	}
}

func byClient(a, b store.Member) int { return strings.Compare(a.Client, b.Client) }

func byEntryID(a, b store.Entry) int { return strings.Compare(a.ID, b.ID) }

// log returns a log, nil if it never had a message.
func (c *conv) log(view string) *msgLog {
	if view == store.ViewMain {
		return &c.main
	}
	return c.views[view]
}

// openLog returns a log and makes it if need be.
func (c *conv) openLog(view string) *msgLog {
	if l := c.log(view); l != nil {
		return l
	}
	if c.views == nil {
		c.views = make(map[string]*msgLog)
	}
	l := newLog()
	c.views[view] = &l
	return &l
}

// head returns the head of a log, the zero one if it never had a message.
func (c *conv) head(view string) store.Head {
	if l := c.log(view); l != nil {
		return l.head
	}
	return store.Head{}
}

// read makes what a reader gets.
func (c *conv) read(load store.Load) *store.Conv {
	out := *c.row
	out.Count = int64(c.members.n)
	out.Head = c.main.head
	out.Members, out.Last = nil, nil
	if load&store.LoadMembers != 0 && (out.Kind == store.KindNormal || out.Kind == store.KindTemporary) {
		out.Members = make([]store.Member, 0, c.members.n)
		for _, b := range c.members.blocks {
			out.Members = append(out.Members, b...)
		}
	}
	if load&store.LoadLast != 0 {
		out.Last, _ = c.main.msgs.last()
	}
	return &out
}

// client is what is stored about a client, other than its records.
type client struct {
	convs      list[string]
	notes      feed
	droppables feed
	blocks     list[store.Entry]
}

func newClient() *client {
	return &client{convs: newList(strings.Compare), blocks: newList(byEntryID)}
}

// msgLog is one log.
type msgLog struct {
	head    store.Head
	used    bool      // had a message at some time
	low     store.Pos // of the message with head.FirstSeq, erased or not
	msgs    list[*store.Message]
	patches list[*store.Message]            // those that were patched, by last patch time
	byType  map[int32]*list[*store.Message] // those with a type
}

func newLog() msgLog {
	return msgLog{msgs: newList(byPos), patches: newList(byPatch)}
}

func byPos(a, b *store.Message) int { return a.Pos().Compare(b.Pos()) }

func byPatch(a, b *store.Message) int {
	if c := cmp.Compare(a.PatchTS, b.PatchTS); c != 0 {
		return c
	}
	return byPos(a, b)
}

func (l *msgLog) find(at store.Pos) *store.Message {
	m, _ := l.msgs.find(&store.Message{TS: at.TS, Mid: at.Mid})
	return m
}

// insert puts a message into every list of the log.
func (l *msgLog) insert(m *store.Message) {
	l.msgs.put(m)
	if m.PatchTS > 0 {
		l.patches.put(m)
		l.head.PatchTS = max(l.head.PatchTS, m.PatchTS)
	}
	if m.Flags.Has(store.FlagTyped) {
		t := l.byType[m.Type]
		if t == nil {
			if l.byType == nil {
				l.byType = make(map[int32]*list[*store.Message])
			}
			fresh := newList(byPos)
			t = &fresh
			l.byType[m.Type] = t
		}
		t.put(m)
	}
}

// take removes a message from every list of the log.
func (l *msgLog) take(m *store.Message) {
	l.msgs.remove(m)
	l.unindex(m)
}

func (l *msgLog) unindex(m *store.Message) {
	if m.PatchTS > 0 {
		l.patches.remove(m)
	}
	if t := l.byType[m.Type]; t != nil && m.Flags.Has(store.FlagTyped) {
		t.remove(m)
		if t.n == 0 {
			delete(l.byType, m.Type)
		}
	}
}

// enter adds a message whose number is set and moves the ends of the log.
func (l *msgLog) enter(m *store.Message) {
	at := m.Pos()
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
	l.insert(m)
}

// feed is a bounded list of changes, ascending by time and in order of arrival where times are equal.
type feed struct {
	items []store.Change
	floor int64 // time of the newest change that was dropped
}

func (f *feed) add(c store.Change, keep int) {
	at := len(f.items)
	for at > 0 && f.items[at-1].TS > c.TS {
		at--
	}
	f.items = slices.Insert(f.items, at, c)
	if len(f.items) > keep {
		f.floor = max(f.floor, f.items[0].TS)
		f.items[0] = store.Change{}
		f.items = f.items[1:]
	}
}

// index is what is found per app only.
type index struct {
	mu     sync.RWMutex
	unique map[string]string // unique key → cid
	kinds  map[store.ConvKind]*list[indexKey]
	ttl    list[indexKey]
}

// indexKey is a conversation in an order by a time that never changes.
type indexKey struct {
	at  int64
	cid string
}

func newIndex() *index {
	return &index{
		unique: make(map[string]string),
		kinds:  make(map[store.ConvKind]*list[indexKey]),
		ttl:    newList(compareIndexKeys),
	}
}

func compareIndexKeys(a, b indexKey) int {
	if c := cmp.Compare(a.at, b.at); c != 0 {
		return c
	}
	return strings.Compare(a.cid, b.cid)
}

func (x *index) add(c *store.Conv) {
	l := x.kinds[c.Kind]
	if l == nil {
		fresh := newList(compareIndexKeys)
		l = &fresh
		x.kinds[c.Kind] = l
	}
	l.put(indexKey{c.Created, c.Cid})
	if c.TTLEnd > 0 {
		x.ttl.put(indexKey{c.TTLEnd, c.Cid})
	}
}

func (x *index) drop(c *store.Conv) {
	if l := x.kinds[c.Kind]; l != nil {
		l.remove(indexKey{c.Created, c.Cid})
	}
	if c.TTLEnd > 0 {
		x.ttl.remove(indexKey{c.TTLEnd, c.Cid})
	}
	x.release(c.UniqueKey, c.Cid)
}

// take gives a key to a conversation and tells whether it now holds it.
func (x *index) take(key, cid string) bool {
	if key == "" {
		return false
	}
	if holder, taken := x.unique[key]; taken {
		return holder == cid
	}
	x.unique[key] = cid
	return true
}

func (x *index) release(key, cid string) {
	if key != "" && x.unique[key] == cid {
		delete(x.unique, key)
	}
}
