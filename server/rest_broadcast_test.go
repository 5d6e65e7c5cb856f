package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/server"
	"github.com/leanrtm/realtime/server/internal/store"
)

// crowd is an app with many clients that are known and subscribe a service
// conversation, of whom some are online.
type crowd struct {
	tb      testing.TB
	s       *realtimetest.Server
	store   *rowCounter
	service *admin.ServiceConversation
	online  int
	known   int
	arrived chan string // a text for every client that got it
}

// online clients share this many connections.
const crowdConnections = 4

func newCrowd(tb testing.TB, online int) *crowd {
	c := &crowd{tb: tb, store: &rowCounter{Store: server.NewMemoryStore()}, arrived: make(chan string, 4*online)}
	c.s = realtimetest.NewServer(tb, realtimetest.WithServerOptions(func(o *server.Options) { o.Store = c.store }))
	var err error
	c.service, err = c.s.Admin().CreateServiceConversation(tb.Context(), admin.ServiceConversationOptions{Name: "GM"})
	require.NoError(tb, err)
	c.grow(online)
	rts := make([]*realtime.Realtime, crowdConnections)
	for i := range rts {
		o := c.s.Options()
		o.Logger = nil
		rts[i], err = realtime.New(o)
		require.NoError(tb, err)
		tb.Cleanup(func() { rts[i].Close(context.Background()) })
	}
	for i := range online {
		client := rts[i%len(rts)].NewIMClient(crowdID(i))
		client.OnMessage(func(_ context.Context, e *realtime.MessageEvent) { c.arrived <- e.Message.Text() })
		require.NoError(tb, client.Open(tb.Context()))
	}
	c.online = online
	return c
}

func crowdID(i int) string { return fmt.Sprintf("player-%06d", i) }

// grow lets so many clients be known, as if each had been logged in once and had
// subscribed.
func (c *crowd) grow(known int) {
	now := time.Now().UnixMilli()
	seen, err := json.Marshal(map[string]int64{"first": now, "last": now})
	require.NoError(c.tb, err)
	for c.known < known {
		b := store.Batch{App: c.s.AppID}
		for range 1000 {
			id := crowdID(c.known)
			b.Ops = append(b.Ops,
				&store.PutRecord{Record: &store.Record{Kind: "seen", Key: id, Version: 1, Body: seen}},
				&store.PutMember{Cid: c.service.ID(), Member: store.Member{Client: id, Joined: now}})
			c.known++
		}
		require.NoError(c.tb, store.CommitOne(c.tb.Context(), c.store, b))
	}
	n, err := c.service.Count(c.tb.Context())
	require.NoError(c.tb, err)
	require.Equal(c.tb, c.known, n)
}

type send = func(ctx context.Context, b admin.Broadcast) (*realtime.Message, error)

// publish broadcasts a text and waits until everybody online has it.
func (c *crowd) publish(to send, text string) {
	_, err := to(c.tb.Context(), admin.Broadcast{From: "GM", Content: realtime.NewTextMessage(text)})
	require.NoError(c.tb, err)
	for range c.online {
		require.Equal(c.tb, text, <-c.arrived)
	}
}

// rowCounter is a store that counts the rows that are read of lists which may
// have one for every client that is known.
type rowCounter struct {
	server.Store
	rows, calls atomic.Int64
}

func (s *rowCounter) read(n int) {
	s.calls.Add(1)
	s.rows.Add(int64(n))
}

func (s *rowCounter) Members(ctx context.Context, app, cid, after string, n int) ([]store.Member, error) {
	rows, err := s.Store.Members(ctx, app, cid, after, n)
	s.read(len(rows))
	return rows, err
}

func (s *rowCounter) FindMembers(ctx context.Context, app string, keys []store.MemberKey) ([]*store.Member, error) {
	rows, err := s.Store.FindMembers(ctx, app, keys)
	s.read(len(rows))
	return rows, err
}

func (s *rowCounter) Memberships(ctx context.Context, app, client, after string, n int) ([]store.Membership, error) {
	rows, err := s.Store.Memberships(ctx, app, client, after, n)
	s.read(len(rows))
	return rows, err
}

