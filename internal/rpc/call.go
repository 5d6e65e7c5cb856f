package rpc

import (
	"context"
	"time"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// Call is one caller waiting for one reply. It belongs to the goroutine that
// registered it, but for Begin, which is the writer's.
type Call struct {
	progress
	table  *Table
	serial int32
	others int
	done   chan struct{} // gets one token when the call is settled
	due    time.Duration // when its time is over, since the table was made; 0: never; under the table's lock

	// Written before the token is given, read after it was taken.
	reply Reply
	err   error
}

// Reply is the reply to a command, and the block that it lies in; nil: in none.
// Who is done with the reply may put the block back where it came from.
type Reply struct {
	*pb.GenericCommand
	Block *wire.Block
}

func (c *Call) settle(reply Reply, err error) {
	c.reply, c.err = reply, err
	c.done <- struct{}{}
}

// Wait blocks until the reply is there and returns it as it is, also if it is
// an error command. It fails with the cause of Fail, when ctx ends, or with
// ErrTimeout when the time that Register was given is over; the error also
// matches ErrOutcomeUnknown unless the command was certainly not sent. The call
// must not be used afterwards.
func (c *Call) Wait(ctx context.Context) (Reply, error) {
	ended := ctx.Done()
	if ended == nil {
		<-c.done
		return c.result()
	}
	select {
	case <-c.done:
		return c.result()
	case <-ended:
	}
	if !c.table.giveUp(c.serial, c) {
		<-c.done // settled meanwhile: the result wins
		return c.result()
	}
	return Reply{}, failure(ContextError(ctx), !c.withdraw())
}

// Others is how many commands waited for a reply when the call was registered.
func (c *Call) Others() int { return c.others }

func (c *Call) result() (Reply, error) {
	reply, err := c.reply, c.err
	if err != nil {
		return Reply{}, failure(err, !c.withdraw())
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
