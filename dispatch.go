package realtime

import (
	"context"
	"iter"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/leanrtm/realtime/internal/event"
)

// emitter holds the handlers of one Realtime, client or conversation. All
// kinds of events share one list: objects have few handlers, and there may be
// very many conversations.
type emitter struct {
	handlers event.Registry[Event]
	// changed is told of every handler that comes (1) and goes (-1), with no
	// lock held, so that a conversation can be kept while somebody listens.
	changed func(delta int)
}

// on adds h for events of its kind only.
func on[T any, E interface {
	*T
	Event
}](e *emitter, h func(ctx context.Context, ev E)) (stop func()) {
	if h == nil {
		panic("realtime: nil event handler")
	}
	// Counted before it can run, so that a running handler always counts.
	e.changed(1)
	remove := e.handlers.Add(func(ctx context.Context, ev Event) {
		if own, ok := ev.(E); ok {
			h(ctx, own)
		}
	})
	var stopped atomic.Bool
	return func() {
		remove()
		if !stopped.Swap(true) {
			e.changed(-1)
		}
	}
}

// delivery is an event on its way to handlers and streams.
type delivery struct {
	event   Event
	handled *handled // nil: nobody asks
}

// size is how large the message in it is.
func (d delivery) size() int {
	switch e := d.event.(type) {
	case *MessageEvent:
		return e.Message.size()
	case *MessageUpdateEvent:
		return e.Message.size()
	case *MessageStatusEvent:
		return e.Message.size()
	}
	return 0
}

// handled calls done once everybody who got an event has finished with it. An
// event that is discarded at the end of its client is never finished with.
type handled struct {
	pending atomic.Int64 // those who have not finished, and publishing while it is not over
	some    atomic.Bool  // somebody handled it
	then    afterwards
}

// afterwards is told that everybody is through with an event.
type afterwards interface{ done(handled bool) }

// afterwardsFunc is a function as afterwards.
type afterwardsFunc func(handled bool)

func (f afterwardsFunc) done(handled bool) { f(handled) }

// publishing keeps pending above zero until all receivers are counted.
const publishing = 1 << 40

func newHandled(done func(handled bool)) *handled {
	if done == nil {
		return nil
	}
	h := new(handled)
	h.begin(afterwardsFunc(done))
	return h
}

// begin readies the zero handled.
func (h *handled) begin(then afterwards) {
	h.then = then
	h.pending.Store(publishing)
}

// published sets how many receivers there are. refused: there would be another
// one, which cannot take any more; an event that nobody else took is not handled.
func (h *handled) published(receivers int, refused bool) {
	if h == nil {
		return
	}
	if receivers == 0 && !refused {
		h.some.Store(true)
	}
	h.add(int64(receivers) - publishing)
}

// finished is called once for each receiver. One that gave up does not count
// as having handled the event.
func (h *handled) finished(gaveUp bool) {
	if h == nil {
		return
	}
	if !gaveUp {
		h.some.Store(true)
	}
	h.add(-1)
}

func (h *handled) add(n int64) {
	if h.pending.Add(n) == 0 {
		h.then.done(h.some.Load())
	}
}

// newStream subscribes now; conv limits it to one conversation.
func newStream(ctx context.Context, hub *event.Hub[delivery], opts *Options, conv *Conversation) iter.Seq2[Event, error] {
	o := event.StreamOptions[delivery]{
		Limit:   opts.EventQueue,
		Bytes:   opts.EventQueueBytes,
		Size:    delivery.size,
		Handled: func(d delivery) { d.handled.finished(false) },
		Dropped: func(d delivery) { d.handled.finished(true) },
	}
	if conv != nil {
		o.Filter = func(d delivery) bool {
			ev, ok := d.event.(conversationEvent)
			return ok && ev.conversation() == conv
		}
	}
	deliveries := hub.Stream(ctx, o)
	return func(yield func(Event, error) bool) {
		for d, err := range deliveries {
			if !yield(d.event, err) {
				return
			}
		}
	}
}

