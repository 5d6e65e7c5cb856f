package memory

import (
	"strings"

	"github.com/leanrtm/realtime/server/internal/store"
)

// apply makes the changes of a batch whose conditions were checked. It cannot fail.
func (t *tx) apply() {
	for _, g := range t.b.Guards {
		if f, ok := g.(*store.Fence); ok {
			m := t.s.shards[fenceShardOf(f.Part)].fences
			m[f.Part] = max(m[f.Part], f.Epoch)
		}
	}
	for _, o := range t.b.Ops {
		t.applyOp(o)
	}
}

func (t *tx) applyOp(o store.Op) {
	switch o := o.(type) {
	case *store.PutConv:
		t.putConv(o.Conv)
	case *store.DropConv:
		t.dropConv(o.Cid)
	case *store.PutMember:
		t.conv(o.Cid).members.put(o.Member)
		t.client(o.Member.Client).convs.put(o.Cid)
	case *store.DropMember:
		if c := t.conv(o.Cid); c != nil {
			if _, ok := c.members.remove(store.Member{Client: o.Client}); ok {
				t.client(o.Client).convs.remove(o.Cid)
			}
		}
	case *store.Append:
		t.append(o)
	case *store.Import:
		t.importMessage(o)
	case *store.Patch:
		t.patch(o)
	case *store.Erase:
		if c := t.conv(o.Cid); c != nil {
			if l := c.log(o.View); l != nil {
				l.erase(o.At)
			}
		}
	case *store.RaiseMark:
		c := t.conv(o.Cid)
		old, _ := c.marks.find(store.Mark{Client: o.Mark.Client})
		c.marks.put(raise(old, o.Mark))
	case *store.AddEvent:
		c := t.conv(o.Cid)
		e := o.Event
		c.events.add(store.Change{TS: e.TS, Op: e.Op, Cid: o.Cid, Body: e.Body}, store.KeepEvents)
		c.main.head.EventTS = max(c.main.head.EventTS, e.TS)
	case *store.AddNote:
		n, c := o.Note, t.client(o.Client)
		f := &c.droppables
		if n.Permanent {
			f = &c.notes
		}
		f.add(store.Change{TS: n.TS, Op: n.Op, Cid: n.Cid, Body: n.Body}, store.KeepNotes)
	case *store.PutEntry:
		t.entries(o.List, o.Owner).put(o.Entry)
	case *store.DropEntry:
		if l := t.s.entries(store.ListID{App: t.b.App, Kind: o.List, Owner: o.Owner}); l != nil {
			l.remove(store.Entry{ID: o.ID})
		}
	case *store.PutRecord:
		t.putRecord(o.Record)
	case *store.DropRecord:
		sh := &t.s.shards[t.s.recordShardOf(t.b.App, o.Kind)]
		if l := sh.records[recordKey{t.b.App, o.Kind}]; l != nil {
			l.remove(&store.Record{Key: o.Key})
		}
	}
}

func (t *tx) client(id string) *client {
	sh, k := t.s.shard(t.b.App, id), key{t.b.App, id}
	c := sh.clients[k]
	if c == nil {
		c = newClient()
		sh.clients[k] = c
	}
	return c
}

func (t *tx) putConv(row *store.Conv) {
	sh, k := t.s.shard(t.b.App, row.Cid), key{t.b.App, row.Cid}
	put := *row
	put.Count, put.Head, put.Members, put.Last = 0, store.Head{}, nil, nil
	c := sh.convs[k]
	if c == nil {
		c = newConv()
		sh.convs[k] = c
		t.index.add(&put)
	} else {
		put.Kind, put.Created, put.TTLEnd = c.row.Kind, c.row.Created, c.row.TTLEnd
		if c.row.UniqueKey != put.UniqueKey {
			t.index.release(c.row.UniqueKey, put.Cid)
		}
	}
	if !t.index.take(put.UniqueKey, put.Cid) {
		put.UniqueKey = ""
	}
	c.row = &put
}

