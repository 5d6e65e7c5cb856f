package realtime_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
)

// Voucher is a message type of a program.
type Voucher struct {
	realtime.TypedMessage
	Cents int    `json:"cents"`
	Wish  string `json:"wish,omitempty"`
}

func (*Voucher) Type() int { return 1 }

var vouchers = realtime.Plugin{Name: "vouchers", MessageTypes: []realtime.Content{&Voucher{}}}

func TestE2ESendEveryContent(t *testing.T) {
	typed := realtime.NewTextMessage("起床了！")
	typed.Attributes = map[string]any{"mood": "angry", "level": 3.0}
	binary := bytes.Repeat([]byte{0, 0xff, 0x80, '{'}, 100)
	tests := map[string]struct {
		content realtime.Content
		want    realtime.Content // nil: the same
		typ     int
	}{
		"text":                {content: typed, typ: realtime.TypeText},
		"empty text":          {content: realtime.NewTextMessage(""), typ: realtime.TypeText},
		"raw":                 {content: realtime.NewRawMessage("just words")},
		"raw JSON":            {content: realtime.NewRawMessage(`{"my":[1,2,"three"]}`)},
		"raw number":          {content: realtime.NewRawMessage(`17`)},
		"raw of unknown type": {content: realtime.NewRawMessage(`{"_lctype":77,"x":1}`), typ: 77},
		"raw of known type":   {content: realtime.NewRawMessage(`{"_lctype":-1,"_lctext":"hi"}`), want: realtime.NewTextMessage("hi"), typ: realtime.TypeText},
		"binary":              {content: realtime.NewBinaryMessage(binary)},
		"custom":              {content: &Voucher{Cents: 888, Wish: "恭喜"}, typ: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			play(t, []string{"Tom"}, func(t *testing.T, s *story) {
				o := s.Options()
				o.Plugins = []realtime.Plugin{vouchers}
				rt, err := realtime.New(o)
				require.NoError(t, err)
				defer rt.Close(context.Background())
				jerry := rt.NewIMClient("Jerry")
				var got []*realtime.Message
				jerry.OnMessage(func(_ context.Context, e *realtime.MessageEvent) { got = append(got, e.Message) })
				require.NoError(t, jerry.Open(t.Context()))

				conv := s.conversation("Tom", "Jerry")
				sent, err := conv.Send(t.Context(), test.content)
				require.NoError(t, err)
				require.NotEmpty(t, sent.ID)
				require.Equal(t, "Tom", sent.From)
				require.Equal(t, realtime.StatusSent, sent.Status)
				settle()

				want := test.want
				if want == nil {
					want = test.content
				}
				require.Len(t, got, 1)
				m := got[0]
				require.Equal(t, want, m.Content)
				require.Equal(t, test.typ, m.Type())
				require.NoError(t, m.ContentErr())
				require.Equal(t, sent.ID, m.ID)
				require.Equal(t, "Tom", m.From)
				require.Equal(t, conv.ID(), m.ConversationID)
				require.True(t, sent.Timestamp.Equal(m.Timestamp))
				require.Equal(t, realtime.StatusNone, m.Status)
				require.Zero(t, m.UpdatedAt)

				data, isBinary, err := realtime.MarshalContent(test.content)
				require.NoError(t, err)
				require.Equal(t, name == "binary", isBinary)
				require.Equal(t, data, m.Payload())

				page, err := s.as("Tom", conv).QueryMessages(t.Context(), realtime.MessageQuery{})
				require.NoError(t, err)
				require.Len(t, page, 1)
				require.Equal(t, data, page[0].Payload(), "from history")
			})
		})
	}
}

