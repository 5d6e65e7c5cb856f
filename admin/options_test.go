package admin_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/server"
)

func TestOptionsMistakes(t *testing.T) {
	good := admin.Options{AppID: "app", MasterKey: "key", Server: "api.example.com"}
	_, err := admin.New(good)
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		change func(o *admin.Options)
		want   string
	}{
		"no app":         {func(o *admin.Options) { o.AppID = "" }, "AppID"},
		"odd app":        {func(o *admin.Options) { o.AppID = "a\nb" }, "AppID"},
		"no key":         {func(o *admin.Options) { o.MasterKey = "" }, "MasterKey"},
		"key and suffix": {func(o *admin.Options) { o.MasterKey = "hunter2,master" }, "MasterKey"},
		"key and blank":  {func(o *admin.Options) { o.MasterKey = "hunter2\n" }, "MasterKey"},
		"no server":      {func(o *admin.Options) { o.Server = "" }, "Server"},
		"ftp":            {func(o *admin.Options) { o.Server = "ftp://x" }, "Server"},
		"no host":        {func(o *admin.Options) { o.Server = "https://" }, "Server"},
		"no URL":         {func(o *admin.Options) { o.Server = "http://a b" }, "Server"},
		"query":          {func(o *admin.Options) { o.Server = "http://a?key=hunter2" }, "Server"},
		"plugin":         {func(o *admin.Options) { o.Plugins = []realtime.Plugin{{MessageTypes: []realtime.Content{nil}}} }, "plugin"},
		"quota":          {func(o *admin.Options) { o.Quota = &admin.Quota{BroadcastsPerDay: -1} }, "Quota"},
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			tc.change(&o)
			_, err := admin.New(o)
			require.ErrorIs(t, err, realtime.ErrInvalidArgument)
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
	_, err = admin.New(admin.Options{})
	for _, field := range []string{"AppID", "MasterKey", "Server"} {
		require.ErrorContains(t, err, field, "all at once")
	}
}

func TestOptionsAreCopied(t *testing.T) {
	q := &admin.Quota{MessagesPerMinute: 1}
	_, c := scripted(t, func(o *admin.Options) { o.Quota = q }, sent)
	q.MessagesPerMinute = 0
	_, err := c.Conversation("c").Send(t.Context(), text("tom", "x"))
	require.NoError(t, err)
}

func TestServerWithoutAScheme(t *testing.T) {
	s, c := scripted(t, func(o *admin.Options) { o.Server = "api.example.com" }, stats)
	_, err := c.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, "https://api.example.com/1.2/rtm/stats", s.urls[0])
}

// The master key is in no text that anything here produces, on either side.
func TestMasterKeyIsNeverTold(t *testing.T) {
	var told bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&told, &slog.HandlerOptions{Level: slog.LevelDebug}))
	run(t, func(t *testing.T, e *env) {
		o := e.s.AdminOptions()
		require.Equal(t, secret, o.MasterKey)
		o.Logger = logger
		for _, signed := range []bool{false, true} {
			o.SignRequests = signed
			c, err := admin.New(o)
			require.NoError(t, err)
			for _, ep := range endpoints(t) {
				if err := ep.call(e.ctx(), c); err != nil {
					fmt.Fprintf(&told, "%v %+v %#v\n", err, err, err)
				}
			}
			o := o
			o.HTTPClient = &http.Client{Transport: &script{answers: []answer{lost, status(503)}}}
			broken, err := admin.New(o)
			require.NoError(t, err)
			_, err = broken.Stats(e.ctx())
			require.Error(t, err)
			fmt.Fprintf(&told, "%v %+v %#v\n", err, err, err)
			fmt.Fprintln(&told, c, broken, c.Conversation("x"), c.ChatRoom("x"), c.ServiceConversation("x"), c.IMClient("x"))
			fmt.Fprintf(&told, "%v %+v %#v %s\n", c, c, c, c)
		}
		fmt.Fprintf(&told, "%v %+v %#v %s\n", o, o, o, &o)
		logger.Info("options", "options", o, "pointer", &o)
		time.Sleep(time.Second)
	}, realtimetest.WithServerOptions(func(o *server.Options) {
		o.Apps[0].MasterKey = secret
		o.Logger = logger
	}))
	require.Contains(t, told.String(), "request is repeated")
	require.Contains(t, told.String(), `"app_id":"realtimetest-app"`)
	require.NotContains(t, told.String(), secret)
	require.Contains(t, told.String(), `admin.Conversation("x")`)
}
