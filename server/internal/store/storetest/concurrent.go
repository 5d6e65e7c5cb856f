package storetest

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/store"
)

const (
	writers     = 16
	rounds      = 16
	maxAttempts = 100_000
)

func concurrentCases() []testCase {
	return []testCase{{"concurrent/16 writers", func(t testing.TB, open Open) {
		s := &storm{env: newEnv(t, open), convs: []string{"a", "b", "c"}}
		for _, cid := range s.convs {
			s.create(cid)
		}
		s.run()
		if t.Failed() {
			t.FailNow()
		}
		s.verify()
	}}}
}

// storm is a set of writers and readers on a few conversations. Its goroutines report by
// Errorf, as only the test's own goroutine may call FailNow.
type storm struct {
	*env
	convs []string

	sent     sync.Map // token → mid
	marks    sync.Map // client → the largest ReadTS committed, *atomic.Int64
	keys     sync.Map // unique key → cid of the winner
	recorded atomic.Int64
}

func (s *storm) run() {
	var writing, reading sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		reading.Go(func() { s.watch(done) })
	}
	for w := range writers {
		writing.Go(func() {
			for r := range rounds {
				if s.Failed() {
					return
				}
				cid := s.convs[(w+r)%len(s.convs)]
				// Two writers share each sender, token and conversation.
				pair := w / 2
				s.sendOnce(s.convs[(pair+r)%len(s.convs)], fmt.Sprintf("sender%d", pair), fmt.Sprintf("token-%d-%d", pair, r))
				s.mark(cid, fmt.Sprintf("reader%d", w%3), int64(w*7919+r*104729)%100_000+1)
				s.toggle(cid, fmt.Sprintf("w%02d", w))
				s.unique(fmt.Sprintf("key%d", r), fmt.Sprintf("u-%d-%d", r, w))
				s.record()
				s.spread(w, r)
			}
		})
	}
	writing.Wait()
	close(done)
	reading.Wait()
}

// retry calls f until it says that it is done.
func (s *storm) retry(what string, f func() (bool, error)) {
	for range maxAttempts {
		done, err := f()
		if err != nil {
			s.Errorf("%s: %v", what, err)
			return
		}
		if done || s.Failed() {
			return
		}
		runtime.Gosched()
	}
	s.Errorf("%s: no success in %d attempts", what, maxAttempts)
}

// lost tells whether a batch was refused because somebody else was faster.
func lost(err error, which store.GuardKind) (bool, error) {
	if _, ok := store.AsGuard(err, which); ok {
		return true, nil
	}
	return false, err
}

// sendOnce appends a message and, in the same batch, an event of the same time.
func (s *storm) sendOnce(cid, from, token string) {
	s.retry("send", func() (bool, error) {
		heads, err := s.Heads(s.ctx, []store.LogID{s.log(cid, "")})
		if err != nil {
			return false, err
		}
		h := heads[0]
		m := msg(h.Seq+1, h.TS+1+h.Seq%3, fmt.Sprintf("%s-%d", token, h.Seq), from, cid)
		err = s.try(&store.NewSend{Client: from, Cid: cid, Token: token}, &store.Append{Cid: cid, Msg: m, Token: token, TokenEnd: 1 << 40},
			&store.AddEvent{Cid: cid, Event: store.Event{TS: m.TS, Op: m.Mid}})
		mid := m.Mid
		var sent *store.SentError
		if errors.As(err, &sent) {
			mid, err = sent.Mid, nil
		}
		if again, err := lost(err, store.GuardSeq); again || err != nil {
			return false, err
		}
		if first, loaded := s.sent.LoadOrStore(cid+"/"+token, mid); loaded && first != mid {
			return false, fmt.Errorf("one token gave messages %v and %v", first, mid)
		}
		return true, nil
	})
}

func (s *storm) mark(cid, client string, ts int64) {
	v, _ := s.marks.LoadOrStore(cid+"/"+client, new(atomic.Int64))
	if err := s.try(&store.RaiseMark{Cid: cid, Mark: store.Mark{Client: client, ReadTS: ts}}); err != nil {
		s.Errorf("mark: %v", err)
		return
	}
	highest := v.(*atomic.Int64)
	for old := highest.Load(); old < ts && !highest.CompareAndSwap(old, ts); old = highest.Load() {
	}
}

