package realtime_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rttest"
)

// Whatever the network does, every message of others is delivered once, in the
// order of its conversation; and a client that is killed and resumed from its
// position misses none.
func TestNothingIsLostRepeatedOrReordered(t *testing.T) {
	for seed := range stories(60, 12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { missing(t, &dice{r: rand.New(rand.NewPCG(seed, 1))}, seed%2 == 0) })
	}
}

// stories is how many stories a test plays that chance writes. What happens when
// in virtual time is the same with the race detector as without; it looks at who
// uses what without a lock, which a few stories show as well as many.
func stories(usual, withRaceDetector uint64) uint64 {
	if underRace {
		return withRaceDetector
	}
	return usual
}

// dice are random numbers for several goroutines.
type dice struct {
	mu sync.Mutex
	r  *rand.Rand
}

func (d *dice) IntN(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.IntN(n)
}

// missing plays one story: with slow handlers, or with a client that is
// resumed, since what a handler has begun when it is killed comes again.
func missing(t *testing.T, random *dice, resuming bool) {
	const conversations = 5
	onStage(t, realtime.Options{Backoff: func(int) time.Duration { return time.Duration(1+random.IntN(2000)) * time.Millisecond }}, func(t *testing.T, s *stage) {
		for i := range conversations {
			s.has(fmt.Sprint("c", i), map[string]any{"m": []string{"Tom"}})
		}
		// Who is online gets what is said, from the moment the session is open.
		var online *rttest.Socket
		s.On(pb.CommandType_session, pb.OpType_open, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			s.mu.Lock()
			defer s.mu.Unlock()
			sock.Send(s.Usual(sock, cmd))
			online = sock
			return nil
		})
		lose := func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if online != nil {
				online.Drop()
				online = nil
			}
		}
		// Now and then the connection is lost while something is fetched.
		flaky := func(answer rttest.Handler) rttest.Handler {
			return func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
				time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
				if random.IntN(6) == 0 {
					lose()
					return nil
				}
				return answer(sock, cmd)
			}
		}
		s.On(pb.CommandType_conv, pb.OpType_query, flaky(s.answerQuery))
		s.On(pb.CommandType_logs, 0, flaky(s.answerLogs))

		got := map[string][]string{}
		record := func(c *realtime.IMClient) {
			c.OnMessage(func(_ context.Context, e *realtime.MessageEvent) {
				if e.Message.From != "Tom" {
					got[e.Conversation.ID()] = append(got[e.Conversation.ID()], e.Message.ID)
				}
				if !resuming && random.IntN(20) == 0 {
					time.Sleep(50 * time.Millisecond)
				}
			})
		}
		tom := s.rt.NewIMClient("Tom")
		record(tom)
		require.NoError(t, tom.Open(t.Context()))
		want := map[string][]string{}
		for i := range 300 {
			time.Sleep(time.Duration(1+random.IntN(400)) * time.Millisecond)
			cid := fmt.Sprint("c", random.IntN(conversations))
			switch random.IntN(20) {
			case 0:
				lose()
			case 1:
				tom := tom
				go func() { // its own sends are not news
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					conv, err := tom.GetConversation(ctx, cid)
					if err == nil {
						_, _ = conv.Send(ctx, realtime.NewTextMessage("mine"), realtime.WithRetry())
					}
				}()
			case 2:
				if !resuming {
					continue
				}
				synctest.Wait() // so that no handler is running
				position := tom.Position()
				require.NoError(t, tom.Close(t.Context()))
				s.mu.Lock()
				online = nil
				s.mu.Unlock()
				tom = s.rt.NewIMClient("Tom", realtime.WithPosition(position))
				record(tom)
				for tom.Open(t.Context()) != nil {
					time.Sleep(time.Second)
				}
			default:
				id := fmt.Sprintf("m%04d", i)
				item := s.said(cid, "Jerry", id, id)
				want[cid] = append(want[cid], id)
				s.mu.Lock()
				if online != nil {
					online.Send(direct("Tom", cid, item))
				}
				s.mu.Unlock()
			}
		}
		s.On(pb.CommandType_conv, pb.OpType_query, s.answerQuery)
		s.On(pb.CommandType_logs, 0, s.answerLogs)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		require.Equal(t, want, got)
		require.NoError(t, tom.Err())
	})
}
