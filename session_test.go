package realtime_test

import (
	"context"
	"fmt"
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

func TestReconnect(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.followConnection("rt", w.rt)
		w.open("Tom", realtime.WithTag("Mobile"), realtime.WithSigner(realtime.SignerFunc(
			func(context.Context, realtime.SignRequest) (realtime.Signature, error) {
				return realtime.Signature{Signature: secretSign, Timestamp: 1, Nonce: "n"}, nil
			})))
		w.expect()
		w.peer.Socket().Drop()
		time.Sleep(time.Minute)

		// Between the Realtime and its clients there is no order.
		synctest.Wait()
		require.Equal(t, []string{
			"rt: disconnect", "rt: schedule(0, 1s)", "rt: retry(0)", "rt: reconnect",
		}, w.saidBy("rt"))
		require.Equal(t, []string{
			"Tom: disconnect", "Tom: schedule(0, 1s)", "Tom: retry(0)", "Tom: reconnect",
		}, w.saidBy("Tom"))

		opens := w.received(pb.CommandType_session, pb.OpType_open)
		require.Len(t, opens, 2)
		m := opens[1].GetSessionMessage()
		require.Equal(t, "Tom", opens[1].GetPeerId())
		require.Equal(t, "app", opens[1].GetAppId())
		require.True(t, m.GetR())
		require.Equal(t, "token-of-Tom", m.GetSt())
		require.NotEmpty(t, m.GetUa())
		require.NotZero(t, m.GetConfigBitmap())
		require.NotZero(t, m.GetLastPatchTime())
		for name, absent := range map[string]bool{
			"tag": m.Tag == nil, "deviceId": m.DeviceId == nil, "s": m.S == nil, "t": m.T == nil, "n": m.N == nil,
		} {
			require.True(t, absent, "%s was sent beside a token", name)
		}
	})
}

// saidBy returns what one listener said since the last call, and drops it.
func (w *world) saidBy(name string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var own, others []string
	for _, line := range w.said {
		if len(line) > len(name) && line[:len(name)+1] == name+":" {
			own = append(own, line)
		} else {
			others = append(others, line)
		}
	}
	w.said = others
	return own
}

func TestEveryClientComesBack(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		names := []string{"a", "b", "c"}
		for _, name := range names {
			w.open(name)
		}
		// One of them is answered late; the others do not wait.
		w.peer.On(pb.CommandType_session, pb.OpType_open, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			if cmd.GetPeerId() == "b" {
				time.AfterFunc(10*time.Second, func() { s.Send(w.peer.Usual(s, cmd)) })
				return nil
			}
			return w.peer.Usual(s, cmd)
		})
		w.peer.Socket().Drop()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		before := func(name string) []string {
			return []string{name + ": disconnect", name + ": schedule(0, 1s)", name + ": retry(0)"}
		}
		for _, name := range names {
			want := before(name)
			if name != "b" {
				want = append(want, name+": reconnect")
			}
			require.Equal(t, want, w.saidBy(name))
		}
		time.Sleep(10 * time.Second)
		w.expect("b: reconnect")
	})
}

func TestFailedAttemptsAreToldInOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.open("Tom")
		w.peer.Refuse(http.StatusServiceUnavailable)
		w.peer.Socket().Drop()
		time.Sleep(3500 * time.Millisecond)
		w.expect("Tom: disconnect", "Tom: schedule(0, 1s)", "Tom: retry(0)",
			"Tom: schedule(1, 2s)", "Tom: retry(1)", "Tom: schedule(2, 4s)")
		require.Equal(t, realtime.StateDisconnected, w.rt.State())
		w.peer.Refuse(0)
		require.NoError(t, w.rt.Retry())
		synctest.Wait()
		w.expect("Tom: retry(0)", "Tom: reconnect")
		err := w.rt.Retry()
		require.ErrorContains(t, err, "connected")

		// The session was open: counting starts again.
		w.peer.Socket().Drop()
		synctest.Wait()
		w.expect("Tom: disconnect", "Tom: schedule(0, 1s)")
	})
}

