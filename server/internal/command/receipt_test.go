package command_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/engine"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/sign"
	"github.com/leanrtm/realtime/server/internal/store"
)

func (c *client) maxRead(id string) *pb.ConvCommand {
	c.t.Helper()
	return c.ok(pb.OpType_max_read, pb.OpType_max_read, cid(id))
}

func TestReceipts(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, tomToo, jerry := e.login("tom"), e.login("tom"), e.login("jerry")
		id := tom.create([]*client{jerry})
		tomToo.pushes()
		got := tom.maxRead(id)
		require.Nil(t, got.MaxAckTimestamp)
		require.Nil(t, got.MaxReadTimestamp)
		a := tom.say(id, "a", receipt)
		b := tom.say(id, "b")
		c := tom.say(id, "c", receipt)
		jerry.say(id, "mine", receipt)
		tom.pushes()
		tomToo.pushes()
		jerry.pushes()
		jerry.received(id, a.GetT(), c.GetT())
		for _, s := range []*client{tom, tomToo} {
			p := s.pushes()
			require.Len(t, p, 2)
			for i, want := range []*pb.AckCommand{a, c} {
				require.Equal(t, "rcp", name(p[i]))
				m := p[i].GetRcpMessage()
				require.Equal(t, want.GetUid(), m.GetId())
				require.Equal(t, id, m.GetCid())
				require.Equal(t, "jerry", m.GetFrom())
				require.NotZero(t, m.GetT())
				require.Nil(t, m.Read)
			}
		}
		jerry.received(id, a.GetT(), c.GetT())
		require.Empty(t, tom.pushes(), "each once")
		require.Equal(t, c.GetT(), tom.maxRead(id).GetMaxAckTimestamp())
		require.Nil(t, tom.maxRead(id).MaxReadTimestamp)

		// One receipt for all that became read, about the newest of them.
		jerry.reads(id, b.GetT())
		p := tom.only().GetRcpMessage()
		require.True(t, p.GetRead())
		require.Equal(t, b.GetUid(), p.GetId())
		tomToo.pushes()
		jerry.pushes()
		require.Equal(t, b.GetT(), tom.maxRead(id).GetMaxReadTimestamp())
		require.Equal(t, c.GetT(), tom.maxRead(id).GetMaxAckTimestamp())
		all := tom.ok(pb.OpType_max_read, pb.OpType_max_read, &pb.ConvCommand{Cid: &id, QueryAllMembers: proto.Bool(true)})
		require.Len(t, all.GetMaxReadTuples(), 1)
		require.Equal(t, "jerry", all.GetMaxReadTuples()[0].GetPid())
		require.Equal(t, b.GetT(), all.GetMaxReadTuples()[0].GetMaxReadTimestamp())

		// Reading is receiving.
		d := tom.say(id, "d", receipt)
		jerry.pushes()
		jerry.reads(id, d.GetT())
		both := tom.pushes()
		require.Len(t, both, 2)
		require.False(t, both[0].GetRcpMessage().GetRead())
		require.True(t, both[1].GetRcpMessage().GetRead())
		require.Equal(t, d.GetUid(), both[1].GetRcpMessage().GetId())
		jerry.received(id, d.GetT(), d.GetT())
		require.Empty(t, tom.pushes())

		// Nobody asked, nobody is told.
		f := tom.say(id, "f")
		jerry.pushes()
		jerry.received(id, f.GetT(), f.GetT())
		jerry.reads(id, f.GetT())
		require.Empty(t, tom.pushes())
	})
}

func TestReceiptByMessage(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		id := tom.create([]*client{jerry})
		a := tom.say(id, "a", receipt)
		tom.say(id, "b", receipt)
		jerry.pushes()
		ack := func(mid string) {
			jerry.tell(&pb.GenericCommand{Cmd: pb.CommandType_ack.Enum(), AckMessage: &pb.AckCommand{Cid: &id, Mid: &mid}})
		}
		ack("nothing")
		require.Empty(t, tom.pushes())
		ack(a.GetUid())
		require.Equal(t, a.GetUid(), tom.only().GetRcpMessage().GetId())
		read := func(r *pb.ReadCommand) {
			jerry.tell(&pb.GenericCommand{Cmd: pb.CommandType_read.Enum(), ReadMessage: r})
		}
		read(&pb.ReadCommand{Convs: []*pb.ReadTuple{{Cid: &id, Mid: a.Uid}}})
		require.EqualValues(t, 1, jerry.unread().GetUnread())
		read(&pb.ReadCommand{Convs: []*pb.ReadTuple{{Cid: &id, Mid: proto.String("nothing")}}})
		require.Empty(t, jerry.pushes())
		read(&pb.ReadCommand{Cid: &id})
		require.EqualValues(t, 0, jerry.unread().GetUnread())
		read(&pb.ReadCommand{Cids: []string{id, unknown, ""}})
		require.EqualValues(t, 0, jerry.unread().GetUnread())
	})
}

