// Package chaos has no code of its own: it is the home of the suite that looks
// for lost, doubled and reordered messages while everything breaks.
//
// # A seed
//
// Each seed is one small world in virtual time (a testing/synctest bubble): the
// server of package realtimetest on its network in memory, some people with one
// or several devices, and a conversation of every kind. Three parties act at the
// same time, each with random numbers of its own that come from the seed alone:
//
//   - every device has a user, who sends (plainly, with WithRetry, with
//     WithDedupToken and again when the outcome is unknown), edits, recalls,
//     reads, adds and removes members, asks for things, pauses its connection,
//     and now and then kills the client and starts it again from its Position;
//   - an administrator broadcasts to the subscribers of a service conversation;
//   - the scheduler breaks things: cuts, black holes, refused connections,
//     commands that are lost, late, refused or answered twice, pushes that come
//     twice, goaway, expired tokens, conflicts, kicked clients, restarts.
//
// Then the scheduler heals everything, the users stop, every device comes back,
// and the world is given time to settle.
//
// # What must hold
//
// The truth is what the server has stored, as its REST API tells, and when who
// was a member, as its hooks told.
//
//   - Every call came back within its time.
//   - A send reported stored is stored once, under the id and time that were
//     reported; one that was refused or that was surely not sent is not stored;
//     one whose outcome is unknown is stored at most once, however often the
//     caller repeated it with its token.
//   - Every device has been told every stored message of the others, of the time
//     in which its client was a member, once and in the order of the log, over
//     all lives of the client; and none from before, after or elsewhere.
//   - What a device was told last of a message is what is stored: no edit and no
//     recall is missing.
//   - Members, unread counts and read marks that a device shows are those of the
//     server.
//   - The server knows of everybody that he has received what others said last,
//     and who asked for receipts has been told of each message that it was
//     received, and shows how far the other one has received and read.
//   - Who is in the chat room is told what is said there, once and in order, as
//     long as the server has not forgotten that he is there.
//   - When all is told the gauges of both sides show that nothing waits any more:
//     no send, no push, no event, no frame, no hook.
//   - Nothing is left when everything is closed: no goroutine, no session, no
//     connection.
//
// # A failure
//
// It prints what each party did and the command that plays the seed again. The
// decisions and their times are then the same; which of the goroutines that run
// in the same instant goes first is up to the scheduler of Go, so that a rare
// failure may need the -count flag.
//
// # Proof that it finds something
//
// With the build tag mutants, package mutant lets a test switch off one of the
// things that the promises rest on. TestMutants does so with each of them and
// wants the suite to fail.
package chaos
