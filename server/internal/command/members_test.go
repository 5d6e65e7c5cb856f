package command_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/engine"
	"github.com/leanrtm/realtime/server/internal/hook"
	"github.com/leanrtm/realtime/server/internal/sign"
	"github.com/leanrtm/realtime/server/internal/store"
)

// told is what sessions were pushed about a conversation.
type told struct {
	op     string
	initBy string
	m      []string
}

func (c *client) told() []told {
	c.t.Helper()
	list := []told{}
	for _, p := range c.pushes() {
		list = append(list, told{p.GetOp().String(), p.GetConvMessage().GetInitBy(), p.GetConvMessage().GetM()})
	}
	return list
}

// The matrix of who is told what, in which order.
func TestMemberEvents(t *testing.T) {
	type who map[string][]told
	for _, c := range []struct {
		what string
		do   func(e *env, cs map[string]*client, id string)
		want who
	}{
		{
			"a member adds others",
			func(e *env, cs map[string]*client, id string) {
				got := cs["mary"].ok(pb.OpType_add, pb.OpType_added, about(id, "new", "new2"))
				require.Equal(e.t, []string{"new", "new2"}, got.GetAllowedPids())
			},
			who{
				"new": {{"joined", "mary", nil}, {"members_joined", "mary", []string{"new", "new2"}}},
				"tom": {{"members_joined", "mary", []string{"new", "new2"}}}, "mary": {{"members_joined", "mary", []string{"new", "new2"}}},
				"jerry": {{"members_joined", "mary", []string{"new", "new2"}}},
			},
		},
		{
			"somebody joins",
			func(e *env, cs map[string]*client, id string) {
				cs["new"].ok(pb.OpType_add, pb.OpType_added, about(id, "new"))
			},
			who{
				"new": {{"joined", "new", nil}, {"members_joined", "new", []string{"new"}}},
				"tom": {{"members_joined", "new", []string{"new"}}}, "mary": {{"members_joined", "new", []string{"new"}}},
				"jerry": {{"members_joined", "new", []string{"new"}}},
			},
		},
		{
			"the owner removes a member",
			func(e *env, cs map[string]*client, id string) {
				cs["tom"].ok(pb.OpType_remove, pb.OpType_removed, about(id, "jerry"))
			},
			who{
				"jerry": {{"left", "tom", nil}},
				"tom":   {{"members_left", "tom", []string{"jerry"}}}, "mary": {{"members_left", "tom", []string{"jerry"}}},
				"new": {},
			},
		},
		{
			"a member leaves",
			func(e *env, cs map[string]*client, id string) {
				cs["jerry"].ok(pb.OpType_remove, pb.OpType_removed, about(id, "jerry"))
			},
			who{
				"jerry": {{"left", "jerry", nil}},
				"tom":   {{"members_left", "jerry", []string{"jerry"}}}, "mary": {{"members_left", "jerry", []string{"jerry"}}},
			},
		},
		{
			"the owner blocks a member",
			func(e *env, cs map[string]*client, id string) { cs["tom"].blockOK(id, "jerry") },
			who{
				"jerry": {{"blocked", "tom", nil}, {"left", "tom", nil}},
				"tom":   {{"members_blocked", "tom", []string{"jerry"}}, {"members_left", "tom", []string{"jerry"}}},
				"mary":  {{"members_blocked", "tom", []string{"jerry"}}, {"members_left", "tom", []string{"jerry"}}},
			},
		},
		{
			"the owner blocks somebody else",
			func(e *env, cs map[string]*client, id string) { cs["tom"].blockOK(id, "new") },
			who{
				"new": {{"blocked", "tom", nil}},
				"tom": {{"members_blocked", "tom", []string{"new"}}}, "mary": {{"members_blocked", "tom", []string{"new"}}},
				"jerry": {{"members_blocked", "tom", []string{"new"}}},
			},
		},
		{
			"the owner unblocks",
			func(e *env, cs map[string]*client, id string) {
				cs["tom"].blockOK(id, "new")
				for _, c := range cs {
					c.pushes()
				}
				got := cs["tom"].blacklist(pb.OpType_unblock, &pb.BlacklistCommand{SrcCid: &id, ToPids: []string{"new"}})
				require.Equal(e.t, "blacklist/unblocked", name(got))
			},
			who{
				"new": {{"unblocked", "tom", nil}},
				"tom": {{"members_unblocked", "tom", []string{"new"}}}, "mary": {{"members_unblocked", "tom", []string{"new"}}},
				"jerry": {{"members_unblocked", "tom", []string{"new"}}},
			},
		},
		{
			"the owner silences a member",
			func(e *env, cs map[string]*client, id string) {
				cs["tom"].ok(pb.OpType_add_shutup, pb.OpType_shutup_added, about(id, "jerry"))
			},
			who{
				"jerry": {{"shutuped", "tom", nil}, {"members_shutuped", "tom", []string{"jerry"}}},
				"tom":   {{"members_shutuped", "tom", []string{"jerry"}}}, "mary": {{"members_shutuped", "tom", []string{"jerry"}}},
			},
		},
		{
			"the owner lets a member speak again",
			func(e *env, cs map[string]*client, id string) {
				cs["tom"].ok(pb.OpType_add_shutup, pb.OpType_shutup_added, about(id, "jerry"))
				for _, c := range cs {
					c.pushes()
				}
				cs["tom"].ok(pb.OpType_remove_shutup, pb.OpType_shutup_removed, about(id, "jerry"))
			},
			who{
				"jerry": {{"unshutuped", "tom", nil}, {"members_unshutuped", "tom", []string{"jerry"}}},
				"tom":   {{"members_unshutuped", "tom", []string{"jerry"}}}, "mary": {{"members_unshutuped", "tom", []string{"jerry"}}},
			},
		},
		{
			"the owner gives a role",
			func(e *env, cs map[string]*client, id string) { cs["tom"].role(id, "jerry", wire.RoleManager) },
			who{
				"jerry": {{"member_info_changed", "tom", nil}}, "tom": {{"member_info_changed", "tom", nil}},
				"mary": {{"member_info_changed", "tom", nil}}, "new": {},
			},
		},
		{
			"what is so already is no news",
			func(e *env, cs map[string]*client, id string) {
				got := cs["tom"].ok(pb.OpType_add, pb.OpType_added, about(id, "jerry", "mary"))
				require.Equal(e.t, []string{"jerry", "mary"}, got.GetAllowedPids())
				got = cs["tom"].ok(pb.OpType_remove, pb.OpType_removed, about(id, "new"))
				require.Equal(e.t, []string{"new"}, got.GetAllowedPids())
				cs["tom"].ok(pb.OpType_remove_shutup, pb.OpType_shutup_removed, about(id, "mary"))
				cs["tom"].blacklist(pb.OpType_unblock, &pb.BlacklistCommand{SrcCid: &id, ToPids: []string{"new"}})
			},
			who{"tom": {}, "jerry": {}, "mary": {}, "new": {}},
		},
		{
			"an administrator adds and removes",
			func(e *env, cs map[string]*client, id string) {
				_, err := e.engine.Add(e.t.Context(), admin(""), id, []string{"new"}, sign.Signature{})
				require.NoError(e.t, err)
				_, err = e.engine.Remove(e.t.Context(), admin(""), id, []string{"tom"}, sign.Signature{})
				require.NoError(e.t, err, "also the owner")
			},
			who{
				"new": {{"joined", "", nil}, {"members_joined", "", []string{"new"}}, {"members_left", "", []string{"tom"}}},
				"tom": {{"members_joined", "", []string{"new"}}, {"left", "", nil}},
			},
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			run(t, func(t *testing.T, e *env) {
				cs := make(map[string]*client)
				for _, id := range []string{"tom", "jerry", "mary", "new"} {
					cs[id] = e.login(id)
				}
				second := map[string]*client{}
				for _, id := range []string{"tom", "jerry", "mary", "new"} {
					second[id] = e.login(id)
				}
				id := cs["tom"].create([]*client{cs["jerry"], cs["mary"]})
				for _, s := range second {
					s.pushes()
				}
				c.do(e, cs, id)
				for client, want := range c.want {
					require.Equal(t, want, cs[client].told(), client)
				}
				if c.what != "the owner unblocks" && c.what != "the owner lets a member speak again" {
					for client, want := range c.want {
						require.Equal(t, want, second[client].told(), "another session of %s", client)
					}
				}
			})
		})
	}
}

