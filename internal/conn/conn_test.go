package conn_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
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

// send puts a command into the queue.
func send(t *testing.T, c *conn.Conn, cmd *pb.GenericCommand, serial int32, s conn.Starter) {
	t.Helper()
	f, err := c.Encode(cmd, serial)
	require.NoError(t, err)
	require.NoError(t, c.Send(t.Context(), f, s))
}

// receive reads a command at the server's end.
func receive(t *testing.T, ws *websocket.Conn) *pb.GenericCommand {
	t.Helper()
	_, frame, err := ws.Read(context.Background())
	require.NoError(t, err)
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
					OnCommand: func(cmd *pb.GenericCommand) { got <- cmd },
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

func TestDialErrors(t *testing.T) {
	t.Run("nobody listens", func(t *testing.T) {
		n := memnet.New()
		client := &http.Client{Transport: &http.Transport{DialContext: n.Dial}}
		_, err := conn.Dial(t.Context(), url, conn.Options{HTTPClient: client})
		var dialErr *conn.DialError
		require.ErrorAs(t, err, &dialErr)
		require.Equal(t, url, dialErr.URL)
		require.Zero(t, dialErr.Status)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
	})
	t.Run("not a websocket", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusForbidden) })
			_, err := conn.Dial(t.Context(), url, conn.Options{HTTPClient: h.client()})
			var dialErr *conn.DialError
			require.ErrorAs(t, err, &dialErr)
			require.Equal(t, http.StatusForbidden, dialErr.Status)
		})
	})
	t.Run("other subprotocol", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := serve(t, func(w http.ResponseWriter, r *http.Request) {
				r.Header.Set("Sec-WebSocket-Protocol", "nonsense")
				ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"nonsense"}})
				if err == nil {
					_ = ws.CloseNow()
				}
			})
			_, err := conn.Dial(t.Context(), url, conn.Options{HTTPClient: h.client()})
			require.ErrorContains(t, err, "nonsense")
		})
	})
	t.Run("server does not answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := serve(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			_, err := conn.Dial(ctx, url, conn.Options{HTTPClient: h.client()})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, time.Second, time.Since(start))
		})
	})
	t.Run("cancelled", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := serve(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			_, err := conn.Dial(ctx, url, conn.Options{HTTPClient: h.client()})
			require.ErrorIs(t, err, context.Canceled)
		})
	})
	t.Run("transport that cannot upgrade", func(t *testing.T) {
		client := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusSwitchingProtocols, Body: http.NoBody}, nil
		})}
		_, err := conn.Dial(t.Context(), url, conn.Options{HTTPClient: client})
		require.ErrorContains(t, err, "cannot upgrade")
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTheDialContextDoesNotBoundTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		c, err := conn.Dial(ctx, url, conn.Options{HTTPClient: h.client()})
		require.NoError(t, err)
		ws := <-h.sockets
		cancel()
		synctest.Wait()
		send(t, c, command(0, "alive"), 1, nil)
		require.Equal(t, "alive", receive(t, ws).GetDirectMessage().GetCid())
		c.Kill(errors.New("over"))
		<-c.Done()
		_ = ws.CloseNow()
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
			ok, err := c.TrySend(f, nil)
			require.NoError(t, err)
			if !ok {
				synctest.Wait() // lets the writer take what it can
				if ok, _ = c.TrySend(f, nil); !ok {
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
		require.ErrorIs(t, c.Send(ctx, f, nil), context.DeadlineExceeded)
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

func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, nil)
		var serial atomic.Int32
		_, ws := h.dial(conn.Options{HeartbeatInterval: time.Minute, Serial: func() int32 { return serial.Add(1) }})
		last := time.Now()
		seen := map[time.Duration]bool{}
		for i := range int32(20) {
			cmd := receive(t, ws)
			require.Equal(t, pb.CommandType_echo, cmd.GetCmd())
			require.NotNil(t, cmd.Cmd)
			require.Nil(t, cmd.Op)
			require.Equal(t, i+1, cmd.GetI())
			push(t, ws, cmd)
			interval := time.Since(last)
			last = time.Now()
			require.InDelta(t, time.Minute, interval, float64(6*time.Second))
			seen[interval] = true
		}
		require.Greater(t, len(seen), 10, "the interval varies")
	})
}

func TestNoHeartbeatAndNoSilenceTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, nil)
		c, ws := h.dial(conn.Options{HeartbeatInterval: -1, SilenceTimeout: -1})
		time.Sleep(24 * time.Hour)
		require.NoError(t, c.Err())
		send(t, c, command(0, "first"), 1, nil)
		require.EqualValues(t, 1, receive(t, ws).GetI())
	})
}

func TestSilenceKills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, nil)
		got := 0
		c, ws := h.dial(conn.Options{OnCommand: func(*pb.GenericCommand) { got++ }})
		go func() { // a server that reads but answers no heartbeat
			for {
				if _, _, err := ws.Read(context.Background()); err != nil {
					return
				}
			}
		}()
		start := time.Now()
		time.Sleep(100 * time.Second)
		push(t, ws, &pb.GenericCommand{Cmd: pb.CommandType_echo.Enum()})
		require.ErrorIs(t, waitErr(c), conn.ErrSilence)
		require.Equal(t, 480*time.Second, time.Since(start))
		require.Equal(t, 1, got)
	})
}

func TestPingsAndPongsAreSignsOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, nil)
		c, ws := h.dial(conn.Options{SilenceTimeout: time.Minute, HeartbeatInterval: -1})
		go func() {
			for {
				if _, _, err := ws.Read(context.Background()); err != nil {
					return
				}
			}
		}()
		start := time.Now()
		for range 10 {
			time.Sleep(50 * time.Second)
			require.NoError(t, ws.Ping(t.Context()))
		}
		require.ErrorIs(t, waitErr(c), conn.ErrSilence)
		require.Equal(t, 560*time.Second, time.Since(start))
	})
}

func TestBlackholeEndsByWriteTimeoutWhenTheBuffersAreFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, nil)
		c, _ := h.dial(conn.Options{})
		h.link().Blackhole()
		start := time.Now()
		big := command(0, strings.Repeat("x", 100<<10))
		for range 10 {
			send(t, c, big, 1, nil)
		}
		require.ErrorIs(t, waitErr(c), conn.ErrWriteTimeout)
		require.Equal(t, conn.DefaultWriteTimeout, time.Since(start))
		f, err := c.Encode(big, 1)
		require.NoError(t, err)
		_, err = c.TrySend(f, nil)
		require.ErrorIs(t, err, conn.ErrWriteTimeout)
		require.ErrorIs(t, c.Send(t.Context(), f, nil), conn.ErrWriteTimeout)
	})
}

func TestCloseCodes(t *testing.T) {
	for _, test := range []struct {
		code   websocket.StatusCode
		reason string
		want   conn.CloseError
	}{
		{4103, "INVALID_LOGIN", conn.CloseError{Code: wire.CodeInvalidLogin, Reason: "INVALID_LOGIN"}},
		{websocket.StatusNormalClosure, "", conn.CloseError{Code: 1000}},
		{websocket.StatusNoStatusRcvd, "", conn.CloseError{Code: conn.CodeNoStatus}},
	} {
		t.Run(fmt.Sprint(test.code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := serve(t, nil)
				c, ws := h.dial(conn.Options{})
				require.NoError(t, ws.Close(test.code, test.reason))
				var closed *conn.CloseError
				require.ErrorAs(t, waitErr(c), &closed)
				require.Equal(t, test.want, *closed)
				require.Contains(t, closed.Error(), fmt.Sprint(int(test.code)))
			})
		})
	}
}

func TestLostConnection(t *testing.T) {
	for name, lose := range map[string]func(link *memnet.Conn){
		"reset":             func(link *memnet.Conn) { link.Cut() },
		"end of stream":     func(link *memnet.Conn) { link.Peer().Close() },
		"half of a message": func(link *memnet.Conn) { link.Peer().CutAfter(5) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := serve(t, nil)
				c, ws := h.dial(conn.Options{OnCommand: func(cmd *pb.GenericCommand) { t.Errorf("got %v", cmd) }})
				lose(h.link())
				frame, err := wire.Append(nil, command(1, "cut off"))
				require.NoError(t, err)
				_ = ws.Write(context.Background(), websocket.MessageBinary, frame)
				err = waitErr(c)
				var closed *conn.CloseError
				require.False(t, errors.As(err, &closed), "%v", err)
				require.Error(t, err)
			})
		})
	}
}

// TestAPieceOfAFrameIsNeverDelivered ends the stream at every byte of a frame:
// a piece of a protobuf message can be a valid message, with fields missing.
func TestAPieceOfAFrameIsNeverDelivered(t *testing.T) {
	frame, err := wire.Append(nil, command(1, strings.Repeat("x", 1200)))
	require.NoError(t, err)
	header := []byte{0x82, 126, byte(len(frame) >> 8), byte(len(frame))}
	message := append(header, frame...)
	for cut := range message {
		synctest.Test(t, func(t *testing.T) {
			h := serve(t, func(w http.ResponseWriter, r *http.Request) {
				raw, rw, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				rw.WriteString(upgradeAnswer(r))
				rw.Write(message[:cut])
				rw.Flush()
				raw.Close()
			})
			c, err := conn.Dial(t.Context(), url, conn.Options{
				HTTPClient: h.client(),
				OnCommand:  func(cmd *pb.GenericCommand) { t.Errorf("delivered after %d of %d bytes", cut, len(message)) },
			})
			require.NoError(t, err)
			require.Error(t, waitErr(c))
		})
	}
}

// upgradeAnswer is what a server says to an upgrade request.
func upgradeAnswer(r *http.Request) string {
	rec := hijackRecorder{ResponseRecorder: httptest.NewRecorder()}
	_, _ = websocket.Accept(rec, r, &websocket.AcceptOptions{Subprotocols: []string{wire.SubprotocolBinary}})
	var b strings.Builder
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = rec.Header().Write(&b)
	return b.String() + "\r\n"
}

