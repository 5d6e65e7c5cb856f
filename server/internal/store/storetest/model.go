package storetest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/leanrtm/realtime/server/internal/store"
)

// model is a store.Store that is slow and plain: one lock, maps, and a copy of everything
// per batch, which is thrown away if the batch fails.
type model struct {
	mu     sync.Mutex
	closed bool
	state  modelState
}

type modelState struct {
	convs   map[appID]*modelConv
	notes   map[noteKey]modelFeed
	blocks  map[appID]map[string]store.Entry
	records map[modelRecordKey]store.Record
	sends   map[store.SendKey]store.Sent
	fences  map[uint32]uint64
}

type appID struct{ app, id string }

type noteKey struct {
	appID
	permanent bool
}

type modelRecordKey struct {
	app  string
	kind store.RecordKind
	key  string
}

type modelConv struct {
	row     store.Conv
	members map[string]store.Member
	marks   map[string]store.Mark
	logs    map[string]*modelLog
	events  modelFeed
	eventTS int64
	lists   map[store.ListKind]map[string]store.Entry
}

type modelLog struct {
	head store.Head
	used bool
	low  store.Pos
	msgs map[store.Pos]store.Message
}

type modelFeed struct {
	items []store.Change
	floor int64
}

// newModel returns an empty model.
func newModel() *model {
	return &model{state: modelState{
		convs:   map[appID]*modelConv{},
		notes:   map[noteKey]modelFeed{},
		blocks:  map[appID]map[string]store.Entry{},
		records: map[modelRecordKey]store.Record{},
		sends:   map[store.SendKey]store.Sent{},
		fences:  map[uint32]uint64{},
	}}
}

func (s *modelState) clone() modelState {
	c := modelState{
		convs:   make(map[appID]*modelConv, len(s.convs)),
		notes:   make(map[noteKey]modelFeed, len(s.notes)),
		blocks:  make(map[appID]map[string]store.Entry, len(s.blocks)),
		records: maps.Clone(s.records),
		sends:   maps.Clone(s.sends),
		fences:  maps.Clone(s.fences),
	}
	for k, v := range s.convs {
		c.convs[k] = v.clone()
	}
	for k, v := range s.notes {
		c.notes[k] = v.clone()
	}
	for k, v := range s.blocks {
		c.blocks[k] = maps.Clone(v)
	}
	return c
}

func (c *modelConv) clone() *modelConv {
	d := &modelConv{
		row:     c.row,
		members: maps.Clone(c.members),
		marks:   maps.Clone(c.marks),
		logs:    make(map[string]*modelLog, len(c.logs)),
		events:  c.events.clone(),
		eventTS: c.eventTS,
		lists:   make(map[store.ListKind]map[string]store.Entry, len(c.lists)),
	}
	for v, l := range c.logs {
		d.logs[v] = &modelLog{head: l.head, used: l.used, low: l.low, msgs: maps.Clone(l.msgs)}
	}
	for k, l := range c.lists {
		d.lists[k] = maps.Clone(l)
	}
	return d
}

func (f modelFeed) clone() modelFeed { return modelFeed{slices.Clone(f.items), f.floor} }

func (f modelFeed) with(c store.Change, keep int) modelFeed {
	f.items = append(f.items, c)
	slices.SortStableFunc(f.items, func(a, b store.Change) int { return cmp.Compare(a.TS, b.TS) })
	for len(f.items) > keep {
		f.floor = max(f.floor, f.items[0].TS)
		f.items = f.items[1:]
	}
	return f
}

func (m *model) begin(ctx context.Context) (unlock func(), err error) {
	m.mu.Lock()
	if m.closed {
		err = store.ErrClosed
	} else {
		err = ctx.Err()
	}
	if err != nil {
		m.mu.Unlock()
		return func() {}, err
	}
	return m.mu.Unlock, nil
}

