package export

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
)

// entry is a line of a file.
type entry struct {
	text json.RawMessage // valid until the next one
	end  int64           // where the next one begins
}

// lines reads a file from an offset on. An error is the last pair.
func lines(dir, name string, offset int64) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			yield(entry{}, fmt.Errorf("export: %w", err))
			return
		}
		defer f.Close() //nolint:errcheck // it was only read
		if _, err := f.Seek(offset, io.SeekStart); err != nil {
			yield(entry{}, fmt.Errorf("export: %w", err))
			return
		}
		r := bufio.NewReaderSize(f, buffer)
		for {
			text, err := r.ReadBytes('\n')
			offset += int64(len(text))
			switch {
			case errors.Is(err, io.EOF) && len(text) == 0:
				return
			case errors.Is(err, io.EOF):
				err = fmt.Errorf("%w: the last line has no end", ErrDamaged)
			}
			if err != nil {
				yield(entry{}, fmt.Errorf("export: %s: %w", name, err))
				return
			}
			if !yield(entry{text: bytes.TrimSuffix(text, []byte{'\n'}), end: offset}, nil) {
				return
			}
		}
	}
}

// linesBackwards reads a file from the last line to the first. An error is the
// last pair.
func linesBackwards(dir, name string) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		fail := func(err error) { yield(nil, fmt.Errorf("export: %s: %w", name, err)) }
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			fail(err)
			return
		}
		defer f.Close() //nolint:errcheck // it was only read
		info, err := f.Stat()
		if err != nil {
			fail(err)
			return
		}
		var rest []byte // the end of a line whose beginning was not read yet
		for end := info.Size(); end > 0; {
			n := min(end, buffer)
			block := make([]byte, n, int(n)+len(rest))
			if _, err := f.ReadAt(block, end-n); err != nil {
				fail(err)
				return
			}
			end -= n
			block = append(block, rest...)
			for {
				block = bytes.TrimSuffix(block, []byte{'\n'})
				i := bytes.LastIndexByte(block, '\n')
				if i < 0 {
					break
				}
				if !yield(block[i+1:], nil) {
					return
				}
				block = block[:i+1]
			}
			rest = block
		}
		if len(rest) > 0 {
			yield(rest, nil)
		}
	}
}

// conversation is what this package has to know of a conversation.
type conversation struct {
	ID        string `json:"objectId"`
	ConvType  int    `json:"conv_type"`
	Service   bool   `json:"sys"`
	Room      bool   `json:"tr"`
	Temporary bool   `json:"temp"`
	CreatedAt string `json:"createdAt"`
	UpdatedAt string `json:"updatedAt"`
}

// The collections that paths name. Each has conversations of one kind.
const (
	normal   = "conversations"
	rooms    = "chatrooms"
	services = "service-conversations"
)

// The numbers that conversations have for their kind, where they have one.
const (
	convTypeRoom    = 2
	convTypeService = 3
)

func (c *conversation) collection() string {
	switch {
	case c.Service || c.ConvType == convTypeService:
		return services
	case c.Room || c.ConvType == convTypeRoom:
		return rooms
	}
	return normal
}

// message is what this package has to know of a message.
type message struct {
	Timestamp      int64  `json:"timestamp"`
	ID             string `json:"msg-id"`
	ConversationID string `json:"conv-id"`
	PatchTimestamp int64  `json:"patch-timestamp"`
}

// subscription is what this package has to know of a subscription.
type subscription struct {
	Subscriber     string `json:"subscriber"`
	ConversationID string `json:"conv_id"`
}

func decode[T any](text json.RawMessage, of string) (T, error) {
	var v T
	if err := json.Unmarshal(text, &v); err != nil {
		return v, fmt.Errorf("export: decode %s: %w", of, err)
	}
	return v, nil
}
