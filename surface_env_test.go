package realtime_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/server"
)

// surface is the real server with clients, in a bubble.
type surface struct {
	*realtimetest.Server
	t *testing.T
}

// onSurface runs f in a bubble with a server.
func onSurface(t *testing.T, f func(t *testing.T, s *surface), opts ...realtimetest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f(t, &surface{realtimetest.NewServer(t, opts...), t})
	})
}

// settings are server options for onSurface.
func settings(change func(o *server.Options)) realtimetest.Option {
	return realtimetest.WithServerOptions(change)
}

// calm lets everything happen that is on its way, delayed acknowledgements
// included.
func calm() {
	time.Sleep(3 * time.Second)
	synctest.Wait()
}

// moment lets some time pass, so that what follows has a time of its own.
func moment() {
	time.Sleep(20 * time.Millisecond)
	synctest.Wait()
}

// group is a conversation that the client creates, whoever else is in it.
func (s *surface) group(c *realtime.IMClient, others ...string) *realtime.Conversation {
	s.t.Helper()
	conv, err := c.CreateConversation(s.t.Context(), realtime.ConversationOptions{Members: others, NotUnique: true})
	require.NoError(s.t, err)
	moment()
	return conv
}

// as is the same conversation for another client.
func (s *surface) as(c *realtime.IMClient, conv *realtime.Conversation) *realtime.Conversation {
	s.t.Helper()
	found, err := c.GetConversation(s.t.Context(), conv.ID())
	require.NoError(s.t, err)
	return found
}

// say sends a text.
func (s *surface) say(conv *realtime.Conversation, text string, opts ...realtime.SendOption) *realtime.Message {
	s.t.Helper()
	m, err := conv.Send(s.t.Context(), realtime.NewTextMessage(text), opts...)
	require.NoError(s.t, err)
	moment()
	return m
}

// texts is the history of a conversation, oldest first.
func (s *surface) texts(conv *realtime.Conversation) []string {
	s.t.Helper()
	page, err := conv.QueryMessages(s.t.Context(), realtime.MessageQuery{Limit: 1000})
	require.NoError(s.t, err)
	texts := []string{}
	for _, m := range page {
		texts = append(texts, m.Text())
	}
	return texts
}

// sent are the names of what clients sent since the server started, from mark
// on, without heartbeats and acknowledgements.
func (s *surface) sent(mark int) []string {
	synctest.Wait()
	names := []string{}
	for _, c := range s.Commands()[mark:] {
		if c.Name != "echo" && c.Name != "ack" {
			names = append(names, c.Name)
		}
	}
	return names
}

// rest is a request with the master key. out may be nil.
func (s *surface) rest(method, path string, body, out any) {
	s.t.Helper()
	status, answer := s.restWith(s.MasterKey+",master", method, path, body)
	require.Equal(s.t, http.StatusOK, status, "%s %s: %s", method, path, answer)
	if out != nil {
		require.NoError(s.t, json.Unmarshal(answer, out), "%s", answer)
	}
}

func (s *surface) restWith(key, method, path string, body any) (status int, answer []byte) {
	s.t.Helper()
	data := []byte{}
	if body != nil {
		var err error
		data, err = json.Marshal(body)
		require.NoError(s.t, err)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+path, bytes.NewReader(data))
	require.NoError(s.t, err)
	req.Header.Set("X-LC-Id", s.AppID)
	req.Header.Set("X-LC-Key", key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.HTTPClient().Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return resp.StatusCode, answer
}

// service creates a service conversation.
func (s *surface) service(attrs map[string]any) (id string) {
	s.t.Helper()
	var made struct {
		ObjectID string `json:"objectId"`
	}
	s.rest("POST", "/1.2/rtm/service-conversations", attrs, &made)
	require.NotEmpty(s.t, made.ObjectID)
	return made.ObjectID
}

// client is one that shares its connection and device with the others of rt.
func (s *surface) client(rt *realtime.Realtime, id string, opts ...realtime.ClientOption) *realtime.IMClient {
	s.t.Helper()
	c, err := rt.CreateIMClient(s.t.Context(), id, opts...)
	require.NoError(s.t, err)
	return c
}

// realtime is a connection of the test's own.
func (s *surface) realtime(change ...func(o *realtime.Options)) *realtime.Realtime {
	s.t.Helper()
	o := s.Options()
	for _, f := range change {
		f(&o)
	}
	rt, err := realtime.New(o)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { require.NoError(s.t, rt.Close(context.Background())) })
	return rt
}

// witness writes down what a client hears.
type witness struct {
	mu    sync.Mutex
	lines []string
}

// watch begins to write down what c hears, from now on.
func watch(c *realtime.IMClient) *witness {
	w := new(witness)
	stream := c.Events(context.Background())
	go func() { // ends with the client
		for e, err := range stream {
			if err != nil {
				return
			}
			w.mu.Lock()
			w.lines = append(w.lines, words(e))
			w.mu.Unlock()
		}
	}()
	return w
}

