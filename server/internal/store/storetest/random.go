package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/store"
)

// seedVariable names the environment variable that replays one seed.
const seedVariable = "STORETEST_SEED"

func modelCases() []testCase {
	const fixed, steps = 3, 300
	return []testCase{{"model/random batches", func(t testing.TB, open Open) {
		if text := os.Getenv(seedVariable); text != "" {
			seed, err := strconv.ParseUint(text, 10, 64)
			require.NoError(t, err)
			runModel(t, open, seed, steps)
			return
		}
		for seed := range uint64(fixed) {
			runModel(t, open, seed, steps)
		}
		runModel(t, open, rand.Uint64(), steps)
	}}}
}

// runModel sends the same random batches to a store and to the model and compares answers.
func runModel(t testing.TB, open Open, seed uint64, steps int) {
	t.Helper()
	done := false
	defer func() {
		if !done {
			t.Logf("replay with %s=%d", seedVariable, seed)
		}
	}()
	e := newEnv(t, open)
	m := newModel()
	g := &generator{rand: rand.New(rand.NewPCG(seed, 1)), env: e, model: m, now: 1000}
	for step := range steps {
		g.now += g.rand.Int64N(20)
		b := g.batch()
		want := store.CommitOne(e.ctx, m, b)
		got := store.CommitOne(e.ctx, e.Store, b)
		requireSameError(t, want, got, "seed %d step %d: %s", seed, step, describe(b))
		if step%20 == 19 || step == steps-1 {
			g.compare(fmt.Sprintf("seed %d step %d", seed, step))
		}
	}
	done = true
}

func requireSameError(t testing.TB, want, got error, format string, args ...any) {
	t.Helper()
	text := fmt.Sprintf(format, args...)
	if want == nil {
		require.NoError(t, got, text)
		return
	}
	require.Error(t, got, "%s: want %v", text, want)
	var wantGuard, gotGuard *store.GuardError
	var wantSent, gotSent *store.SentError
	switch {
	case errors.As(want, &wantGuard):
		require.ErrorAs(t, got, &gotGuard, text)
		require.Equal(t, *wantGuard, *gotGuard, text)
	case errors.As(want, &wantSent):
		require.ErrorAs(t, got, &gotSent, text)
		require.Equal(t, *wantSent, *gotSent, text)
	default:
		require.ErrorIs(t, got, store.ErrInvalid, text)
	}
}

func describe(b store.Batch) string {
	s := fmt.Sprintf("app %q:", b.App)
	for _, g := range b.Guards {
		s += fmt.Sprintf(" %T%+v", g, reflect.ValueOf(g).Elem())
	}
	for _, o := range b.Ops {
		switch o := o.(type) {
		case *store.PutConv:
			s += fmt.Sprintf(" PutConv%+v", *o.Conv)
		case *store.Append:
			s += fmt.Sprintf(" Append{%q %q %+v %q}", o.Cid, o.View, *o.Msg, o.Token)
		case *store.Import:
			s += fmt.Sprintf(" Import{%q %q %+v}", o.Cid, o.View, *o.Msg)
		default:
			s += fmt.Sprintf(" %T%+v", o, reflect.ValueOf(o).Elem())
		}
	}
	return s
}

// generator makes batches that often succeed and often collide.
type generator struct {
	rand  *rand.Rand
	env   *env
	model *model
	now   int64
	count int
}

func pick[T any](g *generator, of ...T) T { return of[g.rand.IntN(len(of))] }

func (g *generator) app() string    { return pick(g, "app", "ap") }
func (g *generator) cid() string    { return pick(g, "a", "ab", "a\x00", "") }
func (g *generator) client() string { return pick(g, "t", "to", "\xff") }
func (g *generator) view() string {
	return pick(g, store.ViewMain, store.ViewMain, store.ViewInbound, store.ClientView("t"))
}

func (g *generator) id() string {
	g.count++
	return pick(g, "m", "n", "\xff") + strconv.Itoa(g.count%97)
}

func (g *generator) batch() store.Batch {
	b := store.Batch{App: g.app()}
	if g.rand.IntN(3) == 0 {
		b.Guards = append(b.Guards, g.guard(b.App))
	}
	for range 1 + g.rand.IntN(4) {
		b.Ops = append(b.Ops, g.op(b.App))
	}
	return b
}

