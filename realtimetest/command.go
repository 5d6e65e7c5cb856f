package realtimetest

import (
	"time"

	"github.com/leanrtm/realtime/internal/pb"
)

// Command is one command that a client sent, or, for a [Fault] with Pushes,
// one that the server pushes.
type Command struct {
	// Name is the kind of the command in the protocol: "direct" is a message,
	// "conv/start" creates a conversation.
	Name string
	// ClientID is the client that sent it or is to get it; "" if there is none,
	// as before a login without an id and for "goaway".
	ClientID string
	// ConversationID is the conversation it is about; "" if there is none. Of a
	// command about several it is the first.
	ConversationID string
	// DedupToken is the token that makes a repeated message one message.
	DedupToken string
	// At is when the server got it, before any fault acted.
	At time.Time
}

// traffic says what a fault can do to the commands of one name.
type traffic struct {
	sent     bool // by clients
	answered bool // when a client sends it
	pushed   bool // by the server
}

// trafficOf knows the commands of the protocol, by name.
func trafficOf(name string) (t traffic, known bool) {
	switch name {
	case "session/open", "session/refresh", "session/query",
		"conv/start", "conv/query", "conv/add", "conv/remove", "conv/update",
		"conv/mute", "conv/unmute", "conv/count", "conv/members", "conv/is_member",
		"conv/max_read", "conv/member_info_update",
		"conv/add_shutup", "conv/remove_shutup", "conv/query_shutup", "conv/check_shutup",
		"blacklist/block", "blacklist/unblock", "blacklist/query", "blacklist/check_block",
		"logs", "echo", "session/close", "report/upload":
		return traffic{sent: true, answered: true}, true
	case "direct", "patch/modify":
		return traffic{sent: true, answered: true, pushed: true}, true
	case "ack", "read", "patch/modified":
		return traffic{sent: true}, true
	case "rcp", "unread", "session/closed", "goaway",
		"conv/joined", "conv/left", "conv/members_joined", "conv/members_left",
		"conv/updated", "conv/member_info_changed",
		"conv/blocked", "conv/unblocked", "conv/members_blocked", "conv/members_unblocked",
		"conv/shutuped", "conv/unshutuped", "conv/members_shutuped", "conv/members_unshutuped":
		return traffic{pushed: true}, true
	}
	return traffic{}, false
}

// describe reads a command. client is who a frame without a peer id belongs
// to.
func describe(cmd *pb.GenericCommand, client string) Command {
	c := Command{Name: cmd.GetCmd().String(), ClientID: cmd.GetPeerId(), At: time.Now()}
	if cmd.Op != nil {
		c.Name += "/" + cmd.GetOp().String()
	}
	if c.ClientID == "" && c.Name != "session/open" {
		c.ClientID = client // a login without an id has none yet
	}
	switch {
	case cmd.GetDirectMessage() != nil:
		c.ConversationID = cmd.GetDirectMessage().GetCid()
		c.DedupToken = cmd.GetDirectMessage().GetDt()
	case cmd.GetConvMessage() != nil:
		m := cmd.GetConvMessage()
		c.ConversationID = m.GetCid()
		if c.ConversationID == "" && len(m.GetCids()) > 0 {
			c.ConversationID = m.GetCids()[0]
		}
	case cmd.GetAckMessage() != nil:
		c.ConversationID = cmd.GetAckMessage().GetCid()
	case cmd.GetLogsMessage() != nil:
		c.ConversationID = cmd.GetLogsMessage().GetCid()
	case cmd.GetRcpMessage() != nil:
		c.ConversationID = cmd.GetRcpMessage().GetCid()
	case cmd.GetBlacklistMessage() != nil:
		c.ConversationID = cmd.GetBlacklistMessage().GetSrcCid()
	case len(cmd.GetReadMessage().GetConvs()) > 0:
		c.ConversationID = cmd.GetReadMessage().GetConvs()[0].GetCid()
	case len(cmd.GetUnreadMessage().GetConvs()) > 0:
		c.ConversationID = cmd.GetUnreadMessage().GetConvs()[0].GetCid()
	case len(cmd.GetPatchMessage().GetPatches()) > 0:
		c.ConversationID = cmd.GetPatchMessage().GetPatches()[0].GetCid()
	}
	return c
}
