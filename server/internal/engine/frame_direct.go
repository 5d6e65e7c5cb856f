package engine

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/store"
)

// Field numbers of the frame that is sent more often than all others together:
// it is encoded by hand, into one allocation of the right size.
const (
	cmdField     protowire.Number = 1   // GenericCommand
	serviceField protowire.Number = 8   // GenericCommand
	directField  protowire.Number = 104 // GenericCommand

	directMsg       protowire.Number = 1
	directFrom      protowire.Number = 3
	directTimestamp protowire.Number = 4
	directOffline   protowire.Number = 5
	directHasMore   protowire.Number = 6
	directCid       protowire.Number = 11
	directID        protowire.Number = 12
	directTransient protowire.Number = 13
	directPatchTS   protowire.Number = 18
	directBinary    protowire.Number = 19
	directMentions  protowire.Number = 20
	directAll       protowire.Number = 21
	directConvType  protowire.Number = 22
)

// delivery is a message on its way to a client.
type delivery struct {
	cid       string
	kind      store.ConvKind
	m         *store.Message
	transient bool
	offline   bool // one of the messages that are pushed after a login
	hasMore   bool // older ones were left out
}

// frame encodes the push of a message, without peerId.
func (d *delivery) frame() []byte {
	inner := d.size()
	b := make([]byte, 0, sizeVarint(cmdField, uint64(pb.CommandType_direct))+
		sizeVarint(serviceField, wire.ServiceIM)+
		protowire.SizeTag(directField)+protowire.SizeBytes(inner))
	b = appendVarint(b, cmdField, uint64(pb.CommandType_direct))
	b = appendVarint(b, serviceField, wire.ServiceIM)
	b = protowire.AppendTag(b, directField, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(inner))

	m := d.m
	if !m.Flags.Has(store.FlagBinary) {
		b = appendString(b, directMsg, m.Body)
	}
	b = appendString(b, directFrom, m.From)
	b = appendVarint(b, directTimestamp, uint64(m.TS))
	b = appendTrue(b, directOffline, d.offline)
	b = appendTrue(b, directHasMore, d.hasMore)
	b = appendString(b, directCid, d.cid)
	b = appendString(b, directID, m.Mid)
	b = appendTrue(b, directTransient, d.transient)
	if m.PatchTS != 0 {
		b = appendVarint(b, directPatchTS, uint64(m.PatchTS))
	}
	if m.Flags.Has(store.FlagBinary) {
		b = appendString(b, directBinary, m.Body)
	}
	for _, id := range m.Mentions {
		b = appendString(b, directMentions, id)
	}
	b = appendTrue(b, directAll, m.Flags.Has(store.FlagMentionAll))
	return appendVarint(b, directConvType, uint64(d.kind))
}

// size is the length of the DirectCommand.
func (d *delivery) size() int {
	m := d.m
	body := directMsg
	if m.Flags.Has(store.FlagBinary) {
		body = directBinary
	}
	n := sizeString(body, m.Body) +
		sizeString(directFrom, m.From) +
		sizeVarint(directTimestamp, uint64(m.TS)) +
		sizeTrue(directOffline, d.offline) +
		sizeTrue(directHasMore, d.hasMore) +
		sizeString(directCid, d.cid) +
		sizeString(directID, m.Mid) +
		sizeTrue(directTransient, d.transient) +
		sizeTrue(directAll, m.Flags.Has(store.FlagMentionAll)) +
		sizeVarint(directConvType, uint64(d.kind))
	if m.PatchTS != 0 {
		n += sizeVarint(directPatchTS, uint64(m.PatchTS))
	}
	for _, id := range m.Mentions {
		n += sizeString(directMentions, id)
	}
	return n
}

func appendVarint(b []byte, f protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, f, protowire.VarintType), v)
}

func appendString(b []byte, f protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, f, protowire.BytesType), s)
}

// appendTrue leaves false out, which is what absence means.
func appendTrue(b []byte, f protowire.Number, v bool) []byte {
	if !v {
		return b
	}
	return appendVarint(b, f, 1)
}

func sizeVarint(f protowire.Number, v uint64) int {
	return protowire.SizeTag(f) + protowire.SizeVarint(v)
}

func sizeString(f protowire.Number, s string) int {
	return protowire.SizeTag(f) + protowire.SizeBytes(len(s))
}

func sizeTrue(f protowire.Number, v bool) int {
	if !v {
		return 0
	}
	return sizeVarint(f, 1)
}
