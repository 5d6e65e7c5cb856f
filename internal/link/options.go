package link

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/leanrtm/realtime/internal/conn"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// State is where a Link stands.
type State int

// The states of a link.
const (
	StateInitialized  State = iota // never connected, or the first dial is under way
	StateConnected                 // commands can be sent
	StateDisconnected              // lost, or failed to reconnect; the next attempt is planned
	StateReconnecting              // an attempt is under way
	StateOffline                   // paused
	StateClosed                    // by Close; final
	StateErrored                   // refused for good by the server, or the first dial failed; Open may try again
)

// String returns the name of the state in lower case.
func (s State) String() string {
	switch s {
	case StateInitialized:
		return "initialized"
	case StateConnected:
		return "connected"
	case StateDisconnected:
		return "disconnected"
	case StateReconnecting:
		return "reconnecting"
	case StateOffline:
		return "offline"
	case StateClosed:
		return "closed"
	case StateErrored:
		return "errored"
	}
	return "state " + strconv.Itoa(int(s))
}

// EventKind tells the events of a link apart.
type EventKind int

// The events of a link.
const (
	EventDisconnect EventKind = iota + 1 // an open connection is gone: Err says why
	EventSchedule                        // an attempt is planned: Attempt, Delay
	EventRetry                           // the attempt begins: Attempt
	EventReconnect                       // connected again: Gen
	EventOffline                         // paused
	EventOnline                          // resuming
	EventFailed                          // the server closed with a code that forbids reconnecting: Err
)

// String returns the name of the kind in lower case.
func (k EventKind) String() string {
	switch k {
	case EventDisconnect:
		return "disconnect"
	case EventSchedule:
		return "schedule"
	case EventRetry:
		return "retry"
	case EventReconnect:
		return "reconnect"
	case EventOffline:
		return "offline"
	case EventOnline:
		return "online"
	case EventFailed:
		return "failed"
	}
	return "event " + strconv.Itoa(int(k))
}

// Event is something that happened to a link. The link's state already is what
// the event says.
type Event struct {
	Kind    EventKind
	Attempt int           // Schedule, Retry: 0, 1, …
	Delay   time.Duration // Schedule
	Gen     uint64        // Reconnect: the new generation. Disconnect, Failed: the one that is gone
	Err     error         // Disconnect, Failed: why
}

// Options of a Link. Endpoints is required.
type Options struct {
	// Endpoints returns the socket URLs to try, in order. It is called for every
	// attempt, so it should cache; fresh asks it to forget what it knows, since
	// the server sent this client away or no endpoint answered.
	Endpoints      func(ctx context.Context, fresh bool) ([]string, error)
	Conn           conn.Options                    // template of every connection
	Backoff        func(attempt int) time.Duration // delay before attempt 0, 1, …; nil: DefaultBackoff
	CommandTimeout time.Duration                   // of a Do whose ctx has no deadline; 0: 20 s
	DialTimeout    time.Duration                   // of each endpoint of an attempt; 0: 20 s

	// OnPush gets every frame that answers no command, in order, on the reader
	// of the connection of that generation: it must only enqueue. After the
	// Disconnect, Offline or Failed event of a generation there are no more.
	// Who is done with cmd may put its block, nil if it lies in none, back where it
	// came from.
	OnPush func(gen uint64, cmd *pb.GenericCommand, block *wire.Block)
	// OnEvent gets the events in order, one at a time, from the owner of the
	// link: it must only enqueue.
	OnEvent func(e Event)

	Counters *Counters    // nil: its own
	Logger   *slog.Logger // nil: discard
}

// The defaults of Options, and what Close may take to say goodbye.
const (
	DefaultCommandTimeout = 20 * time.Second
	DefaultDialTimeout    = 20 * time.Second
	closeBudget           = time.Second
)

func (o Options) withDefaults() Options {
	if o.Endpoints == nil {
		panic("link: no endpoints")
	}
	if o.Backoff == nil {
		o.Backoff = DefaultBackoff
	}
	if o.CommandTimeout == 0 {
		o.CommandTimeout = DefaultCommandTimeout
	}
	if o.DialTimeout == 0 {
		o.DialTimeout = DefaultDialTimeout
	}
	if o.Conn.Blocks == nil {
		o.Conn.Blocks = new(wire.Blocks)
	}
	if o.OnPush == nil {
		o.OnPush = func(uint64, *pb.GenericCommand, *wire.Block) {}
	}
	if o.OnEvent == nil {
		o.OnEvent = func(Event) {}
	}
	if o.Counters == nil {
		o.Counters = new(Counters)
	}
	o.Conn.Counters = &o.Counters.Conn
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// StateError says that a call does not apply in the state of the link.
type StateError struct {
	Op    string
	State State
}

// Error implements error.
func (e *StateError) Error() string { return fmt.Sprintf("%s while %s", e.Op, e.State) }
