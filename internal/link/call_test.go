package link_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/link"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rpc"
	"github.com/leanrtm/realtime/internal/rttest"
	"github.com/leanrtm/realtime/internal/wire"
)

var plain = link.CallOptions{}

func TestDo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		_, err := h.link.Do(t.Context(), query("x"), plain)
		require.ErrorIs(t, err, rpc.ErrDisconnected)
		require.NotErrorIs(t, err, rpc.ErrOutcomeUnknown)
		h.open()
		cmd := query("x")
		reply, err := h.link.Do(t.Context(), cmd, plain)
		require.NoError(t, err)
		require.Equal(t, pb.OpType_results, reply.GetOp())
		require.Equal(t, "x", reply.GetConvMessage().GetCid())
		require.EqualValues(t, 1, reply.GetI())
		require.True(t, proto.Equal(query("x"), cmd), "the command is only read")
	})
}

func TestAnErrorReplyIsAReply(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		h.peer.On(pb.CommandType_conv, pb.OpType_query, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			return s.Fail(cmd, wire.CodeConversationNotFound)
		})
		reply, err := h.link.Do(t.Context(), query("x"), plain)
		require.NoError(t, err)
		require.EqualValues(t, wire.CodeConversationNotFound, reply.GetErrorMessage().GetCode())
	})
}

func TestRepliesInAnyOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		var held []*pb.GenericCommand
		h.peer.On(pb.CommandType_conv, pb.OpType_query, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			held = append(held, h.peer.Usual(s, cmd))
			if len(held) < 10 {
				return nil
			}
			for i := range held {
				s.Send(held[len(held)-1-i])
			}
			return nil
		})
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				cid := fmt.Sprint("conv", i)
				reply, err := h.link.Do(t.Context(), query(cid), plain)
				require.NoError(t, err)
				require.Equal(t, cid, reply.GetConvMessage().GetCid())
			})
		}
		wg.Wait()
	})
}

func TestSerialsGoOnAcrossConnectionsAndWrap(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		serial := func() int32 {
			reply, err := h.link.Do(t.Context(), query("x"), plain)
			require.NoError(t, err)
			return reply.GetI()
		}
		require.EqualValues(t, 1, serial())
		require.EqualValues(t, 2, serial())
		h.peer.Socket().Drop()
		h.pass(time.Second)
		require.EqualValues(t, 3, serial())
		h.link.SetSerial(math.MaxInt32 - 1)
		require.EqualValues(t, math.MaxInt32, serial())
		require.EqualValues(t, 1, serial(), "0 would be none")
	})
}

func TestDefaultTimeoutOnlyWithoutADeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		h.peer.On(pb.CommandType_conv, pb.OpType_query, silent)
		for _, merge := range []bool{false, true} {
			start := time.Now()
			_, err := h.link.Do(t.Context(), query("x"), link.CallOptions{Merge: merge})
			require.Equal(t, 20*time.Second, time.Since(start))
			require.ErrorIs(t, err, rpc.ErrTimeout)
			require.ErrorIs(t, err, rpc.ErrOutcomeUnknown)

			for _, deadline := range []time.Duration{time.Second, time.Minute} {
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				start = time.Now()
				_, err = h.link.Do(ctx, query("x"), link.CallOptions{Merge: merge})
				require.Equal(t, deadline, time.Since(start))
				require.ErrorIs(t, err, rpc.ErrTimeout)
				cancel()
			}
		}
		h.expect() // a timeout harms nobody else
	})
}

func TestCancelledCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		h.peer.On(pb.CommandType_conv, pb.OpType_query, silent)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := h.link.Do(ctx, query("x"), plain)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, rpc.ErrOutcomeUnknown)
		for _, merge := range []bool{false, true} {
			_, err = h.link.Do(ctx, query("x"), link.CallOptions{Merge: merge})
			require.Equal(t, context.Canceled, err, "nothing is sent for a finished context")
		}
		require.Equal(t, context.Canceled, h.link.Post(ctx, query("x"), link.PostOptions{}))
		synctest.Wait()
		require.Len(t, h.peer.Commands(), 1)
		h.expect()
	})
}

