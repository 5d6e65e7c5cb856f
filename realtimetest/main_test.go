package realtimetest_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leanrtm/realtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder collects the events of a client.
type recorder struct {
	mu     sync.Mutex
	events []realtime.Event
}

func record(t *testing.T, c *realtime.IMClient) *recorder {
	t.Helper()
	r := new(recorder)
	stream := c.Events(context.Background()) // ends with the client
	go func() {
		for e, err := range stream {
			if err != nil {
				return
			}
			r.mu.Lock()
			r.events = append(r.events, e)
			r.mu.Unlock()
		}
	}()
	return r
}

// take returns what has happened since the last call, when everything has come
// to rest.
func (r *recorder) take() []realtime.Event {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	events := r.events
	r.events = nil
	return events
}

// names tells the connection events and messages of a list.
func names(events []realtime.Event) []string {
	list := []string{}
	for _, e := range events {
		switch e := e.(type) {
		case *realtime.DisconnectEvent:
			list = append(list, "disconnect")
		case *realtime.ScheduleEvent:
			list = append(list, fmt.Sprintf("schedule(%d)", e.Attempt))
		case *realtime.RetryEvent:
			list = append(list, fmt.Sprintf("retry(%d)", e.Attempt))
		case *realtime.ReconnectEvent:
			list = append(list, "reconnect")
		case *realtime.ReconnectErrorEvent:
			list = append(list, "reconnect error")
		case *realtime.ConflictEvent:
			list = append(list, "conflict")
		case *realtime.CloseEvent:
			list = append(list, "close")
		case *realtime.MessageEvent:
			list = append(list, e.Message.Text())
		}
	}
	return list
}

// talk is a conversation of the clients with these ids, seen by the first.
func talk(t *testing.T, c *realtime.IMClient, others ...string) *realtime.Conversation {
	t.Helper()
	conv, err := c.CreateConversation(t.Context(), realtime.ConversationOptions{Members: others})
	require.NoError(t, err)
	return conv
}

// say sends a text and returns the error.
func say(t *testing.T, conv *realtime.Conversation, text string, opts ...realtime.SendOption) error {
	t.Helper()
	_, err := conv.Send(t.Context(), realtime.NewTextMessage(text), opts...)
	return err
}

// history is the texts of a conversation, oldest first.
func history(t *testing.T, conv *realtime.Conversation) []string {
	t.Helper()
	page, err := conv.QueryMessages(t.Context(), realtime.MessageQuery{})
	require.NoError(t, err)
	texts := []string{}
	for _, m := range page {
		texts = append(texts, m.Text())
	}
	return texts
}

// wait lets time pass in a bubble.
func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// brokenTest is a test that is allowed to fail.
type brokenTest struct {
	testing.TB
	mu    sync.Mutex
	fails []string
}

func (b *brokenTest) Helper() {}

func (b *brokenTest) Errorf(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails = append(b.fails, fmt.Sprintf(format, args...))
}

func (b *brokenTest) Fatalf(format string, args ...any) {
	b.Errorf(format, args...)
	runtime.Goexit()
}

// run calls f as a test does, and returns what it failed with.
func (b *brokenTest) run(f func()) []string {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
	b.mu.Lock()
	defer b.mu.Unlock()
	fails := b.fails
	b.fails = nil
	return fails
}
