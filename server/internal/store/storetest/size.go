package storetest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/store"
)

func sizeCases() []testCase {
	return []testCase{
		{"size/large values", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			const size = 64 << 10
			bytes := make([]byte, size)
			for i := range bytes {
				bytes[i] = byte(i)
			}
			body := string(bytes)
			c := conv("a")
			c.Attrs = json.RawMessage(`{"x":"` + strings.Repeat("y", size) + `"}`)
			e.createAs(c)
			m := msg(1, 1, "m", "tom", body)
			m.Flags = store.FlagBinary
			e.send("a", m)
			e.do(&store.Patch{Cid: "a", At: m.Pos(), TS: 5, Body: body + body, Flags: store.FlagBinary},
				&store.AddEvent{Cid: "a", Event: store.Event{TS: 6, Body: bytes}},
				&store.PutRecord{Record: &store.Record{Kind: "k", Key: body, Version: 1, Body: bytes}})
			require.Equal(t, c.Attrs, e.one("a").Attrs)
			require.True(t, e.one("a").Last.Body == body+body)
			require.True(t, string(e.changes(store.ChangeQuery{Kind: store.Events, Log: store.LogID{Cid: "a"}}, 0, 1).Items[0].Body) == body)
			rs, err := e.FindRecords(e.ctx, "k", e.app, []string{body})
			require.NoError(t, err)
			require.True(t, string(rs[0].Body) == body)
		}},
		{"size/5000 members", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			const n = 5000
			var names []string
			for i := range n {
				// Not in order, so that insertion has work.
				names = append(names, "u"+padded(i*7919%n))
			}
			e.create("a", names...)
			require.Equal(t, int64(n), e.one("a").Count)
			require.Len(t, e.one("a").Members, n)
			var got []string
			for after := ""; ; after = got[len(got)-1] {
				ms, err := e.Members(e.ctx, e.app, "a", after, 499)
				require.NoError(t, err)
				if len(ms) == 0 {
					break
				}
				got = append(got, clientsOf(ms)...)
				require.Less(t, len(got), endless, "pages do not end")
			}
			require.Len(t, got, n)
			require.IsIncreasing(t, got)
			require.Equal(t, []string{"a"}, e.membershipIDs("u004999"))
			var things []any
			for i := 0; i < n; i += 2 {
				things = append(things, &store.DropMember{Cid: "a", Client: "u" + padded(i)})
			}
			e.do(things...)
			require.Equal(t, int64(n/2), e.one("a").Count)
			require.Empty(t, e.membershipIDs("u004998"))
			require.Equal(t, []string{"a"}, e.membershipIDs("u004999"))
			e.do(&store.DropConv{Cid: "a"})
			require.Empty(t, e.membershipIDs("u004999"))
		}},
	}
}
