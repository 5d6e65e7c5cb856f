package command_test

import (
	"fmt"
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

func TestHistory(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.login("tom")
		id := tom.create(nil, func(m *pb.ConvCommand) { m.M = []string{"jerry", "mary"} })
		const n = 30
		acks := make([]*pb.AckCommand, n)
		for i := range n {
			text := fmt.Sprint(i)
			if i%10 == 0 {
				text = fmt.Sprintf(`{"_lctype":5,"n":%d}`, i)
			}
			acks[i] = tom.say(id, text)
			time.Sleep(time.Millisecond * time.Duration(i%3))
		}
		far := time.Now().Add(time.Hour).UnixMilli()
		new_ := pb.LogsCommand_NEW.Enum()
		num := func(from, to int) []string { // inclusive, ascending
			list := []string{}
			for i := from; i <= to; i++ {
				if i%10 == 0 {
					list = append(list, fmt.Sprintf(`{"_lctype":5,"n":%d}`, i))
				} else {
					list = append(list, fmt.Sprint(i))
				}
			}
			return list
		}
		for _, c := range []struct {
			what string
			q    *pb.LogsCommand
			want []string
		}{
			{"default", &pb.LogsCommand{}, num(10, 29)},
			{"limit", &pb.LogsCommand{L: proto.Int32(3)}, num(27, 29)},
			{"limit of other clients", &pb.LogsCommand{Limit: proto.Int32(3)}, num(27, 29)},
			{"limit 0", &pb.LogsCommand{L: proto.Int32(0)}, []string{}},
			{"limit below 0", &pb.LogsCommand{L: proto.Int32(-3)}, []string{}},
			{"all", &pb.LogsCommand{L: proto.Int32(1000)}, num(0, 29)},
			{"before", &pb.LogsCommand{T: acks[5].T, L: proto.Int32(3)}, num(2, 4)},
			{"before, included", &pb.LogsCommand{T: acks[5].T, TIncluded: proto.Bool(true), L: proto.Int32(3)}, num(3, 5)},
			{"before a message", &pb.LogsCommand{T: acks[5].T, Mid: acks[5].Uid, L: proto.Int32(3)}, num(2, 4)},
			{"down to", &pb.LogsCommand{T: acks[5].T, Tt: acks[1].T}, num(2, 4)},
			{"down to, included", &pb.LogsCommand{T: acks[5].T, Tt: acks[1].T, TtIncluded: proto.Bool(true)}, num(1, 4)},
			{"down to a message", &pb.LogsCommand{T: acks[5].T, Tt: acks[1].T, Tmid: acks[1].Uid, TtIncluded: proto.Bool(true), TIncluded: proto.Bool(true)}, num(1, 5)},
			{"t = 1", &pb.LogsCommand{T: proto.Int64(1)}, []string{}},
			{"only a future end", &pb.LogsCommand{Tt: &far}, []string{}},
			{"newer", &pb.LogsCommand{Direction: new_, L: proto.Int32(4)}, num(0, 3)},
			{"newer than", &pb.LogsCommand{Direction: new_, T: acks[5].T, L: proto.Int32(2)}, num(6, 7)},
			{"newer than, included", &pb.LogsCommand{Direction: new_, T: acks[5].T, TIncluded: proto.Bool(true), L: proto.Int32(2)}, num(5, 6)},
			{"newer than a message", &pb.LogsCommand{Direction: new_, T: acks[5].T, Mid: acks[5].Uid, L: proto.Int32(2)}, num(6, 7)},
			{"newer up to", &pb.LogsCommand{Direction: new_, T: acks[5].T, Tt: acks[8].T}, num(6, 7)},
			{"newer from the future", &pb.LogsCommand{Direction: new_, T: &far}, []string{}},
			{"type", &pb.LogsCommand{Lctype: proto.Int32(5)}, []string{num(0, 0)[0], num(10, 10)[0], num(20, 20)[0]}},
			{"type, limited", &pb.LogsCommand{Lctype: proto.Int32(5), L: proto.Int32(1)}, num(20, 20)},
			{"type that nobody used", &pb.LogsCommand{Lctype: proto.Int32(0)}, []string{}},
		} {
			c.q.Cid = &id
			require.Equal(t, c.want, bodies(tom.history(c.q)), c.what)
		}

		// Pages, as an iterator asks for them.
		var pages []string
		q := &pb.LogsCommand{Cid: &id, L: proto.Int32(7)}
		for {
			page := tom.history(q)
			pages = append(bodies(page), pages...)
			if len(page) < 7 {
				break
			}
			q.T, q.Mid = page[0].Timestamp, page[0].MsgId
		}
		require.Equal(t, num(0, 29), pages)

		jerry, eve := e.login("jerry"), e.login("eve")
		require.Len(t, jerry.history(&pb.LogsCommand{Cid: &id}), 20)
		logs := func(m *pb.LogsCommand) *pb.GenericCommand {
			return eve.call(&pb.GenericCommand{Cmd: pb.CommandType_logs.Enum(), LogsMessage: m})
		}
		wantError(t, wire.CodeConversationLogRejected, logs(&pb.LogsCommand{Cid: &id}))
		wantError(t, wire.CodeConversationNotFound, logs(&pb.LogsCommand{Cid: proto.String(unknown)}))
		wantError(t, wire.CodeConversationNotFound, logs(nil))
		tom.ok(pb.OpType_add, pb.OpType_added, about(id, "eve"))
		require.Len(t, eve.history(&pb.LogsCommand{Cid: &id, L: proto.Int32(1000)}), n, "members see what was before them")
	})
}

