// Command echobot answers every message with what it says.
//
//	go run ./examples/echobot -server https://api.example.com -app-id … -app-key …
//	go run ./examples/echobot    # plays with a server of its own, and ends
//
// This file is all of the bot. It survives restarts of the server: the client
// logs in again by itself, fetches what was said meanwhile, and its handler
// answers that as well. demo.go has the server and the visitor of the second
// form.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"github.com/leanrtm/realtime"
)

// botID is the client id under which the bot is reached.
const botID = "echobot"

func main() {
	os.Exit(run())
}

func run() int {
	var o realtime.Options
	flag.StringVar(&o.Server, "server", "", "base URL of the server; empty: one of its own")
	flag.StringVar(&o.AppID, "app-id", "", "id of the app")
	flag.StringVar(&o.AppKey, "app-key", os.Getenv("RTM_APP_KEY"), "key of the app (default $RTM_APP_KEY)")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := error(nil)
	if o.Server == "" {
		err = demo(ctx, os.Stdout)
	} else {
		o.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
		err = serve(ctx, o)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "echobot:", err)
		return 1
	}
	return 0
}

// serve runs the bot until ctx ends or the bot is thrown out.
func serve(ctx context.Context, o realtime.Options) (err error) {
	o.RetryOpen = true // the server may come later than the bot
	rt, err := realtime.New(o)
	if err != nil {
		return err
	}
	defer func() {
		over, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, rt.Close(over))
	}()
	bot := rt.NewIMClient(botID, realtime.WithTag("bot")) // one bot at a time
	bot.OnMessage(func(ctx context.Context, e *realtime.MessageEvent) { answer(ctx, e, o.Logger) })
	if err := bot.Open(ctx); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-bot.Done():
		return bot.Err()
	}
}

// answer runs in the handler: the next message waits until this one is answered,
// across lost connections too. The token makes it one answer even if the message
// comes again.
func answer(ctx context.Context, e *realtime.MessageEvent, log *slog.Logger) {
	m := e.Message
	if m.From == botID || m.Transient || m.Text() == "" {
		return
	}
	_, err := e.Conversation.Send(ctx, realtime.NewTextMessage("echo: "+m.Text()),
		realtime.WithRetry(), realtime.WithDedupToken(m.ID))
	if err != nil && log != nil {
		log.Error("not answered", "message_id", m.ID, "error", err)
	}
}
