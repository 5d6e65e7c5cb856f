package command_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/engine"
	"github.com/leanrtm/realtime/server/internal/store"
)

// FuzzPushes lets clients do what the input says: members and strangers, with
// several devices, in conversations of all kinds, where they come and go, are
// removed, blocked and silenced. Every session is told exactly what concerns it,
// once and in order, and nobody learns of what is said where he does not belong.
func FuzzPushes(f *testing.F) {
	f.Add([]byte("\x00"))
	for seed := range 60 {
		data := make([]byte, 1000)
		x := uint32(seed*2654435761 + 7)
		for i := range data {
			x = x*1664525 + 1013904223
			data[i] = byte(x >> 24)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		run(t, func(t *testing.T, e *env) {
			g := &pushGame{t: t, e: e, script: &script{data: data}, crowd: &crowd{}}
			g.begin()
			for n := 0; len(g.data) > 0 && n < 200; n++ {
				g.step()
			}
			for _, s := range g.sessions {
				g.settle(s)
			}
		})
	})
}

// pushGame is one run of FuzzPushes.
type pushGame struct {
	*script
	*crowd
	t *testing.T
	e *env
}

// begin lets clients in: one with two devices, two on one connection.
func (g *pushGame) begin() {
	for _, id := range []string{"a", "a", "b", "c"} {
		g.sessions = append(g.sessions, &member{client: g.e.login(id)})
	}
	g.sessions = append(g.sessions, &member{client: g.sessions[3].open("d")})
	a := g.sessions[0]
	g.create(a, &pb.ConvCommand{M: []string{"a", "b", "c"}}, store.KindNormal)
	g.create(a, &pb.ConvCommand{M: []string{"a", "b"}, Unique: proto.Bool(true)}, store.KindNormal)
	g.create(a, &pb.ConvCommand{M: []string{"a", "c"}, TempConv: proto.Bool(true)}, store.KindTemporary)
	g.create(a, &pb.ConvCommand{Transient: proto.Bool(true)}, store.KindRoom)
	g.create(g.sessions[2], &pb.ConvCommand{Transient: proto.Bool(true)}, store.KindRoom)
	by := admin("")
	made, err := g.e.engine.Create(g.t.Context(), by, engine.NewConv{Kind: store.KindService})
	require.NoError(g.t, err)
	g.places = append(g.places, &place{cid: made.Cid, kind: store.KindService, members: set{}, blocked: set{}, muted: set{}, tokens: map[string]utterance{}})
}

func (g *pushGame) step() {
	by := g.sessions[g.byte()%len(g.sessions)]
	p := g.places[g.byte()%len(g.places)]
	pick(g.script,
		g.send, g.send, g.send, g.send, g.resend, g.enter, g.enter, g.quit, g.add, g.add, g.remove, g.remove,
		g.block, g.unblock, g.silence, g.unsilence, g.role, g.update, g.edit, g.edit, g.recall, g.createAny, g.again, g.broadcast, g.sendTo,
	)(by, p)
}

func (g *pushGame) ids() []string {
	ids := make([]string, 1+g.byte()%3)
	for i := range ids {
		ids[i] = pick(g.script, "a", "b", "c", "d", "e", "", "a:b", string(make([]byte, 65)))
	}
	return ids
}

// settle compares what a session was told with what it must be told.
func (g *pushGame) settle(s *member) {
	var got []string
	for _, p := range s.pushes() {
		if text := describePush(p); text != "" {
			got = append(got, text)
		}
		for _, u := range p.GetUnreadMessage().GetConvs() {
			i := slices.IndexFunc(g.places, func(p *place) bool { return p.cid == u.GetCid() })
			require.True(g.t, i >= 0 && (g.places[i].mayKnow(s.id) || g.places[i].kind == store.KindService), "%s is told of %s", s.id, u)
		}
	}
	require.Equal(g.t, s.want, got, "what a session of %s is told", s.id)
	s.want = nil
}

func (g *pushGame) create(by *member, m *pb.ConvCommand, kind store.ConvKind) {
	reply := by.conv(pb.OpType_start, m)
	require.Equal(g.t, "conv/started", name(reply), "%v", reply)
	started := reply.GetConvMessage()
	members := setOf(m.GetM()...)
	members[by.id] = true
	if i := slices.IndexFunc(g.places, func(p *place) bool { return p.cid == started.GetCid() }); i >= 0 {
		require.Equal(g.t, members, g.places[i].members, "it was there, with the same members")
		return
	}
	p := &place{cid: started.GetCid(), kind: kind, members: members, blocked: set{}, muted: set{}, tokens: map[string]utterance{}}
	g.places = append(g.places, p)
	if kind == store.KindRoom {
		p.members = set{}
		g.leaveRooms(by)
		p.present = []*member{by}
		return
	}
	g.personal(p, "joined", by, members)
	g.group(p, "members_joined", by, members)
}

