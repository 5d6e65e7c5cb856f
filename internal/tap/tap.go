// Package tap lets a test see, change, delay, repeat and lose the commands
// that pass between the server and its clients, without any public interface
// for it.
//
// The server asks for a tap at every WebSocket upgrade, in the context of the
// HTTP request; http.Server.BaseContext or ConnContext puts it there. Without
// one there is no cost at all.
//
// In and Out of one [Pipe] are each called from one goroutine at a time, in the
// order of the commands, with no lock held. They may block: In then holds up
// the reading of that connection, Out the writing, and nobody else.
package tap

import (
	"context"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// Conn is the server's end of one connection. Its methods never block and are
// safe for concurrent use; after the connection has ended they do nothing.
type Conn interface {
	Send(cmd *pb.GenericCommand) // queues a frame as it is; it does not pass Pipe.Out
	Close(code wire.Code)        // sends what is queued, then a close frame
	Cut()                        // drops the TCP connection, without a close frame and without what is queued
}

// Tap makes one Pipe per connection.
type Tap interface {
	Open(c Conn) Pipe // nil: this connection is left alone
}

// Pipe is what a connection's commands pass. next may be called not at all,
// once or several times, during the call or later, from any goroutine, with
// the command or another one. After Closed it does nothing.
type Pipe interface {
	In(cmd *pb.GenericCommand, next func(*pb.GenericCommand))  // from the client, before it is executed
	Out(cmd *pb.GenericCommand, next func(*pb.GenericCommand)) // to the client, before it is queued
	Closed()                                                   // the connection has ended; called once, after the last In and Out
}

type key struct{}

// With returns a context that carries the tap.
func With(ctx context.Context, t Tap) context.Context {
	return context.WithValue(ctx, key{}, t)
}

// From returns the tap of a context, nil if there is none.
func From(ctx context.Context) Tap {
	t, _ := ctx.Value(key{}).(Tap)
	return t
}
