package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/memnet"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/server"
)

// pair is two servers on one store, and a router that knows which of them
// clients should connect to.
type pair struct {
	t       *testing.T
	net     *memnet.Network
	http    *http.Client
	servers [2]*server.Server
	current atomic.Int32
}

const pairRouter = "router.test"

func newPair(t *testing.T, change func(o *server.Options)) *pair {
	p := &pair{t: t, net: memnet.New()}
	p.net.SetLatency(ms)
	tr := &http.Transport{DialContext: p.net.Dial}
	p.http = &http.Client{Transport: tr}
	store := server.NewMemoryStore()
	var serving sync.WaitGroup
	serve := func(addr string, h http.Handler) *http.Server {
		l, err := p.net.Listen(addr)
		require.NoError(t, err)
		hs := &http.Server{Handler: h}
		serving.Go(func() { _ = hs.Serve(l) }) // ends with an error always
		return hs
	}
	var all []*http.Server
	for i := range p.servers {
		o := options()
		o.Store, o.TokenKey = store, []byte("the same for both servers")
		o.SocketURL = fmt.Sprintf("ws://server-%d.test/", i)
		change(&o)
		srv, err := server.New(o)
		require.NoError(t, err)
		p.servers[i] = srv
		all = append(all, serve(fmt.Sprintf("server-%d.test:80", i), srv))
	}
	all = append(all, serve(pairRouter+":80", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.servers[p.current.Load()].ServeHTTP(w, r)
	})))
	t.Cleanup(func() {
		for _, srv := range p.servers {
			require.NoError(t, srv.Close())
		}
		tr.CloseIdleConnections()
		for _, hs := range all {
			hs.Close()
		}
		serving.Wait()
		require.NoError(t, store.Close())
	})
	return p
}

// client logs in on a connection of its own and notes what it hears.
func (p *pair) client(id string, change ...func(o *realtime.Options)) (*realtime.IMClient, *heardTexts) {
	o := realtime.Options{AppID: appID, AppKey: "the-app-key", Server: "http://" + pairRouter, HTTPClient: p.http}
	for _, f := range change {
		f(&o)
	}
	rt, err := realtime.New(o)
	require.NoError(p.t, err)
	p.t.Cleanup(func() { require.NoError(p.t, rt.Close(context.Background())) })
	c := rt.NewIMClient(id)
	heard := new(heardTexts)
	c.OnMessage(func(_ context.Context, e *realtime.MessageEvent) { heard.add(e.Message.Text()) })
	require.NoError(p.t, c.Open(p.t.Context()))
	return c, heard
}

type heardTexts struct {
	mu    sync.Mutex
	texts []string
}

func (h *heardTexts) add(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.texts = append(h.texts, text)
}

func (h *heardTexts) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.texts
}

