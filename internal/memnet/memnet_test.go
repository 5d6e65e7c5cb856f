package memnet_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/memnet"
)

const addr = "rtm.test:80"

// connect returns both ends of a new connection.
func connect(t *testing.T, n *memnet.Network) (client, server *memnet.Conn) {
	t.Helper()
	l, err := n.Listen("")
	require.NoError(t, err)
	defer l.Close()
	c, err := n.Dial(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	s, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(); s.Close() })
	return c.(*memnet.Conn), s.(*memnet.Conn)
}

func readString(t *testing.T, c net.Conn, n int) string {
	t.Helper()
	p := make([]byte, n)
	_, err := io.ReadFull(c, p)
	require.NoError(t, err)
	return string(p)
}

func TestDialAndAccept(t *testing.T) {
	n := memnet.New()
	_, err := n.Dial(t.Context(), "tcp", addr)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)

	l, err := n.Listen(addr)
	require.NoError(t, err)
	require.Equal(t, addr, l.Addr().String())
	_, err = n.Listen(addr)
	require.ErrorIs(t, err, syscall.EADDRINUSE)

	client, err := n.Dial(t.Context(), "tcp", addr)
	require.NoError(t, err)
	server, err := l.Accept()
	require.NoError(t, err)
	require.Equal(t, client.LocalAddr(), server.RemoteAddr())
	require.Equal(t, client.RemoteAddr(), server.LocalAddr())
	host, _, err := net.SplitHostPort(server.RemoteAddr().String())
	require.NoError(t, err)
	require.NotNil(t, net.ParseIP(host))
	require.Same(t, server, client.(*memnet.Conn).Peer())
	require.Equal(t, []*memnet.Conn{client.(*memnet.Conn)}, n.Conns())

	_, err = client.Write([]byte("ping"))
	require.NoError(t, err)
	require.Equal(t, "ping", readString(t, server, 4))
	_, err = server.Write([]byte("pong"))
	require.NoError(t, err)
	require.Equal(t, "pong", readString(t, client, 4))

	require.NoError(t, client.Close())
	require.ErrorIs(t, client.Close(), net.ErrClosed)
	require.Len(t, n.Conns(), 1, "one end is still open")
	require.NoError(t, server.Close())
	require.Empty(t, n.Conns())

	pending, err := n.Dial(t.Context(), "tcp", addr)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.ErrorIs(t, l.Close(), net.ErrClosed)
	_, err = l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = pending.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET, "nobody will accept it")
	_, err = n.Dial(t.Context(), "tcp", addr)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	l, err = n.Listen(addr)
	require.NoError(t, err, "the address is free again")
	require.NoError(t, l.Close())
}

func TestAcceptWaitsAndEndsWithClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		l, err := n.Listen("")
		require.NoError(t, err)
		failed := make(chan error)
		go func() { _, err := l.Accept(); failed <- err }()
		synctest.Wait()
		l.Close()
		require.ErrorIs(t, <-failed, net.ErrClosed)
	})
}

func TestDialHookAndContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		l, err := n.Listen(addr)
		require.NoError(t, err)
		defer l.Close()
		refused := errors.New("refused by the test")
		n.SetDialHook(func(ctx context.Context, to string) error {
			require.Equal(t, addr, to)
			return refused
		})
		_, err = n.Dial(t.Context(), "tcp", addr)
		require.ErrorIs(t, err, refused)

		n.SetDialHook(func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = n.Dial(ctx, "tcp", addr)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		n.SetDialHook(nil)
		_, err = n.Dial(ctx, "tcp", addr)
		require.ErrorIs(t, err, context.DeadlineExceeded, "a finished context dials nothing")

		n.SetLatency(time.Hour)
		ctx, cancel2 := context.WithTimeout(t.Context(), time.Minute)
		defer cancel2()
		_, err = n.Dial(ctx, "tcp", addr)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Empty(t, n.Conns())
	})
}

