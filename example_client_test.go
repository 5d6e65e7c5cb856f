package realtime_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
)

func ExampleRealtime_CreateIMClient() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()

	rt, err := realtime.New(s.Options()) // AppID, AppKey and Server of your app
	check(err)
	defer rt.Close(ctx)

	tom, err := rt.CreateIMClient(ctx, "Tom") // connects and logs in
	check(err)
	fmt.Println(tom.ID(), "is online;", rt.State())
	// Output: Tom is online; connected
}

// One program can be many clients on one connection.
func ExampleRealtime_NewIMClient() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	rt, err := realtime.New(s.Options())
	check(err)
	defer rt.Close(ctx)

	greeted := make(chan struct{})
	jerry := rt.NewIMClient("Jerry") // not online yet, so no event is missed
	jerry.OnInvited(func(ctx context.Context, e *realtime.InvitedEvent) {
		fmt.Println("Jerry was invited by", e.InvitedBy)
		close(greeted)
	})
	check(jerry.Open(ctx))

	tom, err := rt.CreateIMClient(ctx, "Tom")
	check(err)
	_, err = tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"Jerry"}})
	check(err)
	<-greeted
	// Output: Jerry was invited by Tom
}

func ExampleRealtime_OnSchedule() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	o := s.Options()
	o.Backoff = func(attempt int) time.Duration { return time.Millisecond << min(attempt, 10) }
	rt, err := realtime.New(o)
	check(err)
	defer rt.Close(ctx)

	back := make(chan struct{})
	rt.OnDisconnect(func(context.Context, *realtime.DisconnectEvent) { fmt.Println("offline") })
	rt.OnSchedule(func(_ context.Context, e *realtime.ScheduleEvent) {
		fmt.Printf("attempt %d in %v\n", e.Attempt, e.Delay)
	})
	rt.OnReconnect(func(context.Context, *realtime.ReconnectEvent) {
		fmt.Println("online")
		close(back)
	})
	_, err = rt.CreateIMClient(ctx, "Tom")
	check(err)

	s.Cut("Tom") // the train enters a tunnel
	<-back
	// Output:
	// offline
	// attempt 0 in 1ms
	// online
}

func ExampleIMClient_OnMessage() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	rt, err := realtime.New(s.Options())
	check(err)
	defer rt.Close(ctx)

	echo := rt.NewIMClient("Echo")
	echo.OnMessage(func(ctx context.Context, e *realtime.MessageEvent) {
		switch c := e.Message.Content.(type) {
		case *realtime.TextMessage:
			_, err := e.Conversation.Send(ctx, realtime.NewTextMessage("You said: "+c.Text))
			check(err)
		}
	})
	check(echo.Open(ctx))

	tom := s.Client("Tom")
	answered := make(chan struct{})
	tom.OnMessage(func(_ context.Context, e *realtime.MessageEvent) {
		fmt.Println(e.Message.From+":", e.Message.Text())
		close(answered)
	})
	conv, err := tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"Echo"}})
	check(err)
	_, err = conv.Send(ctx, realtime.NewTextMessage("Hello?"))
	check(err)
	<-answered
	// Output: Echo: You said: Hello?
}

// Events is the same in one ordered loop, without handlers.
func ExampleIMClient_Events() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	tom, jerry := s.Client("Tom"), s.Client("Jerry")

	events := jerry.Events(ctx) // subscribes now
	conv, err := tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"Jerry"}})
	check(err)
	_, err = conv.Send(ctx, realtime.NewTextMessage("Jerry, get up!"))
	check(err)

	for e, err := range events {
		check(err)
		switch e := e.(type) {
		case *realtime.InvitedEvent:
			fmt.Println("invited by", e.InvitedBy)
		case *realtime.MessageEvent:
			fmt.Println(e.Message.From+":", e.Message.Text())
			return
		}
	}
	// Output:
	// invited by Tom
	// Tom: Jerry, get up!
}

func ExampleIMClient_OnlineClients() {
	s, stop := startServer()
	defer stop()
	tom := s.Client("Tom")
	s.Client("Jerry")

	online, err := tom.OnlineClients(context.Background(), "Jerry", "Mary")
	check(err)
	fmt.Println(online)
	// Output: [Jerry]
}

// The key stays on a server of yours, which decides who may do what.
func ExampleWithSigner() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	rt, err := realtime.New(s.Options())
	check(err)
	defer rt.Close(ctx)

	back := realtime.MasterKeySigner(s.MasterKey) // this part runs there
	signer := realtime.SignerFunc(func(ctx context.Context, r realtime.SignRequest) (realtime.Signature, error) {
		fmt.Println(r.ClientID, "asks to", r.Action)
		return back.Sign(ctx, r)
	})
	_, err = rt.CreateIMClient(ctx, "Tom", realtime.WithSigner(signer))
	check(err)
	// Output: Tom asks to login
}

func ExampleSafeToRetry() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	tom := s.Client("Tom")
	conv, err := tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"Jerry"}})
	check(err)

	// A network that loses the first answer.
	s.Inject(realtimetest.Fault{Command: "direct", Times: 1, Do: realtimetest.CutAfter()})

	_, err = conv.Send(ctx, realtime.NewTextMessage("pay 5"), realtime.WithDedupToken("order 17"))
	fmt.Println(errors.Is(err, realtime.ErrOutcomeUnknown), realtime.SafeToRetry(err))
	// Output: true true
}
