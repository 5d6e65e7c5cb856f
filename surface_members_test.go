package realtime_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/server"
)

// memberEvents are the beginnings of what a witness hears about members.
var memberEvents = []string{"invited", "kicked", "joined", "left", "blocked", "unblocked", "muted", "unmuted", "role"}

// Who hears what when members come and go.
func TestSurfaceMembersComeAndGo(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		ids := []string{"Tom", "Jerry", "Spike", "Butch"}
		conv, hear := s.crowd(ids)
		tom := conv["Tom"]
		require.Equal(t, map[string][]string{
			"Tom":   {"invited by Tom", "joined Jerry,Spike,Tom by Tom"},
			"Jerry": {"invited by Tom", "joined Jerry,Spike,Tom by Tom"},
			"Spike": {"invited by Tom", "joined Jerry,Spike,Tom by Tom"},
		}, hear())

		require.NoError(t, conv["Jerry"].Add(ctx, "Butch", "Spike"), "who is in already stays")
		want := map[string][]string{"Butch": {"invited by Jerry", "joined Butch by Jerry"}}
		for _, id := range []string{"Tom", "Jerry", "Spike"} {
			want[id] = []string{"joined Butch by Jerry"}
		}
		require.Equal(t, want, hear())
		require.Equal(t, []string{"Butch", "Jerry", "Spike", "Tom"}, sorted(conv["Spike"].Members()))
		n, err := tom.Count(ctx)
		require.NoError(t, err)
		require.Equal(t, 4, n)

		require.NoError(t, tom.Remove(ctx, "Butch", "Nobody"), "who was never in is out")
		require.Equal(t, map[string][]string{
			"Tom": {"left Butch by Tom"}, "Jerry": {"left Butch by Tom"}, "Spike": {"left Butch by Tom"},
			"Butch": {"kicked by Tom"},
		}, hear())
		require.Equal(t, []string{"Jerry", "Spike", "Tom"}, sorted(conv["Jerry"].Members()))

		require.NoError(t, conv["Spike"].Quit(ctx))
		require.Equal(t, map[string][]string{
			"Tom": {"left Spike by Spike"}, "Jerry": {"left Spike by Spike"}, "Spike": {"kicked by Spike"},
		}, hear())
		requireMember(t, conv["Spike"], false)
		require.NoError(t, conv["Spike"].Join(ctx))
		require.Equal(t, map[string][]string{
			"Tom": {"joined Spike by Spike"}, "Jerry": {"joined Spike by Spike"},
			"Spike": {"invited by Spike", "joined Spike by Spike"},
		}, hear())
		requireMember(t, conv["Spike"], true)

		// A stranger adds nobody.
		require.ErrorIs(t, conv["Butch"].Add(ctx, "Butch", "Toodles"), realtime.ErrConversationMembershipRequired)
		require.ErrorIs(t, conv["Butch"].Remove(ctx, "Tom"), realtime.ErrConversationMembershipRequired)
		// The app does, and names nobody.
		s.rest("POST", "/1.2/rtm/conversations/"+tom.ID()+"/members", map[string]any{"client_ids": []string{"Butch"}}, nil)
		require.Equal(t, []string{"invited by ", "joined Butch by "}, hear()["Butch"])
		require.Empty(t, hear())
	})
}

// crowd is a conversation of the first with the second and third, as all of
// these clients see it, and a function that returns what each has heard about
// members.
func (s *surface) crowd(ids []string, opts ...realtime.ClientOption) (map[string]*realtime.Conversation, func() map[string][]string) {
	s.t.Helper()
	convs, witnesses := map[string]*realtime.Conversation{}, map[string]*witness{}
	clients := map[string]*realtime.IMClient{}
	for _, id := range ids {
		clients[id] = s.Client(id, opts...)
		witnesses[id] = watch(clients[id])
	}
	first := s.group(clients[ids[0]], ids[1:min(3, len(ids))]...)
	for _, id := range ids {
		convs[id] = s.as(clients[id], first)
	}
	return convs, func() map[string][]string {
		all := map[string][]string{}
		for id, w := range witnesses {
			if heard := w.heard(memberEvents...); len(heard) > 0 {
				all[id] = heard
			}
		}
		return all
	}
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}

