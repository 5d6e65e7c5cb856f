package realtime_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
)

func TestSurfaceReceipts(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		phone, desk, jerry := s.Client("Tom"), s.Client("Tom"), s.Client("Jerry")
		conv := s.group(phone, "Jerry")
		onDesk, theirs := s.as(desk, conv), s.as(jerry, conv)
		heardOnPhone, heardOnDesk, heardByJerry := watch(phone), watch(desk), watch(jerry)
		m := s.say(conv, "one", realtime.WithReceipt())
		require.Equal(t, []string{"delivered to Jerry"}, heardOnPhone.heard("delivered"))
		require.Equal(t, []string{"delivered to Jerry"}, heardOnDesk.heard("delivered"), "on the sender's other devices too")
		require.False(t, conv.LastDeliveredAt().Before(m.Timestamp))
		require.Equal(t, conv.LastDeliveredAt(), onDesk.LastDeliveredAt())
		require.Zero(t, conv.LastReadAt())

		var read *realtime.LastReadAtUpdateEvent
		conv.OnLastReadAtUpdate(func(_ context.Context, e *realtime.LastReadAtUpdateEvent) { read = e })
		time.Sleep(time.Minute)
		require.NoError(t, theirs.Read(ctx))
		require.Equal(t, []string{"read by Jerry"}, heardOnPhone.heard("read"))
		require.Equal(t, []string{"read by Jerry"}, heardOnDesk.heard("read"))
		require.Equal(t, m.ID, read.MessageID)
		require.Equal(t, "Jerry", read.By)
		require.Equal(t, read.At, conv.LastReadAt())
		require.Empty(t, heardByJerry.heard("read", "delivered"), "not to who reads")

		// Without the option nobody is told, though it is known.
		before := conv.LastDeliveredAt()
		second := s.say(conv, "two")
		require.Empty(t, heardOnPhone.heard("read", "delivered"))
		require.Equal(t, before, conv.LastDeliveredAt())
		fresh := s.as(s.Client("Tom"), conv)
		require.Zero(t, fresh.LastDeliveredAt())
		require.NoError(t, fresh.FetchReceiptTimestamps(ctx))
		require.False(t, fresh.LastDeliveredAt().Before(second.Timestamp))
		require.False(t, fresh.LastReadAt().Before(m.Timestamp))
		require.True(t, fresh.LastReadAt().Before(second.Timestamp))

		// The history tells it of each message.
		page, err := fresh.QueryMessages(ctx, realtime.MessageQuery{})
		require.NoError(t, err)
		for _, m := range page {
			require.Equal(t, realtime.StatusDelivered, m.Status, m.Text())
			require.False(t, m.DeliveredAt.Before(m.Timestamp))
		}
	})
}

// Who is away gets it later, and then the sender is told.
func TestSurfaceReceiptOfALateReceiver(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		heard := watch(tom)
		accept := s.Refuse()
		s.Cut("Jerry")
		moment()
		m := s.say(conv, "late", realtime.WithReceipt())
		require.Empty(t, heard.heard("delivered"))
		accept()
		time.Sleep(time.Minute)
		require.Equal(t, []string{"delivered to Jerry"}, heard.heard("delivered"))
		require.True(t, conv.LastDeliveredAt().After(m.Timestamp))
		require.NoError(t, jerry.Err())
	})
}

func TestSurfaceMemberReceipts(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		s.Client("Spike")                               // who receives and does not read
		conv := s.group(tom, "Jerry", "Spike", "Butch") // who never comes
		heard := watch(tom)
		none, err := conv.FetchMemberReceipts(ctx)
		require.NoError(t, err)
		require.Empty(t, none)
		first := s.say(conv, "one", realtime.WithReceipt())
		calm()
		require.NoError(t, s.as(jerry, conv).Read(ctx))
		calm()
		second := s.say(conv, "two", realtime.WithReceipt())
		calm()
		receipts, err := conv.FetchMemberReceipts(ctx)
		require.NoError(t, err)
		byMember := map[string]realtime.MemberReceipt{}
		for _, r := range receipts {
			byMember[r.MemberID] = r
		}
		require.Len(t, byMember, 2, "of Butch nothing is known, of oneself it is not told")
		require.Equal(t, first.Timestamp, byMember["Jerry"].ReadAt)
		require.Equal(t, second.Timestamp, byMember["Jerry"].DeliveredAt)
		require.Zero(t, byMember["Spike"].ReadAt)
		require.Equal(t, second.Timestamp, byMember["Spike"].DeliveredAt)
		require.Empty(t, heard.heard("read", "delivered"), "groups have no receipts")
		require.Zero(t, conv.LastDeliveredAt())
	})
}

