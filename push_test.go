package realtime_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rttest"
	"github.com/leanrtm/realtime/internal/wire"
)

// pushed sends a conv push to Tom.
func (s *stage) pushed(op pb.OpType, m *pb.ConvCommand) {
	now := time.Now()
	m.Udate = proto.String(iso(now))
	if m.InitBy == nil {
		m.InitBy = proto.String("Jerry")
	}
	cmd := &pb.GenericCommand{
		Cmd: pb.CommandType_conv.Enum(), Op: op.Enum(), PeerId: proto.String("Tom"),
		ServerTs: proto.Int64(now.UnixMilli()), ConvMessage: m,
	}
	if op == pb.OpType_joined || op == pb.OpType_left {
		cmd.NotificationType = proto.Int32(wire.NotificationPermanent)
	}
	s.Socket().Send(cmd)
}

func TestMessageEvent(t *testing.T) {
	withConversation(t, realtime.Options{Plugins: []realtime.Plugin{{MessageTypes: []realtime.Content{&RedPacket{}}}}},
		func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
			var got []*realtime.Message
			tom.OnMessage(func(_ context.Context, e *realtime.MessageEvent) {
				require.Same(t, conv, e.Conversation)
				if !e.Message.Transient {
					require.Same(t, e.Message, conv.LastMessage(), "state comes first")
				}
				got = append(got, e.Message)
			})
			push := func(d *pb.DirectCommand) *realtime.Message {
				t.Helper()
				time.Sleep(time.Millisecond)
				d.Cid, d.Id, d.Timestamp = proto.String("a"), proto.String(s.ID("m")), proto.Int64(time.Now().UnixMilli())
				if d.FromPeerId == nil {
					d.FromPeerId = proto.String("Jerry")
				}
				before := len(got)
				s.Socket().Send(&pb.GenericCommand{Cmd: pb.CommandType_direct.Enum(), PeerId: proto.String("Tom"), DirectMessage: d})
				synctest.Wait()
				require.Len(t, got, before+1)
				return got[before]
			}
			m := push(&pb.DirectCommand{Msg: proto.String(`{"_lctype":1,"_lctext":"hi","cents":5,"new":1}`), MentionPids: []string{"Mary", "Tom"}})
			require.Equal(t, &RedPacket{realtime.TypedMessage{Text: "hi"}, 5}, m.Content)
			require.Equal(t, `{"_lctype":1,"_lctext":"hi","cents":5,"new":1}`, string(m.Payload()))
			require.True(t, m.Mentioned)
			require.Equal(t, []string{"Mary", "Tom"}, m.MentionList)
			require.Zero(t, m.UpdatedAt)
			require.Equal(t, time.Now().UTC(), m.Timestamp)
			require.Equal(t, realtime.StatusNone, m.Status)
			require.Equal(t, 1, conv.UnreadMessagesCount())
			require.True(t, conv.UnreadMessagesMentioned())
			require.Equal(t, m.Timestamp, conv.LastMessageAt())

			m = push(&pb.DirectCommand{Msg: proto.String("plain"), MentionAll: proto.Bool(true), PatchTimestamp: proto.Int64(5)})
			require.True(t, m.Mentioned)
			require.Equal(t, time.UnixMilli(5).UTC(), m.UpdatedAt)
			require.Equal(t, 2, conv.UnreadMessagesCount())

			m = push(&pb.DirectCommand{BinaryMsg: []byte{0, 1}})
			require.Equal(t, realtime.NewBinaryMessage([]byte{0, 1}), m.Content)
			m = push(&pb.DirectCommand{BinaryMsg: []byte{}})
			require.Equal(t, realtime.NewBinaryMessage([]byte{}), m.Content)
			require.Equal(t, 4, conv.UnreadMessagesCount())

			m = push(&pb.DirectCommand{Msg: proto.String("typing"), Transient: proto.Bool(true)})
			require.True(t, m.Transient)
			require.Equal(t, 4, conv.UnreadMessagesCount(), "transient messages do not count")

			m = push(&pb.DirectCommand{Msg: proto.String("mine"), FromPeerId: proto.String("Tom"), MentionAll: proto.Bool(true)})
			require.Equal(t, realtime.StatusSent, m.Status)
			require.False(t, m.Mentioned)
			require.Equal(t, 4, conv.UnreadMessagesCount(), "own messages from other devices do not count")

			m = push(&pb.DirectCommand{Msg: proto.String(`{"_lctype":1,"cents":"x"}`)})
			require.Error(t, m.ContentErr())
			require.IsType(t, &RedPacket{}, m.Content)
		})
}

