package realtime_test

import (
	"context"
	"math"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
)

// Namesake has the number of TextMessage.
type Namesake struct{ realtime.TypedMessage }

func (*Namesake) Type() int { return realtime.TypeText }

// Unnumbered has no number.
type Unnumbered struct{ realtime.TypedMessage }

func (*Unnumbered) Type() int { return 0 }

func TestE2ENewReportsAllMistakes(t *testing.T) {
	good := realtime.Options{AppID: "id", AppKey: "secret-key", Server: "https://api.example.com"}
	tests := map[string]struct {
		change func(o *realtime.Options)
		want   []string
	}{
		"nothing":          {func(o *realtime.Options) { *o = realtime.Options{} }, []string{"AppID", "AppKey"}},
		"no id":            {func(o *realtime.Options) { o.AppID = "" }, []string{"AppID"}},
		"no key":           {func(o *realtime.Options) { o.AppKey = "" }, []string{"AppKey"}},
		"server":           {func(o *realtime.Options) { o.Server = "ftp://x" }, []string{"Server"}},
		"router":           {func(o *realtime.Options) { o.RouterServer = "http://" }, []string{"RouterServer"}},
		"server query":     {func(o *realtime.Options) { o.Server = "https://x/?key=secret-key" }, []string{"Server"}},
		"router fragment":  {func(o *realtime.Options) { o.RouterServer = "https://x/#a" }, []string{"RouterServer"}},
		"sockets":          {func(o *realtime.Options) { o.RTMServers = []string{"https://x"} }, []string{"RTMServers"}},
		"negative timeout": {func(o *realtime.Options) { o.CommandTimeout = -1 }, []string{"CommandTimeout"}},
		"negative queue":   {func(o *realtime.Options) { o.EventQueue = -1 }, []string{"EventQueue"}},
		"two dialers": {func(o *realtime.Options) {
			o.HTTPClient = http.DefaultClient
			o.Dial = realtimetestDial
		}, []string{"HTTPClient"}},
		"type twice": {func(o *realtime.Options) {
			o.Plugins = []realtime.Plugin{{Name: "one", MessageTypes: []realtime.Content{&Voucher{}, &Voucher{}}}}
		}, []string{"one"}},
		"type of others": {func(o *realtime.Options) {
			o.Plugins = []realtime.Plugin{{Name: "two", MessageTypes: []realtime.Content{&Namesake{}}}}
		}, []string{"two"}},
		"type 0": {func(o *realtime.Options) {
			o.Plugins = []realtime.Plugin{{Name: "three", MessageTypes: []realtime.Content{&Unnumbered{}}}}
		}, []string{"three"}},
		"all of it": {func(o *realtime.Options) { o.AppID, o.Server, o.EventQueue = "", "ftp://x", -1 }, []string{"AppID", "Server", "EventQueue"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := good
			test.change(&o)
			rt, err := realtime.New(o)
			require.Nil(t, rt)
			require.ErrorIs(t, err, realtime.ErrInvalidArgument)
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
			require.NotContains(t, err.Error(), "secret-key")
		})
	}
}

func realtimetestDial(context.Context, string, string) (net.Conn, error) {
	return nil, http.ErrServerClosed
}