func (m *model) Commit(ctx context.Context, bs []store.Batch) []error {
	unlock, err := m.begin(ctx)
	defer unlock()
	errs := make([]error, len(bs))
	failed := false
	for i, b := range bs {
		if errs[i] = err; err == nil {
			next := m.state.clone()
			if errs[i] = next.apply(b); errs[i] == nil {
				m.state = next
			}
		}
		failed = failed || errs[i] != nil
	}
	if !failed {
		return nil
	}
	return errs
}

func (s *modelState) apply(b store.Batch) error {
	for _, o := range b.Ops {
		if !wellFormed(o) {
			return fmt.Errorf("%w: %T", store.ErrInvalid, o)
		}
	}
	for _, g := range b.Guards {
		if err := s.guard(b.App, g); err != nil {
			return err
		}
	}
	for _, o := range b.Ops {
		if err := s.op(b.App, o); err != nil {
			return err
		}
	}
	for _, g := range b.Guards {
		if f, ok := g.(*store.Fence); ok {
			s.fences[f.Part] = max(s.fences[f.Part], f.Epoch)
		}
	}
	return nil
}

func wellFormed(o store.Op) bool {
	list := func(k store.ListKind) bool { return k >= store.ListBlocked && k <= store.ListOwnBlock }
	switch o := o.(type) {
	case nil:
		return false
	case *store.PutConv:
		return o.Conv != nil && o.Conv.Version >= 1
	case *store.Append:
		return o.Msg != nil
	case *store.Import:
		return o.Msg != nil
	case *store.Patch:
		return o.TS > 0
	case *store.PutEntry:
		return list(o.List)
	case *store.DropEntry:
		return list(o.List)
	case *store.PutRecord:
		return o.Record != nil && o.Record.Version >= 1
	}
	return true
}

func (s *modelState) guard(app string, g store.Guard) error {
	switch g := g.(type) {
	case *store.Fence:
		if e := s.fences[g.Part]; e > g.Epoch {
			return &store.GuardError{Which: store.GuardFence, N: int64(e)}
		}
	case *store.Version:
		var n int64
		if c := s.convs[appID{app, g.Cid}]; c != nil {
			n = c.row.Version
		}
		if n != g.N {
			return &store.GuardError{Which: store.GuardVersion, Cid: g.Cid, N: n}
		}
	case *store.FreeKey:
		if holder, ok := s.holder(app, g.Key); ok && (g.Except == "" || g.Except != holder) {
			return &store.GuardError{Which: store.GuardKey, Cid: holder, Found: holder}
		}
	case *store.NewSend:
		k := store.SendKey{App: app, Client: g.Client, Cid: g.Cid, Token: g.Token}
		if sent, ok := s.sends[k]; ok && sent.End > g.Now {
			return &store.SentError{Mid: sent.Mid, TS: sent.TS}
		}
	case *store.RecordVersion:
		if n := s.records[modelRecordKey{app, g.Kind, g.Key}].Version; n != g.N {
			return &store.GuardError{Which: store.GuardRecord, Found: g.Key, N: n}
		}
	default:
		return fmt.Errorf("%w: %T", store.ErrInvalid, g)
	}
	return nil
}

func (s *modelState) holder(app, key string) (string, bool) {
	for k, c := range s.convs {
		if k.app == app && key != "" && c.row.UniqueKey == key {
			return k.id, true
		}
	}
	return "", false
}

// ofConv returns the conversation that an operation needs.
func (s *modelState) ofConv(app, cid string) (*modelConv, error) {
	if c := s.convs[appID{app, cid}]; c != nil {
		return c, nil
	}
	return nil, &store.GuardError{Which: store.GuardConv, Cid: cid}
}

func (c *modelConv) log(view string) *modelLog {
	l := c.logs[view]
	if l == nil {
		l = &modelLog{msgs: map[store.Pos]store.Message{}}
		c.logs[view] = l
	}
	return l
}

