package export

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// Report is what a verification has found.
type Report struct {
	// OK: nothing is damaged, missing or different.
	OK bool `json:"ok"`
	// Source are the counts that the server gave, for the range of the export.
	// What comes and goes, broadcasts and unlisted conversations, is not counted.
	Source Counts `json:"source"`
	Export Counts `json:"export"`
	// Sampled is how many messages were compared in full.
	Sampled int `json:"sampled"`
	// Changed is how many of them were edited after the export.
	Changed     int          `json:"changed"`
	Differences []Difference `json:"differences,omitempty"`
	// More is how many differences there are beyond those listed.
	More int `json:"more,omitempty"`
}

// Difference is something that is not as it should be.
type Difference struct {
	File string `json:"file"`
	ID   string `json:"id,omitempty"` // of the message or conversation
	What string `json:"what"`
}

// The kinds of difference.
const (
	diffFile    = "the file is not the one that the manifest describes"
	diffMissing = "missing in the export"
	diffGone    = "not in the source any more"
	diffOther   = "differs from the source"
	diffCount   = "the source counts %d, the export %d"
)

// maxDifferences is how many differences are listed.
const maxDifferences = 100

func (r *Report) add(file, id, what string) {
	if len(r.Differences) == maxDifferences {
		r.More++
		return
	}
	r.Differences = append(r.Differences, Difference{file, id, what})
}

// verifier is one verification.
type verifier struct {
	opts     Options
	source   *source
	manifest *Manifest
	report   *Report
	sample   int
}

// Verify compares a complete export with itself and with its source: the files
// with their checksums; the ids of all conversations, and of all messages, which
// are read in the opposite direction; the number of subscribers; and sample
// messages in full, chosen at random and each asked for by itself. What was
// deleted after the export is a difference too. It blocks until that is done, and
// returns an error only if it could not be.
func Verify(ctx context.Context, o Options, sample int) (*Report, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	m, err := ReadManifest(o.Dir)
	if err != nil {
		return nil, err
	}
	r := &runner{opts: o}
	if err := r.same(m.Format, m.AppID, m.Server, millis(m.Since), m.Until.UnixMilli()); err != nil {
		return nil, err
	}
	v := &verifier{
		opts: o, source: newSource(&o), manifest: m, sample: sample,
		report: &Report{Export: m.Counts},
	}
	for _, step := range []func(ctx context.Context) error{v.files, v.conversations, v.subscribers, v.messages} {
		if err := step(ctx); err != nil {
			if e := (interruptedError{}); errors.As(err, &e) {
				err = e.error
			}
			return nil, err
		}
	}
	v.report.OK = len(v.report.Differences) == 0
	return v.report, nil
}

// files compares the files with the manifest.
func (v *verifier) files(ctx context.Context) error {
	for _, name := range dataFiles() {
		if err := interrupted(ctx); err != nil {
			return err
		}
		state, err := stateOf(filepath.Join(v.opts.Dir, name))
		switch {
		case errors.Is(err, os.ErrNotExist):
			return fmt.Errorf("export: %w: %s is missing", ErrDamaged, name)
		case err != nil:
			return err
		case state != v.manifest.Files[name]:
			v.report.add(name, "", diffFile)
		}
	}
	return nil
}

func stateOf(name string) (FileState, error) {
	f, err := os.Open(name)
	if err != nil {
		return FileState{}, fmt.Errorf("export: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	sum, lines := sha256.New(), &lineCounter{}
	n, err := io.Copy(io.MultiWriter(sum, lines), f)
	if err != nil {
		return FileState{}, fmt.Errorf("export: %w", err)
	}
	return FileState{Bytes: n, Lines: lines.n, SHA256: hex.EncodeToString(sum.Sum(nil))}, nil
}

// conversations compares the ids of all conversations.
func (v *verifier) conversations(ctx context.Context) error {
	left, err := knownConversations(v.opts.Dir)
	if err != nil {
		return err
	}
	seen := make(map[string]bool)
	var n int64
	err = v.source.list(ctx, &cursor{}, v.opts.PageSize, func() (map[string]bool, error) { return seen, nil },
		func(_ []json.RawMessage, convs []conversation) error {
			for i := range convs {
				c := &convs[i]
				_, exported := left[c.ID]
				delete(left, c.ID)
				created, err := time.Parse(time.RFC3339Nano, c.CreatedAt)
				if err == nil && created.After(v.manifest.Until) && !exported {
					continue // it is newer than the export
				}
				if !exported {
					v.report.add(conversationsFile, c.ID, diffMissing)
				}
				switch c.collection() {
				case rooms:
					v.report.Source.ChatRooms++
				case services:
					v.report.Source.ServiceConversations++
				default:
					v.report.Source.Conversations++
				}
			}
			n += int64(len(convs))
			v.opts.Progress(share("verify "+stageConversations, n, v.manifest.Files[conversationsFile].Lines))
			return nil
		})
	for id := range left {
		if err == nil {
			v.report.add(conversationsFile, id, diffGone)
		}
	}
	return err
}

// subscribers compares the number of subscriptions of each service conversation.
func (v *verifier) subscribers(ctx context.Context) error {
	counts := make(map[string]int64)
	for e, err := range lines(v.opts.Dir, subscribersFile, 0) {
		if err != nil {
			return err
		}
		s, err := decode[subscription](e.text, "subscription")
		if err != nil {
			return err
		}
		counts[s.ConversationID]++
	}
	var n int64
	for e, err := range lines(v.opts.Dir, conversationsFile, 0) {
		if err != nil {
			return err
		}
		c, err := decode[conversation](e.text, "conversation")
		if err != nil {
			return err
		}
		if c.collection() != services {
			continue
		}
		var answer struct {
			Count int64 `json:"count"`
		}
		if err := v.source.get(ctx, at(services, c.ID, stageSubscribers, "count"), url.Values{}, &answer); err != nil {
			if tolerable(err) == "" {
				return err
			}
			continue // it is gone, which was said before
		}
		if answer.Count != counts[c.ID] {
			v.report.add(subscribersFile, c.ID, fmt.Sprintf(diffCount, answer.Count, counts[c.ID]))
		}
		v.report.Source.Subscriptions += answer.Count
		n++
		v.opts.Progress(share("verify "+stageSubscribers, n, v.manifest.Counts.ServiceConversations))
	}
	return nil
}
