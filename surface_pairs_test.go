package realtime_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// requestsAndReplies are the pairs of the protocol that are in use: what a
// client asks, and as what the server answers. No reply: none is expected.
const requestsAndReplies = `
	session/open             session/opened
	session/refresh          session/refreshed
	session/query            session/query_result
	session/close            session/closed
	conv/start               conv/started
	conv/query               conv/results
	conv/add                 conv/added
	conv/remove              conv/removed
	conv/update              conv/updated
	conv/mute                conv/updated
	conv/unmute              conv/updated
	conv/count               conv/result
	conv/members             conv/result
	conv/is_member           conv/result
	conv/max_read            conv/max_read
	conv/member_info_update  conv/member_info_updated
	conv/add_shutup          conv/shutup_added
	conv/remove_shutup       conv/shutup_removed
	conv/query_shutup        conv/shutup_result
	conv/check_shutup        conv/check_result
	blacklist/block          blacklist/blocked
	blacklist/unblock        blacklist/unblocked
	blacklist/query          blacklist/query_result
	blacklist/check_block    blacklist/check_result
	direct                   ack
	logs                     logs
	patch/modify             patch/modified
	echo                     echo
	report/upload            report/uploaded
	ack                      -
	read                     -
	patch/modified           -
`

// pair is one line of the table.
type pair struct{ request, reply string }

func pairs(t *testing.T) []pair {
	t.Helper()
	var list []pair
	for line := range strings.Lines(requestsAndReplies) {
		switch words := strings.Fields(line); len(words) {
		case 0:
		case 2:
			list = append(list, pair{words[0], strings.TrimPrefix(words[1], "-")})
		default:
			t.Fatalf("line %q", line)
		}
	}
	return list
}

func nameOf(cmd *pb.GenericCommand) string {
	if cmd.Op == nil {
		return cmd.GetCmd().String()
	}
	return cmd.GetCmd().String() + "/" + cmd.GetOp().String()
}

// Every request and every reply has a frame that another implementation made.
func TestSurfacePairsHaveVectors(t *testing.T) {
	text, err := os.ReadFile("internal/wire/testdata/commands.json")
	require.NoError(t, err)
	var vectors []struct {
		Name    string
		Command json.RawMessage
	}
	require.NoError(t, json.Unmarshal(text, &vectors))
	frames, err := os.ReadFile("internal/wire/testdata/commands.hex")
	require.NoError(t, err)
	requests, replies := map[string]bool{}, map[string]bool{}
	for _, v := range vectors {
		require.Contains(t, string(frames), " "+v.Name+"\n", "no frame")
		cmd := new(pb.GenericCommand)
		require.NoError(t, protojson.Unmarshal(v.Command, cmd))
		// Whatever the server sends belongs to a service.
		if cmd.Service == nil {
			requests[nameOf(cmd)] = true
		} else if cmd.I != nil {
			replies[nameOf(cmd)] = true
		}
	}
	for _, p := range pairs(t) {
		require.True(t, requests[p.request], "no vector of the request %s", p.request)
		if p.reply != "" {
			require.True(t, replies[p.reply], "no vector of the reply %s", p.reply)
		}
	}
}

// exchange collects from the debug log which request got which reply. One at a
// time is out.
type exchange struct {
	mu   sync.Mutex
	out  string // the request that waits for its reply
	seen map[pair]bool
}

func (*exchange) Enabled(context.Context, slog.Level) bool { return true }
func (x *exchange) WithAttrs([]slog.Attr) slog.Handler     { return x }
func (x *exchange) WithGroup(string) slog.Handler          { return x }

func (x *exchange) Handle(_ context.Context, r slog.Record) error {
	attrs := map[string]string{}
	r.Attrs(func(a slog.Attr) bool {
		attrs[a.Key] = a.Value.String()
		return true
	})
	x.mu.Lock()
	defer x.mu.Unlock()
	switch name := attrs["cmd"]; {
	case attrs["way"] == "sent" && (name == "ack" || name == "read"):
		x.seen[pair{name, ""}] = true
	case attrs["way"] == "sent":
		x.out = name
	case attrs["way"] == "answered":
		x.seen[pair{x.out, name}] = true
	}
	return nil
}

