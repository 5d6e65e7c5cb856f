package realtime_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/memnet"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/tap"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server"
)

// villain is a server that says what it should not: it is the real one, but
// bytes and commands can be slipped in, and answers replaced.
type villain struct {
	network *memnet.Network

	mu     sync.Mutex
	socket net.Conn // of the newest connection of the victim
	conn   tap.Conn
	answer func(cmd *pb.GenericCommand) *pb.GenericCommand // replaces answers to it; nil result: does not
}

const victimApp = "victim-app"

func newVillain(t *testing.T) *villain {
	t.Helper()
	v := &villain{network: memnet.New()}
	core, err := server.New(server.Options{Apps: []server.App{{ID: victimApp, Key: "key"}}})
	require.NoError(t, err)
	listener, err := v.network.Listen("villain.test:80")
	require.NoError(t, err)
	hs := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Victim") != "" {
				r = r.WithContext(tap.With(r.Context(), v))
				v.mu.Lock()
				v.socket, _ = r.Context().Value(victimSocket{}).(net.Conn)
				v.mu.Unlock()
			}
			core.ServeHTTP(w, r)
		}),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, victimSocket{}, c)
		},
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = hs.Serve(listener) })
	t.Cleanup(func() {
		core.Close()
		hs.Close()
		serving.Wait()
	})
	return v
}

type victimSocket struct{}

// Open implements tap.Tap.
func (v *villain) Open(c tap.Conn) tap.Pipe {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.conn = c
	return v
}

// In implements tap.Pipe.
func (v *villain) In(cmd *pb.GenericCommand, next func(*pb.GenericCommand)) {
	v.mu.Lock()
	answer, conn := v.answer, v.conn
	v.mu.Unlock()
	if answer != nil && cmd.GetI() != 0 {
		if reply := answer(cmd); reply != nil {
			reply.I = cmd.I
			conn.Send(reply)
			return
		}
	}
	next(cmd)
}

// Out implements tap.Pipe.
func (v *villain) Out(cmd *pb.GenericCommand, next func(*pb.GenericCommand)) { next(cmd) }

// Closed implements tap.Pipe.
func (v *villain) Closed() {}

// login opens a client, on a connection of its own.
func (v *villain) login(t *testing.T, id string, victim bool) *realtime.IMClient {
	t.Helper()
	o := realtime.Options{
		AppID: victimApp, AppKey: "key", Server: "http://villain.test", NoSSL: true,
		Dial: v.network.Dial, Backoff: doubling,
	}
	if victim {
		o.Header = http.Header{"X-Victim": {"1"}}
	}
	rt, err := realtime.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rt.Close(context.Background())) })
	c, err := rt.CreateIMClient(t.Context(), id)
	require.NoError(t, err)
	return c
}

// write slips bytes into what the victim reads, until it has enough.
func (v *villain) write(bytes []byte) {
	v.mu.Lock()
	socket := v.socket
	v.mu.Unlock()
	_, _ = socket.Write(bytes)
}

// push slips a command in.
func (v *villain) push(cmd *pb.GenericCommand) {
	v.mu.Lock()
	conn := v.conn
	v.mu.Unlock()
	conn.Send(cmd)
}

// answering replaces answers until the end of the returned function.
func (v *villain) answering(f func(cmd *pb.GenericCommand) *pb.GenericCommand) (stop func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answer = f
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.answer = nil
	}
}

// The first byte of a WebSocket frame that is a whole message.
const (
	finText   = 0x81
	finBinary = 0x82
	finClose  = 0x88
	finPing   = 0x89
)

// frame is a WebSocket frame as a server sends it.
func frame(first byte, payload []byte) []byte {
	f := []byte{first}
	switch n := len(payload); {
	case n < 126:
		f = append(f, byte(n))
	case n <= math.MaxUint16:
		f = binary.BigEndian.AppendUint16(append(f, 126), uint16(n))
	default:
		f = binary.BigEndian.AppendUint64(append(f, 127), uint64(n))
	}
	return append(f, payload...)
}

