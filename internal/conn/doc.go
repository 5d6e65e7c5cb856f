// Package conn is one WebSocket connection to the server. It lives once: it is
// dialled, it dies with one cause, and it never comes back.
//
// # Goroutines
//
// The reader reads and decodes frames and hands them to OnCommand, which must
// not block. The writer takes frames from a bounded queue; it is there only while
// something waits to be written, so that an idle connection has one goroutine.
// Only the two of them ever wait for the network, so a caller whose context ends
// while its frame is under way disturbs nobody: a context given to the WebSocket
// library would kill the connection. Heartbeats, the watch for silence and that
// for a write which does not finish in time are timers. A timer counts as a
// goroutine of the connection while it is armed; the reader stops them when it
// ends.
//
// # Writing
//
// The way of a frame from its sender to another goroutine costs more than a
// small write. So a sender that is alone (nobody else waits for a reply, nothing
// waits to be written) passes its frame to the library itself, if the connection
// has a write that does not wait: plain TCP on Unix. Under the library is a
// stream, which gives the kernel what that takes at once and holds the rest for
// the writer. Where there is no such write, as with TLS, senders queue and the
// writer writes.
//
// Where many wait for replies, their replies come together and their next frames
// follow each other: the writer lets them all come, by yielding once, and writes
// what has come in one piece.
//
// One of them has the turn, as the outbox says:
//
//	        alone                       done, nothing waits
//	free ──────────> a sender writes ────────────────────────> free
//	  │ not alone          │ done, something waits or is held
//	  └──────────┬─────────┘
//	             v                       nothing waits any more
//	       a writer starts, and writes ─────────────────────────> free
//	             │ Close was called, nothing waits
//	             v
//	       it says goodbye, and keeps the turn
//
// What comes while somebody has the turn is queued, and whoever ends a turn
// looks: so no frame is forgotten, and frames of one sender keep their order.
// Heartbeats are frames like any other. The library's pongs on the reader need no
// turn: whole frames go through the stream, in whatever order.
//
// The stream holds little: one frame of a sender, and pongs, which are dropped
// when much is held, since the newest answers for all. The library is never
// inside a write that waits while senders could want it: the writer corks the
// stream, passes frames, and then writes what is held beside the library. Only
// the goodbye waits inside it, when no sender is let in any more.
//
// Locks: the library's own come before the stream's, that before the outbox's. None is
// held while somebody waits for the network, with the two exceptions just said:
// the goodbye, and a connection without a write that does not wait, where only
// reader and writer ever touch the library.
//
// # End
//
// The first of these decides the cause: the server's close frame, an error of
// the socket, a frame that cannot be decoded or is too long, silence, a write
// that takes too long, Kill, Close. All but Close then shut the socket under
// the library, which makes reader and writer return. Close lets the writer
// empty the queue and shake hands with the server first, within a budget,
// after which it does the same. Done is closed by whoever leaves last, so that
// afterwards no OnCommand runs.
package conn
