package command_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/engine"
	"github.com/leanrtm/realtime/server/internal/hook"
	"github.com/leanrtm/realtime/server/internal/store"
)

func TestSend(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, tomToo, jerry, eve := e.login("tom"), e.login("tom"), e.login("jerry"), e.login("eve")
		id := tom.create([]*client{jerry})
		tomToo.pushes()
		ack := tom.say(id, `{"_lctype":-1,"_lctext":"hi"}`, receipt, mention("jerry"), func(m *pb.DirectCommand) {
			m.MentionAll, m.PushData = proto.Bool(true), proto.String(`{"alert":"x"}`)
		})
		require.Nil(t, ack.Code)
		require.LessOrEqual(t, len(ack.GetUid()), 22)
		require.Empty(t, tom.pushes(), "not to the sending session")
		for _, c := range []*client{tomToo, jerry} {
			p := c.only()
			m := p.GetDirectMessage()
			require.Equal(t, "direct", name(p))
			require.Equal(t, "tom", m.GetFromPeerId())
			require.Equal(t, id, m.GetCid())
			require.Equal(t, ack.GetUid(), m.GetId())
			require.Equal(t, ack.GetT(), m.GetTimestamp())
			require.Equal(t, `{"_lctype":-1,"_lctext":"hi"}`, m.GetMsg())
			require.Equal(t, []string{"jerry"}, m.GetMentionPids())
			require.True(t, m.GetMentionAll())
			require.EqualValues(t, wire.KindNormal, m.GetConvType())
			require.Nil(t, m.PatchTimestamp)
			require.Nil(t, m.Transient)
			require.Nil(t, m.BinaryMsg)
		}
		require.Empty(t, eve.pushes())
		bin := tom.direct(&pb.DirectCommand{Cid: &id, BinaryMsg: []byte{1, 2, 0, 255}})
		m := jerry.only().GetDirectMessage()
		require.Equal(t, []byte{1, 2, 0, 255}, m.GetBinaryMsg())
		require.Nil(t, m.Msg)
		require.Equal(t, bin.GetUid(), m.GetId())
		require.Greater(t, bin.GetT(), ack.GetT())
		tom.direct(&pb.DirectCommand{Cid: &id, BinaryMsg: []byte{}})
		require.NotNil(t, jerry.only().GetDirectMessage().BinaryMsg, "empty bytes are bytes")
	})
}

func TestSendRefused(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry, eve := e.login("tom"), e.login("jerry"), e.login("eve")
		id := tom.create([]*client{jerry})
		eve.refused(wire.CodeInvalidMessagingTarget, id, "x")
		tom.refused(wire.CodeInvalidMessagingTarget, unknown, "x")
		tom.refused(wire.CodeInvalidMessagingTarget, "", "x")
		tom.refused(wire.CodeConversationNotFound, wire.TemporaryPrefix+"nothing", "x")
		tom.refused(wire.CodeFrameTooLong, id, strings.Repeat("x", wire.MaxMessageSize+1))
		tom.refused(wire.CodeFrameTooLong, id, "x", func(m *pb.DirectCommand) {
			m.PushData = proto.String(strings.Repeat("x", wire.MaxMessageSize))
		})
		tom.say(id, strings.Repeat("x", wire.MaxMessageSize))
		jerry.pushes()

		require.NoError(t, e.engine.Silence(t.Context(), admin(""), id, "jerry", time.Minute))
		jerry.refused(wire.CodeConversationTemporaryBlacklisted, id, "x")
		time.Sleep(time.Minute)
		jerry.say(id, "a minute is over")
		require.NoError(t, e.engine.Silence(t.Context(), admin(""), id, "jerry", time.Hour))
		require.NoError(t, e.engine.Silence(t.Context(), admin(""), id, "jerry", 0))
		jerry.say(id, "pardoned")
		require.Error(t, e.engine.Silence(t.Context(), admin(""), id, "jerry", 25*time.Hour))
		require.Equal(t, []string{"a minute is over", "pardoned"}, tom.texts(), "what was refused was not delivered")
		require.Empty(t, jerry.pushes())
	})
}

