package server

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/store"
)

// Stats is what is known of a server at one moment. Fields of a signed type are
// gauges, the state of now; unsigned ones are counters that grow from the
// server's start. Maps belong to the caller. Each field is exact, and
// ConnectionsAccepted is always Connections and the sum of Disconnects together;
// between other fields a command that is just being executed may be counted in
// one and not yet in the other.
type Stats struct {
	// Connections.
	Connections         int64          // WebSocket connections open now
	ConnectionsAccepted uint64         // connections that were opened
	ConnectionsRefused  uint64         // upgrades that were answered with an HTTP error, since the server shuts down or has too many connections
	Disconnects         map[int]uint64 // ended connections by the close code of the server, such as 4107; 0: the peer ended it or was gone
	SlowConsumers       uint64         // of those, the ones that were closed because the peer did not take what waited for it

	// Sessions and logins.
	Sessions      int64  // open now; several may share a connection
	Logins        uint64 // granted
	LoginsResumed uint64 // of those, the ones of clients that came back after a lost connection
	LoginsFailed  uint64 // refused, by whatever cause

	// Commands.
	Commands    map[string]uint64 // received from clients over sockets, by name, such as "direct" or "conv"
	Refusals    map[int]uint64    // commands that were answered with an error, by its code
	RateLimited uint64            // of those, the ones over a rate of Limits
	Panics      uint64            // commands that ended their connection by a mistake in the server or a hook
	Messages    uint64            // accepted, over sockets and over REST, transient ones included

	// Traffic of the sockets. Frames are commands; bytes in are their size, bytes
	// out include all framing.
	FramesIn  uint64
	BytesIn   uint64
	FramesOut uint64
	BytesOut  uint64
	Writes    uint64 // calls to the network that took FramesOut

	// What waits to be written, on all connections together.
	QueueFrames       int64
	QueueBytes        int64
	DroppedRoomNormal uint64 // messages of normal priority in chat rooms, not sent to a receiver whose queue was 75 % full
	DroppedLow        uint64 // transient ones and those of low priority, not sent to one whose queue was 50 % full

	// The store.
	CommitCalls    uint64 // calls that wrote
	Commits        uint64 // batches in them; each is written whole or not at all
	CommitFailures uint64 // batches that were not written, or not known to be; guards that refused are none
	StoreErrors    uint64 // operations of clients that failed because the store did

	// Conversations in memory.
	CachedConversations int64
	CacheHits           uint64 // conversations found there
	CacheMisses         uint64 // conversations that had to be loaded

	// Hooks of the app.
	HookCalls    uint64 // that have ended
	HookFailures uint64 // of those, the ones that returned an error or panicked
	HooksWaiting int64  // calls of listening hooks that wait
	HooksDropped uint64 // calls of listening hooks that were given up, since too many waited

	// WatermarkLag is how far the time up to which clients can be told everything
	// is behind the clock: as long as the slowest operation in flight takes.
	WatermarkLag time.Duration
}

// Stats returns the server's counters. It may be called at any time, also after
// the end, from any goroutine. It looks at every connection, a microsecond or
// less each: call it once a second rather than once a request.
func (s *Server) Stats() Stats {
	logins := s.sessions.Stats() // before the connections: a login belongs to one that was counted
	conns := s.conns.Stats()
	engine := s.engine.Counters()
	return Stats{
		Connections:         int64(conns.Open),
		ConnectionsAccepted: conns.Accepted,
		ConnectionsRefused:  conns.Refused + s.admission.refusals(),
		Disconnects:         byCode(conns.Closed),
		SlowConsumers:       conns.Overflow,
		Sessions:            int64(s.registry.Sessions()),
		Logins:              logins.Opened,
		LoginsResumed:       logins.Reopened,
		LoginsFailed:        logins.LoginsFailed,
		Commands:            logins.Commands,
		Refusals:            byCode(logins.Refusals),
		RateLimited:         engine.RateLimited,
		Panics:              conns.Panics,
		Messages:            engine.Messages,
		FramesIn:            conns.Read,
		BytesIn:             conns.ReadBytes,
		FramesOut:           conns.Written,
		BytesOut:            conns.WrittenBytes,
		Writes:              conns.Writes,
		QueueFrames:         int64(conns.QueueFrames),
		QueueBytes:          int64(conns.QueueBytes),
		DroppedRoomNormal:   conns.Dropped[fanout.ClassRoomNormal],
		DroppedLow:          conns.Dropped[fanout.ClassRoomLow],
		CommitCalls:         s.metered.calls.Load(),
		Commits:             s.metered.batches.Load(),
		CommitFailures:      s.metered.failures.Load(),
		StoreErrors:         engine.StoreErrors,
		CachedConversations: int64(engine.Cached),
		CacheHits:           engine.CacheHits,
		CacheMisses:         engine.CacheMisses,
		HookCalls:           s.hookCounts.calls.Load(),
		HookFailures:        s.hookCounts.failures.Load(),
		HooksWaiting:        int64(engine.HooksWaiting),
		HooksDropped:        engine.HooksDropped,
		WatermarkLag:        time.Duration(engine.Lag) * time.Millisecond,
	}
}

func byCode(counts map[wire.Code]uint64) map[int]uint64 {
	out := make(map[int]uint64, len(counts))
	for code, n := range counts {
		out[int(code)] = n
	}
	return out
}

// meteredStore counts what is written to a store.
type meteredStore struct {
	Store
	observe func(CommitObservation) // nil: nobody wants to know

	calls, batches, failures atomic.Uint64
}

// Commit implements Store.
func (m *meteredStore) Commit(ctx context.Context, bs []store.Batch) []error {
	var begun time.Time
	if m.observe != nil {
		begun = time.Now()
	}
	errs := m.Store.Commit(ctx, bs)
	failed := 0
	for _, err := range errs {
		if err != nil && !store.IsGuard(err) {
			failed++
		}
	}
	m.calls.Add(1)
	m.batches.Add(uint64(len(bs)))
	if failed > 0 {
		m.failures.Add(uint64(failed))
	}
	if m.observe != nil {
		m.observe(CommitObservation{Batches: len(bs), Failed: failed, Took: time.Since(begun)})
	}
	return errs
}
