// Command gmbroadcast is a game world in one program: a thousand players on a
// few connections, and a game master who speaks to all of them in three ways.
//
//	go run ./examples/gmbroadcast
//	go run ./examples/gmbroadcast -players 5000 -connections 10
//
// The players are in a chat room, the world chat, and subscribe a service
// conversation, the GM's account. The GM is a back end with the master key and
// announces
//
//   - in the room, with high priority: to whoever is in it;
//   - to the subscribers of the account: stored once, also for who is away;
//   - to all: everybody of the app, now or at the next login.
//
// At the end a table tells how many players each announcement reached, and after
// how long. The server runs in this process; nothing else is needed.
//
// world.go has the server, players.go the players, gm.go the announcements, and
// table.go what is printed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

// patience is how long everything may take.
const patience = 2 * time.Minute

func main() {
	os.Exit(run())
}

func run() int {
	players := flag.Int("players", 1000, "how many players")
	connections := flag.Int("connections", 4, "how many connections they share, at most 1000 players on each")
	rounds := flag.Int("rounds", 5, "how often each announcement is made")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := play(ctx, os.Stdout, *players, *connections, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "gmbroadcast:", err)
		return 1
	}
	return 0
}