func TestE2EBadInput(t *testing.T) {
	type actors struct {
		tom          *realtime.IMClient
		conv         *realtime.Conversation
		room, temp   *realtime.Conversation
		sent, jerrys *realtime.Message
	}
	var typedNil *realtime.TextMessage
	hello := realtime.NewTextMessage("hello")
	long := strings.Repeat("x", 65)
	tests := map[string]struct {
		do   func(ctx context.Context, a actors) error
		want error
	}{
		"nil content": {func(ctx context.Context, a actors) error {
			_, err := a.conv.Send(ctx, nil)
			return err
		}, realtime.ErrInvalidArgument},
		"typed nil content": {func(ctx context.Context, a actors) error {
			_, err := a.conv.Send(ctx, typedNil)
			return err
		}, realtime.ErrInvalidArgument},
		"content over the limit": {func(ctx context.Context, a actors) error {
			_, err := a.conv.Send(ctx, realtime.NewTextMessage(strings.Repeat("x", 6*1024)))
			return err
		}, realtime.ErrFrameTooLong},
		"binary over the limit": {func(ctx context.Context, a actors) error {
			_, err := a.conv.Send(ctx, realtime.NewBinaryMessage(make([]byte, 6*1024)))
			return err
		}, realtime.ErrFrameTooLong},
		"push data that is no JSON": {func(ctx context.Context, a actors) error {
			_, err := a.conv.Send(ctx, hello, realtime.WithPushData(make(chan int)))
			return err
		}, realtime.ErrInvalidArgument},
		"content that is no JSON": {func(ctx context.Context, a actors) error {
			m := realtime.NewTextMessage("x")
			m.Attributes = map[string]any{"f": func() {}}
			_, err := a.conv.Send(ctx, m)
			return err
		}, realtime.ErrInvalidArgument},
		"text that is no UTF-8": {func(ctx context.Context, a actors) error {
			_, err := a.conv.Send(ctx, realtime.NewRawMessage("\xff\xfe"))
			return err
		}, realtime.ErrInvalidArgument},
		"nil send option": {func(ctx context.Context, a actors) error {
			_, err := a.conv.Send(ctx, hello, nil)
			return err
		}, realtime.ErrInvalidArgument},
		"update of nil": {func(ctx context.Context, a actors) error {
			_, err := a.conv.Update(ctx, nil, hello)
			return err
		}, realtime.ErrInvalidArgument},
		"update with nil": {func(ctx context.Context, a actors) error {
			_, err := a.conv.Update(ctx, a.sent, nil)
			return err
		}, realtime.ErrInvalidArgument},
		"update of a message without id": {func(ctx context.Context, a actors) error {
			_, err := a.conv.Update(ctx, &realtime.Message{}, hello)
			return err
		}, realtime.ErrInvalidArgument},
		"update of an unknown message": {func(ctx context.Context, a actors) error {
			m := *a.sent
			m.ID = "unknown"
			_, err := a.conv.Update(ctx, &m, hello)
			return err
		}, realtime.ErrMessageNotFound},
		"update of somebody else's": {func(ctx context.Context, a actors) error {
			_, err := a.conv.Update(ctx, a.jerrys, hello)
			return err
		}, realtime.ErrMessageOwnershipRequired},
		"recall of nil": {func(ctx context.Context, a actors) error {
			_, err := a.conv.Recall(ctx, nil)
			return err
		}, realtime.ErrInvalidArgument},
		"negative limit": {func(ctx context.Context, a actors) error {
			_, err := a.conv.QueryMessages(ctx, realtime.MessageQuery{Limit: -1})
			return err
		}, realtime.ErrInvalidArgument},
		"limit over 1000": {func(ctx context.Context, a actors) error {
			_, err := a.conv.QueryMessages(ctx, realtime.MessageQuery{Limit: 1001})
			return err
		}, realtime.ErrInvalidArgument},
		"type that no message can have": {func(ctx context.Context, a actors) error {
			_, err := a.conv.QueryMessages(ctx, realtime.MessageQuery{Type: math.MaxInt32 + 1})
			return err
		}, realtime.ErrInvalidArgument},
		"start id without its time": {func(ctx context.Context, a actors) error {
			_, err := a.conv.QueryMessages(ctx, realtime.MessageQuery{StartMessageID: "x"})
			return err
		}, realtime.ErrInvalidArgument},
		"end id without its time": {func(ctx context.Context, a actors) error {
			_, err := a.conv.QueryMessages(ctx, realtime.MessageQuery{EndMessageID: "x"})
			return err
		}, realtime.ErrInvalidArgument},
		"iterator with a bad query": {func(ctx context.Context, a actors) error {
			_, _, err := a.conv.MessageIterator(realtime.MessageQuery{Limit: -1}).Next(ctx)
			return err
		}, realtime.ErrInvalidArgument},
		"messages with a bad query": {func(ctx context.Context, a actors) error {
			for _, err := range a.conv.Messages(ctx, realtime.MessageQuery{Limit: 5000}) {
				return err
			}
			return nil
		}, realtime.ErrInvalidArgument},
		"query with a negative limit": {func(ctx context.Context, a actors) error {
			_, err := a.tom.Query().Limit(-1).Find(ctx)
			return err
		}, realtime.ErrInvalidArgument},
		"query with a value that is no JSON": {func(ctx context.Context, a actors) error {
			_, err := a.tom.Query().EqualTo("level", make(chan int)).Find(ctx)
			return err
		}, realtime.ErrInvalidArgument},
		"query with a bad expression": {func(ctx context.Context, a actors) error {
			_, err := a.tom.Query().Matches("name", "(").Find(ctx)
			return err
		}, nil},
		"create with an empty id": {func(ctx context.Context, a actors) error {
			_, err := a.tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{""}})
			return err
		}, realtime.ErrInvalidArgument},
		"create with an id of 65": {func(ctx context.Context, a actors) error {
			_, err := a.tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{long}})
			return err
		}, realtime.ErrInvalidArgument},
		"create with an id that is no UTF-8": {func(ctx context.Context, a actors) error {
			_, err := a.tom.CreateTemporaryConversation(ctx, realtime.TemporaryConversationOptions{Members: []string{"\xff"}})
			return err
		}, realtime.ErrInvalidArgument},
		"mention of an id of 65": {func(ctx context.Context, a actors) error {
			_, err := a.conv.Send(ctx, hello, realtime.WithMention("Jerry", long))
			return err
		}, realtime.ErrInvalidArgument},
		"block an id of 65": {func(ctx context.Context, a actors) error { return a.conv.BlockMembers(ctx, long) }, realtime.ErrInvalidArgument},
		"create with a reserved key": {func(ctx context.Context, a actors) error {
			_, err := a.tom.CreateConversation(ctx, realtime.ConversationOptions{Attributes: map[string]any{"objectId": "x"}})
			return err
		}, realtime.ErrInvalidArgument},
		"temporary with a negative time to live": {func(ctx context.Context, a actors) error {
			_, err := a.tom.CreateTemporaryConversation(ctx, realtime.TemporaryConversationOptions{TTL: -time.Second})
			return err
		}, realtime.ErrInvalidArgument},
		"get without id": {func(ctx context.Context, a actors) error {
			_, err := a.tom.GetConversation(ctx, "")
			return err
		}, realtime.ErrInvalidArgument},
		"get of an unknown id": {func(ctx context.Context, a actors) error {
			_, err := a.tom.GetConversation(ctx, "555555555555555555555555")
			return err
		}, realtime.ErrConversationNotFound},
		"add an empty id":   {func(ctx context.Context, a actors) error { return a.conv.Add(ctx, "") }, realtime.ErrInvalidArgument},
		"add an id of 65":   {func(ctx context.Context, a actors) error { return a.conv.Add(ctx, long) }, realtime.ErrInvalidArgument},
		"save reserved":     {func(ctx context.Context, a actors) error { return a.conv.Save(ctx, map[string]any{"m": 1}) }, realtime.ErrInvalidArgument},
		"save no JSON":      {func(ctx context.Context, a actors) error { return a.conv.Save(ctx, map[string]any{"x": func() {}}) }, realtime.ErrInvalidArgument},
		"role nobody knows": {func(ctx context.Context, a actors) error { return a.conv.UpdateMemberRole(ctx, "Jerry", "King") }, realtime.ErrUnknownConversationRole},
		"new owner": {func(ctx context.Context, a actors) error {
			return a.conv.UpdateMemberRole(ctx, "Jerry", realtime.RoleOwner)
		}, realtime.ErrOwnerPromotionNotAllowed},
		"negative page": {func(ctx context.Context, a actors) error {
			_, err := a.conv.QueryMutedMembers(ctx, realtime.PageQuery{Limit: -1})
			return err
		}, realtime.ErrInvalidArgument},
		"parse rubbish": {func(_ context.Context, a actors) error {
			_, err := a.tom.ParseMessage([]byte("rubbish"))
			return err
		}, nil},
		"parse rubbish conversation": {func(_ context.Context, a actors) error {
			_, err := a.tom.ParseConversation([]byte("{}"))
			return err
		}, nil},

		// What a kind does not support.
		"add to a room": {func(ctx context.Context, a actors) error { return a.room.Add(ctx, "Jerry") }, realtime.ErrNormalConversationRequired},
		"roles of a room": {func(ctx context.Context, a actors) error {
			return a.room.UpdateMemberRole(ctx, "Jerry", realtime.RoleManager)
		}, realtime.ErrNormalConversationRequired},
		"add to a temporary one":    {func(ctx context.Context, a actors) error { return a.temp.Add(ctx, "Mary") }, realtime.ErrConversationReadOnly},
		"save a temporary one":      {func(ctx context.Context, a actors) error { return a.temp.Save(ctx, map[string]any{"name": "x"}) }, realtime.ErrConversationReadOnly},
		"subscribe to a normal one": {func(ctx context.Context, a actors) error { return a.conv.Subscribe(ctx) }, realtime.ErrSystemConversationRequired},
		"online members of a normal one": {func(ctx context.Context, a actors) error {
			_, err := a.conv.OnlineMembers(ctx)
			return err
		}, realtime.ErrTransientConversationRequired},
	}
	play(t, []string{"Tom", "Jerry"}, func(t *testing.T, s *story) {
		a := actors{tom: s.clients["Tom"], conv: s.conversation("Tom", "Jerry")}
		var err error
		a.room, err = a.tom.CreateChatRoom(t.Context(), realtime.ChatRoomOptions{})
		require.NoError(t, err)
		a.temp, err = a.tom.CreateTemporaryConversation(t.Context(), realtime.TemporaryConversationOptions{Members: []string{"Jerry"}})
		require.NoError(t, err)
		a.sent = mustSend(t, a.conv, "mine")
		a.jerrys = mustSend(t, s.as("Jerry", a.conv), "Jerry's")
		s.happened()
		for name, test := range tests {
			err := test.do(t.Context(), a)
			if test.want == nil {
				assert.Error(t, err, name)
			} else {
				assert.ErrorIs(t, err, test.want, name)
			}
		}
		require.Empty(t, without(s.events["Jerry"].take(), "recovered"), "nobody is bothered")
		require.NoError(t, a.tom.Err(), "the client lives on")
		require.Equal(t, realtime.StateConnected, a.tom.Realtime().State())
		mustSend(t, a.conv, "and all is well")
	})
}