func (t *tx) dropConv(cid string) {
	sh, k := t.s.shard(t.b.App, cid), key{t.b.App, cid}
	c := sh.convs[k]
	if c == nil {
		return
	}
	for at := c.members.first(); at.valid(); at.next() {
		t.client(at.item().Client).convs.remove(cid)
	}
	if sends := sh.sends[t.b.App]; sends != nil {
		sends.dropConv(cid)
	}
	t.index.drop(c.row)
	delete(sh.convs, k)
	t.last = nil
}

func (t *tx) append(o *store.Append) {
	t.conv(o.Cid).openLog(o.View).enter(o.Msg)
	if o.Token == "" {
		return
	}
	sh := t.s.shard(t.b.App, o.Cid)
	sends := sh.sends[t.b.App]
	if sends == nil {
		sends = newSendLog()
		sh.sends[t.b.App] = sends
	}
	k := store.SendKey{App: t.b.App, Client: o.Msg.From, Cid: o.Cid, Token: o.Token}
	if k != t.send {
		t.send, t.sendHash = k, sends.hash(k)
	}
	sends.add(t.sendHash, o.Cid, store.Sent{Mid: o.Msg.Mid, TS: o.Msg.TS, End: o.TokenEnd}, o.Msg.TS)
}

func (t *tx) importMessage(o *store.Import) {
	l := t.conv(o.Cid).openLog(o.View)
	at := o.Msg.Pos()
	if _, found := l.locate(&l.msgs, at); found {
		return
	}
	m := *o.Msg
	switch {
	case !l.used:
		m.Seq = 0
	case at.Compare(l.head.Pos()) > 0:
		m.Seq = l.head.Seq + 1
	case at.Compare(l.low) < 0:
		m.Seq = l.head.FirstSeq - 1
	default:
		m.Seq = store.SeqNone
	}
	l.enter(&m)
}

func (t *tx) patch(o *store.Patch) {
	const replaced = store.FlagBinary | store.FlagMentionAll | store.FlagRecalled | store.FlagTyped
	l := t.conv(o.Cid).log(o.View)
	m := l.find(o.At)
	m.Flags = m.Flags&^replaced | o.Flags&replaced
	m.Body, m.Mentions, m.Type = o.Body, o.Mentions, o.Type
	m.PatchTS, m.PatchCode, m.PatchReason = o.TS, o.Code, o.Reason
	l.replace(m)
}

// raise combines two marks of a client.
func raise(old, up store.Mark) store.Mark {
	m := old
	m.Client = up.Client
	if up.AckAt == 0 {
		up.AckAt = up.ReadAt
	}
	up.AckTS = max(up.AckTS, up.ReadTS)
	if up.ReadTS > m.ReadTS {
		m.ReadTS = up.ReadTS
		m.ReadAt = max(m.ReadAt, up.ReadAt)
	}
	if up.AckTS > m.AckTS {
		m.AckTS = up.AckTS
		m.AckAt = max(m.AckAt, up.AckAt)
	}
	m.ReadSeq = max(m.ReadSeq, up.ReadSeq)
	return m
}

// entries returns a list, which is made if need be.
func (t *tx) entries(kind store.ListKind, owner string) *list[store.Entry] {
	if !kind.OfConv() {
		return &t.client(owner).blocks
	}
	c := t.conv(owner)
	if c.lists[kind] == nil {
		l := newList(byEntryID)
		c.lists[kind] = &l
	}
	return c.lists[kind]
}

func (t *tx) putRecord(r *store.Record) {
	sh, k := &t.s.shards[t.s.recordShardOf(t.b.App, r.Kind)], recordKey{t.b.App, r.Kind}
	l := sh.records[k]
	if l == nil {
		fresh := newList(func(a, b *store.Record) int { return strings.Compare(a.Key, b.Key) })
		l = &fresh
		sh.records[k] = l
	}
	put := *r
	l.put(&put)
}