func (g *pushGame) createAny(by *member, _ *place) {
	m := &pb.ConvCommand{M: []string{by.id, pick(g.script, "a", "b", "c", "e")}}
	switch g.byte() % 4 {
	case 0:
		g.create(by, m, store.KindNormal)
	case 1:
		m.Unique = proto.Bool(true)
		g.create(by, m, store.KindNormal)
	case 2:
		m.TempConv = proto.Bool(true)
		g.create(by, m, store.KindTemporary)
	default:
		g.create(by, &pb.ConvCommand{Transient: proto.Bool(true)}, store.KindRoom)
	}
}

func (g *pushGame) send(by *member, p *place) {
	g.texts++
	token := ""
	if g.byte()%2 == 0 {
		token = fmt.Sprint("token-", g.texts)
	}
	g.say(by, p, fmt.Sprint("text ", g.texts), token, g.byte()%4 == 0)
}

// resend repeats a send of before, whoever's it was.
func (g *pushGame) resend(by *member, p *place) {
	g.say(by, p, "again", fmt.Sprint("token-", 1+g.byte()%max(g.texts, 1)), g.byte()%4 == 0)
}

func (g *pushGame) say(by *member, p *place, text, token string, transient bool) {
	m := &pb.DirectCommand{Cid: &p.cid, Msg: &text}
	if token != "" {
		m.Dt = &token
	}
	if transient {
		m.Transient = proto.Bool(true)
	}
	ack := by.direct(m)
	if code := p.refusal(by.id); code != 0 {
		require.Equal(g.t, code.Name(), ack.GetReason(), "%s says something in %s", by.id, p.cid)
		return
	}
	require.Nil(g.t, ack.Code, "%s may speak in %s: %v", by.id, p.cid, ack)
	key := fmt.Sprint(by.id, token, transient) // what is not stored is remembered apart
	if before, ok := p.tokens[key]; ok && token != "" {
		require.Equal(g.t, before.mid, ack.GetUid(), "one token, one message")
		return
	}
	is := utterance{by.id, ack.GetUid(), text, ack.GetT()}
	if token != "" {
		p.tokens[key] = is
	}
	if !transient {
		p.sent = append(p.sent, is)
	}
	for _, s := range g.audience(p, by) {
		s.want = append(s.want, describeMessage(p.cid, is))
	}
}

func (g *pushGame) enter(by *member, p *place) {
	reply := by.conv(pb.OpType_add, about(p.cid, by.id))
	g.added(by, p, reply, []string{by.id})
}

func (g *pushGame) add(by *member, p *place) {
	ids := g.ids()
	g.added(by, p, by.conv(pb.OpType_add, about(p.cid, ids...)), ids)
}

// allowed is who an answer says was dealt with. Who is no member may do nothing
// to others.
func (g *pushGame) allowed(by *member, p *place, reply *pb.GenericCommand, want string, ids []string) set {
	if reply.GetCmd() == pb.CommandType_error {
		return set{}
	}
	require.Equal(g.t, want, name(reply), "%v", reply)
	out := setOf(reply.GetConvMessage().GetAllowedPids()...)
	if reply.GetCmd() == pb.CommandType_blacklist {
		out = setOf(reply.GetBlacklistMessage().GetAllowedPids()...)
	}
	for id := range out {
		require.Contains(g.t, ids, id)
		require.True(g.t, p.kind != store.KindNormal || p.members[by.id] || id == by.id && len(setOf(ids...)) == 1,
			"%s is a stranger in %s and does something to %s", by.id, p.cid, id)
	}
	return out
}

func (g *pushGame) added(by *member, p *place, reply *pb.GenericCommand, ids []string) {
	allowed := g.allowed(by, p, reply, "conv/added", ids)
	fresh := set{}
	for id := range allowed {
		if !p.members[id] {
			require.False(g.t, p.blocked[id], "%s is blocked in %s and added", id, p.cid)
			fresh[id] = true
		}
	}
	switch p.kind {
	case store.KindRoom:
		if allowed[by.id] {
			g.leaveRooms(by)
			p.present = append(p.present, by)
		}
	case store.KindTemporary:
		require.Empty(g.t, allowed, "its members are fixed")
	default:
		for id := range fresh {
			p.members[id] = true
		}
		if p.kind == store.KindNormal && len(fresh) > 0 {
			g.personal(p, "joined", by, fresh)
			g.group(p, "members_joined", by, fresh)
		}
	}
}

