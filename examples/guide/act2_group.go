package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/leanrtm/realtime"
)

const (
	welcome = "大家好，欢迎来到我们的群聊对话" // "Hello everybody, welcome to our group chat"
	hello   = "Hello, I am Mary."
	alone   = "Mary is gone, it is just us again."
)

// group is the second chapter: others come and go, and everybody hears of it.
func (s *story) group(ctx context.Context) error {
	var err error
	if s.mary, err = s.newPerson("Mary"); err != nil {
		return err
	}
	if err := s.logIn(ctx, s.mary); err != nil {
		return err
	}
	if s.william, err = s.newPerson("William"); err != nil {
		return err
	}
	if err := s.logIn(ctx, s.william); err != nil {
		return err
	}
	for _, scene := range []func(context.Context) error{
		s.addMary, s.talk, s.removeMary, s.williamJoins, s.jerryQuits,
	} {
		if err := scene(ctx); err != nil {
			return err
		}
	}
	s.table()
	return nil
}

// addMary makes the conversation of two a group.
func (s *story) addMary(ctx context.Context) error {
	s.tell("Tom adds Mary.")
	// Tom finds the conversation by its id, as he would after a restart.
	conv, err := s.tom.client.GetConversation(ctx, s.conv.ID())
	if err != nil {
		return err
	}
	if err := conv.Add(ctx, "Mary"); err != nil {
		return err
	}
	return s.diary.wait(ctx,
		entry{"Tom", eventMembersJoined, "Mary"},
		entry{"Jerry", eventMembersJoined, "Mary"},
		entry{"Mary", eventInvited, "Mary"},
		entry{"Mary", eventMembersJoined, "Mary"},
	)
}

// talk sends one message to the group from each side.
func (s *story) talk(ctx context.Context) error {
	s.tell("The group talks. The members now: %s.", strings.Join(s.conv.Members(), ", "))
	if _, err := s.conv.Send(ctx, realtime.NewTextMessage(welcome)); err != nil {
		return err
	}
	marys, err := s.mary.client.GetConversation(ctx, s.conv.ID())
	if err != nil {
		return err
	}
	if _, err := marys.Send(ctx, realtime.NewTextMessage(hello)); err != nil {
		return err
	}
	return s.diary.wait(ctx,
		entry{"Jerry", eventMessage, welcome},
		entry{"Mary", eventMessage, welcome},
		entry{"Tom", eventMessage, hello},
		entry{"Jerry", eventMessage, hello},
	)
}

// removeMary also shows that who is out hears nothing more.
func (s *story) removeMary(ctx context.Context) error {
	s.tell("Tom removes Mary, and tells Jerry.")
	if err := s.conv.Remove(ctx, "Mary"); err != nil {
		return err
	}
	if err := s.diary.wait(ctx,
		entry{"Tom", eventMembersLeft, "Mary"},
		entry{"Jerry", eventMembersLeft, "Mary"},
		entry{"Mary", eventKicked, "Mary"},
	); err != nil {
		return err
	}
	if _, err := s.conv.Send(ctx, realtime.NewTextMessage(alone)); err != nil {
		return err
	}
	return s.diary.wait(ctx, entry{"Jerry", eventMessage, alone})
}

// williamJoins needs nothing but the id of the conversation.
func (s *story) williamJoins(ctx context.Context) error {
	s.tell("William joins by the id of the conversation.")
	conv, err := s.william.client.GetConversation(ctx, s.conv.ID())
	if err != nil {
		return err
	}
	if err := conv.Join(ctx); err != nil {
		return err
	}
	return s.diary.wait(ctx,
		entry{"Tom", eventMembersJoined, "William"},
		entry{"Jerry", eventMembersJoined, "William"},
		entry{"William", eventInvited, "William"},
		entry{"William", eventMembersJoined, "William"},
	)
}

// jerryQuits leaves Tom and William.
func (s *story) jerryQuits(ctx context.Context) error {
	s.tell("Jerry quits.")
	conv, err := s.jerry.client.GetConversation(ctx, s.conv.ID())
	if err != nil {
		return err
	}
	if err := conv.Quit(ctx); err != nil {
		return err
	}
	if err := s.diary.wait(ctx,
		entry{"Tom", eventMembersLeft, "Jerry"},
		entry{"William", eventMembersLeft, "Jerry"},
		entry{"Jerry", eventKicked, "Jerry"},
	); err != nil {
		return err
	}
	s.tell("    The members now: %s.", strings.Join(s.conv.Members(), ", "))
	return nil
}

// table prints who got which event, as the diary has it.
func (s *story) table() {
	joining := []string{eventInvited, eventMembersJoined}
	leaving := []string{eventKicked, eventMembersLeft}
	operations := []struct {
		name   string
		about  string // who came or went
		events []string
	}{
		{"Tom adds Mary", "Mary", joining},
		{"Tom removes Mary", "Mary", leaving},
		{"William joins", "William", joining},
		{"Jerry quits", "Jerry", leaving},
	}
	people := []string{"Tom", "Jerry", "Mary", "William"}

	s.tell("Who got which event:\n")
	s.tell("%s", row("operation", people))
	for _, op := range operations {
		cells := make([]string, len(people))
		for i, who := range people {
			cells[i] = strings.Join(s.diary.find(who, op.about, op.events...), "+")
			if cells[i] == "" {
				cells[i] = "/"
			}
		}
		s.tell("%s", row(op.name, cells))
	}
}

// row is a line of the table, in columns as wide as the widest cell.
func row(head string, cells []string) string {
	line := fmt.Sprintf("    %-17s", head)
	for _, c := range cells {
		line += fmt.Sprintf("| %-23s", c)
	}
	return strings.TrimRight(line, " ")
}