func TestCallsFailAtOnceWhenTheConnectionDies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		h.peer.On(pb.CommandType_conv, pb.OpType_query, silent)
		var wg sync.WaitGroup
		for _, merge := range []bool{false, true, true} {
			wg.Go(func() {
				_, err := h.link.Do(t.Context(), query("x"), link.CallOptions{Merge: merge})
				require.ErrorIs(t, err, rpc.ErrDisconnected)
				require.ErrorIs(t, err, rpc.ErrOutcomeUnknown)
			})
		}
		time.AfterFunc(time.Second, func() { h.peer.Socket().Drop() })
		wg.Wait()
		require.Equal(t, time.Second, time.Since(h.start))
	})
}

func TestCommandsStillInTheQueueWereNotSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		h.peer.Socket().Conn().Blackhole()
		big := strings.Repeat("x", 64<<10)
		var mu sync.Mutex
		unknown, notSent := 0, 0
		var wg sync.WaitGroup
		for range 50 { // far more than the network buffers
			wg.Go(func() {
				_, err := h.link.Do(t.Context(), query(big), plain)
				require.ErrorIs(t, err, rpc.ErrDisconnected)
				mu.Lock()
				defer mu.Unlock()
				if strings.Contains(err.Error(), "may have been executed") {
					require.ErrorIs(t, err, rpc.ErrOutcomeUnknown)
					unknown++
				} else {
					require.NotErrorIs(t, err, rpc.ErrOutcomeUnknown)
					notSent++
				}
			})
		}
		synctest.Wait()
		h.link.Pause()
		wg.Wait()
		require.NotZero(t, unknown)
		require.Greater(t, notSent, 40)
	})
}

func TestAFullQueueFailsWithTheCommandTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t, func(o *link.Options) { o.CommandTimeout = 5 * time.Second })
		h.open()
		h.peer.Socket().Conn().Blackhole()
		big := query(strings.Repeat("x", 64<<10))
		var err error
		for err == nil {
			err = h.link.Post(t.Context(), big, link.PostOptions{})
		}
		require.ErrorIs(t, err, rpc.ErrTimeout)
		require.NotErrorIs(t, err, rpc.ErrOutcomeUnknown)
		require.Equal(t, 5*time.Second, time.Since(h.start))
		for _, merge := range []bool{false, true} {
			_, err = h.link.Do(t.Context(), big, link.CallOptions{Merge: merge})
			require.ErrorIs(t, err, rpc.ErrTimeout)
			require.NotErrorIs(t, err, rpc.ErrOutcomeUnknown)
		}
	})
}

func TestTheTimeoutIncludesTheWaitForTheQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		h.peer.On(pb.CommandType_conv, pb.OpType_query, silent)
		restore := h.peer.Socket().Conn().Blackhole()
		big := query(strings.Repeat("x", 64<<10))
		for {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			err := h.link.Post(ctx, big, link.PostOptions{})
			cancel()
			if err != nil {
				break
			}
		}
		time.AfterFunc(15*time.Second, restore)
		start := time.Now()
		_, err := h.link.Do(t.Context(), query("x"), plain)
		require.ErrorIs(t, err, rpc.ErrTimeout)
		require.ErrorIs(t, err, rpc.ErrOutcomeUnknown, "it was sent in the end")
		require.Equal(t, 20*time.Second, time.Since(start))
	})
}

func TestGenerationOfACall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		_, err := h.link.Do(t.Context(), query("x"), link.CallOptions{Gen: 1})
		require.NoError(t, err)
		h.peer.Socket().Drop()
		h.pass(time.Second)
		for _, merge := range []bool{false, true} {
			_, err = h.link.Do(t.Context(), query("x"), link.CallOptions{Gen: 1, Merge: merge})
			require.ErrorIs(t, err, rpc.ErrDisconnected)
			require.NotErrorIs(t, err, rpc.ErrOutcomeUnknown)
		}
		_, err = h.link.Do(t.Context(), query("x"), link.CallOptions{Gen: 2})
		require.NoError(t, err)
		require.Len(t, h.peer.Commands(), 2)
	})
}