func (c *client) blacklist(op pb.OpType, m *pb.BlacklistCommand) *pb.GenericCommand {
	c.t.Helper()
	return c.call(&pb.GenericCommand{Cmd: pb.CommandType_blacklist.Enum(), Op: op.Enum(), BlacklistMessage: m})
}

func (c *client) blockOK(id string, members ...string) {
	c.t.Helper()
	got := c.blacklist(pb.OpType_block, &pb.BlacklistCommand{SrcCid: &id, ToPids: members})
	require.Equal(c.t, "blacklist/blocked", name(got), "%v", got)
	require.Equal(c.t, members, got.GetBlacklistMessage().GetAllowedPids())
	require.Empty(c.t, got.GetBlacklistMessage().GetFailedPids())
}

func (c *client) role(id, member, role string) {
	c.t.Helper()
	c.ok(pb.OpType_member_info_update, pb.OpType_member_info_updated, info(id, member, role))
}

func info(id, member, role string) *pb.ConvCommand {
	return &pb.ConvCommand{Cid: &id, TargetClientId: &member, Info: &pb.ConvMemberInfo{Pid: &member, Role: &role}}
}

// A push to the connection that caused it waits for the answer.
func TestReplyComesBeforeItsPushes(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.login("tom")
		jerry := tom.open("jerry")
		time.Sleep(time.Second) // a login holds pushes back too
		*tom.serial++
		tom.conn.Send(&pb.GenericCommand{
			Cmd: pb.CommandType_conv.Enum(), Op: pb.OpType_start.Enum(), I: tom.serial, PeerId: &tom.id,
			ConvMessage: &pb.ConvCommand{M: []string{"tom", "jerry"}},
		})
		first := tom.conn.Read()
		replied := time.Now()
		require.Equal(t, "conv/started", name(first))
		next := tom.conn.Read()
		require.Equal(t, "conv/joined", name(next))
		require.GreaterOrEqual(t, time.Since(replied), 10*time.Millisecond)
		tom.pushes()
		jerry.pushes()
	})
}

