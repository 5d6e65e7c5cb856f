package command_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/memnet"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/command"
	"github.com/leanrtm/realtime/server/internal/engine"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/hook"
	"github.com/leanrtm/realtime/server/internal/id"
	"github.com/leanrtm/realtime/server/internal/limit"
	"github.com/leanrtm/realtime/server/internal/session"
	"github.com/leanrtm/realtime/server/internal/store"
	"github.com/leanrtm/realtime/server/internal/store/memory"
	"github.com/leanrtm/realtime/server/internal/token"
	"github.com/leanrtm/realtime/server/internal/transport"
	"github.com/leanrtm/realtime/server/internal/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	addr      = "rtm.test:80"
	appID     = "app"
	masterKey = "master"
	allCaps   = 187 // what the official JavaScript client sends
	unknown   = "555555555555555555555555"
)

// env is the whole server but for its HTTP endpoints, on a network in memory.
type env struct {
	t      *testing.T
	net    *memnet.Network
	conns  *transport.Server
	reg    *session.Registry
	store  store.Store
	engine *engine.Engine
	log    *logBuffer
}

// settings are what a test may change before the server starts.
type settings struct {
	app    limit.App
	limits limit.Limits
	hooks  hook.Hooks
	store  func(store.Store) store.Store
	cached int
	cost   int
}

// logBuffer keeps what the server logs.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// run runs a test against a server of its own, in a bubble of its own time.
func run(t *testing.T, test func(t *testing.T, e *env), change ...func(*settings)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(t, newEnv(t, change...))
	})
}

func newEnv(t *testing.T, change ...func(*settings)) *env {
	s := settings{
		app:   limit.App{ID: appID, MasterKey: masterKey},
		store: func(s store.Store) store.Store { return s },
	}
	for _, f := range change {
		f(&s)
	}
	e := &env{t: t, net: memnet.New(), reg: session.NewRegistry(), log: new(logBuffer)}
	e.store = s.store(memory.New())
	logger := slog.New(slog.NewTextHandler(e.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	other := limit.App{ID: "other"}
	ids := id.New()
	var err error
	e.engine, err = engine.New(t.Context(), engine.Config{
		Apps: []limit.App{s.app, other}, Limits: s.limits, Store: e.store, Sessions: e.reg, Hooks: &s.hooks,
		IDs: ids, Logger: logger, CachedConvs: s.cached, QueryCost: s.cost,
	})
	require.NoError(t, err)
	tokens, err := token.NewRing([]byte("0123456789abcdef"))
	require.NoError(t, err)
	commands := command.New(e.engine)
	m := session.NewManager(session.Config{
		Registry: e.reg, Store: e.store, Apps: map[string]*limit.App{appID: &s.app, "other": &other},
		Limits: e.engine.Limits(), Tokens: tokens, TokenTTL: 48 * time.Hour, IDs: ids, Logger: logger,
		Dispatch: commands.Handle, Way: commands.Way,
		Snapshot: e.engine.Login, Opened: e.engine.Opened, Ended: e.engine.Ended,
		VerifyLogin: func(*limit.App, string, int64, string, string) error { return nil },
	})
	e.conns = transport.NewServer(transport.Options{
		MaxFrame: 64 << 10, QueueBytes: 1 << 20, QueueFrames: 4096,
		ReadTimeout: 1000 * time.Hour, LoginTimeout: time.Minute, Logger: logger,
	})
	l, err := e.net.Listen(addr)
	require.NoError(t, err)
	hs := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		spoken := []string{wire.SubprotocolBinary, wire.SubprotocolBinaryOffline}
		_ = e.conns.Serve(w, r, spoken, wire.SubprotocolBinary, func(c *transport.Conn) transport.Receiver {
			return m.Accept(c, true)
		}) // an error has been answered
	})}
	var wg sync.WaitGroup
	wg.Go(func() { _ = hs.Serve(l) }) // ends with an error always
	t.Cleanup(func() {
		m.Close()
		e.conns.Close()
		hs.Close()
		wg.Wait()
		e.engine.Close(context.Background())
		require.NoError(t, e.store.Close())
		require.NotContains(t, e.log.String(), "panic")
		if os.Getenv("SERVER_LOG") != "" {
			t.Log(e.log.String())
		}
	})
	return e
}

