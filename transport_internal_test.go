package realtime

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/memnet"
)

// A request that leaves no connection behind leaves no transport behind either.
func TestOneTransportForConnectionsThatAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		listener, err := n.Listen("server.test:80")
		require.NoError(t, err)
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") != "" {
				w.WriteHeader(http.StatusForbidden)
			}
		})}
		var wg sync.WaitGroup
		wg.Go(func() { _ = server.Serve(listener) })
		defer wg.Wait()
		defer server.Close()

		transport := newTransport(&Options{Dial: n.Dial})
		client := &http.Client{Transport: transport}
		get := func(change func(r *http.Request)) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://server.test", http.NoBody)
			require.NoError(t, err)
			change(req)
			resp, err := client.Do(req)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			synctest.Wait()
		}
		get(func(r *http.Request) { r.Close = true })
		get(func(r *http.Request) { r.Header.Set("Upgrade", "websocket"); r.Header.Set("Connection", "Upgrade") })
		require.Nil(t, transport.kept)
		require.Empty(t, n.Conns(), "a refused upgrade leaves nothing either")
		client.CloseIdleConnections() // of which there are none

		for range 2 {
			get(func(*http.Request) {})
			require.Len(t, n.Conns(), 1, "used again")
		}
		client.CloseIdleConnections()
		synctest.Wait()
		require.Empty(t, n.Conns())
	})
}
