package server_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

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

// roomConnections is on how many connections the members of BenchmarkRoom are,
// at most.
const roomConnections = 100

// BenchmarkRoom is one message to everybody in a chat room, on 100 connections,
// each read to the end. The floor writes as many bytes to as many sockets, each
// in one piece.
func BenchmarkRoom(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprintf("members=%d/realtime", n), func(b *testing.B) {
			s := newTCP(b)
			tom := s.login("tom")
			tom.Send(convCommand(pb.OpType_start, 2, &pb.ConvCommand{Transient: proto.Bool(true)}))
			cid := tom.Read().GetConvMessage().GetCid()
			members := s.present(cid, n)
			frame := tom.Encode(direct(cid, roomText, 9))
			members.size = members.first(tom, frame)
			wait := members.read()
			var acks time.Duration
			b.ReportAllocs()
			for b.Loop() {
				said := time.Now()
				tom.Write(frame)
				tom.Read() // the ack
				acks += time.Since(said)
				wait(1)
			}
			reportPushes(b, n)
			b.ReportMetric(float64(acks.Nanoseconds())/float64(b.N), "ns/ack")
			members.close()
		})
		b.Run(fmt.Sprintf("members=%d/floor", n), func(b *testing.B) {
			members := bareSockets(b, n)
			payload := make([]byte, members.size*members.each)
			wait := members.read()
			b.ReportAllocs()
			for b.Loop() {
				for _, c := range members.peers {
					if _, err := c.Write(payload); err != nil {
						b.Fatal(err)
					}
				}
				wait(1)
			}
			reportPushes(b, n)
			members.close()
		})
	}
}

const roomText = "Jerry, get up! It is eight o'clock already."

func reportPushes(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/push")
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "pushes/s")
}

// audience reads what its connections get.
type audience struct {
	b       testing.TB
	conns   []net.Conn
	peers   []net.Conn     // the other ends, of sockets that no server has
	ws      []*wstest.Conn // those that have one
	each    int            // members on each connection
	size    int            // bytes of one message for one member
	readers sync.WaitGroup
}

// present brings n members into a room.
func (s *tcp) present(cid string, n int) *audience {
	a := &audience{b: s.b, each: max(n/roomConnections, 1)}
	for i := 0; i < n; i += a.each {
		c := s.connect()
		for k := range a.each {
			client := fmt.Sprintf("client-%06d", i+k)
			c.Send(openCommand(client))
			require.Equal(s.b, pb.OpType_opened, c.Read().GetOp())
			add := convCommand(pb.OpType_add, 3, &pb.ConvCommand{Cid: &cid, M: []string{client}})
			add.PeerId = &client
			c.Send(add)
			require.Equal(s.b, pb.OpType_added, c.Read().GetOp())
		}
		a.conns, a.ws = append(a.conns, c.Net), append(a.ws, c)
	}
	return a
}

// first sends a message, reads it everywhere and returns the size of its frame,
// which is the same for all.
func (a *audience) first(tom *wstest.Conn, frame []byte) (size int) {
	tom.Write(frame)
	tom.Read()
	const smallHeader, header, small = 2, 4, 125
	for _, c := range a.ws {
		for range a.each {
			_, payload, err := c.ReadFrame()
			require.NoError(a.b, err)
			if size = len(payload) + smallHeader; len(payload) > small {
				size = len(payload) + header
			}
		}
	}
	return size
}

// read starts to read everything; wait waits until that many messages have come
// to everybody.
func (a *audience) read() (wait func(messages int)) {
	arrived := make(chan struct{}, len(a.conns))
	for _, c := range a.conns {
		a.readers.Go(func() {
			buf := make([]byte, 64<<10)
			for got, want := 0, a.size*a.each; ; {
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				for got += n; got >= want; got -= want {
					arrived <- struct{}{}
				}
			}
		})
	}
	return func(messages int) {
		for range messages * len(a.conns) {
			<-arrived
		}
	}
}

// close ends the connections and waits for the readers.
func (a *audience) close() {
	for _, c := range append(a.conns, a.peers...) {
		c.Close()
	}
	a.readers.Wait()
}

// bareSockets are as many TCP connections as n members have, without a server.
func bareSockets(b *testing.B, n int) *audience {
	const size = 250 // bytes of the message in BenchmarkRoom, about
	a := &audience{b: b, each: max(n/roomConnections, 1), size: size}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	defer l.Close()
	for range n / a.each {
		near, err := net.Dial("tcp", l.Addr().String())
		require.NoError(b, err)
		far, err := l.Accept()
		require.NoError(b, err)
		a.conns, a.peers = append(a.conns, near), append(a.peers, far)
	}
	return a
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
