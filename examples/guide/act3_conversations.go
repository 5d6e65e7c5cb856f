package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/leanrtm/realtime"
)

// conversations is the third chapter: what the first screen of a chat shows.
func (s *story) conversations(ctx context.Context) error {
	for _, c := range []struct {
		name, member, text string
	}{
		{"NBA finals", "William", "Lakers or Celtics?"},
		{"Weekend hike", "Mary", "Bring water."},
		{"Cat food", "Jerry", "Not you, the other cat."},
	} {
		conv, err := s.tom.client.CreateConversation(ctx, realtime.ConversationOptions{
			Members:   []string{c.member},
			Name:      c.name,
			NotUnique: true, // Tom and Jerry have a conversation of the two already
		})
		if err != nil {
			return fmt.Errorf("create %q: %w", c.name, err)
		}
		if err := s.begun(ctx, conv); err != nil {
			return err
		}
		if _, err := conv.Send(ctx, realtime.NewTextMessage(c.text)); err != nil {
			return fmt.Errorf("send to %q: %w", c.name, err)
		}
		s.told.conversations++
		if err := s.diary.wait(ctx, entry{c.member, eventMessage, c.text}); err != nil {
			return err
		}
	}

	recent, err := s.tom.client.Query().ContainsMembers("Tom").Limit(20).Find(ctx)
	if err != nil {
		return err
	}
	s.tell("Tom's recent conversations, the latest message first:")
	for _, conv := range recent {
		s.tell("    %s  %-14s %s", conv.LastMessageAt().Format("15:04:05.000"), conv.Name(), strings.Join(conv.Members(), ", "))
	}

	found, err := s.tom.client.Query().Contains("name", "NBA").Limit(10).Find(ctx)
	if err != nil {
		return err
	}
	s.tell("He looks for NBA and finds %d:", len(found))
	for _, conv := range found {
		s.tell("    %s (%s)", conv.Name(), conv.ID())
	}
	return nil
}
