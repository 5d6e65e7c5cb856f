package realtime_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/rttest"
)

// inFlight are the numbers of sends that wait for their ack at a time.
var inFlight = []int{1, 16, 256}

// BenchmarkSend sends a message and waits for its ack, with one or more on
// their way at a time, on one connection. The other member is not online.
func BenchmarkSend(b *testing.B) {
	for _, n := range inFlight {
		b.Run(fmt.Sprintf("inflight=%d/realtime", n), func(b *testing.B) {
			conv := benchConversation(b, benchServer(b))
			b.ReportAllocs()
			b.ResetTimer()
			defer reportCPU(b, rttest.CPUTime())
			sendMany(b, conv, b.N, n)
		})
		b.Run(fmt.Sprintf("inflight=%d/floor", n), func(b *testing.B) {
			send, ack := echoFrames(b)
			floor := newEchoFloor(b, ack)
			b.ReportAllocs()
			b.ResetTimer()
			defer reportCPU(b, rttest.CPUTime())
			if n == 1 {
				for range b.N {
					floor.one(send)
				}
				return
			}
			floor.pipelined(send, b.N, n)
		})
	}
}

// reportCPU tells what an operation has cost of the processors since begun.
func reportCPU(b *testing.B, begun time.Duration) {
	if used := rttest.CPUTime() - begun; used > 0 {
		b.ReportMetric(float64(used.Nanoseconds())/float64(b.N), "cpu-ns/op")
	}
}

// sendMany sends n messages from so many goroutines, which share them.
func sendMany(b testing.TB, conv *realtime.Conversation, n, goroutines int) {
	ctx := context.Background()
	var sent atomic.Int64
	var senders sync.WaitGroup
	for range goroutines {
		senders.Go(func() {
			for sent.Add(1) <= int64(n) {
				if _, err := conv.Send(ctx, realtime.NewTextMessage(benchText)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	senders.Wait()
}
