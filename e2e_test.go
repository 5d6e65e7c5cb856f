package realtime_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
)

// The tests in files e2e_*_test.go run clients against the server of this
// module, in a bubble: time passes only while everybody waits.

// story is a server and the clients that play in a test, each on a connection
// of its own, with what has happened to them.
type story struct {
	*realtimetest.Server
	t       *testing.T
	clients map[string]*realtime.IMClient
	events  map[string]*journal
}

// play runs f in a bubble, with these clients logged in.
func play(t *testing.T, ids []string, f func(t *testing.T, s *story)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t, realtimetest.NewServer(t))
		for _, id := range ids {
			s.login(id)
		}
		f(t, s)
	})
}

func newStory(t *testing.T, s *realtimetest.Server) *story {
	return &story{Server: s, t: t, clients: map[string]*realtime.IMClient{}, events: map[string]*journal{}}
}

// login logs a client in; its events are recorded from now on.
func (s *story) login(id string, opts ...realtime.ClientOption) *realtime.IMClient {
	s.t.Helper()
	c := s.Client(id, opts...)
	s.clients[id], s.events[id] = c, follow(c)
	return c
}

// conversation is one of the first with the others, seen by the first.
func (s *story) conversation(first string, others ...string) *realtime.Conversation {
	s.t.Helper()
	conv, err := s.clients[first].CreateConversation(s.t.Context(), realtime.ConversationOptions{Members: others})
	require.NoError(s.t, err)
	return conv
}

// as is the conversation as another client sees it.
func (s *story) as(id string, conv *realtime.Conversation) *realtime.Conversation {
	s.t.Helper()
	seen, err := s.clients[id].GetConversation(s.t.Context(), conv.ID())
	require.NoError(s.t, err)
	return seen
}

// settle lets a moment pass: pushes to the connection of the client that
// caused them come a little later than the answer.
func settle() {
	time.Sleep(time.Second)
	synctest.Wait()
}

// happened is what has happened to everybody since the last call, by client.
// Clients to whom nothing has happened are left out.
func (s *story) happened() map[string][]string {
	settle()
	all := map[string][]string{}
	for id, r := range s.events {
		if list := r.take(); len(list) > 0 {
			all[id] = list
		}
	}
	return all
}

// journal writes down the events of a client, but for the progress of what it
// sends itself.
type journal struct {
	mu   sync.Mutex
	list []string
	// counts are those of unread messages; they come with every message.
	counts []int
}

func follow(c *realtime.IMClient) *journal {
	r := new(journal)
	stream := c.Events(context.Background()) // ends with the client
	go func() {
		for e, err := range stream {
			if err != nil {
				return
			}
			r.mu.Lock()
			switch e := e.(type) {
			case *realtime.MessageStatusEvent:
			case *realtime.UnreadMessagesCountUpdateEvent:
				r.counts = append(r.counts, e.Count)
			default:
				r.list = append(r.list, eventLine(e))
			}
			r.mu.Unlock()
		}
	}()
	return r
}

// take returns what was written since the last call.
func (r *journal) take() []string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.list
	r.list = nil
	return list
}

// takeCounts returns the counts of unread messages that were told since the
// last call.
func (r *journal) takeCounts() []int {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	counts := r.counts
	r.counts = nil
	return counts
}

// eventLine puts an event into words.
func eventLine(e realtime.Event) string {
	ids := func(list []string) string {
		list = slices.Clone(list)
		slices.Sort(list)
		return strings.Join(list, "+")
	}
	recovered := func(b bool) string {
		if b {
			return " (recovered)"
		}
		return ""
	}
	switch e := e.(type) {
	case *realtime.MessageEvent:
		return e.Message.From + ": " + e.Message.Text() + recovered(e.Recovered)
	case *realtime.MessageUpdateEvent:
		return e.Message.From + " edited: " + e.Message.Text() + recovered(e.Recovered)
	case *realtime.MessageRecallEvent:
		return e.Message.From + " recalled" + recovered(e.Recovered)
	case *realtime.InvitedEvent:
		return "invited by " + e.InvitedBy + recovered(e.Recovered)
	case *realtime.KickedEvent:
		return "kicked by " + e.KickedBy + recovered(e.Recovered)
	case *realtime.MembersJoinedEvent:
		return ids(e.Members) + " joined by " + e.InvitedBy
	case *realtime.MembersLeftEvent:
		return ids(e.Members) + " left by " + e.KickedBy
	case *realtime.BlockedEvent:
		return "blocked by " + e.BlockedBy
	case *realtime.UnblockedEvent:
		return "unblocked by " + e.UnblockedBy
	case *realtime.MutedEvent:
		return "muted by " + e.MutedBy
	case *realtime.UnmutedEvent:
		return "unmuted by " + e.UnmutedBy
	case *realtime.MembersBlockedEvent:
		return ids(e.Members) + " blocked by " + e.BlockedBy
	case *realtime.MembersUnblockedEvent:
		return ids(e.Members) + " unblocked by " + e.UnblockedBy
	case *realtime.MembersMutedEvent:
		return ids(e.Members) + " muted by " + e.MutedBy
	case *realtime.MembersUnmutedEvent:
		return ids(e.Members) + " unmuted by " + e.UnmutedBy
	case *realtime.MemberInfoUpdatedEvent:
		return e.MemberInfo.MemberID + " is " + string(e.MemberInfo.Role) + " by " + e.UpdatedBy
	case *realtime.InfoUpdatedEvent:
		return fmt.Sprintf("%v by %s", e.Attributes, e.UpdatedBy)
	case *realtime.LastDeliveredAtUpdateEvent:
		return "delivered to " + e.By
	case *realtime.LastReadAtUpdateEvent:
		return "read by " + e.By
	case *realtime.DisconnectEvent:
		return "disconnect"
	case *realtime.OfflineEvent:
		return "offline"
	case *realtime.OnlineEvent:
		return "online"
	case *realtime.ReconnectEvent:
		return "reconnect"
	case *realtime.ReconnectErrorEvent:
		return "reconnect error"
	case *realtime.ScheduleEvent:
		return fmt.Sprintf("schedule(%d, %v)", e.Attempt, e.Delay)
	case *realtime.RetryEvent:
		return fmt.Sprintf("retry(%d)", e.Attempt)
	case *realtime.RecoveredEvent:
		return fmt.Sprintf("recovered %d", e.Messages)
	case *realtime.ConflictEvent:
		return "conflict " + e.Reason
	case *realtime.CloseEvent:
		return fmt.Sprintf("close %d %s", int(e.Code), e.Reason)
	}
	return fmt.Sprintf("%T", e)
}

// without removes the entries with one of the prefixes, such as counts of
// unread messages that a test is not about.
func without(list []string, prefixes ...string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
	})
}

// texts are the texts of messages.
func texts(page []*realtime.Message) []string {
	list := make([]string, len(page))
	for i, m := range page {
		list[i] = m.Text()
	}
	return list
}

// mustSend sends a text and must succeed.
func mustSend(t *testing.T, conv *realtime.Conversation, text string, opts ...realtime.SendOption) *realtime.Message {
	t.Helper()
	m, err := conv.Send(t.Context(), realtime.NewTextMessage(text), opts...)
	require.NoError(t, err)
	return m
}
