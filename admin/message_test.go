package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/server"
)

// What an administrator sends is, to everybody, what a client sends.
func TestMessageIsTheSameAsByASocket(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		jerry := e.player("jerry")
		tom := e.player("tom")
		h := e.conversation("tom", "jerry", "away")
		jerry.take()
		bySocket, err := tom.conv(h.ID()).Send(e.ctx(), realtime.NewTextMessage("hello"), realtime.WithMention("jerry"))
		require.NoError(t, err)
		byREST, err := h.Send(e.ctx(), admin.Message{
			From: "tom", Content: realtime.NewTextMessage("hello"), Mention: []string{"jerry"},
		})
		require.NoError(t, err)
		require.True(t, byREST.Timestamp.After(bySocket.Timestamp))
		require.Equal(t, realtime.StatusSent, byREST.Status)
		require.Equal(t, "hello", byREST.Text())
		require.Equal(t, "tom", byREST.From)
		require.Equal(t, h.ID(), byREST.ConversationID)

		// To receivers.
		got := pick[*realtime.MessageEvent](jerry)
		require.Len(t, got, 2)
		require.Equal(t, bySocket.ID, got[0].Message.ID)
		require.Equal(t, byREST.ID, got[1].Message.ID)
		require.Equal(t, byREST.Timestamp, got[1].Message.Timestamp)
		same := func(a, b *realtime.Message) {
			t.Helper()
			type form map[string]any
			strip := func(m *realtime.Message) (f form) {
				data, err := json.Marshal(m)
				require.NoError(t, err)
				require.NoError(t, json.Unmarshal(data, &f))
				delete(f, "id")
				delete(f, "timestamp")
				return f
			}
			require.Equal(t, strip(a), strip(b))
			require.Equal(t, a.Mentioned, b.Mentioned)
			require.Equal(t, a.Status, b.Status)
		}
		same(got[0].Message, got[1].Message)

		// To history, for a client and for the administrator.
		page, err := jerry.conv(h.ID()).QueryMessages(e.ctx(), realtime.MessageQuery{})
		require.NoError(t, err)
		require.Len(t, page, 2)
		same(page[0], page[1])
		stored := collect(t, h.Messages(e.ctx(), realtime.MessageQuery{Direction: realtime.OldToNew}))
		require.Len(t, stored, 2)
		same(stored[0].Message, stored[1].Message)
		require.Equal(t, byREST.ID, stored[1].Message.ID)
		require.NotEmpty(t, stored[0].FromIP)
		require.NotEmpty(t, stored[1].FromIP)

		// To unread counts.
		for id, want := range map[string]int{"jerry": 2, "away": 2, "tom": 0} {
			n, err := e.c.IMClient(id).UnreadCount(e.ctx(), h.ID())
			require.NoError(t, err)
			require.Equal(t, want, n, id)
			all, err := e.c.IMClient(id).UnreadCount(e.ctx(), "")
			require.NoError(t, err)
			require.Equal(t, want, all, id)
		}
		away := e.latecomer("away")
		told := pick[*realtime.UnreadMessagesCountUpdateEvent](away)
		require.NotEmpty(t, told)
		last := told[len(told)-1]
		require.Equal(t, 2, last.Count)
		require.Equal(t, byREST.ID, last.LastMessage.ID)

		// The named sender has it on its devices, unless told otherwise.
		require.Equal(t, []string{"hello"}, tom.texts())
		_, err = h.Send(e.ctx(), admin.Message{From: "tom", Content: realtime.NewTextMessage("quietly"), NoSync: true})
		require.NoError(t, err)
		require.Empty(t, tom.texts())
		require.Equal(t, []string{"quietly"}, jerry.texts())
	})
}

func TestOrderOfBothWays(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.player("tom"), e.player("jerry")
		h := e.conversation("tom", "jerry")
		jerry.take()
		conv := tom.conv(h.ID())
		var want []string
		for i := range 20 {
			s := fmt.Sprint(i)
			want = append(want, s)
			var err error
			if i%2 == 0 {
				_, err = h.Send(e.ctx(), text("mary", s))
			} else {
				_, err = conv.Send(e.ctx(), realtime.NewTextMessage(s))
			}
			require.NoError(t, err)
		}
		require.Equal(t, want, jerry.texts())
		require.Equal(t, want, jerry.history(h.ID()))
	})
}

type gift struct {
	realtime.TypedMessage
	Coins int `json:"coins"`
}

func (*gift) Type() int { return 7 }

