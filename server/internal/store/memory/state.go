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
	l := new(msgLog)
	c.views[view] = l
	return l
}

// head returns the head of a log, the zero one if it never had a message.
func (c *conv) head(view string) store.Head {
	if l := c.log(view); l != nil {
		return l.head
	}
	return store.Head{}
}

// read makes what a reader gets.
func (c *conv) read(load store.Load, out *store.Conv) {
	*out = *c.row
	out.Count = int64(c.members.n)
	out.Head = c.main.head
	out.Members, out.Last = nil, nil
	if load&store.LoadMembers != 0 && (out.Kind == store.KindNormal || out.Kind == store.KindTemporary) {
		out.Members = make([]store.Member, 0, c.members.n)
		for i := range c.members.blocks() {
			out.Members = append(out.Members, c.members.block(i)...)
		}
	}
	if load&store.LoadLast != 0 {
		out.Last = c.main.last()
	}
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
