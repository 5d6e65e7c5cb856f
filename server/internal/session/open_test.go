package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/limit"
	"github.com/leanrtm/realtime/server/internal/session"
	"github.com/leanrtm/realtime/server/internal/token"
	"github.com/leanrtm/realtime/server/internal/wstest"
)

func TestOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		c := e.connect()
		cmd := openCommand("tom", tagged("Mobile", "phone"))
		cmd.SessionMessage.LastPatchTime = proto.Int64(77)
		c.Send(cmd)
		got := c.Read()
		require.Equal(t, pb.CommandType_session, got.GetCmd())
		require.Equal(t, pb.OpType_opened, got.GetOp())
		require.Equal(t, int32(1), got.GetI())
		require.Equal(t, "tom", got.GetPeerId())
		require.Equal(t, int32(wire.ServiceIM), got.GetService())
		require.Equal(t, time.Now().UnixMilli(), got.GetServerTs())
		require.Nil(t, got.SessionMessage.Code)
		require.Equal(t, int32(172800), got.SessionMessage.GetStTtl())
		claims, err := e.tokens.Parse(got.SessionMessage.GetSt())
		require.NoError(t, err)
		require.Equal(t, plainApp, claims.App)
		require.Equal(t, "tom", claims.Client)
		require.Equal(t, "Mobile", claims.Tag)
		require.NotContains(t, claims.Device, "phone")

		synctest.Wait()
		l := e.opens()[0]
		require.Equal(t, fanout.Login{
			Actor: fanout.Actor{
				App: plainApp, Client: "tom", Session: l.Actor.Session, Caps: 187,
				Tag: "Mobile", Device: claims.Device, IP: "192.0.2.1",
			},
			Token: claims.ID, LastPatch: 77, HasLastPatch: true,
		}, l)
		require.NotZero(t, l.Actor.Session)
		require.Equal(t, 1, e.reg.OnlineCount(plainApp))

		c.Send(query("", 2))
		c.Read()
		require.Equal(t, l.Actor, e.last().Actor)
		c.WantSilence(5 * time.Minute) // the login timeout is over for good
	})
}

func TestOpenWithoutBodyOrSerial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		c := e.connect()
		got := open(t, c, "tom", func(c *pb.GenericCommand) { c.SessionMessage, c.I = nil, nil })
		require.Nil(t, got.I)
		require.Equal(t, "tom", got.GetPeerId())
	})
}

func TestRefusedForGood(t *testing.T) {
	peer := func(id string) change { return func(c *pb.GenericCommand) { c.PeerId = proto.String(id) } }
	for name, tc := range map[string]struct {
		change change
		header http.Header
		code   wire.Code
	}{
		"unknown app":         {in("nobody"), nil, wire.CodeAppNotAvailable},
		"no app":              {func(c *pb.GenericCommand) { c.AppId = nil }, nil, wire.CodeAppNotAvailable},
		"empty client id":     {peer(""), nil, wire.CodeInvalidLogin},
		"long client id":      {peer(strings.Repeat("é", 65)), nil, wire.CodeInvalidLogin},
		"client id not UTF-8": {peer("a\xff"), nil, wire.CodeInvalidLogin},
		"foreign web page":    {func(*pb.GenericCommand) {}, http.Header{"Origin": {badOrigin}}, wire.CodeInvalidOrigin},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t)
				c := wstest.Dial(t, e.net.Dial, addr, wstest.Request{Header: tc.header})
				c.Send(openCommand("tom", tc.change))
				wantError(t, c.Read(), 1, tc.code)
				c.WantClosed(tc.code)
				require.Empty(t, e.opens())
			})
		})
	}
}

func TestLongestClientID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		e.login(strings.Repeat("汤", 64))
	})
}