func TestE2EContentOfAnUnknownTypeIsRaw(t *testing.T) {
	play(t, []string{"Jerry"}, func(t *testing.T, s *story) {
		o := s.Options()
		o.Plugins = []realtime.Plugin{vouchers}
		rt, err := realtime.New(o)
		require.NoError(t, err)
		defer rt.Close(context.Background())
		tom, err := rt.CreateIMClient(t.Context(), "Tom")
		require.NoError(t, err)
		conv, err := tom.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"Jerry"}})
		require.NoError(t, err)
		settle()
		_, err = conv.Send(t.Context(), &Voucher{Cents: 5})
		require.NoError(t, err)
		settle()
		m := s.as("Jerry", conv).LastMessage()
		require.IsType(t, (*realtime.RawMessage)(nil), m.Content)
		require.Equal(t, 1, m.Type())
		require.JSONEq(t, `{"_lctype":1,"cents":5}`, string(m.Payload()))
	})
}

func TestE2EContentMayBeUsedAgain(t *testing.T) {
	play(t, []string{"Tom"}, func(t *testing.T, s *story) {
		first, second := s.conversation("Tom", "Jerry"), s.conversation("Tom", "Mary")
		content := realtime.NewTextMessage("once")
		sent, err := first.Send(t.Context(), content)
		require.NoError(t, err)
		content.Text = "twice"
		_, err = second.Send(t.Context(), content)
		require.NoError(t, err)
		require.Equal(t, "once", sent.Text(), "the result has its own copy")
		require.Equal(t, "twice", second.LastMessage().Text())
	})
}

