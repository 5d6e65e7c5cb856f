package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/store"
)

// changeFeed is one of the bounded lists.
type changeFeed struct {
	name string
	q    store.ChangeQuery
	keep int
	add  func(ts int64, op string) store.Op
}

func changeFeeds() []changeFeed {
	note := func(client string, permanent bool) func(int64, string) store.Op {
		return func(ts int64, op string) store.Op {
			return &store.AddNote{Client: client, Note: store.Note{TS: ts, Op: op, Cid: "a", Permanent: permanent, Body: []byte(op)}}
		}
	}
	return []changeFeed{
		{"events", store.ChangeQuery{Kind: store.Events, Log: store.LogID{Cid: "a"}}, store.KeepEvents, func(ts int64, op string) store.Op {
			return &store.AddEvent{Cid: "a", Event: store.Event{TS: ts, Op: op, Body: []byte(op)}}
		}},
		{"notes", store.ChangeQuery{Kind: store.Notes, Client: "tom"}, store.KeepNotes, note("tom", true)},
		{"droppables", store.ChangeQuery{Kind: store.Droppables, Client: "tom"}, store.KeepNotes, note("tom", false)},
	}
}

func changeCases() []testCase {
	var all []testCase
	for _, f := range changeFeeds() {
		all = append(all,
			testCase{f.name + "/pages", func(t testing.TB, open Open) {
				e := newEnv(t, open)
				e.create("a")
				require.Empty(t, e.changes(f.q, 0, 9).Items)
				for i, ts := range []int64{10, 20, 20, 20, 30, 40, 25} {
					e.do(f.add(ts, "op"+padded(i)))
				}
				p := e.changes(f.q, 0, 99)
				require.Equal(t, []int64{10, 20, 20, 20, 25, 30, 40}, times(p))
				require.Equal(t, store.Change{TS: 25, Op: "op000006", Cid: "a", Body: []byte("op000006")}, p.Items[4])
				require.Equal(t, "op000001 op000002 op000003", p.Items[1].Op+" "+p.Items[2].Op+" "+p.Items[3].Op, "equal times keep the order of arrival")
				require.Zero(t, p.Floor)
				for _, c := range []struct {
					after  int64
					n      int
					newest bool
					want   []int64
					more   bool
				}{
					{0, 1, false, []int64{10}, true},
					{0, 2, false, []int64{10, 20, 20, 20}, true},
					{10, 3, false, []int64{20, 20, 20}, true},
					{20, 3, false, []int64{25, 30, 40}, false},
					{40, 3, false, []int64{}, false},
					{0, 0, false, []int64{}, true},
					{0, 3, true, []int64{25, 30, 40}, true},
					{0, 4, true, []int64{20, 20, 20, 25, 30, 40}, true},
					{10, 4, true, []int64{20, 20, 20, 25, 30, 40}, false},
					{25, 4, true, []int64{30, 40}, false},
					{0, 99, true, []int64{10, 20, 20, 20, 25, 30, 40}, false},
				} {
					q := f.q
					q.Newest = c.newest
					p := e.changes(q, c.after, c.n)
					require.Equal(t, c.want, times(p), "%+v", c)
					require.Equal(t, c.more, p.More, "%+v", c)
				}
			}},
			testCase{f.name + "/bounded", func(t testing.TB, open Open) {
				e := newEnv(t, open)
				e.create("a")
				var things []any
				for i := range f.keep {
					things = append(things, f.add(int64(1000+i), "x"))
				}
				e.do(things...)
				require.Zero(t, e.changes(f.q, 0, 1).Floor)
				e.do(f.add(int64(5000), "y"), f.add(int64(5001), "y"))
				p := e.changes(f.q, 0, f.keep+9)
				require.Len(t, p.Items, f.keep)
				require.Equal(t, int64(1002), p.Items[0].TS)
				require.Equal(t, int64(5001), p.Items[f.keep-1].TS)
				require.Equal(t, int64(1001), p.Floor)
				e.do(f.add(7, "older than all"))
				p = e.changes(f.q, 0, 1)
				require.Equal(t, int64(1002), p.Items[0].TS)
				require.Equal(t, int64(1001), p.Floor)
				if f.name == "events" {
					require.Equal(t, int64(5001), e.head("a", "").EventTS)
				}
			}},
		)
	}
	return append(all, testCase{"changes/are separate", func(t testing.TB, open Open) {
		e := newEnv(t, open)
		e.create("a")
		e.create("b")
		for i, f := range changeFeeds() {
			e.do(f.add(int64(10+i), f.name))
		}
		for i, f := range changeFeeds() {
			require.Equal(t, []int64{int64(10 + i)}, times(e.changes(f.q, 0, 9)))
			require.Empty(t, e.in("other").changes(f.q, 0, 9).Items)
		}
		require.Empty(t, e.changes(store.ChangeQuery{Kind: store.Events, Log: store.LogID{Cid: "b"}}, 0, 9).Items)
		require.Empty(t, e.changes(store.ChangeQuery{Kind: store.Notes, Client: "ann"}, 0, 9).Items)
		require.Zero(t, e.head("b", "").EventTS)
		require.Equal(t, int64(10), e.one("a").Head.EventTS)
		e.do(&store.Append{Cid: "a", Msg: msg(1, 5, "m", "tom", "")})
		require.Equal(t, store.Head{Seq: 1, TS: 5, Mid: "m", EventTS: 10, FirstSeq: 1}, e.head("a", ""))
	}})
}
