package server_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server"
	"github.com/leanrtm/realtime/server/internal/sign"
	"github.com/leanrtm/realtime/server/internal/wstest"
)

const ms = time.Millisecond

func convCommand(op pb.OpType, i int32, m *pb.ConvCommand) *pb.GenericCommand {
	return &pb.GenericCommand{Cmd: pb.CommandType_conv.Enum(), Op: op.Enum(), I: proto.Int32(i), ConvMessage: m}
}

// start creates a conversation and returns its id.
func start(t *testing.T, c *wstest.Conn, members ...string) string {
	t.Helper()
	c.Send(convCommand(pb.OpType_start, 2, &pb.ConvCommand{M: members}))
	started := until(t, c, 2)
	require.Equal(t, pb.OpType_started, started.GetOp(), "%v", started)
	return started.GetConvMessage().GetCid()
}

// until skips pushes and returns the reply to a command.
func until(t *testing.T, c *wstest.Conn, i int32) *pb.GenericCommand {
	t.Helper()
	for {
		if cmd := c.Read(); cmd.GetI() == i {
			return cmd
		}
	}
}

func direct(cid, text string, i int32) *pb.GenericCommand {
	return &pb.GenericCommand{
		Cmd: pb.CommandType_direct.Enum(), I: proto.Int32(i),
		DirectMessage: &pb.DirectCommand{Cid: proto.String(cid), Msg: proto.String(text)},
	}
}

// message skips other pushes and returns the next message.
func message(t *testing.T, c *wstest.Conn) *pb.GenericCommand {
	t.Helper()
	for {
		if cmd := c.Read(); cmd.GetCmd() == pb.CommandType_direct {
			return cmd
		}
	}
}

func TestTwoClientsTalk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		tom, jerry := e.login("tom"), e.login("jerry")
		cid := start(t, tom, "tom", "jerry")
		for i := range int32(5) {
			text := fmt.Sprint("message ", i)
			tom.Send(direct(cid, text, 10+i))
			ack := until(t, tom, 10+i)
			require.Equal(t, pb.CommandType_ack, ack.GetCmd())
			require.Nil(t, ack.GetAckMessage().Code)
			got := message(t, jerry)
			require.Equal(t, text, got.GetDirectMessage().GetMsg())
			require.Equal(t, "tom", got.GetDirectMessage().GetFromPeerId())
			require.Equal(t, ack.GetAckMessage().GetUid(), got.GetDirectMessage().GetId())
			require.Equal(t, "jerry", got.GetPeerId())
			require.Equal(t, int32(wire.ServiceIM), got.GetService())
		}
	})
}

func TestTheActorsConnectionGetsTheReplyFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		c := e.login("tom")
		c.Send(openCommand("jerry"))
		until(t, c, 1)
		mary := e.login("mary")
		time.Sleep(20 * ms)
		begin := time.Now()
		start := convCommand(pb.OpType_start, 9, &pb.ConvCommand{M: []string{"tom", "jerry", "mary"}})
		start.PeerId = proto.String("tom")
		c.Send(start)
		require.Equal(t, pb.OpType_joined, mary.Read().GetOp())
		require.Zero(t, time.Since(begin))
		require.Equal(t, int32(9), c.Read().GetI())
		require.Zero(t, time.Since(begin))
		for range 4 { // joined and members_joined, for tom and for jerry
			push := c.Read()
			require.Nil(t, push.I)
			require.Equal(t, 10*ms, time.Since(begin))
		}
		c.WantSilence(time.Second)
	})
}

func TestLoginSignature(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Apps[0].VerifyLogin = true
		e := newEnv(t, o)
		c := e.connect()
		open := openCommand("tom")
		c.Send(open)
		got := c.Read()
		wantError(t, got, wire.CodeSignatureFailed)
		s := sign.Login(appID, "tom").Sign(masterKey, time.Now().UnixMilli(), "nonce")
		m := open.SessionMessage
		m.T, m.N, m.S = proto.Int64(s.Timestamp), proto.String(s.Nonce), proto.String(s.Value)
		*open.PeerId = "jerry" // the signature is tom's
		c.Send(open)
		wantError(t, c.Read(), wire.CodeSignatureFailed)
		*open.PeerId = "tom"
		c.Send(open)
		st := c.Read().GetSessionMessage().GetSt()
		require.NotEmpty(t, st)
		again := openCommand("tom")
		again.SessionMessage.R, again.SessionMessage.St = proto.Bool(true), proto.String(st)
		c2 := e.connect()
		c2.Send(again)
		require.Equal(t, pb.OpType_opened, c2.Read().GetOp())
	})
}

func TestTokensOutliveAServerWithItsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		login := func(o server.Options, st string) *pb.GenericCommand {
			e := newEnv(t, o)
			c := e.connect()
			cmd := openCommand("tom")
			if st != "" {
				cmd.SessionMessage.R, cmd.SessionMessage.St = proto.Bool(true), proto.String(st)
			}
			c.Send(cmd)
			got := c.Read()
			require.NoError(t, e.srv.Close())
			return got
		}
		one, two := []byte("key one, long enough"), []byte("key two, long enough")
		o := options()
		o.TokenKey = one
		st := login(o, "").GetSessionMessage().GetSt()
		require.Equal(t, pb.OpType_opened, login(o, st).GetOp())
		o.TokenKey, o.OldTokenKeys = two, [][]byte{one}
		require.Equal(t, pb.OpType_opened, login(o, st).GetOp())
		o.OldTokenKeys = nil
		wantError(t, login(o, st), wire.CodeSessionTokenExpired)
		o.TokenKey = nil
		wantError(t, login(o, st), wire.CodeSessionTokenExpired)
	})
}

func TestReconnectGetsWhatWasMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		tom, jerry := e.login("tom"), e.login("jerry")
		cid := start(t, tom, "tom", "jerry")
		time.Sleep(time.Second)
		jerry.Net.Close()
		synctest.Wait()
		for i := range int32(3) {
			tom.Send(direct(cid, "missed", 10+i))
			until(t, tom, 10+i)
		}
		jerry = e.connect()
		begin := time.Now()
		cmd := openCommand("jerry")
		cmd.SessionMessage.R = proto.Bool(true)
		jerry.Send(cmd)
		require.Equal(t, pb.OpType_opened, jerry.Read().GetOp())
		require.Zero(t, time.Since(begin))
		unread := jerry.Read()
		require.Equal(t, pb.CommandType_unread, unread.GetCmd())
		require.Equal(t, 10*ms, time.Since(begin))
		require.Equal(t, "jerry", unread.GetPeerId())
		require.Len(t, unread.GetUnreadMessage().GetConvs(), 1)
		require.Equal(t, int32(3), unread.GetUnreadMessage().GetConvs()[0].GetUnread())
	})
}

func TestUnknownCommandsAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		c := e.login("tom")
		for i := range int32(60) {
			switch pb.CommandType(i) {
			case pb.CommandType_session, pb.CommandType_ack, pb.CommandType_read:
				continue
			}
			c.Send(&pb.GenericCommand{Cmd: pb.CommandType(i).Enum(), Op: pb.OpType(999).Enum(), I: proto.Int32(i + 100)})
			require.Equal(t, i+100, c.Read().GetI())
		}
	})
}

// Whatever a client sends, the server answers it or closes that connection, and
// everybody else goes on.
func TestHostileFramesHurtNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		tom, jerry := e.login("tom"), e.login("jerry")
		cid := start(t, tom, "tom", "jerry")
		seeds := [][]byte{tom.Encode(direct(cid, "hello", 9)), tom.Encode(openCommand("mary")),
			tom.Encode(convCommand(pb.OpType_query, 9, &pb.ConvCommand{Where: &pb.JsonObjectMessage{Data: proto.String(`{"a":{"$in":[1]}}`)}}))}
		rnd := rand.New(rand.NewPCG(3, 4))
		for n := range 300 {
			c := e.connect()
			c.Send(openCommand("mallory"))
			frame := append([]byte(nil), seeds[n%len(seeds)]...)
			for range 1 + rnd.IntN(6) {
				frame[rnd.IntN(len(frame))] = byte(rnd.Uint32())
			}
			c.Write(frame[:1+rnd.IntN(len(frame))])
			synctest.Wait()
			c.Net.Close()
		}
		tom.Send(direct(cid, "still here", 77))
		until(t, tom, 77)
		require.Equal(t, "still here", message(t, jerry).GetDirectMessage().GetMsg())
	})
}

func TestCloseInTheMiddleOfEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		tom := e.login("tom")
		cid := start(t, tom, "tom", "jerry")
		for i := range int32(50) {
			tom.Send(direct(cid, "x", i+10))
		}
		e.connect() // never logs in
		half := e.connect()
		half.Write([]byte{0x82})
		begin := time.Now()
		require.NoError(t, e.srv.Close())
		require.Zero(t, time.Since(begin))
	})
}

func TestNoSecretInErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Apps[0].VerifyLogin = true
		e := newEnv(t, o)
		c := e.connect()
		open := openCommand("tom")
		open.SessionMessage.S = proto.String("deadbeef-signature")
		open.SessionMessage.T = proto.Int64(time.Now().UnixMilli())
		c.Send(open)
		raw, err := json.Marshal(c.Read().GetErrorMessage())
		require.NoError(t, err)
		require.NotContains(t, string(raw), masterKey)
		require.NotContains(t, string(raw), "deadbeef")
	})
}
