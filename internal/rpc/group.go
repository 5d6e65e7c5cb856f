package rpc

import (
	"context"
	"errors"
	"time"

	"github.com/leanrtm/realtime/internal/pb"
)

// ErrNotSent ends the Wait of everybody but the leader when the leader could
// not send the command. It was certainly not sent; the caller should join
// again.
var ErrNotSent = errors.New("realtime: not sent")

// Group is several callers waiting for one reply to one command. Each of them
// may give up; the command is withdrawn when all have.
type Group struct {
	progress
	table   *Table
	content string
	serial  int32
	callers int           // guarded by the table's lock
	done    chan struct{} // closed when the group is settled

	// Written before done is closed, read after.
	reply *pb.GenericCommand
	err   error
}

// Serial is what the command must be sent with.
func (g *Group) Serial() int32 { return g.serial }

// settle leaves the block of the reply to its readers, of whom nobody knows that
// he is the last.
func (g *Group) settle(reply Reply, err error) {
	g.reply, g.err = reply.GenericCommand, err
	close(g.done)
}

// Wait is as that of Call. The reply is shared with the other callers.
func (g *Group) Wait(ctx context.Context, timeout time.Duration) (*pb.GenericCommand, error) {
	var expired <-chan time.Time
	if timeout > 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		expired = timer.C
	}
	var gaveUp error
	select {
	case <-g.done:
		return g.result()
	case <-ctx.Done():
		gaveUp = ContextError(ctx)
	case <-expired:
		gaveUp = ErrTimeout
	}
	last, settled := g.leave()
	if settled {
		<-g.done
		return g.result()
	}
	// While others wait the command stays, so that it may yet be executed.
	return nil, failure(gaveUp, !last || !g.withdraw())
}

func (g *Group) result() (*pb.GenericCommand, error) {
	if g.err == nil {
		return g.reply, nil
	}
	return nil, failure(g.err, !errors.Is(g.err, ErrNotSent) && !g.withdraw())
}

// leave takes one caller off. The last one takes the group out of the table.
func (g *Group) leave() (last, settled bool) {
	g.table.mu.Lock()
	defer g.table.mu.Unlock()
	if g.table.pending[g.serial] != waiter(g) {
		return false, true
	}
	if g.callers--; g.callers > 0 {
		return false, false
	}
	g.table.remove(g.serial, g)
	return true, false
}

// Abort tells that the leader could not send the command: the others get
// ErrNotSent. The leader must not use the group afterwards.
func (g *Group) Abort() {
	g.withdraw()
	if g.table.giveUp(g.serial, g) {
		g.settle(Reply{}, ErrNotSent)
	}
}
