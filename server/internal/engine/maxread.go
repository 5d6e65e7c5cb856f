package engine

import (
	"context"

	"github.com/leanrtm/realtime/internal/wire"
)

// Reached is how far a member has received and read a conversation: times of
// messages, 0 if unknown.
type Reached struct {
	Client string
	AckTS  int64
	ReadTS int64
}

// MaxRead tells how far the other members have received and read a conversation:
// with all of them, those of whom something is known; else the other one of two
// members, if there is exactly one. Chat rooms and service conversations keep
// none of that.
func (e *Engine) MaxRead(ctx context.Context, by Cause, cid string, all bool) ([]Reached, error) {
	a, err := e.app(by.App)
	if err != nil {
		return nil, err
	}
	c, err := e.lockMarks(ctx, a, cid, func(c *conv) []string {
		if all || len(c.ids) == 2 {
			return c.ids
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	if !listed(c.kind()) {
		return nil, refuse(wire.CodeNormalConversationRequired, "nobody is known to have received or read it")
	}
	if !c.mayRead(by) {
		return nil, refuse(wire.CodeConversationMembershipRequired, "")
	}
	var out []Reached
	if !all && len(c.ids) != 2 {
		return nil, nil
	}
	for _, client := range c.ids {
		m := c.marks[client]
		if client == by.Client || m.AckTS == 0 && m.ReadTS == 0 {
			continue
		}
		out = append(out, Reached{Client: client, AckTS: max(m.AckTS, m.ReadTS), ReadTS: m.ReadTS})
	}
	return out, nil
}
