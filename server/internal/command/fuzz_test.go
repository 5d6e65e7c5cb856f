package command_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/command"
	"github.com/leanrtm/realtime/server/internal/engine"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/limit"
	"github.com/leanrtm/realtime/server/internal/session"
	"github.com/leanrtm/realtime/server/internal/store"
	"github.com/leanrtm/realtime/server/internal/store/memory"
)

// bench is a handler without connections.
type bench struct {
	handler *command.Handler
	engine  *engine.Engine
	log     *logBuffer
}

func newBench(t testing.TB, s store.Store) *bench {
	b := &bench{log: new(logBuffer)}
	var err error
	b.engine, err = engine.New(t.Context(), engine.Config{
		Apps: []limit.App{{ID: appID, MasterKey: masterKey}}, Store: s, Sessions: session.NewRegistry(),
		Limits: limit.Limits{Members: 5, BlockedList: 3, ShutupList: 3, UnreadCount: 4},
		Logger: slog.New(slog.NewTextHandler(b.log, nil)), CachedConvs: 4,
	})
	require.NoError(t, err)
	b.handler = command.New(b.engine)
	return b
}

// do executes a command and returns its replies.
func (b *bench) do(client string, cmd *pb.GenericCommand) []*pb.GenericCommand {
	var replies []*pb.GenericCommand
	r := &fanout.Request{
		Actor: fanout.Actor{App: appID, Client: client, Session: 1, Caps: allCaps}, Cmd: cmd,
		Reply: func(c *pb.GenericCommand) { replies = append(replies, proto.Clone(c).(*pb.GenericCommand)) },
	}
	b.handler.Handle(context.Background(), r)
	return replies
}

// conversations creates one of each kind, and one that is unique.
func (b *bench) conversations(t *testing.T) []string {
	var cids []string
	for _, n := range []engine.NewConv{
		{Kind: store.KindNormal, Members: []string{"b", "c"}}, {Kind: store.KindNormal, Members: []string{"b"}, Unique: true},
		{Kind: store.KindTemporary, Members: []string{"b"}}, {Kind: store.KindRoom}, {Kind: store.KindService},
	} {
		by := admin("a")
		by.Admin = n.Kind == store.KindService
		made, err := b.engine.Create(t.Context(), by, n)
		require.NoError(t, err)
		cids = append(cids, made.Cid)
	}
	return cids
}

// script makes commands out of arbitrary bytes.
type script struct {
	data []byte
	cids []string
	sent []*pb.AckCommand
}

func (s *script) byte() int {
	if len(s.data) == 0 {
		return 0
	}
	b := s.data[0]
	s.data = s.data[1:]
	return int(b)
}

func pick[T any](s *script, list ...T) T { return list[s.byte()%len(list)] }

func (s *script) maybe(f func()) {
	if s.byte()%3 != 0 {
		f()
	}
}

func (s *script) client() string { return pick(s, "a", "b", "c", "d", "e", "f", "", "a:b") }

func (s *script) clients() []string {
	ids := make([]string, s.byte()%5)
	for i := range ids {
		ids[i] = s.client()
	}
	return ids
}

func (s *script) cid() *string {
	switch n := s.byte(); {
	case n%8 == 7:
		return nil
	case n%8 == 6 || len(s.cids) == 0:
		return proto.String(pick(s, "", unknown, wire.TemporaryPrefix, wire.TemporaryPrefix+"x"))
	default:
		return &s.cids[n%len(s.cids)]
	}
}

func (s *script) text() *string {
	return proto.String(pick(s, "", "x", `{"_lctype":-1}`, `{"_lctype":1e99}`, `{"_lctype":`, "\xff\xfe", string(make([]byte, 6000))))
}

func (s *script) json() *pb.JsonObjectMessage {
	return &pb.JsonObjectMessage{Data: proto.String(pick(s, `{}`, `{"name":"x"}`, `{"a.b":1}`, `{"a":{"__op":"Increment","amount":1}}`,
		`{"m":["a"]}`, `[`, ``, `null`, `{"a":{"$regex":"("}}`, `{"m":"a"}`, `{"$or":[{"m":"a"},{"tr":true}]}`, `{"objectId":{"$in":[]}}`,
		`{"a":{"__op":"Delete"}}`, `{"a":{"__op":"Add","objects":[1]}}`, `{"__proto__":1,"":2}`))}
}

func (s *script) ts() *int64 {
	return proto.Int64(pick[int64](s, 0, 1, -1, 1<<62, -1<<63, 1700000000000))
}

func (s *script) message() (mid *string, ts *int64) {
	if n := s.byte(); len(s.sent) > 0 && n%4 != 0 {
		a := s.sent[n%len(s.sent)]
		return a.Uid, a.T
	}
	return s.text(), s.ts()
}

