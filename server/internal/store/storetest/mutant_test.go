package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/store"
	"github.com/leanrtm/realtime/server/internal/store/memory"
)

// recorder is a testing.TB that notes failures instead of failing.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	failed   bool
	log      []string
	cleanups []func()
}

func (r *recorder) note(text string, fail bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = r.failed || fail
	r.log = append(r.log, text)
}

func (r *recorder) Helper()                           {}
func (r *recorder) Logf(format string, args ...any)   { r.note(fmt.Sprintf(format, args...), false) }
func (r *recorder) Errorf(format string, args ...any) { r.note(fmt.Sprintf(format, args...), true) }
func (r *recorder) Fail()                             { r.note("", true) }

func (r *recorder) FailNow() {
	r.Fail()
	runtime.Goexit()
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *recorder) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

// mutant is the memory store with one promise broken.
type mutant struct {
	store.Store
	commit      func(ctx context.Context, bs []store.Batch) []error
	convs       func(cs []*store.Conv, load store.Load)
	messages    func(ctx context.Context, log store.LogID, r store.Range, n int) ([]store.Message, error)
	appMessages func(ms []store.LogMessage) []store.LogMessage
	members     func(ms []store.Member, after string, n int) []store.Member
	memberships func(ms []store.Membership) []store.Membership
	marks       func(ms []store.Mark) []store.Mark
	heads       func(hs []store.Head)
	unread      func(ctx context.Context, log store.LogID, me string, after int64, limit int) (store.Unread, error)
	changes     func(ctx context.Context, q store.ChangeQuery, after int64, n int) (store.ChangePage, error)
	entries     func(es []store.Entry) []store.Entry
	count       func(n int) int
	sent        func(s store.Sent, ok bool) (store.Sent, bool)
	records     func(ctx context.Context, kind store.RecordKind, app, prefix, after string, n int) ([]store.Record, error)
	scan        func(ctx context.Context, app string, a store.Access, yield func(*store.Conv) bool) error
	close       func() error
}

func (m *mutant) Commit(ctx context.Context, bs []store.Batch) []error {
	if m.commit != nil {
		return m.commit(ctx, bs)
	}
	return m.Store.Commit(ctx, bs)
}

func (m *mutant) Convs(ctx context.Context, app string, cids []string, load store.Load) ([]*store.Conv, error) {
	cs, err := m.Store.Convs(ctx, app, cids, load)
	if m.convs != nil {
		m.convs(cs, load)
	}
	return cs, err
}

func (m *mutant) Messages(ctx context.Context, log store.LogID, r store.Range, n int) ([]store.Message, error) {
	if m.messages != nil {
		return m.messages(ctx, log, r, n)
	}
	return m.Store.Messages(ctx, log, r, n)
}

func (m *mutant) AppMessages(ctx context.Context, app, from string, r store.Range, n int) ([]store.LogMessage, error) {
	ms, err := m.Store.AppMessages(ctx, app, from, r, n)
	if m.appMessages != nil {
		ms = m.appMessages(ms)
	}
	return ms, err
}

func (m *mutant) Members(ctx context.Context, app, cid, after string, n int) ([]store.Member, error) {
	ms, err := m.Store.Members(ctx, app, cid, after, n)
	if m.members != nil {
		ms = m.members(ms, after, n)
	}
	return ms, err
}

func (m *mutant) Memberships(ctx context.Context, app, client, after string, n int) ([]store.Membership, error) {
	ms, err := m.Store.Memberships(ctx, app, client, after, n)
	if m.memberships != nil {
		ms = m.memberships(ms)
	}
	return ms, err
}

func (m *mutant) Marks(ctx context.Context, app, cid string, clients []string) ([]store.Mark, error) {
	ms, err := m.Store.Marks(ctx, app, cid, clients)
	if m.marks != nil {
		ms = m.marks(ms)
	}
	return ms, err
}

func (m *mutant) Heads(ctx context.Context, logs []store.LogID) ([]store.Head, error) {
	hs, err := m.Store.Heads(ctx, logs)
	if m.heads != nil {
		m.heads(hs)
	}
	return hs, err
}

