package rpc

import (
	"context"
	"time"

	"github.com/leanrtm/realtime/internal/pb"
)

// Call is one caller waiting for one reply. It belongs to the goroutine that
// registered it, but for Begin, which is the writer's.
type Call struct {
	progress
	table  *Table
	serial int32
	done   chan struct{} // gets one token when the call is settled
	timer  *time.Timer   // made when first needed

	// Written before the token is given, read after it was taken.
	reply *pb.GenericCommand
	err   error
}

func (c *Call) settle(reply *pb.GenericCommand, err error) {
	c.reply, c.err = reply, err
	c.done <- struct{}{}
}

// Wait blocks until the reply is there and returns it as it is, also if it is
// an error command. It fails with the cause of Fail, when ctx ends, or with
// ErrTimeout after timeout (0: never); the error also matches ErrOutcomeUnknown
// unless the command was certainly not sent. The call must not be used
// afterwards.
func (c *Call) Wait(ctx context.Context, timeout time.Duration) (*pb.GenericCommand, error) {
	var expired <-chan time.Time
	if timeout > 0 {
		if c.timer == nil {
			c.timer = time.NewTimer(timeout)
		} else {
			c.timer.Reset(timeout)
		}
		expired = c.timer.C
	}
	var gaveUp error
	select {
	case <-c.done:
	case <-ctx.Done():
		gaveUp = ContextError(ctx)
	case <-expired:
		gaveUp = ErrTimeout
	}
	if timeout > 0 {
		c.timer.Stop() // before the result, which lets go of the call
	}
	if gaveUp == nil {
		return c.result()
	}
	if !c.table.giveUp(c.serial, c) {
		<-c.done // settled meanwhile: the result wins
		return c.result()
	}
	return nil, failure(gaveUp, !c.withdraw())
}

func (c *Call) result() (*pb.GenericCommand, error) {
	reply, err := c.reply, c.err
	if err != nil {
		return nil, failure(err, !c.withdraw())
	}
	// Only a call that the writer is done with may serve again: the queue may
	// still hold one that was answered without having been sent, by a server
	// that guesses.
	if c.state.Load() == begun {
		c.table.recycle(c)
	}
	return reply, nil
}

// Abandon ends a call whose command could not be sent. The call must not be
// used afterwards.
func (c *Call) Abandon() {
	c.withdraw()
	c.table.giveUp(c.serial, c)
}
