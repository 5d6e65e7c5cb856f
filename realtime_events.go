package realtime

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/leanrtm/realtime/internal/conn"
	"github.com/leanrtm/realtime/internal/link"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// newLink makes the link for the first client. It starts nothing.
func (rt *Realtime) newLink() *link.Link {
	var l *link.Link
	l = link.New(link.Options{
		Endpoints: rt.router.Endpoints,
		Conn: conn.Options{
			Blocks:            &rt.blocks,
			HTTPClient:        rt.http,
			Header:            rt.opts.Header,
			Text:              rt.opts.NoBinary,
			HeartbeatInterval: rt.opts.HeartbeatInterval,
			SilenceTimeout:    rt.opts.SilenceTimeout,
			Logger:            rt.log,
		},
		Backoff:        rt.backoff,
		CommandTimeout: rt.opts.CommandTimeout,
		OnPush: func(gen uint64, cmd *pb.GenericCommand, block *wire.Block) {
			rt.push(l, job{push: cmd, block: block, gen: gen})
		},
		OnEvent:  func(e link.Event) { rt.linkChanged(l, e) },
		Counters: &rt.counters.link,
		Logger:   rt.log,
	})
	return l
}

// backoff is the delay before attempt 0, 1, ….
func (rt *Realtime) backoff(attempt int) time.Duration {
	if rt.opts.Backoff == nil {
		return link.DefaultBackoff(attempt)
	}
	return max(rt.opts.Backoff(attempt), 0)
}

// linkChanged passes on what happened to the link. It is called by the owner of
// the link and only enqueues.
func (rt *Realtime) linkChanged(l *link.Link, e link.Event) {
	if rt.log.Enabled(context.Background(), slog.LevelInfo) {
		attrs := []slog.Attr{slog.String("event", e.Kind.String()), slog.String("state", l.State().String())}
		if e.Err != nil {
			attrs = append(attrs, slog.Any("error", e.Err))
		}
		rt.log.LogAttrs(context.Background(), slog.LevelInfo, "connection", attrs...)
	}
	if ev := connectionEvent(e); ev != nil {
		rt.emit(ev)
	}
	rt.mu.RLock()
	var clients []*IMClient
	if rt.link == l {
		clients = slices.Clone(rt.attached)
	}
	rt.mu.RUnlock()
	for _, c := range clients {
		c.enqueue(job{link: &e})
	}
}

// emit hands ev to the streams and handlers of rt. It never blocks.
func (rt *Realtime) emit(ev Event) {
	overflow := false
	rt.emitMu.Lock()
	rt.streams.Publish(delivery{event: ev})
	if rt.listened.Load() {
		overflow = !rt.handlers.Push(ev)
	}
	rt.emitMu.Unlock()
	if overflow {
		rt.overflow()
	}
}

// overflow is the outcome when the handlers of rt have fallen too far behind:
// the program no longer knows what its connection does, so it ends.
func (rt *Realtime) overflow() {
	rt.mu.Lock()
	if rt.closed != nil {
		rt.mu.Unlock()
		return
	}
	rt.closed = ErrEventOverflow
	clients := rt.allClients()
	rt.mu.Unlock()
	rt.log.LogAttrs(context.Background(), slog.LevelError, "handlers of the connection are too slow; it ends")
	for _, c := range clients {
		c.overflow()
	}
	rt.emitMu.Lock()
	defer rt.emitMu.Unlock()
	rt.handlers.Drain(ErrEventOverflow)
	rt.streams.End(ErrEventOverflow)
}

// slow is called when a handler has been running for Options.SlowHandler.
func (rt *Realtime) slow(ev Event) {
	rt.log.LogAttrs(context.Background(), slog.LevelWarn, "an event handler is slow; later events of this connection wait",
		slog.String("event", eventName(ev)), slog.Duration("longer_than", rt.opts.SlowHandler))
}

// eventName is the name of an event in logs.
func eventName(ev Event) string {
	return strings.TrimPrefix(fmt.Sprintf("%T", ev), "*realtime.")
}

// push takes a frame that answers nothing to its client. It runs on the reader
// of the socket and only enqueues.
func (rt *Realtime) push(l *link.Link, j job) {
	cmd := j.push
	rt.logCommand(context.Background(), pushed, cmd)
	rt.era.Add(1)
	rt.counters.pushes.Add(1)
	if cmd.Service != nil && cmd.GetService() != wire.ServiceIM {
		return // of another service that shares the protocol
	}
	if cmd.GetCmd() == pb.CommandType_error {
		rt.log.LogAttrs(context.Background(), slog.LevelWarn, "the server reports an error",
			slog.Any("error", errorFromCommand(cmd.GetErrorMessage())))
		return
	}
	c, held := rt.receiver(l, j)
	switch {
	case c != nil:
		c.enqueue(j)
	case held:
	default:
		rt.counters.strays.Add(1)
		rt.log.LogAttrs(context.Background(), slog.LevelDebug, "push for nobody here",
			slog.String("cmd", commandName(cmd)), slog.String("client_id", cmd.GetPeerId()))
	}
}

// receiver finds the client of a push. Without an id that is the oldest one on
// the connection. While the id of some client is not known yet, a push for an
// unknown id is held back for it.
func (rt *Realtime) receiver(l *link.Link, j job) (c *IMClient, held bool) {
	cmd := j.push
	rt.mu.RLock()
	if rt.link != l {
		rt.mu.RUnlock()
		return nil, false
	}
	if cmd.PeerId == nil {
		for _, c := range rt.attached {
			if c.session.Load() != nil {
				rt.mu.RUnlock()
				return c, false
			}
		}
		rt.mu.RUnlock()
		return nil, false
	}
	c, nameless := rt.byID[cmd.GetPeerId()], rt.nameless
	rt.mu.RUnlock()
	if c != nil || nameless == 0 {
		return c, false
	}

	rt.mu.Lock()
	defer rt.mu.Unlock()
	id := cmd.GetPeerId()
	if c = rt.byID[id]; c != nil || rt.nameless == 0 {
		return c, false
	}
	if rt.strays == nil {
		rt.strays = make(map[string][]job)
	}
	// A client that does not even know its id yet has few pushes, and a server
	// that sends others does not know its own.
	if len(rt.strays) >= maxStrayIDs || len(rt.strays[id]) >= maxStrays {
		return nil, false
	}
	rt.strays[id] = append(rt.strays[id], j)
	return nil, true
}

// How many pushes are held back, and for how many ids.
const (
	maxStrays   = 1024
	maxStrayIDs = 64
)

// allClients returns the clients that have not ended, with mu held.
func (rt *Realtime) allClients() []*IMClient {
	clients := make([]*IMClient, 0, len(rt.clients))
	for c := range rt.clients {
		clients = append(clients, c)
	}
	return clients
}
