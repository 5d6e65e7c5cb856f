package realtime_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/server"
)

// verifying switches on the verification of everything.
func verifying() realtimetest.Option {
	return settings(func(o *server.Options) {
		a := &o.Apps[0]
		a.VerifyLogin, a.VerifyConversation, a.VerifyBlacklist, a.VerifyHistory = true, true, true, true
	})
}

// notary signs with the master key and remembers what it has signed. It can be
// told to sign something else, or what it has signed before.
type notary struct {
	signer realtime.Signer

	mu     sync.Mutex
	asked  []realtime.SignRequest
	issued []realtime.Signature
	change func(r realtime.SignRequest, s realtime.Signature) (realtime.Signature, error)
}

func (s *surface) notary() *notary {
	return &notary{signer: realtime.MasterKeySigner(s.MasterKey)}
}

func (n *notary) Sign(ctx context.Context, r realtime.SignRequest) (realtime.Signature, error) {
	sig, err := n.signer.Sign(ctx, r)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, r)
	if n.change != nil && err == nil {
		sig, err = n.change(r, sig)
	}
	n.issued = append(n.issued, sig)
	return sig, err
}

// changing makes it sign otherwise from now on; nil: as it should.
func (n *notary) changing(f func(r realtime.SignRequest, s realtime.Signature) (realtime.Signature, error)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.change = f
}

// upperHMAC is a signature in upper-case hex.
func upperHMAC(key, text string) string {
	mac := hmac.New(sha1.New, []byte(key))
	mac.Write([]byte(text))
	return strings.ToUpper(hex.EncodeToString(mac.Sum(nil)))
}

func (n *notary) actions() []realtime.SignAction {
	n.mu.Lock()
	defer n.mu.Unlock()
	var list []realtime.SignAction
	for _, r := range n.asked {
		list = append(list, r.Action)
	}
	n.asked = nil
	return list
}

// signedCall is a call that is signed: what it asks the signer for, and how a
// wrong signature is refused.
type signedCall struct {
	name   string
	action realtime.SignAction
	code   realtime.ErrorCode
	call   func(ctx context.Context, conv, news *realtime.Conversation) error
}

func signedCalls() []signedCall {
	type conv = *realtime.Conversation
	return []signedCall{
		{"create", realtime.SignCreate, realtime.ErrConversationSignatureFailed, func(ctx context.Context, c, _ conv) error {
			_, err := c.Client().CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"zoe", "Ann", "Bob"}, NotUnique: true})
			return err
		}},
		{"create a room", realtime.SignCreate, realtime.ErrConversationSignatureFailed, func(ctx context.Context, c, _ conv) error {
			_, err := c.Client().CreateChatRoom(ctx, realtime.ChatRoomOptions{})
			return err
		}},
		{"create a temporary one", realtime.SignCreate, realtime.ErrConversationSignatureFailed, func(ctx context.Context, c, _ conv) error {
			_, err := c.Client().CreateTemporaryConversation(ctx, realtime.TemporaryConversationOptions{Members: []string{"Ann"}})
			return err
		}},
		{"add", realtime.SignInvite, realtime.ErrConversationSignatureFailed, func(ctx context.Context, c, _ conv) error { return c.Add(ctx, "zoe", "Ann") }},
		{"remove", realtime.SignKick, realtime.ErrConversationSignatureFailed, func(ctx context.Context, c, _ conv) error { return c.Remove(ctx, "zoe", "Ann") }},
		{"join", realtime.SignInvite, realtime.ErrConversationSignatureFailed, func(ctx context.Context, c, _ conv) error { return c.Join(ctx) }},
		{"subscribe", realtime.SignInvite, realtime.ErrConversationSignatureFailed, func(ctx context.Context, _, news conv) error { return news.Subscribe(ctx) }},
		{"unsubscribe", realtime.SignKick, realtime.ErrConversationSignatureFailed, func(ctx context.Context, _, news conv) error { return news.Unsubscribe(ctx) }},
		{"block", realtime.SignBlock, realtime.ErrBlacklistSignatureFailed, func(ctx context.Context, c, _ conv) error { return c.BlockMembers(ctx, "Rogue", "Ann") }},
		{"unblock", realtime.SignUnblock, realtime.ErrBlacklistSignatureFailed, func(ctx context.Context, c, _ conv) error { return c.UnblockMembers(ctx, "Rogue", "Ann") }},
		{"quit", realtime.SignKick, realtime.ErrConversationSignatureFailed, func(ctx context.Context, c, _ conv) error { return c.Quit(ctx) }},
	}
}