// What asks for nothing succeeds without asking the server.
func TestE2ENothingToDo(t *testing.T) {
	play(t, []string{"Tom"}, func(t *testing.T, s *story) {
		tom, conv := s.clients["Tom"], s.conversation("Tom", "Jerry")
		before := len(s.Commands())
		require.NoError(t, conv.Add(t.Context()))
		require.NoError(t, conv.Remove(t.Context()))
		require.NoError(t, conv.Save(t.Context(), nil))
		online, err := tom.OnlineClients(t.Context())
		require.NoError(t, err)
		require.Empty(t, online)
		convs, err := tom.GetConversations(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, convs)
		settle()
		require.Len(t, s.Commands(), before)
	})
}

// everyCall makes each kind of call on a client and a conversation.
func everyCall(ctx context.Context, c *realtime.IMClient, conv *realtime.Conversation, m *realtime.Message) map[string]error {
	errs := map[string]error{}
	_, errs["CreateConversation"] = c.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"Jerry"}})
	_, errs["CreateChatRoom"] = c.CreateChatRoom(ctx, realtime.ChatRoomOptions{})
	_, errs["CreateTemporaryConversation"] = c.CreateTemporaryConversation(ctx, realtime.TemporaryConversationOptions{Members: []string{"Jerry"}})
	_, errs["GetConversation"] = c.GetConversation(ctx, "0123456789abcdef01234567")
	_, errs["GetConversations"] = c.GetConversations(ctx, []string{"0123456789abcdef01234567"})
	_, errs["Query.Find"] = c.Query().Find(ctx)
	_, errs["Query.First"] = c.Query().First(ctx)
	for _, err := range c.Query().All(ctx) {
		errs["Query.All"] = err
	}
	_, errs["OnlineClients"] = c.OnlineClients(ctx, "Jerry")
	if conv == nil {
		return errs
	}
	_, errs["Send"] = conv.Send(ctx, realtime.NewTextMessage("x"))
	_, errs["Send with retry"] = conv.Send(ctx, realtime.NewTextMessage("x"), realtime.WithRetry())
	_, errs["Update"] = conv.Update(ctx, m, realtime.NewTextMessage("x"))
	_, errs["Recall"] = conv.Recall(ctx, m)
	errs["FetchReceiptTimestamps"] = conv.FetchReceiptTimestamps(ctx)
	_, errs["FetchMemberReceipts"] = conv.FetchMemberReceipts(ctx)
	errs["Add"] = conv.Add(ctx, "Mary")
	errs["Remove"] = conv.Remove(ctx, "Mary")
	errs["MuteMembers"] = conv.MuteMembers(ctx, "Mary")
	errs["BlockMembers"] = conv.BlockMembers(ctx, "Mary")
	errs["Join"] = conv.Join(ctx)
	errs["Quit"] = conv.Quit(ctx)
	errs["Mute"] = conv.Mute(ctx)
	errs["Fetch"] = conv.Fetch(ctx)
	errs["Save"] = conv.Save(ctx, map[string]any{"name": "x"})
	_, errs["Count"] = conv.Count(ctx)
	_, errs["IsMember"] = conv.IsMember(ctx)
	_, errs["QueryMutedMembers"] = conv.QueryMutedMembers(ctx, realtime.PageQuery{})
	_, errs["CheckBlockedMembers"] = conv.CheckBlockedMembers(ctx, "Mary")
	_, errs["GetAllMemberInfo"] = conv.GetAllMemberInfo(ctx)
	errs["UpdateMemberRole"] = conv.UpdateMemberRole(ctx, "Jerry", realtime.RoleManager)
	_, errs["QueryMessages"] = conv.QueryMessages(ctx, realtime.MessageQuery{})
	for _, err := range conv.Messages(ctx, realtime.MessageQuery{}) {
		errs["Messages"] = err
	}
	return errs
}

