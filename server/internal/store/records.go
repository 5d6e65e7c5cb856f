package store

import "encoding/json"

// ConvKind is one of the four kinds of conversation. The numbers are those of the wire.
type ConvKind int8

// The kinds of conversation.
const (
	KindNormal    ConvKind = 1 // a member list, history, unread counts
	KindRoom      ConvKind = 2 // chat room: who is present is never stored
	KindService   ConvKind = 3 // subscribers, several logs
	KindTemporary ConvKind = 4 // like normal, fixed members, ends by itself
)

// Conv is a conversation.
type Conv struct {
	Cid     string
	Kind    ConvKind
	Creator string

	// Attrs is one JSON object with every top-level key that clients may write, the
	// name included ("name", "attr", custom keys). The text is kept as it was given.
	// Empty means no attributes.
	Attrs json.RawMessage

	Unique   bool   // created as unique
	UniqueID string // the id of the member group that clients see; empty if none
	// UniqueKey is the app-wide key that this conversation holds, empty for none. At most one
	// conversation of an app holds a key. See PutConv for how it is taken and moved.
	UniqueKey string

	TTLEnd  int64 // temporary conversations: the time at which it ends; 0 = never
	Created int64
	Updated int64

	Version       int64 // written as given; ≥ 1; compared by the guard Version
	MemberVersion int64 // written as given; the writer raises it with every change of members

	// The fields below are filled by reads and ignored by PutConv.

	Count   int64    // number of members or subscribers
	Head    Head     // of the log ViewMain; Head.TS is the time of the last message
	Members []Member // with LoadMembers, by client; nil for rooms and service conversations
	Last    *Message // with LoadLast: the newest message of ViewMain; nil if there is none
}

// Head is the newest end of a log. The zero Head is that of a log without messages.
type Head struct {
	Seq      int64  // of the last message
	TS       int64  // of the last message
	Mid      string // of the last message
	PatchTS  int64  // largest patch time in the log
	EventTS  int64  // time of the newest event of the conversation; ViewMain only
	FirstSeq int64  // of the oldest numbered message, erased or not; meaningless while the log is empty
}

// Pos is the position of the last message.
func (h Head) Pos() Pos { return Pos{h.TS, h.Mid} }

// Role is what a member may do. A conversation's creator is its owner without
// a stored role.
type Role int8

// The roles that are stored, and RoleUnset for members for whom none was ever set.
const (
	RoleUnset   Role = 0
	RoleMember  Role = 1
	RoleManager Role = 2
	RoleOwner   Role = 3
)

// Member is a member of a normal or temporary conversation or a subscriber of a
// service conversation.
type Member struct {
	Client string
	Joined int64
	Role   Role   // RoleUnset: no role row exists
	InfoID string // id of the role row; empty while Role is RoleUnset
	Muted  bool   // wants no offline push
}

// MemberKey names one client in one conversation.
type MemberKey struct{ Cid, Client string }

// Membership is a conversation as one of its members finds it at login.
type Membership struct {
	Cid  string
	Kind ConvKind
	Member
	Head   Head  // of ViewMain
	Own    Head  // of ClientView(Client); zero outside of service conversations
	Mark   Mark  // zero times when nothing was read or received yet
	TTLEnd int64 // as in Conv
}

// Mark is how far a client has read and received a conversation. No field of it
// ever falls.
type Mark struct {
	Client  string
	ReadTS  int64 // every message at or before this time is read
	ReadSeq int64 // number of the newest message of ViewMain known to be read; may lag behind ReadTS
	AckTS   int64 // every message at or before this time was received; never below ReadTS
	ReadAt  int64 // when ReadTS was last raised
	AckAt   int64 // when AckTS was last raised
}

// Flags of a message.
type Flags uint16

// The flags.
const (
	FlagBinary     Flags = 1 << iota // Body is bytes, not text
	FlagMentionAll                   // mentions everybody
	FlagReceipt                      // the sender wants receipts
	FlagRecalled                     // taken back; Body says so
	FlagSystem                       // sent through the admin interface
	FlagTyped                        // Type is valid
)

