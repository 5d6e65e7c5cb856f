package command_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/engine"
	"github.com/leanrtm/realtime/server/internal/hook"
	"github.com/leanrtm/realtime/server/internal/sign"
	"github.com/leanrtm/realtime/server/internal/store"
)

var isoText = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)

func TestCreateTellsEveryMember(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, tomToo, jerry := e.login("tom"), e.login("tom"), e.login("jerry")
		got := tom.ok(pb.OpType_start, pb.OpType_started, &pb.ConvCommand{
			M: []string{"jerry", "jerry", "tom"}, Attr: object(map[string]any{"name": "us", "objectId": "mine", "m": []string{"eve"}}),
		})
		require.Regexp(t, `^[0-9a-f]{24}$`, got.GetCid())
		require.Regexp(t, isoText, got.GetCdate())
		require.Equal(t, got.GetCdate(), got.GetUdate())
		require.Nil(t, got.UniqueId)
		require.Nil(t, got.TempConvTTL)
		require.Nil(t, got.Existing)
		for _, c := range []*client{tom, tomToo, jerry} {
			p := c.pushes()
			require.Len(t, p, 2, "%s", c.id)
			require.Equal(t, "conv/joined", name(p[0]))
			require.Equal(t, "conv/members_joined", name(p[1]))
			require.Empty(t, p[0].GetConvMessage().GetM())
			require.Equal(t, []string{"jerry", "tom"}, p[1].GetConvMessage().GetM())
			require.EqualValues(t, wire.NotificationPermanent, p[0].GetNotificationType())
			require.EqualValues(t, wire.NotificationDroppable, p[1].GetNotificationType())
			require.Less(t, p[0].GetServerTs(), p[1].GetServerTs())
			for _, push := range p {
				require.Equal(t, got.GetCid(), push.GetConvMessage().GetCid())
				require.Equal(t, "tom", push.GetConvMessage().GetInitBy())
				require.Regexp(t, isoText, push.GetConvMessage().GetUdate())
			}
		}
		found := tom.find(where(`{"objectId":"` + got.GetCid() + `"}`))
		require.Len(t, found, 1)
		require.Equal(t, "us", found[0]["name"])
		require.Equal(t, got.GetCid(), found[0]["objectId"])
		require.Equal(t, []any{"jerry", "tom"}, found[0]["m"], "built-in keys are not written by clients")
		require.Equal(t, "tom", found[0]["c"])
	})
}

func TestCreateUnique(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		start := func(c *client, u *bool, n string, m ...string) *pb.ConvCommand {
			return c.ok(pb.OpType_start, pb.OpType_started, &pb.ConvCommand{M: m, Unique: u, Attr: object(map[string]any{"name": n})})
		}
		yes, no := proto.Bool(true), proto.Bool(false)
		first := start(tom, yes, "a", "tom", "jerry")
		require.Regexp(t, `^[0-9a-f]{32}$`, first.GetUniqueId())
		require.False(t, first.GetExisting())
		tom.pushes()
		jerry.pushes()
		same := start(jerry, yes, "b", "jerry", "tom", "tom")
		require.Equal(t, first.GetCid(), same.GetCid())
		require.Equal(t, first.GetUniqueId(), same.GetUniqueId())
		require.Equal(t, first.GetCdate(), same.GetCdate())
		require.True(t, same.GetExisting())
		require.Empty(t, tom.pushes(), "finding one is no news")
		require.Equal(t, "a", tom.find(where(`{"objectId":"` + first.GetCid() + `"}`))[0]["name"])
		require.NotEqual(t, first.GetCid(), start(tom, no, "c", "tom", "jerry").GetCid())
		require.NotEqual(t, first.GetCid(), start(tom, nil, "d", "tom", "jerry").GetCid())
		require.NotEqual(t, first.GetCid(), start(tom, yes, "e", "tom", "jerry", "bob").GetCid())

		// A unique conversation is found by the members it has now.
		tom.ok(pb.OpType_add, pb.OpType_added, about(first.GetCid(), "mary"))
		require.Equal(t, first.GetCid(), start(tom, yes, "", "mary", "jerry").GetCid())
		require.NotEqual(t, first.GetCid(), start(tom, yes, "", "jerry").GetCid())
	})
}

// Ids may contain whatever ids are joined with elsewhere.
func TestCreateUniqueKeepsOddIdsApart(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		a := e.login("a")
		one := a.create(nil, unique, func(m *pb.ConvCommand) { m.M = []string{"a", "b:c"} })
		two := a.create(nil, unique, func(m *pb.ConvCommand) { m.M = []string{"a", "b", "c"} })
		require.NotEqual(t, one, two)
	})
}