// Every pair of the table goes from our client to our server and back.
func TestSurfacePairsGoRound(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		x := &exchange{seen: map[pair]bool{}}
		rt := s.realtime(func(o *realtime.Options) { o.Logger = slog.New(x) })
		tom := s.client(rt, "Tom")
		jerry := s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		theirs := s.as(jerry, conv)
		room := mustRoom(t, tom)
		done := map[string]func() error{
			"session/open":            func() error { return nil }, // it is
			"session/refresh":         func() error { time.Sleep(50 * time.Hour); return askForToken(ctx, conv) },
			"session/query":           func() error { _, err := tom.OnlineClients(ctx, "Jerry"); return err },
			"conv/start":              func() error { _, err := tom.CreateChatRoom(ctx, realtime.ChatRoomOptions{}); return err },
			"conv/query":              func() error { _, err := tom.Query().Find(ctx); return err },
			"conv/add":                func() error { return conv.Add(ctx, "Spike") },
			"conv/remove":             func() error { return conv.Remove(ctx, "Spike") },
			"conv/update":             func() error { return conv.Save(ctx, map[string]any{"name": "x"}) },
			"conv/mute":               func() error { return conv.Mute(ctx) },
			"conv/unmute":             func() error { return conv.Unmute(ctx) },
			"conv/count":              func() error { _, err := conv.Count(ctx); return err },
			"conv/members":            func() error { _, err := room.OnlineMembers(ctx); return err },
			"conv/is_member":          func() error { _, err := conv.IsMember(ctx); return err },
			"conv/max_read":           func() error { return conv.FetchReceiptTimestamps(ctx) },
			"conv/member_info_update": func() error { return conv.UpdateMemberRole(ctx, "Jerry", realtime.RoleManager) },
			"conv/add_shutup":         func() error { return conv.MuteMembers(ctx, "Jerry") },
			"conv/remove_shutup":      func() error { return conv.UnmuteMembers(ctx, "Jerry") },
			"conv/query_shutup":       func() error { _, err := conv.QueryMutedMembers(ctx, realtime.PageQuery{}); return err },
			"conv/check_shutup":       func() error { _, err := conv.CheckMutedMembers(ctx, "Jerry"); return err },
			"blacklist/block":         func() error { return conv.BlockMembers(ctx, "Rogue") },
			"blacklist/unblock":       func() error { return conv.UnblockMembers(ctx, "Rogue") },
			"blacklist/query":         func() error { _, err := conv.QueryBlockedMembers(ctx, realtime.PageQuery{}); return err },
			"blacklist/check_block":   func() error { _, err := conv.CheckBlockedMembers(ctx, "Rogue"); return err },
			"direct":                  func() error { _, err := conv.Send(ctx, realtime.NewTextMessage("x")); return err },
			"logs":                    func() error { _, err := conv.QueryMessages(ctx, realtime.MessageQuery{}); return err },
			"patch/modify":            func() error { _, err := conv.Recall(ctx, s.say(conv, "oops")); return err },
			"ack":                     func() error { s.say(theirs, "hi"); calm(); return nil },
			"read":                    func() error { return conv.Read(ctx) },
			"session/close":           func() error { return tom.Close(ctx) },
			// What our client leaves to the connection, or to others.
			"echo":           nil,
			"report/upload":  nil,
			"patch/modified": nil,
		}
		byHand := map[string]*pb.GenericCommand{
			"echo":          {Cmd: pb.CommandType_echo.Enum(), I: proto.Int32(7)},
			"report/upload": {Cmd: pb.CommandType_report.Enum(), Op: pb.OpType_upload.Enum(), I: proto.Int32(8), ReportMessage: &pb.ReportCommand{}},
			"patch/modified": {
				Cmd: pb.CommandType_patch.Enum(), Op: pb.OpType_modified.Enum(),
				PatchMessage: &pb.PatchCommand{LastPatchTime: proto.Int64(1)},
			},
		}
		table := pairs(t)
		require.Len(t, done, len(table))
		var last pair
		for _, p := range table {
			call, there := done[p.request]
			require.True(t, there, "nobody sends %s", p.request)
			switch {
			case p.request == "session/close":
				last = p // when the others are through
			case call != nil:
				require.NoError(t, call(), p.request)
				calm()
				require.Contains(t, x.seen, p)
			default:
				old := s.dial(wire.SubprotocolBinary)
				require.Len(t, old.send(s.open("Old", usualBits)), 1)
				got := old.send(byHand[p.request])
				if p.reply == "" {
					require.Empty(t, got, p.request)
					continue
				}
				require.Len(t, got, 1, p.request)
				require.Equal(t, p.reply, nameOf(got[0]))
				require.Equal(t, byHand[p.request].GetI(), got[0].GetI())
			}
		}
		require.NoError(t, done[last.request]())
		require.Contains(t, x.seen, last)
	})
}

// askForToken does something over REST, for which a client needs a valid token.
func askForToken(ctx context.Context, conv *realtime.Conversation) error {
	_, err := conv.GetAllMemberInfo(ctx, realtime.WithoutCache())
	return err
}

// Our own client beats: the server answers with the same number.
func TestSurfaceHeartbeat(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom := s.Client("Tom")
		heard := watch(tom)
		time.Sleep(24 * time.Hour)
		beats := 0
		for _, c := range s.Commands() {
			if c.Name == "echo" {
				beats++
			}
		}
		require.Greater(t, beats, 24*60/4)
		require.Empty(t, heard.heard(), "the connection holds on both sides")
	})
}
