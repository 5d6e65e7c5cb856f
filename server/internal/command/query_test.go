package command_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/engine"
	"github.com/leanrtm/realtime/server/internal/sign"
	"github.com/leanrtm/realtime/server/internal/store"
)

func ids(docs []map[string]any) []string {
	list := []string{}
	for _, d := range docs {
		list = append(list, d["objectId"].(string))
	}
	return list
}

func TestQuery(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		a := tom.create([]*client{jerry}, named("Alpha"), func(m *pb.ConvCommand) {
			m.Attr = object(map[string]any{"name": "Alpha", "attr": map[string]any{"type": 1}, "n": 1})
		})
		time.Sleep(time.Second)
		b := tom.create(nil, func(m *pb.ConvCommand) {
			m.M = []string{"tom", "mary"}
			m.Attr = object(map[string]any{"name": "beta.x", "n": 2, "at": map[string]any{"__type": "Date", "iso": "2020-01-02T03:04:05.678Z"}})
		})
		time.Sleep(time.Second)
		r := jerry.create(nil, room, named("Room"))
		time.Sleep(time.Second)
		tom.say(a, "hi")
		aDoc := tom.find(where(fmt.Sprintf(`{"objectId":%q}`, a)))[0]
		created := aDoc["createdAt"].(string)
		date := func(iso string) string { return `{"__type":"Date","iso":"` + iso + `"}` }

		for _, c := range []struct {
			what, filter string
			want         []string
			change       func(*pb.ConvCommand)
		}{
			{"own ones, latest message first", ``, []string{a, b}, nil},
			{"empty filter", `{}`, []string{a, b}, nil},
			{"by id", `{"objectId":"` + r + `"}`, []string{r}, nil},
			{"by ids", `{"objectId":{"$in":["` + r + `","` + unknown + `","` + b + `"]}}`, []string{b, r}, func(m *pb.ConvCommand) { m.Sort = proto.String("createdAt") }},
			{"unknown id", `{"objectId":"` + unknown + `"}`, []string{}, nil},
			{"rooms", `{"tr":true}`, []string{r}, nil},
			{"services", `{"sys":true}`, []string{}, nil},
			{"another's", `{"m":"mary"}`, []string{b}, nil},
			{"all of", `{"m":{"$all":["mary","tom"]}}`, []string{b}, nil},
			{"exactly", `{"m":{"$all":["tom"],"$size":1}}`, []string{}, nil},
			{"exactly two", `{"m":{"$all":["tom","jerry"],"$size":2}}`, []string{a}, nil},
			{"any of", `{"m":{"$in":["mary","jerry"]}}`, []string{a, b}, nil},
			{"equal", `{"name":"Alpha"}`, []string{a}, nil},
			{"not equal", `{"m":"tom","n":{"$ne":1}}`, []string{b}, nil},
			{"dotted", `{"attr.type":1}`, []string{a}, nil},
			{"exists", `{"m":"tom","attr":{"$exists":true}}`, []string{a}, nil},
			{"exists not", `{"m":"tom","attr":{"$exists":false}}`, []string{b}, nil},
			{"quoted expression", `{"name":{"$regex":"\\Q.x\\E$"}}`, []string{b}, nil},
			{"case matters", `{"name":{"$regex":"alpha"}}`, []string{}, nil},
			{"case does not", `{"name":{"$regex":"alpha","$options":"i"}}`, []string{a}, nil},
			{"or", `{"$or":[{"n":1},{"n":2}]}`, []string{a, b}, nil},
			{"and", `{"$and":[{"n":{"$gt":1}},{"m":"tom"}]}`, []string{b}, nil},
			{"created at", `{"m":"tom","createdAt":{"$lte":` + date(created) + `}}`, []string{a}, nil},
			{"created after", `{"m":"tom","createdAt":{"$gt":` + date(created) + `}}`, []string{b}, nil},
			{"own date", `{"at":{"$lt":` + date("2020-01-02T03:04:05.679Z") + `}}`, []string{b}, nil},
			{"type", `{"conv_type":2}`, []string{r}, nil},
			{"sorted up", ``, []string{a, b}, func(m *pb.ConvCommand) { m.Sort = proto.String("createdAt") }},
			{"sorted down", ``, []string{b, a}, func(m *pb.ConvCommand) { m.Sort = proto.String("-createdAt") }},
			{"limit", ``, []string{a}, func(m *pb.ConvCommand) { m.Limit = proto.Int32(1) }},
			{"limit 0", ``, []string{}, func(m *pb.ConvCommand) { m.Limit = proto.Int32(0) }},
			{"limit below 0", ``, []string{}, func(m *pb.ConvCommand) { m.Limit = proto.Int32(-1) }},
			{"skip", ``, []string{b}, func(m *pb.ConvCommand) { m.Skip = proto.Int32(1) }},
			{"skip all", ``, []string{}, func(m *pb.ConvCommand) { m.Skip = proto.Int32(9) }},
			{"skip below 0", ``, []string{a, b}, func(m *pb.ConvCommand) { m.Skip = proto.Int32(-9) }},
		} {
			m := &pb.ConvCommand{}
			if c.filter != "" {
				m = where(c.filter)
			}
			if c.change != nil {
				c.change(m)
			}
			require.Equal(t, c.want, ids(tom.find(m)), c.what)
		}
		for _, bad := range []string{`[]`, `{`, `{"a":{"$near":1}}`, `{"a":{"$regex":"("}}`, `{"a":{"$regex":"(?=x)"}}`} {
			tom.fails(wire.CodeConversationQueryFailed, pb.OpType_query, where(bad))
		}
		tom.fails(wire.CodeConversationQueryFailed, pb.OpType_query, &pb.ConvCommand{Sort: proto.String("a,,b")})
	})
}

