package realtime_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
)

func TestE2ECreateConversation(t *testing.T) {
	play(t, []string{"Tom", "Jerry"}, func(t *testing.T, s *story) {
		start := time.Now()
		born := time.Date(1940, 2, 10, 0, 0, 0, 0, time.UTC)
		conv, err := s.clients["Tom"].CreateConversation(t.Context(), realtime.ConversationOptions{
			Members: []string{"Jerry"}, Name: "Tom & Jerry",
			Attributes: map[string]any{"attr": map[string]any{"pinned": true}, "born": born, "level": 3},
		})
		require.NoError(t, err)
		require.Len(t, conv.ID(), 24)
		require.Equal(t, "Tom & Jerry", conv.Name())
		require.Equal(t, "Tom", conv.Creator())
		require.Equal(t, realtime.KindNormal, conv.Kind())
		require.ElementsMatch(t, []string{"Tom", "Jerry"}, conv.Members())
		require.Same(t, s.clients["Tom"], conv.Client())
		require.WithinDuration(t, start, conv.CreatedAt(), time.Second)
		require.Zero(t, conv.LastMessageAt())
		require.Nil(t, conv.LastMessage())
		require.Equal(t, map[string][]string{
			"Tom":   {"invited by Tom", "Jerry+Tom joined by Tom"},
			"Jerry": {"invited by Tom", "Jerry+Tom joined by Tom"},
		}, s.happened())

		seen := s.as("Jerry", conv)
		require.Equal(t, "Tom & Jerry", seen.Name())
		require.Equal(t, "Tom", seen.Creator())
		require.ElementsMatch(t, []string{"Tom", "Jerry"}, seen.Members())
		require.Equal(t, true, seen.Get("attr.pinned"))
		require.EqualValues(t, 3, seen.Get("level"))
		got, ok := seen.Get("born").(time.Time)
		require.True(t, ok, "a Date comes back as a time")
		require.True(t, born.Equal(got))
		require.Same(t, seen, s.as("Jerry", conv), "one object per client and id")
		require.NotSame(t, conv, seen)
	})
}

func TestE2ECreateIsUnique(t *testing.T) {
	play(t, []string{"Tom", "Jerry"}, func(t *testing.T, s *story) {
		first := s.conversation("Tom", "Jerry", "Mary")
		s.happened()
		require.Same(t, first, s.conversation("Tom", "Mary", "Jerry", "Tom", "Mary"))
		require.Equal(t, first.ID(), s.conversation("Jerry", "Tom", "Mary").ID(), "whoever asks")
		require.Empty(t, s.happened(), "nobody was invited again")
		require.NotEmpty(t, first.Info().UniqueID)

		another, err := s.clients["Tom"].CreateConversation(t.Context(), realtime.ConversationOptions{
			Members: []string{"Jerry", "Mary"}, NotUnique: true,
		})
		require.NoError(t, err)
		require.NotEqual(t, first.ID(), another.ID())

		renamed, err := s.clients["Tom"].CreateConversation(t.Context(), realtime.ConversationOptions{
			Members: []string{"Jerry", "Mary"}, Name: "too late",
		})
		require.NoError(t, err)
		require.Same(t, first, renamed)
		require.NoError(t, first.Fetch(t.Context()))
		require.Empty(t, first.Name(), "an existing one keeps its own name")
	})
}

