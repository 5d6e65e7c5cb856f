package memory

import (
	"fmt"

	"github.com/leanrtm/realtime/server/internal/store"
)

// needs is what a batch must lock.
type needs struct {
	shards shardSet
	index  bool
}

// survey finds out what a batch must lock, and refuses malformed ones.
func (s *Store) survey(b *store.Batch) (needs, error) {
	var n needs
	at := func(app, id string) { n.shards |= 1 << s.shardOf(app, id) }
	for i, g := range b.Guards {
		switch g := g.(type) {
		case *store.Fence:
			n.shards |= 1 << fenceShardOf(g.Part)
		case *store.Version:
			at(b.App, g.Cid)
		case *store.FreeKey:
			n.index = true
		case *store.NewSend:
			at(b.App, g.Cid)
		case *store.RecordVersion:
			n.shards |= 1 << s.recordShardOf(b.App, g.Kind)
		default:
			return n, fmt.Errorf("%w: guard %d is %T", store.ErrInvalid, i, g)
		}
	}
	for i, o := range b.Ops {
		switch o := o.(type) {
		case *store.PutConv:
			if o.Conv == nil || o.Conv.Version < 1 {
				return n, fmt.Errorf("%w: operation %d needs a conversation with a version", store.ErrInvalid, i)
			}
			at(b.App, o.Conv.Cid)
			n.index = true
		case *store.DropConv:
			// Its members may be anywhere.
			n.shards, n.index = allShards, true
		case *store.PutMember:
			at(b.App, o.Cid)
			at(b.App, o.Member.Client)
		case *store.DropMember:
			at(b.App, o.Cid)
			at(b.App, o.Client)
		case *store.Append:
			if o.Msg == nil {
				return n, fmt.Errorf("%w: operation %d has no message", store.ErrInvalid, i)
			}
			at(b.App, o.Cid)
		case *store.Import:
			if o.Msg == nil {
				return n, fmt.Errorf("%w: operation %d has no message", store.ErrInvalid, i)
			}
			at(b.App, o.Cid)
		case *store.Patch:
			if o.TS <= 0 {
				return n, fmt.Errorf("%w: operation %d has no time", store.ErrInvalid, i)
			}
			at(b.App, o.Cid)
		case *store.Erase:
			at(b.App, o.Cid)
		case *store.RaiseMark:
			at(b.App, o.Cid)
		case *store.AddEvent:
			at(b.App, o.Cid)
		case *store.AddNote:
			at(b.App, o.Client)
		case *store.PutEntry:
			if !validList(o.List) {
				return n, fmt.Errorf("%w: operation %d has list kind %d", store.ErrInvalid, i, o.List)
			}
			at(b.App, o.Owner)
		case *store.DropEntry:
			if !validList(o.List) {
				return n, fmt.Errorf("%w: operation %d has list kind %d", store.ErrInvalid, i, o.List)
			}
			at(b.App, o.Owner)
		case *store.PutRecord:
			if o.Record == nil || o.Record.Version < 1 {
				return n, fmt.Errorf("%w: operation %d needs a record with a version", store.ErrInvalid, i)
			}
			n.shards |= 1 << s.recordShardOf(b.App, o.Record.Kind)
		case *store.DropRecord:
			n.shards |= 1 << s.recordShardOf(b.App, o.Kind)
		default:
			return n, fmt.Errorf("%w: operation %d is %T", store.ErrInvalid, i, o)
		}
	}
	return n, nil
}

func validList(k store.ListKind) bool {
	return k >= store.ListBlocked && k <= store.ListOwnBlock
}

// tx is one batch while the locks it needs are held.
type tx struct {
	s     *Store
	b     *store.Batch
	index *index // nil unless locked

	// The conversation that was looked up last: most batches name one only.
	cid  string
	last *conv

	// The send that was looked for last, which is the one that is then stored.
	send     store.SendKey
	sendHash sendHash

	// What the operations before the current one leave behind, filled for batches of
	// several operations only.
	exists map[string]bool
	fresh  map[string]bool // dropped in this batch: nothing stored counts any more
	logs   map[logKey]*shadow
}

type logKey struct{ cid, view string }

// shadow is a log as the earlier operations of a batch leave it.
type shadow struct {
	seq     int64
	top     store.Pos
	used    bool
	patched map[store.Pos]int64 // last patch times of messages touched in this batch; erased: -1
}

const erased = -1

func (t *tx) conv(cid string) *conv {
	if t.last == nil || t.cid != cid {
		t.cid, t.last = cid, t.s.shard(t.b.App, cid).convs[key{t.b.App, cid}]
	}
	return t.last
}