func TestPauseAndResume(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.rt.Pause() // does not apply
		w.rt.Resume()
		require.Error(t, w.rt.Retry())
		w.open("Tom")
		w.rt.Resume()
		w.expect()
		w.rt.Pause()
		require.Equal(t, realtime.StateOffline, w.rt.State())
		w.expect("Tom: disconnect", "Tom: offline")
		time.Sleep(time.Hour)
		w.expect()
		w.rt.Resume()
		w.expect("Tom: online", "Tom: schedule(0, 0s)", "Tom: retry(0)", "Tom: reconnect")
		require.Equal(t, realtime.StateConnected, w.rt.State())
	})
}

func TestGoAway(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.open("Tom")
		w.peer.SetRoutes(rttest.SocketURL + "/other")
		w.peer.Socket().Send(&pb.GenericCommand{Cmd: pb.CommandType_goaway.Enum()})
		time.Sleep(time.Minute)
		w.expect("Tom: disconnect", "Tom: schedule(0, 1s)", "Tom: retry(0)", "Tom: reconnect")
		require.Equal(t, "/socket/other", w.peer.Socket().Path())
	})
}

func TestReopenErrors(t *testing.T) {
	const back = "Tom: disconnect\nTom: schedule(0, 1s)\nTom: retry(0)\n"
	for _, tt := range []struct {
		name   string
		answer func(attempt int, s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand
		want   string
		err    error // that the client ends with
	}{
		{"tried again with the backoff", func(attempt int, s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			if attempt < 2 {
				return refuse(realtime.ErrInternalError)(s, cmd)
			}
			return s.Reply(cmd, pb.CommandType_session, pb.OpType_opened)
		}, back + `
			Tom: reconnecterror realtime: INTERNAL_ERROR (4200)
			Tom: reconnecterror realtime: INTERNAL_ERROR (4200)
			Tom: reconnect`, nil},
		{"no answer", func(attempt int, s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			if attempt < 1 {
				return nil
			}
			return s.Reply(cmd, pb.CommandType_session, pb.OpType_opened)
		}, back + `
			Tom: reconnecterror realtime: session/open: timeout (the command may have been executed)
			Tom: reconnect`, nil},
		{"final", func(_ int, s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			return refuse(realtime.ErrBlacklisted)(s, cmd)
		}, back + `
			Tom: reconnecterror realtime: BLACKLISTED (4106)
			Tom: close 4106 BLACKLISTED context canceled`, realtime.ErrBlacklisted},
		{"displaced meanwhile", func(_ int, _ *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			reply := closed("Tom", realtime.ErrSessionConflict, "SESSION_CONFLICT")
			reply.I = cmd.I
			return reply
		}, back + `
			Tom: reconnecterror realtime: SESSION_CONFLICT (4111)
			Tom: conflict SESSION_CONFLICT context canceled`, realtime.ErrSessionConflict},
		{"lost again", func(attempt int, s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			if attempt < 1 {
				s.Drop()
				return nil
			}
			return s.Reply(cmd, pb.CommandType_session, pb.OpType_opened)
		}, back + `
			Tom: reconnecterror *
			Tom: disconnect
			Tom: schedule(1, 2s)
			Tom: retry(1)
			Tom: reconnect`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				tom := w.open("Tom")
				var mu sync.Mutex
				attempts := 0
				w.peer.On(pb.CommandType_session, pb.OpType_open, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
					mu.Lock()
					n := attempts
					attempts++
					mu.Unlock()
					return tt.answer(n, s, cmd)
				})
				w.peer.Socket().Drop()
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				want, got := lines(tt.want), w.saidBy("Tom")
				for i := range got { // the text of a lost connection is not the point
					if i < len(want) && want[i] == "Tom: reconnecterror *" {
						got[i] = "Tom: reconnecterror *"
					}
				}
				require.Equal(t, want, got)
				if tt.err == nil {
					require.NoError(t, tom.Err())
					_, err := tom.OnlineClients(t.Context(), "x")
					require.NoError(t, err)
					return
				}
				<-tom.Done()
				require.ErrorIs(t, tom.Err(), tt.err)
				require.Equal(t, realtime.StateInitialized, w.rt.State(), "the last client has ended")
			})
		})
	}
}

func TestCallsWhileAwayFailAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.open("Tom")
		w.peer.On(pb.CommandType_session, pb.OpType_open, silent)
		w.peer.Socket().Drop()
		synctest.Wait()
		start := time.Now()
		check := func(when string) {
			_, err := tom.OnlineClients(t.Context(), "x")
			require.ErrorIs(t, err, realtime.ErrDisconnected, when)
			require.NotErrorIs(t, err, realtime.ErrOutcomeUnknown, when)
			require.True(t, realtime.SafeToRetry(err), when)
		}
		check("no connection")
		require.Zero(t, time.Since(start))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, realtime.StateConnected, w.rt.State())
		check("connected, but the session is not open yet")
		require.Empty(t, w.received(pb.CommandType_session, pb.OpType_query))
	})
}

