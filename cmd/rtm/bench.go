package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/cmd/rtm/internal/bench"
	"github.com/leanrtm/realtime/cmd/rtm/internal/export"
)

// benchFlags are those of all commands below rtm bench.
type benchFlags struct {
	account
	printer
	bench.Options
	kind      string
	inProcess bool
	csv       bool
	chart     string
}

const benchHelp = `Without --server, or with --in-process, it starts a server in this process, and
what it measures is client and server together.

Latency is from the moment when something is due until it is done. Without --rate
a stream begins the next thing when the last one is done, so a stall is counted
once for what was under way and not for what would have come meanwhile. With
--rate things are due at fixed times, and waiting for a free stream counts.

CPU time and allocations are those of this process alone, as long as it measures,
for each of the things in the first line of the table.

It is checked that everything has arrived, once and in order; if not, the exit
code is 5. An interrupt ends the measuring, and what there is is printed.
Conversations that were created for it are deleted afterwards if --master-key is
given.`

func newBenchCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure how fast a server is",
		Long: `bench measures throughput and latency, and what they cost this process.

` + benchHelp,
		Example: `  rtm bench send --in-flight 1,16,256
  rtm bench fanout --kind room --receivers 10,1000 --chart fanout.png
  rtm bench send --server http://127.0.0.1:7788 --app-id demo --app-key demo-key --rate 500 --duration 30s
  rtm bench login --clients 10000 --connections 100 --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBenchSendCommand(env), newBenchFanOutCommand(env), newBenchBroadcastCommand(env),
		newBenchLoginCommand(env), newBenchReconnectCommand(env), newBenchHistoryCommand(env), newBenchQueryCommand(env))
	return cmd
}

// benchCommand makes the command of one kind of work. own adds the flags that
// only it has.
func benchCommand(env environment, work bench.Work, cmd *cobra.Command, own func(f *benchFlags, flags *pflag.FlagSet)) *cobra.Command {
	f := &benchFlags{printer: printer{out: env.out}}
	f.Work = work
	f.InFlight, f.Receivers = []int{1}, []int{0}
	cmd.Args = noArgs
	cmd.Long += "\n\n" + benchHelp
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runBench(cmd.Context(), f, cmd.Flags(), env) }
	flags := cmd.Flags()
	f.account.flags(flags, flagAppKey, flagMasterKey)
	server := flags.Lookup("server")
	server.Usage = "URL of the server (default: one is started in this process)"
	server.DefValue, f.server = "", ""
	flags.Lookup("app-id").Usage = "id of the app (required with --server)"
	flags.BoolVar(&f.inProcess, "in-process", false, "start a server in this process, whatever --server says")
	f.printer.flag(flags)
	flags.Lookup("json").Usage = "print JSON"
	flags.BoolVar(&f.csv, "csv", false, "print CSV, with a line of names")
	flags.StringVar(&f.chart, "chart", "", "draw throughput and latency into this file: .png or .svg")
	flags.DurationVar(&f.Patience, "patience", 10*time.Second, "how long nothing may happen before it is given up")
	own(f, flags)
	return cmd
}

// messageFlags are those of work that sends messages.
func messageFlags(f *benchFlags, flags *pflag.FlagSet, count int) {
	flags.IntVar(&f.Size, "size", 200, "bytes of text in a message, at least 64")
	paceFlags(f, flags, count, "messages")
}

// paceFlags say how much there is to do.
func paceFlags(f *benchFlags, flags *pflag.FlagSet, count int, what string) {
	flags.IntVar(&f.Count, "count", count, what+" in all")
	flags.DurationVar(&f.Duration, "duration", 0, "for how long, instead of --count")
	flags.Float64Var(&f.Rate, "rate", 0, what+" per second in all; 0: the next one when one is done")
}

// talkFlags say who talks to whom.
func talkFlags(f *benchFlags, flags *pflag.FlagSet, receivers int, who string) {
	flags.IntVar(&f.Senders, "senders", 1, "who send, each on a connection of its own")
	flags.IntSliceVar(&f.InFlight, "in-flight", []int{1}, "messages that each sender has on the way; a run for each of several")
	flags.IntSliceVar(&f.Receivers, "receivers", []int{receivers}, who)
	flags.IntVar(&f.Connections, "connections", 0, "connections of the receivers; 0: one for each 100")
	kindFlag(f, flags)
}

func kindFlag(f *benchFlags, flags *pflag.FlagSet) {
	flags.StringVar(&f.kind, "kind", kindNormal, "kind of conversation: normal or room")
}

func newBenchSendCommand(env environment) *cobra.Command {
	return benchCommand(env, bench.Send, &cobra.Command{
		Use:   "send",
		Short: "Measure sending, up to the acknowledgement",
		Long: `send has senders send messages, each to a conversation and over a connection of
