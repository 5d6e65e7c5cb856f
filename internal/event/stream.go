package event

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
)

// StreamOptions say how one stream behaves.
type StreamOptions[E any] struct {
	Limit   int            // events that may wait. Required
	Bytes   int            // and how much they may be together, by Size; 0: anything
	Size    func(e E) int  // the same for one event every time; required with Bytes
	Filter  func(e E) bool // nil: every event; runs in Publish and must not block
	Handled func(e E)      // called when the consumer asks for what comes after e
	Dropped func(e E)      // called for each event that the stream took and that its consumer had not handled when it broke off or its context ended
}

// Hub hands events to any number of streams. The zero value is ready. Safe
// for concurrent use.
type Hub[E any] struct {
	count atomic.Int32 // of streams, so that Publish to nobody is free

	mu      sync.Mutex
	streams []*stream[E]
	ended   error // of End; nil: still open
}

// Publish appends e to every stream, in the order of the calls; it never
// blocks and returns how many streams took it, and whether one has not because it
// was full. A stream that is full ends by itself: its consumer gets what was
// accepted, then ErrOverflow.
func (h *Hub[E]) Publish(e E) (taken int, refused bool) {
	if h.count.Load() == 0 {
		return 0, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.streams = slices.DeleteFunc(h.streams, func(s *stream[E]) bool {
		if s.o.Filter != nil && !s.o.Filter(e) {
			return false
		}
		took, full := s.put(e)
		if took {
			taken++
		}
		refused = refused || full
		return !took
	})
	h.count.Store(int32(len(h.streams)))
	return taken, refused
}

// End ends all streams, and those to come, with err after what they hold. Only
// the first call counts.
func (h *Hub[E]) End(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended != nil {
		return
	}
	h.ended = err
	for _, s := range h.streams {
		s.end(err)
	}
	h.streams = nil
	h.count.Store(0)
}

// Len returns the number of streams that take events.
func (h *Hub[E]) Len() int { return int(h.count.Load()) }

// Stream subscribes now and returns the sequence of all later events. It can
// be ranged over once. Unless the consumer breaks off, the sequence ends with
// one pair that holds an error: ErrOverflow, the error of End, or the error
// and cause of ctx. When ctx ends the stream ends at once, without what it
// still holds.
func (h *Hub[E]) Stream(ctx context.Context, o StreamOptions[E]) iter.Seq2[E, error] {
	if o.Limit <= 0 {
		panic("event: a stream needs a limit")
	}
	s := &stream[E]{hub: h, o: o, ctx: ctx, more: make(chan struct{}, 1)}
	h.mu.Lock()
	if h.ended != nil {
		s.err = h.ended
	} else {
		h.streams = append(h.streams, s)
		h.count.Store(int32(len(h.streams)))
	}
	h.mu.Unlock()
	// A stream that nobody ranges over must not stay in the hub for ever.
	s.release = context.AfterFunc(ctx, s.abandon)
	return s.all
}

// remove takes a stream out of the hub, if it is still there.
func (h *Hub[E]) remove(s *stream[E]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.streams = slices.DeleteFunc(h.streams, func(other *stream[E]) bool { return other == s })
	h.count.Store(int32(len(h.streams)))
}

var errRangedTwice = errors.New("realtime: an event stream can be ranged over once")

type stream[E any] struct {
	hub     *Hub[E]
	o       StreamOptions[E]
	ctx     context.Context
	release func() bool   // forgets ctx
	more    chan struct{} // holds a token when there may be something new
	ranged  atomic.Bool
	leaving sync.Once

	mu        sync.Mutex
	waiting   ring[E]
	bytes     int   // of what is waiting
	err       error // after waiting; set once
	abandoned bool  // the consumer is gone
}

// put appends e and reports whether it did, and if not, whether that is because
// the stream is full. It then takes no events any more.
func (s *stream[E]) put(e E) (took, full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.abandoned {
		return false, false
	}
	size := s.size(e)
	if s.waiting.n >= s.o.Limit || s.o.Bytes > 0 && s.bytes+size > s.o.Bytes && s.waiting.n > 0 {
		s.err = ErrOverflow
		s.signal()
		return false, true
	}
	s.waiting.push(e)
	s.bytes += size
	s.signal()
	return true, false
}

func (s *stream[E]) size(e E) int {
	if s.o.Bytes <= 0 {
		return 0
	}
	return s.o.Size(e)
}

func (s *stream[E]) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
		s.signal()
	}
}

func (s *stream[E]) signal() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// all is the sequence.
func (s *stream[E]) all(yield func(E, error) bool) {
	var none E
	if s.ranged.Swap(true) {
		yield(none, errRangedTwice)
		return
	}
	defer s.abandon()
	defer s.release()
	for {
		e, err := s.next()
		if err != nil {
			// What the context cut off is dropped before the consumer hears of
			// the end, so that it finds everything settled.
			s.abandon()
			yield(none, err)
			return
		}
		if !s.deliver(e, yield) {
			return
		}
	}
}

// deliver hands e to the consumer and reports whether it wants more.
func (s *stream[E]) deliver(e E, yield func(E, error) bool) bool {
	asked := false
	defer func() { // the consumer may also leave by a panic or by runtime.Goexit
		if !asked && s.o.Dropped != nil {
			s.o.Dropped(e)
		}
	}()
	if asked = yield(e, nil); asked && s.o.Handled != nil {
		s.o.Handled(e)
	}
	return asked
}

// next blocks until there is an event or the stream is over.
func (s *stream[E]) next() (e E, err error) {
	for {
		if s.ctx.Err() != nil {
			return e, contextError(s.ctx)
		}
		s.mu.Lock()
		if s.waiting.n > 0 {
			e = s.waiting.pop()
			s.bytes -= s.size(e)
			s.mu.Unlock()
			return e, nil
		}
		err = s.err
		s.mu.Unlock()
		if err != nil {
			return e, err
		}
		select {
		case <-s.more:
		case <-s.ctx.Done():
		}
	}
}

// abandon ends the stream on the consumer's side: it takes no more, and what
// it holds is dropped. The end of ctx and the consumer may call it at the same
// time: whoever is second waits until everything is settled.
func (s *stream[E]) abandon() { s.leaving.Do(s.leave) }

func (s *stream[E]) leave() {
	s.mu.Lock()
	s.abandoned = true
	dropped := s.waiting.take()
	s.bytes = 0
	s.mu.Unlock()
	s.hub.remove(s)
	if s.o.Dropped != nil {
		for _, e := range dropped {
			s.o.Dropped(e)
		}
	}
}
