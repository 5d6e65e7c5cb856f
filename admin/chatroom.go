package admin

import (
	"context"
	"iter"
	"time"

	"github.com/leanrtm/realtime"
)

// ChatRoom is a chat room.
type ChatRoom struct{ t target }

// ID is the id that the handle was made with.
func (h *ChatRoom) ID() string { return h.t.id }

// String names the handle.
func (h *ChatRoom) String() string { return h.t.name("ChatRoom") }

// Fetch returns what the server knows of the room;
// realtime.ErrConversationNotFound if there is none.
func (h *ChatRoom) Fetch(ctx context.Context) (realtime.ConversationInfo, error) {
	return h.t.fetch(ctx)
}

// Save changes the name and attributes in one step. Keys may be paths with dots.
func (h *ChatRoom) Save(ctx context.Context, changes map[string]any) error {
	return h.t.save(ctx, changes)
}

// Delete deletes the room with its messages. Nobody is told.
func (h *ChatRoom) Delete(ctx context.Context) error { return h.t.remove(ctx) }

// Messages returns the history, fetched page after page in the direction of q.
// An error is the last pair. Each range starts again.
func (h *ChatRoom) Messages(ctx context.Context, q realtime.MessageQuery) iter.Seq2[StoredMessage, error] {
	return h.t.messages(ctx, q)
}

// Send sends a message to everybody in the room. Those with a low priority are
// the first to be dropped for receivers that are too slow.
func (h *ChatRoom) Send(ctx context.Context, m Message) (*realtime.Message, error) {
	return h.t.send(ctx, m)
}

// Update replaces the content of a message. Of m it needs ID, From and
// Timestamp.
func (h *ChatRoom) Update(ctx context.Context, m *realtime.Message, content realtime.Content) error {
	return h.t.update(ctx, m, content, nil)
}

// Recall takes a message back. Of m it needs ID, From and Timestamp.
func (h *ChatRoom) Recall(ctx context.Context, m *realtime.Message) error {
	return h.t.recall(ctx, m, nil)
}

// DeleteMessage removes a message from the history. Nobody is told. Of m it
// needs ID, From and Timestamp.
func (h *ChatRoom) DeleteMessage(ctx context.Context, m *realtime.Message) error {
	return h.t.deleteMessage(ctx, m)
}

// OnlineMembers returns some of the clients in the room, 50 at most.
func (h *ChatRoom) OnlineMembers(ctx context.Context) ([]string, error) {
	return h.t.ids(ctx, listMembers)
}

// Count returns how many clients are in the room.
func (h *ChatRoom) Count(ctx context.Context) (int, error) {
	return h.t.count(ctx, listMembers, "online-count")
}

// MuteMembers silences clients: they may not send until UnmuteMembers.
func (h *ChatRoom) MuteMembers(ctx context.Context, ids ...string) error {
	return h.t.each(ctx, "POST", listShutup, ids)
}

// UnmuteMembers ends MuteMembers.
func (h *ChatRoom) UnmuteMembers(ctx context.Context, ids ...string) error {
	return h.t.each(ctx, "DELETE", listShutup, ids)
}

// MuteMemberFor silences a client for some time, at most 24 hours; 0 ends it. It
// is rounded up to seconds.
func (h *ChatRoom) MuteMemberFor(ctx context.Context, id string, d time.Duration) error {
	return h.t.silence(ctx, id, d)
}

// QueryMutedMembers returns a page of the clients silenced by MuteMembers.
func (h *ChatRoom) QueryMutedMembers(ctx context.Context, q realtime.PageQuery) (realtime.MemberPage, error) {
	return h.t.page(ctx, listShutup, q)
}

// BlockMembers puts clients out of the room and keeps them out.
func (h *ChatRoom) BlockMembers(ctx context.Context, ids ...string) error {
	return h.t.each(ctx, "POST", listBlocked, ids)
}

// UnblockMembers ends BlockMembers.
func (h *ChatRoom) UnblockMembers(ctx context.Context, ids ...string) error {
	return h.t.each(ctx, "DELETE", listBlocked, ids)
}

// QueryBlockedMembers returns a page of the blocked clients.
func (h *ChatRoom) QueryBlockedMembers(ctx context.Context, q realtime.PageQuery) (realtime.MemberPage, error) {
	return h.t.page(ctx, listBlocked, q)
}
