package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"github.com/leanrtm/realtime"
)

// contentFlags say what kind of content is sent.
type contentFlags struct {
	raw      bool
	binary   bool
	pushData string
}

func (f *contentFlags) flags(flags *pflag.FlagSet) {
	flags.BoolVar(&f.raw, "raw", false, "send the text as it is, not as a text message: JSON of a custom type, for instance")
	flags.BoolVar(&f.binary, "binary", false, "send the bytes of standard input")
	flags.StringVar(&f.pushData, "push-data", "", "JSON for the notification of those who are offline")
}

func (f *contentFlags) check(args []string) error {
	switch {
	case f.raw && f.binary:
		return usagef("--raw and --binary exclude each other")
	case f.binary && len(args) > 0:
		return usagef("--binary reads standard input: it takes no text")
	case f.pushData != "" && !json.Valid([]byte(f.pushData)):
		return usagef("--push-data is not JSON")
	}
	return nil
}

// content makes a content of data.
func (f *contentFlags) content(data []byte) realtime.Content {
	switch {
	case f.binary:
		return realtime.NewBinaryMessage(data)
	case f.raw:
		return realtime.NewRawMessage(string(data))
	}
	return realtime.NewTextMessage(string(data))
}

// push is the push data, nil if there is none.
func (f *contentFlags) push() any {
	if f.pushData == "" {
		return nil
	}
	return json.RawMessage(f.pushData)
}

// maxContent is more than a server takes, so that the server says what is too
// much.
const maxContent = 16 << 20

// read makes a content of the arguments, or of standard input if there are none.
func (f *contentFlags) read(ctx context.Context, args []string, in io.Reader) (realtime.Content, error) {
	if len(args) > 0 {
		return f.content([]byte(strings.Join(args, " "))), nil
	}
	data, err := readAll(ctx, in)
	if err != nil {
		return nil, err
	}
	if !f.binary {
		text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
		data = []byte(text)
	}
	if len(data) == 0 {
		return nil, usagef("there is nothing to send: say it as an argument or on standard input")
	}
	return f.content(data), nil
}

// readAll reads standard input, which cannot be interrupted: the goroutine ends
// with the input.
func readAll(ctx context.Context, in io.Reader) ([]byte, error) {
	type result struct {
		data []byte
		err  error
	}
	read := make(chan result, 1)
	go func() {
		data, err := io.ReadAll(io.LimitReader(in, maxContent+1))
		read <- result{data, err}
	}()
	select {
	case r := <-read:
		if r.err == nil && len(r.data) > maxContent {
			r.err = fmt.Errorf("more than %d bytes", maxContent)
		}
		if r.err != nil {
			return nil, fmt.Errorf("read the input: %w", r.err)
		}
		return r.data, nil
	case <-ctx.Done():
		return nil, interrupted(ctx)
	}
}

// priorities are the names of the priorities.
func priority(name string) (realtime.MessagePriority, error) {
	switch name {
	case "":
		return 0, nil
	case "high":
		return realtime.PriorityHigh, nil
	case "normal":
		return realtime.PriorityNormal, nil
	case "low":
		return realtime.PriorityLow, nil
	}
	return 0, usagef("--priority %q: must be high, normal or low", name)
}
