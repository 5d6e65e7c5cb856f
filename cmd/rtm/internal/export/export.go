package export

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// ErrBusy means that another process works in the directory.
var ErrBusy = errors.New("another export works in this directory")

// ErrOther means that the directory has an export of another app or server.
var ErrOther = errors.New("export: the directory has an export of something else")

// runner is one run of an export.
type runner struct {
	opts   Options
	source *source
	checkpoint
	out    map[string]*output
	synced time.Time // when the last commit was
}

// Run exports, from the beginning or from where an earlier run was interrupted,
// and returns the manifest. A directory that has a complete export is left as it
// is. It blocks until the export is complete, fails, or ctx ends; errors.Is then
// finds the cause of ctx.
func Run(ctx context.Context, o Options) (*Manifest, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, dirMode); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	unlock, err := lock(o.Dir)
	if err != nil {
		return nil, err
	}
	r := &runner{opts: o, source: newSource(&o), out: make(map[string]*output)}
	m, err := r.run(ctx)
	for _, out := range r.out {
		err = errors.Join(err, out.f.Close())
	}
	if err = errors.Join(err, unlock()); err != nil {
		return nil, err
	}
	return m, nil
}

func (r *runner) run(ctx context.Context) (*Manifest, error) {
	m, err := r.begin(ctx)
	if m != nil || err != nil {
		return m, err
	}
	stages := []struct {
		name string
		run  func(ctx context.Context) error
	}{
		{stageConversations, r.conversations},
		{stageDetails, r.details},
		{stageSubscribers, r.subscribers},
		{stageMessages, r.messages},
		{stageUnlisted, r.unlisted},
		{stageBroadcasts, r.broadcasts},
		{stageDone, nil},
	}
	for i := range stages[:len(stages)-1] {
		if r.Stage != stages[i].name {
			continue
		}
		if err := stages[i].run(ctx); err != nil {
			return nil, r.stopped(err)
		}
		r.Stage, r.Cursor = stages[i+1].name, cursor{}
		if err := r.commit(); err != nil {
			return nil, err
		}
	}
	if r.Stage != stageDone {
		return nil, fmt.Errorf("export: %w: the checkpoint has a stage %q", ErrDamaged, r.Stage)
	}
	return r.finish()
}

// begin reads where an earlier run was, or settles what this one is about. It
// returns the manifest if there is nothing left to do.
func (r *runner) begin(ctx context.Context) (*Manifest, error) {
	found, err := readFile(r.opts.Dir, checkpointFile, &r.checkpoint)
	if err != nil {
		return nil, err
	}
	if !found {
		m, err := ReadManifest(r.opts.Dir)
		switch {
		case err == nil:
			return m, r.same(m.Format, m.AppID, m.Server, millis(m.Since), m.Until.UnixMilli())
		case !errors.Is(err, os.ErrNotExist):
			return nil, err
		}
		if err := foreign(r.opts.Dir); err != nil {
			return nil, err
		}
		if err := r.settle(ctx); err != nil {
			return nil, err
		}
	} else if err := r.same(r.Format, r.AppID, r.Server, r.Since, r.Until); err != nil {
		return nil, err
	}
	for _, name := range dataFiles() {
		out, err := openOutput(r.opts.Dir, name, r.Files[name])
		if err != nil {
			return nil, err
		}
		r.out[name] = out
	}
	return nil, r.commit()
}

// foreign refuses a directory in which the files of an export have something in
// them, although there never was a checkpoint.
func foreign(dir string) error {
	for _, name := range dataFiles() {
		info, err := os.Stat(filepath.Join(dir, name))
		if err == nil && info.Size() > 0 {
			return fmt.Errorf("%w: %s is not empty, and there is neither a checkpoint nor a manifest", ErrOther, name)
		}
	}
	return nil
}

func millis(t *time.Time) int64 {
	if t == nil {
		return 0
	}
	return t.UnixMilli()
}

// same refuses to go on with an export of something else.
func (r *runner) same(format int, appID, server string, since, until int64) error {
	o := &r.opts
	switch {
	case format != formatVersion:
		return fmt.Errorf("%w: format %d, this program writes %d", ErrOther, format, formatVersion)
	case appID != o.AppID || server != o.Server:
		return fmt.Errorf("%w: app %s of %s", ErrOther, appID, server)
	case !o.Since.IsZero() && o.Since.UnixMilli() != since, !o.Until.IsZero() && o.Until.UnixMilli() < until:
		return fmt.Errorf("%w: another time range", ErrOther)
	}
	return nil
}

// settling is how far the end of the range is in the future when an export is
// begun: where many messages come at once, servers give them times that are a
// little ahead of the clock.
const settling = time.Second

// settle begins an export. The request shows whether the server is there and
// accepts the key.
func (r *runner) settle(ctx context.Context) error {
	var answer struct{}
	if err := r.source.get(ctx, "all-conversations", url.Values{"limit": {"1"}}, &answer); err != nil {
		return err
	}
	started := time.Now()
	until := started.Add(settling)
	if clock := r.source.clock(); !clock.IsZero() {
		until = clock.Add(time.Second + settling) // it tells no fractions
	}
	if !r.opts.Until.IsZero() && r.opts.Until.Before(until) {
		until = r.opts.Until
	}
	r.checkpoint = checkpoint{
		Format: formatVersion, AppID: r.opts.AppID, Server: r.opts.Server,
		Started: started.UTC(), Until: until.UnixMilli(),
		Stage: stageConversations, Files: make(map[string]FileState), Kinds: make(map[string]int64),
	}
	if !r.opts.Since.IsZero() {
		r.Since = r.opts.Since.UnixMilli()
	}
	return nil
}

// commit makes everything last that was appended so far.
func (r *runner) commit() error {
	for name, out := range r.out {
		if err := out.sync(); err != nil {
			return err
		}
		r.Files[name] = out.state()
	}
	r.synced = time.Now()
	return replaceFile(r.opts.Dir, checkpointFile, &r.checkpoint)
}

// advance ends a unit: the lines are appended, and the cursor is past it.
func (r *runner) advance(p Progress) error {
	r.opts.Progress(p)
	if time.Since(r.synced) < r.opts.CommitEvery {
		return nil
	}
	return r.commit()
}

// interruptedError is a stage that ended between two units, for a reason that has
// nothing to do with the files.
type interruptedError struct{ error }

func (e interruptedError) Unwrap() error { return e.error }

// stopped keeps what there is, unless the files are what has failed.
func (r *runner) stopped(err error) error {
	if e := (interruptedError{}); errors.As(err, &e) {
		return errors.Join(e.error, r.commit())
	}
	return err
}

// finish ends a complete export.
func (r *runner) finish() (*Manifest, error) {
	m := r.manifest(time.Now().UTC())
	if err := replaceFile(r.opts.Dir, manifestFile, m); err != nil {
		return nil, err
	}
	if err := os.Remove(filepath.Join(r.opts.Dir, checkpointFile)); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	if err := syncDir(r.opts.Dir); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	r.opts.Progress(Progress{Stage: stageDone, Total: -1, Done: 1})
	return m, nil
}

// ReadManifest reads what a complete export says of itself. os.ErrNotExist: there
// is none.
func ReadManifest(dir string) (*Manifest, error) {
	m := new(Manifest)
	found, err := readFile(dir, manifestFile, m)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("export: %s: %w", manifestFile, os.ErrNotExist)
	}
	return m, nil
}
