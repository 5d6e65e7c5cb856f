package link_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/link"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rpc"
	"github.com/leanrtm/realtime/internal/wire"
)

// follows says which event may come after which; "" is the beginning.
var follows = map[string]string{
	"":           "disconnect schedule failed",
	"disconnect": "schedule offline",
	"schedule":   "retry offline schedule failed disconnect",     // schedule: the first dial was given up and begun again
	"retry":      "schedule reconnect offline disconnect failed", // disconnect, failed: of a first connection
	"reconnect":  "disconnect failed",
	"offline":    "online schedule disconnect failed", // anything but online: the first connection was given up
	"online":     "schedule",
	"failed":     "schedule disconnect failed",
}

// TestChaos lets random users and a random network at a link and checks that
// events come in an order that makes sense, that every call ends, and that the
// link comes back when it is left alone.
func TestChaos(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 10
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) { chaos(t, seed) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func chaos(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 0))
	h := newHarness(t)
	h.peer.Network.SetLatency(time.Duration(rnd.IntN(300)) * time.Millisecond)
	fatal := rnd.IntN(4) == 0
	stop := make(chan struct{})
	var users sync.WaitGroup
	user := func(act func(rnd *rand.Rand)) {
		rnd := rand.New(rand.NewPCG(seed, rnd.Uint64()))
		users.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Duration(1+rnd.IntN(3000)) * time.Millisecond):
					act(rnd)
				}
			}
		})
	}
	briefly := func(rnd *rand.Rand) (context.Context, context.CancelFunc) {
		return context.WithTimeout(context.Background(), time.Duration(rnd.IntN(5000))*time.Millisecond)
	}
	for range 3 {
		user(func(rnd *rand.Rand) {
			ctx, cancel := briefly(rnd)
			defer cancel()
			_ = h.link.Open(ctx, rnd.IntN(2) == 0)
		})
		user(func(rnd *rand.Rand) {
			ctx, cancel := briefly(rnd)
			defer cancel()
			reply, err := h.link.Do(ctx, query(fmt.Sprint(rnd.IntN(3))), link.CallOptions{Merge: rnd.IntN(2) == 0})
			if (reply == nil) == (err == nil) {
				t.Errorf("reply %v, error %v", reply, err)
			}
			if err != nil && !errors.Is(err, rpc.ErrDisconnected) && !errors.Is(err, rpc.ErrTimeout) {
				t.Errorf("unexpected error: %v", err)
			}
		})
	}
	user(func(rnd *rand.Rand) {
		switch rnd.IntN(4) {
		case 0:
			h.link.Pause()
		case 1, 2:
			h.link.Resume()
		case 3:
			_ = h.link.Retry()
		}
	})
	user(func(rnd *rand.Rand) {
		conns := h.peer.Network.Conns()
		if len(conns) == 0 {
			return
		}
		c := conns[rnd.IntN(len(conns))]
		switch rnd.IntN(6) {
		case 0:
			c.Cut()
		case 1:
			c.CutAfter(rnd.IntN(50))
		case 2:
			c.Peer().CutAfter(rnd.IntN(50))
		case 3:
			c.Blackhole()
		case 4:
			if s := h.peer.Sockets(); len(s) > 0 {
				s[len(s)-1].Send(&pb.GenericCommand{Cmd: pb.CommandType_goaway.Enum()})
			}
		case 5:
			if s := h.peer.Sockets(); len(s) > 0 {
				code := wire.CodeInternalError
				if fatal {
					code = wire.CodeInvalidLogin
				}
				s[len(s)-1].Close(code, "")
			}
		}
	})
	user(func(rnd *rand.Rand) {
		if rnd.IntN(2) == 0 {
			h.refuse()
		} else {
			h.accept()
		}
	})
	time.Sleep(2 * time.Minute)
	close(stop)
	users.Wait()

	// Left alone, it comes back, however it stood.
	h.accept()
	h.link.Resume()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
	defer cancel()
	for {
		require.NoError(t, h.link.Open(ctx, true))
		if _, err := h.link.Do(ctx, query("last"), link.CallOptions{}); err == nil {
			break // else the last connection was a blackhole
		}
	}
	require.NoError(t, h.link.Close(ctx))

	last := ""
	gen, lastGen := 0, 0
	for i, e := range h.log {
		kind, arg, _ := strings.Cut(e, "(")
		if strings.Contains(e, "in state") || !strings.Contains(" "+follows[last]+" ", " "+kind+" ") {
			t.Errorf("event %d: %s after %s", i, e, last)
		}
		last = kind
		switch kind {
		case "reconnect", "disconnect", "failed":
			if _, err := fmt.Sscanf(arg, "%d", &gen); err != nil || gen < lastGen || kind == "reconnect" && gen == lastGen {
				t.Errorf("event %d: %s after generation %d", i, e, lastGen)
			}
			lastGen = gen
		}
	}
	if t.Failed() {
		t.Log(h.log)
	}
}
