package storetest

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/store"
)

func convCases() []testCase {
	return []testCase{
		{"conv/absent", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("a")
			cs, err := e.Convs(e.ctx, e.app, []string{"x", "a", "y", "a"}, 0)
			require.NoError(t, err)
			require.Len(t, cs, 4)
			require.Nil(t, cs[0])
			require.NotNil(t, cs[1])
			require.Nil(t, cs[2])
			require.Equal(t, "a", cs[3].Cid)
		}},
		{"conv/put and replace", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			c := &store.Conv{
				Cid: "a", Kind: store.KindTemporary, Creator: "tom", Attrs: json.RawMessage(`{"n":9007199254740993, "x" : 1}`),
				Unique: true, UniqueID: "u", UniqueKey: "k", TTLEnd: 9000, Created: 1000, Updated: 1001, Version: 7, MemberVersion: 3,
			}
			put := *c
			// What reads fill must not leak in.
			put.Count, put.Head, put.Last = 99, store.Head{Seq: 9, TS: 9, Mid: "9"}, msg(1, 1, "m", "f", "b")
			put.Members = []store.Member{{Client: "ghost"}}
			e.do(&store.PutConv{Conv: &put})
			want := *c
			want.Members = []store.Member{}
			require.Equal(t, &want, e.one("a"))

			d := *c
			d.Attrs, d.Version, d.Updated, d.Creator, d.UniqueID = json.RawMessage(`{}`), 8, 2000, "ann", "v"
			again := d
			again.Kind, again.Created, again.TTLEnd = store.KindNormal, 5, 0
			e.do(&store.PutConv{Conv: &again})
			want = d
			want.Members = []store.Member{}
			require.Equal(t, &want, e.one("a"), "kind, creation and end are those of the beginning")
		}},
		{"conv/version guard", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			require.Equal(t, int64(0), e.refused(store.GuardVersion, &store.Version{Cid: "a", N: 1}, &store.PutConv{Conv: conv("a")}).N)
			require.Nil(t, e.one("a"))
			e.do(&store.Version{Cid: "a"}, &store.PutConv{Conv: conv("a")})
			g := e.refused(store.GuardVersion, &store.Version{Cid: "a"}, &store.PutConv{Conv: conv("a")})
			require.Equal(t, int64(1), g.N)
			require.Equal(t, "a", g.Cid)
			two := conv("a")
			two.Version = 2
			e.do(&store.Version{Cid: "a", N: 1}, &store.PutConv{Conv: two})
			e.refused(store.GuardVersion, &store.Version{Cid: "a", N: 1}, &store.DropConv{Cid: "a"})
			require.Equal(t, int64(2), e.one("a").Version)
			// A guard sees the state before the batch, also for what the batch changes.
			three := conv("a")
			three.Version = 3
			e.refused(store.GuardVersion, &store.PutConv{Conv: three}, &store.Version{Cid: "a", N: 3})
			e.refused(store.GuardVersion, &store.Version{Cid: "b", N: 1}, &store.PutConv{Conv: three})
			require.Equal(t, int64(2), e.one("a").Version, "a guard on another conversation counts too")
		}},
		{"conv/drop", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			fill := func(cid string) {
				c := kindConv(cid, store.KindService, 1000)
				c.UniqueKey, c.TTLEnd = "key-"+cid, 5000
				e.createAs(c, "tom", "ann")
				e.do(
					&store.Append{Cid: cid, Msg: msg(1, 10, "m", "tom", "hi"), Token: "tok", TokenEnd: 1 << 40},
					&store.Append{Cid: cid, View: store.ClientView("tom"), Msg: msg(1, 10, "p", "x", "private")},
					&store.Patch{Cid: cid, At: store.Pos{TS: 10, Mid: "m"}, TS: 11, Body: "ho"},
					&store.RaiseMark{Cid: cid, Mark: store.Mark{Client: "tom", ReadTS: 10}},
					&store.AddEvent{Cid: cid, Event: store.Event{TS: 12, Op: "updated"}},
					&store.AddNote{Client: "tom", Note: store.Note{TS: 13, Op: "joined", Cid: cid, Permanent: true}},
					&store.PutEntry{List: store.ListBlocked, Owner: cid, Entry: store.Entry{ID: "bob"}},
					&store.PutEntry{List: store.ListOwnBlock, Owner: "tom", Entry: store.Entry{ID: cid}},
				)
			}
			gone := func(cid string) {
				require.Nil(t, e.one(cid))
				require.NotContains(t, e.membershipIDs("tom"), cid)
				require.NotContains(t, e.membershipIDs("ann"), cid)
				require.Equal(t, store.Head{}, e.head(cid, store.ViewMain))
				require.Equal(t, store.Head{}, e.head(cid, store.ClientView("tom")))
				require.Empty(t, e.history(cid, store.Range{}, 9))
				marks, err := e.Marks(e.ctx, e.app, cid, nil)
				require.NoError(t, err)
				require.Empty(t, marks)
				ms, err := e.Members(e.ctx, e.app, cid, "", 9)
				require.NoError(t, err)
				require.Empty(t, ms)
				_, found, err := e.Sent(e.ctx, store.SendKey{App: e.app, Client: "tom", Cid: cid, Token: "tok"})
				require.NoError(t, err)
				require.False(t, found, "dedup rows go with the conversation")
				require.Empty(t, e.changes(store.ChangeQuery{Kind: store.Events, Log: store.LogID{Cid: cid}}, 0, 9).Items)
				require.Empty(t, e.changes(store.ChangeQuery{Kind: store.Patches, Log: store.LogID{Cid: cid}}, 0, 9).Items)
				n, err := e.CountEntries(e.ctx, store.ListID{App: e.app, Kind: store.ListBlocked, Owner: cid})
				require.NoError(t, err)
				require.Zero(t, n)
				require.NotContains(t, e.scan(store.Access{Path: store.ByKind}), cid)
				require.NotContains(t, e.scan(store.Access{Path: store.ByTTL, Until: 1 << 40}), cid)
				require.NotContains(t, e.scan(store.Access{Path: store.ByKey, Key: "key-" + cid}), cid)
			}
			fill("a")
			fill("b")
			e.do(&store.DropConv{Cid: "a"})
			gone("a")
			require.Equal(t, []string{"b"}, e.membershipIDs("tom"))
			require.Equal(t, int64(2), e.one("b").Count)
			require.Len(t, e.changes(store.ChangeQuery{Kind: store.Notes, Client: "tom"}, 0, 9).Items, 2, "notes stay")
			own, err := e.Entries(e.ctx, store.ListID{App: e.app, Kind: store.ListOwnBlock, Owner: "tom"}, "", 9)
			require.NoError(t, err)
			require.Len(t, own, 2, "a client's own list stays")
			e.do(&store.DropConv{Cid: "a"})

			// The id begins anew, also within one batch.
			e.do(&store.PutConv{Conv: conv("a")})
			require.Zero(t, e.one("a").Count)
			require.Equal(t, store.Head{}, e.one("a").Head)
			e.do(&store.DropConv{Cid: "a"})
			gone("a")
			e.do(&store.DropConv{Cid: "b"}, &store.PutConv{Conv: conv("b")}, &store.Append{Cid: "b", Msg: msg(1, 5, "new", "tom", "first again")})
			require.Equal(t, []string{"new"}, mids(e.history("b", store.Range{}, 9)))
			require.Zero(t, e.one("b").Count)
		}},
		{"conv/absent conversation refuses", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("other")
			for _, op := range []store.Op{
				&store.PutMember{Cid: "a", Member: store.Member{Client: "tom"}},
				&store.Append{Cid: "a", Msg: msg(1, 1, "m", "tom", "hi")},
				&store.Import{Cid: "a", Msg: msg(0, 1, "m", "tom", "hi")},
				&store.Patch{Cid: "a", At: store.Pos{TS: 1, Mid: "m"}, TS: 2},
				&store.RaiseMark{Cid: "a", Mark: store.Mark{Client: "tom", ReadTS: 1}},
				&store.AddEvent{Cid: "a", Event: store.Event{TS: 1}},
				&store.PutEntry{List: store.ListShutup, Owner: "a", Entry: store.Entry{ID: "tom"}},
			} {
				require.Equal(t, "a", e.refused(store.GuardConv, op).Cid)
				e.refused(store.GuardConv, &store.PutConv{Conv: conv("a")}, &store.DropConv{Cid: "a"}, op)
				require.Nil(t, e.one("a"))
			}
			require.Empty(t, e.membershipIDs("tom"))
			for _, op := range []store.Op{
				&store.DropConv{Cid: "a"}, &store.DropMember{Cid: "a", Client: "tom"},
				&store.Erase{Cid: "a"}, &store.DropEntry{List: store.ListShutup, Owner: "a", ID: "tom"},
			} {
				e.do(op)
			}
			require.Nil(t, e.one("a"))
		}},
		{"conv/load", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			for _, kind := range []store.ConvKind{store.KindNormal, store.KindRoom, store.KindService, store.KindTemporary} {
				cid := string(rune('a' + kind))
				e.createAs(kindConv(cid, kind, 1), "tom", "ann")
				m := e.send(cid, msg(1, 5, "m", "tom", "hi"))
				lean, err := e.Convs(e.ctx, e.app, []string{cid}, 0)
				require.NoError(t, err)
				require.Nil(t, lean[0].Members)
				require.Nil(t, lean[0].Last)
				require.Equal(t, int64(2), lean[0].Count)
				require.Equal(t, int64(5), lean[0].Head.TS)
				full := e.one(cid)
				require.Equal(t, m, full.Last)
				if kind == store.KindNormal || kind == store.KindTemporary {
					require.Equal(t, []string{"ann", "tom"}, clientsOf(full.Members))
				} else {
					require.Nil(t, full.Members)
				}
			}
		}},
	}
}

