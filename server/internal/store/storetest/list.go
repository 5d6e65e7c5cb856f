package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/store"
)

func listCases() []testCase {
	kinds := []store.ListKind{store.ListBlocked, store.ListShutup, store.ListSilenced, store.ListOwnBlock}
	return []testCase{
		{"list/entries", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("o")
			for _, kind := range kinds {
				id := store.ListID{App: e.app, Kind: kind, Owner: "o"}
				put := func(x store.Entry) store.Op { return &store.PutEntry{List: kind, Owner: "o", Entry: x} }
				count := func() int {
					n, err := e.CountEntries(e.ctx, id)
					require.NoError(t, err)
					return n
				}
				page := func(after string, n int) []string {
					es, err := e.Entries(e.ctx, id, after, n)
					require.NoError(t, err)
					out := []string{}
					for _, x := range es {
						out = append(out, x.ID)
					}
					return out
				}
				require.Zero(t, count(), "lists of other kinds are other lists")
				require.Empty(t, page("", 9))
				for _, c := range []string{"c", "a", "b", "ab"} {
					e.do(put(store.Entry{ID: c, Since: 1, End: 2, By: "tom"}))
				}
				require.Equal(t, []string{"a", "ab", "b", "c"}, page("", 9))
				require.Equal(t, []string{"a", "ab"}, page("", 2))
				require.Equal(t, []string{"b", "c"}, page("ab", 2))
				require.Equal(t, []string{"b"}, page("aba", 1))
				require.Empty(t, page("c", 9))
				require.Empty(t, page("", 0))
				require.Equal(t, 4, count())
				e.do(put(store.Entry{ID: "a", Since: 5}))
				require.Equal(t, 4, count())
				found, err := e.FindEntries(e.ctx, id, []string{"x", "a", "c"})
				require.NoError(t, err)
				require.Len(t, found, 3)
				require.Nil(t, found[0])
				require.Equal(t, &store.Entry{ID: "a", Since: 5}, found[1])
				require.Equal(t, &store.Entry{ID: "c", Since: 1, End: 2, By: "tom"}, found[2])
				e.do(&store.DropEntry{List: kind, Owner: "o", ID: "a"})
				e.do(&store.DropEntry{List: kind, Owner: "o", ID: "a"}, &store.DropEntry{List: kind, Owner: "p", ID: "b"})
				require.Equal(t, []string{"ab", "b", "c"}, page("", 9))
				require.Equal(t, 3, count())
				n, err := e.CountEntries(e.ctx, store.ListID{App: "other", Kind: kind, Owner: "o"})
				require.NoError(t, err)
				require.Zero(t, n)
			}
		}},
		{"list/block and remove in one batch", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("a", "tom", "ann")
			e.refused(store.GuardVersion, &store.Version{Cid: "a", N: 9},
				&store.PutEntry{List: store.ListBlocked, Owner: "a", Entry: store.Entry{ID: "ann"}}, &store.DropMember{Cid: "a", Client: "ann"})
			require.Equal(t, []string{"a"}, e.membershipIDs("ann"))
			e.do(&store.Version{Cid: "a", N: 1},
				&store.PutEntry{List: store.ListBlocked, Owner: "a", Entry: store.Entry{ID: "ann"}}, &store.DropMember{Cid: "a", Client: "ann"})
			require.Empty(t, e.membershipIDs("ann"))
			found, err := e.FindEntries(e.ctx, store.ListID{App: e.app, Kind: store.ListBlocked, Owner: "a"}, []string{"ann"})
			require.NoError(t, err)
			require.NotNil(t, found[0])
			// A client's own list needs no conversation and no earlier trace of the client.
			e.do(&store.PutEntry{List: store.ListOwnBlock, Owner: "new", Entry: store.Entry{ID: "nowhere"}})
		}},
	}
}

