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

// chronicle is a conversation with n messages, one a minute: "0", "1", ….
func chronicle(t *testing.T, s *story, n int) (conv *realtime.Conversation, sent []*realtime.Message) {
	t.Helper()
	conv = s.conversation("Tom", "Jerry")
	for i := range n {
		time.Sleep(time.Minute)
		sent = append(sent, mustSend(t, conv, fmt.Sprint(i)))
	}
	time.Sleep(time.Minute)
	return conv, sent
}

// numbers are "from", …, "to"; backwards if to is the smaller one.
func numbers(from, to int) []string {
	list := []string{}
	for i := min(from, to); i <= max(from, to); i++ {
		list = append(list, fmt.Sprint(i))
	}
	if to < from {
		slices.Reverse(list)
	}
	return list
}

func TestE2EQueryMessages(t *testing.T) {
	play(t, []string{"Tom"}, func(t *testing.T, s *story) {
		conv, sent := chronicle(t, s, 30)
		at := func(n int) time.Time { return sent[n].Timestamp }
		id := func(n int) string { return sent[n].ID }
		type query = realtime.MessageQuery
		const backward, forward = realtime.NewToOld, realtime.OldToNew
		tests := []struct {
			name string
			q    query
			want []string
		}{
			{"latest", query{}, numbers(10, 29)},
			{"limit", query{Limit: 5}, numbers(25, 29)},
			{"more than there are", query{Limit: 1000}, numbers(0, 29)},
			{"backward from a time", query{Limit: 5, StartTime: at(10)}, numbers(5, 9)},
			{"backward from a message", query{Limit: 5, StartTime: at(10), StartMessageID: id(10)}, numbers(5, 9)},
			{"backward including the message", query{Limit: 5, StartTime: at(10), StartMessageID: id(10), StartClosed: true}, numbers(6, 10)},
			{"backward including the time", query{Limit: 5, StartTime: at(10), StartClosed: true}, numbers(6, 10)},
			{"backward between", query{StartTime: at(20), EndTime: at(15)}, numbers(16, 19)},
			{"backward between, closed", query{StartTime: at(20), StartClosed: true, EndTime: at(15), EndClosed: true}, numbers(15, 20)},
			{"backward to an end, limit first", query{Limit: 2, StartTime: at(20), EndTime: at(10)}, numbers(18, 19)},
			{"forward from the beginning", query{Direction: forward, Limit: 5}, numbers(0, 4)},
			{"forward from a time", query{Direction: forward, Limit: 5, StartTime: at(10)}, numbers(11, 15)},
			{"forward from a message", query{Direction: forward, Limit: 5, StartTime: at(10), StartMessageID: id(10)}, numbers(11, 15)},
			{"forward including the message", query{Direction: forward, Limit: 5, StartTime: at(10), StartMessageID: id(10), StartClosed: true}, numbers(10, 14)},
			{"forward between", query{Direction: forward, StartTime: at(10), EndTime: at(15)}, numbers(11, 14)},
			{"forward between messages, closed", query{
				Direction: forward, StartTime: at(10), StartMessageID: id(10), StartClosed: true,
				EndTime: at(15), EndMessageID: id(15), EndClosed: true,
			}, numbers(10, 15)},
			{"auto is forward when the end is later", query{StartTime: at(10), EndTime: at(15)}, numbers(11, 14)},
			{"auto is backward when the end is earlier", query{StartTime: at(15), EndTime: at(10)}, numbers(11, 14)},
			{"of a type", query{Type: realtime.TypeText, Limit: 3}, numbers(27, 29)},
			{"of a type nobody uses", query{Type: 4711}, numbers(1, 0)[:0]},
			{"before the beginning", query{StartTime: at(0)}, numbers(1, 0)[:0]},
			{"after the end", query{Direction: forward, StartTime: at(29)}, numbers(1, 0)[:0]},
			{"far away", query{Direction: forward, StartTime: at(29).Add(1e6 * time.Hour)}, numbers(1, 0)[:0]},
			{"backward nearest", query{Direction: backward, StartTime: at(29), StartClosed: true, Limit: 1}, numbers(29, 29)},
		}
		for _, test := range tests {
			page, err := conv.QueryMessages(t.Context(), test.q)
			require.NoError(t, err, test.name)
			require.Equal(t, test.want, texts(page), test.name)
		}
		for _, m := range mustQuery(t, conv, query{Limit: 3}) {
			require.Equal(t, conv.ID(), m.ConversationID)
			require.Equal(t, "Tom", m.From)
			require.Equal(t, realtime.StatusSent, m.Status, "an own message that was stored")
		}
	})
}

func mustQuery(t *testing.T, conv *realtime.Conversation, q realtime.MessageQuery) []*realtime.Message {
	t.Helper()
	page, err := conv.QueryMessages(t.Context(), q)
	require.NoError(t, err)
	return page
}

func TestE2EHistoryOfAType(t *testing.T) {
	play(t, []string{"Tom"}, func(t *testing.T, s *story) {
		conv := s.conversation("Tom", "Jerry")
		for i := range 5 {
			mustSend(t, conv, fmt.Sprint(i))
			for _, c := range []realtime.Content{
				realtime.NewRawMessage("words"), realtime.NewBinaryMessage([]byte{1}),
				realtime.NewRawMessage(`{"_lctype":7}`),
			} {
				_, err := conv.Send(t.Context(), c)
				require.NoError(t, err)
			}
		}
		require.Equal(t, numbers(0, 4), texts(mustQuery(t, conv, realtime.MessageQuery{Type: realtime.TypeText})))
		require.Len(t, mustQuery(t, conv, realtime.MessageQuery{Type: 7}), 5)
		require.Len(t, mustQuery(t, conv, realtime.MessageQuery{Limit: 100}), 20)
	})
}

