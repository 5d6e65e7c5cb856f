package admin_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
	"github.com/leanrtm/realtime/server"
)

// serve runs a server for an example.
func serve() (o admin.Options, stop func(), err error) {
	s, err := server.New(server.Options{Apps: []server.App{{ID: "app", Key: "key", MasterKey: "master-key"}}})
	if err != nil {
		return o, nil, err
	}
	web := httptest.NewServer(s)
	o = admin.Options{AppID: "app", MasterKey: "master-key", Server: web.URL, HTTPClient: web.Client()}
	return o, func() { s.Close(); web.Close() }, nil
}

// A game master tells everybody who subscribes the game's account.
func ExampleServiceConversation_BroadcastToSubscribers() {
	ctx := context.Background()
	o, stop, err := serve()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()
	c, err := admin.New(o)
	if err != nil {
		fmt.Println(err)
		return
	}
	gm, err := c.CreateServiceConversation(ctx, admin.ServiceConversationOptions{Name: "Game Master"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, player := range []string{"Tom", "Jerry"} {
		if err := gm.Subscribe(ctx, player); err != nil {
			fmt.Println(err)
			return
		}
	}
	if _, err := gm.BroadcastToSubscribers(ctx, admin.Broadcast{
		From: "GM", Content: realtime.NewTextMessage("The dragon has landed."),
	}); err != nil {
		fmt.Println(err)
		return
	}
	for s, err := range gm.Subscribers(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		n, err := c.IMClient(s.ClientID).UnreadCount(ctx, gm.ID())
		fmt.Println(s.ClientID, "has not read", n, err)
	}
	// Output:
	// Jerry has not read 1 <nil>
	// Tom has not read 1 <nil>
}

// Moderation: a word is taken back and its author silenced.
func ExampleConversation_Recall() {
	ctx := context.Background()
	o, stop, err := serve()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()
	c, err := admin.New(o)
	if err != nil {
		fmt.Println(err)
		return
	}
	guild, err := c.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"Tom", "Jerry"}, Name: "Guild"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := guild.Send(ctx, admin.Message{From: "Tom", Content: realtime.NewTextMessage("%$#@!")}); err != nil {
		fmt.Println(err)
		return
	}
	for m, err := range guild.Messages(ctx, realtime.MessageQuery{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		if m.Message.Text() == "%$#@!" {
			fmt.Println("recall:", guild.Recall(ctx, m.Message))
			fmt.Println("silence:", guild.MuteMemberFor(ctx, m.Message.From, 10*time.Minute))
		}
	}
	for m, err := range guild.Messages(ctx, realtime.MessageQuery{}) {
		fmt.Println(m.Message.Type() == realtime.TypeRecalled, err)
	}
	// Output:
	// recall: <nil>
	// silence: <nil>
	// true <nil>
}
