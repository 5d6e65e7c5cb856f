package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
)

func TestSubscribers(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		h, err := e.c.CreateServiceConversation(e.ctx(), admin.ServiceConversationOptions{
			Name: "News", Attributes: map[string]any{"icon": "n.png"},
		})
		require.NoError(t, err)
		info, err := h.Fetch(e.ctx())
		require.NoError(t, err)
		require.Equal(t, realtime.KindService, info.Kind)
		require.Equal(t, "News", info.Name)
		require.NoError(t, h.Save(e.ctx(), map[string]any{"icon": "m.png"}))

		var ids []string
		for i := range 120 {
			id := fmt.Sprintf("player/%03d", i)
			ids = append(ids, id)
			require.NoError(t, h.Subscribe(e.ctx(), id))
			require.NoError(t, h.Subscribe(e.ctx(), id), "again")
		}
		n, err := h.Count(e.ctx())
		require.NoError(t, err)
		require.Equal(t, 120, n)
		seq := h.Subscribers(e.ctx())
		for range 2 { // each range starts again
			var got []string
			for _, s := range collect(t, seq) {
				got = append(got, s.ClientID)
				require.Equal(t, h.ID(), s.ConversationID)
				require.WithinDuration(t, time.Now(), s.At, time.Minute)
			}
			require.Equal(t, ids, got)
		}
		require.NoError(t, h.Unsubscribe(e.ctx(), ids[7]))
		require.NoError(t, h.Unsubscribe(e.ctx(), ids[7]), "again")
		n, err = h.Count(e.ctx())
		require.NoError(t, err)
		require.Equal(t, 119, n)

		require.NoError(t, h.BlockMembers(e.ctx(), ids[8]))
		page, err := h.QueryBlockedMembers(e.ctx(), realtime.PageQuery{})
		require.NoError(t, err)
		require.Equal(t, []string{ids[8]}, page.Members)
		require.ErrorIs(t, h.Subscribe(e.ctx(), ids[8]), realtime.ErrBlockedByConv)
		require.NoError(t, h.UnblockMembers(e.ctx(), ids[8]))
		require.NoError(t, h.Subscribe(e.ctx(), ids[8]))

		require.NoError(t, h.Delete(e.ctx()))
		_, err = h.Fetch(e.ctx())
		require.ErrorIs(t, err, realtime.ErrConversationNotFound)
	})
}

func TestSubscriptions(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		var ids []string
		for range 105 {
			h := e.service()
			require.NoError(t, h.Subscribe(e.ctx(), "tom"))
			ids = append(ids, h.ID())
			time.Sleep(time.Millisecond)
		}
		seq := e.c.IMClient("tom").Subscriptions(e.ctx())
		for range 2 {
			var got []string
			for _, s := range collect(t, seq) {
				require.Equal(t, "tom", s.ClientID)
				got = append(got, s.ConversationID)
			}
			require.Equal(t, ids, got)
		}
		require.Empty(t, collect(t, e.c.IMClient("jerry").Subscriptions(e.ctx())))
	})
}

