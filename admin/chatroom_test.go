package admin_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
)

func TestChatRoom(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		h, err := e.c.CreateChatRoom(e.ctx(), realtime.ChatRoomOptions{Name: "world", Attributes: map[string]any{"zone": 1}})
		require.NoError(t, err)
		tom, jerry := e.player("tom"), e.player("jerry")
		require.NoError(t, tom.conv(h.ID()).Join(e.ctx()))
		require.NoError(t, jerry.conv(h.ID()).Join(e.ctx()))

		info, err := h.Fetch(e.ctx())
		require.NoError(t, err)
		require.Equal(t, realtime.KindChatRoom, info.Kind)
		require.Equal(t, "world", info.Name)
		require.Equal(t, 1.0, info.Attributes["zone"])
		require.NoError(t, h.Save(e.ctx(), map[string]any{"zone": 2}))
		info, err = h.Fetch(e.ctx())
		require.NoError(t, err)
		require.Equal(t, 2.0, info.Attributes["zone"])

		n, err := h.Count(e.ctx())
		require.NoError(t, err)
		require.Equal(t, 2, n)
		online, err := h.OnlineMembers(e.ctx())
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"tom", "jerry"}, online)

		for _, p := range []realtime.MessagePriority{realtime.PriorityHigh, realtime.PriorityNormal, realtime.PriorityLow} {
			sent, err := h.Send(e.ctx(), admin.Message{
				From: "GM", Content: realtime.NewTextMessage("attention"), Priority: p, NoSync: true, PushData: "ignored",
			})
			require.NoError(t, err)
			require.Equal(t, []string{"attention"}, tom.texts())
			require.Equal(t, sent.ID, collect(t, h.Messages(e.ctx(), realtime.MessageQuery{}))[0].Message.ID)
		}
		tom.say(h.ID(), "hello, GM")
		history := collect(t, h.Messages(e.ctx(), realtime.MessageQuery{Direction: realtime.OldToNew}))
		require.Equal(t, []string{"attention", "attention", "attention", "hello, GM"}, said(history))

		tom.take()
		m := history[0].Message
		require.NoError(t, h.Update(e.ctx(), m, realtime.NewTextMessage("never mind")))
		require.Len(t, pick[*realtime.MessageUpdateEvent](tom), 1)
		require.NoError(t, h.Recall(e.ctx(), m))
		require.Len(t, pick[*realtime.MessageRecallEvent](tom), 1)
		require.NoError(t, h.DeleteMessage(e.ctx(), m))
		require.Len(t, collect(t, h.Messages(e.ctx(), realtime.MessageQuery{})), 3)

		speak := func() error {
			_, err := tom.conv(h.ID()).Send(e.ctx(), realtime.NewTextMessage("spam"))
			return err
		}
		require.NoError(t, h.MuteMembers(e.ctx(), "tom"))
		require.ErrorIs(t, speak(), realtime.ErrSilenced)
		page, err := h.QueryMutedMembers(e.ctx(), realtime.PageQuery{})
		require.NoError(t, err)
		require.Equal(t, []string{"tom"}, page.Members)
		require.NoError(t, h.UnmuteMembers(e.ctx(), "tom"))
		require.NoError(t, h.MuteMemberFor(e.ctx(), "tom", time.Minute))
		require.ErrorIs(t, speak(), realtime.ErrConversationTemporaryBlacklisted)
		require.NoError(t, h.MuteMemberFor(e.ctx(), "tom", 0))
		require.NoError(t, speak())

		require.NoError(t, h.BlockMembers(e.ctx(), "tom"))
		page, err = h.QueryBlockedMembers(e.ctx(), realtime.PageQuery{})
		require.NoError(t, err)
		require.Equal(t, []string{"tom"}, page.Members)
		n, err = h.Count(e.ctx())
		require.NoError(t, err)
		require.Equal(t, 1, n, "thrown out")
		require.ErrorIs(t, tom.conv(h.ID()).Join(e.ctx()), realtime.ErrBlockedByConv)
		require.NoError(t, h.UnblockMembers(e.ctx(), "tom"))
		require.NoError(t, tom.conv(h.ID()).Join(e.ctx()))

		require.NoError(t, h.Delete(e.ctx()))
		_, err = h.Fetch(e.ctx())
		require.ErrorIs(t, err, realtime.ErrConversationNotFound)
	})
}
