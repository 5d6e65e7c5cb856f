package command_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/engine"
	"github.com/leanrtm/realtime/server/internal/hook"
	"github.com/leanrtm/realtime/server/internal/sign"
	"github.com/leanrtm/realtime/server/internal/store"
)

var sigNone sign.Signature

func patchCommand(op pb.OpType, items ...*pb.PatchItem) *pb.GenericCommand {
	return &pb.GenericCommand{Cmd: pb.CommandType_patch.Enum(), Op: op.Enum(), PatchMessage: &pb.PatchCommand{Patches: items}}
}

// edit changes a message that must be changed, and returns the time of the edit.
func (c *client) edit(cid string, ack *pb.AckCommand, text string, changes ...func(*pb.PatchItem)) int64 {
	c.t.Helper()
	it := &pb.PatchItem{Cid: &cid, Mid: ack.Uid, Timestamp: ack.T, Recall: proto.Bool(false), Data: &text}
	for _, f := range changes {
		f(it)
	}
	got := c.call(patchCommand(pb.OpType_modify, it))
	require.Equal(c.t, "patch/modified", name(got), "%v", got)
	require.NotZero(c.t, got.GetPatchMessage().GetLastPatchTime())
	return got.GetPatchMessage().GetLastPatchTime()
}

func recall(it *pb.PatchItem) { it.Recall, it.Data = proto.Bool(true), nil }

func TestEdit(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, tomToo, jerry := e.login("tom"), e.login("tom"), e.login("jerry")
		deaf := e.login("jerry", caps(allCaps&^wire.BitPatch))
		id := tom.create([]*client{jerry})
		ack := tom.say(id, "first")
		for _, c := range []*client{tomToo, jerry, deaf} {
			c.pushes()
		}
		at := tom.edit(id, ack, `{"_lctype":1}`, func(it *pb.PatchItem) { it.MentionPids = []string{"jerry"} })
		require.Empty(t, tom.pushes())
		require.Empty(t, deaf.pushes(), "not for those who do not understand it")
		for _, c := range []*client{tomToo, jerry} {
			p := c.only()
			require.Equal(t, "patch/modify", name(p))
			require.Len(t, p.GetPatchMessage().GetPatches(), 1)
			it := p.GetPatchMessage().GetPatches()[0]
			require.Equal(t, id, it.GetCid())
			require.Equal(t, ack.GetUid(), it.GetMid())
			require.Equal(t, ack.GetT(), it.GetTimestamp())
			require.Equal(t, "tom", it.GetFrom())
			require.Equal(t, `{"_lctype":1}`, it.GetData())
			require.Equal(t, at, it.GetPatchTimestamp())
			require.Equal(t, []string{"jerry"}, it.GetMentionPids())
			require.False(t, it.GetRecall())
			require.Nil(t, it.PatchCode)
		}
		item := jerry.history(&pb.LogsCommand{Cid: &id, Lctype: proto.Int32(1)})[0]
		require.Equal(t, at, item.GetPatchTimestamp())
		require.Equal(t, ack.GetT(), item.GetTimestamp())
		require.Equal(t, ack.GetUid(), item.GetMsgId())
		doc := tom.find(&pb.ConvCommand{Flag: proto.Int32(wire.QueryWithLastMessage)})[0]
		require.Equal(t, `{"_lctype":1}`, doc["msg"])
		require.Contains(t, doc, "patch_timestamp")

		later := tom.edit(id, ack, "", recall)
		require.Greater(t, later, at)
		it := jerry.only().GetPatchMessage().GetPatches()[0]
		require.True(t, it.GetRecall())
		require.Equal(t, wire.RecalledContent, it.GetData())
		require.Empty(t, it.GetMentionPids())
		require.Equal(t, []string{wire.RecalledContent}, bodies(jerry.history(&pb.LogsCommand{Cid: &id})))
		require.Len(t, jerry.history(&pb.LogsCommand{Cid: &id, Lctype: proto.Int32(wire.TypeRecalled)}), 1)
		require.Empty(t, jerry.history(&pb.LogsCommand{Cid: &id, Lctype: proto.Int32(1)}))
	})
}

