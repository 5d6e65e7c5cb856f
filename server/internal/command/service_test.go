package command_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/engine"
	"github.com/leanrtm/realtime/server/internal/hook"
	"github.com/leanrtm/realtime/server/internal/store"
)

func out(body string) *engine.Outgoing { return &engine.Outgoing{Body: body} }

func (c *client) subscribe(id string) {
	c.t.Helper()
	got := c.ok(pb.OpType_add, pb.OpType_added, about(id, c.id))
	require.Equal(c.t, []string{c.id}, got.GetAllowedPids())
}

func TestBroadcastToSubscribers(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		id := e.service("news")
		ann, annToo, bob, eve := e.login("ann"), e.login("ann"), e.login("bob"), e.login("eve")
		ann.subscribe(id)
		bob.subscribe(id)
		ann.subscribe(id)
		ann.fails(wire.CodeNormalConversationRequired, pb.OpType_add, about(id, "eve"))
		ann.fails(wire.CodeNormalConversationRequired, pb.OpType_remove, about(id, "bob"))
		require.Empty(t, annToo.pushes(), "subscribing is no news")
		s, err := e.engine.BroadcastToSubscribers(t.Context(), admin("editor"), id, out("1"))
		require.NoError(t, err)
		for _, c := range []*client{ann, annToo, bob} {
			m := c.only().GetDirectMessage()
			require.Equal(t, s.Mid, m.GetId())
			require.Equal(t, "editor", m.GetFromPeerId())
			require.EqualValues(t, wire.KindService, m.GetConvType())
		}
		require.Empty(t, eve.pushes())
		bob.ok(pb.OpType_remove, pb.OpType_removed, about(id, "bob"))
		_, err = e.engine.BroadcastToSubscribers(t.Context(), admin("editor"), id, out("2"))
		require.NoError(t, err)
		require.Empty(t, bob.pushes())
		require.Equal(t, []string{"2"}, annToo.texts())
		ann.logout()
		annToo.logout()
		_, err = e.engine.BroadcastToSubscribers(t.Context(), admin("editor"), id, out("3"))
		require.NoError(t, err)
		ann = e.login("ann")
		u := ann.unread()
		require.EqualValues(t, 3, u.GetUnread())
		require.Equal(t, "3", u.GetData())
		_, err = e.engine.BroadcastToSubscribers(t.Context(), admin("editor"), id, out("4"))
		require.NoError(t, err)
		require.Equal(t, []string{"4"}, ann.texts(), "a subscription lasts")
		require.Equal(t, []string{"1", "2", "3", "4"}, bodies(ann.history(&pb.LogsCommand{Cid: &id})))
		require.Empty(t, eve.history(&pb.LogsCommand{Cid: &id}), "not for strangers")
		ann.reads(id, time.Now().Add(time.Hour).UnixMilli())
		require.EqualValues(t, 0, ann.unread().GetUnread())
		require.Empty(t, e.login("ann").pushes())

		// Only the app speaks there, and only there.
		by := admin("ann")
		by.Admin = false
		_, err = e.engine.BroadcastToSubscribers(t.Context(), by, id, out("x"))
		require.ErrorContains(t, err, wire.CodeConversationNotAllowed.Name())
		_, err = e.engine.BroadcastToSubscribers(t.Context(), admin("x"), ann.create(nil), out("x"))
		require.ErrorContains(t, err, wire.CodeSystemConversationRequired.Name())
		_, err = e.engine.BroadcastToSubscribers(t.Context(), admin("x"), unknown, out("x"))
		require.ErrorContains(t, err, wire.CodeConversationNotFound.Name())
		_, err = e.engine.Send(t.Context(), admin("x"), id, out("x"))
		require.ErrorContains(t, err, wire.CodeNormalConversationRequired.Name())
		_, err = e.engine.Create(t.Context(), by, engine.NewConv{Kind: store.KindService})
		require.ErrorContains(t, err, wire.CodeConversationNotAllowed.Name())
	})
}

