package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
)

// broadcastFlags are those of rtm broadcast.
type broadcastFlags struct {
	account
	contentFlags
	printer
	as        string
	service   string
	all       bool
	validFor  time.Duration
	transient bool
}

// maxValid is how long a broadcast may be valid.
const maxValid = 30 * 24 * time.Hour

func newBroadcastCommand(env environment) *cobra.Command {
	f := broadcastFlags{printer: printer{out: env.out}}
	cmd := &cobra.Command{
		Use:   "broadcast [TEXT...]",
		Short: "Send a message to many, from a service conversation",
		Long: `broadcast sends a message from a service conversation to everybody who
subscribes it, or with --all to every client of the app. Who is online gets it at
once, others when they log in; one to all only within the time of --valid-for.
It prints the id of the message. Without TEXT, the message is what standard
input says. It needs the master key.`,
		Example: `  rtm broadcast --service 5f3a --as GM "The dragon has landed."
  rtm broadcast --service 5f3a --as GM --all --valid-for 2h "Maintenance at noon."
  rtm broadcast --service 5f3a --as GM --all --transient --json "Now!"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(args); err != nil {
				return err
			}
			return broadcast(cmd.Context(), &f, args, env)
		},
	}
	flags := cmd.Flags()
	f.account.flags(flags, flagMasterKey)
	f.contentFlags.flags(flags)
	f.printer.flag(flags)
	flags.StringVar(&f.as, "as", "", "in whose name it is sent (required)")
	flags.StringVar(&f.service, "service", "", "id of the service conversation (required)")
	flags.BoolVar(&f.all, "all", false, "to everybody, not only to subscribers")
	flags.DurationVar(&f.validFor, "valid-for", 0, "with --all: how long those who log in get it, at most 30 days (default: a month)")
	flags.BoolVar(&f.transient, "transient", false, "for those online only, and not stored")
	return cmd
}

func (f *broadcastFlags) check(args []string) error {
	if err := f.contentFlags.check(args); err != nil {
		return err
	}
	switch {
	case f.validFor != 0 && !f.all:
		return usagef("--valid-for needs --all")
	case f.validFor < 0 || f.validFor > maxValid:
		return usagef("--valid-for %v: must be within 0 and 30 days", f.validFor)
	}
	return needed(setting{"as", f.as}, setting{"service", f.service})
}

func broadcast(ctx context.Context, f *broadcastFlags, args []string, env environment) error {
	c, done, err := f.administer(env, nil)
	if err != nil {
		return err
	}
	defer done()
	content, err := f.read(ctx, args, env.in)
	if err != nil {
		return err
	}
	b := admin.Broadcast{From: f.as, Content: content, PushData: f.push(), Transient: f.transient}
	var m *realtime.Message
	if f.all {
		if f.validFor > 0 {
			b.ValidTill = time.Now().Add(f.validFor)
		}
		m, err = c.ServiceConversation(f.service).BroadcastToAll(ctx, b)
	} else {
		m, err = c.ServiceConversation(f.service).BroadcastToSubscribers(ctx, b)
	}
	if err != nil {
		return fmt.Errorf("broadcast: %w", err)
	}
	return f.result(describeMessage(m), "%s", m.ID)
}
