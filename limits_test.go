package realtime_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rttest"
)

// Sends that are retried do not fill the memory while there is no connection:
// those that are too many fail at once, and say why.
func TestOutboxLimits(t *testing.T) {
	for name, o := range map[string]realtime.Options{
		"count": {Outbox: 2}, "bytes": {OutboxBytes: 3000},
	} {
		t.Run(name, func(t *testing.T) {
			withConversation(t, o, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
				s.Refuse(503)
				s.Socket().Drop()
				synctest.Wait()
				send := func() error {
					_, err := conv.Send(t.Context(), realtime.NewTextMessage(strings.Repeat("x", 1200)), realtime.WithRetry())
					return err
				}
				var waiting sync.WaitGroup
				results := make([]error, 2)
				for i := range results {
					waiting.Go(func() { results[i] = send() })
				}
				synctest.Wait()
				require.EqualValues(t, 2, tom.Stats().SendsWaiting)
				began := time.Now()
				err := send()
				require.Zero(t, time.Since(began))
				require.ErrorIs(t, err, realtime.ErrOutboxFull)
				require.ErrorIs(t, err, realtime.ErrDisconnected)
				require.NotErrorIs(t, err, realtime.ErrOutcomeUnknown)
				require.True(t, realtime.SafeToRetry(err))
				s.Refuse(0)
				waiting.Wait()
				require.Equal(t, []error{nil, nil}, results)
				require.Zero(t, tom.Stats().SendsWaiting)
				require.NoError(t, send(), "there is room again")
			})
		})
	}
}

// A client whose handlers are slow ends when what waits is too large, and a
// stream alone.
func TestEventQueueBytes(t *testing.T) {
	onStage(t, realtime.Options{EventQueueBytes: 10_000}, func(t *testing.T, s *stage) {
		s.has("a", map[string]any{"m": []string{"Tom", "Jerry"}})
		handling, streaming := s.rt.NewIMClient("Tom"), s.rt.NewIMClient("Spike")
		block := make(chan struct{})
		var got []string
		handling.OnMessage(func(_ context.Context, e *realtime.MessageEvent) {
			<-block
			got = append(got, e.Message.ID)
		})
		stream := streaming.Events(t.Context())
		require.NoError(t, handling.Open(t.Context()))
		require.NoError(t, streaming.Open(t.Context()))
		for i := range 20 {
			item := s.said("a", "Jerry", fmt.Sprint("m", i), strings.Repeat("x", 900))
			s.push("Tom", "a", item)
			s.push("Spike", "a", item)
			synctest.Wait()
		}
		require.ErrorIs(t, handling.Err(), realtime.ErrEventOverflow)
		close(block)
		synctest.Wait()
		require.NoError(t, handling.Close(t.Context()))
		require.Len(t, got, 11, "one was being handled, ten waited")
		require.NoError(t, streaming.Err(), "it ends alone")
		n, last := 0, error(nil)
		for e, err := range stream {
			if last = err; err != nil {
				break
			}
			if _, is := e.(*realtime.MessageEvent); is {
				n++
			}
		}
		require.ErrorIs(t, last, realtime.ErrEventOverflow)
		require.Equal(t, 10, n)
	})
}

// A client of hundreds of conversations comes back with a bounded number of
// requests at a time, and few more of them than conversations with news.
func TestRecoveryOfManyConversationsIsNoStorm(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		const all, withNews = 600, 250
		for i := range all {
			s.has(fmt.Sprintf("c%03d", i), map[string]any{"m": []string{"Tom", "Jerry"}})
		}
		var mu sync.Mutex
		inFlight, most, total := 0, 0, 0
		slow := func(answer rttest.Handler) rttest.Handler {
			return func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
				mu.Lock()
				inFlight++
				total++
				most = max(most, inFlight)
				mu.Unlock()
				go func() { // so that the server reads the next one meanwhile
					time.Sleep(50 * time.Millisecond)
					mu.Lock()
					inFlight--
					mu.Unlock()
					sock.Send(answer(sock, cmd))
				}()
				return nil
			}
		}
		tom := s.rt.NewIMClient("Tom")
		var report *realtime.RecoveredEvent
		tom.OnRecovered(func(_ context.Context, e *realtime.RecoveredEvent) { report = e })
		require.NoError(t, tom.Open(t.Context()))
		time.Sleep(time.Second)
		s.Socket().Drop()
		time.Sleep(10 * time.Millisecond)
		for i := range withNews {
			s.said(fmt.Sprintf("c%03d", i), "Jerry", fmt.Sprint("m", i), "missed")
		}
		s.On(pb.CommandType_conv, pb.OpType_query, slow(s.answerQuery))
		s.On(pb.CommandType_logs, 0, slow(s.answerLogs))
		time.Sleep(time.Minute)
		synctest.Wait()
		require.NotNil(t, report)
		require.Equal(t, withNews, report.Messages)
		require.Len(t, report.Conversations, withNews)
		require.Empty(t, report.Failed)
		require.Greater(t, most, 1, "several at a time")
		require.LessOrEqual(t, most, 8)
		require.LessOrEqual(t, total, withNews+10)
	})
}

// What the server refuses is not retried, whatever room there is.
func TestRefusedSendIsNotRetried(t *testing.T) {
	withConversation(t, realtime.Options{Outbox: 1}, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
		s.On(pb.CommandType_direct, 0, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			return sock.Fail(cmd, 4401)
		})
		_, err := conv.Send(t.Context(), realtime.NewTextMessage("x"), realtime.WithRetry())
		var refusal *realtime.Error
		require.True(t, errors.As(err, &refusal))
		require.NotErrorIs(t, err, realtime.ErrOutboxFull)
		require.Zero(t, tom.Stats().SendsWaiting)
	})
}