func TestNoReceiptsInGroups(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry, mary := e.login("tom"), e.login("jerry"), e.login("mary")
		id := tom.create([]*client{jerry, mary})
		a := tom.say(id, "a", receipt)
		jerry.pushes()
		jerry.received(id, a.GetT(), a.GetT())
		jerry.reads(id, a.GetT())
		require.Empty(t, tom.pushes())
		require.Nil(t, tom.maxRead(id).MaxAckTimestamp)
		all := tom.ok(pb.OpType_max_read, pb.OpType_max_read, &pb.ConvCommand{Cid: &id, QueryAllMembers: proto.Bool(true)})
		require.Len(t, all.GetMaxReadTuples(), 1, "members without data are left out, the asking one too")
		require.Equal(t, "jerry", all.GetMaxReadTuples()[0].GetPid())

		r := tom.create(nil, room)
		tom.fails(wire.CodeNormalConversationRequired, pb.OpType_max_read, cid(r))
		tom.received(r, 1, 2)
		tom.reads(r, 1)
		require.Empty(t, tom.pushes())
	})
}

// Nobody marks what is still to come, however wrong its clock is.
func TestReadInTheFuture(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		id := tom.create([]*client{jerry})
		a := tom.say(id, "a")
		jerry.pushes()
		jerry.reads(id, time.Now().Add(24*time.Hour).UnixMilli())
		require.EqualValues(t, 0, jerry.unread().GetUnread())
		require.Equal(t, a.GetT(), tom.maxRead(id).GetMaxReadTimestamp())
		jerry.logout()
		tom.say(id, "b")
		require.EqualValues(t, 1, e.login("jerry").unread().GetUnread())
	})
}

func TestUnread(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		id := tom.create([]*client{jerry})
		jerry.logout()
		tom.say(id, "1")
		tom.say(id, "2", mention("jerry"))
		last := tom.say(id, "3")
		for range 2 {
			jerry = e.login("jerry")
			p := jerry.only()
			require.Equal(t, "unread", name(p))
			require.NotZero(t, p.GetUnreadMessage().GetNotifTime())
			require.Less(t, p.GetUnreadMessage().GetNotifTime(), time.Now().UnixMilli())
			u := p.GetUnreadMessage().GetConvs()[0]
			require.Equal(t, id, u.GetCid())
			require.EqualValues(t, 3, u.GetUnread())
			require.True(t, u.GetMentioned())
			require.Equal(t, last.GetUid(), u.GetMid())
			require.Equal(t, last.GetT(), u.GetTimestamp())
			require.Equal(t, "tom", u.GetFrom())
			require.Equal(t, "3", u.GetData())
			require.Nil(t, u.PatchTimestamp)
			require.Nil(t, u.BinaryMsg)
			require.EqualValues(t, wire.KindNormal, u.GetConvType())
		}
		require.Empty(t, e.login("tom").pushes(), "own messages are read")

		other := e.login("jerry")
		cursor := other.only().GetUnreadMessage().GetNotifTime()
		time.Sleep(time.Second)
		jerry.reads(id, last.GetT())
		for _, c := range []*client{jerry, other} {
			u := c.unread()
			require.EqualValues(t, 0, u.GetUnread())
			require.False(t, u.GetMentioned())
			require.Equal(t, last.GetUid(), u.GetMid())
		}
		time.Sleep(time.Second)
		require.Empty(t, e.login("jerry").pushes(), "nothing is unread, nothing to tell")
		u := e.login("jerry", since(cursor)).unread()
		require.EqualValues(t, 0, u.GetUnread(), "it was read elsewhere since")
		require.Empty(t, e.login("jerry", since(time.Now().UnixMilli())).pushes())

		next := tom.say(id, "4")
		require.EqualValues(t, 1, e.login("jerry", since(next.GetT()-1)).unread().GetUnread())
		require.Empty(t, e.login("jerry", since(next.GetT())).pushes(), "known already")
	})
}

