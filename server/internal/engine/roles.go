package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/store"
)

// MemberInfo is what a member may do in a conversation.
type MemberInfo struct {
	ID     string // of this piece of information
	Client string
	Role   string // wire.RoleOwner, wire.RoleManager or wire.RoleMember
}

const infoIDBytes = 12 // as many as other object ids have

// infoID names the role of a member. It is derived, so that the owner, whose role
// is nowhere stored, has one too, and it is the same at every look.
func infoID(cid, client string) string {
	sum := sha256.Sum256([]byte(store.Key(cid, client)))
	return hex.EncodeToString(sum[:infoIDBytes])
}

func roleName(r store.Role) string {
	switch r {
	case store.RoleOwner:
		return wire.RoleOwner
	case store.RoleManager:
		return wire.RoleManager
	}
	return wire.RoleMember
}

// rolesOn answers 4325 if the app has no roles, 4314 if the conversation's kind
// has none.
func rolesOn(c *conv) error {
	switch {
	case c.app.DisableRoles:
		return refuse(wire.CodeConversationMemberInfoFeatureDisabled, "")
	case c.kind() != store.KindNormal:
		return refuse(wire.CodeNormalConversationRequired, "")
	}
	return nil
}

// SetRole gives a member a role and tells all members. Owners and managers do it,
// to members below them; the owner stays the owner.
func (e *Engine) SetRole(ctx context.Context, by Cause, cid, client, role string) (MemberInfo, error) {
	return e.setRole(ctx, by, cid, client, func() (store.Role, error) {
		switch role {
		case wire.RoleManager:
			return store.RoleManager, nil
		case wire.RoleMember:
			return store.RoleMember, nil
		case wire.RoleOwner:
			return 0, refuse(wire.CodeConversationOperationUnauthorized, "ownership cannot be given away")
		}
		return 0, refuse(wire.CodeUnknownConversationRole, "")
	})
}

// ClearRole makes a member an ordinary one again, of whom no role is stored.
func (e *Engine) ClearRole(ctx context.Context, by Cause, cid, client string) error {
	_, err := e.setRole(ctx, by, cid, client, func() (store.Role, error) { return store.RoleUnset, nil })
	return err
}

func (e *Engine) setRole(ctx context.Context, by Cause, cid, client string, parse func() (store.Role, error)) (MemberInfo, error) {
	a, err := e.app(by.App)
	if err != nil {
		return MemberInfo{}, err
	}
	var info MemberInfo
	err = retry(func() error {
		c, err := e.lock(ctx, a, cid)
		if err != nil {
			return err
		}
		defer c.mu.Unlock()
		if err := rolesOn(c); err != nil {
			return err
		}
		if !by.Admin && !c.has(by.Client) {
			return refuse(wire.CodeConversationMembershipRequired, "")
		}
		role, err := parse()
		if err != nil {
			return err
		}
		m := c.member(client)
		switch {
		case m == nil:
			return refuse(wire.CodeConversationMembershipRequired, "the target is not a member")
		case c.rank(by) < store.RoleManager || c.role(client) >= c.rank(by) || c.role(client) == store.RoleOwner:
			return refuse(wire.CodeConversationOperationUnauthorized, "")
		}
		changed := *m
		changed.Role, changed.InfoID = role, infoID(cid, client)
		if role == store.RoleUnset {
			changed.InfoID = ""
		}
		info = MemberInfo{ID: infoID(cid, client), Client: client, Role: roleName(role)}
		meta := c.changed(e.now())
		n := notice{
			op: pb.OpType_member_info_changed, cid: cid, initBy: by.initBy(), updated: meta.Updated, info: &info,
		}
		if err := e.announce(ctx, c, by, store.Batch{
			Guards: []store.Guard{c.version()},
			Ops:    []store.Op{&store.PutMember{Cid: cid, Member: changed}, &store.PutConv{Conv: meta}},
		}, []news{group(n, c.ids)}); err != nil {
			return err
		}
		c.meta = meta
		c.setMembers(withMembers(c.members, []store.Member{changed}, nil))
		return nil
	})
	return info, err
}

// MemberInfos returns the roles that are not the default: the owner's and those
// that were set. The caller must be a member.
func (e *Engine) MemberInfos(ctx context.Context, by Cause, cid string) ([]MemberInfo, error) {
	a, err := e.app(by.App)
	if err != nil {
		return nil, err
	}
	c, err := e.lock(ctx, a, cid)
	if err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	if err := rolesOn(c); err != nil {
		return nil, err
	}
	if !c.mayRead(by) {
		return nil, refuse(wire.CodeConversationMembershipRequired, "")
	}
	var infos []MemberInfo
	for i := range c.members {
		m := &c.members[i]
		if role := c.role(m.Client); role == store.RoleOwner || m.Role != store.RoleUnset {
			infos = append(infos, MemberInfo{ID: infoID(cid, m.Client), Client: m.Client, Role: roleName(role)})
		}
	}
	return infos, nil
}
