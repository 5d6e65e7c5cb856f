package realtime_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/server"
)

func TestE2ELogin(t *testing.T) {
	play(t, nil, func(t *testing.T, s *story) {
		rt, err := realtime.New(s.Options())
		require.NoError(t, err)
		defer rt.Close(context.Background())
		require.Equal(t, realtime.StateInitialized, rt.State())

		tom, err := rt.CreateIMClient(t.Context(), "Tom")
		require.NoError(t, err)
		require.Equal(t, "Tom", tom.ID())
		require.Same(t, rt, tom.Realtime())
		require.Equal(t, realtime.StateConnected, rt.State())
		require.NoError(t, tom.Err())
		select {
		case <-tom.Done():
			t.Fatal("has ended")
		default:
		}

		again, err := rt.CreateIMClient(t.Context(), "Tom")
		require.NoError(t, err)
		require.Same(t, tom, again, "a live client is returned as it is")

		jerry, err := rt.CreateIMClient(t.Context(), "Jerry")
		require.NoError(t, err)
		online, err := jerry.OnlineClients(t.Context(), "Tom", "Mary", "Jerry")
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"Tom", "Jerry"}, online)

		require.NoError(t, tom.Close(t.Context()))
		require.NoError(t, tom.Close(t.Context()))
		<-tom.Done()
		require.ErrorIs(t, tom.Err(), realtime.ErrClosed)
		online, err = jerry.OnlineClients(t.Context(), "Tom")
		require.NoError(t, err)
		require.Empty(t, online)

		fresh, err := rt.CreateIMClient(t.Context(), "Tom")
		require.NoError(t, err)
		require.NotSame(t, tom, fresh)
	})
}

func TestE2EServerChoosesTheID(t *testing.T) {
	play(t, nil, func(t *testing.T, s *story) {
		first, second := s.login(""), s.login("")
		require.NotEmpty(t, first.ID())
		require.NotEmpty(t, second.ID())
		require.NotEqual(t, first.ID(), second.ID())
		conv, err := first.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{second.ID()}})
		require.NoError(t, err)
		require.ElementsMatch(t, []string{first.ID(), second.ID()}, conv.Members())
	})
}

func TestE2EConnectionIsDroppedAfterTheLastClient(t *testing.T) {
	play(t, nil, func(t *testing.T, s *story) {
		rt, err := realtime.New(s.Options())
		require.NoError(t, err)
		defer rt.Close(context.Background())
		for range 3 {
			tom, err := rt.CreateIMClient(t.Context(), "Tom")
			require.NoError(t, err)
			require.Equal(t, realtime.StateConnected, rt.State())
			require.NoError(t, tom.Close(t.Context()))
			require.NotEqual(t, realtime.StateConnected, rt.State())
		}
		require.NoError(t, rt.Close(t.Context()))
		require.Equal(t, realtime.StateClosed, rt.State())
		_, err = rt.CreateIMClient(t.Context(), "Tom")
		require.ErrorIs(t, err, realtime.ErrClosed)
	})
}

func TestE2EOneDevicePerTag(t *testing.T) {
	play(t, nil, func(t *testing.T, s *story) {
		first := s.login("Tom", realtime.WithTag("Mobile"))
		events := s.events["Tom"]
		pc := s.login("Tom", realtime.WithTag("PC"))
		second := s.login("Tom", realtime.WithTag("Mobile"))
		settle()
		require.Equal(t, []string{"conflict SESSION_CONFLICT"}, events.take())
		<-first.Done()
		require.ErrorIs(t, first.Err(), realtime.ErrSessionConflict)
		require.NoError(t, pc.Err(), "another tag")
		require.NoError(t, second.Err())

		rt, err := realtime.New(s.Options())
		require.NoError(t, err)
		defer rt.Close(context.Background())
		_, err = rt.CreateIMClient(t.Context(), "Tom", realtime.WithTag("Mobile"), realtime.WithReconnect())
		require.ErrorIs(t, err, realtime.ErrSessionConflict, "does not displace")
		require.NoError(t, second.Err())
	})
}

