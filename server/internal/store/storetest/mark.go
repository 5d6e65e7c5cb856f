package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/store"
)

func markCases() []testCase {
	return []testCase{
		{"mark/raise", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("a", "tom", "ann")
			for _, c := range []struct{ up, want store.Mark }{
				{store.Mark{ReadTS: 10, ReadSeq: 3, ReadAt: 100}, store.Mark{ReadTS: 10, ReadSeq: 3, AckTS: 10, ReadAt: 100, AckAt: 100}},
				{store.Mark{ReadTS: 9, ReadSeq: 2, ReadAt: 101}, store.Mark{ReadTS: 10, ReadSeq: 3, AckTS: 10, ReadAt: 100, AckAt: 100}},
				{store.Mark{AckTS: 20, AckAt: 102}, store.Mark{ReadTS: 10, ReadSeq: 3, AckTS: 20, ReadAt: 100, AckAt: 102}},
				{store.Mark{ReadTS: 15, ReadAt: 103}, store.Mark{ReadTS: 15, ReadSeq: 3, AckTS: 20, ReadAt: 103, AckAt: 102}},
				{store.Mark{ReadTS: 10, ReadSeq: 7, AckTS: 12, ReadAt: 104, AckAt: 104}, store.Mark{ReadTS: 15, ReadSeq: 7, AckTS: 20, ReadAt: 103, AckAt: 102}},
				{store.Mark{ReadTS: 30, AckTS: 25, ReadAt: 99, AckAt: 105}, store.Mark{ReadTS: 30, ReadSeq: 7, AckTS: 30, ReadAt: 103, AckAt: 105}},
				{store.Mark{}, store.Mark{ReadTS: 30, ReadSeq: 7, AckTS: 30, ReadAt: 103, AckAt: 105}},
			} {
				c.up.Client, c.want.Client = "tom", "tom"
				for range 2 {
					e.do(&store.RaiseMark{Cid: "a", Mark: c.up})
					got, err := e.Marks(e.ctx, e.app, "a", []string{"tom"})
					require.NoError(t, err)
					require.Equal(t, []store.Mark{c.want}, got, "raised by %+v", c.up)
				}
			}
		}},
		{"mark/read", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("a", "tom", "ann")
			e.create("b", "tom")
			for _, id := range []string{"tom", "ann", "guest"} {
				e.do(&store.RaiseMark{Cid: "a", Mark: store.Mark{Client: id, AckTS: 5}})
			}
			ids := func(clients []string) []string {
				ms, err := e.Marks(e.ctx, e.app, "a", clients)
				require.NoError(t, err)
				out := []string{}
				for _, m := range ms {
					out = append(out, m.Client)
				}
				return out
			}
			require.Equal(t, []string{"ann", "guest", "tom"}, ids(nil))
			require.Equal(t, []string{"tom", "ann"}, ids([]string{"tom", "none", "ann"}))
			require.Empty(t, ids([]string{}))
			ms, err := e.Marks(e.ctx, e.app, "b", nil)
			require.NoError(t, err)
			require.Empty(t, ms)
			e.do(&store.DropMember{Cid: "a", Client: "tom"})
			require.Equal(t, []string{"ann", "guest", "tom"}, ids(nil), "a mark outlives membership")
		}},
		{"unread/count", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("a", "tom", "ann")
			unread := func(me string, after int64, limit int) store.Unread {
				u, err := e.Unread(e.ctx, e.log("a", ""), me, after, limit)
				require.NoError(t, err)
				return u
			}
			require.Equal(t, store.Unread{}, unread("ann", 0, 100))
			for i := range int64(10) {
				from := "tom"
				if i%5 == 4 {
					from = "ann"
				}
				m := msg(i+1, 100+i, "m"+padded(int(i)), from, "")
				switch i {
				case 2:
					m.Mentions = []string{"bob", "ann"}
				case 9:
					m.Flags = store.FlagMentionAll
				}
				e.send("a", m)
			}
			require.Equal(t, store.Unread{Count: 8, Mentioned: true}, unread("ann", 0, 100))
			require.Equal(t, store.Unread{Count: 5}, unread("ann", 102, 100), "one's own mention of all does not count")
			require.Equal(t, store.Unread{Count: 6, Mentioned: true}, unread("ann", 101, 100))
			require.Equal(t, store.Unread{Count: 2, Mentioned: true}, unread("tom", 0, 100))
			require.Equal(t, store.Unread{Count: 1, Mentioned: true}, unread("tom", 108, 100))
			require.Equal(t, store.Unread{}, unread("tom", 109, 100))
			require.Equal(t, store.Unread{}, unread("tom", 1<<50, 100))
			require.Equal(t, store.Unread{Count: 3}, unread("ann", 0, 3), "mentions are looked for in what was counted")
			require.Equal(t, store.Unread{}, unread("ann", 0, 0))
			require.Equal(t, store.Unread{Count: 10, Mentioned: true}, unread("bob", 0, 100))
			for i := range int64(150) {
				e.send("a", msg(11+i, 200+i, "n"+padded(int(i)), "tom", ""))
			}
			require.Equal(t, store.Unread{Count: 100}, unread("ann", 0, 100))
			require.Equal(t, store.Unread{Count: 2, Mentioned: true}, unread("tom", 0, 100))
			e.do(&store.Patch{Cid: "a", At: store.Pos{TS: 102, Mid: "m000002"}, TS: 900})
			require.Equal(t, store.Unread{Count: 158}, unread("ann", 0, 500), "an edit may take a mention back")
			u, err := e.Unread(e.ctx, e.log("none", ""), "ann", 0, 9)
			require.NoError(t, err)
			require.Equal(t, store.Unread{}, u)
		}},
	}
}
