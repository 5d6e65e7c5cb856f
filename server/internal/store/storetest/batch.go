package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/store"
)

func batchCases() []testCase {
	return []testCase{
		{"batch/all or nothing", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("a", "tom")
			m := e.send("a", msg(1, 10, "m", "tom", "old"))
			e.do(&store.PutEntry{List: store.ListShutup, Owner: "a", Entry: store.Entry{ID: "ann"}},
				&store.PutRecord{Record: &store.Record{Kind: store.RecordFile, Key: "f", Version: 1}})
			two := conv("a")
			two.Version, two.UniqueKey = 2, "k"
			before := e.one("a")
			things := []any{
				&store.Fence{Part: 3, Epoch: 9},
				&store.PutConv{Conv: two}, &store.PutConv{Conv: conv("b")},
				&store.PutMember{Cid: "a", Member: store.Member{Client: "ann"}}, &store.DropMember{Cid: "a", Client: "tom"},
				&store.Append{Cid: "a", Msg: msg(2, 11, "n", "tom", ""), Token: "tok", TokenEnd: 999},
				&store.Import{Cid: "a", Msg: msg(0, 5, "i", "tom", "")},
				&store.Patch{Cid: "a", At: m.Pos(), TS: 20, Body: "new"},
				&store.Erase{Cid: "a", At: m.Pos()},
				&store.RaiseMark{Cid: "a", Mark: store.Mark{Client: "tom", ReadTS: 10}},
				&store.AddEvent{Cid: "a", Event: store.Event{TS: 12}},
				&store.AddNote{Client: "tom", Note: store.Note{TS: 13}},
				&store.PutEntry{List: store.ListBlocked, Owner: "a", Entry: store.Entry{ID: "bob"}},
				&store.DropEntry{List: store.ListShutup, Owner: "a", ID: "ann"},
				&store.PutRecord{Record: &store.Record{Kind: store.RecordFile, Key: "g", Version: 1}},
				&store.DropRecord{Kind: store.RecordFile, Key: "f"},
				&store.DropConv{Cid: "a"},
				&store.Append{Cid: "a", Msg: msg(3, 12, "last straw", "tom", "")},
			}
			e.refused(store.GuardConv, things...)
			require.Equal(t, before, e.one("a"))
			require.Nil(t, e.one("b"))
			require.Equal(t, []string{"a"}, e.membershipIDs("tom"))
			require.Empty(t, e.membershipIDs("ann"))
			require.Equal(t, []store.Message{*m}, e.history("a", store.Range{}, 9))
			_, found, err := e.Sent(e.ctx, store.SendKey{App: e.app, Client: "tom", Cid: "a", Token: "tok"})
			require.NoError(t, err)
			require.False(t, found)
			marks, err := e.Marks(e.ctx, e.app, "a", nil)
			require.NoError(t, err)
			require.Empty(t, marks)
			require.Empty(t, e.changes(store.ChangeQuery{Kind: store.Events, Log: store.LogID{Cid: "a"}}, 0, 9).Items)
			require.Empty(t, e.changes(store.ChangeQuery{Kind: store.Patches, Log: store.LogID{Cid: "a"}}, 0, 9).Items)
			require.Empty(t, e.changes(store.ChangeQuery{Kind: store.Droppables, Client: "tom"}, 0, 9).Items)
			blocked, err := e.CountEntries(e.ctx, store.ListID{App: e.app, Kind: store.ListBlocked, Owner: "a"})
			require.NoError(t, err)
			require.Zero(t, blocked)
			shut, err := e.CountEntries(e.ctx, store.ListID{App: e.app, Kind: store.ListShutup, Owner: "a"})
			require.NoError(t, err)
			require.Equal(t, 1, shut)
			rs, err := e.Records(e.ctx, store.RecordFile, e.app, "", "", 9)
			require.NoError(t, err)
			require.Len(t, rs, 1)
			require.Equal(t, "f", rs[0].Key)
			require.Empty(t, e.scan(store.Access{Path: store.ByKey, Key: "k"}))
			e.do(&store.Fence{Part: 3, Epoch: 1})
			e.do(things[:len(things)-1]...)
			require.Nil(t, e.one("a"))
		}},
		{"batch/first failure is told", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("a")
			e.refused(store.GuardVersion, &store.Append{Cid: "x", Msg: msg(1, 1, "m", "tom", "")}, &store.Version{Cid: "a", N: 5}, &store.Version{Cid: "a", N: 6})
			require.Equal(t, "x", e.refused(store.GuardConv, &store.Version{Cid: "a", N: 1},
				&store.Append{Cid: "x", Msg: msg(1, 1, "m", "tom", "")}, &store.Append{Cid: "a", Msg: msg(9, 1, "m", "tom", "")}).Cid)
			e.refused(store.GuardSeq, &store.Append{Cid: "a", Msg: msg(9, 1, "m", "tom", "")}, &store.Append{Cid: "x", Msg: msg(1, 1, "m", "tom", "")})
		}},
		{"batch/several in one call", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			require.Nil(t, e.Commit(e.ctx, nil))
			app := func(seq int64, cid string) store.Batch {
				return e.batch(&store.Append{Cid: cid, Msg: msg(seq, 10+seq, "m"+padded(int(seq)), "tom", "")})
			}
			errs := e.Commit(e.ctx, []store.Batch{
				e.batch(&store.PutConv{Conv: conv("a")}), app(1, "a"), app(1, "b"), app(3, "a"), app(2, "a"), app(3, "a"),
			})
			require.Len(t, errs, 6)
			for i, failed := range []bool{false, false, true, true, false, false} {
				require.Equal(t, failed, errs[i] != nil, "batch %d: %v", i, errs[i])
			}
			_, isConv := store.AsGuard(errs[2], store.GuardConv)
			_, isSeq := store.AsGuard(errs[3], store.GuardSeq)
			require.True(t, isConv && isSeq)
			require.Len(t, e.history("a", store.Range{}, 9), 3)
			require.Nil(t, e.Commit(e.ctx, []store.Batch{app(4, "a"), app(5, "a")}), "nil means that all is well")
			require.Nil(t, e.Commit(e.ctx, []store.Batch{{App: e.app}}), "an empty batch changes nothing")
			other := e.batch(&store.PutConv{Conv: conv("a")})
			other.App = "other"
			require.Nil(t, e.Commit(e.ctx, []store.Batch{app(6, "a"), other, app(7, "a")}))
			require.Zero(t, e.in("other").one("a").Head.Seq)
			require.Equal(t, int64(7), e.one("a").Head.Seq)
		}},
		{"batch/several conversations", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			var things []any
			for i := range 40 {
				cid := "c" + padded(i)
				things = append(things, &store.PutConv{Conv: conv(cid)}, &store.Append{Cid: cid, Msg: msg(1, 1, "m", "gm", cid)},
					&store.AddNote{Client: "p" + padded(i), Note: store.Note{TS: 5, Op: cid}})
			}
			require.Error(t, e.try(append(things[:len(things):len(things)], &store.Append{Cid: "none", Msg: msg(1, 1, "m", "gm", "")})...))
			require.Empty(t, e.scan(store.Access{Path: store.ByKind}))
			e.do(things...)
			require.Len(t, e.scan(store.Access{Path: store.ByKind}), 40)
			require.Equal(t, "c000017", e.changes(store.ChangeQuery{Kind: store.Droppables, Client: "p000017"}, 0, 9).Items[0].Op)
		}},
		{"batch/fence", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			put := &store.PutConv{Conv: conv("a")}
			e.do(&store.Fence{Part: 1, Epoch: 5}, put)
			e.do(&store.Fence{Part: 1, Epoch: 5}, put)
			require.Equal(t, int64(5), e.refused(store.GuardFence, &store.Fence{Part: 1, Epoch: 4}, &store.DropConv{Cid: "a"}).N)
			require.Equal(t, int64(5), e.in("other").refused(store.GuardFence, &store.Fence{Part: 1, Epoch: 4}, put).N, "parts are not per app")
			e.do(&store.Fence{Part: 65, Epoch: 1}, put)
			e.do(&store.Fence{Part: 1, Epoch: 6}, put)
			e.refused(store.GuardFence, &store.Fence{Part: 1, Epoch: 5}, put)
			// A batch that fails for another reason does not raise the epoch.
			e.refused(store.GuardVersion, &store.Fence{Part: 1, Epoch: 99}, &store.Version{Cid: "a", N: 77}, put)
			e.do(&store.Fence{Part: 1, Epoch: 6}, &store.Fence{Part: 65, Epoch: 1}, put)
			require.NotNil(t, e.one("a"))
		}},
		{"batch/malformed", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("a")
			bad := conv("b")
			bad.Version = 0
			for _, op := range []store.Op{
				nil, &store.PutConv{}, &store.PutConv{Conv: bad}, &store.Append{Cid: "a"}, &store.Import{Cid: "a"},
				&store.Patch{Cid: "a", At: store.Pos{}}, &store.PutEntry{Owner: "a"}, &store.DropEntry{List: 99, Owner: "a"},
				&store.PutRecord{}, &store.PutRecord{Record: &store.Record{Kind: "k", Key: "x"}},
			} {
				b := store.Batch{App: e.app, Ops: []store.Op{&store.PutMember{Cid: "a", Member: store.Member{Client: "tom"}}, op}}
				require.ErrorIs(t, store.CommitOne(e.ctx, e.Store, b), store.ErrInvalid, "%#v", op)
			}
			require.ErrorIs(t, store.CommitOne(e.ctx, e.Store, store.Batch{App: e.app, Guards: []store.Guard{nil}}), store.ErrInvalid)
			require.Empty(t, e.membershipIDs("tom"))
		}},
	}
}