func TestRepeatedPushIsDropped(t *testing.T) {
	withConversation(t, realtime.Options{}, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
		l := listen(tom)
		first := s.said("a", "Jerry", "m1", "one")
		time.Sleep(time.Millisecond)
		second := s.said("a", "Jerry", "m2", "two")
		for _, item := range []*pb.LogItem{first, second, first, second, second} {
			s.push("Tom", "a", item)
		}
		require.Equal(t, []string{
			"a: 1 unread, mentioned false", "a: Jerry: one", "a: 2 unread, mentioned false", "a: Jerry: two",
		}, l.take())
	})
}

// A message of a conversation that cannot be fetched is delivered all the same.
func TestMessageOfUnknownConversation(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		tom := s.open("Tom")
		var convs []*realtime.Conversation
		tom.OnMessage(func(_ context.Context, e *realtime.MessageEvent) { convs = append(convs, e.Conversation) })
		cmd := direct("Tom", "hidden", s.said("hidden", "Jerry", "m1", "hi"))
		cmd.DirectMessage.ConvType = proto.Int32(wire.KindService)
		s.Socket().Send(cmd)
		synctest.Wait()
		require.Len(t, convs, 1)
		require.Equal(t, "hidden", convs[0].ID())
		require.Equal(t, realtime.KindService, convs[0].Kind())
		require.Len(t, s.commands(pb.CommandType_conv, pb.OpType_query), 1)
		s.push("Tom", "hidden", s.said("hidden", "Jerry", "m2", "hi"))
		synctest.Wait()
		require.Len(t, s.commands(pb.CommandType_conv, pb.OpType_query), 1, "not asked again at once")

		s.has("hidden", map[string]any{"name": "now visible", "conv_type": 3})
		time.Sleep(2 * time.Minute)
		s.push("Tom", "hidden", s.said("hidden", "Jerry", "m3", "hi"))
		synctest.Wait()
		require.Len(t, convs, 3)
		require.Same(t, convs[0], convs[2])
		require.Equal(t, "now visible", convs[0].Name())
	})
}

func TestBeforeMessageDispatch(t *testing.T) {
	var first, second []string
	onlyGood := realtime.Plugin{BeforeMessageDispatch: func(m *realtime.Message, conv *realtime.Conversation) bool {
		first = append(first, m.Text())
		return m.Text() != "bad"
	}}
	watch := realtime.Plugin{BeforeMessageDispatch: func(m *realtime.Message, conv *realtime.Conversation) bool {
		second = append(second, m.Text())
		return true
	}}
	withConversation(t, realtime.Options{Plugins: []realtime.Plugin{onlyGood, watch}}, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
		l := listen(tom)
		for i, text := range []string{"good", "bad", "better"} {
			time.Sleep(time.Millisecond)
			s.push("Tom", "a", s.said("a", "Jerry", fmt.Sprint("m", i), text))
		}
		require.Equal(t, []string{
			"a: 1 unread, mentioned false", "a: Jerry: good", "a: 2 unread, mentioned false", "a: Jerry: better",
		}, l.take())
		require.Equal(t, []string{"good", "bad", "better"}, first)
		require.Equal(t, []string{"good", "better"}, second)
	})
}