func (m *mutant) Unread(ctx context.Context, log store.LogID, me string, after int64, limit int) (store.Unread, error) {
	if m.unread != nil {
		return m.unread(ctx, log, me, after, limit)
	}
	return m.Store.Unread(ctx, log, me, after, limit)
}

func (m *mutant) Changes(ctx context.Context, q store.ChangeQuery, after int64, n int) (store.ChangePage, error) {
	if m.changes != nil {
		return m.changes(ctx, q, after, n)
	}
	return m.Store.Changes(ctx, q, after, n)
}

func (m *mutant) Entries(ctx context.Context, list store.ListID, after string, n int) ([]store.Entry, error) {
	es, err := m.Store.Entries(ctx, list, after, n)
	if m.entries != nil {
		es = m.entries(es)
	}
	return es, err
}

func (m *mutant) CountEntries(ctx context.Context, list store.ListID) (int, error) {
	n, err := m.Store.CountEntries(ctx, list)
	if m.count != nil {
		n = m.count(n)
	}
	return n, err
}

func (m *mutant) Sent(ctx context.Context, key store.SendKey) (store.Sent, bool, error) {
	s, ok, err := m.Store.Sent(ctx, key)
	if m.sent != nil {
		s, ok = m.sent(s, ok)
	}
	return s, ok, err
}

func (m *mutant) Records(ctx context.Context, kind store.RecordKind, app, prefix, after string, n int) ([]store.Record, error) {
	if m.records != nil {
		return m.records(ctx, kind, app, prefix, after, n)
	}
	return m.Store.Records(ctx, kind, app, prefix, after, n)
}

func (m *mutant) Scan(ctx context.Context, app string, a store.Access, yield func(*store.Conv) bool) error {
	if m.scan != nil {
		return m.scan(ctx, app, a, yield)
	}
	return m.Store.Scan(ctx, app, a, yield)
}

func (m *mutant) Close() error {
	if m.close != nil {
		return m.close()
	}
	return m.Store.Close()
}

// each changes batches before they are committed.
func (m *mutant) each(f func(ctx context.Context, b *store.Batch)) {
	m.commit = func(ctx context.Context, bs []store.Batch) []error {
		bs = slices.Clone(bs)
		for i := range bs {
			bs[i].Guards, bs[i].Ops = slices.Clone(bs[i].Guards), slices.Clone(bs[i].Ops)
			f(ctx, &bs[i])
		}
		return m.Store.Commit(ctx, bs)
	}
}

// without drops the guards of a type.
func without[G store.Guard](m *mutant) {
	m.each(func(_ context.Context, b *store.Batch) {
		b.Guards = slices.DeleteFunc(b.Guards, func(g store.Guard) bool {
			_, is := g.(G)
			return is
		})
	})
}

// early checks the guards of batches that have one of a type, and commits a little later.
func early[G store.Guard](m *mutant) {
	m.commit = func(ctx context.Context, bs []store.Batch) []error {
		if len(bs) != 1 || !slices.ContainsFunc(bs[0].Guards, func(g store.Guard) bool {
			_, is := g.(G)
			return is
		}) {
			return m.Store.Commit(ctx, bs)
		}
		b := bs[0]
		if err := store.CommitOne(ctx, m.Store, store.Batch{App: b.App, Guards: b.Guards}); err != nil {
			return []error{err}
		}
		for range 50 {
			runtime.Gosched()
		}
		for i, o := range b.Ops {
			// A stale number must not hide what is wrong.
			if a, ok := o.(*store.Append); ok && a.Msg != nil {
				if hs, err := m.Store.Heads(ctx, []store.LogID{{App: b.App, Cid: a.Cid, View: a.View}}); err == nil && hs[0].Seq >= a.Msg.Seq && a.Msg.Seq > 1 {
					next := *a.Msg
					next.Seq, next.TS = hs[0].Seq+1, max(next.TS, hs[0].TS+1)
					b.Ops = slices.Clone(b.Ops)
					b.Ops[i] = &store.Append{Cid: a.Cid, View: a.View, Msg: &next, Token: a.Token, TokenEnd: a.TokenEnd}
				}
			}
		}
		return m.Store.Commit(ctx, []store.Batch{{App: b.App, Ops: b.Ops}})
	}
}

