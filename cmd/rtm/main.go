// Command rtm is the realtime messaging service in one program: it serves, and
// it talks to what serves.
//
//	rtm serve   run a server: routers, WebSocket and REST on one address
//	rtm chat    chat in a terminal
//
// Two terminals and a third that serves are a chat:
//
//	rtm serve --app-id demo --app-key demo-key --master-key demo-master
//	rtm chat --app-id demo --app-key demo-key --as Tom --with Jerry
//	rtm chat --app-id demo --app-key demo-key --as Jerry --with Tom
//
// Every flag can be given by an environment variable instead: RTM_ and the
// name of the flag in capitals, with underscores (RTM_APP_ID for --app-id). A
// flag wins over its variable. Keys are better given that way, because other
// users of a machine can read the arguments of a process.
//
// The exit code is 0 after a regular end, which an interrupt is, 1 after a
// failure, and 2 when the command line was wrong.
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

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	os.Exit(runMain())
}

func runMain() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second interrupt ends the process at once
	return run(ctx, os.Args[1:], environment{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, lookup: os.LookupEnv,
	})
}

// environment is what a command may touch of the process.
type environment struct {
	in     io.Reader
	out    io.Writer
	err    io.Writer
	lookup func(name string) (value string, ok bool)
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
	if usage := (usageError{}); errors.As(err, &usage) {
		fmt.Fprintf(env.err, "Run '%s --help' for usage.\n", cmd.CommandPath())
		return exitUsage
	}
	return exitFailure
}