func TestE2ECallsBeforeOpen(t *testing.T) {
	play(t, nil, func(t *testing.T, s *story) {
		rt, err := realtime.New(s.Options())
		require.NoError(t, err)
		defer rt.Close(context.Background())
		tom := rt.NewIMClient("Tom")
		for call, err := range everyCall(t.Context(), tom, nil, nil) {
			require.ErrorIs(t, err, realtime.ErrNotOpen, call)
			require.True(t, realtime.SafeToRetry(err), call)
		}
		require.NoError(t, tom.Err())
		require.NoError(t, tom.Open(t.Context()))
		require.NoError(t, tom.Open(t.Context()), "open already")
		require.ErrorIs(t, rt.NewIMClient("Tom").Open(t.Context()), realtime.ErrAlreadyOpen)
	})
}

func TestE2ECallsAfterTheEnd(t *testing.T) {
	tests := map[string]struct {
		end  func(s *story)
		want error
	}{
		"closed":          {func(s *story) { _ = s.clients["Tom"].Close(context.Background()) }, realtime.ErrClosed},
		"Realtime closed": {func(s *story) { _ = s.clients["Tom"].Realtime().Close(context.Background()) }, realtime.ErrClosed},
		"displaced":       {func(s *story) { s.Displace("Tom"); settle() }, realtime.ErrSessionConflict},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(t *testing.T, s *story) {
				tom := s.login("Tom", realtime.WithTag("Mobile"))
				conv := s.conversation("Tom", "Jerry")
				sent := mustSend(t, conv, "hello")
				test.end(s)
				before := len(s.Commands())
				start := time.Now()
				for call, err := range everyCall(t.Context(), tom, conv, sent) {
					require.ErrorIs(t, err, test.want, call)
				}
				require.ErrorIs(t, tom.Open(t.Context()), test.want, "one life only")
				require.ErrorIs(t, tom.Err(), test.want)
				require.Zero(t, time.Since(start))
				require.Len(t, s.Commands(), before, "nothing was sent")
				for _, err := range tom.Events(t.Context()) {
					require.ErrorIs(t, err, test.want)
				}
				require.Equal(t, "hello", conv.LastMessage().Text(), "what is known stays")
			})
		})
	}
}

