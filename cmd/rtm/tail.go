package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/leanrtm/realtime"
)

// tailFlags are those of rtm tail.
type tailFlags struct {
	account
	printer
	as           string
	conversation string
	with         []string
	join         bool
	history      int
	count        int
}

func newTailCommand(env environment) *cobra.Command {
	f := tailFlags{printer: printer{out: env.out}}
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Follow a conversation, or everything that a client hears",
		Long: `tail logs in as a client and prints every event as it comes: messages, edits,
members, receipts, and what becomes of the connection. With --conversation or
--with it prints what happens in that conversation and to the connection.

A lost connection is made again, and what was missed meanwhile is printed as
well. tail ends when it is interrupted, after --count messages, or when the
server ends the session.

With --json each event is an object with its name in "event" and the time at
which it was heard in "heard_at".`,
		Example: `  rtm tail --as Tom
  rtm tail --as Tom --with Jerry --history 20
  rtm tail --as Bot --conversation 5f3a --join --json
  rtm tail --as Tom --json --count 1`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.everything() && byHabit(cmd.Flag("history")) {
				f.history = 0 // it is meant for the conversations that are followed
			}
			if err := f.check(); err != nil {
				return err
			}
			return tail(cmd.Context(), &f, env)
		},
	}
	flags := cmd.Flags()
	f.account.flags(flags, flagAppKey)
	f.printer.flag(flags)
	flags.StringVar(&f.as, "as", "", "who listens (required)")
	flags.StringVar(&f.conversation, "conversation", "", "id of the conversation to follow")
	flags.StringSliceVar(&f.with, "with", nil, "follow the conversation with these clients")
	flags.BoolVar(&f.join, "join", false, "join the conversation first, as chat rooms want it")
	flags.IntVar(&f.history, "history", 0, "how many earlier messages of the conversation to print first, at most 1000")
	flags.IntVar(&f.count, "count", 0, "end after so many messages; 0: never")
	return cmd
}

// everything tells whether no conversation in particular is followed.
func (f *tailFlags) everything() bool { return f.conversation == "" && len(f.with) == 0 }

func (f *tailFlags) check() error {
	switch {
	case f.conversation != "" && len(f.with) > 0:
		return usagef("--with and --conversation exclude each other")
	case f.everything() && (f.join || f.history > 0):
		return usagef("--join and --history need --conversation or --with")
	case f.history < 0 || f.history > maxHistory:
		return usagef("--history %d: must be 0 to %d", f.history, maxHistory)
	case f.count < 0:
		return usagef("--count %d: must not be negative", f.count)
	}
	return nil
}

// follower prints events.
type follower struct {
	*tailFlags
	conversation string          // "": all of them
	shown        map[string]bool // messages that the history has shown
	messages     int
}

func tail(ctx context.Context, f *tailFlags, env environment) (err error) {
	client, done, err := f.client(ctx, f.as, env)
	if err != nil {
		return err
	}
	defer func() {
		// The connection may be what has failed; that was told.
		if closeErr := done(); err == nil {
			err = closeErr
		}
	}()
	// Listening begins before there is anything to hear.
	listening, cancel := context.WithCancel(ctx)
	defer cancel()
	events := client.Events(listening)
	if err := f.follow(ctx, client, events); err != nil && ctx.Err() == nil {
		return err
	}
	return nil // an interrupt is a regular end
}

// follow prints until there is a reason to end.
func (f *tailFlags) follow(ctx context.Context, client *realtime.IMClient, events func(yield func(realtime.Event, error) bool)) error {
	if err := f.open(ctx, client); err != nil {
		return err
	}
	w := follower{tailFlags: f}
	if f.conversation != "" || len(f.with) > 0 {
		conv, err := enterConversation(ctx, client, f.conversation, f.with, f.join)
		if err != nil {
			return err
		}
		w.conversation = conv.ID()
		if err := w.past(ctx, conv); err != nil {
			return err
		}
	}
	if w.full() {
		return nil
	}
	if err := w.note("listening"); err != nil {
		return err
	}
	for e, err := range events {
		if err != nil {
			if errors.Is(err, realtime.ErrEventOverflow) {
				return fmt.Errorf("listen: %w", err)
			}
			return ended(client)
		}
		if err := w.event(e); err != nil {
			return err
		}
		if w.full() {
			return nil
		}
	}
	return ended(client)
}

func (w *follower) full() bool { return w.count > 0 && w.messages >= w.count }

// past prints the last messages.
func (w *follower) past(ctx context.Context, conv *realtime.Conversation) error {
	if w.history == 0 {
		return nil
	}
	messages, err := conv.QueryMessages(ctx, realtime.MessageQuery{Limit: w.history})
	if err != nil {
		return fmt.Errorf("read the history: %w", err)
	}
	for _, m := range messages {
		if err := w.event(&realtime.MessageEvent{Conversation: conv, Message: m}); err != nil {
			return err
		}
		if w.full() {
			return nil
		}
	}
	w.shown = make(map[string]bool, len(messages))
	for _, m := range messages {
		w.shown[m.ID] = true
	}
	return nil
}

// note prints something that is no event.
func (w *follower) note(what string) error {
	return w.result(map[string]string{"event": what, "heard_at": timeText(time.Now())}, "· %s", what)
}

// event prints an event, unless it is of another conversation.
func (w *follower) event(e realtime.Event) error {
	d := describeEvent(e)
	if w.conversation != "" && d.conversation != "" && d.conversation != w.conversation {
		return nil
	}
	if _, ok := e.(*realtime.MessageEvent); ok {
		if w.shown[d.messageID] {
			return nil
		}
		w.messages++
	}
	d.fields["heard_at"] = timeText(time.Now())
	return w.result(d.fields, "%s", d.text(w.conversation == ""))
}