// admin is an administrator, in the name of a client if there is one.
func admin(client string) engine.Cause {
	return engine.Cause{Actor: fanout.Actor{App: appID, Client: client, Admin: true}}
}

// client is a session on a connection of its own, unless it shares one.
type client struct {
	t      *testing.T
	e      *env
	id     string
	conn   *wstest.Conn
	shared *[]*pb.GenericCommand // frames that were read and not asked for yet
	serial *int32
	opened *pb.GenericCommand
}

// change adjusts a command.
type change func(*pb.GenericCommand)

func caps(bits int64) change {
	return func(c *pb.GenericCommand) { c.SessionMessage.ConfigBitmap = proto.Int64(bits) }
}

func since(unread int64) change {
	return func(c *pb.GenericCommand) { c.SessionMessage.LastUnreadNotifTime = proto.Int64(unread) }
}

func patchedSince(ts int64) change {
	return func(c *pb.GenericCommand) { c.SessionMessage.LastPatchTime = proto.Int64(ts) }
}

func again(st string) change {
	return func(c *pb.GenericCommand) {
		c.SessionMessage.R = proto.Bool(true)
		if st != "" {
			c.SessionMessage.St = proto.String(st)
		}
	}
}

// login opens a session on a new connection.
func (e *env) login(id string, changes ...change) *client {
	e.t.Helper()
	return e.loginOver(wire.SubprotocolBinary, id, changes...)
}

func (e *env) loginOver(subprotocol, id string, changes ...change) *client {
	e.t.Helper()
	c := &client{
		t: e.t, e: e, shared: new([]*pb.GenericCommand), serial: new(int32),
		conn: wstest.Dial(e.t, e.net.Dial, addr, wstest.Request{Subprotocols: []string{subprotocol}}),
	}
	return c.open(id, changes...)
}

// open opens another session on the same connection.
func (c *client) open(id string, changes ...change) *client {
	c.t.Helper()
	d := *c
	d.id = id
	cmd := &pb.GenericCommand{
		Cmd: pb.CommandType_session.Enum(), Op: pb.OpType_open.Enum(), AppId: proto.String(appID),
		SessionMessage: &pb.SessionCommand{R: proto.Bool(false), ConfigBitmap: proto.Int64(allCaps)},
	}
	for _, f := range changes {
		f(cmd)
	}
	d.opened = d.call(cmd)
	require.Equal(c.t, pb.OpType_opened, d.opened.GetOp(), "%v", d.opened)
	synctest.Wait() // what the server does after it has answered
	return &d
}

// call sends a command and returns its reply. Pushes that come before it are
// kept.
func (c *client) call(cmd *pb.GenericCommand) *pb.GenericCommand {
	c.t.Helper()
	*c.serial++
	i := *c.serial
	cmd.I, cmd.PeerId = &i, &c.id
	c.conn.Send(cmd)
	for {
		got := c.conn.Read()
		if got.GetI() == i {
			require.Equal(c.t, int32(wire.ServiceIM), got.GetService())
			require.Equal(c.t, c.id, got.GetPeerId())
			return got
		}
		*c.shared = append(*c.shared, got)
	}
}

// tell sends a command that has no reply.
func (c *client) tell(cmd *pb.GenericCommand) {
	c.t.Helper()
	cmd.PeerId = &c.id
	c.conn.Send(cmd)
	synctest.Wait()
}

// quiet is a time in which everything arrives that will arrive.
const quiet = 300 * time.Millisecond

// pushes returns everything that was pushed to the session and not asked for yet.
func (c *client) pushes() []*pb.GenericCommand {
	c.t.Helper()
	for {
		synctest.Wait()
		if !c.more() {
			break
		}
		*c.shared = append(*c.shared, c.conn.Read())
	}
	var mine, others []*pb.GenericCommand
	for _, p := range *c.shared {
		require.Zero(c.t, p.GetI(), "a reply nobody waits for: %v", p)
		require.Equal(c.t, int32(wire.ServiceIM), p.GetService())
		if p.GetPeerId() == c.id {
			mine = append(mine, p)
		} else {
			others = append(others, p)
		}
	}
	*c.shared = others
	return mine
}

func (c *client) more() bool {
	c.t.Helper()
	ok := c.conn.Ready(quiet)
	return ok
}