func (g *generator) version(app, cid string) int64 {
	cs, _ := g.model.Convs(g.env.ctx, app, []string{cid}, 0)
	if len(cs) == 0 || cs[0] == nil {
		return 0
	}
	return cs[0].Version
}

func (g *generator) guard(app string) store.Guard {
	cid := g.cid()
	switch g.rand.IntN(5) {
	case 0:
		return &store.Fence{Part: g.rand.Uint32N(2), Epoch: g.rand.Uint64N(4) + uint64(g.now/2000)}
	case 1:
		return &store.FreeKey{Key: pick(g, "k1", "k2", "k3"), Except: pick(g, "", cid)}
	case 2:
		return &store.NewSend{Client: g.client(), Cid: cid, Token: pick(g, "x", "y"), Now: g.now}
	case 3:
		return &store.RecordVersion{Kind: "k", Key: g.client(), N: g.rand.Int64N(3)}
	}
	n := g.version(app, cid)
	if g.rand.IntN(4) == 0 {
		n++
	}
	return &store.Version{Cid: cid, N: n}
}

func (g *generator) message(app, cid, view string) *store.Message {
	heads, _ := g.model.Heads(g.env.ctx, []store.LogID{{App: app, Cid: cid, View: view}})
	h := heads[0]
	m := &store.Message{Seq: h.Seq + 1, TS: max(g.now, h.TS+1), Mid: g.id(), From: g.client(), Body: strconv.Itoa(g.count)}
	g.now = max(g.now, m.TS)
	switch g.rand.IntN(8) {
	case 0:
		m.Seq += g.rand.Int64N(3) - 1
	case 1:
		m.TS = h.TS
	case 2, 3:
		m.Flags, m.Type = store.FlagTyped, g.rand.Int32N(3)
	case 4:
		m.Flags, m.Mentions = store.FlagMentionAll|store.FlagReceipt, []string{g.client()}
	}
	return m
}

// place returns the position of a message that probably exists.
func (g *generator) place(app, cid, view string) store.Pos {
	ms, _ := g.model.Messages(g.env.ctx, store.LogID{App: app, Cid: cid, View: view}, store.Range{}, 20)
	if len(ms) == 0 || g.rand.IntN(10) == 0 {
		return store.Pos{TS: g.now, Mid: "none"}
	}
	m := pick(g, ms...)
	return m.Pos()
}

func (g *generator) op(app string) store.Op {
	cid, view, client := g.cid(), g.view(), g.client()
	switch n := g.rand.IntN(40); {
	case n < 5:
		return &store.PutConv{Conv: &store.Conv{
			Cid: cid, Kind: pick(g, store.KindNormal, store.KindService, store.KindTemporary), Creator: client,
			UniqueKey: pick(g, "", "k1", "k2", "k3"), TTLEnd: pick(g, 0, g.now), Created: g.now / 50, Updated: g.now, Version: g.version(app, cid) + 1,
		}}
	case n < 6:
		return &store.DropConv{Cid: cid}
	case n < 9:
		return &store.PutMember{Cid: cid, Member: store.Member{Client: client, Joined: g.now, Role: store.Role(g.rand.IntN(3)), Muted: g.rand.IntN(2) == 0}}
	case n < 11:
		return &store.DropMember{Cid: cid, Client: client}
	case n < 19:
		return &store.Append{Cid: cid, View: view, Msg: g.message(app, cid, view), Token: pick(g, "", "x", "y"), TokenEnd: g.now + g.rand.Int64N(60)}
	case n < 21:
		m := g.message(app, cid, view)
		m.TS = max(1, m.TS-300+g.rand.Int64N(320))
		m.PatchTS = pick(g, 0, 0, m.TS+1)
		return &store.Import{Cid: cid, View: view, Msg: m}
	case n < 24:
		return &store.Patch{
			Cid: cid, View: view, At: g.place(app, cid, view), TS: max(1, g.now-g.rand.Int64N(10)), Body: g.id(),
			Flags: pick(g, 0, store.FlagTyped, store.FlagRecalled|store.FlagTyped, store.FlagBinary|store.FlagReceipt), Type: g.rand.Int32N(3),
		}
	case n < 26:
		return &store.Erase{Cid: cid, View: view, At: g.place(app, cid, view)}
	case n < 29:
		return &store.RaiseMark{Cid: cid, Mark: store.Mark{
			Client: client, ReadTS: g.rand.Int64N(g.now), ReadSeq: g.rand.Int64N(20), AckTS: g.rand.Int64N(g.now), ReadAt: g.now, AckAt: pick(g, 0, g.now),
		}}
	case n < 31:
		return &store.AddEvent{Cid: cid, Event: store.Event{TS: g.now - g.rand.Int64N(5), Op: g.id()}}
	case n < 33:
		return &store.AddNote{Client: client, Note: store.Note{TS: g.now - g.rand.Int64N(5), Op: g.id(), Permanent: g.rand.IntN(2) == 0}}
	case n < 36:
		return &store.PutEntry{List: g.listKind(), Owner: pick(g, cid, client), Entry: store.Entry{ID: client, Since: g.now}}
	case n < 37:
		return &store.DropEntry{List: g.listKind(), Owner: pick(g, cid, client), ID: client}
	case n < 39:
		return &store.PutRecord{Record: &store.Record{Kind: "k", Key: client, Version: 1 + g.rand.Int64N(2), Body: []byte(g.id())}}
	}
	return &store.DropRecord{Kind: "k", Key: client}
}

