package realtime_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
)

func TestSurfaceChatRoom(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		heardByTom, heardByJerry := watch(tom), watch(jerry)
		hearMessages := func(w *witness) []string { return w.heard("message", "unread", "joined", "left", "invited", "kicked") }
		room, err := tom.CreateChatRoom(ctx, realtime.ChatRoomOptions{Name: "Cinema", Attributes: map[string]any{"floor": 2}})
		require.NoError(t, err)
		require.Equal(t, realtime.KindChatRoom, room.Kind())
		requireInside(t, room, "Tom")

		found, err := jerry.ChatRoomQuery().EqualTo("name", "Cinema").First(ctx)
		require.NoError(t, err)
		require.Equal(t, room.ID(), found.ID())
		require.Equal(t, realtime.KindChatRoom, found.Kind())
		require.Equal(t, 2.0, found.Get("floor"))
		require.Empty(t, found.Members())
		requireInside(t, found, "Tom") // as anybody may ask

		require.NoError(t, found.Join(ctx))
		require.NoError(t, found.Join(ctx), "again is no mistake")
		requireInside(t, room, "Jerry", "Tom")
		s.say(room, "hello")
		s.say(found, "hello yourself")
		require.Equal(t, []string{"message Jerry: hello yourself"}, hearMessages(heardByTom), "and nobody comes or goes")
		require.Equal(t, []string{"message Tom: hello"}, hearMessages(heardByJerry), "and nothing is unread")
		require.Zero(t, found.UnreadMessagesCount())
		require.Equal(t, []string{"hello", "hello yourself"}, s.texts(found))

		// One room at a time.
		other := mustRoom(t, jerry)
		requireInside(t, other, "Jerry")
		requireInside(t, room, "Tom")
		s.say(room, "are you there?")
		require.Empty(t, hearMessages(heardByJerry))
		require.NoError(t, found.Join(ctx))
		requireInside(t, other)
		require.NoError(t, found.Quit(ctx))
		require.NoError(t, found.Quit(ctx), "again is no mistake")
		requireInside(t, room, "Tom")
		s.say(room, "bye")
		require.Empty(t, hearMessages(heardByJerry))
		require.Empty(t, hearMessages(heardByTom))
	})
}

func mustRoom(t *testing.T, c *realtime.IMClient) *realtime.Conversation {
	t.Helper()
	room, err := c.CreateChatRoom(t.Context(), realtime.ChatRoomOptions{})
	require.NoError(t, err)
	return room
}

// requireInside asks in every way who is in a chat room.
func requireInside(t *testing.T, room *realtime.Conversation, want ...string) {
	t.Helper()
	n, err := room.Count(t.Context())
	require.NoError(t, err)
	require.Equal(t, len(want), n)
	inside, err := room.OnlineMembers(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, want, inside)
	is, err := room.IsMember(t.Context())
	require.NoError(t, err)
	require.Equal(t, contains(want, room.Client().ID()), is)
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// Whoever comes back soon is in the room again, and is told what was said.
func TestSurfaceChatRoomAfterShortAbsence(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom := s.Client("Tom")
		jerry := s.client(s.realtime(func(o *realtime.Options) { // which tries once a minute
			o.Backoff = func(int) time.Duration { return time.Minute }
		}), "Jerry")
		heard := watch(jerry)
		room := mustRoom(t, tom)
		mine := s.as(jerry, room)
		require.NoError(t, mine.Join(t.Context()))
		s.say(room, "one")
		moment()

		accept := s.Refuse()
		s.Cut("Jerry")
		moment()
		requireInside(t, room, "Tom")
		s.say(room, "two")
		time.Sleep(20 * time.Minute)
		accept()
		time.Sleep(2 * time.Minute)
		requireInside(t, room, "Jerry", "Tom")
		s.say(room, "three")
		require.Equal(t, []string{"message Tom: one", "message Tom: two (missed)", "message Tom: three"}, heard.heard("message"))

		// The room that was left on purpose is not entered again.
		require.NoError(t, mine.Quit(t.Context()))
		s.Cut("Jerry")
		time.Sleep(2 * time.Minute)
		requireInside(t, room, "Tom")
	})
}

