package realtime_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/server"
)

func TestSurfaceUpdateAndRecall(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		phone, desk, jerry := s.Client("Tom"), s.Client("Tom"), s.Client("Jerry")
		conv := s.group(phone, "Jerry", "Spike")
		theirs := s.as(jerry, conv)
		m := s.say(conv, "teh cat", realtime.WithMention("Jerry"))
		last := s.say(conv, "the mouse")
		onPhone, onDesk, byJerry := watch(phone), watch(desk), watch(jerry)

		edited, err := conv.Update(ctx, m, realtime.NewTextMessage("the cat"), realtime.WithMention("Spike"))
		require.NoError(t, err)
		require.Equal(t, "the cat", edited.Text())
		require.Equal(t, m.ID, edited.ID)
		require.Equal(t, m.Timestamp, edited.Timestamp)
		require.True(t, edited.UpdatedAt.After(m.Timestamp))
		require.Equal(t, []string{"Spike"}, edited.MentionList)
		require.Equal(t, []string{"update Tom: the cat"}, byJerry.heard())
		require.Equal(t, []string{"update Tom: the cat"}, onDesk.heard(), "on the sender's other devices too")
		require.Empty(t, onPhone.heard(), "but not where it was done")
		require.Equal(t, 2, theirs.UnreadMessagesCount(), "as before")
		require.Equal(t, "the mouse", theirs.LastMessage().Text())

		recalled, err := conv.Recall(ctx, last)
		require.NoError(t, err)
		require.IsType(t, &realtime.RecalledMessage{}, recalled.Content)
		require.Equal(t, realtime.TypeRecalled, recalled.Type())
		require.Equal(t, []string{"recall Tom: recalled"}, byJerry.heard())
		require.Equal(t, []string{"recall Tom: recalled"}, onDesk.heard())
		for _, c := range []*realtime.Conversation{conv, theirs, s.as(desk, conv)} {
			page, err := c.QueryMessages(ctx, realtime.MessageQuery{})
			require.NoError(t, err)
			require.Equal(t, "the cat", page[0].Text())
			require.Equal(t, edited.UpdatedAt, page[0].UpdatedAt)
			require.Equal(t, []string{"Spike"}, page[0].MentionList)
			require.Equal(t, realtime.TypeRecalled, page[1].Type())
			require.Equal(t, recalled.UpdatedAt, page[1].UpdatedAt)
		}
		require.Equal(t, realtime.TypeRecalled, theirs.LastMessage().Type())
		require.Equal(t, realtime.TypeRecalled, conv.LastMessage().Type())
		_, err = conv.Recall(ctx, last)
		require.NoError(t, err, "again is no mistake")

		// Bytes and text may replace each other.
		bin, err := conv.Update(ctx, m, realtime.NewBinaryMessage([]byte{0, 1, 255}))
		require.NoError(t, err)
		require.Equal(t, []byte{0, 1, 255}, bin.Content.(*realtime.BinaryMessage).Data)
		require.Contains(t, byJerry.heard(), "update Tom: 0001ff")
	})
}

func TestSurfaceEditsOfOthersAreRefused(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		theirs := s.as(jerry, conv)
		m := s.say(conv, "mine")
		heard := watch(tom)
		mark := len(s.Commands())
		_, err := theirs.Update(ctx, m, realtime.NewTextMessage("yours"))
		require.ErrorIs(t, err, realtime.ErrMessageOwnershipRequired)
		_, err = theirs.Recall(ctx, m)
		require.ErrorIs(t, err, realtime.ErrMessageOwnershipRequired)
		require.Empty(t, s.sent(mark), "this side knows it already")
		anonymous := *m
		anonymous.From = ""
		_, err = theirs.Update(ctx, &anonymous, realtime.NewTextMessage("yours"))
		require.ErrorIs(t, err, realtime.ErrMessageOwnershipRequired)
		_, err = theirs.Recall(ctx, &anonymous)
		require.ErrorIs(t, err, realtime.ErrMessageOwnershipRequired)
		require.Equal(t, []string{"patch/modify", "patch/modify"}, s.sent(mark), "and the other side as well")
		absent := *m
		absent.ID = "nobodyeversaidthis1234"
		_, err = conv.Recall(ctx, &absent)
		require.ErrorIs(t, err, realtime.ErrMessageNotFound)
		_, err = conv.Update(ctx, &realtime.Message{}, realtime.NewTextMessage("x"))
		require.ErrorIs(t, err, realtime.ErrInvalidArgument)
		require.Equal(t, []string{"mine"}, s.texts(conv))
		require.Empty(t, heard.heard("update", "recall"))
	})
}

