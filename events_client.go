package realtime

import "context"

// OnMessage adds a handler of [MessageEvent], which is delivered when a message
// arrives in a conversation.
func (c *IMClient) OnMessage(h func(ctx context.Context, e *MessageEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnMessageUpdate adds a handler of [MessageUpdateEvent], which is delivered
// when a message was edited.
func (c *IMClient) OnMessageUpdate(h func(ctx context.Context, e *MessageUpdateEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnMessageRecall adds a handler of [MessageRecallEvent], which is delivered
// when a message was recalled.
func (c *IMClient) OnMessageRecall(h func(ctx context.Context, e *MessageRecallEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnMessageStatus adds a handler of [MessageStatusEvent], which is delivered
// when a message that this client sends reaches another status.
func (c *IMClient) OnMessageStatus(h func(ctx context.Context, e *MessageStatusEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnInvited adds a handler of [InvitedEvent], which is delivered when this
// client has become a member, also by its own doing.
func (c *IMClient) OnInvited(h func(ctx context.Context, e *InvitedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnKicked adds a handler of [KickedEvent], which is delivered when this client
// is a member no longer, also by its own doing.
func (c *IMClient) OnKicked(h func(ctx context.Context, e *KickedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnMembersJoined adds a handler of [MembersJoinedEvent], which is delivered
// when members have joined a conversation of this client.
func (c *IMClient) OnMembersJoined(h func(ctx context.Context, e *MembersJoinedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnMembersLeft adds a handler of [MembersLeftEvent], which is delivered when
// members have left a conversation of this client.
func (c *IMClient) OnMembersLeft(h func(ctx context.Context, e *MembersLeftEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnBlocked adds a handler of [BlockedEvent], which is delivered when this
// client was put on the block list of a conversation.
func (c *IMClient) OnBlocked(h func(ctx context.Context, e *BlockedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnUnblocked adds a handler of [UnblockedEvent], which is delivered when this
// client was taken off the block list of a conversation.
func (c *IMClient) OnUnblocked(h func(ctx context.Context, e *UnblockedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnMuted adds a handler of [MutedEvent], which is delivered when this client
// may no longer speak in a conversation.
func (c *IMClient) OnMuted(h func(ctx context.Context, e *MutedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnUnmuted adds a handler of [UnmutedEvent], which is delivered when this
// client may speak in a conversation again.
func (c *IMClient) OnUnmuted(h func(ctx context.Context, e *UnmutedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnMembersBlocked adds a handler of [MembersBlockedEvent], which is delivered
// when members were put on the block list of a conversation.
func (c *IMClient) OnMembersBlocked(h func(ctx context.Context, e *MembersBlockedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnMembersUnblocked adds a handler of [MembersUnblockedEvent], which is
// delivered when members were taken off the block list of a conversation.
func (c *IMClient) OnMembersUnblocked(h func(ctx context.Context, e *MembersUnblockedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnMembersMuted adds a handler of [MembersMutedEvent], which is delivered when
// members may no longer speak in a conversation.
func (c *IMClient) OnMembersMuted(h func(ctx context.Context, e *MembersMutedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnMembersUnmuted adds a handler of [MembersUnmutedEvent], which is delivered
// when members may speak in a conversation again.
func (c *IMClient) OnMembersUnmuted(h func(ctx context.Context, e *MembersUnmutedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnMemberInfoUpdated adds a handler of [MemberInfoUpdatedEvent], which is
// delivered when the role of a member has changed.
func (c *IMClient) OnMemberInfoUpdated(h func(ctx context.Context, e *MemberInfoUpdatedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnInfoUpdated adds a handler of [InfoUpdatedEvent], which is delivered when
// attributes of a conversation were changed by somebody else.
func (c *IMClient) OnInfoUpdated(h func(ctx context.Context, e *InfoUpdatedEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnLastDeliveredAtUpdate adds a handler of [LastDeliveredAtUpdateEvent], which
// is delivered when the other member of a conversation has received messages.
func (c *IMClient) OnLastDeliveredAtUpdate(h func(ctx context.Context, e *LastDeliveredAtUpdateEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnLastReadAtUpdate adds a handler of [LastReadAtUpdateEvent], which is
// delivered when the other member of a conversation has read messages.
func (c *IMClient) OnLastReadAtUpdate(h func(ctx context.Context, e *LastReadAtUpdateEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnUnreadMessagesCountUpdate adds a handler of
// [UnreadMessagesCountUpdateEvent], which is delivered when the count of unread
// messages of a conversation has changed.
func (c *IMClient) OnUnreadMessagesCountUpdate(h func(ctx context.Context, e *UnreadMessagesCountUpdateEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnDisconnect adds a handler of [DisconnectEvent], which is delivered when the
// connection was lost or given up.
func (c *IMClient) OnDisconnect(h func(ctx context.Context, e *DisconnectEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnOffline adds a handler of [OfflineEvent], which is delivered when Pause has
// taken effect.
func (c *IMClient) OnOffline(h func(ctx context.Context, e *OfflineEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnOnline adds a handler of [OnlineEvent], which is delivered when Resume
// begins to connect again.
func (c *IMClient) OnOnline(h func(ctx context.Context, e *OnlineEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnReconnect adds a handler of [ReconnectEvent], which is delivered when the
// connection is back.
func (c *IMClient) OnReconnect(h func(ctx context.Context, e *ReconnectEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnSchedule adds a handler of [ScheduleEvent], which is delivered when the
// next attempt to connect is planned.
func (c *IMClient) OnSchedule(h func(ctx context.Context, e *ScheduleEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnRetry adds a handler of [RetryEvent], which is delivered when an attempt to
// connect begins.
func (c *IMClient) OnRetry(h func(ctx context.Context, e *RetryEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnReconnectError adds a handler of [ReconnectErrorEvent], which is delivered
// when the connection is back but the session of the client could not be opened
// again.
func (c *IMClient) OnReconnectError(h func(ctx context.Context, e *ReconnectErrorEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnRecovered adds a handler of [RecoveredEvent], which is delivered when the
// client has fetched what it missed while it was away.
func (c *IMClient) OnRecovered(h func(ctx context.Context, e *RecoveredEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnConflict adds a handler of [ConflictEvent], which is the last event of a
// client that another device with the same tag has displaced.
func (c *IMClient) OnConflict(h func(ctx context.Context, e *ConflictEvent)) (stop func()) {
	return on(&c.events, h)
}

// OnClose adds a handler of [CloseEvent], which is the last event of a client
// that has ended by anything but its own Close or a conflict.
func (c *IMClient) OnClose(h func(ctx context.Context, e *CloseEvent)) (stop func()) {
	return on(&c.events, h)
}
