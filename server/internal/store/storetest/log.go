package storetest

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/store"
)

func logCases() []testCase {
	return []testCase{
		{"log/append", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("a", "tom")
			require.Equal(t, store.Head{}, e.one("a").Head)
			require.Nil(t, e.one("a").Last)
			full := &store.Message{
				TS: 100, Mid: "m1", Seq: 1, From: "tom", Flags: store.FlagReceipt | store.FlagTyped | store.FlagMentionAll, Type: -1,
				Body: `{"_lctype":-1}`, Mentions: []string{"ann", "bob"}, IP: "::1",
			}
			want := *full
			e.send("a", full)
			require.Equal(t, []store.Message{want}, e.history("a", store.Range{}, 9))
			require.Equal(t, &want, e.one("a").Last)
			require.Equal(t, store.Head{Seq: 1, TS: 100, Mid: "m1", FirstSeq: 1}, e.one("a").Head)
			e.send("a", msg(2, 101, "m0", "tom", ""))
			require.Equal(t, store.Head{Seq: 2, TS: 101, Mid: "m0", FirstSeq: 1}, e.head("a", store.ViewMain))
			require.Equal(t, "m0", e.one("a").Last.Mid)
			got, err := e.FindMessage(e.ctx, e.log("a", ""), store.Pos{TS: 100, Mid: "m1"})
			require.NoError(t, err)
			require.Equal(t, &want, got)
			for _, p := range []store.Pos{{TS: 100, Mid: "m0"}, {TS: 101, Mid: "m1"}, {TS: 100}, {}} {
				got, err = e.FindMessage(e.ctx, e.log("a", ""), p)
				require.NoError(t, err)
				require.Nil(t, got)
			}
		}},
		{"log/sequence", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("a")
			e.refused(store.GuardSeq, &store.Append{Cid: "a", Msg: msg(0, 10, "x", "tom", "")})
			e.refused(store.GuardSeq, &store.Append{Cid: "a", Msg: msg(2, 10, "x", "tom", "")})
			e.send("a", msg(1, 10, "m1", "tom", ""))
			for _, bad := range []*store.Message{
				msg(1, 11, "x", "tom", ""), msg(3, 11, "x", "tom", ""), msg(2, 10, "x", "tom", ""), msg(2, 9, "x", "tom", ""), msg(-1, 11, "x", "tom", ""),
			} {
				g := e.refused(store.GuardSeq, &store.Append{Cid: "a", Msg: bad})
				require.Equal(t, int64(1), g.N)
				require.Equal(t, "a", g.Cid)
			}
			require.Len(t, e.history("a", store.Range{}, 9), 1)
			require.Equal(t, int64(1), e.head("a", "").Seq)
			// Several in one batch see each other.
			e.do(&store.Append{Cid: "a", Msg: msg(2, 11, "m2", "tom", "")}, &store.Append{Cid: "a", Msg: msg(3, 12, "m3", "tom", "")})
			e.refused(store.GuardSeq, &store.Append{Cid: "a", Msg: msg(4, 13, "x", "tom", "")}, &store.Append{Cid: "a", Msg: msg(4, 14, "y", "tom", "")})
			e.refused(store.GuardSeq, &store.Append{Cid: "a", Msg: msg(4, 14, "x", "tom", "")}, &store.Append{Cid: "a", Msg: msg(5, 14, "y", "tom", "")})
			require.Equal(t, []string{"m1", "m2", "m3"}, mids(e.history("a", store.Range{}, 9)))
		}},
		{"log/views are separate", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.createAs(kindConv("s", store.KindService, 1))
			views := []string{store.ViewMain, store.ViewInbound, store.ViewAll, store.ClientView(""), store.ClientView("$in"), store.ClientView("tom")}
			var ids []store.LogID
			for i, v := range views {
				e.do(&store.Append{Cid: "s", View: v, Msg: msg(1, int64(10+i), "m", "gm", v)})
				ids = append(ids, e.log("s", v))
			}
			heads, err := e.Heads(e.ctx, append(ids, e.log("s", store.ClientView("ann")), e.log("x", ""), store.LogID{App: "other", Cid: "s"}))
			require.NoError(t, err)
			require.Len(t, heads, len(views)+3)
			for i := range views {
				require.Equal(t, store.Head{Seq: 1, TS: int64(10 + i), Mid: "m", FirstSeq: 1}, heads[i])
				ms, err := e.Messages(e.ctx, ids[i], store.Range{}, 9)
				require.NoError(t, err)
				require.Len(t, ms, 1)
				require.Equal(t, views[i], ms[0].Body)
			}
			require.Equal(t, []store.Head{{}, {}, {}}, heads[len(views):])
			e.do(&store.Patch{Cid: "s", View: store.ClientView("tom"), At: store.Pos{TS: 15, Mid: "m"}, TS: 99, Body: "new"})
			require.Zero(t, e.head("s", "").PatchTS)
			require.Equal(t, int64(99), e.head("s", store.ClientView("tom")).PatchTS)
		}},
		{"log/dedup", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("a")
			e.create("b")
			attempt := func(cid, from, token string, now int64, m *store.Message) error {
				m.From = from
				return e.try(&store.NewSend{Client: from, Cid: cid, Token: token, Now: now},
					&store.Append{Cid: cid, Msg: m, Token: token, TokenEnd: now + 100})
			}
			require.NoError(t, attempt("a", "tom", "x", 1000, msg(1, 1000, "m1", "", "")))
			err := attempt("a", "tom", "x", 1099, msg(2, 1099, "m2", "", ""))
			var sent *store.SentError
			require.True(t, errors.As(err, &sent), "got %v", err)
			require.Equal(t, store.SentError{Mid: "m1", TS: 1000}, *sent)
			// A repeated send is reported as such also when its number is stale.
			require.ErrorAs(t, attempt("a", "tom", "x", 1099, msg(1, 1099, "m2", "", "")), &sent)
			require.Equal(t, []string{"m1"}, mids(e.history("a", store.Range{}, 9)))
			require.NoError(t, attempt("a", "ann", "x", 1050, msg(2, 1050, "m2", "", "")), "another client")
			require.NoError(t, attempt("a", "tom", "y", 1051, msg(3, 1051, "m3", "", "")), "another token")
			require.NoError(t, attempt("b", "tom", "x", 1052, msg(1, 1052, "m4", "", "")), "another conversation")
			got, found, err := e.Sent(e.ctx, store.SendKey{App: e.app, Client: "tom", Cid: "a", Token: "x"})
			require.NoError(t, err)
			require.True(t, found)
			require.Equal(t, store.Sent{Mid: "m1", TS: 1000, End: 1100}, got)
			for _, k := range []store.SendKey{
				{App: "other", Client: "tom", Cid: "a", Token: "x"}, {App: e.app, Client: "to", Cid: "a", Token: "x"},
				{App: e.app, Client: "tom", Cid: "a", Token: ""}, {App: e.app, Client: "bob", Cid: "a", Token: "x"},
			} {
				_, found, err := e.Sent(e.ctx, k)
				require.NoError(t, err)
				require.False(t, found)
			}
			require.NoError(t, attempt("a", "tom", "x", 1100, msg(4, 1100, "m5", "", "")), "the row has ended")
			require.ErrorAs(t, attempt("a", "tom", "x", 1101, msg(5, 1101, "m6", "", "")), &sent)
			require.Equal(t, "m5", sent.Mid)
			// A failed append leaves no row.
			e.refused(store.GuardSeq, &store.Append{Cid: "a", Msg: msg(9, 1200, "m7", "tom", ""), Token: "z", TokenEnd: 2000})
			_, found, err = e.Sent(e.ctx, store.SendKey{App: e.app, Client: "tom", Cid: "a", Token: "z"})
			require.NoError(t, err)
			require.False(t, found)
		}},
		{"log/erase", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("a")
			for i := range int64(4) {
				m := msg(i+1, 10+i, "m"+padded(int(i)), "tom", "")
				m.Flags, m.Type = store.FlagTyped, 7
				e.send("a", m)
			}
			all := e.history("a", store.Range{}, 9)
			e.do(&store.Patch{Cid: "a", At: all[3].Pos(), TS: 50, Flags: store.FlagTyped, Type: 7})
			e.do(&store.Erase{Cid: "a", At: store.Pos{TS: 11}}, &store.Erase{Cid: "a", View: "v", At: all[1].Pos()})
			require.Len(t, e.history("a", store.Range{}, 9), 4, "nothing is at those positions")
			e.do(&store.Erase{Cid: "a", At: all[1].Pos()})
			e.do(&store.Erase{Cid: "a", At: all[1].Pos()})
			e.do(&store.Erase{Cid: "a", At: all[3].Pos()})
			require.Equal(t, []string{all[0].Mid, all[2].Mid}, mids(e.history("a", store.Range{}, 9)))
			require.Equal(t, []string{all[0].Mid, all[2].Mid}, mids(e.history("a", store.Range{Typed: true, Type: 7}, 9)))
			require.Empty(t, e.changes(store.ChangeQuery{Kind: store.Patches, Log: store.LogID{Cid: "a"}}, 0, 9).Items)
			require.Equal(t, all[2].Mid, e.one("a").Last.Mid)
			require.Equal(t, store.Head{Seq: 4, TS: 13, Mid: all[3].Mid, PatchTS: 50, FirstSeq: 1}, e.one("a").Head, "the head stays")
			e.refused(store.GuardMessage, &store.Patch{Cid: "a", At: all[1].Pos(), TS: 60})
			e.refused(store.GuardSeq, &store.Append{Cid: "a", Msg: msg(4, 20, "x", "tom", "")})
			e.refused(store.GuardSeq, &store.Append{Cid: "a", Msg: msg(5, 13, "x", "tom", "")})
			e.send("a", msg(5, 14, "x", "tom", ""))
			u, err := e.Unread(e.ctx, e.log("a", ""), "ann", 9, 100)
			require.NoError(t, err)
			require.Equal(t, 3, u.Count)
		}},
		{"log/app messages", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("b")
			e.create("a")
			e.createAs(kindConv("s", store.KindService, 1))
			e.in("other").create("a")
			e.in("other").send("a", msg(1, 3, "foreign", "tom", ""))
			e.do(&store.Append{Cid: "b", Msg: msg(1, 1, "m1", "tom", "")}, &store.Append{Cid: "b", Msg: msg(2, 4, "m4", "ann", "")},
				&store.Append{Cid: "a", Msg: msg(1, 2, "m2", "tom", "")}, &store.Append{Cid: "a", Msg: msg(2, 5, "same", "tom", "")},
				&store.Append{Cid: "s", Msg: msg(1, 5, "same", "tom", "")}, &store.Append{Cid: "s", View: store.ViewInbound, Msg: msg(1, 5, "same", "tom", "")},
				&store.Append{Cid: "s", View: store.ClientView("tom"), Msg: msg(1, 3, "m3", "ann", "")})
			get := func(from string, r store.Range, n int) []string {
				ms, err := e.AppMessages(e.ctx, e.app, from, r, n)
				require.NoError(t, err)
				out := []string{}
				for _, m := range ms {
					require.Equal(t, e.app, m.Log.App)
					out = append(out, m.Log.Cid+m.Log.View+"/"+m.Mid)
				}
				return out
			}
			require.Equal(t, []string{"b/m1", "a/m2", "s=tom/m3", "b/m4", "a/same", "s/same", "s$in/same"}, get("", store.Range{}, 99))
			require.Equal(t, []string{"a/same", "s/same", "s$in/same"}, get("", store.Range{}, 3))
			require.Equal(t, []string{"s/same", "s$in/same"}, get("", store.Range{}, 2))
			require.Equal(t, []string{"b/m1", "a/m2"}, get("", store.Range{Newer: true}, 2))
			require.Equal(t, []string{"s=tom/m3", "b/m4"}, get("ann", store.Range{}, 9))
			require.Equal(t, []string{"a/m2"}, get("tom", store.Range{Start: store.Bound{Set: true, TS: 5}}, 1))
			require.Empty(t, get("", store.Range{}, 0))
			require.Empty(t, get("nobody", store.Range{}, 9))
		}},
	}
}
