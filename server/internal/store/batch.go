package store

// Batch is a set of changes that happen together or not at all.
type Batch struct {
	App    string
	Guards []Guard
	Ops    []Op
}

// Guard is a condition on the state before a batch: one of *Fence, *Version,
// *FreeKey, *NewSend, *RecordVersion.
type Guard interface{ guard() }

// Op is one change: one of the pointer types below that are documented as operations.
type Op interface{ op() }

// Fence holds if no batch with a larger epoch of the same part was ever committed: the
// batch of an owner that was replaced fails. Parts are numbered per store, not per app.
type Fence struct {
	Part  uint32
	Epoch uint64
}

// Version holds if the conversation's version is N; 0 means that it does not exist.
type Version struct {
	Cid string
	N   int64
}

// FreeKey holds if no conversation of the app, other than Except, holds the unique key.
type FreeKey struct {
	Key    string
	Except string
}

// NewSend holds if the send is not known, or its row ended at time Now or before.
// Otherwise the batch fails with *SentError.
type NewSend struct {
	Client, Cid, Token string
	Now                int64
}

// RecordVersion holds if the record's version is N; 0 means that it does not exist.
type RecordVersion struct {
	Kind RecordKind
	Key  string
	N    int64
}

func (*Fence) guard()         {}
func (*Version) guard()       {}
func (*FreeKey) guard()       {}
func (*NewSend) guard()       {}
func (*RecordVersion) guard() {}

// PutConv creates or replaces a conversation; its logs, members and marks are not
// touched. The fields that reads fill are ignored, and Kind, Created and TTLEnd stay
// what they were at creation. A unique key that differs from the one held is released,
// and the new one is taken unless another conversation holds it: then none is held.
// Who must not be left without the key adds the guard FreeKey.
type PutConv struct{ Conv *Conv }

// DropConv removes a conversation with everything that belongs to it. No-op if absent.
type DropConv struct{ Cid string }

// PutMember adds or replaces a member of an existing conversation, in both directions.
type PutMember struct {
	Cid    string
	Member Member
}

// DropMember removes a member in both directions; its mark stays. No-op if absent.
type DropMember struct{ Cid, Client string }

// Append adds a message at the newest end of a log of an existing conversation and
// moves the head. Msg.Seq must be the head's plus one and, unless the log never had a
// message, Msg.TS above the head's, else the batch fails with a GuardError (GuardSeq):
// a writer with a stale head cannot fork a log. A non-empty Token stores a dedup row
// for (Msg.From, Cid, Token) that ends at TokenEnd. Rows that ended at Msg.TS or before
// may be forgotten.
type Append struct {
	Cid      string
	View     string
	Msg      *Message
	Token    string
	TokenEnd int64
}

// Patch replaces the content of a message, enters it into the patch list of the log
// and raises the head's patch time. Position, sender, seq, address and the flags receipt
// and system stay. The message must exist (else GuardMessage) and its last patch be
// older than TS (else GuardPatch).
type Patch struct {
	Cid  string
	View string
	At   Pos
	TS   int64 // when; > 0

	Body     string
	Flags    Flags // FlagBinary, FlagMentionAll, FlagRecalled and FlagTyped; others are ignored
	Type     int32
	Mentions []string
	Code     int32
	Reason   string
}

// Erase removes a message and its patch entry from a log. Head and numbers stay.
// No-op if absent.
type Erase struct {
	Cid  string
	View string
	At   Pos
}

// RaiseMark raises a client's mark in an existing conversation, field by field, to at
// least the given one; AckTS also to at least ReadTS. ReadAt and AckAt are raised only
// when the time they belong to is; an AckAt of 0 means ReadAt. The client need not
// be a member.
type RaiseMark struct {
	Cid  string
	Mark Mark
}

// AddEvent adds an event to an existing conversation and raises its head's event time.
// Only the newest KeepEvents stay.
type AddEvent struct {
	Cid   string
	Event Event
}

// AddNote adds a note to a client. Only the newest KeepNotes of its class stay.
type AddNote struct {
	Client string
	Note   Note
}

// PutEntry adds or replaces an entry of a list. If a conversation owns the list, it must
// exist.
type PutEntry struct {
	List  ListKind
	Owner string
	Entry Entry
}

// DropEntry removes an entry of a list. No-op if absent.
type DropEntry struct {
	List  ListKind
	Owner string
	ID    string
}

// PutRecord creates or replaces a record.
type PutRecord struct{ Record *Record }

// DropRecord removes a record. No-op if absent.
type DropRecord struct {
	Kind RecordKind
	Key  string
}

// Import adds a message of foreign history at its own position in a log of an existing
// conversation. Its Seq is assigned: 0 in a log that never had a message, one above the
// head if it is newer (the head moves), one below the oldest numbered message if it is
// older than that (erased or not), else SeqNone. A message at that position stays as it
// is: importing twice changes nothing.
type Import struct {
	Cid  string
	View string
	Msg  *Message
}

func (*PutConv) op()    {}
func (*DropConv) op()   {}
func (*PutMember) op()  {}
func (*DropMember) op() {}
func (*Append) op()     {}
func (*Patch) op()      {}
func (*Erase) op()      {}
func (*RaiseMark) op()  {}
func (*AddEvent) op()   {}
func (*AddNote) op()    {}
func (*PutEntry) op()   {}
func (*DropEntry) op()  {}
func (*PutRecord) op()  {}
func (*DropRecord) op() {}
func (*Import) op()     {}