// names returns what was pushed, by name: "conv/joined", "direct".
func (c *client) names() []string {
	c.t.Helper()
	names := []string{}
	for _, p := range c.pushes() {
		names = append(names, name(p))
	}
	return names
}

func name(p *pb.GenericCommand) string {
	if p.Op == nil {
		return p.GetCmd().String()
	}
	return p.GetCmd().String() + "/" + p.GetOp().String()
}

// cut ends the connection as a lost network does.
func (c *client) cut() {
	c.t.Helper()
	require.NoError(c.t, c.conn.Net.Close())
	synctest.Wait()
}

// logout closes the session.
func (c *client) logout() {
	c.t.Helper()
	got := c.call(&pb.GenericCommand{Cmd: pb.CommandType_session.Enum(), Op: pb.OpType_close.Enum()})
	require.Equal(c.t, pb.OpType_closed, got.GetOp())
}

// conv executes a command about a conversation.
func (c *client) conv(op pb.OpType, m *pb.ConvCommand) *pb.GenericCommand {
	c.t.Helper()
	return c.call(&pb.GenericCommand{Cmd: pb.CommandType_conv.Enum(), Op: op.Enum(), ConvMessage: m})
}

// ok executes a command about a conversation that must succeed with a reply of
// the given op.
func (c *client) ok(op, reply pb.OpType, m *pb.ConvCommand) *pb.ConvCommand {
	c.t.Helper()
	got := c.conv(op, m)
	require.Equal(c.t, "conv/"+reply.String(), name(got), "%v", got)
	return got.GetConvMessage()
}

// fails executes a command that must be refused.
func (c *client) fails(code wire.Code, op pb.OpType, m *pb.ConvCommand) *pb.ErrorCommand {
	c.t.Helper()
	return wantError(c.t, code, c.conv(op, m))
}

func wantError(t *testing.T, code wire.Code, got *pb.GenericCommand) *pb.ErrorCommand {
	t.Helper()
	require.Equal(t, pb.CommandType_error, got.GetCmd(), "%v", got)
	require.Equal(t, code.Name(), got.GetErrorMessage().GetReason(), "%v", got)
	require.Equal(t, int32(code), got.GetErrorMessage().GetCode())
	return got.GetErrorMessage()
}

// create creates a conversation of the client and others, and takes the pushes
// of it from everybody given.
func (c *client) create(members []*client, changes ...func(*pb.ConvCommand)) string {
	c.t.Helper()
	m := &pb.ConvCommand{M: []string{c.id}}
	for _, o := range members {
		m.M = append(m.M, o.id)
	}
	for _, f := range changes {
		f(m)
	}
	cid := c.ok(pb.OpType_start, pb.OpType_started, m).GetCid()
	for _, o := range append([]*client{c}, members...) {
		o.pushes()
	}
	return cid
}

func room(m *pb.ConvCommand)   { m.Transient = proto.Bool(true) }
func unique(m *pb.ConvCommand) { m.Unique = proto.Bool(true) }

func temporary(seconds int32) func(*pb.ConvCommand) {
	return func(m *pb.ConvCommand) { m.TempConv, m.TempConvTTL = proto.Bool(true), proto.Int32(seconds) }
}

func named(n string) func(*pb.ConvCommand) {
	return func(m *pb.ConvCommand) { m.Attr = object(map[string]any{"name": n}) }
}

func object(v any) *pb.JsonObjectMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return &pb.JsonObjectMessage{Data: proto.String(string(text))}
}

func cid(id string) *pb.ConvCommand { return &pb.ConvCommand{Cid: proto.String(id)} }

func about(id string, members ...string) *pb.ConvCommand {
	return &pb.ConvCommand{Cid: proto.String(id), M: members}
}

// direct sends a message and returns the ack.
func (c *client) direct(m *pb.DirectCommand) *pb.AckCommand {
	c.t.Helper()
	return c.directAs(m, 0)
}

func (c *client) directAs(m *pb.DirectCommand, priority int32) *pb.AckCommand {
	c.t.Helper()
	cmd := &pb.GenericCommand{Cmd: pb.CommandType_direct.Enum(), DirectMessage: m}
	if priority != 0 {
		cmd.Priority = &priority
	}
	got := c.call(cmd)
	require.Equal(c.t, "ack", name(got), "%v", got)
	return got.GetAckMessage()
}