func (s *rowCounter) Marks(ctx context.Context, app, cid string, clients []string) ([]store.Mark, error) {
	rows, err := s.Store.Marks(ctx, app, cid, clients)
	s.read(len(rows))
	return rows, err
}

func (s *rowCounter) Heads(ctx context.Context, logs []store.LogID) ([]store.Head, error) {
	rows, err := s.Store.Heads(ctx, logs)
	s.read(len(rows))
	return rows, err
}

func (s *rowCounter) Records(ctx context.Context, kind store.RecordKind, app, prefix, after string, n int) ([]store.Record, error) {
	rows, err := s.Store.Records(ctx, kind, app, prefix, after, n)
	s.read(len(rows))
	return rows, err
}

func (s *rowCounter) FindRecords(ctx context.Context, kind store.RecordKind, app string, keys []string) ([]*store.Record, error) {
	rows, err := s.Store.FindRecords(ctx, kind, app, keys)
	s.read(len(rows))
	return rows, err
}

const rounds = 5

// cost is what a broadcast costs, from the request to the last handler.
type cost struct {
	bytes   uint64 // the least of some rounds, since everything else that happens only adds to it
	rows    int64  // read from the store, most of some rounds
	calls   int64  // that read them
	elapsed time.Duration
}

func (c *crowd) cost(to send) cost {
	least := cost{bytes: 1 << 63, elapsed: time.Hour}
	var before, after runtime.MemStats
	for i := range rounds {
		runtime.GC()
		runtime.ReadMemStats(&before)
		rows, calls, start := c.store.rows.Load(), c.store.calls.Load(), time.Now()
		c.publish(to, fmt.Sprint("broadcast ", i))
		least.elapsed = min(least.elapsed, time.Since(start))
		runtime.ReadMemStats(&after)
		least.bytes = min(least.bytes, after.TotalAlloc-before.TotalAlloc)
		least.rows = max(least.rows, c.store.rows.Load()-rows)
		least.calls = max(least.calls, c.store.calls.Load()-calls)
	}
	return least
}

// A broadcast costs by who is online, not by who is known: in memory, and in what
// is read of the store. The time that it takes is told and not judged: that of a
// busy machine says nothing.
func TestBroadcastCostsByWhoIsOnline(t *testing.T) {
	c := newCrowd(t, 1000)
	targets := map[string]send{
		"to subscribers": c.service.BroadcastToSubscribers, "to all": c.service.BroadcastToAll,
	}
	few := make(map[string]cost)
	for name, to := range targets {
		few[name] = c.cost(to)
	}
	c.grow(100_000)
	more := 0 // broadcasts
	for name, to := range targets {
		many := c.cost(to)
		// On a busy machine much else is going on, which only adds.
		for tries := 0; many.bytes >= few[name].bytes*3/2 && tries < 5; tries++ {
			more += rounds
			again := c.cost(to)
			many.bytes, many.elapsed = min(many.bytes, again.bytes), min(many.elapsed, again.elapsed)
		}
		t.Logf("%s, 1,000 online: %+v with 1,000 known, %+v with 100,000 known", name, few[name], many)
		require.Less(t, many.bytes, few[name].bytes*3/2, name)
		// Receivers acknowledge: a few rows each.
		require.LessOrEqual(t, many.rows, 10*int64(c.online), name)
		require.LessOrEqual(t, many.calls, 10*int64(c.online), name)
	}

	// Who was away has everything to read from the one copy: all that went to all,
	// and what went to subscribers since it subscribed, before the second round.
	unread, err := c.s.Admin().IMClient(crowdID(c.known-1)).UnreadCount(t.Context(), c.service.ID())
	require.NoError(t, err)
	require.Equal(t, 3*rounds+more, unread)
	n := 0
	for _, err := range c.service.Messages(t.Context(), realtime.MessageQuery{}) {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, 4*rounds+more, n, "stored once each")
}

func BenchmarkBroadcast(b *testing.B) {
	c := newCrowd(b, 1000)
	for _, known := range []int{1000, 100_000} {
		c.grow(known)
		for name, to := range map[string]send{
			"subscribers": c.service.BroadcastToSubscribers, "all": c.service.BroadcastToAll,
		} {
			b.Run(fmt.Sprintf("%s/known=%d", name, known), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					c.publish(to, "double coins")
				}
			})
		}
	}
}
