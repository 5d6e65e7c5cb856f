// Package memory is a store.Store that keeps everything in this process and loses it
// with the process.
//
// # State and locks
//
// Conversations, clients, record kinds and fence parts are spread over shards by
// hash. A conversation lives in one shard with its logs, members, marks, events,
// lists and dedup rows; a client in one shard with the ids of its conversations,
// its notes and its own list. What can only be found per app, the unique keys and
// the orders by creation and by end, is in one index per app.
//
// A commit runs in the calling goroutine. It locks the shards of everything that
// the batch names, in ascending order, and then the app's index if
// it needs that; checks all conditions without changing anything; applies; unlocks.
// A reader locks one shard or one index at a time and copies what it returns, so
// that no lock is held while a caller's function runs.
//
//	lock order: shards ascending → app index
//
// Reads that follow an index into conversations look at each conversation on its
// own and leave out what has gone meanwhile.
//
// Conversations are replaced, never changed, so that readers share them. Ordered data is
// in block lists: searching is O(log n), inserting moves at most one block,
// appending never moves anything.
//
// # Messages
//
// There are more messages than anything else, so they are what the garbage collector
// must not have to look at: a log keeps them as bytes in pieces of some 16 KiB,
// and lists of numbers that say where in them. What was written stays as it is, so a
// reader's message shares the bytes of its piece and needs no copy. An edited message
// is written once more; a log whose text is more than half left-overs is written anew.
package memory
