package realtime

import (
	"errors"
	"sync/atomic"

	"github.com/leanrtm/realtime/internal/link"
)

// Stats is what is known of a [Realtime] at one moment, all its clients and
// connections together, also those that have ended. Fields of a signed type are
// gauges, the state of now; unsigned ones are counters that only grow. Each
// field is exact; between fields, something that is just happening may be
// counted in one and not yet in the other.
type Stats struct {
	State         State
	Clients       int64 // attached now: open, being opened, or waiting for a reconnect
	EventsWaiting int64 // for the handlers of the Realtime, now; those of clients are in ClientStats

	Dials       uint64 // attempts to connect a socket, at whatever address
	DialsFailed uint64 // of those
	Connects    uint64 // connections that came to be used
	Disconnects uint64 // of those, the ones that ended before they were no longer needed

	Commands        uint64 // sent, or attempted, that have an answer; logins included
	CommandsRefused uint64 // of those, the ones that the server refused with a code
	CommandsFailed  uint64 // of those, the ones that got no answer: cut off, timed out, given up

	FramesIn   uint64 // received
	BytesIn    uint64 // the size of what was in them
	FramesOut  uint64 // written, heartbeats included
	BytesOut   uint64
	Heartbeats uint64

	Pushes        uint64 // received frames that answer no command
	PushesUnknown uint64 // of those, the ones for no client here
	Overflows     uint64 // clients ended by ErrEventOverflow

	// Sum is of all clients together: the counters also of those that have ended,
	// the gauges of the others.
	Sum ClientStats
}

// ClientStats is what is known of an [IMClient] at one moment. As in [Stats],
// fields of a signed type are gauges and unsigned ones counters.
type ClientStats struct {
	Opens   uint64 // logins that were granted
	Reopens uint64 // of those, the ones after a lost connection

	// Calls of Send that have ended, each in one of these.
	Sent         uint64 // the server has accepted the message
	SendsRefused uint64 // the server has refused it, with a code
	SendsUnknown uint64 // it may have been accepted: ErrOutcomeUnknown
	SendsFailed  uint64 // it was not sent
	SendRetries  uint64 // attempts by WithRetry, after the first

	SendsInFlight int64 // without an answer now, transient messages and wills not counted
	SendsWaiting  int64 // of those, the ones that are being retried; Options.Outbox bounds them

	Received   uint64 // messages that were made events
	Recovered  uint64 // of those, the ones that were missed and fetched
	Duplicates uint64 // pushed messages that were known already, or left to a recovery that will bring them in order

	Events        uint64 // made for listeners, of all kinds
	PushesWaiting int64  // received and not yet made events
	EventsWaiting int64  // for the handlers; Options.EventQueue bounds this and the one above

	Conversations int64 // in memory: those in use, and the most recent ones
}

// counters are those of a Realtime.
type counters struct {
	link link.Counters

	commands, refused, failed atomic.Uint64
	pushes, strays            atomic.Uint64
	overflows                 atomic.Uint64
}

// clientCounters are those of an IMClient.
type clientCounters struct {
	opens, reopens                                  atomic.Uint64
	sent, sendsRefused, sendsUnknown, sendsFailed   atomic.Uint64
	sendRetries, received, recovered, known, events atomic.Uint64
}

// Stats returns the counters. It does not block. It looks at every client that
// has not ended.
func (rt *Realtime) Stats() Stats {
	c := &rt.counters
	rt.mu.RLock()
	attached, sum := len(rt.attached), rt.ended
	clients := make([]*IMClient, 0, len(rt.clients))
	for c := range rt.clients {
		clients = append(clients, c)
	}
	rt.mu.RUnlock()
	for _, c := range clients {
		st := c.Stats()
		sum.addCounters(&st)
		sum.addGauges(&st)
	}
	return Stats{
		Sum:           sum,
		State:         rt.State(),
		Clients:       int64(attached),
		EventsWaiting: int64(rt.handlers.Len()),
		// The parts before the whole, so that they are never more.
		DialsFailed:     c.link.DialsFailed.Load(),
		Dials:           c.link.Dials.Load(),
		Disconnects:     c.link.Lost.Load(),
		Connects:        c.link.Connected.Load(),
		CommandsRefused: c.refused.Load(),
		CommandsFailed:  c.failed.Load(),
		Commands:        c.commands.Load(),
		FramesIn:        c.link.Conn.FramesIn.Load(),
		BytesIn:         c.link.Conn.BytesIn.Load(),
		Heartbeats:      c.link.Conn.Heartbeats.Load(),
		FramesOut:       c.link.Conn.FramesOut.Load(),
		BytesOut:        c.link.Conn.BytesOut.Load(),
		PushesUnknown:   c.strays.Load(),
		Pushes:          c.pushes.Load(),
		Overflows:       c.overflows.Load(),
	}
}

// Stats returns the counters. It does not block, and works also after the end
// of the client.
func (c *IMClient) Stats() ClientStats {
	n := &c.counters
	c.sync.mu.Lock()
	inFlight, waiting := len(c.sync.sending), c.sync.waiting
	c.sync.mu.Unlock()
	return ClientStats{
		Reopens:       n.reopens.Load(),
		Opens:         n.opens.Load(),
		Sent:          n.sent.Load(),
		SendsRefused:  n.sendsRefused.Load(),
		SendsUnknown:  n.sendsUnknown.Load(),
		SendsFailed:   n.sendsFailed.Load(),
		SendRetries:   n.sendRetries.Load(),
		SendsInFlight: int64(inFlight),
		SendsWaiting:  int64(waiting),
		Recovered:     n.recovered.Load(),
		Received:      n.received.Load(),
		Duplicates:    n.known.Load(),
		Events:        n.events.Load(),
		PushesWaiting: int64(c.work.Len()),
		EventsWaiting: int64(c.handlers.Len()),
		Conversations: int64(c.convs.len()),
	}
}

// addCounters and addGauges add what another client did, and what it has now.
func (s *ClientStats) addCounters(o *ClientStats) {
	s.Opens += o.Opens
	s.Reopens += o.Reopens
	s.Sent += o.Sent
	s.SendsRefused += o.SendsRefused
	s.SendsUnknown += o.SendsUnknown
	s.SendsFailed += o.SendsFailed
	s.SendRetries += o.SendRetries
	s.Received += o.Received
	s.Recovered += o.Recovered
	s.Duplicates += o.Duplicates
	s.Events += o.Events
}

func (s *ClientStats) addGauges(o *ClientStats) {
	s.SendsInFlight += o.SendsInFlight
	s.SendsWaiting += o.SendsWaiting
	s.PushesWaiting += o.PushesWaiting
	s.EventsWaiting += o.EventsWaiting
	s.Conversations += o.Conversations
}

// sendEnded counts a Send by its outcome.
func (n *clientCounters) sendEnded(err error) {
	if err == nil {
		n.sent.Add(1)
		return
	}
	refusal := (*Error)(nil) // allocates, so not before
	switch {
	case errors.Is(err, ErrOutcomeUnknown):
		n.sendsUnknown.Add(1)
	case errors.As(err, &refusal):
		n.sendsRefused.Add(1)
	default:
		n.sendsFailed.Add(1)
	}
}

// len is the number of conversations that somebody holds or that are kept.
func (cc *convCache) len() int {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	n := 0
	for _, e := range cc.entries {
		if e.ptr.Value() != nil {
			n++
		}
	}
	return n
}
