package realtime

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func newSync(t *testing.T) *clientSync {
	t.Helper()
	rt, err := New(Options{AppID: "app", AppKey: "key"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rt.Close(context.Background())) })
	s := &rt.NewIMClient("Tom").sync
	s.base, s.newest = 1000, 1000
	return s
}

// A message that is pushed after the client was removed, and was said before,
// does not come ahead of what was said before it and missed.
func TestNothingOvertakesAHole(t *testing.T) {
	s := newSync(t)
	s.left("c", 2000, true)
	require.False(t, isNews(s, "c", point{1900, "a"}, false))
	require.False(t, isNews(s, "c", point{2000, "b"}, false))
	require.True(t, isNews(s, "other", point{1900, "c"}, false))
	require.True(t, s.joined("c", 3000), "there is something to recover")
	from, _ := s.resumePoint("c")
	require.True(t, from.before(point{1900, "a"}), "recovery begins before it")
	require.False(t, s.mark("c").wasOutside(1900))
	require.True(t, s.mark("c").wasOutside(2500))
	require.True(t, isNews(s, "c", point{3100, "d"}, false))
}

// What is remembered of conversations does not grow for ever: those that are
// read, handled and quiet are forgotten, and nothing else.
func TestMarksAreSwept(t *testing.T) {
	s := newSync(t)
	const n = 20 * sweepMin
	for i := range n {
		at := point{int64(1000 + 100*i), fmt.Sprint("m", i)}
		cid := fmt.Sprint("c", i)
		require.True(t, isNews(s, cid, at, false))
		switch i {
		case 5: // unread
			s.handled(cid, at)
			s.mark(cid).unread = 1
		case 6: // not handled
		default:
			s.handled(cid, at)
		}
	}
	require.Less(t, len(s.marks), 2*sweepMin)
	require.NotNil(t, s.marks["c5"])
	require.NotNil(t, s.marks["c6"])
	require.Nil(t, s.marks["c7"])
	require.NotNil(t, s.marks[fmt.Sprint("c", n-1)])
	require.Greater(t, s.base, int64(1000))

	p := s.client.Position()
	require.Equal(t, int64(1000+100*(n-1)-reorder), p.base)
	require.Less(t, p.convs["c6"].at, int64(1600), "it stands before what was not handled")
	_, listed := p.convs["c5"]
	require.False(t, listed)
}

func TestIDWindow(t *testing.T) {
	var w idWindow
	for id := range uint64(3 * windowSize) {
		require.True(t, w.add(id))
		require.False(t, w.add(id))
	}
	require.Len(t, w.ids, windowSize)
	require.False(t, w.has(0))
	require.True(t, w.has(3*windowSize-1))
	require.True(t, w.has(2*windowSize))
	require.False(t, w.has(2*windowSize-1))
}

// What recovery has brought is not delivered again, however long ago it was.
func TestFetchedIsNotDeliveredAgain(t *testing.T) {
	s := newSync(t)
	at := point{2000, "m0"}
	s.recovered("a", at, time.Time{})
	for i := range 2 * windowSize {
		s.arrived("b", point{int64(3000 + i), fmt.Sprint("x", i)}, false)
	}
	require.False(t, s.seen.has(s.hash("m0")))
	require.False(t, isNews(s, "a", at, false))
	require.False(t, isNews(s, "a", point{1999, "other"}, false))
	require.True(t, isNews(s, "a", point{1999, "typing"}, true), "what is not stored was not fetched")
	require.True(t, isNews(s, "a", point{2000, "m1"}, false))
}

func TestReceiptsAreBounded(t *testing.T) {
	s := newSync(t)
	for i := range maxReceipts + 10 {
		s.waitReceipt(sentMessage{&Message{ID: fmt.Sprint("m", i)}, "t"})
	}
	require.Len(t, s.receipts.byID, maxReceipts)
	_, has := s.takeReceipt("m9", time.Time{})
	require.False(t, has)
	sent, has := s.takeReceipt("m10", time.Time{})
	require.True(t, has)
	require.Equal(t, "m10", sent.message.ID)
	for i := range maxReceipts + 10 {
		s.takeReceipt(fmt.Sprint("m", i), time.Time{})
	}
	require.Empty(t, s.receipts.order)
}

