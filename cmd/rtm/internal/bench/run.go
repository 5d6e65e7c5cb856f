package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// Run does the work and returns what it has measured. An error is a reason not
// to have measured; what went wrong with single things is in the report. When
// ctx ends while something is measured, the report says so and has what there is.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	report := &Report{Work: o.Work}
	for _, receivers := range o.Receivers {
		for _, inFlight := range o.InFlight {
			r := newRun(&o, inFlight, receivers)
			result, err := r.do(ctx)
			if err != nil {
				return nil, err
			}
			report.Runs = append(report.Runs, *result)
			if ended(ctx) {
				report.Interrupted = true
				return report, nil
			}
		}
	}
	return report, nil
}

// ended tells of an interrupt, which is no failure once something was measured:
// what there is is reported.
func ended(ctx context.Context) bool { return ctx.Err() != nil }

// run is one run.
type run struct {
	*Options
	id       string // no other run has it
	settings Settings
	inFlight int
	people   *people
	tidy     []func(ctx context.Context) error

	start    time.Time
	measures []*recorder

	mu     sync.Mutex // the rest, and that Progress is told one thing at a time
	check  Check
	before usage
	after  usage
}

// idLength is enough to tell runs apart.
const idLength = 8

func newRun(o *Options, inFlight, receivers int) *run {
	r := &run{
		Options: o, inFlight: inFlight, id: "bench-" + strings.ToLower(rand.Text()[:idLength]),
		settings: Settings{InFlight: inFlight, Receivers: receivers, Rate: o.Rate},
	}
	r.people = newPeople(o.Connect, r.id, o.Work == Reconnect)
	return r
}

func (r *run) do(ctx context.Context) (_ *Result, err error) {
	defer func() {
		err = errors.Join(err, r.people.close(ctx, r.Patience), r.cleanUp(ctx))
	}()
	switch r.Work {
	case Send, FanOut:
		err = r.messages(ctx)
	case Broadcast:
		err = r.broadcast(ctx)
	case Login:
		err = r.login(ctx)
	case Reconnect:
		err = r.reconnect(ctx)
	case History:
		err = r.history(ctx)
	case Query:
		err = r.query(ctx)
	}
	if err != nil {
		return nil, err
	}
	result := &Result{Settings: r.settings}
	for _, m := range r.measures {
		result.Measures = append(result.Measures, m.measure())
	}
	result.Process = r.after.since(r.before, result.Measures[0].Count)
	result.Process.Each = things(result.Measures[0].Name)
	if r.Work != Reconnect {
		r.check.Reconnects = r.people.reconnects.Load()
	}
	result.Check = r.check
	return result, nil
}

// things are what a measure counts, in the plural.
func things(name string) string {
	if name == nameAcknowledged {
		return nameMessages
	}
	return name
}

// cleanUp deletes what was created, if there is somebody who may.
func (r *run) cleanUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.Patience)
	defer cancel()
	return each(ctx, len(r.tidy), opening, func(int, int) {}, func(ctx context.Context, i int) error { return r.tidy[i](ctx) })
}

// begin is when measuring begins.
func (r *run) begin(names ...string) []*recorder {
	r.before = usageNow()
	r.start = time.Now()
	for _, name := range names {
		r.measures = append(r.measures, newRecorder(name, r.start))
	}
	return r.measures
}

// end is when it ends.
func (r *run) end() { r.after = usageNow() }

// pace is that of the run, which has begun.
func (r *run) pace(count int) *pace {
	return &pace{start: r.start, count: int64(count), duration: r.Duration, rate: r.Rate}
}

// tell tells the progress of a stage.
func (r *run) tell(stage string) func(done, total int) {
	return func(done, total int) {
		if r.Progress == nil {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.Progress(stage, done, total)
	}
}

// Of the errors, the first few that differ are kept.
const maxErrors = 5

// fail notes that something did not work.
func (r *run) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.check.Failed++
	if text := err.Error(); len(r.check.Errors) < maxErrors && !slices.Contains(r.check.Errors, text) {
		r.check.Errors = append(r.check.Errors, text)
	}
}

// workers does things in parallel as they become due, until there are no more.
// Once ctx has ended nothing is begun; what has begun may take as long as the
// patience.
func (r *run) workers(ctx context.Context, p *pace, n int, done *recorder, stage string, do func(ctx context.Context, i int) error) {
	tell := r.tell(stage)
	var workers sync.WaitGroup
	var next counter
	for w := range n {
		workers.Go(func() {
			for failures := 0; failures < giveUp; {
				due, ok := p.take(ctx)
				if !ok {
					return
				}
				if err := r.bounded(ctx, func(ctx context.Context) error { return do(ctx, next.take()) }); err != nil {
					r.fail(err)
					failures++
					continue
				}
				failures = 0
				done.record(w, due, time.Now())
				tell(next.finished(), int(p.count))
			}
		})
	}
	workers.Wait()
}

// giveUp is after how many failures in a row nothing more is tried.
const giveUp = 10

// bounded calls do with a context that outlives an interrupt, but not the
// patience.
func (r *run) bounded(ctx context.Context, do func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.Patience)
	defer cancel()
	return do(ctx)
}

// counter numbers things and counts those that are done.
type counter struct {
	mu          sync.Mutex
	begun, done int
}

func (c *counter) take() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun++
	return c.begun - 1
}

func (c *counter) finished() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done++
	return c.done
}
