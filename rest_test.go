package realtime_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rttest"
	"github.com/leanrtm/realtime/internal/wire"
)

func TestDoAddsCredentialsToRelativeURLsOnly(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var got *http.Request
		var body string
		handler := func(rw http.ResponseWriter, r *http.Request) {
			text, _ := io.ReadAll(r.Body)
			got, body = r, string(text)
			rw.WriteHeader(http.StatusTeapot)
		}
		w.peer.HandleHTTP("POST /api/1.1/classes/{class}", handler)

		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/1.1/classes/To%2Fdo?limit=1", strings.NewReader("{}"))
		require.NoError(t, err)
		req.Header.Set("X-Own", "own")
		resp, err := w.rt.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusTeapot, resp.StatusCode, "whatever the status")
		require.Equal(t, "/api/1.1/classes/To%2Fdo", got.URL.EscapedPath())
		require.Equal(t, "limit=1", got.URL.RawQuery)
		require.Equal(t, "{}", body)
		require.Equal(t, "app", got.Header.Get("X-LC-Id"))
		require.Equal(t, secretKey, got.Header.Get("X-LC-Key"))
		require.Equal(t, "everywhere", got.Header.Get("X-Custom"))
		require.Equal(t, "own", got.Header.Get("X-Own"))
		require.Empty(t, req.Header.Get("X-LC-Key"), "the caller's request was changed")
		require.Empty(t, req.URL.Host)

		req, err = http.NewRequestWithContext(t.Context(), http.MethodPost, rttest.URL+"/api/1.1/classes/Todo", nil)
		require.NoError(t, err)
		resp, err = w.rt.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		for _, name := range []string{"X-LC-Id", "X-LC-Key", "X-Custom"} {
			require.Empty(t, got.Header.Get(name), name)
		}

		_, err = w.rt.Do(nil)
		require.ErrorIs(t, err, realtime.ErrInvalidArgument)

		require.NoError(t, w.rt.Close(t.Context()))
		_, err = w.rt.Do(req)
		require.ErrorIs(t, err, realtime.ErrClosed)
		req.URL.Host, req.URL.Scheme = "", ""
		_, err = w.rt.Do(req)
		require.ErrorIs(t, err, realtime.ErrClosed)
	}, func(o *realtime.Options) {
		o.Server = rttest.URL + "/api/"
		o.Header = http.Header{"X-Custom": {"everywhere"}}
	})
}

func TestCredentialsDoNotFollowARedirect(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		keys := make(map[string]string)
		w.peer.HandleHTTP("GET /here", func(rw http.ResponseWriter, r *http.Request) {
			keys["first"] = r.Header.Get("X-LC-Key")
			http.Redirect(rw, r, "/there", http.StatusFound)
		})
		w.peer.HandleHTTP("GET /there", func(rw http.ResponseWriter, r *http.Request) {
			keys["same host"] = r.Header.Get("X-LC-Key")
			http.Redirect(rw, r, "http://elsewhere.test/", http.StatusFound)
		})
		listener, err := w.peer.Network.Listen("elsewhere.test:80")
		require.NoError(t, err)
		elsewhere := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			keys["elsewhere"] = r.Header.Get("X-LC-Key") + r.Header.Get("X-LC-IM-Session-Token")
		})}
		go func() { _ = elsewhere.Serve(listener) }()
		defer func() { require.NoError(t, elsewhere.Close()) }()

		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/here", nil)
		require.NoError(t, err)
		resp, err := w.rt.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, map[string]string{"first": secretKey, "same host": secretKey, "elsewhere": ""}, keys)
	})
}

func TestDoFailures(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/x?token=hunter2", nil)
		require.NoError(t, err)
		_, err = w.rt.Do(req)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hunter2")

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = w.rt.Do(req.WithContext(ctx))
		require.ErrorIs(t, err, context.Canceled)
	}, func(o *realtime.Options) {
		o.HTTPClient = nil
		o.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, io.ErrUnexpectedEOF }
	})
}

// signAnswer is what the server says when it signs for a user.
func signAnswer(rw http.ResponseWriter, clientID string) {
	rw.Header().Set("Content-Type", "application/json")
	answer := map[string]any{"signature": secretSign, "timestamp": 1453014943466, "nonce": "n"}
	if clientID != "" {
		answer["client_id"] = clientID
	}
	_ = json.NewEncoder(rw).Encode(answer)
}

func TestLoginAsUser(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.peer.HandleHTTP("GET /1.2/rtm/clients/sign", func(rw http.ResponseWriter, r *http.Request) {
			w.say("get %s %s", r.URL.Query().Get("session_token"), r.Header.Get("X-LC-Id"))
			signAnswer(rw, "user-1")
		})
		w.peer.HandleHTTP("POST /1.1/rtm/sign", func(rw http.ResponseWriter, r *http.Request) {
			text, _ := io.ReadAll(r.Body)
			w.say("post %s", text)
			signAnswer(rw, "")
		})

		// The server tells who it is.
		c, err := w.rt.CreateIMClient(t.Context(), "", realtime.WithUserSession(secretUser))
		require.NoError(t, err)
		require.Equal(t, "user-1", c.ID())
		w.expect("get " + secretUser + " app")
		open := w.received(pb.CommandType_session, pb.OpType_open)[0]
		require.Equal(t, "user-1", open.GetPeerId())
		require.Equal(t, secretSign, open.GetSessionMessage().GetS())
		require.Equal(t, int64(1453014943466), open.GetSessionMessage().GetT())
		require.Equal(t, "n", open.GetSessionMessage().GetN())

		same, err := w.rt.CreateIMClient(t.Context(), "", realtime.WithUserSession(secretUser))
		require.NoError(t, err)
		require.Same(t, c, same)
		w.expect("get " + secretUser + " app")
		require.NoError(t, c.Close(t.Context()))

		// The program knows.
		c, err = w.rt.CreateIMClient(t.Context(), "user-1", realtime.WithUserSession(secretUser))
		require.NoError(t, err)
		w.expect(`post {"session_token":"` + secretUser + `"}`)

		// Without a token the login is signed again.
		w.peer.On(pb.CommandType_session, pb.OpType_open, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			if cmd.GetSessionMessage().St != nil {
				return s.Fail(cmd, wire.CodeSessionTokenExpired)
			}
			return w.peer.Usual(s, cmd)
		})
		w.peer.Socket().Drop()
		time.Sleep(2 * time.Second)
		w.expect(`post {"session_token":"` + secretUser + `"}`)
		require.NoError(t, c.Err())
	})
}

