package server_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server"
	"github.com/leanrtm/realtime/server/internal/wstest"
)

// sink is a peer that reads everything at no cost, so that what is measured is
// the server alone. What is put into its input is what it sends.
type sink struct {
	input io.Reader
	done  chan struct{}
	once  sync.Once
	wrote chan int // bytes of each write
}

func (s *sink) Read(p []byte) (int, error) {
	if n, err := s.input.Read(p); err == nil {
		return n, nil
	}
	<-s.done
	return 0, net.ErrClosed
}

func (s *sink) Write(p []byte) (int, error) {
	s.wrote <- len(p)
	return len(p), nil
}

func (s *sink) Close() error                     { s.once.Do(func() { close(s.done) }); return nil }
func (s *sink) LocalAddr() net.Addr              { return nil }
func (s *sink) RemoteAddr() net.Addr             { return nil }
func (s *sink) SetDeadline(time.Time) error      { return nil }
func (s *sink) SetReadDeadline(time.Time) error  { return nil }
func (s *sink) SetWriteDeadline(time.Time) error { return nil }

// hijackable lets a sink take the place of a TCP connection.
type hijackable struct {
	*httptest.ResponseRecorder
	s *sink
}

func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.s, bufio.NewReadWriter(bufio.NewReader(h.s), bufio.NewWriter(h.s)), nil
}

// attach connects a sink that sends these frames.
func attach(b *testing.B, srv *server.Server, wrote chan int, frames ...*pb.GenericCommand) {
	var input []byte
	for _, cmd := range frames {
		payload, err := wire.Append(nil, cmd)
		require.NoError(b, err)
		input = wstest.AppendFrame(input, true, wstest.OpBinary, payload)
	}
	s := &sink{input: bytes.NewReader(input), done: make(chan struct{}), wrote: wrote}
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	req.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Protocol": {wire.SubprotocolBinary},
	}
	srv.ServeHTTP(&hijackable{httptest.NewRecorder(), s}, req)
}

// The server's own cost of one push, without any network: from the command to
// the write of every receiver's socket.
func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{1, 64, 2000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			srv, err := server.New(options())
			require.NoError(b, err)
			defer srv.Close()
			hs := httptest.NewServer(srv)
			defer hs.Close()
			s := &tcp{b: b, addr: hs.Listener.Addr().String()}
			tom := s.login("tom")
			tom.Send(convCommand(pb.OpType_start, 2, &pb.ConvCommand{Transient: proto.Bool(true)}))
			cid := tom.Read().GetConvMessage().GetCid()
			wrote := make(chan int, n)
			for i := range n {
				client := fmt.Sprintf("client-%06d", i)
				attach(b, srv, wrote, openCommand(client),
					convCommand(pb.OpType_add, 3, &pb.ConvCommand{Cid: &cid, M: []string{client}}))
				for got := 0; got < 2; got++ { // opened and added
					if size := <-wrote; size > 300 {
						got++ // in one write
					}
				}
			}
			frame := tom.Encode(direct(cid, "Jerry, get up! It is eight o'clock already.", 9))
			b.ReportAllocs()
			for b.Loop() {
				tom.Write(frame)
				for range n {
					<-wrote
				}
				tom.Read()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/push")
		})
	}
}