// Bytes that are no frame of the protocol end the connection they came on,
// and that only: the client comes back.
func TestE2EGarbageEndsThatConnectionOnly(t *testing.T) {
	tests := map[string][]byte{
		"no protobuf":           frame(finBinary, []byte("\xff\xff\xff\xff\xff garbage")),
		"half a protobuf":       frame(finBinary, []byte{0x08}),
		"a text frame":          frame(finText, []byte("hello")),
		"a reserved opcode":     frame(0x83, []byte("hello")),
		"reserved bits":         frame(0xf2, []byte("hello")),
		"a masked frame":        {finBinary, 0x80 | 1, 1, 2, 3, 4, 5},
		"a lone continuation":   frame(0x80, []byte("hello")),
		"a fragmented ping":     frame(0x09, []byte("hello")),
		"a ping of 126":         frame(finPing, make([]byte, 126)),
		"a close with one byte": frame(finClose, []byte{1}),
		"a frame of 5 MiB":      frame(finBinary, make([]byte, 5<<20)),
		"a frame of 4 EiB":      append([]byte{finBinary, 127, 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, make([]byte, 5<<20)...),
		"a negative length":     {finBinary, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"no WebSocket at all":   []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"a required field missing": frame(finBinary, []byte{
			0x08, byte(pb.CommandType_error), // error, with an empty body
			0xba, 0x06, 0x00,
		}),
	}
	for name, bytes := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVillain(t)
				tom, jerry := v.login(t, "Tom", true), v.login(t, "Jerry", false)
				toms, jerrys := follow(tom), follow(jerry)
				v.write(bytes)
				time.Sleep(time.Minute)
				require.Equal(t, []string{"disconnect", "schedule(0, 1s)", "retry(0)", "reconnect"},
					without(toms.take(), "recovered"))
				require.Empty(t, jerrys.take())
				online, err := tom.OnlineClients(t.Context(), "Tom", "Jerry")
				require.NoError(t, err)
				require.Len(t, online, 2)
			})
		})
	}
}

