package realtime_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rttest"
)

// Secrets that must never show up anywhere.
const (
	secretKey  = "hunter2-app-key"
	secretSign = "hunter2-signature"
	secretUser = "hunter2-user-session"
)

// world is a Realtime in front of a scripted server, with everything that
// happens written down.
type world struct {
	t    *testing.T
	peer *rttest.Peer
	rt   *realtime.Realtime

	mu   sync.Mutex
	said []string
	log  bytes.Buffer
}

// newWorld makes a Realtime that reconnects after 1 s, 2 s, 4 s and so on.
func newWorld(t *testing.T, change ...func(o *realtime.Options)) *world {
	w := &world{t: t, peer: rttest.New(t)}
	o := realtime.Options{
		AppID:      "app",
		AppKey:     secretKey,
		Server:     rttest.URL,
		DeviceID:   "device",
		HTTPClient: w.peer.HTTPClient(),
		Backoff:    func(attempt int) time.Duration { return time.Second << attempt },
		Logger:     slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&o)
	}
	var err error
	w.rt, err = realtime.New(o)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, w.rt.Close(context.Background()))
		require.Equal(t, realtime.StateClosed, w.rt.State())
		require.NotContains(t, w.logged(), "hunter2")
	})
	return w
}

// Write is where the log goes.
func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

// inWorld runs a test in a bubble of its own.
func inWorld(t *testing.T, test func(t *testing.T, w *world), change ...func(o *realtime.Options)) {
	synctest.Test(t, func(t *testing.T) { test(t, newWorld(t, change...)) })
}

// say writes something down.
func (w *world) say(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

// expect lets everything settle and compares what was said since the last
// call.
func (w *world) expect(want ...string) {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	said := w.said
	w.said = nil
	w.mu.Unlock()
	if len(want) == 0 {
		require.Empty(w.t, said)
		return
	}
	require.Equal(w.t, want, said)
}

// open returns an open client that follows its events.
func (w *world) open(id string, opts ...realtime.ClientOption) *realtime.IMClient {
	w.t.Helper()
	c := w.rt.NewIMClient(id, opts...)
	w.follow(id, c)
	require.NoError(w.t, c.Open(w.t.Context()))
	return c
}

// follow says every event that a client's handlers get.
func (w *world) follow(name string, c *realtime.IMClient) {
	w.followConnection(name, c)
	c.OnMessage(func(_ context.Context, e *realtime.MessageEvent) { w.say("%s: %s", name, describe(e)) })
	c.OnReconnectError(func(_ context.Context, e *realtime.ReconnectErrorEvent) { w.say("%s: %s", name, describe(e)) })
	c.OnConflict(func(ctx context.Context, e *realtime.ConflictEvent) { w.say("%s: %s %v", name, describe(e), ctx.Err()) })
	c.OnClose(func(ctx context.Context, e *realtime.CloseEvent) { w.say("%s: %s %v", name, describe(e), ctx.Err()) })
}

// connectionEmitter is what a Realtime and a client have in common.
type connectionEmitter interface {
	OnDisconnect(h func(ctx context.Context, e *realtime.DisconnectEvent)) (stop func())
	OnOffline(h func(ctx context.Context, e *realtime.OfflineEvent)) (stop func())
	OnOnline(h func(ctx context.Context, e *realtime.OnlineEvent)) (stop func())
	OnReconnect(h func(ctx context.Context, e *realtime.ReconnectEvent)) (stop func())
	OnSchedule(h func(ctx context.Context, e *realtime.ScheduleEvent)) (stop func())
	OnRetry(h func(ctx context.Context, e *realtime.RetryEvent)) (stop func())
}

func (w *world) followConnection(name string, x connectionEmitter) {
	x.OnDisconnect(func(_ context.Context, e *realtime.DisconnectEvent) { w.say("%s: %s", name, describe(e)) })
	x.OnOffline(func(_ context.Context, e *realtime.OfflineEvent) { w.say("%s: %s", name, describe(e)) })
	x.OnOnline(func(_ context.Context, e *realtime.OnlineEvent) { w.say("%s: %s", name, describe(e)) })
	x.OnReconnect(func(_ context.Context, e *realtime.ReconnectEvent) { w.say("%s: %s", name, describe(e)) })
	x.OnSchedule(func(_ context.Context, e *realtime.ScheduleEvent) { w.say("%s: %s", name, describe(e)) })
	x.OnRetry(func(_ context.Context, e *realtime.RetryEvent) { w.say("%s: %s", name, describe(e)) })
}

// followStream says every event of a stream, but for counts of unread messages,
// and how it ends. It returns a function that waits for that.
func (w *world) followStream(name string, events func(yield func(realtime.Event, error) bool)) (wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ev, err := range events {
			if err != nil {
				w.say("%s: end: %v", name, err)
				continue
			}
			if _, count := ev.(*realtime.UnreadMessagesCountUpdateEvent); count {
				continue
			}
			w.say("%s: %s", name, describe(ev))
		}
	}()
	return func() { <-done }
}