func TestReadAndLogoutAtOnce(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		id := tom.create([]*client{jerry})
		a := tom.say(id, "x")
		jerry.pushes()
		jerry.conn.Send(&pb.GenericCommand{Cmd: pb.CommandType_read.Enum(), PeerId: proto.String("jerry"), ReadMessage: &pb.ReadCommand{
			Convs: []*pb.ReadTuple{{Cid: &id, Timestamp: a.T}},
		}})
		jerry.logout()
		require.Empty(t, e.login("jerry").pushes())
	})
}

func TestUnreadLimits(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.login("tom")
		var all []string
		for i := range 14 {
			id := tom.create(nil, func(m *pb.ConvCommand) { m.M = []string{"jerry"} }, named(fmt.Sprint(i)))
			all = append(all, id)
			for range 12 {
				tom.say(id, strings.Repeat("x", 4000))
			}
			time.Sleep(time.Millisecond)
		}
		jerry := e.login("jerry")
		p := jerry.pushes()
		require.Greater(t, len(p), 1, "too much for one frame")
		var told []string
		for i, frame := range p {
			for _, u := range frame.GetUnreadMessage().GetConvs() {
				require.EqualValues(t, 10, u.GetUnread(), "no more is counted")
				told = append(told, u.GetCid())
			}
			// The cursor moves with the last frame only.
			require.Equal(t, i == len(p)-1, frame.GetUnreadMessage().NotifTime != nil)
		}
		slices.Reverse(all)
		require.Equal(t, all[:12], told, "the latest ones")
	}, func(s *settings) { s.limits.UnreadCount, s.limits.UnreadConvs = 10, 12 })
}

func TestUnreadStartsWhenOneJoins(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.login("tom")
		id := tom.create(nil)
		for range 5 {
			tom.say(id, "before")
		}
		tom.ok(pb.OpType_add, pb.OpType_added, about(id, "jerry"))
		require.Empty(t, e.login("jerry").names())
		tom.say(id, "after")
		require.EqualValues(t, 1, e.login("jerry").unread().GetUnread())
		tom.ok(pb.OpType_remove, pb.OpType_removed, about(id, "jerry"))
		require.Empty(t, e.login("jerry").pushes(), "leaving drops the count")
		require.Nil(t, tom.maxRead(id).MaxReadTimestamp, "joining is not reading")
	})
}

func TestTemporaryConversationsNeedABit(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.login("tom")
		plain := e.login("jerry", caps(allCaps&^wire.BitTemporary))
		id := tom.create(nil, temporary(1000), func(m *pb.ConvCommand) { m.M = []string{"jerry"} })
		tom.say(id, "x")
		require.Empty(t, plain.pushes())
		require.EqualValues(t, wire.KindTemporary, e.login("jerry").unread().GetConvType())
		require.Empty(t, e.login("jerry", caps(allCaps&^wire.BitTemporary)).pushes())
		time.Sleep(1000 * time.Second)
		require.Empty(t, e.login("jerry").pushes())
	})
}

// However logins and messages interleave, what the login counted and what was
// pushed afterwards are together each message once.
func TestLoginCountsNothingTwice(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.login("tom")
		id := tom.create(nil, func(m *pb.ConvCommand) { m.M = []string{"jerry"} })
		const logins, messages = 12, 60
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range messages {
				if _, err := e.engine.Send(t.Context(), admin("tom"), id, &engine.Outgoing{Body: fmt.Sprint(i)}); err != nil {
					t.Error(err)
				}
				if i%3 == 0 {
					time.Sleep(time.Millisecond) // in the bubble: lets logins come in between
				}
			}
		})
		jerries := make([]*client, logins)
		for i := range jerries {
			jerries[i] = e.login("jerry")
		}
		wg.Wait()
		synctest.Wait()
		for i, c := range jerries {
			counted, pushed := 0, 0
			for _, p := range c.pushes() {
				switch p.GetCmd() {
				case pb.CommandType_unread:
					require.Zero(t, pushed, "counts come first")
					counted += int(p.GetUnreadMessage().GetConvs()[0].GetUnread())
				case pb.CommandType_direct:
					if pushed == 0 && counted > 0 {
						require.Equal(t, fmt.Sprint(counted), p.GetDirectMessage().GetMsg(), "the next one")
					}
					pushed++
				}
			}
			require.Equal(t, messages, counted+pushed, "login %d: %d counted, %d pushed", i, counted, pushed)
		}
	}, func(s *settings) { s.limits.UnreadCount = 1000 })
}