// Many senders at once: every listener hears everything, once, in the order of
// the history, and each sender's messages in the order in which they were sent.
func TestE2EOrderAcrossManySenders(t *testing.T) {
	const senders, each = 8, 40
	play(t, []string{"Tom", "Jerry", "Mary"}, func(t *testing.T, s *story) {
		var ids []string
		for i := range senders {
			ids = append(ids, fmt.Sprintf("sender-%d", i))
			s.login(ids[i])
		}
		conv := s.conversation("Tom", append(ids, "Jerry", "Mary")...)
		s.happened()
		var all sync.WaitGroup
		for _, id := range ids {
			own := s.as(id, conv)
			all.Go(func() {
				for n := range each {
					if _, err := own.Send(t.Context(), realtime.NewTextMessage(fmt.Sprintf("%s says %d", id, n))); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		settle()

		var order []string
		var last *realtime.Message
		for m, err := range conv.Messages(t.Context(), realtime.MessageQuery{Direction: realtime.OldToNew}) {
			require.NoError(t, err)
			if last != nil {
				require.True(t, m.Timestamp.After(last.Timestamp), "timestamps of a conversation increase")
			}
			last = m
			order = append(order, m.From+": "+m.Text())
		}
		require.Len(t, order, senders*each)
		next := map[string]int{}
		for _, line := range order {
			id, _, _ := strings.Cut(line, ":")
			require.Equal(t, fmt.Sprintf("%s: %s says %d", id, id, next[id]), line)
			next[id]++
		}
		for _, id := range []string{"Tom", "Jerry", "Mary"} {
			require.Equal(t, order, s.events[id].take(), "as %s heard it", id)
		}
		for _, id := range ids {
			heard := s.events[id].take()
			require.Equal(t, without(order, id+":"), heard, "as %s heard it", id)
		}
	})
}

func TestE2EOtherDevicesOfTheSenderHearIt(t *testing.T) {
	play(t, []string{"Jerry"}, func(t *testing.T, s *story) {
		phone := s.login("Tom")
		s.events["phone"] = s.events["Tom"]
		s.login("Tom")
		s.events["pc"] = s.events["Tom"]
		delete(s.events, "Tom")
		conv, err := phone.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"Jerry"}})
		require.NoError(t, err)
		s.happened()
		mustSend(t, conv, "hello")
		happened := s.happened()
		require.Equal(t, []string{"Tom: hello"}, happened["pc"])
		require.Empty(t, happened["phone"])
		require.Contains(t, happened["Jerry"], "Tom: hello")
	})
}

func TestE2EReceiptsAndReadMarks(t *testing.T) {
	play(t, []string{"Tom", "Jerry"}, func(t *testing.T, s *story) {
		conv := s.conversation("Tom", "Jerry")
		jerrys := s.as("Jerry", conv)
		s.happened()
		sent := mustSend(t, conv, "hello", realtime.WithReceipt())
		require.Contains(t, s.happened()["Tom"], "delivered to Jerry")
		require.True(t, sent.Timestamp.Compare(conv.LastDeliveredAt()) <= 0)
		require.Zero(t, conv.LastReadAt())
		require.Equal(t, 1, jerrys.UnreadMessagesCount())

		require.NoError(t, jerrys.Read(t.Context()))
		require.Zero(t, jerrys.UnreadMessagesCount())
		require.Contains(t, s.happened()["Tom"], "read by Jerry")
		require.NotZero(t, conv.LastReadAt())

		require.NoError(t, conv.FetchReceiptTimestamps(t.Context()))
		require.False(t, conv.LastReadAt().Before(sent.Timestamp))
		receipts, err := conv.FetchMemberReceipts(t.Context())
		require.NoError(t, err)
		require.Len(t, receipts, 1)
		require.Equal(t, "Jerry", receipts[0].MemberID)
		require.False(t, receipts[0].DeliveredAt.Before(sent.Timestamp))
		require.False(t, receipts[0].ReadAt.Before(sent.Timestamp))
	})
}

func TestE2EUnreadMessages(t *testing.T) {
	play(t, []string{"Tom"}, func(t *testing.T, s *story) {
		conv := s.conversation("Tom", "Jerry")
		mustSend(t, conv, "one")
		mustSend(t, conv, "two", realtime.WithMention("Jerry"))
		mustSend(t, conv, "three")
		mustSend(t, conv, "gone at once", realtime.WithTransient())

		jerry := s.login("Jerry")
		pc := s.Client("Jerry")
		pcEvents := follow(pc)
		settle()
		require.Equal(t, []int{3}, s.events["Jerry"].takeCounts())
		seen := s.as("Jerry", conv)
		require.Equal(t, 3, seen.UnreadMessagesCount())
		require.True(t, seen.UnreadMessagesMentioned())
		require.Equal(t, "three", seen.LastMessage().Text())
		mustSend(t, conv, "four")
		settle()
		require.Equal(t, 4, seen.UnreadMessagesCount())

		require.NoError(t, jerry.MarkAllAsRead(t.Context()))
		require.NoError(t, jerry.Close(t.Context()), "flushes")
		settle()
		onPC, err := pc.GetConversation(t.Context(), conv.ID())
		require.NoError(t, err)
		require.Zero(t, onPC.UnreadMessagesCount(), "read on one device is read on all")
		require.False(t, onPC.UnreadMessagesMentioned())
		require.Equal(t, []int{3, 4, 0}, pcEvents.takeCounts())
	})
}

// The clock stands still in a bubble: a message may get the very stamp with
// which a member joined.
func TestE2EMessageInTheMillisecondOfJoiningIsUnread(t *testing.T) {
	play(t, []string{"Tom"}, func(t *testing.T, s *story) {
		conv := s.conversation("Tom", "Jerry")
		mustSend(t, conv, "for Jerry")
		time.Sleep(time.Hour)
		mustSend(t, conv, "for Jerry, not for Mary")
		require.NoError(t, conv.Add(t.Context(), "Mary"))
		mustSend(t, conv, "for both")
		s.login("Jerry")
		s.login("Mary")
		settle()
		require.Equal(t, []int{3}, s.events["Jerry"].takeCounts())
		require.Equal(t, []int{1}, s.events["Mary"].takeCounts())
	})
}

func TestE2EMentions(t *testing.T) {
	play(t, []string{"Tom", "Jerry", "Mary"}, func(t *testing.T, s *story) {
		conv := s.conversation("Tom", "Jerry", "Mary")
		jerrys, marys := s.as("Jerry", conv), s.as("Mary", conv)
		sent := mustSend(t, conv, "Jerry!", realtime.WithMention("Jerry"))
		require.False(t, sent.Mentioned, "not by oneself")
		settle()
		require.Equal(t, []string{"Jerry"}, jerrys.LastMessage().MentionList)
		require.True(t, jerrys.LastMessage().Mentioned)
		require.False(t, marys.LastMessage().Mentioned)
		mustSend(t, conv, "everybody!", realtime.WithMentionAll())
		settle()
		require.True(t, marys.LastMessage().Mentioned)
		require.True(t, marys.LastMessage().MentionedAll)
		require.True(t, marys.UnreadMessagesMentioned())
	})
}

func TestE2EEditAndRecall(t *testing.T) {
	play(t, []string{"Tom", "Jerry"}, func(t *testing.T, s *story) {
		conv := s.conversation("Tom", "Jerry")
		jerrys := s.as("Jerry", conv)
		sent := mustSend(t, conv, "a cat")
		s.happened()
		time.Sleep(time.Minute)

		edited, err := conv.Update(t.Context(), sent, realtime.NewTextMessage("the cat"), realtime.WithMention("Jerry"))
		require.NoError(t, err)
		require.Equal(t, sent.ID, edited.ID)
		require.True(t, sent.Timestamp.Equal(edited.Timestamp))
		require.True(t, edited.UpdatedAt.After(edited.Timestamp))
		require.Equal(t, "a cat", sent.Text(), "a message is a snapshot")
		require.Equal(t, map[string][]string{"Jerry": {"Tom edited: the cat"}}, s.happened())
		require.Equal(t, "the cat", jerrys.LastMessage().Text())
		require.Equal(t, []string{"Jerry"}, jerrys.LastMessage().MentionList)

		page, err := jerrys.QueryMessages(t.Context(), realtime.MessageQuery{})
		require.NoError(t, err)
		require.Equal(t, []string{"the cat"}, texts(page))
		require.True(t, page[0].UpdatedAt.Equal(edited.UpdatedAt))

		_, err = jerrys.Update(t.Context(), page[0], realtime.NewTextMessage("the mouse"))
		require.ErrorIs(t, err, realtime.ErrMessageOwnershipRequired)
		_, err = jerrys.Recall(t.Context(), page[0])
		require.ErrorIs(t, err, realtime.ErrMessageOwnershipRequired)

		recalled, err := conv.Recall(t.Context(), edited)
		require.NoError(t, err)
		require.IsType(t, (*realtime.RecalledMessage)(nil), recalled.Content)
		require.Equal(t, map[string][]string{"Jerry": {"Tom recalled"}}, s.happened())
		page, err = conv.QueryMessages(t.Context(), realtime.MessageQuery{})
		require.NoError(t, err)
		require.Len(t, page, 1)
		require.Equal(t, realtime.TypeRecalled, page[0].Type())
	})
}

// History tells when each message was received, also when this client itself
// received those of others: that says nothing about the other member.
func TestE2EHistoryOfOthersIsNoReceipt(t *testing.T) {
	play(t, []string{"Tom", "Jerry"}, func(t *testing.T, s *story) {
		conv := s.conversation("Tom", "Jerry")
		jerrys := s.as("Jerry", conv)
		mustSend(t, conv, "hello")
		settle()
		mustQuery(t, jerrys, realtime.MessageQuery{})
		require.Zero(t, jerrys.LastDeliveredAt(), "Jerry has said nothing that Tom could receive")
		mustQuery(t, conv, realtime.MessageQuery{})
		require.NotZero(t, conv.LastDeliveredAt())
		require.Empty(t, without(s.events["Jerry"].take(), "Tom:", "invited", "Jerry+Tom"))
	})
}

// A message that no frame can hold costs the connection; it must do so once.
func TestE2EMessageOverAnyFrameIsNotRetried(t *testing.T) {
	for name, opts := range map[string][]realtime.SendOption{"once": nil, "with retry": {realtime.WithRetry()}} {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(t *testing.T, s *story) {
				steady(t, s, "Tom")
				conv := s.conversation("Tom", "Jerry")
				settle()
				s.happened()
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				_, err := conv.Send(ctx, realtime.NewTextMessage(strings.Repeat("x", 1<<20)), opts...)
				require.ErrorIs(t, err, realtime.ErrFrameTooLong)
				time.Sleep(time.Hour)
				require.Equal(t, []string{"disconnect", "schedule(0, 1s)", "retry(0)", "reconnect"},
					without(s.happened()["Tom"], "recovered"))
				mustSend(t, conv, "short")
			})
		})
	}
}

