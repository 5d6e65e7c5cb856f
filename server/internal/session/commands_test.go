package session_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/token"
	"github.com/leanrtm/realtime/server/internal/wstest"
)

func sessionCommand(op pb.OpType, client string, i int32, m *pb.SessionCommand) *pb.GenericCommand {
	cmd := &pb.GenericCommand{Cmd: pb.CommandType_session.Enum(), Op: op.Enum(), I: proto.Int32(i), SessionMessage: m}
	if client != "" {
		cmd.PeerId = proto.String(client)
	}
	return cmd
}

func TestWhichSessionACommandBelongsTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		c := e.connect()
		actor := func(cmd *pb.GenericCommand) string {
			c.Send(cmd)
			got := c.Read()
			require.Equal(t, pb.OpType_results, got.GetOp(), "%v", got)
			require.Equal(t, cmd.GetI(), got.GetI())
			require.Equal(t, int32(wire.ServiceIM), got.GetService())
			require.Equal(t, e.last().Actor.Client, got.GetPeerId())
			return e.last().Actor.Client
		}
		missing := func(cmd *pb.GenericCommand) {
			c.Send(cmd)
			wantError(t, c.Read(), cmd.GetI(), wire.CodeSessionRequired)
		}
		missing(query("", 1))
		missing(query("tom", 2))
		open(t, c, "tom")
		require.Equal(t, "tom", actor(query("", 3)))
		open(t, c, "jerry")
		require.Equal(t, "tom", actor(query("", 4)))
		require.Equal(t, "tom", actor(query("tom", 5)))
		require.Equal(t, "jerry", actor(query("jerry", 6)))
		missing(query("mary", 7))
		withApp := query("tom", 8)
		withApp.AppId = proto.String(plainApp)
		require.Equal(t, "tom", actor(withApp))
		withApp.AppId = proto.String(signedApp)
		missing(withApp)

		c.Send(sessionCommand(pb.OpType_close, "tom", 9, nil))
		wantClosed(t, c.Read(), "tom", 9, 0, "")
		missing(query("tom", 10))
		require.Equal(t, "jerry", actor(query("", 11))) // the next one is the default now
		open(t, c, "tom")
		require.Equal(t, "jerry", actor(query("", 12)))
		c.Send(sessionCommand(pb.OpType_close, "", 13, nil))
		wantClosed(t, c.Read(), "jerry", 13, 0, "")
		require.Equal(t, "tom", actor(query("", 14)))

		// Without an i there is no way to answer, and an error without i would mean
		// the connection.
		c.Send(query("mary", 0))
		c.WantSilence(time.Second)
	})
}

func TestLogout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		c := e.login("tom")
		e.reg.SetWill(e.lastRef(), func() { t.Error("a logout fires no will") })
		c.Send(sessionCommand(pb.OpType_close, "", 7, nil))
		got := c.Read()
		wantClosed(t, got, "tom", 7, 0, "")
		require.Nil(t, got.SessionMessage.Code)
		require.Empty(t, e.reg.Online(plainApp, []string{"tom"}))
		l := e.opens()[0]
		require.Equal(t, []fanout.Ended{{Actor: l.Actor, Token: l.Token, Cause: fanout.EndLogout}}, e.ends())
		c.Send(sessionCommand(pb.OpType_close, "", 8, nil))
		wantError(t, c.Read(), 8, wire.CodeSessionRequired)
		c.WantSilence(2 * time.Minute) // the connection stays, also beyond the login timeout
		open(t, c, "tom")
	})
}

func TestLostConnection(t *testing.T) {
	for name, tc := range map[string]struct {
		lose func(e *env, c *wstest.Conn)
		code wire.Code
	}{
		"cut":    {func(_ *env, c *wstest.Conn) { c.Net.Close() }, 0},
		"closed": {func(_ *env, c *wstest.Conn) { c.Frame(wstest.OpClose, nil) }, 0},
		"silent": {func(*env, *wstest.Conn) { time.Sleep(370 * time.Second) }, wire.CodeReadTimeout},
		"garbage": {func(_ *env, c *wstest.Conn) {
			c.Frame(wstest.OpBinary, []byte{0xff})
			c.WantClosed(wire.CodeUnparseableRawMessage)
		}, wire.CodeUnparseableRawMessage},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t)
				c := e.connect()
				open(t, c, "tom")
				tom := e.lastRef()
				open(t, c, "jerry")
				jerry := e.lastRef()
				var wills []string
				require.True(t, e.reg.SetWill(tom, func() { t.Error("the last will counts") }))
				require.True(t, e.reg.SetWill(tom, func() {
					require.Empty(t, e.reg.Online(plainApp, []string{"tom"}))
					wills = append(wills, "tom")
				}))
				e.reg.RoomJoin(jerry, "room")
				tc.lose(e, c)
				synctest.Wait()
				require.Equal(t, []string{"tom"}, wills)
				require.Zero(t, e.reg.RoomCount(plainApp, "room"))
				ends := e.ends()
				require.Len(t, ends, 2)
				for i, x := range ends {
					require.Equal(t, fanout.EndLost, x.Cause)
					require.Equal(t, tc.code, x.Code)
					require.Equal(t, []string{"tom", "jerry"}[i], x.Actor.Client)
					require.Equal(t, []string{"", "room"}[i], x.Room)
				}
				require.False(t, e.reg.SetWill(tom, func() { t.Error("too late") }))
			})
		})
	}
}

