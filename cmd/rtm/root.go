package main

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageError is a mistake in the command line.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

func newRootCommand(env environment) *cobra.Command {
	root := &cobra.Command{
		Use:   "rtm",
		Short: "Realtime messaging: a server, and clients for the terminal",
		Long: `rtm serves the LeanCloud realtime messaging protocol and talks it.

Every flag can be given by an environment variable instead: RTM_ and the name
of the flag in capitals, with underscores (RTM_APP_ID for --app-id). A flag wins
over its variable. Keys are better given that way, because other users of a
machine can read the arguments of a process.

` + configHelp + `

` + exitHelp,
		Example: `  rtm serve
  rtm chat --app-id demo --app-key demo-key --as Tom --with Jerry
  rtm send --as Tom --with Jerry "Jerry, get up!"
  rtm export --dir backup`,
		Version:       version(),
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true, // run prints them, once
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return readSettings(cmd, env)
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetIn(env.in)
	root.SetOut(env.out)
	root.SetErr(env.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.PersistentFlags().String(flagConfig, "", "configuration file")
	root.AddCommand(
		newServeCommand(env), newChatCommand(env), newSendCommand(env), newTailCommand(env), newBroadcastCommand(env),
		newConvCommand(env), newOnlineCommand(env), newKickCommand(env), newExportCommand(env), newBenchCommand(env),
	)
	return root
}

// noArgs refuses arguments, and commands that do not exist.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasSubCommands() {
		return usagef("there is no command %q", args[0])
	}
	return usagef("%s takes no arguments, only flags; got %q", cmd.Name(), args)
}

// variable is the environment variable of a flag.
func variable(flag string) string {
	return "RTM_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// readVariables fills in the flags that were not given.
func readVariables(flags *pflag.FlagSet, env environment) error {
	var first error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "help" || f.Name == "version" || first != nil {
			return
		}
		value, ok := env.lookup(variable(f.Name))
		if !ok || value == "" {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			first = usagef("%s: %w", variable(f.Name), hideValue(f, err))
		}
	})
	return first
}

// hideValue keeps what somebody put into a variable of a key out of the error.
func hideValue(f *pflag.Flag, err error) error {
	if secret(f.Name) {
		return fmt.Errorf("not a valid value for --%s", f.Name)
	}
	return err
}

// version is that of the module this program was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}
