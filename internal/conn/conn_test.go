package conn_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/conn"
	"github.com/leanrtm/realtime/internal/memnet"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

const (
	addr = "rtm.test:80"
	url  = "ws://rtm.test/"
)

// host is an HTTP server on a network in memory.
type host struct {
	t       *testing.T
	net     *memnet.Network
	sockets chan *websocket.Conn // accepted
	headers chan http.Header     // of the upgrade requests
}

// serve starts a host that upgrades every request, or, with a handler, does
// what that says.
func serve(t *testing.T, handler http.HandlerFunc) *host {
	h := &host{t: t, net: memnet.New(), sockets: make(chan *websocket.Conn, 10), headers: make(chan http.Header, 10)}
	listener, err := h.net.Listen(addr)
	require.NoError(t, err)
	var open sync.WaitGroup
	if handler == nil {
		handler = func(w http.ResponseWriter, r *http.Request) {
			open.Add(1)
			defer open.Done()
			h.headers <- r.Header
			ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
				Subprotocols: []string{wire.SubprotocolBinary, wire.SubprotocolText},
			})
			if err != nil {
				t.Errorf("accept: %v", err)
				return
			}
			ws.SetReadLimit(1 << 20)
			h.sockets <- ws
		}
	}
	server := &http.Server{Handler: handler}
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		for len(h.sockets) > 0 {
			_ = (<-h.sockets).CloseNow()
		}
		_ = server.Close()
		wg.Wait()
		open.Wait()
	})
	return h
}

func (h *host) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: h.net.Dial, DisableKeepAlives: true}}
}

// dial connects and returns both ends.
func (h *host) dial(o conn.Options) (*conn.Conn, *websocket.Conn) {
	h.t.Helper()
	o.HTTPClient = h.client()
	c, err := conn.Dial(h.t.Context(), url, o)
	require.NoError(h.t, err)
	ws := <-h.sockets
	h.t.Cleanup(func() {
		c.Kill(errors.New("test is over"))
		_ = ws.CloseNow()
		<-c.Done()
	})
	return c, ws
}

// link returns the connection under the newest socket, from the client's end.
func (h *host) link() *memnet.Conn {
	conns := h.net.Conns()
	return conns[len(conns)-1]
}

func command(serial int32, cid string) *pb.GenericCommand {
	return &pb.GenericCommand{
		Cmd: pb.CommandType_direct.Enum(), I: proto.Int32(serial),
		DirectMessage: &pb.DirectCommand{Cid: proto.String(cid)},
	}
}

// send sends a command, in turns as one whose sender is alone, one of two, and
// one of many.
func send(t *testing.T, c *conn.Conn, cmd *pb.GenericCommand, serial int32, s conn.Starter) {
	t.Helper()
	f, err := c.Encode(cmd, serial)
	require.NoError(t, err)
	others := [...]int{0, 1, 100}[serial%3]
	require.NoError(t, c.Send(t.Context(), f, s, others))
}

// receive reads a command at the server's end.
func receive(t *testing.T, ws *websocket.Conn) *pb.GenericCommand {
	t.Helper()
	_, frame, err := ws.Read(context.Background())
	require.NoError(t, err)
	return decode(t, frame)
}

func decode(t *testing.T, frame []byte) *pb.GenericCommand {
	t.Helper()
	cmd, err := wire.Unmarshal(frame)
	require.NoError(t, err)
	return cmd
}

func push(t *testing.T, ws *websocket.Conn, cmd *pb.GenericCommand) {
	t.Helper()
	frame, err := wire.Append(nil, cmd)
	require.NoError(t, err)
	require.NoError(t, ws.Write(context.Background(), websocket.MessageBinary, frame))
}

// waitErr waits for the end of the connection and returns the cause.
func waitErr(c *conn.Conn) error {
	<-c.Done()
	return c.Err()
}

func TestExchange(t *testing.T) {
	for _, text := range []bool{false, true} {
		t.Run(fmt.Sprintf("text=%v", text), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := serve(t, nil)
				got := make(chan *pb.GenericCommand, 10)
				c, ws := h.dial(conn.Options{
					Text: text, Header: http.Header{"X-Extra": {"yes"}},
					OnCommand: func(cmd *pb.GenericCommand, _ *wire.Block) { got <- cmd },
				})
				header := <-h.headers
				require.Equal(t, "yes", header.Get("X-Extra"))
				want := wire.Codec{Text: text}
				codec, known := wire.CodecFor(ws.Subprotocol())
				require.True(t, known)
				require.Equal(t, want, codec)

				send(t, c, command(0, "up"), 7, nil)
				typ, frame, err := ws.Read(t.Context())
				require.NoError(t, err)
				require.Equal(t, text, typ == websocket.MessageText)
				if text {
					_, err := base64.StdEncoding.DecodeString(string(frame))
					require.NoError(t, err)
				}
				cmd, err := codec.Unmarshal(frame)
				require.NoError(t, err)
				require.EqualValues(t, 7, cmd.GetI())
				require.Equal(t, "up", cmd.GetDirectMessage().GetCid())

				for i := range 3 {
					frame, err := codec.Marshal(command(int32(i), strings.Repeat("long", 1000*i)))
					require.NoError(t, err)
					require.NoError(t, ws.Write(t.Context(), typ, frame))
				}
				for i := range 3 {
					cmd := <-got
					require.EqualValues(t, i, cmd.GetI())
					require.Equal(t, strings.Repeat("long", 1000*i), cmd.GetDirectMessage().GetCid())
				}
				require.NoError(t, c.Err())
			})
		})
	}
}