// lifeCases are about contexts and closing.
func lifeCases() []testCase {
	calls := func(e *env, ctx context.Context) map[string]error {
		out := map[string]error{}
		errs := e.Commit(ctx, []store.Batch{e.batch(&store.PutConv{Conv: conv("x")}), e.batch(&store.PutConv{Conv: conv("y")})})
		if len(errs) == 2 && errors.Is(errs[1], errs[0]) {
			out["Commit"] = errs[0]
		} else {
			out["Commit"] = nil
		}
		_, out["Convs"] = e.Convs(ctx, e.app, []string{"a"}, 0)
		out["Scan"] = e.Scan(ctx, e.app, store.Access{Path: store.ByKind}, func(*store.Conv) bool { return true })
		_, out["Members"] = e.Members(ctx, e.app, "a", "", 1)
		_, out["FindMembers"] = e.FindMembers(ctx, e.app, nil)
		_, out["Memberships"] = e.Memberships(ctx, e.app, "tom", "", 1)
		_, out["Marks"] = e.Marks(ctx, e.app, "a", nil)
		_, out["Heads"] = e.Heads(ctx, nil)
		_, out["Messages"] = e.Messages(ctx, e.log("a", ""), store.Range{}, 1)
		_, out["FindMessage"] = e.FindMessage(ctx, e.log("a", ""), store.Pos{})
		_, out["AppMessages"] = e.AppMessages(ctx, e.app, "", store.Range{}, 1)
		_, out["Unread"] = e.Unread(ctx, e.log("a", ""), "tom", 0, 1)
		_, out["Changes"] = e.Changes(ctx, store.ChangeQuery{Kind: store.Notes}, 0, 1)
		_, out["Entries"] = e.Entries(ctx, store.ListID{Kind: store.ListBlocked}, "", 1)
		_, out["FindEntries"] = e.FindEntries(ctx, store.ListID{Kind: store.ListBlocked}, nil)
		_, out["CountEntries"] = e.CountEntries(ctx, store.ListID{Kind: store.ListBlocked})
		_, _, out["Sent"] = e.Sent(ctx, store.SendKey{})
		_, out["Records"] = e.Records(ctx, "k", e.app, "", "", 1)
		_, out["FindRecords"] = e.FindRecords(ctx, "k", e.app, nil)
		return out
	}
	return []testCase{
		{"life/cancelled", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("a", "tom")
			ctx, cancel := context.WithCancel(e.ctx)
			cancel()
			for name, err := range calls(e, ctx) {
				require.ErrorIs(t, err, context.Canceled, name)
			}
			require.Nil(t, e.one("x"))
			ctx, cancel = context.WithCancel(e.ctx)
			defer cancel()
			e.create("b", "tom")
			n := 0
			err := e.Scan(ctx, e.app, store.Access{Path: store.ByKind}, func(*store.Conv) bool {
				n++
				cancel()
				return true
			})
			require.ErrorIs(t, err, context.Canceled)
			require.Equal(t, 1, n, "a scan ends with its context")
		}},
		{"life/closed", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("a", "tom")
			require.Positive(t, e.Caps().MaxBatch)
			require.NoError(t, e.Close())
			require.NoError(t, e.Close())
			for name, err := range calls(e, e.ctx) {
				require.ErrorIs(t, err, store.ErrClosed, name)
			}
		}},
	}
}