// meanwhile is a store that lets something happen before or after a login reads
// what the client has.
type meanwhile struct {
	store.Store
	before, after func()
	counted       func() // after unread messages were counted
}

func (m *meanwhile) Unread(ctx context.Context, log store.LogID, me string, after int64, limit int) (store.Unread, error) {
	u, err := m.Store.Unread(ctx, log, me, after, limit)
	if todo := m.counted; todo != nil {
		m.counted = nil
		todo()
	}
	return u, err
}

func (m *meanwhile) Memberships(ctx context.Context, app, client, after string, n int) ([]store.Membership, error) {
	run := func(f *func()) {
		if todo := *f; todo != nil && client == "jerry" {
			*f = nil
			todo()
		}
	}
	run(&m.before)
	page, err := m.Store.Memberships(ctx, app, client, after, n)
	run(&m.after)
	return page, err
}

// A count that is told comes after the messages that are in it and before the
// others.
func TestCountIsInItsPlace(t *testing.T) {
	var m *meanwhile
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		group, service := tom.create([]*client{jerry}), e.service("s")
		jerry.subscribe(service)
		for _, id := range []string{group, service} {
			send := func(body string) int64 {
				if id == group {
					return tom.say(id, body).GetT()
				}
				s, err := e.engine.BroadcastToSubscribers(t.Context(), admin("tom"), id, out(body))
				require.NoError(t, err)
				return s.TS
			}
			first := send("1")
			send("2")
			jerry.pushes()
			m.counted = func() {
				if id == service { // counts before it raises the mark too
					m.counted = func() { send("3") }
					return
				}
				send("3")
			}
			jerry.reads(id, first)
			require.Nil(t, m.counted)
			p := jerry.pushes()
			require.Len(t, p, 2)
			require.Equal(t, "3", p[0].GetDirectMessage().GetMsg())
			require.EqualValues(t, 2, p[1].GetUnreadMessage().GetConvs()[0].GetUnread(), id)
			require.Equal(t, "3", p[1].GetUnreadMessage().GetConvs()[0].GetData())
		}
	}, func(s *settings) {
		s.store = func(inner store.Store) store.Store {
			m = &meanwhile{Store: inner}
			return m
		}
	})
}

// Who is no member any more when the count is done is not told it.
func TestNoCountAfterLeaving(t *testing.T) {
	for what, leave := range map[string]func(e *env, id string) error{
		"leaves": func(e *env, id string) error {
			by := engine.Cause{Actor: fanout.Actor{App: appID, Client: "jerry"}}
			_, err := e.engine.Remove(e.t.Context(), by, id, []string{"jerry"}, sign.Signature{})
			return err
		},
		"is blocked": func(e *env, id string) error {
			_, err := e.engine.Block(e.t.Context(), admin(""), id, []string{"jerry"}, true, sign.Signature{})
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			var m *meanwhile
			run(t, func(t *testing.T, e *env) {
				tom, jerry := e.login("tom"), e.login("jerry")
				id := tom.create([]*client{jerry})
				first := tom.say(id, "1").GetT()
				tom.say(id, "2")
				jerry.pushes()
				m.counted = func() { require.NoError(t, leave(e, id)) }
				jerry.reads(id, first)
				require.Nil(t, m.counted)
				names := jerry.names()
				require.Contains(t, names, "conv/left")
				require.NotContains(t, names, "unread")
			}, func(s *settings) {
				s.store = func(inner store.Store) store.Store {
					m = &meanwhile{Store: inner}
					return m
				}
			})
		})
	}
}