func keyCases() []testCase {
	keyed := func(cid, key string, version int64) *store.Conv {
		c := conv(cid)
		c.UniqueKey, c.Version = key, version
		return c
	}
	holder := func(e *env, key string) []string {
		e.Helper()
		return e.scan(store.Access{Path: store.ByKey, Key: key})
	}
	return []testCase{
		{"key/create", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.do(&store.FreeKey{Key: "k"}, &store.PutConv{Conv: keyed("a", "k", 1)})
			g := e.refused(store.GuardKey, &store.FreeKey{Key: "k"}, &store.PutConv{Conv: keyed("b", "k", 1)})
			require.Equal(t, "a", g.Found)
			require.Nil(t, e.one("b"))
			require.Equal(t, []string{"a"}, holder(e, "k"))
			e.in("other").do(&store.FreeKey{Key: "k"}, &store.PutConv{Conv: keyed("b", "k", 1)})
			require.Equal(t, []string{"b"}, holder(e.in("other"), "k"), "keys are per app")
			require.Equal(t, []string{"a"}, holder(e, "k"))
		}},
		{"key/taken", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.do(&store.PutConv{Conv: keyed("a", "k", 1)})
			e.do(&store.PutConv{Conv: keyed("b", "k", 1)})
			require.Empty(t, e.one("b").UniqueKey, "who comes late holds none")
			require.Equal(t, []string{"a"}, holder(e, "k"))
			e.do(&store.PutConv{Conv: keyed("a", "k", 2)})
			require.Equal(t, []string{"a"}, holder(e, "k"), "the holder keeps it")
		}},
		{"key/move", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.do(&store.PutConv{Conv: keyed("a", "k1", 1)})
			e.do(&store.PutConv{Conv: keyed("b", "k2", 1)})
			e.do(&store.PutConv{Conv: keyed("a", "k3", 2)})
			require.Empty(t, holder(e, "k1"))
			require.Equal(t, []string{"a"}, holder(e, "k3"))
			e.do(&store.PutConv{Conv: keyed("a", "k2", 3)})
			require.Equal(t, []string{"b"}, holder(e, "k2"))
			require.Empty(t, holder(e, "k3"), "the old key is released even if the new one is taken")
			require.Empty(t, e.one("a").UniqueKey)
			e.do(&store.PutConv{Conv: keyed("b", "", 2)})
			require.Empty(t, holder(e, "k2"))
			e.do(&store.PutConv{Conv: keyed("a", "k2", 4)})
			require.Equal(t, []string{"a"}, holder(e, "k2"))
			require.Equal(t, "k2", e.one("a").UniqueKey)
			require.Empty(t, holder(e, ""), "an empty key is no key")
		}},
		{"key/with members in one batch", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.createAs(keyed("a", "ann,tom", 1), "ann", "tom")
			e.createAs(keyed("b", "ann,bob,tom", 1), "ann", "bob", "tom")
			g := e.refused(store.GuardKey, &store.Version{Cid: "a", N: 1}, &store.FreeKey{Key: "ann,bob,tom"},
				&store.PutMember{Cid: "a", Member: store.Member{Client: "bob"}}, &store.PutConv{Conv: keyed("a", "ann,bob,tom", 2)})
			require.Equal(t, "b", g.Found)
			require.Equal(t, []string{"ann", "tom"}, clientsOf(e.one("a").Members))
			require.Equal(t, []string{"a"}, holder(e, "ann,tom"))
			e.do(&store.Version{Cid: "a", N: 1}, &store.PutMember{Cid: "a", Member: store.Member{Client: "bob"}},
				&store.PutConv{Conv: keyed("a", "ann,bob,tom", 2)})
			require.Equal(t, []string{"ann", "bob", "tom"}, clientsOf(e.one("a").Members))
			require.Empty(t, holder(e, "ann,tom"))
			require.Equal(t, []string{"b"}, holder(e, "ann,bob,tom"))
		}},
		{"key/except", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.do(&store.PutConv{Conv: keyed("old", "k", 1)})
			e.refused(store.GuardKey, &store.FreeKey{Key: "k", Except: "else"}, &store.PutConv{Conv: keyed("new", "k", 1)})
			e.do(&store.FreeKey{Key: "k", Except: "old"}, &store.DropConv{Cid: "old"}, &store.PutConv{Conv: keyed("new", "k", 1)})
			require.Equal(t, []string{"new"}, holder(e, "k"))
			require.Nil(t, e.one("old"))
			e.do(&store.FreeKey{Key: "free", Except: "old"}, &store.PutConv{Conv: keyed("x", "free", 1)})
			e.refused(store.GuardKey, &store.FreeKey{Key: "k"}, &store.DropConv{Cid: "new"})
			e.do(&store.DropConv{Cid: "new"})
			e.do(&store.FreeKey{Key: "k"}, &store.PutConv{Conv: keyed("y", "k", 1)})
		}},
	}
}