// Who is told of what: Tom acts, Jerry and Ada watch, Mary is the one it is
// done to.
func TestE2EMembersMatrix(t *testing.T) {
	type happenings = map[string][]string
	same := func(tom string) happenings { return happenings{"Tom": {tom}, "Jerry": {tom}, "Ada": {tom}} }
	with := func(h happenings, mary ...string) happenings {
		h["Mary"] = mary
		return h
	}
	add := func(ctx context.Context, conv *realtime.Conversation) error { return conv.Add(ctx, "Mary") }
	block := func(ctx context.Context, conv *realtime.Conversation) error { return conv.BlockMembers(ctx, "Mary") }
	mute := func(ctx context.Context, conv *realtime.Conversation) error { return conv.MuteMembers(ctx, "Mary") }

	type step = func(ctx context.Context, conv *realtime.Conversation) error
	tests := map[string]struct {
		before step
		do     step
		byMary bool // Mary acts, not Tom
		want   happenings
		member bool // whether Mary is one then
	}{
		"add": {
			do:     add,
			want:   with(same("Mary joined by Tom"), "invited by Tom", "Mary joined by Tom"),
			member: true,
		},
		"add a member": {before: add, do: add, want: happenings{}, member: true},
		"join": {
			do: func(ctx context.Context, conv *realtime.Conversation) error { return conv.Join(ctx) }, byMary: true,
			want:   with(same("Mary joined by Mary"), "invited by Mary", "Mary joined by Mary"),
			member: true,
		},
		"remove": {
			before: add,
			do:     func(ctx context.Context, conv *realtime.Conversation) error { return conv.Remove(ctx, "Mary") },
			want:   with(same("Mary left by Tom"), "kicked by Tom"),
		},
		"remove who is not there": {
			do:   func(ctx context.Context, conv *realtime.Conversation) error { return conv.Remove(ctx, "Mary") },
			want: happenings{},
		},
		"quit": {
			before: add,
			do:     func(ctx context.Context, conv *realtime.Conversation) error { return conv.Quit(ctx) }, byMary: true,
			want: with(same("Mary left by Mary"), "kicked by Mary"),
		},
		"block": {
			before: add,
			do:     block,
			want: happenings{
				"Tom":   {"Mary blocked by Tom", "Mary left by Tom"},
				"Jerry": {"Mary blocked by Tom", "Mary left by Tom"},
				"Ada":   {"Mary blocked by Tom", "Mary left by Tom"},
				"Mary":  {"blocked by Tom", "kicked by Tom"},
			},
		},
		"unblock": {
			before: block,
			do:     func(ctx context.Context, conv *realtime.Conversation) error { return conv.UnblockMembers(ctx, "Mary") },
			want:   with(same("Mary unblocked by Tom"), "unblocked by Tom"),
		},
		"mute": {
			before: add,
			do:     mute,
			want:   with(same("Mary muted by Tom"), "muted by Tom", "Mary muted by Tom"),
			member: true,
		},
		"unmute": {
			before: func(ctx context.Context, conv *realtime.Conversation) error {
				if err := add(ctx, conv); err != nil {
					return err
				}
				return mute(ctx, conv)
			},
			do:     func(ctx context.Context, conv *realtime.Conversation) error { return conv.UnmuteMembers(ctx, "Mary") },
			want:   with(same("Mary unmuted by Tom"), "unmuted by Tom", "Mary unmuted by Tom"),
			member: true,
		},
		"promote": {
			before: add,
			do: func(ctx context.Context, conv *realtime.Conversation) error {
				return conv.UpdateMemberRole(ctx, "Mary", realtime.RoleManager)
			},
			want:   with(same("Mary is Manager by Tom"), "Mary is Manager by Tom"),
			member: true,
		},
		"save": {
			before: add,
			do: func(ctx context.Context, conv *realtime.Conversation) error {
				return conv.Save(ctx, map[string]any{"name": "new"})
			},
			want: happenings{
				"Jerry": {"map[name:new] by Tom"}, "Ada": {"map[name:new] by Tom"}, "Mary": {"map[name:new] by Tom"},
			},
			member: true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			play(t, []string{"Tom", "Jerry", "Ada", "Mary"}, func(t *testing.T, s *story) {
				conv := s.conversation("Tom", "Jerry", "Ada")
				if test.before != nil {
					require.NoError(t, test.before(t.Context(), conv))
				}
				for _, id := range []string{"Jerry", "Ada", "Mary"} {
					s.as(id, conv)
				}
				s.happened()

				actor := conv
				if test.byMary {
					actor = s.as("Mary", conv)
				}
				require.NoError(t, test.do(t.Context(), actor))
				require.Equal(t, test.want, s.happened())

				want := []string{"Tom", "Jerry", "Ada"}
				if test.member {
					want = append(want, "Mary")
				}
				for _, id := range []string{"Tom", "Jerry", "Ada"} {
					require.ElementsMatch(t, want, s.as(id, conv).Members(), "as %s knows it", id)
				}
				n, err := conv.Count(t.Context())
				require.NoError(t, err)
				require.Equal(t, len(want), n)
				is, err := s.as("Mary", conv).IsMember(t.Context())
				require.NoError(t, err)
				require.Equal(t, test.member, is)
			})
		})
	}
}

