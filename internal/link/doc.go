// Package link keeps one connection to the server alive: it dials, notices
// loss, waits, dials again, and tells what happens.
//
// # Ownership
//
// One owner makes every decision: it alone moves the state, counts attempts,
// sets the timer, starts dials, adopts connections and gives them up. It has no
// goroutine while there is nothing to decide, so that a link that is connected
// and idle costs none. Whatever happens is a step in its mailbox: a request of a
// caller, who waits until it is done, or the word that an attempt is due, that a
// dial has ended, that a connection has died or that the server has said goaway.
// The mailbox does one step after the other, in the order in which they came, on
// a goroutine that ends with the last of them. It is opened by the first Open;
// before that and after Close there is no owner, and nothing is accepted.
// What others may know is published as a whole, by one atomic store of a view,
// so that sending a command asks neither the owner nor a lock.
//
// When a step has its turn, what it was posted for may be over: an earlier step
// has cancelled the dial, dropped the connection or called the attempt off. So
// it says what it belongs to, the dial, the connection or the number of the plan,
// and is ignored if that is not the present one. The reverse would be a
// connection that dies so soon that its end is told before the dial's: when it is
// adopted, the owner looks whether it is dead already.
//
// A dial runs on a goroutine of its own, since it blocks. It tells that it has
// ended and keeps its result until the owner takes it; when the owner no longer
// wants it, it has cancelled the dial, and the dialling goroutine itself disposes
// of a connection that came too late.
//
// Close posts the last step. From then on nothing more is accepted, so a dial
// that ends meanwhile keeps its result until it is cancelled. The last step
// stops, cancels and closes everything, and then waits for all dials, for the
// function of a timer that was too late to stop, and for every connection until
// it has told of its end. They may post, which is refused and never blocks. When
// they are gone, Close returns.
//
// # Locks
//
// The mailbox has the only lock of this package. It is held to look at the
// mailbox and to change it, while nothing is called: so anybody may post, with
// any lock of his own, also the last goroutine of a connection. The functions of
// Options run with no lock held.
//
// # Generations
//
// Every connection that is adopted gets the next generation number. Its reader
// delivers nothing before it is adopted, and the owner waits for the reader's
// end before it tells that the connection is gone: pushes of a generation come
// after its Reconnect event and before its Disconnect, Offline or Failed event.
// Calls belong to the table of one connection, so that a reply of an old one
// cannot settle a call on a new one.
//
// # States
//
//	               Open                        lost, goaway
//	Initialized ─────────> (first dial) ──> Connected ─────────> Disconnected
//	     ^  nobody waits       │ failed         ^    ^             │   ^
//	     └─────────────────────┤                │    │       timer,│   │failed
//	                           v                │    │       Retry │   │
//	   Errored <───────────────┘                │    └────────── Reconnecting
//	     ^                                      │      succeeded
//	     └─ fatal close ── Connected            │
//
//	Connected, Disconnected, Reconnecting ── Pause ──> Offline
//	Offline ── Resume ──> Disconnected, with an attempt at once
//	any ── Close ──> Closed
//
// In Errored, Open begins anew. While the first dial is repeated because
// somebody opened with retry, the states and events are those of a lost
// connection, but success is no Reconnect.
//
// # If something fails
//
//   - The link is closed: a request that was accepted before is still done, in its
//     turn; what comes later fails with ErrClosed or does nothing. Callers of Open
//     and commands in flight fail with ErrClosed.
//   - The connection dies: commands in flight fail at once; one that was not yet
//     written is reported as not sent. DISCONNECT, SCHEDULE.
//   - An attempt fails at every endpoint: SCHEDULE with the next number, and the
//     next attempt asks for fresh endpoints. If there are none to be had, the
//     old ones are tried. If everybody that was asked refused with the time to come
//     back (Retry-After), the next attempt is not before the first of these times.
//   - The server closes with a fatal code: Errored, and commands fail; no
//     DISCONNECT, no attempt.
//   - The server says goaway: the connection is dropped and replaced by the
//     normal path, with fresh endpoints.
//   - The attempt counter starts again only when a session was open on the lost
//     connection, after Retry and after Resume: a server that accepts
//     connections but no logins is not stormed.
package link
