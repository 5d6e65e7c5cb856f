package realtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// raw is a connection to the server that speaks the protocol by hand, as other
// SDKs do.
type raw struct {
	t     *testing.T
	conn  *websocket.Conn
	codec wire.Codec

	mu     sync.Mutex
	frames []*pb.GenericCommand
	closed websocket.StatusCode // 0: open
}

// dial connects with a subprotocol.
func (s *surface) dial(subprotocol string) *raw {
	s.t.Helper()
	codec, known := wire.CodecFor(subprotocol)
	require.True(s.t, known)
	conn, _, err := websocket.Dial(s.t.Context(), s.URL, &websocket.DialOptions{
		HTTPClient: s.HTTPClient(), Subprotocols: []string{subprotocol},
	})
	require.NoError(s.t, err)
	require.Equal(s.t, subprotocol, conn.Subprotocol())
	conn.SetReadLimit(1 << 20)
	p := &raw{t: s.t, conn: conn, codec: codec}
	done := make(chan struct{})
	go func() { // ends with the connection
		defer close(done)
		for {
			_, data, err := conn.Read(context.Background())
			p.mu.Lock()
			if err != nil {
				var closed websocket.CloseError
				if p.closed = -1; errors.As(err, &closed) {
					p.closed = closed.Code
				}
				p.mu.Unlock()
				return
			}
			cmd, err := codec.Unmarshal(data)
			if err != nil {
				s.t.Errorf("the server sent nonsense: %v", err)
			}
			p.frames = append(p.frames, cmd)
			p.mu.Unlock()
		}
	}()
	s.t.Cleanup(func() {
		_ = conn.CloseNow()
		<-done
	})
	return p
}

// send sends commands, and returns everything that comes until all is quiet.
func (p *raw) send(cmds ...*pb.GenericCommand) []*pb.GenericCommand {
	p.t.Helper()
	for _, cmd := range cmds {
		data, err := p.codec.Marshal(cmd)
		require.NoError(p.t, err)
		kind := websocket.MessageBinary
		if p.codec.Text {
			kind = websocket.MessageText
		}
		require.NoError(p.t, p.conn.Write(p.t.Context(), kind, data))
	}
	time.Sleep(time.Second)
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	frames := p.frames
	p.frames = nil
	return frames
}

// status is the close code of the connection; 0: it is open.
func (p *raw) status() websocket.StatusCode {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// open is the login of a client.
func (s *surface) open(id string, bits int64) *pb.GenericCommand {
	return &pb.GenericCommand{
		Cmd: pb.CommandType_session.Enum(), Op: pb.OpType_open.Enum(), I: proto.Int32(1),
		AppId: proto.String(s.AppID), PeerId: proto.String(id),
		SessionMessage: &pb.SessionCommand{Ua: proto.String("old/1.0"), R: proto.Bool(false), ConfigBitmap: proto.Int64(bits)},
	}
}

const usualBits = wire.BitPatch | wire.BitTemporary | wire.BitTransientAck | wire.BitNotifications | wire.BitPartialResult

// Older apps want what they missed pushed after the login, and no counts.
func TestSurfaceMissedMessagesOfOldApps(t *testing.T) {
	for _, subprotocol := range []string{wire.SubprotocolBinaryOffline, wire.SubprotocolTextOffline} {
		t.Run(subprotocol, func(t *testing.T) {
			onSurface(t, func(t *testing.T, s *surface) {
				ctx := t.Context()
				tom := s.Client("Tom")
				many, few := s.group(tom, "Jerry"), s.group(tom, "Jerry", "Spike")
				for i := range 25 {
					s.say(many, fmt.Sprint(i))
				}
				s.say(few, "you", realtime.WithMention("Jerry"))
				bin, err := few.Send(ctx, realtime.NewBinaryMessage([]byte{1, 2, 3}))
				require.NoError(t, err)
				s.say(few, "nobody hears", realtime.WithTransient())
				old := s.dial(subprotocol)
				frames := old.send(s.open("Jerry", usualBits))
				require.Equal(t, pb.OpType_opened, frames[0].GetOp())
				var ofMany, ofFew []*pb.DirectCommand
				for _, f := range frames[1:] {
					require.Equal(t, pb.CommandType_direct, f.GetCmd(), "and nothing else: %v", f)
					require.Equal(t, "Jerry", f.GetPeerId())
					require.EqualValues(t, wire.ServiceIM, f.GetService())
					require.Nil(t, f.I)
					m := f.GetDirectMessage()
					require.True(t, m.GetOffline())
					require.Equal(t, m.GetCid() == many.ID(), m.GetHasMore())
					if m.GetCid() == many.ID() {
						ofMany = append(ofMany, m)
					} else {
						ofFew = append(ofFew, m)
					}
				}
				require.Len(t, ofMany, 20)
				for i, m := range ofMany {
					require.Equal(t, textContent(fmt.Sprint(i+5)), sameJSON(t, m.GetMsg()), "the newest ones, in order")
				}
				require.Len(t, ofFew, 2)
				require.Equal(t, []string{"Jerry"}, ofFew[0].GetMentionPids())
				require.Equal(t, []byte{1, 2, 3}, ofFew[1].GetBinaryMsg())
				require.Equal(t, bin.ID, ofFew[1].GetId())

				// What is acknowledged is not pushed again.
				require.Empty(t, old.send(&pb.GenericCommand{
					Cmd: pb.CommandType_ack.Enum(), AckMessage: &pb.AckCommand{
						Cid: proto.String(many.ID()), Fromts: ofMany[0].Timestamp, Tots: ofMany[19].Timestamp,
					},
				}, &pb.GenericCommand{
					Cmd: pb.CommandType_ack.Enum(), AckMessage: &pb.AckCommand{Cid: proto.String(few.ID()), Mid: ofFew[0].Id},
				}))
				s.say(many, "live")
				frames = old.send()
				require.Len(t, frames, 1)
				require.False(t, frames[0].GetDirectMessage().GetOffline())
				require.Equal(t, textContent("live"), sameJSON(t, frames[0].GetDirectMessage().GetMsg()))

				again := s.dial(subprotocol).send(s.open("Jerry", usualBits))
				left := map[string]int{}
				for _, f := range again[1:] {
					left[f.GetDirectMessage().GetCid()]++
				}
				require.Equal(t, map[string]int{many.ID(): 1, few.ID(): 1}, left)

				// A newer app of the same client is told the counts.
				heard := watch(s.Client("Jerry"))
				require.ElementsMatch(t, []string{"unread 26", "unread 2 @me"}, heard.heard())
			})
		})
	}
}

// sameJSON is a content written as textContent writes it.
func sameJSON(t *testing.T, text string) string {
	t.Helper()
	var v map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &v))
	out, err := json.Marshal(v)
	require.NoError(t, err)
	return string(out)
}