// Everything that is signed is let through with the right signature, and with
// no other: a wrong one, one for something else, none at all, or the same one
// again.
func TestSurfaceSignatures(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		n := s.notary()
		id := s.service(map[string]any{"name": "News"})
		tom := s.Client("Tom", realtime.WithSigner(n))
		require.Equal(t, []realtime.SignAction{realtime.SignLogin}, n.actions())
		conv := s.group(tom)
		news, err := tom.GetConversation(ctx, id)
		require.NoError(t, err)
		n.actions()
		wrong := map[string]func(r realtime.SignRequest, sig realtime.Signature) (realtime.Signature, error){
			"none": func(realtime.SignRequest, realtime.Signature) (realtime.Signature, error) {
				return realtime.Signature{}, nil
			},
			"garbage": func(_ realtime.SignRequest, sig realtime.Signature) (realtime.Signature, error) {
				sig.Signature = "signature"
				return sig, nil
			},
			"another nonce": func(_ realtime.SignRequest, sig realtime.Signature) (realtime.Signature, error) {
				sig.Nonce += "x"
				return sig, nil
			},
			"another action": func(r realtime.SignRequest, sig realtime.Signature) (realtime.Signature, error) {
				r.Action += "x"
				if r.Action == "createx" { // which has no action in its text
					r.Members = append(r.Members, "Eve")
					r.Action = realtime.SignCreate
				}
				return n.signer.Sign(ctx, r)
			},
			"another client": func(r realtime.SignRequest, sig realtime.Signature) (realtime.Signature, error) {
				r.ClientID = "Jerry"
				return n.signer.Sign(ctx, r)
			},
			"too old": func(r realtime.SignRequest, sig realtime.Signature) (realtime.Signature, error) {
				time.Sleep(6*time.Hour + time.Second)
				return sig, nil
			},
			"another key": func(r realtime.SignRequest, sig realtime.Signature) (realtime.Signature, error) {
				return realtime.MasterKeySigner("another").Sign(ctx, r)
			},
		}
		for _, c := range signedCalls() {
			for name, change := range wrong {
				n.changing(change)
				require.ErrorIs(t, c.call(ctx, conv, news), c.code, "%s with %s", c.name, name)
			}
			n.changing(nil)
			n.actions()
			require.NoError(t, c.call(ctx, conv, news), c.name)
			require.Equal(t, []realtime.SignAction{c.action}, n.actions(), c.name)
			used := n.issued[len(n.issued)-1]
			n.changing(func(realtime.SignRequest, realtime.Signature) (realtime.Signature, error) { return used, nil })
			require.ErrorIs(t, c.call(ctx, conv, news), c.code, "%s with a signature that was used", c.name)
			n.changing(nil)
			require.NoError(t, tom.Err())
		}

		// What a signer refuses is not sent.
		mark := len(s.Commands())
		no := errors.New("not allowed")
		n.changing(func(realtime.SignRequest, realtime.Signature) (realtime.Signature, error) {
			return realtime.Signature{}, no
		})
		for _, c := range signedCalls() {
			err := c.call(ctx, conv, news)
			require.ErrorIs(t, err, no, c.name)
			require.ErrorContains(t, err, "sign "+string(c.action), c.name)
		}
		require.Empty(t, s.sent(mark))
	}, verifying())
}

func TestSurfaceSignedLogin(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		n := s.notary()
		open := func(opts ...realtime.ClientOption) error {
			c := s.realtime().NewIMClient("Tom", opts...)
			defer c.Close(ctx)
			return c.Open(ctx)
		}
		require.NoError(t, open(realtime.WithSigner(n)))
		require.ErrorIs(t, open(), realtime.ErrSignatureFailed)
		require.ErrorIs(t, open(realtime.WithSigner(realtime.MasterKeySigner("another"))), realtime.ErrSignatureFailed)
		used := n.issued[0]
		n.changing(func(realtime.SignRequest, realtime.Signature) (realtime.Signature, error) { return used, nil })
		require.ErrorIs(t, open(realtime.WithSigner(n)), realtime.ErrSignatureFailed, "used before")
		time.Sleep(7 * time.Hour)
		require.ErrorIs(t, open(realtime.WithSigner(n)), realtime.ErrSignatureFailed)

		// The time of a signature may be in seconds, its digits of either case.
		n.changing(nil)
		seconds := realtime.SignerFunc(func(ctx context.Context, r realtime.SignRequest) (realtime.Signature, error) {
			stamp := time.Now().Unix()
			return realtime.Signature{Signature: upperHMAC(s.MasterKey, r.StringToSign(stamp, "nonce")), Timestamp: stamp, Nonce: "nonce"}, nil
		})
		require.NoError(t, open(realtime.WithSigner(seconds)))
		require.ErrorIs(t, open(realtime.WithSigner(seconds)), realtime.ErrSignatureFailed, "the same in the same second")
		time.Sleep(time.Second)
		require.NoError(t, open(realtime.WithSigner(seconds)))
	}, verifying())
}

