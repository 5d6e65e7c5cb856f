package realtime_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/server"
)

// The codes of the protocol fall into four groups; together they are all of
// them.
//
// refusals are what the server answers to our client, each produced by the
// server itself and matched with errors.Is in what the caller gets.
//
// The others are:
//
//   - 4103 INVALID_LOGIN: our client does not ask for what cannot be a client id.
//     It is produced by hand.
//   - 4112 SESSION_TOKEN_EXPIRED is answered to logins and refreshes; our client
//     then logs in without the token, so that no caller ever sees it. It is
//     produced by hand.
//   - 4321 UNKNOWN_CONVERSATION_ROLE: our client knows the roles and asks for no
//     other. It is produced by hand.
//   - 4313 SYSTEM_CONVERSATION_REQUIRED: nothing that a client can send is for
//     service conversations only. The server answers it over REST.
//   - 4323 TEMPORARY_CONVERSATION_EXPIRED and 5130 OWNER_PROMOTION_NOT_ALLOWED
//     are made by clients: the server says 4303 for the one, and is never asked
//     for the other.
//   - 4101 DUPLICATED_LOGIN and 4117 UNBIND_INSTALLATION_FAILED belong to the
//     push service; 4106 BLACKLISTED, 4201 SEND_MESSAGE_TIMEOUT,
//     4322 CONVERSATION_MEMBER_IN_ROLE_FULL and 4408
//     MESSAGE_MODIFIED_BY_CENSORSHIP to features that this server does not have:
//     bans from an app, a time limit for sends over REST, a limit of managers,
//     censorship. 4308 CONVERSATION_NOT_ALLOWED guards what only the app may do,
//     and neither the socket nor REST has a way to ask for it as somebody else.
var codesByHand = map[realtime.ErrorCode]func(t *testing.T, s *surface) realtime.ErrorCode{
	realtime.ErrInvalidLogin: func(t *testing.T, s *surface) realtime.ErrorCode {
		for _, id := range []string{"", "no UTF-8: \xff"} {
			require.Equal(t, realtime.ErrInvalidLogin, errorOf(t, s.dial(wire.SubprotocolBinary).send(s.open(id, usualBits))), "%q", id)
		}
		return errorOf(t, s.dial(wire.SubprotocolBinary).send(s.open(strings.Repeat("x", 65), usualBits)))
	},
	realtime.ErrSessionTokenExpired: func(t *testing.T, s *surface) realtime.ErrorCode {
		open := s.open("Tom", usualBits)
		open.SessionMessage.R, open.SessionMessage.St = proto.Bool(true), proto.String("no token")
		return errorOf(t, s.dial(wire.SubprotocolBinary).send(open))
	},
	realtime.ErrUnknownConversationRole: func(t *testing.T, s *surface) realtime.ErrorCode {
		conv := s.group(s.Client("Tom"), "Jerry")
		p := s.dial(wire.SubprotocolBinary)
		p.send(s.open("Tom", usualBits))
		return errorOf(t, p.send(&pb.GenericCommand{
			Cmd: pb.CommandType_conv.Enum(), Op: pb.OpType_member_info_update.Enum(), I: proto.Int32(2),
			ConvMessage: &pb.ConvCommand{
				Cid: proto.String(conv.ID()), TargetClientId: proto.String("Jerry"),
				Info: &pb.ConvMemberInfo{Pid: proto.String("Jerry"), Role: proto.String("King")},
			},
		}))
	},
	realtime.ErrSystemConversationRequired: func(t *testing.T, s *surface) realtime.ErrorCode {
		conv := s.group(s.Client("Tom"))
		status, body := s.restWith(s.MasterKey+",master", "POST", "/1.2/rtm/service-conversations/"+conv.ID()+"/subscribers", map[string]any{"client_id": "x"})
		require.Equal(t, http.StatusBadRequest, status)
		var e struct{ Code realtime.ErrorCode }
		require.NoError(t, json.Unmarshal(body, &e))
		return e.Code
	},
}

