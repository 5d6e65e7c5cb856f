package realtime

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What can be heard where.
const (
	onRealtime = 1 << iota
	onClient
	onConversation
)

// eventTable has every event and where it can be heard.
func eventTable() map[Event]int {
	table := make(map[Event]int)
	for _, ev := range []Event{
		&MessageEvent{}, &MessageUpdateEvent{}, &MessageRecallEvent{}, &MessageStatusEvent{},
		&InvitedEvent{}, &KickedEvent{}, &MembersJoinedEvent{}, &MembersLeftEvent{},
		&BlockedEvent{}, &UnblockedEvent{}, &MutedEvent{}, &UnmutedEvent{},
		&MembersBlockedEvent{}, &MembersUnblockedEvent{}, &MembersMutedEvent{}, &MembersUnmutedEvent{},
		&MemberInfoUpdatedEvent{}, &InfoUpdatedEvent{},
		&LastDeliveredAtUpdateEvent{}, &LastReadAtUpdateEvent{}, &UnreadMessagesCountUpdateEvent{},
	} {
		table[ev] = onClient | onConversation
	}
	for _, ev := range []Event{
		&DisconnectEvent{}, &OfflineEvent{}, &OnlineEvent{}, &ReconnectEvent{}, &ScheduleEvent{}, &RetryEvent{},
	} {
		table[ev] = onRealtime | onClient
	}
	for _, ev := range []Event{&ReconnectErrorEvent{}, &RecoveredEvent{}, &ConflictEvent{}, &CloseEvent{}} {
		table[ev] = onClient
	}
	return table
}

// TestEveryEventReachesItsHandlers registers every OnX method there is, lets
// every event happen, and compares who heard it.
func TestEveryEventReachesItsHandlers(t *testing.T) {
	rt, err := New(Options{AppID: "app", AppKey: "key"})
	require.NoError(t, err)
	c := rt.NewIMClient("Tom")
	conv, _ := c.convs.getOrMake("5f0b")
	other, _ := c.convs.getOrMake("other")

	// A buffer that no event fills: handlers never wait.
	heard := make(chan string, 1000)
	handlers := 0
	var stops []func()
	listen := func(target any, where string) {
		v := reflect.ValueOf(target)
		for i := range v.NumMethod() {
			name, found := strings.CutPrefix(v.Type().Method(i).Name, "On")
			if !found || name == "lineMembers" || name == "lineClients" {
				continue
			}
			add := v.Method(i)
			handler := reflect.MakeFunc(add.Type().In(0), func(args []reflect.Value) []reflect.Value {
				got := strings.TrimSuffix(args[1].Type().Elem().Name(), "Event")
				require.Equal(t, name, got)
				heard <- where + " " + name
				return nil
			})
			stops = append(stops, add.Call([]reflect.Value{handler})[0].Interface().(func()))
			handlers++
		}
	}
	listen(rt, "realtime")
	listen(c, "client")
	listen(conv, "conversation")
	listen(other, "other conversation")

	expected := 0
	for ev, where := range eventTable() {
		name := strings.TrimSuffix(eventName(ev), "Event")
		t.Run(name, func(t *testing.T) {
			var want []string
			if where&onRealtime != 0 {
				want = append(want, "realtime "+name)
				rt.emit(ev)
				require.Equal(t, want[0], <-heard)
				expected++
			}
			if where&onConversation != 0 {
				reflect.ValueOf(ev).Elem().FieldByName("Conversation").Set(reflect.ValueOf(conv))
				require.Same(t, conv, ev.(conversationEvent).conversation())
				require.Equal(t, "Conversation", reflect.TypeOf(ev).Elem().Field(0).Name)
			}
			handled := make(chan bool, 1)
			c.emitThen(ev, func(ok bool) { handled <- ok })
			require.True(t, <-handled)
			require.Equal(t, "client "+name, <-heard)
			expected++
			if where&onConversation != 0 {
				require.Equal(t, "conversation "+name, <-heard, "the client comes before the conversation")
				expected += 2 // the other conversation has the same handlers and hears nothing
			}
			require.Empty(t, heard)
		})
	}
	require.Equal(t, expected, handlers, "there are OnX methods that no event reaches")

	for _, stop := range stops {
		stop()
	}
	for ev, where := range eventTable() {
		if where&onConversation != 0 {
			reflect.ValueOf(ev).Elem().FieldByName("Conversation").Set(reflect.ValueOf(conv))
		}
		handled := make(chan bool, 1)
		c.emitThen(ev, func(ok bool) { handled <- ok })
		<-handled
	}
	require.Empty(t, heard)
	require.NoError(t, rt.Close(context.Background()))
}

// TestEventTableIsComplete finds every event type of the package by the
// methods that take it.
func TestEventTableIsComplete(t *testing.T) {
	var known []string
	for ev := range eventTable() {
		known = append(known, eventName(ev))
	}
	slices.Sort(known)
	var heard []string
	client := reflect.TypeFor[*IMClient]()
	for i := range client.NumMethod() {
		m := client.Method(i)
		if name, on := strings.CutPrefix(m.Name, "On"); on && m.Type.NumIn() == 2 && m.Type.In(1).Kind() == reflect.Func {
			require.Equal(t, name+"Event", m.Type.In(1).In(1).Elem().Name())
			heard = append(heard, name+"Event")
		}
	}
	slices.Sort(heard)
	require.Equal(t, known, heard)
}