func TestSendRates(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		id := tom.create([]*client{jerry})
		for i := range 3 {
			tom.say(id, fmt.Sprint(i))
		}
		tom.refused(wire.CodeMessageSentQuotaExceeded, id, "too fast")
		jerry.say(id, "another client has its own allowance")
		time.Sleep(20 * time.Second)
		tom.say(id, "one has come back")
		tom.refused(wire.CodeMessageSentQuotaExceeded, id, "only one")
		require.Len(t, tom.history(&pb.LogsCommand{Cid: &id}), 5)
		wantError(t, wire.CodeConversationAPIQuotaExceeded, tom.call(&pb.GenericCommand{
			Cmd: pb.CommandType_logs.Enum(), LogsMessage: &pb.LogsCommand{Cid: &id},
		}))
		tom.ok(pb.OpType_count, pb.OpType_result, cid(id))
		tom.fails(wire.CodeConversationAPIQuotaExceeded, pb.OpType_count, cid(id))
		wantError(t, wire.CodeConversationAPIQuotaExceeded, tom.blacklist(pb.OpType_query, &pb.BlacklistCommand{SrcCid: &id}))
		time.Sleep(time.Hour)
		for i := range 3 {
			tom.say(id, fmt.Sprint(i))
		}
		tom.refused(wire.CodeMessageSentQuotaExceeded, id, "waiting saves nothing up")
	}, func(s *settings) { s.limits.SendRate, s.limits.HistoryRate, s.limits.RequestRate = 3, 1, 2 })
}

func TestDedup(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, tomToo, jerry := e.login("tom"), e.login("tom"), e.login("jerry")
		id := tom.create([]*client{jerry})
		other := tom.create([]*client{jerry})
		tomToo.pushes()
		first := tom.say(id, "a", dedup("t1"))
		time.Sleep(9 * time.Minute)
		again := tomToo.say(id, "a again", dedup("t1"))
		require.Equal(t, first.GetUid(), again.GetUid())
		require.Equal(t, first.GetT(), again.GetT())
		require.Equal(t, []string{"a"}, jerry.texts())
		require.NotEqual(t, first.GetUid(), jerry.say(id, "b", dedup("t1")).GetUid(), "another client's token")
		require.NotEqual(t, first.GetUid(), tom.say(other, "c", dedup("t1")).GetUid(), "another conversation")
		time.Sleep(time.Minute + time.Second)
		require.NotEqual(t, first.GetUid(), tom.say(id, "d", dedup("t1")).GetUid(), "after ten minutes it is a new one")

		for _, kind := range []func(*pb.DirectCommand){transient, will} {
			jerry.pushes()
			first = tom.say(id, "e", kind, dedup("t2"))
			require.Equal(t, first.GetUid(), tom.say(id, "e", kind, dedup("t2")).GetUid())
			require.LessOrEqual(t, len(jerry.texts()), 1)
			time.Sleep(11 * time.Minute)
			require.NotEqual(t, first.GetUid(), tom.say(id, "e", kind, dedup("t2")).GetUid())
		}
	})
}

func TestDedupRace(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		id := tom.create([]*client{jerry})
		by := admin("tom")
		by.Admin = false
		var wg sync.WaitGroup
		mids := make([]string, 32)
		for i := range mids {
			wg.Go(func() {
				s, err := e.engine.Send(t.Context(), by, id, &engine.Outgoing{Body: "x", Token: "same"})
				if err == nil {
					mids[i] = s.Mid
				}
			})
		}
		wg.Wait()
		require.Len(t, slices.Compact(mids), 1)
		require.NotEmpty(t, mids[0])
		require.Equal(t, []string{"x"}, jerry.texts())
	})
}