// heard returns what has been heard since the last call, when everything has
// come to rest. With prefixes, only lines that begin with one of them.
func (w *witness) heard(prefixes ...string) []string {
	calm()
	w.mu.Lock()
	defer w.mu.Unlock()
	heard := []string{}
	for _, line := range w.lines {
		if len(prefixes) == 0 || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(line, p) }) {
			heard = append(heard, line)
		}
	}
	w.lines = nil
	return heard
}

// words is an event in words, without ids that the server makes up.
func words(e realtime.Event) string {
	missed := func(recovered bool) string {
		if recovered {
			return " (missed)"
		}
		return ""
	}
	reason := func(r *realtime.PatchReason) string {
		if r == nil {
			return ""
		}
		return fmt.Sprintf(" because %d %s", r.Code, r.Detail)
	}
	content := func(m *realtime.Message) string {
		out := m.Text()
		switch c := m.Content.(type) {
		case *realtime.RawMessage:
			out = c.Data
		case *realtime.BinaryMessage:
			out = fmt.Sprintf("%x", c.Data)
		case *realtime.RecalledMessage:
			out = "recalled"
		}
		if m.Mentioned {
			out += " @me"
		}
		return out
	}
	switch e := e.(type) {
	case *realtime.MessageEvent:
		return fmt.Sprintf("message %s: %s%s", e.Message.From, content(e.Message), missed(e.Recovered))
	case *realtime.MessageUpdateEvent:
		return fmt.Sprintf("update %s: %s%s%s", e.Message.From, content(e.Message), reason(e.Reason), missed(e.Recovered))
	case *realtime.MessageRecallEvent:
		return fmt.Sprintf("recall %s: %s%s%s", e.Message.From, content(e.Message), reason(e.Reason), missed(e.Recovered))
	case *realtime.MessageStatusEvent:
		return fmt.Sprintf("status %s: %s", content(e.Message), e.Message.Status)
	case *realtime.InvitedEvent:
		return "invited by " + e.InvitedBy + missed(e.Recovered)
	case *realtime.KickedEvent:
		return "kicked by " + e.KickedBy + missed(e.Recovered)
	case *realtime.MembersJoinedEvent:
		return fmt.Sprintf("joined %s by %s", strings.Join(e.Members, ","), e.InvitedBy) + missed(e.Recovered)
	case *realtime.MembersLeftEvent:
		return fmt.Sprintf("left %s by %s", strings.Join(e.Members, ","), e.KickedBy) + missed(e.Recovered)
	case *realtime.BlockedEvent:
		return "blocked by " + e.BlockedBy + missed(e.Recovered)
	case *realtime.UnblockedEvent:
		return "unblocked by " + e.UnblockedBy + missed(e.Recovered)
	case *realtime.MutedEvent:
		return "muted by " + e.MutedBy + missed(e.Recovered)
	case *realtime.UnmutedEvent:
		return "unmuted by " + e.UnmutedBy + missed(e.Recovered)
	case *realtime.MembersBlockedEvent:
		return fmt.Sprintf("blocked %s by %s", strings.Join(e.Members, ","), e.BlockedBy) + missed(e.Recovered)
	case *realtime.MembersUnblockedEvent:
		return fmt.Sprintf("unblocked %s by %s", strings.Join(e.Members, ","), e.UnblockedBy) + missed(e.Recovered)
	case *realtime.MembersMutedEvent:
		return fmt.Sprintf("muted %s by %s", strings.Join(e.Members, ","), e.MutedBy) + missed(e.Recovered)
	case *realtime.MembersUnmutedEvent:
		return fmt.Sprintf("unmuted %s by %s", strings.Join(e.Members, ","), e.UnmutedBy) + missed(e.Recovered)
	case *realtime.MemberInfoUpdatedEvent:
		return fmt.Sprintf("role %s %s by %s", e.MemberInfo.MemberID, e.MemberInfo.Role, e.UpdatedBy) + missed(e.Recovered)
	case *realtime.InfoUpdatedEvent:
		text, _ := json.Marshal(e.Attributes)
		return fmt.Sprintf("info %s by %s", text, e.UpdatedBy) + missed(e.Recovered)
	case *realtime.LastDeliveredAtUpdateEvent:
		return "delivered to " + e.By
	case *realtime.LastReadAtUpdateEvent:
		return "read by " + e.By
	case *realtime.UnreadMessagesCountUpdateEvent:
		line := fmt.Sprintf("unread %d", e.Count)
		if e.Mentioned {
			line += " @me"
		}
		return line
	case *realtime.RecoveredEvent:
		return fmt.Sprintf("recovered %d of %d", e.Messages, len(e.Conversations))
	case *realtime.ConflictEvent:
		return "conflict " + e.Reason
	case *realtime.CloseEvent:
		return fmt.Sprintf("close %d %s", e.Code, e.Reason)
	}
	return strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", e), "*realtime."), "Event")
}
