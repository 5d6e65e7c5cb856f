package engine

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSpeed holds a send to the same cost whatever is stored already. It is for a
// step of its own, with nothing beside it.
func TestSpeed(t *testing.T) {
	if os.Getenv("REALTIME_SPEED") == "" {
		t.Skip("measures time: set REALTIME_SPEED=1, and let nothing else run")
	}
	const (
		stored   = 200_000
		rounds   = 7
		messages = 5000
		attempts = 3
		most     = 2 // times the cost with little stored
	)
	e, _ := start(t)
	ids := members(2)
	little, much := mustCreate(t, e, ids...), mustCreate(t, e, ids[0], "somebody else")
	n := 0
	send := func(cid string, messages int) time.Duration {
		begun := time.Now()
		for range messages {
			n++
			_, err := e.Send(context.Background(), as(ids[0]), cid, &Outgoing{Body: benchBody, Token: strconv.Itoa(n)})
			require.NoError(t, err)
		}
		return time.Since(begun)
	}
	send(much, stored)
	var ratio float64
	for range attempts {
		few, many := time.Duration(1<<62), time.Duration(1<<62)
		for range rounds {
			few, many = min(few, send(little, messages)), min(many, send(much, messages))
		}
		ratio = float64(many) / float64(few)
		t.Logf("%v for a message, %v with %d stored: %.2f times", few/messages, many/messages, stored, ratio)
		if ratio <= most {
			return
		}
	}
	require.LessOrEqual(t, ratio, float64(most))
}