func (s *modelState) op(app string, o store.Op) error {
	switch o := o.(type) {
	case *store.PutConv:
		s.putConv(app, *o.Conv)
		return nil
	case *store.DropConv:
		delete(s.convs, appID{app, o.Cid})
		maps.DeleteFunc(s.sends, func(k store.SendKey, _ store.Sent) bool { return k.App == app && k.Cid == o.Cid })
		return nil
	case *store.AddNote:
		k := noteKey{appID{app, o.Client}, o.Note.Permanent}
		s.notes[k] = s.notes[k].with(store.Change{TS: o.Note.TS, Op: o.Note.Op, Cid: o.Note.Cid, Body: o.Note.Body}, store.KeepNotes)
		return nil
	case *store.PutRecord:
		s.records[modelRecordKey{app, o.Record.Kind, o.Record.Key}] = *o.Record
		return nil
	case *store.DropRecord:
		delete(s.records, modelRecordKey{app, o.Kind, o.Key})
		return nil
	case *store.DropMember:
		if c := s.convs[appID{app, o.Cid}]; c != nil {
			delete(c.members, o.Client)
		}
		return nil
	case *store.Erase:
		if c := s.convs[appID{app, o.Cid}]; c != nil {
			delete(c.log(o.View).msgs, o.At)
		}
		return nil
	case *store.PutEntry:
		if !o.List.OfConv() {
			k := appID{app, o.Owner}
			if s.blocks[k] == nil {
				s.blocks[k] = map[string]store.Entry{}
			}
			s.blocks[k][o.Entry.ID] = o.Entry
			return nil
		}
		c, err := s.ofConv(app, o.Owner)
		if err != nil {
			return err
		}
		if c.lists[o.List] == nil {
			c.lists[o.List] = map[string]store.Entry{}
		}
		c.lists[o.List][o.Entry.ID] = o.Entry
		return nil
	case *store.DropEntry:
		delete(s.list(store.ListID{App: app, Kind: o.List, Owner: o.Owner}), o.ID)
		return nil
	}
	return s.convOp(app, o)
}

// convOp applies the operations that need a conversation.
func (s *modelState) convOp(app string, o store.Op) error {
	var cid string
	switch o := o.(type) {
	case *store.PutMember:
		cid = o.Cid
	case *store.Append:
		cid = o.Cid
	case *store.Import:
		cid = o.Cid
	case *store.Patch:
		cid = o.Cid
	case *store.RaiseMark:
		cid = o.Cid
	case *store.AddEvent:
		cid = o.Cid
	default:
		return fmt.Errorf("%w: %T", store.ErrInvalid, o)
	}
	c, err := s.ofConv(app, cid)
	if err != nil {
		return err
	}
	switch o := o.(type) {
	case *store.PutMember:
		c.members[o.Member.Client] = o.Member
	case *store.Append:
		return s.append(app, c.log(o.View), o)
	case *store.Import:
		c.log(o.View).add(*o.Msg)
	case *store.Patch:
		return c.log(o.View).patch(o)
	case *store.RaiseMark:
		c.raise(o.Mark)
	case *store.AddEvent:
		e := o.Event
		c.events = c.events.with(store.Change{TS: e.TS, Op: e.Op, Cid: cid, Body: e.Body}, store.KeepEvents)
		c.eventTS = max(c.eventTS, e.TS)
	}
	return nil
}

func (s *modelState) putConv(app string, row store.Conv) {
	row.Count, row.Head, row.Members, row.Last = 0, store.Head{}, nil, nil
	k := appID{app, row.Cid}
	c := s.convs[k]
	if c == nil {
		c = &modelConv{
			row:     row,
			members: map[string]store.Member{},
			marks:   map[string]store.Mark{},
			logs:    map[string]*modelLog{},
			lists:   map[store.ListKind]map[string]store.Entry{},
		}
	}
	row.Kind, row.Created, row.TTLEnd = c.row.Kind, c.row.Created, c.row.TTLEnd
	if holder, taken := s.holder(app, row.UniqueKey); taken && holder != row.Cid {
		row.UniqueKey = ""
	}
	c.row = row
	s.convs[k] = c
}