// Commands that decode but make no sense are survived.
func TestE2ESenselessPushesAreSurvived(t *testing.T) {
	const unknown = "555555555555555555555555"
	deep := strings.Repeat("[", 20000) + strings.Repeat("]", 20000)
	synctest.Test(t, func(t *testing.T) {
		v := newVillain(t)
		tom := v.login(t, "Tom", true)
		conv, err := tom.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"Jerry"}})
		require.NoError(t, err)
		settle()
		events := follow(tom)
		cid := conv.ID()

		var pushes []*pb.GenericCommand
		add := func(cmd pb.CommandType, fill func(c *pb.GenericCommand)) {
			c := &pb.GenericCommand{Cmd: cmd.Enum(), PeerId: proto.String("Tom"), Service: proto.Int32(wire.ServiceIM)}
			if fill != nil {
				fill(c)
			}
			pushes = append(pushes, c)
		}
		// Every kind of command, with every operation, without a body, with an
		// empty one, and about conversations that are none.
		for cmd := range pb.CommandType_name {
			kind := pb.CommandType(cmd)
			if kind == pb.CommandType_goaway {
				continue // makes sense
			}
			add(kind, nil)
			add(kind, func(c *pb.GenericCommand) { c.I = proto.Int32(123456) })
			add(kind, func(c *pb.GenericCommand) { c.PeerId = nil })
			add(kind, func(c *pb.GenericCommand) { c.PeerId = proto.String("nobody") })
			for op := range pb.OpType_name {
				if kind == pb.CommandType_session && pb.OpType(op) == pb.OpType_closed {
					continue // makes sense
				}
				for _, id := range []*string{nil, proto.String(""), proto.String(unknown), &cid} {
					add(kind, func(c *pb.GenericCommand) {
						c.Op = pb.OpType(op).Enum()
						c.ConvMessage = &pb.ConvCommand{Cid: id}
						c.DirectMessage = &pb.DirectCommand{Cid: id}
						c.PatchMessage = &pb.PatchCommand{Patches: []*pb.PatchItem{{Cid: id}, {}}}
						c.UnreadMessage = &pb.UnreadCommand{Convs: []*pb.UnreadTuple{{Cid: proto.String(""), Unread: proto.Int32(-5)}}}
						c.RcpMessage = &pb.RcpCommand{Cid: id}
						c.AckMessage = &pb.AckCommand{Cid: id}
						c.LogsMessage = &pb.LogsCommand{Cid: id}
						c.BlacklistMessage = &pb.BlacklistCommand{SrcCid: id}
					})
				}
			}
		}
		add(pb.CommandType(4711), nil)
		add(pb.CommandType_conv, func(c *pb.GenericCommand) { c.Op = pb.OpType(4711).Enum() })
		for _, text := range []string{"", "{", "null", "[]", "{}", `{"_lctype":null}`, `{"_lctype":1e99}`, `{"_lctype":-1,"_lctext":5}`, deep, `{"_lctype":-1,"_lcattrs":` + deep + `}`} {
			for _, at := range []int64{0, -1, math.MaxInt64, math.MinInt64} {
				add(pb.CommandType_direct, func(c *pb.GenericCommand) {
					c.DirectMessage = &pb.DirectCommand{
						Cid: &cid, Msg: proto.String(text), Timestamp: proto.Int64(at), PatchTimestamp: proto.Int64(at),
						FromPeerId: proto.String("Jerry"), Id: proto.String(fmt.Sprint("id", len(pushes))),
					}
				})
				add(pb.CommandType_conv, func(c *pb.GenericCommand) {
					c.Op = pb.OpType_updated.Enum()
					c.ConvMessage = &pb.ConvCommand{
						Cid: &cid, Udate: proto.String(text),
						Attr:         &pb.JsonObjectMessage{Data: proto.String(text)},
						AttrModified: &pb.JsonObjectMessage{Data: proto.String(text)},
					}
				})
				add(pb.CommandType_unread, func(c *pb.GenericCommand) {
					c.UnreadMessage = &pb.UnreadCommand{NotifTime: proto.Int64(at), Convs: []*pb.UnreadTuple{{
						Cid: &cid, Unread: proto.Int32(math.MinInt32), Mid: proto.String("x"), Data: proto.String(text), Timestamp: proto.Int64(at),
					}}}
				})
				add(pb.CommandType_patch, func(c *pb.GenericCommand) {
					c.Op = pb.OpType_modify.Enum()
					c.PatchMessage = &pb.PatchCommand{Patches: []*pb.PatchItem{{
						Cid: &cid, Mid: proto.String("x"), Data: proto.String(text), PatchTimestamp: proto.Int64(at), Timestamp: proto.Int64(at),
					}}}
				})
				add(pb.CommandType_rcp, func(c *pb.GenericCommand) {
					c.RcpMessage = &pb.RcpCommand{Cid: &cid, Id: proto.String("x"), T: proto.Int64(at), Read: proto.Bool(at == 0)}
				})
			}
		}
		for n, cmd := range pushes {
			v.push(cmd)
			if n%200 == 0 {
				time.Sleep(time.Second)
			}
		}
		time.Sleep(time.Minute)
		require.NoError(t, tom.Err())
		require.Equal(t, realtime.StateConnected, tom.Realtime().State())
		for _, line := range events.take() {
			require.NotContains(t, []string{"disconnect", "reconnect"}, line)
		}
		sent, err := conv.Send(t.Context(), realtime.NewTextMessage("I live"))
		require.NoError(t, err)
		require.Equal(t, "I live", sent.Text())
		require.NoError(t, conv.Fetch(t.Context()))
	})
}

