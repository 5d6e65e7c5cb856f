package engine

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/leanrtm/realtime/server/internal/store"
)

func members(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("client-%04d", i)
	}
	return ids
}

const benchBody = `{"_lctype":-1,"_lctext":"the quick brown fox jumps over the lazy dog","_lcattrs":{"k":"v","n":12345}}`

func BenchmarkSend(b *testing.B) {
	for _, n := range []int{2, 50, 500} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			e, _ := start(b)
			ids := members(n)
			cid := mustCreate(b, e, ids...)
			by := as(ids[0])
			o := Outgoing{Body: benchBody}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				o.Token = strconv.Itoa(i)
				if _, err := e.Send(context.Background(), by, cid, &o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Many conversations at once: what they share must not be in the way.
func BenchmarkSendParallel(b *testing.B) {
	e, _ := start(b)
	ids := members(10)
	cids := make([]string, 256)
	for i := range cids {
		cids[i] = mustCreate(b, e, ids...)
	}
	var next atomic.Uint32
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		n := next.Add(97)
		by := as(ids[n%10])
		for pb.Next() {
			n++
			if _, err := e.Send(context.Background(), by, cids[n%256], &Outgoing{Body: benchBody}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkFrame(b *testing.B) {
	m := &store.Message{From: "tom", Body: benchBody}
	m.Mid, m.TS = "wb0WUGh6T7SxN9lqQG1qSw", 1_700_000_000_000
	d := delivery{cid: "507f1f77bcf86cd799439011", kind: 1, m: m}
	b.ReportAllocs()
	for b.Loop() {
		d.frame()
	}
}
