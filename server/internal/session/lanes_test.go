package session_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
)

// Commands that may take long, see newEnv.

func history(i int32) *pb.GenericCommand {
	return &pb.GenericCommand{Cmd: pb.CommandType_logs.Enum(), I: proto.Int32(i)}
}

func direct(client, conv string, i int32) *pb.GenericCommand {
	return &pb.GenericCommand{
		Cmd: pb.CommandType_direct.Enum(), I: proto.Int32(i), PeerId: proto.String(client),
		DirectMessage: &pb.DirectCommand{Cid: proto.String(conv)},
	}
}

// change is a quick command about a conversation.
func update(client, conv string, i int32) *pb.GenericCommand {
	return &pb.GenericCommand{
		Cmd: pb.CommandType_conv.Enum(), Op: pb.OpType_update.Enum(), I: proto.Int32(i), PeerId: proto.String(client),
		ConvMessage: &pb.ConvCommand{Cid: proto.String(conv)},
	}
}

// work lets slow commands take a second each.
type work struct {
	mu            sync.Mutex
	running, most int
	began         []string
}

func (w *work) serve(_ context.Context, r *fanout.Request) {
	w.mu.Lock()
	w.began = append(w.began, fmt.Sprint(r.Cmd.GetI()))
	w.mu.Unlock()
	if c := r.Cmd.GetCmd(); c == pb.CommandType_logs || c == pb.CommandType_direct {
		w.mu.Lock()
		w.running++
		w.most = max(w.most, w.running)
		w.mu.Unlock()
		time.Sleep(time.Second)
		w.mu.Lock()
		w.running--
		w.mu.Unlock()
	}
	r.Reply(&pb.GenericCommand{Cmd: r.Cmd.Cmd})
}

func (w *work) order() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.began, " ")
}

func TestSlowCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w := newEnv(t), new(work)
		e.dispatch = w.serve
		c := e.login("tom")
		for i := range int32(36) { // 4 run, 32 wait
			c.Send(history(i + 1))
		}
		start := time.Now()
		c.Send(query("", 50)) // passes them
		require.EqualValues(t, 50, c.Read().GetI())
		require.Zero(t, time.Since(start))
		c.Send(history(37)) // is one too many
		c.Send(query("", 51))
		got := map[int32]time.Duration{}
		for range 38 {
			got[c.Read().GetI()] = time.Since(start)
		}
		require.Equal(t, time.Second, got[51], "the reader waits until some of them are done")
		for i := range int32(37) {
			require.Equal(t, time.Second*time.Duration(1+i/4), got[i+1], i)
		}
		require.Equal(t, 4, w.most)

		c.Send(history(38)) // the connection ends before it
		synctest.Wait()
		c.Net.Close()
		synctest.Wait()
		require.Len(t, e.ends(), 1) // presence does not wait for it
		time.Sleep(time.Second)
	})
}

// What one client does to one conversation stays in order, and nobody else
// waits for it.
func TestOrderOfSlowCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w := newEnv(t), new(work)
		e.dispatch = w.serve
		c := e.login("tom")
		open(t, c, "jerry")
		start := time.Now()
		c.Send(direct("tom", "a", 1))
		c.Send(direct("tom", "a", 2))
		c.Send(update("tom", "a", 3)) // quick, but after two that are not
		c.Send(direct("tom", "b", 4))
		c.Send(update("tom", "c", 5))
		c.Send(direct("jerry", "a", 6))
		c.Send(update("jerry", "b", 7))
		c.Send(&pb.GenericCommand{Cmd: pb.CommandType_echo.Enum(), I: proto.Int32(8)})
		got := map[int32]time.Duration{}
		for range 8 {
			got[c.Read().GetI()] = time.Since(start)
		}
		require.Equal(t, map[int32]time.Duration{
			1: time.Second, 2: 2 * time.Second, 3: 2 * time.Second, 4: time.Second,
			5: 0, 6: time.Second, 7: 0, 8: 0,
		}, got)
		order := w.order()
		require.Less(t, strings.Index(order, "1"), strings.Index(order, "2"))
		require.Less(t, strings.Index(order, "2"), strings.Index(order, "3"))
		c.Send(update("tom", "a", 9)) // the lane is free again
		require.EqualValues(t, 9, c.Read().GetI())
		require.Equal(t, 2*time.Second, time.Since(start))
	})
}