func TestCloseLetsThePeerReadWhatWasWritten(t *testing.T) {
	client, server := connect(t, memnet.New())
	_, err := client.Write([]byte("last words"))
	require.NoError(t, err)
	require.NoError(t, client.Close())
	require.Equal(t, "last words", readString(t, server, 10))
	_, err = server.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err)
	_, err = server.Write([]byte("x"))
	require.ErrorIs(t, err, syscall.EPIPE)
	_, err = client.Write([]byte("x"))
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = client.Read(make([]byte, 1))
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestCloseWriteIsHalfOfAClose(t *testing.T) {
	client, server := connect(t, memnet.New())
	require.NoError(t, client.CloseWrite())
	require.ErrorIs(t, client.CloseWrite(), net.ErrClosed)
	_, err := server.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err)
	_, err = server.Write([]byte("answer"))
	require.NoError(t, err)
	require.Equal(t, "answer", readString(t, client, 6))
	require.NoError(t, client.Close())
}

func TestCloseWakesItsOwnReaderAndWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := connect(t, memnet.New())
		errs := make(chan error)
		go func() { _, err := client.Read(make([]byte, 1)); errs <- err }()
		go func() { _, err := client.Write(make([]byte, 1<<20)); errs <- err }()
		synctest.Wait()
		client.Close()
		require.ErrorIs(t, <-errs, net.ErrClosed)
		require.ErrorIs(t, <-errs, net.ErrClosed)
		n, err := io.Copy(io.Discard, server)
		require.NoError(t, err)
		require.EqualValues(t, 256<<10, n)
	})
}

func TestWriterBlocksWhileTheBufferIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := connect(t, memnet.New())
		start := time.Now()
		go func() {
			time.Sleep(time.Minute)
			_, _ = io.CopyN(io.Discard, server, 300<<10)
		}()
		n, err := client.Write(make([]byte, 300<<10))
		require.NoError(t, err)
		require.Equal(t, 300<<10, n)
		require.Equal(t, time.Minute, time.Since(start))
		synctest.Wait()
	})
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := connect(t, memnet.New())
		start := time.Now()
		require.NoError(t, client.SetReadDeadline(start.Add(time.Second)))
		_, err := client.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		var timeout net.Error
		require.ErrorAs(t, err, &timeout)
		require.True(t, timeout.Timeout())
		require.Equal(t, time.Second, time.Since(start))

		// A deadline that moves takes a waiting reader along.
		require.NoError(t, client.SetReadDeadline(time.Time{}))
		go func() {
			time.Sleep(time.Second)
			client.SetReadDeadline(time.Now().Add(time.Second))
			client.SetReadDeadline(time.Now().Add(2 * time.Second))
		}()
		_, err = client.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, 4*time.Second, time.Since(start))

		go func() {
			time.Sleep(time.Second)
			client.SetReadDeadline(time.Now())
		}()
		require.NoError(t, client.SetReadDeadline(time.Time{}))
		_, err = client.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)

		require.NoError(t, client.SetDeadline(time.Now().Add(time.Second)))
		n, err := client.Write(make([]byte, 1<<20))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, 256<<10, n)

		require.NoError(t, client.SetDeadline(time.Time{}))
		_, err = server.Write([]byte("still works"))
		require.NoError(t, err)
		require.Equal(t, "still works", readString(t, client, 11))
		require.NoError(t, client.Close())
		require.ErrorIs(t, client.SetDeadline(time.Time{}), net.ErrClosed)
	})
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		n.SetLatency(50 * time.Millisecond)
		start := time.Now()
		client, server := connect(t, n)
		require.Equal(t, 100*time.Millisecond, time.Since(start), "dialling takes a round trip")

		start = time.Now()
		client.Write([]byte("a"))
		time.Sleep(20 * time.Millisecond)
		client.Write([]byte("b"))
		client.SetLatency(0)
		client.Write([]byte("c")) // must not overtake
		client.Close()
		p := make([]byte, 10)
		for i, want := range []string{"a", "bc"} {
			n, err := server.Read(p)
			require.NoError(t, err)
			require.Equal(t, want, string(p[:n]))
			require.Equal(t, []time.Duration{50 * time.Millisecond, 70 * time.Millisecond}[i], time.Since(start))
		}
		_, err := server.Read(p)
		require.Equal(t, io.EOF, err)
	})
}

func TestLatencyDelaysTheEndToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := connect(t, memnet.New())
		client.SetLatency(time.Second)
		client.Close()
		start := time.Now()
		_, err := server.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		client, server := connect(t, n)
		client.Write([]byte("lost"))
		errs := make(chan error)
		go func() { _, err := client.Read(make([]byte, 1)); errs <- err }()
		go func() { _, err := client.Write(make([]byte, 1<<20)); errs <- err }()
		synctest.Wait()
		server.Cut()
		require.ErrorIs(t, <-errs, syscall.ECONNRESET)
		require.ErrorIs(t, <-errs, syscall.ECONNRESET)
		_, err := server.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.Empty(t, n.Conns())
		require.NoError(t, client.Close())
	})
}

func TestCutAfterLetsTheBeginningThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		client, server := connect(t, n)
		server.Write([]byte("before "))
		server.CutAfter(4)
		wrote, err := server.Write([]byte("half of it"))
		require.Equal(t, 4, wrote)
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.Equal(t, "before half", readString(t, client, 11))
		_, err = client.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		_, err = client.Write([]byte("x"))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.Empty(t, n.Conns())

		client, server = connect(t, n)
		server.Write([]byte("all"))
		server.CutAfter(0)
		require.Equal(t, "all", readString(t, client, 3))
		_, err = client.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
	})
}

func TestBlackhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := connect(t, memnet.New())
		server.Write([]byte("under way"))
		restore := client.Blackhole()
		again := server.Blackhole()
		client.Write([]byte("up"))
		require.NoError(t, client.SetReadDeadline(time.Now().Add(time.Hour)))
		_, err := client.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded, "nothing comes and nothing fails")
		require.NoError(t, client.SetReadDeadline(time.Time{}))
		server.Close() // the news of it does not pass either
		client.Write([]byte(" and away"))
		got := make(chan string, 1)
		go func() {
			p := make([]byte, 9)
			if _, err := io.ReadFull(client, p); err != nil {
				t.Error(err)
			}
			got <- string(p)
		}()
		synctest.Wait()
		require.Empty(t, got)

		restore()
		restore()
		synctest.Wait()
		require.Empty(t, got, "the other blackhole is still open")
		again()
		require.Equal(t, "under way", <-got)
		_, err = client.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
		_, err = client.Write([]byte("x"))
		require.ErrorIs(t, err, syscall.EPIPE)
	})
}

func TestCutDuringBlackholeIsFeltAtOnce(t *testing.T) {
	client, server := connect(t, memnet.New())
	restore := client.Blackhole()
	client.Cut()
	_, err := server.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	restore()
}

func TestBytesArriveInOrderWhateverTheirSizes(t *testing.T) {
	for _, latency := range []time.Duration{0, time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			client, server := connect(t, memnet.New())
			client.SetLatency(latency)
			rnd := rand.New(rand.NewPCG(1, 2))
			sent := make([]byte, 3<<20)
			for i := range sent {
				sent[i] = byte(rnd.Uint32())
			}
			go func() {
				for rest := sent; len(rest) > 0; {
					n := min(len(rest), 1+rnd.IntN(100<<10))
					_, _ = client.Write(rest[:n])
					rest = rest[n:]
				}
				client.Close()
			}()
			got, err := io.ReadAll(server)
			require.NoError(t, err)
			require.True(t, bytes.Equal(sent, got))
		})
	}
}

func TestHTTPServerOnIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		n.SetLatency(10 * time.Millisecond)
		l, err := n.Listen(addr)
		require.NoError(t, err)
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, r.Host+" "+r.RemoteAddr)
		})}
		var wg sync.WaitGroup
		wg.Go(func() { _ = server.Serve(l) })
		transport := &http.Transport{DialContext: n.Dial}
		client := &http.Client{Transport: transport}
		for range 3 {
			resp, err := client.Get("http://rtm.test/")
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			resp.Body.Close()
			require.Equal(t, "rtm.test 192.0.2.1:20000", string(body), "one connection serves all")
		}
		transport.CloseIdleConnections()
		require.NoError(t, server.Shutdown(t.Context()))
		wg.Wait()
	})
}

func BenchmarkEcho(b *testing.B) {
	n := memnet.New()
	l, _ := n.Listen("")
	client, _ := n.Dial(b.Context(), "tcp", l.Addr().String())
	server, _ := l.Accept()
	done := make(chan struct{})
	go func() { defer close(done); _, _ = io.Copy(server, server) }()
	p := make([]byte, 200)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = client.Write(p)
		_, _ = io.ReadFull(client, p)
	}
	client.Close()
	<-done
	server.Close()
	l.Close()
}
