// Package session knows who is logged in on which connection: it opens and
// closes sessions, finds the session a command belongs to, and brings events
// to the sessions that they are for.
//
// # Parts
//
// The [Registry] is the index: client, chat room, service conversation → open
// sessions. The engine pushes through it. The [Manager] is what a connection
// talks to: it serves the session commands and echoes itself and hands
// everything else on, as a [fanout.Request] that names its actor by value.
//
// # A session's states
//
//	opening ──▶ open ──▶ ended
//	   └──────────────────▲
//
// An opening session is in the registry, but its gate is shut: what is pushed
// to it waits there. Behind the gate its snapshot is read. Then the reply goes
// out, then the frames of the snapshot, then what waited, without what the
// snapshot told already; and the gate is open. So a message that is sent during
// a login is told once, never twice and never not at all. Only after an unread
// count that waited, which replaces the snapshot's, is everything pushed that waited
// behind it: the snapshot has told of it in a count that does not hold any more. A
// session that ends while it is opening was never open: its login is refused, and
// nobody is told of its end.
//
// A session ends by logout, with its connection, by another device that takes
// its tag, by an administrator, or by a later login of the same device.
// Whoever takes it out of the registry tells the engine, once.
//
// # Subscribers during a login
//
// Which service conversations a client subscribes is a part of the snapshot. A
// broadcast between the snapshot and the moment when the session is indexed
// would be lost; so such events wait at the gate of every opening session of
// the app, and when the gate opens those for other subscribers are dropped. The
// lock appIndex.opening makes indexing and opening one step for them.
//
// # Tags
//
// The store's record of a tag says which device holds it. The record is written
// by compare and swap, and its version orders the logins with one tag in one
// process: a login that took the tag closes the sessions of earlier ones, and
// gives way to later ones. A client that comes back shows its token, which
// names the device: if the tag is held by another one, it was displaced
// meanwhile.
//
// # Fan-out
//
// An event for up to 64 receivers is pushed by whoever publishes it, which the
// engine does with the conversation locked. One for more is split among workers,
// as many as there are processors, each of which pushes to a fixed share of the
// connections; the publisher goes on at once, so that neither the sender's ack
// nor the next message waits for thousands of pushes. A worker has a queue, first
// in first out, and these states:
//
//	idle ──a share──▶ busy ──the queue is empty──▶ idle
//
// Only a busy worker has a goroutine. The [Registry] owns it, and Close waits for
// it.
//
// What is published in an order reaches a session in that order, whatever the
// numbers of receivers: an event for few is pushed at once to those sessions whose
// worker is idle, and queued behind what waits at the worker for all others. The
// worker counts as busy until its last push is done. So an order holds for
// a session over all conversations, lists and lanes; two events that nobody has
// put into an order are in none.
//
// Who gets an event is settled while it is published. A session whose gate is
// shut has it left there at once, so that a snapshot never meets an event that is
// still on its way. Sets that rarely change, rooms and subscribers, keep their
// sessions by worker until they do. A session that joins later does not get what
// was said before; one that leaves may get it after the reply to its leaving: a
// reply passes what waits at a worker. A session that ends gets nothing more from
// a worker: remove says so to the session and waits for the pushes that are being
// made, at most 64 of them. That is why a client that opens again on its
// connection is not told by the former session what its snapshot has told already.
//
// At a worker 131,072 pushes may wait. Publishers wait for room beyond that, with
// the conversation locked; the worker needs no lock that they could hold.
//
// # Goroutines
//
// Commands run on the reader of their connection, in order. Those that may take
// long, because they read much or because a hook of the app decides about them,
// run on goroutines of the connection, four at most; 32 more may wait for their
// turn, and then the reader waits too, which is the back-pressure. What one
// session does to one conversation stays in order all the same: while one such
// command runs, those behind it wait in its lane, quick ones too. A logout waits
// for everything that its session asked before; nothing that comes after it
// finds the session. If the same client logs in meanwhile, the session ends at once,
// and only the answer to the logout waits: two sessions of one client on one
// connection would get every push twice. The connection waits for all of them before it ends.
//
// # Locks
//
// In this order; none is held while the engine, the store or a hook is called:
//
//	appIndex.opening → Session.mu → shard → gate.mu → the connection's queue
//	worker.passing → the connection's queue
//
// link.mu, lanes.mu and worker.mu are leaves. No lock of this package is held
// while worker.passing or worker.mu is taken.
package session
