package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
)

// gmID is the name under which the game master speaks.
const gmID = "GM"

// gm is the game master: the back end of the game.
type gm struct {
	client  *admin.Client
	room    *admin.ChatRoom
	account *admin.ServiceConversation
}

// newGM opens the world chat and the GM's account.
func newGM(ctx context.Context, o admin.Options) (*gm, error) {
	c, err := admin.New(o)
	if err != nil {
		return nil, err
	}
	m := &gm{client: c}
	if m.room, err = c.CreateChatRoom(ctx, realtime.ChatRoomOptions{Name: "World"}); err != nil {
		return nil, err
	}
	m.account, err = c.CreateServiceConversation(ctx, admin.ServiceConversationOptions{Name: "Game Master"})
	return m, err
}

// way is one of the ways to speak to everybody.
type way struct {
	name  string
	speak func(ctx context.Context, content realtime.Content) error
}

func (m *gm) ways() []way {
	return []way{
		{"room, high priority", func(ctx context.Context, content realtime.Content) error {
			_, err := m.room.Send(ctx, admin.Message{From: gmID, Content: content, Priority: realtime.PriorityHigh})
			return err
		}},
		{"to subscribers", func(ctx context.Context, content realtime.Content) error {
			_, err := m.account.BroadcastToSubscribers(ctx, admin.Broadcast{From: gmID, Content: content})
			return err
		}},
		{"to all", func(ctx context.Context, content realtime.Content) error {
			_, err := m.account.BroadcastToAll(ctx, admin.Broadcast{
				From: gmID, Content: content, ValidTill: time.Now().Add(time.Hour),
			})
			return err
		}},
	}
}

// result is what came of one way of speaking: from the GM's request to the
// players' handlers.
type result struct {
	way             string
	rounds, players int
	reach           int // of the round that reached the fewest
	again           int // players who got an announcement twice, over all rounds
	p50, p99, max   time.Duration
}

// late is when an announcement is not waited for any more.
const late = 20 * time.Second

// announce makes every announcement so many times.
func (m *gm) announce(ctx context.Context, c *crowd, rounds int) ([]result, error) {
	var results []result
	for _, w := range m.ways() {
		r := result{way: w.name, rounds: rounds, players: len(c.players), reach: len(c.players)}
		var all []time.Duration
		for round := range rounds {
			text := fmt.Sprintf("Attention, players! (%s, %d)", w.name, round+1)
			a := c.expect(text)
			if err := w.speak(ctx, realtime.NewTextMessage(text)); err != nil {
				return results, fmt.Errorf("announce %s: %w", w.name, err)
			}
			took, again, err := c.wait(ctx, a, late)
			if err != nil {
				return results, err
			}
			r.reach, r.again = min(r.reach, len(took)), r.again+again
			all = append(all, took...)
		}
		slices.Sort(all)
		r.p50, r.p99, r.max = percentile(all, 50), percentile(all, 99), percentile(all, 100)
		results = append(results, r)
	}
	return results, nil
}

// percentile is the smallest of the sorted times that p percent do not exceed.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}