func TestSurfaceUnreadOnSeveralDevices(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		tom := s.Client("Tom")
		conv := s.group(tom, "Jerry", "Spike")
		quiet := s.group(tom, "Jerry", "Butch")
		for i := range 3 {
			s.say(conv, fmt.Sprint(i), realtime.WithMention("Jerry"))
		}
		phone, desk := s.Client("Jerry"), s.Client("Jerry")
		onPhone, onDesk := watch(phone), watch(desk)
		calm()
		for _, c := range []*realtime.IMClient{phone, desk} {
			mine := s.as(c, conv)
			require.Equal(t, 3, mine.UnreadMessagesCount())
			require.True(t, mine.UnreadMessagesMentioned())
			require.Equal(t, "2", mine.LastMessage().Text())
			require.Zero(t, s.as(c, quiet).UnreadMessagesCount())
		}
		onPhone.heard()
		onDesk.heard()

		// Read on one, followed by a goodbye at once: the other learns it.
		require.NoError(t, s.as(phone, conv).Read(ctx))
		require.Zero(t, s.as(phone, conv).UnreadMessagesCount(), "at once")
		require.NoError(t, phone.Close(ctx))
		require.Equal(t, []string{"unread 0"}, onDesk.heard())
		mine := s.as(desk, conv)
		require.False(t, mine.UnreadMessagesMentioned())

		s.say(conv, "four")
		require.Equal(t, []string{"unread 1", "message Tom: four"}, onDesk.heard())
		// What one says oneself is not unread, here or there.
		s.say(mine, "five")
		require.Equal(t, 1, mine.UnreadMessagesCount())
		again := watch(s.Client("Jerry"))
		require.Equal(t, []string{"unread 1"}, again.heard())

		// Only what came before a Read is read.
		require.NoError(t, mine.Read(ctx))
		s.say(conv, "six")
		calm()
		require.Equal(t, 1, mine.UnreadMessagesCount())
		third := s.Client("Jerry")
		calm()
		require.Equal(t, 1, s.as(third, conv).UnreadMessagesCount())
	})
}

func TestSurfaceMarkAllAsRead(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		convs := make([]*realtime.Conversation, 5)
		for i := range convs {
			convs[i] = s.as(jerry, s.group(tom, "Jerry"))
			s.say(s.as(tom, convs[i]), "hi")
		}
		calm()
		other := s.Client("Jerry")
		calm()
		counts := func(c *realtime.IMClient) []int {
			out := []int{}
			for _, conv := range convs {
				out = append(out, s.as(c, conv).UnreadMessagesCount())
			}
			return out
		}
		require.Equal(t, []int{1, 1, 1, 1, 1}, counts(jerry))
		require.Equal(t, []int{1, 1, 1, 1, 1}, counts(other))
		require.NoError(t, jerry.MarkAllAsRead(ctx, convs[0], convs[3]))
		calm()
		require.Equal(t, []int{0, 1, 1, 0, 1}, counts(jerry))
		require.Equal(t, []int{0, 1, 1, 0, 1}, counts(other))
		mark := len(s.Commands())
		require.NoError(t, jerry.MarkAllAsRead(ctx))
		calm()
		require.Equal(t, []string{"read"}, s.sent(mark), "in one command")
		require.Equal(t, []int{0, 0, 0, 0, 0}, counts(jerry))
		require.Equal(t, []int{0, 0, 0, 0, 0}, counts(other))
		require.Empty(t, watch(s.Client("Jerry")).heard("unread"))
		require.ErrorIs(t, jerry.MarkAllAsRead(ctx, s.as(tom, convs[0])), realtime.ErrInvalidArgument)
	})
}