func TestTransient(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		id := tom.create([]*client{jerry})
		ack := tom.say(id, "typing", transient)
		m := jerry.only().GetDirectMessage()
		require.True(t, m.GetTransient())
		require.Equal(t, ack.GetUid(), m.GetId())
		require.Empty(t, tom.history(&pb.LogsCommand{Cid: &id}))
		require.NotContains(t, tom.find(&pb.ConvCommand{})[0], "lm")
		jerry.logout()
		require.Empty(t, e.login("jerry").pushes(), "nothing is unread")
	})
}

func TestRoomMessages(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry, mary := e.login("tom"), e.login("jerry"), e.login("mary")
		jerryToo := e.login("jerry")
		id := tom.create(nil, room)
		jerry.ok(pb.OpType_add, pb.OpType_added, about(id, "jerry"))
		for p := range int32(4) {
			m := &pb.DirectCommand{Cid: &id, Msg: proto.String(fmt.Sprint(p))}
			require.Nil(t, tom.directAs(m, p).Code)
		}
		require.Equal(t, []string{"0", "1", "2", "3"}, jerry.texts())
		require.Empty(t, tom.texts())
		require.Empty(t, jerryToo.texts(), "presence is a session's")
		mary.say(id, "from outside")
		require.Equal(t, []string{"from outside"}, tom.texts())
		require.Empty(t, mary.texts())
		require.Len(t, mary.history(&pb.LogsCommand{Cid: &id}), 5, "anybody reads a room's history")
		jerry.logout()
		require.Empty(t, e.login("jerry").pushes(), "rooms count nothing")
	})
}

// All sessions see the messages of a conversation in one order, which is that of
// their times, however many send at once.
func TestOrder(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		watch := []*client{tom, jerry, e.login("jerry")}
		id := tom.create([]*client{jerry})
		for _, c := range watch {
			c.pushes()
		}
		const senders, each = 8, 25
		var wg sync.WaitGroup
		var failed atomic.Int32
		for s := range senders {
			by := admin(fmt.Sprint("bot", s))
			wg.Go(func() {
				for n := range each {
					if _, err := e.engine.Send(t.Context(), by, id, &engine.Outgoing{Body: fmt.Sprintf("%d/%d", s, n)}); err != nil {
						failed.Add(1)
					}
				}
			})
		}
		wg.Wait()
		require.Zero(t, failed.Load())
		log := []string{}
		last := int64(0)
		for _, it := range tom.history(&pb.LogsCommand{Cid: &id, Limit: proto.Int32(1000)}) {
			require.Greater(t, it.GetTimestamp(), last)
			last = it.GetTimestamp()
			log = append(log, it.GetData())
		}
		require.Len(t, log, senders*each)
		for _, c := range watch {
			require.Equal(t, log, c.texts())
		}
		next := make(map[string]int)
		for _, text := range log {
			s, n, _ := strings.Cut(text, "/")
			require.Equal(t, fmt.Sprint(next[s]), n, "a sender's own order")
			next[s]++
		}
	})
}

func TestWill(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		id := tom.create([]*client{jerry})
		tom.say(id, "replaced", will)
		ack := tom.say(id, "bye", will)
		require.Empty(t, jerry.pushes())
		time.Sleep(time.Hour)
		tom.cut()
		m := jerry.only().GetDirectMessage()
		require.Equal(t, "bye", m.GetMsg())
		require.Equal(t, ack.GetUid(), m.GetId())
		require.Equal(t, "tom", m.GetFromPeerId())
		require.Greater(t, m.GetTimestamp(), ack.GetT()+int64(time.Hour/time.Millisecond)-1)
		require.Empty(t, jerry.history(&pb.LogsCommand{Cid: &id}))

		tom = e.login("tom")
		tom.say(id, "dropped", will)
		tom.logout()
		require.Empty(t, jerry.pushes(), "not after a logout")

		tom = e.login("tom")
		tom.say(id, "not any more", will)
		jerry.ok(pb.OpType_remove, pb.OpType_removed, about(id, "jerry"))
		r := tom.create(nil, room)
		jerry.ok(pb.OpType_add, pb.OpType_added, about(r, "jerry"))
		jerry.pushes()
		tom.say(r, "from the room", will)
		tom.cut()
		require.Equal(t, []string{"from the room"}, jerry.texts())

		// A service has nobody to tell, and does not keep it either.
		service := e.service("s")
		tom = e.login("tom")
		tom.say(service, "to the app", will)
		tom.cut()
		tom = e.login("tom")
		require.Empty(t, tom.history(&pb.LogsCommand{Cid: &service}))
	})
}