func TestMembersRefused(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, eve := e.login("tom"), e.login("eve")
		jerry, mary := e.login("jerry"), e.login("mary")
		id := tom.create([]*client{jerry, mary})
		temp := tom.create([]*client{jerry}, temporary(100))
		for _, op := range []pb.OpType{pb.OpType_add, pb.OpType_remove, pb.OpType_update, pb.OpType_mute, pb.OpType_unmute,
			pb.OpType_count, pb.OpType_members, pb.OpType_max_read, pb.OpType_member_info_update,
			pb.OpType_add_shutup, pb.OpType_remove_shutup, pb.OpType_query_shutup, pb.OpType_check_shutup} {
			tom.fails(wire.CodeConversationNotFound, op, cid(unknown))
			tom.fails(wire.CodeConversationNotFound, op, &pb.ConvCommand{})
		}
		for _, op := range []pb.OpType{pb.OpType_add, pb.OpType_remove, pb.OpType_update} {
			tom.fails(wire.CodeConversationReadOnly, op, about(temp, "eve"))
		}
		eve.fails(wire.CodeConversationMembershipRequired, pb.OpType_add, about(id, "bob"))
		eve.fails(wire.CodeConversationMembershipRequired, pb.OpType_add, about(id, "bob", "eve"))
		eve.fails(wire.CodeConversationMembershipRequired, pb.OpType_remove, about(id, "jerry"))
		eve.fails(wire.CodeConversationMembershipRequired, pb.OpType_mute, cid(id))
		eve.fails(wire.CodeConversationMembershipRequired, pb.OpType_max_read, cid(id))
		eve.fails(wire.CodeConversationUpdateRejected, pb.OpType_update, cid(id))

		got := eve.ok(pb.OpType_remove, pb.OpType_removed, about(id, "eve"))
		require.Equal(t, []string{"eve"}, got.GetAllowedPids(), "who is not in has left")

		// Failures by reason, in one reply.
		own := "jerry2"
		j2 := e.login(own)
		require.Equal(t, "blacklist/blocked", name(j2.blacklist(pb.OpType_block, &pb.BlacklistCommand{SrcPid: &own, ToCids: []string{id}})))
		tom.blockOK(id, "blocked")
		got = tom.ok(pb.OpType_add, pb.OpType_added, about(id, "blocked", "a", own, "b"))
		require.Equal(t, []string{"a"}, got.GetAllowedPids())
		require.Len(t, got.GetFailedPids(), 2)
		require.EqualValues(t, wire.CodeBlockedByConv, got.GetFailedPids()[0].GetCode())
		require.ElementsMatch(t, []string{own, "blocked"}, got.GetFailedPids()[0].GetPids())
		require.EqualValues(t, wire.CodeConversationFull, got.GetFailedPids()[1].GetCode())
		require.Equal(t, []string{"b"}, got.GetFailedPids()[1].GetPids())
		require.Equal(t, wire.CodeConversationFull.Name(), got.GetFailedPids()[1].GetReason())
		got = e.login("blocked").ok(pb.OpType_add, pb.OpType_added, about(id, "blocked"))
		require.Empty(t, got.GetAllowedPids(), "all failed, and still an ordinary reply")
		require.Len(t, got.GetFailedPids(), 1)

		old := e.login("blocked", caps(0))
		old.fails(wire.CodeBlockedByConv, pb.OpType_add, about(id, "blocked"))
	}, func(s *settings) { s.limits.Members = 4 })
}

