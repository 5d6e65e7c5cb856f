package command_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/hook"
)

func changes(id, text string) *pb.ConvCommand {
	return &pb.ConvCommand{Cid: &id, Attr: &pb.JsonObjectMessage{Data: &text}}
}

func TestUpdate(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, tomToo, jerry := e.login("tom"), e.login("tom"), e.login("jerry")
		id := tom.create([]*client{jerry}, func(m *pb.ConvCommand) {
			m.Attr = &pb.JsonObjectMessage{Data: proto.String(`{"name":"a","attr":{"n":1,"big":12345678901234567890},"keep":true}`)}
		})
		tomToo.pushes()
		asked := `{"name":"b","attr.n":2,"attr.new.deep":"x","m":["eve"],"c":"eve","tags":{"__op":"AddUnique","objects":["t"]},"keep":{"__op":"Delete"}}`
		got := tom.ok(pb.OpType_update, pb.OpType_updated, changes(id, asked))
		require.Regexp(t, isoText, got.GetUdate())
		result := `{"name":"b","attr":{"n":2,"big":12345678901234567890,"new":{"deep":"x"}},"tags":["t"]}`
		require.JSONEq(t, result, got.GetAttrModified().GetData())
		require.Contains(t, got.GetAttrModified().GetData(), "12345678901234567890", "long numbers keep their text")

		require.Empty(t, tom.pushes(), "the acting session knows")
		for _, c := range []*client{tomToo, jerry} {
			p := c.only()
			require.Equal(t, "conv/updated", name(p))
			m := p.GetConvMessage()
			require.Equal(t, "tom", m.GetInitBy())
			require.Equal(t, id, m.GetCid())
			require.Equal(t, got.GetUdate(), m.GetUdate())
			require.JSONEq(t, `{"name":"b","attr.n":2,"attr.new.deep":"x","tags":{"__op":"AddUnique","objects":["t"]},"keep":{"__op":"Delete"}}`, m.GetAttr().GetData())
			require.JSONEq(t, result, m.GetAttrModified().GetData())
			require.EqualValues(t, wire.NotificationDroppable, p.GetNotificationType())
			require.NotZero(t, p.GetServerTs())
		}
		doc := jerry.find(where(`{"objectId":"` + id + `"}`))[0]
		require.Equal(t, "b", doc["name"])
		require.NotContains(t, doc, "keep")
		require.Equal(t, "tom", doc["c"])
		require.Equal(t, got.GetUdate(), doc["updatedAt"])

		// Nothing asked, nothing done.
		none := tom.ok(pb.OpType_update, pb.OpType_updated, cid(id))
		require.Equal(t, got.GetUdate(), none.GetUdate())
		none = tom.ok(pb.OpType_update, pb.OpType_updated, changes(id, `{"lm":1}`))
		require.JSONEq(t, `{}`, none.GetAttrModified().GetData())
		require.Empty(t, jerry.pushes())
	})
}

func TestUpdateRefused(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.login("tom")
		id := tom.create(nil)
		for _, bad := range []string{`[]`, `{`, `{"a":{"__op":"Nonsense"}}`, `{"$a":1}`, `{"a..b":1}`, strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40)} {
			tom.fails(wire.CodeConversationUpdateFailed, pb.OpType_update, changes(id, bad))
		}
		chunk := strings.Repeat("x", 40<<10)
		for range 3 {
			tom.ok(pb.OpType_update, pb.OpType_updated, changes(id, `{"list":{"__op":"Add","objects":["`+chunk+`"]}}`))
		}
		tom.fails(wire.CodeConversationUpdateFailed, pb.OpType_update, changes(id, `{"list":{"__op":"Add","objects":["`+chunk+`"]}}`))
	})
}

func TestUpdateChatRoom(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		id := tom.create(nil, room)
		jerry.fails(wire.CodeConversationUpdateRejected, pb.OpType_update, changes(id, `{"name":"x"}`))
		jerry.ok(pb.OpType_add, pb.OpType_added, about(id, "jerry"))
		jerry.ok(pb.OpType_update, pb.OpType_updated, changes(id, `{"name":"x"}`))
		require.Empty(t, tom.pushes(), "chat rooms tell nobody")
		require.Equal(t, "x", tom.find(where(`{"objectId":"` + id + `"}`))[0]["name"])
	})
}

func TestMute(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		id := tom.create([]*client{jerry})
		got := jerry.ok(pb.OpType_mute, pb.OpType_updated, cid(id))
		require.Regexp(t, isoText, got.GetUdate())
		require.Equal(t, []any{"jerry"}, tom.find(where(`{"objectId":"` + id + `"}`))[0]["mu"])
		muted, err := e.engine.Muted(t.Context(), admin(""), id)
		require.NoError(t, err)
		require.Equal(t, []string{"jerry"}, muted)
		tom.say(id, "still delivered")
		require.Equal(t, []string{"still delivered"}, jerry.texts())
		jerry.ok(pb.OpType_unmute, pb.OpType_updated, cid(id))
		require.Equal(t, []any{}, tom.find(where(`{"objectId":"` + id + `"}`))[0]["mu"])
		jerry.ok(pb.OpType_mute, pb.OpType_updated, cid(tom.create(nil, room)))
		jerry.fails(wire.CodeConversationReadOnly, pb.OpType_mute, cid(tom.create([]*client{jerry}, temporary(10))))
	})
}

func TestUpdateHook(t *testing.T) {
	var asked []*hook.ConversationUpdate
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		id := tom.create([]*client{jerry})
		got := tom.fails(wire.CodeConversationRejectedByApp, pb.OpType_update, changes(id, `{"name":"bad"}`))
		require.EqualValues(t, 3, got.GetAppCode())
		require.Nil(t, asked[0].Mute)
		tom.ok(pb.OpType_update, pb.OpType_updated, changes(id, `{"name":"fix"}`))
		require.JSONEq(t, `{"name":"fixed"}`, jerry.only().GetConvMessage().GetAttr().GetData())
		tom.ok(pb.OpType_mute, pb.OpType_updated, cid(id))
		require.True(t, *asked[2].Mute)
		require.Nil(t, asked[2].Attr)
		muted, err := e.engine.Muted(t.Context(), admin(""), id)
		require.NoError(t, err)
		require.Empty(t, muted, "the hook said no")
	}, func(s *settings) {
		s.hooks.ConversationUpdate = func(_ context.Context, ev *hook.ConversationUpdate) (hook.UpdateVerdict, error) {
			asked = append(asked, ev)
			switch {
			case ev.Mute != nil:
				return hook.UpdateVerdict{Mute: proto.Bool(false)}, nil
			case strings.Contains(string(ev.Attr), "bad"):
				return hook.UpdateVerdict{Verdict: hook.Verdict{Reject: true, Code: 3}}, nil
			}
			return hook.UpdateVerdict{Attr: []byte(`{"name":"fixed"}`)}, nil
		}
	})
}
