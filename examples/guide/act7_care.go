package main

import (
	"context"
	"fmt"

	"github.com/leanrtm/realtime"
)

const (
	oops       = "Let us meet at sevn, William!"
	corrected  = "Let us meet at seven, William!"
	regretted  = "On second thought: never."
	eventRead  = "LAST_READ_AT_UPDATE"
	eventEdit  = "MESSAGE_UPDATE"
	eventGone  = "MESSAGE_RECALL"
	eventCount = "UNREAD_MESSAGES_COUNT_UPDATE"
)

// care is the seventh chapter: what happens to a message after it was sent.
func (s *story) care(ctx context.Context) error {
	s.watchReceipts(s.tom)
	s.watchMessages(s.william)
	s.watchCounts(s.william)

	s.tell("Tom writes to William, mentions him, and wants a receipt.")
	sent, err := s.conv.Send(ctx, realtime.NewTextMessage(oops), realtime.WithMention("William"), realtime.WithReceipt())
	if err != nil {
		return err
	}
	if err := s.diary.wait(ctx, entry{"William", eventMessage, oops}); err != nil {
		return err
	}
	williams, err := s.william.client.GetConversation(ctx, s.conv.ID())
	if err != nil {
		return err
	}
	s.tell("    William has %d unread, mentioned: %t.", williams.UnreadMessagesCount(), williams.UnreadMessagesMentioned())

	s.tell("William reads.")
	if err := williams.Read(ctx); err != nil {
		return err
	}
	if err := s.diary.wait(ctx, entry{"Tom", eventRead, sent.ID}); err != nil {
		return err
	}
	s.tell("    William has %d unread.", williams.UnreadMessagesCount())

	s.tell("Tom corrects his message.")
	if _, err := s.conv.Update(ctx, sent, realtime.NewTextMessage(corrected)); err != nil {
		return err
	}
	if err := s.diary.wait(ctx, entry{"William", eventEdit, corrected}); err != nil {
		return err
	}

	s.tell("He thinks better of it and takes it back.")
	if _, err := s.conv.Recall(ctx, sent); err != nil {
		return err
	}
	if err := s.diary.wait(ctx, entry{"William", eventGone, sent.ID}); err != nil {
		return err
	}

	s.tell("William goes home; Tom writes once more, and takes that back too.")
	if err := s.william.client.Close(ctx); err != nil {
		return err
	}
	regret, err := s.conv.Send(ctx, realtime.NewTextMessage(regretted))
	if err != nil {
		return err
	}
	if _, err := s.conv.Recall(ctx, regret); err != nil {
		return err
	}

	s.tell("William comes back.")
	s.william.client = s.william.rt.NewIMClient("William")
	s.listen(s.william)
	s.watchCounts(s.william)
	if err := s.william.client.Open(ctx); err != nil {
		return fmt.Errorf("%s comes back: %w", s.william.name, err)
	}
	return s.diary.wait(ctx, entry{"William", eventCount, "1 in Tom & Jerry"}, entry{"William", eventCount, "1 in NBA finals"})
}

// watchReceipts writes down what a person hears of how far others have read.
func (s *story) watchReceipts(p *person) {
	p.client.OnLastReadAtUpdate(func(_ context.Context, e *realtime.LastReadAtUpdateEvent) {
		s.hear(p, eventRead, e.MessageID, "%s has read", e.By)
	})
}

// watchMessages writes down what becomes of the messages that a person has got.
func (s *story) watchMessages(p *person) {
	p.client.OnMessageUpdate(func(_ context.Context, e *realtime.MessageUpdateEvent) {
		s.hear(p, eventEdit, e.Message.Text(), "%s: %s", e.Message.From, e.Message.Text())
	})
	p.client.OnMessageRecall(func(_ context.Context, e *realtime.MessageRecallEvent) {
		s.hear(p, eventGone, e.Message.ID, "%s has taken a message back", e.Message.From)
	})
}

// watchCounts writes down how much a person has to read.
func (s *story) watchCounts(p *person) {
	p.client.OnUnreadMessagesCountUpdate(func(_ context.Context, e *realtime.UnreadMessagesCountUpdateEvent) {
		about := fmt.Sprintf("%d in %s", e.Count, title(e.Conversation))
		s.hear(p, eventCount, about, "%d unread in %q, the last one: %s", e.Count, title(e.Conversation), said(e.LastMessage))
	})
}

// said is what a list of conversations shows of a message.
func said(m *realtime.Message) string {
	switch {
	case m == nil:
		return "none"
	case m.Type() == realtime.TypeRecalled:
		return "(taken back)"
	}
	return m.Summary()
}