func TestEditBinary(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		id := tom.create([]*client{jerry})
		ack := tom.say(id, "text")
		jerry.pushes()
		tom.edit(id, ack, "", func(it *pb.PatchItem) { it.Data, it.BinaryMsg = nil, []byte{0, 1} })
		it := jerry.only().GetPatchMessage().GetPatches()[0]
		require.Equal(t, []byte{0, 1}, it.GetBinaryMsg())
		require.Nil(t, it.Data)
		item := jerry.history(&pb.LogsCommand{Cid: &id})[0]
		require.True(t, item.GetBin())
		require.Equal(t, "AAE=", item.GetData())
	})
}

func TestEditRefused(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry, eve := e.login("tom"), e.login("jerry"), e.login("eve")
		id := tom.create([]*client{jerry})
		ack := tom.say(id, "mine")
		try := func(c *client, code wire.Code, f func(*pb.PatchItem)) {
			t.Helper()
			it := &pb.PatchItem{Cid: proto.String(id), Mid: ack.Uid, Timestamp: ack.T, Data: proto.String("x")}
			f(it)
			wantError(t, code, c.call(patchCommand(pb.OpType_modify, it)))
		}
		same := func(*pb.PatchItem) {}
		try(jerry, wire.CodeMessageOwnershipRequired, same)
		try(eve, wire.CodeConversationMembershipRequired, same)
		try(tom, wire.CodeMessageNotFound, func(it *pb.PatchItem) { it.Timestamp = proto.Int64(ack.GetT() + 1) })
		try(tom, wire.CodeMessageNotFound, func(it *pb.PatchItem) { it.Mid = proto.String("nothing") })
		try(tom, wire.CodeConversationNotFound, func(it *pb.PatchItem) { it.Cid = proto.String(unknown) })
		try(tom, wire.CodeFrameTooLong, func(it *pb.PatchItem) { it.Data = proto.String(strings.Repeat("x", 6000)) })
		wantError(t, wire.CodeMessageNotFound, tom.call(patchCommand(pb.OpType_modify)))
		wantError(t, wire.CodeInternalError, tom.call(patchCommand(pb.OpType_start)))
		tom.edit(id, ack, "", recall)
		try(tom, wire.CodeMessageNotFound, same)
		tom.edit(id, ack, "", recall)
		jerry.pushes()

		// The acknowledgement of some clients has no answer.
		tom.tell(patchCommand(pb.OpType_modified))
		require.Empty(t, tom.pushes())
	})
	for _, c := range []struct {
		what string
		set  func(*settings)
		code wire.Code
		f    func(*pb.PatchItem)
	}{
		{"edit", func(s *settings) { s.app.DisableEdit = true }, wire.CodeMessageEditDisabled, func(*pb.PatchItem) {}},
		{"recall", func(s *settings) { s.app.DisableRecall = true }, wire.CodeMessageRecallDisabled, recall},
		{"hook", func(s *settings) {
			s.hooks.MessageUpdate = func(context.Context, *hook.MessageUpdate) (hook.MessageVerdict, error) {
				return hook.MessageVerdict{Drop: true, Code: 5}, nil
			}
		}, wire.CodeMessageUpdateRejectedByApp, recall},
	} {
		t.Run(c.what, func(t *testing.T) {
			run(t, func(t *testing.T, e *env) {
				tom := e.login("tom")
				id := tom.create(nil)
				ack := tom.say(id, "x")
				it := &pb.PatchItem{Cid: &id, Mid: ack.Uid, Timestamp: ack.T, Data: proto.String("y")}
				c.f(it)
				wantError(t, c.code, tom.call(patchCommand(pb.OpType_modify, it)))
				require.Equal(t, []string{"x"}, bodies(tom.history(&pb.LogsCommand{Cid: &id})))
			}, c.set)
		})
	}
}

