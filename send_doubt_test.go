package realtime_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rttest"
	"github.com/leanrtm/realtime/realtimetest"
)

// own listens to what a client is told of its own messages.
func own(c *realtime.IMClient) *log {
	l := new(log)
	c.OnMessage(func(_ context.Context, e *realtime.MessageEvent) {
		missed := ""
		if e.Recovered {
			missed = " (missed)"
		}
		l.add("message %s%s", e.Message.Text(), missed)
	})
	c.OnMessageStatus(func(_ context.Context, e *realtime.MessageStatusEvent) {
		l.add("%s: %s %s", e.Token, e.Message.Text(), e.Message.Status)
	})
	return l
}

// A message whose answer was lost is told to be sent once it is found in the
// history, and delivered when its receipt comes.
func TestDoubtfulSendTurnsOut(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry")
		heard, byJerry := own(tom), watch(jerry)
		events := watch(tom)
		s.Inject(realtimetest.Fault{Command: "direct", Times: 1, Do: realtimetest.CutAfter()})
		jerryAway := s.Refuse()
		s.Cut("Jerry")
		_, err := conv.Send(t.Context(), realtime.NewTextMessage("hello"), realtime.WithReceipt(), realtime.WithDedupToken("t"))
		require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
		jerryAway()
		time.Sleep(time.Minute)
		require.Equal(t, []string{"t: hello sending", "t: hello failed", "t: hello sent", "t: hello delivered"}, heard.take())
		require.Equal(t, []string{"recovered 0 of 0"}, events.heard("recovered"), "it is no news")
		require.Equal(t, []string{"message Tom: hello (missed)"}, byJerry.heard("message"))
		page, err := conv.QueryMessages(t.Context(), realtime.MessageQuery{})
		require.NoError(t, err)
		require.Len(t, page, 1)
		last := conv.LastMessage()
		require.Equal(t, page[0].ID, last.ID)
		require.Equal(t, page[0].Timestamp, last.Timestamp)
		require.Equal(t, realtime.StatusDelivered, last.Status)

		s.Cut("Tom")
		time.Sleep(time.Minute)
		require.Empty(t, heard.take(), "told once")
	})
}

// Of several sends of the same content in doubt, as many turn out to be sent as
// were stored.
func TestDoubtfulSendsOfTheSameContent(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		conv := s.group(s.Client("Tom"), "Jerry")
		heard := own(conv.Client())
		for i, action := range []realtimetest.Action{realtimetest.CutAfter(), realtimetest.CutBefore(), realtimetest.CutAfter()} {
			accept := s.Refuse()
			remove := s.Inject(realtimetest.Fault{Command: "direct", Times: 1, Do: action})
			_, err := conv.Send(t.Context(), realtime.NewTextMessage("ok"), realtime.WithDedupToken(fmt.Sprint("t", i)))
			require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
			remove()
			if i < 2 {
				accept()
				calm()
				continue
			}
			accept()
		}
		time.Sleep(time.Minute)
		got := heard.take()
		require.Equal(t, []string{"t0: ok sending", "t0: ok failed", "t0: ok sent", "t1: ok sending", "t1: ok failed"}, got[:5])
		sent := slices.DeleteFunc(got, func(line string) bool { return line != "t1: ok sent" && line != "t2: ok sent" })
		require.Len(t, sent, 1)
		require.Len(t, s.texts(conv), 2)
	})
}

// What was never stored stays failed, and what another device says later is
// news, though it says the same.
func TestDoubtfulSendThatWasLost(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom := s.Client("Tom")
		conv := s.group(tom, "Jerry")
		heard := own(tom)
		s.Inject(realtimetest.Fault{Command: "direct", Times: 1, Do: realtimetest.CutBefore()})
		_, err := conv.Send(t.Context(), realtime.NewTextMessage("ok"), realtime.WithDedupToken("t"))
		require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
		time.Sleep(2 * time.Minute)
		require.Equal(t, []string{"t: ok sending", "t: ok failed"}, heard.take())
		s.say(s.as(s.Client("Tom"), conv), "ok")
		calm()
		require.Equal(t, []string{"message ok"}, heard.take())
	})
}