func TestQueryFields(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.login("tom")
		id := tom.create(nil, unique, func(m *pb.ConvCommand) {
			m.M = []string{"jerry"}
			m.Attr = &pb.JsonObjectMessage{Data: proto.String(`{"a\"b":"\u00e9","n":1e400}`)}
		})
		doc := tom.find(&pb.ConvCommand{})[0]
		require.NotContains(t, doc, "lm", "before the first message")
		require.Equal(t, json.Number("1"), doc["conv_type"])
		require.Equal(t, true, doc["unique"])
		require.Len(t, doc["uniqueId"], 32)
		require.Equal(t, "é", doc[`a"b`])
		require.NotContains(t, doc, "tr")
		ack := tom.say(id, "one", func(m *pb.DirectCommand) { m.MentionPids, m.MentionAll = []string{"jerry"}, proto.Bool(true) })
		doc = tom.find(&pb.ConvCommand{Flag: proto.Int32(wire.QueryCompact)})[0]
		require.NotContains(t, doc, "m")
		require.NotContains(t, doc, "msg")
		require.Equal(t, map[string]any{"__type": "Date", "iso": engine.ISO(ack.GetT())}, doc["lm"])
		doc = tom.find(&pb.ConvCommand{Flag: proto.Int32(wire.QueryWithLastMessage)})[0]
		require.Equal(t, "one", doc["msg"])
		require.Equal(t, "tom", doc["msg_from"])
		require.Equal(t, ack.GetUid(), doc["msg_mid"])
		require.Equal(t, json.Number(fmt.Sprint(ack.GetT())), doc["msg_timestamp"])
		require.Equal(t, true, doc["mention_all"])
		require.Equal(t, []any{"jerry"}, doc["mention_pids"])
		require.NotContains(t, doc, "patch_timestamp")
		require.NotContains(t, doc, "bin")
		tom.direct(&pb.DirectCommand{Cid: &id, BinaryMsg: []byte{0, 255}})
		doc = tom.find(&pb.ConvCommand{Flag: proto.Int32(wire.QueryWithLastMessage)})[0]
		require.Equal(t, "AP8=", doc["msg"])
		require.Equal(t, true, doc["bin"])
	})
}

