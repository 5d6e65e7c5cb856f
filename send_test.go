package realtime_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rttest"
)

// withConversation runs f with Tom in a conversation of two.
func withConversation(t *testing.T, o realtime.Options, f func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation)) {
	t.Helper()
	onStage(t, o, func(t *testing.T, s *stage) {
		s.has("a", map[string]any{"m": []string{"Tom", "Jerry"}})
		tom := s.open("Tom")
		conv, err := tom.GetConversation(t.Context(), "a")
		require.NoError(t, err)
		f(t, s, tom, conv)
	})
}

// urgent brings its own options.
type urgent struct{ realtime.TypedMessage }

func (*urgent) Type() int { return 3 }

func (*urgent) SendOptions() []realtime.SendOption {
	return []realtime.SendOption{realtime.WithTransient(), realtime.WithMention("Jerry")}
}

func TestSendOptions(t *testing.T) {
	withConversation(t, realtime.Options{}, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
		s.has("room", map[string]any{"conv_type": 2, "tr": true})
		room, err := tom.GetConversation(t.Context(), "room")
		require.NoError(t, err)
		send := func(c *realtime.Conversation, content realtime.Content, opts ...realtime.SendOption) (*pb.GenericCommand, *realtime.Message) {
			m, err := c.Send(t.Context(), content, opts...)
			require.NoError(t, err)
			return s.last(pb.CommandType_direct, 0), m
		}
		text := realtime.NewTextMessage("hi")

		at := time.Now().UTC()
		cmd, m := send(conv, text)
		d := cmd.GetDirectMessage()
		token := d.GetDt()
		require.NotEmpty(t, token)
		d.Dt = nil
		require.True(t, proto.Equal(&pb.DirectCommand{Cid: proto.String("a"), Msg: proto.String(`{"_lctype":-1,"_lctext":"hi"}`)}, d), "%v", d)
		require.Nil(t, cmd.Priority)
		require.Equal(t, "msg1", m.ID)
		require.Equal(t, "a", m.ConversationID)
		require.Equal(t, "Tom", m.From)
		require.Equal(t, at, m.Timestamp)
		require.Equal(t, realtime.StatusSent, m.Status)
		require.Equal(t, text, m.Content)
		require.NotSame(t, text, m.Content)
		require.Equal(t, `{"_lctype":-1,"_lctext":"hi"}`, string(m.Payload()))
		require.Same(t, m, conv.LastMessage())
		require.Equal(t, at, conv.LastMessageAt())

		cmd, m = send(conv, text, realtime.WithReceipt(), realtime.WithMention("Jerry", "Mary"), realtime.WithMentionAll(),
			realtime.WithPushData(map[string]any{"alert": "<hi>"}), realtime.WithDedupToken("mine"), realtime.WithPriority(realtime.PriorityHigh))
		d = cmd.GetDirectMessage()
		require.True(t, d.GetR())
		require.Equal(t, []string{"Jerry", "Mary"}, d.GetMentionPids())
		require.True(t, d.GetMentionAll())
		require.Equal(t, `{"alert":"<hi>"}`, d.GetPushData())
		require.Equal(t, "mine", d.GetDt())
		require.Nil(t, cmd.Priority, "only in chat rooms")
		require.Equal(t, []string{"Jerry", "Mary"}, m.MentionList)
		require.True(t, m.MentionedAll)
		require.False(t, m.Mentioned, "by oneself")

		last := conv.LastMessage()
		cmd, m = send(conv, text, realtime.WithTransient(), realtime.WithReceipt(), realtime.WithWill())
		require.True(t, cmd.GetDirectMessage().GetTransient())
		require.True(t, cmd.GetDirectMessage().GetWill())
		require.Nil(t, cmd.GetDirectMessage().R, "nobody receives that")
		require.True(t, m.Transient)
		require.Same(t, last, conv.LastMessage())

		cmd, _ = send(room, text, realtime.WithPriority(realtime.PriorityLow), realtime.WithReceipt())
		require.EqualValues(t, 3, cmd.GetPriority())
		require.Nil(t, cmd.GetDirectMessage().R)

		cmd, _ = send(conv, &urgent{}, realtime.WithMention("Mary"))
		require.True(t, cmd.GetDirectMessage().GetTransient())
		require.Equal(t, []string{"Jerry", "Mary"}, cmd.GetDirectMessage().GetMentionPids())
		cmd, _ = send(conv, &urgent{}, realtime.WithMention("Mary"), realtime.WithoutDefaults())
		require.Nil(t, cmd.GetDirectMessage().Transient)
		require.Equal(t, []string{"Mary"}, cmd.GetDirectMessage().GetMentionPids())

		data := []byte{0, 1, 255}
		cmd, m = send(conv, realtime.NewBinaryMessage(data))
		require.Equal(t, data, cmd.GetDirectMessage().GetBinaryMsg())
		require.Nil(t, cmd.GetDirectMessage().Msg)
		data[0] = 9
		require.Equal(t, realtime.NewBinaryMessage([]byte{0, 1, 255}), m.Content, "its own copy")
		cmd, _ = send(conv, realtime.NewBinaryMessage(nil))
		require.NotNil(t, cmd.GetDirectMessage().BinaryMsg)
		cmd, m = send(conv, realtime.NewRawMessage("plain"))
		require.Equal(t, "plain", cmd.GetDirectMessage().GetMsg())
		require.Equal(t, realtime.NewRawMessage("plain"), m.Content)

		// A type that is not registered comes back as itself.
		packet := &RedPacket{realtime.TypedMessage{Attributes: map[string]any{"a": 1.0}}, 5}
		_, m = send(conv, packet)
		require.Equal(t, packet, m.Content)
		packet.Attributes["a"] = 2.0
		require.Equal(t, 1.0, m.Attributes()["a"])
	})
}

