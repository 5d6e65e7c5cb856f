package server_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/wstest"
)

// get asks for a path and returns the answer with its JSON body.
func (e *env) get(method, path string, header http.Header) (*http.Response, map[string]any) {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), method, "http://"+addr+path, nil)
	require.NoError(e.t, err)
	for k, v := range header {
		req.Header[k] = v
	}
	if h := req.Header.Get("Host"); h != "" {
		req.Host = h
	}
	res, err := e.http.Do(req)
	require.NoError(e.t, err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	require.NoError(e.t, err)
	var body map[string]any
	if len(raw) > 0 {
		require.Equal(e.t, "application/json; charset=utf-8", res.Header.Get("Content-Type"))
		require.NoError(e.t, json.Unmarshal(raw, &body))
	}
	return res, body
}

func TestRoute(t *testing.T) {
	for name, tc := range map[string]struct {
		header http.Header
		fixed  string
		want   string
	}{
		"plain":            {nil, "", "ws://" + addr + "/"},
		"another name":     {http.Header{"Host": {"api.example.com"}}, "", "ws://api.example.com/"},
		"behind a proxy":   {http.Header{"X-Forwarded-Proto": {"https"}}, "", "wss://" + addr + "/"},
		"behind two":       {http.Header{"X-Forwarded-Proto": {"HTTPS, http"}}, "", "wss://" + addr + "/"},
		"plain to a proxy": {http.Header{"X-Forwarded-Proto": {"http, https"}}, "", "ws://" + addr + "/"},
		"configured":       {http.Header{"X-Forwarded-Proto": {"https"}}, "ws://fixed.test/rtm", "ws://fixed.test/rtm"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := options()
				o.SocketURL = tc.fixed
				e := newEnv(t, o)
				res, body := e.get("GET", "/v1/route?appId=whatever&secure=true&_t=1&features=wechat", tc.header)
				require.Equal(t, http.StatusOK, res.StatusCode)
				require.Equal(t, map[string]any{
					"server": tc.want, "secondary": tc.want, "ttl": 3600.0, "groupId": "g0", "groupUrl": tc.want,
				}, body)
			})
		})
	}
}

func TestOtherPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		for _, path := range []string{"/", "/v1/nothing", "/favicon.ico"} {
			res, body := e.get("GET", path, nil)
			require.Equal(t, http.StatusNotFound, res.StatusCode)
			require.Contains(t, body, "code")
			require.NotEmpty(t, body["error"])
		}
	})
}

func TestCORS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Origins = []string{"https://app.test"}
		e := newEnv(t, o)
		good, bad := http.Header{"Origin": {"https://app.test"}}, http.Header{"Origin": {"https://evil.test"}}

		res, _ := e.get("GET", "/v1/route", good)
		require.Equal(t, "https://app.test", res.Header.Get("Access-Control-Allow-Origin"))
		require.Equal(t, "Origin", res.Header.Get("Vary"))
		res, _ = e.get("GET", "/v1/route", bad)
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Empty(t, res.Header.Get("Access-Control-Allow-Origin"))
		res, _ = e.get("GET", "/v1/route", nil)
		require.Empty(t, res.Header.Get("Vary"))

		for _, h := range []http.Header{good, bad} {
			h = h.Clone()
			h.Set("Access-Control-Request-Method", "POST")
			h.Set("Access-Control-Request-Headers", "x-lc-id")
			res, _ = e.get("OPTIONS", "/1.1/rtm/anything", h)
			require.Equal(t, http.StatusNoContent, res.StatusCode)
			if h.Get("Origin") == "https://app.test" {
				require.Contains(t, res.Header.Get("Access-Control-Allow-Headers"), "X-LC-Id")
				require.Contains(t, res.Header.Get("Access-Control-Allow-Methods"), "DELETE")
			} else {
				require.Empty(t, res.Header.Get("Access-Control-Allow-Methods"))
			}
		}
	})
}