// Answers that are none make the call fail, or are taken for what little they
// say; nothing else suffers.
func TestE2ESenselessAnswersAreSurvived(t *testing.T) {
	opOf := func(cmd *pb.GenericCommand) *pb.OpType {
		switch cmd.GetOp() {
		case pb.OpType_query, pb.OpType_query_shutup:
			return pb.OpType_results.Enum()
		case pb.OpType_start:
			return pb.OpType_started.Enum()
		case pb.OpType_add:
			return pb.OpType_added.Enum()
		case pb.OpType_remove:
			return pb.OpType_removed.Enum()
		case pb.OpType_modify:
			return pb.OpType_modified.Enum()
		}
		return pb.OpType_result.Enum()
	}
	tests := map[string]func(cmd *pb.GenericCommand) *pb.GenericCommand{
		"nothing": func(*pb.GenericCommand) *pb.GenericCommand { return &pb.GenericCommand{} },
		"echo": func(*pb.GenericCommand) *pb.GenericCommand {
			return &pb.GenericCommand{Cmd: pb.CommandType_echo.Enum()}
		},
		"another kind": func(cmd *pb.GenericCommand) *pb.GenericCommand {
			return &pb.GenericCommand{Cmd: pb.CommandType_rcp.Enum(), PeerId: cmd.PeerId}
		},
		"no body": func(cmd *pb.GenericCommand) *pb.GenericCommand {
			return &pb.GenericCommand{Cmd: cmd.Cmd, Op: opOf(cmd), PeerId: cmd.PeerId}
		},
		"an error without a body": func(cmd *pb.GenericCommand) *pb.GenericCommand {
			return &pb.GenericCommand{Cmd: pb.CommandType_error.Enum(), PeerId: cmd.PeerId}
		},
		"the question": func(cmd *pb.GenericCommand) *pb.GenericCommand {
			return proto.CloneOf(cmd)
		},
		"rubbish for JSON": func(cmd *pb.GenericCommand) *pb.GenericCommand {
			rubbish := &pb.JsonObjectMessage{Data: proto.String(`[{"objectId":5,"m":"x","createdAt":{}},null,7`)}
			return &pb.GenericCommand{Cmd: cmd.Cmd, Op: opOf(cmd), PeerId: cmd.PeerId, ConvMessage: &pb.ConvCommand{
				Results: rubbish, Attr: rubbish, AttrModified: rubbish, Cdate: proto.String("yesterday"),
			}}
		},
		"JSON of other types": func(cmd *pb.GenericCommand) *pb.GenericCommand {
			odd := &pb.JsonObjectMessage{Data: proto.String(`[{"objectId":5,"m":"x","createdAt":{}},null,7,{"objectId":"` + strings.Repeat("5", 24) + `","m":[1,{}],"lm":3,"ttl":"x"}]`)}
			return &pb.GenericCommand{Cmd: cmd.Cmd, Op: opOf(cmd), PeerId: cmd.PeerId, ConvMessage: &pb.ConvCommand{Results: odd}}
		},
	}
	for name, answer := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVillain(t)
				tom := v.login(t, "Tom", true)
				conv, err := tom.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"Jerry"}})
				require.NoError(t, err)
				sent, err := conv.Send(t.Context(), realtime.NewTextMessage("before"))
				require.NoError(t, err)
				stop := v.answering(func(cmd *pb.GenericCommand) *pb.GenericCommand {
					if cmd.GetCmd() == pb.CommandType_session {
						return nil
					}
					return answer(cmd)
				})
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				failed := 0
				for call, err := range everyCall(ctx, tom, conv, sent) {
					if err != nil {
						failed++
					}
					require.NotErrorIs(t, err, context.DeadlineExceeded, call)
				}
				require.NotZero(t, failed)
				stop()
				require.NoError(t, tom.Err())
				_, err = conv.Send(t.Context(), realtime.NewTextMessage("after"))
				require.NoError(t, err)
			})
		})
	}
}