func TestSendMistakes(t *testing.T) {
	withConversation(t, realtime.Options{}, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
		sent := len(s.Commands())
		text := realtime.NewTextMessage("hi")
		for _, c := range []realtime.Content{nil, (*realtime.TextMessage)(nil), (*RedPacket)(nil), &zero{}} {
			_, err := conv.Send(t.Context(), c)
			require.ErrorIs(t, err, realtime.ErrInvalidArgument)
		}
		for _, opt := range []realtime.SendOption{
			nil, realtime.WithDedupToken(""), realtime.WithPriority(9), realtime.WithMention(""), realtime.WithPushData(func() {}),
		} {
			_, err := conv.Send(t.Context(), text, opt)
			require.ErrorIs(t, err, realtime.ErrInvalidArgument)
		}
		require.Len(t, s.Commands(), sent)

		s.On(pb.CommandType_direct, 0, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			reply := sock.Reply(cmd, pb.CommandType_ack, 0)
			reply.AckMessage = &pb.AckCommand{
				Code: proto.Int32(4402), Reason: proto.String("MESSAGE_REJECTED_BY_APP"), AppCode: proto.Int32(7), AppMsg: proto.String("no"),
			}
			return reply
		})
		_, err := conv.Send(t.Context(), text)
		require.ErrorIs(t, err, realtime.ErrMessageRejectedByApp)
		var e *realtime.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, 7, e.AppCode)
		require.Equal(t, "no", e.AppMessage)
		require.Nil(t, conv.LastMessage())

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = conv.Send(ctx, text)
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, realtime.ErrOutcomeUnknown)

		s.On(pb.CommandType_direct, 0, func(*rttest.Socket, *pb.GenericCommand) *pb.GenericCommand { return nil })
		_, err = conv.Send(t.Context(), text)
		require.ErrorIs(t, err, realtime.ErrTimeout)
		require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
		require.False(t, realtime.SafeToRetry(err))
		_, err = conv.Send(t.Context(), text, realtime.WithDedupToken("t"))
		require.ErrorIs(t, err, realtime.ErrTimeout)
		require.True(t, realtime.SafeToRetry(err))

		require.NoError(t, tom.Close(t.Context()))
		_, err = conv.Send(t.Context(), text)
		require.ErrorIs(t, err, realtime.ErrClosed)
	})
}

func TestMessageStatus(t *testing.T) {
	withConversation(t, realtime.Options{}, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
		var got []string
		tom.OnMessageStatus(func(_ context.Context, e *realtime.MessageStatusEvent) {
			got = append(got, fmt.Sprintf("%s %s %s %v", e.Token, e.Message.Text(), e.Message.Status, e.Err != nil))
			require.Same(t, conv, e.Conversation)
		})
		m, err := conv.Send(t.Context(), realtime.NewTextMessage("one"), realtime.WithReceipt(), realtime.WithDedupToken("t1"))
		require.NoError(t, err)
		at := time.Now().Add(time.Second).UTC()
		receipt := &pb.GenericCommand{
			Cmd: pb.CommandType_rcp.Enum(), PeerId: proto.String("Tom"),
			RcpMessage: &pb.RcpCommand{Cid: proto.String("a"), Id: &m.ID, T: proto.Int64(at.UnixMilli()), From: proto.String("Jerry")},
		}
		s.Socket().Send(receipt, receipt)
		synctest.Wait()
		require.Equal(t, realtime.StatusSent, m.Status, "a snapshot")
		require.Equal(t, realtime.StatusDelivered, conv.LastMessage().Status)
		require.Equal(t, at, conv.LastMessage().DeliveredAt)
		require.Equal(t, at, conv.LastDeliveredAt())

		s.On(pb.CommandType_direct, 0, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand { return sock.Fail(cmd, 4563) })
		_, err = conv.Send(t.Context(), realtime.NewTextMessage("two"), realtime.WithDedupToken("t2"))
		require.ErrorIs(t, err, realtime.ErrSilenced)
		synctest.Wait()
		require.Equal(t, []string{
			"t1 one sending false", "t1 one sent false", "t1 one delivered false",
			"t2 two sending false", "t2 two failed true",
		}, got)
	})
}

