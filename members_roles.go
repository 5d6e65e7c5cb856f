package realtime

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// Role is what a member of a normal conversation may do.
type Role string

// The roles. Who created a conversation is its owner.
const (
	RoleOwner   Role = wire.RoleOwner   // everything; cannot be given away
	RoleManager Role = wire.RoleManager // change members, silence and block those who are neither
	RoleMember  Role = wire.RoleMember
)

// MemberInfo is the role of one member.
type MemberInfo struct {
	ConversationID, MemberID string
	Role                     Role
}

// rolesPage is how many roles are fetched at a time.
const rolesPage = 500

// GetAllMemberInfo returns the role of every member of a normal conversation.
// It asks the server the first time, and then keeps up by what the server
// pushes.
func (c *Conversation) GetAllMemberInfo(ctx context.Context, opts ...FetchOption) ([]MemberInfo, error) {
	o, err := collectFetch(opts)
	if err != nil {
		return nil, err
	}
	s, err := c.withRoles(ctx, o.withoutCache)
	if err != nil {
		return nil, err
	}
	out := make([]MemberInfo, len(s.members))
	for i, id := range s.members {
		out[i] = MemberInfo{ConversationID: c.id, MemberID: id, Role: s.role(id)}
	}
	return out, nil
}

// GetMemberInfo returns the role of one member of a normal conversation, under
// the rules of [Conversation.GetAllMemberInfo]. The error matches
// ErrConversationMembershipRequired if memberID is not a member.
func (c *Conversation) GetMemberInfo(ctx context.Context, memberID string) (MemberInfo, error) {
	s, err := c.withRoles(ctx, false)
	if err != nil {
		return MemberInfo{}, err
	}
	if !slices.Contains(s.members, memberID) {
		return MemberInfo{}, newError(ErrConversationMembershipRequired, strconv.Quote(memberID)+" is not a member")
	}
	return MemberInfo{ConversationID: c.id, MemberID: memberID, Role: s.role(memberID)}, nil
}

// withRoles returns the state with members and roles, fetching what is not
// known.
func (c *Conversation) withRoles(ctx context.Context, fresh bool) (convState, error) {
	if err := c.allowed(normalOnly); err != nil {
		return convState{}, err
	}
	if err := c.client.usable(ctx); err != nil {
		return convState{}, err
	}
	s := c.snapshot()
	if fresh || len(s.members) == 0 || s.creator == "" {
		if err := c.Fetch(ctx); err != nil {
			return s, err
		}
		s = c.snapshot()
	}
	if fresh || s.roles == nil {
		roles, err := c.fetchRoles(ctx)
		if err != nil {
			return s, err
		}
		c.update(func(s *convState) { s.roles = roles })
		s.roles = roles
	}
	return s, nil
}

// fetchRoles returns the roles that differ from Member.
func (c *Conversation) fetchRoles(ctx context.Context) (map[string]Role, error) {
	where, err := marshalJSON(map[string]string{"cid": c.id})
	if err != nil {
		return nil, err
	}
	roles := make(map[string]Role)
	for skip := 0; ; skip += rolesPage {
		query := url.Values{
			"client_id": {c.client.ID()}, "where": {string(where)}, "limit": {strconv.Itoa(rolesPage)},
		}
		if skip > 0 {
			query.Set("skip", strconv.Itoa(skip))
		}
		var answer struct {
			Results []struct {
				ClientID string `json:"clientId"`
				Role     Role   `json:"role"`
			} `json:"results"`
		}
		err := c.client.rest(ctx, restCall{
			method: http.MethodGet, path: "/1.1/classes/_ConversationMemberInfo", query: query, answer: &answer,
		})
		if err != nil {
			return nil, err
		}
		for _, row := range answer.Results {
			if row.Role != RoleMember && row.Role != "" {
				roles[row.ClientID] = row.Role
			}
		}
		if len(answer.Results) < rolesPage {
			return roles, nil
		}
	}
}

// UpdateMemberRole makes a member of a normal conversation a manager, or an
// ordinary member again. There is one owner, for ever: for [RoleOwner] it fails
// with ErrOwnerPromotionNotAllowed.
func (c *Conversation) UpdateMemberRole(ctx context.Context, memberID string, role Role) error {
	switch role {
	case RoleManager, RoleMember:
	case RoleOwner:
		return newError(ErrOwnerPromotionNotAllowed, "")
	default:
		return newError(ErrUnknownConversationRole, strconv.Quote(string(role)))
	}
	if err := checkIDs([]string{memberID}); err != nil {
		return err
	}
	_, err := c.do(ctx, normalOnly, pb.OpType_member_info_update, &pb.ConvCommand{
		TargetClientId: &memberID,
		Info:           &pb.ConvMemberInfo{Pid: &memberID, Role: proto.String(string(role))},
	}, callOptions{safe: true})
	if err != nil {
		return err
	}
	c.update(func(s *convState) { s.setRole(memberID, role) })
	return nil
}