func TestBroadcastToSubscribers(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		h := e.service()
		tom, stranger := e.player("tom"), e.player("stranger")
		require.NoError(t, h.Subscribe(e.ctx(), "tom"))
		require.NoError(t, h.Subscribe(e.ctx(), "away"))
		sent, err := h.BroadcastToSubscribers(e.ctx(), cast("GM", "double coins"))
		require.NoError(t, err)
		require.Equal(t, "GM", sent.From)

		got := pick[*realtime.MessageEvent](tom)
		require.Len(t, got, 1)
		require.Equal(t, sent.ID, got[0].Message.ID)
		require.Equal(t, h.ID(), got[0].Conversation.ID())
		require.Empty(t, stranger.texts())
		for id, want := range map[string]int{"tom": 1, "away": 1, "stranger": 0} {
			n, err := e.c.IMClient(id).UnreadCount(e.ctx(), h.ID())
			require.NoError(t, err)
			require.Equal(t, want, n, id)
		}
		away := e.latecomer("away")
		require.Equal(t, 1, away.unread(), "who logs in later learns of it")
		require.Equal(t, []string{"double coins"}, away.history(h.ID()))

		// Stored once, seen in every view.
		require.Equal(t, []string{"double coins"}, said(collect(t, h.Messages(e.ctx(), realtime.MessageQuery{}))))
		require.Equal(t, []string{"double coins"}, said(collect(t, h.MessagesOf(e.ctx(), "away", realtime.MessageQuery{}))))
		require.Equal(t, []string{"double coins"}, said(collect(t, e.c.Messages(e.ctx(), realtime.MessageQuery{}))))

		require.NoError(t, h.Update(e.ctx(), sent, realtime.NewTextMessage("triple coins")))
		edits := pick[*realtime.MessageUpdateEvent](tom)
		require.Len(t, edits, 1)
		require.Equal(t, "triple coins", edits[0].Message.Text())
		require.NoError(t, h.Recall(e.ctx(), sent))
		require.Len(t, pick[*realtime.MessageRecallEvent](tom), 1)

		only := cast("GM", "now or never")
		only.Transient = true
		_, err = h.BroadcastToSubscribers(e.ctx(), only)
		require.NoError(t, err)
		require.Equal(t, []string{"now or never"}, tom.texts())
		require.Len(t, collect(t, h.Messages(e.ctx(), realtime.MessageQuery{})), 1)
	})
}

func TestBroadcastToAll(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		h := e.service()
		tom := e.player("tom")
		e.player("known").Close(e.ctx())
		e.settle()
		tom.take()

		b := cast("GM", "maintenance at noon")
		b.ValidTill = time.Now().Add(time.Hour)
		sent, err := h.BroadcastToAll(e.ctx(), b)
		require.NoError(t, err)
		require.Equal(t, []string{"maintenance at noon"}, tom.texts(), "online: at once, subscribed or not")

		live := collect(t, e.c.Broadcasts(e.ctx(), h.ID()))
		require.Len(t, live, 1)
		require.Equal(t, sent.ID, live[0].Message.ID)
		require.Equal(t, b.ValidTill.UnixMilli(), live[0].ValidTill.UnixMilli())
		require.Empty(t, collect(t, e.c.Broadcasts(e.ctx(), e.service().ID())))

		known := e.latecomer("known")
		require.Equal(t, 1, known.unread(), "logs in later: gets what is valid")
		require.Equal(t, []string{"maintenance at noon"}, known.history(h.ID()))
		require.NoError(t, known.conv(h.ID()).Read(e.ctx()))
		require.Equal(t, 0, known.unread())
		require.NoError(t, known.Close(e.ctx()))
		known = e.latecomer("known")
		require.LessOrEqual(t, known.unread(), 0, "once")
		require.NoError(t, known.Close(e.ctx()))

		// Transient: only who is online.
		once := cast("GM", "flash")
		once.Transient = true
		_, err = h.BroadcastToAll(e.ctx(), once)
		require.NoError(t, err)
		require.Equal(t, []string{"flash"}, tom.texts())
		known = e.latecomer("known")
		require.LessOrEqual(t, known.unread(), 0)
		require.NoError(t, known.Close(e.ctx()))
		require.Len(t, collect(t, e.c.Broadcasts(e.ctx(), "")), 1)

		// Over: nobody gets it any more.
		time.Sleep(time.Hour)
		require.Empty(t, collect(t, e.c.Broadcasts(e.ctx(), "")))
		require.LessOrEqual(t, e.latecomer("newcomer").unread(), 0)

		// Changed, taken back, deleted.
		second, err := h.BroadcastToAll(e.ctx(), cast("GM", "second"))
		require.NoError(t, err)
		tom.take()
		require.NoError(t, h.Update(e.ctx(), second, realtime.NewTextMessage("edited")))
		require.Len(t, pick[*realtime.MessageUpdateEvent](tom), 1)
		live = collect(t, e.c.Broadcasts(e.ctx(), ""))
		require.Equal(t, []string{"edited"}, said(live))
		require.WithinDuration(t, time.Now().AddDate(0, 1, 0), live[0].ValidTill, 48*time.Hour, "a month")
		require.NoError(t, h.Recall(e.ctx(), second))
		require.NoError(t, e.c.DeleteBroadcast(e.ctx(), second.ID))
		require.Empty(t, collect(t, e.c.Broadcasts(e.ctx(), "")))
		require.ErrorIs(t, e.c.DeleteBroadcast(e.ctx(), second.ID), realtime.ErrMessageNotFound)
		require.LessOrEqual(t, e.latecomer("another").unread(), 0, "deleted: who has not got it will not")
	})
}

