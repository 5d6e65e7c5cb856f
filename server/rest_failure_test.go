package server_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/server"
	"github.com/leanrtm/realtime/server/internal/store"
)

// faultyStore fails as it is told.
type faultyStore struct {
	server.Store
	failing atomic.Bool
	reading atomic.Bool // reads of conversations fail, too
	commits atomic.Int64
}

func (f *faultyStore) Commit(ctx context.Context, batches []store.Batch) []error {
	f.commits.Add(1)
	if !f.failing.Load() {
		return f.Store.Commit(ctx, batches)
	}
	errs := make([]error, len(batches))
	for i := range errs {
		errs[i] = store.ErrUnavailable
	}
	return errs
}

func (f *faultyStore) Scan(ctx context.Context, app string, a store.Access, visit func(*store.Conv) bool) error {
	if f.reading.Load() {
		return store.ErrUnavailable
	}
	return f.Store.Scan(ctx, app, a, visit)
}

// A store that fails is the server's failure, whatever the code says, and worth
// another try; what it says of itself is for the log.
func TestRESTWhenTheStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &faultyStore{Store: server.NewMemoryStore()}
		var mu sync.Mutex
		var log bytes.Buffer
		s := realtimetest.NewServer(t, realtimetest.WithServerOptions(func(o *server.Options) {
			o.Store = f
			o.Logger = slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, nil))
		}))
		c := s.Admin()
		h, err := c.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"tom"}})
		require.NoError(t, err)

		hello := admin.Message{From: "tom", Content: realtime.NewTextMessage("hello")}
		failed := func(err error) {
			t.Helper()
			var refused *realtime.Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, http.StatusInternalServerError, refused.HTTPStatus, "%v", err)
			require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
			require.NotContains(t, err.Error(), store.ErrUnavailable.Error())
		}
		f.failing.Store(true)
		_, err = h.Send(t.Context(), hello)
		failed(err)
		require.False(t, realtime.SafeToRetry(err))
		failed(h.Add(t.Context(), "jerry"))
		failed(h.Save(t.Context(), map[string]any{"a": 1}))
		f.reading.Store(true)
		for _, err := range c.Conversations(t.Context(), admin.Query{Where: map[string]any{"a": 1}}) {
			failed(err) // with the code of a query that is wrong
			require.ErrorIs(t, err, realtime.ErrConversationQueryFailed)
		}
		mu.Lock()
		require.Contains(t, log.String(), store.ErrUnavailable.Error())
		mu.Unlock()

		// What can be repeated is, until it works.
		go func() {
			time.Sleep(700 * time.Millisecond)
			f.failing.Store(false)
			f.reading.Store(false)
		}()
		before := f.commits.Load()
		require.NoError(t, h.Add(t.Context(), "jerry"))
		require.Greater(t, f.commits.Load()-before, int64(1))
		for m, err := range h.Messages(t.Context(), realtime.MessageQuery{}) {
			require.NoError(t, err)
			require.Fail(t, "a message that failed is there", "%v", m)
		}
	})
}

// A caller that leaves is no failure of the server.
func TestRESTCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var log bytes.Buffer
		s := realtimetest.NewServer(t, realtimetest.WithServerOptions(func(o *server.Options) {
			o.Logger = slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, nil))
			o.Hooks = &server.Hooks{
				ConversationStart: func(ctx context.Context, _ *server.ConversationStart) (server.Verdict, error) {
					<-ctx.Done()
					return server.Verdict{}, ctx.Err()
				},
			}
		}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.Admin().CreateChatRoom(ctx, realtime.ChatRoomOptions{})
		require.ErrorIs(t, err, realtime.ErrTimeout)
		require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		require.NotContains(t, log.String(), "level=ERROR")
	})
}