func TestSubscriptions(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		ann := e.login("ann")
		var services []string
		for i := range 3 {
			services = append(services, e.service(fmt.Sprint(i)))
			ann.subscribe(services[i])
			time.Sleep(time.Second)
		}
		e.login("bob").subscribe(services[0])
		list := func(q engine.SubscriptionQuery) []string {
			got, err := e.engine.Subscriptions(t.Context(), admin(""), "ann", q)
			require.NoError(t, err)
			cids := []string{}
			for _, s := range got {
				require.Equal(t, "ann", s.Client)
				require.NotZero(t, s.At)
				cids = append(cids, s.Cid)
			}
			return cids
		}
		require.Equal(t, services, list(engine.SubscriptionQuery{}))
		require.Equal(t, []string{services[2], services[1]}, list(engine.SubscriptionQuery{Older: true, Limit: 2}))
		first, err := e.engine.Subscriptions(t.Context(), admin(""), "ann", engine.SubscriptionQuery{Limit: 1})
		require.NoError(t, err)
		require.Equal(t, services[1:], list(engine.SubscriptionQuery{At: first[0].At, Cid: first[0].Cid}))
		subs, err := e.engine.Subscribers(t.Context(), admin(""), services[0], "", 0)
		require.NoError(t, err)
		require.Len(t, subs, 2)
		subs, err = e.engine.Subscribers(t.Context(), admin(""), services[0], "ann", 1)
		require.NoError(t, err)
		require.Equal(t, "bob", subs[0].Client)
		_, err = e.engine.Subscribers(t.Context(), admin(""), ann.create(nil), "", 0)
		require.ErrorContains(t, err, wire.CodeSystemConversationRequired.Name())

		// Blocking ends the subscription.
		_, err = e.engine.Block(t.Context(), admin(""), services[0], []string{"ann"}, true, sigNone)
		require.NoError(t, err)
		require.Equal(t, services[1:], list(engine.SubscriptionQuery{}))
		got := ann.ok(pb.OpType_add, pb.OpType_added, about(services[0], "ann"))
		require.EqualValues(t, wire.CodeBlockedByConv, got.GetFailedPids()[0].GetCode())
		_, err = e.engine.BroadcastToSubscribers(t.Context(), admin("x"), services[0], out("x"))
		require.NoError(t, err)
		require.Empty(t, ann.pushes())
	})
}

func TestSendToClients(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		id := e.service("support")
		ann, bob, clerk := e.login("ann"), e.login("bob"), e.login("clerk")
		s, err := e.engine.SendTo(t.Context(), admin("clerk"), id, []string{"ann", "ann", "zoe"}, out("for you"))
		require.NoError(t, err)
		require.Equal(t, s.Mid, ann.only().GetDirectMessage().GetId())
		require.Equal(t, []string{"for you"}, clerk.texts())
		require.Empty(t, bob.pushes())
		_, err = e.engine.SendTo(t.Context(), admin("clerk"), id, []string{"ann"}, &engine.Outgoing{Body: "2", NoSync: true})
		require.NoError(t, err)
		require.Empty(t, clerk.texts())
		require.Equal(t, []string{"for you", "2"}, bodies(ann.history(&pb.LogsCommand{Cid: &id})))
		require.Empty(t, bob.history(&pb.LogsCommand{Cid: &id}))

		// Who was never there and subscribes nothing still has it.
		zoe := e.login("zoe")
		u := zoe.unread()
		require.EqualValues(t, 1, u.GetUnread())
		require.Equal(t, s.Mid, u.GetMid())
		n, err := e.engine.Unread(t.Context(), admin(""), "zoe", "")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		n, err = e.engine.Unread(t.Context(), admin(""), "ann", id)
		require.NoError(t, err)
		require.Equal(t, 2, n)
		n, err = e.engine.Unread(t.Context(), admin(""), "ann", unknown)
		require.NoError(t, err)
		require.Zero(t, n)
		zoe.reads(id, s.TS)
		require.EqualValues(t, 0, zoe.unread().GetUnread())

		many := make([]string, 21)
		for i := range many {
			many[i] = fmt.Sprint("c", i)
		}
		for _, to := range [][]string{nil, many, {""}} {
			_, err = e.engine.SendTo(t.Context(), admin("clerk"), id, to, out("x"))
			require.ErrorContains(t, err, wire.CodeInvalidMessagingTarget.Name())
		}

		// An edit reaches whom the message reached.
		ann.pushes()
		_, err = e.engine.Edit(t.Context(), admin(""), &engine.Edit{Cid: id, Mid: s.Mid, TS: s.TS, Body: "edited", To: []string{"ann", "zoe"}})
		require.NoError(t, err)
		require.Equal(t, "edited", ann.only().GetPatchMessage().GetPatches()[0].GetData())
		require.Equal(t, "edited", zoe.only().GetPatchMessage().GetPatches()[0].GetData())
		require.Equal(t, []string{"edited", "2"}, bodies(ann.history(&pb.LogsCommand{Cid: &id})))
		require.NoError(t, e.engine.DeleteMessage(t.Context(), admin(""), id, "ann", "", store.Pos{TS: s.TS, Mid: s.Mid}))
		require.Equal(t, []string{"2"}, bodies(ann.history(&pb.LogsCommand{Cid: &id})))
		require.Equal(t, []string{"edited"}, bodies(zoe.history(&pb.LogsCommand{Cid: &id})))
		require.Error(t, e.engine.DeleteMessage(t.Context(), admin(""), ann.create(nil), "ann", "", store.Pos{TS: 1}))
	})
}

