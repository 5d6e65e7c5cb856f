package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/leanrtm/realtime/admin"
	"github.com/leanrtm/realtime/cmd/rtm/internal/export"
)

// maxParallel is how many requests an export makes at the same time at most.
const maxParallel = 64

// exportFlags are those of rtm export.
type exportFlags struct {
	adminFlags
	dir      string
	since    string
	until    string
	quota    string
	rate     int
	parallel int
	patience time.Duration
	verify   bool
	sample   int
}

func newExportCommand(env environment) *cobra.Command {
	f := exportFlags{adminFlags: adminFlags{printer: printer{out: env.out}}}
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Take everything out of an app",
		Long: `export writes everything that the REST API tells of an app into a directory, as
files with one JSON object per line, each as the server sent it:

  conversations.jsonl   conversations of all kinds, with every attribute
  details.jsonl         their members, mutes, blacklists and roles
  subscribers.jsonl     subscriptions of service conversations
  messages.jsonl        all messages, oldest first
  unlisted.jsonl        conversations that have messages but are in no list
  broadcasts.jsonl      broadcasts to everybody that are still valid
  manifest.json         counts, time range, checksums, and gaps if there are any

An export that was interrupted, however that happened, is continued by the same
command: nothing is lost, and nothing is there twice. A server that is over its
quota (HTTP status 429) is waited for, and one that fails is asked again.

The cloud's list of messages says less than that of this project's server: not
when one was edited, whom it mentions, or to which clients a message of a service
conversation went. (The last could be asked for client by client, which export
does not do.) What no server tells is who has read what, and who is silenced for
some time only.

With --verify a complete export is compared with itself and with its source
instead: checksums, the ids of all conversations and messages, and some messages
in full. It needs the master key.`,
		Example: `  rtm export --dir backup
  rtm export --dir backup --verify
  rtm export --server https://api.example.com --app-id demo --dir backup --quota production
  rtm export --dir june --since 2025-06-01 --until 2025-06-30T23:59:59Z --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runExport(cmd.Context(), &f, env) },
	}
	f.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.dir, "dir", "", "directory of the export (required)")
	flags.StringVar(&f.since, "since", "", "messages from this time on: 2006-01-02, or with a time, 2006-01-02T15:04:05Z")
	flags.StringVar(&f.until, "until", "", "messages up to this time (default: when the export is begun)")
	flags.StringVar(&f.quota, "quota", "none",
		"ask no oftener than the cloud's plan lets one send messages: none, development or production")
	flags.IntVar(&f.rate, "rate", 0, "requests per minute at most; 0: as many as --quota says")
	flags.IntVar(&f.parallel, "parallel", 4, "requests at the same time, where that is possible, at most 64")
	flags.DurationVar(&f.patience, "patience", 15*time.Minute, "how long to ask again while the server fails")
	flags.BoolVar(&f.verify, "verify", false, "compare a complete export with its source")
	flags.IntVar(&f.sample, "sample", 100, "with --verify: how many messages to compare in full")
	return cmd
}

// options are those of the export.
func (f *exportFlags) options(c *admin.Client, quota *admin.Quota, env environment) (export.Options, error) {
	o := export.Options{
		Client: c, AppID: f.appID, Server: f.server, Dir: f.dir,
		Parallel: f.parallel, RequestsPerMinute: f.rate, Patience: f.patience, Logger: f.logger(env),
	}
	if f.rate == 0 && quota != nil {
		o.RequestsPerMinute = quota.MessagesPerMinute
	}
	var err error
	if o.Since, err = timeFlag("since", f.since); err == nil {
		o.Until, err = timeFlag("until", f.until)
	}
	return o, err
}

func timeFlag(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usagef("--%s %q: must be like 2006-01-02 or 2006-01-02T15:04:05Z", flag, text)
}

func runExport(ctx context.Context, f *exportFlags, env environment) error {
	switch {
	case f.parallel < 1 || f.parallel > maxParallel:
		return usagef("--parallel %d: must be 1 to %d", f.parallel, maxParallel)
	case f.rate < 0:
		return usagef("--rate %d: must not be negative", f.rate)
	case f.patience <= 0:
		return usagef("--patience %v: must be positive", f.patience)
	case f.sample < 0:
		return usagef("--sample %d: must not be negative", f.sample)
	}
	if err := needed(setting{"dir", f.dir}); err != nil {
		return err
	}
	quota, err := quotaByName(f.quota)
	if err != nil {
		return err
	}
	c, done, err := f.administer(env, quota)
	if err != nil {
		return err
	}
	defer done()
	o, err := f.options(c, quota, env)
	if err != nil {
		return err
	}
	bar := newProgress(env.err)
	o.Progress = bar.update
	if o.Logger == nil {
		o.Logger = bar.logger() // a wait must not look like a hang
	}
	if f.verify {
		report, err := export.Verify(ctx, o, f.sample)
		bar.end()
		if err != nil {
			return err
		}
		return f.printReport(report)
	}
	manifest, err := export.Run(ctx, o)
	bar.end()
	if ctx.Err() != nil && err != nil {
		return fmt.Errorf("interrupted, the same command goes on with it: %w", err)
	}
	if err != nil {
		return err
	}
	return f.printManifest(manifest)
}

// printManifest tells what was exported.
func (f *exportFlags) printManifest(m *export.Manifest) error {
	n := &m.Counts
	err := f.result(m, "%d conversations, %d chat rooms, %d service conversations with %d subscriptions, "+
		"%d unlisted conversations, %d messages, %d broadcasts, as of %s",
		n.Conversations, n.ChatRooms, n.ServiceConversations, n.Subscriptions, n.Unlisted, n.Messages, n.Broadcasts,
		timeText(m.Until))
	if err != nil {
		return err
	}
	if len(m.Gaps) == 0 {
		return nil
	}
	for _, g := range m.Gaps {
		if f.json {
			break
		}
		if err := f.line("missing: %s, %d times: %s", g.What, g.Count, g.Reason); err != nil {
			return err
		}
	}
	return fmt.Errorf("the export is %w: the server has refused some lists, see the gaps in the manifest", errIncomplete)
}

// printReport tells what a verification has found.
func (f *exportFlags) printReport(r *export.Report) error {
	for _, d := range r.Differences {
		if f.json {
			break
		}
		if err := f.line("%s: %s %s", d.File, d.ID, d.What); err != nil {
			return err
		}
	}
	if !f.json {
		for i, n := range []*export.Counts{&r.Source, &r.Export} {
			if err := f.line("%s: %d conversations, %d chat rooms, %d service conversations with %d subscriptions, %d messages",
				[]string{"source", "export"}[i], n.Conversations, n.ChatRooms, n.ServiceConversations, n.Subscriptions, n.Messages); err != nil {
				return err
			}
		}
	}
	differences := len(r.Differences) + r.More
	if err := f.result(r, "%d messages compared in full, %d of them edited since; %d differences",
		r.Sampled, r.Changed, differences); err != nil {
		return err
	}
	if r.OK {
		return nil
	}
	return fmt.Errorf("the export is %w: it differs from its source in %d places", errIncomplete, differences)
}