func TestRolesAndRemoval(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		owner, manager, member, other := e.login("owner"), e.login("manager"), e.login("member"), e.login("other")
		id := owner.create([]*client{manager, member, other})
		owner.role(id, "manager", wire.RoleManager)
		failed := func(c *client, code wire.Code, ids ...string) {
			t.Helper()
			got := c.ok(pb.OpType_remove, pb.OpType_removed, about(id, ids...))
			require.Empty(t, got.GetAllowedPids())
			require.Len(t, got.GetFailedPids(), 1)
			require.Equal(t, code.Name(), got.GetFailedPids()[0].GetReason())
			require.Equal(t, ids, got.GetFailedPids()[0].GetPids())
		}
		failed(member, wire.CodeConversationOperationUnauthorized, "other")
		failed(member, wire.CodeConversationOperationUnauthorized, "owner")
		failed(manager, wire.CodeConversationOperationUnauthorized, "owner")
		failed(owner, wire.CodeConversationNeedOwner, "owner")
		got := owner.ok(pb.OpType_remove, pb.OpType_removed, about(id, "owner", "other"))
		require.Equal(t, []string{"other"}, got.GetAllowedPids())
		require.Equal(t, []string{"owner"}, got.GetFailedPids()[0].GetPids())
		owner.role(id, "member", wire.RoleManager)
		failed(manager, wire.CodeConversationOperationUnauthorized, "member")
		owner.role(id, "member", wire.RoleMember)
		manager.ok(pb.OpType_remove, pb.OpType_removed, about(id, "member"))
		// Two are left: now the owner may go, and come back as the owner.
		got = owner.ok(pb.OpType_remove, pb.OpType_removed, about(id, "owner"))
		require.Equal(t, []string{"owner"}, got.GetAllowedPids())
		owner.ok(pb.OpType_add, pb.OpType_added, about(id, "owner"))
		owner.ok(pb.OpType_add, pb.OpType_added, about(id, "x", "y"))
		failed(owner, wire.CodeConversationNeedOwner, "owner")
	})
}

func TestWithoutRolesAnybodyRemoves(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		owner, member, other := e.login("owner"), e.login("member"), e.login("other")
		id := owner.create([]*client{member, other})
		got := member.ok(pb.OpType_remove, pb.OpType_removed, about(id, "owner"))
		require.Equal(t, []string{"owner"}, got.GetAllowedPids())
		for _, op := range []pb.OpType{pb.OpType_member_info_update, pb.OpType_add_shutup, pb.OpType_remove_shutup,
			pb.OpType_query_shutup, pb.OpType_check_shutup} {
			member.fails(wire.CodeConversationMemberInfoFeatureDisabled, op, about(id, "other"))
		}
	}, func(s *settings) { s.app.DisableRoles = true })
}

