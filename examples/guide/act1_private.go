package main

import (
	"context"

	"github.com/leanrtm/realtime"
)

const wakeUp = "Jerry，起床了！" // "Jerry, get up!"

// private is the first chapter: Tom writes to Jerry.
func (s *story) private(ctx context.Context) error {
	var err error
	if s.tom, err = s.newPerson("Tom"); err != nil {
		return err
	}
	if err := s.logIn(ctx, s.tom); err != nil {
		return err
	}
	// Jerry is online on another device, so he hears of everything at once.
	if s.jerry, err = s.newPerson("Jerry"); err != nil {
		return err
	}
	if err := s.logIn(ctx, s.jerry); err != nil {
		return err
	}

	s.tell("Tom creates a conversation with Jerry.")
	s.conv, err = s.tom.client.CreateConversation(ctx, realtime.ConversationOptions{
		Members: []string{"Jerry"}, // Tom is a member without saying so
		Name:    "Tom & Jerry",
	})
	if err != nil {
		return err
	}
	s.told.conversations++
	if err := s.begun(ctx, s.conv); err != nil {
		return err
	}

	s.tell("Tom sends the first message.")
	message, err := s.conv.Send(ctx, realtime.NewTextMessage(wakeUp))
	if err != nil {
		return err
	}
	if err := s.diary.wait(ctx, entry{"Jerry", eventMessage, wakeUp}); err != nil {
		return err
	}
	s.tell("    The server keeps it as message %s of conversation %s.", message.ID, message.ConversationID)
	return nil
}