func TestSurfaceChatRoomAfterLongAbsence(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom := s.Client("Tom")
		jerry := s.client(s.realtime(func(o *realtime.Options) {
			o.Backoff = func(int) time.Duration { return time.Minute }
		}), "Jerry")
		heard := watch(jerry)
		room := mustRoom(t, tom)
		require.NoError(t, s.as(jerry, room).Join(t.Context()))
		accept := s.Refuse()
		s.Cut("Jerry")
		moment()
		s.say(room, "you miss this")
		time.Sleep(35 * time.Minute)
		accept()
		time.Sleep(2 * time.Minute)
		require.NoError(t, jerry.Err())
		requireInside(t, room, "Tom")
		requireInside(t, s.as(jerry, room), "Tom")
		s.say(room, "and this")
		require.Empty(t, heard.heard("message"))
	})
}

func TestSurfaceService(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		id := s.service(map[string]any{"name": "News", "level": 7})
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		heardByTom, heardByJerry := watch(tom), watch(jerry)
		found, err := tom.ServiceConversationQuery().EqualTo("level", 7).Find(ctx)
		require.NoError(t, err)
		require.Len(t, found, 1)
		news := found[0]
		require.Equal(t, id, news.ID())
		require.Equal(t, "News", news.Name())
		require.Equal(t, realtime.KindService, news.Kind())
		count := func() int {
			n, err := news.Count(ctx)
			require.NoError(t, err)
			return n
		}
		require.Zero(t, count())
		requireMember(t, news, false)
		require.NoError(t, news.Subscribe(ctx))
		require.NoError(t, news.Subscribe(ctx), "again is no mistake")
		require.Equal(t, 1, count())
		requireMember(t, news, true)

		var sent struct {
			ID string `json:"msg-id"`
			At int64  `json:"timestamp"`
		}
		s.rest("POST", "/1.2/rtm/service-conversations/"+id+"/broadcasts", map[string]any{
			"from_client": "editor", "message": textContent("war and peace"),
		}, &sent)
		require.NotEmpty(t, sent.ID)
		require.Equal(t, []string{"unread 1", "message editor: war and peace"}, heardByTom.heard())
		require.Empty(t, heardByJerry.heard(), "who has not subscribed")
		require.Equal(t, 1, news.UnreadMessagesCount())

		// To one client, and what that one says to the service.
		s.rest("POST", "/1.2/rtm/service-conversations/"+id+"/messages", map[string]any{
			"from_client": "editor", "to_clients": []string{"Tom", "Spike"}, "message": textContent("your prize"),
		}, nil)
		require.Equal(t, []string{"unread 2", "message editor: your prize"}, heardByTom.heard())
		s.say(news, "thank you")
		theirs := s.as(jerry, news)
		s.say(theirs, "I want one too")
		require.Empty(t, heardByTom.heard("message"), "others do not hear what is said to the service")

		// Each has a history of its own.
		require.Equal(t, []string{"war and peace", "your prize", "thank you"}, s.texts(news))
		require.Contains(t, s.texts(theirs), "I want one too")
		require.NotContains(t, s.texts(theirs), "your prize")
		require.NotContains(t, s.texts(theirs), "thank you")
		var inbound []struct{ From, Data string }
		s.rest("GET", "/1.2/rtm/service-conversations/"+id+"/messages", nil, &inbound)
		require.NotEmpty(t, inbound)

		require.NoError(t, news.Mute(ctx))
		require.True(t, news.NotificationsMuted())
		require.NoError(t, news.Fetch(ctx))
		require.True(t, news.NotificationsMuted())
		require.NoError(t, news.Unmute(ctx))
		require.NoError(t, news.Fetch(ctx))
		require.False(t, news.NotificationsMuted())

		require.NoError(t, news.Unsubscribe(ctx))
		require.NoError(t, news.Unsubscribe(ctx), "again is no mistake")
		require.Zero(t, count())
		s.rest("POST", "/1.2/rtm/service-conversations/"+id+"/broadcasts", map[string]any{
			"from_client": "editor", "message": textContent("you are gone"),
		}, nil)
		require.Empty(t, heardByTom.heard("message"))

		// Join and Quit mean the same.
		require.NoError(t, news.Join(ctx))
		require.Equal(t, 1, count())
		require.NoError(t, news.Quit(ctx))
		require.Zero(t, count())
	})
}