// The server counts up to 100 for what came before login.
func TestSurfaceUnreadIsCapped(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		conv := s.group(s.Client("Tom"), "Jerry")
		for i := range 120 {
			_, err := conv.Send(t.Context(), realtime.NewTextMessage(fmt.Sprint(i)))
			require.NoError(t, err)
		}
		jerry := s.Client("Jerry")
		calm()
		require.Equal(t, 100, s.as(jerry, conv).UnreadMessagesCount())
		var count struct{ Count int }
		s.rest("GET", "/1.2/rtm/clients/Jerry/unread-count", nil, &count)
		require.Equal(t, 100, count.Count)
	})
}

// What was read while the connection was down is told after the reconnect.
func TestSurfaceReadWhileAway(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		theirs := s.as(jerry, conv)
		s.say(conv, "one", realtime.WithReceipt())
		calm()
		accept := s.Refuse()
		s.Cut("Jerry")
		moment()
		require.NoError(t, theirs.Read(t.Context()))
		require.Zero(t, theirs.UnreadMessagesCount())
		calm()
		require.Zero(t, conv.LastReadAt())
		accept()
		time.Sleep(time.Minute)
		require.NotZero(t, conv.LastReadAt())
		require.Zero(t, theirs.UnreadMessagesCount())
		require.Empty(t, watch(s.Client("Jerry")).heard("unread"))
	})
}

// By default a message is acknowledged when it is queued, with
// WithAckAfterHandling when it was handled: a sender learns the difference.
func TestSurfaceAckAfterHandling(t *testing.T) {
	for _, after := range []bool{false, true} {
		onSurface(t, func(t *testing.T, s *surface) {
			tom := s.Client("Tom")
			var opts []realtime.ClientOption
			if after {
				opts = append(opts, realtime.WithAckAfterHandling())
			}
			rt := s.realtime()
			jerry := rt.NewIMClient("Jerry", opts...)
			jerry.OnMessage(func(context.Context, *realtime.MessageEvent) { time.Sleep(time.Minute) })
			require.NoError(t, jerry.Open(t.Context()))
			conv := s.group(tom, "Jerry")
			heard := watch(tom)
			s.say(conv, "think about it", realtime.WithReceipt())
			if !after {
				require.Equal(t, []string{"delivered to Jerry"}, heard.heard("delivered"))
				time.Sleep(2 * time.Minute)
				return
			}
			require.Empty(t, heard.heard("delivered"))
			time.Sleep(time.Minute)
			require.Equal(t, []string{"delivered to Jerry"}, heard.heard("delivered"))
		})
	}
}

// An acknowledgement that was lost with its connection is sent again, also by a
// program that goes on where another one stopped.
func TestSurfaceLostAck(t *testing.T) {
	for _, opts := range [][]realtime.ClientOption{nil, {realtime.WithAckAfterHandling()}} {
		onSurface(t, func(t *testing.T, s *surface) {
			tom, jerry := s.Client("Tom"), s.realtime().NewIMClient("Jerry", opts...)
			require.NoError(t, jerry.Open(t.Context()))
			conv := s.group(tom, "Jerry")
			heard := watch(tom)
			for _, lose := range []realtimetest.Action{realtimetest.CutBefore(), realtimetest.CutAfter()} {
				s.Inject(realtimetest.Fault{Command: "ack", Client: "Jerry", Times: 1, Do: lose})
				s.say(conv, "one", realtime.WithReceipt())
				time.Sleep(time.Minute)
				require.Equal(t, []string{"delivered to Jerry"}, heard.heard("delivered"), "once")
			}
			require.NoError(t, jerry.Err())

			// It does not come back; another one does.
			s.Inject(realtimetest.Fault{Command: "ack", Client: "Jerry", Times: 1, Do: realtimetest.CutBefore()})
			accept := s.Refuse()
			s.say(conv, "two", realtime.WithReceipt())
			calm()
			position := jerry.Position()
			require.NoError(t, jerry.Close(t.Context()))
			require.Equal(t, position, jerry.Position())
			accept()
			time.Sleep(time.Minute)
			require.Empty(t, heard.heard("delivered"))
			again, heardAgain := s.resume("Jerry", through(t, position), opts...)
			require.Empty(t, heardAgain.heard("message"), "it was handled")
			require.Equal(t, []string{"delivered to Jerry"}, heard.heard("delivered"))

			// Once it is known to have arrived, it is not sent again.
			require.NoError(t, s.as(again, conv).Fetch(t.Context()))
			calm()
			mark := len(s.Commands())
			s.Cut("Jerry")
			time.Sleep(time.Minute)
			for _, c := range s.Commands()[mark:] {
				require.NotEqual(t, "ack", c.Name)
			}
		})
	}
}