// replace changes the operations of a type; f may return nil to drop one.
func replace[O store.Op](m *mutant, f func(ctx context.Context, b *store.Batch, o O) store.Op) {
	m.each(func(ctx context.Context, b *store.Batch) {
		var ops []store.Op
		for _, o := range b.Ops {
			if x, is := o.(O); is {
				if o = f(ctx, b, x); o == nil {
					continue
				}
			}
			ops = append(ops, o)
		}
		b.Ops = ops
	})
}

var mutants = []struct {
	name    string
	promise func(m *mutant)
}{
	{"drops version guards", without[*store.Version]},
	{"drops key guards", without[*store.FreeKey]},
	{"drops dedup guards", without[*store.NewSend]},
	{"drops fences", without[*store.Fence]},
	{"drops record guards", without[*store.RecordVersion]},
	{"splits batches", func(m *mutant) {
		m.commit = func(ctx context.Context, bs []store.Batch) []error {
			errs, failed := make([]error, len(bs)), false
			for i, b := range bs {
				guards := b.Guards
				for _, o := range b.Ops {
					if errs[i] = store.CommitOne(ctx, m.Store, store.Batch{App: b.App, Guards: guards, Ops: []store.Op{o}}); errs[i] != nil {
						failed = true
						break
					}
					guards = nil
				}
			}
			if !failed {
				return nil
			}
			return errs
		}
	}},
	{"shows batches in halves", func(m *mutant) {
		// Whole in the end, but visible in between. Conditions are tried on the whole batch first, as
		// a dry run that its last operation refuses.
		var mu sync.Mutex
		m.commit = func(ctx context.Context, bs []store.Batch) []error {
			mu.Lock()
			defer mu.Unlock()
			if len(bs) != 1 || len(bs[0].Ops) < 2 {
				return m.Store.Commit(ctx, bs)
			}
			b := bs[0]
			dry := b
			dry.Ops = append(slices.Clone(b.Ops), &store.RaiseMark{Cid: "no such conversation"})
			err := store.CommitOne(ctx, m.Store, dry)
			if g, ok := store.AsGuard(err, store.GuardConv); !ok || g.Cid != "no such conversation" {
				return []error{err}
			}
			for i, o := range b.Ops {
				half := store.Batch{App: b.App, Ops: []store.Op{o}}
				if i == 0 {
					half.Guards = b.Guards
				}
				if err := store.CommitOne(ctx, m.Store, half); err != nil {
					return []error{err}
				}
				for range 50 {
					runtime.Gosched()
				}
			}
			return nil
		}
	}},
	{"checks versions before it locks", early[*store.Version]},
	{"checks keys before it locks", early[*store.FreeKey]},
	{"checks records before it locks", early[*store.RecordVersion]},
	{"checks sends before it locks", early[*store.NewSend]},
	{"goes on after a guard of the first operation", func(m *mutant) {
		m.commit = func(ctx context.Context, bs []store.Batch) []error {
			errs := m.Store.Commit(ctx, bs)
			for i := range errs {
				if _, ok := store.AsGuard(errs[i], store.GuardSeq); ok && len(bs[i].Ops) > 1 {
					errs[i] = store.CommitOne(ctx, m.Store, store.Batch{App: bs[i].App, Guards: bs[i].Guards, Ops: bs[i].Ops[1:]})
				}
			}
			return errs
		}
	}},
	{"repeats sends", func(m *mutant) {
		m.commit = func(ctx context.Context, bs []store.Batch) []error {
			errs := m.Store.Commit(ctx, bs)
			if errs != nil || len(bs) != 1 || len(bs[0].Ops) == 0 {
				return errs
			}
			if a, ok := bs[0].Ops[0].(*store.Append); ok {
				again := *a.Msg
				again.Seq, again.TS = again.Seq+1, again.TS+1
				_ = store.CommitOne(ctx, m.Store, store.Batch{App: bs[0].App, Ops: []store.Op{&store.Append{Cid: a.Cid, View: a.View, Msg: &again}}})
			}
			return nil
		}
	}},
	{"reorders batches", func(m *mutant) {
		m.commit = func(ctx context.Context, bs []store.Batch) []error {
			back := slices.Clone(bs)
			slices.Reverse(back)
			errs := m.Store.Commit(ctx, back)
			slices.Reverse(errs)
			return errs
		}
	}},
	{"stops at the first failing batch", func(m *mutant) {
		m.commit = func(ctx context.Context, bs []store.Batch) []error {
			for i := range bs {
				if err := store.CommitOne(ctx, m.Store, bs[i]); err != nil {
					errs := make([]error, len(bs))
					for j := i; j < len(bs); j++ {
						errs[j] = err
					}
					return errs
				}
			}
			return nil
		}
	}},
	{"returns errors of success", func(m *mutant) {
		m.commit = func(ctx context.Context, bs []store.Batch) []error {
			if errs := m.Store.Commit(ctx, bs); errs != nil {
				return errs
			}
			return make([]error, len(bs))
		}
	}},
	{"accepts stale numbers", func(m *mutant) {
		replace(m, func(ctx context.Context, b *store.Batch, a *store.Append) store.Op {
			if a.Msg == nil {
				return a
			}
			hs, err := m.Store.Heads(ctx, []store.LogID{{App: b.App, Cid: a.Cid, View: a.View}})
			if err != nil || len(b.Ops) > 1 {
				return a
			}
			fixed := *a
			next := *a.Msg
			next.Seq, next.TS = hs[0].Seq+1, max(next.TS, hs[0].TS+1)
			fixed.Msg = &next
			return &fixed
		})
	}},
	{"lowers marks", func(m *mutant) {
		var mu sync.Mutex
		last := map[string]store.Mark{}
		m.each(func(_ context.Context, b *store.Batch) {
			mu.Lock()
			defer mu.Unlock()
			for _, o := range b.Ops {
				if r, ok := o.(*store.RaiseMark); ok {
					last[r.Mark.Client] = r.Mark
				}
			}
		})
		m.marks = func(ms []store.Mark) []store.Mark {
			mu.Lock()
			defer mu.Unlock()
			for i := range ms {
				ms[i].ReadTS = last[ms[i].Client].ReadTS
			}
			return ms
		}
	}},
	{"lets acks fall behind reads", func(m *mutant) {
		m.marks = func(ms []store.Mark) []store.Mark {
			for i := range ms {
				ms[i].AckTS -= ms[i].ReadTS
			}
			return ms
		}
	}},
	{"forgets marks of former members", func(m *mutant) {
		m.each(func(ctx context.Context, b *store.Batch) {
			for _, o := range b.Ops {
				if d, ok := o.(*store.DropMember); ok {
					m.marks = func(ms []store.Mark) []store.Mark {
						return slices.DeleteFunc(ms, func(x store.Mark) bool { return x.Client == d.Client })
					}
				}
			}
		})
	}},
	{"never forgets conversations", func(m *mutant) {
		replace(m, func(context.Context, *store.Batch, *store.DropConv) store.Op { return nil })
	}},
	{"never erases", func(m *mutant) {
		replace(m, func(context.Context, *store.Batch, *store.Erase) store.Op { return nil })
	}},
	{"never drops members", func(m *mutant) {
		replace(m, func(context.Context, *store.Batch, *store.DropMember) store.Op { return nil })
	}},
	{"lets a late key win", func(m *mutant) {
		m.commit = func(ctx context.Context, bs []store.Batch) []error {
			for _, b := range bs {
				for _, o := range b.Ops {
					p, ok := o.(*store.PutConv)
					if !ok || p.Conv == nil || p.Conv.UniqueKey == "" || len(b.Guards) > 0 {
						continue
					}
					_ = m.Store.Scan(ctx, b.App, store.Access{Path: store.ByKey, Key: p.Conv.UniqueKey}, func(c *store.Conv) bool {
						if c.Cid != p.Conv.Cid {
							loser := *c
							loser.UniqueKey = ""
							_ = store.CommitOne(ctx, m.Store, store.Batch{App: b.App, Ops: []store.Op{&store.PutConv{Conv: &loser}}})
						}
						return true
					})
				}
			}
			return m.Store.Commit(ctx, bs)
		}
	}},
	{"keeps old keys", func(m *mutant) {
		replace(m, func(ctx context.Context, b *store.Batch, p *store.PutConv) store.Op {
			if p.Conv == nil {
				return p
			}
			cs, err := m.Store.Convs(ctx, b.App, []string{p.Conv.Cid}, 0)
			if err != nil || cs[0] == nil {
				return p
			}
			kept := *p.Conv
			kept.UniqueKey = cs[0].UniqueKey
			return &store.PutConv{Conv: &kept}
		})
	}},
	{"ignores exceptions of key guards", func(m *mutant) {
		m.each(func(_ context.Context, b *store.Batch) {
			for i, g := range b.Guards {
				if k, ok := g.(*store.FreeKey); ok {
					b.Guards[i] = &store.FreeKey{Key: k.Key}
				}
			}
		})
	}},
	{"changes the time of creation", func(m *mutant) {
		m.convs = func(cs []*store.Conv, _ store.Load) {
			for _, c := range cs {
				if c != nil && c.Version > 1 {
					c.Created++
				}
			}
		}
	}},
	{"forgets sends early", func(m *mutant) {
		m.each(func(_ context.Context, b *store.Batch) {
			for i, g := range b.Guards {
				if n, ok := g.(*store.NewSend); ok {
					later := *n
					later.Now += 50
					b.Guards[i] = &later
				}
			}
		})
	}},
	{"remembers sends for ever", func(m *mutant) {
		m.each(func(_ context.Context, b *store.Batch) {
			for i, g := range b.Guards {
				if n, ok := g.(*store.NewSend); ok {
					later := *n
					later.Now = 0
					b.Guards[i] = &later
				}
			}
		})
	}},
	{"stores dedup rows of failed sends", func(m *mutant) {
		var failed sync.Map
		m.commit = func(ctx context.Context, bs []store.Batch) []error {
			errs := m.Store.Commit(ctx, bs)
			for i, err := range errs {
				for _, o := range bs[i].Ops {
					if a, ok := o.(*store.Append); ok && err != nil && a.Msg != nil && a.Token == "z" {
						failed.Store("z", true)
					}
				}
			}
			return errs
		}
		m.sent = func(s store.Sent, ok bool) (store.Sent, bool) {
			_, bad := failed.Load("z")
			return s, ok || bad
		}
	}},
	{"loses the answer of a send", func(m *mutant) {
		m.sent = func(s store.Sent, ok bool) (store.Sent, bool) { return store.Sent{}, ok }
	}},
	{"mixes apps", func(m *mutant) {
		m.each(func(_ context.Context, b *store.Batch) {
			if b.App == "other" {
				b.App = "app"
			}
		})
	}},
	{"cuts ids at a zero byte", func(m *mutant) {
		replace(m, func(_ context.Context, _ *store.Batch, p *store.PutMember) store.Op {
			cut := *p
			cut.Member.Client, _, _ = strings.Cut(p.Member.Client, "\x00")
			return &cut
		})
	}},
	{"repairs ids to UTF-8", func(m *mutant) {
		replace(m, func(_ context.Context, _ *store.Batch, p *store.PutMember) store.Op {
			fixed := *p
			fixed.Member.Client = strings.ToValidUTF8(p.Member.Client, "?")
			return &fixed
		})
	}},
	{"cuts bodies at 65,535 bytes", func(m *mutant) {
		replace(m, func(_ context.Context, _ *store.Batch, a *store.Append) store.Op {
			if a.Msg == nil || len(a.Msg.Body) < 65536 {
				return a
			}
			cut := *a.Msg
			cut.Body = cut.Body[:65535]
			return &store.Append{Cid: a.Cid, View: a.View, Msg: &cut}
		})
		replacePatch := m.commit
		m.commit = func(ctx context.Context, bs []store.Batch) []error {
			for _, b := range bs {
				for _, o := range b.Ops {
					if p, ok := o.(*store.Patch); ok && len(p.Body) > 65535 {
						p.Body = p.Body[:65535]
					}
				}
			}
			return replacePatch(ctx, bs)
		}
	}},
	{"rewrites attributes", func(m *mutant) {
		replace(m, func(_ context.Context, _ *store.Batch, p *store.PutConv) store.Op {
			if p.Conv == nil {
				return p
			}
			c := *p.Conv
			c.Attrs = bytes.ReplaceAll(c.Attrs, []byte(" "), nil)
			return &store.PutConv{Conv: &c}
		})
	}},
	{"loads no last message", func(m *mutant) {
		m.convs = func(cs []*store.Conv, _ store.Load) {
			for _, c := range cs {
				if c != nil {
					c.Last = nil
				}
			}
		}
	}},
	{"loads members of everything", func(m *mutant) {
		m.convs = func(cs []*store.Conv, load store.Load) {
			for _, c := range cs {
				if c != nil && load&store.LoadMembers != 0 && c.Members == nil {
					c.Members = []store.Member{}
				}
			}
		}
	}},
	{"miscounts members", func(m *mutant) {
		m.convs = func(cs []*store.Conv, _ store.Load) {
			for _, c := range cs {
				if c != nil && c.Count > 2 {
					c.Count = 2
				}
			}
		}
	}},
	{"repeats the cursor in a page", func(m *mutant) {
		m.members = func(ms []store.Member, after string, n int) []store.Member {
			if after != "" && len(ms) > 0 && n > 0 {
				return append([]store.Member{{Client: after}}, ms[:len(ms)-1]...)
			}
			return ms
		}
	}},
	{"lists members without order", func(m *mutant) {
		m.members = func(ms []store.Member, _ string, _ int) []store.Member {
			slices.Reverse(ms)
			return ms
		}
	}},
	{"ignores n", func(m *mutant) {
		m.messages = func(ctx context.Context, log store.LogID, r store.Range, n int) ([]store.Message, error) {
			return m.Store.Messages(ctx, log, r, n+1)
		}
	}},
	{"loses a reverse membership", func(m *mutant) {
		m.memberships = func(ms []store.Membership) []store.Membership {
			return slices.DeleteFunc(ms, func(x store.Membership) bool { return x.Role == store.RoleManager })
		}
	}},
	{"forgets the private head", func(m *mutant) {
		m.memberships = func(ms []store.Membership) []store.Membership {
			for i := range ms {
				ms[i].Own = store.Head{}
			}
			return ms
		}
	}},
	{"closes open bounds", func(m *mutant) {
		m.messages = func(ctx context.Context, log store.LogID, r store.Range, n int) ([]store.Message, error) {
			r.Start.Closed = true
			return m.Store.Messages(ctx, log, r, n)
		}
	}},
	{"opens closed ends", func(m *mutant) {
		m.messages = func(ctx context.Context, log store.LogID, r store.Range, n int) ([]store.Message, error) {
			r.End.Closed = false
			return m.Store.Messages(ctx, log, r, n)
		}
	}},
	{"compares times only", func(m *mutant) {
		m.messages = func(ctx context.Context, log store.LogID, r store.Range, n int) ([]store.Message, error) {
			r.Start.Mid = ""
			return m.Store.Messages(ctx, log, r, n)
		}
	}},
	{"ignores message types", func(m *mutant) {
		m.messages = func(ctx context.Context, log store.LogID, r store.Range, n int) ([]store.Message, error) {
			r.Typed = false
			return m.Store.Messages(ctx, log, r, n)
		}
	}},
	{"filters types after the limit", func(m *mutant) {
		m.messages = func(ctx context.Context, log store.LogID, r store.Range, n int) ([]store.Message, error) {
			all := r
			all.Typed = false
			ms, err := m.Store.Messages(ctx, log, all, n)
			return slices.DeleteFunc(ms, func(x store.Message) bool { return !r.Holds(&x) }), err
		}
	}},
	{"keeps the messages at the wrong end", func(m *mutant) {
		m.messages = func(ctx context.Context, log store.LogID, r store.Range, n int) ([]store.Message, error) {
			ms, err := m.Store.Messages(ctx, log, r, 1<<30)
			if n < len(ms) {
				ms = ms[:max(0, n)]
			}
			return ms, err
		}
	}},
	{"answers newest first", func(m *mutant) {
		m.messages = func(ctx context.Context, log store.LogID, r store.Range, n int) ([]store.Message, error) {
			ms, err := m.Store.Messages(ctx, log, r, n)
			if !r.Newer {
				slices.Reverse(ms)
			}
			return ms, err
		}
	}},
	{"merges logs without order", func(m *mutant) {
		m.appMessages = func(ms []store.LogMessage) []store.LogMessage {
			slices.SortStableFunc(ms, func(a, b store.LogMessage) int { return strings.Compare(a.Log.Cid, b.Log.Cid) })
			return ms
		}
	}},
	{"counts own messages", func(m *mutant) {
		m.unread = func(ctx context.Context, log store.LogID, _ string, after int64, limit int) (store.Unread, error) {
			return m.Store.Unread(ctx, log, "\x00 nobody", after, limit)
		}
	}},
	{"counts without limit", func(m *mutant) {
		m.unread = func(ctx context.Context, log store.LogID, me string, after int64, _ int) (store.Unread, error) {
			return m.Store.Unread(ctx, log, me, after, 1<<30)
		}
	}},
	{"counts the read message", func(m *mutant) {
		m.unread = func(ctx context.Context, log store.LogID, me string, after int64, limit int) (store.Unread, error) {
			return m.Store.Unread(ctx, log, me, after-1, limit)
		}
	}},
	{"never mentions", func(m *mutant) {
		m.unread = func(ctx context.Context, log store.LogID, me string, after int64, limit int) (store.Unread, error) {
			u, err := m.Store.Unread(ctx, log, me, after, limit)
			u.Mentioned = false
			return u, err
		}
	}},
	{"repeats the cursor's changes", func(m *mutant) {
		m.changes = func(ctx context.Context, q store.ChangeQuery, after int64, n int) (store.ChangePage, error) {
			return m.Store.Changes(ctx, q, after-1, n)
		}
	}},
	{"splits changes of equal time", func(m *mutant) {
		m.changes = func(ctx context.Context, q store.ChangeQuery, after int64, n int) (store.ChangePage, error) {
			p, err := m.Store.Changes(ctx, q, after, n)
			if !q.Newest && n < len(p.Items) {
				p.Items, p.More = p.Items[:n], true
			}
			return p, err
		}
	}},
	{"hides that there is more", func(m *mutant) {
		m.changes = func(ctx context.Context, q store.ChangeQuery, after int64, n int) (store.ChangePage, error) {
			p, err := m.Store.Changes(ctx, q, after, n)
			p.More = false
			return p, err
		}
	}},
	{"hides what was forgotten", func(m *mutant) {
		m.changes = func(ctx context.Context, q store.ChangeQuery, after int64, n int) (store.ChangePage, error) {
			p, err := m.Store.Changes(ctx, q, after, n)
			p.Floor = 0
			return p, err
		}
	}},
	{"gives the oldest for the newest", func(m *mutant) {
		m.changes = func(ctx context.Context, q store.ChangeQuery, after int64, n int) (store.ChangePage, error) {
			q.Newest = false
			return m.Store.Changes(ctx, q, after, n)
		}
	}},
	{"mixes permanent and droppable notes", func(m *mutant) {
		replace(m, func(_ context.Context, _ *store.Batch, a *store.AddNote) store.Op {
			n := *a
			n.Note.Permanent = true
			return &n
		})
	}},
	{"lists old patches of a message", func(m *mutant) {
		m.changes = func(ctx context.Context, q store.ChangeQuery, after int64, n int) (store.ChangePage, error) {
			p, err := m.Store.Changes(ctx, q, after, n)
			if q.Kind == store.Patches && len(p.Items) == 1 {
				p.Items = append(p.Items, p.Items[0])
			}
			return p, err
		}
	}},
	{"forgets the time of patches", func(m *mutant) {
		m.heads = func(hs []store.Head) {
			for i := range hs {
				hs[i].PatchTS = 0
			}
		}
	}},
	{"lists entries without order", func(m *mutant) {
		m.entries = func(es []store.Entry) []store.Entry {
			slices.Reverse(es)
			return es
		}
	}},
	{"miscounts entries", func(m *mutant) {
		m.count = func(n int) int { return min(n, 3) }
	}},
	{"ignores prefixes", func(m *mutant) {
		m.records = func(ctx context.Context, kind store.RecordKind, app, _, after string, n int) ([]store.Record, error) {
			return m.Store.Records(ctx, kind, app, "", after, n)
		}
	}},
	{"ends a prefix at 0xff", func(m *mutant) {
		m.records = func(ctx context.Context, kind store.RecordKind, app, prefix, after string, n int) ([]store.Record, error) {
			rs, err := m.Store.Records(ctx, kind, app, prefix, after, n)
			return slices.DeleteFunc(rs, func(r store.Record) bool { return prefix != "" && r.Key >= prefix+"\xff" }), err
		}
	}},
	{"scans all kinds", func(m *mutant) {
		m.scan = func(ctx context.Context, app string, a store.Access, yield func(*store.Conv) bool) error {
			a.Kinds = nil
			return m.Store.Scan(ctx, app, a, yield)
		}
	}},
	{"scans oldest first", func(m *mutant) {
		m.scan = func(ctx context.Context, app string, a store.Access, yield func(*store.Conv) bool) error {
			var all []*store.Conv
			err := m.Store.Scan(ctx, app, a, func(c *store.Conv) bool {
				all = append(all, c)
				return true
			})
			slices.Reverse(all)
			for _, c := range all {
				if !yield(c) {
					break
				}
			}
			return err
		}
	}},
	{"scans twice", func(m *mutant) {
		m.scan = func(ctx context.Context, app string, a store.Access, yield func(*store.Conv) bool) error {
			return errors.Join(m.Store.Scan(ctx, app, a, yield), m.Store.Scan(ctx, app, a, yield))
		}
	}},
	{"scans on", func(m *mutant) {
		m.scan = func(ctx context.Context, app string, a store.Access, yield func(*store.Conv) bool) error {
			return m.Store.Scan(ctx, app, a, func(c *store.Conv) bool {
				yield(c)
				return true
			})
		}
	}},
	{"misses an end by one", func(m *mutant) {
		m.scan = func(ctx context.Context, app string, a store.Access, yield func(*store.Conv) bool) error {
			a.Until--
			return m.Store.Scan(ctx, app, a, yield)
		}
	}},
	{"ignores contexts", func(m *mutant) {
		m.messages = func(_ context.Context, log store.LogID, r store.Range, n int) ([]store.Message, error) {
			return m.Store.Messages(context.Background(), log, r, n)
		}
	}},
	{"writes with a cancelled context", func(m *mutant) {
		m.commit = func(ctx context.Context, bs []store.Batch) []error {
			return m.Store.Commit(context.WithoutCancel(ctx), bs)
		}
	}},
	{"never closes", func(m *mutant) {
		m.close = func() error { return nil }
	}},
	{"takes every flag from a patch", func(m *mutant) {
		m.commit = func(ctx context.Context, bs []store.Batch) []error {
			errs := m.Store.Commit(ctx, bs)
			for i, b := range bs {
				for _, o := range b.Ops {
					p, ok := o.(*store.Patch)
					if !ok || errs != nil && errs[i] != nil {
						continue
					}
					if ms, err := m.Store.FindMessage(ctx, store.LogID{App: b.App, Cid: p.Cid, View: p.View}, p.At); err == nil && ms != nil {
						ms.Flags |= p.Flags
					}
				}
			}
			return errs
		}
	}},
	{"numbers late imports", func(m *mutant) {
		m.messages = func(ctx context.Context, log store.LogID, r store.Range, n int) ([]store.Message, error) {
			ms, err := m.Store.Messages(ctx, log, r, n)
			for i := range ms {
				if ms[i].Seq == store.SeqNone {
					ms[i].Seq = 0
				}
			}
			return ms, err
		}
	}},
	{"accepts malformed batches", func(m *mutant) {
		m.each(func(_ context.Context, b *store.Batch) {
			b.Ops = slices.DeleteFunc(b.Ops, func(o store.Op) bool { return o == nil })
		})
	}},
}

// TestSuiteBites: a store that breaks a promise fails.
func TestSuiteBites(t *testing.T) {
	for _, x := range mutants {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			rec := &recorder{TB: t}
			Run(rec, func(testing.TB) store.Store {
				m := &mutant{Store: memory.New()}
				x.promise(m)
				return m
			})
			for _, f := range rec.cleanups {
				f()
			}
			require.True(t, rec.Failed(), "the suite did not notice")
			t.Log(rec.log[len(rec.log)-1])
		})
	}
}

// TestSuitePasses: the recorder itself fails nothing.
func TestSuitePasses(t *testing.T) {
	rec := &recorder{TB: t}
	Run(rec, func(testing.TB) store.Store { return &mutant{Store: memory.New()} })
	for _, f := range rec.cleanups {
		f()
	}
	require.False(t, rec.Failed(), "%s", strings.Join(rec.log, "\n"))
}
