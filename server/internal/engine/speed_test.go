package engine

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSpeed holds a send to the same cost whatever is stored already, and to a few
// times that where each goes to another of many conversations. It is for a step of
// its own, with nothing beside it.
func TestSpeed(t *testing.T) {
	if os.Getenv("REALTIME_SPEED") == "" {
		t.Skip("measures time: set REALTIME_SPEED=1, and let nothing else run")
	}
	const (
		stored     = 200_000
		convs      = 20_000
		rounds     = 7
		messages   = 5000
		attempts   = 3
		mostStored = 2 // times the cost with little stored
		mostConvs  = 5 // times the cost in one conversation: the caches of the processor help no more
	)
	e, _ := start(t)
	ids := members(2)
	little, much := mustCreate(t, e, ids...), mustCreate(t, e, ids[0], "somebody else")
	many := make([]string, convs)
	for i := range many {
		many[i] = mustCreate(t, e, ids[0], "member "+strconv.Itoa(i))
	}
	n := 0
	send := func(messages int, cids ...string) time.Duration {
		begun := time.Now()
		for range messages {
			n++
			_, err := e.Send(context.Background(), as(ids[0]), cids[n%len(cids)], &Outgoing{Body: benchBody, Token: strconv.Itoa(n)})
			require.NoError(t, err)
		}
		return time.Since(begun)
	}
	send(stored, much)
	send(convs, many...)
	var ratio, spread float64
	for range attempts {
		few, full, turns := time.Duration(1<<62), time.Duration(1<<62), time.Duration(1<<62)
		for range rounds {
			few, full, turns = min(few, send(messages, little)), min(full, send(messages, much)), min(turns, send(messages, many...))
		}
		ratio, spread = float64(full)/float64(few), float64(turns)/float64(few)
		t.Logf("%v for a message, %.2f times that with %d stored, %.2f times in turn to %d conversations", few/messages, ratio, stored, spread, convs)
		if ratio <= mostStored && spread <= mostConvs {
			return
		}
	}
	require.LessOrEqual(t, ratio, float64(mostStored))
	require.LessOrEqual(t, spread, float64(mostConvs))
}
