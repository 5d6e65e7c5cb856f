package session

import (
	"sync"
	"sync/atomic"
)

const (
	// slowAtOnce is how many slow commands of one connection run at a time.
	slowAtOnce = 4
	// slowWaiting is how many more may wait for their turn; then the reader waits
	// too. A frame is 64 KiB at most, so this bounds what they hold as well.
	slowWaiting = 32
)

// laneKey names commands that are executed in their order.
type laneKey struct {
	session *Session
	conv    string
}

// slowTask is a command that is not executed on the reader.
type slowTask struct {
	run     func()
	session *Session
	lane    *lane // nil: it has no order
}

// lane is the commands of one laneKey: one that runs or is ready to, and those
// behind it.
type lane struct {
	key    laneKey
	behind []*slowTask
}

// lanes runs the slow commands of one connection on up to slowAtOnce goroutines,
// which exist only while there is something to do. Commands of one lane run one
// at a time and in order; those of different lanes, and those without a lane,
// overtake each other. A logout runs when all that its session asked for before
// is done.
//
// add, busy and logout are for the connection's reader; wait is for who ends the
// connection.
type lanes struct {
	pending atomic.Int32 // tasks that run or wait; so that the reader need not lock

	mu       sync.Mutex
	room     sync.Cond // fewer tasks wait; of mu
	running  int
	waiting  int
	ready    []*slowTask
	byKey    map[laneKey]*lane
	sessions map[*Session]int       // tasks of each
	logouts  map[*Session]*slowTask // what waits for the end of a session's tasks
	workers  sync.WaitGroup
}

func newLanes() *lanes {
	l := &lanes{
		byKey:    make(map[laneKey]*lane),
		sessions: make(map[*Session]int),
		logouts:  make(map[*Session]*slowTask),
	}
	l.room.L = &l.mu
	return l
}

// busy tells whether a command of the lane runs or waits. No-op on nil.
func (l *lanes) busy(key laneKey) bool {
	if l == nil || l.pending.Load() == 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byKey[key] != nil
}

// add runs a command soon: behind the others of its lane, if ordered. It blocks
// while too many wait.
func (l *lanes) add(key laneKey, ordered bool, run func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.waiting >= slowWaiting {
		l.room.Wait()
	}
	t := &slowTask{run: run, session: key.session}
	l.pending.Add(1)
	l.sessions[t.session]++
	if ordered {
		t.lane = l.byKey[key]
		if t.lane != nil {
			t.lane.behind = append(t.lane.behind, t)
			l.waiting++
			return
		}
		t.lane = &lane{key: key}
		l.byKey[key] = t.lane
	}
	l.start(t)
}

// logout runs a task after all tasks of the session, which gets no more, and
// returns true; or returns false if it has none, and then the caller runs it.
// No-op on nil.
func (l *lanes) logout(s *Session, run func()) bool {
	if l == nil || l.pending.Load() == 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sessions[s] == 0 {
		return false
	}
	l.pending.Add(1)
	l.logouts[s] = &slowTask{run: run, session: s}
	return true
}

// wait returns when everything that was added is done.
func (l *lanes) wait() {
	if l != nil {
		l.workers.Wait()
	}
}

// start lets a task run now, or when a worker is free. l.mu is held.
func (l *lanes) start(t *slowTask) {
	if l.running == slowAtOnce {
		l.ready = append(l.ready, t)
		l.waiting++
		return
	}
	l.running++
	l.workers.Go(func() { l.work(t) }) // ends when nothing is ready; wait waits for it
}

func (l *lanes) work(t *slowTask) {
	for t != nil {
		t.run()
		t = l.next(t)
	}
}

// next ends a task and returns the one to run now; nil: the worker is not needed
// any more.
func (l *lanes) next(done *slowTask) *slowTask {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending.Add(-1)
	if l.sessions[done.session]--; l.sessions[done.session] <= 0 {
		delete(l.sessions, done.session)
		if out := l.logouts[done.session]; out != nil {
			delete(l.logouts, done.session)
			l.ready = append(l.ready, out)
			l.waiting++
		}
	}
	if at := done.lane; at != nil {
		if len(at.behind) == 0 {
			delete(l.byKey, at.key)
		} else {
			l.ready = append(l.ready, at.behind[0])
			at.behind[0] = nil
			at.behind = at.behind[1:]
		}
	}
	if len(l.ready) == 0 {
		l.running--
		return nil
	}
	t := l.ready[0]
	l.ready[0] = nil
	l.ready = l.ready[1:]
	l.waiting--
	l.room.Signal()
	return t
}
