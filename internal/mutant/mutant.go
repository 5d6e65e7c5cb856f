// Package mutant lets a test switch off, one at a time, the things that the
// promises about messages rest on, to see that the suite in internal/chaos
// notices.
//
// Without the build tag mutants nothing can be switched off: On is constantly
// false, and the compiler leaves out what stands behind it.
package mutant

// Mutant is something that can be switched off.
type Mutant int

// The mutants. None is what is on without one.
const (
	None Mutant = iota

	// Of the server.

	ForgetsTokens // the server does not know a send again by its token

	// Of the client: sending.

	ChangesTokens // every attempt of a send has a token of its own
	KeepsSends    // a send that is refused counts as in flight for ever

	// Of the client: receiving.

	KeepsDuplicates  // a message that comes again is delivered again
	Reorders         // two events that wait for the handlers change places
	LosesReadPoints  // what was read is not told to the server
	ForgetsReadPoint // a read point is told once and never again
	ForgetsAcks      // so is what was received

	// Of the client: recovery.

	SkipsPage         // the first page of a history is not delivered
	SkipsConversation // one of the conversations with news is left out
	SkipsMembers      // changes of members are not fetched
	SkipsEdits        // edits that were missed are taken for known
	SkipsReceipts     // receipts that were told meanwhile are not asked for
	SkipsRoom         // the chat room is left out
	AsksOnce          // what is not answered is not asked again
	ForgetsHoles      // what was missed before a removal stays missed
	TellsOutsiders    // what was said while the client was no member is told

	// Of the client: positions.

	RunsAhead       // a position contains what has not been handled yet
	ForgetsUnlisted // a position knows no temporary conversations
	afterTheLast
)

// All are the mutants but None.
func All() []Mutant {
	var all []Mutant
	for m := None + 1; m < afterTheLast; m++ {
		all = append(all, m)
	}
	return all
}

// String names the mutant.
func (m Mutant) String() string {
	names := [...]string{
		None: "none", ForgetsTokens: "forgets tokens", ChangesTokens: "changes tokens", KeepsSends: "keeps sends",
		KeepsDuplicates: "keeps duplicates", Reorders: "reorders",
		LosesReadPoints: "loses read points", ForgetsReadPoint: "forgets a read point",
		ForgetsAcks: "forgets acknowledgements", SkipsPage: "skips a page",
		SkipsConversation: "skips a conversation", SkipsMembers: "skips members", SkipsEdits: "skips edits",
		SkipsReceipts: "skips receipts", SkipsRoom: "skips the room",
		AsksOnce:     "asks once",
		ForgetsHoles: "forgets holes", TellsOutsiders: "tells outsiders",
		RunsAhead: "runs ahead", ForgetsUnlisted: "forgets unlisted conversations",
	}
	if m < 0 || int(m) >= len(names) {
		return "unknown"
	}
	return names[m]
}
