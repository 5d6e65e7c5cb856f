package realtimetest_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/server"
)

func TestClientsTalk(t *testing.T) {
	talkOnce := func(t *testing.T) {
		s := realtimetest.NewServer(t)
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := talk(t, tom, "Jerry")
		events := jerry.Events(t.Context())
		require.NoError(t, say(t, conv, "Get up!"))
		for e, err := range events {
			require.NoError(t, err)
			if m, ok := e.(*realtime.MessageEvent); ok {
				require.Equal(t, "Get up!", m.Message.Text())
				require.Equal(t, "Tom", m.Message.From)
				require.Equal(t, conv.ID(), m.Conversation.ID())
				return
			}
		}
	}
	t.Run("in a bubble", func(t *testing.T) { synctest.Test(t, talkOnce) })
	t.Run("in real time", talkOnce)
}

func TestClientIsOnADeviceOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t)
		first := s.Client("Tom", realtime.WithTag("Mobile"))
		second := s.Client("Tom", realtime.WithTag("Mobile"))
		wait(time.Second)
		require.ErrorIs(t, first.Err(), realtime.ErrSessionConflict)
		require.NoError(t, second.Err())
		require.NotSame(t, first.Realtime(), second.Realtime())
	})
}

func TestClientThatCannotLogInFailsTheTest(t *testing.T) {
	b := &brokenTest{TB: t}
	s := realtimetest.NewServer(b)
	defer s.Refuse()()
	fails := b.run(func() { s.Client("Tom") })
	require.Len(t, fails, 1)
	require.Contains(t, fails[0], `log in "Tom"`)
}

func TestOptionsAreForTheCodeUnderTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t)
		o := s.Options()
		require.Equal(t, s.AppID, o.AppID)
		require.Equal(t, s.AppKey, o.AppKey)
		require.Equal(t, s.URL, o.Server)
		o.NoBinary = true
		rt, err := realtime.New(o)
		require.NoError(t, err)
		defer rt.Close(t.Context())
		_, err = rt.CreateIMClient(t.Context(), "Tom")
		require.NoError(t, err)
	})
}

func TestServerOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t, realtimetest.WithServerOptions(func(o *server.Options) {
			o.Apps[0].ID = "another"
			o.Apps[0].VerifyLogin = true
			o.Limits.MessageSize = 100
		}))
		require.Equal(t, "another", s.AppID)

		signer := realtime.WithSigner(realtime.MasterKeySigner(s.MasterKey))
		conv := talk(t, s.Client("Tom", signer), "Jerry")
		require.NoError(t, say(t, conv, "short"))
		require.ErrorIs(t, say(t, conv, strings.Repeat("long", 100)), realtime.ErrFrameTooLong)

		rt, err := realtime.New(s.Options())
		require.NoError(t, err)
		defer rt.Close(t.Context())
		_, err = rt.CreateIMClient(t.Context(), "Jerry")
		require.ErrorIs(t, err, realtime.ErrSignatureFailed)
	})
}

func TestServerOptionsThatAreWrongFailTheTest(t *testing.T) {
	b := &brokenTest{TB: t}
	fails := b.run(func() {
		realtimetest.NewServer(b, realtimetest.WithServerOptions(func(o *server.Options) { o.Apps = nil }))
	})
	require.Len(t, fails, 1)
	require.Contains(t, fails[0], "make the server")
}

func TestLatencyIsEachWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const latency = 300 * time.Millisecond
		s := realtimetest.NewServer(t, realtimetest.WithLatency(latency))
		conv := talk(t, s.Client("Tom"), "Jerry")
		start := time.Now()
		require.NoError(t, say(t, conv, "far away"))
		require.Equal(t, 2*latency, time.Since(start))
	})
}

func TestHTTPClientReachesTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t)
		resp, err := s.HTTPClient().Get(s.URL + "/v1/route?appId=" + s.AppID + "&secure=false")
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, http.StatusOK, resp.StatusCode)
		var route struct {
			Server, Secondary string
			TTL               int
		}
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&route))
		require.True(t, strings.HasPrefix(route.Server, "ws://rtm.test"), route.Server)
		require.Positive(t, route.TTL)
	})
}

func TestCommandsAreRecordedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t)
		start := time.Now()
		tom := s.Client("Tom")
		conv := talk(t, tom, "Jerry")
		wait(time.Hour)
		require.NoError(t, say(t, conv, "hello", realtime.WithDedupToken("token-1")))
		require.NoError(t, tom.Close(t.Context()))
		synctest.Wait()

		var list []realtimetest.Command
		for _, c := range s.Commands() {
			if c.Name != "echo" {
				list = append(list, c)
			}
		}
		require.Equal(t, []realtimetest.Command{
			{Name: "session/open", ClientID: "Tom", At: start},
			{Name: "conv/start", ClientID: "Tom", At: start},
			{Name: "direct", ClientID: "Tom", ConversationID: conv.ID(), DedupToken: "token-1", At: start.Add(time.Hour)},
			{Name: "session/close", ClientID: "Tom", At: start.Add(time.Hour)},
		}, list)
	})
}

