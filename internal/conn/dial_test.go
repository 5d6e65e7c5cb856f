package conn_test

import (
	"context"
	"errors"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/conn"
	"github.com/leanrtm/realtime/internal/memnet"
)

func TestDialErrors(t *testing.T) {
	t.Run("nobody listens", func(t *testing.T) {
		n := memnet.New()
		client := &http.Client{Transport: &http.Transport{DialContext: n.Dial}}
		_, err := conn.Dial(t.Context(), url, conn.Options{HTTPClient: client})
		var dialErr *conn.DialError
		require.ErrorAs(t, err, &dialErr)
		require.Equal(t, url, dialErr.URL)
		require.Zero(t, dialErr.Status)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
	})
	t.Run("not a websocket", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusForbidden) })
			_, err := conn.Dial(t.Context(), url, conn.Options{HTTPClient: h.client()})
			var dialErr *conn.DialError
			require.ErrorAs(t, err, &dialErr)
			require.Equal(t, http.StatusForbidden, dialErr.Status)
		})
	})
	t.Run("other subprotocol", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := serve(t, func(w http.ResponseWriter, r *http.Request) {
				r.Header.Set("Sec-WebSocket-Protocol", "nonsense")
				ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"nonsense"}})
				if err == nil {
					_ = ws.CloseNow()
				}
			})
			_, err := conn.Dial(t.Context(), url, conn.Options{HTTPClient: h.client()})
			require.ErrorContains(t, err, "nonsense")
		})
	})
	t.Run("server does not answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := serve(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			_, err := conn.Dial(ctx, url, conn.Options{HTTPClient: h.client()})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, time.Second, time.Since(start))
		})
	})
	t.Run("cancelled", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := serve(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			_, err := conn.Dial(ctx, url, conn.Options{HTTPClient: h.client()})
			require.ErrorIs(t, err, context.Canceled)
		})
	})
	t.Run("transport that cannot upgrade", func(t *testing.T) {
		client := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusSwitchingProtocols, Body: http.NoBody}, nil
		})}
		_, err := conn.Dial(t.Context(), url, conn.Options{HTTPClient: client})
		require.ErrorContains(t, err, "cannot upgrade")
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTheDialContextDoesNotBoundTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		c, err := conn.Dial(ctx, url, conn.Options{HTTPClient: h.client()})
		require.NoError(t, err)
		ws := <-h.sockets
		cancel()
		synctest.Wait()
		send(t, c, command(0, "alive"), 1, nil)
		require.Equal(t, "alive", receive(t, ws).GetDirectMessage().GetCid())
		c.Kill(errors.New("over"))
		<-c.Done()
		_ = ws.CloseNow()
	})
}
