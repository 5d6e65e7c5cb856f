package realtime

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// convState is what a client knows of a conversation. It is copied freely:
// what it refers to is never changed in place.
type convState struct {
	kind     Kind
	known    bool      // false: only id and perhaps kind, since it could not be fetched
	sure     bool      // the kind is known
	triedAt  time.Time // when it could not be fetched, if so
	name     string
	creator  string
	uniqueID string
	unique   bool
	members  []string
	complete bool // members are known; a compact query does not tell them
	mutedBy  []string
	muted    bool // by this client, where mutedBy does not tell
	attrs    attributes
	roles    map[string]Role // those that differ from Member; nil: not fetched

	createdAt, updatedAt, lastMessageAt, expiredAt time.Time

	// When the server changed members and attributes to what is here: what it
	// tells of before is old news. Changes of members may be told in another order
	// than they were made, since the answers to one's own overtake pushes that
	// wait: listAt is the time of the list that they change, and changedAt that of
	// the newest change of a member since then.
	membersAt, attrsAt time.Time
	listAt             time.Time
	changedAt          map[string]time.Time

	lastMessage             *Message
	deliveredAt, readUpToAt time.Time
}

func (s *convState) expired() bool {
	return s.kind == KindTemporary && !s.expiredAt.IsZero() && !time.Now().Before(s.expiredAt)
}

func (s convState) notificationsMuted(self string) bool {
	return s.muted || slices.Contains(s.mutedBy, self)
}

// receiptTimes are how far the other member has got.
type receiptTimes struct{ delivered, read time.Time }

// receipt is zero unless there is one other member. Members that are not known
// may be two.
func (s convState) receipt() receiptTimes {
	if len(s.members) != 0 && len(s.members) != 2 {
		return receiptTimes{}
	}
	return receiptTimes{s.deliveredAt, s.readUpToAt}
}

// convData is what the server, or a stored copy, says of a conversation. What
// is zero was not said.
type convData struct {
	id         string
	kind       Kind
	name       string
	creator    string
	uniqueID   string
	unique     bool
	members    []string
	hasMembers bool
	mutedBy    []string
	hasMutedBy bool
	muted      bool
	joined     bool
	attrs      attributes
	hasAttrs   bool // attrs and name are complete

	createdAt, updatedAt, lastMessageAt, expiredAt time.Time
	lastMessage                                    *Message
	deliveredAt, readUpToAt                        time.Time
}

// merge takes over what data says, unless newer things are known.
func (s *convState) merge(data *convData) {
	s.known, s.sure = true, true
	s.kind = data.kind
	if data.creator != "" {
		s.creator = data.creator
	}
	if data.uniqueID != "" {
		s.uniqueID = data.uniqueID
	}
	s.unique = s.unique || data.unique
	if data.hasMembers && !stale(s.membersAt, data.updatedAt) {
		s.members, s.complete, s.membersAt = data.members, true, data.updatedAt
		s.listAt, s.changedAt = data.updatedAt, nil
	}
	if data.hasMutedBy {
		s.mutedBy = data.mutedBy
	}
	s.muted = data.muted
	if data.hasAttrs && !stale(s.attrsAt, data.updatedAt) {
		s.attrs, s.name, s.attrsAt = data.attrs, data.name, data.updatedAt
	}
	if !data.createdAt.IsZero() {
		s.createdAt = data.createdAt
	}
	s.updatedAt = latest(s.updatedAt, data.updatedAt)
	s.lastMessageAt = latest(s.lastMessageAt, data.lastMessageAt)
	if !data.expiredAt.IsZero() {
		s.expiredAt = data.expiredAt
	}
	s.deliveredAt = latest(s.deliveredAt, data.deliveredAt)
	s.readUpToAt = latest(s.readUpToAt, data.readUpToAt)
	if data.lastMessage != nil {
		s.sawMessage(data.lastMessage)
	}
}