func TestContents(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		o := e.s.AdminOptions()
		uploads := 0
		o.Plugins = []realtime.Plugin{{
			Name: "gifts", MessageTypes: []realtime.Content{&gift{}},
			BeforeSend: func(_ context.Context, out *realtime.Outgoing) error {
				require.Nil(t, out.Conversation)
				require.NotNil(t, out.Do)
				uploads++
				if g, ok := out.Content.(*gift); ok {
					out.Content = &gift{TypedMessage: g.TypedMessage, Coins: g.Coins * 2}
				}
				return nil
			},
		}}
		c, err := admin.New(o)
		require.NoError(t, err)
		jerry := e.player("jerry")
		h := c.Conversation(e.conversation("tom", "jerry").ID())
		jerry.take()

		for _, content := range []realtime.Content{
			realtime.NewTextMessage("plain & <simple>"),
			&realtime.TextMessage{TypedMessage: realtime.TypedMessage{Text: "with", Attributes: map[string]any{"a": 1.5}}},
			realtime.NewRawMessage("no JSON at all"),
			realtime.NewRawMessage(`{"_lctype":99,"big":12345678901234567890}`),
			realtime.NewBinaryMessage([]byte{0, 1, 2, 255}),
			&gift{Coins: 5},
		} {
			sent, err := h.Send(e.ctx(), admin.Message{From: "tom", Content: content})
			require.NoError(t, err)
			want := content
			if _, ok := content.(*gift); ok {
				want = &gift{Coins: 10}
			}
			require.Equal(t, want, sent.Content)
			require.NotSame(t, content, sent.Content)
			data, binary, err := realtime.MarshalContent(want)
			require.NoError(t, err)

			got := pick[*realtime.MessageEvent](jerry)
			require.Len(t, got, 1)
			require.Equal(t, string(data), string(got[0].Message.Payload()))
			_, isBinary := got[0].Message.Content.(*realtime.BinaryMessage)
			require.Equal(t, binary, isBinary)

			stored := collect(t, h.Messages(e.ctx(), realtime.MessageQuery{}))[0]
			require.Equal(t, want, stored.Message.Content)
			require.Equal(t, string(data), string(stored.Message.Payload()), "as it came over the wire")
			require.NoError(t, stored.Message.ContentErr())
		}
		require.Equal(t, 6, uploads)

		for name, bad := range map[string]realtime.Content{
			"nil": nil, "typed nil": (*realtime.TextMessage)(nil), "nil gift": (*gift)(nil),
		} {
			_, err := h.Send(e.ctx(), admin.Message{From: "tom", Content: bad})
			require.ErrorIs(t, err, realtime.ErrInvalidArgument, name)
		}
		o.Plugins = []realtime.Plugin{{BeforeSend: func(_ context.Context, out *realtime.Outgoing) error {
			if out.Content.(*realtime.TextMessage).Text == "fail" {
				return context.Canceled
			}
			out.Content = nil
			return nil
		}}}
		c, err = admin.New(o)
		require.NoError(t, err)
		_, err = c.Conversation(h.ID()).Send(e.ctx(), text("tom", "fail"))
		require.ErrorIs(t, err, context.Canceled)
		_, err = c.Conversation(h.ID()).Send(e.ctx(), text("tom", "vanish"))
		require.ErrorIs(t, err, realtime.ErrInvalidArgument)
	})
}