// toggle adds or removes a member. MemberVersion always is the number of members.
func (s *storm) toggle(cid, client string) {
	s.retry("toggle", func() (bool, error) {
		cs, err := s.Convs(s.ctx, s.app, []string{cid}, store.LoadMembers)
		if err != nil || cs[0] == nil {
			return false, fmt.Errorf("conversation is gone: %w", err)
		}
		next := *cs[0]
		next.Version++
		var op store.Op = &store.PutMember{Cid: cid, Member: store.Member{Client: client}}
		next.MemberVersion++
		for _, m := range cs[0].Members {
			if m.Client == client {
				op = &store.DropMember{Cid: cid, Client: client}
				next.MemberVersion -= 2
			}
		}
		again, err := lost(s.try(&store.Version{Cid: cid, N: cs[0].Version}, op, &store.PutConv{Conv: &next}), store.GuardVersion)
		return !again, err
	})
}

func (s *storm) unique(key, cid string) {
	c := conv(cid)
	c.UniqueKey = key
	err := s.try(&store.FreeKey{Key: key}, &store.PutConv{Conv: c}, &store.PutMember{Cid: cid, Member: store.Member{Client: "founder"}})
	winner := cid
	if g, ok := store.AsGuard(err, store.GuardKey); ok {
		winner, err = g.Found, nil
	}
	if err != nil {
		s.Errorf("unique: %v", err)
		return
	}
	if first, loaded := s.keys.LoadOrStore(key, winner); loaded && first != winner {
		s.Errorf("key %s is held by %v and by %v", key, first, winner)
	}
}

func (s *storm) record() {
	const kind, id = store.RecordTag, "shared"
	s.retry("record", func() (bool, error) {
		rs, err := s.FindRecords(s.ctx, kind, s.app, []string{id})
		if err != nil {
			return false, err
		}
		n := int64(0)
		if rs[0] != nil {
			n = rs[0].Version
		}
		again, err := lost(s.try(&store.RecordVersion{Kind: kind, Key: id, N: n},
			&store.PutRecord{Record: &store.Record{Kind: kind, Key: id, Version: n + 1}}), store.GuardRecord)
		if !again && err == nil {
			s.recorded.Add(1)
		}
		return !again, err
	})
}

// spread writes to several clients in one batch, which every writer names in another order.
func (s *storm) spread(w, r int) {
	const clients = 7
	var things []any
	for i := range clients {
		owner := fmt.Sprintf("owner%d", (i*(w%(clients-1)+1)+r)%clients)
		things = append(things, &store.PutEntry{List: store.ListOwnBlock, Owner: owner, Entry: store.Entry{ID: fmt.Sprintf("%d-%d", w, r)}})
	}
	if err := s.try(things...); err != nil {
		s.Errorf("spread: %v", err)
	}
}

// watch reads all the time and looks for half of a batch, or for something that went back.
func (s *storm) watch(done <-chan struct{}) {
	seen := map[string]store.Mark{}
	heads := map[string]int64{}
	for !s.Failed() {
		select {
		case <-done:
			return
		default:
		}
		cs, err := s.Convs(s.ctx, s.app, s.convs, store.LoadMembers|store.LoadLast)
		if err != nil {
			s.Errorf("read: %v", err)
			return
		}
		for _, c := range cs {
			s.watchConv(c, seen, heads)
		}
		found := map[string]int{}
		if err := s.Scan(s.ctx, s.app, store.Access{Path: store.ByKind}, func(c *store.Conv) bool {
			found[c.Cid]++
			return true
		}); err != nil {
			s.Errorf("scan: %v", err)
			return
		}
		for _, cid := range s.convs {
			if found[cid] != 1 {
				s.Errorf("a scan met %s %d times", cid, found[cid])
			}
		}
		runtime.Gosched()
	}
}

