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
	"github.com/leanrtm/realtime/server"
)

// patience is how long the demo may take.
const patience = 30 * time.Second

// demo lets somebody talk to the bot, before and after the server was restarted.
func demo(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	h, err := newHouse(ctx)
	if err != nil {
		return err
	}
	botCtx, stopBot := context.WithCancel(ctx)
	var bot sync.WaitGroup
	var botErr error
	bot.Go(func() { botErr = serve(botCtx, h.options()) })
	select {
	case <-h.botIn:
		err = visit(ctx, out, h)
	case <-ctx.Done():
		err = ctx.Err()
	}
	stopBot()
	bot.Wait()
	if errors.Is(botErr, context.Canceled) {
		botErr = nil
	}
	return errors.Join(err, botErr, h.close())
}

// visit is the talk.
func visit(ctx context.Context, out io.Writer, h *house) error {
	rt, err := realtime.New(h.options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rt.Close(context.WithoutCancel(ctx))) }()
	tom := rt.NewIMClient("Tom")
	events := tom.Events(ctx)
	if err := tom.Open(ctx); err != nil {
		return err
	}
	conv, err := tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{botID}})
	if err != nil {
		return err
	}
	lines := []string{"Hello?", "Still there?"}
	say := func() error {
		fmt.Fprintln(out, "Tom:", lines[0])
		_, err := conv.Send(ctx, realtime.NewTextMessage(lines[0]), realtime.WithRetry())
		return err
	}
	if err := say(); err != nil {
		return err
	}
	for ev, err := range events {
		if err != nil {
			return err
		}
		m, ok := ev.(*realtime.MessageEvent)
		if !ok {
			continue
		}
		fmt.Fprintf(out, "%s: %s\n", m.Message.From, m.Message.Text())
		if lines = lines[1:]; len(lines) == 0 {
			return nil
		}
		if err := h.restart(); err != nil {
			return err
		}
		fmt.Fprintln(out, "(the server restarts)")
		if err := say(); err != nil {
			return err
		}
	}
	return nil
}

// house is a server on a port of this machine that can be restarted. What it
// stores, and the key of its session tokens, outlive that.
type house struct {
	url     string
	store   server.Store
	botIn   chan struct{} // closed when the bot has logged in for the first time
	noteBot func()        // closes it
	http    *http.Server
	serving sync.WaitGroup

	mu  sync.RWMutex
	rtm *server.Server
}

func newHouse(ctx context.Context) (*house, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	h := &house{url: "http://" + listener.Addr().String(), store: server.NewMemoryStore(), botIn: make(chan struct{})}
	h.noteBot = sync.OnceFunc(func() { close(h.botIn) })
	if h.rtm, err = h.newServer(); err != nil {
		return nil, errors.Join(err, listener.Close(), h.store.Close())
	}
	h.http = &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	// Serve returns when close has shut the HTTP server down.
	h.serving.Go(func() { _ = h.http.Serve(listener) })
	return h, nil
}

func (h *house) newServer() (*server.Server, error) {
	return server.New(server.Options{
		Apps:  []server.App{{ID: "demo", Key: "demo-key"}},
		Store: h.store, TokenKey: []byte("a key that nobody else has"),
		Hooks: &server.Hooks{ClientOnline: func(_ context.Context, e *server.ClientOnline) {
			if e.Client == botID {
				h.noteBot()
			}
		}},
	})
}

// ServeHTTP hands requests to the server of the moment.
func (h *house) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.RLock()
	rtm := h.rtm
	h.mu.RUnlock()
	rtm.ServeHTTP(w, r)
}

// restart drops every connection.
func (h *house) restart() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.rtm.Close(); err != nil {
		return err
	}
	next, err := h.newServer()
	if err == nil {
		h.rtm = next
	}
	return err
}

func (h *house) close() error {
	h.mu.RLock()
	rtm := h.rtm
	h.mu.RUnlock()
	err := errors.Join(rtm.Close(), h.http.Close())
	h.serving.Wait()
	return errors.Join(err, h.store.Close())
}

// options are what everybody in the house uses.
func (h *house) options() realtime.Options {
	return realtime.Options{
		AppID: "demo", AppKey: "demo-key", Server: h.url,
		// A program would keep the default, which begins with a second.
		Backoff: func(int) time.Duration { return 20 * time.Millisecond },
	}
}