// A server is replaced while everybody talks. What was in flight is answered,
// everybody moves to the other server, and what was acknowledged is in the history
// once and was heard once, in order, by all others.
func TestClientsMoveToAnotherServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, func(o *server.Options) {
			o.Hooks = &server.Hooks{MessageReceived: func(context.Context, *server.MessageReceived) (server.MessageVerdict, error) {
				time.Sleep(30 * ms) // so that something is always in flight
				return server.MessageVerdict{}, nil
			}}
		})
		const people = 8
		var clients [people]*realtime.IMClient
		var heard [people]*heardTexts
		var ids []string
		for i := range people {
			ids = append(ids, fmt.Sprint("client-", i))
			clients[i], heard[i] = p.client(ids[i])
		}
		conv, err := clients[0].CreateConversation(t.Context(), realtime.ConversationOptions{Members: ids})
		require.NoError(t, err)

		var (
			mu       sync.Mutex
			acked    = make(map[string]bool) // texts
			unknown  int
			talking  sync.WaitGroup
			stopping = make(chan struct{})
		)
		for i, c := range clients {
			own, err := c.GetConversation(t.Context(), conv.ID())
			require.NoError(t, err)
			var opts []realtime.SendOption
			patient := i%2 == 0
			if patient {
				opts = append(opts, realtime.WithRetry())
			}
			talking.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stopping:
						return
					case <-time.After(time.Duration(5+i) * ms):
					}
					text := fmt.Sprintf("%d from %s", n, c.ID())
					_, err := own.Send(t.Context(), realtime.NewTextMessage(text), opts...)
					mu.Lock()
					switch {
					case err == nil:
						acked[text] = true
					case patient:
						t.Errorf("%s: %v", text, err)
					case errors.Is(err, realtime.ErrOutcomeUnknown):
						unknown++
					default:
						require.ErrorIs(t, err, realtime.ErrDisconnected)
					}
					mu.Unlock()
				}
			})
		}
		time.Sleep(500 * ms)
		p.current.Store(1)
		begin := time.Now()
		require.NoError(t, p.servers[0].Shutdown(t.Context()))
		require.Less(t, time.Since(begin), 200*ms)
		mu.Lock()
		before := len(acked)
		mu.Unlock()
		require.Greater(t, before, people*5)
		time.Sleep(20 * time.Second)
		close(stopping)
		talking.Wait()
		time.Sleep(time.Minute)

		require.Zero(t, p.servers[0].Stats().Connections)
		require.Equal(t, int64(people), p.servers[1].Stats().Sessions)
		require.Equal(t, uint64(people), p.servers[1].Stats().LoginsResumed)
		require.Equal(t, map[int]uint64{0: people}, p.servers[0].Stats().Disconnects, "they went by themselves")
		mu.Lock()
		defer mu.Unlock()
		require.Greater(t, len(acked), before+people*20, "they went on")
		var history []string
		for m, err := range conv.Messages(t.Context(), realtime.MessageQuery{Direction: realtime.OldToNew}) {
			require.NoError(t, err)
			history = append(history, m.Text())
		}
		stored := make(map[string]bool)
		for _, text := range history {
			require.False(t, stored[text], "%q is stored twice", text)
			stored[text] = true
		}
		for text := range acked {
			require.True(t, stored[text], "%q was acknowledged and is lost", text)
		}
		require.LessOrEqual(t, len(stored), len(acked)+unknown)
		for i, h := range heard {
			var want []string
			for _, text := range history {
				if !strings.HasSuffix(text, " from "+ids[i]) {
					want = append(want, text)
				}
			}
			require.Equal(t, want, h.all(), "what %s heard", ids[i])
		}
	})
}

// A message that a slow hook decides about is heard by everybody before anybody is
// told to go, however fast they come back elsewhere.
func TestNobodyGoesBeforeASlowCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, func(o *server.Options) {
			o.Hooks = &server.Hooks{MessageReceived: func(_ context.Context, m *server.MessageReceived) (server.MessageVerdict, error) {
				if strings.Contains(m.Content.Data, "slow") {
					time.Sleep(4500 * ms)
				}
				return server.MessageVerdict{}, nil
			}}
		})
		hasty := func(o *realtime.Options) { o.Backoff = func(int) time.Duration { return ms } }
		tom, _ := p.client("Tom", hasty)
		jerry, heard := p.client("Jerry", hasty)
		conv, err := tom.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"Jerry"}})
		require.NoError(t, err)
		var sending sync.WaitGroup
		sending.Go(func() {
			_, err := conv.Send(t.Context(), realtime.NewTextMessage("slow"))
			require.NoError(t, err, "it is acknowledged")
		})
		synctest.Wait()
		time.Sleep(100 * ms)
		p.current.Store(1)
		require.NoError(t, p.servers[0].Shutdown(t.Context()))
		sending.Wait()
		time.Sleep(10 * time.Second)
		require.Equal(t, []string{"slow"}, heard.all())
		require.Equal(t, int64(2), p.servers[1].Stats().Sessions)
		_, err = jerry.OnlineClients(t.Context(), "Tom")
		require.NoError(t, err)
	})
}