// describe is an event in few words.
func describe(ev realtime.Event) string {
	switch e := ev.(type) {
	case *realtime.MessageEvent:
		return "message " + e.Message.ID
	case *realtime.DisconnectEvent:
		return "disconnect"
	case *realtime.OfflineEvent:
		return "offline"
	case *realtime.OnlineEvent:
		return "online"
	case *realtime.ReconnectEvent:
		return "reconnect"
	case *realtime.ScheduleEvent:
		return fmt.Sprintf("schedule(%d, %v)", e.Attempt, e.Delay)
	case *realtime.RetryEvent:
		return fmt.Sprintf("retry(%d)", e.Attempt)
	case *realtime.ReconnectErrorEvent:
		return "reconnecterror " + e.Err.Error()
	case *realtime.ConflictEvent:
		return "conflict " + e.Reason
	case *realtime.CloseEvent:
		return fmt.Sprintf("close %d %s", e.Code, e.Reason)
	}
	return fmt.Sprintf("%T", ev)
}

// push has the server deliver messages with these ids to a client.
func (w *world) push(to string, ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		w.peer.Socket().Send(message(to, "conv", id))
	}
}

// message is a push of a message.
func message(to, conv, id string) *pb.GenericCommand {
	return &pb.GenericCommand{
		Cmd:    pb.CommandType_direct.Enum(),
		PeerId: proto.String(to),
		DirectMessage: &pb.DirectCommand{
			FromPeerId: proto.String("Friend"),
			Cid:        proto.String(conv),
			Id:         proto.String(id),
			Timestamp:  proto.Int64(time.Now().UnixMilli()),
			Msg:        proto.String("text of " + id),
			ConvType:   proto.Int32(int32(realtime.KindNormal)),
		},
	}
}

// closed is a push that ends a session.
func closed(to string, code realtime.ErrorCode, reason string) *pb.GenericCommand {
	return &pb.GenericCommand{
		Cmd:            pb.CommandType_session.Enum(),
		Op:             pb.OpType_closed.Enum(),
		PeerId:         proto.String(to),
		SessionMessage: &pb.SessionCommand{Code: proto.Int32(int32(code)), Reason: proto.String(reason)},
	}
}

// received returns the commands of one kind that the server has got.
func (w *world) received(cmd pb.CommandType, op pb.OpType) []*pb.GenericCommand {
	synctest.Wait()
	var found []*pb.GenericCommand
	for _, c := range w.peer.Commands() {
		if c.GetCmd() == cmd && (op == 0 || c.GetOp() == op) {
			found = append(found, c)
		}
	}
	return found
}

// silent is a handler that never answers.
func silent(*rttest.Socket, *pb.GenericCommand) *pb.GenericCommand { return nil }

// refuse is a handler that answers with an error.
func refuse(code realtime.ErrorCode) rttest.Handler {
	return func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
		reply := s.Reply(cmd, pb.CommandType_error, 0)
		reply.ErrorMessage = &pb.ErrorCommand{Code: proto.Int32(int32(code)), Reason: proto.String(code.String())}
		return reply
	}
}

// lines splits what a multi-line expectation says.
func lines(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// after returns a context that ends after d.
func after(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
