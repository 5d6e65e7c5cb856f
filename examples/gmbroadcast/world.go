package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
	"github.com/leanrtm/realtime/server"
)

// The app of the game. Outside an example the keys come from the outside.
const (
	appID     = "game"
	appKey    = "game-key"
	masterKey = "game-master-key"
)

// world is the server of the game, listening on a port of this machine.
type world struct {
	url     string
	rtm     *server.Server
	http    *http.Server
	serving sync.WaitGroup
}

func newWorld(ctx context.Context) (*world, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	rtm, err := server.New(server.Options{
		Apps: []server.App{{ID: appID, Key: appKey, MasterKey: masterKey}},
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the server: %w", err), listener.Close())
	}
	w := &world{
		url: "http://" + listener.Addr().String(), rtm: rtm,
		http: &http.Server{Handler: rtm, ReadHeaderTimeout: 5 * time.Second},
	}
	// Serve returns when Close has shut the HTTP server down.
	w.serving.Go(func() { _ = w.http.Serve(listener) })
	return w, nil
}

// Close ends the server and waits for it.
func (w *world) Close() error {
	err := errors.Join(w.rtm.Close(), w.http.Close())
	w.serving.Wait()
	return err
}

// playerOptions are what the game has in it: the app key, never the master key.
func (w *world) playerOptions() realtime.Options {
	return realtime.Options{AppID: appID, AppKey: appKey, Server: w.url}
}

// gmOptions are those of the back end.
func (w *world) gmOptions(client *http.Client) admin.Options {
	return admin.Options{AppID: appID, MasterKey: masterKey, Server: w.url, HTTPClient: client}
}

// play lets the players in, has the GM speak, and prints the table.
func play(ctx context.Context, out io.Writer, players, connections, rounds int) (results []result, err error) {
	w, err := newWorld(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	backEnd := &http.Client{Transport: new(http.Transport)}
	defer backEnd.CloseIdleConnections()
	m, err := newGM(ctx, w.gmOptions(backEnd))
	if err != nil {
		return nil, err
	}

	start := time.Now()
	c, err := newCrowd(w.playerOptions(), players, connections)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
	if err := c.enter(ctx, m.room.ID(), m.account.ID()); err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "%d players on %d connections are in after %v.\n\n", players, connections, time.Since(start).Round(time.Millisecond))

	if results, err = m.announce(ctx, c, rounds); err != nil {
		return nil, err
	}
	printTable(out, results)
	return results, nil
}