func TestEditHookReplaces(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.login("tom")
		id := tom.create(nil)
		ack := tom.say(id, "x")
		tom.edit(id, ack, "y")
		require.Equal(t, []string{"y!"}, bodies(tom.history(&pb.LogsCommand{Cid: &id})))
	}, func(s *settings) {
		s.hooks.MessageUpdate = func(_ context.Context, ev *hook.MessageUpdate) (hook.MessageVerdict, error) {
			return hook.MessageVerdict{Content: &hook.Content{Data: ev.Content.Data + "!"}}, nil
		}
	})
}

// A message that is recalled while the hook about its edit takes its time stays
// recalled.
func TestEditLosesAgainstARecall(t *testing.T) {
	var e *env
	run(t, func(t *testing.T, env *env) {
		e = env
		tom := e.login("tom")
		id := tom.create(nil)
		ack := tom.say(id, "x")
		wantError(t, wire.CodeMessageNotFound, tom.call(patchCommand(pb.OpType_modify, &pb.PatchItem{
			Cid: &id, Mid: ack.Uid, Timestamp: ack.T, Data: proto.String("y"),
		})))
		require.Equal(t, []string{wire.RecalledContent}, bodies(tom.history(&pb.LogsCommand{Cid: &id})))
		tom.pushes()
	}, func(s *settings) {
		s.hooks.MessageUpdate = func(ctx context.Context, ev *hook.MessageUpdate) (hook.MessageVerdict, error) {
			if ev.Recall {
				return hook.MessageVerdict{}, nil
			}
			_, err := e.engine.Edit(ctx, admin(""), &engine.Edit{Cid: ev.ConvID, Mid: ev.MessageID, TS: ev.Timestamp, Recall: true})
			return hook.MessageVerdict{}, err
		}
	})
}

// Edits by the app are told to the author too, with the reason.
func TestSystemEdit(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom, jerry := e.login("tom"), e.login("jerry")
		id := tom.create([]*client{jerry})
		ack := tom.say(id, "rude")
		jerry.pushes()
		_, err := e.engine.Edit(t.Context(), admin(""), &engine.Edit{
			Cid: id, Mid: ack.GetUid(), TS: ack.GetT(), Body: "***", From: "tom",
			Code: -int32(wire.CodeMessageModifiedByCensorship), Reason: "rude",
		})
		require.NoError(t, err)
		for _, c := range []*client{tom, jerry} {
			it := c.only().GetPatchMessage().GetPatches()[0]
			require.Equal(t, "***", it.GetData())
			require.EqualValues(t, -4408, it.GetPatchCode())
			require.Equal(t, "rude", it.GetPatchReason())
		}
		_, err = e.engine.Edit(t.Context(), admin(""), &engine.Edit{Cid: id, Mid: ack.GetUid(), TS: ack.GetT(), Recall: true, From: "jerry"})
		require.ErrorContains(t, err, wire.CodeMessageOwnershipRequired.Name())
		_, err = e.engine.Edit(t.Context(), admin(""), &engine.Edit{Cid: id, Mid: ack.GetUid(), TS: ack.GetT(), Recall: true})
		require.NoError(t, err)
		require.EqualValues(t, engine.EditedByApp, tom.only().GetPatchMessage().GetPatches()[0].GetPatchCode())

		at := store.Pos{TS: ack.GetT(), Mid: ack.GetUid()}
		require.Error(t, e.engine.DeleteMessage(t.Context(), admin(""), id, "", "jerry", at))
		require.NoError(t, e.engine.DeleteMessage(t.Context(), admin(""), id, "", "tom", at))
		require.Empty(t, tom.history(&pb.LogsCommand{Cid: &id}))
		require.Error(t, e.engine.DeleteMessage(t.Context(), admin(""), id, "", "", at))
		require.NotContains(t, tom.find(&pb.ConvCommand{Flag: proto.Int32(wire.QueryWithLastMessage)})[0], "msg")
	})
}
