package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/leanrtm/realtime"
)

// login measures Login.
func (r *run) login(ctx context.Context) error {
	clients, err := r.people.clients("client", r.Clients, r.Connections)
	if err != nil {
		return err
	}
	r.settings.Clients, r.settings.Connections = r.Clients, connectionsFor(r.Clients, r.Connections)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	in := r.begin(nameLogins)[0]
	r.workers(ctx, r.pace(len(clients)), r.inFlight, in, string(r.Work), func(ctx context.Context, i int) error {
		return clients[i].Open(ctx)
	})
	r.end()
	return r.present(ctx, clients, in.count())
}

// present checks with the server that as many clients are online as should be.
func (r *run) present(ctx context.Context, clients []*realtime.IMClient, want int64) error {
	if ended(ctx) {
		return nil
	}
	witness, err := r.people.clients("witness", 1, 1)
	if err != nil {
		return err
	}
	if err := r.people.open(ctx, witness, r.tell("check")); err != nil {
		return err
	}
	ids := make([]string, len(clients))
	for i, c := range clients {
		ids[i] = c.ID()
	}
	online, err := witness[0].OnlineClients(ctx, ids...)
	if err != nil {
		return fmt.Errorf("ask who is online: %w", err)
	}
	seen := make(map[string]bool, len(online))
	for _, id := range online {
		if seen[id] {
			r.check.Doubled++
		}
		seen[id] = true
	}
	r.check.Received += int64(len(seen))
	r.check.Lost += max(want-int64(len(seen)), 0)
	return nil
}

// delayUnit is the delay before the third attempt to reconnect. It doubles with
// each one up to maxDelay.
const (
	delayUnit = 100 * time.Millisecond
	maxDelay  = 5 * time.Second
)

// reconnect measures Reconnect.
func (r *run) reconnect(ctx context.Context) error {
	backoff := r.Backoff
	r.people.connect.Backoff = func(attempt int) time.Duration {
		if attempt == 0 {
			return backoff
		}
		return backoff + min(delayUnit<<min(attempt-1, 10), maxDelay)
	}
	clients, err := r.people.clients("client", r.Clients, r.Connections)
	if err != nil {
		return err
	}
	r.settings.Clients, r.settings.Rounds, r.settings.InFlight = r.Clients, r.Rounds, 0 // all at once
	r.settings.Connections = connectionsFor(r.Clients, r.Connections)
	c := &comeback{times: make([]int, len(clients)), all: make(chan struct{}, 1)}
	for i, client := range clients {
		client.OnReconnect(func(context.Context, *realtime.ReconnectEvent) { c.back(i) })
	}
	if err := r.people.open(ctx, clients, r.tell("log in")); err != nil {
		return err
	}
	c.watch(r.begin(nameReconnects)[0])
	tell := r.tell(string(r.Work))
	for round := range r.Rounds {
		if ctx.Err() != nil {
			break
		}
		c.cut(len(clients))
		r.people.cut()
		if !r.allBack(c) {
			break
		}
		tell(round+1, r.Rounds)
	}
	r.end()
	c.mu.Lock()
	for _, n := range c.times {
		r.check.Lost += int64(max(c.rounds-n, 0))
		r.check.Doubled += int64(max(n-c.rounds, 0))
	}
	c.mu.Unlock()
	for _, client := range clients {
		if err := client.Err(); err != nil {
			r.fail(fmt.Errorf("a client has ended: %w", err))
		}
	}
	return r.present(ctx, clients, int64(len(clients)))
}

// allBack waits until everybody is back, or until nobody has come for as long as
// the patience.
func (r *run) allBack(c *comeback) bool {
	for before := -1; ; {
		timer := time.NewTimer(r.Patience)
		select {
		case <-c.all:
			timer.Stop()
			return true
		case <-timer.C:
		}
		missing := c.missing()
		if missing == before {
			return false
		}
		before = missing
	}
}

// comeback is who has come back since the connections were cut.
type comeback struct {
	all chan struct{}

	mu       sync.Mutex
	recorder *recorder // nil before the first cut
	since    time.Time
	rounds   int
	left     int   // who are not back
	times    []int // how often each client has come back
}

func (c *comeback) watch(recorder *recorder) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recorder = recorder
}

func (c *comeback) cut(clients int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rounds++
	c.left = clients
	c.since = time.Now()
}

// back runs on the goroutine of a client's handlers.
func (c *comeback) back(i int) {
	now := time.Now()
	c.mu.Lock()
	since := c.since
	c.times[i]++
	if c.rounds > 0 && c.times[i] <= c.rounds {
		if c.left--; c.left == 0 {
			c.all <- struct{}{}
		}
	}
	recorder := c.recorder
	c.mu.Unlock()
	if recorder != nil {
		recorder.record(i, since, now)
	}
}

func (c *comeback) missing() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left
}