func errorOf(t *testing.T, frames []*pb.GenericCommand) realtime.ErrorCode {
	t.Helper()
	require.Len(t, frames, 1)
	return realtime.ErrorCode(frames[0].GetErrorMessage().GetCode())
}

func codesOfClients() []realtime.ErrorCode {
	return []realtime.ErrorCode{realtime.ErrTemporaryConversationExpired, realtime.ErrOwnerPromotionNotAllowed}
}

func codesOfNobody() []realtime.ErrorCode {
	return []realtime.ErrorCode{
		realtime.ErrDuplicatedLogin, realtime.ErrUnbindInstallationFailed, realtime.ErrBlacklisted, realtime.ErrSendMessageTimeout,
		realtime.ErrConversationMemberInRoleFull, realtime.ErrMessageModifiedByCensorship, realtime.ErrConversationNotAllowed,
	}
}

// refusal is a code with a call that the server refuses with it.
type refusal struct {
	code    realtime.ErrorCode
	options func(o *server.Options) // nil: the usual
	call    func(t *testing.T, s *surface) error
}

// app changes the settings of the app.
func app(change func(a *server.App)) func(o *server.Options) {
	return func(o *server.Options) { change(&o.Apps[0]) }
}

// tomAnd are two members of a conversation, as each sees it, and a stranger to
// it.
func (s *surface) tomAnd() (toms, jerrys, strangers *realtime.Conversation) {
	s.t.Helper()
	toms = s.group(s.Client("Tom"), "Jerry", "Spike")
	return toms, s.as(s.Client("Jerry"), toms), s.as(s.Client("Stranger"), toms)
}

// opening logs a client in with other options than usual.
func (s *surface) opening(id string, change func(o *realtime.Options), opts ...realtime.ClientOption) error {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Minute)
	defer cancel()
	_, err := s.realtime(change).CreateIMClient(ctx, id, opts...)
	return err
}

// unknown is a conversation that a client takes for another one than it is.
func (s *surface) unknown(id, fields string) *realtime.Conversation {
	s.t.Helper()
	conv, err := s.Client("Stranger").ParseConversation([]byte(`{"id":"` + id + `"` + fields + `}`))
	require.NoError(s.t, err)
	return conv
}

// pending is a call that waits for an answer while during runs.
func (s *surface) pending(conv *realtime.Conversation, during func()) error {
	s.t.Helper()
	s.Inject(realtimetest.Fault{Command: "conv/count", Do: realtimetest.Drop()})
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Hour)
	defer cancel()
	result := make(chan error)
	go func() {
		_, err := conv.Count(ctx)
		result <- err
	}()
	moment()
	during()
	return <-result
}

// breakableStore is a store that fails from some moment on.
type breakableStore struct{ store server.Store }

func (b *breakableStore) options(o *server.Options) {
	b.store = server.NewMemoryStore()
	o.Store = b.store
}

func (b *breakableStore) fail(t *testing.T) {
	t.Helper()
	require.NoError(t, b.store.Close())
}