func TestMessageHooks(t *testing.T) {
	var e *env
	var asked []*hook.MessageReceived
	sent := make(chan *hook.MessageSent, 8)
	offline := make(chan *hook.ReceiversOffline, 8)
	run(t, func(t *testing.T, env *env) {
		e = env
		tom, jerry, mary := e.login("tom"), e.login("jerry"), e.login("mary")
		id := tom.create([]*client{jerry, mary}, func(m *pb.ConvCommand) { m.M = append(m.M, "away") })
		ack := tom.refused(wire.CodeMessageRejectedByApp, id, "drop")
		require.EqualValues(t, 12, ack.GetAppCode())
		require.Equal(t, "no", ack.GetAppMsg())
		require.Equal(t, id, ack.GetCid())
		require.Equal(t, []string{"away", "jerry", "mary"}, asked[0].To)
		require.Equal(t, hook.Content{Data: "drop"}, asked[0].Content)
		require.NotEmpty(t, asked[0].SourceIP)

		first := tom.say(id, "replace", dedup("x"), mention("away", "jerry"))
		require.Equal(t, []string{"replaced"}, jerry.texts())
		n := len(asked)
		require.Equal(t, first.GetUid(), tom.say(id, "replace", dedup("x")).GetUid())
		require.Len(t, asked, n, "a retry was asked about before")
		ev := <-sent
		require.Equal(t, first.GetUid(), ev.MessageID)
		require.Equal(t, []string{"jerry", "mary"}, ev.Online)
		require.Equal(t, []string{"away"}, ev.Offline)
		require.Equal(t, "replaced", ev.Content.Data)
		away := <-offline
		require.Equal(t, []string{"away"}, away.Offline)
		require.Equal(t, []string{"away"}, away.MentionsOffline)

		tom.say(id, "to mary only")
		require.Equal(t, []string{"replaced", "to mary only"}, mary.texts())
		require.Empty(t, jerry.texts())
		tom.refused(wire.CodeFrameTooLong, id, "grow")
		tom.refused(wire.CodeMessageRejectedByApp, id, "drop", will)
		tom.refused(wire.CodeInvalidMessagingTarget, id, "removed meanwhile")
		synctest.Wait()
		require.Empty(t, mary.texts())
	}, func(s *settings) {
		s.hooks.MessageReceived = func(ctx context.Context, ev *hook.MessageReceived) (hook.MessageVerdict, error) {
			asked = append(asked, ev)
			switch ev.Content.Data {
			case "drop":
				return hook.MessageVerdict{Drop: true, Code: 12, Detail: "no"}, nil
			case "replace":
				return hook.MessageVerdict{Content: &hook.Content{Data: "replaced"}}, nil
			case "to mary only":
				return hook.MessageVerdict{To: []string{"mary", "stranger"}}, nil
			case "grow":
				return hook.MessageVerdict{Content: &hook.Content{Data: strings.Repeat("x", 9999)}}, nil
			case "removed meanwhile":
				_, err := e.engine.Remove(ctx, admin(""), ev.ConvID, []string{"tom"}, sigNone)
				return hook.MessageVerdict{}, err
			}
			return hook.MessageVerdict{}, nil
		}
		s.hooks.MessageSent = func(_ context.Context, ev *hook.MessageSent) { sent <- ev }
		s.hooks.ReceiversOffline = func(_ context.Context, ev *hook.ReceiversOffline) (hook.OfflineVerdict, error) {
			offline <- ev
			return hook.OfflineVerdict{}, nil
		}
	})
}

