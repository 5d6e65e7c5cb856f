package realtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rttest"
)

func TestAddAndRemove(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		s.has("a", map[string]any{"m": []string{"Tom"}})
		var signed []realtime.SignRequest
		signer := realtime.SignerFunc(func(_ context.Context, r realtime.SignRequest) (realtime.Signature, error) {
			signed = append(signed, r)
			return realtime.Signature{Signature: "s", Timestamp: 1, Nonce: "n"}, nil
		})
		tom := s.open("Tom", realtime.WithSigner(signer))
		conv, err := tom.GetConversation(t.Context(), "a")
		require.NoError(t, err)
		signed = nil
		require.NoError(t, conv.Add(t.Context(), "Mary", "Jerry", "Mary"))
		asked := s.last(pb.CommandType_conv, pb.OpType_add).GetConvMessage()
		require.Equal(t, []string{"Jerry", "Mary"}, asked.GetM())
		require.Equal(t, "s", asked.GetS())
		require.Equal(t, []string{"Tom", "Jerry", "Mary"}, conv.Members())
		require.NoError(t, conv.Remove(t.Context(), "Mary"))
		require.Equal(t, []string{"Tom", "Jerry"}, conv.Members())
		require.NoError(t, conv.Quit(t.Context()))
		require.Equal(t, []string{"Jerry"}, conv.Members())
		require.NoError(t, conv.Join(t.Context()))
		require.Equal(t, []string{"Jerry", "Tom"}, conv.Members())
		require.Equal(t, []realtime.SignRequest{
			{Action: realtime.SignInvite, AppID: "app", ClientID: "Tom", ConversationID: "a", Members: []string{"Jerry", "Mary"}},
			{Action: realtime.SignKick, AppID: "app", ClientID: "Tom", ConversationID: "a", Members: []string{"Mary"}},
			{Action: realtime.SignKick, AppID: "app", ClientID: "Tom", ConversationID: "a", Members: []string{"Tom"}},
			{Action: realtime.SignInvite, AppID: "app", ClientID: "Tom", ConversationID: "a", Members: []string{"Tom"}},
		}, signed)

		sent := len(s.Commands())
		require.NoError(t, conv.Add(t.Context()), "nobody: nothing to do")
		require.ErrorIs(t, conv.Add(t.Context(), "X", ""), realtime.ErrInvalidArgument)
		require.Len(t, s.Commands(), sent)

		partial := func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			reply := s.Usual(sock, cmd)
			reply.ConvMessage.AllowedPids = []string{"Ann"}
			reply.ConvMessage.FailedPids = []*pb.ErrorCommand{
				{Code: proto.Int32(4548), Reason: proto.String("BLOCKED_BY_CONV"), Pids: []string{"X", "Y"}},
				{Code: proto.Int32(4304), Reason: proto.String(""), Detail: proto.String("500 members"), Pids: []string{"Z"}},
			}
			return reply
		}
		s.On(pb.CommandType_conv, pb.OpType_add, partial)
		err = conv.Add(t.Context(), "Ann", "X", "Y", "Z")
		var e *realtime.PartialError
		require.ErrorAs(t, err, &e)
		require.Equal(t, []string{"Ann"}, e.Succeeded)
		require.Len(t, e.Failures, 2)
		require.Equal(t, []string{"X", "Y"}, e.Failures[0].ClientIDs)
		require.ErrorIs(t, err, realtime.ErrBlockedByConv)
		require.ErrorIs(t, err, realtime.ErrConversationFull)
		require.Equal(t, "CONVERSATION_FULL", e.Failures[1].Err.Reason)
		require.True(t, realtime.SafeToRetry(err))
		require.Contains(t, conv.Members(), "Ann")
		require.NotContains(t, conv.Members(), "X")

		err = conv.Join(t.Context())
		require.ErrorIs(t, err, realtime.ErrBlockedByConv)
		require.False(t, errors.As(err, &e), "one id: one error")

		// An answer that comes after a newer push changes nothing. (Having come back,
		// the client would ask for the conversation at its first push.)
		require.NoError(t, conv.Fetch(t.Context()))
		s.On(pb.CommandType_conv, pb.OpType_add, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			reply := s.Usual(sock, cmd)
			reply.ConvMessage.Udate = proto.String(iso(time.Now()))
			time.Sleep(time.Second)
			s.pushed(pb.OpType_members_left, &pb.ConvCommand{Cid: proto.String("a"), M: cmd.GetConvMessage().GetM()})
			time.Sleep(time.Second)
			return reply
		})
		require.NoError(t, conv.Add(t.Context(), "Late"))
		require.NotContains(t, conv.Members(), "Late")
	})
}

