package command_test

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/store/memory"
)

// Many clients do everything at once to the same few conversations, with a cache
// that is too small for them: every command is answered, and what the engine
// remembers in the end is what the store has.
func TestEverythingAtOnce(t *testing.T) {
	s := memory.New()
	b := newBench(t, s)
	cids := b.conversations(t)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 7))
			data := make([]byte, 20_000)
			for i := range data {
				data[i] = byte(r.Uint32())
			}
			sc := &script{data: data, cids: cids[:len(cids):len(cids)]}
			for len(sc.data) > 0 {
				cmd := sc.command()
				for _, reply := range b.do(pick(sc, "a", "b", "c", "d"), cmd) {
					if reply.GetAckMessage().GetUid() != "" {
						sc.sent = append(sc.sent, reply.GetAckMessage())
					}
					if _, err := wire.Append(nil, reply); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	require.NotContains(t, b.log.String(), "panic")
	require.NotContains(t, b.log.String(), "store failed")
	seen := look(t, b.engine, cids)
	b.engine.Close(t.Context())
	fresh := newBench(t, s)
	require.Equal(t, look(t, fresh.engine, cids), seen)
	fresh.engine.Close(t.Context())
	require.NoError(t, s.Close())
}
