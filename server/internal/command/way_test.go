package command_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/server/internal/command"
	"github.com/leanrtm/realtime/server/internal/engine"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/hook"
	"github.com/leanrtm/realtime/server/internal/limit"
	"github.com/leanrtm/realtime/server/internal/session"
	"github.com/leanrtm/realtime/server/internal/store/memory"
)

func TestWays(t *testing.T) {
	some := func() *pb.GenericCommand {
		return &pb.GenericCommand{
			DirectMessage: &pb.DirectCommand{Cid: proto.String("d")}, ConvMessage: &pb.ConvCommand{Cid: proto.String("c")},
			PatchMessage:     &pb.PatchCommand{Patches: []*pb.PatchItem{{Cid: proto.String("p")}}},
			BlacklistMessage: &pb.BlacklistCommand{SrcCid: proto.String("b")},
		}
	}
	quick, slow := fanout.Way{}, fanout.Way{Slow: true}
	in := func(conv string) fanout.Way { return fanout.Way{Ordered: true, Conv: conv} }
	handler := func(hooks hook.Hooks) *command.Handler {
		e, err := engine.New(t.Context(), engine.Config{
			Apps: []limit.App{{ID: appID}}, Store: memory.New(), Sessions: session.NewRegistry(), Hooks: &hooks,
		})
		require.NoError(t, err)
		t.Cleanup(func() { e.Close(context.Background()) })
		return command.New(e)
	}
	none, all := handler(hook.Hooks{}), handler(allHooks())
	for _, c := range []struct {
		cmd    pb.CommandType
		op     pb.OpType
		want   fanout.Way
		hooked bool // is slow with a hook
	}{
		{pb.CommandType_logs, 0, slow, false},
		{pb.CommandType_conv, pb.OpType_query, slow, false},
		{pb.CommandType_conv, pb.OpType_max_read, slow, false},
		{pb.CommandType_conv, pb.OpType_start, in("c"), true},
		{pb.CommandType_conv, pb.OpType_add, in("c"), true},
		{pb.CommandType_conv, pb.OpType_remove, in("c"), true},
		{pb.CommandType_conv, pb.OpType_update, in("c"), true},
		{pb.CommandType_conv, pb.OpType_mute, in("c"), true},
		{pb.CommandType_conv, pb.OpType_unmute, in("c"), true},
		{pb.CommandType_conv, pb.OpType_count, in("c"), false},
		{pb.CommandType_blacklist, pb.OpType_block, in("b"), false},
		{pb.CommandType_direct, 0, in("d"), true},
		{pb.CommandType_patch, pb.OpType_modify, in("p"), true},
		{pb.CommandType_patch, pb.OpType_modified, quick, false},
		{pb.CommandType_ack, 0, quick, false},
		{pb.CommandType_read, 0, quick, false},
		{pb.CommandType_goaway, 0, quick, false},
	} {
		cmd := some()
		cmd.Cmd, cmd.Op = c.cmd.Enum(), c.op.Enum()
		require.Equal(t, c.want, none.Way(cmd), "%v/%v", c.cmd, c.op)
		want := c.want
		want.Slow = want.Slow || c.hooked
		require.Equal(t, want, all.Way(cmd), "%v/%v", c.cmd, c.op)
	}
}

// allHooks are hooks that let everything pass.
func allHooks() hook.Hooks {
	pass := func(context.Context, *hook.MembersChange) (hook.Verdict, error) { return hook.Verdict{}, nil }
	return hook.Hooks{
		MessageReceived: func(context.Context, *hook.MessageReceived) (hook.MessageVerdict, error) {
			return hook.MessageVerdict{}, nil
		},
		MessageUpdate: func(context.Context, *hook.MessageUpdate) (hook.MessageVerdict, error) {
			return hook.MessageVerdict{}, nil
		},
		ConversationStart: func(context.Context, *hook.ConversationStart) (hook.Verdict, error) {
			return hook.Verdict{}, nil
		},
		ConversationAdd: pass, ConversationRemove: pass,
		ConversationUpdate: func(context.Context, *hook.ConversationUpdate) (hook.UpdateVerdict, error) {
			return hook.UpdateVerdict{}, nil
		},
	}
}
