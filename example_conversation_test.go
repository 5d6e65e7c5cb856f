package realtime_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leanrtm/realtime"
)

func ExampleIMClient_CreateConversation() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	tom := s.Client("Tom")

	conv, err := tom.CreateConversation(ctx, realtime.ConversationOptions{
		Members: []string{"Jerry"},
		Name:    "Tom & Jerry",
	})
	check(err)
	again, err := tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"Jerry"}})
	check(err)
	fmt.Println(again.Name(), conv == again)
	// Output: Tom & Jerry true
}

func ExampleConversation_Send() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	tom := s.Client("Tom")
	conv, err := tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"Jerry"}})
	check(err)

	msg, err := conv.Send(ctx, realtime.NewTextMessage("Jerry, get up!"),
		realtime.WithReceipt(), realtime.WithMention("Jerry"))
	check(err)
	fmt.Println(msg.Status, msg.From, msg.MentionList, msg.Text())
	// Output: sent Tom [Jerry] Jerry, get up!
}

// A send that must get through takes the time it needs, and is stored once.
func ExampleWithRetry() {
	s, stop := startServer()
	defer stop()
	tom := s.Client("Tom")
	conv, err := tom.CreateConversation(context.Background(), realtime.ConversationOptions{Members: []string{"Jerry"}})
	check(err)

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s.Cut("Tom") // a bad moment
	msg, err := conv.Send(ctx, realtime.NewTextMessage("I will be late"), realtime.WithRetry())
	check(err)
	fmt.Println(msg.Status)
	// Output: sent
}

func ExampleConversation_Update() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	tom := s.Client("Tom")
	conv, err := tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"Jerry"}})
	check(err)
	msg, err := conv.Send(ctx, realtime.NewTextMessage("Good mroning"))
	check(err)

	msg, err = conv.Update(ctx, msg, realtime.NewTextMessage("Good morning"))
	check(err)
	fmt.Println(msg.Text())
	msg, err = conv.Recall(ctx, msg)
	check(err)
	fmt.Println(msg.Type() == realtime.TypeRecalled)
	// Output:
	// Good morning
	// true
}

func ExampleConversation_Add() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	tom := s.Client("Tom")
	conv, err := tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"Jerry"}})
	check(err)
	check(conv.BlockMembers(ctx, "Spike"))

	err = conv.Add(ctx, "Mary", "Spike")
	if partial := (*realtime.PartialError)(nil); errors.As(err, &partial) {
		fmt.Println("added:", partial.Succeeded)
		for _, failure := range partial.Failures {
			fmt.Println("not added:", failure.ClientIDs, failure.Err.Reason)
		}
	}
	// Output:
	// added: [Mary]
	// not added: [Spike] BLOCKED_BY_CONV
}

func ExampleConversation_Save() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	tom := s.Client("Tom")
	conv, err := tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"Jerry"}})
	check(err)

	check(conv.Save(ctx, map[string]any{"name": "Tom & co", "attr.pinned": true}))
	fmt.Println(conv.Name(), conv.Get("attr.pinned"))
	// Output: Tom & co true
}

// All messages, page by page, newest first.
func ExampleConversation_Messages() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	conv := exampleHistory(ctx, s.Client("Tom"))

	for msg, err := range conv.Messages(ctx, realtime.MessageQuery{}) {
		check(err)
		fmt.Println(msg.Text())
		if msg.Text() == "two" {
			break
		}
	}
	// Output:
	// four
	// three
	// two
}

// One page, oldest first.
func ExampleConversation_QueryMessages() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	conv := exampleHistory(ctx, s.Client("Tom"))

	latest, err := conv.QueryMessages(ctx, realtime.MessageQuery{Limit: 2})
	check(err)
	for _, msg := range latest {
		fmt.Println(msg.Text())
	}
	older, err := conv.QueryMessages(ctx, realtime.MessageQuery{
		Limit: 1, StartTime: latest[0].Timestamp, StartMessageID: latest[0].ID,
	})
	check(err)
	fmt.Println("before that:", older[0].Text())
	// Output:
	// three
	// four
	// before that: two
}

func ExampleConversation_MessageIterator() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	conv := exampleHistory(ctx, s.Client("Tom"))

	it := conv.MessageIterator(realtime.MessageQuery{Limit: 3})
	for done := false; !done; {
		var page []*realtime.Message
		var err error
		page, done, err = it.Next(ctx)
		check(err)
		fmt.Println("page")
		for _, msg := range page {
			fmt.Println("-", msg.Text())
		}
	}
	// Output:
	// page
	// - two
	// - three
	// - four
	// page
	// - one
}

// exampleHistory is a conversation with four messages.
func exampleHistory(ctx context.Context, tom *realtime.IMClient) *realtime.Conversation {
	conv, err := tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"Jerry"}})
	check(err)
	for _, text := range []string{"one", "two", "three", "four"} {
		_, err := conv.Send(ctx, realtime.NewTextMessage(text))
		check(err)
	}
	return conv
}

func ExampleConversationQuery() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	tom := s.Client("Tom")
	for _, name := range []string{"cats", "mice", "dogs"} {
		_, err := tom.CreateConversation(ctx, realtime.ConversationOptions{
			Name: name, Members: []string{"Jerry"}, NotUnique: true,
			Attributes: map[string]any{"pinned": name != "dogs"},
		})
		check(err)
	}

	convs, err := tom.Query().
		ContainsMembers("Jerry").
		EqualTo("pinned", true).
		Ascending("name").
		Limit(20).
		Find(ctx)
	check(err)
	for _, conv := range convs {
		fmt.Println(conv.Name())
	}
	// Output:
	// cats
	// mice
}

// Gift is a message type of this program.
type Gift struct {
	realtime.TypedMessage
	Cents int `json:"cents"`
}

// Type is a positive number that no other type of the program uses.
func (*Gift) Type() int { return 1 }

func ExamplePlugin() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	o := s.Options()
	o.Plugins = []realtime.Plugin{{Name: "gifts", MessageTypes: []realtime.Content{&Gift{}}}}
	rt, err := realtime.New(o)
	check(err)
	defer rt.Close(ctx)

	received := make(chan struct{})
	jerry := rt.NewIMClient("Jerry")
	jerry.OnMessage(func(_ context.Context, e *realtime.MessageEvent) {
		if gift, ok := e.Message.Content.(*Gift); ok {
			fmt.Println(gift.Text, gift.Cents)
			close(received)
		}
	})
	check(jerry.Open(ctx))
	tom, err := rt.CreateIMClient(ctx, "Tom")
	check(err)
	conv, err := tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"Jerry"}})
	check(err)
	_, err = conv.Send(ctx, &Gift{TypedMessage: realtime.TypedMessage{Text: "Happy birthday!"}, Cents: 888})
	check(err)
	<-received
	// Output: Happy birthday! 888
}
