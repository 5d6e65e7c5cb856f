package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/store"
)

// hostileIDs are pairwise different, prefix each other, are not UTF-8, or look like something else.
func hostileIDs() []string {
	return []string{"", "\x00", "\x00\x01", "a", "a\x00", "a\x00b", "a\x00\x01", "ab", "A", "a ", "é", "e\u0301", "\xff", "\xff\xfe", "$in", "$all", "=", "%", "a/b", "a:b", "'"}
}

func idCases() []testCase {
	return []testCase{
		{"ids/hostile everywhere", func(t testing.TB, open Open) {
			base := newEnv(t, open)
			ids := hostileIDs()
			apps := []string{"", "a", "ab", "a\x00", "\xff"}
			for i, app := range apps {
				e := base.in(app)
				for j, id := range ids {
					c := conv(id)
					c.Creator, c.UniqueKey, c.UniqueID = app, id, id
					e.do(&store.Version{Cid: id}, &store.FreeKey{Key: id}, &store.PutConv{Conv: c})
					n := int64(100*i + j + 1)
					things := []any{}
					for _, client := range ids[:j+1] {
						things = append(things, &store.PutMember{Cid: id, Member: store.Member{Client: client, Joined: n}})
					}
					e.do(append(things,
						&store.Append{Cid: id, Msg: msg(1, n, id, id, app), Token: id, TokenEnd: 1 << 40},
						&store.Append{Cid: id, View: store.ClientView(id), Msg: msg(1, n+1, id, id, id)},
						&store.RaiseMark{Cid: id, Mark: store.Mark{Client: id, ReadTS: n}},
						&store.AddEvent{Cid: id, Event: store.Event{TS: n, Op: id}},
						&store.AddNote{Client: id, Note: store.Note{TS: n, Op: id, Cid: id}},
						&store.PutEntry{List: store.ListBlocked, Owner: id, Entry: store.Entry{ID: id, Since: n}},
						&store.PutEntry{List: store.ListOwnBlock, Owner: id, Entry: store.Entry{ID: id, Since: n}},
						&store.PutRecord{Record: &store.Record{Kind: store.RecordTag, Key: id, Version: n}},
					)...)
				}
			}
			for i, app := range apps {
				e := base.in(app)
				for j, id := range ids {
					n := int64(100*i + j + 1)
					c := e.one(id)
					require.NotNil(t, c, "app %q id %q", app, id)
					require.Equal(t, app, c.Creator)
					require.Equal(t, int64(j+1), c.Count)
					require.Equal(t, store.Head{Seq: 1, TS: n, Mid: id, FirstSeq: 1, EventTS: n}, c.Head)
					require.Equal(t, app, c.Last.Body)
					require.Equal(t, id, c.Last.From)
					if id != "" {
						require.Equal(t, []string{id}, e.scan(store.Access{Path: store.ByKey, Key: id}))
					}
					require.Equal(t, n+1, e.head(id, store.ClientView(id)).TS)
					ms, err := e.FindMembers(e.ctx, app, []store.MemberKey{{Cid: id, Client: id}})
					require.NoError(t, err)
					require.Equal(t, n, ms[0].Joined)
					ships, err := e.Memberships(e.ctx, app, id, "", 99)
					require.NoError(t, err)
					require.Len(t, ships, len(ids)-j, "%q is in its own conversation and all later ones", id)
					marks, err := e.Marks(e.ctx, app, id, nil)
					require.NoError(t, err)
					require.Equal(t, []store.Mark{{Client: id, ReadTS: n, AckTS: n}}, marks)
					_, found, err := e.Sent(e.ctx, store.SendKey{App: app, Client: id, Cid: id, Token: id})
					require.NoError(t, err)
					require.Equal(t, id != "", found, "an empty token is no token")
					require.Equal(t, []int64{n}, times(e.changes(store.ChangeQuery{Kind: store.Events, Log: store.LogID{Cid: id}}, 0, 9)))
					require.Equal(t, []int64{n}, times(e.changes(store.ChangeQuery{Kind: store.Droppables, Client: id}, 0, 9)))
					for _, kind := range []store.ListKind{store.ListBlocked, store.ListOwnBlock} {
						es, err := e.Entries(e.ctx, store.ListID{App: app, Kind: kind, Owner: id}, "", 9)
						require.NoError(t, err)
						require.Equal(t, []store.Entry{{ID: id, Since: n}}, es)
					}
					rs, err := e.FindRecords(e.ctx, store.RecordTag, app, []string{id})
					require.NoError(t, err)
					require.Equal(t, n, rs[0].Version)
				}
				require.Len(t, e.scan(store.Access{Path: store.ByKind}), len(ids))
			}
			// Dropping one leaves its neighbours alone.
			e := base.in("a")
			e.do(&store.DropConv{Cid: "a"}, &store.DropRecord{Kind: store.RecordTag, Key: "a"}, &store.DropMember{Cid: "ab", Client: ""})
			require.Nil(t, e.one("a"))
			require.NotNil(t, base.in("ab").one("a"))
			require.Len(t, e.scan(store.Access{Path: store.ByKind}), len(ids)-1)
			rs, err := e.Records(e.ctx, store.RecordTag, "a", "", "", 99)
			require.NoError(t, err)
			require.Len(t, rs, len(ids)-1)
			require.NotContains(t, clientsOf(e.one("ab").Members), "")
		}},
		{"ids/order is that of bytes", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("c", hostileIDs()...)
			ms, err := e.Members(e.ctx, e.app, "c", "", 99)
			require.NoError(t, err)
			require.Len(t, ms, len(hostileIDs()))
			require.IsIncreasing(t, clientsOf(ms))
		}},
		{"ids/key function", func(t testing.TB, _ Open) {
			parts := hostileIDs()
			seen := map[string][]string{}
			for _, a := range parts {
				for _, b := range parts {
					k := store.Key(a, b)
					require.NotContains(t, seen, k)
					seen[k] = []string{a, b}
					got, ok := store.SplitKey(k)
					require.True(t, ok)
					require.Equal(t, []string{a, b}, got)
					require.Greater(t, len(k), len(store.Key(a)))
					for _, c := range parts {
						require.Equal(t, a == c, len(k) >= len(store.Key(c)) && k[:len(store.Key(c))] == store.Key(c))
						require.Equal(t, a < c || a == c && b < "m", k < store.Key(c, "m"), "%q %q against %q", a, b, c)
					}
				}
			}
			for _, bad := range []string{"a", "\x00", "a\x00", "a\x00\x02", "\x00\x01x"} {
				_, ok := store.SplitKey(bad)
				require.False(t, ok, "%q", bad)
			}
			for _, c := range append(hostileIDs(), "=x") {
				require.NotContains(t, []string{store.ViewMain, store.ViewInbound, store.ViewAll}, store.ClientView(c))
				back, ok := store.ViewClient(store.ClientView(c))
				require.True(t, ok)
				require.Equal(t, c, back)
			}
			_, ok := store.ViewClient(store.ViewAll)
			require.False(t, ok)
		}},
	}
}
