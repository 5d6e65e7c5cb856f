package engine

import (
	"context"
	"fmt"
	"strconv"
	"testing"
)

// BenchmarkGrowth is a send while more and more is stored: messages in the
// conversation, or conversations beside it. Every case compares only with the
// others: what is stored must not matter.
func BenchmarkGrowth(b *testing.B) {
	for _, messages := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprintf("messages=%d", messages), func(b *testing.B) {
			e, _ := start(b)
			ids := members(2)
			cid := mustCreate(b, e, ids...)
			fill(b, e, ids[0], "before", []string{cid}, shortened(messages))
			b.ReportAllocs()
			b.ResetTimer()
			fill(b, e, ids[0], "now", []string{cid}, b.N)
		})
	}
	for _, convs := range []int{10, 100_000} {
		b.Run(fmt.Sprintf("convs=%d", convs), func(b *testing.B) {
			e, _ := start(b)
			ids := members(2)
			cids := make([]string, shortened(convs))
			for i := range cids {
				cids[i] = mustCreate(b, e, ids[0], strconv.Itoa(i))
			}
			fill(b, e, ids[0], "before", cids, len(cids))
			b.ReportAllocs()
			b.ResetTimer()
			fill(b, e, ids[0], "now", cids, b.N)
		})
	}
}

// shortened is a hundredth of what is too large for -short.
func shortened(n int) int {
	if testing.Short() && n > 1000 {
		return n / 100
	}
	return n
}

// fill sends n messages, to one conversation after the other. No token is used
// twice with the same prefix.
func fill(b *testing.B, e *Engine, from, prefix string, cids []string, n int) {
	by := as(from)
	o := Outgoing{Body: benchBody}
	for i := range n {
		o.Token = prefix + strconv.Itoa(i)
		if _, err := e.Send(context.Background(), by, cids[i%len(cids)], &o); err != nil {
			b.Fatal(err)
		}
	}
}
