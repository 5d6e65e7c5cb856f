package realtime_test

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

const (
	loginClients     = 10_000
	loginConnections = 100
)

// crowd is many clients on fewer connections.
type crowd struct {
	b    *testing.B
	rts  []*realtime.Realtime
	ids  int
	mu   sync.Mutex
	open map[net.Conn]struct{} // what is dialled
	back sync.WaitGroup        // clients that are to come back
}

// newCrowd makes the connections, which are dialled by the first login on each.
func newCrowd(b *testing.B, url string) *crowd {
	c := &crowd{b: b, open: make(map[net.Conn]struct{})}
	for range loginConnections {
		transport := &http.Transport{DialContext: c.dial}
		b.Cleanup(transport.CloseIdleConnections)
		c.rts = append(c.rts, benchRealtimeWith(b, realtime.Options{
			Server: url, HTTPClient: &http.Client{Transport: transport},
			Backoff: func(int) time.Duration { return 0 },
		}))
	}
	return c
}

func (c *crowd) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	nc, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		c.mu.Lock()
		c.open[nc] = struct{}{}
		c.mu.Unlock()
	}
	return nc, err
}

// cut ends every TCP connection without a word.
func (c *crowd) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for nc := range c.open {
		_ = nc.Close() // some are closed already
	}
	clear(c.open)
}

// login logs n new clients in, one after the other on each connection.
func (c *crowd) login(n int) {
	var logins sync.WaitGroup
	for i, rt := range c.rts {
		logins.Go(func() {
			for id := i; id < n; id += len(c.rts) {
				tom := rt.NewIMClient("client-" + strconv.Itoa(c.ids+id))
				tom.OnReconnect(func(context.Context, *realtime.ReconnectEvent) { c.back.Done() })
				if err := tom.Open(context.Background()); err != nil {
					c.b.Error(err)
					return
				}
			}
		})
	}
	logins.Wait()
	c.ids += n
}

func loginCount() int {
	if testing.Short() {
		return loginClients / 10
	}
	return loginClients
}

// BenchmarkLogin logs 10,000 clients in over 100 connections, dialling
// included. Its floor exchanges frames of the sizes of a login and its answer
// over connections that exist.
func BenchmarkLogin(b *testing.B) {
	n := loginCount()
	b.Run("realtime", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			c := newCrowd(b, benchServer(b))
			b.StartTimer()
			c.login(n)
			b.StopTimer()
			c.close()
			b.StartTimer()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/client")
	})
	b.Run("floor", func(b *testing.B) { benchLoginFloor(b, n) })
}

// BenchmarkReconnect cuts the connections of 10,000 clients and waits until all
// are logged in again. Its floor is that of BenchmarkLogin.
func BenchmarkReconnect(b *testing.B) {
	n := loginCount()
	b.Run("realtime", func(b *testing.B) {
		c := newCrowd(b, benchServer(b))
		c.login(n)
		b.ResetTimer()
		for range b.N {
			c.back.Add(n)
			c.cut()
			c.back.Wait()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/client")
		b.StopTimer()
		c.close()
	})
	b.Run("floor", func(b *testing.B) { benchLoginFloor(b, n) })
}

func (c *crowd) close() {
	var closing sync.WaitGroup
	for _, rt := range c.rts {
		closing.Go(func() {
			if err := rt.Close(context.Background()); err != nil {
				c.b.Error(err)
			}
		})
	}
	closing.Wait()
	c.cut()
}

func benchLoginFloor(b *testing.B, n int) {
	login, opened := loginFrames(b)
	floors := make([]*echoFloor, loginConnections)
	for i := range floors {
		floors[i] = newEchoFloor(b, opened)
	}
	b.ResetTimer()
	for range b.N {
		var logins sync.WaitGroup
		for _, f := range floors {
			logins.Go(func() {
				for range n / len(floors) {
					f.one(login)
				}
			})
		}
		logins.Wait()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/client")
}

// loginFrames are a login and its answer as they are on the wire.
func loginFrames(b testing.TB) (login, opened []byte) {
	b.Helper()
	const token = 160 // bytes of a session token, about
	login, err := wire.Append(nil, &pb.GenericCommand{
		Cmd: pb.CommandType_session.Enum(), Op: pb.OpType_open.Enum(), I: proto.Int32(1000),
		AppId: proto.String(benchApp), PeerId: proto.String("client-1234"),
		SessionMessage: &pb.SessionCommand{
			Ua: proto.String("go/0.1.0"), R: proto.Bool(false), ConfigBitmap: proto.Int64(187),
			DeviceId: proto.String("0b6b8a4e-3f0d-4a3c-9a39-6a3d3a1e7c55"), LastPatchTime: proto.Int64(time.Now().UnixMilli()),
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	opened, err = wire.Append(nil, &pb.GenericCommand{
		Cmd: pb.CommandType_session.Enum(), Op: pb.OpType_opened.Enum(), I: proto.Int32(1000),
		PeerId: proto.String("client-1234"), Service: proto.Int32(wire.ServiceIM), ServerTs: proto.Int64(time.Now().UnixMilli()),
		SessionMessage: &pb.SessionCommand{St: proto.String(string(make([]byte, token))), StTtl: proto.Int32(172800)},
	})
	if err != nil {
		b.Fatal(err)
	}
	return login, opened
}