func TestSurfacePartialFailures(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		convs, hear := s.crowd([]string{"Tom", "Jerry", "Spike"})
		require.NoError(t, convs["Tom"].BlockMembers(ctx, "Butch"))
		hear()
		err := convs["Jerry"].Add(ctx, "Butch", "Nibbles", "Toodles", "Uncle")
		var partial *realtime.PartialError
		require.ErrorAs(t, err, &partial)
		require.Equal(t, []string{"Nibbles"}, partial.Succeeded)
		require.ErrorIs(t, err, realtime.ErrBlockedByConv)
		require.ErrorIs(t, err, realtime.ErrConversationFull)
		failed := map[realtime.ErrorCode][]string{}
		for _, f := range partial.Failures {
			failed[f.Err.Code] = f.ClientIDs
		}
		require.Equal(t, map[realtime.ErrorCode][]string{
			realtime.ErrBlockedByConv: {"Butch"}, realtime.ErrConversationFull: {"Toodles", "Uncle"},
		}, failed)
		require.Equal(t, []string{"joined Nibbles by Jerry"}, hear()["Spike"])
		require.Equal(t, []string{"Jerry", "Nibbles", "Spike", "Tom"}, sorted(convs["Jerry"].Members()))
	}, settings(func(o *server.Options) { o.Limits.Members = 4 }))
}

func TestSurfaceRoles(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		convs, hear := s.crowd([]string{"Tom", "Jerry", "Spike", "Butch"})
		tom, jerry, spike := convs["Tom"], convs["Jerry"], convs["Spike"]
		require.NoError(t, tom.Add(ctx, "Butch"))
		hear()
		requireRoles(t, spike, map[string]realtime.Role{
			"Tom": realtime.RoleOwner, "Jerry": realtime.RoleMember, "Spike": realtime.RoleMember, "Butch": realtime.RoleMember,
		})
		require.ErrorIs(t, jerry.UpdateMemberRole(ctx, "Jerry", realtime.RoleManager), realtime.ErrConversationOperationUnauthorized)
		require.ErrorIs(t, jerry.Remove(ctx, "Spike"), realtime.ErrConversationOperationUnauthorized)
		require.NoError(t, tom.UpdateMemberRole(ctx, "Jerry", realtime.RoleManager))
		want := map[string][]string{}
		for id := range convs {
			want[id] = []string{"role Jerry Manager by Tom"}
		}
		require.Equal(t, want, hear())
		roles := map[string]realtime.Role{
			"Tom": realtime.RoleOwner, "Jerry": realtime.RoleManager, "Spike": realtime.RoleMember, "Butch": realtime.RoleMember,
		}
		for _, conv := range convs { // who knew keeps up, who did not asks
			requireRoles(t, conv, roles)
		}
		requireRoles(t, s.as(s.Client("Spike"), tom), roles)

		// A manager manages members, but neither the owner nor other managers.
		require.NoError(t, jerry.UpdateMemberRole(ctx, "Spike", realtime.RoleManager))
		require.ErrorIs(t, jerry.UpdateMemberRole(ctx, "Spike", realtime.RoleMember), realtime.ErrConversationOperationUnauthorized)
		require.ErrorIs(t, jerry.UpdateMemberRole(ctx, "Tom", realtime.RoleMember), realtime.ErrConversationOperationUnauthorized)
		err := jerry.Remove(ctx, "Tom", "Butch")
		var partial *realtime.PartialError
		require.ErrorAs(t, err, &partial)
		require.ErrorIs(t, err, realtime.ErrConversationOperationUnauthorized)
		require.Equal(t, []string{"Butch"}, partial.Succeeded)
		require.ErrorIs(t, tom.Quit(ctx), realtime.ErrConversationNeedOwner)

		mark := len(s.Commands())
		require.ErrorIs(t, tom.UpdateMemberRole(ctx, "Jerry", realtime.RoleOwner), realtime.ErrOwnerPromotionNotAllowed)
		require.ErrorIs(t, tom.UpdateMemberRole(ctx, "Jerry", "King"), realtime.ErrUnknownConversationRole)
		require.Empty(t, s.sent(mark))

		require.NoError(t, tom.UpdateMemberRole(ctx, "Spike", realtime.RoleMember))
		hear()
		requireRoles(t, spike, map[string]realtime.Role{
			"Tom": realtime.RoleOwner, "Jerry": realtime.RoleManager, "Spike": realtime.RoleMember,
		})
		_, err = jerry.GetMemberInfo(ctx, "Butch")
		require.ErrorIs(t, err, realtime.ErrConversationMembershipRequired)
		_, err = convs["Butch"].GetAllMemberInfo(ctx, realtime.WithoutCache())
		require.Error(t, err, "only members are told")
	})
}