func TestRoles(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		owner, manager, member, eve := e.login("owner"), e.login("manager"), e.login("member"), e.login("eve")
		id := owner.create([]*client{manager, member})
		set := pb.OpType_member_info_update
		member.fails(wire.CodeConversationOperationUnauthorized, set, info(id, "member", wire.RoleManager))
		eve.fails(wire.CodeConversationMembershipRequired, set, info(id, "member", wire.RoleManager))
		owner.fails(wire.CodeConversationMembershipRequired, set, info(id, "eve", wire.RoleManager))
		owner.fails(wire.CodeUnknownConversationRole, set, info(id, "member", "King"))
		owner.fails(wire.CodeConversationOperationUnauthorized, set, info(id, "member", wire.RoleOwner))
		owner.fails(wire.CodeConversationOperationUnauthorized, set, info(id, "owner", wire.RoleMember))
		owner.role(id, "manager", wire.RoleManager)
		p := member.only()
		require.Equal(t, "manager", p.GetConvMessage().GetInfo().GetPid())
		require.Equal(t, wire.RoleManager, p.GetConvMessage().GetInfo().GetRole())
		require.NotEmpty(t, p.GetConvMessage().GetInfo().GetInfoId())
		manager.fails(wire.CodeConversationOperationUnauthorized, set, info(id, "owner", wire.RoleMember))
		manager.role(id, "member", wire.RoleManager)
		manager.fails(wire.CodeConversationOperationUnauthorized, set, info(id, "member", wire.RoleMember))
		owner.role(id, "member", wire.RoleMember)

		infos, err := e.engine.MemberInfos(t.Context(), admin(""), id)
		require.NoError(t, err)
		roles := map[string]string{}
		for _, i := range infos {
			require.NotEmpty(t, i.ID)
			roles[i.Client] = i.Role
		}
		require.Equal(t, map[string]string{"owner": "Owner", "manager": "Manager", "member": "Member"}, roles)
		by := admin("eve")
		by.Admin = false
		_, err = e.engine.MemberInfos(t.Context(), by, id)
		require.ErrorContains(t, err, wire.CodeConversationMembershipRequired.Name())
		require.NoError(t, e.engine.ClearRole(t.Context(), admin(""), id, "manager"))
		infos, err = e.engine.MemberInfos(t.Context(), admin(""), id)
		require.NoError(t, err)
		require.Len(t, infos, 2)

		room := owner.create(nil, room)
		owner.fails(wire.CodeNormalConversationRequired, set, info(room, "owner", wire.RoleMember))
	})
}

func TestShutup(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		owner, manager, member, eve := e.login("owner"), e.login("manager"), e.login("member"), e.login("eve")
		id := owner.create([]*client{manager, member})
		owner.role(id, "manager", wire.RoleManager)
		add, remove := pb.OpType_add_shutup, pb.OpType_remove_shutup
		member.fails(wire.CodeConversationOperationUnauthorized, add, about(id, "manager"))
		eve.fails(wire.CodeConversationMembershipRequired, add, about(id, "member"))
		manager.fails(wire.CodeConversationOperationUnauthorized, add, about(id, "member", "owner"))
		member.say(id, "nothing happened to me")
		got := owner.ok(add, pb.OpType_shutup_added, about(id, "member", "manager", "eve"))
		require.Equal(t, []string{"member", "manager"}, got.GetAllowedPids())
		require.EqualValues(t, wire.CodeConversationMembershipRequired, got.GetFailedPids()[0].GetCode())
		member.refused(wire.CodeSilenced, id, "mm")
		manager.fails(wire.CodeConversationOperationUnauthorized, remove, about(id, "manager"))
		manager.fails(wire.CodeConversationOperationUnauthorized, remove, about(id, "member", "manager"))
		member.refused(wire.CodeSilenced, id, "the request failed as a whole")
		require.Equal(t, []string{"manager", "member"}, member.ok(pb.OpType_query_shutup, pb.OpType_shutup_result, cid(id)).GetM())
		eve.fails(wire.CodeConversationMembershipRequired, pb.OpType_query_shutup, cid(id))
		page := member.ok(pb.OpType_query_shutup, pb.OpType_shutup_result, &pb.ConvCommand{Cid: &id, Limit: proto.Int32(1)})
		require.Equal(t, []string{"manager"}, page.GetM())
		require.NotNil(t, page.Next)
		page = member.ok(pb.OpType_query_shutup, pb.OpType_shutup_result, &pb.ConvCommand{Cid: &id, Limit: proto.Int32(1), Next: page.Next})
		require.Equal(t, []string{"member"}, page.GetM())
		require.Nil(t, page.Next)
		require.Equal(t, []string{"member"}, member.ok(pb.OpType_check_shutup, pb.OpType_check_result, about(id, "owner", "member")).GetM())
		manager.ok(remove, pb.OpType_shutup_removed, about(id, "member"))
		member.say(id, "again")
	})
}

