package bench

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// pace hands out what is to be done: so much of it or for so long, at a rate or
// as fast as somebody comes for it. It is safe for concurrent use.
type pace struct {
	start    time.Time
	count    int64         // 0: no end
	duration time.Duration // 0: no end
	rate     float64       // per second; 0: at once
	next     atomic.Int64
}

// take waits until the next thing is due. It returns false when there is none,
// or when ctx has ended.
func (p *pace) take(ctx context.Context) (due time.Time, ok bool) {
	n := p.next.Add(1) - 1
	if ctx.Err() != nil || p.count > 0 && n >= p.count {
		return due, false
	}
	if p.rate == 0 {
		due = time.Now()
		return due, p.duration == 0 || due.Sub(p.start) < p.duration
	}
	after := time.Duration(float64(n) / p.rate * float64(time.Second))
	if p.duration > 0 && after >= p.duration {
		return due, false
	}
	due = p.start.Add(after)
	wait := time.Until(due)
	if wait <= 0 {
		return due, true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return due, true
	case <-ctx.Done():
		return due, false
	}
}

// stream sends one message after the other. Its goroutine owns it, but for
// waiting and delivered, through which receivers tell it.
type stream struct {
	number   int
	send     func(ctx context.Context, text string) error
	audience int // how many are to receive each message

	next   int32          // number of the next message
	failed map[int32]bool // messages that could not be sent

	waiting   atomic.Uint64 // message that is out, and how many have not got it
	delivered chan struct{} // one element when all have
}

// outstanding packs a message's number and how many have not got it.
func outstanding(seq int32, n int) uint64 { return uint64(uint32(seq))<<32 | uint64(uint32(n)) }

// await begins to wait for a message's delivery.
func (s *stream) await(seq int32) {
	select {
	case <-s.delivered: // an earlier message, which was given up
	default:
	}
	s.waiting.Store(outstanding(seq, s.audience))
}

// arrived tells that one more receiver has got a message.
func (s *stream) arrived(seq int32) {
	for {
		old := s.waiting.Load()
		left := uint32(old)
		if int32(old>>32) != seq || left == 0 {
			return // nobody waits for it
		}
		if !s.waiting.CompareAndSwap(old, old-1) {
			continue
		}
		if left == 1 {
			select {
			case s.delivered <- struct{}{}:
			default:
			}
		}
		return
	}
}

// envelope is what the text of a message says.
type envelope struct {
	stream int
	seq    int32
	due    time.Duration // since the start of the run
}

// text is the text of a message. Its beginning is for whoever receives it, the
// rest fills it up.
func (e envelope) text(run string, size int, padding string) string {
	b := make([]byte, 0, max(size, MinSize))
	b = append(b, run...)
	for _, n := range []int64{int64(e.stream), int64(e.seq), int64(e.due)} {
		b = append(b, ' ')
		b = strconv.AppendInt(b, n, 10)
	}
	b = append(b, ' ')
	return string(append(b, padding[:max(size-len(b), 0)]...))
}

// parseText reads the text of a message of a run.
func parseText(run, text string) (e envelope, ok bool) {
	rest, ok := strings.CutPrefix(text, run+" ")
	if !ok {
		return e, false
	}
	var numbers [3]int64
	for i := range numbers {
		var field string
		if field, rest, ok = strings.Cut(rest, " "); !ok {
			return e, false
		}
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil || n < 0 {
			return e, false
		}
		numbers[i] = n
	}
	return envelope{stream: int(numbers[0]), seq: int32(numbers[1]), due: time.Duration(numbers[2])}, true
}

// errUndelivered is why a stream has stopped waiting.
var errUndelivered = errors.New("a message has not reached all receivers in time")