// Who is told to go may ask where to, has time for it, and is closed only then.
func TestTimeToGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		c := e.login("tom")
		result := make(chan error)
		go func() { result <- e.srv.Shutdown(t.Context()) }()
		require.Equal(t, pb.CommandType_goaway, c.Read().GetCmd())
		told := time.Now()
		time.Sleep(2900 * ms)
		res, body := e.get("GET", "/v1/route?appId="+appID, nil)
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.EqualValues(t, 1, body["ttl"], "not to be remembered")
		require.NotEmpty(t, body["server"])
		res, _ = e.get("GET", "/1.2/rtm/clients/check-online", nil)
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
		c.WantClosed(1001)
		require.InDelta(t, 3, time.Since(told).Seconds(), 0.02, "the network takes its time")
		require.NoError(t, <-result)
		res, _ = e.get("GET", "/v1/route?appId="+appID, nil)
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	})
}

// A peer that reads no more of what it downloads, or sends no more of what it
// uploads, keeps nobody from ending the server.
func TestStalledPeersDoNotKeepTheServer(t *testing.T) {
	const size = 2 << 20 // more than the network takes
	const patience = 30 * time.Second
	ends := map[string]struct {
		end  func(*testing.T, *server.Server) error
		err  error
		took time.Duration
	}{
		"close": {func(_ *testing.T, srv *server.Server) error { return srv.Close() }, nil, 0},
		"shutdown": {func(t *testing.T, srv *server.Server) error {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			return srv.Shutdown(ctx)
		}, context.DeadlineExceeded, patience},
	}
	stalls := map[string]func(t *testing.T, e *env, f grantedFile){
		"download": func(t *testing.T, e *env, f grantedFile) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, f.UploadURL, strings.NewReader(strings.Repeat("x", size)))
			require.NoError(t, err)
			res, err := e.http.Do(req)
			require.NoError(t, err)
			res.Body.Close()
			require.Equal(t, http.StatusOK, res.StatusCode)
			e.raw("GET " + f.URL + " HTTP/1.1\r\nHost: " + addr + "\r\n\r\n")
		},
		"upload": func(_ *testing.T, e *env, f grantedFile) {
			e.raw(fmt.Sprintf("PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", f.UploadURL, addr, size, strings.Repeat("x", size/2)))
		},
	}
	for how, tc := range ends {
		for what, stall := range stalls {
			t.Run(how+" and "+what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e := newEnv(t, options())
					stall(t, e, e.grantFile())
					synctest.Wait()
					begin := time.Now()
					result := make(chan error, 1)
					go func() { result <- tc.end(t, e.srv) }()
					select {
					case err := <-result:
						require.ErrorIs(t, err, tc.err)
						require.Equal(t, tc.took, time.Since(begin))
					case <-time.After(time.Hour):
						t.Error("it waits for the peer")
					}
				})
			})
		}
	}
}

// grantedFile is a file that may be uploaded.
type grantedFile struct {
	URL       string `json:"url"`
	UploadURL string `json:"upload_url"`
}

func (e *env) grantFile() (f grantedFile) {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), http.MethodPost, "http://"+addr+"/1.1/fileTokens", strings.NewReader(`{"name":"large"}`))
	require.NoError(e.t, err)
	req.Header.Set("X-LC-Id", appID)
	req.Header.Set("X-LC-Key", masterKey+",master")
	req.Header.Set("Content-Type", "application/json")
	res, err := e.http.Do(req)
	require.NoError(e.t, err)
	defer res.Body.Close()
	require.Equal(e.t, http.StatusOK, res.StatusCode)
	require.NoError(e.t, json.NewDecoder(res.Body).Decode(&f))
	return f
}

// raw writes to a connection of its own, and reads nothing.
func (e *env) raw(text string) {
	e.t.Helper()
	nc, err := e.net.Dial(e.t.Context(), "tcp", addr)
	require.NoError(e.t, err)
	e.t.Cleanup(func() { nc.Close() })
	_, err = io.WriteString(nc, text)
	require.NoError(e.t, err)
}
