package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/leanrtm/realtime"
)

// crowd is all players. Those with the same remainder share a connection.
type crowd struct {
	connections []*realtime.Realtime
	players     []*realtime.IMClient

	mu      sync.Mutex
	current *announcement // nil: nobody has been told anything yet
}

// announcement is what is on its way to the players.
type announcement struct {
	text    string
	sent    time.Time
	took    []time.Duration // for each player; negative: not there yet
	missing int
	again   int           // players that got it more than once
	reached chan struct{} // closed when everybody has it
}

func newCrowd(o realtime.Options, players, connections int) (*crowd, error) {
	if players < 1 || connections < 1 {
		return nil, errors.New("a world needs a player and a connection at least")
	}
	c := new(crowd)
	for range connections {
		rt, err := realtime.New(o)
		if err != nil {
			return nil, err
		}
		c.connections = append(c.connections, rt)
	}
	for i := range players {
		player := c.connections[i%connections].NewIMClient(fmt.Sprintf("player-%04d", i+1))
		player.OnMessage(func(_ context.Context, e *realtime.MessageEvent) { c.heard(i, e.Message, time.Now()) })
		c.players = append(c.players, player)
	}
	return c, nil
}

// enter logs everybody in: into the room, and as subscribers of the account. The
// connections work side by side.
func (c *crowd) enter(ctx context.Context, room, account string) error {
	errs := make([]error, len(c.connections))
	var all sync.WaitGroup
	for first := range c.connections {
		all.Go(func() {
			for i := first; i < len(c.players); i += len(c.connections) {
				if err := enter(ctx, c.players[i], room, account); err != nil {
					errs[first] = fmt.Errorf("%s: %w", c.players[i].ID(), err)
					return
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func enter(ctx context.Context, player *realtime.IMClient, room, account string) error {
	if err := player.Open(ctx); err != nil {
		return err
	}
	world, err := player.GetConversation(ctx, room)
	if err != nil {
		return err
	}
	if err := world.Join(ctx); err != nil {
		return err
	}
	gm, err := player.GetConversation(ctx, account)
	if err != nil {
		return err
	}
	return gm.Subscribe(ctx)
}

// expect begins an announcement.
func (c *crowd) expect(text string) *announcement {
	a := &announcement{
		text: text, took: make([]time.Duration, len(c.players)), missing: len(c.players), reached: make(chan struct{}),
	}
	for i := range a.took {
		a.took[i] = -1
	}
	c.mu.Lock()
	c.current = a
	c.mu.Unlock()
	a.sent = time.Now()
	return a
}

// heard is called by the handler of player i.
func (c *crowd) heard(i int, m *realtime.Message, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.current
	switch {
	case a == nil || m.Text() != a.text:
	case a.took[i] >= 0:
		a.again++
	default:
		a.took[i] = at.Sub(a.sent)
		if a.missing--; a.missing == 0 {
			close(a.reached)
		}
	}
}

// wait returns when everybody has the announcement, or not within the time: then
// those who have it count. It returns how long each of them waited.
func (c *crowd) wait(ctx context.Context, a *announcement, most time.Duration) (took []time.Duration, again int, err error) {
	late := time.NewTimer(most)
	defer late.Stop()
	select {
	case <-a.reached:
	case <-late.C:
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range a.took {
		if d >= 0 {
			took = append(took, d)
		}
	}
	return took, a.again, nil
}

// Close logs everybody out.
func (c *crowd) Close(ctx context.Context) error {
	errs := make([]error, len(c.connections))
	var all sync.WaitGroup
	for i, rt := range c.connections {
		all.Go(func() { errs[i] = rt.Close(ctx) })
	}
	all.Wait()
	return errors.Join(errs...)
}
