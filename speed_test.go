package realtime_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSpeed holds sends to a multiple of what the bare socket takes for the same
// frames in the same seconds. It is for a step of its own, with nothing beside it;
// the bounds are wide all the same, and an attempt that fails is made again: what
// is to be found is a send that has become several times slower.
func TestSpeed(t *testing.T) {
	if os.Getenv("REALTIME_SPEED") == "" {
		t.Skip("measures time: set REALTIME_SPEED=1, and let nothing else run")
	}
	const (
		rounds   = 7
		messages = 3000
		attempts = 3
	)
	for _, c := range []struct {
		name     string
		inFlight int
		most     float64 // times the floor
	}{
		{"one at a time", 1, 6},
		{"256 in flight", 256, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			conv := benchConversation(t, benchServer(t))
			send, ack := echoFrames(t)
			floor := newEchoFloor(t, ack)
			var ratio float64
			for range attempts {
				ours, bare := time.Duration(1<<62), time.Duration(1<<62)
				for range rounds {
					begun := time.Now()
					sendMany(t, conv, messages, c.inFlight)
					ours = min(ours, time.Since(begun))
					begun = time.Now()
					floor.pipelined(send, messages, c.inFlight)
					bare = min(bare, time.Since(begun))
				}
				ratio = float64(ours) / float64(bare)
				t.Logf("%v for a message, %v on the bare socket: %.2f times", ours/messages, bare/messages, ratio)
				if ratio <= c.most {
					return
				}
			}
			require.LessOrEqual(t, ratio, c.most)
		})
	}
}