// hijackRecorder makes Accept write its headers and then fail.
type hijackRecorder struct{ *httptest.ResponseRecorder }

func (hijackRecorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.New("recorded")
}

func TestBadFrames(t *testing.T) {
	for _, test := range []struct {
		name  string
		typ   websocket.MessageType
		frame []byte
	}{
		{"not protobuf", websocket.MessageBinary, []byte{0xff, 0xff, 0xff}},
		{"required field missing", websocket.MessageBinary, []byte{0xba, 0x06, 0x00}},
		{"text on a binary connection", websocket.MessageText, []byte("CAI=")},
		{"too long", websocket.MessageBinary, make([]byte, 5000)},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := serve(t, nil)
				c, ws := h.dial(conn.Options{ReadLimit: 4096, OnCommand: func(*pb.GenericCommand) { t.Error("delivered") }})
				_ = ws.Write(context.Background(), test.typ, test.frame)
				var bad *conn.FrameError
				require.ErrorAs(t, waitErr(c), &bad)
				require.NotEmpty(t, bad.Error())
			})
		})
	}
}

func TestKillEndsAtOnceWithItsCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, nil)
		cause := errors.New("paused")
		var c *conn.Conn
		c, ws := h.dial(conn.Options{OnCommand: func(*pb.GenericCommand) { c.Kill(cause) }})
		push(t, ws, command(1, "x"))
		start := time.Now()
		require.Equal(t, cause, waitErr(c))
		c.Kill(errors.New("again"))
		c.Close(time.Second)
		require.Equal(t, cause, c.Err())
		_, _, err := ws.Read(t.Context())
		require.Error(t, err)
		require.EqualValues(t, -1, websocket.CloseStatus(err), "without a goodbye")
		require.Zero(t, time.Since(start))
	})
}

func TestCloseSendsTheRestAndSaysGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, nil)
		h.net.SetLatency(50 * time.Millisecond)
		c, ws := h.dial(conn.Options{})
		for i := range int32(100) {
			send(t, c, command(0, "x"), i+1, nil)
		}
		start := time.Now()
		closed := make(chan struct{}, 2)
		for range 2 { // two callers
			go func() { c.Close(time.Second); closed <- struct{}{} }()
		}
		for i := range int32(100) {
			require.Equal(t, i+1, receive(t, ws).GetI())
		}
		_, _, err := ws.Read(t.Context())
		require.Equal(t, websocket.StatusNoStatusRcvd, websocket.CloseStatus(err))
		<-closed
		<-closed
		require.Equal(t, 100*time.Millisecond, time.Since(start), "one round trip")
		require.Equal(t, conn.ErrClosed, c.Err())
		f, err := c.Encode(command(0, "x"), 1)
		require.NoError(t, err)
		_, err = c.TrySend(f, nil)
		require.ErrorIs(t, err, conn.ErrClosed)
		require.ErrorIs(t, c.Send(t.Context(), f, nil), conn.ErrClosed)
	})
}

func TestCloseKeepsToItsBudget(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, h *host, c *conn.Conn){
		"server does not answer": func(t *testing.T, h *host, c *conn.Conn) {},
		"blackhole":              func(t *testing.T, h *host, c *conn.Conn) { h.link().Blackhole() },
		"blackhole and full buffers": func(t *testing.T, h *host, c *conn.Conn) {
			h.link().Blackhole()
			for range 20 {
				send(t, c, command(0, strings.Repeat("x", 100<<10)), 1, nil)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := serve(t, nil)
				c, _ := h.dial(conn.Options{})
				prepare(t, h, c)
				start := time.Now()
				c.Close(time.Second)
				require.Equal(t, time.Second, time.Since(start))
				require.Equal(t, conn.ErrClosed, c.Err())
			})
		})
	}
}

func TestOverTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		listener, err := n.Listen("rtm.test:443")
		require.NoError(t, err)
		sockets := make(chan *websocket.Conn, 1)
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{wire.SubprotocolBinary}})
			if err == nil {
				sockets <- ws
			}
		}))
		require.NoError(t, server.Listener.Close())
		server.Listener = listener
		server.StartTLS()
		defer server.Close()
		client := server.Client()
		transport := client.Transport.(*http.Transport)
		transport.DialContext = n.Dial
		transport.TLSClientConfig.ServerName = "example.com"

		c, err := conn.Dial(t.Context(), "wss://rtm.test/", conn.Options{HTTPClient: client})
		require.NoError(t, err)
		ws := <-sockets
		send(t, c, command(0, "x"), 1, nil)
		require.EqualValues(t, 1, receive(t, ws).GetI())

		// A TLS connection takes 5 s to close when nobody reads; ours must not.
		n.Conns()[0].Blackhole()
		for range 10 {
			send(t, c, command(0, strings.Repeat("x", 100<<10)), 1, nil)
		}
		synctest.Wait()
		start := time.Now()
		c.Kill(errors.New("over"))
		<-c.Done()
		require.Zero(t, time.Since(start))
		_ = ws.CloseNow()
		for _, left := range n.Conns() {
			left.Cut()
		}
	})
}