// Has tells whether every flag of f is set.
func (fl Flags) Has(f Flags) bool { return fl&f == f }

// Message is a stored message. It is immutable: a patch replaces it by a new one.
type Message struct {
	TS    int64
	Mid   string
	Seq   int64
	From  string
	Flags Flags
	Type  int32 // the type number in the JSON text, parsed once; valid with FlagTyped
	Body  string
	// Mentions are the clients that are mentioned by name.
	Mentions []string

	PatchTS     int64 // time of the last edit or recall; 0 = never
	PatchCode   int32 // why a system edit was made; 0 for the sender's own edits
	PatchReason string

	IP string // the sender's address; may be empty
}

// Pos is the message's position in its log.
func (m *Message) Pos() Pos { return Pos{m.TS, m.Mid} }

// Mentioned tells whether the message mentions the client.
func (m *Message) Mentioned(client string) bool {
	if m.Flags.Has(FlagMentionAll) {
		return true
	}
	for _, c := range m.Mentions {
		if c == client {
			return true
		}
	}
	return false
}

// SendKey identifies one send of one client, however often it is tried.
type SendKey struct{ App, Client, Cid, Token string }

// Sent is what became of a send.
type Sent struct {
	Mid string
	TS  int64
	End int64 // the row counts as absent from this time on
}

// KeepEvents is how many of the newest events of a conversation a store keeps.
const KeepEvents = 200

// KeepNotes is how many of the newest notes of each class a store keeps for a client.
const KeepNotes = 1000

// Event is something that happened to a conversation, stored once and read by its members.
type Event struct {
	TS   int64
	Op   string // name of the notice
	Body []byte // the notice's fields
}

// Note is something that happened to one client.
type Note struct {
	TS        int64
	Op        string
	Cid       string
	Permanent bool   // permanent and droppable notes are two lists
	Body      []byte // the notice's fields
}

// ListKind tells what a list is about.
type ListKind int8

// The lists. The first three belong to a conversation and go with it.
const (
	ListBlocked  ListKind = 1 // clients that a conversation blocks; owner: cid
	ListShutup   ListKind = 2 // clients that may not speak in it; owner: cid
	ListSilenced ListKind = 3 // clients that may not speak in it until the entry's end; owner: cid
	ListOwnBlock ListKind = 4 // conversations that a client blocks; owner: client
)

// OfConv tells whether lists of this kind are owned by a conversation.
func (k ListKind) OfConv() bool { return k != ListOwnBlock }

// ListID names a list. Lists exist without being created.
type ListID struct {
	App   string
	Kind  ListKind
	Owner string
}

// Entry is an element of a list.
type Entry struct {
	ID    string
	Since int64
	End   int64 // the entry has no effect from this time on; 0 = no end. The caller judges.
	By    string
}

// RecordKind separates the name spaces of small records.
type RecordKind string

// The kinds that the server uses. Others may be added without touching a store.
const (
	// RecordClient: first seen, last seen, broadcast cursor, oldest valid token. Key: client.
	RecordClient RecordKind = "client"
	// RecordTag: who holds a tag. Key: Key(client, tag).
	RecordTag RecordKind = "tag"
	// RecordBroadcast: position and validity of a global broadcast. Key: Key(cid, mid).
	RecordBroadcast RecordKind = "broadcast"
	// RecordAddressed: a service conversation wrote to a client that need not be a
	// subscriber. Key: Key(client, cid).
	RecordAddressed RecordKind = "addressed"
	// RecordDevice: a device. Key: its id.
	RecordDevice RecordKind = "device"
	// RecordFile: metadata and state of a file. Key: its id.
	RecordFile RecordKind = "file"
	// RecordUser: a session of the user system. Key: a hash of its token.
	RecordUser RecordKind = "user"
)

// Record is a small value of a kind that the store does not look into.
type Record struct {
	Kind    RecordKind
	Key     string
	Version int64  // written as given; ≥ 1; compared by the guard RecordVersion
	Body    []byte // encoding is the writer's
}
