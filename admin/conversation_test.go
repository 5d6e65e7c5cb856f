package admin_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
)

func TestConversationLife(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.player("tom")
		born := time.Date(2015, 6, 1, 12, 30, 0, 0, time.UTC)
		h, err := e.c.CreateConversation(e.ctx(), realtime.ConversationOptions{
			Members: []string{"tom", "jerry"}, Name: "Tom & <Jerry>",
			Attributes: map[string]any{"attr": map[string]any{"level": 3, "since": born}, "tags": []string{"a", "b"}},
		})
		require.NoError(t, err)
		invited := pick[*realtime.InvitedEvent](tom)
		require.Len(t, invited, 1)
		require.Equal(t, h.ID(), invited[0].Conversation.ID())
		require.Empty(t, invited[0].InvitedBy, "nobody of the app's clients did it")

		info, err := h.Fetch(e.ctx())
		require.NoError(t, err)
		require.Equal(t, h.ID(), info.ID)
		require.Equal(t, realtime.KindNormal, info.Kind)
		require.Equal(t, "Tom & <Jerry>", info.Name)
		require.Equal(t, []string{"jerry", "tom"}, info.Members)
		require.Empty(t, info.Creator)
		require.NotEmpty(t, info.UniqueID)
		require.WithinDuration(t, time.Now(), info.CreatedAt, time.Second)
		require.Equal(t, map[string]any{
			"attr": map[string]any{"level": 3.0, "since": born}, "tags": []any{"a", "b"},
		}, info.Attributes)

		// The same members: the same conversation, which keeps what it has.
		same, err := e.c.CreateConversation(e.ctx(), realtime.ConversationOptions{Members: []string{"jerry", "tom"}, Name: "other"})
		require.NoError(t, err)
		require.Equal(t, h.ID(), same.ID())
		other, err := e.c.CreateConversation(e.ctx(), realtime.ConversationOptions{Members: []string{"jerry", "tom"}, NotUnique: true})
		require.NoError(t, err)
		require.NotEqual(t, h.ID(), other.ID())

		e.settle()
		conv := tom.conv(h.ID())
		tom.take()
		require.NoError(t, h.Save(e.ctx(), map[string]any{"name": "renamed", "attr.level": 4, "seen": born}))
		updated := pick[*realtime.InfoUpdatedEvent](tom)
		require.Len(t, updated, 1)
		require.Equal(t, "renamed", conv.Name())
		require.Equal(t, 4.0, conv.Get("attr.level"))
		info, err = h.Fetch(e.ctx())
		require.NoError(t, err)
		require.Equal(t, "renamed", info.Name)
		require.Equal(t, map[string]any{"level": 4.0, "since": born}, info.Attributes["attr"])
		require.Equal(t, born, info.Attributes["seen"])
		require.True(t, info.UpdatedAt.After(info.CreatedAt))

		require.NoError(t, h.Delete(e.ctx()))
		_, err = h.Fetch(e.ctx())
		require.ErrorIs(t, err, realtime.ErrConversationNotFound)
		require.ErrorIs(t, h.Delete(e.ctx()), realtime.ErrConversationNotFound)
	})
}

func TestConversationMembers(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, mary := e.player("tom"), e.player("mary")
		h := e.conversation("tom")
		tom.take()

		require.NoError(t, h.Add(e.ctx(), "mary", "bob", "tom"))
		joined := pick[*realtime.MembersJoinedEvent](tom)
		require.Len(t, joined, 1)
		require.ElementsMatch(t, []string{"mary", "bob"}, joined[0].Members)
		require.Empty(t, joined[0].InvitedBy)
		require.Len(t, pick[*realtime.InvitedEvent](mary), 1)
		members, err := h.Members(e.ctx())
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"tom", "mary", "bob"}, members)

		require.NoError(t, h.MuteNotifications(e.ctx(), "mary", "bob"))
		require.NoError(t, h.UnmuteNotifications(e.ctx(), "bob"))
		muted, err := h.NotificationsMutedBy(e.ctx())
		require.NoError(t, err)
		require.Equal(t, []string{"mary"}, muted)
		info, err := h.Fetch(e.ctx())
		require.NoError(t, err)
		require.Equal(t, []string{"mary"}, info.NotificationsMutedBy)

		mary.take()
		require.NoError(t, h.Remove(e.ctx(), "mary", "nobody"))
		require.Len(t, pick[*realtime.KickedEvent](mary), 1)
		members, err = h.Members(e.ctx())
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"tom", "bob"}, members)
		require.NoError(t, h.Remove(e.ctx()), "nobody in particular")
	})
}