// Somebody new is told the latest broadcast only; who was there before gets all
// that are valid.
func TestNewcomerGetsTheLatestBroadcast(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		h := e.service()
		e.player("old").Close(e.ctx())
		for i := range 3 {
			_, err := h.BroadcastToAll(e.ctx(), cast("GM", fmt.Sprint(i)))
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		require.Equal(t, 3, e.latecomer("old").unread())
		require.Equal(t, 1, e.latecomer("new").unread())
	})
}

func TestBroadcastsPage(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		h := e.service()
		want := []string{}
		for i := range 230 {
			_, err := h.BroadcastToAll(e.ctx(), cast("GM", fmt.Sprint(i)))
			require.NoError(t, err)
			want = append([]string{fmt.Sprint(i)}, want...)
		}
		seq := e.c.Broadcasts(e.ctx(), "")
		require.Equal(t, want, said(collect(t, seq)))
		require.Equal(t, want, said(collect(t, seq)))
	})
}

func TestSendTo(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		h := e.service()
		tom, jerry, gm := e.player("tom"), e.player("jerry"), e.player("GM")
		sent, err := h.SendTo(e.ctx(), []string{"tom", "away"}, text("GM", "a gift for you"))
		require.NoError(t, err)
		require.Equal(t, []string{"a gift for you"}, tom.texts())
		require.Empty(t, jerry.texts())
		require.Equal(t, []string{"a gift for you"}, gm.texts(), "the sender's own devices")
		require.Equal(t, 1, e.latecomer("away").unread())
		for _, id := range []string{"tom", "away"} {
			got := collect(t, h.MessagesOf(e.ctx(), id, realtime.MessageQuery{}))
			require.Equal(t, []string{"a gift for you"}, said(got))
			require.Equal(t, sent.ID, got[0].Message.ID)
		}
		require.Empty(t, collect(t, h.MessagesOf(e.ctx(), "jerry", realtime.MessageQuery{})))
		require.Len(t, collect(t, e.c.Messages(e.ctx(), realtime.MessageQuery{})), 1, "one message, however many copies")

		require.NoError(t, h.Update(e.ctx(), sent, realtime.NewTextMessage("a better gift"), "tom"))
		require.Len(t, pick[*realtime.MessageUpdateEvent](tom), 1)
		require.Equal(t, []string{"a better gift"}, said(collect(t, h.MessagesOf(e.ctx(), "tom", realtime.MessageQuery{}))))
		require.Equal(t, []string{"a gift for you"}, said(collect(t, h.MessagesOf(e.ctx(), "away", realtime.MessageQuery{}))))
		require.NoError(t, h.Recall(e.ctx(), sent, "tom"))
		require.Len(t, pick[*realtime.MessageRecallEvent](tom), 1)
		require.NoError(t, h.DeleteMessageOf(e.ctx(), "tom", sent))
		require.Empty(t, collect(t, h.MessagesOf(e.ctx(), "tom", realtime.MessageQuery{})))
		require.ErrorIs(t, h.DeleteMessageOf(e.ctx(), "jerry", sent), realtime.ErrMessageNotFound)

		m := text("GM", "quietly")
		m.Transient, m.NoSync = true, true
		_, err = h.SendTo(e.ctx(), []string{"tom"}, m)
		require.NoError(t, err)
		require.Equal(t, []string{"quietly"}, tom.texts())
		require.Empty(t, gm.texts())
		require.Empty(t, collect(t, h.MessagesOf(e.ctx(), "tom", realtime.MessageQuery{})))
	})
}

