package main

import (
	"context"
	"fmt"

	"github.com/leanrtm/realtime"
)

// pageSize is how many messages fit on a screen.
const pageSize = 10

// chatter is how many messages Tom and William exchange, so that there are
// pages to turn.
const chatter = 20

// history is the fourth chapter: what was said before.
func (s *story) history(ctx context.Context) error {
	if err := s.chat(ctx); err != nil {
		return err
	}
	if err := s.lastMessages(ctx); err != nil {
		return err
	}
	return s.allMessages(ctx)
}

// chat lets Tom and William talk.
func (s *story) chat(ctx context.Context) error {
	s.tell("Tom and William talk about the finals, %d messages long.", chatter)
	s.hushed.Store(true)
	defer s.hushed.Store(false)
	williams, err := s.william.client.GetConversation(ctx, s.conv.ID())
	if err != nil {
		return err
	}
	for i := range chatter {
		conv, text := s.conv, fmt.Sprintf("Tom's point %d", i/2+1)
		if i%2 == 1 {
			conv, text = williams, fmt.Sprintf("William's point %d", i/2+1)
		}
		if _, err := conv.Send(ctx, realtime.NewTextMessage(text)); err != nil {
			return err
		}
	}
	return s.diary.wait(ctx,
		entry{"Tom", eventMessage, "William's point 10"},
		entry{"William", eventMessage, "Tom's point 10"},
	)
}

// lastMessages is what a chat window shows when it opens. A page is ordered for
// display: the oldest first.
func (s *story) lastMessages(ctx context.Context) error {
	last, err := s.conv.QueryMessages(ctx, realtime.MessageQuery{Limit: pageSize})
	if err != nil {
		return err
	}
	s.tell("The last %d messages:", len(last))
	for _, m := range last {
		s.tell("    %s  %-8s %s", m.Timestamp.Format("15:04:05.000"), m.From, m.Text())
	}
	return nil
}

// allMessages is scrolling up: each page is older than the one before.
func (s *story) allMessages(ctx context.Context) error {
	s.tell("The whole history, %d messages a page:", pageSize)
	pages := s.conv.MessageIterator(realtime.MessageQuery{Limit: pageSize})
	for done := false; !done; {
		var (
			page []*realtime.Message
			err  error
		)
		if page, done, err = pages.Next(ctx); err != nil {
			return err
		}
		if len(page) == 0 {
			continue // an empty last page: the one before was full
		}
		s.told.pages++
		s.told.messages += len(page)
		s.tell("    page %d: %2d messages, from %q to %q", s.told.pages, len(page), page[0].Text(), page[len(page)-1].Text())
	}
	return nil
}