func recordCases() []testCase {
	const kind = store.RecordTag
	rec := func(key string, version int64, body string) *store.PutRecord {
		return &store.PutRecord{Record: &store.Record{Kind: kind, Key: key, Version: version, Body: []byte(body)}}
	}
	return []testCase{
		{"record/put, find, drop", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.do(rec("a", 1, "one"))
			e.do(rec("a", 2, "two"), rec("b", 1, "bee"))
			found, err := e.FindRecords(e.ctx, kind, e.app, []string{"b", "x", "a"})
			require.NoError(t, err)
			require.Len(t, found, 3)
			require.Equal(t, &store.Record{Kind: kind, Key: "b", Version: 1, Body: []byte("bee")}, found[0])
			require.Nil(t, found[1])
			require.Equal(t, &store.Record{Kind: kind, Key: "a", Version: 2, Body: []byte("two")}, found[2])
			for _, other := range []struct {
				app  string
				kind store.RecordKind
			}{{"other", kind}, {e.app, store.RecordFile}, {e.app, kind + "x"}} {
				found, err := e.FindRecords(e.ctx, other.kind, other.app, []string{"a"})
				require.NoError(t, err)
				require.Equal(t, []*store.Record{nil}, found)
				list, err := e.Records(e.ctx, other.kind, other.app, "", "", 9)
				require.NoError(t, err)
				require.Empty(t, list)
			}
			e.do(&store.DropRecord{Kind: kind, Key: "a"}, &store.DropRecord{Kind: kind, Key: "a"})
			e.do(&store.DropRecord{Kind: store.RecordFile, Key: "b"})
			list, err := e.Records(e.ctx, kind, e.app, "", "", 9)
			require.NoError(t, err)
			require.Len(t, list, 1)
		}},
		{"record/pages", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			for _, k := range []string{"a", "ab", "abc", "abd", "ac", "b", "ab\xff", "ab\xff\xff", "B"} {
				e.do(rec(k, 1, k))
			}
			page := func(prefix, after string, n int) []string {
				rs, err := e.Records(e.ctx, kind, e.app, prefix, after, n)
				require.NoError(t, err)
				out := []string{}
				for _, r := range rs {
					out = append(out, r.Key)
				}
				return out
			}
			require.Equal(t, []string{"B", "a", "ab", "abc", "abd", "ab\xff", "ab\xff\xff", "ac", "b"}, page("", "", 99))
			require.Equal(t, []string{"ab", "abc", "abd", "ab\xff", "ab\xff\xff"}, page("ab", "", 99))
			require.Equal(t, []string{"ab", "abc"}, page("ab", "", 2))
			require.Equal(t, []string{"abd", "ab\xff"}, page("ab", "abc", 2))
			require.Equal(t, []string{"ab\xff", "ab\xff\xff"}, page("ab\xff", "", 9))
			require.Equal(t, []string{"ab", "abc", "abd", "ab\xff", "ab\xff\xff"}, page("ab", "a", 9), "a cursor before the prefix")
			require.Empty(t, page("ab", "ac", 9), "a cursor behind the prefix")
			require.Empty(t, page("abx", "", 9))
			require.Equal(t, []string{"b"}, page("", "ac", 9))
			require.Empty(t, page("", "", 0))
		}},
		{"record/version guard", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.do(&store.RecordVersion{Kind: kind, Key: "a"}, rec("a", 1, "tom"))
			g := e.refused(store.GuardRecord, &store.RecordVersion{Kind: kind, Key: "a"}, rec("a", 1, "ann"))
			require.Equal(t, int64(1), g.N)
			require.Equal(t, "a", g.Found)
			e.refused(store.GuardRecord, &store.RecordVersion{Kind: kind, Key: "b", N: 1}, rec("a", 1, "ann"))
			e.do(&store.RecordVersion{Kind: kind, Key: "a", N: 1}, rec("a", 2, "ann"))
			e.refused(store.GuardRecord, &store.RecordVersion{Kind: kind, Key: "a", N: 1}, rec("a", 2, "bob"))
			found, err := e.FindRecords(e.ctx, kind, e.app, []string{"a"})
			require.NoError(t, err)
			require.Equal(t, "ann", string(found[0].Body))
			e.do(&store.DropRecord{Kind: kind, Key: "a"})
			e.do(&store.RecordVersion{Kind: kind, Key: "a"}, rec("a", 1, "bob"))
		}},
	}
}
