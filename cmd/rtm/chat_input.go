package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/leanrtm/realtime"
)

// errQuit ends a chat.
var errQuit = errors.New("quit")

// chatHelp tells what can be typed.
const chatHelp = `A line that begins with a slash is a command:
  /who              the members, and who of them is online
  /add NAME...      add members
  /remove NAME...   remove members
  /help             this list
  /quit             end the chat
Two slashes send a line that begins with one.
`

// maxLine is the longest line that is read; the server's limit for a message
// is far below.
const maxLine = 1 << 20

// inputLine is a line or the error that ended the input.
type inputLine struct {
	text string
	err  error
}

// readLines reads in until it ends, fails, or ctx is over. Reading a terminal
// cannot be interrupted: the goroutine notices the end of ctx with the next
// line, or ends with the process.
func readLines(ctx context.Context, in io.Reader) <-chan inputLine {
	lines := make(chan inputLine)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(in)
		scanner.Buffer(nil, maxLine)
		for scanner.Scan() {
			select {
			case lines <- inputLine{text: scanner.Text()}:
			case <-ctx.Done():
				return
			}
		}
		if err := scanner.Err(); err != nil {
			select {
			case lines <- inputLine{err: err}:
			case <-ctx.Done():
			}
		}
	}()
	return lines
}

// typed does what a line asks for.
func typed(ctx context.Context, conv *realtime.Conversation, scr *screen, line string) error {
	text := strings.TrimSpace(line)
	switch {
	case text == "":
		return nil
	case strings.HasPrefix(text, "//"):
		text = text[1:]
	case strings.HasPrefix(text, "/"):
		return command(ctx, conv, scr, strings.Fields(text))
	}
	message, err := conv.Send(ctx, realtime.NewTextMessage(text))
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	scr.message(conv, message)
	return nil
}

// command runs a line that began with a slash.
func command(ctx context.Context, conv *realtime.Conversation, scr *screen, words []string) error {
	name, ids := words[0], words[1:]
	switch name {
	case "/quit":
		return errQuit
	case "/help":
		scr.print(chatHelp)
		return nil
	case "/who":
		return who(ctx, conv, scr)
	case "/add", "/remove":
		if len(ids) == 0 {
			return fmt.Errorf("%s needs a name", name)
		}
		if name == "/add" {
			return conv.Add(ctx, ids...)
		}
		return conv.Remove(ctx, ids...)
	default:
		return fmt.Errorf("there is no command %s; /help lists them", name)
	}
}

// who shows the members and who of them is online.
func who(ctx context.Context, conv *realtime.Conversation, scr *screen) error {
	members := conv.Members()
	online, err := conv.Client().OnlineClients(ctx, members...)
	if err != nil {
		return fmt.Errorf("ask who is online: %w", err)
	}
	there := make(map[string]bool, len(online))
	for _, id := range online {
		there[id] = true
	}
	for i, id := range members {
		if there[id] {
			members[i] += " (online)"
		}
	}
	scr.notice("members: %s", strings.Join(members, ", "))
	return nil
}
