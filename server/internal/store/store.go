package store

import "context"

// Store holds the server's data. See the package comment for the contract.
type Store interface {
	// Commit applies batches. It returns nil if all succeeded, else one error per batch, nil
	// for those that did.
	Commit(ctx context.Context, bs []Batch) []error

	// Convs returns conversations by id; nil = absent.
	Convs(ctx context.Context, app string, cids []string, load Load) ([]*Conv, error)

	// Scan yields the conversations of an access path, in its order, until yield returns
	// false. yield is called without locks and may call the store. A conversation that
	// is created or dropped meanwhile may or may not be yielded; one that exists all
	// the time is yielded exactly once. What yield gets is its own until it returns: the
	// record may then serve for the next one.
	Scan(ctx context.Context, app string, a Access, yield func(*Conv) bool) error

	// Members returns up to n members of a conversation, by client.
	Members(ctx context.Context, app, cid, after string, n int) ([]Member, error)

	// FindMembers looks up single members; nil = not a member.
	FindMembers(ctx context.Context, app string, keys []MemberKey) ([]*Member, error)

	// Memberships returns up to n conversations of a client, by cid, with what a login
	// needs. Fewer than n means that there are no more.
	Memberships(ctx context.Context, app, client, after string, n int) ([]Membership, error)

	// Marks returns the marks of the given clients in a conversation, in their order, or
	// with nil clients all of them by client. Clients without a mark are left out.
	Marks(ctx context.Context, app, cid string, clients []string) ([]Mark, error)

	// Heads returns the heads of logs; the zero Head for a log that is empty or absent.
	Heads(ctx context.Context, logs []LogID) ([]Head, error)

	// Messages returns up to n messages of a range, those nearest to its start, ascending by
	// position in either direction. The cost does not grow with the log.
	Messages(ctx context.Context, log LogID, r Range, n int) ([]Message, error)

	// FindMessage returns one message, nil = absent.
	FindMessage(ctx context.Context, log LogID, at Pos) (*Message, error)

	// AppMessages is Messages over all logs of an app, merged by position and then by
	// cid and view. A non-empty from selects one sender. It is meant for administration:
	// the cost grows with the number of conversations.
	AppMessages(ctx context.Context, app, from string, r Range, n int) ([]LogMessage, error)

	// Unread counts the messages of a log that are newer than time after, have a number
	// and are not from me. It goes back from the newest, stops at limit and looks for
	// mentions in what it counted.
	Unread(ctx context.Context, log LogID, me string, after int64, limit int) (Unread, error)

	// Changes returns changes with a time above after, n of them or a few more: a page
	// never ends between changes of equal time, so its last time is a safe cursor.
	Changes(ctx context.Context, q ChangeQuery, after int64, n int) (ChangePage, error)

	// Entries returns up to n entries of a list, by id.
	Entries(ctx context.Context, list ListID, after string, n int) ([]Entry, error)

	// FindEntries looks up single entries; nil = absent.
	FindEntries(ctx context.Context, list ListID, ids []string) ([]*Entry, error)

	// CountEntries returns the number of entries of a list, in constant time.
	CountEntries(ctx context.Context, list ListID) (int, error)

	// Sent tells what became of a send. A row that has ended may still be found: compare Sent.End.
	Sent(ctx context.Context, key SendKey) (Sent, bool, error)

	// Records returns up to n records of a kind whose key begins with prefix and is larger
	// than after, by key.
	Records(ctx context.Context, kind RecordKind, app, prefix, after string, n int) ([]Record, error)

	// FindRecords looks up single records; nil = absent.
	FindRecords(ctx context.Context, kind RecordKind, app string, keys []string) ([]*Record, error)

	// Caps tells what the implementation promises.
	Caps() Caps

	// Close ends the store: running calls finish, later ones return ErrClosed. It waits for
	// the store's goroutines. Closing twice is allowed.
	Close() error
}

// Caps are the properties in which implementations differ.
type Caps struct {
	Inline  bool // Commit never waits for I/O: it may be called with a lock held
	Durable bool // a committed batch survives the end of the process
	Shared  bool // other processes may write to the same data
	// MaxBatch is how many batches one Commit call should carry at most.
	MaxBatch int
}

// CommitOne commits a single batch.
func CommitOne(ctx context.Context, s Store, b Batch) error {
	if errs := s.Commit(ctx, []Batch{b}); errs != nil {
		return errs[0]
	}
	return nil
}