func TestQueryServices(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		id := e.service("news")
		tom := e.login("tom")
		doc := tom.find(where(`{"sys":true}`))[0]
		require.Equal(t, id, doc["objectId"])
		require.Equal(t, false, doc["joined"])
		require.Equal(t, false, doc["muted"])
		require.NotContains(t, doc, "joinedAt")
		require.NotContains(t, doc, "m")
		tom.ok(pb.OpType_add, pb.OpType_added, about(id, "tom"))
		tom.ok(pb.OpType_mute, pb.OpType_updated, cid(id))
		doc = tom.find(where(`{"objectId":"` + id + `"}`))[0]
		require.Equal(t, true, doc["joined"])
		require.Equal(t, true, doc["muted"])
		require.NotZero(t, doc["joinedAt"])
		require.EqualValues(t, 1, tom.ok(pb.OpType_count, pb.OpType_result, cid(id)).GetCount())
		require.Empty(t, ids(tom.find(&pb.ConvCommand{})), "the default is about members")
	})
}

func (e *env) service(name string) string {
	e.t.Helper()
	made, err := e.engine.Create(e.t.Context(), admin(""), engine.NewConv{
		Kind: store.KindService, Attrs: []byte(`{"name":"` + name + `"}`),
	})
	require.NoError(e.t, err)
	return made.Cid
}

func TestQueryHasACost(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.login("tom")
		for i := range 12 {
			tom.create(nil, named(fmt.Sprint(i)))
		}
		got := tom.fails(wire.CodeConversationQueryFailed, pb.OpType_query, where(`{"name":"3"}`))
		require.Contains(t, got.GetDetail(), "narrow")
	}, func(s *settings) { s.cost = 10 })
}

func TestIsMemberCountMembers(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, tomToo, jerry := e.login("tom"), e.login("tom"), e.login("jerry")
		a := tom.create(nil)
		r := tom.create(nil, room)
		s := e.service("s")
		is := func(c *client) string {
			got := c.ok(pb.OpType_is_member, pb.OpType_result, &pb.ConvCommand{Cids: []string{a, r, s, unknown}})
			return got.GetResults().GetData()
		}
		require.JSONEq(t, fmt.Sprintf(`{%q:true,%q:true,%q:false,%q:false}`, a, r, s, unknown), is(tom))
		require.JSONEq(t, fmt.Sprintf(`{%q:true,%q:false,%q:false,%q:false}`, a, r, s, unknown), is(tomToo), "a room is a session's")
		jerry.ok(pb.OpType_add, pb.OpType_added, about(s, "jerry"))
		require.JSONEq(t, fmt.Sprintf(`{%q:false,%q:false,%q:true,%q:false}`, a, r, s, unknown), is(jerry))

		jerry.ok(pb.OpType_add, pb.OpType_added, about(r, "jerry"))
		require.EqualValues(t, 2, jerry.ok(pb.OpType_count, pb.OpType_result, cid(r)).GetCount())
		got := jerry.ok(pb.OpType_members, pb.OpType_result, cid(r))
		require.ElementsMatch(t, []string{"tom", "jerry"}, got.GetM())
		require.Len(t, jerry.ok(pb.OpType_members, pb.OpType_result, &pb.ConvCommand{Cid: &r, Limit: proto.Int32(1)}).GetM(), 1)
		jerry.fails(wire.CodeTransientConversationRequired, pb.OpType_members, cid(a))
		jerry.fails(wire.CodeTransientConversationRequired, pb.OpType_members, cid(s))
	})
}

