package nowait_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/memnet"
	"github.com/leanrtm/realtime/internal/nowait"
)

// pipes are the connections that can be written to without waiting.
func pipes(t *testing.T) map[string]func() (here, there net.Conn) {
	listen := func(l net.Listener, err error, dial func() (net.Conn, error)) (here, there net.Conn) {
		require.NoError(t, err)
		defer l.Close()
		here, err = dial()
		require.NoError(t, err)
		there, err = l.Accept()
		require.NoError(t, err)
		t.Cleanup(func() { here.Close(); there.Close() })
		return here, there
	}
	all := map[string]func() (here, there net.Conn){
		"memory": func() (here, there net.Conn) {
			n := memnet.New()
			l, err := n.Listen("peer.test:80")
			return listen(l, err, func() (net.Conn, error) { return n.Dial(t.Context(), "tcp", "peer.test:80") })
		},
	}
	if runtime.GOOS != "windows" {
		all["tcp"] = func() (here, there net.Conn) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			return listen(l, err, func() (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) })
		}
	}
	return all
}

// A peer that does not read makes a write come to an end, not wait; and what
// was taken arrives, once and in order.
func TestWhatIsTakenArrives(t *testing.T) {
	for name, open := range pipes(t) {
		t.Run(name, func(t *testing.T) {
			here, there := open()
			var w nowait.Writer
			require.False(t, w.Possible())
			w.Init(here)
			require.True(t, w.Possible())
			var sent []byte
			for block := byte(0); ; block++ {
				p := bytes.Repeat([]byte{block}, 64<<10)
				n := w.Write(p)
				sent = append(sent, p[:n]...)
				if n < len(p) {
					break
				}
			}
			require.NotEmpty(t, sent)
			got := make([]byte, len(sent))
			_, err := io.ReadFull(there, got)
			require.NoError(t, err)
			require.True(t, bytes.Equal(sent, got))
		})
	}
}

func TestAClosedConnectionTakesNothing(t *testing.T) {
	for name, open := range pipes(t) {
		t.Run(name, func(t *testing.T) {
			here, _ := open()
			var w nowait.Writer
			w.Init(here)
			require.NoError(t, here.Close())
			require.Zero(t, w.Write([]byte("x")))
			_, err := here.Write([]byte("x"))
			require.Error(t, err, "who writes the rest sees it")
		})
	}
}

func TestThereIsNoSuchWriteOverTLS(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	var w nowait.Writer
	w.Init(tls.Client(here, new(tls.Config)))
	require.False(t, w.Possible())
	w.Init(here)
	require.False(t, w.Possible())
}