// acks are the acknowledged spans that the server has seen, as "id from-to" in
// ms since the test began.
func (s *stage) acks(began time.Time) (out []string) {
	synctest.Wait()
	for _, cmd := range s.commands(pb.CommandType_ack, 0) {
		m := cmd.GetAckMessage()
		out = append(out, fmt.Sprintf("%s %d-%d", m.GetCid(), m.GetFromts()-began.UnixMilli(), m.GetTots()-began.UnixMilli()))
	}
	return out
}

func TestAcks(t *testing.T) {
	withConversation(t, realtime.Options{}, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
		s.has("room", map[string]any{"conv_type": 2, "tr": true})
		_, err := tom.GetConversation(t.Context(), "room")
		require.NoError(t, err)
		began := time.Now()
		say := func(cid, from string) {
			time.Sleep(100 * time.Millisecond)
			s.push("Tom", cid, s.said(cid, from, s.ID("m"), "hi"))
			synctest.Wait()
		}
		say("a", "Jerry")
		require.Equal(t, []string{"a 100-100"}, s.acks(began), "the first at once")
		say("a", "Jerry")
		say("a", "Tom")
		say("room", "Jerry")
		say("a", "Jerry")
		transient := direct("Tom", "a", s.said("a", "Jerry", "t", "typing"))
		transient.DirectMessage.Transient = proto.Bool(true)
		s.Socket().Send(transient)
		require.Len(t, s.acks(began), 1)
		time.Sleep(time.Second)
		require.Equal(t, []string{"a 100-100", "a 200-500"}, s.acks(began))

		say("a", "Jerry")
		require.NoError(t, tom.Close(t.Context()))
		require.Equal(t, []string{"a 100-100", "a 200-500", "a 1600-1600"}, s.acks(began), "Close flushes")
	})
}

func TestAckAfterHandling(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		s.has("a", map[string]any{"m": []string{"Tom", "Jerry"}})
		tom := s.open("Tom", realtime.WithAckAfterHandling())
		tom.OnMessage(func(context.Context, *realtime.MessageEvent) { time.Sleep(10 * time.Second) })
		began := time.Now()
		time.Sleep(time.Millisecond)
		s.push("Tom", "a", s.said("a", "Jerry", "m1", "hi"))
		time.Sleep(9 * time.Second)
		require.Empty(t, s.acks(began))
		time.Sleep(2 * time.Second)
		require.Equal(t, []string{"a 1-1"}, s.acks(began))
	})
}

// reads are what the server was told about read points.
func (s *stage) reads() (out []string) {
	synctest.Wait()
	for _, cmd := range s.commands(pb.CommandType_read, 0) {
		var one []string
		for _, c := range cmd.GetReadMessage().GetConvs() {
			one = append(one, fmt.Sprintf("%s %d %s", c.GetCid(), c.GetTimestamp()-epoch.UnixMilli(), c.GetMid()))
		}
		slices.Sort(one)
		out = append(out, fmt.Sprint(one))
	}
	return out
}

