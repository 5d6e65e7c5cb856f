package storetest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/store"
)

func padded(i int) string { return fmt.Sprintf("%06d", i) }

func memberCases() []testCase {
	return []testCase{
		{"member/put and drop", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("a", "tom")
			e.create("b", "tom", "ann")
			full := store.Member{Client: "bob", Joined: 77, Role: store.RoleManager, InfoID: "info", Muted: true}
			e.do(&store.PutMember{Cid: "a", Member: full})
			found, err := e.FindMembers(e.ctx, e.app, []store.MemberKey{{Cid: "a", Client: "bob"}, {Cid: "b", Client: "bob"}, {Cid: "x", Client: "bob"}, {Cid: "a", Client: "tom"}})
			require.NoError(t, err)
			require.Len(t, found, 4)
			require.Equal(t, &full, found[0])
			require.Nil(t, found[1])
			require.Nil(t, found[2])
			require.Equal(t, "tom", found[3].Client)
			require.Equal(t, []string{"a"}, e.membershipIDs("bob"))

			again := store.Member{Client: "bob", Joined: 78}
			e.do(&store.PutMember{Cid: "a", Member: again}, &store.PutMember{Cid: "a", Member: again})
			require.Equal(t, int64(2), e.one("a").Count, "putting again replaces")
			require.Equal(t, again, e.one("a").Members[0])

			e.do(&store.DropMember{Cid: "a", Client: "bob"})
			e.do(&store.DropMember{Cid: "a", Client: "bob"})
			e.do(&store.DropMember{Cid: "b", Client: "bob"})
			require.Equal(t, []string{"tom"}, clientsOf(e.one("a").Members))
			require.Equal(t, int64(1), e.one("a").Count)
			require.Empty(t, e.membershipIDs("bob"))
			require.Equal(t, []string{"a", "b"}, e.membershipIDs("tom"))

			e.do(&store.PutMember{Cid: "a", Member: again}, &store.DropMember{Cid: "a", Client: "bob"})
			require.Empty(t, e.membershipIDs("bob"), "operations apply in order")
			e.do(&store.DropMember{Cid: "a", Client: "tom"}, &store.PutMember{Cid: "a", Member: store.Member{Client: "tom", Joined: 5}})
			require.Equal(t, []string{"a", "b"}, e.membershipIDs("tom"))
			require.Equal(t, int64(5), e.one("a").Members[0].Joined)
		}},
		{"member/pages", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("a", "b", "a", "c", "ab", "abc", "B")
			want := []string{"B", "a", "ab", "abc", "b", "c"}
			for size := 1; size <= 7; size++ {
				var got []string
				after := ""
				for {
					ms, err := e.Members(e.ctx, e.app, "a", after, size)
					require.NoError(t, err)
					require.LessOrEqual(t, len(ms), size)
					got = append(got, clientsOf(ms)...)
					require.Less(t, len(got), endless, "pages do not end")
					if len(ms) < size {
						break
					}
					after = ms[len(ms)-1].Client
				}
				require.Equal(t, want, got, "pages of %d", size)
			}
			ms, err := e.Members(e.ctx, e.app, "a", "aa", 2)
			require.NoError(t, err)
			require.Equal(t, []string{"ab", "abc"}, clientsOf(ms), "the cursor need not exist")
			for _, n := range []int{0, -1} {
				ms, err = e.Members(e.ctx, e.app, "a", "", n)
				require.NoError(t, err)
				require.Empty(t, ms)
			}
			ms, err = e.Members(e.ctx, e.app, "absent", "", 9)
			require.NoError(t, err)
			require.Empty(t, ms)
		}},
		{"member/login snapshot", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			temp := kindConv("t", store.KindTemporary, 1)
			temp.TTLEnd = 500
			e.createAs(temp, "tom")
			e.createAs(kindConv("s", store.KindService, 1), "tom", "ann")
			e.create("n", "tom")
			e.do(
				&store.Append{Cid: "s", Msg: msg(1, 10, "pub", "gm", "all")},
				&store.Append{Cid: "s", View: store.ClientView("tom"), Msg: msg(1, 11, "priv", "gm", "you")},
				&store.Append{Cid: "s", View: store.ClientView("ann"), Msg: msg(1, 12, "hers", "gm", "her")},
				&store.RaiseMark{Cid: "s", Mark: store.Mark{Client: "tom", ReadTS: 10, ReadSeq: 1, ReadAt: 20}},
				&store.RaiseMark{Cid: "s", Mark: store.Mark{Client: "ann", ReadTS: 9}},
				&store.Append{Cid: "n", View: store.ClientView("tom"), Msg: msg(1, 9, "odd", "gm", "not a service")},
			)
			ms, err := e.Memberships(e.ctx, e.app, "tom", "", 9)
			require.NoError(t, err)
			require.Equal(t, []store.Membership{
				{Cid: "n", Kind: store.KindNormal, Member: store.Member{Client: "tom", Joined: 1000}, Mark: store.Mark{Client: "tom"}},
				{
					Cid: "s", Kind: store.KindService, Member: store.Member{Client: "tom", Joined: 1},
					Head: store.Head{Seq: 1, TS: 10, Mid: "pub", FirstSeq: 1},
					Own:  store.Head{Seq: 1, TS: 11, Mid: "priv", FirstSeq: 1},
					Mark: store.Mark{Client: "tom", ReadTS: 10, ReadSeq: 1, AckTS: 10, ReadAt: 20, AckAt: 20},
				},
				{Cid: "t", Kind: store.KindTemporary, Member: store.Member{Client: "tom", Joined: 1}, TTLEnd: 500, Mark: store.Mark{Client: "tom"}},
			}, ms)
			ms, err = e.Memberships(e.ctx, e.app, "tom", "n", 1)
			require.NoError(t, err)
			require.Len(t, ms, 1)
			require.Equal(t, "s", ms[0].Cid)
			ms, err = e.Memberships(e.ctx, e.app, "nobody", "", 9)
			require.NoError(t, err)
			require.Empty(t, ms)
		}},
	}
}