func TestSilenceAndBlock(t *testing.T) {
	withConversation(t, realtime.Options{}, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
		ctx := t.Context()
		require.NoError(t, conv.MuteMembers(ctx, "X", "A"))
		require.Equal(t, []string{"A", "X"}, s.last(pb.CommandType_conv, pb.OpType_add_shutup).GetConvMessage().GetM())
		require.NoError(t, conv.UnmuteMembers(ctx, "X"))
		require.Equal(t, "a", s.last(pb.CommandType_conv, pb.OpType_remove_shutup).GetConvMessage().GetCid())
		require.NoError(t, conv.BlockMembers(ctx, "X"))
		require.Equal(t, []string{"X"}, s.last(pb.CommandType_blacklist, pb.OpType_block).GetBlacklistMessage().GetToPids())
		require.NoError(t, conv.UnblockMembers(ctx, "X"))
		require.Equal(t, "a", s.last(pb.CommandType_blacklist, pb.OpType_unblock).GetBlacklistMessage().GetSrcCid())

		s.On(pb.CommandType_conv, pb.OpType_query_shutup, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			q := cmd.GetConvMessage()
			reply := sock.Reply(cmd, pb.CommandType_conv, pb.OpType_shutup_result)
			reply.ConvMessage = &pb.ConvCommand{M: []string{fmt.Sprint(q.Limit == nil, q.GetNext())}}
			if q.GetNext() == "" {
				reply.ConvMessage.Next = proto.String("two")
			}
			return reply
		})
		page, err := conv.QueryMutedMembers(ctx, realtime.PageQuery{})
		require.NoError(t, err)
		require.Equal(t, realtime.MemberPage{Members: []string{"true"}, Next: "two"}, page)
		page, err = conv.QueryMutedMembers(ctx, realtime.PageQuery{Limit: 2, Next: page.Next})
		require.NoError(t, err)
		require.Equal(t, realtime.MemberPage{Members: []string{"falsetwo"}}, page)
		_, err = conv.QueryMutedMembers(ctx, realtime.PageQuery{Limit: -1})
		require.ErrorIs(t, err, realtime.ErrInvalidArgument)

		blacklist := func(op pb.OpType, m *pb.BlacklistCommand) rttest.Handler {
			return func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
				reply := sock.Reply(cmd, pb.CommandType_blacklist, op)
				reply.BlacklistMessage = m
				return reply
			}
		}
		s.On(pb.CommandType_blacklist, pb.OpType_query, blacklist(pb.OpType_query_result, &pb.BlacklistCommand{BlockedPids: []string{"X"}, Next: proto.String("n")}))
		page, err = conv.QueryBlockedMembers(ctx, realtime.PageQuery{Limit: 1})
		require.NoError(t, err)
		require.Equal(t, realtime.MemberPage{Members: []string{"X"}, Next: "n"}, page)
		s.On(pb.CommandType_blacklist, pb.OpType_check_block, blacklist(pb.OpType_check_result, &pb.BlacklistCommand{BlockedPids: []string{"X"}}))
		got, err := conv.CheckBlockedMembers(ctx, "X", "Y")
		require.NoError(t, err)
		require.Equal(t, []string{"X"}, got)
		s.On(pb.CommandType_conv, pb.OpType_check_shutup, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			reply := sock.Reply(cmd, pb.CommandType_conv, pb.OpType_check_result)
			reply.ConvMessage = &pb.ConvCommand{M: cmd.GetConvMessage().GetM()[:1]}
			return reply
		})
		got, err = conv.CheckMutedMembers(ctx, "X", "Y")
		require.NoError(t, err)
		require.Equal(t, []string{"X"}, got)
		got, err = conv.CheckMutedMembers(ctx)
		require.NoError(t, err)
		require.Empty(t, got)

		s.On(pb.CommandType_blacklist, pb.OpType_block, blacklist(pb.OpType_blocked, &pb.BlacklistCommand{
			FailedPids: []*pb.ErrorCommand{{Code: proto.Int32(4543), Reason: proto.String("BLACKLIST_FULL"), Pids: []string{"X"}}},
		}))
		require.ErrorIs(t, conv.BlockMembers(ctx, "X"), realtime.ErrBlacklistFull)
	})
}

func TestMuteNotifications(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		s.has("a", map[string]any{"m": []string{"Tom", "Jerry"}, "mu": []string{"Jerry"}})
		s.has("sys", map[string]any{"sys": true, "conv_type": 3})
		tom := s.open("Tom")
		conv, err := tom.GetConversation(t.Context(), "a")
		require.NoError(t, err)
		require.False(t, conv.NotificationsMuted())
		require.NoError(t, conv.Mute(t.Context()))
		require.True(t, conv.NotificationsMuted())
		require.Equal(t, []string{"Jerry", "Tom"}, conv.NotificationsMutedBy())
		require.NoError(t, conv.Unmute(t.Context()))
		require.Equal(t, []string{"Jerry"}, conv.NotificationsMutedBy())
		sys, err := tom.GetConversation(t.Context(), "sys")
		require.NoError(t, err)
		require.NoError(t, sys.Mute(t.Context()))
		require.True(t, sys.NotificationsMuted())
		require.Empty(t, sys.NotificationsMutedBy())
	})
}