func (s *script) command() *pb.GenericCommand {
	c := &pb.GenericCommand{I: proto.Int32(int32(s.byte()))}
	c.Cmd = pick(s, pb.CommandType_conv, pb.CommandType_conv, pb.CommandType_conv, pb.CommandType_direct, pb.CommandType_direct,
		pb.CommandType_patch, pb.CommandType_blacklist, pb.CommandType_logs, pb.CommandType_ack, pb.CommandType_read,
		pb.CommandType_report, pb.CommandType_room, pb.CommandType(9999)).Enum()
	ops := []pb.OpType{pb.OpType_start, pb.OpType_query, pb.OpType_add, pb.OpType_add, pb.OpType_remove, pb.OpType_update,
		pb.OpType_mute, pb.OpType_unmute, pb.OpType_count, pb.OpType_members, pb.OpType_is_member, pb.OpType_max_read,
		pb.OpType_member_info_update, pb.OpType_add_shutup, pb.OpType_remove_shutup, pb.OpType_query_shutup, pb.OpType_check_shutup}
	switch c.GetCmd() {
	case pb.CommandType_patch:
		ops = []pb.OpType{pb.OpType_modify, pb.OpType_modify, pb.OpType_modify, pb.OpType_modified}
	case pb.CommandType_blacklist:
		ops = []pb.OpType{pb.OpType_block, pb.OpType_unblock, pb.OpType_query, pb.OpType_check_block}
	}
	if s.byte()%16 == 0 {
		ops = append(ops, pb.OpType_modified, pb.OpType_block, pb.OpType(9999))
	}
	c.Op = pick(s, ops...).Enum()
	s.maybe(func() { c.ConvMessage = s.conv() })
	s.maybe(func() {
		mid, ts := s.message()
		c.DirectMessage = &pb.DirectCommand{
			Cid: s.cid(), Msg: s.text(), Dt: pick(s, nil, proto.String("t"), mid), MentionPids: s.clients(),
			R: proto.Bool(s.byte()%2 == 0), Transient: proto.Bool(s.byte()%5 == 0), Will: proto.Bool(s.byte()%9 == 0), Timestamp: ts,
		}
		c.LogsMessage = &pb.LogsCommand{
			Cid: s.cid(), L: pick(s, nil, proto.Int32(-1), proto.Int32(0), proto.Int32(1), proto.Int32(1<<31-1)),
			T: s.ts(), Mid: mid, Tt: s.ts(), TIncluded: proto.Bool(s.byte()%2 == 0),
			Direction: pick(s, nil, pb.LogsCommand_NEW.Enum(), pb.LogsCommand_QueryDirection(7).Enum()),
			Lctype:    pick(s, nil, proto.Int32(-1)),
		}
		c.PatchMessage = &pb.PatchCommand{Patches: []*pb.PatchItem{{
			Cid: s.cid(), Mid: mid, Timestamp: ts, Recall: proto.Bool(s.byte()%2 == 0), Data: s.text(), MentionPids: s.clients(),
		}}}
		c.AckMessage = &pb.AckCommand{Cid: s.cid(), Mid: mid, Tots: ts}
		c.ReadMessage = &pb.ReadCommand{Convs: []*pb.ReadTuple{{Cid: proto.String(unknown)}, {Cid: c.AckMessage.Cid, Mid: mid, Timestamp: ts}}}
		if c.AckMessage.Cid == nil {
			c.ReadMessage = nil
		}
	})
	s.maybe(func() {
		c.BlacklistMessage = &pb.BlacklistCommand{
			SrcCid: s.cid(), SrcPid: pick(s, nil, proto.String(s.client())), ToPids: s.clients(), ToCids: s.clients(), Limit: proto.Int32(int32(s.byte()) - 1),
		}
	})
	return c
}

func (s *script) conv() *pb.ConvCommand {
	m := &pb.ConvCommand{Cid: s.cid(), M: s.clients()}
	s.maybe(func() { m.Unique = proto.Bool(s.byte()%2 == 0) })
	s.maybe(func() { m.Transient, m.TempConv = proto.Bool(s.byte()%4 == 0), proto.Bool(s.byte()%4 == 0) })
	s.maybe(func() {
		m.Attr, m.Where, m.Sort = s.json(), s.json(), pick(s, nil, proto.String(""), proto.String("-a.b"), proto.String(",,"))
	})
	s.maybe(func() {
		m.Limit, m.Skip, m.Flag = proto.Int32(int32(s.byte())-1), proto.Int32(int32(s.byte())-1), proto.Int32(int32(s.byte()))
		m.TempConvTTL, m.Next = proto.Int32(int32(s.byte())-1), s.text()
	})
	s.maybe(func() {
		m.TargetClientId = proto.String(s.client())
		m.Info = &pb.ConvMemberInfo{Role: proto.String(pick(s, wire.RoleManager, wire.RoleMember, wire.RoleOwner, "x"))}
		m.QueryAllMembers = proto.Bool(s.byte()%2 == 0)
		m.Cids, m.TempConvIds = s.clients(), s.clients()
	})
	return m
}