func TestRead(t *testing.T) {
	withConversation(t, realtime.Options{}, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
		l := listen(tom)
		s.has("b", map[string]any{"m": []string{"Tom", "Jerry"}})
		say := func(cid, id string) {
			time.Sleep(100 * time.Millisecond)
			s.push("Tom", cid, s.said(cid, "Jerry", id, "hi"))
			synctest.Wait()
		}
		say("a", "m1")
		say("b", "m2")
		l.take()
		require.NoError(t, conv.Read(t.Context()))
		require.Equal(t, []string{"a: 0 unread, mentioned false"}, l.take())
		require.Zero(t, conv.UnreadMessagesCount())
		require.Equal(t, []string{"[a 100 m1]"}, s.reads(), "the first at once")

		say("a", "m3")
		require.NoError(t, conv.Read(t.Context()))
		require.NoError(t, conv.Read(t.Context()))
		say("a", "m4") // after reading: not read
		l.take()
		time.Sleep(time.Second)
		require.Equal(t, []string{"[a 100 m1]", "[a 300 m3]"}, s.reads())
		require.Equal(t, 1, conv.UnreadMessagesCount())

		time.Sleep(time.Second)
		require.NoError(t, tom.MarkAllAsRead(t.Context()))
		require.Equal(t, "[a 400 m4 b 200 m2]", s.reads()[2])
		require.ElementsMatch(t, []string{"a: 0 unread, mentioned false", "b: 0 unread, mentioned false"}, l.take())
		require.NoError(t, tom.MarkAllAsRead(t.Context()), "nothing is unread")
		time.Sleep(2 * time.Second)
		require.Len(t, s.reads(), 3)

		m, err := conv.Send(t.Context(), realtime.NewTextMessage("mine"))
		require.NoError(t, err)
		require.NoError(t, tom.MarkAllAsRead(t.Context(), conv))
		require.Equal(t, fmt.Sprintf("[a %d ]", m.Timestamp.Sub(epoch).Milliseconds()), s.reads()[3], "own messages are not named")

		say("a", "m5")
		require.NoError(t, conv.Read(t.Context()))
		require.NoError(t, tom.Close(t.Context()))
		require.Len(t, s.reads(), 5, "Close flushes")
		require.ErrorIs(t, conv.Read(t.Context()), realtime.ErrClosed)
		require.ErrorIs(t, tom.MarkAllAsRead(t.Context()), realtime.ErrClosed)
	})
}

// What could not be told while away is told after the reconnect, and what may
// not have arrived is told again.
func TestAcksAndReadsSurviveReconnect(t *testing.T) {
	withConversation(t, realtime.Options{}, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
		began := time.Now()
		tom.OnMessage(func(context.Context, *realtime.MessageEvent) {})
		s.push("Tom", "a", s.said("a", "Jerry", "m1", "hi"))
		synctest.Wait()
		time.Sleep(100 * time.Millisecond)
		s.push("Tom", "a", s.said("a", "Jerry", "m2", "hi"))
		synctest.Wait()
		s.Socket().Drop()
		synctest.Wait()
		require.NoError(t, conv.Read(t.Context()))
		require.Zero(t, conv.UnreadMessagesCount())
		require.Len(t, s.acks(began), 1)
		require.Empty(t, s.reads())
		time.Sleep(5 * time.Second)
		require.Equal(t, []string{"a 0-0", "a 0-100"}, s.acks(began))
		require.Equal(t, []string{"[a 100 m2]"}, s.reads())
		require.NoError(t, conv.Fetch(t.Context())) // the answer shows that all of it has arrived
		s.Socket().Drop()
		time.Sleep(5 * time.Second)
		require.Len(t, s.acks(began), 2)
	})
}