func TestSendAsAdministrator(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		id := tom.create([]*client{jerry})
		tom.ok(pb.OpType_add_shutup, pb.OpType_shutup_added, about(id, "jerry"))
		tom.pushes()
		jerry.pushes()
		s, err := e.engine.Send(t.Context(), admin("jerry"), id, &engine.Outgoing{Body: "as jerry"})
		require.NoError(t, err)
		require.Equal(t, s.Mid, tom.only().GetDirectMessage().GetId())
		require.Equal(t, []string{"as jerry"}, jerry.texts(), "the named sender sees it")
		_, err = e.engine.Send(t.Context(), admin("jerry"), id, &engine.Outgoing{Body: "quietly", NoSync: true})
		require.NoError(t, err)
		require.Equal(t, []string{"quietly"}, tom.texts())
		require.Empty(t, jerry.texts())
		_, err = e.engine.Send(t.Context(), admin("stranger"), id, &engine.Outgoing{Body: "from nowhere"})
		require.NoError(t, err)
		require.Equal(t, []string{"from nowhere"}, tom.texts())
		require.EqualValues(t, wire.KindNormal, jerry.only().GetDirectMessage().GetConvType())
		n, err := e.engine.Kick(admin(""), "jerry", "go away")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		p := jerry.only()
		require.Equal(t, "session/closed", name(p))
		require.EqualValues(t, wire.CodeKickedByApp, p.GetSessionMessage().GetCode())
		require.Equal(t, "go away", p.GetSessionMessage().GetReason())
	})
}

// A store that stops working is an answer, not silence, and nothing is pushed.
func TestStoreFails(t *testing.T) {
	var f *faulty
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		id := tom.create([]*client{jerry})
		before := tom.say(id, "before")
		require.Equal(t, []string{"before"}, jerry.texts())
		f.fail(store.ErrUnavailable)
		tom.refused(wire.CodeInternalError, id, "lost")
		tom.fails(wire.CodeConversationInternalError, pb.OpType_update, changes(id, `{"name":"x"}`))
		tom.fails(wire.CodeConversationInternalError, pb.OpType_start, &pb.ConvCommand{})
		wantError(t, wire.CodeInternalError, tom.call(patchCommand(pb.OpType_modify, &pb.PatchItem{
			Cid: &id, Mid: before.Uid, Timestamp: before.T, Data: proto.String("x"),
		})))
		f.fail(nil)
		require.Empty(t, jerry.pushes())
		tom.say(id, "works again")
		require.Equal(t, []string{"works again"}, jerry.texts())

		// Written, but nobody was told so: the answer is found out.
		f.fail(store.ErrInDoubt)
		first := tom.say(id, "in doubt", dedup("d"))
		tom.say(id, "without a token")
		f.fail(nil)
		require.Equal(t, first.GetUid(), tom.say(id, "in doubt", dedup("d")).GetUid())
		require.Equal(t, []string{"in doubt", "without a token"}, jerry.texts())
		require.Equal(t, []string{"before", "works again", "in doubt", "without a token"}, bodies(tom.history(&pb.LogsCommand{Cid: &id})))
	}, func(s *settings) {
		s.store = func(inner store.Store) store.Store {
			f = &faulty{Store: inner}
			return f
		}
	})
}

// faulty is a store whose commits fail on demand. ErrInDoubt is told after the
// write was done.
type faulty struct {
	store.Store
	mu  sync.Mutex
	err error
}

func (f *faulty) fail(err error) {
	f.mu.Lock()
	f.err = err
	f.mu.Unlock()
}

func (f *faulty) Commit(ctx context.Context, bs []store.Batch) []error {
	f.mu.Lock()
	err := f.err
	f.mu.Unlock()
	switch err {
	case nil:
		return f.Store.Commit(ctx, bs)
	case store.ErrInDoubt:
		if errs := f.Store.Commit(ctx, bs); errs != nil {
			return errs
		}
	}
	errs := make([]error, len(bs))
	for i := range errs {
		errs[i] = err
	}
	return errs
}
