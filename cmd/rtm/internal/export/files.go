package export

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
)

// The files of an export.
const (
	conversationsFile = "conversations.jsonl"
	detailsFile       = "details.jsonl"
	subscribersFile   = "subscribers.jsonl"
	messagesFile      = "messages.jsonl"
	unlistedFile      = "unlisted.jsonl"
	broadcastsFile    = "broadcasts.jsonl"
	manifestFile      = "manifest.json"
	checkpointFile    = "checkpoint.json"
)

// dataFiles are the files with lines.
func dataFiles() []string {
	return []string{conversationsFile, detailsFile, subscribersFile, messagesFile, unlistedFile, broadcastsFile}
}

// FileState is how much of a file there is.
type FileState struct {
	Bytes  int64  `json:"bytes"`
	Lines  int64  `json:"lines"`
	SHA256 string `json:"sha256"`
}

// ErrDamaged means that somebody else has changed a file of the export.
var ErrDamaged = errors.New("export: damaged")

const (
	fileMode = 0o600 // messages are nobody else's business
	dirMode  = 0o700
	buffer   = 256 << 10
)

// output is a file that only grows.
type output struct {
	name  string
	f     *os.File
	w     *bufio.Writer
	sum   hash.Hash
	bytes int64
	lines int64
	dirty bool // has grown since the last sync
	buf   bytes.Buffer
}

// openOutput opens a file at the end of what the checkpoint knows of it and cuts
// off the rest.
func openOutput(dir, name string, known FileState) (*output, error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	o := &output{name: name, f: f, sum: sha256.New()}
	if err := o.restore(known); err != nil {
		return nil, errors.Join(fmt.Errorf("export: %s: %w", name, err), f.Close())
	}
	o.w = bufio.NewWriterSize(f, buffer)
	return o, nil
}

func (o *output) restore(known FileState) error {
	lines := &lineCounter{}
	n, err := io.CopyN(io.MultiWriter(o.sum, lines), o.f, known.Bytes)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: it has %d bytes, the checkpoint says %d", ErrDamaged, n, known.Bytes)
	}
	if err != nil {
		return err
	}
	o.bytes, o.lines = known.Bytes, lines.n
	if got := o.state(); known != (FileState{}) && got != known {
		return fmt.Errorf("%w: its first %d bytes are not those of the checkpoint", ErrDamaged, known.Bytes)
	}
	if err := o.f.Truncate(known.Bytes); err != nil {
		return err
	}
	_, err = o.f.Seek(known.Bytes, io.SeekStart)
	return err
}

// lineCounter counts the lines that are written to it.
type lineCounter struct{ n int64 }

func (c *lineCounter) Write(b []byte) (int, error) {
	c.n += int64(bytes.Count(b, []byte{'\n'}))
	return len(b), nil
}

// line appends a JSON value.
func (o *output) line(value json.RawMessage) error {
	o.buf.Reset()
	if err := json.Compact(&o.buf, value); err != nil {
		return fmt.Errorf("export: %s: %w", o.name, err)
	}
	o.buf.WriteByte('\n')
	o.sum.Write(o.buf.Bytes())
	o.bytes += int64(o.buf.Len())
	o.lines++
	o.dirty = true
	if _, err := o.w.Write(o.buf.Bytes()); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

// encode appends a value of this program.
func (o *output) encode(value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("export: %s: %w", o.name, err)
	}
	return o.line(text)
}

// sync makes what was appended last.
func (o *output) sync() error {
	if !o.dirty {
		return nil
	}
	if err := errors.Join(o.w.Flush(), o.f.Sync()); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	o.dirty = false
	return nil
}

func (o *output) state() FileState {
	return FileState{Bytes: o.bytes, Lines: o.lines, SHA256: hex.EncodeToString(o.sum.Sum(nil))}
}

// replaceFile puts a file in the place of another one, so that there is always
// one of them as a whole.
func replaceFile(dir, name string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("export: %s: %w", name, err)
	}
	temporary := filepath.Join(dir, name+".new")
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(temporary, filepath.Join(dir, name))
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

// readFile reads what replaceFile wrote; ok is false if there is none.
func readFile(dir, name string, into any) (ok bool, err error) {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return false, fmt.Errorf("export: %s: %w", name, err)
	}
	return true, nil
}