func TestConversationRoles(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.player("tom"), e.player("jerry")
		conv, err := tom.CreateConversation(e.ctx(), realtime.ConversationOptions{Members: []string{"jerry", "mary"}})
		require.NoError(t, err)
		h := e.c.Conversation(conv.ID())
		jerry.take()

		role := func(id string) realtime.Role {
			infos, err := h.GetAllMemberInfo(e.ctx())
			require.NoError(t, err)
			require.Len(t, infos, 3)
			i := slices.IndexFunc(infos, func(m realtime.MemberInfo) bool { return m.MemberID == id })
			require.Equal(t, h.ID(), infos[i].ConversationID)
			return infos[i].Role
		}
		require.Equal(t, realtime.RoleOwner, role("tom"))
		require.Equal(t, realtime.RoleMember, role("jerry"))
		require.NoError(t, h.UpdateMemberRole(e.ctx(), "jerry", realtime.RoleManager))
		require.Equal(t, realtime.RoleManager, role("jerry"))
		told := pick[*realtime.MemberInfoUpdatedEvent](jerry)
		require.Len(t, told, 1)
		require.Equal(t, realtime.RoleManager, told[0].MemberInfo.Role)
		require.NoError(t, h.UpdateMemberRole(e.ctx(), "jerry", realtime.RoleMember))
		require.Equal(t, realtime.RoleMember, role("jerry"))

		require.ErrorIs(t, h.UpdateMemberRole(e.ctx(), "jerry", realtime.RoleOwner), realtime.ErrOwnerPromotionNotAllowed)
		require.ErrorIs(t, h.UpdateMemberRole(e.ctx(), "jerry", "King"), realtime.ErrUnknownConversationRole)
		require.ErrorIs(t, h.UpdateMemberRole(e.ctx(), "stranger", realtime.RoleManager), realtime.ErrConversationMembershipRequired)
		require.ErrorIs(t, h.UpdateMemberRole(e.ctx(), "tom", realtime.RoleMember), realtime.ErrConversationOperationUnauthorized)
	})
}

func TestSilencing(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.player("tom")
		h := e.conversation("tom", "jerry")
		conv := tom.conv(h.ID())
		speak := func() error {
			_, err := conv.Send(e.ctx(), realtime.NewTextMessage("hello"))
			return err
		}
		require.NoError(t, speak())
		require.NoError(t, h.MuteMembers(e.ctx(), "tom"))
		require.ErrorIs(t, speak(), realtime.ErrSilenced)
		page, err := h.QueryMutedMembers(e.ctx(), realtime.PageQuery{})
		require.NoError(t, err)
		require.Equal(t, realtime.MemberPage{Members: []string{"tom"}}, page)
		require.NoError(t, h.UnmuteMembers(e.ctx(), "tom"))
		require.NoError(t, speak())

		require.NoError(t, h.MuteMemberFor(e.ctx(), "tom", 90*time.Second+time.Millisecond))
		require.ErrorIs(t, speak(), realtime.ErrConversationTemporaryBlacklisted)
		time.Sleep(90 * time.Second)
		require.Error(t, speak(), "rounded up to seconds")
		time.Sleep(time.Second)
		require.NoError(t, speak())
		require.NoError(t, h.MuteMemberFor(e.ctx(), "tom", 24*time.Hour))
		require.Error(t, speak())
		require.NoError(t, h.MuteMemberFor(e.ctx(), "tom", 0))
		require.NoError(t, speak())
		require.ErrorIs(t, h.MuteMemberFor(e.ctx(), "tom", 24*time.Hour+1), realtime.ErrInvalidArgument)
		require.ErrorIs(t, h.MuteMemberFor(e.ctx(), "tom", -1), realtime.ErrInvalidArgument)
	})
}

func TestBlocking(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.player("tom")
		h := e.conversation("tom", "jerry")
		tom.take()
		require.NoError(t, h.BlockMembers(e.ctx(), "tom"))
		require.Len(t, pick[*realtime.BlockedEvent](tom), 1)
		members, err := h.Members(e.ctx())
		require.NoError(t, err)
		require.Equal(t, []string{"jerry"}, members)
		require.Error(t, tom.conv(h.ID()).Join(e.ctx()))
		require.NoError(t, h.UnblockMembers(e.ctx(), "tom"))
		require.NoError(t, tom.conv(h.ID()).Join(e.ctx()))

		// Pages.
		var ids []string
		for i := range 25 {
			ids = append(ids, fmt.Sprintf("bad-%02d", i))
		}
		require.NoError(t, h.BlockMembers(e.ctx(), ids...))
		var got []string
		for q := (realtime.PageQuery{Limit: 10}); ; {
			page, err := h.QueryBlockedMembers(e.ctx(), q)
			require.NoError(t, err)
			require.LessOrEqual(t, len(page.Members), 10)
			got = append(got, page.Members...)
			if q.Next = page.Next; q.Next == "" {
				break
			}
		}
		require.ElementsMatch(t, ids, got)
		_, err = h.QueryBlockedMembers(e.ctx(), realtime.PageQuery{Limit: -1})
		require.ErrorIs(t, err, realtime.ErrInvalidArgument)
	})
}