func TestListsAreBounded(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		owner := e.login("owner")
		id := owner.create(nil, func(m *pb.ConvCommand) { m.M = []string{"a", "b", "c"} })
		got := owner.ok(pb.OpType_add_shutup, pb.OpType_shutup_added, about(id, "a", "b", "c"))
		require.Equal(t, []string{"a", "b"}, got.GetAllowedPids())
		require.Equal(t, wire.CodeSilencedMemberListFull.Name(), got.GetFailedPids()[0].GetReason())
		require.EqualValues(t, 4561, got.GetFailedPids()[0].GetCode())
		blocked := owner.blacklist(pb.OpType_block, &pb.BlacklistCommand{SrcCid: &id, ToPids: []string{"x", "y", "z"}}).GetBlacklistMessage()
		require.Equal(t, []string{"x", "y"}, blocked.GetAllowedPids())
		require.EqualValues(t, wire.CodeBlacklistFull, blocked.GetFailedPids()[0].GetCode())
		own := owner.blacklist(pb.OpType_block, &pb.BlacklistCommand{SrcPid: proto.String("owner"), ToCids: []string{"1", "2", "3"}}).GetBlacklistMessage()
		require.Equal(t, []string{"1", "2"}, own.GetAllowedPids())
		require.EqualValues(t, wire.CodeBlacklistFull, own.GetFailedPids()[0].GetCode())
	}, func(s *settings) { s.limits.BlockedList, s.limits.ShutupList = 2, 2 })
}

func TestListDefaults(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		owner := e.login("owner")
		ids := make([]string, 501)
		for i := range ids {
			ids[i] = fmt.Sprintf("x%03d", i)
		}
		for _, c := range []struct {
			id   string
			want int
		}{{owner.create(nil), 500}, {owner.create(nil, room), 501}} {
			got := owner.blacklist(pb.OpType_block, &pb.BlacklistCommand{SrcCid: &c.id, ToPids: ids}).GetBlacklistMessage()
			require.Len(t, got.GetAllowedPids(), c.want)
		}
	})
}

func TestBlacklist(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		owner, member, eve := e.login("owner"), e.login("member"), e.login("eve")
		id := owner.create([]*client{member})
		block := func(c *client, op pb.OpType, ids ...string) *pb.GenericCommand {
			return c.blacklist(op, &pb.BlacklistCommand{SrcCid: &id, ToPids: ids})
		}
		wantError(t, wire.CodeConversationOperationUnauthorized, block(member, pb.OpType_block, "eve"))
		wantError(t, wire.CodeConversationMembershipRequired, block(eve, pb.OpType_block, "member"))
		wantError(t, wire.CodeConversationNotFound, owner.blacklist(pb.OpType_block, &pb.BlacklistCommand{SrcCid: proto.String(unknown)}))
		wantError(t, wire.CodeConversationNotFound, owner.blacklist(pb.OpType_query, &pb.BlacklistCommand{}))
		owner.blockOK(id, "member")
		wantError(t, wire.CodeConversationMembershipRequired, block(member, pb.OpType_unblock, "member"))
		require.EqualValues(t, 1, owner.ok(pb.OpType_count, pb.OpType_result, cid(id)).GetCount(), "it is out")
		member.refused(wire.CodeInvalidMessagingTarget, id, "hello?")
		got := block(owner, pb.OpType_query).GetBlacklistMessage()
		require.Equal(t, []string{"member"}, got.GetBlockedPids())
		require.Equal(t, id, got.GetSrcCid())
		require.Nil(t, got.Next)
		check := block(owner, pb.OpType_check_block, "owner", "member")
		require.Equal(t, "blacklist/check_result", name(check))
		require.Equal(t, []string{"member"}, check.GetBlacklistMessage().GetBlockedPids())
		require.Equal(t, "blacklist/unblocked", name(block(owner, pb.OpType_unblock, "member")))
		member.ok(pb.OpType_add, pb.OpType_added, about(id, "member"))
		member.say(id, "back")
		wantError(t, wire.CodeInternalError, block(owner, pb.OpType_start))
	})
}