func TestHistoryItems(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		id := tom.create([]*client{jerry})
		one := tom.say(id, "x", mention("jerry"), func(m *pb.DirectCommand) { m.MentionAll = proto.Bool(true) })
		tom.direct(&pb.DirectCommand{Cid: &id, BinaryMsg: []byte{255}})
		items := jerry.history(&pb.LogsCommand{Cid: &id})
		require.Equal(t, "tom", items[0].GetFrom())
		require.Equal(t, one.GetUid(), items[0].GetMsgId())
		require.Equal(t, one.GetT(), items[0].GetTimestamp())
		require.True(t, items[0].GetMentionAll())
		require.Equal(t, []string{"jerry"}, items[0].GetMentionPids())
		require.EqualValues(t, wire.KindNormal, items[0].GetConvType())
		require.Nil(t, items[0].PatchTimestamp)
		require.Nil(t, items[0].AckAt)
		require.Nil(t, items[0].ReadAt)
		require.Nil(t, items[0].Bin)
		require.Equal(t, "/w==", items[1].GetData())
		require.True(t, items[1].GetBin())

		jerry.received(id, one.GetT(), one.GetT())
		items = tom.history(&pb.LogsCommand{Cid: &id})
		require.GreaterOrEqual(t, items[0].GetAckAt(), one.GetT())
		require.Nil(t, items[0].ReadAt)
		require.Nil(t, items[1].AckAt)
		jerry.reads(id, one.GetT())
		items = tom.history(&pb.LogsCommand{Cid: &id})
		require.GreaterOrEqual(t, items[0].GetReadAt(), one.GetT())
		require.Nil(t, items[1].ReadAt)

		tom.ok(pb.OpType_add, pb.OpType_added, about(id, "mary"))
		require.Nil(t, tom.history(&pb.LogsCommand{Cid: &id})[0].AckAt, "only among two")
	})
}

func TestHistoryOverREST(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		a, b := tom.create([]*client{jerry}), tom.create([]*client{jerry})
		tom.say(a, "1")
		time.Sleep(time.Millisecond)
		jerry.say(b, "2")
		tom.say(b, "3")
		by := admin("tom")
		by.Admin = false
		_, err := e.engine.History(t.Context(), by, a, engine.HistoryQuery{Limit: 10, Signed: true})
		require.ErrorContains(t, err, wire.CodeConversationSignatureFailed.Name())
		now := time.Now().UnixMilli()
		items, err := e.engine.History(t.Context(), by, a, engine.HistoryQuery{
			Limit: 10, Signed: true, Signature: sign.History(appID, "tom", a).Sign(masterKey, now, "n"),
		})
		require.NoError(t, err)
		require.Len(t, items, 1)
		require.Len(t, tom.history(&pb.LogsCommand{Cid: &a}), 1, "no signature over the socket")

		all, err := e.engine.AppHistory(t.Context(), admin(""), "", store.Range{}, 2)
		require.NoError(t, err)
		require.Equal(t, []string{"2", "3"}, itemTexts(all))
		require.Equal(t, store.KindNormal, all[0].Kind)
		all, err = e.engine.AppHistory(t.Context(), admin(""), "", store.Range{Newer: true}, 2)
		require.NoError(t, err)
		require.Equal(t, []string{"1", "2"}, itemTexts(all))
		all, err = e.engine.AppHistory(t.Context(), admin(""), "tom", store.Range{}, 10)
		require.NoError(t, err)
		require.Equal(t, []string{"1", "3"}, itemTexts(all))
	}, func(s *settings) { s.app.VerifyHistory = true })
}

func itemTexts(items []engine.Item) []string {
	texts := []string{}
	for _, it := range items {
		texts = append(texts, it.Message.Body)
	}
	return texts
}
