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
// a login is told once, never twice and never not at all. A session that ends while
// it is opening was never open: its login is refused, and nobody is told of its
// end.
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
// # Goroutines
//
// Commands run on the reader of their connection, in order. Those that may take
// long, because they read much or because a hook of the app decides about them,
// run on goroutines of the connection, four at most; 32 more may wait for their
// turn, and then the reader waits too, which is the back-pressure. What one
// session does to one conversation stays in order all the same: while one such
// command runs, those behind it wait in its lane, quick ones too. A logout waits
// for everything that its session asked before; nothing that comes after it
// finds the session. The connection waits for all of them before it ends.
//
// # Locks
//
// In this order; none is held while the engine, the store or a hook is called:
//
//	appIndex.opening → Session.mu → shard → gate.mu → the connection's queue
//
// link.mu and lanes.mu are leaves.
package session