func TestUnread(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		s.has("a", map[string]any{"m": []string{"Tom", "Jerry"}})
		s.has("b", map[string]any{"m": []string{"Tom", "Jerry"}})
		tom := s.rt.NewIMClient("Tom")
		l := listen(tom)
		require.NoError(t, tom.Open(t.Context()))
		require.Nil(t, s.last(pb.CommandType_session, pb.OpType_open).GetSessionMessage().LastUnreadNotifTime)
		tell := func(tuples ...*pb.UnreadTuple) {
			time.Sleep(time.Second)
			s.Socket().Send(&pb.GenericCommand{
				Cmd: pb.CommandType_unread.Enum(), PeerId: proto.String("Tom"),
				UnreadMessage: &pb.UnreadCommand{Convs: tuples, NotifTime: proto.Int64(time.Now().UnixMilli())},
			})
		}
		tell(
			&pb.UnreadTuple{
				Cid: proto.String("a"), Unread: proto.Int32(3), Mid: proto.String("m3"), Timestamp: proto.Int64(epoch.UnixMilli() - 5),
				From: proto.String("Jerry"), Data: proto.String(textContent("third")), Mentioned: proto.Bool(true), PatchTimestamp: proto.Int64(7),
			},
			&pb.UnreadTuple{Cid: proto.String("b"), Unread: proto.Int32(100), Mid: proto.String("m9"), Timestamp: proto.Int64(1), BinaryMsg: []byte{1}},
			&pb.UnreadTuple{Cid: proto.String("gone"), Unread: proto.Int32(1)},
		)
		require.Equal(t, []string{
			"a: 3 unread, mentioned true", "b: 100 unread, mentioned false", "gone: 1 unread, mentioned false",
		}, l.take())
		require.LessOrEqual(t, len(s.commands(pb.CommandType_conv, pb.OpType_query)), 2, "fetched together")
		a, err := tom.GetConversation(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, 3, a.Info().UnreadMessagesCount)
		require.Equal(t, "third", a.LastMessage().Text())
		require.Equal(t, time.UnixMilli(7).UTC(), a.LastMessage().UpdatedAt)
		require.Equal(t, epoch.Add(-5*time.Millisecond), a.LastMessageAt())

		tell(&pb.UnreadTuple{Cid: proto.String("a"), Unread: proto.Int32(3), Mentioned: proto.Bool(true)})
		require.Empty(t, l.take(), "nothing has changed")
		told := time.Now().UnixMilli()
		tell(&pb.UnreadTuple{Cid: proto.String("a"), Unread: proto.Int32(0)})
		require.Equal(t, []string{"a: 0 unread, mentioned false"}, l.take())

		s.Socket().Drop()
		time.Sleep(5 * time.Second)
		opened := s.last(pb.CommandType_session, pb.OpType_open).GetSessionMessage()
		require.Equal(t, told+1000, opened.GetLastUnreadNotifTime())
	})
}

func TestPatches(t *testing.T) {
	withConversation(t, realtime.Options{}, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
		l := listen(tom)
		var reasons []*realtime.PatchReason
		conv.OnMessageUpdate(func(_ context.Context, e *realtime.MessageUpdateEvent) {
			reasons = append(reasons, e.Reason)
			require.True(t, e.Message.Mentioned)
		})
		own, err := conv.Send(t.Context(), realtime.NewTextMessage("mine"))
		require.NoError(t, err)
		time.Sleep(time.Second)
		item := s.said("a", "Jerry", "m1", "one")
		s.push("Tom", "a", item)
		l.take()
		patch := func(patches ...*pb.PatchItem) {
			s.Socket().Send(&pb.GenericCommand{
				Cmd: pb.CommandType_patch.Enum(), Op: pb.OpType_modify.Enum(), PeerId: proto.String("Tom"),
				PatchMessage: &pb.PatchCommand{Patches: patches},
			})
		}
		time.Sleep(time.Second)
		edit := &pb.PatchItem{
			Cid: proto.String("a"), Mid: proto.String("m1"), Timestamp: item.Timestamp, From: proto.String("Jerry"), Recall: proto.Bool(false),
			Data: proto.String(textContent("two")), PatchTimestamp: proto.Int64(time.Now().UnixMilli()), MentionPids: []string{"Tom"},
		}
		patch(edit, edit)
		require.Equal(t, []string{"a: updated m1 to two"}, l.take())
		require.Equal(t, "two", conv.LastMessage().Text())
		require.Equal(t, time.Now().UTC(), conv.LastMessage().UpdatedAt)

		time.Sleep(time.Second)
		system := proto.Clone(edit).(*pb.PatchItem)
		system.PatchCode, system.PatchReason, system.PatchTimestamp = proto.Int64(-4408), proto.String("words"), proto.Int64(time.Now().UnixMilli())
		patch(system)
		require.Equal(t, []string{"a: updated m1 to two"}, l.take())
		require.Equal(t, []*realtime.PatchReason{nil, {Code: -4408, Detail: "words"}}, reasons)

		time.Sleep(time.Second)
		patch(&pb.PatchItem{
			Cid: proto.String("a"), Mid: proto.String("m1"), Timestamp: item.Timestamp, From: proto.String("Jerry"),
			Recall: proto.Bool(true), PatchTimestamp: proto.Int64(time.Now().UnixMilli()),
		})
		require.Equal(t, []string{"a: recalled m1"}, l.take())
		require.IsType(t, &realtime.RecalledMessage{}, conv.LastMessage().Content)
		newest := time.Now().UnixMilli()

		// After a reconnect the server tells what was missed, and also the
		// client's own edit.
		time.Sleep(time.Second)
		edited, err := conv.Update(t.Context(), own, realtime.NewTextMessage("mine, edited"))
		require.NoError(t, err)
		s.Socket().Drop()
		time.Sleep(100 * time.Millisecond)
		missed := proto.Clone(edit).(*pb.PatchItem)
		missed.Mid, missed.PatchTimestamp = proto.String("m0"), proto.Int64(time.Now().UnixMilli())
		time.Sleep(5 * time.Second)
		require.Equal(t, newest, s.last(pb.CommandType_session, pb.OpType_open).GetSessionMessage().GetLastPatchTime())
		l.take()
		patch(&pb.PatchItem{
			Cid: proto.String("a"), Mid: &own.ID, Timestamp: proto.Int64(own.Timestamp.UnixMilli()), From: proto.String("Tom"),
			Data: proto.String(textContent("mine, edited")), PatchTimestamp: proto.Int64(edited.UpdatedAt.UnixMilli()),
		}, missed)
		require.Equal(t, []string{"a: updated m0 to two (recovered)"}, l.take())
	})
}

