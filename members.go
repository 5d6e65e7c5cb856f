package realtime

import (
	"time"

	"github.com/leanrtm/realtime/internal/wire"
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

// Role is what a member of a normal conversation may do.
type Role string

// The roles. Who created a conversation is its owner.
const (
	RoleOwner   Role = wire.RoleOwner
	RoleManager Role = wire.RoleManager
	RoleMember  Role = wire.RoleMember
)

// MemberInfo is the role of one member.
type MemberInfo struct {
	ConversationID, MemberID string
	Role                     Role
}

// MemberReceipt tells how far one member has received and read.
type MemberReceipt struct {
	MemberID            string
	DeliveredAt, ReadAt time.Time // zero: not known
}