func TestShutdownFiresNoWill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		c := e.login("tom")
		e.reg.SetWill(e.lastRef(), func() { t.Error("a shutdown fires no will") })
		go func() {
			c.Read()
			c.WantClosed(1001)
		}()
		require.NoError(t, e.conns.Shutdown(t.Context(), nothing()))
		require.Equal(t, fanout.EndLost, e.ends()[0].Cause)
	})
}

func TestShutdownWaitsForLateReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		c := e.login("tom")
		e.dispatch = func(_ context.Context, r *fanout.Request) {
			if r.Cmd.GetI() != 0 && r.Cmd.GetCmd() == pb.CommandType_conv {
				time.AfterFunc(2*time.Second, func() {
					r.Reply(&pb.GenericCommand{Cmd: pb.CommandType_ack.Enum()})
					r.Reply(&pb.GenericCommand{Cmd: pb.CommandType_error.Enum()}) // the first one counts
				})
			}
		}
		c.Send(&pb.GenericCommand{Cmd: pb.CommandType_ack.Enum(), I: proto.Int32(5)}) // is never answered
		c.Send(&pb.GenericCommand{Cmd: pb.CommandType_patch.Enum(), Op: pb.OpType_modified.Enum(), I: proto.Int32(5)})
		c.Send(query("", 0))
		c.Send(query("", 6))
		synctest.Wait()
		start := time.Now()
		result := make(chan error)
		go func() { result <- e.conns.Shutdown(t.Context(), nothing()) }()
		synctest.Wait()
		c.Send(query("", 7)) // too late
		reply := c.Read()
		require.Equal(t, pb.CommandType_ack, reply.GetCmd())
		require.Equal(t, int32(6), reply.GetI())
		require.Equal(t, "tom", reply.GetPeerId())
		require.Equal(t, pb.CommandType_goaway, c.Read().GetCmd())
		require.Equal(t, 2*time.Second, time.Since(start))
		c.WantClosed(1001)
		require.NoError(t, <-result)
		require.Len(t, e.requests, 4)
	})
}

func TestEcho(t *testing.T) {
	for _, sub := range []string{wire.SubprotocolBinary, wire.SubprotocolText} {
		t.Run(sub, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t)
				c := wstest.Dial(t, e.net.Dial, addr, wstest.Request{Subprotocols: []string{sub}})
				echo := func(peer string, i int32) *pb.GenericCommand {
					cmd := &pb.GenericCommand{Cmd: pb.CommandType_echo.Enum()}
					if peer != "" {
						cmd.PeerId = proto.String(peer)
					}
					if i != 0 {
						cmd.I = proto.Int32(i)
					}
					c.Send(cmd)
					got := c.Read()
					require.Equal(t, pb.CommandType_echo, got.GetCmd())
					require.Equal(t, int32(wire.ServiceIM), got.GetService())
					require.Equal(t, i == 0, got.I == nil)
					require.Equal(t, i, got.GetI())
					return got
				}
				require.Nil(t, echo("", 1).PeerId) // no session yet, and none is needed
				require.Nil(t, echo("", 0).PeerId)
				open(t, c, "tom")
				require.Equal(t, "tom", echo("", 2).GetPeerId())
				require.Equal(t, "tom", echo("tom", 0).GetPeerId())
				require.Equal(t, "mary", echo("mary", 3).GetPeerId())
			})
		})
	}
}

func TestOnlineQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		c := e.login("tom")
		e.login("jerry")
		e.login("late")
		ids := []string{"nobody", "jerry", "tom"}
		for i := len(ids); i < 20; i++ {
			ids = append(ids, fmt.Sprint("absent-", i))
		}
		ids = append(ids, "late") // the twenty-first
		c.Send(sessionCommand(pb.OpType_query, "", 4, &pb.SessionCommand{SessionPeerIds: ids}))
		got := c.Read()
		require.Equal(t, pb.OpType_query_result, got.GetOp())
		require.Equal(t, int32(4), got.GetI())
		require.Equal(t, []string{"jerry", "tom"}, got.SessionMessage.GetOnlineSessionPeerIds())
		c.Send(sessionCommand(pb.OpType_query, "", 5, nil))
		require.Empty(t, c.Read().SessionMessage.GetOnlineSessionPeerIds())
	})
}

