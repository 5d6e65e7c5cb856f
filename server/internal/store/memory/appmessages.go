package memory

import (
	"cmp"
	"container/heap"
	"context"
	"slices"
	"strings"

	"github.com/leanrtm/realtime/server/internal/store"
)

// found is a message of a merge. The text of messages does not change, so it may
// be kept when the lock was given back.
type found struct {
	log  store.LogID
	pos  store.Pos
	text string // what the log has of the message
}

func (f *found) compare(g *found) int {
	if d := f.pos.Compare(g.pos); d != 0 {
		return d
	}
	return cmp.Or(strings.Compare(f.log.Cid, g.log.Cid), strings.Compare(f.log.View, g.log.View))
}

// AppMessages merges the logs of an app, shard by shard: it looks for the start
// of the range in every log, and reads no more messages than it has to in order
// to know which are nearest to it.
func (s *Store) AppMessages(ctx context.Context, app, from string, r store.Range, n int) ([]store.LogMessage, error) {
	if err := s.begin(ctx); err != nil || n <= 0 {
		return nil, err
	}
	m := &merge{app: app, from: from, r: r, n: n}
	m.low, m.high = r.Limits()
	for i := range s.shards {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		m.add(&s.shards[i])
	}
	out := make([]store.LogMessage, len(m.best))
	for i, f := range m.best {
		out[i].Log = f.log
		message(f.text, f.pos.TS, &out[i].Message)
	}
	if !r.Newer {
		slices.Reverse(out)
	}
	return out, nil
}

// merge collects the messages that are nearest to the start of a range.
type merge struct {
	app, from string
	r         store.Range
	low, high store.Bound
	n         int
	best      []found // the nearest so far, nearest first; at most n

	heads []stream // a heap: the nearest message of each log of the shard
}

// stream is a log that is read from the start of the range on.
type stream struct {
	found
	of *msgLog
	at cursor[ref]
}

// nearer tells whether a comes before b.
func (m *merge) nearer(a, b *found) bool {
	if m.r.Newer {
		return a.compare(b) < 0
	}
	return b.compare(a) < 0
}

// add merges the logs of a shard into what there is.
func (m *merge) add(sh *shard) {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	clear(m.heads)
	m.heads = m.heads[:0]
	for k, c := range sh.convs {
		if k.app != m.app {
			continue
		}
		m.open(store.LogID{App: k.app, Cid: k.id}, &c.main)
		for view, l := range c.views {
			m.open(store.LogID{App: k.app, Cid: k.id, View: view}, l)
		}
	}
	if len(m.heads) == 0 {
		return
	}
	heap.Init(m)
	best := make([]found, 0, min(m.n, len(m.best)+len(m.heads)))
	for old := m.best; len(best) < m.n && (len(old) > 0 || len(m.heads) > 0); {
		if len(m.heads) == 0 || len(old) > 0 && m.nearer(&old[0], &m.heads[0].found) {
			best = append(best, old[0])
			old = old[1:]
			continue
		}
		head := &m.heads[0]
		best = append(best, head.found)
		if m.step(head) {
			heap.Fix(m, 0)
		} else {
			heap.Pop(m)
		}
	}
	m.best = best
}

// open begins to read a log, if it has a message that may be among the nearest.
func (m *merge) open(id store.LogID, l *msgLog) {
	msgs := &l.msgs
	if m.r.Typed {
		if msgs = l.ofType(m.r.Type); msgs == nil {
			return
		}
	}
	s := stream{found: found{log: id}, of: l}
	if m.r.Newer {
		s.at = msgs.search(func(x ref) bool { return m.low.Above(l.pos(x)) })
	} else {
		s.at = msgs.search(func(x ref) bool { return !m.high.Below(l.pos(x)) })
		s.at.prev()
	}
	if m.settle(&s) {
		m.heads = append(m.heads, s)
	}
}

// step goes to the next message of a log.
func (m *merge) step(s *stream) bool {
	if m.r.Newer {
		s.at.next()
	} else {
		s.at.prev()
	}
	return m.settle(s)
}

// settle goes to the first message that the merge wants, and returns false if
// there is none.
func (m *merge) settle(s *stream) bool {
	for s.at.valid() {
		s.pos, s.text = s.of.pos(s.at.item()), s.of.text.at(s.at.item().place)
		switch {
		case m.r.Newer && !m.high.Below(s.pos), !m.r.Newer && !m.low.Above(s.pos):
			return false
		case len(m.best) == m.n && m.nearer(&m.best[m.n-1], &s.found):
			return false // as are all that follow
		case m.from == "" || sender(s.text) == m.from:
			return true
		case m.r.Newer:
			s.at.next()
		default:
			s.at.prev()
		}
	}
	return false
}

// The heap, for package heap only.

func (m *merge) Len() int           { return len(m.heads) }
func (m *merge) Less(i, j int) bool { return m.nearer(&m.heads[i].found, &m.heads[j].found) }
func (m *merge) Swap(i, j int)      { m.heads[i], m.heads[j] = m.heads[j], m.heads[i] }
func (m *merge) Push(any)           { panic("memory: logs are opened before the heap is made") }

func (m *merge) Pop() any {
	last := len(m.heads) - 1
	m.heads[last] = stream{}
	m.heads = m.heads[:last]
	return nil
}
