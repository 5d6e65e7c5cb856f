package server_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/server"
	"github.com/leanrtm/realtime/server/internal/wstest"
)

// tcp is a server on the loopback interface. Both ends share the machine, so
// compare its numbers only with one another.
type tcp struct {
	b    *testing.B
	addr string
}

func newTCP(b *testing.B) *tcp {
	srv, err := server.New(options())
	require.NoError(b, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	hs := &http.Server{Handler: srv}
	var wg sync.WaitGroup
	wg.Go(func() { _ = hs.Serve(l) }) // ends with an error always
	b.Cleanup(func() {
		require.NoError(b, srv.Close())
		hs.Close()
		wg.Wait()
	})
	return &tcp{b: b, addr: l.Addr().String()}
}

func (s *tcp) connect() *wstest.Conn {
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	return wstest.Dial(s.b, dial, s.addr, wstest.Request{})
}

func (s *tcp) login(client string) *wstest.Conn {
	c := s.connect()
	c.Send(openCommand(client))
	require.Equal(s.b, pb.OpType_opened, c.Read().GetOp())
	return c
}

func BenchmarkEcho(b *testing.B) {
	s := newTCP(b)
	c := s.login("tom")
	frame := c.Encode(&pb.GenericCommand{Cmd: pb.CommandType_echo.Enum(), I: proto.Int32(7)})
	b.ReportAllocs()
	for b.Loop() {
		c.Write(frame)
		if _, _, err := c.ReadFrame(); err != nil {
			b.Fatal(err)
		}
	}
}

// One message to a chat room, with everybody's socket read to the end.
func BenchmarkRoom(b *testing.B) {
	for _, n := range []int{10, 500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := newTCP(b)
			tom := s.login("tom")
			tom.Send(convCommand(pb.OpType_start, 2, &pb.ConvCommand{Transient: proto.Bool(true)}))
			cid := tom.Read().GetConvMessage().GetCid()
			var readers sync.WaitGroup
			var size int
			arrived := make(chan int, n)
			conns := make([]*wstest.Conn, n)
			for i := range conns {
				c := s.login(fmt.Sprintf("client-%06d", i))
				c.Send(convCommand(pb.OpType_add, 3, &pb.ConvCommand{Cid: &cid, M: []string{fmt.Sprintf("client-%06d", i)}}))
				require.Equal(b, pb.OpType_added, c.Read().GetOp())
				conns[i] = c
			}
			frame := tom.Encode(direct(cid, "Jerry, get up! It is eight o'clock already.", 9))
			for i, c := range conns {
				if i == 0 {
					tom.Write(frame)
				}
				_, payload, err := c.ReadFrame()
				require.NoError(b, err)
				size = len(payload) + 2
				if len(payload) > 125 {
					size += 2
				}
			}
			tom.Read()
			for _, c := range conns {
				readers.Go(func() {
					buf := make([]byte, size)
					for {
						if _, err := io.ReadFull(c.Net, buf); err != nil {
							return
						}
						arrived <- 1
					}
				})
			}
			b.ReportAllocs()
			for b.Loop() {
				tom.Write(frame)
				for range n {
					<-arrived
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/push")
			for _, c := range conns {
				c.Net.Close()
			}
			readers.Wait()
		})
	}
}

// What an idle session costs in memory, the client's end included (wstest keeps
// about 5 KB for it).
func BenchmarkIdleSession(b *testing.B) {
	s := newTCP(b)
	before := memory()
	const n = 2000
	for i := range n {
		s.login(fmt.Sprint("client-", i))
	}
	for b.Loop() { // there is nothing to repeat
	}
	b.ReportMetric(float64(memory()-before)/n, "B/session")
}

func memory() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