func TestEditRecallDelete(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.player("tom"), e.player("jerry")
		h := e.conversation("tom", "jerry")
		tom.say(h.ID(), "bad word")
		m := collect(t, h.Messages(e.ctx(), realtime.MessageQuery{}))[0].Message
		jerry.take()

		require.NoError(t, h.Update(e.ctx(), m, realtime.NewTextMessage("***")))
		edits := pick[*realtime.MessageUpdateEvent](jerry)
		require.Len(t, edits, 1)
		require.Equal(t, "***", edits[0].Message.Text())
		require.NotNil(t, edits[0].Reason, "it was not the sender")
		after := collect(t, h.Messages(e.ctx(), realtime.MessageQuery{}))[0].Message
		require.Equal(t, "***", after.Text())
		require.True(t, after.UpdatedAt.After(after.Timestamp))
		require.Len(t, pick[*realtime.MessageUpdateEvent](tom), 1, "the sender is told too")

		require.NoError(t, h.Recall(e.ctx(), m))
		require.Len(t, pick[*realtime.MessageRecallEvent](jerry), 1)
		require.Equal(t, realtime.TypeRecalled, collect(t, h.Messages(e.ctx(), realtime.MessageQuery{}))[0].Message.Type())

		require.NoError(t, h.DeleteMessage(e.ctx(), m))
		require.Empty(t, jerry.history(h.ID()))
		require.ErrorIs(t, h.DeleteMessage(e.ctx(), m), realtime.ErrMessageNotFound)

		// What a send returns serves as well.
		sent, err := h.Send(e.ctx(), text("tom", "sent"))
		require.NoError(t, err)
		require.NoError(t, h.Update(e.ctx(), sent, realtime.NewBinaryMessage([]byte("bytes"))))
		require.Equal(t, realtime.NewBinaryMessage([]byte("bytes")),
			collect(t, h.Messages(e.ctx(), realtime.MessageQuery{}))[0].Message.Content)
		forged := *sent
		forged.From = "jerry"
		require.ErrorIs(t, h.Recall(e.ctx(), &forged), realtime.ErrMessageOwnershipRequired)
		require.ErrorIs(t, h.DeleteMessage(e.ctx(), &forged), realtime.ErrMessageOwnershipRequired)
		forged = *sent
		forged.ID = "unknown"
		require.ErrorIs(t, h.Update(e.ctx(), &forged, realtime.NewTextMessage("x")), realtime.ErrMessageNotFound)
		for name, bad := range map[string]*realtime.Message{"nil": nil, "no id": {From: "tom", Timestamp: time.Now()}} {
			require.ErrorIs(t, h.Update(e.ctx(), bad, realtime.NewTextMessage("x")), realtime.ErrInvalidArgument, name)
			require.ErrorIs(t, h.Recall(e.ctx(), bad), realtime.ErrInvalidArgument, name)
			require.ErrorIs(t, h.DeleteMessage(e.ctx(), bad), realtime.ErrInvalidArgument, name)
		}
	})
}

func TestHistoryPages(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		h := e.conversation("tom", "jerry")
		var want []string
		var at []*realtime.Message
		for i := range 250 {
			m := text("tom", fmt.Sprint(i))
			if i%50 == 0 {
				m.Content = realtime.NewRawMessage(`{"_lctype":5}`)
				want = append(want, "")
			} else {
				want = append(want, fmt.Sprint(i))
			}
			sent, err := h.Send(e.ctx(), m)
			require.NoError(t, err)
			at = append(at, sent)
		}
		backwards := slices.Clone(want)
		slices.Reverse(backwards)
		for name, c := range map[string]struct {
			q    realtime.MessageQuery
			want []string
		}{
			"all":           {realtime.MessageQuery{}, backwards},
			"large pages":   {realtime.MessageQuery{Limit: 1000}, backwards},
			"small pages":   {realtime.MessageQuery{Limit: 7}, backwards},
			"whole pages":   {realtime.MessageQuery{Limit: 125}, backwards},
			"from old":      {realtime.MessageQuery{Limit: 60, Direction: realtime.OldToNew}, want},
			"of a type":     {realtime.MessageQuery{Type: 5, Limit: 10}, []string{"", "", "", "", ""}},
			"from a point":  {realtime.MessageQuery{StartTime: at[2].Timestamp, StartMessageID: at[2].ID}, backwards[248:]},
			"and that":      {realtime.MessageQuery{StartTime: at[2].Timestamp, StartMessageID: at[2].ID, StartClosed: true}, backwards[247:]},
			"between":       {realtime.MessageQuery{StartTime: at[10].Timestamp, EndTime: at[14].Timestamp}, want[11:14]},
			"between, both": {realtime.MessageQuery{StartTime: at[10].Timestamp, EndTime: at[14].Timestamp, StartClosed: true, EndClosed: true}, want[10:15]},
			"down to":       {realtime.MessageQuery{Direction: realtime.NewToOld, EndTime: at[247].Timestamp, EndMessageID: at[247].ID}, backwards[:2]},
		} {
			seq := h.Messages(e.ctx(), c.q)
			require.Equal(t, c.want, said(collect(t, seq)), name)
			require.Equal(t, c.want, said(collect(t, seq)), "%s: each range starts again", name)
		}
		for name, bad := range map[string]realtime.MessageQuery{
			"limit": {Limit: 1001}, "negative": {Limit: -1}, "start id": {StartMessageID: "x"}, "end id": {EndMessageID: "x"},
			"direction": {Direction: 9},
		} {
			require.ErrorIs(t, failure(t, h.Messages(e.ctx(), bad)), realtime.ErrInvalidArgument, name)
		}

		// Breaking ends it, and so does the context.
		n := 0
		for range h.Messages(e.ctx(), realtime.MessageQuery{}) {
			if n++; n == 3 {
				break
			}
		}
		require.Equal(t, 3, n)
		ctx, cancel := context.WithCancel(e.ctx())
		defer cancel()
		var last error
		for _, err := range h.Messages(ctx, realtime.MessageQuery{Limit: 100}) {
			last = err
			cancel()
		}
		require.ErrorIs(t, last, context.Canceled)
	})
}