func scanCases() []testCase {
	return []testCase{
		{"scan/by kind", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.createAs(kindConv("n1", store.KindNormal, 10))
			e.createAs(kindConv("n2", store.KindNormal, 30))
			e.createAs(kindConv("n3", store.KindNormal, 30))
			e.createAs(kindConv("r1", store.KindRoom, 20))
			e.createAs(kindConv("s1", store.KindService, 30))
			e.createAs(kindConv("t1", store.KindTemporary, 5))
			e.in("other").createAs(kindConv("zz", store.KindNormal, 40))
			require.Equal(t, []string{"s1", "n3", "n2", "r1", "n1", "t1"}, e.scan(store.Access{Path: store.ByKind}))
			require.Equal(t, []string{"n3", "n2", "n1"}, e.scan(store.Access{Path: store.ByKind, Kinds: []store.ConvKind{store.KindNormal}}))
			require.Equal(t, []string{"r1", "t1"}, e.scan(store.Access{Path: store.ByKind, Kinds: []store.ConvKind{store.KindTemporary, store.KindRoom}}))
			require.Empty(t, e.in("none").scan(store.Access{Path: store.ByKind}))
		}},
		{"scan/stops and loads", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			for _, cid := range []string{"a", "b", "c"} {
				e.create(cid, "tom")
				e.send(cid, msg(1, 5, "m"+cid, "tom", "hi"))
			}
			var got []*store.Conv
			require.NoError(t, e.Scan(e.ctx, e.app, store.Access{Path: store.ByMember, Client: "tom", Load: store.LoadMembers | store.LoadLast}, func(c *store.Conv) bool {
				// A scan may use the store while it goes.
				require.Equal(t, c, e.one(c.Cid))
				e.do(&store.RaiseMark{Cid: c.Cid, Mark: store.Mark{Client: "tom", ReadTS: 5}})
				own := *c
				got = append(got, &own)
				return len(got) < 2
			}))
			require.Len(t, got, 2)
			require.Equal(t, "mb", got[1].Last.Mid)
			require.Equal(t, []string{"tom"}, clientsOf(got[1].Members))
		}},
		{"scan/by member", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.createAs(kindConv("c", store.KindNormal, 10), "tom")
			e.createAs(kindConv("b", store.KindService, 20), "tom", "ann")
			e.createAs(kindConv("a", store.KindTemporary, 30), "tom")
			e.createAs(kindConv("d", store.KindNormal, 40), "ann")
			require.Equal(t, []string{"a", "b", "c"}, e.scan(store.Access{Path: store.ByMember, Client: "tom"}))
			require.Equal(t, []string{"c"}, e.scan(store.Access{Path: store.ByMember, Client: "tom", Kinds: []store.ConvKind{store.KindNormal}}))
			e.do(&store.DropMember{Cid: "b", Client: "tom"})
			require.Equal(t, []string{"a", "c"}, e.scan(store.Access{Path: store.ByMember, Client: "tom"}))
			require.Empty(t, e.scan(store.Access{Path: store.ByMember, Client: "to"}))
		}},
		{"scan/by ttl", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			for cid, end := range map[string]int64{"a": 30, "b": 10, "c": 20, "d": 20, "never": 0} {
				c := kindConv(cid, store.KindTemporary, 1)
				c.TTLEnd = end
				e.createAs(c)
			}
			require.Empty(t, e.scan(store.Access{Path: store.ByTTL, Until: 9}))
			require.Equal(t, []string{"b"}, e.scan(store.Access{Path: store.ByTTL, Until: 10}))
			require.Equal(t, []string{"b", "c", "d"}, e.scan(store.Access{Path: store.ByTTL, Until: 29}))
			require.Equal(t, []string{"b", "c", "d", "a"}, e.scan(store.Access{Path: store.ByTTL, Until: 1 << 50}))
			// What a sweep does: drop while scanning.
			require.NoError(t, e.Scan(e.ctx, e.app, store.Access{Path: store.ByTTL, Until: 20}, func(c *store.Conv) bool {
				e.do(&store.DropConv{Cid: c.Cid})
				return true
			}))
			require.Equal(t, []string{"a"}, e.scan(store.Access{Path: store.ByTTL, Until: 1 << 50}))
		}},
		{"scan/many", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			const n = 700 // more than a store is likely to read at a time
			var want []string
			var things []any
			for i := range n {
				cid := "c" + padded(i)
				c := kindConv(cid, []store.ConvKind{store.KindNormal, store.KindRoom}[i%2], int64(i/5))
				c.TTLEnd = int64(i + 1)
				things = append(things, &store.PutConv{Conv: c}, &store.PutMember{Cid: cid, Member: store.Member{Client: "tom"}})
				want = append(want, cid)
			}
			e.do(things...)
			require.Equal(t, want, e.scan(store.Access{Path: store.ByMember, Client: "tom"}))
			require.Equal(t, want, e.scan(store.Access{Path: store.ByTTL, Until: n}))
			require.Equal(t, want, e.membershipIDs("tom"))
			backwards := make([]string, n)
			for i, cid := range want {
				backwards[n-1-i] = cid
			}
			require.Equal(t, backwards, e.scan(store.Access{Path: store.ByKind}))
		}},
	}
}