func TestBeforeSend(t *testing.T) {
	var seen []string
	fail := errors.New("upload failed")
	upper := realtime.Plugin{Name: "upper", BeforeSend: func(ctx context.Context, out *realtime.Outgoing) error {
		text := out.Content.(*realtime.TextMessage).Text
		seen = append(seen, out.Conversation.ID()+" "+text)
		switch text {
		case "fail":
			return fail
		case "drop":
			out.Content = nil
		default:
			out.Content = realtime.NewTextMessage(text + "!")
		}
		_, err := out.Do((&http.Request{}).WithContext(ctx))
		if err == nil {
			return errors.New("Do did nothing")
		}
		return nil
	}}
	withConversation(t, realtime.Options{Plugins: []realtime.Plugin{upper, upper}}, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
		content := realtime.NewTextMessage("hi")
		m, err := conv.Send(t.Context(), content)
		require.NoError(t, err)
		require.Equal(t, "hi!!", m.Text())
		require.Equal(t, "hi", content.Text)
		require.Equal(t, []string{"a hi", "a hi!"}, seen)
		_, err = conv.Send(t.Context(), realtime.NewTextMessage("fail"))
		require.ErrorIs(t, err, fail)
		require.ErrorContains(t, err, `"upper"`)
		_, err = conv.Send(t.Context(), realtime.NewTextMessage("drop"))
		require.ErrorIs(t, err, realtime.ErrInvalidArgument)
		edited, err := conv.Update(t.Context(), m, realtime.NewTextMessage("edit"))
		require.NoError(t, err)
		require.Equal(t, "edit!!", edited.Text())
	})
}

func TestSendWithRetry(t *testing.T) {
	withConversation(t, realtime.Options{}, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
		stored := map[string]string{}
		attempts := 0
		s.On(pb.CommandType_direct, 0, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			reply := s.Usual(sock, cmd)
			token := cmd.GetDirectMessage().GetDt()
			if id, again := stored[token]; again {
				reply.AckMessage.Uid = &id
			} else {
				stored[token] = reply.GetAckMessage().GetUid()
				s.said("a", "Tom", stored[token], "hi").Data = cmd.GetDirectMessage().Msg
			}
			if attempts++; attempts < 4 {
				sock.Drop()
				return nil
			}
			go func() { // recovery finds the message before its answer comes
				time.Sleep(time.Second)
				sock.Send(reply)
			}()
			return nil
		})
		l := listen(tom)
		time.Sleep(time.Second)
		m, err := conv.Send(t.Context(), realtime.NewTextMessage("hi"), realtime.WithRetry())
		require.NoError(t, err)
		require.Len(t, stored, 1)
		require.Equal(t, 4, attempts)
		for _, id := range stored {
			require.Equal(t, id, m.ID)
		}
		got := l.take()
		require.Equal(t, "recovered 0 of [], failed 0", got[len(got)-1])
		for _, line := range got {
			require.NotContains(t, line, "Tom: hi", "recovery must not take it for news")
		}
	})
}

// Many sends survive a bad network, each stored once, and none leaks.
func TestManySendsWithRetry(t *testing.T) {
	withConversation(t, realtime.Options{}, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
		var mu sync.Mutex
		stored := map[string]string{}
		n := 0
		s.On(pb.CommandType_direct, 0, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			reply := s.Usual(sock, cmd)
			mu.Lock()
			defer mu.Unlock()
			stored[cmd.GetDirectMessage().GetDt()] = cmd.GetDirectMessage().GetMsg()
			if n++; n%7 == 0 {
				sock.Drop()
			}
			return reply
		})
		var sends sync.WaitGroup
		for i := range 50 {
			sends.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				defer cancel()
				_, err := conv.Send(ctx, realtime.NewTextMessage(fmt.Sprint(i)), realtime.WithRetry())
				require.NoError(t, err)
			})
		}
		sends.Wait()
		require.Len(t, stored, 50)
	})
}

