package admin_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/server"
)

func TestOnlineAndStats(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		var ids []string
		for i := range 45 {
			ids = append(ids, fmt.Sprintf("c%02d", i))
			if i%2 == 0 {
				e.player(ids[i])
			}
		}
		online, err := e.c.OnlineClients(e.ctx(), ids...)
		require.NoError(t, err)
		require.Len(t, online, 23)
		require.Contains(t, online, "c44")
		online, err = e.c.OnlineClients(e.ctx())
		require.NoError(t, err)
		require.Empty(t, online)
		_, err = e.c.OnlineClients(e.ctx(), "a", "")
		require.ErrorIs(t, err, realtime.ErrInvalidArgument)

		e.player("brief").Close(e.ctx())
		stats, err := e.c.Stats(e.ctx())
		require.NoError(t, err)
		require.Equal(t, 23, stats.OnlineUsers)
		require.Equal(t, 24, stats.UsersToday)
	})
}

func TestKick(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.player("tom")
		require.NoError(t, e.c.IMClient("tom").Kick(e.ctx(), "请文明发言"))
		closed := pick[*realtime.CloseEvent](tom)
		require.Len(t, closed, 1)
		require.Equal(t, realtime.ErrKickedByApp, closed[0].Code)
		require.Equal(t, "请文明发言", closed[0].Reason)
		require.ErrorIs(t, tom.Err(), realtime.ErrKickedByApp)

		again := e.player("tom") // it may come back
		require.NoError(t, e.c.IMClient("tom").Kick(e.ctx(), ""))
		require.Len(t, pick[*realtime.CloseEvent](again), 1)
		require.NoError(t, e.c.IMClient("nobody").Kick(e.ctx(), ""), "who is away is out already")
		wantRefusal(t, e.c.IMClient("tom").Kick(e.ctx(), "more than twenty characters"), 400)
	})
}

func TestBlockConversations(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tom := e.c.IMClient("tom")
		var ids []string
		for i := range 15 {
			ids = append(ids, e.conversation("mary", fmt.Sprint(i)).ID())
		}
		require.NoError(t, tom.BlockConversations(e.ctx(), ids...))
		var got []string
		for q := (realtime.PageQuery{Limit: 10}); ; {
			page, next, err := tom.QueryBlockedConversations(e.ctx(), q)
			require.NoError(t, err)
			got = append(got, page...)
			if q.Next = next; next == "" {
				break
			}
		}
		require.ElementsMatch(t, ids, got)
		require.NoError(t, tom.UnblockConversations(e.ctx(), ids[1:]...))
		got, _, err := tom.QueryBlockedConversations(e.ctx(), realtime.PageQuery{})
		require.NoError(t, err)
		require.Equal(t, ids[:1], got)
		require.ErrorIs(t, tom.BlockConversations(e.ctx(), ""), realtime.ErrInvalidArgument)
		_, _, err = tom.QueryBlockedConversations(e.ctx(), realtime.PageQuery{Limit: -1})
		require.ErrorIs(t, err, realtime.ErrInvalidArgument)
	})
}

func TestSignLogin(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		id, s, err := e.c.SignLogin(e.ctx(), "session-of-tom")
		require.NoError(t, err)
		require.Equal(t, "user-tom", id)
		signer := realtime.SignerFunc(func(_ context.Context, r realtime.SignRequest) (realtime.Signature, error) {
			require.Equal(t, realtime.SignLogin, r.Action)
			return s, nil
		})
		tom := e.player("user-tom", realtime.WithSigner(signer))
		require.NoError(t, tom.Err())
		require.WithinDuration(t, time.Now(), time.UnixMilli(s.Timestamp), time.Minute)

		_, _, err = e.c.SignLogin(e.ctx(), "hunter2")
		wantRefusal(t, err, 401)
		require.NotContains(t, err.Error(), "hunter2")
		_, _, err = e.c.SignLogin(e.ctx(), "")
		require.ErrorIs(t, err, realtime.ErrInvalidArgument)
	}, realtimetest.WithServerOptions(func(o *server.Options) {
		o.Apps[0].VerifyLogin = true
		o.Users = func(_ context.Context, _, token string) (string, error) {
			if token == "session-of-tom" {
				return "user-tom", nil
			}
			return "", errors.New("no such session")
		}
	}))
}

func TestIDsThatLookLikePaths(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		for _, id := range []string{"a/b", "..", ".", "a b?c=d#e", "%2F", "好", "a%20b", "../x"} {
			p := e.player(id)
			require.NoError(t, e.c.IMClient(id).Kick(e.ctx(), "bye"), id)
			require.Len(t, pick[*realtime.CloseEvent](p), 1, id)
			h := e.service()
			require.NoError(t, h.Subscribe(e.ctx(), id))
			require.NoError(t, h.Unsubscribe(e.ctx(), id))
			n, err := h.Count(e.ctx())
			require.NoError(t, err)
			require.Zero(t, n, id)
		}
	})
}