func TestCreateUniqueRace(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		const racers = 16
		cids := make([]string, racers)
		var wg sync.WaitGroup
		for i := range racers {
			wg.Go(func() {
				by := admin("")
				by.Admin, by.Client = false, fmt.Sprintf("c%d", i%2)
				made, err := e.engine.Create(t.Context(), by, engine.NewConv{
					Kind: store.KindNormal, Unique: true, Members: []string{"c0", "c1"},
				})
				if err == nil {
					cids[i] = made.Cid
				}
			})
		}
		wg.Wait()
		slices.Sort(cids)
		require.Len(t, slices.Compact(cids), 1)
		require.NotEmpty(t, cids[0])
	})
}

func TestCreateChatRoom(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		got := tom.ok(pb.OpType_start, pb.OpType_started, &pb.ConvCommand{
			M: []string{"tom", "jerry"}, Transient: proto.Bool(true), Unique: proto.Bool(true), TempConv: proto.Bool(true),
		})
		require.False(t, strings.HasPrefix(got.GetCid(), wire.TemporaryPrefix), "a room even if asked for both")
		require.Nil(t, got.UniqueId)
		require.Empty(t, tom.pushes())
		require.Empty(t, jerry.pushes())
		require.EqualValues(t, 1, tom.ok(pb.OpType_count, pb.OpType_result, cid(got.GetCid())).GetCount(), "the creator is inside")
		doc := jerry.find(where(`{"objectId":"` + got.GetCid() + `"}`))[0]
		require.Equal(t, true, doc["tr"])
		require.NotContains(t, doc, "m")
	})
}

func TestCreateTemporary(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		start := func(ttl int32, u bool) *pb.ConvCommand {
			return tom.ok(pb.OpType_start, pb.OpType_started, &pb.ConvCommand{
				M: []string{"tom", "jerry"}, TempConv: proto.Bool(true), TempConvTTL: &ttl, Unique: &u,
			})
		}
		first := start(3600, true)
		require.True(t, strings.HasPrefix(first.GetCid(), wire.TemporaryPrefix))
		require.EqualValues(t, 3600, first.GetTempConvTTL())
		require.Equal(t, []string{"conv/joined", "conv/members_joined"}, jerry.names())
		tom.pushes()
		time.Sleep(90 * time.Minute / 2)
		same := start(60, false)
		require.Equal(t, first.GetCid(), same.GetCid(), "the members' one is used again, whatever is asked")
		require.Less(t, same.GetTempConvTTL(), int32(3600-45*60+1))
		require.Greater(t, same.GetTempConvTTL(), int32(3600-45*60-5))

		docs := jerry.find(&pb.ConvCommand{TempConvIds: []string{first.GetCid(), "_tmp:nothing", unknown}})
		require.Len(t, docs, 1)
		require.Equal(t, true, docs[0]["temp"])
		require.Equal(t, []any{"jerry", "tom"}, docs[0]["m"])
		require.Empty(t, jerry.find(where(`{"objectId":"`+first.GetCid()+`"}`)), "only by the other field")

		tom.say(first.GetCid(), "hi")
		require.Equal(t, []string{"hi"}, jerry.texts())
		time.Sleep(time.Hour)
		tom.refused(wire.CodeConversationNotFound, first.GetCid(), "too late")
		tom.fails(wire.CodeConversationNotFound, pb.OpType_count, cid(first.GetCid()))
		require.Empty(t, jerry.find(&pb.ConvCommand{TempConvIds: []string{first.GetCid()}}))
		require.NotEqual(t, first.GetCid(), start(1, true).GetCid())
	})
}

// Expired temporary conversations leave the store although nobody looks at them.
func TestTemporaryConversationsAreSwept(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.login("tom")
		var cids []string
		for i := range 3 {
			cids = append(cids, tom.create(nil, temporary(int32(10*(i+1))), func(m *pb.ConvCommand) {
				m.M = []string{fmt.Sprint("friend", i)}
			}))
		}
		time.Sleep(15 * time.Second)
		found, err := e.store.Convs(context.Background(), appID, cids, 0)
		require.NoError(t, err)
		require.Nil(t, found[0])
		require.NotNil(t, found[1])
		require.NotNil(t, found[2])
		time.Sleep(20 * time.Second)
		found, err = e.store.Convs(context.Background(), appID, cids, 0)
		require.NoError(t, err)
		require.Equal(t, []*store.Conv{nil, nil, nil}, found)
	})
}

func TestCreateTemporaryTTLs(t *testing.T) {
	for asked, granted := range map[int32]int32{
		0: 86400, -5: 86400, 1: 1, 86401: 86401, 30 * 86400: 30 * 86400, 31 * 86400: 30 * 86400,
	} {
		t.Run(fmt.Sprint(asked), func(t *testing.T) {
			run(t, func(t *testing.T, e *env) {
				got := e.login("tom").ok(pb.OpType_start, pb.OpType_started, &pb.ConvCommand{
					TempConv: proto.Bool(true), TempConvTTL: &asked,
				})
				require.Equal(t, granted, got.GetTempConvTTL())
			})
		})
	}
}

