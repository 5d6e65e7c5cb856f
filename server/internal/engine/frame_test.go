package engine

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/store"
)

// FuzzDirectFrame compares the frame that is encoded by hand with the generated
// encoder's.
func FuzzDirectFrame(f *testing.F) {
	f.Add("cid", "tom", "mid", "hello", "jerry", int64(1700000000000), int64(0), uint16(0), int8(1), byte(0))
	f.Add("", "", "", "", "", int64(-1), int64(5), uint16(store.FlagBinary|store.FlagMentionAll), int8(4), byte(7))
	f.Fuzz(func(t *testing.T, cid, from, mid, body, mention string, ts, patch int64, flags uint16, kind int8, bits byte) {
		d := delivery{
			cid: cid, kind: store.ConvKind(kind), transient: bits&1 != 0, offline: bits&2 != 0, hasMore: bits&4 != 0,
			m: &store.Message{TS: ts, Mid: mid, From: from, Body: body, Flags: store.Flags(flags), PatchTS: patch},
		}
		want := &pb.DirectCommand{
			FromPeerId: &from, Timestamp: &ts, Cid: &cid, Id: &mid, ConvType: proto.Int32(int32(kind)),
		}
		if mention != "" {
			d.m.Mentions = []string{mention, from}
			want.MentionPids = d.m.Mentions
		}
		if d.m.Flags.Has(store.FlagBinary) {
			want.BinaryMsg = []byte(body)
		} else {
			want.Msg = &body
		}
		if patch != 0 {
			want.PatchTimestamp = &patch
		}
		for v, field := range map[**bool]bool{
			&want.Transient: d.transient, &want.Offline: d.offline, &want.HasMore: d.hasMore,
			&want.MentionAll: d.m.Flags.Has(store.FlagMentionAll),
		} {
			if field {
				*v = proto.Bool(true)
			}
		}
		frame := d.frame()
		require.Equal(t, len(frame), cap(frame), "one allocation of the right size")
		got, err := wire.Unmarshal(frame)
		require.NoError(t, err)
		require.True(t, proto.Equal(&pb.GenericCommand{
			Cmd: pb.CommandType_direct.Enum(), Service: proto.Int32(wire.ServiceIM), DirectMessage: want,
		}, got), "%v", got)
	})
}

func TestNotices(t *testing.T) {
	attr := json.RawMessage(`{"name":"x"}`)
	for _, op := range []pb.OpType{
		pb.OpType_joined, pb.OpType_left, pb.OpType_members_joined, pb.OpType_members_left, pb.OpType_updated,
		pb.OpType_blocked, pb.OpType_unblocked, pb.OpType_members_blocked, pb.OpType_members_unblocked,
		pb.OpType_shutuped, pb.OpType_unshutuped, pb.OpType_members_shutuped, pb.OpType_members_unshutuped,
		pb.OpType_member_info_changed,
	} {
		n := notice{op: op, cid: "c", initBy: "tom", clients: []string{"a"}, updated: 1, attr: attr, result: attr,
			info: &MemberInfo{ID: "i", Client: "a", Role: wire.RoleManager}}
		got, err := wire.Unmarshal(n.frame(5))
		require.NoError(t, err)
		require.Equal(t, op, got.GetOp())
		require.EqualValues(t, 5, got.GetServerTs())
		require.EqualValues(t, wire.ServiceIM, got.GetService())
		require.Nil(t, got.PeerId)
		require.Nil(t, got.I)
		m := got.GetConvMessage()
		require.Equal(t, "1970-01-01T00:00:00.001Z", m.GetUdate())
		require.NotContains(t, n.name(), "_")
		// What is kept says the same as the push.
		var kept struct {
			Cid, InitBy, Udate string
			M                  []string
			Attr, AttrModified json.RawMessage
			Info               struct{ Pid, Role, InfoId string }
		}
		require.NoError(t, json.Unmarshal(n.body(), &kept))
		require.Equal(t, m.GetCid(), kept.Cid)
		require.Equal(t, m.GetInitBy(), kept.InitBy)
		require.Equal(t, m.GetUdate(), kept.Udate)
		require.Equal(t, m.GetM(), kept.M)
		require.JSONEq(t, m.GetAttr().GetData(), string(kept.Attr))
		require.Equal(t, m.GetInfo().GetPid(), kept.Info.Pid)
		require.Equal(t, m.GetInfo().GetInfoId(), kept.Info.InfoId)
		n.initBy = ""
		got, err = wire.Unmarshal(n.frame(5))
		require.NoError(t, err)
		require.Nil(t, got.GetConvMessage().InitBy, "administrators have no name")
	}
}

func TestTypeOf(t *testing.T) {
	for body, want := range map[string]struct {
		n  int32
		ok bool
	}{
		`{"_lctype":-1,"_lctext":"x"}`:   {-1, true},
		` { "a":[1], "_lctype" : 7 } `:   {7, true},
		`{"_lctype":"7"}`:                {},
		`{"_lctype":1.5}`:                {},
		`{"_lctype":99999999999}`:        {},
		`{"_LCTYPE":7}`:                  {},
		`{"a":{"_lctype":7}}`:            {},
		`{"_lctype":7`:                   {},
		`["_lctype"]`:                    {},
		`_lctype`:                        {},
		``:                               {},
		`{"_lctype":1,"_lctype":2}`:      {2, true},
		`{"x":"\"_lctype\"","_lctype":}`: {},
	} {
		n, ok := typeOf(body, false)
		require.Equal(t, want.ok, ok, body)
		if ok {
			require.Equal(t, want.n, n, body)
		}
	}
	_, ok := typeOf(`{"_lctype":-1}`, true)
	require.False(t, ok, "bytes have no type")
}