func refusals() []refusal {
	breakable := new(breakableStore)
	send := func(conv *realtime.Conversation) error {
		_, err := conv.Send(context.Background(), realtime.NewTextMessage("x"))
		return err
	}
	hookThatRefuses := &server.Hooks{
		ConversationAdd: func(context.Context, *server.MembersChange) (server.Verdict, error) {
			return server.Verdict{Reject: true, Code: 7, Detail: "no"}, nil
		},
		MessageReceived: func(context.Context, *server.MessageReceived) (server.MessageVerdict, error) {
			return server.MessageVerdict{Drop: true}, nil
		},
		MessageUpdate: func(context.Context, *server.MessageUpdate) (server.MessageVerdict, error) {
			return server.MessageVerdict{Drop: true}, nil
		},
	}
	return []refusal{
		{realtime.ErrAppNotAvailable, nil, func(t *testing.T, s *surface) error {
			return s.opening("Tom", func(o *realtime.Options) { o.AppID = "another" })
		}},
		{realtime.ErrSignatureFailed, app(func(a *server.App) { a.VerifyLogin = true }), func(t *testing.T, s *surface) error {
			return s.opening("Tom", func(*realtime.Options) {})
		}},
		{realtime.ErrSessionRequired, nil, func(t *testing.T, s *surface) error {
			conv, _, _ := s.tomAnd()
			s.Inject(realtimetest.Fault{Command: "session/closed", Pushes: true, Do: realtimetest.Drop()})
			s.rest("POST", "/1.2/rtm/clients/Tom/kick", nil, nil)
			moment()
			_, err := conv.Count(t.Context())
			return err
		}},
		{realtime.ErrReadTimeout, func(o *server.Options) { o.ReadTimeout = time.Minute }, func(t *testing.T, s *surface) error {
			silent := s.client(s.realtime(func(o *realtime.Options) { o.HeartbeatInterval = -1 }), "Tom")
			return s.pending(s.group(silent), func() {})
		}},
		{realtime.ErrLoginTimeout, func(o *server.Options) { o.LoginTimeout = time.Minute }, func(t *testing.T, s *surface) error {
			s.Inject(realtimetest.Fault{Command: "session/open", Do: realtimetest.Drop()})
			return s.opening("Tom", func(*realtime.Options) {})
		}},
		{realtime.ErrFrameTooLong, nil, func(t *testing.T, s *surface) error {
			conv, _, _ := s.tomAnd()
			_, err := conv.Send(t.Context(), realtime.NewRawMessage(strings.Repeat("x", 5*1024+1)))
			return err
		}},
		{realtime.ErrInvalidOrigin, func(o *server.Options) { o.Origins = []string{"https://good.example"} }, func(t *testing.T, s *surface) error {
			return s.opening("Tom", func(o *realtime.Options) { o.Header = http.Header{"Origin": {"https://evil.example"}} })
		}},
		{realtime.ErrSessionConflict, nil, func(t *testing.T, s *surface) error {
			old := s.Client("Tom", realtime.WithTag("phone"))
			s.Client("Tom", realtime.WithTag("phone"))
			<-old.Done()
			return old.Err()
		}},
		{realtime.ErrAppQuotaExceeded, func(o *server.Options) { o.Limits.SessionsConn = 1 }, func(t *testing.T, s *surface) error {
			rt := s.realtime()
			s.client(rt, "Tom")
			_, err := rt.CreateIMClient(t.Context(), "Jerry")
			return err
		}},
		{realtime.ErrUnparseableRawMessage, nil, func(t *testing.T, s *surface) error {
			line := new(leakyLine)
			tom := s.client(s.realtime(func(o *realtime.Options) { line.dial = o.Dial; o.Dial = line.Dial }), "Tom")
			return s.pending(s.group(tom), line.garble)
		}},
		{realtime.ErrKickedByApp, nil, func(t *testing.T, s *surface) error {
			tom := s.Client("Tom")
			s.rest("POST", "/1.2/rtm/clients/Tom/kick", nil, nil)
			<-tom.Done()
			return tom.Err()
		}},
		{realtime.ErrMessageSentQuotaExceeded, func(o *server.Options) { o.Limits.SendRate = 3 }, func(t *testing.T, s *surface) error {
			conv, _, _ := s.tomAnd()
			for range 3 {
				require.NoError(t, send(conv))
			}
			return send(conv)
		}},
		{realtime.ErrInternalError, breakable.options, func(t *testing.T, s *surface) error {
			breakable.fail(t)
			return s.opening("Tom", func(*realtime.Options) {})
		}},
		{realtime.ErrConversationInternalError, breakable.options, func(t *testing.T, s *surface) error {
			tom := s.Client("Tom")
			breakable.fail(t)
			_, err := tom.CreateConversation(t.Context(), realtime.ConversationOptions{})
			return err
		}},
		{realtime.ErrConversationAPIFailed, nil, func(t *testing.T, s *surface) error {
			deep := map[string]any{}
			for range 60 { // more than the server takes, though not than the client sends
				deep = map[string]any{"deeper": deep}
			}
			_, err := s.Client("Tom").CreateConversation(t.Context(), realtime.ConversationOptions{Attributes: deep})
			return err
		}},
		{realtime.ErrConversationSignatureFailed, app(func(a *server.App) { a.VerifyConversation = true }), func(t *testing.T, s *surface) error {
			_, err := s.Client("Tom").CreateConversation(t.Context(), realtime.ConversationOptions{})
			return err
		}},
		{realtime.ErrConversationNotFound, nil, func(t *testing.T, s *surface) error {
			_, err := s.unknown("555555555555555555555555", "").Count(t.Context())
			return err
		}},
		{realtime.ErrConversationFull, func(o *server.Options) { o.Limits.Members = 3 }, func(t *testing.T, s *surface) error {
			conv, _, _ := s.tomAnd()
			return conv.Add(t.Context(), "Butch")
		}},
		{realtime.ErrConversationRejectedByApp, func(o *server.Options) { o.Hooks = hookThatRefuses }, func(t *testing.T, s *surface) error {
			conv, _, _ := s.tomAnd()
			return conv.Add(t.Context(), "Butch")
		}},
		{realtime.ErrConversationUpdateFailed, nil, func(t *testing.T, s *surface) error {
			conv, _, _ := s.tomAnd()
			require.NoError(t, conv.Save(t.Context(), map[string]any{"text": "x"}))
			return conv.Save(t.Context(), map[string]any{"text": map[string]any{"__op": "Increment", "amount": 1}})
		}},
		{realtime.ErrConversationReadOnly, nil, func(t *testing.T, s *surface) error {
			tmp, err := s.Client("Tom").CreateTemporaryConversation(t.Context(), realtime.TemporaryConversationOptions{})
			require.NoError(t, err)
			return s.unknown(tmp.ID(), `,"transient":true`).Join(t.Context())
		}},
		{realtime.ErrConversationUpdateRejected, nil, func(t *testing.T, s *surface) error {
			_, _, strangers := s.tomAnd()
			return strangers.Save(t.Context(), map[string]any{"name": "mine"})
		}},
		{realtime.ErrConversationQueryFailed, nil, func(t *testing.T, s *surface) error {
			_, err := s.Client("Tom").Query().Matches("name", "(").Find(t.Context())
			return err
		}},
		{realtime.ErrConversationLogFailed, breakable.options, func(t *testing.T, s *surface) error {
			conv := s.group(s.Client("Tom"))
			s.say(conv, "x")
			breakable.fail(t)
			_, err := conv.QueryMessages(t.Context(), realtime.MessageQuery{})
			return err
		}},
		{realtime.ErrConversationLogRejected, nil, func(t *testing.T, s *surface) error {
			_, _, strangers := s.tomAnd()
			_, err := strangers.QueryMessages(t.Context(), realtime.MessageQuery{})
			return err
		}},
		{realtime.ErrNormalConversationRequired, nil, func(t *testing.T, s *surface) error {
			return s.unknown(mustRoom(t, s.Client("Tom")).ID(), "").Add(t.Context(), "Jerry")
		}},
		{realtime.ErrConversationTemporaryBlacklisted, nil, func(t *testing.T, s *surface) error {
			_, jerrys, _ := s.tomAnd()
			s.rest("POST", "/1.2/rtm/conversations/"+jerrys.ID()+"/temporary-silenceds", map[string]any{"client_id": "Jerry", "ttl": 60}, nil)
			err := send(jerrys)
			time.Sleep(time.Minute)
			require.NoError(t, send(jerrys), "it is over by itself")
			return err
		}},
		{realtime.ErrTransientConversationRequired, nil, func(t *testing.T, s *surface) error {
			conv, _, _ := s.tomAnd()
			_, err := s.unknown(conv.ID(), `,"transient":true`).OnlineMembers(t.Context())
			return err
		}},
		{realtime.ErrConversationMembershipRequired, nil, func(t *testing.T, s *surface) error {
			_, _, strangers := s.tomAnd()
			return strangers.Add(t.Context(), "Butch")
		}},
		{realtime.ErrConversationAPIQuotaExceeded, func(o *server.Options) { o.Limits.RequestRate = 3 }, func(t *testing.T, s *surface) error {
			tom := s.Client("Tom")
			for range 3 {
				_, err := tom.Query().Find(t.Context())
				require.NoError(t, err)
			}
			_, err := tom.Query().Find(t.Context())
			return err
		}},
		{realtime.ErrConversationOperationUnauthorized, nil, func(t *testing.T, s *surface) error {
			_, jerrys, _ := s.tomAnd()
			return jerrys.MuteMembers(t.Context(), "Spike")
		}},
		{realtime.ErrConversationNeedOwner, nil, func(t *testing.T, s *surface) error {
			conv, _, _ := s.tomAnd()
			return conv.Quit(t.Context())
		}},
		{realtime.ErrConversationMemberInfoFeatureDisabled, app(func(a *server.App) { a.DisableRoles = true }), func(t *testing.T, s *surface) error {
			conv, _, _ := s.tomAnd()
			return conv.UpdateMemberRole(t.Context(), "Jerry", realtime.RoleManager)
		}},
		{realtime.ErrInvalidMessagingTarget, nil, func(t *testing.T, s *surface) error {
			_, _, strangers := s.tomAnd()
			return send(strangers)
		}},
		{realtime.ErrMessageRejectedByApp, func(o *server.Options) { o.Hooks = hookThatRefuses }, func(t *testing.T, s *surface) error {
			conv, _, _ := s.tomAnd()
			return send(conv)
		}},
		{realtime.ErrMessageOwnershipRequired, nil, func(t *testing.T, s *surface) error {
			conv, jerrys, _ := s.tomAnd()
			m := s.say(conv, "mine")
			_, err := jerrys.Recall(t.Context(), &realtime.Message{ID: m.ID, Timestamp: m.Timestamp})
			return err
		}},
		{realtime.ErrMessageNotFound, nil, func(t *testing.T, s *surface) error {
			conv, _, _ := s.tomAnd()
			_, err := conv.Recall(t.Context(), &realtime.Message{ID: "none", Timestamp: time.Now()})
			return err
		}},
		{realtime.ErrMessageUpdateRejectedByApp, func(o *server.Options) {
			o.Hooks = &server.Hooks{MessageUpdate: hookThatRefuses.MessageUpdate}
		}, func(t *testing.T, s *surface) error {
			conv, _, _ := s.tomAnd()
			_, err := conv.Recall(t.Context(), s.say(conv, "x"))
			return err
		}},
		{realtime.ErrMessageEditDisabled, app(func(a *server.App) { a.DisableEdit = true }), func(t *testing.T, s *surface) error {
			conv, _, _ := s.tomAnd()
			_, err := conv.Update(t.Context(), s.say(conv, "x"), realtime.NewTextMessage("y"))
			return err
		}},
		{realtime.ErrMessageRecallDisabled, app(func(a *server.App) { a.DisableRecall = true }), func(t *testing.T, s *surface) error {
			conv, _, _ := s.tomAnd()
			_, err := conv.Recall(t.Context(), s.say(conv, "x"))
			return err
		}},
		{realtime.ErrBlacklistFull, func(o *server.Options) { o.Limits.BlockedList = 2 }, func(t *testing.T, s *surface) error {
			conv, _, _ := s.tomAnd()
			return conv.BlockMembers(t.Context(), "a", "b", "c")
		}},
		{realtime.ErrBlacklistFeatureDisabled, app(func(a *server.App) { a.DisableBlacklist = true }), func(t *testing.T, s *surface) error {
			conv, _, _ := s.tomAnd()
			return conv.BlockMembers(t.Context(), "a")
		}},
		{realtime.ErrBlacklistSignatureFailed, app(func(a *server.App) { a.VerifyBlacklist = true }), func(t *testing.T, s *surface) error {
			conv, _, _ := s.tomAnd()
			return conv.BlockMembers(t.Context(), "a")
		}},
		{realtime.ErrBlockedByConv, nil, func(t *testing.T, s *surface) error {
			conv, jerrys, _ := s.tomAnd()
			require.NoError(t, conv.BlockMembers(t.Context(), "Jerry"))
			return jerrys.Join(t.Context())
		}},
		{realtime.ErrSilencedMemberListFull, func(o *server.Options) { o.Limits.ShutupList = 1 }, func(t *testing.T, s *surface) error {
			conv, _, _ := s.tomAnd()
			return conv.MuteMembers(t.Context(), "Jerry", "Spike")
		}},
		{realtime.ErrSilenced, nil, func(t *testing.T, s *surface) error {
			conv, jerrys, _ := s.tomAnd()
			require.NoError(t, conv.MuteMembers(t.Context(), "Jerry"))
			return send(jerrys)
		}},
	}
}

