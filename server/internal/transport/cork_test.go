package transport_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/transport"
	"github.com/leanrtm/realtime/server/internal/wstest"
)

// corking answers every command as the reader that is about to write itself.
type corking struct {
	*transport.Conn
	size int // bytes of an answer, about
}

func (c *corking) Command(cmd *pb.GenericCommand) (done bool) {
	c.Cork()
	answer := command(cmd.GetI())
	detail := string(make([]byte, c.size))
	answer.ErrorMessage = &pb.ErrorCommand{Code: new(int32), Reason: new(string), Detail: &detail}
	frame, err := wire.Append(nil, answer)
	if err != nil {
		panic(err)
	}
	c.Reply(nil, frame)
	return true
}

func (c *corking) Closed(transport.Why) {}

// overTCP starts a server on the loopback interface: only there can the reader
// write, and a test see that.
func overTCP(t *testing.T, size int) (*transport.Server, *wstest.Conn) {
	srv := transport.NewServer(options())
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := srv.Serve(w, r, spoken, wire.SubprotocolBinary, func(c *transport.Conn) transport.Receiver {
			return &corking{Conn: c, size: size}
		})
		if err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(func() {
		srv.Close()
		hs.Close()
	})
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	return srv, wstest.Dial(t, dial, hs.Listener.Addr().String(), wstest.Request{})
}

// Commands that arrive together are answered together, and what is answered does
// not wait for the rest of a frame that has only begun.
func TestReaderWritesWhatItAnswers(t *testing.T) {
	const n = 5
	srv, c := overTCP(t, 10)
	var together []byte
	for i := range n {
		together = append(together, c.Encode(command(int32(i+1)))...)
	}
	last := c.Encode(command(n + 1))
	c.Write(append(together, last[:3]...))
	for i := range n {
		require.Equal(t, int32(i+1), c.Read().GetI())
	}
	c.Write(last[3:])
	require.Equal(t, int32(n+1), c.Read().GetI())
	require.LessOrEqual(t, srv.Stats().Writes, uint64(3), "one for what came together, one for the last")
}

// A peer that reads late gets everything in its order: what the kernel does not
// take at once is left to the writer.
func TestReaderDoesNotWaitForAPeer(t *testing.T) {
	const n = 3000
	_, c := overTCP(t, 3000)
	written := make(chan struct{})
	go func() { // ends when the server has read all
		defer close(written)
		for i := range n {
			c.Write(c.Encode(command(int32(i + 1))))
		}
	}()
	for i := range n {
		if i == 0 {
			<-written // it reads on although nobody reads its answers
		}
		require.Equal(t, int32(i+1), c.Read().GetI())
	}
}
