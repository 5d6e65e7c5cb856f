package realtime

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
)

// PageQuery asks for one page of a list.
type PageQuery struct {
	Limit int    // ids per page; 0: the server's choice
	Next  string // of the page before; "": the first page
}

// MemberPage is one page of a list of members.
type MemberPage struct {
	Members []string
	Next    string // "": last page
}

// optional are the fields of a page query as the server wants them.
func (q PageQuery) optional() (limit *int32, next *string, err error) {
	if q.Limit < 0 || q.Limit > 1<<31-1 {
		return nil, nil, invalidArgument("Limit %d", q.Limit)
	}
	if q.Limit != 0 {
		limit = proto.Int32(int32(q.Limit))
	}
	if q.Next != "" {
		next = &q.Next
	}
	return limit, next, nil
}

// QueryMutedMembers returns a page of the members who are silenced.
func (c *Conversation) QueryMutedMembers(ctx context.Context, q PageQuery) (MemberPage, error) {
	limit, next, err := q.optional()
	if err != nil {
		return MemberPage{}, err
	}
	reply, err := c.do(ctx, notTemporary, pb.OpType_query_shutup, &pb.ConvCommand{Limit: limit, Next: next}, callOptions{safe: true})
	if err != nil {
		return MemberPage{}, err
	}
	return MemberPage{Members: slices.Clone(reply.GetM()), Next: reply.GetNext()}, nil
}

// QueryBlockedMembers returns a page of the clients who are kept out.
func (c *Conversation) QueryBlockedMembers(ctx context.Context, q PageQuery) (MemberPage, error) {
	limit, next, err := q.optional()
	if err != nil {
		return MemberPage{}, err
	}
	reply, err := c.doBlacklist(ctx, pb.OpType_query, &pb.BlacklistCommand{Limit: limit, Next: next}, callOptions{safe: true})
	if err != nil {
		return MemberPage{}, err
	}
	return MemberPage{Members: slices.Clone(reply.GetBlockedPids()), Next: reply.GetNext()}, nil
}

// CheckMutedMembers returns those of ids who are silenced.
func (c *Conversation) CheckMutedMembers(ctx context.Context, ids ...string) ([]string, error) {
	ids, err := c.checkedIDs(notTemporary, ids)
	if len(ids) == 0 || err != nil {
		return nil, err
	}
	reply, err := c.do(ctx, notTemporary, pb.OpType_check_shutup, &pb.ConvCommand{M: ids}, callOptions{safe: true})
	if err != nil {
		return nil, err
	}
	return slices.Clone(reply.GetM()), nil
}

// CheckBlockedMembers returns those of ids who are kept out.
func (c *Conversation) CheckBlockedMembers(ctx context.Context, ids ...string) ([]string, error) {
	ids, err := c.checkedIDs(notTemporary, ids)
	if len(ids) == 0 || err != nil {
		return nil, err
	}
	reply, err := c.doBlacklist(ctx, pb.OpType_check_block, &pb.BlacklistCommand{ToPids: ids}, callOptions{safe: true})
	if err != nil {
		return nil, err
	}
	return slices.Clone(reply.GetBlockedPids()), nil
}

// Count returns how many members a conversation has, how many subscribers a
// service conversation has, or how many clients are in a chat room.
func (c *Conversation) Count(ctx context.Context) (int, error) {
	reply, err := c.do(ctx, anyKind, pb.OpType_count, &pb.ConvCommand{}, callOptions{safe: true})
	if err != nil {
		return 0, err
	}
	return int(reply.GetCount()), nil
}

// OnlineMembers returns some of the clients who are in a chat room, 50 at
// most.
func (c *Conversation) OnlineMembers(ctx context.Context) ([]string, error) {
	reply, err := c.do(ctx, chatRoomOnly, pb.OpType_members, &pb.ConvCommand{}, callOptions{safe: true})
	if err != nil {
		return nil, err
	}
	return slices.Clone(reply.GetM()), nil
}

// IsMember asks the server whether this client is a member, a subscriber, or
// in the chat room.
func (c *Conversation) IsMember(ctx context.Context) (bool, error) {
	if err := c.allowed(anyKind); err != nil {
		return false, err
	}
	reply, err := c.client.call(ctx, &pb.GenericCommand{
		Cmd: pb.CommandType_conv.Enum(), Op: pb.OpType_is_member.Enum(),
		ConvMessage: &pb.ConvCommand{Cids: []string{c.id}},
	}, callOptions{safe: true})
	if err != nil {
		return false, c.failed(err)
	}
	var is map[string]bool
	if err := json.Unmarshal([]byte(reply.GetConvMessage().GetResults().GetData()), &is); err != nil {
		return false, fmt.Errorf("realtime: decode answer to conv/is_member: %w", err)
	}
	return is[c.id], nil
}

// Mute switches push notifications about this conversation off for this
// client. Messages and unread counts go on. It has no effect in a chat room.
func (c *Conversation) Mute(ctx context.Context) error { return c.notify(ctx, false) }

// Unmute ends what Mute began.
func (c *Conversation) Unmute(ctx context.Context) error { return c.notify(ctx, true) }

func (c *Conversation) notify(ctx context.Context, on bool) error {
	op := pb.OpType_mute
	if on {
		op = pb.OpType_unmute
	}
	reply, err := c.do(ctx, notTemporary, op, &pb.ConvCommand{}, callOptions{safe: true})
	if err != nil {
		return err
	}
	at, self := changeTime(reply), []string{c.client.ID()}
	c.update(func(s *convState) {
		s.updatedAt = latest(s.updatedAt, at)
		switch s.kind {
		case KindChatRoom:
		case KindService:
			s.muted = !on
		default:
			s.muted = false
			if on {
				s.mutedBy = difference(s.mutedBy, self)
			} else {
				s.mutedBy = union(s.mutedBy, self)
			}
		}
	})
	return nil
}
