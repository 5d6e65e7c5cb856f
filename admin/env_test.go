package admin_test

import (
	"context"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
	"github.com/leanrtm/realtime/realtimetest"
)

// env is a server, its administrator and its clients.
type env struct {
	*testing.T
	s *realtimetest.Server
	c *admin.Client
}

func run(t *testing.T, f func(t *testing.T, e *env), opts ...realtimetest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := realtimetest.NewServer(t, opts...)
		f(t, &env{T: t, s: s, c: s.Admin()})
	})
}

func (e *env) ctx() context.Context { return e.Context() }

// settle lets pushes arrive.
func (e *env) settle() {
	time.Sleep(100 * time.Millisecond)
	synctest.Wait()
}

// player is a client that keeps what it hears.
type player struct {
	*realtime.IMClient
	e      *env
	mu     sync.Mutex
	events []realtime.Event
}

func (e *env) player(id string, opts ...realtime.ClientOption) *player {
	e.Helper()
	p := &player{IMClient: e.s.Client(id, opts...), e: e}
	p.listen()
	return p
}

// latecomer hears everything from its login on.
func (e *env) latecomer(id string) *player {
	e.Helper()
	rt, err := realtime.New(e.s.Options())
	require.NoError(e, err)
	e.Cleanup(func() { rt.Close(context.Background()) })
	p := &player{IMClient: rt.NewIMClient(id), e: e}
	p.listen()
	require.NoError(e, p.Open(e.ctx()))
	return p
}

func (p *player) listen() {
	stream := p.Events(context.Background()) // ends with the client
	go func() {
		for ev, err := range stream {
			if err != nil {
				return
			}
			p.mu.Lock()
			p.events = append(p.events, ev)
			p.mu.Unlock()
		}
	}()
}

// take returns what has been heard since the last call.
func (p *player) take() []realtime.Event {
	p.e.settle()
	p.mu.Lock()
	defer p.mu.Unlock()
	events := p.events
	p.events = nil
	return events
}

// pick returns the events of one type among those heard since the last take.
func pick[E realtime.Event](p *player) []E {
	var out []E
	for _, ev := range p.take() {
		if x, ok := ev.(E); ok {
			out = append(out, x)
		}
	}
	return out
}

// texts are the messages among what was heard since the last take.
func (p *player) texts() []string {
	out := []string{}
	for _, ev := range pick[*realtime.MessageEvent](p) {
		out = append(out, ev.Message.Text())
	}
	return out
}

// unread is the count that the client was told last; -1: none.
func (p *player) unread() int {
	n := -1
	for _, ev := range pick[*realtime.UnreadMessagesCountUpdateEvent](p) {
		n = ev.Count
	}
	return n
}

func (p *player) conv(id string) *realtime.Conversation {
	p.e.Helper()
	conv, err := p.GetConversation(p.e.ctx(), id)
	require.NoError(p.e, err)
	return conv
}

func (p *player) say(cid, text string) {
	p.e.Helper()
	_, err := p.conv(cid).Send(p.e.ctx(), realtime.NewTextMessage(text))
	require.NoError(p.e, err)
}

// conversation creates one with these members.
func (e *env) conversation(members ...string) *admin.Conversation {
	e.Helper()
	h, err := e.c.CreateConversation(e.ctx(), realtime.ConversationOptions{Members: members})
	require.NoError(e, err)
	return h
}

func (e *env) service() *admin.ServiceConversation {
	e.Helper()
	h, err := e.c.CreateServiceConversation(e.ctx(), admin.ServiceConversationOptions{Name: "GM"})
	require.NoError(e, err)
	return h
}

func (e *env) room() *admin.ChatRoom {
	e.Helper()
	h, err := e.c.CreateChatRoom(e.ctx(), realtime.ChatRoomOptions{Name: "world"})
	require.NoError(e, err)
	return h
}

func text(from, s string) admin.Message {
	return admin.Message{From: from, Content: realtime.NewTextMessage(s)}
}

func cast(from, s string) admin.Broadcast {
	return admin.Broadcast{From: from, Content: realtime.NewTextMessage(s)}
}

// collect returns all of a sequence.
func collect[V any](t testing.TB, seq iter.Seq2[V, error]) []V {
	t.Helper()
	out := []V{}
	for v, err := range seq {
		require.NoError(t, err)
		out = append(out, v)
	}
	return out
}

// failure is the error of a sequence that begins with it.
func failure[V any](t testing.TB, seq iter.Seq2[V, error]) error {
	t.Helper()
	for _, err := range seq {
		return err
	}
	return nil
}

// said is the texts of messages.
func said(ms []admin.StoredMessage) []string {
	out := []string{}
	for _, m := range ms {
		out = append(out, m.Message.Text())
	}
	return out
}

// history is what a client finds in a conversation, oldest first.
func (p *player) history(cid string) []string {
	p.e.Helper()
	page, err := p.conv(cid).QueryMessages(p.e.ctx(), realtime.MessageQuery{Limit: 1000})
	require.NoError(p.e, err)
	out := []string{}
	for _, m := range page {
		out = append(out, m.Text())
	}
	return out
}
