package admin

import (
	"context"
	"iter"
	"net/url"
	"strconv"
	"time"

	"github.com/leanrtm/realtime"
)

// Conversation is a normal or temporary conversation. Of temporary ones, only
// messages can be sent, changed and read.
type Conversation struct{ t target }

// ID is the id that the handle was made with.
func (h *Conversation) ID() string { return h.t.id }

// String names the handle.
func (h *Conversation) String() string { return h.t.name("Conversation") }

// Fetch returns what the server knows of the conversation;
// realtime.ErrConversationNotFound if there is none of this kind.
func (h *Conversation) Fetch(ctx context.Context) (realtime.ConversationInfo, error) {
	return h.t.fetch(ctx)
}

// Save changes the name and attributes in one step. Keys may be paths with dots.
func (h *Conversation) Save(ctx context.Context, changes map[string]any) error {
	return h.t.save(ctx, changes)
}

// Delete deletes the conversation with its messages. Nobody is told.
func (h *Conversation) Delete(ctx context.Context) error { return h.t.remove(ctx) }

// Messages returns the history, fetched page after page in the direction of q.
// An error is the last pair. Each range starts again.
func (h *Conversation) Messages(ctx context.Context, q realtime.MessageQuery) iter.Seq2[StoredMessage, error] {
	return h.t.messages(ctx, q)
}

// Send sends a message to all members.
func (h *Conversation) Send(ctx context.Context, m Message) (*realtime.Message, error) {
	return h.t.send(ctx, m)
}

// Update replaces the content of a message. Of m it needs ID, From and
// Timestamp.
func (h *Conversation) Update(ctx context.Context, m *realtime.Message, content realtime.Content) error {
	return h.t.update(ctx, m, content, nil)
}

// Recall takes a message back. Of m it needs ID, From and Timestamp.
func (h *Conversation) Recall(ctx context.Context, m *realtime.Message) error {
	return h.t.recall(ctx, m, nil)
}

// DeleteMessage removes a message from the history. Nobody is told. Of m it
// needs ID, From and Timestamp.
func (h *Conversation) DeleteMessage(ctx context.Context, m *realtime.Message) error {
	return h.t.deleteMessage(ctx, m)
}

// Members returns the ids of all members.
func (h *Conversation) Members(ctx context.Context) ([]string, error) {
	return h.t.ids(ctx, listMembers)
}

// Add adds members. Who is one already stays one.
func (h *Conversation) Add(ctx context.Context, ids ...string) error {
	return h.t.each(ctx, "POST", listMembers, ids)
}

// Remove removes members. Who is none is ignored.
func (h *Conversation) Remove(ctx context.Context, ids ...string) error {
	return h.t.each(ctx, "DELETE", listMembers, ids)
}

// NotificationsMutedBy returns the members who get no offline notifications.
func (h *Conversation) NotificationsMutedBy(ctx context.Context) ([]string, error) {
	return h.t.ids(ctx, listMutes)
}

// MuteNotifications turns the offline notifications of members off.
func (h *Conversation) MuteNotifications(ctx context.Context, ids ...string) error {
	return h.t.each(ctx, "POST", listMutes, ids)
}

// UnmuteNotifications turns the offline notifications of members on again.
func (h *Conversation) UnmuteNotifications(ctx context.Context, ids ...string) error {
	return h.t.each(ctx, "DELETE", listMutes, ids)
}

// MuteMembers silences clients: they may not send until UnmuteMembers.
func (h *Conversation) MuteMembers(ctx context.Context, ids ...string) error {
	return h.t.each(ctx, "POST", listShutup, ids)
}

// UnmuteMembers ends MuteMembers.
func (h *Conversation) UnmuteMembers(ctx context.Context, ids ...string) error {
	return h.t.each(ctx, "DELETE", listShutup, ids)
}