func (s *modelState) append(app string, l *modelLog, o *store.Append) error {
	m := *o.Msg
	if m.Seq != l.head.Seq+1 || l.used && m.TS <= l.head.TS {
		return &store.GuardError{Which: store.GuardSeq, Cid: o.Cid, N: l.head.Seq}
	}
	l.enter(m)
	if o.Token != "" {
		k := store.SendKey{App: app, Client: m.From, Cid: o.Cid, Token: o.Token}
		s.sends[k] = store.Sent{Mid: m.Mid, TS: m.TS, End: o.TokenEnd}
	}
	return nil
}

// add imports a message.
func (l *modelLog) add(m store.Message) {
	if _, ok := l.msgs[m.Pos()]; ok {
		return
	}
	switch {
	case !l.used:
		m.Seq = 0
	case m.Pos().Compare(l.head.Pos()) > 0:
		m.Seq = l.head.Seq + 1
	case m.Pos().Compare(l.low) < 0:
		m.Seq = l.head.FirstSeq - 1
	default:
		m.Seq = store.SeqNone
	}
	l.enter(m)
}

func (l *modelLog) enter(m store.Message) {
	l.msgs[m.Pos()] = m
	l.head.PatchTS = max(l.head.PatchTS, m.PatchTS)
	if m.Seq == store.SeqNone {
		return
	}
	if !l.used || m.Seq < l.head.FirstSeq {
		l.head.FirstSeq, l.low = m.Seq, m.Pos()
	}
	if !l.used || m.Seq > l.head.Seq {
		l.head.Seq, l.head.TS, l.head.Mid = m.Seq, m.TS, m.Mid
	}
	l.used = true
}

func (l *modelLog) patch(o *store.Patch) error {
	m, ok := l.msgs[o.At]
	if !ok {
		return &store.GuardError{Which: store.GuardMessage, Cid: o.Cid}
	}
	if m.PatchTS >= o.TS {
		return &store.GuardError{Which: store.GuardPatch, Cid: o.Cid, N: m.PatchTS}
	}
	kept := m.Flags & (store.FlagReceipt | store.FlagSystem)
	m.Flags = kept | o.Flags&^(store.FlagReceipt|store.FlagSystem)
	m.Body, m.Type, m.Mentions = o.Body, o.Type, o.Mentions
	m.PatchTS, m.PatchCode, m.PatchReason = o.TS, o.Code, o.Reason
	l.msgs[o.At] = m
	l.head.PatchTS = max(l.head.PatchTS, o.TS)
	return nil
}

func (c *modelConv) raise(up store.Mark) {
	m := c.marks[up.Client]
	m.Client = up.Client
	if up.AckAt == 0 {
		up.AckAt = up.ReadAt
	}
	if up.ReadTS > m.ReadTS {
		m.ReadTS, m.ReadAt = up.ReadTS, max(m.ReadAt, up.ReadAt)
	}
	if ack := max(up.AckTS, up.ReadTS); ack > m.AckTS {
		m.AckTS, m.AckAt = ack, max(m.AckAt, up.AckAt)
	}
	m.ReadSeq = max(m.ReadSeq, up.ReadSeq)
	c.marks[up.Client] = m
}

// head is a copy of a log's head.
func (c *modelConv) head(view string) store.Head {
	var h store.Head
	if l := c.logs[view]; l != nil {
		h = l.head
	}
	if view == store.ViewMain {
		h.EventTS = c.eventTS
	}
	return h
}

func (s *modelState) list(id store.ListID) map[string]store.Entry {
	k := appID{id.App, id.Owner}
	if !id.Kind.OfConv() {
		return s.blocks[k]
	}
	if c := s.convs[k]; c != nil {
		return c.lists[id.Kind]
	}
	return nil
}

// sortedValues are the values of a map in the order of its keys.
func sortedValues[V any](m map[string]V) []V {
	var out []V
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[k])
	}
	return out
}

// pageOf is the part of sorted elements that lies behind a cursor.
func pageOf[V any](all []V, id func(V) string, after string, n int) []V {
	var out []V
	for _, v := range all {
		if len(out) < n && (after == "" || strings.Compare(id(v), after) > 0) {
			out = append(out, v)
		}
	}
	return out
}
