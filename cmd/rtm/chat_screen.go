package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/leanrtm/realtime"
)

// screen writes a chat, one line at a time, whoever has something to say: the
// handlers of the client, or the loop that reads the input.
//
// Events may come before the history has been shown. Until open has done that,
// they wait, and a message that the history has shown already is not shown
// again.
type screen struct {
	mu      sync.Mutex
	out     io.Writer
	conv    *realtime.Conversation // nil until open
	waiting []func()               // what came before open; they run with mu held
	shown   map[string]struct{}    // ids of the messages that open has shown
}

func newScreen(out io.Writer) *screen {
	return &screen{out: out}
}

// watch shows what the client hears. It must come before the client is opened.
func (s *screen) watch(client *realtime.IMClient) {
	me := client.ID()
	client.OnMessage(func(_ context.Context, e *realtime.MessageEvent) {
		s.message(e.Conversation, e.Message)
	})
	client.OnInvited(func(_ context.Context, e *realtime.InvitedEvent) {
		s.event(e.Conversation, by("you have joined", e.InvitedBy, me))
	})
	client.OnKicked(func(_ context.Context, e *realtime.KickedEvent) {
		s.event(e.Conversation, by("you are out", e.KickedBy, me))
	})
	client.OnMembersJoined(func(_ context.Context, e *realtime.MembersJoinedEvent) {
		for _, member := range e.Members {
			if member != me { // Invited has said it
				s.event(e.Conversation, by(member+" has joined", e.InvitedBy, member))
			}
		}
	})
	client.OnMembersLeft(func(_ context.Context, e *realtime.MembersLeftEvent) {
		for _, member := range e.Members {
			s.event(e.Conversation, by(member+" has left", e.KickedBy, member))
		}
	})

	client.OnDisconnect(func(context.Context, *realtime.DisconnectEvent) {
		s.notice("connection lost")
	})
	client.OnSchedule(func(_ context.Context, e *realtime.ScheduleEvent) {
		s.notice("trying again in %v", e.Delay.Round(100*time.Millisecond))
	})
	client.OnRetry(func(_ context.Context, e *realtime.RetryEvent) {
		s.notice("connecting, attempt %d", e.Attempt+1)
	})
	client.OnReconnect(func(context.Context, *realtime.ReconnectEvent) {
		s.notice("connected again")
	})
	client.OnReconnectError(func(_ context.Context, e *realtime.ReconnectErrorEvent) {
		s.notice("could not log in again: %v", e.Err)
	})
	client.OnConflict(func(context.Context, *realtime.ConflictEvent) {
		s.notice("%s has logged in on another device", me)
	})
}

// by adds who did something to somebody, unless it was that somebody.
func by(what, who, whom string) string {
	if who == "" || who == whom {
		return what
	}
	return what + ", by " + who
}

// open shows the last messages of the conversation and everything from then
// on.
func (s *screen) open(ctx context.Context, conv *realtime.Conversation, history int) error {
	var messages []*realtime.Message
	if history > 0 {
		var err error
		if messages, err = conv.QueryMessages(ctx, realtime.MessageQuery{Limit: history}); err != nil {
			return fmt.Errorf("read the history: %w", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conv = conv
	s.line("· conversation %s: %s", conv.ID(), strings.Join(conv.Members(), ", "))
	s.shown = make(map[string]struct{}, len(messages))
	for _, m := range messages {
		s.shown[m.ID] = struct{}{}
		s.line("%s", text(m))
	}
	s.line("· connected; /help lists the commands, /quit ends the chat")
	for _, show := range s.waiting {
		show()
	}
	s.waiting, s.shown = nil, nil
	return nil
}

// message shows a message. One of another conversation says which.
func (s *screen) message(conv *realtime.Conversation, m *realtime.Message) {
	s.show(func() {
		if _, already := s.shown[m.ID]; already && conv.ID() == s.conv.ID() {
			return
		}
		s.line("%s%s", s.elsewhere(conv), text(m))
	})
}

// event shows what happened to the members of a conversation.
func (s *screen) event(conv *realtime.Conversation, what string) {
	s.show(func() { s.line("· %s%s", s.elsewhere(conv), what) })
}

// notice shows something of the connection or of a command.
func (s *screen) notice(format string, args ...any) {
	s.show(func() { s.line("· %s", fmt.Sprintf(format, args...)) })
}

// print shows a text of ours as it is.
func (s *screen) print(text string) {
	s.show(func() { fmt.Fprint(s.out, text) })
}

// show runs f with mu held, now or when the screen opens.
func (s *screen) show(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conv == nil {
		s.waiting = append(s.waiting, f)
		return
	}
	f()
}

// line writes one line; it needs mu.
func (s *screen) line(format string, args ...any) {
	fmt.Fprintln(s.out, harmless(fmt.Sprintf(format, args...)))
}

// harmless takes out what would move the cursor, change the terminal or turn the
// order of letters around: names and messages were written by others.
func harmless(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// elsewhere names a conversation that is not the one on the screen; it needs
// mu.
func (s *screen) elsewhere(conv *realtime.Conversation) string {
	if conv.ID() == s.conv.ID() {
		return ""
	}
	name := conv.Name()
	if name == "" {
		name = conv.ID()
	}
	return "[" + name + "] "
}

// text is a message as a line.
func text(m *realtime.Message) string {
	content := m.Text()
	if content == "" {
		if content = m.Summary(); content == "" {
			content = fmt.Sprintf("(a message of type %d)", m.Type())
		}
	}
	return fmt.Sprintf("[%s] %s: %s", m.Timestamp.Local().Format("15:04:05"), m.From, content)
}
