package realtime

import (
	"strconv"
	"time"
)

// MessageQueryDirection is the direction in which history is read.
type MessageQueryDirection int

// The directions.
const (
	DirectionAuto MessageQueryDirection = iota // OldToNew if EndTime is after StartTime, else NewToOld
	NewToOld
	OldToNew
)

// String names the direction.
func (d MessageQueryDirection) String() string {
	switch d {
	case DirectionAuto:
		return "auto"
	case NewToOld:
		return "new to old"
	case OldToNew:
		return "old to new"
	}
	return "MessageQueryDirection(" + strconv.Itoa(int(d)) + ")"
}

// MessageQuery says which messages of the history are wanted. The zero value
// asks for the newest.
type MessageQuery struct {
	// Limit is the page size, 1 to 1000; 0: 20, in Messages 100.
	Limit int
	// Type is the only message type wanted; 0: all.
	Type      int
	Direction MessageQueryDirection
	// StartTime and EndTime are the bounds; a zero time is an open one.
	StartTime, EndTime time.Time
	// StartMessageID and EndMessageID tell messages of the same time apart. An
	// id is only valid with its time.
	StartMessageID, EndMessageID string
	// StartClosed and EndClosed include the bound itself.
	StartClosed, EndClosed bool
}

// MessageIterator reads the history page after page. It is for one goroutine
// at a time.
type MessageIterator struct {
	conv *Conversation
}