func TestE2EWillMessage(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(s *story)
		want []string
	}{
		"lost connection": {func(s *story) { s.Refuse(); s.Cut("Tom") }, []string{"Tom: my last words"}},
		"goodbye":         {func(s *story) { _ = s.clients["Tom"].Close(context.Background()) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, []string{"Tom", "Jerry"}, func(t *testing.T, s *story) {
				conv := s.conversation("Tom", "Jerry")
				mustSend(t, conv, "my last words", realtime.WithWill())
				s.happened()
				test.end(s)
				require.Equal(t, test.want, s.happened()["Jerry"])
			})
		})
	}
}

func TestE2EDedupTokenStoresOnce(t *testing.T) {
	play(t, []string{"Tom", "Jerry"}, func(t *testing.T, s *story) {
		conv := s.conversation("Tom", "Jerry")
		s.happened()
		remove := s.Inject(realtimetest.Fault{Command: "direct", Do: realtimetest.LoseAnswer()})
		_, err := conv.Send(t.Context(), realtime.NewTextMessage("pay"), realtime.WithDedupToken("order 17"))
		require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
		require.True(t, realtime.SafeToRetry(err))
		remove()
		again := mustSend(t, conv, "pay", realtime.WithDedupToken("order 17"))
		page, err := conv.QueryMessages(t.Context(), realtime.MessageQuery{})
		require.NoError(t, err)
		require.Equal(t, []string{"pay"}, texts(page))
		require.Equal(t, again.ID, page[0].ID)
		require.Equal(t, []string{"Tom: pay"}, s.happened()["Jerry"])
	})
}