func TestMemberEvents(t *testing.T) {
	withConversation(t, realtime.Options{}, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
		var got []string
		note := func(format string, args ...any) { got = append(got, fmt.Sprintf(format, args...)) }
		tom.OnInvited(func(_ context.Context, e *realtime.InvitedEvent) {
			note("invited by %s: %v", e.InvitedBy, e.Conversation.Members())
		})
		tom.OnKicked(func(_ context.Context, e *realtime.KickedEvent) {
			note("kicked by %s: %v", e.KickedBy, e.Conversation.Members())
		})
		tom.OnMembersJoined(func(_ context.Context, e *realtime.MembersJoinedEvent) {
			note("%v joined by %s: %v", e.Members, e.InvitedBy, e.Conversation.Members())
		})
		tom.OnMembersLeft(func(_ context.Context, e *realtime.MembersLeftEvent) {
			note("%v left by %s: %v", e.Members, e.KickedBy, e.Conversation.Members())
		})
		tom.OnBlocked(func(_ context.Context, e *realtime.BlockedEvent) { note("blocked by %s", e.BlockedBy) })
		tom.OnUnblocked(func(_ context.Context, e *realtime.UnblockedEvent) { note("unblocked by %s", e.UnblockedBy) })
		tom.OnMuted(func(_ context.Context, e *realtime.MutedEvent) { note("muted by %s", e.MutedBy) })
		tom.OnUnmuted(func(_ context.Context, e *realtime.UnmutedEvent) { note("unmuted by %s", e.UnmutedBy) })
		tom.OnMembersBlocked(func(_ context.Context, e *realtime.MembersBlockedEvent) {
			note("%v blocked by %s", e.Members, e.BlockedBy)
		})
		tom.OnMembersUnblocked(func(_ context.Context, e *realtime.MembersUnblockedEvent) {
			note("%v unblocked by %s", e.Members, e.UnblockedBy)
		})
		tom.OnMembersMuted(func(_ context.Context, e *realtime.MembersMutedEvent) { note("%v muted by %s", e.Members, e.MutedBy) })
		tom.OnMembersUnmuted(func(_ context.Context, e *realtime.MembersUnmutedEvent) {
			note("%v unmuted by %s", e.Members, e.UnmutedBy)
		})
		tom.OnMemberInfoUpdated(func(_ context.Context, e *realtime.MemberInfoUpdatedEvent) {
			note("%v by %s", e.MemberInfo, e.UpdatedBy)
		})
		tom.OnInfoUpdated(func(_ context.Context, e *realtime.InfoUpdatedEvent) {
			note("%v by %s: %v %v", e.Attributes, e.UpdatedBy, e.Conversation.Name(), e.Conversation.Get("attr"))
		})
		m := func(ids ...string) *pb.ConvCommand { return &pb.ConvCommand{Cid: proto.String("a"), M: ids} }
		for _, tt := range []struct {
			op   pb.OpType
			m    *pb.ConvCommand
			want string
		}{
			{pb.OpType_members_joined, m("Mary", "Tom"), "[Mary Tom] joined by Jerry: [Tom Jerry Mary]"},
			{pb.OpType_members_left, m("Mary"), "[Mary] left by Jerry: [Tom Jerry]"},
			{pb.OpType_left, m(), "kicked by Jerry: [Jerry]"},
			{pb.OpType_joined, m(), "invited by Jerry: [Jerry Tom]"},
			{pb.OpType_blocked, m(), "blocked by Jerry"},
			{pb.OpType_unblocked, m(), "unblocked by Jerry"},
			{pb.OpType_shutuped, m(), "muted by Jerry"},
			{pb.OpType_unshutuped, m(), "unmuted by Jerry"},
			{pb.OpType_members_blocked, m("X"), "[X] blocked by Jerry"},
			{pb.OpType_members_unblocked, m("X"), "[X] unblocked by Jerry"},
			{pb.OpType_members_shutuped, m("X"), "[X] muted by Jerry"},
			{pb.OpType_members_unshutuped, m("X"), "[X] unmuted by Jerry"},
			{pb.OpType_member_info_changed, &pb.ConvCommand{
				Cid: proto.String("a"), Info: &pb.ConvMemberInfo{Pid: proto.String("Mary"), Role: proto.String("Manager")},
			}, "{a Mary Manager} by Jerry"},
			{pb.OpType_member_info_changed, &pb.ConvCommand{Cid: proto.String("a"), Info: &pb.ConvMemberInfo{Pid: proto.String("Mary")}}, ""},
			{pb.OpType_updated, &pb.ConvCommand{
				Cid: proto.String("a"), Attr: &pb.JsonObjectMessage{Data: proto.String(`{"attr.x":1,"name":"new"}`)},
			}, "map[attr.x:1 name:new] by Jerry: new map[x:1]"},
			{pb.OpType_updated, &pb.ConvCommand{
				Cid: proto.String("a"), Attr: &pb.JsonObjectMessage{Data: proto.String(`{"attr.x":{"__op":"Increment","amount":1}}`)},
				AttrModified: &pb.JsonObjectMessage{Data: proto.String(`{"attr":{"x":2}}`)},
			}, "map[attr.x:map[__op:Increment amount:1]] by Jerry: new map[x:2]"},
			{pb.OpType_results, m(), ""},
		} {
			time.Sleep(time.Millisecond)
			got = nil
			s.pushed(tt.op, tt.m)
			synctest.Wait()
			if tt.want == "" {
				require.Empty(t, got)
			} else {
				require.Equal(t, []string{tt.want}, got)
			}
		}
	})
}

