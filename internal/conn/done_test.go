package conn_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/conn"
)

func TestTheEndIsToldOnce(t *testing.T) {
	for name, end := range map[string]func(h *host, c *conn.Conn){
		"killed":       func(_ *host, c *conn.Conn) { c.Kill(errors.New("test")) },
		"killed twice": func(_ *host, c *conn.Conn) { c.Kill(errors.New("test")); c.Kill(errors.New("again")) },
		"lost":         func(h *host, _ *conn.Conn) { h.link().Cut() },
		"closed":       func(_ *host, c *conn.Conn) { c.Close(time.Second) },
		"stuck while it writes": func(h *host, c *conn.Conn) {
			h.link().Blackhole()
			send(h.t, c, command(0, string(make([]byte, 1<<20))), 1, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := serve(t, nil)
				told := make(chan bool, 2)
				var c *conn.Conn
				c, _ = h.dial(conn.Options{OnDone: func() {
					select {
					case <-c.Done():
						told <- true
					default:
						told <- false
					}
				}})
				synctest.Wait()
				require.Empty(t, told)
				end(h, c)
				require.True(t, <-told, "after Done is closed")
				time.Sleep(time.Hour)
				require.Empty(t, told)
			})
		})
	}
}