func requireRoles(t *testing.T, conv *realtime.Conversation, want map[string]realtime.Role) {
	t.Helper()
	infos, err := conv.GetAllMemberInfo(t.Context())
	require.NoError(t, err)
	got := map[string]realtime.Role{}
	for _, info := range infos {
		require.Equal(t, conv.ID(), info.ConversationID)
		got[info.MemberID] = info.Role
	}
	require.Equal(t, want, got)
	for id, role := range want {
		info, err := conv.GetMemberInfo(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, role, info.Role)
	}
}

func TestSurfaceSilence(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		convs, hear := s.crowd([]string{"Tom", "Jerry", "Spike"})
		tom, jerry, spike := convs["Tom"], convs["Jerry"], convs["Spike"]
		hear()
		require.ErrorIs(t, spike.MuteMembers(ctx, "Jerry"), realtime.ErrConversationOperationUnauthorized)
		require.NoError(t, tom.MuteMembers(ctx, "Jerry"))
		require.Equal(t, map[string][]string{
			"Tom": {"muted Jerry by Tom"}, "Spike": {"muted Jerry by Tom"},
			"Jerry": {"muted by Tom", "muted Jerry by Tom"},
		}, hear())
		_, err := jerry.Send(ctx, realtime.NewTextMessage("hey"))
		require.ErrorIs(t, err, realtime.ErrSilenced)
		require.NoError(t, jerry.Read(ctx), "but may listen")
		require.ErrorIs(t, jerry.UnmuteMembers(ctx, "Jerry"), realtime.ErrConversationOperationUnauthorized)
		page, err := jerry.QueryMutedMembers(ctx, realtime.PageQuery{})
		require.NoError(t, err)
		require.Equal(t, realtime.MemberPage{Members: []string{"Jerry"}}, page)
		muted, err := spike.CheckMutedMembers(ctx, "Tom", "Jerry", "Nobody")
		require.NoError(t, err)
		require.Equal(t, []string{"Jerry"}, muted)
		require.NoError(t, tom.MuteMembers(ctx, "Jerry"), "again is no mistake")
		require.Empty(t, hear(), "and no news")

		require.NoError(t, tom.UnmuteMembers(ctx, "Jerry"))
		require.Equal(t, map[string][]string{
			"Tom": {"unmuted Jerry by Tom"}, "Spike": {"unmuted Jerry by Tom"},
			"Jerry": {"unmuted by Tom", "unmuted Jerry by Tom"},
		}, hear())
		s.say(jerry, "hey")
		muted, err = spike.CheckMutedMembers(ctx, "Jerry")
		require.NoError(t, err)
		require.Empty(t, muted)
	})
}

