package engine

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/store"
	"github.com/leanrtm/realtime/server/internal/store/memory"
)

func TestSafeStaysBelowWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w watermark
		begin := w.now()
		require.Equal(t, begin-1, w.safe(), "this very millisecond is not over")
		time.Sleep(10 * time.Millisecond)
		a := w.begin(7)
		time.Sleep(10 * time.Millisecond)
		b := w.begin(7)
		time.Sleep(10 * time.Millisecond)
		require.Equal(t, begin+9, w.safe())
		a.end()
		require.Equal(t, begin+19, w.safe())
		b.end()
		require.Equal(t, begin+29, w.safe())
		require.Equal(t, begin+30, w.now())
	})
}

// More stamps than slots: the next one waits until one is given back.
func TestStampsRunOut(t *testing.T) {
	var w watermark
	var held []stamp
	for range stampSlots {
		held = append(held, w.begin(0))
	}
	got := make(chan stamp)
	go func() { got <- w.begin(3) }()
	held[100].end()
	(<-got).end()
	for i, s := range held {
		if i != 100 {
			s.end()
		}
	}
}

// No stamp is ever given out at or below a time that was called safe before it.
func TestSafeHolds(t *testing.T) {
	var w watermark
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for range 5000 {
				before := w.safe()
				s := w.begin(uint32(g))
				ts := w.now()
				if ts <= before {
					t.Errorf("stamp %d is not above %d", ts, before)
				}
				if safe := w.safe(); safe >= ts {
					t.Errorf("%d is called safe while %d is in flight", safe, ts)
				}
				s.end()
			}
		})
	}
	wg.Wait()
}

func TestLaneNeverRepeats(t *testing.T) {
	var l lane
	require.Equal(t, []int64{5, 6, 7, 100}, []int64{l.next(5), l.next(5), l.next(1), l.next(100)})
}

// slow is a store that lets a test look around, or do something, while a commit, a
// count or a look at a message is under way.
type slow struct {
	store.Store
	during   func(b store.Batch)
	counting func(log store.LogID, client string, after int64)
	finding  func()
}

func (s *slow) FindMessage(ctx context.Context, log store.LogID, at store.Pos) (*store.Message, error) {
	if s.finding != nil {
		s.finding()
	}
	return s.Store.FindMessage(ctx, log, at)
}

func (s *slow) Unread(ctx context.Context, log store.LogID, client string, after int64, limit int) (store.Unread, error) {
	if s.counting != nil {
		s.counting(log, client, after)
	}
	return s.Store.Unread(ctx, log, client, after, limit)
}

func (s *slow) Commit(ctx context.Context, bs []store.Batch) []error {
	if s.during != nil {
		for _, b := range bs {
			s.during(b)
		}
	}
	return s.Store.Commit(ctx, bs)
}

// What a login is told as its cursor lies below everything that is being written
// at that time, of whatever sort.
func TestLoginCursorsAreSafe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{Store: memory.New()}
		e, _ := start(t, func(c *Config) { c.Store = s })
		cid := mustCreate(t, e, "tom", "jerry")
		sent := mustSend(t, e, as("tom"), cid, "x")
		time.Sleep(time.Second)
		var cursors []int64
		nested := false
		s.during = func(b store.Batch) {
			if nested {
				return
			}
			nested = true
			defer func() { nested = false }()
			time.Sleep(time.Second) // the clock goes on while the write is under way
			snap, err := e.Login(t.Context(), &fanout.Login{Actor: as("bob").Actor})
			require.NoError(t, err)
			for _, op := range b.Ops {
				switch op := op.(type) {
				case *store.Append:
					require.Less(t, snap.ServerTS, op.Msg.TS)
				case *store.Patch:
					require.Less(t, snap.ServerTS, op.TS)
				case *store.AddNote:
					require.Less(t, snap.ServerTS, op.Note.TS)
				case *store.AddEvent:
					require.Less(t, snap.ServerTS, op.Event.TS)
				case *store.RaiseMark:
					require.Less(t, snap.ServerTS, op.Mark.ReadAt)
				default:
					continue
				}
				cursors = append(cursors, snap.ServerTS)
			}
		}
		mustSend(t, e, as("tom"), cid, "y")
		_, err := e.Edit(t.Context(), as("tom"), &Edit{Cid: cid, Mid: sent.Mid, TS: sent.TS, Body: "z"})
		require.NoError(t, err)
		require.NoError(t, e.Read(t.Context(), as("jerry"), ReadPoint{Cid: cid}))
		_, err = e.SetRole(t.Context(), as("tom"), cid, "jerry", "Manager")
		require.NoError(t, err)
		mustCreate(t, e, "tom", "mary")
		require.GreaterOrEqual(t, len(cursors), 7)
		require.True(t, slices.IsSorted(cursors))
		s.during = nil
	})
}