func requireMember(t *testing.T, conv *realtime.Conversation, want bool) {
	t.Helper()
	is, err := conv.IsMember(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, is)
}

// What was broadcast while a subscriber was away is unread, and comes as an
// event to a client that was only cut off.
func TestSurfaceServiceWhileAway(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		id := s.service(map[string]any{"name": "News"})
		broadcast := func(text string) {
			s.rest("POST", "/1.2/rtm/service-conversations/"+id+"/broadcasts", map[string]any{
				"from_client": "editor", "message": textContent(text),
			}, nil)
			moment()
		}
		tom := s.Client("Tom")
		news, err := tom.GetConversation(t.Context(), id)
		require.NoError(t, err)
		require.NoError(t, news.Subscribe(t.Context()))
		moment()
		heard := watch(tom)
		s.Cut("Tom")
		moment()
		broadcast("one")
		s.rest("POST", "/1.2/rtm/service-conversations/"+id+"/messages", map[string]any{
			"from_client": "editor", "to_clients": []string{"Tom"}, "message": textContent("two"),
		}, nil)
		require.Equal(t, []string{"message editor: one (missed)", "message editor: two (missed)"}, heard.heard("message"))
		require.NoError(t, tom.Close(t.Context()))

		broadcast("three")
		heard = watch(s.Client("Tom"))
		require.Equal(t, []string{"unread 3"}, heard.heard())
	})
}

// To everybody who is online at once, to the others at their next login.
func TestSurfaceGlobalBroadcast(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		id := s.service(map[string]any{"name": "System"})
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		heardByTom, heardByJerry := watch(tom), watch(jerry)
		s.rest("POST", "/1.2/rtm/broadcasts", map[string]any{
			"from_client": "admin", "conv_id": id, "message": textContent("maintenance at ten"),
		}, nil)
		for _, heard := range []*witness{heardByTom, heardByJerry} {
			require.Equal(t, []string{"message admin: maintenance at ten"}, heard.heard("message"))
		}
		spike := s.Client("Spike")
		moment()
		conv, err := spike.GetConversation(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, 1, conv.UnreadMessagesCount())
		require.Equal(t, []string{"maintenance at ten"}, s.texts(conv))
	})
}

func TestSurfaceTemporary(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		tom, jerry, spike := s.Client("Tom"), s.Client("Jerry"), s.Client("Spike")
		heardByJerry, heardBySpike := watch(jerry), watch(spike)
		began := time.Now()
		conv, err := tom.CreateTemporaryConversation(ctx, realtime.TemporaryConversationOptions{
			Members: []string{"Jerry"}, TTL: time.Minute,
		})
		require.NoError(t, err)
		require.Equal(t, realtime.KindTemporary, conv.Kind())
		require.WithinDuration(t, began.Add(time.Minute), conv.ExpiredAt(), time.Second)
		require.Equal(t, []string{"Jerry", "Tom"}, conv.Members())
		require.Contains(t, heardByJerry.heard(), "invited by Tom")
		n, err := conv.Count(ctx)
		require.NoError(t, err)
		require.Equal(t, 2, n)

		same, err := jerry.CreateTemporaryConversation(ctx, realtime.TemporaryConversationOptions{Members: []string{"Tom"}})
		require.NoError(t, err)
		require.Equal(t, conv.ID(), same.ID(), "one of the same members is reused")
		require.WithinDuration(t, conv.ExpiredAt(), same.ExpiredAt(), time.Second)

		m := s.say(conv, "psst", realtime.WithReceipt())
		require.Equal(t, []string{"unread 1", "message Tom: psst"}, heardByJerry.heard())
		require.Equal(t, []string{"psst"}, s.texts(same))
		require.Equal(t, 1, same.UnreadMessagesCount())
		require.NoError(t, same.Read(ctx))
		calm()
		require.False(t, conv.LastReadAt().Before(m.Timestamp))
		require.NoError(t, same.FetchReceiptTimestamps(ctx))
		tuples, err := conv.FetchMemberReceipts(ctx)
		require.NoError(t, err)
		require.Len(t, tuples, 1)
		edited, err := conv.Update(ctx, m, realtime.NewTextMessage("pssst"))
		require.NoError(t, err)
		require.Equal(t, "pssst", edited.Text())
		require.Equal(t, []string{"update Tom: pssst"}, heardByJerry.heard("update"))

		_, err = spike.GetConversation(ctx, conv.ID())
		require.NoError(t, err, "found by id")
		_, err = s.as(spike, conv).Send(ctx, realtime.NewTextMessage("let me in"))
		require.ErrorIs(t, err, realtime.ErrInvalidMessagingTarget)
		require.Empty(t, heardBySpike.heard("message", "unread"))

		// One that knows nothing of the end asks, and is told.
		unaware, err := spike.ParseConversation([]byte(`{"id":"` + conv.ID() + `x"}`))
		require.NoError(t, err)
		_, err = unaware.Count(ctx)
		require.ErrorIs(t, err, realtime.ErrTemporaryConversationExpired)

		time.Sleep(time.Minute)
		require.True(t, conv.Expired())
		mark := len(s.Commands())
		for name, call := range allCalls() {
			require.ErrorIs(t, call(ctx, conv), realtime.ErrTemporaryConversationExpired, name)
		}
		require.Empty(t, s.sent(mark))
		_, err = jerry.GetConversation(ctx, conv.ID(), realtime.WithoutCache())
		require.ErrorIs(t, err, realtime.ErrConversationNotFound)
		require.ErrorIs(t, same.Fetch(ctx), realtime.ErrTemporaryConversationExpired)

		again, err := tom.CreateTemporaryConversation(ctx, realtime.TemporaryConversationOptions{Members: []string{"Jerry"}})
		require.NoError(t, err)
		require.NotEqual(t, conv.ID(), again.ID())
		require.WithinDuration(t, time.Now().Add(24*time.Hour), again.ExpiredAt(), time.Second)
		require.Empty(t, s.texts(again))
	})
}

