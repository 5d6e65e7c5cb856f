package store

// Load says what reads of conversations bring along.
type Load uint8

// Parts of a conversation that are loaded on request.
const (
	LoadMembers Load = 1 << iota // Conv.Members
	LoadLast                     // Conv.Last
)

// AccessPath is a way to find conversations.
type AccessPath int8

// The ways, and the order in which each yields conversations.
const (
	ByMember AccessPath = iota + 1 // of which Client is a member or subscriber; by cid
	ByKey                          // the one that holds Key
	ByKind                         // of the Kinds; newest creation first, then larger cid first
	ByTTL                          // with 0 < TTLEnd ≤ Until; earliest end first, then by cid
)

// Access tells Scan where to look.
type Access struct {
	Path   AccessPath
	Client string     // ByMember
	Key    string     // ByKey
	Until  int64      // ByTTL
	Kinds  []ConvKind // only these kinds; none = all
	Load   Load
}

// Wants tells whether the access asks for conversations of kind k.
func (a *Access) Wants(k ConvKind) bool {
	if len(a.Kinds) == 0 {
		return true
	}
	for _, w := range a.Kinds {
		if w == k {
			return true
		}
	}
	return false
}

// Bound is one end of a Range. The zero Bound limits nothing. With an empty Mid only
// times are compared, so that a closed bound takes in every message of that time and
// an open one none.
type Bound struct {
	Set    bool
	TS     int64
	Mid    string
	Closed bool // the position itself belongs to the range
}

// Range selects messages of a log from Start towards End: back in time, or forward
// with Newer. A limit keeps those nearest to Start.
type Range struct {
	Newer      bool
	Start, End Bound
	// Typed restricts to messages that have FlagTyped and this Type.
	Typed bool
	Type  int32
}

// side is where a position lies relative to a bound: -1 before, 0 on it, +1 after.
func (b Bound) side(p Pos) int {
	if b.Mid == "" {
		switch {
		case p.TS < b.TS:
			return -1
		case p.TS > b.TS:
			return 1
		}
		return 0
	}
	return p.Compare(Pos{b.TS, b.Mid})
}

// Above tells whether p is allowed by b as a lower limit.
func (b Bound) Above(p Pos) bool {
	if !b.Set {
		return true
	}
	s := b.side(p)
	return s > 0 || s == 0 && b.Closed
}

// Below tells whether p is allowed by b as an upper limit.
func (b Bound) Below(p Pos) bool {
	if !b.Set {
		return true
	}
	s := b.side(p)
	return s < 0 || s == 0 && b.Closed
}

// Limits returns the range's lower and upper bound.
func (r Range) Limits() (low, high Bound) {
	if r.Newer {
		return r.Start, r.End
	}
	return r.End, r.Start
}

// Holds tells whether the range selects the message.
func (r Range) Holds(m *Message) bool {
	if r.Typed && (!m.Flags.Has(FlagTyped) || m.Type != r.Type) {
		return false
	}
	low, high := r.Limits()
	return low.Above(m.Pos()) && high.Below(m.Pos())
}

// LogMessage is a message together with its log.
type LogMessage struct {
	Log LogID
	Message
}

// Unread is the number of messages of others, and whether one of them mentions the reader.
type Unread struct {
	Count     int
	Mentioned bool
}

// ChangeKind is a list of things that happened.
type ChangeKind int8

// The lists.
const (
	Patches    ChangeKind = iota + 1 // messages of Log that were patched, each once, by its last patch time
	Events                           // events of the conversation Log.Cid
	Notes                            // permanent notes of Client
	Droppables                       // droppable notes of Client
)

// ChangeQuery names a list of changes. Log.App is the app in every case.
type ChangeQuery struct {
	Kind   ChangeKind
	Log    LogID
	Client string
	// Newest asks for the newest n changes instead of the oldest n; the result is
	// ascending in either case.
	Newest bool
}

// Change is one element of a list of changes.
type Change struct {
	TS      int64
	Op      string   // events and notes
	Cid     string   // events and notes
	Body    []byte   // events and notes
	Message *Message // patches: the message as it is now
}

// ChangePage is a page of changes.
type ChangePage struct {
	Items []Change // ascending by time
	// More says that there are others above the cursor beyond this page: newer ones, or
	// with ChangeQuery.Newest older ones.
	More bool
	// Floor is the time of the newest change that the list has forgotten because it was
	// full, 0 if none: a reader whose cursor lies below it has missed something. Always
	// 0 for patches, of which none is forgotten.
	Floor int64
}
