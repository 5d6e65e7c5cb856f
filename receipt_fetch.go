package realtime

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
)

// MemberReceipt tells how far one member has received and read.
type MemberReceipt struct {
	MemberID            string
	DeliveredAt, ReadAt time.Time // zero: not known
}

// FetchReceiptTimestamps asks how far the other member of a conversation of two
// has received and read, which LastDeliveredAt and LastReadAt then tell.
func (c *Conversation) FetchReceiptTimestamps(ctx context.Context) error {
	reply, err := c.do(ctx, withReceipts, pb.OpType_max_read, &pb.ConvCommand{}, callOptions{safe: true})
	if err != nil {
		return err
	}
	if reply == nil {
		return nil // an answer that tells nothing
	}
	c.deliveredUpTo(optionalMillis(reply.MaxAckTimestamp), c.other(), "")
	c.readUpTo(optionalMillis(reply.MaxReadTimestamp), c.other(), "")
	return nil
}

// FetchMemberReceipts asks how far each of the other members has received and
// read. Those of whom nothing is known are left out.
func (c *Conversation) FetchMemberReceipts(ctx context.Context) ([]MemberReceipt, error) {
	reply, err := c.do(ctx, withReceipts, pb.OpType_max_read, &pb.ConvCommand{
		QueryAllMembers: proto.Bool(true),
	}, callOptions{safe: true})
	if err != nil {
		return nil, err
	}
	var out []MemberReceipt
	for _, t := range reply.GetMaxReadTuples() {
		r := MemberReceipt{
			MemberID:    t.GetPid(),
			DeliveredAt: optionalMillis(t.MaxAckTimestamp),
			ReadAt:      optionalMillis(t.MaxReadTimestamp),
		}
		if !r.DeliveredAt.IsZero() || !r.ReadAt.IsZero() {
			out = append(out, r)
		}
	}
	return out, nil
}