func TestRefusedAndFreeToTryAgain(t *testing.T) {
	foreign, err := token.NewRing([]byte("quite another key"))
	require.NoError(t, err)
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when a bubble begins
	claims := func(app, client string, age time.Duration) token.Claims {
		return token.Claims{App: app, Client: client, ID: "x", Issued: now.Add(-age)}
	}
	own, err := token.NewRing(tokenKey)
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		changes []change
		code    wire.Code
	}{
		"no signature":           {[]change{in(signedApp)}, wire.CodeSignatureFailed},
		"wrong signature":        {[]change{in(signedApp), signed, func(c *pb.GenericCommand) { c.SessionMessage.S = proto.String("bad") }}, wire.CodeSignatureFailed},
		"reopen without both":    {[]change{in(signedApp), reopen}, wire.CodeSignatureFailed},
		"garbage token":          {[]change{reopen, showing("garbage")}, wire.CodeSessionTokenExpired},
		"token of another key":   {[]change{reopen, showing(foreign.Issue(claims(plainApp, "tom", 0)))}, wire.CodeSessionTokenExpired},
		"token of another app":   {[]change{reopen, showing(own.Issue(claims(signedApp, "tom", 0)))}, wire.CodeSessionTokenExpired},
		"token of another one":   {[]change{reopen, showing(own.Issue(claims(plainApp, "jerry", 0)))}, wire.CodeSessionTokenExpired},
		"token that is too old":  {[]change{reopen, showing(own.Issue(claims(plainApp, "tom", 48*time.Hour)))}, wire.CodeSessionTokenExpired},
		"token on a first login": {[]change{showing("garbage")}, wire.CodeSessionTokenExpired},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t)
				require.Equal(t, now, time.Now().UTC())
				c := e.connect()
				c.Send(openCommand("tom", tc.changes...))
				got := c.Read()
				wantError(t, got, 1, tc.code)
				require.Equal(t, "tom", got.GetPeerId())
				require.Empty(t, e.reg.Online(plainApp, []string{"tom"}))
				c.Send(query("", 2))
				wantError(t, c.Read(), 2, wire.CodeSessionRequired)
				open(t, c, "tom", in(signedApp), signed)
				open(t, c, "tom", reopen) // what a client does after 4112
			})
		})
	}
}

func TestTokenStandsInForTheSignature(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		st := open(t, e.connect(), "tom", in(signedApp), signed).SessionMessage.GetSt()
		time.Sleep(48*time.Hour - 1)
		again := open(t, e.connect(), "tom", in(signedApp), reopen, showing(st))
		synctest.Wait()
		opens := e.opens()
		require.False(t, opens[0].Reopen)
		require.True(t, opens[1].Reopen)
		require.Equal(t, opens[0].Token, opens[1].Token) // the same chain
		require.NotEqual(t, st, again.SessionMessage.GetSt())
		open(t, e.connect(), "tom", in(signedApp), signed)
		synctest.Wait()
		require.NotEqual(t, opens[0].Token, e.opens()[2].Token)
	})
}

// Shipped clients repeat a signed login as it is when its answer is late. Where
// it has succeeded that is no second use of the signature.
func TestSignedLoginIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accepted := 0
		e := newEnv(t, func(c *session.Config) {
			c.VerifyLogin = func(_ *limit.App, _ string, _ int64, _, signature string) error {
				if accepted++; signature != "good" || accepted > 1 {
					return errors.New("wrong, or used before")
				}
				return nil
			}
		})
		c := e.connect()
		refused := func(c *wstest.Conn, changes ...change) {
			t.Helper()
			c.Send(openCommand("tom", append([]change{in(signedApp), signed}, changes...)...))
			wantError(t, c.Read(), 1, wire.CodeSignatureFailed)
		}
		open(t, c, "tom", in(signedApp), signed, reopen)
		open(t, c, "tom", in(signedApp), signed, reopen)
		open(t, c, "tom", in(signedApp), signed)
		require.Equal(t, 1, accepted)
		require.Equal(t, 1, e.reg.Sessions())
		st := open(t, c, "tom", in(signedApp), signed).SessionMessage.GetSt()

		refused(e.connect()) // who has overheard it
		refused(c, func(c *pb.GenericCommand) { c.SessionMessage.N = proto.String("m") })
		refused(c, func(c *pb.GenericCommand) { c.SessionMessage.T = proto.Int64(2) })
		refused(c, func(c *pb.GenericCommand) { c.SessionMessage.S = proto.String("bad") })
		refused(c, func(c *pb.GenericCommand) { c.PeerId = proto.String("jerry") })
		refused(c, func(c *pb.GenericCommand) { c.SessionMessage = nil })

		// A session that is over, or goes by another proof now, lends it to nobody.
		open(t, c, "tom", in(signedApp), reopen, showing(st))
		refused(c)
		accepted = 0
		open(t, c, "tom", in(signedApp), signed)
		require.Equal(t, 1, e.reg.Kick(signedApp, "tom", wire.CodeKickedByApp, ""))
		require.Equal(t, pb.OpType_closed, c.Read().GetOp())
		refused(c)
	})
}

