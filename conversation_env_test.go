package realtime_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rttest"
	"github.com/leanrtm/realtime/internal/wire"
)

// stage is a scripted server with clients, in a bubble.
type stage struct {
	*rttest.Peer
	t  *testing.T
	rt *realtime.Realtime

	mu    sync.Mutex
	convs map[string]map[string]any // what conv/query finds, by id
	logs  map[string][]*pb.LogItem  // histories, oldest first
	notes []map[string]any          // reliable notifications

	noteFailure func(w http.ResponseWriter, r *http.Request) bool // may take the place of an answer
}

// onStage runs f in a bubble with a server that knows what the test puts into
// it.
func onStage(t *testing.T, o realtime.Options, f func(t *testing.T, s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{
			Peer: rttest.New(t), t: t,
			convs: make(map[string]map[string]any), logs: make(map[string][]*pb.LogItem),
		}
		s.On(pb.CommandType_conv, pb.OpType_query, s.answerQuery)
		s.On(pb.CommandType_logs, 0, s.answerLogs)
		s.HandleHTTP("GET /1.1/rtm/notifications", func(w http.ResponseWriter, r *http.Request) {
			if s.noteFailure == nil || !s.noteFailure(w, r) {
				s.answerNotifications(w, r)
			}
		})
		o.AppID, o.AppKey, o.Server, o.HTTPClient = "app", "key", rttest.URL, s.HTTPClient()
		if o.Backoff == nil {
			o.Backoff = func(int) time.Duration { return time.Second }
		}
		rt, err := realtime.New(o)
		require.NoError(t, err)
		s.rt = rt
		defer func() { require.NoError(t, rt.Close(context.Background())) }()
		f(t, s)
	})
}

// open logs a client in.
func (s *stage) open(id string, opts ...realtime.ClientOption) *realtime.IMClient {
	s.t.Helper()
	c := s.rt.NewIMClient(id, opts...)
	require.NoError(s.t, c.Open(s.t.Context()))
	return c
}

// has puts a conversation on the server.
func (s *stage) has(id string, fields map[string]any) {
	stored := map[string]any{"objectId": id, "conv_type": 1, "createdAt": iso(epoch), "updatedAt": iso(epoch)}
	for k, v := range fields {
		stored[k] = v
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.convs[id] = stored
}

// epoch is when bubbles begin.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func iso(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func date(t time.Time) map[string]any { return map[string]any{"__type": "Date", "iso": iso(t)} }

// said adds a stored message to the history of a conversation.
func (s *stage) said(cid, from, id, text string) *pb.LogItem {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	item := &pb.LogItem{
		MsgId: proto.String(id), From: proto.String(from), Timestamp: proto.Int64(now.UnixMilli()),
		Data: proto.String(textContent(text)),
	}
	s.logs[cid] = append(s.logs[cid], item)
	if conv := s.convs[cid]; conv != nil {
		conv["lm"] = date(now)
	}
	return item
}

func textContent(text string) string {
	out, _ := json.Marshal(map[string]any{"_lctype": -1, "_lctext": text})
	return string(out)
}

// push pushes a message of the history to the newest socket.
func (s *stage) push(to, cid string, item *pb.LogItem) {
	s.Socket().Send(direct(to, cid, item))
}

func direct(to, cid string, item *pb.LogItem) *pb.GenericCommand {
	return &pb.GenericCommand{
		Cmd: pb.CommandType_direct.Enum(), PeerId: proto.String(to),
		DirectMessage: &pb.DirectCommand{
			Cid: proto.String(cid), Id: item.MsgId, FromPeerId: item.From, Timestamp: item.Timestamp,
			Msg: item.Data, ConvType: proto.Int32(wire.KindNormal),
		},
	}
}

// tellUnread makes logins tell how much is unread: all that others have said
// from now on, or since the client was invited.
func (s *stage) tellUnread() {
	since := time.Now().UnixMilli()
	s.On(pb.CommandType_session, pb.OpType_open, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
		s.mu.Lock()
		defer s.mu.Unlock()
		opened := s.Usual(sock, cmd)
		sock.Send(opened)
		unread := &pb.UnreadCommand{NotifTime: opened.ServerTs}
		for _, cid := range slices.Sorted(maps.Keys(s.logs)) {
			if tuple := s.unreadTuple(cid, opened.GetPeerId(), since); tuple.GetUnread() > 0 {
				unread.Convs = append(unread.Convs, tuple)
			}
		}
		if len(unread.Convs) > 0 {
			sock.Send(&pb.GenericCommand{Cmd: pb.CommandType_unread.Enum(), PeerId: opened.PeerId, UnreadMessage: unread})
		}
		return nil
	})
}