func TestE2EMembersPartly(t *testing.T) {
	play(t, []string{"Tom", "Mary"}, func(t *testing.T, s *story) {
		conv := s.conversation("Tom", "Jerry")
		require.NoError(t, conv.BlockMembers(t.Context(), "Mary"))
		err := conv.Add(t.Context(), "Ada", "Mary")
		var partial *realtime.PartialError
		require.ErrorAs(t, err, &partial)
		require.Equal(t, []string{"Ada"}, partial.Succeeded)
		require.Len(t, partial.Failures, 1)
		require.Equal(t, []string{"Mary"}, partial.Failures[0].ClientIDs)
		require.ErrorIs(t, err, realtime.ErrBlockedByConv)
		require.ElementsMatch(t, []string{"Tom", "Jerry", "Ada"}, conv.Members())

		err = s.as("Mary", conv).Join(t.Context())
		require.ErrorIs(t, err, realtime.ErrBlockedByConv)

		blocked, err := conv.CheckBlockedMembers(t.Context(), "Ada", "Mary")
		require.NoError(t, err)
		require.Equal(t, []string{"Mary"}, blocked)
		page, err := conv.QueryBlockedMembers(t.Context(), realtime.PageQuery{})
		require.NoError(t, err)
		require.Equal(t, realtime.MemberPage{Members: []string{"Mary"}}, page)
	})
}

func TestE2ERolesDecide(t *testing.T) {
	play(t, []string{"Tom", "Jerry", "Mary"}, func(t *testing.T, s *story) {
		conv := s.conversation("Tom", "Jerry", "Mary", "Ada")
		jerrys, marys := s.as("Jerry", conv), s.as("Mary", conv)
		ctx := t.Context()

		require.ErrorIs(t, jerrys.MuteMembers(ctx, "Mary"), realtime.ErrConversationOperationUnauthorized)
		require.ErrorIs(t, jerrys.Remove(ctx, "Mary"), realtime.ErrConversationOperationUnauthorized)
		require.ErrorIs(t, jerrys.UpdateMemberRole(ctx, "Jerry", realtime.RoleManager), realtime.ErrConversationOperationUnauthorized)
		require.ErrorIs(t, conv.Quit(ctx), realtime.ErrConversationNeedOwner)
		require.ErrorIs(t, conv.UpdateMemberRole(ctx, "Jerry", realtime.RoleOwner), realtime.ErrOwnerPromotionNotAllowed)

		require.NoError(t, conv.UpdateMemberRole(ctx, "Jerry", realtime.RoleManager))
		infos, err := marys.GetAllMemberInfo(ctx)
		require.NoError(t, err)
		roles := map[string]realtime.Role{}
		for _, info := range infos {
			roles[info.MemberID] = info.Role
		}
		require.Equal(t, map[string]realtime.Role{
			"Tom": realtime.RoleOwner, "Jerry": realtime.RoleManager, "Mary": realtime.RoleMember, "Ada": realtime.RoleMember,
		}, roles)

		require.NoError(t, jerrys.MuteMembers(ctx, "Mary"))
		_, err = marys.Send(ctx, realtime.NewTextMessage("let me speak"))
		require.ErrorIs(t, err, realtime.ErrSilenced)
		muted, err := marys.CheckMutedMembers(ctx, "Mary", "Ada")
		require.NoError(t, err)
		require.Equal(t, []string{"Mary"}, muted)
		require.ErrorIs(t, marys.UnmuteMembers(ctx, "Mary"), realtime.ErrConversationOperationUnauthorized)
		require.NoError(t, jerrys.UnmuteMembers(ctx, "Mary"))
		mustSend(t, marys, "thank you")
	})
}