func TestSurfaceBlock(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		convs, hear := s.crowd([]string{"Tom", "Jerry", "Spike"})
		tom, jerry, spike := convs["Tom"], convs["Jerry"], convs["Spike"]
		hear()
		require.ErrorIs(t, spike.BlockMembers(ctx, "Jerry"), realtime.ErrConversationOperationUnauthorized)
		require.NoError(t, tom.BlockMembers(ctx, "Jerry"))
		require.Equal(t, map[string][]string{
			"Tom": {"blocked Jerry by Tom", "left Jerry by Tom"}, "Spike": {"blocked Jerry by Tom", "left Jerry by Tom"},
			"Jerry": {"blocked by Tom", "kicked by Tom"},
		}, hear())
		require.Equal(t, []string{"Spike", "Tom"}, sorted(tom.Members()))
		require.Equal(t, []string{"Spike", "Tom"}, sorted(spike.Members()))
		require.ErrorIs(t, jerry.Join(ctx), realtime.ErrBlockedByConv)
		_, err := jerry.Send(ctx, realtime.NewTextMessage("hey"))
		require.Error(t, err)
		require.ErrorIs(t, jerry.UnblockMembers(ctx, "Jerry"), realtime.ErrConversationMembershipRequired)
		page, err := spike.QueryBlockedMembers(ctx, realtime.PageQuery{})
		require.NoError(t, err)
		require.Equal(t, realtime.MemberPage{Members: []string{"Jerry"}}, page)
		blocked, err := spike.CheckBlockedMembers(ctx, "Jerry", "Nobody", "Tom")
		require.NoError(t, err)
		require.Equal(t, []string{"Jerry"}, blocked)
		require.NoError(t, tom.BlockMembers(ctx, "Jerry"), "again is no mistake")
		require.Empty(t, hear(), "and no news")

		require.NoError(t, tom.UnblockMembers(ctx, "Jerry"))
		require.Equal(t, map[string][]string{
			"Tom": {"unblocked Jerry by Tom"}, "Spike": {"unblocked Jerry by Tom"}, "Jerry": {"unblocked by Tom"},
		}, hear())
		require.NotContains(t, tom.Members(), "Jerry", "that brings nobody back")
		require.NoError(t, jerry.Join(ctx))
	})
}

func TestSurfaceListsComeInPages(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		tom := s.Client("Tom")
		room := mustRoom(t, tom)
		want := []string{}
		for i := range 25 {
			want = append(want, fmt.Sprintf("rogue-%02d", i))
		}
		require.NoError(t, room.BlockMembers(ctx, want...))
		require.NoError(t, room.MuteMembers(ctx, want...))
		for name, query := range map[string]func(q realtime.PageQuery) (realtime.MemberPage, error){
			"muted":   func(q realtime.PageQuery) (realtime.MemberPage, error) { return room.QueryMutedMembers(ctx, q) },
			"blocked": func(q realtime.PageQuery) (realtime.MemberPage, error) { return room.QueryBlockedMembers(ctx, q) },
		} {
			for _, limit := range []int{0, 7, 25, 100} {
				got, pages := []string{}, 0
				for q := (realtime.PageQuery{Limit: limit}); ; pages++ {
					page, err := query(q)
					require.NoError(t, err, name)
					if limit > 0 {
						require.LessOrEqual(t, len(page.Members), limit)
					}
					got = append(got, page.Members...)
					if page.Next == "" {
						break
					}
					q.Next = page.Next
				}
				require.ElementsMatch(t, want, got, "%s by %d", name, limit)
				require.LessOrEqual(t, pages, 4)
			}
			_, err := query(realtime.PageQuery{Limit: -1})
			require.ErrorIs(t, err, realtime.ErrInvalidArgument, name)
		}
		jerry := s.Client("rogue-03")
		require.ErrorIs(t, s.as(jerry, room).Join(ctx), realtime.ErrBlockedByConv)
	})
}

