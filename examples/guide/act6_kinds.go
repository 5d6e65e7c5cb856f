package main

import (
	"context"
	"fmt"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
)

const (
	bulletScreen = "666666"
	secret       = "This will be gone soon."
	maintenance  = "The servers rest from 5 to 6."
)

// kinds is the sixth chapter: the three other kinds of conversation.
func (s *story) kinds(ctx context.Context) error {
	if err := s.chatRoom(ctx); err != nil {
		return err
	}
	if err := s.temporary(ctx); err != nil {
		return err
	}
	return s.service(ctx)
}

// chatRoom is a live room: whoever is there hears, nobody is a member.
func (s *story) chatRoom(ctx context.Context) error {
	s.tell("Tom opens a chat room for the finals; William and Mary look in.")
	room, err := s.tom.client.CreateChatRoom(ctx, realtime.ChatRoomOptions{Name: "Live: the finals"})
	if err != nil {
		return err
	}
	for _, p := range []*person{s.william, s.mary} {
		theirs, err := p.client.GetConversation(ctx, room.ID())
		if err != nil {
			return err
		}
		if err := theirs.Join(ctx); err != nil {
			return fmt.Errorf("%s joins the room: %w", p.name, err)
		}
	}
	online, err := room.Count(ctx)
	if err != nil {
		return err
	}
	s.tell("    %d are in the room.", online)
	if _, err := room.Send(ctx, realtime.NewTextMessage(bulletScreen), realtime.WithPriority(realtime.PriorityHigh)); err != nil {
		return err
	}
	return s.diary.wait(ctx, entry{"William", eventMessage, bulletScreen}, entry{"Mary", eventMessage, bulletScreen})
}

// temporary is a conversation that ends by itself.
func (s *story) temporary(ctx context.Context) error {
	s.tell("Tom asks Jerry something in a conversation that ends by itself.")
	conv, err := s.tom.client.CreateTemporaryConversation(ctx, realtime.TemporaryConversationOptions{
		Members: []string{"Jerry"},
		TTL:     time.Hour,
	})
	if err != nil {
		return err
	}
	if err := s.begun(ctx, conv); err != nil {
		return err
	}
	if _, err := conv.Send(ctx, realtime.NewTextMessage(secret)); err != nil {
		return err
	}
	if err := s.diary.wait(ctx, entry{"Jerry", eventMessage, secret}); err != nil {
		return err
	}
	s.tell("    It ends in %v.", time.Until(conv.ExpiredAt()).Round(time.Minute))
	return nil
}

// service is what an app tells its users: only the app's back end, which has
// the master key, makes a service conversation and speaks in it.
func (s *story) service(ctx context.Context) error {
	gm, err := admin.New(admin.Options{AppID: appID, MasterKey: masterKey, Server: s.stage.url})
	if err != nil {
		return err
	}
	news, err := gm.CreateServiceConversation(ctx, admin.ServiceConversationOptions{Name: "Game news"})
	if err != nil {
		return fmt.Errorf("create the service conversation: %w", err)
	}
	s.tell("Jerry finds the service conversation \"Game news\" and subscribes.")
	found, err := s.jerry.client.ServiceConversationQuery().EqualTo("name", "Game news").First(ctx)
	if err != nil {
		return err
	}
	if err := found.Subscribe(ctx); err != nil {
		return err
	}
	s.tell("The game master tells all subscribers, by REST with the master key.")
	if _, err := news.BroadcastToSubscribers(ctx, admin.Broadcast{
		From: "GM", Content: realtime.NewTextMessage(maintenance),
	}); err != nil {
		return fmt.Errorf("broadcast: %w", err)
	}
	return s.diary.wait(ctx, entry{"Jerry", eventMessage, maintenance})
}