func (s *storm) watchConv(c *store.Conv, seen map[string]store.Mark, heads map[string]int64) {
	h := c.Head
	if c.MemberVersion != c.Count || int(c.Count) != len(c.Members) {
		s.Errorf("%s: version says %d members, counter %d, list %d", c.Cid, c.MemberVersion, c.Count, len(c.Members))
	}
	if h.Seq > 0 && (c.Last == nil || c.Last.Pos() != h.Pos() || c.Last.Seq != h.Seq) {
		s.Errorf("%s: head %+v without its message %+v", c.Cid, h, c.Last)
	}
	if h.EventTS != h.TS {
		s.Errorf("%s: message of %d and event of %d are of one batch", c.Cid, h.TS, h.EventTS)
	}
	if h.Seq < heads[c.Cid] {
		s.Errorf("%s: head fell from %d to %d", c.Cid, heads[c.Cid], h.Seq)
	}
	heads[c.Cid] = h.Seq
	ms, err := s.Messages(s.ctx, s.log(c.Cid, ""), store.Range{End: store.Bound{Set: true, TS: h.TS - 9}}, 9)
	if err != nil {
		s.Errorf("read: %v", err)
	}
	for i := 1; i < len(ms); i++ {
		if ms[i].Seq != ms[i-1].Seq+1 || ms[i].TS <= ms[i-1].TS {
			s.Errorf("%s: message %+v follows %+v", c.Cid, ms[i], ms[i-1])
		}
	}
	marks, err := s.Marks(s.ctx, s.app, c.Cid, nil)
	if err != nil {
		s.Errorf("read: %v", err)
	}
	for _, m := range marks {
		old := seen[c.Cid+"/"+m.Client]
		if m.ReadTS < old.ReadTS || m.AckTS < old.AckTS {
			s.Errorf("%s: mark fell from %+v to %+v", c.Cid, old, m)
		}
		seen[c.Cid+"/"+m.Client] = m
	}
}

func (s *storm) verify() {
	s.Helper()
	t := s.TB
	total := 0
	members := map[string][]string{}
	for _, cid := range s.convs {
		ms := s.history(cid, store.Range{}, writers*rounds+1)
		byToken := map[string]int{}
		for i, m := range ms {
			require.Equal(t, int64(i+1), m.Seq, "numbers are dense")
			if i > 0 {
				require.Greater(t, m.TS, ms[i-1].TS, "times strictly increase")
			}
			byToken[m.Mid[:len(m.Mid)-len(fmt.Sprintf("-%d", m.Seq-1))]]++
		}
		for token, n := range byToken {
			require.Equal(t, 1, n, "messages of token %s", token)
		}
		total += len(ms)
		c := s.one(cid)
		require.Equal(t, int64(len(ms)), c.Head.Seq)
		require.Equal(t, c.MemberVersion, c.Count)
		for _, m := range c.Members {
			members[m.Client] = append(members[m.Client], cid)
		}
		events := s.changes(store.ChangeQuery{Kind: store.Events, Log: store.LogID{Cid: cid}, Newest: true}, 0, store.KeepEvents).Items
		require.Len(t, events, min(len(ms), store.KeepEvents))
		for i, ev := range events {
			require.Equal(t, ms[len(ms)-len(events)+i].Mid, ev.Op)
		}
	}
	require.Equal(t, writers/2*rounds, total, "one message per token")
	s.sent.Range(func(k, mid any) bool {
		var cid string
		for _, c := range s.convs {
			if k.(string)[:1] == c {
				cid = c
			}
		}
		token := k.(string)[2:]
		var pair, r int
		_, err := fmt.Sscanf(token, "token-%d-%d", &pair, &r)
		require.NoError(t, err)
		got, found, err := s.Sent(s.ctx, store.SendKey{App: s.app, Client: fmt.Sprintf("sender%d", pair), Cid: cid, Token: token})
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, mid, got.Mid)
		return true
	})
	for w := range writers {
		id := fmt.Sprintf("w%02d", w)
		require.ElementsMatch(t, members[id], s.membershipIDs(id), "both directions agree")
	}
	s.marks.Range(func(k, highest any) bool {
		marks, err := s.Marks(s.ctx, s.app, k.(string)[:1], []string{k.(string)[2:]})
		require.NoError(t, err)
		require.Len(t, marks, 1)
		require.Equal(t, highest.(*atomic.Int64).Load(), marks[0].ReadTS)
		return true
	})
	var founded []string
	for r := range rounds {
		key := fmt.Sprintf("key%d", r)
		winner, _ := s.keys.Load(key)
		require.Equal(t, []string{winner.(string)}, s.scan(store.Access{Path: store.ByKey, Key: key}))
		founded = append(founded, winner.(string))
	}
	require.ElementsMatch(t, founded, s.membershipIDs("founder"), "losers leave nothing behind")
	require.Len(t, s.scan(store.Access{Path: store.ByKind}), len(s.convs)+rounds)
	rs, err := s.FindRecords(s.ctx, store.RecordTag, s.app, []string{"shared"})
	require.NoError(t, err)
	require.Equal(t, s.recorded.Load(), rs[0].Version)
	require.Equal(t, int64(writers*rounds), rs[0].Version, "no update is lost")
}
