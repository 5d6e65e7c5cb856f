package realtime

import "context"

// OnMessage adds a handler of [MessageEvent], which is delivered when a message
// arrives in the conversation.
func (c *Conversation) OnMessage(h func(ctx context.Context, e *MessageEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnMessageUpdate adds a handler of [MessageUpdateEvent], which is delivered
// when a message was edited.
func (c *Conversation) OnMessageUpdate(h func(ctx context.Context, e *MessageUpdateEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnMessageRecall adds a handler of [MessageRecallEvent], which is delivered
// when a message was recalled.
func (c *Conversation) OnMessageRecall(h func(ctx context.Context, e *MessageRecallEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnMessageStatus adds a handler of [MessageStatusEvent], which is delivered
// when a message that this client sends reaches another status.
func (c *Conversation) OnMessageStatus(h func(ctx context.Context, e *MessageStatusEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnInvited adds a handler of [InvitedEvent], which is delivered when this
// client has become a member, also by its own doing.
func (c *Conversation) OnInvited(h func(ctx context.Context, e *InvitedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnKicked adds a handler of [KickedEvent], which is delivered when this client
// is a member no longer, also by its own doing.
func (c *Conversation) OnKicked(h func(ctx context.Context, e *KickedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnMembersJoined adds a handler of [MembersJoinedEvent], which is delivered
// when members have joined a conversation of this client.
func (c *Conversation) OnMembersJoined(h func(ctx context.Context, e *MembersJoinedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnMembersLeft adds a handler of [MembersLeftEvent], which is delivered when
// members have left a conversation of this client.
func (c *Conversation) OnMembersLeft(h func(ctx context.Context, e *MembersLeftEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnBlocked adds a handler of [BlockedEvent], which is delivered when this
// client was put on the block list of the conversation.
func (c *Conversation) OnBlocked(h func(ctx context.Context, e *BlockedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnUnblocked adds a handler of [UnblockedEvent], which is delivered when this
// client was taken off the block list of the conversation.
func (c *Conversation) OnUnblocked(h func(ctx context.Context, e *UnblockedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnMuted adds a handler of [MutedEvent], which is delivered when this client
// may no longer speak in the conversation.
func (c *Conversation) OnMuted(h func(ctx context.Context, e *MutedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnUnmuted adds a handler of [UnmutedEvent], which is delivered when this
// client may speak in the conversation again.
func (c *Conversation) OnUnmuted(h func(ctx context.Context, e *UnmutedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnMembersBlocked adds a handler of [MembersBlockedEvent], which is delivered
// when members were put on the block list of the conversation.
func (c *Conversation) OnMembersBlocked(h func(ctx context.Context, e *MembersBlockedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnMembersUnblocked adds a handler of [MembersUnblockedEvent], which is
// delivered when members were taken off the block list of the conversation.
func (c *Conversation) OnMembersUnblocked(h func(ctx context.Context, e *MembersUnblockedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnMembersMuted adds a handler of [MembersMutedEvent], which is delivered when
// members may no longer speak in the conversation.
func (c *Conversation) OnMembersMuted(h func(ctx context.Context, e *MembersMutedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnMembersUnmuted adds a handler of [MembersUnmutedEvent], which is delivered
// when members may speak in the conversation again.
func (c *Conversation) OnMembersUnmuted(h func(ctx context.Context, e *MembersUnmutedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnMemberInfoUpdated adds a handler of [MemberInfoUpdatedEvent], which is
// delivered when the role of a member has changed.
func (c *Conversation) OnMemberInfoUpdated(h func(ctx context.Context, e *MemberInfoUpdatedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnInfoUpdated adds a handler of [InfoUpdatedEvent], which is delivered when
// attributes of the conversation were changed by somebody else.
func (c *Conversation) OnInfoUpdated(h func(ctx context.Context, e *InfoUpdatedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnLastDeliveredAtUpdate adds a handler of [LastDeliveredAtUpdateEvent], which
// is delivered when the other member of the conversation has received messages.
func (c *Conversation) OnLastDeliveredAtUpdate(h func(ctx context.Context, e *LastDeliveredAtUpdateEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnLastReadAtUpdate adds a handler of [LastReadAtUpdateEvent], which is
// delivered when the other member of the conversation has read messages.
func (c *Conversation) OnLastReadAtUpdate(h func(ctx context.Context, e *LastReadAtUpdateEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnUnreadMessagesCountUpdate adds a handler of
// [UnreadMessagesCountUpdateEvent], which is delivered when the count of unread
// messages of the conversation has changed.
func (c *Conversation) OnUnreadMessagesCountUpdate(h func(ctx context.Context, e *UnreadMessagesCountUpdateEvent)) (stop func()) {
	return on(&c.events, h)
}
