package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/store"
)

func patchCases() []testCase {
	patches := store.ChangeQuery{Kind: store.Patches, Log: store.LogID{Cid: "a"}}
	return []testCase{
		{"patch/content", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("a")
			m := &store.Message{
				TS: 10, Mid: "m", Seq: 1, From: "tom", Flags: store.FlagReceipt | store.FlagSystem | store.FlagTyped | store.FlagBinary, Type: 7,
				Body: "old", Mentions: []string{"ann"}, IP: "ip",
			}
			e.send("a", m)
			before := *m
			e.send("a", msg(2, 11, "n", "tom", "other"))
			e.do(&store.Patch{
				Cid: "a", At: m.Pos(), TS: 100, Body: "new", Flags: store.FlagMentionAll | store.FlagTyped | store.FlagRecalled, Type: -127,
				Mentions: []string{"bob"}, Code: -4408, Reason: "why",
			})
			want := &store.Message{
				TS: 10, Mid: "m", Seq: 1, From: "tom",
				Flags: store.FlagReceipt | store.FlagSystem | store.FlagTyped | store.FlagRecalled | store.FlagMentionAll, Type: -127,
				Body: "new", Mentions: []string{"bob"}, PatchTS: 100, PatchCode: -4408, PatchReason: "why", IP: "ip",
			}
			got, err := e.FindMessage(e.ctx, e.log("a", ""), m.Pos())
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.Equal(t, before, *m, "the message that was there before is not changed in place")
			require.Equal(t, store.Head{Seq: 2, TS: 11, Mid: "n", PatchTS: 100, FirstSeq: 1}, e.head("a", ""))
			require.Empty(t, e.history("a", store.Range{Typed: true, Type: 7}, 9))
			require.Len(t, e.history("a", store.Range{Typed: true, Type: -127}, 9), 1)
			p := e.changes(patches, 99, 9)
			require.Len(t, p.Items, 1)
			require.Equal(t, store.Change{TS: 100, Message: want}, p.Items[0])
			// Flags that are not content are not taken from a patch.
			e.do(&store.Patch{Cid: "a", At: store.Pos{TS: 11, Mid: "n"}, TS: 101, Flags: store.FlagReceipt | store.FlagSystem})
			got, err = e.FindMessage(e.ctx, e.log("a", ""), store.Pos{TS: 11, Mid: "n"})
			require.NoError(t, err)
			require.Zero(t, got.Flags)
			require.Equal(t, int64(101), e.one("a").Last.PatchTS)
		}},
		{"patch/conditions", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("a")
			m := e.send("a", msg(1, 10, "m", "tom", "v0"))
			e.refused(store.GuardMessage, &store.Patch{Cid: "a", At: store.Pos{TS: 10, Mid: "x"}, TS: 5})
			e.refused(store.GuardMessage, &store.Patch{Cid: "a", View: "v", At: m.Pos(), TS: 5})
			e.do(&store.Patch{Cid: "a", At: m.Pos(), TS: 50, Body: "v1"})
			for _, ts := range []int64{1, 49, 50} {
				require.Equal(t, int64(50), e.refused(store.GuardPatch, &store.Patch{Cid: "a", At: m.Pos(), TS: ts, Body: "stale"}).N)
			}
			e.refused(store.GuardPatch, &store.Patch{Cid: "a", At: m.Pos(), TS: 60, Body: "v2"}, &store.Patch{Cid: "a", At: m.Pos(), TS: 60, Body: "v3"})
			require.Equal(t, "v1", e.one("a").Last.Body)
			e.do(&store.Patch{Cid: "a", At: m.Pos(), TS: 60, Body: "v2"}, &store.Patch{Cid: "a", At: m.Pos(), TS: 61, Body: "v3"})
			require.Equal(t, "v3", e.one("a").Last.Body)
			require.Equal(t, []int64{61}, times(e.changes(patches, 0, 9)), "a message is listed once")
			e.do(&store.Append{Cid: "a", Msg: msg(2, 11, "n", "tom", "")}, &store.Patch{Cid: "a", At: store.Pos{TS: 11, Mid: "n"}, TS: 70, Body: "at once"})
			require.Equal(t, "at once", e.one("a").Last.Body)
			e.refused(store.GuardMessage, &store.Erase{Cid: "a", At: m.Pos()}, &store.Patch{Cid: "a", At: m.Pos(), TS: 80})
			require.Len(t, e.history("a", store.Range{}, 9), 2)
		}},
		{"patch/list", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("a")
			e.create("b")
			for i := range int64(6) {
				e.send("a", msg(i+1, 10+i, "m"+padded(int(i)), "tom", ""))
				e.send("b", msg(i+1, 10+i, "m"+padded(int(i)), "tom", ""))
			}
			all := e.history("a", store.Range{}, 9)
			// Patched in another order than sent; two at the same time.
			for i, ts := range map[int]int64{4: 101, 2: 102, 5: 103, 0: 103, 1: 104} {
				e.do(&store.Patch{Cid: "a", At: all[i].Pos(), TS: ts})
			}
			e.do(&store.Patch{Cid: "b", At: all[3].Pos(), TS: 999})
			p := e.changes(patches, 0, 9)
			require.Equal(t, []int64{101, 102, 103, 103, 104}, times(p))
			require.Equal(t, []string{all[4].Mid, all[2].Mid, all[0].Mid, all[5].Mid, all[1].Mid},
				[]string{p.Items[0].Message.Mid, p.Items[1].Message.Mid, p.Items[2].Message.Mid, p.Items[3].Message.Mid, p.Items[4].Message.Mid})
			require.False(t, p.More)
			for _, c := range []struct {
				after  int64
				n      int
				newest bool
				want   []int64
				more   bool
			}{
				{101, 9, false, []int64{102, 103, 103, 104}, false},
				{104, 9, false, []int64{}, false},
				{0, 2, false, []int64{101, 102}, true},
				{0, 3, false, []int64{101, 102, 103, 103}, true},
				{0, 5, false, []int64{101, 102, 103, 103, 104}, false},
				{0, 2, true, []int64{103, 103, 104}, true},
				{0, 1, true, []int64{104}, true},
				{102, 2, true, []int64{103, 103, 104}, false},
				{0, 0, false, []int64{}, true},
				{104, 0, false, []int64{}, false},
			} {
				q := patches
				q.Newest = c.newest
				p := e.changes(q, c.after, c.n)
				require.Equal(t, c.want, times(p), "%+v", c)
				require.Equal(t, c.more, p.More, "%+v", c)
			}
			e.do(&store.Patch{Cid: "a", At: all[4].Pos(), TS: 200})
			require.Equal(t, []int64{102, 103, 103, 104, 200}, times(e.changes(patches, 0, 9)))
		}},
	}
}