// The writer and the timers are there while they have something to do.
func TestAnIdleConnectionIsOneGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, nil)
		c, ws := h.dial(conn.Options{HeartbeatInterval: time.Minute})
		bubble := regexp.MustCompile(`synctest bubble \d+\]`)
		goroutines := func() (n int) {
			synctest.Wait()
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			of := bubble.FindString(string(stacks)) // the first is the caller's
			require.NotEmpty(t, of)
			for stack := range strings.SplitSeq(string(stacks), "\n\n") {
				if header, rest, _ := strings.Cut(stack, "\n"); strings.Contains(header, of) && strings.Contains(rest, "internal/conn.(*") {
					n++
				}
			}
			return n
		}
		require.Equal(t, 1, goroutines())
		for i := range int32(3) {
			f, err := c.Encode(command(0, "x"), i+1)
			require.NoError(t, err)
			accepted, err := c.TrySend(f, nil, 3) // by way of the queue
			require.NoError(t, err)
			require.True(t, accepted)
			require.Equal(t, i+1, receive(t, ws).GetI())
			require.Equal(t, 1, goroutines())
		}
		require.Equal(t, pb.CommandType_echo, receive(t, ws).GetCmd())
		require.Equal(t, 1, goroutines())
	})
}

func TestFramesWithoutSerialHaveNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, nil)
		c, ws := h.dial(conn.Options{})
		send(t, c, &pb.GenericCommand{Cmd: pb.CommandType_ack.Enum()}, 0, nil)
		require.Nil(t, receive(t, ws).I)
	})
}

func TestEncodeRefusesAnIncompleteCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, nil)
		c, _ := h.dial(conn.Options{})
		_, err := c.Encode(&pb.GenericCommand{ConvMessage: &pb.ConvCommand{Where: &pb.JsonObjectMessage{}}}, 1)
		require.Error(t, err)
		require.NoError(t, c.Err(), "that is the caller's business only")
	})
}

func TestFramesKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const senders, each = 8, 300
		h := serve(t, nil)
		c, ws := h.dial(conn.Options{})
		var wg sync.WaitGroup
		for s := range senders {
			wg.Go(func() {
				for i := range each {
					// Of all sizes, so that batches of one, of many and of large
					// ones occur.
					cid := fmt.Sprint(s) + strings.Repeat(" ", (i*i*37)%9000)
					send(t, c, command(0, cid), int32(i+1), nil)
				}
			})
		}
		next := map[string]int32{}
		for range senders * each {
			cmd := receive(t, ws)
			s := strings.TrimSpace(cmd.GetDirectMessage().GetCid())
			next[s]++
			require.Equal(t, next[s], cmd.GetI())
		}
		wg.Wait()
	})
}

func TestAFullQueueObeysTheCallersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, nil)
		c, ws := h.dial(conn.Options{WriteTimeout: time.Hour})
		restore := h.link().Blackhole()
		big := command(0, strings.Repeat("x", 16<<10))
		sent := 0
		for {
			f, err := c.Encode(big, 1)
			require.NoError(t, err)
			ok, err := c.TrySend(f, nil, 0)
			require.NoError(t, err)
			if !ok {
				synctest.Wait() // lets the writer take what it can
				if ok, _ = c.TrySend(f, nil, 0); !ok {
					break
				}
			}
			sent++
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		f, err := c.Encode(big, 1)
		require.NoError(t, err)
		require.ErrorIs(t, c.Send(ctx, f, nil, 0), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))

		restore()
		for range sent {
			require.EqualValues(t, 1, receive(t, ws).GetI())
		}
		require.NoError(t, c.Err(), "a caller that gives up harms nobody")
	})
}

type starter func() bool

func (f starter) Begin() bool { return f() }

func TestAWithdrawnFrameIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, nil)
		c, ws := h.dial(conn.Options{})
		asked := 0
		for i := range int32(6) {
			send(t, c, command(0, "x"), i+1, starter(func() bool { asked++; return i%2 == 0 }))
		}
		send(t, c, command(0, "x"), 7, nil)
		for _, want := range []int32{1, 3, 5, 7} {
			require.Equal(t, want, receive(t, ws).GetI())
		}
		require.Equal(t, 6, asked)
	})
}
