package main

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
)

// The names of the kinds of conversation on the command line.
const (
	kindNormal  = "normal"
	kindRoom    = "room"
	kindService = "service"
)

func kindName(k realtime.Kind) string {
	switch k {
	case realtime.KindChatRoom:
		return kindRoom
	case realtime.KindService:
		return kindService
	case realtime.KindTemporary:
		return "temporary"
	}
	return kindNormal
}

func newConvCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "conv",
		Short: "List, show and create conversations, and change their members",
		Long: `conv works with conversations of all kinds over the REST API. It needs the master
key.`,
		Example: `  rtm conv list
  rtm conv show 5f3a
  rtm conv create --members Tom,Jerry --name "Cat and mouse"
  rtm conv members 5f3a --add Mary`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConvListCommand(env), newConvShowCommand(env), newConvCreateCommand(env), newConvMembersCommand(env))
	return cmd
}

// convOut is a conversation as JSON.
type convOut struct {
	ID                   string         `json:"id"`
	Kind                 string         `json:"kind"`
	Name                 string         `json:"name,omitempty"`
	Creator              string         `json:"creator,omitempty"`
	UniqueID             string         `json:"unique_id,omitempty"`
	Members              []string       `json:"members,omitempty"`
	NotificationsMutedBy []string       `json:"notifications_muted_by,omitempty"`
	Attributes           map[string]any `json:"attributes,omitempty"`
	CreatedAt            string         `json:"created_at,omitempty"`
	UpdatedAt            string         `json:"updated_at,omitempty"`
	LastMessageAt        string         `json:"last_message_at,omitempty"`
}

func describeConv(c *realtime.ConversationInfo) convOut {
	return convOut{
		ID: c.ID, Kind: kindName(c.Kind), Name: c.Name, Creator: c.Creator, UniqueID: c.UniqueID,
		Members: c.Members, NotificationsMutedBy: c.NotificationsMutedBy, Attributes: c.Attributes,
		CreatedAt: timeText(c.CreatedAt), UpdatedAt: timeText(c.UpdatedAt), LastMessageAt: timeText(c.LastMessageAt),
	}
}

