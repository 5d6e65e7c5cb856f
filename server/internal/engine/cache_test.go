package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/limit"
	"github.com/leanrtm/realtime/server/internal/sign"
	"github.com/leanrtm/realtime/server/internal/store"
	"github.com/leanrtm/realtime/server/internal/store/memory"
)

// reads is a store whose loads of conversations can be counted, held up and
// made to fail.
type reads struct {
	store.Store
	convs atomic.Int32
	hold  chan struct{}
	err   error
}

func (r *reads) Convs(ctx context.Context, app string, cids []string, load store.Load) ([]*store.Conv, error) {
	r.convs.Add(1)
	if r.hold != nil {
		select {
		case <-r.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return r.Store.Convs(ctx, app, cids, load)
}

func TestConversationsAreLoadedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reads{Store: memory.New()}
		e, _ := start(t, func(c *Config) { c.Store = r })
		cid := mustCreate(t, e, "tom")
		r.hold = make(chan struct{})
		r.convs.Store(0)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { mustSend(t, e, as("tom"), cid, "x") })
		}
		synctest.Wait()
		require.EqualValues(t, 1, r.convs.Load())
		close(r.hold)
		wg.Wait()
		require.EqualValues(t, 1, r.convs.Load())
	})
}

// Who waits for somebody else's load is not hurt by that one giving up.
func TestLoadOutlivesImpatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reads{Store: memory.New()}
		e, _ := start(t, func(c *Config) { c.Store = r })
		cid := mustCreate(t, e, "tom")
		r.hold = make(chan struct{})
		hasty, cancel := context.WithCancel(t.Context())
		first, second, third := make(chan error, 1), make(chan error, 1), make(chan error, 1)
		go func() { _, err := e.Send(hasty, as("tom"), cid, &Outgoing{Body: "1"}); first <- err }()
		synctest.Wait()
		go func() { _, err := e.Send(t.Context(), as("tom"), cid, &Outgoing{Body: "2"}); second <- err }()
		brief, done := context.WithTimeout(t.Context(), time.Second)
		defer done()
		go func() { _, err := e.Send(brief, as("tom"), cid, &Outgoing{Body: "3"}); third <- err }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-first, context.Canceled)
		require.ErrorIs(t, <-third, context.DeadlineExceeded)
		close(r.hold)
		require.NoError(t, <-second)
	})
}

func TestLoadFails(t *testing.T) {
	r := &reads{Store: memory.New()}
	e, log := start(t, func(c *Config) { c.Store = r })
	cid := mustCreate(t, e, "tom")
	r.err = errors.New("disk on fire")
	_, err := e.Count(t.Context(), as("tom"), cid)
	require.True(t, is(err, wire.CodeConversationInternalError), "%v", err)
	require.ErrorIs(t, err, r.err)
	require.NotContains(t, err.Error(), "fire", "clients are not told the store's secrets")
	require.Contains(t, log.String(), "fire")
	r.err = nil
	_, err = e.Count(t.Context(), as("tom"), cid)
	require.NoError(t, err, "it is tried again")
}

// A conversation that does not exist is not remembered as such.
func TestAbsenceIsNotCached(t *testing.T) {
	e, _ := start(t)
	_, err := e.Count(t.Context(), as("tom"), "c")
	require.True(t, is(err, wire.CodeConversationNotFound))
	require.NoError(t, store.CommitOne(t.Context(), e.store, store.Batch{App: testApp, Ops: []store.Op{
		&store.PutConv{Conv: &store.Conv{Cid: "c", Kind: store.KindNormal, Version: 1, MemberVersion: 1}},
	}}))
	_, err = e.Count(t.Context(), as("tom"), "c")
	require.NoError(t, err)
}