// sawMessage keeps m if it is the last message, or a newer form of it.
func (s *convState) sawMessage(m *Message) {
	switch last := s.lastMessage; {
	case last == nil || last.ID != m.ID && last.point().before(m.point()):
	case last.ID == m.ID && !m.UpdatedAt.Before(last.UpdatedAt):
	default:
		return
	}
	s.lastMessage = m
	s.lastMessageAt = latest(s.lastMessageAt, m.Timestamp)
}

// hasMembers reports whether there is a list of members to be kept up to date.
func (s *convState) hasMembers() bool {
	return s.complete && (s.kind == KindNormal || s.kind == KindTemporary)
}

// joined adds members, at the server's time at; zero: not told.
func (s *convState) joined(ids []string, at time.Time) {
	if ids = s.changing(ids, at); len(ids) == 0 {
		return
	}
	s.members, s.membersAt = union(s.members, ids), latest(s.membersAt, at)
	s.updatedAt = latest(s.updatedAt, at)
}

// left removes members.
func (s *convState) left(ids []string, at time.Time) {
	if ids = s.changing(ids, at); len(ids) == 0 {
		return
	}
	s.members, s.membersAt = difference(s.members, ids), latest(s.membersAt, at)
	s.updatedAt = latest(s.updatedAt, at)
	for _, id := range ids {
		if _, has := s.roles[id]; has {
			s.setRole(id, RoleMember)
		}
	}
}

// changing are those of ids for whom a change at that time is news.
func (s *convState) changing(ids []string, at time.Time) []string {
	if !s.hasMembers() || stale(s.listAt, at) {
		return nil
	}
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return stale(s.changedAt[id], at) })
	if at.IsZero() || len(ids) == 0 {
		return ids
	}
	changed := make(map[string]time.Time, len(s.changedAt)+len(ids))
	maps.Copy(changed, s.changedAt)
	for _, id := range ids {
		changed[id] = at
	}
	s.changedAt = changed
	return ids
}

// role is what a member may do, as far as roles have been fetched.
func (s *convState) role(id string) Role {
	if id == s.creator {
		return RoleOwner
	}
	if role, has := s.roles[id]; has {
		return role
	}
	return RoleMember
}

// setRole notes the role of a member, if roles have been fetched.
func (s *convState) setRole(id string, role Role) {
	if s.roles == nil {
		return
	}
	s.roles = maps.Clone(s.roles)
	if role == RoleMember {
		delete(s.roles, id)
	} else {
		s.roles[id] = role
	}
}

// changed applies changes of attributes, whose keys may be paths.
func (s *convState) changed(changes map[string]json.RawMessage, at time.Time) {
	if stale(s.attrsAt, at) {
		return
	}
	s.attrs, s.attrsAt = s.attrs.with(changes), latest(s.attrsAt, at)
	s.updatedAt = latest(s.updatedAt, at)
	if raw, has := changes[keyName]; has && operation(raw) == "" {
		s.name, _ = decodeValue(raw).(string)
	} else if has && operation(raw) == "Delete" {
		s.name = ""
	}
}

// stale reports whether news of the time at, zero: not told, are older than
// what is known.
func stale(known, at time.Time) bool { return !at.IsZero() && at.Before(known) }

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// union is a new list of a and what of b is not in it, without repetitions.
func union(a, b []string) []string {
	out := make([]string, 0, len(a)+len(b))
	seen := make(map[string]struct{}, len(a)+len(b))
	for _, list := range [2][]string{a, b} {
		for _, id := range list {
			if _, has := seen[id]; !has {
				seen[id] = struct{}{}
				out = append(out, id)
			}
		}
	}
	return out
}

// difference is a new list of what of a is not in b.
func difference(a, b []string) []string {
	out := make([]string, 0, len(a))
	for _, id := range a {
		if !slices.Contains(b, id) {
			out = append(out, id)
		}
	}
	return out
}
