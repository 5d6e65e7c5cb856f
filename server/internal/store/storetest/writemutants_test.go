package storetest

import (
	"bytes"
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/leanrtm/realtime/server/internal/store"
)

// writeMutants break promises about writing.
func writeMutants() []mutation {
	return []mutation{
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
					for range 20 {
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
	}
}
