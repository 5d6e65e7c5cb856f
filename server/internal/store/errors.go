package store

import (
	"errors"
	"fmt"
)

// Errors of a store; see the package comment for what each says about the data.
var (
	ErrUnavailable = errors.New("store: unavailable, nothing was written")
	ErrInDoubt     = errors.New("store: outcome unknown")
	ErrCorrupt     = errors.New("store: stored data is corrupt")
	ErrInvalid     = errors.New("store: malformed batch")
	ErrClosed      = errors.New("store: closed")
)

// GuardKind tells which condition of a batch did not hold.
type GuardKind int8

// The conditions. The first four are explicit guards, the others belong to operations.
const (
	GuardFence   GuardKind = iota + 1 // N: the part's epoch
	GuardVersion                      // N: the conversation's version, 0 = absent
	GuardKey                          // Found: the conversation that holds the key
	GuardRecord                       // N: the record's version, 0 = absent
	GuardConv                         // the conversation does not exist
	GuardSeq                          // N: the head's seq
	GuardMessage                      // the message does not exist
	GuardPatch                        // N: the time of the message's last patch
)

func (k GuardKind) String() string {
	switch k {
	case GuardFence:
		return "fence"
	case GuardVersion:
		return "version"
	case GuardKey:
		return "unique key"
	case GuardRecord:
		return "record version"
	case GuardConv:
		return "conversation exists"
	case GuardSeq:
		return "sequence"
	case GuardMessage:
		return "message exists"
	case GuardPatch:
		return "patch time"
	}
	return fmt.Sprintf("GuardKind(%d)", int8(k))
}

// GuardError says that a batch was refused, and what was found instead.
type GuardError struct {
	Which GuardKind
	Cid   string // the conversation concerned; empty if none
	Found string // see GuardKind
	N     int64  // see GuardKind
}

func (e *GuardError) Error() string {
	return fmt.Sprintf("store: guard failed: %v (conversation %q, found %q, %d)", e.Which, e.Cid, e.Found, e.N)
}

// SentError says that the message of a batch was already stored.
type SentError struct {
	Mid string
	TS  int64
}

func (e *SentError) Error() string {
	return fmt.Sprintf("store: already sent as %s at %d", e.Mid, e.TS)
}

// IsGuard tells whether err says that a condition of a batch did not hold, the
// message being stored already included: the store itself is well.
func IsGuard(err error) bool {
	var (
		guard *GuardError
		sent  *SentError
	)
	return errors.As(err, &guard) || errors.As(err, &sent)
}

// AsGuard tells whether err is a GuardError of the given kind and returns it.
func AsGuard(err error, which GuardKind) (*GuardError, bool) {
	var g *GuardError
	if errors.As(err, &g) && g.Which == which {
		return g, true
	}
	return nil, false
}
