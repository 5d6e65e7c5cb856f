package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/conn"
	"github.com/leanrtm/realtime/internal/link"
	"github.com/leanrtm/realtime/internal/memnet"
	"github.com/leanrtm/realtime/server"
)

// arrivals notes when clients come: their connections, and their logins.
type arrivals struct {
	mu              sync.Mutex
	dials, upgrades []time.Time
}

func (a *arrivals) note(list *[]time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	*list = append(*list, time.Now())
}

// peak is the largest number within one second, whenever that began.
func peak(times []time.Time) int {
	slices.SortFunc(times, time.Time.Compare)
	most, first := 0, 0
	for last := range times {
		for times[last].Sub(times[first]) >= time.Second {
			first++
		}
		most = max(most, last-first+1)
	}
	return most
}

// Five thousand clients, each on a connection of its own, lose their server at
// the same moment, and another one is there at once. They are the part of the
// client library that connects again, and a login. They come back spread in
// time: in no second more than a fifth of them try. (What happens when the server
// stays away is computed in internal/link.)
func TestReconnectStorm(t *testing.T) {
	clients := 5000
	if underRace {
		clients = 1000
	}
	synctest.Test(t, func(t *testing.T) { storm(t, clients) })
}

func storm(t *testing.T, clients int) {
	var (
		came    arrivals
		current atomic.Pointer[server.Server]
	)
	newServer := func() *server.Server {
		o := options()
		o.TokenKey = []byte("the same for all servers")
		srv, err := server.New(o)
		require.NoError(t, err)
		return srv
	}
	network := memnet.New()
	network.SetDialHook(func(_ context.Context, to string) error {
		if to != addr {
			return errors.New("there is nothing else on this network")
		}
		came.note(&came.dials)
		return nil
	})
	l, err := network.Listen(addr)
	require.NoError(t, err)
	hs := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		came.note(&came.upgrades)
		current.Load().ServeHTTP(w, r)
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = hs.Serve(l) }) // ends with an error always
	first := newServer()
	current.Store(first)

	tr := &http.Transport{DialContext: network.Dial, DisableKeepAlives: true}
	shared := &http.Client{Transport: tr}
	links := make([]*link.Link, clients)
	var logins sync.WaitGroup
	login := func(i int, gen uint64) {
		cmd := openCommand(fmt.Sprint("client-", i))
		cmd.I = nil // the link numbers commands
		if _, err := links[i].Do(t.Context(), cmd, link.CallOptions{Gen: gen}); err != nil {
			t.Error(err)
		}
		links[i].Settle(gen)
	}
	for i := range links {
		links[i] = link.New(link.Options{
			Endpoints: func(context.Context, bool) ([]string, error) { return []string{"ws://" + addr}, nil },
			Conn:      conn.Options{HTTPClient: shared, HeartbeatInterval: -1, SilenceTimeout: -1},
			OnEvent: func(e link.Event) {
				if e.Kind == link.EventReconnect {
					logins.Go(func() { login(i, e.Gen) })
				}
			},
		})
		logins.Go(func() {
			if err := links[i].Open(t.Context(), false); err != nil {
				t.Error(err)
			}
			login(i, links[i].Gen())
		})
	}
	logins.Wait()
	require.Equal(t, int64(clients), first.Stats().Sessions)

	came.dials, came.upgrades = nil, nil
	second := newServer()
	current.Store(second)
	require.NoError(t, first.Close()) // cuts them all off
	time.Sleep(time.Minute)

	st := second.Stats()
	require.Equal(t, int64(clients), st.Sessions, "everybody is back")
	require.Equal(t, uint64(clients), st.Logins)
	t.Logf("%d clients: at most %d connections and %d logins in a second", clients, peak(came.dials), peak(came.upgrades))
	require.Less(t, peak(came.dials), clients/5)
	require.Less(t, peak(came.upgrades), clients/5)

	var closing sync.WaitGroup
	for _, l := range links {
		closing.Go(func() { _ = l.Close(context.Background()) })
	}
	closing.Wait()
	require.NoError(t, second.Close())
	hs.Close()
	serving.Wait()
}