// Bodies that are absent or make no sense are survived.
func TestStrangePushes(t *testing.T) {
	withConversation(t, realtime.Options{}, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
		l := listen(tom)
		for cmd := range pb.CommandType_name {
			if pb.CommandType(cmd) == pb.CommandType_goaway || pb.CommandType(cmd) == pb.CommandType_session {
				continue
			}
			for op := range pb.OpType_name {
				s.Socket().Send(&pb.GenericCommand{Cmd: pb.CommandType(cmd).Enum(), Op: pb.OpType(op).Enum(), PeerId: proto.String("Tom")})
			}
		}
		s.pushed(pb.OpType_updated, &pb.ConvCommand{Cid: proto.String("a"), Attr: &pb.JsonObjectMessage{Data: proto.String("[")}})
		s.Socket().Send(&pb.GenericCommand{
			Cmd: pb.CommandType_direct.Enum(), PeerId: proto.String("Tom"), DirectMessage: &pb.DirectCommand{Cid: proto.String("a")},
		})
		time.Sleep(time.Millisecond)
		s.push("Tom", "a", s.said("a", "Jerry", "m1", "still here"))
		got := l.take()
		require.Equal(t, "a: Jerry: still here", got[len(got)-1])
		require.NoError(t, tom.Err())
	})
}

