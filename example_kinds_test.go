package realtime_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
)

// A chat room has visitors and no members: who leaves misses what is said.
func ExampleIMClient_CreateChatRoom() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	tom, jerry := s.Client("Tom"), s.Client("Jerry")

	room, err := tom.CreateChatRoom(ctx, realtime.ChatRoomOptions{Name: "Live: the finals"})
	check(err)
	found, err := jerry.ChatRoomQuery().StartsWith("name", "Live").First(ctx)
	check(err)
	check(found.Join(ctx))
	online, err := room.Count(ctx)
	check(err)
	fmt.Println(found.Kind(), found.Name(), "with", online)

	heard := make(chan string, 1)
	found.OnMessage(func(_ context.Context, e *realtime.MessageEvent) { heard <- e.Message.Text() })
	_, err = room.Send(ctx, realtime.NewTextMessage("666"), realtime.WithPriority(realtime.PriorityHigh))
	check(err)
	fmt.Println(<-heard)
	fmt.Println(errors.Is(room.Add(ctx, "Mary"), realtime.ErrNormalConversationRequired))
	// Output:
	// chat room Live: the finals with 2
	// 666
	// true
}

// A temporary conversation ends by itself, and nobody can change it.
func ExampleIMClient_CreateTemporaryConversation() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	tom := s.Client("Tom")

	conv, err := tom.CreateTemporaryConversation(ctx, realtime.TemporaryConversationOptions{
		Members: []string{"Jerry"}, TTL: time.Hour,
	})
	check(err)
	fmt.Println(conv.Kind(), conv.Members(), "for", time.Until(conv.ExpiredAt()).Round(time.Minute))
	_, err = conv.Send(ctx, realtime.NewTextMessage("Burn this after reading."))
	check(err)
	err = conv.Save(ctx, map[string]any{"name": "Secret"})
	fmt.Println(errors.Is(err, realtime.ErrConversationReadOnly), conv.Expired())
	// Output:
	// temporary [Jerry Tom] for 1h0m0s
	// true false
}

// A service conversation is how an app speaks to its subscribers. Its back end
// makes it and speaks in it, with the master key.
func ExampleConversation_Subscribe() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	news, err := s.Admin().CreateServiceConversation(ctx, admin.ServiceConversationOptions{Name: "Game news"})
	check(err)

	jerry := s.Client("Jerry")
	found, err := jerry.ServiceConversationQuery().EqualTo("name", "Game news").First(ctx)
	check(err)
	check(found.Subscribe(ctx))
	heard := make(chan string, 1)
	found.OnMessage(func(_ context.Context, e *realtime.MessageEvent) {
		heard <- e.Message.From + ": " + e.Message.Text()
	})
	_, err = news.BroadcastToSubscribers(ctx, admin.Broadcast{
		From: "GM", Content: realtime.NewTextMessage("The servers rest from 5 to 6."),
	})
	check(err)
	fmt.Println(<-heard)
	check(found.Unsubscribe(ctx))
	// Output: GM: The servers rest from 5 to 6.
}
