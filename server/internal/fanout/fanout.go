// Package fanout has the values that pass between the parts of the server that
// decide (commands, engine) and the parts that know sockets (sessions,
// transport): who caused a command, what to push to whom, and what a login is
// told.
//
// Everything here is plain data. An event names its receivers by id and carries
// the encoded bytes, never a pointer to a session or connection, so that it may
// be queued, sent to another process or played again. The one func field,
// [Request.Reply], belongs to the process that read the command.
package fanout

import (
	"fmt"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/store"
)

// SessionRef is the number of one opened session. It is unique in the process
// and never used again; 0 means none, as for commands that came over REST.
type SessionRef uint64

// Actor is who caused a command.
type Actor struct {
	App     string
	Client  string     // client id; empty for an administrator
	Session SessionRef // 0: none
	Caps    int64      // the configBitmap of the session
	Offline bool       // session mode 1: missed messages are pushed, not counted
	Tag     string     // empty: none
	Device  string     // hash of the device's identity; empty: unknown
	IP      string     // address of the peer, without port
	Admin   bool       // acts with the master key
}

// Class says how badly a frame is wanted when the receiver is slow.
type Class uint8

// The classes. Frames of one connection leave in the order in which they were
// published, whatever their class, except that a reply passes pushes that are
// held back for it.
const (
	ClassReply      Class = iota // replies, closes, goaway: never dropped
	ClassStored                  // stored messages, unread, patches, notices: never dropped
	ClassRoomHigh                // never dropped
	ClassRoomNormal              // dropped while the receiver's queue is 75 % full
	ClassRoomLow                 // and transient messages: dropped while it is 50 % full
	ClassCount                   // how many classes there are
)

func (c Class) String() string {
	switch c {
	case ClassReply:
		return "reply"
	case ClassStored:
		return "stored"
	case ClassRoomHigh:
		return "room high"
	case ClassRoomNormal:
		return "room normal"
	case ClassRoomLow:
		return "room low"
	}
	return fmt.Sprintf("Class(%d)", uint8(c))
}

// TargetKind says how an event names its receivers.
type TargetKind uint8

// The kinds of target.
const (
	TargetClients     TargetKind = iota + 1 // every session of Event.Clients
	TargetRoom                              // every session present in the room Event.Conv
	TargetSubscribers                       // every session of a subscriber of the service conversation Event.Conv
	TargetEveryone                          // every session of the app
	TargetSession                           // the session Event.Session
)

// Event is something to push. After it was published nobody changes it or the
// memory it points to.
type Event struct {
	App     string
	Kind    TargetKind
	Conv    string
	Clients []string
	Session SessionRef
	Except  SessionRef // is left out, whatever the target; 0: nobody

	Class Class
	// Body is the encoded command without its peerId. The receivers share it.
	Body []byte
	// NeedCaps are the configBitmap bits a session must have, all of them, to
	// get the event.
	NeedCaps int64
	// Counts says that the event tells how much is unread of Conv, up to its place
	// among the messages. It leaves out sessions of mode 1, which are pushed
	// messages instead of counts.
	Counts bool

	// Log and Seq are the position of the log entry that the event tells. A
	// session that is being opened and was told of that position by its Snapshot
	// does not get the event, unless a count of the conversation came in between.
	// Seq 0: not a log entry.
	Log store.LogID
	Seq int64

	Hold Hold
}

// Hold names the command that caused an event. On the connection of that
// session, and on no other, the event waits until the reply to the command was
// written and 10 ms have passed, but at most 200 ms. The zero Hold waits for
// nothing.
type Hold struct {
	Session SessionRef
	Serial  int32 // GenericCommand.i of the command
}

// Request is a command to execute.
type Request struct {
	Actor Actor
	Cmd   *pb.GenericCommand
	// Reply answers the command. It sets i, peerId and service. It may be called
	// from any goroutine, before or after the handler has returned, and with locks
	// held: it never blocks and does not keep what it is given. Calls after the
	// first do nothing. A command without i expects no reply; one that is given is
	// dropped, except for an echo.
	Reply func(*pb.GenericCommand)
}

// Hold returns the hold of events that the request causes.
func (r *Request) Hold() Hold {
	if r.Actor.Session == 0 || r.Cmd.GetI() == 0 {
		return Hold{}
	}
	return Hold{Session: r.Actor.Session, Serial: r.Cmd.GetI()}
}

// Way is how a command is to be executed.
type Way struct {
	// Slow: it may wait for long, for a hook or for the store, and must not hold
	// up the commands of others.
	Slow bool
	// Ordered: it must not overtake commands of the same session for the same
	// conversation that are ordered too, nor be overtaken by them.
	Ordered bool
	Conv    string // that it is about; may be empty
}

// Login is a session that is being opened.
type Login struct {
	Actor  Actor
	Reopen bool // the client opens again by itself after a lost connection
	// Token identifies the device's chain of session tokens: it survives reopens
	// and refreshes, and is different for every first open.
	Token string

	LastUnread    int64 // lastUnreadNotifTime, ms
	HasLastUnread bool
	LastPatch     int64 // lastPatchTime, ms
	HasLastPatch  bool
}

// Snapshot is what a session is told when it opens. It is read while the
// session is registered but closed for pushes, so nothing falls between the
// two.
type Snapshot struct {
	// ServerTS is the time, in ms, that the client will hand back as its point of
	// synchronization: nothing at or before it may still be in flight.
	ServerTS int64
	// Frames are encoded commands without peerId, of ClassStored, sent after the
	// reply in this order.
	Frames [][]byte
	// Told says for which logs the frames cover everything up to which seq.
	Told map[store.LogID]int64
	// Subscriptions are the service conversations that the client subscribes.
	Subscriptions []string
}

// EndCause says how a session ended. The numbers are those that the hook for
// clients going offline reports.
type EndCause uint8

// The causes.
const (
	EndLogout     EndCause = 1 // the client closed the session
	EndLost       EndCause = 2 // the connection ended
	EndConflict   EndCause = 3 // displaced by another device with the same tag
	EndKicked     EndCause = 4 // closed by an administrator
	EndSuperseded EndCause = 5 // the same device opened again; the client stays online
)

// Ended is a session that was open and is not any more.
type Ended struct {
	Actor Actor
	Token string // as in Login
	Room  string // the chat room it was in; empty: none
	Cause EndCause
	// Code is why the connection ended, for EndLost: a code of the protocol, or 0
	// when the peer went away. For EndKicked and EndConflict it is the code that
	// the client was told.
	Code   wire.Code
	Reason string // free text beside the code
}

// Refusal is an error that becomes a failure reply with its code. A Snapshot
// function returns it to refuse a login.
type Refusal struct {
	Code    wire.Code
	Detail  string // free text; empty: none
	AppCode int32  // a hook's own code; 0: none
	AppMsg  string // a hook's own text; empty: none
}

func (e *Refusal) Error() string {
	if e.Detail == "" {
		return e.Code.Name()
	}
	return e.Code.Name() + ": " + e.Detail
}
