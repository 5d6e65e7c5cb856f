package realtime

import (
	"cmp"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/link"
	"github.com/leanrtm/realtime/internal/mutant"
	"github.com/leanrtm/realtime/internal/pb"
)

// Acknowledgements of received messages. Nobody answers them, but the sender of
// a message waits for its receipt, so one that is lost with a connection is sent
// again by the next session:
//
//	received, or handled ──> due ──sent──> on its way ──something later is answered──> arrived
//	                          ^                │
//	                          └──session lost──┘
//
// What has not arrived is part of the Position, so that another process sends
// it. To acknowledge twice does no harm.
//
// On their way are at most two batches. While the first waits for an answer the
// other one grows, so that there is always one that has been sent as a whole.
type ackBook struct {
	due     acks
	sent    *ackBatch // nil: none
	growing *ackBatch // nil: none
}

// acks are times of messages, by conversation.
type acks map[string]span

// ackBatch is what has been sent over one connection.
type ackBatch struct {
	acks    acks
	gen     uint64 // of the connection
	posted  link.Posted
	posting int // calls of flushAcks that are at it
}

// arrived reports whether all of it surely has.
func (b *ackBatch) arrived() bool { return b.posting == 0 && b.posted.Arrived() }

// maxPositionAcks is how many conversations with acknowledgements that may be
// lost a position tells of. There are no more but for a client that gets
// hundreds of messages a second and never asks for anything.
const maxPositionAcks = 4096

func (a *acks) add(cid string, times span) {
	if *a == nil {
		*a = make(acks)
	}
	if have, some := (*a)[cid]; some {
		times = span{min(have.from, times.from), max(have.to, times.to)}
	}
	(*a)[cid] = times
}

func (a *acks) addAll(more acks) {
	for cid, times := range more {
		a.add(cid, times)
	}
}

// ack acknowledges a message.
func (s *clientSync) ack(cid string, at int64) {
	s.noteAck(cid, at)
	s.acks.trigger()
}

// noteAck notes a message that is to be acknowledged.
func (s *clientSync) noteAck(cid string, at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acking.due.add(cid, span{at, at})
}

// flushAcks acknowledges what is noted, as far as there is a connection. What
// cannot be sent is kept for the next one.
func (s *clientSync) flushAcks() {
	in := s.client.session.Load()
	if !in.live() {
		return
	}
	s.mu.Lock()
	due, batch := s.acking.take(in.gen)
	s.mu.Unlock()
	for cid, times := range due {
		err := s.client.post(in, &pb.GenericCommand{
			Cmd: pb.CommandType_ack.Enum(),
			AckMessage: &pb.AckCommand{
				Cid: proto.String(cid), Fromts: proto.Int64(times.from), Tots: proto.Int64(times.to),
			},
		}, &batch.posted)
		if err == nil {
			delete(due, cid)
		}
	}
	if batch == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	batch.posting--
	s.acking.due.addAll(due)
}

// take returns what is to be sent over a connection, and the batch that it now
// belongs to; nil: there is nothing. What another connection was lost with is
// due again.
func (b *ackBook) take(gen uint64) (due acks, batch *ackBatch) {
	b.settle()
	for _, at := range [...]**ackBatch{&b.sent, &b.growing} {
		if lost := *at; lost != nil && lost.gen != gen {
			if *at = nil; !mutant.On(mutant.ForgetsAcks) {
				b.due.addAll(lost.acks)
			}
		}
	}
	if due, b.due = b.due, nil; len(due) == 0 {
		return nil, nil
	}
	at := &b.sent
	if b.sent != nil {
		at = &b.growing
	}
	if *at == nil {
		*at = &ackBatch{gen: gen}
	}
	batch = *at
	batch.acks.addAll(due)
	batch.posting++
	return due, batch
}

// settle forgets what has arrived.
func (b *ackBook) settle() {
	for range 2 {
		if b.sent == nil || b.sent.arrived() {
			b.sent, b.growing = b.growing, nil
		}
	}
}

// unsure are the acknowledgements that may not arrive.
func (b *ackBook) unsure() acks {
	b.settle()
	unsure := maps.Clone(b.due)
	for _, batch := range [...]*ackBatch{b.sent, b.growing} {
		if batch != nil {
			unsure.addAll(batch.acks)
		}
	}
	if len(unsure) > maxPositionAcks {
		newest := slices.SortedFunc(maps.Keys(unsure), func(a, b string) int { return cmp.Compare(unsure[b].to, unsure[a].to) })
		for _, cid := range newest[maxPositionAcks:] {
			delete(unsure, cid)
		}
	}
	return unsure
}
