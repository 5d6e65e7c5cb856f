// Command guide plays the beginner's guide to realtime messaging from the first
// login to a lost network, with everything it needs inside: the server runs in
// this process, and no account is asked for.
//
//	go run ./examples/guide
//
// Each act is a file of its own and reads like the chapter of the guide that it
// plays:
//
//	act1_private.go        one to one: log in, create a conversation, send, receive
//	act2_group.go          a group: add, talk, remove, join by id, quit
//	act3_conversations.go  the list of recent conversations, and a search
//	act4_history.go        the last messages, then all of them page by page
//	act5_network.go        the network is cut and comes back
//	act6_kinds.go          a chat room, a temporary and a service conversation
//	act7_care.go           mentions, receipts, unread messages, edits and recalls
//	act8_image.go          a picture is uploaded, sent, received and fetched
//
// stage.go has the server and the network of each phone, people.go the four
// people, diary.go who heard what, and story.go puts the acts in order.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"
)

// patience is how long the whole story may take. It takes far less than a
// second; what is missing by then is not coming.
const patience = 30 * time.Second

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := play(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "guide:", err)
		return 1
	}
	return 0
}
