// Package transport carries frames over WebSockets. It knows connections and
// nothing of clients, sessions or conversations: a [Receiver] gets the decoded
// commands of one connection, and frames go out through [Conn.Push] and
// [Conn.Reply].
//
// # Goroutines
//
// A connection that is silent has one goroutine, its reader, which the [Server]
// owns and waits for. It reads a frame, hands the command to the Receiver and
// reads the next one when that returns: a Receiver that takes its time is the
// back-pressure. A writer goroutine exists only while frames wait; the reader
// waits for it before it ends. All timeouts of all connections are kept by one
// goroutine, see alarms.
//
// The way from the reader to a writer goroutine and back costs more than a small
// write. So a Receiver may say that it executes a command that waits for nothing
// (Cork): then the reply starts no writer, and the reader writes what waits just
// before it would wait for the network itself, in one piece for all commands that
// arrived together. It hands the kernel what that takes at once and leaves the
// rest, and everything large, to a writer goroutine, so it never waits for the
// peer. That is for plain TCP; TLS has no write that does not wait.
//
// While more comes in than fits into its small buffer, the reader reads ahead into
// a large one, which it has only until it has seen all of that. Commands are decoded
// into memory that serves again when the Receiver says that it is done with them.
//
// # States
//
//	open ──Close──▶ closing ──the peer's close frame, 5 s, or an error──▶ dead
//	  └───────────────Cut, an error, the peer's end────────────────────────▶
//
// In open, frames are accepted and written. Close goes to closing: what is
// queued is written, then a close frame, then nothing; commands that still
// arrive are read and dropped. In dead the TCP connection is closed. Only the
// reader tells the Receiver, once, when it has ended.
//
// # The queue
//
// Pushes are bounded, by bytes and by number of frames, the fuller of the two
// counts. What does not fit is dealt with by class: from 50 % on, frames of
// ClassRoomLow are dropped, from 75 % on those of ClassRoomNormal. At 100 %
// a frame that may not be dropped closes the connection with 4200, so that
// nothing that a client counts on is ever dropped in silence. A frame is let in if there was room before it, so
// one frame may be as large as it must.
//
// Replies, and what else a client asked for, are not bounded that way: a page
// of history may well be larger than the queue. Their bound is that the reader
// stops reading commands while more of them wait than the queue holds.
//
// Frames leave in the order in which they came, all classes alike: a cursor of
// the client must never pass a frame that it has not got. The one exception is
// the hold lane.
//
// # The hold lane
//
// A client library settles a reply and a push that arrive together in any order:
// with some, the conversation that a push tells of is not there yet, with others
// a member whose removal was just acknowledged comes back by the push of his
// having been added. So pushes that a command caused wait, on the connection that
// the command came from, until 10 ms have passed since its reply was written, and
// those to the commands that the session has given meanwhile; but never longer
// than 200 ms. While one push waits, all later pushes of that connection wait
// behind it; replies pass.
//
// # The end
//
// Shutdown goes by steps that all connections take together:
//
//	serving ──▶ quiet ──▶ told to go ──▶ closed
//
// From the first step on no command begins; those in flight finish, and are
// answered. When the last of them has, goaway is sent: whoever reads it reads no
// further, comes back elsewhere, and finds everything in the store that was
// acknowledged here. Clients go by themselves. Those that are still there after 3 s
// are closed with 1001; closing at once would surprise a client that asks the router
// where to go first. What ctx does not leave time for is cut.
//
// # Failures
//
//   - A frame larger than allowed: close 4109. One that does not decode, is of
//     the wrong WebSocket type or names no command: close 4114.
//   - Nothing received for too long, or a frame that does not arrive in time:
//     close 4107. No session opened in time: close 4108.
//   - More frames in a minute than allowed, or more than 600 pings and pongs:
//     close 1008.
//   - A violation of the WebSocket protocol: the library's own close code.
//   - A write that does not get on for 10 s, or fails: the connection is cut.
//   - A panic in the Receiver: it is logged, and the connection is closed with
//     4200.
//
// # Locks
//
// Conn.mu guards the queue and the state of one connection. It is a leaf but for
// the lock of the alarms, and is never held during I/O. Push, Reply, Close and
// Cut may be called with any lock of the server held.
package transport