// The server lets one end whatever the clock of a client says.
func TestSurfaceTemporaryEndsByTheServersClock(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom := s.Client("Tom")
		conv, err := tom.CreateTemporaryConversation(t.Context(), realtime.TemporaryConversationOptions{TTL: time.Second})
		require.NoError(t, err)
		jerry := s.Client("Jerry")
		time.Sleep(2 * time.Second)
		unaware, err := jerry.ParseConversation([]byte(`{"id":"` + conv.ID() + `"}`))
		require.NoError(t, err)
		require.False(t, unaware.Expired())
		mark := len(s.Commands())
		_, err = unaware.Send(t.Context(), realtime.NewTextMessage("too late"))
		require.ErrorIs(t, err, realtime.ErrTemporaryConversationExpired)
		require.Equal(t, []string{"direct"}, s.sent(mark))
	})
}

// allCalls are the calls on a conversation that ask the server, by name.
func allCalls() map[string]func(ctx context.Context, c *realtime.Conversation) error {
	type call = func(ctx context.Context, c *realtime.Conversation) error
	return map[string]call{
		"Send": func(ctx context.Context, c *realtime.Conversation) error {
			_, err := c.Send(ctx, realtime.NewTextMessage("x"))
			return err
		},
		"QueryMessages": func(ctx context.Context, c *realtime.Conversation) error {
			_, err := c.QueryMessages(ctx, realtime.MessageQuery{})
			return err
		},
		"Add":            func(ctx context.Context, c *realtime.Conversation) error { return c.Add(ctx, "x") },
		"Remove":         func(ctx context.Context, c *realtime.Conversation) error { return c.Remove(ctx, "x") },
		"Join":           func(ctx context.Context, c *realtime.Conversation) error { return c.Join(ctx) },
		"Quit":           func(ctx context.Context, c *realtime.Conversation) error { return c.Quit(ctx) },
		"Subscribe":      func(ctx context.Context, c *realtime.Conversation) error { return c.Subscribe(ctx) },
		"Unsubscribe":    func(ctx context.Context, c *realtime.Conversation) error { return c.Unsubscribe(ctx) },
		"Mute":           func(ctx context.Context, c *realtime.Conversation) error { return c.Mute(ctx) },
		"Unmute":         func(ctx context.Context, c *realtime.Conversation) error { return c.Unmute(ctx) },
		"MuteMembers":    func(ctx context.Context, c *realtime.Conversation) error { return c.MuteMembers(ctx, "x") },
		"UnmuteMembers":  func(ctx context.Context, c *realtime.Conversation) error { return c.UnmuteMembers(ctx, "x") },
		"BlockMembers":   func(ctx context.Context, c *realtime.Conversation) error { return c.BlockMembers(ctx, "x") },
		"UnblockMembers": func(ctx context.Context, c *realtime.Conversation) error { return c.UnblockMembers(ctx, "x") },
		"Save": func(ctx context.Context, c *realtime.Conversation) error {
			return c.Save(ctx, map[string]any{"k": 1})
		},
		"Count": func(ctx context.Context, c *realtime.Conversation) error {
			_, err := c.Count(ctx)
			return err
		},
		"IsMember": func(ctx context.Context, c *realtime.Conversation) error {
			_, err := c.IsMember(ctx)
			return err
		},
		"OnlineMembers": func(ctx context.Context, c *realtime.Conversation) error {
			_, err := c.OnlineMembers(ctx)
			return err
		},
		"FetchReceiptTimestamps": func(ctx context.Context, c *realtime.Conversation) error {
			return c.FetchReceiptTimestamps(ctx)
		},
		"FetchMemberReceipts": func(ctx context.Context, c *realtime.Conversation) error {
			_, err := c.FetchMemberReceipts(ctx)
			return err
		},
		"GetAllMemberInfo": func(ctx context.Context, c *realtime.Conversation) error {
			_, err := c.GetAllMemberInfo(ctx)
			return err
		},
		"GetMemberInfo": func(ctx context.Context, c *realtime.Conversation) error {
			_, err := c.GetMemberInfo(ctx, c.Client().ID())
			return err
		},
		"UpdateMemberRole": func(ctx context.Context, c *realtime.Conversation) error {
			return c.UpdateMemberRole(ctx, "x", realtime.RoleManager)
		},
		"QueryMutedMembers": func(ctx context.Context, c *realtime.Conversation) error {
			_, err := c.QueryMutedMembers(ctx, realtime.PageQuery{})
			return err
		},
		"QueryBlockedMembers": func(ctx context.Context, c *realtime.Conversation) error {
			_, err := c.QueryBlockedMembers(ctx, realtime.PageQuery{})
			return err
		},
		"CheckMutedMembers": func(ctx context.Context, c *realtime.Conversation) error {
			_, err := c.CheckMutedMembers(ctx, "x")
			return err
		},
		"CheckBlockedMembers": func(ctx context.Context, c *realtime.Conversation) error {
			_, err := c.CheckBlockedMembers(ctx, "x")
			return err
		},
	}
}