func TestRoomPresence(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		one, two := tom.create(nil, room), tom.create(nil, room)
		count := func(id string) int {
			return int(tom.ok(pb.OpType_count, pb.OpType_result, cid(id)).GetCount())
		}
		require.Equal(t, 0, count(one), "creating the second one left the first")
		for _, m := range [][]string{{"tom"}, {"jerry", "tom"}, {}} {
			jerry.fails(wire.CodeNormalConversationRequired, pb.OpType_add, about(one, m...))
			jerry.fails(wire.CodeNormalConversationRequired, pb.OpType_remove, about(one, m...))
		}
		jerry.ok(pb.OpType_add, pb.OpType_added, about(one, "jerry"))
		require.Equal(t, 1, count(one))
		jerry.ok(pb.OpType_add, pb.OpType_added, about(two, "jerry"))
		require.Equal(t, 0, count(one))
		require.Equal(t, 2, count(two))
		jerry.ok(pb.OpType_remove, pb.OpType_removed, about(two, "jerry"))
		require.Equal(t, 1, count(two))

		// The creator keeps order.
		jerry.ok(pb.OpType_add, pb.OpType_added, about(two, "jerry"))
		tom.blockOK(two, "jerry")
		require.Equal(t, 1, count(two), "blocked and thrown out")
		got := jerry.ok(pb.OpType_add, pb.OpType_added, about(two, "jerry"))
		require.EqualValues(t, wire.CodeBlockedByConv, got.GetFailedPids()[0].GetCode())
		jerry.refused(wire.CodeBlockedByConv, two, "let me in")
		require.Empty(t, jerry.pushes())
	})
}

// A session that is lost in a room is in it again when it comes back in time,
// also while its old connection is not known to be dead.
func TestRoomRejoin(t *testing.T) {
	for _, c := range []struct {
		what  string
		lose  func(*client)
		away  time.Duration
		token bool
		want  int32
	}{
		{"in time", (*client).cut, 29 * time.Minute, true, 1},
		{"too late", (*client).cut, 31 * time.Minute, true, 0},
		{"another device", (*client).cut, time.Second, false, 0},
		{"after a logout", (*client).logout, time.Second, true, 0},
		{"before the loss is noticed", func(*client) {}, time.Second, true, 1},
	} {
		t.Run(c.what, func(t *testing.T) {
			run(t, func(t *testing.T, e *env) {
				tom := e.login("tom")
				id := tom.create(nil, room)
				jerry := e.login("jerry")
				jerry.ok(pb.OpType_add, pb.OpType_added, about(id, "jerry"))
				tom.ok(pb.OpType_remove, pb.OpType_removed, about(id, "tom"))
				st := jerry.opened.GetSessionMessage().GetSt()
				c.lose(jerry)
				time.Sleep(c.away)
				if !c.token {
					st = ""
				}
				e.login("jerry", again(st))
				if c.what == "before the loss is noticed" {
					jerry.cut()
				}
				require.Equal(t, c.want, tom.ok(pb.OpType_count, pb.OpType_result, cid(id)).GetCount())
			})
		})
	}
}

func TestCacheMissesAreLoadedAgain(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		var all []string
		for i := range 200 {
			all = append(all, tom.create([]*client{jerry}, named(fmt.Sprint(i))))
			tom.ok(pb.OpType_add_shutup, pb.OpType_shutup_added, about(all[i], "jerry"))
			jerry.pushes()
		}
		for _, id := range all {
			tom.say(id, "a")
			jerry.refused(wire.CodeSilenced, id, "b")
			tom.say(id, "c")
			got := bodies(tom.history(&pb.LogsCommand{Cid: proto.String(id)}))
			require.Equal(t, []string{"a", "c"}, got)
		}
		require.Len(t, strings.Split(strings.Join(jerry.texts(), ""), ""), 400)
	}, func(s *settings) { s.cached = 64 })
}

func TestDeletedConversation(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.login("tom")
		id := tom.create(nil, unique)
		tom.say(id, "x")
		require.NoError(t, e.engine.Delete(t.Context(), admin(""), id))
		tom.refused(wire.CodeInvalidMessagingTarget, id, "y")
		tom.fails(wire.CodeConversationNotFound, pb.OpType_count, cid(id))
		require.Empty(t, tom.find(&pb.ConvCommand{}))
		require.NotEqual(t, id, tom.create(nil, unique))
		err := e.engine.Delete(t.Context(), admin(""), id)
		require.ErrorContains(t, err, wire.CodeConversationNotFound.Name())
		_, err = e.engine.Add(t.Context(), admin(""), id, []string{"x"}, sign.Signature{})
		require.Error(t, err)
	})
}
