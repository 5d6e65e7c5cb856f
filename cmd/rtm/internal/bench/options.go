package bench

import (
	"errors"
	"fmt"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
)

// Work is what is measured.
type Work string

// The kinds of work.
const (
	Send      Work = "send"      // a message, until the server has acknowledged it
	FanOut    Work = "fanout"    // a message, until every receiver has it
	Broadcast Work = "broadcast" // a message of a service conversation, until every receiver has it
	Login     Work = "login"     // clients log in
	Reconnect Work = "reconnect" // all connections are cut; until every client is back
	History   Work = "history"   // a history is read, page after page
	Query     Work = "query"     // conversations are found
)

// Options say what to measure and where.
type Options struct {
	Work Work
	// Connect is how clients connect. HTTPClient must not be set: what is measured
	// is the connection that Dial makes.
	Connect realtime.Options
	// Admin deletes the conversations that were created; nil: they stay. Broadcast
	// needs it.
	Admin *admin.Client

	Room     bool  // chat rooms, not normal conversations
	Senders  int   // each on a connection of its own
	InFlight []int // per sender, or in all where there are none; a run for each
	// Receivers of each run; it is made for every one of InFlight.
	Receivers   []int
	Connections int // of receivers and of those who log in; 0: one for each 100
	Size        int // bytes of the text of a message, MinSize at least

	Count    int           // things in all to do
	Duration time.Duration // instead of Count: how long
	Rate     float64       // things per second in all; 0: as fast as they are done

	Clients       int  // who log in
	Rounds        int  // how often connections are cut, or the history is read by each reader
	Messages      int  // in the history
	Conversations int  // to search
	Page          int  // messages or conversations per answer
	Subscribers   int  // of the broadcast who are not online
	All           bool // broadcast to everybody, not to subscribers

	Backoff  time.Duration // before a connection is made again
	Patience time.Duration // how long nothing may happen

	// Progress is told how far it has got, on any goroutine, one at a time. nil:
	// nobody is told. A total of 0 is not known.
	Progress func(stage string, done, total int)
}

// MinSize is the least Options.Size: what a message has to carry.
const MinSize = 64

// Limits that keep a slip of the finger from taking the machine down.
const (
	maxStreams = 1 << 16
	maxClients = 1 << 20
)

var errAdmin = errors.New("this work needs an administrator")

// Validate reports the first mistake.
func (o *Options) Validate() error {
	for _, n := range o.InFlight {
		if n < 1 || n*max(o.Senders, 1) > maxStreams {
			return fmt.Errorf("%d in flight: must be 1 to %d in all", n, maxStreams)
		}
	}
	for _, n := range o.Receivers {
		if n < 0 || n > maxClients {
			return fmt.Errorf("%d receivers: must be 0 to %d", n, maxClients)
		}
	}
	for _, f := range []struct {
		what        string
		n, min, max int
	}{
		{"senders", o.Senders, 0, maxStreams},
		{"connections", o.Connections, 0, maxStreams},
		{"clients", o.Clients, 0, maxClients},
		{"rounds", o.Rounds, 0, maxClients},
		{"messages", o.Messages, 0, 1 << 30},
		{"conversations", o.Conversations, 0, 1 << 30},
		{"subscribers", o.Subscribers, 0, maxClients},
		{"count", o.Count, 0, 1 << 30},
	} {
		if f.n < f.min || f.n > f.max {
			return fmt.Errorf("%d %s: must be %d to %d", f.n, f.what, f.min, f.max)
		}
	}
	switch {
	case len(o.InFlight) == 0 || len(o.Receivers) == 0:
		return errors.New("say how many are in flight, and how many receivers there are")
	case o.Duration < 0:
		return fmt.Errorf("a duration of %v: must not be negative", o.Duration)
	case o.Rate < 0:
		return fmt.Errorf("a rate of %v: must not be negative", o.Rate)
	case o.Patience <= 0:
		return fmt.Errorf("a patience of %v: must be positive", o.Patience)
	case o.Backoff < 0:
		return fmt.Errorf("a backoff of %v: must not be negative", o.Backoff)
	case o.Connect.HTTPClient != nil:
		return errors.New("clients are to dial by themselves, not through an HTTP client")
	}
	return o.validateWork()
}

// validateWork checks what only some kinds of work need.
func (o *Options) validateWork() error {
	switch o.Work {
	case Send, FanOut, Broadcast:
		return o.validateMessages()
	case Login:
		if o.Clients == 0 {
			return errors.New("0 clients: there must be one")
		}
	case Reconnect:
		if o.Clients == 0 || o.Rounds == 0 {
			return errors.New("there must be a client and a round")
		}
	case History:
		if o.Messages == 0 || o.Rounds == 0 {
			return errors.New("there must be a message and a round")
		}
		return o.validatePage()
	case Query:
		switch {
		case o.Conversations == 0:
			return errors.New("0 conversations: there must be one")
		case o.Count == 0 && o.Duration == 0:
			return errors.New("say how many queries, or for how long")
		}
		return o.validatePage()
	default:
		return fmt.Errorf("there is no work %q", o.Work)
	}
	return nil
}

func (o *Options) validateMessages() error {
	switch {
	case o.Size < MinSize:
		return fmt.Errorf("a size of %d: must be %d bytes at least", o.Size, MinSize)
	case o.Count == 0 && o.Duration == 0:
		return errors.New("say how many messages, or for how long")
	case o.Work != Broadcast && o.Senders == 0:
		return errors.New("0 senders: there must be one")
	case o.Work == Broadcast && o.Admin == nil:
		return errAdmin
	}
	if o.Work == Send {
		return nil
	}
	for _, n := range o.Receivers {
		if n == 0 {
			return errors.New("0 receivers: there must be one")
		}
	}
	return nil
}

// maxPage is the most that the protocol gives in an answer.
const maxPage = 1000

func (o *Options) validatePage() error {
	if o.Page < 1 || o.Page > maxPage {
		return fmt.Errorf("a page of %d: must be 1 to %d", o.Page, maxPage)
	}
	return nil
}