// leakyLine dials connections, of which the newest can be written garbage to.
type leakyLine struct {
	dial func(ctx context.Context, network, addr string) (net.Conn, error)

	mu     sync.Mutex
	newest net.Conn
}

func (l *leakyLine) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := l.dial(ctx, network, addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.newest = conn
	return conn, err
}

// garble sends a frame of two bytes that are no command.
func (l *leakyLine) garble() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.newest.Write([]byte{0x82, 0x82, 0, 0, 0, 0, 0xff, 0xff}) // binary, masked with zeros
}

func TestSurfaceCodes(t *testing.T) {
	group := map[realtime.ErrorCode]string{}
	put := func(name string, codes ...realtime.ErrorCode) {
		for _, code := range codes {
			require.Empty(t, group[code], "%v is in two groups", code)
			group[code] = name
		}
	}
	for _, r := range refusals() {
		put("refusals", r.code)
		t.Run(fmt.Sprint(int(r.code), " ", r.code), func(t *testing.T) {
			opts := []realtimetest.Option{}
			if r.options != nil {
				opts = append(opts, settings(r.options))
			}
			onSurface(t, func(t *testing.T, s *surface) {
				mark := len(s.Commands())
				err := r.call(t, s)
				require.ErrorIs(t, err, r.code)
				require.Greater(t, len(s.Commands()), mark, "the server was asked")
				for _, other := range refusals() {
					if other.code != r.code {
						require.NotErrorIs(t, err, other.code)
					}
				}
				var e *realtime.Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, r.code, e.Code)
				require.Equal(t, r.code.String(), e.Reason)
			}, opts...)
		})
	}
	for code, produce := range codesByHand {
		put("by hand", code)
		t.Run(fmt.Sprint(int(code), " ", code), func(t *testing.T) {
			onSurface(t, func(t *testing.T, s *surface) { require.Equal(t, code, produce(t, s)) })
		})
	}
	put("of clients", codesOfClients()...)
	put("of nobody", codesOfNobody()...)
	for code := realtime.ErrorCode(4000); code < 6000; code++ {
		if name := code.String(); name[0] < '0' || name[0] > '9' {
			require.NotEmpty(t, group[code], "%v is in no group", code)
		}
	}
}

// Why the server has closed a connection is in the event, with its code.
func TestSurfaceDisconnectTellsTheCode(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom := s.client(s.realtime(func(o *realtime.Options) { o.HeartbeatInterval = -1 }), "Tom")
		var why, whyOfAll error
		tom.OnDisconnect(func(_ context.Context, e *realtime.DisconnectEvent) { why = e.Err })
		tom.Realtime().OnDisconnect(func(_ context.Context, e *realtime.DisconnectEvent) { whyOfAll = e.Err })
		time.Sleep(75 * time.Second) // and it is back
		calm()
		require.ErrorIs(t, why, realtime.ErrReadTimeout)
		require.ErrorIs(t, whyOfAll, realtime.ErrReadTimeout)
		why = nil
		s.Cut("Tom")
		calm()
		require.Error(t, why)
		var e *realtime.Error
		require.NotErrorAs(t, why, &e, "nobody has closed it")
	}, settings(func(o *server.Options) { o.ReadTimeout = time.Minute }))
}