// say sends a text that must be accepted.
func (c *client) say(cid, text string, changes ...func(*pb.DirectCommand)) *pb.AckCommand {
	c.t.Helper()
	m := &pb.DirectCommand{Cid: &cid, Msg: &text}
	for _, f := range changes {
		f(m)
	}
	ack := c.direct(m)
	require.Nil(c.t, ack.Code, "%v", ack)
	require.NotEmpty(c.t, ack.GetUid())
	require.NotZero(c.t, ack.GetT())
	require.Equal(c.t, cid, ack.GetCid())
	return ack
}

// refused sends a text that must be refused.
func (c *client) refused(code wire.Code, cid, text string, changes ...func(*pb.DirectCommand)) *pb.AckCommand {
	c.t.Helper()
	m := &pb.DirectCommand{Cid: &cid, Msg: &text}
	for _, f := range changes {
		f(m)
	}
	ack := c.direct(m)
	require.Equal(c.t, code.Name(), ack.GetReason(), "%v", ack)
	require.Equal(c.t, int32(code), ack.GetCode())
	return ack
}

func receipt(m *pb.DirectCommand)   { m.R = proto.Bool(true) }
func transient(m *pb.DirectCommand) { m.Transient = proto.Bool(true) }
func will(m *pb.DirectCommand)      { m.Will = proto.Bool(true) }

func dedup(dt string) func(*pb.DirectCommand) {
	return func(m *pb.DirectCommand) { m.Dt = &dt }
}

func mention(ids ...string) func(*pb.DirectCommand) {
	return func(m *pb.DirectCommand) { m.MentionPids = ids }
}

// texts returns the messages that were pushed.
func (c *client) texts() []string {
	c.t.Helper()
	texts := []string{}
	for _, p := range c.pushes() {
		if p.GetCmd() == pb.CommandType_direct {
			texts = append(texts, p.GetDirectMessage().GetMsg())
		}
	}
	return texts
}

// only returns the one push there is.
func (c *client) only() *pb.GenericCommand {
	c.t.Helper()
	got := c.pushes()
	require.Len(c.t, got, 1, "%v", got)
	return got[0]
}

// received acknowledges messages in a range of time.
func (c *client) received(cid string, from, to int64) {
	c.t.Helper()
	c.tell(&pb.GenericCommand{Cmd: pb.CommandType_ack.Enum(), AckMessage: &pb.AckCommand{Cid: &cid, Fromts: &from, Tots: &to}})
}

// reads marks a conversation as read up to a time.
func (c *client) reads(cid string, ts int64) {
	c.t.Helper()
	c.tell(&pb.GenericCommand{Cmd: pb.CommandType_read.Enum(), ReadMessage: &pb.ReadCommand{
		Convs: []*pb.ReadTuple{{Cid: &cid, Timestamp: &ts}},
	}})
}

// history asks for messages.
func (c *client) history(m *pb.LogsCommand) []*pb.LogItem {
	c.t.Helper()
	got := c.call(&pb.GenericCommand{Cmd: pb.CommandType_logs.Enum(), LogsMessage: m})
	require.Equal(c.t, "logs", name(got), "%v", got)
	return got.GetLogsMessage().GetLogs()
}

func bodies(items []*pb.LogItem) []string {
	texts := []string{}
	for _, it := range items {
		texts = append(texts, it.GetData())
	}
	return texts
}

// find queries conversations.
func (c *client) find(m *pb.ConvCommand) []map[string]any {
	c.t.Helper()
	reply := c.ok(pb.OpType_query, pb.OpType_results, m)
	require.NotNil(c.t, reply.Results)
	var found []map[string]any
	d := json.NewDecoder(strings.NewReader(reply.GetResults().GetData()))
	d.UseNumber()
	require.NoError(c.t, d.Decode(&found))
	require.NotNil(c.t, found)
	return found
}

func where(filter string) *pb.ConvCommand {
	return &pb.ConvCommand{Where: &pb.JsonObjectMessage{Data: &filter}}
}

// unread returns the one tuple that was pushed.
func (c *client) unread() *pb.UnreadTuple {
	c.t.Helper()
	got := c.only()
	require.Equal(c.t, "unread", name(got))
	require.Len(c.t, got.GetUnreadMessage().GetConvs(), 1)
	return got.GetUnreadMessage().GetConvs()[0]
}

var errBroken = errors.New("broken")