func TestOwnBlacklist(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.login("tom")
		me := proto.String("tom")
		got := tom.blacklist(pb.OpType_block, &pb.BlacklistCommand{SrcPid: me, ToCids: []string{"b", "a", "a"}})
		require.Equal(t, []string{"b", "a"}, got.GetBlacklistMessage().GetAllowedPids())
		got = tom.blacklist(pb.OpType_query, &pb.BlacklistCommand{SrcPid: me, Limit: proto.Int32(1)})
		require.Equal(t, []string{"a"}, got.GetBlacklistMessage().GetBlockedCids())
		require.Equal(t, "a", got.GetBlacklistMessage().GetNext())
		got = tom.blacklist(pb.OpType_check_block, &pb.BlacklistCommand{SrcPid: me, ToCids: []string{"b", "c"}})
		require.Equal(t, []string{"b"}, got.GetBlacklistMessage().GetBlockedCids())
		tom.blacklist(pb.OpType_unblock, &pb.BlacklistCommand{SrcPid: me, ToCids: []string{"b"}})
		got = tom.blacklist(pb.OpType_query, &pb.BlacklistCommand{SrcPid: me})
		require.Equal(t, []string{"a"}, got.GetBlacklistMessage().GetBlockedCids())
		wantError(t, wire.CodeConversationOperationUnauthorized, tom.blacklist(pb.OpType_query, &pb.BlacklistCommand{SrcPid: proto.String("eve")}))
	})
}

func TestBlacklistSwitchedOff(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.login("tom")
		id := tom.create(nil)
		for _, op := range []pb.OpType{pb.OpType_block, pb.OpType_unblock, pb.OpType_query, pb.OpType_check_block} {
			wantError(t, wire.CodeBlacklistFeatureDisabled, tom.blacklist(op, &pb.BlacklistCommand{SrcCid: &id, ToPids: []string{"x"}}))
			wantError(t, wire.CodeBlacklistFeatureDisabled, tom.blacklist(op, &pb.BlacklistCommand{SrcPid: proto.String("tom")}))
		}
	}, func(s *settings) { s.app.DisableBlacklist = true })
}

func TestSignedOperations(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.login("tom")
		now := time.Now().UnixMilli()
		made, err := e.engine.Create(t.Context(), admin("tom"), engine.NewConv{Kind: store.KindNormal, Members: []string{"tom", "jerry"}})
		require.NoError(t, err)
		id := made.Cid
		signed := func(action sign.Action, members ...string) *pb.ConvCommand {
			m := about(id, members...)
			m.T, m.N = &now, proto.String("n")
			m.S = proto.String(sign.Members(appID, "tom", id, members, action).Sign(masterKey, now, "n").Value)
			return m
		}
		tom.fails(wire.CodeConversationSignatureFailed, pb.OpType_add, about(id, "x"))
		tom.fails(wire.CodeConversationSignatureFailed, pb.OpType_add, signed(sign.Kick, "x"))
		tom.ok(pb.OpType_add, pb.OpType_added, signed(sign.Invite, "x", "a"))
		tom.fails(wire.CodeConversationSignatureFailed, pb.OpType_remove, signed(sign.Invite, "tom"))
		tom.ok(pb.OpType_remove, pb.OpType_removed, signed(sign.Kick, "tom"))

		block := func(action sign.Action, sig bool) *pb.BlacklistCommand {
			m := &pb.BlacklistCommand{SrcPid: proto.String("tom"), ToCids: []string{id}, T: &now, N: proto.String("n")}
			if sig {
				m.S = proto.String(sign.Convs(appID, "tom", id, action).Sign(masterKey, now, "n").Value)
			}
			return m
		}
		wantError(t, wire.CodeBlacklistSignatureFailed, tom.blacklist(pb.OpType_block, block(sign.BlockConvs, false)))
		require.Equal(t, "blacklist/blocked", name(tom.blacklist(pb.OpType_block, block(sign.BlockConvs, true))))
		wantError(t, wire.CodeBlacklistSignatureFailed, tom.blacklist(pb.OpType_unblock, block(sign.BlockConvs, true)))
		m := &pb.BlacklistCommand{SrcCid: &id, ToPids: []string{"x"}}
		wantError(t, wire.CodeBlacklistSignatureFailed, tom.blacklist(pb.OpType_block, m))
		m.T, m.N = &now, proto.String("n")
		m.S = proto.String(sign.Members(appID, "tom", id, m.ToPids, sign.BlockClients).Sign(masterKey, now, "n").Value)
		wantError(t, wire.CodeConversationMembershipRequired, tom.blacklist(pb.OpType_block, m)) // it has left
	}, func(s *settings) { s.app.VerifyConversation, s.app.VerifyBlacklist = true, true })
}

