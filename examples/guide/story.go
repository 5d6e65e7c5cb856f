package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leanrtm/realtime"
)

// story is what the acts share.
type story struct {
	stage  *stage
	diary  *diary
	people []*person

	tom, jerry, mary, william *person

	conv *realtime.Conversation // of Tom and Jerry, as Tom's phone has it
	told summary

	hushed   atomic.Bool // what is heard is written down but not printed
	printing sync.Mutex  // handlers of several phones tell at the same time
	out      io.Writer
}

// summary is what the last line tells.
type summary struct {
	conversations, messages, pages int
}

// act is a chapter of the guide.
type act struct {
	title string
	play  func(*story, context.Context) error
}

// acts are the chapters in their order. A new one is a new file and a line
// here.
func acts() []act {
	return []act{
		{"One to one", (*story).private},
		{"A group", (*story).group},
		{"Conversations", (*story).conversations},
		{"History", (*story).history},
		{"The network", (*story).network},
		{"Rooms, secrets and services", (*story).kinds},
		{"After sending", (*story).care},
		{"A picture", (*story).picture},
	}
}

// play runs the whole story and writes it to out.
func play(ctx context.Context, out io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	started := time.Now()

	st, err := newStage(ctx)
	if err != nil {
		return err
	}
	s := &story{stage: st, diary: newDiary(), out: out}
	defer func() {
		// People first: a server that leaves first is a lost connection.
		err = errors.Join(err, s.leave(ctx), st.Close(ctx))
		if err == nil {
			s.tell("\nSummary: %d people, %d conversations, %d messages on record in %d pages, %d connection events, %d ms.",
				len(s.people), s.told.conversations, s.told.messages, s.told.pages,
				s.diary.kinds(connectionEvents()), time.Since(started).Milliseconds())
		}
	}()

	s.tell("The server runs in this process, at %s.", st.url)
	for i, a := range acts() {
		s.tell("\nAct %d. %s\n", i+1, a.title)
		if err := a.play(s, ctx); err != nil {
			return fmt.Errorf("act %d: %w", i+1, err)
		}
	}
	return nil
}

// tell prints a line of the story.
func (s *story) tell(format string, args ...any) {
	s.printing.Lock()
	defer s.printing.Unlock()
	fmt.Fprintf(s.out, format+"\n", args...)
}

// hear prints what somebody heard, unless the story is hushed, and writes it
// down.
func (s *story) hear(p *person, event, about, format string, args ...any) {
	if !s.hushed.Load() {
		s.tell("    %-8s hears %-15s %s", p.name, event, fmt.Sprintf(format, args...))
	}
	s.diary.write(entry{p.name, event, about})
}
