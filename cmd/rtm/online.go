package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
)

// adminFlags are those of commands that only need the master key.
type adminFlags struct {
	account
	printer
}

func (f *adminFlags) flags(cmd *cobra.Command) {
	f.account.flags(cmd.Flags(), flagMasterKey)
	f.printer.flag(cmd.Flags())
}

func newOnlineCommand(env environment) *cobra.Command {
	f := adminFlags{printer: printer{out: env.out}}
	cmd := &cobra.Command{
		Use:   "online [CLIENT...]",
		Short: "Tell who is online",
		Long: `online prints which of the clients are logged in, one per line. Without clients it
prints how many are, and how many were today. It needs the master key.`,
		Example: `  rtm online
  rtm online Tom Jerry
  rtm online --json Tom Jerry`,
		RunE: func(cmd *cobra.Command, args []string) error { return online(cmd.Context(), &f, args, env) },
	}
	f.flags(cmd)
	return cmd
}

func online(ctx context.Context, f *adminFlags, clients []string, env environment) error {
	if slices.Contains(clients, "") {
		return usagef("the id of a client is empty")
	}
	c, done, err := f.administer(env, nil)
	if err != nil {
		return err
	}
	defer done()
	if len(clients) == 0 {
		stats, err := c.Stats(ctx)
		if err != nil {
			return fmt.Errorf("count the clients: %w", err)
		}
		return f.result(map[string]int{"online": stats.OnlineUsers, "today": stats.UsersToday},
			"%d online, %d today", stats.OnlineUsers, stats.UsersToday)
	}
	there, err := c.OnlineClients(ctx, clients...)
	if err != nil {
		return fmt.Errorf("ask who is online: %w", err)
	}
	for _, id := range clients {
		on := slices.Contains(there, id)
		if !on && !f.json {
			continue
		}
		err := f.result(struct {
			Client string `json:"client"`
			Online bool   `json:"online"`
		}{id, on}, "%s", id)
		if err != nil {
			return err
		}
	}
	return nil
}

func newKickCommand(env environment) *cobra.Command {
	f := adminFlags{printer: printer{out: env.out}}
	var reason string
	cmd := &cobra.Command{
		Use:   "kick CLIENT...",
		Short: "Log clients out",
		Long: `kick closes all sessions of the clients. They may log in again. It needs the master
key.`,
		Example: `  rtm kick Spike
  rtm kick --reason "be nice" Spike Butch`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || slices.Contains(args, "") {
				return usagef("say whom to kick")
			}
			if len([]rune(reason)) > maxReason {
				return usagef("--reason has more than %d characters", maxReason)
			}
			return kick(cmd.Context(), &f, reason, args, env)
		},
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "what they are told, at most 20 characters")
	return cmd
}

// maxReason is the longest reason that servers take.
const maxReason = 20

func kick(ctx context.Context, f *adminFlags, reason string, clients []string, env environment) error {
	c, done, err := f.administer(env, nil)
	if err != nil {
		return err
	}
	defer done()
	for _, id := range clients {
		if err := c.IMClient(id).Kick(ctx, reason); err != nil {
			return fmt.Errorf("kick %s: %w", id, err)
		}
		if err := f.result(map[string]string{"kicked": id}, "kicked %s", id); err != nil {
			return err
		}
	}
	return nil
}