func TestHandlerServesTheOutside(t *testing.T) {
	s := realtimetest.NewServer(t)
	outside := httptest.NewServer(s.Handler())
	defer outside.Close()
	defer outside.CloseClientConnections()

	o := s.Options()
	o.Server, o.Dial = outside.URL, nil
	o.Backoff = func(int) time.Duration { return time.Millisecond }
	rt, err := realtime.New(o)
	require.NoError(t, err)
	defer rt.Close(t.Context())
	tom, err := rt.CreateIMClient(t.Context(), "Tom")
	require.NoError(t, err)
	jerry := s.Client("Jerry")
	conv := talk(t, tom, "Jerry")

	t.Run("messages pass", func(t *testing.T) {
		events := jerry.Events(t.Context())
		require.NoError(t, say(t, conv, "from outside"))
		for e, err := range events {
			require.NoError(t, err)
			if m, ok := e.(*realtime.MessageEvent); ok {
				require.Equal(t, "from outside", m.Message.Text())
				break
			}
		}
	})
	t.Run("faults work", func(t *testing.T) {
		events := tom.Events(t.Context())
		s.Cut("Tom")
		for e, err := range events {
			require.NoError(t, err)
			if _, ok := e.(*realtime.ReconnectEvent); ok {
				break
			}
		}
		require.NoError(t, say(t, conv, "still outside"))
	})
	t.Run("refused", func(t *testing.T) {
		defer s.Refuse()()
		resp, err := outside.Client().Get(outside.URL + "/v1/route?appId=" + s.AppID)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusBadGateway, resp.StatusCode)
	})
}

// Who comes over TLS is told to stay on TLS.
func TestHandlerBehindTLS(t *testing.T) {
	s := realtimetest.NewServer(t)
	outside := httptest.NewTLSServer(s.Handler())
	defer outside.Close()
	defer outside.CloseClientConnections()
	o := s.Options()
	o.Server, o.Dial, o.NoSSL = outside.URL, nil, false
	roots := x509.NewCertPool()
	roots.AddCert(outside.Certificate())
	o.TLSConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	rt, err := realtime.New(o)
	require.NoError(t, err)
	defer rt.Close(t.Context())
	tom, err := rt.CreateIMClient(t.Context(), "Tom")
	require.NoError(t, err)
	require.NoError(t, say(t, talk(t, tom, "Jerry"), "secretly"))
}

func TestCloseIsFinalAndIdempotent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t)
		tom := s.Client("Tom")
		events := record(t, tom)
		s.Close()
		s.Close()
		require.Equal(t, []string{"disconnect", "schedule(0)"}, names(events.take()))
		_, err := s.HTTPClient().Get(s.URL + "/v1/route?appId=" + s.AppID)
		require.Error(t, err)
		require.NoError(t, tom.Close(t.Context()))
	})
}

// A server in a black hole, with commands held back, must end all the same.
func TestCloseDuringFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t)
		tom, mary := s.Client("Tom"), s.Client("Mary")
		conv := talk(t, mary, "Tom")
		s.Inject(realtimetest.Fault{Command: "direct", Do: realtimetest.Delay(time.Hour)})
		s.Inject(realtimetest.Fault{Command: "direct", Pushes: true, Do: realtimetest.Delay(time.Hour)})
		s.Blackhole()
		s.Refuse()
		var sends sync.WaitGroup
		sends.Go(func() { _ = say(t, conv, "into the dark") })
		synctest.Wait()
		s.Close()
		sends.Wait()
		require.NoError(t, tom.Close(t.Context()))
	})
}

// logTest notes what is written to the log of a test.
type logTest struct {
	testing.TB
	mu    sync.Mutex
	lines strings.Builder
	ends  []func()
}

func (l *logTest) Helper()          {}
func (l *logTest) Cleanup(f func()) { l.ends = append(l.ends, f) }
func (l *logTest) Output() io.Writer {
	return writerFunc(func(p []byte) (int, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.lines.Write(p)
	})
}

func (l *logTest) end() {
	for i := len(l.ends) - 1; i >= 0; i-- {
		l.ends[i]()
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestLogsUntilTheTestEnds(t *testing.T) {
	l := &logTest{TB: t}
	s := realtimetest.NewServer(l)
	logger := s.Options().Logger
	logger.Info("during the test", "client_id", "Tom")
	require.Contains(t, l.lines.String(), `msg="during the test" from=client client_id=Tom`)
	l.end()
	before := l.lines.String()
	logger.Info("after the test")
	require.Equal(t, before, l.lines.String())
}