func (g *generator) listKind() store.ListKind {
	return pick(g, store.ListBlocked, store.ListShutup, store.ListSilenced, store.ListOwnBlock)
}

// same compares answers; an empty list may be nil or not.
func same[T any](g *generator, what string, ask func(s store.Store) (T, error)) {
	t := g.env.TB
	t.Helper()
	want, wantErr := ask(g.model)
	got, gotErr := ask(g.env.Store)
	require.NoError(t, wantErr, what)
	require.NoError(t, gotErr, what)
	if v, w := reflect.ValueOf(want), reflect.ValueOf(got); v.Kind() == reflect.Slice && v.Len() == 0 && w.Len() == 0 {
		return
	}
	require.Equal(t, want, got, what)
}

// compare asks everything there is.
func (g *generator) compare(where string) {
	t, ctx := g.env.TB, g.env.ctx
	t.Helper()
	load := store.LoadMembers | store.LoadLast
	cids, clients := []string{"", "a", "a\x00", "ab", "none"}, []string{"t", "to", "\xff", "none"}
	for _, app := range []string{"app", "ap", "none"} {
		at := fmt.Sprintf("%s app %q", where, app)
		same(g, at, func(s store.Store) ([]*store.Conv, error) { return s.Convs(ctx, app, cids, load) })
		for _, a := range []store.Access{
			{Path: store.ByKind}, {Path: store.ByKind, Kinds: []store.ConvKind{store.KindService}, Load: load}, {Path: store.ByTTL, Until: g.now - 50},
			{Path: store.ByMember, Client: "t"}, {Path: store.ByKey, Key: "k1"}, {Path: store.ByKey, Key: "k2"}, {Path: store.ByKey},
		} {
			same(g, fmt.Sprintf("%s scan %+v", at, a), func(s store.Store) (out []*store.Conv, err error) {
				err = s.Scan(ctx, app, a, func(c *store.Conv) bool {
					own := *c
					out = append(out, &own)
					return true
				})
				return out, err
			})
		}
		r := g.someRange()
		same(g, fmt.Sprintf("%s app messages %+v", at, r), func(s store.Store) ([]store.LogMessage, error) {
			return s.AppMessages(ctx, app, "", r, 7)
		})
		same(g, at, func(s store.Store) ([]store.LogMessage, error) {
			return s.AppMessages(ctx, app, "t", store.Range{}, 999)
		})
		same(g, at, func(s store.Store) ([]store.Record, error) { return s.Records(ctx, "k", app, "t", "", 2) })
		same(g, at, func(s store.Store) ([]*store.Record, error) { return s.FindRecords(ctx, "k", app, clients) })
		for _, client := range clients {
			g.compareClient(at, app, client)
		}
		for _, cid := range cids {
			g.compareConv(at, app, cid, clients)
		}
	}
}

func (g *generator) compareClient(at, app, client string) {
	ctx := g.env.ctx
	at = fmt.Sprintf("%s client %q", at, client)
	same(g, at, func(s store.Store) ([]store.Membership, error) { return s.Memberships(ctx, app, client, "", 9) })
	same(g, at, func(s store.Store) ([]store.Membership, error) { return s.Memberships(ctx, app, client, "a", 1) })
	for _, kind := range []store.ChangeKind{store.Notes, store.Droppables} {
		g.compareChanges(at, store.ChangeQuery{Kind: kind, Log: store.LogID{App: app}, Client: client})
	}
	list := store.ListID{App: app, Kind: store.ListOwnBlock, Owner: client}
	same(g, at, func(s store.Store) ([]store.Entry, error) { return s.Entries(ctx, list, "", 9) })
}

