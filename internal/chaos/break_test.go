package chaos_test

import (
	"context"
	"sync"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
)

// breakThings is what the scheduler does while the chaos lasts. It runs on the
// goroutine of the test, as some faults ask for.
func (w *world) breakThings() {
	d := newDice(w.seed, 4)
	end := time.Now().Add(chaosLasts)
	for time.Now().Before(end) {
		time.Sleep(d.between(100*time.Millisecond, 6*time.Second))
		w.breakOne(d)
	}
}

// mend ends what still is in force.
func (w *world) mend() {
	w.mu.Lock()
	mends := w.mends
	w.mends = nil
	w.mu.Unlock()
	for _, mend := range mends {
		mend()
	}
}

// mendLater ends a fault after some time, or at the end.
func (w *world) mendLater(after time.Duration, mend func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mends = append(w.mends, mend)
	time.AfterFunc(after, mend)
}

func (w *world) breakOne(d *dice) {
	dev := pick(d, w.devices)
	switch n := d.n(32); {
	case n < 5:
		w.tell("cut %s", dev.id)
		w.s.Cut(dev.id)
	case n < 7:
		w.tell("cut %s in the middle of a frame", dev.id)
		w.s.CutMidFrame(dev.id)
	case n < 10:
		lasts := d.upTo(30 * time.Second)
		w.tell("black hole for %s, %v", dev.id, lasts)
		w.mendLater(lasts, w.s.Blackhole(dev.id))
	case n < 11:
		lasts := d.upTo(15 * time.Second)
		w.tell("black hole for all, %v", lasts)
		w.darkUntil(lasts, w.s.Blackhole())
	case n < 13:
		lasts := d.upTo(10 * time.Second)
		w.tell("connections are refused for %v", lasts)
		w.darkUntil(lasts, w.s.Refuse())
	case n < 14:
		w.tell("go away, %s", dev.id)
		w.s.GoAway(dev.id)
	case n < 15:
		w.tell("the tokens of %s expire", dev.id)
		w.forgetRoom(dev.id)
		w.s.ExpireTokens(dev.id)
	case n < 16:
		if dev.tag == "" {
			return
		}
		w.tell("another device displaces %s", dev)
		w.forgetRoom(dev.id)
		w.s.Displace(dev.id)
	case n < 17:
		w.mu.Lock()
		dark := w.darkness > 0
		w.mu.Unlock()
		if dark {
			return
		}
		w.tell("%s is kicked out", dev.id)
		w.forgetRoom(dev.id)
		ctx, cancel := context.WithTimeout(context.Background(), callTime)
		defer cancel()
		if err := w.god.IMClient(dev.id).Kick(ctx, "because"); err != nil {
			w.tell("kicking: %v", err)
		}
	case n < 18:
		w.tell("the server restarts")
		w.forgetRoom("")
		w.s.Restart()
	default:
		w.injectOne(d, dev)
	}
}

// forgetRoom notes that the server forgets, now or when it loses the connection,
// that a client is in the room; "": all clients.
func (w *world) forgetRoom(client string) {
	for _, d := range w.devices {
		if client == "" || client == d.id {
			d.life().forget()
		}
	}
}

// injectOne breaks single commands or pushes.
func (w *world) injectOne(d *dice, dev *device) {
	f := realtimetest.Fault{Client: dev.id, Times: 1 + d.n(3)}
	if d.in(3) {
		f.Pushes = true
		f.Command = pick(d, []string{"direct", "direct", "patch/modify", "unread", "conv/members_joined", "conv/joined", "conv/left", "rcp"})
		f.Do = pick(d, []realtimetest.Action{realtimetest.AnswerTwice(), realtimetest.AnswerTwice(), realtimetest.CutBefore()})
		w.inject(d, f)
		return
	}
	f.Command = pick(d, []string{
		"direct", "direct", "direct", "direct", "logs", "logs", "conv/query", "session/open", "session/open",
		"patch/modify", "conv/add", "conv/remove", "read", "ack",
	})
	switch f.Command {
	case "read", "ack": // never answered
		f.Do = pick(d, []realtimetest.Action{realtimetest.CutBefore(), realtimetest.CutAfter()})
	case "logs", "conv/query":
		f.Times = 1 // recovery asks again, but not for ever
		fallthrough
	default:
		f.Do = pick(d, []realtimetest.Action{
			realtimetest.Drop(), realtimetest.LoseAnswer(), realtimetest.AnswerTwice(),
			realtimetest.CutBefore(), realtimetest.CutAfter(), realtimetest.Delay(d.upTo(10 * time.Second)),
		})
	case "direct":
		f.Do = pick(d, []realtimetest.Action{
			realtimetest.Drop(), realtimetest.LoseAnswer(), realtimetest.LoseAnswer(), realtimetest.AnswerTwice(),
			realtimetest.CutBefore(), realtimetest.CutAfter(), realtimetest.CutAfter(),
			realtimetest.Delay(d.upTo(10 * time.Second)), realtimetest.Fail(realtime.ErrInternalError),
		})
	}
	w.inject(d, f)
}

func (w *world) inject(d *dice, f realtimetest.Fault) {
	w.tell("fault: %+v", f)
	w.mendLater(d.upTo(40*time.Second), w.s.Inject(f))
}

// darkUntil is mendLater of what keeps everybody from connecting.
func (w *world) darkUntil(after time.Duration, mend func()) {
	w.mu.Lock()
	w.darkness++
	w.mu.Unlock()
	once := func() {
		mend()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.darkness--
	}
	w.mendLater(after, sync.OnceFunc(once))
}
