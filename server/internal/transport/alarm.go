package transport

import (
	"sync"
	"time"
)

// alarms calls back at given times, from one goroutine and with one runtime
// timer for any number of them: a timer per connection is what makes idle
// connections expensive.
//
// The alarms wait in a heap. An alarm that is moved to a later time stays where
// it is until its old time has come, if its owner does it that way; removing
// one is exact, so that nothing of an ended connection lingers.
type alarms struct {
	base time.Time
	stop chan struct{}
	done chan struct{}
	wake chan struct{} // has room for one: an earlier alarm was set

	mu    sync.Mutex
	heap  []*alarm
	sleep time.Duration // when the goroutine will look next

	closed bool
}

// alarm is one entry. The zero alarm with an owner is ready for use.
type alarm struct {
	owner alarmOwner
	at    time.Duration
	place int // index in the heap plus one; 0: not set
}

// alarmOwner is called when the time of an alarm has come. The alarm is no
// longer set; the owner may set it again. The call must not block, and may come
// although the alarm was moved or removed a moment ago.
type alarmOwner interface {
	alarmed(a *alarm, now time.Duration)
}

const asleep = time.Duration(1<<63 - 1) // until woken

func newAlarms() *alarms {
	as := &alarms{
		base:  time.Now(),
		stop:  make(chan struct{}),
		done:  make(chan struct{}),
		wake:  make(chan struct{}, 1),
		sleep: asleep,
	}
	go as.run() // ends with close
	return as
}

// now is the time on the alarms' own scale.
func (as *alarms) now() time.Duration { return time.Since(as.base) }

// set sets or moves an alarm.
func (as *alarms) set(a *alarm, at time.Duration) {
	as.mu.Lock()
	old := a.at
	a.at = at
	switch {
	case a.place == 0:
		as.heap = append(as.heap, a)
		a.place = len(as.heap)
		as.up(a.place - 1)
	case at < old:
		as.up(a.place - 1)
	default:
		as.down(a.place - 1)
	}
	early := at < as.sleep
	if early {
		as.sleep = at
	}
	as.mu.Unlock()
	if early {
		select {
		case as.wake <- struct{}{}:
		default:
		}
	}
}

// clear removes an alarm. No-op if it is not set.
func (as *alarms) clear(a *alarm) {
	as.mu.Lock()
	if a.place != 0 {
		as.remove(a.place - 1)
	}
	as.mu.Unlock()
}

// close ends the goroutine and waits for it. No alarm goes off any more. It may
// be called more than once.
func (as *alarms) close() {
	as.mu.Lock()
	if !as.closed {
		as.closed = true
		close(as.stop)
	}
	as.mu.Unlock()
	<-as.done
}

func (as *alarms) run() {
	defer close(as.done)
	timer := time.NewTimer(asleep)
	defer timer.Stop()
	for {
		a, now, wait := as.next()
		if a != nil {
			select {
			case <-as.stop:
				return
			default:
				a.owner.alarmed(a, now)
				continue
			}
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-as.wake:
		case <-as.stop:
			return
		}
	}
}

// next takes out an alarm that is due, or tells how long none will be.
func (as *alarms) next() (a *alarm, now, wait time.Duration) {
	now = as.now()
	as.mu.Lock()
	defer as.mu.Unlock()
	if len(as.heap) == 0 {
		as.sleep = asleep
		return nil, now, asleep
	}
	first := as.heap[0]
	if first.at > now {
		as.sleep = first.at
		return nil, now, first.at - now
	}
	as.remove(0)
	return first, now, 0
}

func (as *alarms) remove(i int) {
	last := len(as.heap) - 1
	as.heap[i].place = 0
	if i != last {
		as.put(i, as.heap[last])
	}
	as.heap[last] = nil
	as.heap = as.heap[:last]
	if i < last && !as.up(i) {
		as.down(i)
	}
}

func (as *alarms) put(i int, a *alarm) {
	as.heap[i] = a
	a.place = i + 1
}

func (as *alarms) up(i int) (moved bool) {
	a := as.heap[i]
	for i > 0 {
		parent := (i - 1) / 2
		if as.heap[parent].at <= a.at {
			break
		}
		as.put(i, as.heap[parent])
		i, moved = parent, true
	}
	as.put(i, a)
	return moved
}

func (as *alarms) down(i int) {
	a := as.heap[i]
	for {
		child := 2*i + 1
		if child >= len(as.heap) {
			break
		}
		if right := child + 1; right < len(as.heap) && as.heap[right].at < as.heap[child].at {
			child = right
		}
		if a.at <= as.heap[child].at {
			break
		}
		as.put(i, as.heap[child])
		i = child
	}
	as.put(i, a)
}