func (g *pushGame) quit(by *member, p *place) { g.removed(by, p, []string{by.id}) }

func (g *pushGame) remove(by *member, p *place) { g.removed(by, p, g.ids()) }

func (g *pushGame) removed(by *member, p *place, ids []string) {
	reply := by.conv(pb.OpType_remove, about(p.cid, ids...))
	allowed := g.allowed(by, p, reply, "conv/removed", ids)
	gone := set{}
	for id := range allowed {
		if p.members[id] {
			gone[id] = true
		}
	}
	switch p.kind {
	case store.KindRoom:
		if allowed[by.id] {
			p.present = slices.DeleteFunc(p.present, func(s *member) bool { return s == by })
		}
	case store.KindTemporary:
		require.Empty(g.t, allowed, "its members are fixed")
	default:
		for id := range gone {
			delete(p.members, id)
		}
		if p.kind == store.KindNormal && len(gone) > 0 {
			g.personal(p, "left", by, gone)
			g.group(p, "members_left", by, gone)
		}
	}
}

// list puts clients on a list of a conversation, or takes them off, and returns
// those for whom that is new.
func (g *pushGame) list(list, allowed set, on bool) set {
	changed := set{}
	for id := range allowed {
		if list[id] != on {
			changed[id] = true
			list[id] = on
		}
	}
	return changed
}

func (g *pushGame) block(by *member, p *place) { g.blocks(by, p, true) }

func (g *pushGame) unblock(by *member, p *place) { g.blocks(by, p, false) }

func (g *pushGame) blocks(by *member, p *place, on bool) {
	op, done, one, all := pb.OpType_block, "blacklist/blocked", "blocked", "members_blocked"
	if !on {
		op, done, one, all = pb.OpType_unblock, "blacklist/unblocked", "unblocked", "members_unblocked"
	}
	ids := g.ids()
	reply := by.call(&pb.GenericCommand{
		Cmd: pb.CommandType_blacklist.Enum(), Op: op.Enum(), BlacklistMessage: &pb.BlacklistCommand{SrcCid: &p.cid, ToPids: ids},
	})
	changed := g.list(p.blocked, g.allowed(by, p, reply, done, ids), on)
	gone := set{}
	for id := range changed {
		if !on {
			break
		}
		if p.members[id] {
			gone[id] = true
			delete(p.members, id)
		}
		p.present = slices.DeleteFunc(p.present, func(s *member) bool { return s.id == id })
	}
	if p.kind != store.KindNormal || len(changed) == 0 {
		return
	}
	g.personal(p, one, by, changed)
	if len(gone) > 0 {
		g.personal(p, "left", by, gone)
	}
	g.group(p, all, by, changed)
	if len(gone) > 0 {
		g.group(p, "members_left", by, gone)
	}
}

func (g *pushGame) silence(by *member, p *place) { g.silences(by, p, true) }

func (g *pushGame) unsilence(by *member, p *place) { g.silences(by, p, false) }

func (g *pushGame) silences(by *member, p *place, on bool) {
	op, done, one, all := pb.OpType_add_shutup, "conv/shutup_added", "shutuped", "members_shutuped"
	if !on {
		op, done, one, all = pb.OpType_remove_shutup, "conv/shutup_removed", "unshutuped", "members_unshutuped"
	}
	ids := g.ids()
	reply := by.conv(op, about(p.cid, ids...))
	changed := g.list(p.muted, g.allowed(by, p, reply, done, ids), on)
	if p.kind != store.KindNormal || len(changed) == 0 {
		return
	}
	g.personal(p, one, by, changed)
	g.group(p, all, by, changed)
}

func (g *pushGame) role(by *member, p *place) {
	id := pick(g.script, "a", "b", "c", "d")
	role := pick(g.script, wire.RoleManager, wire.RoleMember)
	m := about(p.cid)
	m.TargetClientId, m.Info = &id, &pb.ConvMemberInfo{Pid: &id, Role: &role}
	reply := by.conv(pb.OpType_member_info_update, m)
	if reply.GetCmd() == pb.CommandType_error {
		return
	}
	require.True(g.t, p.members[by.id] && p.members[id], "%s sets a role of %s", by.id, id)
	g.group(p, "member_info_changed", by, setOf(id+"="+role))
}