func TestSessionToken(t *testing.T) {
	signer := realtime.WithSigner(realtime.SignerFunc(
		func(_ context.Context, r realtime.SignRequest) (realtime.Signature, error) {
			return realtime.Signature{Signature: secretSign, Timestamp: 1, Nonce: string(r.Action)}, nil
		}))
	for _, tt := range []struct {
		name    string
		opts    []realtime.ClientOption
		refuse  bool          // the server refuses the token
		expire  time.Duration // the connection is away for so long
		want    []string      // session/open after the loss
		reopens bool
	}{
		{"still good", nil, false, 0, []string{"r st"}, true},
		{"refused", nil, true, 0, []string{"r st", "r device"}, true},
		{"refused, with a signer", []realtime.ClientOption{signer}, true, 0, []string{"r st", "r device signed"}, true},
		{"refused, with a tag", []realtime.ClientOption{realtime.WithTag("Web")}, true, 0, []string{"r st", "r device tag"}, true},
		{"expired", nil, false, 49 * time.Hour, []string{"r device"}, true},
		{"expired, with a signer", []realtime.ClientOption{signer}, false, 49 * time.Hour, []string{"r device signed"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				tom := w.open("Tom", tt.opts...)
				if tt.refuse {
					w.peer.On(pb.CommandType_session, pb.OpType_open, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
						if cmd.GetSessionMessage().St != nil {
							return s.Fail(cmd, wire.CodeSessionTokenExpired)
						}
						return w.peer.Usual(s, cmd)
					})
				}
				if tt.expire > 0 {
					w.rt.Pause()
					time.Sleep(tt.expire)
					w.rt.Resume()
				} else {
					w.peer.Socket().Drop()
				}
				time.Sleep(2 * time.Second)
				var got []string
				for _, cmd := range w.received(pb.CommandType_session, pb.OpType_open)[1:] {
					got = append(got, summary(cmd.GetSessionMessage()))
				}
				require.Equal(t, tt.want, got)
				_, err := tom.OnlineClients(t.Context(), "x")
				require.NoError(t, err)
			})
		})
	}
}

// summary tells which fields of a login are there.
func summary(m *pb.SessionCommand) string {
	text := ""
	add := func(name string, present bool) {
		if present {
			text += " " + name
		}
	}
	add("r", m.GetR())
	add("st", m.St != nil)
	add("device", m.DeviceId != nil)
	add("tag", m.Tag != nil)
	add("signed", m.S != nil)
	return text[1:]
}

func TestWithReconnect(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.peer.On(pb.CommandType_session, pb.OpType_open, func(_ *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			reply := closed("Tom", realtime.ErrSessionConflict, "SESSION_CONFLICT")
			reply.I = cmd.I
			return reply
		})
		_, err := w.rt.CreateIMClient(t.Context(), "Tom", realtime.WithTag("Mobile"), realtime.WithReconnect())
		require.ErrorIs(t, err, realtime.ErrSessionConflict)
		require.Equal(t, "r device tag", summary(w.received(pb.CommandType_session, pb.OpType_open)[0].GetSessionMessage()))
	})
}

