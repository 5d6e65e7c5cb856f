package realtime

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
)

// do sends a conv command about c, after checking a rule.
func (c *Conversation) do(ctx context.Context, r rule, op pb.OpType, m *pb.ConvCommand, o callOptions) (*pb.ConvCommand, error) {
	if err := c.allowed(r); err != nil {
		return nil, err
	}
	m.Cid = proto.String(c.id)
	reply, err := c.client.call(ctx, &pb.GenericCommand{
		Cmd: pb.CommandType_conv.Enum(), Op: op.Enum(), ConvMessage: m,
	}, o)
	if err != nil {
		return nil, c.failed(err)
	}
	return reply.GetConvMessage(), nil
}

// Add adds members to a normal conversation. nil means that all of ids are
// members now; a [*PartialError] tells which are not. It may be repeated.
func (c *Conversation) Add(ctx context.Context, ids ...string) error {
	_, err := c.changeMembers(ctx, membersChange, SignInvite, ids)
	return err
}

// Remove removes members of a normal conversation. nil means that none of ids
// is a member any more; a [*PartialError] tells which are. It may be repeated.
func (c *Conversation) Remove(ctx context.Context, ids ...string) error {
	_, err := c.changeMembers(ctx, membersChange, SignKick, ids)
	return err
}

// Join makes this client a member: of a normal conversation, of a chat room,
// which makes it leave the one it is in, or of the subscribers of a service
// conversation. It may be repeated.
func (c *Conversation) Join(ctx context.Context) error {
	return c.changeSelf(ctx, notTemporary, SignInvite)
}

// Quit ends what Join began. It may be repeated.
func (c *Conversation) Quit(ctx context.Context) error {
	return c.changeSelf(ctx, notTemporary, SignKick)
}

// Subscribe makes this client a subscriber of a service conversation.
func (c *Conversation) Subscribe(ctx context.Context) error {
	return c.changeSelf(ctx, serviceOnly, SignInvite)
}

// Unsubscribe ends what Subscribe began.
func (c *Conversation) Unsubscribe(ctx context.Context) error {
	return c.changeSelf(ctx, serviceOnly, SignKick)
}

func (c *Conversation) changeSelf(ctx context.Context, r rule, action SignAction) error {
	at, err := c.changeMembers(ctx, r, action, []string{c.client.ID()})
	if partial := (*PartialError)(nil); errors.As(err, &partial) {
		return partial.Failures[0].Err // there is but one id
	}
	if err == nil && c.Kind() == KindChatRoom {
		if action == SignInvite {
			c.client.sync.enterRoom(c.id, at)
		} else {
			c.client.sync.leaveRoom(c.id)
		}
	}
	return err
}

// changeMembers adds or removes members, and returns when the server did it;
// zero: not told.
func (c *Conversation) changeMembers(ctx context.Context, r rule, action SignAction, ids []string) (at time.Time, err error) {
	ids, err = c.checkedIDs(r, ids)
	if len(ids) == 0 || err != nil {
		return at, err
	}
	m := &pb.ConvCommand{M: ids}
	sig, err := c.client.sign(ctx, SignRequest{Action: action, ConversationID: c.id, Members: ids})
	if err != nil {
		return at, err
	}
	if sig != nil {
		m.S, m.T, m.N = &sig.Signature, &sig.Timestamp, &sig.Nonce
	}
	op := pb.OpType_add
	if action == SignKick {
		op = pb.OpType_remove
	}
	reply, err := c.do(ctx, r, op, m, callOptions{safe: true})
	if err != nil {
		return at, err
	}
	at = changeTime(reply)
	if action == SignInvite && slices.Contains(reply.GetAllowedPids(), c.client.ID()) {
		c.client.returned(c.id, false)
	}
	c.update(func(s *convState) {
		if action == SignKick {
			s.left(reply.GetAllowedPids(), at)
		} else {
			s.joined(reply.GetAllowedPids(), at)
		}
	})
	return at, partialError(reply.GetAllowedPids(), reply.GetFailedPids())
}