// A slow server stores what a lost connection has brought after the next
// session is open, and pushes it there as if another device had sent it.
func TestDoubtfulSendIsPushed(t *testing.T) {
	withConversation(t, realtime.Options{}, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
		var content *string
		s.On(pb.CommandType_direct, 0, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			content = cmd.GetDirectMessage().Msg
			sock.Drop()
			return nil
		})
		push := func(id string) {
			item := s.said("a", "Tom", id, "")
			item.Data = content
			s.push("Tom", "a", item)
			time.Sleep(5 * time.Second)
		}
		heard := own(tom)
		_, err := conv.Send(t.Context(), realtime.NewTextMessage("slow"), realtime.WithDedupToken("t"))
		require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
		time.Sleep(5 * time.Second)
		require.Equal(t, []string{"t: slow sending", "t: slow failed"}, heard.take())
		push("m1")
		require.Equal(t, []string{"t: slow sent"}, heard.take())
		require.Equal(t, "m1", conv.LastMessage().ID)
		push("m2")
		require.Equal(t, []string{"message slow"}, heard.take(), "one send, one message")
	})
}

// A push that looks like a send which is tried again is held back until the
// answer tells whether it is.
func TestPushDuringARetry(t *testing.T) {
	for name, test := range map[string]struct {
		answer string
		want   []string
	}{
		"its own":        {"m1", []string{"t: hi sending", "t: hi sent"}},
		"another device": {"m2", []string{"t: hi sending", "t: hi sent", "message hi"}},
	} {
		t.Run(name, func(t *testing.T) {
			withConversation(t, realtime.Options{}, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
				attempts := 0
				s.On(pb.CommandType_direct, 0, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
					if attempts++; attempts == 1 {
						sock.Drop()
						return nil
					}
					reply := s.Usual(sock, cmd)
					reply.AckMessage.Uid = &test.answer
					go func() { // when recovery is through
						time.Sleep(3 * time.Second)
						item := s.said("a", "Tom", "m1", "")
						item.Data = cmd.GetDirectMessage().Msg
						sock.Send(direct("Tom", "a", item))
						time.Sleep(time.Second)
						sock.Send(reply)
					}()
					return nil
				})
				heard := own(tom)
				m, err := conv.Send(t.Context(), realtime.NewTextMessage("hi"), realtime.WithRetry(), realtime.WithDedupToken("t"))
				require.NoError(t, err)
				require.Equal(t, test.answer, m.ID)
				time.Sleep(5 * time.Second)
				require.Equal(t, test.want, heard.take())
			})
		})
	}
}

// A push of what a lost connection has brought, late enough to come behind the
// answer to the retry, is no news.
func TestPushAfterARetry(t *testing.T) {
	withConversation(t, realtime.Options{}, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
		attempts := 0
		s.On(pb.CommandType_direct, 0, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			if attempts++; attempts == 1 {
				sock.Drop()
				return nil
			}
			reply := s.Usual(sock, cmd)
			reply.AckMessage.Uid = proto.String("m1")
			item := s.said("a", "Tom", "m1", "")
			item.Data = cmd.GetDirectMessage().Msg
			go func() {
				time.Sleep(3 * time.Second)
				sock.Send(direct("Tom", "a", item))
			}()
			return reply
		})
		heard := own(tom)
		_, err := conv.Send(t.Context(), realtime.NewTextMessage("hi"), realtime.WithRetry(), realtime.WithDedupToken("t"))
		require.NoError(t, err)
		time.Sleep(5 * time.Second)
		require.Equal(t, []string{"t: hi sending", "t: hi sent"}, heard.take())
		require.Zero(t, conv.UnreadMessagesCount())
	})
}