// A reconnect goes by the session token: no signer is asked. Without a valid
// token it is asked once more.
func TestSurfaceReconnectNeedsNoSignature(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		n := s.notary()
		tom := s.Client("Tom", realtime.WithSigner(n))
		heard := watch(tom)
		n.actions()
		for range 3 {
			s.Cut("Tom")
			require.Contains(t, heard.heard(), "Reconnect")
		}
		require.Empty(t, n.actions())
		s.ExpireTokens("Tom")
		s.Cut("Tom")
		require.Contains(t, heard.heard(), "Reconnect")
		require.Equal(t, []realtime.SignAction{realtime.SignLogin}, n.actions())

		// A client that cannot sign any more ends.
		n.changing(func(realtime.SignRequest, realtime.Signature) (realtime.Signature, error) {
			return realtime.Signature{Signature: "00", Timestamp: 1, Nonce: "n"}, nil
		})
		s.ExpireTokens("Tom")
		s.Cut("Tom")
		calm()
		require.ErrorIs(t, tom.Err(), realtime.ErrSignatureFailed)
	}, verifying())
}

// Kicking a client voids what was signed for it before, used or not.
func TestSurfaceKickVoidsSignatures(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		n := s.notary()
		login := realtime.SignRequest{Action: realtime.SignLogin, AppID: s.AppID, ClientID: "Tom"}
		unused, err := n.Sign(ctx, login)
		require.NoError(t, err)
		tom, jerry := s.Client("Tom", realtime.WithSigner(n)), s.Client("Jerry", realtime.WithSigner(n))
		login.ClientID = "Jerry"
		jerrys, err := n.Sign(ctx, login)
		require.NoError(t, err)
		time.Sleep(time.Second)
		require.NoError(t, s.Admin().IMClient("Tom").Kick(ctx, "spam"))
		calm()
		require.ErrorIs(t, tom.Err(), realtime.ErrKickedByApp)
		require.NoError(t, jerry.Err())

		again := func(id string, sig realtime.Signature) error {
			c := s.realtime().NewIMClient(id, realtime.WithSigner(realtime.SignerFunc(
				func(context.Context, realtime.SignRequest) (realtime.Signature, error) { return sig, nil })))
			defer c.Close(ctx)
			return c.Open(ctx)
		}
		require.ErrorIs(t, again("Tom", unused), realtime.ErrSignatureFailed)
		require.NoError(t, again("Jerry", jerrys), "who was not kicked")
		s.Client("Tom", realtime.WithSigner(n))
	}, verifying())
}

// A token that is over is exchanged for a new one with a signature of its own.
func TestSurfaceSignedRefresh(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		n := s.notary()
		tom := s.Client("Tom", realtime.WithSigner(n))
		conv := s.group(tom, "Jerry")
		n.actions()
		time.Sleep(72 * time.Hour)
		_, err := conv.GetAllMemberInfo(ctx)
		require.NoError(t, err)
		require.Equal(t, []realtime.SignAction{realtime.SignLogin}, n.actions())

		time.Sleep(72 * time.Hour)
		login := n.issued[0]
		n.changing(func(realtime.SignRequest, realtime.Signature) (realtime.Signature, error) { return login, nil })
		_, err = conv.GetAllMemberInfo(ctx, realtime.WithoutCache())
		require.ErrorIs(t, err, realtime.ErrSignatureFailed)
		require.NoError(t, tom.Err(), "the session goes on")
	}, verifying())
}

// Off by default: any word is a signature then.
func TestSurfaceSignaturesAreNotLookedAtByDefault(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		word := realtime.SignerFunc(func(context.Context, realtime.SignRequest) (realtime.Signature, error) {
			return realtime.Signature{Signature: "signature", Timestamp: 1, Nonce: "n"}, nil
		})
		id := s.service(map[string]any{"name": "News"})
		for range 2 {
			tom := s.Client("Tom", realtime.WithSigner(word))
			conv := s.group(tom)
			news, err := tom.GetConversation(t.Context(), id)
			require.NoError(t, err)
			for _, c := range signedCalls() {
				require.NoError(t, c.call(t.Context(), conv, news), c.name)
			}
		}
	})
}

