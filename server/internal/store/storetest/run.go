package storetest

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/store"
)

// Open makes an empty store for one case. The suite closes it.
type Open func(t testing.TB) store.Store

type testCase struct {
	name string
	run  func(t testing.TB, open Open)
}

// cases are in the order of their cost.
func cases() []testCase {
	var all []testCase
	for _, group := range [][]testCase{
		convCases(), keyCases(), scanCases(), memberCases(), logCases(), rangeCases(), importCases(), patchCases(), markCases(),
		changeCases(), listCases(), recordCases(), batchCases(), idCases(), lifeCases(), sizeCases(), modelCases(), concurrentCases(),
	} {
		all = append(all, group...)
	}
	return all
}

// Run checks that the stores that open makes keep the contract of package store.
func Run(t testing.TB, open Open) {
	t.Helper()
	for _, c := range cases() {
		if tt, ok := t.(*testing.T); ok {
			tt.Run(c.name, func(t *testing.T) { c.run(t, open) })
			continue
		}
		runAlone(t, c, open)
		if t.Failed() {
			t.Logf("failed in case %s", c.name)
			return
		}
	}
}

// runAlone gives the case a goroutine of its own, which FailNow may end. Reading an answer that
// is too short panics; that is a failure like others.
func runAlone(t testing.TB, c testCase, open Open) {
	var done sync.WaitGroup
	done.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				t.Errorf("panic: %v", p)
			}
		}()
		c.run(t, open)
	})
	done.Wait()
}

// env is a store under test and shorthands to use it.
type env struct {
	testing.TB
	store.Store
	ctx context.Context
	app string
}

func newEnv(t testing.TB, open Open) *env {
	t.Helper()
	s := open(t)
	t.Cleanup(func() { _ = s.Close() })
	return &env{TB: t, Store: s, ctx: context.Background(), app: "app"}
}

// in is the same store as another app sees it.
func (e *env) in(app string) *env {
	f := *e
	f.app = app
	return &f
}

// try commits one batch of operations and guards.
func (e *env) try(things ...any) error {
	e.Helper()
	return store.CommitOne(e.ctx, e.Store, e.batch(things...))
}

func (e *env) batch(things ...any) store.Batch {
	b := store.Batch{App: e.app}
	for _, x := range things {
		switch x := x.(type) {
		case store.Guard:
			b.Guards = append(b.Guards, x)
		case store.Op:
			b.Ops = append(b.Ops, x)
		}
	}
	return b
}

// do commits a batch that must succeed.
func (e *env) do(things ...any) {
	e.Helper()
	require.NoError(e.TB, e.try(things...))
}

// refused commits a batch that must fail with the given guard.
func (e *env) refused(which store.GuardKind, things ...any) *store.GuardError {
	e.Helper()
	err := e.try(things...)
	g, ok := store.AsGuard(err, which)
	require.Truef(e.TB, ok, "want a guard error of kind %v, got %v", which, err)
	return g
}

func conv(cid string) *store.Conv {
	return &store.Conv{Cid: cid, Kind: store.KindNormal, Version: 1, Created: 1000}
}

func kindConv(cid string, kind store.ConvKind, created int64) *store.Conv {
	return &store.Conv{Cid: cid, Kind: kind, Version: 1, Created: created}
}

// create makes a conversation with members.
func (e *env) create(cid string, members ...string) {
	e.Helper()
	e.createAs(conv(cid), members...)
}

func (e *env) createAs(c *store.Conv, members ...string) {
	e.Helper()
	things := []any{&store.Version{Cid: c.Cid}, &store.PutConv{Conv: c}}
	for _, m := range members {
		things = append(things, &store.PutMember{Cid: c.Cid, Member: store.Member{Client: m, Joined: c.Created}})
	}
	e.do(things...)
}

// one reads a conversation with everything.
func (e *env) one(cid string) *store.Conv {
	e.Helper()
	cs, err := e.Convs(e.ctx, e.app, []string{cid}, store.LoadMembers|store.LoadLast)
	require.NoError(e.TB, err)
	require.Len(e.TB, cs, 1)
	return cs[0]
}

func (e *env) log(cid, view string) store.LogID {
	return store.LogID{App: e.app, Cid: cid, View: view}
}

func (e *env) head(cid, view string) store.Head {
	e.Helper()
	hs, err := e.Heads(e.ctx, []store.LogID{e.log(cid, view)})
	require.NoError(e.TB, err)
	require.Len(e.TB, hs, 1)
	return hs[0]
}

func msg(seq, ts int64, mid, from, body string) *store.Message {
	return &store.Message{Seq: seq, TS: ts, Mid: mid, From: from, Body: body}
}

// send appends a message at the head of the main log and returns it.
func (e *env) send(cid string, m *store.Message) *store.Message {
	e.Helper()
	e.do(&store.Append{Cid: cid, Msg: m})
	return m
}

// history reads a range of the main log.
func (e *env) history(cid string, r store.Range, n int) []store.Message {
	e.Helper()
	ms, err := e.Messages(e.ctx, e.log(cid, store.ViewMain), r, n)
	require.NoError(e.TB, err)
	return ms
}

func mids(ms []store.Message) []string {
	out := make([]string, 0, len(ms))
	for _, m := range ms {
		out = append(out, m.Mid)
	}
	return out
}

func clientsOf(ms []store.Member) []string {
	out := make([]string, 0, len(ms))
	for _, m := range ms {
		out = append(out, m.Client)
	}
	return out
}

// endless is more than any list of the suite has.
const endless = 10_000

// membershipIDs are the conversations of a client, read in small pages.
func (e *env) membershipIDs(client string) []string {
	e.Helper()
	const pageSize = 3
	out := []string{}
	for after := ""; ; {
		page, err := e.Memberships(e.ctx, e.app, client, after, pageSize)
		require.NoError(e.TB, err)
		for _, m := range page {
			out = append(out, m.Cid)
		}
		require.Less(e.TB, len(out), endless, "pages do not end")
		if len(page) < pageSize {
			return out
		}
		after = page[len(page)-1].Cid
	}
}

// scan collects the ids of an access path.
func (e *env) scan(a store.Access) []string {
	e.Helper()
	out := []string{}
	require.NoError(e.TB, e.Scan(e.ctx, e.app, a, func(c *store.Conv) bool {
		out = append(out, c.Cid)
		return true
	}))
	return out
}

func (e *env) changes(q store.ChangeQuery, after int64, n int) store.ChangePage {
	e.Helper()
	q.Log.App = e.app
	p, err := e.Changes(e.ctx, q, after, n)
	require.NoError(e.TB, err)
	return p
}

func times(p store.ChangePage) []int64 {
	out := make([]int64, 0, len(p.Items))
	for _, c := range p.Items {
		out = append(out, c.TS)
	}
	return out
}
