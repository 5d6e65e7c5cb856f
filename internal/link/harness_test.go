package link_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/conn"
	"github.com/leanrtm/realtime/internal/link"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rttest"
	"github.com/leanrtm/realtime/internal/wire"
)

// harness is a link to a scripted peer, with everything it says written down.
type harness struct {
	t     *testing.T
	peer  *rttest.Peer
	link  *link.Link
	start time.Time

	mu     sync.Mutex
	log    []string // events and pushes, in order
	failed error    // of the last Disconnect or Failed
	fresh  []bool   // what each call of Endpoints asked for
	urls   []string
	urlErr error
}

// newHarness makes a link whose delays are 1 s, 2 s, 4 s and so on. Its fake
// clock starts with it.
func newHarness(t *testing.T, change ...func(o *link.Options)) *harness {
	h := &harness{t: t, peer: rttest.New(t), urls: []string{rttest.SocketURL}, start: time.Now()}
	o := link.Options{
		Endpoints: h.endpoints,
		Conn:      conn.Options{HTTPClient: h.peer.HTTPClient()},
		Backoff:   func(attempt int) time.Duration { return time.Second << attempt },
		OnEvent:   h.onEvent,
		OnPush: func(gen uint64, cmd *pb.GenericCommand, _ *wire.Block) {
			h.note(fmt.Sprintf("push(%d, %s)", gen, cmd.GetPeerId()))
		},
	}
	for _, f := range change {
		f(&o)
	}
	h.link = link.New(o)
	t.Cleanup(func() {
		require.NoError(t, h.link.Close(context.Background()))
		require.Equal(t, link.StateClosed, h.link.State())
	})
	return h
}

func (h *harness) endpoints(ctx context.Context, fresh bool) ([]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fresh = append(h.fresh, fresh)
	return h.urls, h.urlErr
}

func (h *harness) onEvent(e link.Event) {
	what := e.Kind.String()
	switch e.Kind {
	case link.EventSchedule:
		what = fmt.Sprintf("schedule(%d, %v)", e.Attempt, e.Delay)
	case link.EventRetry:
		what = fmt.Sprintf("retry(%d)", e.Attempt)
	case link.EventReconnect, link.EventDisconnect, link.EventFailed:
		what = fmt.Sprintf("%v(%d)", e.Kind, e.Gen)
	}
	if e.Err != nil {
		h.mu.Lock()
		h.failed = e.Err
		h.mu.Unlock()
	}
	if want, told := map[link.EventKind]link.State{
		link.EventSchedule: link.StateDisconnected, link.EventRetry: link.StateReconnecting,
		link.EventReconnect: link.StateConnected, link.EventOffline: link.StateOffline,
		link.EventOnline: link.StateDisconnected, link.EventFailed: link.StateErrored,
	}[e.Kind]; told && h.link.State() != want {
		what += " in state " + h.link.State().String()
	}
	h.note(what)
}

func (h *harness) note(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log = append(h.log, what)
}

// open connects.
func (h *harness) open() {
	h.t.Helper()
	require.NoError(h.t, h.link.Open(h.t.Context(), false))
	require.Equal(h.t, link.StateConnected, h.link.State())
}

// expect lets everything settle and compares what was noted since the last
// call.
func (h *harness) expect(want ...string) {
	h.t.Helper()
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(want) == 0 {
		require.Empty(h.t, h.log)
		return
	}
	require.Equal(h.t, want, h.log)
	h.log = nil
}

// pass lets time go by.
func (h *harness) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (h *harness) refuse() { h.peer.Refuse(http.StatusServiceUnavailable) }
func (h *harness) accept() { h.peer.Refuse(0) }

// connections returns how many sockets were ever opened.
func (h *harness) connections() int { return len(h.peer.Sockets()) }

func query(cid string) *pb.GenericCommand {
	return &pb.GenericCommand{
		Cmd: pb.CommandType_conv.Enum(), Op: pb.OpType_query.Enum(),
		ConvMessage: &pb.ConvCommand{Cid: proto.String(cid)},
	}
}

func pushFor(client string) *pb.GenericCommand {
	return &pb.GenericCommand{Cmd: pb.CommandType_direct.Enum(), PeerId: proto.String(client), DirectMessage: &pb.DirectCommand{}}
}

// silent is a handler that never answers.
func silent(*rttest.Socket, *pb.GenericCommand) *pb.GenericCommand { return nil }
