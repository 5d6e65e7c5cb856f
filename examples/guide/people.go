package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/leanrtm/realtime"
)

// person is somebody with a phone: a network, a connection, and a client that
// logs in under the person's name.
type person struct {
	name   string
	phone  *network
	rt     *realtime.Realtime
	client *realtime.IMClient
}

// newPerson hands out a phone. Nothing is connected yet.
func (s *story) newPerson(name string) (*person, error) {
	p := &person{name: name, phone: new(network)}
	var err error
	if p.rt, err = realtime.New(s.stage.options(p.phone)); err != nil {
		return nil, fmt.Errorf("%s's phone: %w", name, err)
	}
	s.people = append(s.people, p)
	return p, nil
}

// logIn registers the handlers first and opens the client then, so that no
// event is missed.
func (s *story) logIn(ctx context.Context, p *person) error {
	p.client = p.rt.NewIMClient(p.name)
	s.listen(p)
	if err := p.client.Open(ctx); err != nil {
		return fmt.Errorf("%s logs in: %w", p.name, err)
	}
	s.tell("%s logs in.", p.name)
	return nil
}

// listen writes down what a person hears of members and messages.
func (s *story) listen(p *person) {
	p.client.OnInvited(func(_ context.Context, e *realtime.InvitedEvent) {
		s.hear(p, eventInvited, p.name, "into %q by %s", title(e.Conversation), e.InvitedBy)
	})
	p.client.OnKicked(func(_ context.Context, e *realtime.KickedEvent) {
		s.hear(p, eventKicked, p.name, "out of %q by %s", title(e.Conversation), e.KickedBy)
	})
	p.client.OnMembersJoined(func(_ context.Context, e *realtime.MembersJoinedEvent) {
		for _, member := range e.Members {
			s.hear(p, eventMembersJoined, member, "%s, invited by %s", member, e.InvitedBy)
		}
		s.diary.write(entry{p.name, eventMembersJoined, e.Conversation.ID()})
	})
	p.client.OnMembersLeft(func(_ context.Context, e *realtime.MembersLeftEvent) {
		for _, member := range e.Members {
			s.hear(p, eventMembersLeft, member, "%s, by %s", member, e.KickedBy)
		}
	})
	p.client.OnMessage(func(_ context.Context, e *realtime.MessageEvent) {
		text, missed := e.Message.Text(), ""
		if e.Recovered {
			missed = " (missed while away)"
		}
		s.hear(p, eventMessage, text, "%s: %s%s", e.Message.From, text, missed)
	})
}

// begun waits until those who are in a new conversation have heard of it, who
// made it included.
func (s *story) begun(ctx context.Context, conv *realtime.Conversation) error {
	wanted := make([]entry, 0, len(conv.Members()))
	for _, member := range conv.Members() {
		wanted = append(wanted, entry{member, eventMembersJoined, conv.ID()})
	}
	return s.diary.wait(ctx, wanted...)
}

// title is the name of a conversation as a phone would show it.
func title(conv *realtime.Conversation) string {
	if name := conv.Name(); name != "" {
		return name
	}
	return strings.Join(conv.Members(), ", ")
}

// leave logs everybody out, the last to come first.
func (s *story) leave(ctx context.Context) error {
	var errs []error
	for i := len(s.people) - 1; i >= 0; i-- {
		if err := s.people[i].rt.Close(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s logs out: %w", s.people[i].name, err))
		}
	}
	return errors.Join(errs...)
}