func TestCounts(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		s.has("room", map[string]any{"tr": true, "conv_type": 2})
		tom := s.open("Tom")
		room, err := tom.GetConversation(t.Context(), "room")
		require.NoError(t, err)
		answer := func(m *pb.ConvCommand) rttest.Handler {
			return func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
				reply := sock.Reply(cmd, pb.CommandType_conv, pb.OpType_result)
				reply.ConvMessage = m
				return reply
			}
		}
		s.On(pb.CommandType_conv, pb.OpType_count, answer(&pb.ConvCommand{Count: proto.Int32(7)}))
		n, err := room.Count(t.Context())
		require.NoError(t, err)
		require.Equal(t, 7, n)
		s.On(pb.CommandType_conv, pb.OpType_members, answer(&pb.ConvCommand{M: []string{"X", "Y"}}))
		online, err := room.OnlineMembers(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"X", "Y"}, online)
		s.On(pb.CommandType_conv, pb.OpType_is_member, answer(&pb.ConvCommand{Results: &pb.JsonObjectMessage{Data: proto.String(`{"room":true}`)}}))
		is, err := room.IsMember(t.Context())
		require.NoError(t, err)
		require.True(t, is)
		require.Equal(t, []string{"room"}, s.last(pb.CommandType_conv, pb.OpType_is_member).GetConvMessage().GetCids())
		s.On(pb.CommandType_conv, pb.OpType_is_member, answer(&pb.ConvCommand{}))
		_, err = room.IsMember(t.Context())
		require.Error(t, err)
	})
}

func TestRoles(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		s.has("a", map[string]any{"c": "Owner", "m": []string{"Owner", "Tom", "Mary", "Ann"}})
		fetched := 0
		s.HandleHTTP("GET /1.1/classes/_ConversationMemberInfo", func(w http.ResponseWriter, r *http.Request) {
			fetched++
			if r.FormValue("where") != `{"cid":"a"}` || r.FormValue("client_id") != "Tom" || r.Header.Get("X-LC-IM-Session-Token") == "" {
				http.Error(w, "{}", http.StatusBadRequest)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]any{"results": []map[string]any{
				{"clientId": "Mary", "cid": "a", "role": "Manager"}, {"clientId": "Gone", "cid": "a", "role": "Manager"},
			}})
		})
		tom := s.open("Tom")
		conv, err := tom.GetConversation(t.Context(), "a")
		require.NoError(t, err)
		info := func(id string, role realtime.Role) realtime.MemberInfo {
			return realtime.MemberInfo{ConversationID: "a", MemberID: id, Role: role}
		}
		all, err := conv.GetAllMemberInfo(t.Context())
		require.NoError(t, err)
		require.Equal(t, []realtime.MemberInfo{
			info("Owner", realtime.RoleOwner), info("Tom", realtime.RoleMember), info("Mary", realtime.RoleManager), info("Ann", realtime.RoleMember),
		}, all)
		one, err := conv.GetMemberInfo(t.Context(), "Mary")
		require.NoError(t, err)
		require.Equal(t, info("Mary", realtime.RoleManager), one)
		_, err = conv.GetMemberInfo(t.Context(), "Gone")
		require.ErrorIs(t, err, realtime.ErrConversationMembershipRequired)
		require.Equal(t, 1, fetched)

		require.NoError(t, conv.UpdateMemberRole(t.Context(), "Ann", realtime.RoleManager))
		asked := s.last(pb.CommandType_conv, pb.OpType_member_info_update).GetConvMessage()
		require.Equal(t, "Ann", asked.GetTargetClientId())
		require.Equal(t, "Manager", asked.GetInfo().GetRole())
		s.pushed(pb.OpType_member_info_changed, &pb.ConvCommand{
			Cid: proto.String("a"), Info: &pb.ConvMemberInfo{Pid: proto.String("Mary"), Role: proto.String("Member")},
		})
		time.Sleep(time.Millisecond)
		all, err = conv.GetAllMemberInfo(t.Context())
		require.NoError(t, err)
		require.Equal(t, realtime.RoleMember, all[2].Role)
		require.Equal(t, realtime.RoleManager, all[3].Role)
		require.Equal(t, 1, fetched)
		all, err = conv.GetAllMemberInfo(t.Context(), realtime.WithoutCache())
		require.NoError(t, err)
		require.Equal(t, realtime.RoleManager, all[2].Role)
		require.Equal(t, 2, fetched)

		sent := len(s.Commands())
		require.ErrorIs(t, conv.UpdateMemberRole(t.Context(), "Ann", realtime.RoleOwner), realtime.ErrOwnerPromotionNotAllowed)
		require.ErrorIs(t, conv.UpdateMemberRole(t.Context(), "Ann", "King"), realtime.ErrUnknownConversationRole)
		require.ErrorIs(t, conv.UpdateMemberRole(t.Context(), "", realtime.RoleMember), realtime.ErrInvalidArgument)
		require.Len(t, s.Commands(), sent)
	})
}
