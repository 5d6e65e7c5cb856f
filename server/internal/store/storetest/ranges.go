package storetest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/store"
)

// rangeLog fills a log in which times repeat, as imported history may, and
// ids at one time sort unlike their arrival.
func rangeLog(e *env) []store.Message {
	e.create("a")
	var all []store.Message
	add := func(ts int64, mid string, typ int32) {
		m := msg(0, ts, mid, "tom", "")
		switch typ {
		case 0:
		case -99:
			m.Type = 7 // a type without the flag is none
		default:
			m.Flags, m.Type = store.FlagTyped, typ
		}
		e.do(&store.Import{Cid: "a", Msg: m})
	}
	add(20, "b", 7)
	add(10, "a", 0)
	add(20, "a", -1)
	add(20, "c", 7)
	add(30, "a", 7)
	add(30, "\xff", -99)
	add(40, "Z", -1)
	add(50, "z", 7)
	all = append(all, e.history("a", store.Range{}, 99)...)
	require.Equal(e.TB, []string{"a", "a", "b", "c", "a", "\xff", "Z", "z"}, mids(all))
	return all
}

func rangeCases() []testCase {
	return []testCase{
		{"range/every edge", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			all := rangeLog(e)
			bounds := []store.Bound{{}}
			for _, ts := range []int64{0, 10, 20, 25, 30, 1 << 60} {
				for _, mid := range []string{"", "a", "aa", "c", "\xff"} {
					bounds = append(bounds, store.Bound{Set: true, TS: ts, Mid: mid}, store.Bound{Set: true, TS: ts, Mid: mid, Closed: true})
				}
			}
			for _, newer := range []bool{false, true} {
				for i, start := range bounds {
					for j, end := range bounds {
						r := store.Range{Newer: newer, Start: start, End: end}
						if (i+j)%2 == 1 {
							r.Typed, r.Type = true, 7
						}
						for _, n := range []int{0, 2, 99} {
							got := e.history("a", r, n)
							want := plainRange(all, r, n)
							if len(want) == 0 {
								require.Empty(t, got, "%+v limit %d", r, n)
								continue
							}
							require.Equal(t, want, got, "%+v limit %d", r, n)
						}
					}
				}
			}
		}},
		{"range/table", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			rangeLog(e)
			at := func(ts int64, mid string, closed bool) store.Bound {
				return store.Bound{Set: true, TS: ts, Mid: mid, Closed: closed}
			}
			for _, c := range []struct {
				r    store.Range
				n    int
				want string
			}{
				{store.Range{}, 3, "[\xff Z z]"},
				{store.Range{Newer: true}, 3, "[a a b]"},
				{store.Range{Start: at(20, "", false)}, 9, "[a]"},
				{store.Range{Start: at(20, "", true)}, 9, "[a a b c]"},
				{store.Range{Start: at(20, "b", false)}, 9, "[a a]"},
				{store.Range{Start: at(20, "b", true)}, 9, "[a a b]"},
				{store.Range{Start: at(20, "b", true)}, 2, "[a b]"},
				{store.Range{Newer: true, Start: at(20, "", false)}, 9, "[a \xff Z z]"},
				{store.Range{Newer: true, Start: at(20, "", true)}, 9, "[a b c a \xff Z z]"},
				{store.Range{Newer: true, Start: at(20, "b", false), End: at(40, "", false)}, 9, "[c a \xff]"},
				{store.Range{Newer: true, Start: at(20, "b", true), End: at(40, "Z", true)}, 9, "[b c a \xff Z]"},
				{store.Range{Start: at(40, "", false), End: at(20, "b", false)}, 9, "[c a \xff]"},
				{store.Range{Start: at(40, "", false), End: at(20, "b", true)}, 9, "[b c a \xff]"},
				{store.Range{Start: at(1, "", false)}, 9, "[]"},
				{store.Range{End: at(1<<60, "", false)}, 9, "[]"},
				{store.Range{Newer: true, Start: at(1<<60, "", false)}, 9, "[]"},
				{store.Range{Start: at(20, "", false), End: at(30, "", false)}, 9, "[]"},
				{store.Range{Typed: true, Type: 7}, 2, "[a z]"},
				{store.Range{Typed: true, Type: 7, Newer: true}, 9, "[b c a z]"},
				{store.Range{Typed: true, Type: 99}, 9, "[]"},
				{store.Range{Typed: true}, 9, "[]"},
				{store.Range{}, 0, "[]"},
				{store.Range{}, -5, "[]"},
			} {
				require.Equal(t, c.want, fmt.Sprint(mids(e.history("a", c.r, c.n))), "%+v limit %d", c.r, c.n)
			}
		}},
		{"range/iterate", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("a")
			const n = 600
			var want []string
			for i := range n {
				m := msg(int64(i+1), int64(1000+i), "m"+padded(i), "tom", "")
				if i%3 == 0 {
					m.Flags, m.Type = store.FlagTyped, 2
				}
				e.send("a", m)
				want = append(want, m.Mid)
			}
			var got []string
			r := store.Range{}
			for {
				ms := e.history("a", r, 37)
				got = append(mids(ms), got...)
				require.LessOrEqual(t, len(got), n, "pages do not end")
				if len(ms) < 37 {
					break
				}
				r.Start = store.Bound{Set: true, TS: ms[0].TS, Mid: ms[0].Mid}
			}
			require.Equal(t, want, got)
			got, r = nil, store.Range{Newer: true, Typed: true, Type: 2}
			for {
				ms := e.history("a", r, 10)
				got = append(got, mids(ms)...)
				require.LessOrEqual(t, len(got), n, "pages do not end")
				if len(ms) < 10 {
					break
				}
				last := ms[len(ms)-1]
				r.Start = store.Bound{Set: true, TS: last.TS, Mid: last.Mid}
			}
			require.Len(t, got, n/3)
			require.Equal(t, want[3], got[1])
		}},
	}
}

