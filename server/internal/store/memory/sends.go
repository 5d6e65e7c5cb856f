package memory

import (
	"hash/maphash"

	"github.com/leanrtm/realtime/server/internal/store"
)

// sendLog is the memory of recent sends of one app in one shard. There is a row for
// every message of the last ten minutes, so a row is small and has no pointer:
// maps and lists of keys would be most of what the garbage collector looks at. A
// key is kept as 128 bits of keyed hashes, which no two keys of a process share.
type sendLog struct {
	seeds [2]maphash.Seed
	rows  map[sendHash]uint64 // number of the row
	// The rows in order of arrival, which is nearly that of their ends.
	blocks [][]sendRow
	first  uint64 // number of the first row of the first block
	head   uint64 // number of the first row that may not have ended
	next   uint64 // number of the next row

	long map[uint64]string // message ids that are too long for their rows, by row
}

// sendHash stands for a key.
type sendHash [2]uint64

type sendRow struct {
	hash    sendHash
	cid     uint64 // hash of the conversation
	ts, end int64
	midLen  uint8 // longMid: the id is elsewhere
	mid     [23]byte
}

const longMid = 0xff

// sendBlock is the number of rows that are allocated and freed together.
const sendBlock = 256

func newSendLog() *sendLog {
	return &sendLog{
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		rows:  make(map[sendHash]uint64),
	}
}

func (l *sendLog) hash(k store.SendKey) sendHash {
	return sendHash{maphash.Comparable(l.seeds[0], k), maphash.Comparable(l.seeds[1], k)}
}

func (l *sendLog) row(n uint64) *sendRow {
	n -= l.first
	return &l.blocks[n/sendBlock][n%sendBlock]
}

// find returns what became of a send, whether that has ended or not.
func (l *sendLog) find(h sendHash) (store.Sent, bool) {
	n, ok := l.rows[h]
	if !ok {
		return store.Sent{}, false
	}
	r := l.row(n)
	s := store.Sent{TS: r.ts, End: r.end}
	if r.midLen == longMid {
		s.Mid = l.long[n]
	} else {
		s.Mid = string(r.mid[:r.midLen])
	}
	return s, true
}

// add enters a row and forgets rows that have ended. The work is spread evenly: every
// call drops at most two.
func (l *sendLog) add(h sendHash, cid string, s store.Sent, now int64) {
	const dropPerAdd = 2
	for range dropPerAdd {
		if l.head == l.next || l.row(l.head).end > now {
			break
		}
		l.dropFirst()
	}
	if (l.next-l.first)%sendBlock == 0 {
		var block []sendRow // the first grows as it must: most logs stay small
		if l.next > 0 {
			block = make([]sendRow, 0, sendBlock)
		}
		l.blocks = append(l.blocks, block)
	}
	last := &l.blocks[len(l.blocks)-1]
	r := sendRow{hash: h, cid: maphash.String(l.seeds[0], cid), ts: s.TS, end: s.End}
	if len(s.Mid) <= len(r.mid) {
		r.midLen = uint8(copy(r.mid[:], s.Mid))
	} else {
		r.midLen = longMid
		if l.long == nil {
			l.long = make(map[uint64]string)
		}
		l.long[l.next] = s.Mid
	}
	*last = append(*last, r)
	l.rows[h] = l.next
	l.next++
}

func (l *sendLog) dropFirst() {
	old := l.row(l.head)
	if l.rows[old.hash] == l.head { // else it was sent again later, or its conversation dropped
		delete(l.rows, old.hash)
	}
	if old.midLen == longMid {
		delete(l.long, l.head)
	}
	l.head++
	if l.head-l.first == sendBlock {
		l.blocks[0] = nil
		l.blocks = l.blocks[1:]
		l.first = l.head
	}
}

// dropConv forgets the sends to a conversation.
func (l *sendLog) dropConv(cid string) {
	h := maphash.String(l.seeds[0], cid)
	for n := l.head; n < l.next; n++ {
		if r := l.row(n); r.cid == h && l.rows[r.hash] == n {
			delete(l.rows, r.hash)
		}
	}
}
