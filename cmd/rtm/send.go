package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
)

// sendFlags are those of rtm send.
type sendFlags struct {
	account
	contentFlags
	printer
	as           string
	conversation string
	with         []string
	rest         bool
	to           []string
	join         bool
	lines        bool
	transient    bool
	receipt      bool
	mention      []string
	mentionAll   bool
	priority     string
	quota        string
}

func newSendCommand(env environment) *cobra.Command {
	f := sendFlags{printer: printer{out: env.out}}
	cmd := &cobra.Command{
		Use:   "send [TEXT...]",
		Short: "Send a message",
		Long: `send sends one message, or with --lines one for each line of standard input, and
prints the id of each. Without TEXT, the message is what standard input says.

It logs in as a client, with the app key, and sends over a socket. With --rest it
sends over the REST API instead, with the master key, in the name of a client
that need not be a member; then a message to a service conversation goes to the
clients of --to.`,
		Example: `  rtm send --as Tom --with Jerry "Jerry, get up!"
  rtm send --as Tom --conversation 5f3a --mention Jerry --receipt "Where are you?"
  echo '{"_lctype":1,"gold":100}' | rtm send --as Tom --with Jerry --raw
  rtm send --as Tom --with Jerry --binary < map.bin
  rtm send --rest --as GM --conversation 5f3a --priority high "The dragon has landed."
  tail -f game.log | rtm send --rest --as Log --conversation 5f3a --lines --quota production`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(args); err != nil {
				return err
			}
			return send(cmd.Context(), &f, args, env)
		},
	}
	flags := cmd.Flags()
	f.account.flags(flags, flagAppKey, flagMasterKey)
	f.contentFlags.flags(flags)
	f.printer.flag(flags)
	flags.StringVar(&f.as, "as", "", "who sends (required)")
	flags.StringVar(&f.conversation, "conversation", "", "id of the conversation")
	flags.StringSliceVar(&f.with, "with", nil, "send to the conversation with these clients, instead of --conversation")
	flags.BoolVar(&f.join, "join", false, "join the conversation first, as chat rooms want it")
	flags.BoolVar(&f.lines, "lines", false, "each line of standard input is a message")
	flags.BoolVar(&f.transient, "transient", false, "for those online only, and not stored")
	flags.BoolVar(&f.receipt, "receipt", false, "ask for a receipt")
	flags.StringSliceVar(&f.mention, "mention", nil, "clients to mention")
	flags.BoolVar(&f.mentionAll, "mention-all", false, "mention everybody")
	flags.StringVar(&f.priority, "priority", "", "in a chat room: high, normal or low")
	flags.BoolVar(&f.rest, "rest", false, "send over REST with the master key")
	flags.StringSliceVar(&f.to, "to", nil, "with --rest: clients that a service conversation writes to")
	flags.StringVar(&f.quota, "quota", "none", "with --rest: keep to the quota of the cloud's plan: none, development or production")
	return cmd
}

func (f *sendFlags) check(args []string) error {
	if err := f.contentFlags.check(args); err != nil {
		return err
	}
	_, err := priority(f.priority)
	switch {
	case err != nil:
		return err
	case len(f.with) == 0 && f.conversation == "":
		return usagef("say where to: --with or --conversation is required")
	case len(f.with) > 0 && f.conversation != "":
		return usagef("--with and --conversation exclude each other")
	case slices.Contains(f.with, ""), slices.Contains(f.to, ""), slices.Contains(f.mention, ""):
		return usagef("a list of clients has an empty name")
	case f.lines && (f.binary || len(args) > 0):
		return usagef("--lines reads texts from standard input: it takes neither TEXT nor --binary")
	case f.rest && (f.receipt || f.join):
		return usagef("--receipt and --join are for clients, not for --rest")
	case !f.rest && len(f.to) > 0:
		return usagef("--to needs --rest")
	}
	return needed(setting{"as", f.as})
}

// sender sends one content.
type sender func(ctx context.Context, content realtime.Content) (*realtime.Message, error)

func send(ctx context.Context, f *sendFlags, args []string, env environment) (err error) {
	var content realtime.Content
	if !f.lines { // before anybody logs in: reading may take as long as somebody types
		if content, err = f.read(ctx, args, env.in); err != nil {
			return err
		}
	}
	var deliver sender
	var done func() error
	if f.rest {
		deliver, done, err = f.restSender(ctx, env)
	} else {
		deliver, done, err = f.clientSender(ctx, env)
	}
	if done != nil {
		defer func() { err = errors.Join(err, done()) }()
	}
	if err != nil {
		return err
	}
	if !f.lines {
		return f.one(ctx, deliver, content)
	}
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	for line := range readLines(reading, env.in) {
		if line.err != nil {
			return fmt.Errorf("read the input: %w", line.err)
		}
		if line.text == "" {
			continue
		}
		if err := f.one(ctx, deliver, f.content([]byte(line.text))); err != nil {
			return err
		}
	}
	return interrupted(ctx)
}