// A client reads everything on one device while it logs in on another, and then
// something more is said: however much of that the login has counted, in the end
// one message is unread on both.
func TestReadDuringALogin(t *testing.T) {
	for _, kind := range []string{"group", "service"} {
		for _, when := range []string{"before", "between", "after"} {
			t.Run(kind+", "+when, func(t *testing.T) {
				var m *meanwhile
				run(t, func(t *testing.T, e *env) {
					tom, jerry := e.login("tom"), e.login("jerry")
					id := tom.create([]*client{jerry})
					say := func(body string) {
						_, err := e.engine.Send(e.t.Context(), admin("tom"), id, out(body))
						require.NoError(t, err)
					}
					if kind == "service" {
						id = e.service("s")
						jerry.subscribe(id)
						say = func(body string) {
							_, err := e.engine.BroadcastToSubscribers(e.t.Context(), admin("tom"), id, out(body))
							require.NoError(t, err)
						}
					}
					say("1")
					say("2")
					jerry.pushes()
					read := func() {
						by := engine.Cause{Actor: fanout.Actor{App: appID, Client: "jerry"}}
						require.NoError(t, e.engine.Read(e.t.Context(), by, engine.ReadPoint{Cid: id}))
					}
					more := func() { say("3") }
					switch when {
					case "before":
						m.before = func() { read(); more() }
					case "between":
						m.before, m.after = read, more
					case "after":
						m.after = func() { read(); more() }
					}
					for _, c := range []*client{e.login("jerry"), jerry} {
						unread, pushed := 0, 0
						for _, p := range c.pushes() {
							switch p.GetCmd() {
							case pb.CommandType_unread:
								require.Len(t, p.GetUnreadMessage().GetConvs(), 1)
								unread = int(p.GetUnreadMessage().GetConvs()[0].GetUnread())
							case pb.CommandType_direct:
								unread++
								pushed++
							}
						}
						require.Equal(t, 1, unread)
						require.Equal(t, 1, pushed)
					}
				}, func(s *settings) {
					s.store = func(inner store.Store) store.Store {
						m = &meanwhile{Store: inner}
						return m
					}
				})
			})
		}
	}
}

// A message that comes while a login is being read is told once: with the count
// if it is in what was read, as a push if it is not. So it is for every log that
// a message can be in.
func TestMessagesDuringALogin(t *testing.T) {
	for _, mode := range []string{wire.SubprotocolBinary, wire.SubprotocolBinaryOffline} {
		for what, send := range map[string]func(e *env, group, service, body string) error{
			"a group": func(e *env, group, service, body string) error {
				_, err := e.engine.Send(e.t.Context(), admin("tom"), group, out(body))
				return err
			},
			"a broadcast to subscribers": func(e *env, group, service, body string) error {
				_, err := e.engine.BroadcastToSubscribers(e.t.Context(), admin("tom"), service, out(body))
				return err
			},
			"a broadcast to all": func(e *env, group, service, body string) error {
				_, err := e.engine.BroadcastToAll(e.t.Context(), admin("tom"), service, out(body), 0)
				return err
			},
			"a message of a service": func(e *env, group, service, body string) error {
				_, err := e.engine.SendTo(e.t.Context(), admin("tom"), service, []string{"jerry"}, out(body))
				return err
			},
		} {
			for _, early := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s, %s, %t", mode, what, early), func(t *testing.T) {
					var m *meanwhile
					run(t, func(t *testing.T, e *env) {
						tom, jerry := e.login("tom"), e.login("jerry")
						group := tom.create([]*client{jerry})
						service := e.service("s")
						jerry.subscribe(service)
						jerry.logout()
						require.NoError(t, send(e, group, service, "1"))
						during := func() { require.NoError(t, send(e, group, service, "2")) }
						if early {
							m.before = during
						} else {
							m.after = during
						}
						jerry = e.loginOver(mode, "jerry")
						require.Nil(t, m.before)
						require.Nil(t, m.after)
						seen := 0
						var texts []string
						for _, p := range jerry.pushes() {
							if u := p.GetUnreadMessage(); u != nil {
								require.Len(t, u.GetConvs(), 1)
								seen += int(u.GetConvs()[0].GetUnread())
							} else {
								texts = append(texts, p.GetDirectMessage().GetMsg())
							}
						}
						require.Equal(t, 2, seen+len(texts), "%d counted, pushed %v", seen, texts)
						if mode == wire.SubprotocolBinaryOffline {
							require.Equal(t, []string{"1", "2"}, texts)
						}
					}, func(s *settings) {
						s.store = func(inner store.Store) store.Store {
							m = &meanwhile{Store: inner}
							return m
						}
					})
				})
			}
		}
	}
}

