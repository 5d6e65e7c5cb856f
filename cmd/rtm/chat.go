package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/leanrtm/realtime"
)

// chatFlags are those of rtm chat.
type chatFlags struct {
	server       string
	appID        string
	appKey       string
	as           string
	with         []string
	conversation string
	history      int
	verbose      bool
}

// goodbye is how long the end of a chat may take.
const goodbye = 5 * time.Second

func newChatCommand(env environment) *cobra.Command {
	var f chatFlags
	cmd := &cobra.Command{
		Use:   "chat",
		Short: "Chat in a terminal",
		Long: `chat logs in, opens the conversation with the people named, shows its last
messages, and then sends what is typed and shows what comes: messages, who comes
and goes, and the state of the connection.

The conversation of the same people is always the same one. --conversation joins
one by its id instead.

` + chatHelp + `
The chat ends with /quit, at the end of the input, and with an interrupt.`,
		Example: `  rtm chat --app-id demo --app-key demo-key --as Tom --with Jerry
  rtm chat --server https://rtm.example.com --as Tom --with Jerry,Mary
  echo "dinner is ready" | rtm chat --as Mum --with Tom --history 0`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return chat(cmd.Context(), f, env)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.server, "server", "http://127.0.0.1:7788", "URL of the server")
	flags.StringVar(&f.appID, "app-id", "", "id of the app (required)")
	flags.StringVar(&f.appKey, "app-key", "", "key of the app (required)")
	flags.StringVar(&f.as, "as", "", "who you are (required)")
	flags.StringSliceVar(&f.with, "with", nil, "who you talk to; several with commas")
	flags.StringVar(&f.conversation, "conversation", "", "id of a conversation to join, instead of --with")
	flags.IntVar(&f.history, "history", 20, "how many earlier messages to show, at most 1000")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "log what the client does to standard error")
	return cmd
}

// maxHistory is the largest page of messages that the protocol knows.
const maxHistory = 1000

// check finds what is missing before anything is dialled.
func (f *chatFlags) check() error {
	for _, required := range []struct{ flag, value string }{
		{"app-id", f.appID}, {"app-key", f.appKey}, {"as", f.as}, {"server", f.server},
	} {
		if required.value == "" {
			return usagef("--%s (or %s) is required", required.flag, variable(required.flag))
		}
	}
	switch {
	case len(f.with) == 0 && f.conversation == "":
		return usagef("say who you talk to: --with or --conversation is required")
	case len(f.with) > 0 && f.conversation != "":
		return usagef("--with and --conversation exclude each other")
	case slices.Contains(f.with, ""):
		return usagef("--with has an empty name")
	case f.history < 0 || f.history > maxHistory:
		return usagef("--history %d: must be 0 to %d", f.history, maxHistory)
	}
	return nil
}

// chat runs until the input ends, the user quits, ctx ends or the server ends
// the session.
func chat(ctx context.Context, f chatFlags, env environment) (err error) {
	options := realtime.Options{AppID: f.appID, AppKey: f.appKey, Server: f.server}
	if f.verbose {
		options.Logger = slog.New(slog.NewTextHandler(env.err, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	rt, err := realtime.New(options)
	if err != nil {
		return usageError{err}
	}
	scr := newScreen(env.out)
	client := rt.NewIMClient(f.as)
	scr.watch(client)
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
		defer cancel()
		if closeErr := rt.Close(ctx); closeErr != nil && err == nil {
			err = fmt.Errorf("log out: %w", closeErr)
		}
	}()

	conv, err := enter(ctx, client, f)
	if err == nil {
		err = scr.open(ctx, conv, f.history)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil // interrupted: that is a regular end
		}
		return err
	}
	return converse(ctx, conv, scr, env.in)
}

// enter logs in and gets the conversation.
func enter(ctx context.Context, client *realtime.IMClient, f chatFlags) (*realtime.Conversation, error) {
	if err := client.Open(ctx); err != nil {
		return nil, fmt.Errorf("log in to %s as %s: %w", f.server, f.as, err)
	}
	if f.conversation == "" {
		conv, err := client.CreateConversation(ctx, realtime.ConversationOptions{Members: f.with})
		if err != nil {
			return nil, fmt.Errorf("open the conversation: %w", err)
		}
		return conv, nil
	}
	conv, err := client.GetConversation(ctx, f.conversation)
	if err != nil {
		return nil, fmt.Errorf("find conversation %s: %w", f.conversation, err)
	}
	if !slices.Contains(conv.Members(), client.ID()) {
		if err := conv.Join(ctx); err != nil {
			return nil, fmt.Errorf("join conversation %s: %w", f.conversation, err)
		}
	}
	return conv, nil
}

// converse sends what is typed until there is no more reason to.
func converse(ctx context.Context, conv *realtime.Conversation, scr *screen, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	client := conv.Client()
	lines := readLines(ctx, in)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-client.Done():
			return fmt.Errorf("the server has ended the session: %w", client.Err())
		case line, ok := <-lines:
			if !ok {
				return nil
			}
			if line.err != nil {
				return fmt.Errorf("read the input: %w", line.err)
			}
			err := typed(ctx, conv, scr, line.text)
			switch {
			case errors.Is(err, errQuit):
				return nil
			case err != nil && ctx.Err() == nil:
				scr.notice("not done: %v", err)
			}
		}
	}
}