func (t *tx) check() error {
	for _, g := range t.b.Guards {
		if err := t.guard(g); err != nil {
			return err
		}
	}
	if len(t.b.Ops) > 1 {
		t.exists = make(map[string]bool)
	}
	for _, o := range t.b.Ops {
		if err := t.condition(o); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) guard(g store.Guard) error {
	switch g := g.(type) {
	case *store.Fence:
		if e := t.s.shards[fenceShardOf(g.Part)].fences[g.Part]; e > g.Epoch {
			return &store.GuardError{Which: store.GuardFence, N: int64(e)}
		}
	case *store.Version:
		var n int64
		if c := t.conv(g.Cid); c != nil {
			n = c.row.Version
		}
		if n != g.N {
			return &store.GuardError{Which: store.GuardVersion, Cid: g.Cid, N: n}
		}
	case *store.FreeKey:
		if holder, taken := t.index.unique[g.Key]; taken && (g.Except == "" || holder != g.Except) {
			return &store.GuardError{Which: store.GuardKey, Cid: holder, Found: holder}
		}
	case *store.NewSend:
		sends := t.s.shard(t.b.App, g.Cid).sends[t.b.App]
		if sends == nil {
			break
		}
		k := store.SendKey{App: t.b.App, Client: g.Client, Cid: g.Cid, Token: g.Token}
		t.send, t.sendHash = k, sends.hash(k)
		if sent, ok := sends.find(t.sendHash); ok && sent.End > g.Now {
			return &store.SentError{Mid: sent.Mid, TS: sent.TS}
		}
	case *store.RecordVersion:
		var n int64
		if r := t.s.record(t.b.App, g.Kind, g.Key); r != nil {
			n = r.Version
		}
		if n != g.N {
			return &store.GuardError{Which: store.GuardRecord, Found: g.Key, N: n}
		}
	}
	return nil
}

// condition checks what an operation itself demands and notes what it will leave.
func (t *tx) condition(o store.Op) error {
	switch o := o.(type) {
	case *store.PutConv:
		t.note(o.Conv.Cid, true)
	case *store.DropConv:
		t.note(o.Cid, false)
	case *store.PutMember:
		return t.present(o.Cid)
	case *store.RaiseMark:
		return t.present(o.Cid)
	case *store.AddEvent:
		return t.present(o.Cid)
	case *store.PutEntry:
		if o.List.OfConv() {
			return t.present(o.Owner)
		}
	case *store.Append:
		return t.appendable(o)
	case *store.Import:
		if err := t.present(o.Cid); err != nil {
			return err
		}
		t.shadowImport(o)
	case *store.Patch:
		return t.patchable(o)
	case *store.Erase:
		if t.exists != nil {
			t.shadow(o.Cid, o.View).patched[o.At] = erased
		}
	}
	return nil
}

func (t *tx) note(cid string, exists bool) {
	if t.exists == nil {
		return
	}
	t.exists[cid] = exists
	if exists {
		return
	}
	if t.fresh == nil {
		t.fresh = make(map[string]bool)
	}
	t.fresh[cid] = true
	for k := range t.logs {
		if k.cid == cid {
			delete(t.logs, k)
		}
	}
}

func (t *tx) present(cid string) error {
	exists, noted := t.exists[cid]
	if !noted {
		exists = t.conv(cid) != nil
	}
	if !exists {
		return &store.GuardError{Which: store.GuardConv, Cid: cid}
	}
	return nil
}

// stored returns a log as it was before the batch, nil if it never had a message.
func (t *tx) stored(cid, view string) *msgLog {
	if t.fresh[cid] {
		return nil
	}
	if c := t.conv(cid); c != nil {
		return c.log(view)
	}
	return nil
}

func (t *tx) shadow(cid, view string) *shadow {
	k := logKey{cid, view}
	if sh := t.logs[k]; sh != nil {
		return sh
	}
	sh := &shadow{patched: make(map[store.Pos]int64)}
	if l := t.stored(cid, view); l != nil {
		sh.seq, sh.top, sh.used = l.head.Seq, l.head.Pos(), l.used
	}
	if t.logs == nil {
		t.logs = make(map[logKey]*shadow)
	}
	t.logs[k] = sh
	return sh
}

// lastPatch returns the patch time of a message, 0 for none; ok is false if
// there is no such message.
func (t *tx) lastPatch(cid, view string, at store.Pos) (ts int64, ok bool) {
	if t.exists != nil {
		if ts, ok := t.shadow(cid, view).patched[at]; ok {
			return ts, ts != erased
		}
	}
	if l := t.stored(cid, view); l != nil {
		if m := l.find(at); m != nil {
			return m.PatchTS, true
		}
	}
	return 0, false
}

func (t *tx) appendable(o *store.Append) error {
	if err := t.present(o.Cid); err != nil {
		return err
	}
	if t.exists == nil {
		var h store.Head
		used := false
		if l := t.stored(o.Cid, o.View); l != nil {
			h, used = l.head, l.used
		}
		return follows(o, h.Seq, h.TS, used)
	}
	sh := t.shadow(o.Cid, o.View)
	if err := follows(o, sh.seq, sh.top.TS, sh.used); err != nil {
		return err
	}
	sh.seq, sh.top, sh.used = o.Msg.Seq, o.Msg.Pos(), true
	sh.patched[o.Msg.Pos()] = o.Msg.PatchTS
	return nil
}

func follows(o *store.Append, seq, ts int64, used bool) error {
	if o.Msg.Seq != seq+1 || used && o.Msg.TS <= ts {
		return &store.GuardError{Which: store.GuardSeq, Cid: o.Cid, N: seq}
	}
	return nil
}

func (t *tx) shadowImport(o *store.Import) {
	if t.exists == nil {
		return
	}
	at := o.Msg.Pos()
	if _, ok := t.lastPatch(o.Cid, o.View, at); ok {
		return
	}
	sh := t.shadow(o.Cid, o.View)
	sh.patched[at] = o.Msg.PatchTS
	switch {
	case !sh.used:
		sh.seq, sh.top, sh.used = 0, at, true
	case at.Compare(sh.top) > 0:
		sh.seq, sh.top = sh.seq+1, at
	}
}

func (t *tx) patchable(o *store.Patch) error {
	if err := t.present(o.Cid); err != nil {
		return err
	}
	last, ok := t.lastPatch(o.Cid, o.View, o.At)
	if !ok {
		return &store.GuardError{Which: store.GuardMessage, Cid: o.Cid}
	}
	if last >= o.TS {
		return &store.GuardError{Which: store.GuardPatch, Cid: o.Cid, N: last}
	}
	if t.exists != nil {
		t.shadow(o.Cid, o.View).patched[o.At] = o.TS
	}
	return nil
}
