package engine

import (
	"container/heap"
	"math"
	"slices"

	"github.com/leanrtm/realtime/server/internal/store"
	"github.com/leanrtm/realtime/server/internal/where"
)

// candidate is a conversation that matches, and what it is sorted by.
type candidate struct {
	cid     string
	created int64
	at      int // when it was found: the order among those that the sort does not tell apart
	key     where.SortKey
}

// collector keeps those of the matching conversations that a page needs: as many
// as there are on it and before it. Of a hundred thousand that match it sorts no
// more than that.
type collector struct {
	order where.Sort
	room  int
	added int
	found []candidate // a heap once it is full: the one that comes last is the root

	scratch where.SortKey
}

func newCollector(order where.Sort, skip, n int) *collector {
	room := max(skip, 0) + n
	if room < n {
		room = math.MaxInt
	}
	return &collector{order: order, room: room}
}

// add takes a conversation in, unless it is on a later page.
func (co *collector) add(c *store.Conv, d where.Doc) {
	co.added++
	co.scratch = co.order.AppendKey(co.scratch[:0], d)
	x := candidate{cid: c.Cid, created: c.Created, at: co.added, key: co.scratch}
	if len(co.found) < co.room {
		x.key = slices.Clone(x.key)
		co.found = append(co.found, x)
		if len(co.found) == co.room {
			heap.Init(co)
		}
		return
	}
	root := &co.found[0]
	if co.compare(&x, root) >= 0 {
		return
	}
	x.key, co.scratch = co.scratch, root.key
	*root = x
	heap.Fix(co, 0)
}

// complete tells whether nothing that was created at a time or before can belong
// to the page any more. It is for looking from the newest to the oldest.
func (co *collector) complete(created int64) bool {
	if len(co.found) < co.room {
		return false
	}
	key, desc := co.order.First()
	return key == fieldCreated && desc && created < co.found[0].created
}

// page returns the ids of the page in their order, after skip others.
func (co *collector) page(skip int) []string {
	slices.SortFunc(co.found, func(x, y candidate) int { return co.compare(&x, &y) })
	found := co.found[min(max(skip, 0), len(co.found)):]
	cids := make([]string, len(found))
	for i := range found {
		cids[i] = found[i].cid
	}
	return cids
}

func (co *collector) compare(x, y *candidate) int {
	if c := co.order.Compare(x.key, y.key); c != 0 {
		return c
	}
	return x.at - y.at
}

// The heap, for package heap only.

func (co *collector) Len() int           { return len(co.found) }
func (co *collector) Less(i, j int) bool { return co.compare(&co.found[i], &co.found[j]) > 0 }
func (co *collector) Swap(i, j int)      { co.found[i], co.found[j] = co.found[j], co.found[i] }
func (co *collector) Push(any)           { panic("engine: the heap is made of what there is") }
func (co *collector) Pop() any           { panic("engine: the heap keeps its size") }