func TestUserToService(t *testing.T) {
	got := make(chan *hook.ServiceMessage, 4)
	run(t, func(t *testing.T, e *env) {
		id := e.service("support")
		ann, annToo, bob := e.login("ann"), e.login("ann"), e.login("bob")
		ack := ann.say(id, "help", dedup("d"))
		require.Equal(t, []string{"help"}, annToo.texts(), "her other session")
		require.Empty(t, bob.pushes())
		ev := <-got
		require.Equal(t, ack.GetUid(), ev.MessageID)
		require.Equal(t, "ann", ev.From)
		require.Equal(t, "help", ev.Content.Data)
		require.Equal(t, ack.GetUid(), ann.say(id, "help", dedup("d")).GetUid())
		require.Empty(t, annToo.texts())
		bob.say(id, "me too")
		require.Equal(t, []string{"help"}, bodies(ann.history(&pb.LogsCommand{Cid: &id})))
		inbox, err := e.engine.History(t.Context(), admin(""), id, engine.HistoryQuery{Limit: 10})
		require.NoError(t, err)
		require.Equal(t, []string{"help", "me too"}, itemTexts(inbox))
		hers, err := e.engine.History(t.Context(), admin(""), id, engine.HistoryQuery{Limit: 10, Client: "ann"})
		require.NoError(t, err)
		require.Equal(t, []string{"help"}, itemTexts(hers))
		all, err := e.engine.AppHistory(t.Context(), admin(""), "", store.Range{}, 2)
		require.NoError(t, err)
		require.Equal(t, []string{"help", "me too"}, itemTexts(all), "each once")
		require.Empty(t, e.login("ann").pushes(), "own messages are read")
		ann.say(id, "typing", transient)
		require.Equal(t, []string{"typing"}, annToo.texts())
		ann.edit(id, ack, "help!")
		require.Equal(t, "help!", annToo.only().GetPatchMessage().GetPatches()[0].GetData())
		inbox, err = e.engine.History(t.Context(), admin(""), id, engine.HistoryQuery{Limit: 10})
		require.NoError(t, err)
		require.Equal(t, []string{"help!", "me too"}, itemTexts(inbox))

		_, err = e.engine.Shutup(t.Context(), admin(""), id, []string{"ann"}, true)
		require.NoError(t, err)
		ann.refused(wire.CodeSilenced, id, "again")
		ann.fails(wire.CodeConversationOperationUnauthorized, pb.OpType_add_shutup, about(id, "bob"))
	}, func(s *settings) {
		s.hooks.ServiceMessage = func(_ context.Context, ev *hook.ServiceMessage) { got <- ev }
	})
}