// Delivered marks are written late, at the latest when the server ends.
func TestDeliveredMarksAreWritten(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		pair := tom.create([]*client{jerry})
		group := tom.create([]*client{jerry}, func(m *pb.ConvCommand) { m.M = append(m.M, "mary") })
		stored := func(id string) int64 {
			marks, err := e.store.Marks(context.Background(), appID, id, []string{"jerry"})
			require.NoError(t, err)
			if len(marks) == 0 {
				return 0
			}
			return marks[0].AckTS
		}
		a, b := tom.say(pair, "a"), tom.say(group, "b")
		jerry.pushes()
		jerry.received(pair, a.GetT(), a.GetT())
		jerry.received(group, b.GetT(), b.GetT())
		time.Sleep(6 * time.Second)
		require.Equal(t, a.GetT(), stored(pair))
		require.Zero(t, stored(group))
		time.Sleep(time.Minute)
		require.Equal(t, b.GetT(), stored(group))
		c := tom.say(group, "c")
		jerry.received(group, c.GetT(), c.GetT())
		e.engine.Close(t.Context())
		require.Equal(t, c.GetT(), stored(group))
	})
}

// Clients of the old mode are pushed what they missed.
func TestOfflineMode(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.login("tom")
		few := tom.create(nil, func(m *pb.ConvCommand) { m.M = []string{"jerry"} })
		many := tom.create(nil, func(m *pb.ConvCommand) { m.M = []string{"jerry"} })
		a := tom.say(few, "a")
		b := tom.say(few, "b")
		for i := range 25 {
			tom.say(many, fmt.Sprint(i))
		}
		jerry := e.loginOver(wire.SubprotocolBinaryOffline, "jerry")
		p := jerry.pushes()
		require.Len(t, p, 22)
		for i, push := range p {
			m := push.GetDirectMessage()
			require.True(t, m.GetOffline())
			require.Equal(t, i >= 2, m.GetHasMore())
		}
		require.Equal(t, "a", p[0].GetDirectMessage().GetMsg())
		require.Equal(t, "5", p[2].GetDirectMessage().GetMsg())
		require.Equal(t, "24", p[21].GetDirectMessage().GetMsg())
		jerry.received(few, a.GetT(), a.GetT())
		jerry.received(many, 1, p[21].GetDirectMessage().GetTimestamp())
		jerry.logout()
		again := e.loginOver(wire.SubprotocolBinaryOffline, "jerry").only()
		require.Equal(t, b.GetUid(), again.GetDirectMessage().GetId(), "what was not acknowledged comes again")
		require.Nil(t, again.GetDirectMessage().HasMore)
		old := e.loginOver(wire.SubprotocolBinaryOffline, "jerry")
		old.pushes()
		e.login("jerry").reads(few, b.GetT())
		require.Empty(t, old.pushes(), "no counts")
	})
}

func TestPatchesAfterLogin(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		one, two := tom.create([]*client{jerry}), tom.create([]*client{jerry})
		a, b := tom.say(one, "a"), tom.say(two, "b")
		cursor := time.Now().UnixMilli()
		jerry.reads(one, a.GetT())
		jerry.reads(two, b.GetT())
		jerry.logout()
		time.Sleep(time.Hour)
		first := tom.edit(two, b, "b2")
		second := tom.edit(one, a, "", recall)
		time.Sleep(time.Hour)
		for range 2 {
			jerry = e.login("jerry", patchedSince(cursor))
			require.Equal(t, first-1, jerry.opened.GetServerTs(), "the pushes move the cursor, not the login")
			got := jerry.only().GetPatchMessage().GetPatches()
			require.Len(t, got, 2)
			require.Equal(t, first, got[0].GetPatchTimestamp())
			require.Equal(t, "b2", got[0].GetData())
			require.Equal(t, second, got[1].GetPatchTimestamp())
			require.True(t, got[1].GetRecall())
		}
		require.Len(t, e.login("jerry", patchedSince(first)).only().GetPatchMessage().GetPatches(), 1)
		jerry = e.login("jerry", patchedSince(second))
		require.Empty(t, jerry.pushes())
		require.Less(t, jerry.opened.GetServerTs(), time.Now().UnixMilli())
		require.Greater(t, jerry.opened.GetServerTs(), second)
		require.Empty(t, e.login("jerry").pushes(), "no cursor, no edits")
		require.Empty(t, e.login("jerry", patchedSince(cursor), caps(allCaps&^wire.BitPatch)).pushes())
		ahead := e.login("jerry", patchedSince(time.Now().Add(time.Hour).UnixMilli()))
		require.Less(t, ahead.opened.GetServerTs(), time.Now().UnixMilli(), "a wrong clock is put right")
		require.Empty(t, ahead.pushes())
		time.Sleep(31 * 24 * time.Hour)
		require.Empty(t, e.login("jerry", patchedSince(1)).pushes(), "old edits are in the history")
	})
}