// What a kind of conversation does not support is refused without asking the
// server, with the code that the server would use; everything else is sent.
func TestSurfaceUnsupportedCallsSendNothing(t *testing.T) {
	refusals := map[realtime.Kind]map[realtime.ErrorCode][]string{
		realtime.KindNormal: {
			realtime.ErrSystemConversationRequired:    {"Subscribe", "Unsubscribe"},
			realtime.ErrTransientConversationRequired: {"OnlineMembers"},
		},
		realtime.KindChatRoom: {
			realtime.ErrSystemConversationRequired: {"Subscribe", "Unsubscribe"},
			realtime.ErrNormalConversationRequired: {
				"Add", "Remove", "FetchReceiptTimestamps", "FetchMemberReceipts",
				"GetAllMemberInfo", "GetMemberInfo", "UpdateMemberRole",
			},
		},
		realtime.KindService: {
			realtime.ErrNormalConversationRequired: {
				"Add", "Remove", "FetchReceiptTimestamps", "FetchMemberReceipts",
				"GetAllMemberInfo", "GetMemberInfo", "UpdateMemberRole",
			},
			realtime.ErrTransientConversationRequired: {"OnlineMembers"},
			realtime.ErrConversationReadOnly:          {"Save"},
		},
		realtime.KindTemporary: {
			realtime.ErrSystemConversationRequired:    {"Subscribe", "Unsubscribe"},
			realtime.ErrTransientConversationRequired: {"OnlineMembers"},
			realtime.ErrNormalConversationRequired:    {"GetAllMemberInfo", "GetMemberInfo", "UpdateMemberRole"},
			realtime.ErrConversationReadOnly: {
				"Add", "Remove", "Join", "Quit", "Mute", "Unmute", "Save",
				"MuteMembers", "UnmuteMembers", "BlockMembers", "UnblockMembers",
				"QueryMutedMembers", "QueryBlockedMembers", "CheckMutedMembers", "CheckBlockedMembers",
			},
		},
	}
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		id := s.service(map[string]any{"name": "News"})
		tom := s.Client("Tom")
		news, err := tom.GetConversation(ctx, id)
		require.NoError(t, err)
		tmp, err := tom.CreateTemporaryConversation(ctx, realtime.TemporaryConversationOptions{Members: []string{"x"}})
		require.NoError(t, err)
		normal := s.group(tom, "x", "y")
		_, err = normal.GetAllMemberInfo(ctx) // asked by REST, and remembered
		require.NoError(t, err)
		for kind, conv := range map[realtime.Kind]*realtime.Conversation{
			realtime.KindNormal: normal, realtime.KindChatRoom: mustRoom(t, tom),
			realtime.KindService: news, realtime.KindTemporary: tmp,
		} {
			require.Equal(t, kind, conv.Kind())
			refused := map[string]realtime.ErrorCode{}
			for code, names := range refusals[kind] {
				for _, name := range names {
					refused[name] = code
				}
			}
			for name, call := range allCalls() {
				what := fmt.Sprint(kind, ": ", name)
				mark := len(s.Commands())
				err := call(ctx, conv)
				if code, local := refused[name]; local {
					require.ErrorIs(t, err, code, what)
					var e *realtime.Error
					require.ErrorAs(t, err, &e, what)
					require.Equal(t, code.String(), e.Reason, what)
					require.Empty(t, s.sent(mark), what)
					delete(refused, name)
					continue
				}
				if name != "GetAllMemberInfo" && name != "GetMemberInfo" { // which know already
					require.Len(t, s.sent(mark), 1, what)
				}
				for code := range refusals[kind] {
					require.NotErrorIs(t, err, code, what)
				}
			}
			require.Empty(t, refused, "calls that do not exist")
		}
	})
}