func TestLoginAsUserFails(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		check  func(t *testing.T, err error)
	}{
		{"refused", func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(http.StatusUnauthorized)
			_, _ = rw.Write([]byte(`{"code":211,"error":"Could not find user"}`))
		}, func(t *testing.T, err error) {
			var e *realtime.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, http.StatusUnauthorized, e.HTTPStatus)
			require.Equal(t, realtime.ErrorCode(211), e.Code)
			require.Equal(t, "Could not find user", e.Detail)
		}},
		{"by somebody else", func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(http.StatusBadGateway)
			_, _ = rw.Write([]byte(`<html>`))
		}, func(t *testing.T, err error) {
			var e *realtime.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, http.StatusBadGateway, e.HTTPStatus)
		}},
		{"nonsense", func(rw http.ResponseWriter, _ *http.Request) {
			_, _ = rw.Write([]byte(`[]`))
		}, func(t *testing.T, err error) {
			require.ErrorContains(t, err, "decode")
		}},
		{"no signature", func(rw http.ResponseWriter, _ *http.Request) {
			_, _ = rw.Write([]byte(`{"client_id":"user-1"}`))
		}, func(t *testing.T, err error) {
			require.ErrorContains(t, err, "no signature")
		}},
		{"no id", func(rw http.ResponseWriter, _ *http.Request) {
			signAnswer(rw, "")
		}, func(t *testing.T, err error) {
			require.ErrorContains(t, err, "no client id")
		}},
		{"hangs up", func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}, func(t *testing.T, err error) {
			require.ErrorContains(t, err, "REST")
		}},
		{"silence", func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		}, func(t *testing.T, err error) {
			require.ErrorIs(t, err, realtime.ErrTimeout)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.peer.HandleHTTP("GET /1.2/rtm/clients/sign", tt.answer)
				_, err := w.rt.CreateIMClient(t.Context(), "", realtime.WithUserSession(secretUser))
				require.Error(t, err)
				tt.check(t, err)
				require.NotContains(t, err.Error(), "hunter2")
			})
		})
	}
}

// A server that has too much to do and says when it has not is asked again then; the
// request is refused if that would be too late.
func TestRESTComesBackWhenTheServerWants(t *testing.T) {
	type reply struct {
		status int
		after  string
	}
	for name, test := range map[string]struct {
		replies  []reply
		within   time.Duration // 0: the default
		took     time.Duration
		requests int
		err      bool
		told     time.Duration
	}{
		"too many requests": {[]reply{{429, "3"}, {429, "4"}}, 0, 7 * time.Second, 3, false, 0},
		"no room":           {[]reply{{503, "3"}}, 0, 3 * time.Second, 2, false, 0},
		"always":            {[]reply{{429, "1"}, {429, "1"}, {429, "1"}, {429, "1"}}, 0, 3 * time.Second, 4, true, time.Second},
		"without a time":    {[]reply{{429, ""}}, 0, 0, 1, true, 0},
		"broken":            {[]reply{{500, "3"}}, 0, 0, 1, true, 0},
		"too late":          {[]reply{{503, "3"}}, 3 * time.Second, 0, 1, true, 3 * time.Second},
		"in time":           {[]reply{{503, "3"}}, 4 * time.Second, 3 * time.Second, 2, false, 0},
		"tomorrow":          {[]reply{{503, "86400"}}, 48 * time.Hour, 0, 1, true, 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				requests := 0
				w.withMemberInfoBy(func(rw http.ResponseWriter, _ string) {
					if requests++; requests > len(test.replies) {
						_, _ = rw.Write([]byte(`{"results":[]}`))
						return
					}
					r := test.replies[requests-1]
					rw.Header().Set("Retry-After", r.after)
					rw.WriteHeader(r.status)
					_, _ = rw.Write([]byte(`{"code":4113,"error":"busy"}`))
				})
				tom := w.open("Tom")
				ctx := t.Context()
				if test.within > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, test.within)
					defer cancel()
				}
				begin := time.Now()
				err := askRoles(ctx, tom)
				require.Equal(t, test.took, time.Since(begin))
				require.Equal(t, test.requests, requests)
				if !test.err {
					require.NoError(t, err)
					return
				}
				var refused *realtime.Error
				require.ErrorAs(t, err, &refused)
				require.Equal(t, test.told, refused.RetryAfter)
			})
		})
	}
}

// Cancelling ends the wait.
func TestRESTWaitIsCancelled(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.withMemberInfoBy(func(rw http.ResponseWriter, _ string) {
			rw.Header().Set("Retry-After", "5")
			rw.WriteHeader(http.StatusServiceUnavailable)
		})
		tom := w.open("Tom")
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		begin := time.Now()
		err := askRoles(ctx, tom)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, time.Second, time.Since(begin))
	})
}