// Of several uses of one signature at once one succeeds.
func TestSurfaceOneSignatureManyClients(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		sig, err := realtime.MasterKeySigner(s.MasterKey).Sign(t.Context(), realtime.SignRequest{
			Action: realtime.SignLogin, AppID: s.AppID, ClientID: "Tom",
		})
		require.NoError(t, err)
		same := realtime.SignerFunc(func(context.Context, realtime.SignRequest) (realtime.Signature, error) { return sig, nil })
		results := make(chan error, 20)
		for range cap(results) {
			c := s.realtime().NewIMClient("Tom", realtime.WithSigner(same))
			go func() { results <- c.Open(context.Background()) }()
		}
		opened := 0
		for range cap(results) {
			if err := <-results; err == nil {
				opened++
			} else {
				require.ErrorIs(t, err, realtime.ErrSignatureFailed)
			}
		}
		require.Equal(t, 1, opened)
	}, verifying())
}

// Log in as a user of the app's own user system.
func TestSurfaceUserSession(t *testing.T) {
	users := func(_ context.Context, appID, token string) (string, error) {
		switch token {
		case "token of Tom":
			return "Tom", nil
		case "token of nobody":
			return "", nil
		}
		return "", errors.New("no such session")
	}
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		for range 2 { // every login has a signature of its own
			tom, err := s.realtime().CreateIMClient(ctx, "Tom", realtime.WithUserSession("token of Tom"))
			require.NoError(t, err)
			require.NoError(t, tom.Close(ctx))
		}
		nameless, err := s.realtime().CreateIMClient(ctx, "", realtime.WithUserSession("token of Tom"))
		require.NoError(t, err)
		require.Equal(t, "Tom", nameless.ID(), "the server knows who the user is")
		s.ExpireTokens("Tom")
		s.Cut("Tom")
		calm()
		require.NoError(t, nameless.Err())
		online, err := nameless.OnlineClients(ctx, "Tom")
		require.NoError(t, err)
		require.Equal(t, []string{"Tom"}, online)

		_, err = s.realtime().CreateIMClient(ctx, "Jerry", realtime.WithUserSession("token of Tom"))
		require.Error(t, err, "who is somebody else")
		for _, token := range []string{"token of nobody", "hunter2"} {
			_, err = s.realtime().CreateIMClient(ctx, "Tom", realtime.WithUserSession(token))
			var e *realtime.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, http.StatusUnauthorized, e.HTTPStatus)
			require.NotContains(t, err.Error(), "hunter2")
		}
	}, verifying(), settings(func(o *server.Options) { o.Users = users }))

	// A server without users says so.
	onSurface(t, func(t *testing.T, s *surface) {
		_, err := s.realtime().CreateIMClient(t.Context(), "Tom", realtime.WithUserSession("token of Tom"))
		var e *realtime.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, http.StatusNotFound, e.HTTPStatus)
	})
}

// History over REST: the master key needs no signature, but one that is shown
// is verified, and works once.
func TestSurfaceSignedHistory(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom := s.Client("Tom", realtime.WithSigner(s.notary()))
		conv := s.group(tom)
		s.say(conv, "hello")
		path := "/1.2/rtm/conversations/" + conv.ID() + "/messages"
		ask := func(query url.Values) int {
			status, _ := s.restWith(s.MasterKey+",master", "GET", path+"?"+query.Encode(), nil)
			return status
		}
		require.Equal(t, http.StatusOK, ask(nil))
		stamp := strconv.FormatInt(time.Now().UnixMilli(), 10)
		signed := func(nonce, text string) url.Values {
			return url.Values{
				"client_id": {"Tom"}, "nonce": {nonce}, "signature_ts": {stamp}, "signature": {upperHMAC(s.MasterKey, text)},
			}
		}
		head := s.AppID + ":Tom:" + conv.ID() + ":"
		for _, query := range []url.Values{
			signed("n1", head+"n1:"+stamp), // as documented
			signed("n2", head+stamp+":n2"), // as in demos
		} {
			require.Equal(t, http.StatusOK, ask(query))
			require.NotEqual(t, http.StatusOK, ask(query), "used before")
		}
		require.NotEqual(t, http.StatusOK, ask(signed("n3", head+"n4:"+stamp)))
	}, verifying())
}
