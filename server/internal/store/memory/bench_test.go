package memory_test

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/leanrtm/realtime/server/internal/store"
	"github.com/leanrtm/realtime/server/internal/store/memory"
)

// filled is a store with one conversation of n messages.
func filled(b *testing.B, n int) *memory.Store {
	b.Helper()
	s := memory.New()
	if err := create(s, "c"); err != nil {
		b.Fatal(err)
	}
	for i := range n {
		if err := send(s, "c", int64(i+1), ""); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

func create(s *memory.Store, cid string) error {
	return store.CommitOne(context.Background(), s, store.Batch{App: "app", Ops: []store.Op{
		&store.PutConv{Conv: &store.Conv{Cid: cid, Kind: store.KindNormal, Version: 1}},
	}})
}

func send(s *memory.Store, cid string, seq int64, token string) error {
	batch := [1]store.Batch{{App: "app"}}
	a := store.Append{Cid: cid, Token: token, TokenEnd: seq + 1000, Msg: &store.Message{
		Seq: seq, TS: seq, Mid: strconv.FormatInt(seq, 36), From: "tom", Body: "hello", Flags: store.FlagTyped, Type: -1,
	}}
	ops := [1]store.Op{&a}
	batch[0].Ops = ops[:]
	if token != "" {
		batch[0].Guards = []store.Guard{&store.NewSend{Client: "tom", Cid: cid, Token: token, Now: seq}}
	}
	if errs := s.Commit(context.Background(), batch[:]); errs != nil {
		return errs[0]
	}
	return nil
}

// BenchmarkAppend: the cost of a send must not depend on what is stored already.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{0, 10_000, 1_000_000} {
		b.Run(fmt.Sprintf("after=%d", n), func(b *testing.B) {
			s := filled(b, n)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				seq := int64(n + i + 1)
				if err := send(s, "c", seq, strconv.FormatInt(seq, 10)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkHistory: neither must a page of twenty messages from the middle.
func BenchmarkHistory(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprintf("of=%d", n), func(b *testing.B) {
			s := filled(b, n)
			r := store.Range{Start: store.Bound{Set: true, TS: int64(n / 2)}, Typed: true, Type: -1}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				ms, err := s.Messages(context.Background(), store.LogID{App: "app", Cid: "c"}, r, 20)
				if err != nil || len(ms) != 20 {
					b.Fatal(len(ms), err)
				}
			}
		})
	}
}

// BenchmarkAppendParallel: conversations do not wait for each other.
func BenchmarkAppendParallel(b *testing.B) {
	s := memory.New()
	var n atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		cid := strconv.FormatInt(n.Add(1), 10)
		if err := create(s, cid); err != nil {
			b.Error(err)
			return
		}
		for seq := int64(1); pb.Next(); seq++ {
			if err := send(s, cid, seq, ""); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkAppMessages reads a page of the messages of an app from the middle of
// its time, with the same messages in few or many conversations.
func BenchmarkAppMessages(b *testing.B) {
	const messages = 100_000
	for _, convs := range []int{40, 10_000} {
		s := memory.New()
		for i := range convs {
			if err := create(s, strconv.Itoa(i)); err != nil {
				b.Fatal(err)
			}
		}
		for i := range messages {
			batch := store.Batch{App: "app", Ops: []store.Op{&store.Append{Cid: strconv.Itoa(i % convs), Msg: &store.Message{
				Seq: int64(i/convs + 1), TS: int64(i + 1), Mid: strconv.Itoa(i), From: "tom", Body: "hello",
			}}}}
			if err := store.CommitOne(context.Background(), s, batch); err != nil {
				b.Fatal(err)
			}
		}
		for _, newer := range []bool{true, false} {
			b.Run(fmt.Sprintf("convs=%d,newer=%v", convs, newer), func(b *testing.B) {
				b.ReportAllocs()
				r := store.Range{Newer: newer, Start: store.Bound{Set: true, TS: messages / 2}}
				for b.Loop() {
					page, err := s.AppMessages(context.Background(), "app", "", r, 1000)
					if err != nil || len(page) != 1000 {
						b.Fatal(len(page), err)
					}
				}
			})
		}
	}
}