// What a client's bits do not ask for is not pushed, and failures of single
// ids are told as an error to who does not know better.
func TestSurfaceBitsOfOldApps(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		tom := s.Client("Tom")
		conv := s.group(tom, "Jerry", "Spike")
		tmp, err := tom.CreateTemporaryConversation(ctx, realtime.TemporaryConversationOptions{Members: []string{"Jerry"}})
		require.NoError(t, err)
		plain, full := s.dial(wire.SubprotocolBinary), s.dial(wire.SubprotocolText)
		require.Len(t, plain.send(s.open("Jerry", 0)), 1)
		require.Len(t, full.send(s.open("Jerry", usualBits)), 1)
		m := s.say(conv, "a")
		_, err = conv.Update(ctx, m, realtime.NewTextMessage("b"))
		require.NoError(t, err)
		s.say(tmp, "psst")
		names := func(frames []*pb.GenericCommand) (list []string) {
			for _, f := range frames {
				list = append(list, f.GetCmd().String())
			}
			return list
		}
		require.Equal(t, []string{"direct"}, names(plain.send()))
		require.Equal(t, []string{"direct", "patch", "direct"}, names(full.send()))

		remove := &pb.GenericCommand{
			Cmd: pb.CommandType_conv.Enum(), Op: pb.OpType_remove.Enum(), I: proto.Int32(2),
			ConvMessage: &pb.ConvCommand{Cid: proto.String(conv.ID()), M: []string{"Tom"}},
		}
		got := plain.send(remove)
		require.Len(t, got, 1)
		require.EqualValues(t, realtime.ErrConversationOperationUnauthorized, got[0].GetErrorMessage().GetCode())
		require.Equal(t, "CONVERSATION_OPERATION_UNAUTHORIZED", got[0].GetErrorMessage().GetReason())
		got = full.send(remove)
		require.Equal(t, pb.OpType_removed, got[0].GetOp())
		require.Equal(t, []string{"Tom"}, got[0].GetConvMessage().GetFailedPids()[0].GetPids())
	})
}

// How the server ends a connection that cannot go on.
func TestSurfaceCloseCodes(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		loggedIn := func() *raw {
			p := s.dial(wire.SubprotocolBinary)
			require.Len(t, p.send(s.open("Tom", usualBits)), 1)
			return p
		}
		strange := s.open("Tom", usualBits)
		strange.AppId = proto.String("another")
		for name, test := range map[string]struct {
			want realtime.ErrorCode
			do   func() *raw
		}{
			"garbage": {realtime.ErrUnparseableRawMessage, func() *raw {
				p := loggedIn()
				require.NoError(t, p.conn.Write(t.Context(), websocket.MessageBinary, []byte{0xff}))
				return p
			}},
			"a long frame": {realtime.ErrFrameTooLong, func() *raw {
				p := loggedIn()
				_ = p.conn.Write(t.Context(), websocket.MessageBinary, make([]byte, 1<<17)) // which the server may cut off
				return p
			}},
			"no login": {realtime.ErrLoginTimeout, func() *raw {
				p := s.dial(wire.SubprotocolText)
				time.Sleep(61 * time.Second)
				return p
			}},
			"silence": {realtime.ErrReadTimeout, func() *raw {
				p := loggedIn()
				time.Sleep(7 * time.Minute)
				return p
			}},
			"no id": {realtime.ErrInvalidLogin, func() *raw {
				p := s.dial(wire.SubprotocolBinary)
				require.EqualValues(t, realtime.ErrInvalidLogin, errorOf(t, p.send(s.open("", usualBits))))
				return p
			}},
			"no such app": {realtime.ErrAppNotAvailable, func() *raw {
				p := s.dial(wire.SubprotocolBinary)
				require.EqualValues(t, realtime.ErrAppNotAvailable, errorOf(t, p.send(strange)))
				return p
			}},
		} {
			p := test.do()
			time.Sleep(time.Second)
			require.EqualValues(t, test.want, p.status(), name)
		}
	})
}