func (g *pushGame) update(by *member, p *place) {
	g.texts++
	m := about(p.cid)
	m.Attr = object(map[string]any{"name": fmt.Sprint(g.texts)})
	reply := by.conv(pb.OpType_update, m)
	if reply.GetCmd() == pb.CommandType_error {
		require.False(g.t, p.kind == store.KindNormal && p.members[by.id], "%v", reply)
		return
	}
	require.True(g.t, p.kind != store.KindNormal || p.members[by.id], "%s is a stranger in %s", by.id, p.cid)
	if p.kind == store.KindNormal {
		g.tell(p.members, by, "conv/updated in %s by %s: %s", p.cid, by.id, m.GetAttr().GetData())
	}
}

func (g *pushGame) edit(by *member, p *place) { g.patch(by, p, false) }

func (g *pushGame) recall(by *member, p *place) { g.patch(by, p, true) }

func (g *pushGame) patch(by *member, p *place, recall bool) {
	if len(p.sent) == 0 {
		return
	}
	g.texts++
	m := p.sent[g.byte()%len(p.sent)]
	text := fmt.Sprint("edit ", g.texts)
	item := &pb.PatchItem{Cid: &p.cid, Mid: &m.mid, Timestamp: &m.ts, Recall: &recall, Data: &text}
	reply := by.call(&pb.GenericCommand{
		Cmd: pb.CommandType_patch.Enum(), Op: pb.OpType_modify.Enum(), PatchMessage: &pb.PatchCommand{Patches: []*pb.PatchItem{item}},
	})
	if reply.GetCmd() == pb.CommandType_error {
		return
	}
	require.Equal(g.t, m.from, by.id, "%s changes what another has said", by.id)
	require.True(g.t, p.kind == store.KindRoom || p.kind == store.KindService || p.members[by.id], "%s is a stranger in %s", by.id, p.cid)
	for _, s := range g.audience(p, by) {
		s.want = append(s.want, describeEdit(p.cid, m.mid, recall, text))
	}
}

// again lets a session end, in order or not, and another one of the client begin.
func (g *pushGame) again(by *member, _ *place) {
	g.settle(by)
	i := slices.Index(g.sessions, by)
	g.leaveRooms(by)
	if g.byte()%2 == 0 || by.id == "c" || by.id == "d" { // these two share a connection
		by.logout()
		synctest.Wait()
	} else {
		by.cut()
	}
	fresh := &member{}
	if by.id == "c" || by.id == "d" {
		fresh.client = by.open(by.id)
	} else {
		fresh.client = g.e.login(by.id)
	}
	g.sessions[i] = fresh
	for _, p := range fresh.pushes() { // what it missed
		require.Equal(g.t, pb.CommandType_unread, p.GetCmd(), "%v", p)
		for _, u := range p.GetUnreadMessage().GetConvs() {
			at := slices.IndexFunc(g.places, func(p *place) bool { return p.cid == u.GetCid() })
			require.True(g.t, g.places[at].mayKnow(by.id) || g.places[at].kind == store.KindService, "%s is told of %s", by.id, u)
		}
	}
}

// broadcast is what the app says to the subscribers of a service conversation.
func (g *pushGame) broadcast(_ *member, p *place) {
	g.texts++
	text := fmt.Sprint("broadcast ", g.texts)
	sent, err := g.e.engine.BroadcastToSubscribers(g.t.Context(), admin("editor"), p.cid, out(text))
	if p.kind != store.KindService {
		require.Error(g.t, err)
		return
	}
	require.NoError(g.t, err)
	g.tell(p.members, nil, "%s", describeMessage(p.cid, utterance{from: "editor", mid: sent.Mid, text: text}))
}

// sendTo is what the app says to some clients, subscribers or not.
func (g *pushGame) sendTo(_ *member, p *place) {
	g.texts++
	text := fmt.Sprint("to some ", g.texts)
	to := setOf(pick(g.script, "a", "b", "c"), pick(g.script, "c", "d", "e"))
	sent, err := g.e.engine.SendTo(g.t.Context(), admin("editor"), p.cid, to.list(), out(text))
	if p.kind != store.KindService {
		require.Error(g.t, err)
		return
	}
	require.NoError(g.t, err)
	g.tell(to, nil, "%s", describeMessage(p.cid, utterance{from: "editor", mid: sent.Mid, text: text}))
}
