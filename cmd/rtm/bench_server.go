package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/leanrtm/realtime/server"
)

// Queues of a server that is measured: nothing is to be cut off for being slow.
const (
	benchQueueFrames = 1 << 20
	benchQueueBytes  = 1 << 28
)

// startServer starts a server in this process, on a free port of the loopback
// interface, and fills in how to reach it.
func (f *benchFlags) startServer(ctx context.Context) (stop func(), err error) {
	f.appID, f.appKey, f.masterKey = "bench", rand.Text(), rand.Text()
	rtm, err := server.New(server.Options{
		Apps: []server.App{{ID: f.appID, Key: f.appKey, MasterKey: f.masterKey}},
		Limits: server.Limits{
			Members: server.NoLimit, SessionsConn: server.NoLimit, MessageSize: server.NoLimit,
		},
		QueueFrames: benchQueueFrames, QueueBytes: benchQueueBytes,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, fmt.Errorf("start a server: %w", err)
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a server: %w", err), rtm.Close())
	}
	f.server = "http://" + listener.Addr().String()
	web := &http.Server{Handler: rtm, ReadHeaderTimeout: readHeaderTimeout, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelWarn)}
	ended := make(chan struct{})
	go func() { // until stop
		defer close(ended)
		_ = web.Serve(listener)
	}()
	return func() {
		// Clients have said goodbye, and nobody will ask again.
		_ = rtm.Close()
		_ = web.Close()
		<-ended
	}, nil
}