func TestTheEngineRefusesALogin(t *testing.T) {
	for name, tc := range map[string]struct {
		err    error
		code   wire.Code
		detail string
	}{
		"banned":  {fmt.Errorf("look: %w", &fanout.Refusal{Code: wire.CodeBlacklisted, Detail: "for a day", AppCode: 9, AppMsg: "m"}), wire.CodeBlacklisted, "for a day"},
		"quota":   {&fanout.Refusal{Code: wire.CodeAppQuotaExceeded}, wire.CodeAppQuotaExceeded, ""},
		"failure": {errors.New("the password of the database is sesame"), wire.CodeInternalError, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t)
				e.snapshot = func(context.Context, *fanout.Login) (*fanout.Snapshot, error) { return nil, tc.err }
				c := e.connect()
				c.Send(openCommand("tom"))
				got := c.Read()
				wantError(t, got, 1, tc.code)
				require.Equal(t, tc.detail, got.GetErrorMessage().GetDetail())
				if name == "banned" {
					require.Equal(t, int32(9), got.GetErrorMessage().GetAppCode())
					require.Equal(t, "m", got.GetErrorMessage().GetAppMsg())
				}
				require.Zero(t, e.reg.Sessions())
				c.WantSilence(time.Second)
			})
		})
	}
}

func TestPanicDuringALogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		e.snapshot = func(context.Context, *fanout.Login) (*fanout.Snapshot, error) { panic("a defect") }
		c := e.connect()
		c.Send(openCommand("tom"))
		c.WantClosed(wire.CodeInternalError)
		synctest.Wait()
		require.Zero(t, e.reg.Sessions())
		require.Zero(t, e.reg.OnlineCount(plainApp))
	})
}

func TestAnonymousClientsGetDistinctIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		c := e.connect()
		seen := make(map[string]bool)
		for range 3 {
			opened := open(t, c, "", func(c *pb.GenericCommand) { c.PeerId = nil })
			require.Len(t, opened.GetPeerId(), 22)
			seen[opened.GetPeerId()] = true
		}
		require.Len(t, seen, 3)
		require.Equal(t, 3, e.reg.OnlineCount(plainApp))
	})
}

func TestThousandsOfOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, func(c *session.Config) { c.Limits = limit.Limits{SessionsConn: 100}.WithDefaults() })
		c := e.connect()
		refused := 0
		for i := range 2000 {
			c.Send(openCommand(fmt.Sprintf("client-%d", i)))
			switch got := c.Read(); got.GetCmd() {
			case pb.CommandType_error:
				wantError(t, got, 1, wire.CodeAppQuotaExceeded)
				refused++
			default:
				require.Equal(t, pb.OpType_opened, got.GetOp())
			}
		}
		require.Equal(t, 1900, refused)
		require.Equal(t, 100, e.reg.OnlineCount(plainApp))
		for range 2000 { // the same one again and again is one session
			open(t, c, "client-0")
		}
		require.Equal(t, 100, e.reg.Sessions())
	})
}

func TestOpenTwiceOnOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		c := e.connect()
		open(t, c, "tom", tagged("Mobile", "phone"))
		open(t, c, "jerry")
		first := e.opens()[0]
		open(t, c, "tom", tagged("Mobile", "another phone")) // in the place of the first, in silence
		synctest.Wait()
		require.Equal(t, 2, e.reg.Sessions())
		require.Equal(t, []fanout.Ended{{Actor: first.Actor, Token: first.Token, Cause: fanout.EndSuperseded}}, e.ends())
		c.Send(query("", 5))
		require.Equal(t, "tom", c.Read().GetPeerId()) // still the default session
		e.reg.Publish(toClients("once", "tom"))
		require.Equal(t, "once", readCid(c))
		c.WantSilence(time.Second)
	})
}

func TestAppsShareNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		plain := e.login("tom")
		other := e.login("tom", in(signedApp), signed)
		require.Equal(t, 1, e.reg.OnlineCount(plainApp))
		require.Equal(t, 1, e.reg.OnlineCount(signedApp))
		ev := toClients("x", "tom")
		e.reg.Publish(ev)
		require.Equal(t, "x", readCid(plain))
		other.WantSilence(time.Second)
		require.Zero(t, e.reg.OnlineCount("nobody"))
		require.Zero(t, e.reg.Kick("nobody", "tom", wire.CodeKickedByApp, ""))
	})
}
