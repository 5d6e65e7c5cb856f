package rttest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rttest"
	"github.com/leanrtm/realtime/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client is the other end of a socket.
type client struct {
	t     *testing.T
	ws    *websocket.Conn
	codec wire.Codec
	last  int32
}

func connect(t *testing.T, p *rttest.Peer, subprotocol string) *client {
	ws, _, err := websocket.Dial(t.Context(), rttest.SocketURL, &websocket.DialOptions{
		HTTPClient: p.HTTPClient(), Subprotocols: []string{subprotocol},
	})
	require.NoError(t, err)
	codec, known := wire.CodecFor(ws.Subprotocol())
	require.True(t, known)
	t.Cleanup(func() { _ = ws.CloseNow() })
	return &client{t: t, ws: ws, codec: codec}
}

func (c *client) send(cmd *pb.GenericCommand) {
	frame, err := c.codec.Marshal(cmd)
	require.NoError(c.t, err)
	typ := websocket.MessageBinary
	if c.codec.Text {
		typ = websocket.MessageText
	}
	require.NoError(c.t, c.ws.Write(context.Background(), typ, frame))
}

func (c *client) receive() *pb.GenericCommand {
	_, frame, err := c.ws.Read(context.Background())
	require.NoError(c.t, err)
	cmd, err := c.codec.Unmarshal(frame)
	require.NoError(c.t, err)
	require.EqualValues(c.t, wire.ServiceIM, cmd.GetService())
	return cmd
}

// call sends a command with a serial and returns the reply to it.
func (c *client) call(cmd *pb.GenericCommand) *pb.GenericCommand {
	c.last++
	cmd.I = proto.Int32(c.last)
	c.send(cmd)
	reply := c.receive()
	require.Equal(c.t, c.last, reply.GetI())
	return reply
}

func command(cmd pb.CommandType, op pb.OpType) *pb.GenericCommand {
	c := &pb.GenericCommand{Cmd: cmd.Enum()}
	if op != 0 {
		c.Op = op.Enum()
	}
	return c
}

func TestUsualAnswers(t *testing.T) {
	type (
		c = pb.CommandType
		o = pb.OpType
	)
	for _, subprotocol := range []string{wire.SubprotocolBinary, wire.SubprotocolText} {
		synctest.Test(t, func(t *testing.T) {
			p := rttest.New(t)
			client := connect(t, p, subprotocol)
			open := command(pb.CommandType_session, pb.OpType_open)
			open.PeerId = proto.String("Tom")
			opened := client.call(open)
			require.Equal(t, pb.OpType_opened, opened.GetOp())
			require.Equal(t, "Tom", opened.GetPeerId())
			require.NotEmpty(t, opened.GetSessionMessage().GetSt())
			require.NotZero(t, opened.GetServerTs())

			for _, test := range []struct {
				cmd     c
				op      o
				answer  c
				outcome o
			}{
				{pb.CommandType_echo, 0, pb.CommandType_echo, 0},
				{pb.CommandType_session, pb.OpType_refresh, pb.CommandType_session, pb.OpType_refreshed},
				{pb.CommandType_session, pb.OpType_query, pb.CommandType_session, pb.OpType_query_result},
				{pb.CommandType_conv, pb.OpType_start, pb.CommandType_conv, pb.OpType_started},
				{pb.CommandType_conv, pb.OpType_query, pb.CommandType_conv, pb.OpType_results},
				{pb.CommandType_conv, pb.OpType_add, pb.CommandType_conv, pb.OpType_added},
				{pb.CommandType_conv, pb.OpType_remove, pb.CommandType_conv, pb.OpType_removed},
				{pb.CommandType_conv, pb.OpType_update, pb.CommandType_conv, pb.OpType_updated},
				{pb.CommandType_conv, pb.OpType_mute, pb.CommandType_conv, pb.OpType_updated},
				{pb.CommandType_conv, pb.OpType_unmute, pb.CommandType_conv, pb.OpType_updated},
				{pb.CommandType_conv, pb.OpType_count, pb.CommandType_conv, pb.OpType_result},
				{pb.CommandType_conv, pb.OpType_members, pb.CommandType_conv, pb.OpType_result},
				{pb.CommandType_conv, pb.OpType_is_member, pb.CommandType_conv, pb.OpType_result},
				{pb.CommandType_conv, pb.OpType_max_read, pb.CommandType_conv, pb.OpType_max_read},
				{pb.CommandType_conv, pb.OpType_member_info_update, pb.CommandType_conv, pb.OpType_member_info_updated},
				{pb.CommandType_conv, pb.OpType_add_shutup, pb.CommandType_conv, pb.OpType_shutup_added},
				{pb.CommandType_conv, pb.OpType_remove_shutup, pb.CommandType_conv, pb.OpType_shutup_removed},
				{pb.CommandType_conv, pb.OpType_query_shutup, pb.CommandType_conv, pb.OpType_shutup_result},
				{pb.CommandType_conv, pb.OpType_check_shutup, pb.CommandType_conv, pb.OpType_check_result},
				{pb.CommandType_blacklist, pb.OpType_block, pb.CommandType_blacklist, pb.OpType_blocked},
				{pb.CommandType_blacklist, pb.OpType_unblock, pb.CommandType_blacklist, pb.OpType_unblocked},
				{pb.CommandType_blacklist, pb.OpType_query, pb.CommandType_blacklist, pb.OpType_query_result},
				{pb.CommandType_blacklist, pb.OpType_check_block, pb.CommandType_blacklist, pb.OpType_check_result},
				{pb.CommandType_direct, 0, pb.CommandType_ack, 0},
				{pb.CommandType_logs, 0, pb.CommandType_logs, 0},
				{pb.CommandType_patch, pb.OpType_modify, pb.CommandType_patch, pb.OpType_modified},
				{pb.CommandType_room, pb.OpType_join, pb.CommandType_error, 0},
				{pb.CommandType_conv, pb.OpType_joined, pb.CommandType_error, 0},
				{pb.CommandType_session, pb.OpType_opened, pb.CommandType_error, 0},
				{pb.CommandType_session, pb.OpType_close, pb.CommandType_session, pb.OpType_closed},
			} {
				reply := client.call(command(test.cmd, test.op))
				require.Equal(t, test.answer, reply.GetCmd(), "%v %v", test.cmd, test.op)
				if test.outcome == 0 {
					require.Nil(t, reply.Op)
				} else {
					require.Equal(t, test.outcome, reply.GetOp())
				}
				require.Equal(t, "Tom", reply.GetPeerId(), "of the first session when the command names none")
			}
			for _, quiet := range []*pb.GenericCommand{
				command(pb.CommandType_ack, 0), command(pb.CommandType_read, 0), command(pb.CommandType_patch, pb.OpType_modified), command(pb.CommandType_login, 0),
			} {
				client.send(quiet)
			}
			client.call(command(pb.CommandType_echo, 0)) // and nothing before it
			require.Len(t, p.Commands(), 36)
		})
	}
}

func TestHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := rttest.New(t)
		client := connect(t, p, wire.SubprotocolBinary)
		p.On(pb.CommandType_conv, pb.OpType_query, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			s.Send(&pb.GenericCommand{Cmd: pb.CommandType_unread.Enum()})
			return s.Fail(cmd, wire.CodeConversationNotFound)
		})
		query := command(pb.CommandType_conv, pb.OpType_query)
		query.I = proto.Int32(5)
		client.send(query)
		require.Equal(t, pb.CommandType_unread, client.receive().GetCmd())
		reply := client.receive()
		require.EqualValues(t, wire.CodeConversationNotFound, reply.GetErrorMessage().GetCode())
		require.Equal(t, "CONVERSATION_NOT_FOUND", reply.GetErrorMessage().GetReason())
		require.EqualValues(t, 5, reply.GetI())
		p.On(pb.CommandType_conv, pb.OpType_query, nil)
		require.Equal(t, pb.OpType_results, client.call(query).GetOp())
	})
}

func TestSocketEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := rttest.New(t)
		client := connect(t, p, wire.SubprotocolBinary)
		require.NoError(t, p.Socket().Ended())
		p.Socket().Close(wire.CodeInvalidLogin, "no")
		_, _, err := client.ws.Read(t.Context())
		require.EqualValues(t, 4103, websocket.CloseStatus(err))

		client = connect(t, p, wire.SubprotocolBinary)
		p.Socket().Drop()
		_, _, err = client.ws.Read(t.Context())
		require.EqualValues(t, -1, websocket.CloseStatus(err))

		client = connect(t, p, wire.SubprotocolBinary)
		require.NoError(t, client.ws.Write(t.Context(), websocket.MessageBinary, []byte{0xff}))
		_, _, err = client.ws.Read(t.Context())
		require.EqualValues(t, 4114, websocket.CloseStatus(err))

		client = connect(t, p, wire.SubprotocolBinary)
		require.NoError(t, client.ws.Close(websocket.StatusNormalClosure, ""))
		synctest.Wait()
		require.EqualValues(t, 1000, p.Socket().Said())
		require.Len(t, p.Sockets(), 4)
	})
}

func TestRouteAndHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := rttest.New(t)
		p.SetRoutes("ws://a/", "ws://b/")
		get := func(path string, into any) int {
			resp, err := p.HTTPClient().Get(rttest.URL + path)
			require.NoError(t, err)
			defer resp.Body.Close()
			_ = json.NewDecoder(resp.Body).Decode(into)
			return resp.StatusCode
		}
		var route map[string]any
		require.Equal(t, 200, get("/v1/route?appId=x", &route))
		require.Equal(t, map[string]any{"server": "ws://a/", "secondary": "ws://b/", "ttl": 3600.0}, route)
		require.Equal(t, 1, p.RoutesFetched())
		p.HandleHTTP("GET /1.1/hello", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) })
		require.Equal(t, http.StatusTeapot, get("/1.1/hello", nil))
		p.Refuse(http.StatusServiceUnavailable)
		require.Equal(t, http.StatusServiceUnavailable, get("/socket", nil))
	})
}