func (f *sendFlags) one(ctx context.Context, deliver sender, content realtime.Content) error {
	m, err := deliver(ctx, content)
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return f.result(describeMessage(m), "%s", m.ID)
}

// clientSender logs in and finds the conversation.
func (f *sendFlags) clientSender(ctx context.Context, env environment) (sender, func() error, error) {
	client, done, err := f.client(ctx, f.as, env)
	if err != nil {
		return nil, nil, err
	}
	conv, err := f.enter(ctx, client)
	if err != nil {
		return nil, done, err
	}
	options := f.options()
	return func(ctx context.Context, content realtime.Content) (*realtime.Message, error) {
		return conv.Send(ctx, content, options...)
	}, done, nil
}

func (f *sendFlags) enter(ctx context.Context, client *realtime.IMClient) (*realtime.Conversation, error) {
	if err := f.open(ctx, client); err != nil {
		return nil, err
	}
	return enterConversation(ctx, client, f.conversation, f.with, f.join)
}

// enterConversation finds a conversation, or the one of these clients, and joins
// it if that is wanted.
func enterConversation(ctx context.Context, client *realtime.IMClient, id string, with []string, join bool) (*realtime.Conversation, error) {
	if id == "" {
		conv, err := client.CreateConversation(ctx, realtime.ConversationOptions{Members: with})
		if err != nil {
			return nil, fmt.Errorf("open the conversation: %w", err)
		}
		return conv, nil
	}
	conv, err := client.GetConversation(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("find conversation %s: %w", id, err)
	}
	if !join || slices.Contains(conv.Members(), client.ID()) {
		return conv, nil
	}
	enter := conv.Join
	if conv.Kind() == realtime.KindService {
		enter = conv.Subscribe
	}
	if err := enter(ctx); err != nil {
		return nil, fmt.Errorf("join conversation %s: %w", id, err)
	}
	return conv, nil
}

func (f *sendFlags) options() []realtime.SendOption {
	var options []realtime.SendOption
	if f.transient {
		options = append(options, realtime.WithTransient())
	}
	if f.receipt {
		options = append(options, realtime.WithReceipt())
	}
	if len(f.mention) > 0 {
		options = append(options, realtime.WithMention(f.mention...))
	}
	if f.mentionAll {
		options = append(options, realtime.WithMentionAll())
	}
	if p, err := priority(f.priority); err == nil && p != 0 {
		options = append(options, realtime.WithPriority(p))
	}
	if push := f.push(); push != nil {
		options = append(options, realtime.WithPushData(push))
	}
	return options
}

// restSender finds out of what kind the conversation is.
func (f *sendFlags) restSender(ctx context.Context, env environment) (sender, func() error, error) {
	quota, err := quotaByName(f.quota)
	if err != nil {
		return nil, nil, err
	}
	c, closeIdle, err := f.administer(env, quota)
	if err != nil {
		return nil, nil, err
	}
	done := func() error { closeIdle(); return nil }
	deliver, err := f.restTarget(ctx, c)
	return deliver, done, err
}

func (f *sendFlags) restTarget(ctx context.Context, c *admin.Client) (sender, error) {
	target := f.conversation
	kind := realtime.KindNormal
	switch {
	case target == "":
		h, err := c.CreateConversation(ctx, realtime.ConversationOptions{Members: append([]string{f.as}, f.with...)})
		if err != nil {
			return nil, fmt.Errorf("open the conversation: %w", err)
		}
		target = h.ID()
	case !strings.HasPrefix(target, temporaryPrefix): // which no list has
		info, err := find(ctx, c, target)
		if err != nil {
			return nil, err
		}
		kind = info.Kind
	}
	if (kind == realtime.KindService) != (len(f.to) > 0) {
		return nil, usagef("--to is for service conversations, which need it; %s is of the kind %v", target, kind)
	}
	p, err := priority(f.priority)
	if err != nil {
		return nil, err
	}
	m := admin.Message{
		From: f.as, Transient: f.transient, Mention: f.mention, MentionAll: f.mentionAll, Priority: p, PushData: f.push(),
	}
	return func(ctx context.Context, content realtime.Content) (*realtime.Message, error) {
		m := m
		m.Content = content
		switch kind {
		case realtime.KindChatRoom:
			return c.ChatRoom(target).Send(ctx, m)
		case realtime.KindService:
			return c.ServiceConversation(target).SendTo(ctx, f.to, m)
		}
		return c.Conversation(target).Send(ctx, m)
	}, nil
}

// temporaryPrefix begins the ids of temporary conversations.
const temporaryPrefix = "_tmp:"