func TestCreateRefused(t *testing.T) {
	many := func(n int) []string {
		ids := make([]string, n)
		for i := range ids {
			ids[i] = fmt.Sprint("m", i)
		}
		return ids
	}
	long := strings.Repeat("x", 65)
	for _, c := range []struct {
		what string
		m    *pb.ConvCommand
		code wire.Code
		set  func(*settings)
	}{
		{"too many in a temporary one", &pb.ConvCommand{M: many(10), TempConv: proto.Bool(true)}, wire.CodeConversationFull, nil},
		{"bad member", &pb.ConvCommand{M: []string{long}}, wire.CodeConversationAPIFailed, nil},
		{"empty member", &pb.ConvCommand{M: []string{""}}, wire.CodeConversationAPIFailed, nil},
		{"attributes are no object", &pb.ConvCommand{Attr: &pb.JsonObjectMessage{Data: proto.String(`[1]`)}}, wire.CodeConversationAPIFailed, nil},
		{"attributes are no JSON", &pb.ConvCommand{Attr: &pb.JsonObjectMessage{Data: proto.String(`{`)}}, wire.CodeConversationAPIFailed, nil},
		{"no signature", &pb.ConvCommand{M: []string{"jerry"}}, wire.CodeConversationSignatureFailed, func(s *settings) { s.app.VerifyConversation = true }},
	} {
		t.Run(c.what, func(t *testing.T) {
			var set []func(*settings)
			if c.set != nil {
				set = append(set, c.set)
			}
			run(t, func(t *testing.T, e *env) {
				tom := e.login("tom")
				tom.fails(c.code, pb.OpType_start, c.m)
				require.Empty(t, tom.find(&pb.ConvCommand{}), "nothing was created")
			}, set...)
		})
	}
}

func TestCreateKeepsTheFirstMembers(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.login("tom")
		id := tom.create(nil, func(m *pb.ConvCommand) { m.M = []string{"a", "b", "c", "d"} })
		got := tom.ok(pb.OpType_count, pb.OpType_result, cid(id))
		require.EqualValues(t, 3, got.GetCount())
		members, err := e.engine.Members(t.Context(), admin(""), id)
		require.NoError(t, err)
		require.Equal(t, []string{"a", "b", "tom"}, members, "the creator is never left out")
	}, func(s *settings) { s.limits.Members = 3 })
}

func TestCreateSigned(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.login("tom")
		now := time.Now().UnixMilli()
		m := &pb.ConvCommand{M: []string{"tom", "jerry"}, T: &now, N: proto.String("n")}
		m.S = proto.String(sign.Create(appID, "tom", m.M).Sign(masterKey, now, "n").Value)
		tom.ok(pb.OpType_start, pb.OpType_started, m)
		m.M = []string{"tom", "eve"}
		tom.fails(wire.CodeConversationSignatureFailed, pb.OpType_start, m)
	}, func(s *settings) { s.app.VerifyConversation = true })
}

func TestCreateHooks(t *testing.T) {
	var asked []*hook.ConversationStart
	started := make(chan string, 1)
	run(t, func(t *testing.T, e *env) {
		tom := e.login("tom")
		got := tom.fails(wire.CodeConversationRejectedByApp, pb.OpType_start, &pb.ConvCommand{M: []string{"eve"}})
		require.EqualValues(t, 7, got.GetAppCode())
		require.Equal(t, "not her", got.GetAppMsg())
		require.Equal(t, []string{"eve", "tom"}, asked[0].Members)
		require.Equal(t, "tom", asked[0].InitBy)
		id := tom.create(nil, named("ok"))
		require.JSONEq(t, `{"name":"ok"}`, string(asked[1].Attr))
		require.Equal(t, id, <-started)
	}, func(s *settings) {
		s.hooks.ConversationStart = func(_ context.Context, ev *hook.ConversationStart) (hook.Verdict, error) {
			asked = append(asked, ev)
			return hook.Verdict{Reject: slices.Contains(ev.Members, "eve"), Code: 7, Detail: "not her"}, nil
		}
		s.hooks.ConversationStarted = func(_ context.Context, ev *hook.ConversationStarted) { started <- ev.ConvID }
	})
}

// A hook that fails or panics is no answer.
func TestBrokenHooksAreIgnored(t *testing.T) {
	calls := 0
	synctestRun := func(t *testing.T, e *env) {
		tom := e.login("tom")
		require.NotEmpty(t, tom.create(nil))
		require.NotEmpty(t, tom.create(nil))
		begin := time.Now()
		require.NotEmpty(t, tom.create(nil))
		require.GreaterOrEqual(t, time.Since(begin), 5*time.Second, "the hook had its time")
		require.Equal(t, 3, calls)
		require.Contains(t, e.log.String(), "hook failed")
	}
	run(t, synctestRun, func(s *settings) {
		s.hooks.ConversationStart = func(ctx context.Context, _ *hook.ConversationStart) (hook.Verdict, error) {
			switch calls++; calls {
			case 1:
				return hook.Verdict{Reject: true}, errBroken
			case 2:
				return hook.Verdict{}, errBroken
			}
			<-ctx.Done()
			return hook.Verdict{Reject: true}, ctx.Err()
		}
	})
}