// plainRange is the definition of a range, said in another way than the code under test.
func plainRange(all []store.Message, r store.Range, n int) []store.Message {
	type side struct {
		b     store.Bound
		lower bool
	}
	sides := []side{{r.Start, r.Newer}, {r.End, !r.Newer}}
	out := []store.Message{}
	for _, m := range all {
		ok := !r.Typed || m.Flags&store.FlagTyped != 0 && m.Type == r.Type
		for _, s := range sides {
			if !s.b.Set {
				continue
			}
			less := m.TS < s.b.TS || s.b.Mid != "" && m.TS == s.b.TS && m.Mid < s.b.Mid
			same := m.TS == s.b.TS && (s.b.Mid == "" || m.Mid == s.b.Mid)
			greater := !less && !same
			switch {
			case same:
				ok = ok && s.b.Closed
			case s.lower:
				ok = ok && greater
			default:
				ok = ok && less
			}
		}
		if ok {
			out = append(out, m)
		}
	}
	if n < len(out) {
		if r.Newer {
			return out[:n]
		}
		return out[len(out)-n:]
	}
	return out
}

func importCases() []testCase {
	imp := func(ts int64, mid string) *store.Import {
		return &store.Import{Cid: "a", Msg: msg(999, ts, mid, "tom", mid)}
	}
	seqs := func(e *env) map[string]int64 {
		out := map[string]int64{}
		for _, m := range e.history("a", store.Range{}, 99) {
			out[m.Mid] = m.Seq
		}
		return out
	}
	return []testCase{
		{"import/numbers", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("a")
			e.do(imp(100, "m"))
			require.Equal(t, store.Head{Seq: 0, TS: 100, Mid: "m", FirstSeq: 0}, e.head("a", ""))
			e.do(imp(90, "l"))
			e.do(imp(110, "n"))
			e.do(imp(95, "late"), imp(110, "nn"))
			require.Equal(t, map[string]int64{"l": -1, "m": 0, "late": store.SeqNone, "n": 1, "nn": 2}, seqs(e))
			require.Equal(t, store.Head{Seq: 2, TS: 110, Mid: "nn", FirstSeq: -1}, e.head("a", ""))
			before := e.history("a", store.Range{}, 99)
			for _, op := range []*store.Import{imp(100, "m"), imp(90, "l"), imp(95, "late"), imp(110, "nn")} {
				op.Msg.Body = "changed"
				e.do(op, op)
			}
			require.Equal(t, before, e.history("a", store.Range{}, 99), "importing twice changes nothing")
			require.Equal(t, store.Head{Seq: 2, TS: 110, Mid: "nn", FirstSeq: -1}, e.head("a", ""))
			e.refused(store.GuardSeq, &store.Append{Cid: "a", Msg: msg(3, 110, "zz", "tom", "")})
			e.send("a", msg(3, 111, "live", "tom", ""))
			e.do(imp(89, "k"))
			require.Equal(t, int64(-2), seqs(e)["k"])
			require.Equal(t, int64(-2), e.head("a", "").FirstSeq)
			u, err := e.Unread(e.ctx, e.log("a", ""), "ann", 80, 100)
			require.NoError(t, err)
			require.Equal(t, 6, u.Count, "what was found late is in no count")
		}},
		{"import/after live and erase", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("a")
			e.send("a", msg(1, 100, "m1", "tom", ""))
			e.do(imp(99, "m0"))
			e.do(&store.Erase{Cid: "a", At: store.Pos{TS: 99, Mid: "m0"}}, &store.Erase{Cid: "a", At: store.Pos{TS: 100, Mid: "m1"}})
			e.do(imp(100, "m1"), imp(99, "m0"), imp(99, "a"))
			require.Equal(t, map[string]int64{"m0": store.SeqNone, "m1": store.SeqNone, "a": -1}, seqs(e), "numbers are not used again")
			require.Equal(t, int64(1), e.head("a", "").Seq)
		}},
		{"import/patched", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.create("a")
			m := msg(0, 50, "m", "tom", "x")
			m.PatchTS = 70
			e.do(&store.Import{Cid: "a", Msg: m})
			require.Equal(t, int64(70), e.head("a", "").PatchTS)
			require.Equal(t, []int64{70}, times(e.changes(store.ChangeQuery{Kind: store.Patches, Log: store.LogID{Cid: "a"}}, 69, 9)))
			e.refused(store.GuardPatch, &store.Patch{Cid: "a", At: m.Pos(), TS: 70})
		}},
		{"import/within a batch", func(t testing.TB, open Open) {
			e := newEnv(t, open)
			e.do(&store.PutConv{Conv: conv("a")}, imp(10, "a"), imp(20, "b"), imp(15, "c"),
				&store.Append{Cid: "a", Msg: msg(2, 21, "d", "tom", "")}, &store.Patch{Cid: "a", At: store.Pos{TS: 15, Mid: "c"}, TS: 30},
				&store.Erase{Cid: "a", At: store.Pos{TS: 10, Mid: "a"}})
			require.Equal(t, map[string]int64{"b": 1, "c": store.SeqNone, "d": 2}, seqs(e))
			e.refused(store.GuardSeq, imp(22, "e"), &store.Append{Cid: "a", Msg: msg(3, 23, "f", "tom", "")})
			e.refused(store.GuardMessage, imp(22, "e"), &store.Erase{Cid: "a", At: store.Pos{TS: 22, Mid: "e"}},
				&store.Patch{Cid: "a", At: store.Pos{TS: 22, Mid: "e"}, TS: 31})
			require.Equal(t, int64(2), e.head("a", "").Seq)
		}},
	}
}