func TestConversationsPage(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		var normal []string
		for i := range 25 {
			h, err := e.c.CreateConversation(e.ctx(), realtime.ConversationOptions{
				Members: []string{"tom"}, NotUnique: true, Attributes: map[string]any{"n": i, "at": time.Now()},
			})
			require.NoError(t, err)
			normal = append(normal, h.ID())
			time.Sleep(time.Second)
		}
		room, service := e.room(), e.service()
		list := func(infos []realtime.ConversationInfo) []string {
			out := []string{}
			for _, info := range infos {
				out = append(out, info.ID)
			}
			return out
		}
		require.ElementsMatch(t, normal, list(collect(t, e.c.Conversations(e.ctx(), admin.Query{}))))
		require.Equal(t, []string{room.ID()}, list(collect(t, e.c.ChatRooms(e.ctx(), admin.Query{}))))
		require.Equal(t, []string{service.ID()}, list(collect(t, e.c.ServiceConversations(e.ctx(), admin.Query{}))))

		// 100 is what a page may be short of without being the last one.
		for i := range 230 {
			h, err := e.c.CreateChatRoom(e.ctx(), realtime.ChatRoomOptions{Attributes: map[string]any{"n": i}})
			require.NoError(t, err)
			normal = append(normal, h.ID())
		}
		everything := append(slices.Clone(normal), room.ID(), service.ID())
		seq := e.c.AllConversations(e.ctx(), admin.Query{Limit: 100})
		require.ElementsMatch(t, everything, list(collect(t, seq)))
		require.Len(t, collect(t, seq), len(everything), "each range starts again")
		require.Len(t, collect(t, e.c.AllConversations(e.ctx(), admin.Query{Limit: 100, Skip: 30})), len(everything)-30)

		n := 0
		for _, err := range seq { // what is deleted meanwhile moves nothing
			require.NoError(t, err)
			if n++; n == 100 {
				gone := collect(t, e.c.ChatRooms(e.ctx(), admin.Query{Where: map[string]any{"n": map[string]any{"$lt": 5}}}))
				require.Len(t, gone, 5)
				for _, info := range gone {
					require.NoError(t, e.c.ChatRoom(info.ID).Delete(e.ctx()))
				}
			}
		}
		require.InDelta(t, len(everything), n, 5)
		require.GreaterOrEqual(t, n, len(everything)-5)

		where := admin.Query{Where: map[string]any{"n": map[string]any{"$gte": 10, "$lt": 13}, "m": "tom"}}
		require.Equal(t, list(collect(t, e.c.Conversations(e.ctx(), where))), slices.Sorted(slices.Values(normal[10:13])))
		half := time.Now().Add(-time.Hour)
		require.Empty(t, collect(t, e.c.Conversations(e.ctx(), admin.Query{Where: map[string]any{"at": map[string]any{"$lt": half}}})))
		byID := admin.Query{Limit: 100, Where: map[string]any{"objectId": map[string]any{"$in": normal}}}
		require.Len(t, collect(t, e.c.AllConversations(e.ctx(), byID)), len(normal)-5)

		for _, bad := range []admin.Query{{Limit: -1}, {Limit: 1001}, {Skip: -1}, {Where: map[string]any{"a": func() {}}}} {
			require.ErrorIs(t, failure(t, e.c.Conversations(e.ctx(), bad)), realtime.ErrInvalidArgument)
		}
		require.ErrorIs(t, failure(t, e.c.Conversations(e.ctx(), admin.Query{Where: map[string]any{"$nonsense": 1}})),
			realtime.ErrConversationQueryFailed)
	})
}

func TestAttributesThatCannotBe(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		h := e.conversation("tom")
		loop := map[string]any{}
		loop["loop"] = loop
		for name, bad := range map[string]map[string]any{
			"reserved": {"objectId": "x"}, "operator": {"a.$b": 1}, "empty part": {"a..b": 1}, "empty": {"": 1},
			"within": {"a": 1, "a.b": 2}, "function": {"a": func() {}}, "loop": loop,
		} {
			require.ErrorIs(t, h.Save(e.ctx(), bad), realtime.ErrInvalidArgument, name)
		}
		for name, bad := range map[string]map[string]any{"name": {"name": "x"}, "path": {"a.b": 1}} {
			_, err := e.c.CreateChatRoom(e.ctx(), realtime.ChatRoomOptions{Attributes: bad})
			require.ErrorIs(t, err, realtime.ErrInvalidArgument, name)
		}
	})
}