func (g *generator) compareChanges(at string, q store.ChangeQuery) {
	for _, q.Newest = range []bool{false, true} {
		after, n := g.now-g.rand.Int64N(400), g.rand.IntN(6)
		same(g, fmt.Sprintf("%s changes %+v after %d, %d", at, q, after, n), func(s store.Store) (store.ChangePage, error) {
			p, err := s.Changes(g.env.ctx, q, after, n)
			if len(p.Items) == 0 {
				p.Items = nil
			}
			return p, err
		})
	}
}

func (g *generator) compareConv(at, app, cid string, clients []string) {
	ctx := g.env.ctx
	at = fmt.Sprintf("%s conversation %q", at, cid)
	same(g, at, func(s store.Store) ([]store.Member, error) { return s.Members(ctx, app, cid, "t", 9) })
	same(g, at, func(s store.Store) ([]store.Mark, error) { return s.Marks(ctx, app, cid, nil) })
	same(g, at, func(s store.Store) ([]store.Mark, error) { return s.Marks(ctx, app, cid, clients) })
	same(g, at, func(s store.Store) ([]*store.Member, error) {
		return s.FindMembers(ctx, app, []store.MemberKey{{Cid: cid, Client: "t"}, {Cid: cid, Client: "to"}})
	})
	g.compareChanges(at, store.ChangeQuery{Kind: store.Events, Log: store.LogID{App: app, Cid: cid}})
	for _, kind := range []store.ListKind{store.ListBlocked, store.ListShutup, store.ListSilenced} {
		list := store.ListID{App: app, Kind: kind, Owner: cid}
		same(g, at, func(s store.Store) ([]store.Entry, error) { return s.Entries(ctx, list, "", 9) })
		same(g, at, func(s store.Store) (int, error) { return s.CountEntries(ctx, list) })
		same(g, at, func(s store.Store) ([]*store.Entry, error) { return s.FindEntries(ctx, list, clients) })
	}
	for _, view := range []string{store.ViewMain, store.ViewInbound, store.ClientView("t")} {
		id := store.LogID{App: app, Cid: cid, View: view}
		same(g, at, func(s store.Store) ([]store.Head, error) { return s.Heads(ctx, []store.LogID{id}) })
		same(g, at, func(s store.Store) ([]store.Message, error) { return s.Messages(ctx, id, store.Range{}, 999) })
		r, n := g.someRange(), g.rand.IntN(9)
		same(g, fmt.Sprintf("%s range %+v, %d", at, r, n), func(s store.Store) ([]store.Message, error) { return s.Messages(ctx, id, r, n) })
		after := g.now - g.rand.Int64N(300)
		same(g, at, func(s store.Store) (store.Unread, error) { return s.Unread(ctx, id, "t", after, 5) })
		g.compareChanges(at, store.ChangeQuery{Kind: store.Patches, Log: id})
	}
	for _, client := range clients {
		for _, token := range []string{"x", "y"} {
			g.compareSent(at, store.SendKey{App: app, Client: client, Cid: cid, Token: token})
		}
	}
}

// compareSent allows that a row that has ended is forgotten.
func (g *generator) compareSent(at string, k store.SendKey) {
	t := g.env.TB
	t.Helper()
	want, expected, _ := g.model.Sent(g.env.ctx, k)
	got, found, err := g.env.Sent(g.env.ctx, k)
	require.NoError(t, err)
	if expected && want.End <= g.now && !found {
		return
	}
	require.Equal(t, expected, found, "%s %+v", at, k)
	require.Equal(t, want, got, "%s %+v", at, k)
}

func (g *generator) someRange() store.Range {
	bound := func() store.Bound {
		if g.rand.IntN(3) == 0 {
			return store.Bound{}
		}
		b := store.Bound{Set: true, TS: g.now - g.rand.Int64N(400), Closed: g.rand.IntN(2) == 0}
		if p := g.place(g.app(), g.cid(), g.view()); g.rand.IntN(2) == 0 {
			b.TS, b.Mid = p.TS, pick(g, p.Mid, "", "n")
		}
		return b
	}
	return store.Range{Newer: g.rand.IntN(2) == 0, Start: bound(), End: bound(), Typed: g.rand.IntN(3) == 0, Type: g.rand.Int32N(3)}
}