its own, and measures how long it takes until the server has acknowledged them.
With --receivers there is somebody online to receive them, who is not waited for.`,
		Example: `  rtm bench send
  rtm bench send --senders 4 --in-flight 1,16,256 --count 100000 --chart send.png
  rtm bench send --server http://127.0.0.1:7788 --app-id demo --app-key demo-key --duration 10s --csv`,
	}, func(f *benchFlags, flags *pflag.FlagSet) {
		talkFlags(f, flags, 0, "who receive, dealt out to the senders; a run for each of several")
		messageFlags(f, flags, 10000)
	})
}

func newBenchFanOutCommand(env environment) *cobra.Command {
	return benchCommand(env, bench.FanOut, &cobra.Command{
		Use:   "fanout",
		Short: "Measure sending, up to the last receiver",
		Long: `fanout has senders send messages to one conversation and measures how long it
takes until they are acknowledged, until each receiver has them, and until all
receivers have them. A message is on the way until then. With several senders,
each hears the others.`,
		Example: `  rtm bench fanout --receivers 1 --in-flight 16 --count 50000
  rtm bench fanout --kind room --receivers 10,1000,10000 --connections 100 --count 200`,
	}, func(f *benchFlags, flags *pflag.FlagSet) {
		talkFlags(f, flags, 100, "who receive; a run for each of several")
		messageFlags(f, flags, 1000)
	})
}

func newBenchBroadcastCommand(env environment) *cobra.Command {
	return benchCommand(env, bench.Broadcast, &cobra.Command{
		Use:   "broadcast",
		Short: "Measure messages to subscribers, or to everybody",
		Long: `broadcast sends messages from a service conversation over the REST API and
measures how long it takes until they are acknowledged, until each receiver has
them, and until all receivers have them. It needs the master key.`,
		Example: `  rtm bench broadcast --receivers 1000 --subscribers 99000 --count 100
  rtm bench broadcast --all --receivers 1000 --json`,
	}, func(f *benchFlags, flags *pflag.FlagSet) {
		flags.IntSliceVar(&f.InFlight, "in-flight", []int{1}, "messages on the way; a run for each of several")
		flags.IntSliceVar(&f.Receivers, "receivers", []int{100}, "who are online and receive; a run for each of several")
		flags.IntVar(&f.Subscribers, "subscribers", 0, "subscribers besides them who are not online")
		flags.BoolVar(&f.All, "all", false, "to everybody, not only to subscribers")
		flags.IntVar(&f.Connections, "connections", 0, "connections of the receivers; 0: one for each 100")
		messageFlags(f, flags, 100)
	})
}

func newBenchLoginCommand(env environment) *cobra.Command {
	return benchCommand(env, bench.Login, &cobra.Command{
		Use:   "login",
		Short: "Measure logins",
		Long:  `login has clients log in, the first on a connection bringing it with it.`,
		Example: `  rtm bench login --clients 10000 --connections 100
  rtm bench login --clients 500 --rate 50`,
	}, func(f *benchFlags, flags *pflag.FlagSet) {
		flags.IntVar(&f.Clients, "clients", 1000, "who log in")
		flags.IntVar(&f.Connections, "connections", 0, "connections; 0: one for each 100")
		flags.IntSliceVar(&f.InFlight, "in-flight", []int{16}, "logins under way; a run for each of several")
		flags.Float64Var(&f.Rate, "rate", 0, "logins per second in all; 0: the next one when one is done")
	})
}

func newBenchReconnectCommand(env environment) *cobra.Command {
	return benchCommand(env, bench.Reconnect, &cobra.Command{
		Use:   "reconnect",
		Short: "Measure how long clients are away when connections break",
		Long: `reconnect logs clients in, cuts all connections at once, and measures how long it
takes until each client is logged in again.`,
		Example: `  rtm bench reconnect --clients 10000 --connections 100
  rtm bench reconnect --clients 100 --connections 100 --rounds 5 --backoff 1s`,
	}, func(f *benchFlags, flags *pflag.FlagSet) {
		flags.IntVar(&f.Clients, "clients", 1000, "who are to come back")
		flags.IntVar(&f.Connections, "connections", 0, "connections; 0: one for each 100")
		flags.IntVar(&f.Rounds, "rounds", 1, "how often connections are cut")
		flags.DurationVar(&f.Backoff, "backoff", 0, "delay before a client tries to come back")
	})
}

