package memory

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/store"
)

// TestLogAgainstSlice compares a log with a plain list of messages while so many
// are edited and erased that the text is written anew several times.
func TestLogAgainstSlice(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var l msgLog
	var want []*store.Message
	rewritten := 0
	garbage := 0
	for step := range 8000 {
		switch n := r.IntN(8); {
		case n < 3 || len(want) == 0:
			m := &store.Message{TS: int64(step / 3), Mid: fmt.Sprintf("%05d", step), Seq: int64(step), From: "tom", IP: "::1", Body: strings.Repeat("x", r.IntN(300))}
			if r.IntN(2) == 0 {
				m.Flags, m.Type = store.FlagTyped, int32(r.IntN(4))
			}
			if r.IntN(4) == 0 {
				m.Mentions = []string{"ann", "bob"}
			}
			want = append(want, m)
			l.enter(m)
		case n < 6:
			i := r.IntN(len(want))
			m := *want[i]
			m.PatchTS, m.PatchCode, m.PatchReason = int64(step), int32(r.IntN(3)), "why"
			m.Flags, m.Type, m.Body = store.FlagTyped, int32(r.IntN(4)), strings.Repeat("y", r.IntN(300))
			want[i] = &m
			l.replace(l.copyWith(&m))
		default:
			i := r.IntN(len(want))
			l.erase(want[i].Pos())
			want = slices.Delete(want, i, i+1)
		}
		if l.text.garbage < garbage {
			rewritten++
		}
		garbage = l.text.garbage
		require.LessOrEqual(t, garbage, pieceSize+l.text.size()/2)
		if step%500 == 0 {
			compareLog(t, &l, want)
		}
	}
	compareLog(t, &l, want)
	require.Greater(t, rewritten, 2)
}

// copyWith is a message as a caller of replace has it.
func (l *msgLog) copyWith(m *store.Message) *store.Message {
	c := l.find(m.Pos())
	*c = *m
	return c
}

func compareLog(t *testing.T, l *msgLog, want []*store.Message) {
	t.Helper()
	read := func(r store.Range) []*store.Message {
		var got []*store.Message
		l.walk(r, func(m *store.Message) bool {
			c := *m
			got = append(got, &c)
			return true
		})
		return got
	}
	require.Equal(t, want, read(store.Range{Newer: true}))
	for typ := range int32(5) {
		var some []*store.Message
		for _, m := range want {
			if m.Flags.Has(store.FlagTyped) && m.Type == typ {
				some = append(some, m)
			}
		}
		require.Equal(t, some, read(store.Range{Newer: true, Typed: true, Type: typ}))
	}
	var changed []*store.Message
	for _, m := range want {
		if m.PatchTS > 0 {
			changed = append(changed, m)
		}
	}
	slices.SortFunc(changed, func(a, b *store.Message) int { return cmp.Compare(a.PatchTS, b.PatchTS) })
	var got []*store.Message
	for _, c := range patchPage(l, 0, len(want)+1, false).Items {
		got = append(got, c.Message)
	}
	require.Equal(t, changed, got)
}

// TestMessageText writes messages and reads them back.
func TestMessageText(t *testing.T) {
	for _, m := range []store.Message{
		{},
		{TS: -5, Mid: "a", Seq: store.SeqNone, From: "\x00\xff", Flags: 0xffff, Type: -2147483648, Body: strings.Repeat("b", 70_000)},
		{TS: 1 << 60, Seq: 1 << 62, Type: 2147483647, Mentions: []string{"", "x"}, PatchTS: 1, PatchCode: -3, PatchReason: "r", IP: "::1"},
	} {
		text := string(appendMessage([]byte(nil), &m)) + "more"
		var got store.Message
		require.Equal(t, len(text)-4, message(text, m.TS, &got))
		require.Equal(t, m, got)
		require.Equal(t, m.Mid, mid(text))
		require.Equal(t, m.From, sender(text))
	}
}

// TestSendLogKeepsIDs finds ids again that fit a row and ids that do not.
func TestSendLogKeepsIDs(t *testing.T) {
	l := newSendLog()
	for n := range 60 {
		k := store.SendKey{App: "app", Client: "tom", Cid: "c", Token: fmt.Sprint(n)}
		want := store.Sent{Mid: strings.Repeat("m", n), TS: int64(n), End: int64(n + 10)}
		l.add(l.hash(k), k.Cid, want, int64(n))
		got, ok := l.find(l.hash(k))
		require.True(t, ok)
		require.Equal(t, want, got)
	}
	require.LessOrEqual(t, len(l.long), 12, "those that have ended are forgotten")
}
