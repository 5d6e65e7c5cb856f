package export

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
)

// Options say what to export from where to where.
type Options struct {
	// Client administers the app. It is required.
	Client *admin.Client
	// AppID and Server are recorded in the export: one that was begun with
	// others is not continued. They are required.
	AppID, Server string
	// Dir is the directory of the export; it is made if it does not exist.
	Dir string
	// Since and Until bound the messages, both included. Zero: all there were
	// when the export was begun. They are settled with the first run.
	Since, Until time.Time
	// PageSize is how many items one request asks for; 0: 1000, which is the
	// most that servers give.
	PageSize int
	// Parallel is how many requests are made at the same time for the details of
	// conversations; 0: 4.
	Parallel int
	// RequestsPerMinute slows down; 0: no limit.
	RequestsPerMinute int
	// Patience is how long one request is repeated while it fails; 0: 15 minutes.
	Patience time.Duration
	// CommitEvery is the least time between two commits in a stage; 0: half a
	// second; negative: none.
	CommitEvery time.Duration
	// Progress is told after each unit, on the goroutine of Run; nil: nobody.
	Progress func(Progress)
	// Logger is told of repeated requests; nil: nothing is logged.
	Logger *slog.Logger
}

// Progress tells how far an export, or its verification, has got.
type Progress struct {
	Stage string
	Lines int64 // that the stage has written or compared so far
	// Total is how many there will be, or -1 if nobody knows.
	Total int64
	// Done is the part of the stage that is done, from 0 to 1, or -1.
	Done float64
	// At is the time of the last message; zero in other stages.
	At time.Time
}

const (
	defaultPageSize = 1000
	defaultParallel = 4
	defaultPatience = 15 * time.Minute
	defaultCommit   = 500 * time.Millisecond
)

// complete fills in defaults and reports mistakes.
func (o *Options) complete() error {
	var mistakes []error
	mistake := func(format string, args ...any) { mistakes = append(mistakes, fmt.Errorf(format, args...)) }
	if o.Client == nil {
		mistake("Client is required")
	}
	if o.AppID == "" || o.Server == "" {
		mistake("AppID and Server are required")
	}
	if o.Dir == "" {
		mistake("the directory is required")
	}
	if o.PageSize < 0 || o.PageSize > defaultPageSize {
		mistake("the page size %d is not within 1 and %d", o.PageSize, defaultPageSize)
	}
	if o.Parallel < 0 || o.RequestsPerMinute < 0 || o.Patience < 0 {
		mistake("a figure is negative")
	}
	if !o.Since.IsZero() && !o.Until.IsZero() && o.Until.Before(o.Since) {
		mistake("the time range ends before it begins")
	}
	if len(mistakes) > 0 {
		return fmt.Errorf("export: %w: %w", realtime.ErrInvalidArgument, errors.Join(mistakes...))
	}
	if o.PageSize == 0 {
		o.PageSize = defaultPageSize
	}
	if o.Parallel == 0 {
		o.Parallel = defaultParallel
	}
	if o.Patience == 0 {
		o.Patience = defaultPatience
	}
	if o.CommitEvery == 0 {
		o.CommitEvery = defaultCommit
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}