func TestE2ECallsWithAnEndedContext(t *testing.T) {
	play(t, nil, func(t *testing.T, s *story) {
		tom := s.login("Tom")
		conv := s.conversation("Tom", "Jerry")
		sent := mustSend(t, conv, "hello")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for call, err := range everyCall(ctx, tom, conv, sent) {
			require.ErrorIs(t, err, context.Canceled, call)
		}
		mustSend(t, conv, "the connection has not suffered")
	})
}

// A call whose context ends while the answer is on its way leaves the
// connection as it is.
func TestE2ECallsThatAreCancelled(t *testing.T) {
	play(t, nil, func(t *testing.T, s *story) {
		s.login("Tom")
		conv := s.conversation("Tom", "Jerry")
		remove := s.Inject(realtimetest.Fault{Command: "direct", Do: realtimetest.Delay(10 * time.Second)})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		_, err := conv.Send(ctx, realtime.NewTextMessage("slow"))
		require.Equal(t, time.Second, time.Since(start))
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
		remove()
		mustSend(t, conv, "quick")
		time.Sleep(time.Minute)
		require.Equal(t, []string{"quick", "slow"}, texts(mustQuery(t, conv, realtime.MessageQuery{})))
		require.Empty(t, without(s.events["Tom"].take(), "invited", "Jerry+Tom joined"))
	})
}
