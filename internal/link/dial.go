package link

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/leanrtm/realtime/internal/conn"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/retryafter"
	"github.com/leanrtm/realtime/internal/rpc"
	"github.com/leanrtm/realtime/internal/wire"
)

// dial is an attempt to connect that is under way.
type dial struct {
	cancel context.CancelFunc
	result chan dialResult
}

type dialResult struct {
	live      *live    // without a generation yet
	endpoints []string // in the order in which they were tried
	err       error
	after     time.Duration // when somebody wants to be asked again who refused; 0: somebody did not say
}

// ConnectError says that no endpoint could be reached. It matches
// ErrDisconnected and what each endpoint said.
type ConnectError struct{ Err error }

// Error implements error.
func (e *ConnectError) Error() string { return "realtime: cannot connect: " + e.Err.Error() }

// Unwrap returns the causes.
func (e *ConnectError) Unwrap() []error { return []error{rpc.ErrDisconnected, e.Err} }

var errNoEndpoints = errors.New("there are no endpoints")

// startDial connects in the background. Whoever cancels the dial must not
// receive from it any more: the dialling goroutine then disposes of a
// connection that came too late, also when it has posted that it is there.
func (o *owner) startDial() {
	ctx, cancel := context.WithCancel(context.Background())
	d := &dial{cancel: cancel, result: make(chan dialResult)}
	o.dial = d
	known, fresh := o.endpoints, o.stale
	o.link.running.Go(func() { // ended by cancel, which shutDown calls and then waits
		r := o.link.connect(ctx, known, fresh)
		o.link.mail.post(func() { o.dialEnded(d) })
		select {
		case d.result <- r:
		case <-ctx.Done():
			if r.live != nil {
				r.live.dropped.Store(true)
				close(r.live.adopted)
				r.live.conn.Kill(errAbandoned)
				<-r.live.conn.Done()
			}
		}
	})
}

// connect tries the endpoints one after the other.
func (l *Link) connect(ctx context.Context, known []string, fresh bool) dialResult {
	endpoints, err := l.o.Endpoints(ctx, fresh)
	var failures []error
	switch {
	case err != nil:
		failures = append(failures, err)
		endpoints = known // better than none
	case sameSet(endpoints, known):
		endpoints = known // in the order of rotation
	}
	if err == nil && len(endpoints) == 0 {
		failures = append(failures, errNoEndpoints)
	}
	for _, url := range endpoints {
		if ctx.Err() != nil {
			failures = append(failures, ctx.Err())
			break
		}
		lv, err := l.connectTo(ctx, url)
		if err == nil {
			return dialResult{live: lv, endpoints: endpoints}
		}
		failures = append(failures, err)
	}
	return dialResult{err: &ConnectError{join(failures)}, after: after(failures)}
}

// after is when the first of those that refused wants to be asked again, or 0 if
// one has failed for another reason, since that may be over any moment.
func after(failures []error) time.Duration {
	first := retryafter.OfError(failures[0])
	for _, err := range failures[1:] {
		first = min(first, retryafter.OfError(err))
	}
	return first
}

// join is errors.Join on one line, for logs.
func join(failures []error) error {
	joined := failures[0]
	for _, err := range failures[1:] {
		joined = fmt.Errorf("%w; %w", joined, err)
	}
	return joined
}

func (l *Link) connectTo(ctx context.Context, url string) (*live, error) {
	ctx, cancel := context.WithTimeout(ctx, l.o.DialTimeout)
	defer cancel()
	lv := &live{
		calls:   rpc.NewTable(),
		adopted: make(chan struct{}),
	}
	lv.answered.Store(l.serial.Load())
	o := l.o.Conn
	o.Serial = l.nextSerial
	o.OnCommand = func(cmd *pb.GenericCommand, block *wire.Block) { l.deliver(lv, cmd, block) }
	o.OnDone = func() {
		defer l.running.Done()
		l.mail.post(func() { l.owner.died(lv) })
	}
	l.running.Add(1) // until OnDone has returned, or never will be called
	defer func() {
		if lv.conn == nil {
			l.running.Done()
		}
	}()
	l.o.Counters.Dials.Add(1)
	c, err := conn.Dial(ctx, url, o)
	if err != nil {
		l.o.Counters.DialsFailed.Add(1)
		return nil, err
	}
	lv.conn = c
	return lv, nil
}

func sameSet(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}
