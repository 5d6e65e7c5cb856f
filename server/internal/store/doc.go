// Package store is the seam between the server and its data: plain records, one
// way to write them, and keyset reads. It knows nothing of sessions, frames or
// pushes, so one engine runs unchanged on every implementation.
//
// # Writing
//
// A Batch is data: guards, which must hold, and operations, which are then applied
// in order. It is the only way to write.
//
//   - Atomicity: a batch is applied whole or not at all, and no reader sees a part
//     of it. Batches of one Commit call succeed or fail one by one.
//   - Durability: a batch whose error is nil is as durable as [Caps] says.
//   - Order: batches of one Commit call that name a common conversation are applied
//     in the order given, and two Commit calls in the order in which they returned.
//   - Guards are checked against the state before the batch. Conditions that belong
//     to an operation (the sequence number of an [Append], the existence of a
//     conversation) are checked against the state that the earlier operations of
//     the same batch leave behind. The error tells the first condition that did not
//     hold, guards before operations.
//   - A batch names one app. Nothing is shared between apps, whatever their ids.
//   - The store keeps what a batch points to. After Commit has been called, the
//     caller must not change a slice or record reachable from the batch.
//
// A Commit that has started ignores its context until the outcome is known.
//
// # Errors
//
//   - *[GuardError]: a guard or an operation's own condition did not hold. Nothing
//     was written. Found and N tell the state that was met.
//   - *[SentError]: the message was stored by an earlier attempt. Nothing was written;
//     to the sender this is a success.
//   - [ErrUnavailable]: nothing was written; the same batch may be tried again.
//   - [ErrInDoubt]: the batch may have been written; read before trying again.
//   - [ErrCorrupt]: stored data cannot be decoded.
//   - [ErrInvalid]: the batch itself is malformed (an operation without its record, a
//     version below 1, an unknown list); a defect of the caller. Nothing was written.
//   - [ErrClosed]: the store was closed.
//   - An error for which errors.Is(err, context.Canceled) or DeadlineExceeded holds:
//     the call ended before it had done anything.
//
// Absence is nil, not an error. Reads that take several keys return one element per
// key, in the order of the keys.
//
// # Keys, positions, times
//
// Ids are byte strings of any content, empty ones and ones that are not UTF-8
// included; they compare as bytes. Times are Unix milliseconds. The store has no
// clock: every time comes from the caller.
//
// A log is an append-only list of messages, named by a [LogID]. A message is found by
// its [Pos], the pair (ts, mid), which is also the order of history. Two messages of
// one log may carry the same ts (imported ones do), so both parts always count.
//
// Seq numbers messages of one log densely in the order of arrival. The first live
// message has 1, imported history counts down from 0, and a message that an import
// finds between two known ones has [SeqNone]: it is seen in history and in no count.
// Erasing a message leaves its number used. A conversation that exists has a log ""
// from its creation; the other logs come to life with their first message.
//
// # What belongs to a conversation
//
// [DropConv] removes the conversation with its logs, dedup rows, members in both
// directions, marks, events, the lists it owns and its unique key. Notes of clients, a
// client's own list of blocked conversations and records stay. A dropped id may be
// used again.
//
// # Reading
//
// Every read sees committed batches only, and everything that was committed before
// it began. A read of one conversation is one consistent snapshot of it; nothing is
// promised across conversations. Pages go by key: "after" is exclusive, an empty one
// starts at the beginning, and n ≤ 0 asks for nothing. Results share memory
// with the store: callers read them and never write to them.
//
// All methods of a [Store] are safe for concurrent use.
package store