func TestE2EMessageIterator(t *testing.T) {
	play(t, []string{"Tom"}, func(t *testing.T, s *story) {
		conv, sent := chronicle(t, s, 25)
		pages := func(q realtime.MessageQuery) (list [][]string) {
			it := conv.MessageIterator(q)
			for {
				page, done, err := it.Next(t.Context())
				require.NoError(t, err)
				list = append(list, texts(page))
				if done {
					return list
				}
				require.Less(t, len(list), 100)
			}
		}
		require.Equal(t, [][]string{numbers(15, 24), numbers(5, 14), numbers(0, 4)},
			pages(realtime.MessageQuery{Limit: 10}))
		require.Equal(t, [][]string{numbers(0, 9), numbers(10, 19), numbers(20, 24)},
			pages(realtime.MessageQuery{Limit: 10, Direction: realtime.OldToNew}))
		require.Equal(t, [][]string{numbers(4, 11), numbers(0, 3)},
			pages(realtime.MessageQuery{Limit: 8, StartTime: sent[12].Timestamp, StartMessageID: sent[12].ID}))
		require.Equal(t, [][]string{numbers(5, 24)}, pages(realtime.MessageQuery{Limit: 20, EndTime: sent[4].Timestamp})[:1])
	})
}

// After an error the same page is asked for again.
func TestE2EMessageIteratorGoesOnAfterAnError(t *testing.T) {
	play(t, []string{"Tom"}, func(t *testing.T, s *story) {
		conv, _ := chronicle(t, s, 10)
		it := conv.MessageIterator(realtime.MessageQuery{Limit: 4})
		first, done, err := it.Next(t.Context())
		require.NoError(t, err)
		require.False(t, done)
		require.Equal(t, numbers(6, 9), texts(first))

		s.Inject(realtimetest.Fault{Command: "logs", Times: 1, Do: realtimetest.Fail(realtime.ErrConversationLogFailed)})
		_, _, err = it.Next(t.Context())
		require.ErrorIs(t, err, realtime.ErrConversationLogFailed)
		second, _, err := it.Next(t.Context())
		require.NoError(t, err)
		require.Equal(t, numbers(2, 5), texts(second))
	})
}

func TestE2EMessages(t *testing.T) {
	play(t, []string{"Tom"}, func(t *testing.T, s *story) {
		conv, sent := chronicle(t, s, 25)
		all := func(q realtime.MessageQuery) (list []string) {
			for m, err := range conv.Messages(t.Context(), q) {
				require.NoError(t, err)
				list = append(list, m.Text())
			}
			return list
		}
		require.Equal(t, numbers(24, 0), all(realtime.MessageQuery{}))
		require.Equal(t, numbers(24, 0), all(realtime.MessageQuery{Limit: 7}))
		require.Equal(t, numbers(24, 0), all(realtime.MessageQuery{Limit: 5}))
		require.Equal(t, numbers(0, 24), all(realtime.MessageQuery{Limit: 7, Direction: realtime.OldToNew}))
		require.Equal(t, numbers(11, 19), all(realtime.MessageQuery{
			Limit: 4, StartTime: sent[10].Timestamp, EndTime: sent[20].Timestamp,
		}))

		seq := conv.Messages(t.Context(), realtime.MessageQuery{Limit: 5})
		for range 2 { // each range starts again
			var seen []string
			for m, err := range seq {
				require.NoError(t, err)
				if seen = append(seen, m.Text()); len(seen) == 8 {
					break
				}
			}
			require.Equal(t, numbers(24, 17), seen)
		}
	})
}

func TestE2EMessagesEndWithAnError(t *testing.T) {
	play(t, []string{"Tom"}, func(t *testing.T, s *story) {
		conv, _ := chronicle(t, s, 10)
		s.Inject(realtimetest.Fault{Command: "logs", Skip: 1, Do: realtimetest.Fail(realtime.ErrConversationLogFailed)})
		var seen []string
		var failed error
		for m, err := range conv.Messages(t.Context(), realtime.MessageQuery{Limit: 4}) {
			if err != nil {
				require.Nil(t, m)
				require.NoError(t, failed, "one error, and it is the last")
				failed = err
				continue
			}
			seen = append(seen, m.Text())
		}
		require.ErrorIs(t, failed, realtime.ErrConversationLogFailed)
		require.Equal(t, numbers(9, 6), seen)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, err := range conv.Messages(ctx, realtime.MessageQuery{}) {
			require.ErrorIs(t, err, context.Canceled)
		}
	})
}

func TestE2EHistoryIsForMembers(t *testing.T) {
	play(t, []string{"Tom", "Jerry", "Mary"}, func(t *testing.T, s *story) {
		conv := s.conversation("Tom", "Jerry")
		mustSend(t, conv, "before Mary came")
		marys := s.as("Mary", conv)
		_, err := marys.QueryMessages(t.Context(), realtime.MessageQuery{})
		require.ErrorIs(t, err, realtime.ErrConversationLogRejected)
		_, err = marys.Send(t.Context(), realtime.NewTextMessage("let me in"))
		require.ErrorIs(t, err, realtime.ErrInvalidMessagingTarget)
		require.NoError(t, marys.Join(t.Context()))
		require.Equal(t, []string{"before Mary came"}, texts(mustQuery(t, marys, realtime.MessageQuery{})))
	})
}
