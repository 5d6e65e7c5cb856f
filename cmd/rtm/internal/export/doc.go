// Package export takes everything out of an app that the REST API tells of it,
// into a directory of JSON lines, and checks such a directory against its
// source.
//
// # Files
//
// Each line is one JSON object. What the server sent is kept as it was, with
// every key, also those that this program does not know, and with numbers of any
// size.
//
//	conversations.jsonl  conversations of all kinds that the server lists, as it stores them
//	details.jsonl        of each of them: members, who gets no notifications, who is
//	                     silenced, who is blocked, roles
//	subscribers.jsonl    subscriptions of service conversations
//	messages.jsonl       messages of the whole app, oldest first
//	unlisted.jsonl       conversations that have messages but are in no list, such as
//	                     temporary ones, with their members
//	broadcasts.jsonl     broadcasts to everybody that are still valid
//	manifest.json        what there is: counts, time range, checksums, gaps
//
// The online members of chat rooms, temporary silencing and read marks are told
// by no request, or change from moment to moment; they are left out.
//
// # What the cloud does not tell
//
// The documented interface, which is all that the cloud has, says of a message its
// conversation, sender, time, content and address, and nothing else. So an export
// of the cloud lacks: when a message was edited (its content is the present one),
// whom it mentions, to which clients a message of a service conversation went,
// whether it was a broadcast, and what the copies of single clients say if they
// were edited by themselves. This project's server tells all that in fields of
// its own, next to those that are documented:
//
//	patch-timestamp, recalled    of the last edit
//	mention-all, mention-pids    who is mentioned
//	audience                     of a message of a service conversation: "clients",
//	                             "subscribers", "everyone", or "service" for what a
//	                             client said to it
//	to-clients                   of audience "clients": those who have it
//	copies                       what was edited for some of them only: objects with
//	                             to-clients, data, bin, patch-timestamp, recalled, …
//	valid-till                   of a broadcast to everybody, in broadcasts.jsonl
//
// To which clients a message of a service conversation went could be asked of the
// cloud too, one client at a time, for those who subscribe; that is as many
// requests as there are subscriptions, and is not done.
//
// Conversations that were deleted, and in the cloud messages older than it keeps
// them, are gone. Whether a live cloud answers exactly as documented was not
// tried; what it refuses is a gap in the manifest.
//
// An export is a picture of the time when it was begun: messages that are more
// than two seconds later are not in it. Of a message that is edited while the export runs, it has the version
// that there was when the message was read. The end of the time range is the
// clock of the server, not that of this machine.
//
// # States
//
// An export goes through its stages one after the other:
//
//	conversations → details → subscribers → messages → unlisted → broadcasts → done
//
// Within a stage it advances by units: a page of a list, or some conversations
// whose details are asked for at the same time. The lines of a unit are appended
// first, then the cursor of the stage moves past it. A commit makes that last: it
// flushes and syncs the files that have grown, then replaces checkpoint.json by
// one that has the cursor, and the length and checksum of each file. There is a
// commit at the end of each stage, when the last one was some time ago, and when
// the export is interrupted.
//
// Whatever ends the process, the next run begins at the checkpoint: it reads each
// file up to the length in the checkpoint, compares the checksum, and cuts off
// what comes after, be it half a line. The units that were lost with it are asked
// for again. So nothing is missing and nothing is there twice. A file that is
// shorter than its checkpoint says or has another checksum was damaged by
// somebody else: the export then fails, and says so.
//
// When the last stage is over, manifest.json is written and checkpoint.json
// removed. A directory with a manifest and no checkpoint is complete.
//
// # Failures
//
// A request that gets no answer, a damaged one, or one of the kind 5xx is
// repeated, with up to a minute between, until Options.Patience is over. After
// an answer 429 the whole export waits as long as the server asks, or a minute,
// and then goes on; that is not limited, since the quota of a day may be used up.
// Any other refusal ends the export, except in the lists of a single
// conversation, which may be deleted at any time, and whose endpoints not every
// server has: what is refused there is a gap, which the manifest tells of.
//
// # Concurrency
//
// One goroutine owns the state, the files and the cursor. The requests of a unit
// of details run on goroutines of their own, which end before the unit does and
// touch nothing but their own result. One process at a time works in a directory:
// it holds a lock on it.
package export