func newBenchHistoryCommand(env environment) *cobra.Command {
	return benchCommand(env, bench.History, &cobra.Command{
		Use:   "history",
		Short: "Measure reading a history",
		Long: `history writes messages to a conversation and measures how long it takes to read
them all, page after page, newest first. Each reader has a connection of its own.`,
		Example: `  rtm bench history --messages 100000 --page 100
  rtm bench history --messages 5000 --in-flight 1,8 --rounds 4`,
	}, func(f *benchFlags, flags *pflag.FlagSet) {
		flags.IntVar(&f.Messages, "messages", 10000, "messages in the history")
		flags.IntVar(&f.Page, "page", 100, "messages on a page, at most 1000")
		flags.IntVar(&f.Rounds, "rounds", 1, "how often each reader reads it all")
		flags.IntVar(&f.Size, "size", 200, "bytes of text in a message, at least 64")
		flags.IntSliceVar(&f.InFlight, "in-flight", []int{1}, "readers at the same time; a run for each of several")
		kindFlag(f, flags)
	})
}

func newBenchQueryCommand(env environment) *cobra.Command {
	return benchCommand(env, bench.Query, &cobra.Command{
		Use:   "query",
		Short: "Measure finding conversations",
		Long: `query creates conversations and measures how long it takes to find one of them by
its attributes.`,
		Example: `  rtm bench query --conversations 100000 --count 1000
  rtm bench query --in-flight 1,16 --duration 10s`,
	}, func(f *benchFlags, flags *pflag.FlagSet) {
		flags.IntVar(&f.Conversations, "conversations", 1000, "conversations to search")
		flags.IntVar(&f.Page, "page", 10, "conversations in an answer at most, at most 1000")
		flags.IntSliceVar(&f.InFlight, "in-flight", []int{1}, "queries under way; a run for each of several")
		paceFlags(f, flags, 1000, "queries")
	})
}

// check finishes the options with what the flags say.
func (f *benchFlags) check(flags *pflag.FlagSet) error {
	switch {
	case f.json && f.csv:
		return usagef("--json and --csv exclude each other")
	case f.Duration != 0 && flags.Changed("count"):
		return usagef("--count and --duration exclude each other")
	case f.kind != "" && f.kind != kindNormal && f.kind != kindRoom:
		return usagef("--kind %q: must be normal or room", f.kind)
	}
	if f.Duration > 0 {
		f.Count = 0
	}
	f.Room = f.kind == kindRoom
	if f.chart != "" {
		if _, err := bench.ChartFormat(f.chart); err != nil {
			return usagef("--chart %w", err)
		}
	}
	return nil
}

func runBench(ctx context.Context, f *benchFlags, flags *pflag.FlagSet, env environment) (err error) {
	if err := f.check(flags); err != nil {
		return err
	}
	if f.inProcess || f.server == "" {
		stop, err := f.startServer(ctx)
		if err != nil {
			return err
		}
		defer stop()
		f.inProcess = true
	}
	if err := needed(setting{"app-id", f.appID}, setting{flagAppKey, f.appKey}); err != nil {
		return err
	}
	f.Connect = realtime.Options{AppID: f.appID, AppKey: f.appKey, Server: f.server, Logger: f.logger(env)}
	if f.masterKey != "" || f.Work == bench.Broadcast {
		c, done, err := f.administer(env, nil)
		if err != nil {
			return err
		}
		defer done()
		f.Admin = c
	}
	if err := f.Validate(); err != nil {
		return usageError{err}
	}
	if f.chart != "" { // better now than after a long run
		file, err := os.Create(f.chart)
		if err != nil {
			return fmt.Errorf("--chart: %w", err)
		}
		if err := file.Close(); err != nil {
			return fmt.Errorf("--chart: %w", err)
		}
	}
	bar := newProgress(env.err)
	if bar.terminal {
		f.Progress = func(stage string, done, total int) { bar.update(benchProgress(stage, done, total)) }
	}
	report, err := bench.Run(ctx, f.Options)
	bar.end()
	if err != nil {
		return fmt.Errorf("bench %s: %w", f.Work, err)
	}
	if err := f.printBench(report); err != nil {
		return err
	}
	if f.chart != "" {
		if err := f.drawChart(report); err != nil {
			return err
		}
	}
	return f.verdict(ctx, report)
}

func benchProgress(stage string, done, total int) export.Progress {
	p := export.Progress{Stage: stage, Lines: int64(done), Total: -1, Done: -1}
	if total > 0 {
		p.Total, p.Done = int64(total), float64(done)/float64(total)
	}
	return p
}

// verdict is how the exit code is found.
func (f *benchFlags) verdict(ctx context.Context, report *bench.Report) error {
	var errs []error
	for i := range report.Runs {
		if c := &report.Runs[i].Check; !c.OK() {
			errs = append(errs, fmt.Errorf("the work is %w: %d failed, %d lost, %d doubled, %d out of order",
				errIncomplete, c.Failed, c.Lost, c.Doubled, c.Misordered))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return interrupted(ctx)
}
