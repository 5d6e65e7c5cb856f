package conn_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/conn"
	"github.com/leanrtm/realtime/internal/memnet"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

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
		c, ws := h.dial(conn.Options{OnCommand: func(*pb.GenericCommand, *wire.Block) { got++ }})
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
		_, err = c.TrySend(f, nil, 0)
		require.ErrorIs(t, err, conn.ErrWriteTimeout)
		require.ErrorIs(t, c.Send(t.Context(), f, nil, 0), conn.ErrWriteTimeout)
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

// Whoever sends while the server says goodbye does not hide what it says.
func TestSendersDoNotHideTheCloseCode(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			h := serve(t, nil)
			c, ws := h.dial(conn.Options{})
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				for {
					f, err := c.Encode(&pb.GenericCommand{Cmd: pb.CommandType_ack.Enum()}, 1)
					if err != nil || c.Send(t.Context(), f, nil, 0) != nil {
						return
					}
				}
			}()
			go func() {
				for {
					if _, _, err := ws.Read(t.Context()); err != nil {
						return
					}
				}
			}()
			_ = ws.Close(4103, "INVALID_LOGIN")
			var closed *conn.CloseError
			require.ErrorAs(t, waitErr(c), &closed)
			<-sent
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
				c, ws := h.dial(conn.Options{OnCommand: func(cmd *pb.GenericCommand, _ *wire.Block) { t.Errorf("got %v", cmd) }})
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
	frame, err := wire.Append(nil, command(1, strings.Repeat("x", 600)))
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
				OnCommand: func(cmd *pb.GenericCommand, _ *wire.Block) {
					t.Errorf("delivered after %d of %d bytes", cut, len(message))
				},
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
				c, ws := h.dial(conn.Options{ReadLimit: 4096, OnCommand: func(*pb.GenericCommand, *wire.Block) { t.Error("delivered") }})
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
		c, ws := h.dial(conn.Options{OnCommand: func(*pb.GenericCommand, *wire.Block) { c.Kill(cause) }})
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
		_, err = c.TrySend(f, nil, 0)
		require.ErrorIs(t, err, conn.ErrClosed)
		require.ErrorIs(t, c.Send(t.Context(), f, nil, 0), conn.ErrClosed)
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
