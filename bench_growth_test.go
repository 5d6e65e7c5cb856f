package realtime_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/leanrtm/realtime"
)

// BenchmarkSendInTurn sends each message to another conversation, of few and of
// many, with 64 in flight. The two cases are each other's floor: how many
// conversations there are must not matter, and what it does matter is what the
// caches of the processor and the garbage collector make of it.
func BenchmarkSendInTurn(b *testing.B) {
	const inFlight = 64
	for _, n := range []int{10, 100_000} {
		b.Run(fmt.Sprintf("convs=%d", n), func(b *testing.B) {
			if testing.Short() {
				n = max(n/100, 10)
			}
			ctx := context.Background()
			// The creator is told of all of them before it asks what they are.
			rt := benchRealtimeWith(b, realtime.Options{Server: benchServer(b), EventQueue: 4*n + 1000})
			tom, err := rt.CreateIMClient(ctx, "Tom")
			if err != nil {
				b.Fatal(err)
			}
			convs := make([]*realtime.Conversation, n)
			each := func(n int, f func(i int) error) {
				var next atomic.Int64
				var workers sync.WaitGroup
				for range inFlight {
					workers.Go(func() {
						for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
							if err := f(i); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				workers.Wait()
				if b.Failed() {
					b.FailNow()
				}
			}
			each(n, func(i int) (err error) {
				convs[i], err = tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{fmt.Sprint("member-", i)}, NotUnique: true})
				return err
			})
			send := func(i int) error {
				_, err := convs[i%n].Send(ctx, realtime.NewTextMessage(benchText))
				return err
			}
			each(n, send)
			b.ReportAllocs()
			b.ResetTimer()
			each(b.N, send)
		})
	}
}