// Whom a message of a service is for, and what was edited for some of them, is
// told with it, whatever the pages.
func TestAddressees(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		h := e.service()
		tom := e.player("tom")
		var all []string
		for i := range 20 {
			all = append(all, fmt.Sprintf("c%02d", i))
		}
		var sent []*realtime.Message
		for range 3 {
			for _, to := range [][]string{{"tom"}, {"jerry", "tom"}, all} {
				m, err := h.SendTo(e.ctx(), to, text("GM", "hello "+to[0]))
				require.NoError(t, err)
				sent = append(sent, m)
				time.Sleep(time.Millisecond)
			}
		}
		tom.say(h.ID(), "help!")
		time.Sleep(time.Millisecond)
		_, err := h.BroadcastToSubscribers(e.ctx(), cast("GM", "subscribers"))
		require.NoError(t, err)
		time.Sleep(time.Millisecond)
		_, err = h.BroadcastToAll(e.ctx(), cast("GM", "everyone"))
		require.NoError(t, err)
		time.Sleep(time.Millisecond) // several logs have no order within one
		talk := e.conversation("tom", "jerry")
		_, err = talk.Send(e.ctx(), text("tom", "talk"))
		require.NoError(t, err)
		for _, ids := range [][]string{{"c00"}, {"c07", "c03"}} {
			require.NoError(t, h.Update(e.ctx(), sent[2], realtime.NewTextMessage("hello "+ids[0]+" in particular"), ids...))
		}
		require.NoError(t, h.Recall(e.ctx(), sent[2], "c05"))
		require.NoError(t, h.Update(e.ctx(), sent[1], realtime.NewTextMessage("hello both"), "jerry", "tom"))
		require.NoError(t, h.DeleteMessageOf(e.ctx(), "tom", sent[4]))

		type item struct {
			ID        string   `json:"msg-id"`
			Timestamp int64    `json:"timestamp"`
			Data      string   `json:"data"`
			To        string   `json:"to"`
			Audience  string   `json:"audience"`
			ToClients []string `json:"to-clients"`
			Copies    []struct {
				ToClients      []string `json:"to-clients"`
				Data           string   `json:"data"`
				PatchTimestamp int64    `json:"patch-timestamp"`
				Recalled       bool     `json:"recalled"`
			} `json:"copies"`
		}
		read := func(path string, limit int, reversed bool) (out []item) {
			for query := fmt.Sprintf("?limit=%d&reversed=%v", limit, reversed); ; {
				req, err := http.NewRequestWithContext(e.ctx(), http.MethodGet, path+query, nil)
				require.NoError(t, err)
				resp, err := e.c.Do(req)
				require.NoError(t, err)
				var page []item
				require.NoError(t, json.NewDecoder(resp.Body).Decode(&page))
				require.NoError(t, resp.Body.Close())
				require.LessOrEqual(t, len(page), limit)
				out = append(out, page...)
				if len(page) < limit {
					return out
				}
				last := page[len(page)-1]
				query = fmt.Sprintf("?limit=%d&reversed=%v&timestamp=%d&msgid=%s", limit, reversed, last.Timestamp, last.ID)
			}
		}
		whole := read("/1.2/rtm/messages", 1000, true)
		require.Len(t, whole, 13)
		for _, limit := range []int{1, 2, 3, 7} {
			require.Equal(t, whole, read("/1.2/rtm/messages", limit, true), limit)
			back := read("/1.2/rtm/messages", limit, false)
			slices.Reverse(back)
			require.Equal(t, whole, back, limit)
		}
		for i, want := range []struct {
			audience string
			to       []string
		}{
			{"clients", []string{"tom"}}, {"clients", []string{"jerry", "tom"}}, {"clients", all},
			{"clients", []string{"tom"}}, {"clients", []string{"jerry"}}, {"clients", all},
			{"clients", []string{"tom"}}, {"clients", []string{"jerry", "tom"}}, {"clients", all},
			{"service", nil}, {"subscribers", nil}, {"everyone", nil}, {"", nil},
		} {
			require.Equal(t, want.audience, whole[i].Audience, i)
			require.Equal(t, want.to, whole[i].ToClients, i)
			if i < 12 {
				require.Equal(t, h.ID(), whole[i].To, "as documented")
			}
		}
		require.Contains(t, whole[1].Data, "hello both")
		require.Empty(t, whole[1].Copies, "both were edited together")
		said := map[string]string{} // as each of them has it now
		for _, id := range whole[2].ToClients {
			said[id] = whole[2].Data
		}
		for _, c := range whole[2].Copies {
			for _, id := range c.ToClients {
				said[id] = c.Data
			}
		}
		require.Len(t, whole[2].Copies, 3)
		for id, data := range said {
			switch id {
			case "c00":
				require.Contains(t, data, "hello c00 in particular")
			case "c03", "c07":
				require.Contains(t, data, "hello c07 in particular")
			case "c05":
				require.JSONEq(t, `{"_lctype":-127}`, data)
			default:
				require.JSONEq(t, `{"_lctype":-1,"_lctext":"hello c00"}`, data, id)
			}
		}
		stored := collect(t, e.c.Messages(e.ctx(), realtime.MessageQuery{Direction: realtime.OldToNew}))
		require.Equal(t, []string{"jerry", "tom"}, stored[1].To)
		require.Nil(t, stored[9].To)

		audiences := map[string]int{}
		for _, m := range read("/1.2/rtm/service-conversations/"+h.ID()+"/messages", 100, true) {
			audiences[m.Audience]++
		}
		require.Equal(t, map[string]int{"service": 1, "subscribers": 1, "everyone": 1}, audiences)
		clear(audiences)
		for _, m := range read("/1.2/rtm/service-conversations/"+h.ID()+"/subscribers/tom/messages", 100, true) {
			audiences[m.Audience+fmt.Sprint(m.ToClients)]++
		}
		require.Equal(t, map[string]int{"clients[tom]": 5, "service[]": 1, "subscribers[]": 1, "everyone[]": 1}, audiences)
	})
}

