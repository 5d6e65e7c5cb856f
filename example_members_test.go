package realtime_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/server"
)

// Who creates a conversation is its owner, and may let others help.
func ExampleConversation_UpdateMemberRole() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	tom, jerry := s.Client("Tom"), s.Client("Jerry")
	conv, err := tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"Jerry", "Spike"}})
	check(err)
	jerrys, err := jerry.GetConversation(ctx, conv.ID())
	check(err)

	err = jerrys.Remove(ctx, "Spike")
	fmt.Println("a member:", errors.Is(err, realtime.ErrConversationOperationUnauthorized))
	check(conv.UpdateMemberRole(ctx, "Jerry", realtime.RoleManager))
	fmt.Println("a manager:", jerrys.Remove(ctx, "Spike"))
	infos, err := conv.GetAllMemberInfo(ctx, realtime.WithoutCache())
	check(err)
	for _, info := range infos {
		fmt.Println(info.MemberID, info.Role)
	}
	// Output:
	// a member: true
	// a manager: <nil>
	// Jerry Manager
	// Tom Owner
}

// Who is silenced may read but not speak.
func ExampleConversation_MuteMembers() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	tom, spike := s.Client("Tom"), s.Client("Spike")
	conv, err := tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"Spike"}})
	check(err)
	theirs, err := spike.GetConversation(ctx, conv.ID())
	check(err)

	muted := make(chan string, 1)
	theirs.OnMuted(func(_ context.Context, e *realtime.MutedEvent) { muted <- e.MutedBy })
	check(conv.MuteMembers(ctx, "Spike"))
	fmt.Println("silenced by", <-muted)
	_, err = theirs.Send(ctx, realtime.NewTextMessage("Woof!"))
	fmt.Println(errors.Is(err, realtime.ErrSilenced))
	page, err := conv.QueryMutedMembers(ctx, realtime.PageQuery{Limit: 10})
	check(err)
	fmt.Println(page.Members, page.Next == "")
	// Output:
	// silenced by Tom
	// true
	// [Spike] true
}

// What happened to memberships while a client was away comes after the
// reconnect.
func ExampleIMClient_OnInvited() {
	s, stop := startServer()
	defer stop()
	ctx := context.Background()
	tom := s.Client("Tom")
	o := s.Options()
	o.Backoff = func(int) time.Duration { return time.Millisecond }
	rt, err := realtime.New(o)
	check(err)
	defer rt.Close(ctx)

	invited := make(chan struct{})
	jerry := rt.NewIMClient("Jerry")
	jerry.OnInvited(func(_ context.Context, e *realtime.InvitedEvent) {
		fmt.Printf("invited into %q by %s, while away: %t\n", e.Conversation.Name(), e.InvitedBy, e.Recovered)
		close(invited)
	})
	check(jerry.Open(ctx))

	rt.Pause() // the phone goes to sleep
	_, err = tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"Jerry"}, Name: "Cheese"})
	check(err)
	rt.Resume()
	<-invited
	// Output: invited into "Cheese" by Tom, while away: true
}

// An app with users of its own lets them log in by the token of their session;
// the server knows who they are.
func ExampleWithUserSession() {
	s, stop := startServer(realtimetest.WithServerOptions(func(o *server.Options) {
		o.Users = func(_ context.Context, _, token string) (clientID string, err error) {
			if token != "token of Tom" {
				return "", nil // nobody's
			}
			return "Tom", nil
		}
	}))
	defer stop()
	ctx := context.Background()
	rt, err := realtime.New(s.Options())
	check(err)
	defer rt.Close(ctx)

	tom, err := rt.CreateIMClient(ctx, "", realtime.WithUserSession("token of Tom"))
	check(err)
	fmt.Println(tom.ID())
	// Output: Tom
}