func TestRetryEnds(t *testing.T) {
	withConversation(t, realtime.Options{}, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
		text := realtime.NewTextMessage("hi")
		s.On(pb.CommandType_direct, 0, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand { return sock.Fail(cmd, 4401) })
		_, err := conv.Send(t.Context(), text, realtime.WithRetry())
		require.ErrorIs(t, err, realtime.ErrInvalidMessagingTarget, "a refusal is final")

		// Swallowed for ever: until the server would forget the token.
		s.On(pb.CommandType_direct, 0, func(*rttest.Socket, *pb.GenericCommand) *pb.GenericCommand { return nil })
		began := time.Now()
		_, err = conv.Send(t.Context(), text, realtime.WithRetry())
		require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
		require.InDelta(t, 9*time.Minute, time.Since(began), float64(30*time.Second))

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began = time.Now()
		_, err = conv.Send(ctx, text, realtime.WithRetry())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
		require.Equal(t, time.Minute, time.Since(began))

		// Never connected again: certainly not sent, however long it takes.
		s.rt.Pause()
		synctest.Wait()
		ctx, cancel = context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		began = time.Now()
		_, err = conv.Send(ctx, text, realtime.WithRetry())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, realtime.ErrOutcomeUnknown)
		require.True(t, realtime.SafeToRetry(err))
		require.Equal(t, time.Hour, time.Since(began))

		result := make(chan error)
		go func() {
			_, err := conv.Send(context.Background(), text, realtime.WithRetry())
			result <- err
		}()
		time.Sleep(time.Minute)
		require.NoError(t, tom.Close(t.Context()))
		require.ErrorIs(t, <-result, realtime.ErrClosed)
	})
}

func TestUpdateAndRecall(t *testing.T) {
	withConversation(t, realtime.Options{}, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
		m, err := conv.Send(t.Context(), realtime.NewTextMessage("one"), realtime.WithMention("Jerry"))
		require.NoError(t, err)
		time.Sleep(time.Second)
		at := time.Now().UTC()
		edited, err := conv.Update(t.Context(), m, realtime.NewTextMessage("two"), realtime.WithMentionAll())
		require.NoError(t, err)
		item := s.last(pb.CommandType_patch, pb.OpType_modify).GetPatchMessage().GetPatches()[0]
		require.True(t, proto.Equal(&pb.PatchItem{
			Cid: proto.String("a"), Mid: &m.ID, Timestamp: proto.Int64(m.Timestamp.UnixMilli()), Recall: proto.Bool(false),
			Data: proto.String(`{"_lctype":-1,"_lctext":"two"}`), MentionAll: proto.Bool(true),
		}, item), "%v", item)
		require.Equal(t, m.ID, edited.ID)
		require.Equal(t, m.Timestamp, edited.Timestamp)
		require.Equal(t, at, edited.UpdatedAt)
		require.Equal(t, "two", edited.Text())
		require.True(t, edited.MentionedAll)
		require.Equal(t, realtime.StatusSent, edited.Status)
		require.Equal(t, "one", m.Text(), "a snapshot")
		require.Same(t, edited, conv.LastMessage())

		_, err = conv.Update(t.Context(), &realtime.Message{ID: m.ID, Timestamp: m.Timestamp}, realtime.NewBinaryMessage([]byte{1}))
		require.NoError(t, err)
		require.Equal(t, []byte{1}, s.last(pb.CommandType_patch, pb.OpType_modify).GetPatchMessage().GetPatches()[0].GetBinaryMsg())

		recalled, err := conv.Recall(t.Context(), m)
		require.NoError(t, err)
		require.IsType(t, &realtime.RecalledMessage{}, recalled.Content)
		item = s.last(pb.CommandType_patch, pb.OpType_modify).GetPatchMessage().GetPatches()[0]
		require.True(t, item.GetRecall())
		require.Nil(t, item.Data)
		require.Same(t, recalled, conv.LastMessage())
		require.Equal(t, `{"_lctype":-127}`, string(recalled.Payload()))

		sent := len(s.Commands())
		other := *m
		other.From = "Jerry"
		_, err = conv.Recall(t.Context(), &other)
		require.ErrorIs(t, err, realtime.ErrMessageOwnershipRequired)
		elsewhere := *m
		elsewhere.ConversationID = "b"
		for _, bad := range []*realtime.Message{nil, {}, {ID: "x"}, {Timestamp: at}, &elsewhere} {
			_, err = conv.Recall(t.Context(), bad)
			require.ErrorIs(t, err, realtime.ErrInvalidArgument)
		}
		_, err = conv.Update(t.Context(), m, nil)
		require.ErrorIs(t, err, realtime.ErrInvalidArgument)
		_, err = conv.Update(t.Context(), m, realtime.NewTextMessage("x"), nil)
		require.ErrorIs(t, err, realtime.ErrInvalidArgument)
		require.Len(t, s.Commands(), sent)

		s.On(pb.CommandType_patch, pb.OpType_modify, func(sock *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand { return sock.Fail(cmd, 4407) })
		_, err = conv.Recall(t.Context(), m)
		require.ErrorIs(t, err, realtime.ErrMessageRecallDisabled)
	})
}