func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		c := e.connect()
		st := open(t, c, "tom", in(signedApp), signed, tagged("Mobile", "phone")).SessionMessage.GetSt()
		old, err := e.tokens.Parse(st)
		require.NoError(t, err)
		refresh := func(i int32, m *pb.SessionCommand) *pb.GenericCommand {
			c.Send(sessionCommand(pb.OpType_refresh, "", i, m))
			return c.Read()
		}
		time.Sleep(5 * time.Minute)
		got := refresh(2, &pb.SessionCommand{St: &st})
		require.Equal(t, pb.OpType_refreshed, got.GetOp())
		require.Equal(t, int32(2), got.GetI())
		require.Equal(t, int32(172800), got.SessionMessage.GetStTtl())
		fresh, err := e.tokens.Parse(got.SessionMessage.GetSt())
		require.NoError(t, err)
		require.Equal(t, 5*time.Minute, fresh.Issued.Sub(old.Issued))
		fresh.Issued = old.Issued
		require.Equal(t, old, fresh)

		wantError(t, refresh(3, nil), 3, wire.CodeSessionTokenExpired)
		wantError(t, refresh(4, &pb.SessionCommand{St: proto.String("garbage")}), 4, wire.CodeSessionTokenExpired)
		foreign := e.tokens.Issue(token.Claims{App: signedApp, Client: "jerry", Issued: time.Now()})
		wantError(t, refresh(5, &pb.SessionCommand{St: &foreign}), 5, wire.CodeSessionTokenExpired)

		expired := e.tokens.Issue(token.Claims{App: signedApp, Client: "tom", Issued: time.Now().Add(-50 * time.Hour)})
		wantError(t, refresh(6, &pb.SessionCommand{St: &expired}), 6, wire.CodeSignatureFailed)
		got = refresh(7, &pb.SessionCommand{St: &expired, T: proto.Int64(1), N: proto.String("n"), S: proto.String("good")})
		require.Equal(t, pb.OpType_refreshed, got.GetOp())
		old.Issued = time.Now().Add(-50 * time.Hour)
		own := e.tokens.Issue(old)
		require.Equal(t, pb.OpType_refreshed, refresh(8, &pb.SessionCommand{St: &own}).GetOp(), "of the session that is open")
		wantError(t, refresh(9, &pb.SessionCommand{St: &own, T: proto.Int64(1), N: proto.String("n"), S: proto.String("bad")}), 9, wire.CodeSignatureFailed)
	})
}

func TestUnknownSessionCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		c := e.login("tom")
		c.Send(sessionCommand(pb.OpType_opened, "", 2, nil))
		wantError(t, c.Read(), 2, wire.CodeInternalError)
		c.Send(sessionCommand(pb.OpType(12345), "", 3, nil))
		wantError(t, c.Read(), 3, wire.CodeInternalError)
		c.Send(&pb.GenericCommand{Cmd: pb.CommandType_session.Enum(), I: proto.Int32(4)})
		wantError(t, c.Read(), 4, wire.CodeInternalError)
	})
}

func TestKick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		c := e.connect()
		open(t, c, "tom")
		open(t, c, "jerry")
		tablet := e.login("tom")
		require.Equal(t, 2, e.reg.Kick(plainApp, "tom", wire.CodeKickedByApp, "be nice"))
		require.Equal(t, 0, e.reg.Kick(plainApp, "tom", wire.CodeKickedByApp, ""))
		for _, conn := range []*wstest.Conn{c, tablet} {
			wantClosed(t, conn.Read(), "tom", 0, wire.CodeKickedByApp, "be nice")
		}
		require.Len(t, e.ends(), 2)
		require.Equal(t, fanout.EndKicked, e.ends()[0].Cause)
		require.Equal(t, "be nice", e.ends()[0].Reason)
		c.Send(query("tom", 2))
		wantError(t, c.Read(), 2, wire.CodeSessionRequired)
		c.Send(query("jerry", 3)) // the other session of the connection is not touched
		require.Equal(t, int32(3), c.Read().GetI())
		open(t, tablet, "tom", reopen) // coming back is allowed
		require.Equal(t, 1, e.reg.Kick(plainApp, "tom", wire.CodeKickedByApp, ""))
		wantClosed(t, tablet.Read(), "tom", 0, wire.CodeKickedByApp, "KICKED_BY_APP")
	})
}

func TestReplyThatDoesNotEncode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		c := e.login("tom")
		e.dispatch = func(_ context.Context, r *fanout.Request) {
			r.Reply(&pb.GenericCommand{ErrorMessage: &pb.ErrorCommand{}}) // lacks required fields
		}
		c.Send(query("", 3))
		got := c.Read()
		wantError(t, got, 3, wire.CodeInternalError)
		require.Equal(t, "tom", got.GetPeerId())
	})
}

// Commands of any shape are answered; none closes the connection.
func TestHostileCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		c := e.login("tom")
		i := int32(1)
		for cmd := range int32(40) {
			for _, op := range []int32{-1, 0, 1, 2, 3, 4, 5, 30, 99, 1 << 30} {
				if cmd == int32(pb.CommandType_session) && pb.OpType(op) == pb.OpType_close {
					continue
				}
				for _, m := range []*pb.SessionCommand{nil, {}} {
					i++
					g := &pb.GenericCommand{
						Cmd: pb.CommandType(cmd).Enum(), Op: pb.OpType(op).Enum(), I: proto.Int32(i),
						AppId: proto.String(plainApp), PeerId: proto.String("tom"), SessionMessage: m,
					}
					c.Send(g)
					require.Equal(t, i, c.Read().GetI())
				}
			}
		}
	})
}

// nothing is what else a shutdown waits for.
func nothing() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}
