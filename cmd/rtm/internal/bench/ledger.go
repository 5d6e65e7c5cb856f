package bench

import (
	"slices"
	"sync"
)

// ledger is what one receiver has got. Messages of a stream are numbered from
// 0, so one number tells what came until now, and only gaps have to be
// remembered.
type ledger struct {
	streams []*stream // that the receiver is to hear, by their place in here

	mu         sync.Mutex
	next       []int32 // per stream, the number after the highest that came
	missing    map[place]struct{}
	got        int64 // each message once
	doubled    int64
	misordered int64
}

// place is a message: the place of its stream in the ledger, and its number.
type place struct {
	stream int
	seq    int32
}

func newLedger(streams []*stream) *ledger {
	return &ledger{streams: streams, next: make([]int32, len(streams))}
}

// note puts down a message and tells whether it is the first time. Messages of
// streams that are not to be heard count as doubled: nobody has sent them here.
func (l *ledger) note(s *stream, seq int32) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, ok := l.index(s)
	if !ok {
		l.doubled++
		return false
	}
	switch next := l.next[i]; {
	case seq == next:
		l.next[i]++
	case seq > next:
		if l.missing == nil {
			l.missing = make(map[place]struct{})
		}
		for gap := next; gap < seq; gap++ {
			l.missing[place{i, gap}] = struct{}{}
		}
		l.next[i] = seq + 1
	default:
		if _, gap := l.missing[place{i, seq}]; !gap {
			l.doubled++
			return false
		}
		delete(l.missing, place{i, seq})
		l.misordered++
	}
	l.got++
	return true
}

// index needs streams sorted by number, as they are made.
func (l *ledger) index(s *stream) (int, bool) {
	return slices.BinarySearchFunc(l.streams, s, func(a, b *stream) int { return a.number - b.number })
}

// lost counts what was sent and has not come. The streams must have ended. Of a
// message that could not be sent nobody knows whether it was stored: it may come
// or not.
func (l *ledger) lost() (n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.missing {
		if !l.streams[p.stream].failed[p.seq] {
			n++
		}
	}
	for i, s := range l.streams {
		for seq := l.next[i]; seq < s.next; seq++ {
			if !s.failed[seq] {
				n++
			}
		}
	}
	return n
}

// add adds the findings to a check.
func (l *ledger) add(c *Check) {
	lost := l.lost()
	l.mu.Lock()
	defer l.mu.Unlock()
	c.Received += l.got
	c.Lost += lost
	c.Doubled += l.doubled
	c.Misordered += l.misordered
}
