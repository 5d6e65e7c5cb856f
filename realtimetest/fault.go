package realtimetest

import (
	"slices"
	"sync"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/wire"
)

// Fault says which commands are hit, and by what.
//
// A fault lets the first Skip commands that fit it pass, then acts on the next
// Times of them. A command meets the faults in the order in which they were
// injected; the first that acts on it is the only one, and those behind it do not
// count it.
type Fault struct {
	// Command is the name of the commands: "direct", "conv/start" …; "": any.
	Command string
	// Client is who sends the command or is to get the push; "": anybody.
	Client string
	// Pushes: the fault is for what the server pushes, not for what clients
	// send.
	Pushes bool
	// Skip is how many commands pass first.
	Skip int
	// Times is how many commands are hit; 0: all that follow.
	Times int
	// Match makes the fault pickier; nil: no more conditions. It is called with
	// no lock held, for several connections at the same time.
	Match func(Command) bool
	// Do is what happens. It is required.
	Do Action
}

// Action is what a [Fault] does to a command.
type Action struct {
	kind  actionKind
	delay time.Duration
	code  wire.Code
}

type actionKind int

const (
	actNothing actionKind = iota
	actDrop
	actLoseAnswer
	actAnswerTwice
	actCutBefore
	actCutAfter
	actDelay
	actFail
)

// Drop loses the command: it is never executed, and nothing is answered. A push
// that is dropped never arrives.
func Drop() Action { return Action{kind: actDrop} }

// LoseAnswer lets the command be executed and loses the answer.
func LoseAnswer() Action { return Action{kind: actLoseAnswer} }

// AnswerTwice sends the answer two times. A push comes two times.
func AnswerTwice() Action { return Action{kind: actAnswerTwice} }

// CutBefore breaks the connection instead of executing the command, or instead
// of the push.
func CutBefore() Action { return Action{kind: actCutBefore} }

// CutAfter lets the command be executed and breaks the connection instead of
// answering. Of a push it has no meaning: wait for what the push causes and call
// [Server.Cut].
func CutAfter() Action { return Action{kind: actCutAfter} }

// Delay holds the command or push back for d, and it alone: what follows
// overtakes it. Two that are held back for the same time keep their order. It is
// lost when the connection ends first.
func Delay(d time.Duration) Action { return Action{kind: actDelay, delay: d} }

// Fail answers with an error of this code instead of executing the command, in
// the form the server uses: a refused message is an ack with the code, a
// conflict at login closes the session, and codes that end the connection end
// it.
func Fail(code realtime.ErrorCode) Action { return Action{kind: actFail, code: wire.Code(code)} }

// needsAnswer tells the actions that are about answers.
func (a Action) needsAnswer() bool {
	switch a.kind {
	case actLoseAnswer, actAnswerTwice, actFail:
		return true
	}
	return false
}

// mistake is what is wrong with a fault, "" if nothing.
func (f Fault) mistake() string {
	t, known := trafficOf(f.Command)
	switch {
	case f.Command != "" && !known:
		return "there is no command of this name"
	case f.Do.kind == actNothing:
		return "it has no action"
	case f.Skip < 0 || f.Times < 0:
		return "Skip and Times count from 0"
	case f.Do.delay < 0:
		return "the delay is negative"
	case f.Do.kind == actFail && f.Do.code == 0:
		return "Fail needs a code"
	case f.Pushes && f.Command != "" && !t.pushed:
		return "the server does not push this command"
	case !f.Pushes && f.Command != "" && !t.sent:
		return "clients do not send this command"
	case f.Pushes && (f.Do.kind == actLoseAnswer || f.Do.kind == actFail):
		return "a push has no answer"
	case f.Pushes && f.Do.kind == actCutAfter:
		return "a push has no end that could be waited for: use Cut when it has arrived"
	case !f.Pushes && f.Command != "" && !t.answered && f.Do.needsAnswer():
		return "this command is never answered"
	}
	return ""
}

// faults are the injected faults.
type faults struct {
	mu   sync.Mutex
	list []*activeFault // in the order of injection; copied on write
}

// activeFault is a fault and its counters, which faults.mu guards.
type activeFault struct {
	Fault
	passed, acted int
}

func (fs *faults) add(f Fault) (remove func()) {
	active := &activeFault{Fault: f}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.list = append(slices.Clip(fs.list), active)
	return func() {
		fs.mu.Lock()
		defer fs.mu.Unlock()
		fs.list = slices.DeleteFunc(slices.Clone(fs.list), func(a *activeFault) bool { return a == active })
	}
}

// clear removes all faults.
func (fs *faults) clear() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.list = nil
}

// meet is what happens to one command; the zero Action is nothing.
func (fs *faults) meet(c Command, pushed bool) Action {
	fs.mu.Lock()
	list := fs.list
	fs.mu.Unlock()
	for _, f := range list {
		if f.fits(c, pushed) && fs.count(f) {
			return f.Do
		}
	}
	return Action{}
}

// fits tells whether the command is one of those the fault is for. It calls
// the user's Match, so no lock may be held.
func (f *activeFault) fits(c Command, pushed bool) bool {
	return f.Pushes == pushed &&
		(f.Command == "" || f.Command == c.Name) &&
		(f.Client == "" || f.Client == c.ClientID) &&
		(f.Match == nil || f.Match(c))
}

// count counts a command that fits and tells whether the fault acts on it.
func (fs *faults) count(f *activeFault) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if !slices.Contains(fs.list, f) {
		return false // removed meanwhile
	}
	if f.passed < f.Skip {
		f.passed++
		return false
	}
	if f.Times > 0 && f.acted == f.Times {
		return false
	}
	f.acted++
	return true
}