func TestBroadcastToAll(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		id := e.service("gm")
		ann := e.login("ann") // was there before
		e.login("cid").logout()
		till := time.Now().Add(time.Hour).UnixMilli()
		s, err := e.engine.BroadcastToAll(t.Context(), admin("gm"), id, out("one"), till)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		_, err = e.engine.BroadcastToAll(t.Context(), admin("gm"), id, out("two"), time.Now().Add(2*time.Hour).UnixMilli())
		require.NoError(t, err)
		require.Equal(t, []string{"one", "two"}, ann.texts())
		require.EqualValues(t, 2, e.login("ann").unread().GetUnread())

		// Offline then, and known: both. New: the latest only.
		known := e.login("cid").unread()
		require.EqualValues(t, 2, known.GetUnread())
		require.Equal(t, "two", known.GetData())
		fresh := e.login("new")
		require.EqualValues(t, 1, fresh.unread().GetUnread())
		require.EqualValues(t, 1, e.login("new").unread().GetUnread(), "also at its next login")
		require.Equal(t, []string{"one", "two"}, bodies(ann.history(&pb.LogsCommand{Cid: &id})))

		fresh.reads(id, time.Now().UnixMilli())
		require.EqualValues(t, 0, fresh.unread().GetUnread())
		require.Empty(t, e.login("new").pushes())

		list, err := e.engine.Broadcasts(t.Context(), admin(""), id, 0, 10)
		require.NoError(t, err)
		require.Len(t, list, 2)
		require.Equal(t, "two", list[0].Message.Body)
		require.Equal(t, till, list[1].ValidTill)
		list, err = e.engine.Broadcasts(t.Context(), admin(""), "", 1, 10)
		require.NoError(t, err)
		require.Len(t, list, 1)

		old := e.loginOver(wire.SubprotocolBinaryOffline, "ann")
		require.Equal(t, []string{"one", "two"}, old.texts())
		old.received(id, 1, time.Now().UnixMilli())
		old.logout()
		require.Empty(t, e.loginOver(wire.SubprotocolBinaryOffline, "ann").texts(), "old clients' marks of services are kept")

		_, err = e.engine.Edit(t.Context(), admin(""), &engine.Edit{Cid: id, Mid: s.Mid, TS: s.TS, Body: "uno"})
		require.NoError(t, err)
		require.Equal(t, "uno", ann.only().GetPatchMessage().GetPatches()[0].GetData())

		time.Sleep(time.Hour)
		require.EqualValues(t, 1, e.login("dan").unread().GetUnread())
		require.EqualValues(t, 1, e.login("cid").unread().GetUnread(), "the first one is over")
		list, err = e.engine.Broadcasts(t.Context(), admin(""), id, 0, 10)
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.NoError(t, e.engine.DeleteBroadcast(t.Context(), admin(""), list[0].Mid))
		require.ErrorContains(t, e.engine.DeleteBroadcast(t.Context(), admin(""), list[0].Mid), wire.CodeMessageNotFound.Name())
		require.Empty(t, e.login("eve").pushes())
		records, err := e.store.Records(t.Context(), store.RecordBroadcast, appID, "", "", 10)
		require.NoError(t, err)
		require.Empty(t, records, "expired ones are swept")

		_, err = e.engine.BroadcastToAll(t.Context(), admin("gm"), id, &engine.Outgoing{Body: "now or never", Transient: true}, 0)
		require.NoError(t, err)
		require.Equal(t, []string{"now or never"}, ann.texts())
		require.Empty(t, e.login("eve").pushes())
		_, err = e.engine.BroadcastToAll(t.Context(), admin("gm"), id, out("last"), 0)
		require.NoError(t, err)
		require.NoError(t, e.engine.Delete(t.Context(), admin(""), id))
		require.Empty(t, e.login("eve").pushes(), "gone with its conversation")
	})
}

func TestStats(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		e.login("ann").logout()
		time.Sleep(24 * time.Hour)
		e.login("bob").logout()
		e.login("cid")
		e.login("cid")
		s, err := e.engine.Stats(t.Context(), admin(""))
		require.NoError(t, err)
		require.Equal(t, engine.Stats{Online: 1, Today: 2}, s)
		online, err := e.engine.Online(admin(""), []string{"ann", "cid"})
		require.NoError(t, err)
		require.Equal(t, []string{"cid"}, online)
		_, err = e.engine.Online(engine.Cause{}, nil)
		require.ErrorContains(t, err, wire.CodeAppNotAvailable.Name())
	})
}

func TestNotes(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		start := jerry.opened.GetServerTs()
		jerry.logout()
		id := tom.create(nil, unique, func(m *pb.ConvCommand) { m.M = []string{"jerry"} })
		tom.ok(pb.OpType_update, pb.OpType_updated, changes(id, `{"name":"x"}`))
		tom.ok(pb.OpType_add, pb.OpType_added, about(id, "mary"))
		tom.ok(pb.OpType_remove, pb.OpType_removed, about(id, "jerry"))
		tom.ok(pb.OpType_add, pb.OpType_added, about(id, "jerry"))
		notes := func(since int64, droppable bool) engine.Notes {
			n, err := e.engine.Notes(t.Context(), admin(""), "jerry", since, droppable)
			require.NoError(t, err)
			return n
		}
		n := notes(start, false)
		require.False(t, n.HasMore)
		ops := []string{}
		for i, note := range n.Permanent {
			var f map[string]any
			require.NoError(t, json.Unmarshal(note.Fields, &f))
			require.Equal(t, id, f["cid"])
			require.Equal(t, "tom", f["initBy"])
			require.Regexp(t, isoText, f["udate"])
			require.False(t, note.Receipt())
			ops = append(ops, note.Op)
			if i > 0 {
				require.Greater(t, note.TS, n.Permanent[i-1].TS)
			}
		}
		require.Equal(t, []string{"joined", "left", "joined"}, ops)
		require.Empty(t, n.Droppable)
		require.Len(t, notes(n.Permanent[0].TS, false).Permanent, 2, "exclusive")
		require.Empty(t, notes(n.Permanent[2].TS, false).Permanent)

		n = notes(start, true)
		ops = ops[:0]
		for _, note := range n.Droppable {
			ops = append(ops, note.Op)
		}
		require.Equal(t, []string{"members-joined", "updated", "members-joined", "members-left", "members-joined"}, ops)
		require.False(t, n.Invalid)
		require.Contains(t, string(n.Droppable[1].Fields), `"attr":{"name":"x"}`)

		// A receipt for somebody who is away.
		pair := tom.create(nil, func(m *pb.ConvCommand) { m.M = []string{"jerry"} })
		ack := tom.say(pair, "read me", receipt)
		tom.logout()
		e.login("jerry").reads(pair, ack.GetT())
		n, err := e.engine.Notes(t.Context(), admin(""), "tom", start, true)
		require.NoError(t, err)
		last := n.Droppable[len(n.Droppable)-1]
		require.True(t, last.Receipt())
		require.JSONEq(t, fmt.Sprintf(`{"cid":%q,"id":%q,"from":"jerry","read":true,"t":%d}`, pair, ack.GetUid(), time.Now().UnixMilli()), string(last.Fields))

		// More than is kept.
		for i := range store.KeepEvents + 1 {
			_, err := e.engine.Update(t.Context(), admin(""), id, json.RawMessage(fmt.Sprintf(`{"i":%d}`, i)))
			require.NoError(t, err)
		}
		require.True(t, notes(start, true).Invalid)
	})
}