// through is a position that was stored and read again.
func through(t *testing.T, p realtime.Position) (stored realtime.Position) {
	t.Helper()
	text, err := p.MarshalText()
	require.NoError(t, err)
	require.NoError(t, stored.UnmarshalText(text))
	return stored
}

// Receipts that were told while the sender was away, or seemed not to be, are told
// when it is back.
func TestSurfaceMissedReceipts(t *testing.T) {
	for _, hole := range []bool{false, true} {
		onSurface(t, func(t *testing.T, s *surface) {
			tom, jerry := s.Client("Tom"), s.Client("Jerry")
			conv, crowd := s.group(tom, "Jerry"), s.group(tom, "Jerry", "Spike")
			theirs := s.as(jerry, conv)
			heard := watch(tom)
			var told []string
			tom.OnMessageStatus(func(_ context.Context, e *realtime.MessageStatusEvent) {
				if e.Message.Status == realtime.StatusDelivered {
					told = append(told, e.Message.Text())
				}
			})
			// Jerry hears of it after Tom has gone.
			s.Inject(realtimetest.Fault{Pushes: true, Command: "direct", Client: "Jerry", Times: 3, Do: realtimetest.Delay(time.Minute)})
			m := s.say(conv, "one", realtime.WithReceipt())
			s.say(crowd, "two", realtime.WithReceipt())
			s.say(conv, "three", realtime.WithReceipt())
			back := func() {}
			if hole {
				s.Blackhole("Tom")
			} else {
				back = s.Refuse()
				s.Cut("Tom")
			}
			time.Sleep(time.Minute + time.Second)
			require.NoError(t, theirs.Read(t.Context()))
			calm()
			require.Empty(t, told)
			back()
			time.Sleep(10 * time.Minute) // the silence is noticed by then
			calm()
			require.Equal(t, []string{"one", "three"}, told)
			require.False(t, conv.LastDeliveredAt().Before(m.Timestamp))
			require.False(t, conv.LastReadAt().Before(m.Timestamp))
			require.ElementsMatch(t, []string{"delivered to Jerry", "read by Jerry"}, slices.Compact(heard.heard("delivered", "read")))

			// What has been told is not asked for again.
			mark := len(s.Commands())
			s.Cut("Tom")
			time.Sleep(time.Minute)
			require.NotContains(t, s.sent(mark), "conv/max_read")
		})
	}
}

// A receipt that came for a send without an answer is told when the send is
// repeated.
func TestSurfaceReceiptOfARepeatedSend(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom := s.Client("Tom")
		s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		var told []string
		tom.OnMessageStatus(func(_ context.Context, e *realtime.MessageStatusEvent) {
			if e.Message.Status == realtime.StatusDelivered {
				told = append(told, e.Message.Text())
			}
		})
		s.Inject(realtimetest.Fault{Command: "direct", Client: "Tom", Times: 1, Do: realtimetest.LoseAnswer()})
		send := func() error {
			_, err := conv.Send(t.Context(), realtime.NewTextMessage("one"), realtime.WithReceipt(), realtime.WithDedupToken("token"))
			return err
		}
		require.ErrorIs(t, send(), realtime.ErrOutcomeUnknown)
		calm()
		require.NoError(t, send())
		calm()
		require.Equal(t, []string{"one"}, told)
	})
}