// checkedIDs is the sorted list of the ids of a call, each once, after
// checking a rule. Nothing is to be done for an empty one.
func (c *Conversation) checkedIDs(r rule, ids []string) ([]string, error) {
	if err := checkIDs(ids); err != nil {
		return nil, err
	}
	if err := c.allowed(r); err != nil {
		return nil, err
	}
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// partialError is the outcome of an operation on several ids: nil if it
// succeeded for all of them.
func partialError(succeeded []string, failed []*pb.ErrorCommand) error {
	if len(failed) == 0 {
		return nil
	}
	e := &PartialError{Succeeded: slices.Clone(succeeded)}
	for _, f := range failed {
		reason := errorFromCommand(f)
		reason.retrySafe = true
		e.Failures = append(e.Failures, MemberFailure{ClientIDs: slices.Clone(f.GetPids()), Err: reason})
	}
	return e
}

// MuteMembers silences members: they may read but not send. nil means that all
// of ids are; a [*PartialError] tells which are not. It may be repeated.
func (c *Conversation) MuteMembers(ctx context.Context, ids ...string) error {
	return c.silence(ctx, pb.OpType_add_shutup, ids)
}

// UnmuteMembers ends what MuteMembers began.
func (c *Conversation) UnmuteMembers(ctx context.Context, ids ...string) error {
	return c.silence(ctx, pb.OpType_remove_shutup, ids)
}

func (c *Conversation) silence(ctx context.Context, op pb.OpType, ids []string) error {
	ids, err := c.checkedIDs(notTemporary, ids)
	if len(ids) == 0 || err != nil {
		return err
	}
	reply, err := c.do(ctx, notTemporary, op, &pb.ConvCommand{M: ids}, callOptions{safe: true})
	if err != nil {
		return err
	}
	return partialError(reply.GetAllowedPids(), reply.GetFailedPids())
}

// BlockMembers removes members and keeps them out. nil means that all of ids
// are kept out; a [*PartialError] tells which are not. It may be repeated.
func (c *Conversation) BlockMembers(ctx context.Context, ids ...string) error {
	return c.block(ctx, SignBlock, ids)
}

// UnblockMembers ends what BlockMembers began. It does not bring them back.
func (c *Conversation) UnblockMembers(ctx context.Context, ids ...string) error {
	return c.block(ctx, SignUnblock, ids)
}

func (c *Conversation) block(ctx context.Context, action SignAction, ids []string) error {
	ids, err := c.checkedIDs(notTemporary, ids)
	if len(ids) == 0 || err != nil {
		return err
	}
	m := &pb.BlacklistCommand{ToPids: ids}
	sig, err := c.client.sign(ctx, SignRequest{Action: action, ConversationID: c.id, Members: ids})
	if err != nil {
		return err
	}
	if sig != nil {
		m.S, m.T, m.N = &sig.Signature, &sig.Timestamp, &sig.Nonce
	}
	op := pb.OpType_block
	if action == SignUnblock {
		op = pb.OpType_unblock
	}
	reply, err := c.doBlacklist(ctx, op, m, callOptions{safe: true})
	if err != nil {
		return err
	}
	return partialError(reply.GetAllowedPids(), reply.GetFailedPids())
}

func (c *Conversation) doBlacklist(ctx context.Context, op pb.OpType, m *pb.BlacklistCommand, o callOptions) (*pb.BlacklistCommand, error) {
	if err := c.allowed(notTemporary); err != nil {
		return nil, err
	}
	m.SrcCid = proto.String(c.id)
	reply, err := c.client.call(ctx, &pb.GenericCommand{
		Cmd: pb.CommandType_blacklist.Enum(), Op: op.Enum(), BlacklistMessage: m,
	}, o)
	if err != nil {
		return nil, c.failed(err)
	}
	return reply.GetBlacklistMessage(), nil
}