// MuteMemberFor silences a client for some time, at most 24 hours; 0 ends it. It
// is rounded up to seconds.
func (h *Conversation) MuteMemberFor(ctx context.Context, id string, d time.Duration) error {
	return h.t.silence(ctx, id, d)
}

// QueryMutedMembers returns a page of the clients silenced by MuteMembers.
func (h *Conversation) QueryMutedMembers(ctx context.Context, q realtime.PageQuery) (realtime.MemberPage, error) {
	return h.t.page(ctx, listShutup, q)
}

// BlockMembers removes clients and keeps them out.
func (h *Conversation) BlockMembers(ctx context.Context, ids ...string) error {
	return h.t.each(ctx, "POST", listBlocked, ids)
}

// UnblockMembers ends BlockMembers. Nobody becomes a member by it.
func (h *Conversation) UnblockMembers(ctx context.Context, ids ...string) error {
	return h.t.each(ctx, "DELETE", listBlocked, ids)
}

// QueryBlockedMembers returns a page of the blocked clients.
func (h *Conversation) QueryBlockedMembers(ctx context.Context, q realtime.PageQuery) (realtime.MemberPage, error) {
	return h.t.page(ctx, listBlocked, q)
}

// infoItem is a role as the server tells it.
type infoItem struct {
	ClientID string        `json:"clientId"`
	ID       string        `json:"objectId,omitempty"`
	Role     realtime.Role `json:"role"`
}

const listInfos = "member-infos"

// infos reads the roles that are not the default.
func (h *Conversation) infos(ctx context.Context) ([]infoItem, error) {
	var all []infoItem
	for {
		var answer struct {
			Results []infoItem `json:"results"`
		}
		query := url.Values{"limit": {strconv.Itoa(defaultPage)}, "skip": {strconv.Itoa(len(all))}}
		if err := h.t.do(ctx, call{method: "GET", path: h.t.at(listInfos), query: query, answer: &answer}); err != nil {
			return nil, err
		}
		all = append(all, answer.Results...)
		if len(answer.Results) < defaultPage {
			return all, nil
		}
	}
}

// GetAllMemberInfo returns the role of every member.
func (h *Conversation) GetAllMemberInfo(ctx context.Context) ([]realtime.MemberInfo, error) {
	infos, err := h.infos(ctx)
	if err != nil {
		return nil, err
	}
	roles := make(map[string]realtime.Role, len(infos))
	for _, it := range infos {
		roles[it.ClientID] = it.Role
	}
	info, err := h.t.fetch(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]realtime.MemberInfo, len(info.Members))
	for i, id := range info.Members {
		role := roles[id]
		switch {
		case id == info.Creator:
			role = realtime.RoleOwner
		case role == "":
			role = realtime.RoleMember
		}
		out[i] = realtime.MemberInfo{ConversationID: h.t.id, MemberID: id, Role: role}
	}
	return out, nil
}

// UpdateMemberRole makes a member a manager, or an ordinary member again.
// Ownership cannot be given: realtime.ErrOwnerPromotionNotAllowed.
func (h *Conversation) UpdateMemberRole(ctx context.Context, memberID string, role realtime.Role) error {
	switch role {
	case realtime.RoleManager, realtime.RoleMember:
	case realtime.RoleOwner:
		return newError(realtime.ErrOwnerPromotionNotAllowed, "")
	default:
		return newError(realtime.ErrUnknownConversationRole, strconv.Quote(string(role)))
	}
	if memberID == "" {
		return invalidArgument("the member id is empty")
	}
	infos, err := h.infos(ctx)
	if err != nil {
		return err
	}
	body := infoItem{ClientID: memberID, Role: role}
	for _, it := range infos {
		if it.ClientID == memberID && it.ID != "" {
			return h.t.do(ctx, call{method: "PUT", path: h.t.at(listInfos, it.ID), body: body})
		}
	}
	return h.t.do(ctx, call{method: "POST", path: h.t.at(listInfos), body: body})
}
