package storetest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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

// early checks the guards of batches that have one of a type, and commits a little
// later: when another writer has checked too, if one comes soon. On a busy
// machine they would else hardly ever meet.
func early[G store.Guard](m *mutant) {
	var between atomic.Int32 // writers that have checked and not committed
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
		between.Add(1)
		defer between.Add(-1)
		for i := 0; i < 2000 && (i < 20 || between.Load() < 2); i++ {
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

// mutation is one broken promise.
type mutation struct {
	name  string
	apply func(m *mutant)
}

// TestSuiteBites: a store that breaks a promise fails.
func TestSuiteBites(t *testing.T) {
	for _, x := range append(writeMutants(), readMutants()...) {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			// Some promises are only broken when writers meet, which on a busy machine
			// they may not do at once.
			const attempts = 5
			var rec *recorder
			for range attempts {
				rec = &recorder{TB: t}
				Run(rec, func(testing.TB) store.Store {
					m := &mutant{Store: memory.New()}
					x.apply(m)
					return m
				})
				for _, f := range rec.cleanups {
					f()
				}
				if rec.Failed() {
					break
				}
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
