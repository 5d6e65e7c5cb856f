package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// The events of the story, spelt as the guides of every language spell them.
const (
	eventInvited       = "INVITED"
	eventKicked        = "KICKED"
	eventMembersJoined = "MEMBERS_JOINED"
	eventMembersLeft   = "MEMBERS_LEFT"
	eventMessage       = "MESSAGE"

	eventDisconnect = "DISCONNECT"
	eventOffline    = "OFFLINE"
	eventOnline     = "ONLINE"
	eventSchedule   = "SCHEDULE"
	eventRetry      = "RETRY"
	eventReconnect  = "RECONNECT"
)

// connectionEvents are those that a connection tells.
func connectionEvents() []string {
	return []string{eventDisconnect, eventOffline, eventOnline, eventSchedule, eventRetry, eventReconnect}
}

// entry is one event as somebody heard it.
type entry struct {
	who   string // who heard it
	event string
	about string // whom or what it is about: a member, the text of a message
}

// diary keeps what everybody heard, in the order in which it was heard, and
// lets an act wait for what must come.
type diary struct {
	mu      sync.Mutex
	entries []entry
	more    chan struct{} // closed and replaced with each entry
}

func newDiary() *diary {
	return &diary{more: make(chan struct{})}
}

// write adds an entry.
func (d *diary) write(e entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, e)
	close(d.more)
	d.more = make(chan struct{})
}

// wait returns when each of the entries has been written.
func (d *diary) wait(ctx context.Context, wanted ...entry) error {
	for {
		d.mu.Lock()
		missing := slices.DeleteFunc(slices.Clone(wanted), func(e entry) bool {
			return slices.Contains(d.entries, e)
		})
		more := d.more
		d.mu.Unlock()
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %v: %w", missing, context.Cause(ctx))
		}
	}
}

// find returns the events that somebody heard about something, each once.
func (d *diary) find(who, about string, events ...string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []string
	for _, e := range d.entries {
		if e.who == who && e.about == about && slices.Contains(events, e.event) && !slices.Contains(found, e.event) {
			found = append(found, e.event)
		}
	}
	return found
}

// kinds counts which of the events somebody heard, each once.
func (d *diary) kinds(events []string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, event := range events {
		if slices.ContainsFunc(d.entries, func(e entry) bool { return e.event == event }) {
			n++
		}
	}
	return n
}

// String names the entry in an error.
func (e entry) String() string {
	return strings.Join([]string{e.who, e.event, e.about}, "/")
}