// The server refuses the same by itself: a client that does not know the kind
// of a conversation is told.
func TestSurfaceServerRefusesTheSame(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		id := s.service(map[string]any{"name": "News"})
		tom := s.Client("Tom")
		tmp, err := tom.CreateTemporaryConversation(ctx, realtime.TemporaryConversationOptions{Members: []string{"Jerry"}})
		require.NoError(t, err)
		normal, room := s.group(tom, "Jerry", "Spike"), mustRoom(t, tom)
		for _, c := range []struct {
			id    string
			takes string // the kind that the client takes it for
			call  string
			want  realtime.ErrorCode
		}{
			{normal.ID(), `"transient":true`, "OnlineMembers", realtime.ErrTransientConversationRequired},
			{id, `"transient":true`, "OnlineMembers", realtime.ErrTransientConversationRequired},
			{room.ID(), ``, "Add", realtime.ErrNormalConversationRequired},
			{room.ID(), ``, "FetchReceiptTimestamps", realtime.ErrNormalConversationRequired},
			{room.ID(), ``, "UpdateMemberRole", realtime.ErrNormalConversationRequired},
			{id, ``, "Add", realtime.ErrNormalConversationRequired},
			{id, ``, "Save", realtime.ErrConversationReadOnly},
			{tmp.ID(), `"transient":true`, "MuteMembers", realtime.ErrConversationReadOnly},
			{tmp.ID(), `"transient":true`, "BlockMembers", realtime.ErrConversationReadOnly},
			{tmp.ID(), `"transient":true`, "Join", realtime.ErrConversationReadOnly},
			{tmp.ID(), `"transient":true`, "Save", realtime.ErrConversationReadOnly},
			{tmp.ID(), `"transient":true`, "Mute", realtime.ErrConversationReadOnly},
		} {
			fields := `{"id":"` + c.id + `"`
			if c.takes != "" {
				fields += "," + c.takes
			}
			// Each time a client that knows nothing.
			stranger := s.Client("Jerry")
			mistaken, err := stranger.ParseConversation([]byte(fields + "}"))
			require.NoError(t, err)
			mark := len(s.Commands())
			require.ErrorIs(t, allCalls()[c.call](ctx, mistaken), c.want, "%s of %s as %s", c.call, c.id, c.takes)
			require.Len(t, s.sent(mark), 1, "the server was asked")
			require.NoError(t, stranger.Close(ctx))
		}
	})
}