// Edits that happened while away come after the reconnect, once each, in
// order.
func TestSurfaceEditsWhileAway(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv, other := s.group(tom, "Jerry"), s.group(tom, "Jerry", "Spike")
		a, b, c := s.say(conv, "a"), s.say(other, "b"), s.say(conv, "c")
		theirs := s.as(jerry, conv)
		heard := watch(jerry)
		edit := func(conv *realtime.Conversation, m *realtime.Message, text string) {
			_, err := conv.Update(ctx, m, realtime.NewTextMessage(text))
			require.NoError(t, err)
			moment()
		}
		edit(conv, a, "a1")
		require.Equal(t, []string{"update Tom: a1"}, heard.heard())

		accept := s.Refuse()
		s.Cut("Jerry")
		moment()
		edit(other, b, "b1")
		edit(conv, a, "a2")
		_, err := conv.Recall(ctx, c)
		require.NoError(t, err)
		moment()
		accept()
		time.Sleep(time.Minute)
		require.Equal(t, []string{
			"update Tom: b1 (missed)", "update Tom: a2 (missed)", "recall Tom: recalled (missed)",
		}, heard.heard("update", "recall"))
		require.Equal(t, realtime.TypeRecalled, theirs.LastMessage().Type())

		s.Cut("Jerry")
		time.Sleep(time.Minute)
		require.Empty(t, heard.heard("update", "recall"), "not again")
		edit(conv, a, "a3")
		require.Equal(t, []string{"update Tom: a3"}, heard.heard("update", "recall"))
	})
}

// Own edits are no news after a reconnect, those of one's other devices are.
func TestSurfaceOwnEditsWhileAway(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		phone, desk := s.Client("Tom"), s.Client("Tom")
		conv := s.group(phone, "Jerry")
		a, b := s.say(conv, "a"), s.say(conv, "b")
		heard := watch(phone)
		_, err := conv.Update(ctx, a, realtime.NewTextMessage("a1"))
		require.NoError(t, err)
		s.Cut("Tom") // both devices, for a second
		moment()
		s.rest("PUT", "/1.2/rtm/conversations/"+conv.ID()+"/messages/"+b.ID, map[string]any{
			"from_client": "Tom", "timestamp": b.Timestamp.UnixMilli(), "message": textContent("b1"),
		}, nil)
		time.Sleep(time.Minute)
		require.Equal(t, []string{"update Tom: b1 because 1  (missed)"}, heard.heard("update"), "the app's, not the own one")
		_, err = s.as(desk, conv).Update(ctx, b, realtime.NewTextMessage("b2"))
		require.NoError(t, err)
		require.Equal(t, []string{"update Tom: b2"}, heard.heard("update"))
	})
}

// The app may edit and recall what anybody said, and says why.
func TestSurfaceEditsByTheApp(t *testing.T) {
	hooks := &server.Hooks{
		MessageUpdate: func(_ context.Context, e *server.MessageUpdate) (server.MessageVerdict, error) {
			if e.Admin {
				return server.MessageVerdict{}, nil
			}
			return server.MessageVerdict{Drop: true, Code: 7, Detail: "hands off"}, nil
		},
	}
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		m := s.say(conv, "rude")
		byTom, byJerry := watch(tom), watch(jerry)
		path := "/1.2/rtm/conversations/" + conv.ID() + "/messages/" + m.ID
		body := map[string]any{"from_client": "Tom", "timestamp": m.Timestamp.UnixMilli(), "message": textContent("****")}
		s.rest("PUT", path, body, nil)
		heard := byTom.heard()
		require.Len(t, heard, 1, "the sender hears of it")
		require.Contains(t, heard[0], "update Tom: ****")
		require.Equal(t, heard, byJerry.heard())
		s.rest("PUT", path+"/recall", body, nil)
		heard = byJerry.heard()
		require.Len(t, heard, 1)
		require.Contains(t, heard[0], "recall Tom: recalled")

		_, err := conv.Update(t.Context(), s.say(conv, "polite"), realtime.NewTextMessage("rude again"))
		var e *realtime.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, realtime.ErrMessageUpdateRejectedByApp, e.Code)
		require.Equal(t, 7, e.AppCode)
	}, settings(func(o *server.Options) { o.Hooks = hooks }))
}

// A server that has edits to tell answers a login with a time from before
// them: what else was missed is still known as such.
func TestSurfaceMissedIsKnownAlthoughTheServerStepsBack(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		m := s.say(conv, "a")
		heard := watch(jerry)
		accept := s.Refuse()
		s.Cut("Jerry")
		moment()
		_, err := conv.Update(t.Context(), m, realtime.NewTextMessage("a1"))
		require.NoError(t, err)
		moment()
		s.group(tom, "Jerry", "Spike")
		accept()
		time.Sleep(time.Minute)
		require.Equal(t, []string{"invited by Tom (missed)", "update Tom: a1 (missed)"}, heard.heard("invited", "update"))
		s.group(tom, "Jerry", "Butch")
		_, err = conv.Update(t.Context(), m, realtime.NewTextMessage("a2"))
		require.NoError(t, err)
		require.Equal(t, []string{"invited by Tom", "update Tom: a2"}, heard.heard("invited", "update"))
	})
}

// A new device is not told of edits from before its login: the history has
// them.
func TestSurfaceNewDeviceIsToldNoOldEdits(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom := s.Client("Tom")
		conv := s.group(tom, "Jerry")
		m := s.say(conv, "a")
		_, err := conv.Update(t.Context(), m, realtime.NewTextMessage("a1"))
		require.NoError(t, err)
		moment()
		jerry := s.realtime().NewIMClient("Jerry")
		heard := watch(jerry)
		require.NoError(t, jerry.Open(t.Context()))
		require.Equal(t, []string{"unread 1"}, heard.heard())
		require.Equal(t, []string{"a1"}, s.texts(s.as(jerry, conv)))
	})
}