func TestE2ESignedLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t, realtimetest.NewServer(t, realtimetest.WithServerOptions(func(o *server.Options) {
			o.Apps[0].VerifyLogin = true
			o.Apps[0].VerifyConversation = true
		})))
		var asked []realtime.SignAction
		signer := realtime.MasterKeySigner(s.MasterKey)
		tom := s.login("Tom", realtime.WithSigner(realtime.SignerFunc(
			func(ctx context.Context, r realtime.SignRequest) (realtime.Signature, error) {
				asked = append(asked, r.Action)
				return signer.Sign(ctx, r)
			})))
		conv := s.conversation("Tom", "Jerry")
		require.NoError(t, conv.Add(t.Context(), "Mary"))
		require.NoError(t, conv.Remove(t.Context(), "Mary"))
		require.Equal(t, []realtime.SignAction{
			realtime.SignLogin, realtime.SignCreate, realtime.SignInvite, realtime.SignKick,
		}, asked)
		require.NoError(t, tom.Err())

		rt, err := realtime.New(s.Options())
		require.NoError(t, err)
		defer rt.Close(context.Background())
		_, err = rt.CreateIMClient(t.Context(), "Jerry")
		require.ErrorIs(t, err, realtime.ErrSignatureFailed)
		_, err = rt.CreateIMClient(t.Context(), "Jerry", realtime.WithSigner(realtime.MasterKeySigner("not the key")))
		require.ErrorIs(t, err, realtime.ErrSignatureFailed)
		require.NotContains(t, err.Error(), "not the key")

		refusal := errors.New("who are you?")
		_, err = rt.CreateIMClient(t.Context(), "Jerry", realtime.WithSigner(realtime.SignerFunc(
			func(context.Context, realtime.SignRequest) (realtime.Signature, error) {
				return realtime.Signature{}, refusal
			})))
		require.ErrorIs(t, err, refusal)
	})
}

func TestE2ELoginRefused(t *testing.T) {
	tests := map[string]struct {
		change func(o *realtime.Options)
		id     string
		want   error
	}{
		"unknown app":     {func(o *realtime.Options) { o.AppID = "nobody" }, "Tom", realtime.ErrAppNotAvailable},
		"id of 65":        {nil, strings.Repeat("x", 65), realtime.ErrInvalidArgument},
		"nobody listens":  {func(o *realtime.Options) { o.Server = "http://elsewhere.test" }, "Tom", nil},
		"refused sockets": {func(o *realtime.Options) { o.RTMServers = []string{"ws://elsewhere.test"} }, "Tom", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(t *testing.T, s *story) {
				o := s.Options()
				if test.change != nil {
					test.change(&o)
				}
				rt, err := realtime.New(o)
				require.NoError(t, err)
				defer rt.Close(context.Background())
				start := time.Now()
				_, err = rt.CreateIMClient(t.Context(), test.id)
				require.Error(t, err)
				if test.want != nil {
					require.ErrorIs(t, err, test.want)
				}
				require.NotContains(t, err.Error(), s.AppKey)
				require.Less(t, time.Since(start), 20*time.Second, "the refusal is told, not timed out")
			})
		})
	}
}

func TestE2EIDsOf64CharactersAreFine(t *testing.T) {
	for name, id := range map[string]string{
		"latin": strings.Repeat("x", 64), "chinese": strings.Repeat("猫", 64), "mail": "tom@cat.example", "blank": " ",
	} {
		t.Run(name, func(t *testing.T) {
			play(t, []string{id}, func(t *testing.T, s *story) {
				require.Equal(t, id, s.clients[id].ID())
			})
		})
	}
}

func TestE2ERetryOpenWaitsForTheServer(t *testing.T) {
	play(t, nil, func(t *testing.T, s *story) {
		o := s.Options()
		o.RetryOpen = true
		rt, err := realtime.New(o)
		require.NoError(t, err)
		defer rt.Close(context.Background())
		accept := s.Refuse()
		time.AfterFunc(time.Minute, accept)
		start := time.Now()
		_, err = rt.CreateIMClient(t.Context(), "Tom")
		require.NoError(t, err)
		require.GreaterOrEqual(t, time.Since(start), time.Minute)
	})
}

func TestE2EOpenEndsWithItsContext(t *testing.T) {
	play(t, nil, func(t *testing.T, s *story) {
		rt, err := realtime.New(s.Options())
		require.NoError(t, err)
		defer rt.Close(context.Background())
		defer s.Blackhole()()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		_, err = rt.CreateIMClient(ctx, "Tom")
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, time.Second, time.Since(start))
	})
}
