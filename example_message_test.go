package realtime_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/leanrtm/realtime"
)

// How far a message has got, for those check marks.
func ExampleIMClient_OnMessageStatus() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	s.Client("Jerry") // is online, so that the message reaches him at once
	tom := s.Client("Tom")

	delivered := make(chan struct{})
	tom.OnMessageStatus(func(_ context.Context, e *realtime.MessageStatusEvent) {
		fmt.Println(e.Message.Text(), e.Message.Status)
		if e.Message.Status == realtime.StatusDelivered {
			close(delivered)
		}
	})
	conv, err := tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"Jerry"}})
	check(err)
	_, err = conv.Send(ctx, realtime.NewTextMessage("Hello?"), realtime.WithReceipt())
	check(err)
	<-delivered
	// Output:
	// Hello? sending
	// Hello? sent
	// Hello? delivered
}

// Unread messages are counted until Read, on all devices of a client.
func ExampleConversation_Read() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	tom, jerry := s.Client("Tom"), s.Client("Jerry")
	conv, err := tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"Jerry"}})
	check(err)

	came, read := make(chan struct{}), make(chan string, 1)
	jerry.OnMessage(func(context.Context, *realtime.MessageEvent) { close(came) })
	conv.OnLastReadAtUpdate(func(_ context.Context, e *realtime.LastReadAtUpdateEvent) { read <- e.By })
	_, err = conv.Send(ctx, realtime.NewTextMessage("Jerry, get up!"), realtime.WithReceipt(), realtime.WithMention("Jerry"))
	check(err)
	<-came
	jerrys, err := jerry.GetConversation(ctx, conv.ID())
	check(err)
	fmt.Println(jerrys.UnreadMessagesCount(), "unread, mentioned:", jerrys.UnreadMessagesMentioned())
	check(jerrys.Read(ctx))
	fmt.Println(jerrys.UnreadMessagesCount(), "unread")
	fmt.Println("read by", <-read)
	// Output:
	// 1 unread, mentioned: true
	// 0 unread
	// read by Jerry
}

// Messages and conversations can be kept, in the form of the other SDKs.
func ExampleIMClient_ParseMessage() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	tom := s.Client("Tom")
	conv, err := tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"Jerry"}, Name: "Cats"})
	check(err)
	msg, err := conv.Send(ctx, realtime.NewTextMessage("Meow"))
	check(err)

	kept, err := json.Marshal(msg)
	check(err)
	again, err := tom.ParseMessage(kept)
	check(err)
	fmt.Println(again.ID == msg.ID, again.Timestamp.Equal(msg.Timestamp), again.Text())

	kept, err = json.Marshal(conv)
	check(err)
	restored, err := s.Client("Tom").ParseConversation(kept) // without asking the server
	check(err)
	fmt.Println(restored.Name(), restored.Members(), restored.LastMessage().Text())
	// Output:
	// true true Meow
	// Cats [Jerry Tom] Meow
}