// Whatever arrives in one go is executed, each lane in its order.
func TestManySlowCommandsStayInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		c := e.login("tom")
		seen := map[string][]int32{}
		e.dispatch = func(_ context.Context, r *fanout.Request) {
			i, conv := r.Cmd.GetI(), r.Cmd.GetDirectMessage().GetCid()
			time.Sleep(time.Duration(i%5) * time.Millisecond) // the later ones are often the quicker ones
			e.mu.Lock()
			seen[conv] = append(seen[conv], i)
			e.mu.Unlock()
			r.Reply(&pb.GenericCommand{Cmd: r.Cmd.Cmd})
		}
		const n = 600
		for i := range int32(n) {
			c.Send(direct("tom", fmt.Sprint(i%7), i+1))
		}
		for range n {
			c.Read()
		}
		require.Len(t, seen, 7)
		total := 0
		for conv, order := range seen {
			require.IsIncreasing(t, order, conv)
			total += len(order)
		}
		require.Equal(t, n, total)
	})
}

// A logout comes after what was asked before it, and nothing comes after it.
func TestLogoutAfterSlowCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w := newEnv(t), new(work)
		e.dispatch = w.serve
		c := e.login("tom")
		open(t, c, "jerry")
		start := time.Now()
		c.Send(direct("tom", "a", 1))
		c.Send(direct("tom", "a", 2))
		c.Send(direct("tom", "b", 3))
		c.Send(logout("tom", 4))
		c.Send(direct("tom", "c", 5))
		c.Send(logout("tom", 6))
		c.Send(logout("jerry", 7)) // has nothing to wait for
		got := map[int32]*pb.GenericCommand{}
		at := map[int32]time.Duration{}
		for range 7 {
			r := c.Read()
			got[r.GetI()], at[r.GetI()] = r, time.Since(start)
		}
		wantError(t, got[5], 5, wire.CodeSessionRequired)
		wantError(t, got[6], 6, wire.CodeSessionRequired)
		require.Equal(t, pb.OpType_closed, got[7].GetOp())
		require.Zero(t, at[7])
		require.Equal(t, pb.OpType_closed, got[4].GetOp())
		require.Equal(t, 2*time.Second, at[4])
		require.Len(t, e.ends(), 2)
		for _, end := range e.ends() {
			require.Equal(t, fanout.EndLogout, end.Cause)
		}
		open(t, c, "tom") // comes again
		c.Send(direct("tom", "a", 8))
		c.Send(logout("tom", 9))
		synctest.Wait()
		c.Net.Close() // does not keep the logout from being one
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, e.ends(), 3)
		require.Equal(t, fanout.EndLogout, e.ends()[2].Cause)
	})
}

// Who logs out and in again at once has one session, although the logout is not
// answered before what was asked earlier.
func TestLoginWhileALogoutWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w := newEnv(t), new(work)
		e.dispatch = w.serve
		var before []fanout.Ended
		e.snapshot = func(context.Context, *fanout.Login) (*fanout.Snapshot, error) {
			before = e.ends()
			return &fanout.Snapshot{}, nil
		}
		c := e.login("tom")
		first := e.lastRef()
		start := time.Now()
		c.Send(history(1))
		c.Send(logout("tom", 2))
		again := openCommand("tom")
		again.I = proto.Int32(3)
		c.Send(again)
		opened := c.Read()
		require.EqualValues(t, 3, opened.GetI())
		require.Equal(t, pb.OpType_opened, opened.GetOp())
		require.Zero(t, time.Since(start))
		require.Len(t, before, 1, "the engine hears of the end before the login")
		require.Equal(t, first, before[0].Actor.Session)
		require.Equal(t, fanout.EndLogout, before[0].Cause)
		require.Equal(t, 1, e.reg.Sessions())

		time.Sleep(20 * ms)
		e.reg.Publish(toClients("once", "tom"))
		require.Equal(t, "once", readCid(c))
		require.EqualValues(t, 1, c.Read().GetI())
		closed := c.Read()
		require.EqualValues(t, 2, closed.GetI())
		require.Equal(t, pb.OpType_closed, closed.GetOp())
		require.Equal(t, time.Second, time.Since(start))
		c.Send(update("tom", "a", 4))
		require.EqualValues(t, 4, c.Read().GetI(), "the new session is open")
		c.WantSilence(time.Second)
		require.Len(t, e.ends(), 1)
	})
}

func logout(client string, i int32) *pb.GenericCommand {
	return &pb.GenericCommand{
		Cmd: pb.CommandType_session.Enum(), Op: pb.OpType_close.Enum(), I: proto.Int32(i),
		PeerId: proto.String(client), SessionMessage: &pb.SessionCommand{},
	}
}

func TestSlowCommandThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		c := e.login("tom")
		e.dispatch = func(context.Context, *fanout.Request) { panic("a defect") }
		c.Send(&pb.GenericCommand{Cmd: pb.CommandType_logs.Enum(), I: proto.Int32(1)})
		c.WantClosed(wire.CodeInternalError)
	})
}