// What players write to a service conversation is for the app.
func TestMessagesToAService(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		h := e.service()
		tom := e.player("tom")
		tom.say(h.ID(), "help!")
		require.Equal(t, []string{"help!"}, said(collect(t, h.Messages(e.ctx(), realtime.MessageQuery{}))))
		require.Equal(t, []string{"help!"}, said(collect(t, h.MessagesOf(e.ctx(), "tom", realtime.MessageQuery{}))))
		require.Equal(t, []string{"help!"}, said(collect(t, e.c.IMClient("tom").Messages(e.ctx(), realtime.MessageQuery{}))))
	})
}

func TestServiceMistakes(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		h := e.service()
		b := cast("GM", "x")
		b.ValidTill = time.Now().Add(time.Hour)
		_, err := h.BroadcastToSubscribers(e.ctx(), b)
		require.ErrorIs(t, err, realtime.ErrInvalidArgument)
		for _, till := range []time.Time{time.Now().Add(-time.Second), time.Now().AddDate(0, 2, 0)} {
			b.ValidTill = till
			_, err = h.BroadcastToAll(e.ctx(), b)
			wantRefusal(t, err, 400)
		}
		_, err = h.BroadcastToAll(e.ctx(), admin.Broadcast{Content: realtime.NewTextMessage("x")})
		require.ErrorIs(t, err, realtime.ErrInvalidArgument)
		_, err = h.SendTo(e.ctx(), nil, text("GM", "x"))
		require.ErrorIs(t, err, realtime.ErrInvalidArgument)
		_, err = h.SendTo(e.ctx(), make([]string, 21), text("GM", "x"))
		require.ErrorIs(t, err, realtime.ErrInvalidArgument)
		require.ErrorIs(t, h.Subscribe(e.ctx(), ""), realtime.ErrInvalidArgument)
		require.ErrorIs(t, h.Unsubscribe(e.ctx(), ""), realtime.ErrInvalidArgument)
		require.ErrorIs(t, h.DeleteMessageOf(e.ctx(), "", nil), realtime.ErrInvalidArgument)
		require.ErrorIs(t, failure(t, h.MessagesOf(e.ctx(), "", realtime.MessageQuery{})), realtime.ErrInvalidArgument)
		require.ErrorIs(t, e.c.DeleteBroadcast(e.ctx(), ""), realtime.ErrInvalidArgument)
	})
}
