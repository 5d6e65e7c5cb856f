package server_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server"
)

func TestOptionsReportEveryMistake(t *testing.T) {
	_, err := server.New(server.Options{
		Apps:         []server.App{{ID: "a", Key: "secret-1"}, {ID: "a", MasterKey: "secret-2"}, {ID: "v", VerifyLogin: true}, {}},
		SocketURL:    "https://x.test",
		PublicURL:    "rtm.test",
		Origins:      []string{"https://ok.test", "*.ok.test", "not ok", "http://x/path", "://x"},
		OldTokenKeys: [][]byte{[]byte("secret-3")},
		TokenTTL:     -1,
		RouteTTL:     time.Millisecond,
		RoomRejoin:   -time.Second,
		HookTimeout:  -time.Second,
		MaxFrame:     100,
		QueueBytes:   -1,
		QueueFrames:  -1,
	})
	require.Error(t, err)
	for _, part := range []string{
		`app "a" is given twice`, "MasterKey", "has no ID", "SocketURL", "PublicURL", `"not ok"`, `"http://x/path"`, `"://x"`,
		"TokenKey", "TokenTTL", "RouteTTL", "RoomRejoin", "HookTimeout", "MaxFrame", "QueueBytes", "QueueFrames",
	} {
		require.ErrorContains(t, err, part)
	}
	require.NotContains(t, err.Error(), "ok.test")
	require.NotContains(t, err.Error(), "secret")
}

func TestOptionsWithoutApps(t *testing.T) {
	_, err := server.New(server.Options{})
	require.ErrorContains(t, err, "Apps")
}

func TestTokenKeys(t *testing.T) {
	o := options()
	o.TokenKey = []byte("short-secret")
	_, err := server.New(o)
	require.ErrorContains(t, err, "TokenKey")
	require.NotContains(t, err.Error(), "short-secret")
	o.TokenTTL = 1 << 62
	_, err = server.New(o)
	require.ErrorContains(t, err, "TokenTTL")
}

func TestAServerThatIsNeverUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, err := server.New(options())
		require.NoError(t, err)
		require.NoError(t, srv.Shutdown(t.Context()))
		require.NoError(t, srv.Close())
		require.NoError(t, srv.Close())
		require.NoError(t, srv.Shutdown(t.Context()))
	})
}