// The limits on pages are for clients: an administrator sees everything even
// where a client gets little at a time.
func TestHistoryIsCompleteUnderLimits(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		h := e.conversation("tom")
		for i := range 25 {
			_, err := h.Send(e.ctx(), text("tom", fmt.Sprint(i)))
			require.NoError(t, err)
			e.conversation("tom", fmt.Sprint(i))
		}
		require.Len(t, collect(t, h.Messages(e.ctx(), realtime.MessageQuery{})), 25)
		require.Len(t, collect(t, e.c.Messages(e.ctx(), realtime.MessageQuery{})), 25)
		require.Len(t, collect(t, e.c.Conversations(e.ctx(), admin.Query{})), 26)
	}, realtimetest.WithServerOptions(func(o *server.Options) {
		o.Limits.HistoryPage, o.Limits.QueryPage = 10, 10
	}))
}

func TestMessagesOfTheApp(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		a, b, room := e.conversation("tom", "a"), e.conversation("tom", "b"), e.room()
		var want []string
		for i := range 150 {
			s := fmt.Sprint(i)
			var err error
			switch i % 3 {
			case 0:
				_, err = a.Send(e.ctx(), text("tom", s))
			case 1:
				_, err = b.Send(e.ctx(), text("mary", s))
			case 2:
				_, err = room.Send(e.ctx(), text("tom", s))
			}
			require.NoError(t, err)
			want = append(want, s)
			time.Sleep(time.Millisecond)
		}
		got := collect(t, e.c.Messages(e.ctx(), realtime.MessageQuery{Limit: 100, Direction: realtime.OldToNew}))
		require.Equal(t, want, said(got))
		require.Equal(t, a.ID(), got[0].Message.ConversationID)
		mary := collect(t, e.c.IMClient("mary").Messages(e.ctx(), realtime.MessageQuery{}))
		require.Len(t, mary, 50)
		for _, m := range mary {
			require.Equal(t, "mary", m.Message.From)
			require.Equal(t, b.ID(), m.Message.ConversationID)
		}
	})
}

func TestTransientMessage(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		jerry := e.player("jerry")
		h := e.conversation("tom", "jerry")
		jerry.take()
		m := text("tom", "typing…")
		m.Transient = true
		sent, err := h.Send(e.ctx(), m)
		require.NoError(t, err)
		require.True(t, sent.Transient)
		got := pick[*realtime.MessageEvent](jerry)
		require.Len(t, got, 1)
		require.True(t, got[0].Message.Transient)
		require.Empty(t, collect(t, h.Messages(e.ctx(), realtime.MessageQuery{})))
	})
}

func TestMessagesThatCannotBe(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		h := e.conversation("tom")
		for name, bad := range map[string]admin.Message{
			"nobody":   {Content: realtime.NewTextMessage("x")},
			"priority": {From: "tom", Content: realtime.NewTextMessage("x"), Priority: 4},
			"push":     {From: "tom", Content: realtime.NewTextMessage("x"), PushData: func() {}},
		} {
			_, err := h.Send(e.ctx(), bad)
			require.ErrorIs(t, err, realtime.ErrInvalidArgument, name)
		}
		many := text("tom", "x")
		for i := range 21 {
			many.Mention = append(many.Mention, fmt.Sprint(i))
		}
		_, err := h.Send(e.ctx(), many)
		wantRefusal(t, err, 400)

		_, err = h.Send(e.ctx(), text("tom", strings.Repeat("long", 2000)))
		require.ErrorIs(t, err, realtime.ErrFrameTooLong)
		wantRefusal(t, err, 413)
		_, err = h.Send(e.ctx(), admin.Message{From: "tom", Content: realtime.NewBinaryMessage(bytes.Repeat([]byte{1}, 2<<20))})
		wantRefusal(t, err, 413)
		require.True(t, realtime.SafeToRetry(err), "it was not executed")
		time.Sleep(time.Second) // net/http lingers over a request that it did not read
	})
}

// wantRefusal expects an answer of the server.
func wantRefusal(t testing.TB, err error, status int) *realtime.Error {
	t.Helper()
	var refused *realtime.Error
	require.True(t, errors.As(err, &refused), "%v", err)
	require.Equal(t, status, refused.HTTPStatus, "%v", err)
	require.NotErrorIs(t, err, realtime.ErrOutcomeUnknown)
	return refused
}