func TestMemberHooks(t *testing.T) {
	var asked []hook.MembersChange
	done := make(chan hook.MembersChange, 8)
	run(t, func(t *testing.T, e *env) {
		tom := e.login("tom")
		id := tom.create(nil, func(m *pb.ConvCommand) { m.M = []string{"jerry"} })
		require.Empty(t, asked, "not for the first members")
		got := tom.fails(wire.CodeConversationRejectedByApp, pb.OpType_add, about(id, "eve", "x"))
		require.EqualValues(t, 9, got.GetAppCode())
		tom.ok(pb.OpType_add, pb.OpType_added, about(id, "jerry", "x"))
		require.Equal(t, hook.MembersChange{App: appID, InitBy: "tom", ConvID: id, Members: []string{"x"}}, asked[1])
		require.Equal(t, asked[1], <-done)
		tom.fails(wire.CodeConversationRejectedByApp, pb.OpType_remove, about(id, "jerry"))
		tom.ok(pb.OpType_remove, pb.OpType_removed, about(id, "x"))
		require.Equal(t, []string{"x"}, (<-done).Members)
		n := len(asked)
		e.login("jerry").ok(pb.OpType_remove, pb.OpType_removed, about(id, "jerry"))
		require.Len(t, asked, n, "nobody asks about leaving")
		require.Equal(t, []string{"jerry"}, (<-done).Members)
	}, func(s *settings) {
		ask := func(_ context.Context, ev *hook.MembersChange) (hook.Verdict, error) {
			asked = append(asked, *ev)
			return hook.Verdict{Reject: slices.Contains(ev.Members, "eve") || slices.Contains(ev.Members, "jerry"), Code: 9}, nil
		}
		tell := func(_ context.Context, ev *hook.MembersChange) { done <- *ev }
		s.hooks.ConversationAdd, s.hooks.ConversationRemove = ask, ask
		s.hooks.ConversationAdded, s.hooks.ConversationRemoved = tell, tell
	})
}

// Who was removed while the hook took its time does not add anybody.
func TestMembershipIsLookedAtAgainAfterAHook(t *testing.T) {
	var e *env
	var id string
	run(t, func(t *testing.T, env *env) {
		e = env
		tom, jerry := e.login("tom"), e.login("jerry")
		id = tom.create([]*client{jerry})
		jerry.fails(wire.CodeConversationMembershipRequired, pb.OpType_add, about(id, "x"))
		ack := jerry.refused(wire.CodeInvalidMessagingTarget, id, "hi")
		require.Empty(t, ack.GetUid())
	}, func(s *settings) {
		s.hooks.ConversationAdd = func(ctx context.Context, _ *hook.MembersChange) (hook.Verdict, error) {
			_, err := e.engine.Remove(ctx, admin(""), id, []string{"jerry"}, sign.Signature{})
			return hook.Verdict{}, err
		}
	})
}
