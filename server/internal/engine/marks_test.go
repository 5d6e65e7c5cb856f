package engine

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/store"
	"github.com/leanrtm/realtime/server/internal/store/memory"
)

// mustServe returns a service conversation that has said one message to each of
// the clients.
func mustServe(t *testing.T, e *Engine, clients []string) string {
	t.Helper()
	made, err := e.Create(t.Context(), asAdmin(), NewConv{Kind: store.KindService})
	require.NoError(t, err)
	for some := range slices.Chunk(clients, MaxAddressees) {
		_, err := e.SendTo(t.Context(), asAdmin(), made.Cid, some, &Outgoing{Body: "x"})
		require.NoError(t, err)
	}
	return made.Cid
}

// stampsTaken is how many stamps are in flight.
func stampsTaken(e *Engine) int {
	n := 0
	for i := range e.slots {
		if e.slots[i].from.Load() != 0 {
			n++
		}
	}
	return n
}

// A count takes long, and is done without the conversation's lock: who had a
// stamp meanwhile would wait for the lock with it.
func TestNoStampWhileCounting(t *testing.T) {
	s := &slow{Store: memory.New()}
	e, _ := start(t, func(c *Config) { c.Store = s })
	normal := mustCreate(t, e, "tom", "jerry")
	mustSend(t, e, as("tom"), normal, "x")
	for _, cid := range []string{normal, mustServe(t, e, []string{"jerry"})} {
		counts := 0
		s.counting = func(store.LogID, string, int64) {
			counts++
			require.Zero(t, stampsTaken(e))
		}
		require.NoError(t, e.Read(t.Context(), as("jerry"), ReadPoint{Cid: cid, TS: 1}))
		require.Positive(t, counts)
		s.counting = nil
		require.Zero(t, stampsTaken(e))
	}
}

// More clients than there are stamps read a part of one conversation at once, so
// that all of them count at the same time and then all want its lock.
func TestManyReadAtOnce(t *testing.T) {
	const readers = stampSlots + 144
	s := &slow{Store: memory.New()}
	e, _ := start(t, func(c *Config) { c.Store = s })
	clients := members(readers)
	normal := mustCreate(t, e, clients...)
	mustSend(t, e, as(clients[0]), normal, "x")
	service := mustServe(t, e, clients)
	cids := []string{normal, service}

	together := map[string]*sync.WaitGroup{normal: new(sync.WaitGroup), service: new(sync.WaitGroup)}
	var begun sync.Map // who has counted before
	s.counting = func(log store.LogID, client string, after int64) {
		if log.Cid == service && after == 0 {
			return // that is for finding out how far one can read
		}
		if _, again := begun.LoadOrStore(log.Cid+client, true); again {
			return
		}
		together[log.Cid].Done()
		together[log.Cid].Wait()
	}
	var wg sync.WaitGroup
	for _, cid := range cids {
		together[cid].Add(readers)
		for _, client := range clients {
			wg.Go(func() {
				if err := e.Read(context.Background(), as(client), ReadPoint{Cid: cid, TS: 1}); err != nil {
					t.Errorf("%s reads %s: %v", client, cid, err)
				}
			})
		}
	}
	wg.Wait()
	s.counting = nil
	require.Zero(t, stampsTaken(e))
	mustSend(t, e, as("tom"), mustCreate(t, e, "tom", "jerry"), "y") // others get along too
	for _, cid := range cids {
		n, err := e.Unread(t.Context(), as(clients[1]), clients[1], cid)
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
}

// What comes while reading is being counted was not read, even by a client that
// reads everything.
func TestWhatComesMeanwhileIsNotRead(t *testing.T) {
	s := &slow{Store: memory.New()}
	e, _ := start(t, func(c *Config) { c.Store = s })
	cid := mustServe(t, e, []string{"jerry"})
	// The last message is looked at when it is known how far there is to read.
	s.finding = func() {
		s.finding = nil
		_, err := e.SendTo(t.Context(), asAdmin(), cid, []string{"jerry"}, &Outgoing{Body: "y"})
		require.NoError(t, err)
	}
	require.NoError(t, e.Read(t.Context(), as("jerry"), ReadPoint{Cid: cid}))
	require.Nil(t, s.finding)
	n, err := e.Unread(t.Context(), as("jerry"), "jerry", cid)
	require.NoError(t, err)
	require.Equal(t, 1, n)
}
