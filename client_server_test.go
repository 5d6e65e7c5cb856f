package realtime_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/server"
)

// The tests of this file run clients against the real server.

// onServer runs a test against a server in a bubble of its own.
func onServer(t *testing.T, test func(t *testing.T, s *realtimetest.Server), opts ...realtimetest.Option) {
	synctest.Test(t, func(t *testing.T) { test(t, realtimetest.NewServer(t, opts...)) })
}

// ended waits until a client has ended and returns why.
func ended(t *testing.T, c *realtime.IMClient) error {
	t.Helper()
	select {
	case <-c.Done():
		return c.Err()
	case <-time.After(time.Hour):
		t.Fatal("the client is still alive")
		return nil
	}
}

func TestOneDevicePerTag(t *testing.T) {
	onServer(t, func(t *testing.T, s *realtimetest.Server) {
		old := s.Client("Tom", realtime.WithTag("Mobile"))
		web := s.Client("Tom", realtime.WithTag("Web"))
		plain := s.Client("Tom")
		conflicts := make(chan string, 1)
		old.OnConflict(func(_ context.Context, e *realtime.ConflictEvent) { conflicts <- e.Reason })

		young := s.Client("Tom", realtime.WithTag("Mobile"))
		require.Equal(t, "SESSION_CONFLICT", <-conflicts)
		require.ErrorIs(t, ended(t, old), realtime.ErrSessionConflict)
		for _, c := range []*realtime.IMClient{web, plain, young} {
			require.NoError(t, c.Err())
		}
	})
}

func TestComingBackDoesNotDisplace(t *testing.T) {
	onServer(t, func(t *testing.T, s *realtimetest.Server) {
		holder := s.Client("Tom", realtime.WithTag("Mobile"))
		rt, err := realtime.New(s.Options())
		require.NoError(t, err)
		defer func() { require.NoError(t, rt.Close(context.Background())) }()
		_, err = rt.CreateIMClient(t.Context(), "Tom", realtime.WithTag("Mobile"), realtime.WithReconnect())
		require.ErrorIs(t, err, realtime.ErrSessionConflict)
		require.NoError(t, holder.Err())
	})
}

func TestDisplacedWhileAway(t *testing.T) {
	for _, tokens := range []string{"valid", "expired"} {
		t.Run(tokens, func(t *testing.T) {
			onServer(t, func(t *testing.T, s *realtimetest.Server) {
				old := s.Client("Tom", realtime.WithTag("Mobile"))
				old.Realtime().Pause()
				synctest.Wait()
				if tokens == "expired" {
					s.ExpireTokens("Tom")
				}
				young := s.Client("Tom", realtime.WithTag("Mobile"))
				old.Realtime().Resume()
				require.ErrorIs(t, ended(t, old), realtime.ErrSessionConflict, "it came back behind the other's back")
				require.NoError(t, young.Err())
			})
		})
	}
}

func TestTokensExpireWhileAway(t *testing.T) {
	onServer(t, func(t *testing.T, s *realtimetest.Server) {
		tom := s.Client("Tom", realtime.WithTag("Mobile"), realtime.WithSigner(realtime.MasterKeySigner(s.MasterKey)))
		back := make(chan struct{}, 1)
		tom.OnReconnect(func(context.Context, *realtime.ReconnectEvent) { back <- struct{}{} })
		s.ExpireTokens()
		s.Cut()
		<-back
		online, err := tom.OnlineClients(t.Context(), "Tom", "Jerry")
		require.NoError(t, err)
		require.Equal(t, []string{"Tom"}, online)
	})
}

func TestServerThatDemandsSignatures(t *testing.T) {
	onServer(t, func(t *testing.T, s *realtimetest.Server) {
		rt, err := realtime.New(s.Options())
		require.NoError(t, err)
		defer func() { require.NoError(t, rt.Close(context.Background())) }()
		_, err = rt.CreateIMClient(t.Context(), "Tom")
		require.ErrorIs(t, err, realtime.ErrSignatureFailed)
		_, err = rt.CreateIMClient(t.Context(), "Tom", realtime.WithSigner(realtime.MasterKeySigner("wrong")))
		require.ErrorIs(t, err, realtime.ErrSignatureFailed)
		tom, err := rt.CreateIMClient(t.Context(), "Tom", realtime.WithSigner(realtime.MasterKeySigner(s.MasterKey)))
		require.NoError(t, err)

		// It comes back without its token, too.
		back := make(chan struct{}, 1)
		tom.OnReconnect(func(context.Context, *realtime.ReconnectEvent) { back <- struct{}{} })
		s.ExpireTokens()
		s.Cut()
		<-back
		require.NoError(t, tom.Err())
	}, realtimetest.WithServerOptions(func(o *server.Options) {
		for i := range o.Apps {
			o.Apps[i].VerifyLogin = true
		}
	}))
}

func TestUnknownApp(t *testing.T) {
	onServer(t, func(t *testing.T, s *realtimetest.Server) {
		o := s.Options()
		o.AppID = "nobody"
		rt, err := realtime.New(o)
		require.NoError(t, err)
		defer func() { require.NoError(t, rt.Close(context.Background())) }()
		_, err = rt.CreateIMClient(t.Context(), "Tom")
		require.ErrorIs(t, err, realtime.ErrAppNotAvailable)
	})
}

func TestAnonymousClientsOfTheServer(t *testing.T) {
	onServer(t, func(t *testing.T, s *realtimetest.Server) {
		first, second := s.Client(""), s.Client("")
		require.NotEmpty(t, first.ID())
		require.NotEqual(t, first.ID(), second.ID())
		online, err := first.OnlineClients(t.Context(), first.ID(), second.ID(), "nobody")
		require.NoError(t, err)
		require.ElementsMatch(t, []string{first.ID(), second.ID()}, online)

		// It comes back as who it is.
		id := first.ID()
		back := make(chan struct{}, 1)
		first.OnReconnect(func(context.Context, *realtime.ReconnectEvent) { back <- struct{}{} })
		s.Restart()
		<-back
		require.Equal(t, id, first.ID())
	})
}
