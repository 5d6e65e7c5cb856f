package transport

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

type ringing struct {
	want  time.Duration
	set   bool
	t     *testing.T
	again time.Duration // > 0: is set again after that time
	as    *alarms
	rang  int
}

func (r *ringing) alarmed(a *alarm, now time.Duration) {
	if !r.set || now != r.want {
		r.t.Errorf("rang at %v, want %v (set: %v)", now, r.want, r.set)
	}
	r.rang++
	r.set = false
	if r.again > 0 {
		r.want, r.set = now+r.again, true
		r.as.set(a, r.want)
	}
}

// Every alarm rings at its last time, exactly, and those that were cleared do
// not.
func TestAlarms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := newAlarms()
		defer as.close()
		rnd := rand.New(rand.NewPCG(1, 2))
		const n = 500
		var owners [n]ringing
		var list [n]alarm
		for i := range list {
			owners[i] = ringing{t: t, as: as}
			list[i].owner = &owners[i]
		}
		for range 20_000 {
			i := rnd.IntN(n)
			o, a := &owners[i], &list[i]
			switch rnd.IntN(10) {
			case 0:
				as.clear(a)
				o.set = false
			case 1: // let some ring
				time.Sleep(time.Duration(rnd.IntN(3)) * time.Millisecond)
				synctest.Wait()
			default:
				// Microseconds apart, so that none is due while it is being moved.
				o.want = as.now() + time.Duration(1+rnd.IntN(5000))*time.Microsecond
				o.set = true
				as.set(a, o.want)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		rang := 0
		for i := range owners {
			require.False(t, owners[i].set, "alarm %d has not rung", i)
			require.Zero(t, list[i].place)
			rang += owners[i].rang
		}
		require.Greater(t, rang, n)
		require.Empty(t, as.heap)
	})
}

func TestAlarmThatSetsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := newAlarms()
		o := &ringing{t: t, as: as, again: time.Minute, want: time.Minute, set: true}
		as.set(&alarm{owner: o}, time.Minute)
		time.Sleep(time.Hour + time.Second)
		as.close()
		require.Equal(t, 60, o.rang)
	})
}
