// Package link keeps one connection to the server alive: it dials, notices
// loss, waits, dials again, and tells what happens.
package link

import (
	"context"
	"log/slog"
	"time"

	"github.com/leanrtm/realtime/internal/conn"
	"github.com/leanrtm/realtime/internal/pb"
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
func (s State) String() string { panic("declared") }

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
func (k EventKind) String() string { panic("declared") }

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
	OnPush func(gen uint64, cmd *pb.GenericCommand)
	// OnEvent gets the events in order, one at a time, on the goroutine that
	// owns the link: it must only enqueue.
	OnEvent func(e Event)

	Logger *slog.Logger // nil: discard
}

// Link is one connection that comes back. Safe for concurrent use; no method
// may be called from OnPush or OnEvent but Gen and State.
type Link struct{}

// New returns a link that has not connected. It does no I/O and starts nothing.
func New(o Options) *Link { panic("declared") }

// Open connects and returns nil when the link is connected. All callers share
// one dial, which goes on while any of them waits. Without retry the first
// failure is returned; with retry, attempts go on with the backoff until one
// succeeds or ctx ends. While a lost connection is being retried it waits for
// the next attempt; while paused it fails with ErrDisconnected, or with retry
// waits for Resume. After Close it fails with ErrClosed.
func (l *Link) Open(ctx context.Context, retry bool) error { panic("declared") }

// Gen returns the generation of the live connection: 1, 2, … or 0 if there is
// none. It does not block.
func (l *Link) Gen() uint64 { panic("declared") }

// CallOptions change how Do sends.
type CallOptions struct {
	Merge bool   // share the reply of an identical command in flight, if there is one
	Gen   uint64 // only on that connection; 0: on any
}

// Do sends cmd with a serial of its own and waits for the reply, which is
// returned as it is, also when it is an error command. It does not change cmd
// and does not keep it; cmd.I is ignored. The reply may be shared: read only.
//
// Errors match ErrDisconnected (at once when there is no connection),
// ErrClosed, ErrTimeout or the ctx's error; they also match ErrOutcomeUnknown
// unless the command was certainly not sent.
func (l *Link) Do(ctx context.Context, cmd *pb.GenericCommand, o CallOptions) (*pb.GenericCommand, error) {
	panic("declared")
}

// Post sends cmd, without a serial, and waits for no reply. nil means that it
// is in the queue of a live connection, not that it was written. It blocks
// only while that queue is full.
func (l *Link) Post(ctx context.Context, cmd *pb.GenericCommand) error { panic("declared") }

// Settle tells that a session is open on the connection of that generation:
// the next loss counts its attempts from 0 again. It is ignored for a
// generation that is no longer live.
func (l *Link) Settle(gen uint64) { panic("declared") }

// WaitConnected blocks until there is a connection and returns its generation.
// It fails with ErrClosed after Close, with the failure after EventFailed, and
// with the ctx's error.
func (l *Link) WaitConnected(ctx context.Context) (gen uint64, err error) { panic("declared") }

// Pause drops the connection or stops trying to get one, until Resume. Where
// it does not apply it does nothing. When it returns the state has changed.
func (l *Link) Pause() { panic("declared") }

// Resume reconnects at once after Pause. Where it does not apply it does
// nothing.
func (l *Link) Resume() { panic("declared") }

// Retry reconnects now instead of at the planned time and counts attempts from
// 0. In any state but StateDisconnected it is a *StateError.
func (l *Link) Retry() error { panic("declared") }

// State returns the state. It does not block.
func (l *Link) State() State { panic("declared") }

// Close says goodbye to the server, stops everything and waits until no
// goroutine of the link is left. It is final and idempotent. ctx bounds only
// the waiting; there are no events.
func (l *Link) Close(ctx context.Context) error { panic("declared") }

// StateError says that a call does not apply in the state of the link.
type StateError struct {
	Op    string
	State State
}

// Error implements error.
func (e *StateError) Error() string { panic("declared") }

// DefaultBackoff is the delay before attempt 0, 1, …: it doubles from 1 s to
// 300 s, and a random part of up to as much again comes on top, also of the
// longest.
func DefaultBackoff(attempt int) time.Duration { panic("declared") }