func TestSurfaceNotificationsMuted(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		convs, _ := s.crowd([]string{"Tom", "Jerry", "Spike"})
		tom, jerry := convs["Tom"], convs["Jerry"]
		heard := watch(jerry.Client())
		require.False(t, jerry.NotificationsMuted())
		require.NoError(t, jerry.Mute(ctx))
		require.NoError(t, jerry.Mute(ctx), "again is no mistake")
		require.True(t, jerry.NotificationsMuted())
		require.Equal(t, []string{"Jerry"}, jerry.NotificationsMutedBy())
		require.NoError(t, tom.Fetch(ctx))
		require.False(t, tom.NotificationsMuted())
		require.Equal(t, []string{"Jerry"}, tom.NotificationsMutedBy())
		s.say(tom, "you still hear me")
		require.Equal(t, []string{"unread 1", "message Tom: you still hear me"}, heard.heard())
		require.NoError(t, jerry.Unmute(ctx))
		require.False(t, jerry.NotificationsMuted())
		require.NoError(t, tom.Fetch(ctx))
		require.Empty(t, tom.NotificationsMutedBy())
	})
}

func TestSurfaceOnlineClients(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		tom := s.Client("Tom")
		rt := s.realtime()
		var ids, online []string
		for i := range 45 {
			id := fmt.Sprintf("client-%02d", i)
			ids = append(ids, id)
			if i%3 == 0 {
				s.client(rt, id)
				online = append(online, id)
			}
		}
		mark := len(s.Commands())
		got, err := tom.OnlineClients(ctx, ids...)
		require.NoError(t, err)
		require.ElementsMatch(t, online, got)
		require.Equal(t, []string{"session/query", "session/query", "session/query"}, s.sent(mark))
		none, err := tom.OnlineClients(ctx)
		require.NoError(t, err)
		require.Empty(t, none)
		require.Len(t, s.sent(mark), 3, "nobody is no question")
		s.Cut("client-00")
		defer s.Refuse()()
		moment()
		got, err = tom.OnlineClients(ctx, "client-00", "Tom")
		require.NoError(t, err)
		require.Equal(t, []string{"Tom"}, got)
	})
}

// What happened to the membership of a client while it was away comes after
// the reconnect: in order, each once.
func TestSurfaceMembershipWhileAway(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		old := s.group(tom, "Jerry", "Spike")
		heard := watch(jerry)
		accept := s.Refuse()
		s.Cut("Jerry")
		moment()
		require.NoError(t, old.Remove(ctx, "Jerry"))
		moment()
		fresh := s.group(tom, "Jerry")
		require.NoError(t, old.Add(ctx, "Jerry"))
		moment()
		require.NoError(t, fresh.Remove(ctx, "Jerry"))
		accept()
		want := []string{
			"kicked by Tom (missed)", "invited by Tom (missed)", "invited by Tom (missed)", "kicked by Tom (missed)",
		}
		calm()
		calm()
		require.Equal(t, want, heard.heard("invited", "kicked"))
		require.ElementsMatch(t, []string{"Jerry", "Spike", "Tom"}, s.as(jerry, old).Members())
		require.Equal(t, []string{"Tom"}, s.as(jerry, fresh).Members())

		s.Cut("Jerry")
		require.Empty(t, heard.heard("invited", "kicked"), "not again")
		require.NoError(t, fresh.Add(ctx, "Jerry"))
		require.Equal(t, []string{"invited by Tom"}, heard.heard("invited", "kicked"), "and live ones go on")
	})
}

// More notifications than one page of the list.
func TestSurfaceManyNotificationsWhileAway(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Spike")
		heard := watch(jerry)
		accept := s.Refuse()
		s.Cut("Jerry")
		moment()
		want := []string{}
		for range 130 {
			require.NoError(t, conv.Add(t.Context(), "Jerry"))
			require.NoError(t, conv.Remove(t.Context(), "Jerry"))
			want = append(want, "invited by Tom (missed)", "kicked by Tom (missed)")
		}
		// The list breaks off once.
		s.Inject(realtimetest.Fault{Command: "session/open", Client: "Jerry", Times: 1, Do: realtimetest.CutAfter()})
		accept()
		heardAll := []string{}
		for range 10 {
			heardAll = append(heardAll, heard.heard("invited", "kicked")...)
		}
		require.Equal(t, want, heardAll)
	})
}