func newConvListCommand(env environment) *cobra.Command {
	f := adminFlags{printer: printer{out: env.out}}
	var kind, where string
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List conversations",
		Long: `list prints conversations: id, kind, name and number of members, with tabs between.
Temporary ones are in no list.`,
		Example: `  rtm conv list --kind room
  rtm conv list --where '{"attr.level": {"$gt": 3}}' --limit 10 --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := admin.Query{}
			if where != "" {
				if err := json.Unmarshal([]byte(where), &q.Where); err != nil {
					return usagef("--where: %w", err)
				}
			}
			if limit < 0 {
				return usagef("--limit %d: must not be negative", limit)
			}
			return listConvs(cmd.Context(), &f, kind, q, limit, env)
		},
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&kind, "kind", "", "only those of a kind: normal, room or service")
	cmd.Flags().StringVar(&where, "where", "", "only those that match a filter, as JSON")
	cmd.Flags().IntVar(&limit, "limit", 0, "at most so many; 0: all")
	return cmd
}

func listConvs(ctx context.Context, f *adminFlags, kind string, q admin.Query, limit int, env environment) error {
	c, done, err := f.administer(env, nil)
	if err != nil {
		return err
	}
	defer done()
	var list func(ctx context.Context, q admin.Query) iter.Seq2[realtime.ConversationInfo, error]
	switch kind {
	case "":
		list = c.AllConversations
	case kindNormal:
		list = c.Conversations
	case kindRoom:
		list = c.ChatRooms
	case kindService:
		list = c.ServiceConversations
	default:
		return usagef("--kind %q: must be normal, room or service", kind)
	}
	n := 0
	for info, err := range list(ctx, q) {
		if err != nil {
			return fmt.Errorf("list conversations: %w", err)
		}
		members := "-"
		if info.Kind == realtime.KindNormal {
			members = fmt.Sprint(len(info.Members))
		}
		if err := f.result(describeConv(&info), "%s\t%s\t%s\t%s", info.ID, kindName(info.Kind), harmless(info.Name), members); err != nil {
			return err
		}
		if n++; n == limit {
			break
		}
	}
	return nil
}

func newConvShowCommand(env environment) *cobra.Command {
	f := adminFlags{printer: printer{out: env.out}}
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show a conversation",
		Long:  `show prints everything about a conversation that the server stores.`,
		Example: `  rtm conv show 5f3a
  rtm conv show --json 5f3a`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("show takes the id of one conversation")
			}
			return showConv(cmd.Context(), &f, args[0], env)
		},
	}
	f.flags(cmd)
	return cmd
}

func showConv(ctx context.Context, f *adminFlags, id string, env environment) error {
	c, done, err := f.administer(env, nil)
	if err != nil {
		return err
	}
	defer done()
	info, err := find(ctx, c, id)
	if err != nil {
		return err
	}
	return f.printConv(&info)
}

// printConv prints a line for each thing that is known of a conversation.
func (p *printer) printConv(info *realtime.ConversationInfo) error {
	out := describeConv(info)
	if p.json {
		return p.result(out, "")
	}
	attributes := ""
	if len(out.Attributes) > 0 {
		text, err := json.Marshal(out.Attributes)
		if err != nil {
			return fmt.Errorf("encode: %w", err)
		}
		attributes = string(text)
	}
	for _, line := range [][2]string{
		{"id", out.ID}, {"kind", out.Kind}, {"name", out.Name}, {"creator", out.Creator}, {"unique id", out.UniqueID},
		{"members", strings.Join(out.Members, ", ")}, {"notifications muted by", strings.Join(out.NotificationsMutedBy, ", ")},
		{"attributes", attributes}, {"created", out.CreatedAt}, {"updated", out.UpdatedAt}, {"last message", out.LastMessageAt},
	} {
		if line[1] == "" {
			continue
		}
		if err := p.line("%-23s %s", line[0], line[1]); err != nil {
			return err
		}
	}
	return nil
}

// createFlags are those of rtm conv create.
type createFlags struct {
	adminFlags
	kind       string
	name       string
	members    []string
	attributes string
	notUnique  bool
}

func newConvCreateCommand(env environment) *cobra.Command {
	f := createFlags{adminFlags: adminFlags{printer: printer{out: env.out}}}
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Create a conversation",
		Long: `create makes a conversation and prints its id. Unless --not-unique is given, a
normal one that exists with exactly these members is taken instead, which keeps
its name and attributes.`,
		Example: `  rtm conv create --members Tom,Jerry --name "Cat and mouse"
  rtm conv create --kind room --name world --attributes '{"map": "forest"}'
  rtm conv create --kind service --name GM`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return createConv(cmd.Context(), &f, env) },
	}
	f.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.kind, "kind", kindNormal, "normal, room or service")
	flags.StringVar(&f.name, "name", "", "its name")
	flags.StringSliceVar(&f.members, "members", nil, "its members, of a normal one")
	flags.StringVar(&f.attributes, "attributes", "", "its attributes: a JSON object")
	flags.BoolVar(&f.notUnique, "not-unique", false, "make a new one, whatever there is")
	return cmd
}

func createConv(ctx context.Context, f *createFlags, env environment) error {
	var attributes map[string]any
	if f.attributes != "" {
		if err := json.Unmarshal([]byte(f.attributes), &attributes); err != nil {
			return usagef("--attributes: %w", err)
		}
	}
	switch {
	case f.kind != kindNormal && f.kind != kindRoom && f.kind != kindService:
		return usagef("--kind %q: must be normal, room or service", f.kind)
	case f.kind != kindNormal && (len(f.members) > 0 || f.notUnique):
		return usagef("--members and --not-unique are for normal conversations")
	case slices.Contains(f.members, ""):
		return usagef("--members has an empty name")
	}
	c, done, err := f.administer(env, nil)
	if err != nil {
		return err
	}
	defer done()
	var made interface{ ID() string }
	switch f.kind {
	case kindRoom:
		made, err = c.CreateChatRoom(ctx, realtime.ChatRoomOptions{Name: f.name, Attributes: attributes})
	case kindService:
		made, err = c.CreateServiceConversation(ctx, admin.ServiceConversationOptions{Name: f.name, Attributes: attributes})
	default:
		made, err = c.CreateConversation(ctx, realtime.ConversationOptions{
			Name: f.name, Members: f.members, Attributes: attributes, NotUnique: f.notUnique,
		})
	}
	if err != nil {
		return fmt.Errorf("create a conversation: %w", err)
	}
	return f.result(map[string]string{"id": made.ID(), "kind": f.kind}, "%s", made.ID())
}
