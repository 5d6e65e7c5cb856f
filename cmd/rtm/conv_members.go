package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
)

// membersFlags are those of rtm conv members.
type membersFlags struct {
	adminFlags
	add    []string
	remove []string
}

func newConvMembersCommand(env environment) *cobra.Command {
	f := membersFlags{adminFlags: adminFlags{printer: printer{out: env.out}}}
	cmd := &cobra.Command{
		Use:   "members ID",
		Short: "List and change the members of a conversation",
		Long: `members adds and removes members if it is told to, and prints those that there are
then, one per line: the members of a normal conversation, the subscribers of a
service conversation, and of a chat room some of those who are in it now.`,
		Example: `  rtm conv members 5f3a
  rtm conv members 5f3a --add Mary,William --remove Spike`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("members takes the id of one conversation")
			}
			if slices.Contains(f.add, "") || slices.Contains(f.remove, "") {
				return usagef("a list of clients has an empty name")
			}
			return members(cmd.Context(), &f, args[0], env)
		},
	}
	f.flags(cmd)
	cmd.Flags().StringSliceVar(&f.add, "add", nil, "clients to add")
	cmd.Flags().StringSliceVar(&f.remove, "remove", nil, "clients to remove")
	return cmd
}

func members(ctx context.Context, f *membersFlags, id string, env environment) error {
	c, done, err := f.administer(env, nil)
	if err != nil {
		return err
	}
	defer done()
	info, err := find(ctx, c, id)
	if err != nil {
		return err
	}
	if err := f.change(ctx, c, &info); err != nil {
		return err
	}
	one := func(client string) error { return f.result(map[string]string{"client": client}, "%s", client) }
	var ids []string
	switch info.Kind {
	case realtime.KindService:
		for s, err := range c.ServiceConversation(id).Subscribers(ctx) {
			if err != nil {
				return fmt.Errorf("list the subscribers: %w", err)
			}
			if err := one(s.ClientID); err != nil {
				return err
			}
		}
		return nil
	case realtime.KindChatRoom:
		ids, err = c.ChatRoom(id).OnlineMembers(ctx)
	default:
		ids, err = c.Conversation(id).Members(ctx)
	}
	if err != nil {
		return fmt.Errorf("list the members: %w", err)
	}
	for _, client := range ids {
		if err := one(client); err != nil {
			return err
		}
	}
	return nil
}

// change adds and removes members.
func (f *membersFlags) change(ctx context.Context, c *admin.Client, info *realtime.ConversationInfo) error {
	if len(f.add) == 0 && len(f.remove) == 0 {
		return nil
	}
	switch info.Kind {
	case realtime.KindChatRoom:
		return usagef("only clients themselves join and leave a chat room")
	case realtime.KindService:
		h := c.ServiceConversation(info.ID)
		for _, id := range f.add {
			if err := h.Subscribe(ctx, id); err != nil {
				return fmt.Errorf("add %s: %w", id, err)
			}
		}
		for _, id := range f.remove {
			if err := h.Unsubscribe(ctx, id); err != nil {
				return fmt.Errorf("remove %s: %w", id, err)
			}
		}
		return nil
	}
	h := c.Conversation(info.ID)
	if err := h.Add(ctx, f.add...); err != nil {
		return fmt.Errorf("add members: %w", err)
	}
	if err := h.Remove(ctx, f.remove...); err != nil {
		return fmt.Errorf("remove members: %w", err)
	}
	return nil
}