func TestMergedCallsShareOneReply(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.peer.Network.SetLatency(time.Second)
		h.open()
		var wg sync.WaitGroup
		var mu sync.Mutex
		replies := map[*pb.GenericCommand]int{}
		for i := range 12 {
			wg.Go(func() {
				cid := []string{"a", "b"}[i%2]
				reply, err := h.link.Do(t.Context(), query(cid), link.CallOptions{Merge: i < 10})
				require.NoError(t, err)
				require.Equal(t, cid, reply.GetConvMessage().GetCid())
				mu.Lock()
				defer mu.Unlock()
				replies[reply]++
			})
		}
		wg.Wait()
		require.Len(t, h.peer.Commands(), 4, "two shared ones, and two that were not to be merged")
		require.Len(t, replies, 4)
		_, err := h.link.Do(t.Context(), query("a"), link.CallOptions{Merge: true})
		require.NoError(t, err)
		require.Len(t, h.peer.Commands(), 5, "what was answered is asked again")
	})
}

func TestFollowersOutliveTheLeader(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.peer.Network.SetLatency(time.Second)
		h.open()
		ctx, cancel := context.WithCancel(t.Context())
		leader := make(chan error, 1)
		go func() {
			_, err := h.link.Do(ctx, query("x"), link.CallOptions{Merge: true})
			leader <- err
		}()
		synctest.Wait()
		follower := make(chan error, 1)
		go func() {
			_, err := h.link.Do(t.Context(), query("x"), link.CallOptions{Merge: true})
			follower <- err
		}()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-leader, context.Canceled)
		require.NoError(t, <-follower)
		require.Len(t, h.peer.Commands(), 1)
	})
}

func TestAFollowerTakesOverFromALeaderThatCouldNotSend(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		restore := h.peer.Socket().Conn().Blackhole()
		big := query(strings.Repeat("x", 64<<10))
		filled := 0
		for { // until the queue is full
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			err := h.link.Post(ctx, big, link.PostOptions{})
			cancel()
			if err != nil {
				break
			}
			filled++
		}
		ctx, cancel := context.WithCancel(t.Context())
		leader, follower := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := h.link.Do(ctx, query("x"), link.CallOptions{Merge: true})
			leader <- err
		}()
		synctest.Wait()
		go func() {
			_, err := h.link.Do(t.Context(), query("x"), link.CallOptions{Merge: true})
			follower <- err
		}()
		synctest.Wait()
		cancel()
		require.Equal(t, context.Canceled, <-leader)
		synctest.Wait()
		require.Empty(t, follower)
		restore()
		require.NoError(t, <-follower)
		require.Len(t, h.peer.Commands(), filled+1)
	})
}

func TestPostHasNoSerial(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		require.ErrorIs(t, h.link.Post(t.Context(), query("x"), link.PostOptions{}), rpc.ErrDisconnected)
		h.open()
		ack := &pb.GenericCommand{Cmd: pb.CommandType_ack.Enum(), AckMessage: &pb.AckCommand{Cid: proto.String("x")}}
		require.NoError(t, h.link.Post(t.Context(), ack, link.PostOptions{}))
		synctest.Wait()
		require.Len(t, h.peer.Commands(), 1)
		require.Nil(t, h.peer.Commands()[0].I)
	})
}

func TestACommandThatCannotBeEncodedHarmsNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		bad := query("x")
		bad.ConvMessage.Where = &pb.JsonObjectMessage{} // a required field is missing
		for _, merge := range []bool{false, true} {
			_, err := h.link.Do(t.Context(), bad, link.CallOptions{Merge: merge})
			require.Error(t, err)
		}
		require.Error(t, h.link.Post(t.Context(), bad, link.PostOptions{}))
		_, err := h.link.Do(t.Context(), query("x"), plain)
		require.NoError(t, err)
	})
}

func TestAnsweredTwice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.open()
		h.peer.On(pb.CommandType_conv, pb.OpType_query, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			s.Send(h.peer.Usual(s, cmd))
			return h.peer.Usual(s, cmd)
		})
		for range 3 {
			_, err := h.link.Do(t.Context(), query("x"), plain)
			require.NoError(t, err)
		}
		h.expect() // the second answers are nobody's, and no pushes
	})
}
