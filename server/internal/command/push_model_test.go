package command_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/store"
)

// crowd is what FuzzPushes knows of a server: who is where, and what each session
// must have been told, in order. It follows the tables of the protocol and not the
// server's code; of the server it takes only what an answer says, such as who was
// added.
type crowd struct {
	sessions []*member
	places   []*place
	texts    int
}

// member is one session, and what it must be told.
type member struct {
	*client
	want []string
}

// place is a conversation.
type place struct {
	cid            string
	kind           store.ConvKind
	members        set       // of a service: its subscribers
	blocked, muted set       // by the conversation
	present        []*member // in a chat room
	sent           []utterance
	tokens         map[string]utterance // by sender and token
}

// utterance is a message that was stored or delivered.
type utterance struct {
	from, mid, text string
	ts              int64
}

type set map[string]bool

func (s set) list() []string { return slices.Sorted(maps.Keys(s)) }

func setOf(ids ...string) set {
	s := set{}
	for _, id := range ids {
		s[id] = true
	}
	return s
}

// tell notes that all sessions of clients are pushed something, but for one.
func (w *crowd) tell(to set, except *member, format string, args ...any) {
	for _, s := range w.sessions {
		if to[s.id] && s != except {
			s.want = append(s.want, fmt.Sprintf(format, args...))
		}
	}
}

// group tells the members of a conversation.
func (w *crowd) group(p *place, op string, by *member, of set) {
	w.tell(p.members, nil, "conv/%s in %s by %s: %s", op, p.cid, by.id, strings.Join(of.list(), " "))
}

// personal tells the clients that are concerned.
func (w *crowd) personal(p *place, op string, by *member, to set) {
	w.tell(to, nil, "conv/%s in %s by %s: ", op, p.cid, by.id)
}

func describeMessage(cid string, m utterance) string {
	return fmt.Sprintf("direct in %s from %s: %s %q", cid, m.from, m.mid, m.text)
}

// describeEdit leaves out what becomes of a message that is recalled: its old
// content must be gone, which has tests of its own.
func describeEdit(cid, mid string, recall bool, text string) string {
	if recall {
		return fmt.Sprintf("recall in %s of %s", cid, mid)
	}
	return fmt.Sprintf("edit in %s of %s: %q", cid, mid, text)
}

// describePush is how a push is compared; "" for those that are not.
func describePush(p *pb.GenericCommand) string {
	switch p.GetCmd() {
	case pb.CommandType_direct:
		d := p.GetDirectMessage()
		return describeMessage(d.GetCid(), utterance{from: d.GetFromPeerId(), mid: d.GetId(), text: d.GetMsg()})
	case pb.CommandType_patch:
		var all []string
		for _, x := range p.GetPatchMessage().GetPatches() {
			all = append(all, describeEdit(x.GetCid(), x.GetMid(), x.GetRecall(), x.GetData()))
		}
		return strings.Join(all, ", ")
	case pb.CommandType_conv:
		m := p.GetConvMessage()
		of := setOf(m.GetM()...)
		switch p.GetOp() {
		case pb.OpType_updated:
			of = setOf(m.GetAttr().GetData())
		case pb.OpType_member_info_changed:
			of = setOf(m.GetInfo().GetPid() + "=" + m.GetInfo().GetRole())
		}
		return fmt.Sprintf("%s in %s by %s: %s", name(p), m.GetCid(), m.GetInitBy(), strings.Join(of.list(), " "))
	case pb.CommandType_unread, pb.CommandType_rcp:
		return ""
	}
	return p.String()
}

// mayKnow tells whether a client may learn what is said in a conversation.
func (p *place) mayKnow(client string) bool { return p.members[client] || p.kind == store.KindRoom }

// refusal is what a client is told that sends to a conversation; 0: it may.
func (p *place) refusal(client string) wire.Code {
	switch {
	case p.kind != store.KindRoom && p.kind != store.KindService && !p.members[client]:
		return wire.CodeInvalidMessagingTarget
	case p.blocked[client]:
		return wire.CodeBlockedByConv
	case p.muted[client]:
		return wire.CodeSilenced
	}
	return 0
}

// audience is the sessions that get what a session says.
func (w *crowd) audience(p *place, by *member) []*member {
	if p.kind == store.KindRoom {
		return slices.DeleteFunc(slices.Clone(p.present), func(s *member) bool { return s == by })
	}
	to := p.members
	if p.kind == store.KindService { // the app, and the sender's other devices
		to = setOf(by.id)
	}
	return slices.DeleteFunc(slices.Clone(w.sessions), func(s *member) bool { return s == by || !to[s.id] })
}

// leaveRooms is what the end of a session, and entering another room, means.
func (w *crowd) leaveRooms(s *member) {
	for _, p := range w.places {
		p.present = slices.DeleteFunc(p.present, func(in *member) bool { return in == s })
	}
}