func TestE2ESaveAttributes(t *testing.T) {
	play(t, []string{"Tom", "Jerry"}, func(t *testing.T, s *story) {
		conv := s.conversation("Tom", "Jerry")
		jerrys := s.as("Jerry", conv)
		ctx := t.Context()
		require.NoError(t, conv.Save(ctx, map[string]any{"attr": map[string]any{"a": 1, "b": 2}, "name": "x"}))
		require.NoError(t, conv.Save(ctx, map[string]any{"attr.b": 3, "attr.c": "new"}))
		settle()
		for _, c := range []*realtime.Conversation{conv, jerrys} {
			require.Equal(t, "x", c.Name())
			require.EqualValues(t, 1, c.Get("attr.a"))
			require.EqualValues(t, 3, c.Get("attr.b"))
			require.Equal(t, "new", c.Get("attr.c"))
		}
		require.Error(t, conv.Save(ctx, map[string]any{"m": []string{"Mary"}}), "reserved")
	})
}

func TestE2EConversationKinds(t *testing.T) {
	play(t, []string{"Tom", "Jerry"}, func(t *testing.T, s *story) {
		ctx := t.Context()
		tom, jerry := s.clients["Tom"], s.clients["Jerry"]

		room, err := tom.CreateChatRoom(ctx, realtime.ChatRoomOptions{Name: "lobby"})
		require.NoError(t, err)
		require.Equal(t, realtime.KindChatRoom, room.Kind())
		jerrysRoom, err := jerry.GetConversation(ctx, room.ID())
		require.NoError(t, err)
		require.Equal(t, realtime.KindChatRoom, jerrysRoom.Kind())
		require.NoError(t, jerrysRoom.Join(ctx))
		n, err := room.Count(ctx)
		require.NoError(t, err)
		require.Equal(t, 2, n)
		present, err := room.OnlineMembers(ctx)
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"Tom", "Jerry"}, present)
		s.happened()
		mustSend(t, room, "hello room")
		require.Equal(t, map[string][]string{"Jerry": {"Tom: hello room"}}, s.happened())
		require.NoError(t, jerrysRoom.Quit(ctx))
		mustSend(t, room, "gone?")
		require.Empty(t, s.happened())
		require.ErrorIs(t, room.Add(ctx, "Jerry"), realtime.ErrNormalConversationRequired)

		temp, err := tom.CreateTemporaryConversation(ctx, realtime.TemporaryConversationOptions{
			Members: []string{"Jerry"}, TTL: time.Hour,
		})
		require.NoError(t, err)
		require.Equal(t, realtime.KindTemporary, temp.Kind())
		require.False(t, temp.Expired())
		require.WithinDuration(t, time.Now().Add(time.Hour), temp.ExpiredAt(), time.Second)
		s.happened()
		mustSend(t, temp, "short-lived")
		require.Contains(t, s.happened()["Jerry"], "Tom: short-lived")
		time.Sleep(time.Hour + time.Second)
		require.True(t, temp.Expired())
		_, err = temp.Send(ctx, realtime.NewTextMessage("too late"))
		require.ErrorIs(t, err, realtime.ErrTemporaryConversationExpired)
	})
}

func TestE2EConversationsByID(t *testing.T) {
	play(t, []string{"Tom", "Jerry"}, func(t *testing.T, s *story) {
		ctx := t.Context()
		first, second := s.conversation("Tom", "Jerry"), s.conversation("Tom", "Mary")
		const unknown = "555555555555555555555555"
		_, err := s.clients["Jerry"].GetConversation(ctx, unknown)
		require.ErrorIs(t, err, realtime.ErrConversationNotFound)
		list, err := s.clients["Jerry"].GetConversations(ctx, []string{second.ID(), unknown, first.ID()})
		require.NoError(t, err)
		require.Len(t, list, 2)
		require.Equal(t, second.ID(), list[0].ID())
		require.Equal(t, first.ID(), list[1].ID())
	})
}
