package realtime

import (
	"context"
	"time"

	"github.com/leanrtm/realtime/internal/pb"
)

// Observer is told how long things took, which [Stats] cannot tell: a sum would
// hide the slow ones. Its functions are called on the goroutine that did the
// thing, several at a time for several clients: they must be quick and must not
// block. A field that is nil costs nothing, not even the look at the clock.
type Observer struct {
	// Command is told of every command that has an answer, when that has come or
	// is no longer waited for.
	Command func(ctx context.Context, c CommandObservation)
	// Handler is told when the handlers of one event have returned, all together.
	Handler func(ctx context.Context, h HandlerObservation)
}

// CommandObservation is one command that a client sent.
type CommandObservation struct {
	ClientID string
	Name     string        // of the command in the protocol, such as "direct" (a message) or "conv/start"
	Took     time.Duration // between the call and the answer
	Err      error         // what the caller gets; nil: the command was executed
}

// HandlerObservation is one event and those who listened to it.
type HandlerObservation struct {
	ClientID string
	Event    string // the name of its type, such as "MessageEvent"
	Took     time.Duration
}

// observedCall is countedCall for when there is an observer of commands.
func (c *IMClient) observedCall(ctx context.Context, s *session, cmd *pb.GenericCommand, o callOptions) (*pb.GenericCommand, error) {
	name, id, begun := commandName(cmd), c.ID(), time.Now()
	reply, err := c.countedCall(ctx, s, cmd, o)
	c.rt.opts.Observer.Command(ctx, CommandObservation{ClientID: id, Name: name, Took: time.Since(begun), Err: err})
	return reply, err
}

// ofHandlers and ofCommands report whether somebody wants to know.
func (o *Observer) ofHandlers() bool { return o != nil && o.Handler != nil }

func (o *Observer) ofCommands() bool { return o != nil && o.Command != nil }
