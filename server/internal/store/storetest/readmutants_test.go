package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/leanrtm/realtime/server/internal/store"
)

// readMutants break promises about reading.
func readMutants() []mutation {
	return []mutation{
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
					own := *c
					all = append(all, &own)
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
			type message struct {
				log store.LogID
				at  store.Pos
			}
			var taken sync.Map // of store.Flags, by message
			m.commit = func(ctx context.Context, bs []store.Batch) []error {
				errs := m.Store.Commit(ctx, bs)
				for i, b := range bs {
					for _, o := range b.Ops {
						if p, ok := o.(*store.Patch); ok && (errs == nil || errs[i] == nil) {
							taken.Store(message{store.LogID{App: b.App, Cid: p.Cid, View: p.View}, p.At}, p.Flags)
						}
					}
				}
				return errs
			}
			m.messages = func(ctx context.Context, log store.LogID, r store.Range, n int) ([]store.Message, error) {
				ms, err := m.Store.Messages(ctx, log, r, n)
				for i := range ms {
					if flags, ok := taken.Load(message{log, ms[i].Pos()}); ok {
						ms[i].Flags |= flags.(store.Flags)
					}
				}
				return ms, err
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
}
