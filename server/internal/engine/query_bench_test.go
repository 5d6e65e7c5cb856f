package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/leanrtm/realtime/server/internal/store"
)

// BenchmarkQuery asks among many conversations of others for those with an
// attribute, and for the newest and those with the latest message. The floor is
// one walk over all of them that looks at nothing.
func BenchmarkQuery(b *testing.B) {
	n := shortened(20_000)
	ctx := context.Background()
	e, _ := start(b)
	for i := range n {
		if _, err := e.Create(ctx, as("tom"), NewConv{
			Kind: store.KindNormal, Members: []string{fmt.Sprint("member-", i/10)},
			Attrs: json.RawMessage(fmt.Sprintf(`{"name":"第 %d 组","attr":{"type":"group","level":%d,"pinned":false,"topic":"the quick brown fox"},"score":%d}`, i, i%1000, i%100)),
		}); err != nil {
			b.Fatal(err)
		}
	}
	for _, q := range []struct {
		name string
		q    ConvQuery
		want int
	}{
		{"name", ConvQuery{Where: []byte(`{"name":"第 7 组"}`)}, 1},
		{"in", ConvQuery{Where: []byte(`{"name":{"$in":["第 7 组","第 9 组","none"]}}`)}, 2},
		{"dotted", ConvQuery{Where: []byte(`{"attr.level":7}`)}, n / 1000},
		{"range", ConvQuery{Where: []byte(`{"score":{"$gte":98}}`)}, n / 50},
		{"regex", ConvQuery{Where: []byte(`{"name":{"$regex":"^第 77 "}}`)}, 1},
		{"newest", ConvQuery{Where: []byte(`{"tr":{"$ne":true}}`), Sort: "-createdAt"}, n},
		{"latest", ConvQuery{Where: []byte(`{"tr":{"$ne":true}}`), Sort: "-lm"}, n},
	} {
		b.Run(q.name, func(b *testing.B) {
			q.q.Limit, q.q.Compact = 10, true
			b.ReportAllocs()
			for b.Loop() {
				text, err := e.Query(ctx, as("tom"), q.q)
				if err != nil {
					b.Fatal(err)
				}
				var found []struct{}
				if err := json.Unmarshal(text, &found); err != nil || len(found) != min(q.want, 10) {
					b.Fatalf("%d conversations, want %d: %v", len(found), min(q.want, 10), err)
				}
			}
		})
	}
	b.Run("floor", func(b *testing.B) {
		for b.Loop() {
			seen := 0
			if err := e.store.Scan(ctx, testApp, store.Access{Path: store.ByKind}, func(*store.Conv) bool {
				seen++
				return true
			}); err != nil || seen != n {
				b.Fatal(seen, err)
			}
		}
	})
}