func TestServerEndsASession(t *testing.T) {
	for _, tt := range []struct {
		code   realtime.ErrorCode
		reason string
		event  string
	}{
		{realtime.ErrSessionConflict, "SESSION_CONFLICT", "Tom: conflict SESSION_CONFLICT context canceled"},
		{realtime.ErrKickedByApp, "bad manners", "Tom: close 4115 bad manners context canceled"},
		{realtime.ErrBlacklisted, "", "Tom: close 4106 BLACKLISTED context canceled"},
	} {
		t.Run(tt.code.String(), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.open("Other")
				tom := w.open("Tom")
				wait := w.followStream("stream", tom.Events(t.Context()))
				// What came before is still delivered, and nothing after.
				w.peer.Socket().Send(message("Tom", "conv", "m1"), closed("Tom", tt.code, tt.reason), message("Tom", "conv", "m2"))
				<-tom.Done()
				wait()
				synctest.Wait()
				require.Equal(t, []string{"Tom: message m1", tt.event}, w.saidBy("Tom"))
				stream := w.saidBy("stream")
				require.Len(t, stream, 3)
				require.Equal(t, "stream: message m1", stream[0])
				require.Equal(t, tt.event, fmt.Sprintf("Tom%s context canceled", stream[1][len("stream"):]))
				require.Contains(t, stream[2], "stream: end: ")
				require.ErrorIs(t, tom.Err(), tt.code)

				require.Equal(t, realtime.StateConnected, w.rt.State(), "the connection is for the others")
				require.NoError(t, tom.Close(t.Context()))
				require.ErrorIs(t, tom.Err(), tt.code, "Close changes nothing")
				require.Empty(t, w.received(pb.CommandType_session, pb.OpType_close), "goodbye to a server that said it first")

				// The id is free again.
				_, err := w.rt.CreateIMClient(t.Context(), "Tom")
				require.NoError(t, err)
			})
		})
	}
}

func TestConflictHandlerMayLogInAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.rt.NewIMClient("Tom")
		again := make(chan error, 1)
		tom.OnConflict(func(context.Context, *realtime.ConflictEvent) {
			again <- w.rt.NewIMClient("Tom").Open(context.Background())
		})
		require.NoError(t, tom.Open(t.Context()))
		w.peer.Socket().Send(closed("Tom", realtime.ErrSessionConflict, "SESSION_CONFLICT"))
		require.NoError(t, <-again)
	})
}

func TestFatalClose(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.followConnection("rt", w.rt)
		tom, jerry := w.open("Tom"), w.open("Jerry")
		w.peer.On(pb.CommandType_session, pb.OpType_query, silent)
		pending := make(chan error, 1)
		go func() {
			_, err := tom.OnlineClients(t.Context(), "x")
			pending <- err
		}()
		synctest.Wait()
		start := time.Now()
		w.peer.Socket().Close(wire.CodeAppNotAvailable, "APP_NOT_AVAILABLE")
		err := <-pending
		require.ErrorIs(t, err, realtime.ErrDisconnected)
		require.ErrorIs(t, err, realtime.ErrAppNotAvailable)
		<-tom.Done()
		<-jerry.Done()
		require.Less(t, time.Since(start), time.Second)
		require.ErrorIs(t, tom.Err(), realtime.ErrAppNotAvailable)
		require.Equal(t, realtime.StateError, w.rt.State())
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, []string{"Tom: close 4100 APP_NOT_AVAILABLE context canceled"}, w.saidBy("Tom"))
		require.Equal(t, []string{"Jerry: close 4100 APP_NOT_AVAILABLE context canceled"}, w.saidBy("Jerry"))
		w.expect() // no disconnect, no retry
		require.Len(t, w.peer.Sockets(), 1)

		// Another client may try again.
		w.open("Spike")
		require.Equal(t, realtime.StateConnected, w.rt.State())
	})
}

func TestLoginDuringAnOutage(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.open("Tom")
		w.peer.Socket().Drop()
		synctest.Wait()
		// It waits for the attempt that is planned anyhow, and gets no events of
		// before its time.
		start := time.Now()
		jerry := w.open("Jerry")
		require.Equal(t, time.Second, time.Since(start))
		require.NoError(t, jerry.Err())
		synctest.Wait()
		require.Empty(t, w.saidBy("Jerry"))
		require.Equal(t, []string{"Tom: disconnect", "Tom: schedule(0, 1s)", "Tom: retry(0)", "Tom: reconnect"}, w.saidBy("Tom"))
		w.peer.Socket().Drop()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		want := []string{"disconnect", "schedule(0, 1s)", "retry(0)", "reconnect"}
		for _, name := range []string{"Tom", "Jerry"} {
			var told []string
			for _, line := range w.saidBy(name) {
				told = append(told, line[len(name)+2:])
			}
			require.Equal(t, want, told, name)
		}
	})
}

func TestUnknownSessionPushesAreIgnored(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tom := w.open("Tom")
		w.peer.Socket().Send(&pb.GenericCommand{
			Cmd: pb.CommandType_session.Enum(), Op: pb.OpType_conflict.Enum(), PeerId: proto.String("Tom"),
		})
		synctest.Wait()
		require.NoError(t, tom.Err())
	})
}