// The receipt of a message may overtake the sender on its way from the answer
// to the book of receipts.
func TestEarlyReceipt(t *testing.T) {
	s := newSync(t)
	at := time.UnixMilli(5)
	_, waited := s.takeReceipt("m0", at)
	require.False(t, waited)
	require.Empty(t, s.receipts.early, "nobody is sending")

	out := &sending{opts: sendOptions{flags: sendReceipt}}
	s.begin(out)
	_, waited = s.takeReceipt("m1", at)
	require.False(t, waited)
	got, came := s.waitReceipt(sentMessage{&Message{ID: "m1"}, "t"})
	require.True(t, came)
	require.Equal(t, at, got)
	_, came = s.waitReceipt(sentMessage{&Message{ID: "m1"}, "t"})
	require.False(t, came, "once")
	s.takeReceipt("m2", at)
	s.settle(out, &Message{ID: "m2"}, nil)
	require.Empty(t, s.receipts.early)
}

func TestOutboxIsBounded(t *testing.T) {
	s := newSync(t)
	s.client.rt.opts.Outbox, s.client.rt.opts.OutboxBytes = 3, 100
	require.True(t, s.enterOutbox(1000), "one alone may be too large")
	require.False(t, s.enterOutbox(1))
	s.leaveOutbox(1000)
	require.True(t, s.enterOutbox(50))
	require.True(t, s.enterOutbox(50))
	require.False(t, s.enterOutbox(1), "bytes")
	s.leaveOutbox(50)
	require.True(t, s.enterOutbox(1))
	require.True(t, s.enterOutbox(1))
	require.False(t, s.enterOutbox(1), "sends")
	s.leaveOutbox(1)
	require.True(t, s.enterOutbox(1))
}

// Once an attempt may have got through, the outcome stays unknown whatever the
// later ones came to.
func TestGaveUpRemembersDoubt(t *testing.T) {
	s := &sending{}
	err := s.gaveUp(ErrDisconnected, time.Time{})
	require.NotErrorIs(t, err, ErrOutcomeUnknown)
	require.True(t, SafeToRetry(err))
	err = s.gaveUp(newError(ErrSilenced, ""), time.Now())
	require.ErrorIs(t, err, ErrOutcomeUnknown)
	require.ErrorIs(t, err, ErrSilenced)
	require.False(t, SafeToRetry(err))
	s.opts.hasToken = true
	require.True(t, SafeToRetry(s.gaveUp(ErrDisconnected, time.Now())))
}

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var calls []time.Duration
		th := throttle{send: func() { calls = append(calls, time.Since(began)) }}
		for range 25 {
			th.trigger()
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		th.trigger()
		th.trigger()
		require.Equal(t, []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second, 12500 * time.Millisecond}, calls)
		th.stop()
		th.trigger()
		time.Sleep(10 * time.Second)
		require.Len(t, calls, 5)
	})
}

func TestInParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		items := make([]int, 50)
		for i := range items {
			items[i] = i
		}
		began := time.Now()
		got, err := inParallel(t.Context(), 5, items, func(_ context.Context, i int) ([]int, error) {
			time.Sleep(time.Duration(1+i%3) * time.Second)
			return []int{i, i}, nil
		})
		require.NoError(t, err)
		require.Len(t, got, 100)
		for i, v := range got {
			require.Equal(t, i/2, v)
		}
		require.Less(t, time.Since(began), 30*time.Second)

		fail := errors.New("fail")
		var calls atomic.Int32
		_, err = inParallel(t.Context(), 2, items, func(ctx context.Context, i int) ([]int, error) {
			calls.Add(1)
			time.Sleep(time.Second) // of the bubble: the failure is seen before the rest is done
			if i == 3 {
				return nil, fail
			}
			return nil, ctx.Err()
		})
		require.ErrorIs(t, err, fail)
		require.Less(t, calls.Load(), int32(50))

		ctx, cancel := context.WithCancel(t.Context())
		_, err = inParallel(ctx, 2, items, func(_ context.Context, i int) ([]int, error) {
			cancel()
			return nil, nil
		})
		require.ErrorIs(t, err, context.Canceled)
		none, err := inParallel(t.Context(), 2, nil, func(context.Context, int) ([]int, error) { return nil, fail })
		require.NoError(t, err)
		require.Empty(t, none)
	})
}

// isNews tells whether a message that is pushed would be delivered.
func isNews(s *clientSync, cid string, at point, transient bool) bool {
	news, _ := s.arrived(cid, at, transient)
	return news
}
