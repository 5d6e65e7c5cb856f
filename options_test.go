package realtime_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
)

func TestNewReportsAllMistakesAtOnce(t *testing.T) {
	_, err := realtime.New(realtime.Options{
		Server:         "ftp://example.com",
		RouterServer:   "https://",
		RTMServers:     []string{"wss://ok.example.com", "https://user:hunter2@bad.example.com/?token=hunter2"},
		CommandTimeout: -1,
		EventQueue:     -1,
		HTTPClient:     http.DefaultClient,
		TLSConfig:      &tls.Config{MinVersion: tls.VersionTLS12},
		Plugins:        []realtime.Plugin{{Name: "broken", MessageTypes: []realtime.Content{nil}}},
	})
	require.ErrorIs(t, err, realtime.ErrInvalidArgument)
	for _, part := range []string{
		"AppID", "AppKey", "Server: scheme", "RouterServer: no host", "bad.example.com",
		"CommandTimeout", "EventQueue", "HTTPClient", "broken",
	} {
		require.Contains(t, err.Error(), part)
	}
	require.NotContains(t, err.Error(), "ok.example.com")
	require.NotContains(t, err.Error(), "hunter2")
}

func TestNewRefusesConnectionsTwice(t *testing.T) {
	dial := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("unused") }
	for _, tt := range []struct {
		name string
		o    realtime.Options
		ok   bool
	}{
		{"neither", realtime.Options{}, true},
		{"client", realtime.Options{HTTPClient: &http.Client{}}, true},
		{"dial", realtime.Options{Dial: dial}, true},
		{"tls", realtime.Options{TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12}}, true},
		{"dial and tls", realtime.Options{Dial: dial, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12}}, true},
		{"client and dial", realtime.Options{HTTPClient: &http.Client{}, Dial: dial}, false},
		{"client and tls", realtime.Options{HTTPClient: &http.Client{}, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.AppID, tt.o.AppKey = "app", "key"
			_, err := realtime.New(tt.o)
			if tt.ok {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, realtime.ErrInvalidArgument)
			}
		})
	}
}

func TestOptionsHideTheKey(t *testing.T) {
	o := realtime.Options{AppID: "the-app", AppKey: "hunter2", Server: "https://user:hunter2@example.com/?key=hunter2"}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("with", "options", o)
	for _, text := range []string{
		fmt.Sprint(o), fmt.Sprintf("%v", o), fmt.Sprintf("%+v", o), fmt.Sprintf("%#v", o), log.String(),
	} {
		require.NotContains(t, text, "hunter2")
		require.Contains(t, text, "the-app")
	}
	_, err := realtime.New(o)
	require.ErrorIs(t, err, realtime.ErrInvalidArgument, "there must be no query")
	require.NotContains(t, err.Error(), "hunter2")
	o.Server = "https://user:hunter2@example.com/"
	rt, err := realtime.New(o)
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprint(rt), "hunter2")
	require.NoError(t, rt.Close(context.Background()))
}

func TestNewCopiesOptions(t *testing.T) {
	types := []realtime.Content{&noticeMessage{}}
	o := realtime.Options{
		AppID: "app", AppKey: "key",
		Plugins: []realtime.Plugin{{Name: "p", MessageTypes: types, OnIMClientCreate: func(*realtime.IMClient) {}}},
	}
	rt, err := realtime.New(o)
	require.NoError(t, err)
	o.Plugins[0].OnIMClientCreate = func(*realtime.IMClient) { t.Error("the caller's slice is shared") }
	types[0] = nil
	rt.NewIMClient("Tom")
	require.NoError(t, rt.Close(context.Background()))
}

// noticeMessage is a custom type.
type noticeMessage struct{ realtime.TypedMessage }

func (*noticeMessage) Type() int { return 17 }

func TestPluginsAreToldOfNewObjects(t *testing.T) {
	var order []string
	plugin := func(name string) realtime.Plugin {
		return realtime.Plugin{
			Name:             name,
			OnRealtimeCreate: func(rt *realtime.Realtime) { order = append(order, name+" "+rt.State().String()) },
			OnIMClientCreate: func(c *realtime.IMClient) { order = append(order, name+" "+c.ID()) },
		}
	}
	rt, err := realtime.New(realtime.Options{
		AppID: "app", AppKey: "key", Plugins: []realtime.Plugin{plugin("first"), plugin("second")},
	})
	require.NoError(t, err)
	rt.NewIMClient("Tom")
	require.Equal(t, []string{"first initialized", "second initialized", "first Tom", "second Tom"}, order)
	require.NoError(t, rt.Close(context.Background()))
}

func TestMistakesOfAClientAreReportedByOpen(t *testing.T) {
	rt, err := realtime.New(realtime.Options{AppID: "app", AppKey: "key"})
	require.NoError(t, err)
	defer func() { require.NoError(t, rt.Close(context.Background())) }()

	c := rt.NewIMClient(strings.Repeat("é", 65), nil, realtime.WithSigner(nil), realtime.WithUserSession(""))
	err = c.Open(context.Background())
	require.ErrorIs(t, err, realtime.ErrInvalidArgument)
	require.ErrorIs(t, err, realtime.ErrInvalidLogin)
	for _, part := range []string{"64 characters", "nil ClientOption", "WithSigner", "WithUserSession"} {
		require.Contains(t, err.Error(), part)
	}
	_, err = rt.CreateIMClient(context.Background(), "Tom", realtime.WithUserSession(""))
	require.ErrorIs(t, err, realtime.ErrInvalidArgument)
}

func TestStatesHaveNames(t *testing.T) {
	for state, name := range map[realtime.State]string{
		realtime.StateInitialized: "initialized", realtime.StateConnected: "connected",
		realtime.StateDisconnected: "disconnected", realtime.StateReconnecting: "reconnecting",
		realtime.StateOffline: "offline", realtime.StateClosed: "closed", realtime.StateError: "error",
		99: "State(99)",
	} {
		require.Equal(t, name, state.String())
	}
}
