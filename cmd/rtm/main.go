// Command rtm is the realtime messaging service in one program: it serves, and
// it talks to what serves.
//
//	rtm serve       run a server: routers, WebSocket and REST on one address
//	rtm chat        chat in a terminal
//	rtm send        send a message
//	rtm tail        follow a conversation, or everything that a client hears
//	rtm broadcast   send a message to many, from a service conversation
//	rtm conv        list, show and create conversations, and change their members
//	rtm online      tell who is online
//	rtm kick        log clients out
//	rtm export      take everything out of an app
//	rtm bench       measure how fast a server is
//
// Two terminals and a third that serves are a chat:
//
//	rtm serve --app-id demo --app-key demo-key --master-key demo-master
//	rtm chat --app-id demo --app-key demo-key --as Tom --with Jerry
//	rtm chat --app-id demo --app-key demo-key --as Jerry --with Tom
//
// Every flag can be given by an environment variable instead: RTM_ and the
// name of the flag in capitals, with underscores (RTM_APP_ID for --app-id). A
// flag wins over its variable, and a variable over the configuration file, a JSON
// object of flag names in rtm/config.json in the user's configuration directory.
// Keys are better given that way, because other users of a machine can read the
// arguments of a process.
//
// The exit code is 0 when all is done, 1 after a failure, 2 when the command line
// was wrong, 3 when the server has refused, 4 when it was not reached, 5 when
// something is incomplete, and 130 after an interrupt, unless that is the regular
// end of the command, as it is of serve, chat and tail.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(runMain())
}

func runMain() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second interrupt ends the process at once
	return run(ctx, os.Args[1:], environment{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, lookup: os.LookupEnv, configDir: os.UserConfigDir,
	})
}

// environment is what a command may touch of the process.
type environment struct {
	in     io.Reader
	out    io.Writer
	err    io.Writer
	lookup func(name string) (value string, ok bool)
	// configDir is where users keep their configurations; nil: nowhere.
	configDir func() (string, error)
}

// run executes one command line and returns the exit code. It returns soon
// after ctx ends.
func run(ctx context.Context, args []string, env environment) int {
	root := newRootCommand(env)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(env.err, "rtm: %v\n", err)
	code := exitCode(ctx, err)
	if usage := (usageError{}); errors.As(err, &usage) {
		fmt.Fprintf(env.err, "Run '%s --help' for usage.\n", cmd.CommandPath())
	}
	return code
}