// Events returns everything that happens to the connection, from now on, in
// order.
//
// It subscribes when it is called and can be ranged over once. Unless the loop
// is left, the sequence ends with one pair that holds an error: ErrClosed, the
// cause of ctx, or ErrEventOverflow if the loop fell Options.EventQueue events
// behind; that ends this stream alone. Safe for concurrent use.
func (rt *Realtime) Events(ctx context.Context) iter.Seq2[Event, error] {
	return newStream(ctx, &rt.streams, rt.opts, nil)
}

// Events returns everything that happens to the client and its conversations,
// from now on, in order. Call it before Open to miss nothing.
//
// It subscribes when it is called and can be ranged over once. An event is
// handled when the loop asks for the next one. Unless the loop is left, the
// sequence ends with one pair that holds an error: the client's Err, the cause
// of ctx, or ErrEventOverflow if the loop fell Options.EventQueue events
// behind; that ends this stream alone. Safe for concurrent use.
func (c *IMClient) Events(ctx context.Context) iter.Seq2[Event, error] {
	return newStream(ctx, &c.streams, c.rt.opts, nil)
}

// Events returns what happens in this conversation, from now on, in order,
// under the rules of [IMClient.Events].
func (c *Conversation) Events(ctx context.Context) iter.Seq2[Event, error] {
	return newStream(ctx, &c.client.streams, c.client.rt.opts, c)
}

// emit hands ev to the streams and handlers of the client, and after those to
// the handlers of the conversation it happened in. It never blocks. It is
// called by the processing goroutine, and by sends for their status.
func (c *IMClient) emit(ev Event) { c.deliverEvent(delivery{event: ev}) }

// emitThen is emit that calls done when every handler has returned and every
// stream has asked for the next event or has ended. handled tells whether
// anybody really did so, or nobody listens. done runs on one of their
// goroutines, or at once when nobody listens, and must not block. It is not
// called for what Close discards.
func (c *IMClient) emitThen(ev Event, done func(handled bool)) {
	c.deliverEvent(delivery{event: ev, handled: newHandled(done)})
}

// deliverEvent is emitThen for what is a delivery already.
func (c *IMClient) deliverEvent(d delivery) {
	c.counters.events.Add(1)
	overflow := false
	// One lock around both, so that streams and handlers see one order.
	c.emitMu.Lock()
	receivers, refused := c.streams.Publish(d)
	// Nobody has ever registered a handler: none can be running that would
	// register another one for this very event.
	if c.listened.Load() {
		if c.handlers.Push(d) {
			receivers++
		} else {
			overflow = true
		}
	}
	c.emitMu.Unlock()
	d.handled.published(receivers, refused || overflow)
	if overflow {
		c.overflow()
	}
}

// handle runs the handlers of one event.
func (c *IMClient) handle(ctx context.Context, d delivery) {
	if !c.beginHandling() {
		return // discarded by Close
	}
	defer c.endHandling()
	var begun time.Time
	observer := c.rt.opts.Observer
	if observer.ofHandlers() {
		begun = time.Now()
	}
	c.events.handlers.Call(ctx, d.event)
	if ev, ok := d.event.(conversationEvent); ok {
		ev.conversation().events.handlers.Call(ctx, d.event)
	}
	if observer.ofHandlers() {
		observer.Handler(ctx, HandlerObservation{ClientID: c.ID(), Event: eventName(d.event), Took: time.Since(begun)})
	}
	d.handled.finished(false)
}

// slow is called when a handler has been running for Options.SlowHandler.
func (c *IMClient) slow(d delivery) {
	c.log.LogAttrs(c.ctx, slog.LevelWarn, "an event handler is slow; later events of this client wait",
		slog.String("event", eventName(d.event)), slog.Duration("longer_than", c.rt.opts.SlowHandler))
}