func TestReceipts(t *testing.T) {
	withConversation(t, realtime.Options{}, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
		var got []string
		tom.OnLastDeliveredAtUpdate(func(_ context.Context, e *realtime.LastDeliveredAtUpdateEvent) {
			got = append(got, fmt.Sprint("delivered ", e.At.UnixMilli(), e.By, e.MessageID))
		})
		conv.OnLastReadAtUpdate(func(_ context.Context, e *realtime.LastReadAtUpdateEvent) {
			got = append(got, fmt.Sprint("read ", e.At.UnixMilli(), e.By, e.MessageID))
		})
		receipt := func(at int64, read bool) {
			m := &pb.RcpCommand{Cid: proto.String("a"), Id: proto.String("m"), T: proto.Int64(at), From: proto.String("Jerry")}
			if read {
				m.Read = proto.Bool(true)
			}
			s.Socket().Send(&pb.GenericCommand{Cmd: pb.CommandType_rcp.Enum(), PeerId: proto.String("Tom"), RcpMessage: m})
		}
		receipt(1000, false)
		receipt(2000, true)
		receipt(500, false)
		synctest.Wait()
		require.Equal(t, []string{"delivered 1000Jerrym", "read 2000Jerrym"}, got)

		var times *pb.ConvCommand
		s.On(pb.CommandType_conv, pb.OpType_max_read, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			reply := sock.Reply(cmd, pb.CommandType_conv, pb.OpType_max_read)
			reply.ConvMessage = times
			return reply
		})
		times = &pb.ConvCommand{}
		require.NoError(t, conv.FetchReceiptTimestamps(t.Context()))
		require.Equal(t, time.UnixMilli(1000).UTC(), conv.LastDeliveredAt())
		times = &pb.ConvCommand{MaxAckTimestamp: proto.Int64(3000), MaxReadTimestamp: proto.Int64(1500)}
		require.NoError(t, conv.FetchReceiptTimestamps(t.Context()))
		require.Equal(t, time.UnixMilli(3000).UTC(), conv.LastDeliveredAt())
		require.Equal(t, time.UnixMilli(2000).UTC(), conv.LastReadAt())
		synctest.Wait()
		require.Equal(t, "delivered 3000Jerry", got[2])

		times = &pb.ConvCommand{MaxReadTuples: []*pb.MaxReadTuple{
			{Pid: proto.String("Jerry"), MaxAckTimestamp: proto.Int64(5), MaxReadTimestamp: proto.Int64(4)},
			{Pid: proto.String("Mary"), MaxAckTimestamp: proto.Int64(3)}, {Pid: proto.String("Nobody")},
		}}
		all, err := conv.FetchMemberReceipts(t.Context())
		require.NoError(t, err)
		require.Equal(t, []realtime.MemberReceipt{
			{MemberID: "Jerry", DeliveredAt: time.UnixMilli(5).UTC(), ReadAt: time.UnixMilli(4).UTC()},
			{MemberID: "Mary", DeliveredAt: time.UnixMilli(3).UTC()},
		}, all)

		s.pushed(pb.OpType_members_joined, &pb.ConvCommand{Cid: proto.String("a"), M: []string{"Mary"}})
		synctest.Wait()
		require.Zero(t, conv.LastDeliveredAt(), "only in conversations of two")
	})
}