// A handler may call anything, also what waits for the server.
func TestE2EHandlersMayCallBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t, realtimetest.NewServer(t))
		s.login("Tom")
		rt, err := realtime.New(s.Options())
		require.NoError(t, err)
		defer rt.Close(context.Background())
		echo := rt.NewIMClient("Echo")
		echo.OnMessage(func(ctx context.Context, e *realtime.MessageEvent) {
			if _, err := e.Conversation.Send(ctx, realtime.NewTextMessage("you said "+e.Message.Text())); err != nil {
				t.Error(err)
			}
			if err := e.Conversation.Read(ctx); err != nil {
				t.Error(err)
			}
			if e.Message.Text() == "bye" {
				if err := echo.Close(ctx); err != nil {
					t.Error(err)
				}
			}
		})
		require.NoError(t, echo.Open(t.Context()))
		conv := s.conversation("Tom", "Echo")
		s.happened()
		mustSend(t, conv, "hello")
		require.Contains(t, s.happened()["Tom"], "Echo: you said hello")
		mustSend(t, conv, "bye")
		require.Contains(t, s.happened()["Tom"], "Echo: you said bye")
		<-echo.Done()
		require.ErrorIs(t, echo.Err(), realtime.ErrClosed)
	})
}

func TestE2EMessagesAndConversationsAsJSON(t *testing.T) {
	play(t, []string{"Tom", "Jerry"}, func(t *testing.T, s *story) {
		conv := s.conversation("Tom", "Jerry")
		sent := mustSend(t, conv, "keep me", realtime.WithMention("Jerry"))
		data, err := json.Marshal(sent)
		require.NoError(t, err)
		read, err := s.clients["Tom"].ParseMessage(data)
		require.NoError(t, err)
		require.Equal(t, sent.ID, read.ID)
		require.Equal(t, sent.Content, read.Content)
		require.Equal(t, sent.MentionList, read.MentionList)
		require.True(t, sent.Timestamp.Equal(read.Timestamp))

		data, err = json.Marshal(conv)
		require.NoError(t, err)
		parsed, err := s.clients["Jerry"].ParseConversation(data)
		require.NoError(t, err)
		require.Equal(t, conv.ID(), parsed.ID())
		require.ElementsMatch(t, conv.Members(), parsed.Members())
	})
}