func TestSubprotocols(t *testing.T) {
	for name, tc := range map[string]struct {
		target  string
		offered []string
		status  int
		agreed  string // in the header
		text    bool
	}{
		"none":               {"/", []string{}, 101, "", false},
		"binary":             {"/", []string{wire.SubprotocolBinary}, 101, wire.SubprotocolBinary, false},
		"text":               {"/some/path?x=1", []string{wire.SubprotocolText}, 101, wire.SubprotocolText, true},
		"old binary":         {"/", []string{wire.SubprotocolBinaryOffline}, 101, wire.SubprotocolBinaryOffline, false},
		"old text":           {"/", []string{wire.SubprotocolTextOffline}, 101, wire.SubprotocolTextOffline, true},
		"one of them known":  {"/", []string{"lc.protobuf2.2", wire.SubprotocolText}, 101, wire.SubprotocolText, true},
		"only unknown":       {"/", []string{"lc.protobuf2.2", "chat"}, 400, "", false},
		"in the query":       {"/?subprotocol=" + wire.SubprotocolText, []string{}, 101, "", true},
		"unknown in a query": {"/?subprotocol=chat", []string{}, 400, "", false},
		"header wins":        {"/?subprotocol=chat", []string{wire.SubprotocolBinary}, 101, wire.SubprotocolBinary, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t, options())
				c, res := wstest.Try(t, e.net.Dial, addr, wstest.Request{Target: tc.target, Subprotocols: tc.offered})
				require.Equal(t, tc.status, res.StatusCode)
				require.Equal(t, tc.agreed, res.Header.Get("Sec-WebSocket-Protocol"))
				if c == nil {
					return
				}
				c.Codec.Text = tc.text
				c.Send(openCommand("tom"))
				require.Equal(t, "tom", c.Read().GetPeerId())
			})
		})
	}
}

func TestOrigins(t *testing.T) {
	for _, tc := range []struct {
		origins []string
		origin  string
		ok      bool
	}{
		{nil, "https://any.test", true},
		{[]string{"https://a.test"}, "", true},
		{[]string{"https://a.test"}, "https://a.test", true},
		{[]string{"https://a.test"}, "HTTPS://A.test", true},
		{[]string{"https://a.test"}, "http://a.test", false},
		{[]string{"https://a.test"}, "https://a.test:8443", false},
		{[]string{"https://a.test:8443"}, "https://a.test:8443", true},
		{[]string{"a.test"}, "http://a.test", true},
		{[]string{"a.test"}, "http://xa.test", false},
		{[]string{"*.a.test"}, "http://x.y.a.test", true},
		{[]string{"*.a.test"}, "http://a.test", false},
		{[]string{"*.a.test"}, "http://.a.test", false},
		{[]string{"*.a.test"}, "http://evila.test", false},
		{[]string{"https://*.a.test"}, "http://x.a.test", false},
		{[]string{"a.test"}, "null", false},
		{[]string{"a.test"}, "http://a.test.evil.test", false},
		{[]string{"a.test", "b.test"}, "https://b.test", true},
	} {
		t.Run(tc.origin, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := options()
				o.Origins = tc.origins
				e := newEnv(t, o)
				h := http.Header{}
				if tc.origin != "" {
					h.Set("Origin", tc.origin)
				}
				c := wstest.Dial(t, e.net.Dial, addr, wstest.Request{Header: h})
				c.Send(openCommand("tom"))
				got := c.Read()
				if tc.ok {
					require.Equal(t, "tom", got.GetPeerId())
					require.NotNil(t, got.SessionMessage)
					return
				}
				wantError(t, got, wire.CodeInvalidOrigin)
				c.WantClosed(wire.CodeInvalidOrigin)
			})
		})
	}
}

func TestRequestsAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		c := e.login("tom")
		go func() {
			c.Read()
			c.WantClosed(1001)
		}()
		require.NoError(t, e.srv.Shutdown(t.Context()))
		res, body := e.get("GET", "/v1/route", nil)
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
		require.NotEmpty(t, body["error"])
		_, res = wstest.Try(t, e.net.Dial, addr, wstest.Request{})
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	})
}

func TestShutdownWithoutPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		e.login("tom") // never answers the close frame
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, e.srv.Shutdown(ctx), context.Canceled)
	})
}