// FuzzCommands executes scripts of commands, sensible and absurd ones. Each is
// answered once and never ends the process, and what the engine remembers is
// what the store has.
func FuzzCommands(f *testing.F) {
	f.Add([]byte("\x00"))
	for seed := range 20 {
		data := make([]byte, 8000)
		x := uint32(seed*2654435761 + 1)
		for i := range data {
			x = x*1664525 + 1013904223
			data[i] = byte(x >> 24)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := memory.New()
		b := newBench(t, s)
		sc := &script{data: data, cids: b.conversations(t)}
		for n := 0; len(sc.data) > 0 && n < 200; n++ {
			cmd := sc.command()
			client := pick(sc, "a", "b", "c", "d")
			replies := b.do(client, cmd)
			silent := cmd.GetCmd() == pb.CommandType_ack || cmd.GetCmd() == pb.CommandType_read ||
				cmd.GetCmd() == pb.CommandType_patch && cmd.GetOp() == pb.OpType_modified
			if silent {
				require.Empty(t, replies, "%v", cmd)
				continue
			}
			require.Len(t, replies, 1, "%v", cmd)
			_, err := wire.Append(nil, replies[0])
			require.NoError(t, err, "%v", replies[0])
			if m := replies[0].GetErrorMessage(); m != nil {
				require.Equal(t, wire.Code(m.GetCode()).Name(), m.GetReason())
			}
			if id := replies[0].GetConvMessage().GetCid(); replies[0].GetOp() == pb.OpType_started {
				sc.cids = append(sc.cids, id)
			}
			if a := replies[0].GetAckMessage(); a.GetUid() != "" {
				sc.sent = append(sc.sent, a)
			}
		}
		require.NotContains(t, b.log.String(), "panic")
		require.NotContains(t, b.log.String(), "store failed")

		seen := look(t, b.engine, sc.cids)
		b.engine.Close(t.Context())
		fresh := newBench(t, s)
		require.Equal(t, look(t, fresh.engine, sc.cids), seen, "the cache and the store disagree")
		fresh.engine.Close(t.Context())
		require.NoError(t, s.Close())
	})
}

// look is everything that can be seen of conversations.
func look(t *testing.T, e *engine.Engine, cids []string) map[string]string {
	all := make(map[string]string)
	for _, id := range cids {
		see := func(what string, v any, err error) { all[id+" "+what] = fmt.Sprintf("%+v %v", v, err) }
		text, kind, err := e.Conv(t.Context(), admin(""), id)
		if kind != store.KindTemporary { // whose remaining time runs
			see("conv", string(text), err)
		}
		n, err := e.Count(t.Context(), admin(""), id)
		see("count", n, err)
		members, err := e.Members(t.Context(), admin(""), id)
		see("members", members, err)
		infos, err := e.MemberInfos(t.Context(), admin(""), id)
		see("roles", infos, err)
		for _, client := range []string{"a", "b", "c", "d"} {
			by := admin(client)
			by.Admin = false
			reached, err := e.MaxRead(t.Context(), by, id, true)
			see("reached, as told to "+client, reached, err)
			u, err := e.Unread(t.Context(), by, client, id)
			see("unread of "+client, u, err)
			_, err = e.Send(t.Context(), by, id, &engine.Outgoing{Body: "x", Transient: true})
			see("may speak: "+client, "", err)
		}
		items, err := e.History(t.Context(), admin(""), id, engine.HistoryQuery{Limit: 1000})
		for i := range items {
			see(fmt.Sprint("message ", i), items[i], err)
		}
		for _, kind := range []store.ListKind{store.ListBlocked, store.ListShutup} {
			list, _, err := e.List(t.Context(), admin(""), kind, id, "", 100)
			see(fmt.Sprint("list ", kind), list, err)
		}
	}
	return all
}

func TestUnknownCommands(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.login("tom")
		for _, cmd := range []*pb.GenericCommand{
			{Cmd: pb.CommandType_room.Enum(), Op: pb.OpType_join.Enum()},
			{Cmd: pb.CommandType_presence.Enum()},
			{Cmd: pb.CommandType_login.Enum()},
			{Cmd: pb.CommandType(77).Enum()},
			{Cmd: pb.CommandType_conv.Enum()},
			{Cmd: pb.CommandType_conv.Enum(), Op: pb.OpType_status.Enum()},
			{Cmd: pb.CommandType_conv.Enum(), Op: pb.OpType(4711).Enum()},
			{Cmd: pb.CommandType_blacklist.Enum()},
			{Cmd: pb.CommandType_patch.Enum()},
		} {
			wantError(t, wire.CodeInternalError, tom.call(cmd))
		}
		got := tom.call(&pb.GenericCommand{Cmd: pb.CommandType_report.Enum(), Op: pb.OpType_upload.Enum()})
		require.Equal(t, "report/uploaded", name(got))
		got = tom.call(&pb.GenericCommand{Cmd: pb.CommandType_direct.Enum()})
		require.EqualValues(t, wire.CodeInvalidMessagingTarget, got.GetAckMessage().GetCode())
	})
}