// The cache keeps its size, and nobody notices.
func TestEviction(t *testing.T) {
	e, _ := start(t, func(c *Config) { c.CachedConvs = cacheShards })
	var cids []string
	for range 10 * cacheShards {
		cids = append(cids, mustCreate(t, e, "tom", "jerry"))
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 500 {
				cid := cids[(i*7+g*13)%len(cids)]
				if _, err := e.Send(t.Context(), as("tom"), cid, &Outgoing{Body: "x"}); err != nil {
					t.Error(err)
				}
				if err := e.Received(t.Context(), as("jerry"), cid, e.Now(), ""); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	e.janitor.writeMarks(t.Context(), 0)
	for range 4 * cacheShards { // with the marks written, everything may go
		_, err := e.Count(t.Context(), as("tom"), mustCreate(t, e, "tom"))
		require.NoError(t, err)
	}
	a, cached := e.apps[testApp], 0
	for i := range a.cache.shards {
		cached += len(a.cache.shards[i].convs)
	}
	require.LessOrEqual(t, cached, 4*cacheShards)
	total := int64(0)
	for _, cid := range cids {
		heads, err := e.store.Heads(t.Context(), []store.LogID{{App: testApp, Cid: cid}})
		require.NoError(t, err)
		total += heads[0].Seq
	}
	require.EqualValues(t, 2000, total, "every message is there, numbered without gaps")
}

// Somebody else wrote to the store behind the cache: what was cached is thrown
// away and the operation decided again.
func TestStaleCache(t *testing.T) {
	behind := map[string]func(cid string) []store.Op{
		"a message": func(cid string) []store.Op {
			return []store.Op{&store.Append{Cid: cid, Msg: &store.Message{TS: 1 << 50, Mid: "m", Seq: 1, From: "eve"}}}
		},
		"members": func(cid string) []store.Op {
			return []store.Op{
				&store.PutConv{Conv: &store.Conv{Cid: cid, Kind: store.KindNormal, Creator: "tom", Version: 9, MemberVersion: 9}},
				&store.PutMember{Cid: cid, Member: store.Member{Client: "eve"}},
			}
		},
		"the end of it": func(cid string) []store.Op { return []store.Op{&store.DropConv{Cid: cid}} },
	}
	operations := map[string]func(e *Engine, cid string) error{
		"send": func(e *Engine, cid string) error {
			_, err := e.Send(t.Context(), as("tom"), cid, &Outgoing{Body: "x"})
			return err
		},
		"add": func(e *Engine, cid string) error {
			_, err := e.Add(t.Context(), as("tom"), cid, []string{"bob"}, sign.Signature{})
			return err
		},
		"remove": func(e *Engine, cid string) error {
			_, err := e.Remove(t.Context(), as("tom"), cid, []string{"jerry"}, sign.Signature{})
			return err
		},
		"update": func(e *Engine, cid string) error {
			_, err := e.Update(t.Context(), as("tom"), cid, []byte(`{"name":"x"}`))
			return err
		},
		"mute": func(e *Engine, cid string) error {
			_, err := e.Mute(t.Context(), as("tom"), cid, []string{"tom"}, true)
			return err
		},
		"role": func(e *Engine, cid string) error {
			_, err := e.SetRole(t.Context(), as("tom"), cid, "jerry", wire.RoleManager)
			return err
		},
		"shutup": func(e *Engine, cid string) error {
			_, err := e.Shutup(t.Context(), as("tom"), cid, []string{"jerry"}, true)
			return err
		},
		"block": func(e *Engine, cid string) error {
			_, err := e.Block(t.Context(), as("tom"), cid, []string{"jerry"}, true, sign.Signature{})
			return err
		},
	}
	for what, ops := range behind {
		for name, operation := range operations {
			t.Run(fmt.Sprintf("%s, %s", name, what), func(t *testing.T) {
				e, _ := start(t)
				cid := mustCreate(t, e, "tom", "jerry")
				_, err := e.Count(t.Context(), as("tom"), cid)
				require.NoError(t, err)
				require.NoError(t, store.CommitOne(t.Context(), e.store, store.Batch{App: testApp, Ops: ops(cid)}))
				err = operation(e, cid)
				if what != "the end of it" {
					require.NoError(t, err)
					return
				}
				require.Error(t, err)
				require.True(t, is(err, wire.CodeConversationNotFound) || is(err, wire.CodeInvalidMessagingTarget), "%v", err)
			})
		}
	}
}

// An engine that starts on what another one left goes on where that one stopped.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		keep := func(c *Config) { c.Store = kept{s} }
		e, _ := start(t, keep)
		service, err := e.Create(t.Context(), asAdmin(), NewConv{Kind: store.KindService})
		require.NoError(t, err)
		by := asAdmin()
		by.Client = "gm"
		cast, err := e.BroadcastToAll(t.Context(), by, service.Cid, &Outgoing{Body: "x"}, e.Now()+60_000)
		require.NoError(t, err)
		temp, err := e.Create(t.Context(), as("tom"), NewConv{Kind: store.KindTemporary, TTL: 30 * time.Second})
		require.NoError(t, err)
		cid := mustCreate(t, e, "tom", "jerry")
		last := mustSend(t, e, as("tom"), cid, "1")
		e.Close(t.Context())

		e, _ = start(t, keep)
		require.Greater(t, mustSend(t, e, as("tom"), cid, "2").TS, last.TS)
		list, err := e.Broadcasts(t.Context(), asAdmin(), "", 0, 10)
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, cast.Mid, list[0].Mid)
		time.Sleep(31 * time.Second)
		found, err := s.Convs(t.Context(), testApp, []string{temp.Cid}, 0)
		require.NoError(t, err)
		require.Nil(t, found[0], "it was swept without being asked for")
		time.Sleep(30 * time.Second)
		list, err = e.Broadcasts(t.Context(), asAdmin(), "", 0, 10)
		require.NoError(t, err)
		require.Empty(t, list)
		require.NoError(t, s.Close())
	})
}

// kept is a store that outlives its engine.
type kept struct{ store.Store }

func (kept) Close() error { return nil }

// notInline is a store that waits when it writes.
type notInline struct{ store.Store }

func (notInline) Caps() store.Caps { return store.Caps{} }

func TestNewRefuses(t *testing.T) {
	for what, change := range map[string]func(*Config){
		"no store":       func(c *Config) { c.Store = nil },
		"no registry":    func(c *Config) { c.Sessions = nil },
		"a slow store":   func(c *Config) { c.Store = notInline{memory.New()} },
		"a nameless app": func(c *Config) { c.Apps[0].ID = "" },
		"the same twice": func(c *Config) { c.Apps = append(c.Apps, c.Apps[0]) },
	} {
		t.Run(what, func(t *testing.T) {
			e, _ := start(t)
			cfg := Config{Apps: []limit.App{{ID: "x"}}, Store: kept{e.store}, Sessions: e.sessions}
			change(&cfg)
			_, err := New(t.Context(), cfg)
			require.Error(t, err)
		})
	}
}
