package realtime_test

import (
	"context"
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
	"github.com/leanrtm/realtime/internal/wire"
)

// withMemberInfo has the server answer questions about roles, which need a
// session token, and say which token they came with.
func (w *world) withMemberInfo() {
	w.withMemberInfoBy(func(rw http.ResponseWriter, _ string) {
		_, _ = rw.Write([]byte(`{"results":[]}`))
	})
}

// withMemberInfoBy is withMemberInfo with other answers.
func (w *world) withMemberInfoBy(answer func(rw http.ResponseWriter, token string)) {
	w.peer.HandleHTTP("GET /1.1/classes/_ConversationMemberInfo", func(rw http.ResponseWriter, r *http.Request) {
		token := r.Header.Get("X-LC-IM-Session-Token")
		w.say("token %q", token)
		answer(rw, token)
	})
	w.peer.On(pb.CommandType_conv, pb.OpType_query, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
		reply := w.peer.Usual(s, cmd)
		reply.ConvMessage.Results = &pb.JsonObjectMessage{Data: proto.String(
			`[{"objectId":"x","conv_type":1,"c":"Tom","m":["Tom"],"createdAt":"2016-02-27T10:00:00.000Z"}]`)}
		return reply
	})
}

// askRoles is a REST request as the client.
func askRoles(ctx context.Context, c *realtime.IMClient) error {
	conv, err := c.GetConversation(ctx, "x")
	if err != nil {
		return err
	}
	_, err = conv.GetAllMemberInfo(ctx, realtime.WithoutCache())
	return err
}

func TestSessionTokenIsRefreshedForREST(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.withMemberInfo()
		tom := w.rt.NewIMClient("Tom", realtime.WithSigner(realtime.SignerFunc(
			func(context.Context, realtime.SignRequest) (realtime.Signature, error) {
				return realtime.Signature{Signature: secretSign, Timestamp: 1, Nonce: "n"}, nil
			})))
		require.NoError(t, tom.Open(t.Context()))
		require.NoError(t, askRoles(t.Context(), tom))
		w.expect(`token "token-of-Tom"`)

		time.Sleep(rttest.TokenTTL*time.Second - 4*time.Minute) // soon it expires
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { require.NoError(t, askRoles(t.Context(), tom)) })
		}
		wg.Wait()
		w.expect(`token "token1"`, `token "token1"`, `token "token1"`, `token "token1"`, `token "token1"`)
		refreshes := w.received(pb.CommandType_session, pb.OpType_refresh)
		require.Len(t, refreshes, 1, "one refresh serves all")
		m := refreshes[0].GetSessionMessage()
		require.Equal(t, "token-of-Tom", m.GetSt())
		require.Equal(t, secretSign, m.GetS())
		require.NotEmpty(t, m.GetUa())

		// The next login uses the new one.
		w.peer.Socket().Drop()
		time.Sleep(2 * time.Second)
		opens := w.received(pb.CommandType_session, pb.OpType_open)
		require.Equal(t, "token1", opens[len(opens)-1].GetSessionMessage().GetSt())
	})
}

// The server forgets tokens before their time when it starts anew with another
// key. It says so in one of two ways.
func TestRefusedTokenIsReplacedForREST(t *testing.T) {
	for name, refusal := range map[string]string{
		"code":   `{"code":4112,"error":"SESSION_TOKEN_EXPIRED"}`,
		"status": `{"code":401,"error":"Unauthorized."}`,
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				known := "token1"
				w.withMemberInfoBy(func(rw http.ResponseWriter, token string) {
					if token != known {
						rw.WriteHeader(http.StatusUnauthorized)
						_, _ = rw.Write([]byte(refusal))
						return
					}
					_, _ = rw.Write([]byte(`{"results":[]}`))
				})
				tom := w.open("Tom")
				require.NoError(t, askRoles(t.Context(), tom))
				w.expect(`token "token-of-Tom"`, `token "token1"`)
				refreshes := w.received(pb.CommandType_session, pb.OpType_refresh)
				require.Len(t, refreshes, 1)
				require.Equal(t, "token-of-Tom", refreshes[0].GetSessionMessage().GetSt())

				known = "none" // it is tried once only
				require.ErrorContains(t, askRoles(t.Context(), tom), "401")
				w.expect(`token "token1"`, `token "token2"`)
			})
		})
	}
}

func TestRefreshIsRefused(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.withMemberInfo()
		tom := w.open("Tom")
		w.peer.On(pb.CommandType_session, pb.OpType_refresh, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			return s.Fail(cmd, wire.CodeSessionTokenExpired)
		})
		time.Sleep((rttest.TokenTTL + 1) * time.Second)
		require.ErrorIs(t, askRoles(t.Context(), tom), realtime.ErrSessionTokenExpired)
		require.NoError(t, tom.Err(), "the session does not depend on it")

		// The next login does without.
		w.peer.Socket().Drop()
		time.Sleep(2 * time.Second)
		opens := w.received(pb.CommandType_session, pb.OpType_open)
		require.Nil(t, opens[len(opens)-1].GetSessionMessage().St)
		require.NoError(t, askRoles(t.Context(), tom))
		synctest.Wait()
		require.Equal(t, []string{"Tom: disconnect", "Tom: schedule(0, 1s)", "Tom: retry(0)", "Tom: reconnect"}, w.saidBy("Tom"))
		w.expect(`token "token-of-Tom"`)
	})
}

func TestServerWithoutTokens(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.withMemberInfo()
		w.peer.On(pb.CommandType_session, pb.OpType_open, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			reply := w.peer.Usual(s, cmd)
			reply.SessionMessage = &pb.SessionCommand{}
			return reply
		})
		tom := w.open("Tom")
		require.NoError(t, askRoles(t.Context(), tom))
		w.expect(`token ""`)
		require.Empty(t, w.received(pb.CommandType_session, pb.OpType_refresh))
	})
}

func TestTokenWithoutALifetimeIsKept(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.withMemberInfo()
		w.peer.On(pb.CommandType_session, pb.OpType_open, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			reply := w.peer.Usual(s, cmd)
			reply.SessionMessage = &pb.SessionCommand{St: proto.String("eternal")}
			return reply
		})
		tom := w.open("Tom")
		time.Sleep(100 * time.Hour) // more than any lifetime that is told
		require.NoError(t, askRoles(t.Context(), tom))
		w.expect(`token "eternal"`)
	})
}
