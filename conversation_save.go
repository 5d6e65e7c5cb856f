package realtime

import (
	"context"

	"github.com/leanrtm/realtime/internal/pb"
)

// Save changes attributes: a key such as "attr" replaces a whole value, a path
// such as "attr.pinned" one part of it, and "name" the name. Values are as
// encoding/json writes them; a time.Time, also within maps and lists, becomes
// a Date. All changes are one request: they are made together or not at all.
// When it returns nil the conversation shows them.
//
// A chat room and a normal conversation can be changed. Keys that the protocol
// reserves, and two keys of which one is within the other, are refused with
// ErrInvalidArgument. No changes, no request.
func (c *Conversation) Save(ctx context.Context, changes map[string]any) error {
	if err := c.allowed(attributesChange); err != nil {
		return err
	}
	encoded, err := encodeChanges(changes, false)
	if err != nil || len(encoded) == 0 {
		return err
	}
	data, err := encodeObject(encoded)
	if err != nil {
		return err
	}
	idempotent := true
	for _, raw := range encoded {
		if op := operation(raw); op != "" && op != "Delete" {
			idempotent = false // such as Increment
		}
	}
	reply, err := c.do(ctx, attributesChange, pb.OpType_update, &pb.ConvCommand{
		Attr: &pb.JsonObjectMessage{Data: &data},
	}, callOptions{safe: idempotent})
	if err != nil {
		return err
	}
	at := changeTime(reply)
	c.update(func(s *convState) { s.changed(resultOf(reply, encoded), at) })
	return nil
}
