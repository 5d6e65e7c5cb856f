// Package link keeps one connection to the server alive: it dials, notices
// loss, waits, dials again, and tells what happens.
//
// # Ownership
//
// One goroutine, the owner, makes every decision: it alone moves the state,
// counts attempts, arms the timer, starts dials, adopts connections and gives
// them up. It is started by the first Open and ends with Close. Everybody else
// sends it requests and waits for their turn. What others may know is
// published as a whole, by one atomic store of a view, so that sending a
// command asks neither the owner nor a lock.
//
// A dial runs on a goroutine of its own, since it blocks. Its result is taken
// by the owner; when the owner no longer wants it, it has cancelled the dial,
// and the dialling goroutine itself disposes of a connection that came too
// late. The owner waits for all of them before it ends.
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