// unreadTuple counts in one conversation, with mu held.
func (s *stage) unreadTuple(cid, client string, since int64) *pb.UnreadTuple {
	conv, log := s.convs[cid], s.logs[cid]
	members, _ := conv["m"].([]string)
	member := slices.Contains(members, client) || conv["joined"] == true
	for _, note := range s.notes {
		if note["cid"] == cid {
			since, member = note["serverTs"].(int64), note["op"] == "joined"
		}
	}
	if ttl, temporary := conv["ttl"].(int); !member || temporary && time.Since(epoch) > time.Duration(ttl)*time.Second {
		return nil
	}
	n, last := int32(0), log[len(log)-1]
	for _, item := range log {
		if item.GetFrom() != client && item.GetTimestamp() >= since {
			n++
		}
	}
	return &pb.UnreadTuple{
		Cid: proto.String(cid), Unread: proto.Int32(n),
		Mid: last.MsgId, Timestamp: last.Timestamp, From: last.From, Data: last.Data,
	}
}

// answerQuery finds conversations by id, by ids, or by member and time of the
// last message.
func (s *stage) answerQuery(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
	reply := sock.Reply(cmd, pb.CommandType_conv, pb.OpType_results)
	ids := cmd.GetConvMessage().GetTempConvIds()
	var where struct {
		ID json.RawMessage `json:"objectId"`
		LM *struct {
			GT struct {
				ISO time.Time `json:"iso"`
			} `json:"$gt"`
		} `json:"lm"`
		M   string `json:"m"`
		Sys bool   `json:"sys"`
	}
	if data := cmd.GetConvMessage().GetWhere().GetData(); data != "" {
		if err := json.Unmarshal([]byte(data), &where); err != nil {
			s.t.Errorf("where %s: %v", data, err)
		}
	}
	var one string
	var in struct {
		In []string `json:"$in"`
		GT string   `json:"$gt"`
	}
	if len(where.ID) > 0 && json.Unmarshal(where.ID, &one) == nil {
		ids = append(ids, one)
	} else if len(where.ID) > 0 {
		_ = json.Unmarshal(where.ID, &in)
		ids = append(ids, in.In...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []map[string]any{}
	if where.LM != nil {
		for id, conv := range s.convs {
			lm, ok := conv["lm"].(map[string]any)
			members, _ := conv["m"].([]string)
			if !ok || id <= in.GT || strings.HasPrefix(id, wire.TemporaryPrefix) || where.Sys && conv["sys"] != true || where.M != "" && !slices.Contains(members, where.M) {
				continue
			}
			if at, err := time.Parse(time.RFC3339Nano, lm["iso"].(string)); err == nil && at.After(where.LM.GT.ISO) {
				found = append(found, conv)
			}
		}
	}
	slices.SortFunc(found, func(a, b map[string]any) int { return strings.Compare(a["objectId"].(string), b["objectId"].(string)) })
	if limit := int(cmd.GetConvMessage().GetLimit()); limit > 0 && len(found) > limit {
		found = found[:limit]
	}
	for _, id := range ids {
		if conv := s.convs[id]; conv != nil {
			found = append(found, conv)
		}
	}
	data, err := json.Marshal(found)
	if err != nil {
		s.t.Errorf("query: %v", err)
	}
	reply.ConvMessage = &pb.ConvCommand{Results: &pb.JsonObjectMessage{Data: proto.String(string(data))}}
	return reply
}

// answerLogs answers as the real server does.
func (s *stage) answerLogs(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
	q := cmd.GetLogsMessage()
	s.mu.Lock()
	defer s.mu.Unlock()
	type place struct {
		at int64
		id string
	}
	compare := func(item *pb.LogItem, at int64, id *string) int {
		switch p := (place{item.GetTimestamp(), item.GetMsgId()}); {
		case p.at < at || p.at == at && id != nil && p.id < *id:
			return -1
		case p.at == at && (id == nil || p.id == *id):
			return 0
		}
		return 1
	}
	forward := q.GetDirection() == pb.LogsCommand_NEW
	var found []*pb.LogItem
	for _, item := range s.logs[q.GetCid()] {
		if q.T != nil {
			c := compare(item, q.GetT(), q.Mid)
			if !forward {
				c = -c
			}
			if c < 0 || c == 0 && !q.GetTIncluded() {
				continue
			}
		}
		if q.Tt != nil {
			c := compare(item, q.GetTt(), q.Tmid)
			if !forward {
				c = -c
			}
			if c > 0 || c == 0 && !q.GetTtIncluded() {
				continue
			}
		}
		if q.Lctype != nil {
			var head struct {
				Type int32 `json:"_lctype"`
			}
			if json.Unmarshal([]byte(item.GetData()), &head) != nil || head.Type != q.GetLctype() {
				continue
			}
		}
		found = append(found, item)
	}
	if limit := int(q.GetL()); len(found) > limit {
		if forward {
			found = found[:limit]
		} else {
			found = found[len(found)-limit:]
		}
	}
	reply := sock.Reply(cmd, pb.CommandType_logs, 0)
	reply.LogsMessage = &pb.LogsCommand{Cid: q.Cid, Logs: found}
	return reply
}

// commands are those of one kind that the server has received.
func (s *stage) commands(cmd pb.CommandType, op pb.OpType) []*pb.GenericCommand {
	var out []*pb.GenericCommand
	for _, c := range s.Commands() {
		if c.GetCmd() == cmd && (op == 0 || c.GetOp() == op) {
			out = append(out, c)
		}
	}
	return out
}

// log is what a client has heard, in words.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

// take returns what has happened since the last call, after everybody has come
// to rest.
func (l *log) take() []string {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.lines
	l.lines = nil
	return out
}

// listen records what a client hears about messages and its recovery.
func listen(c *realtime.IMClient) *log {
	l := new(log)
	mark := func(recovered bool) string {
		if recovered {
			return " (recovered)"
		}
		return ""
	}
	c.OnMessage(func(_ context.Context, e *realtime.MessageEvent) {
		l.add("%s: %s: %s%s", e.Conversation.ID(), e.Message.From, e.Message.Text(), mark(e.Recovered))
	})
	c.OnUnreadMessagesCountUpdate(func(_ context.Context, e *realtime.UnreadMessagesCountUpdateEvent) {
		l.add("%s: %d unread, mentioned %v", e.Conversation.ID(), e.Count, e.Mentioned)
	})
	c.OnInvited(func(_ context.Context, e *realtime.InvitedEvent) {
		l.add("%s: invited by %s%s", e.Conversation.ID(), e.InvitedBy, mark(e.Recovered))
	})
	c.OnKicked(func(_ context.Context, e *realtime.KickedEvent) {
		l.add("%s: kicked by %s%s", e.Conversation.ID(), e.KickedBy, mark(e.Recovered))
	})
	c.OnMessageUpdate(func(_ context.Context, e *realtime.MessageUpdateEvent) {
		l.add("%s: updated %s to %s%s", e.Conversation.ID(), e.Message.ID, e.Message.Text(), mark(e.Recovered))
	})
	c.OnMessageRecall(func(_ context.Context, e *realtime.MessageRecallEvent) {
		l.add("%s: recalled %s%s", e.Conversation.ID(), e.Message.ID, mark(e.Recovered))
	})
	c.OnRecovered(func(_ context.Context, e *realtime.RecoveredEvent) {
		l.add("recovered %d of %v, failed %d", e.Messages, e.Conversations, len(e.Failed))
	})
	return l
}

// notify adds a reliable notification to the list of who is away.
func (s *stage) notify(op, cid, by string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, map[string]any{
		"cmd": "conv", "op": op, "serverTs": time.Now().UnixMilli(), "notificationType": 1,
		"cid": cid, "initBy": by, "udate": iso(time.Now()),
	})
}

// answerNotifications returns two at a time of what came after start_ts.
func (s *stage) answerNotifications(w http.ResponseWriter, r *http.Request) {
	since, err := strconv.ParseInt(r.FormValue("start_ts"), 10, 64)
	if err != nil || r.Header.Get("X-LC-IM-Session-Token") == "" || r.FormValue("client_id") == "" {
		http.Error(w, "{}", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []map[string]any{}
	more := false
	for _, n := range s.notes {
		if n["serverTs"].(int64) <= since {
			continue
		}
		if more = len(list) == 2; more {
			break
		}
		list = append(list, n)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"hasMore": more, "notifications": list})
}
