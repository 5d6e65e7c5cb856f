package realtime

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/leanrtm/realtime/internal/pb"
)

// change is something that happened to a conversation.
type change struct {
	op        pb.OpType
	m         *pb.ConvCommand
	at        int64 // server time; 0: not told
	kept      bool  // the server also keeps it for who is away,
	permanent bool  // for as long as need be
	fetched   bool  // it comes from what the server has kept
}

// pushedChange handles what happened to a conversation and its members.
func (c *IMClient) pushedChange(ctx context.Context, ch change) {
	op, m := ch.op, ch.m
	if m.GetCid() == "" || !conversationChange(op) {
		return
	}
	kept := ch.kept || ch.fetched
	if kept && !c.sync.notified(m.GetCid(), op.String(), ch.at, ch.permanent) {
		return
	}
	missed := ch.fetched || kept && c.sync.missed(ch.at)
	var through func(handled bool)
	if kept {
		through = func(handled bool) {
			if handled {
				c.sync.notifHandled(ch.at, ch.permanent)
			}
		}
	}
	if op == pb.OpType_joined && !ch.fetched {
		c.returned(m.GetCid(), false)
	}
	conv := c.conversationOf(ctx, m.GetCid(), 0)
	by, at := m.GetInitBy(), changeTime(m)
	members := slices.Clone(m.GetM()) // goes to listeners
	switch op {
	case pb.OpType_joined:
		conv.update(func(s *convState) { s.joined([]string{c.ID()}, at) })
		hole := c.sync.joined(conv.id, cmp.Or(millis(at), ch.at))
		c.emitThen(&InvitedEvent{Conversation: conv, InvitedBy: by, Recovered: missed}, through)
		if hole && !ch.fetched && !c.sync.cutOff() { // else recovery does it
			c.fillHole(ctx, conv)
		}
	case pb.OpType_left:
		conv.update(func(s *convState) { s.left([]string{c.ID()}, at) })
		c.sync.left(conv.id, cmp.Or(millis(at), ch.at, 1), missed)
		c.sync.setUnread(conv, 0, false)
		c.emitThen(&KickedEvent{Conversation: conv, KickedBy: by, Recovered: missed}, through)
	case pb.OpType_members_joined:
		conv.update(func(s *convState) { s.joined(members, at) })
		c.emitThen(&MembersJoinedEvent{Conversation: conv, Members: members, InvitedBy: by, Recovered: missed}, through)
	case pb.OpType_members_left:
		conv.update(func(s *convState) { s.left(members, at) })
		c.emitThen(&MembersLeftEvent{Conversation: conv, Members: members, KickedBy: by, Recovered: missed}, through)
	case pb.OpType_blocked:
		c.emitThen(&BlockedEvent{Conversation: conv, BlockedBy: by, Recovered: missed}, through)
	case pb.OpType_unblocked:
		c.emitThen(&UnblockedEvent{Conversation: conv, UnblockedBy: by, Recovered: missed}, through)
	case pb.OpType_members_blocked:
		c.emitThen(&MembersBlockedEvent{Conversation: conv, Members: members, BlockedBy: by, Recovered: missed}, through)
	case pb.OpType_members_unblocked:
		c.emitThen(&MembersUnblockedEvent{Conversation: conv, Members: members, UnblockedBy: by, Recovered: missed}, through)
	case pb.OpType_shutuped:
		c.emitThen(&MutedEvent{Conversation: conv, MutedBy: by, Recovered: missed}, through)
	case pb.OpType_unshutuped:
		c.emitThen(&UnmutedEvent{Conversation: conv, UnmutedBy: by, Recovered: missed}, through)
	case pb.OpType_members_shutuped:
		c.emitThen(&MembersMutedEvent{Conversation: conv, Members: members, MutedBy: by, Recovered: missed}, through)
	case pb.OpType_members_unshutuped:
		c.emitThen(&MembersUnmutedEvent{Conversation: conv, Members: members, UnmutedBy: by, Recovered: missed}, through)
	case pb.OpType_member_info_changed:
		c.roleChanged(conv, m.GetInfo(), by, missed, through)
	case pb.OpType_updated:
		c.attributesChanged(conv, m, at, missed, through)
	}
}

// conversationChange tells the pushes that are handled here.
func conversationChange(op pb.OpType) bool {
	switch op {
	case pb.OpType_joined, pb.OpType_left, pb.OpType_members_joined, pb.OpType_members_left,
		pb.OpType_blocked, pb.OpType_unblocked, pb.OpType_members_blocked, pb.OpType_members_unblocked,
		pb.OpType_shutuped, pb.OpType_unshutuped, pb.OpType_members_shutuped, pb.OpType_members_unshutuped,
		pb.OpType_member_info_changed, pb.OpType_updated:
		return true
	}
	return false
}

// update changes the state.
func (c *Conversation) update(f func(s *convState)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.state)
}

// changeTime is when the server made a change; zero if it does not tell, or
// tells something else than a time.
func changeTime(m *pb.ConvCommand) time.Time {
	at, err := parseISO(m.GetUdate())
	if err != nil {
		return time.Time{}
	}
	return at
}

// roleChanged handles a new role. One that is not told is only of interest if
// the roles are known.
func (c *IMClient) roleChanged(conv *Conversation, info *pb.ConvMemberInfo, by string, missed bool, through func(bool)) {
	if info.GetPid() == "" {
		return
	}
	role := Role(info.GetRole())
	conv.mu.Lock()
	if role == "" {
		if conv.state.roles == nil {
			conv.mu.Unlock()
			return
		}
		role = conv.state.role(info.GetPid())
	} else {
		conv.state.setRole(info.GetPid(), role)
	}
	conv.mu.Unlock()
	c.emitThen(&MemberInfoUpdatedEvent{
		Conversation: conv,
		MemberInfo:   MemberInfo{ConversationID: conv.id, MemberID: info.GetPid(), Role: role},
		UpdatedBy:    by,
		Recovered:    missed,
	}, through)
}

// attributesChanged handles new attributes.
func (c *IMClient) attributesChanged(conv *Conversation, m *pb.ConvCommand, at time.Time, missed bool, through func(bool)) {
	changes := objectOf(m.GetAttr())
	told := make(map[string]any, len(changes))
	for key, raw := range changes {
		told[key] = decodeValue(raw)
	}
	conv.update(func(s *convState) {
		s.changed(resultOf(m, changes), at)
	})
	c.emitThen(&InfoUpdatedEvent{Conversation: conv, Attributes: told, UpdatedBy: m.GetInitBy(), Recovered: missed}, through)
}

// resultOf is what changes have led to: what the server says, else the changes
// themselves. The server names what there is now, so that a key that is gone
// stands in the changes alone.
func resultOf(m *pb.ConvCommand, changes map[string]json.RawMessage) map[string]json.RawMessage {
	result := objectOf(m.GetAttrModified())
	if len(result) == 0 {
		return changes
	}
	for key, change := range changes {
		if _, there := result[key]; !there && operation(change) == "Delete" {
			result[key] = change
		}
	}
	return result
}

// objectOf is a JSON object of a command; nil if it is none.
func objectOf(m *pb.JsonObjectMessage) map[string]json.RawMessage {
	if m.GetData() == "" {
		return nil
	}
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(m.GetData()), &object) != nil {
		return nil
	}
	return object
}
