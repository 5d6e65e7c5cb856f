// Package engine decides what happens: it owns the conversations of the process
// and is the one way by which anything about them changes. Commands of clients
// and requests of administrators call the same methods; a method knows its
// caller as a [Cause], never as a socket.
//
// # The write path
//
// Every operation has the same five steps:
//
//  1. look: find the conversation in the cache, load it if need be, read what
//     else the decision needs (lists of clients, marks, single messages);
//  2. ask: signatures are checked and deciding hooks are called, without a lock;
//  3. decide, with the conversation locked, on its cached state only; whatever a
//     hook may have outlasted (membership, existence) is decided here again;
//  4. commit one store.Batch, inline, still locked. A failed commit changes
//     nothing: neither cache nor sessions see anything of it;
//  5. publish the pushes, still locked, so that the order of commits is the order
//     of pushes on every session. Publishing only queues.
//
// The caller answers when the method has returned; pushes to the caller's own
// connection are held for that answer by [Cause.Hold]. Hooks that only listen
// run afterwards, on one goroutine, in order.
//
// # State and owners
//
//   - conv: the cached state of one conversation, guarded by conv.mu. One object
//     per conversation is current; an object that was evicted, dropped or found
//     stale has gone set, and whoever locked it looks the conversation up again.
//   - cache shard: cid to conv, guarded by the shard's lock, which is never held
//     while anything else is locked, except to try an idle conv for eviction.
//   - lane: one per app. It orders what clients use as a cursor across
//     conversations (patches, notes, conversation events): stamp, commit and
//     publish happen in it.
//   - watermark: which stamps are in flight. A stamp is taken before the time is
//     read and given back after the push was queued; Safe is below all of them.
//     It is taken with the conversation locked, if there is one that others know,
//     and given back before that is unlocked. There is a fixed number of stamps,
//     and who waits for one has a conversation's lock: if somebody with a stamp
//     waited for such a lock, both might wait for ever. So what takes long and is
//     done without the lock, as counting is, comes before the stamp.
//   - marks that wait to be written, temporary conversations that end: the
//     janitor, one goroutine, which Close stops and waits for.
//   - broadcasts to everybody that are still valid: app.casts, own lock.
//
// Lock order: conv.mu, a stamp, lane.mu, then leaves (casts, janitor, registry).
// Two conv.mu are never held together. No lock is held while a hook runs or while
// the caller waits for a load. With a conversation locked the store is written to,
// which an inline store does without waiting, and single rows are read that
// belong to the decision (the head of a client's log, a subscription); pages and
// counts are read before, unless the conversation changed during every try.
//
// # Failure answers
//
//   - unknown conversation: 4303, for a send 4401;
//   - the store is unavailable: 4200 for messages, 4300 for conversations, 4310
//     and 4311 for queries and history; nothing was changed;
//   - the outcome of a send is unknown: the message is looked for before the
//     answer; if that fails too the answer is 4200, and the sender's retry with
//     the same token finds what was stored;
//   - the cache was stale (a guard failed): the conversation is loaded again and
//     the operation decided again, a few times, then 4300;
//   - a hook fails: the operation proceeds, the failure is logged.
//
// All methods of [Engine] are safe for concurrent use. They block for store reads
// and hooks only, and every one of them takes a context that bounds both.
package engine