func TestNotesArePaged(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.login("tom")
		for range 120 {
			tom.create(nil)
		}
		since, seen := int64(0), 0
		for {
			n, err := e.engine.Notes(t.Context(), admin(""), "tom", since, false)
			require.NoError(t, err)
			seen += len(n.Permanent)
			since = n.Permanent[len(n.Permanent)-1].TS
			if !n.HasMore {
				break
			}
		}
		require.Equal(t, 120, seen)
	})
}

func TestClientHooks(t *testing.T) {
	online := make(chan *hook.ClientOnline, 4)
	offline := make(chan *hook.ClientOffline, 4)
	run(t, func(t *testing.T, e *env) {
		ann := e.login("ann")
		on := <-online
		require.Equal(t, "ann", on.Client)
		require.False(t, on.Reconnect)
		ann.logout()
		off := <-offline
		require.Equal(t, hook.OfflineLogout, off.Cause)
		require.NotEmpty(t, off.SourceIP)
		ann = e.login("ann", again(ann.opened.GetSessionMessage().GetSt()))
		require.True(t, (<-online).Reconnect)
		ann.cut()
		off = <-offline
		require.Equal(t, hook.OfflineLost, off.Cause)
		require.Empty(t, off.SourceIP)
		ann = e.login("ann")
		<-online
		_, err := e.engine.Kick(admin(""), "ann", "")
		require.NoError(t, err)
		off = <-offline
		require.Equal(t, hook.OfflineKicked, off.Cause)
		require.Equal(t, wire.CodeKickedByApp.Name(), off.Message)
		ann.pushes()
	}, func(s *settings) {
		s.hooks.ClientOnline = func(_ context.Context, ev *hook.ClientOnline) { online <- ev }
		s.hooks.ClientOffline = func(_ context.Context, ev *hook.ClientOffline) { offline <- ev }
	})
}

func TestConversationForAdministrators(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		id := e.service("x")
		text, kind, err := e.engine.Conv(t.Context(), admin(""), id)
		require.NoError(t, err)
		require.Equal(t, store.KindService, kind)
		require.Contains(t, string(text), `"sys":true`)
		require.NotContains(t, string(text), "joined")
		_, _, err = e.engine.Conv(t.Context(), admin(""), unknown)
		require.ErrorContains(t, err, wire.CodeConversationNotFound.Name())
		all, err := e.engine.Query(t.Context(), admin(""), engine.ConvQuery{Limit: 10, Kinds: []store.ConvKind{store.KindService}})
		require.NoError(t, err)
		require.Contains(t, string(all), id)
		done, err := e.engine.Update(t.Context(), admin(""), id, json.RawMessage(`{"name":"y"}`))
		require.NoError(t, err)
		require.JSONEq(t, `{"name":"y"}`, string(done.Modified))
		_, err = e.engine.Mute(t.Context(), admin(""), id, []string{"nobody"}, true)
		require.NoError(t, err)
		_, err = e.engine.Query(t.Context(), engine.Cause{}, engine.ConvQuery{})
		require.ErrorContains(t, err, wire.CodeAppNotAvailable.Name())
	})
}
