package session_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/session"
	"github.com/leanrtm/realtime/server/internal/store"
	"github.com/leanrtm/realtime/server/internal/wstest"
)

const conflict = "SESSION_CONFLICT"

func TestTagsThatDoNotConflict(t *testing.T) {
	for name, tc := range map[string][2]change{
		"none":             {tagged("", "phone"), tagged("", "tablet")},
		"default":          {tagged("default", "phone"), tagged("default", "tablet")},
		"different ones":   {tagged("Mobile", "phone"), tagged("Web", "browser")},
		"one has none":     {tagged("Mobile", "phone"), tagged("", "tablet")},
		"other client ids": {tagged("Mobile", "phone"), func(c *pb.GenericCommand) { tagged("Mobile", "tablet")(c); *c.PeerId = "jerry" }},
		"other apps":       {tagged("Mobile", "phone"), func(c *pb.GenericCommand) { tagged("Mobile", "tablet")(c); in(signedApp)(c); signed(c) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t)
				first, second := e.login("tom", tc[0]), e.login("tom", tc[1])
				first.WantSilence(time.Second)
				second.WantSilence(time.Second)
				require.Empty(t, e.ends())
				require.Equal(t, 2, e.reg.Sessions())
			})
		})
	}
}

func TestAnotherDeviceTakesTheTag(t *testing.T) {
	for name, device := range map[string]string{"named": "tablet", "without identity": ""} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t)
				first := e.connect()
				st := open(t, first, "tom", tagged("Mobile", "phone")).SessionMessage.GetSt()
				open(t, first, "jerry")
				e.reg.SetWill(e.opens()[0].Actor.Session, func() { t.Error("a conflict fires no will") })
				second := e.connect()
				st2 := open(t, second, "tom", tagged("Mobile", device)).SessionMessage.GetSt()
				wantClosed(t, first.Read(), "tom", 0, wire.CodeSessionConflict, conflict)
				require.Equal(t, fanout.EndConflict, e.ends()[0].Cause)
				require.Equal(t, wire.CodeSessionConflict, e.ends()[0].Code)
				first.Send(query("tom", 3))
				wantError(t, first.Read(), 3, wire.CodeSessionRequired)
				first.Send(query("jerry", 4)) // the connection stays open
				require.Equal(t, int32(4), first.Read().GetI())

				// The displaced one comes back by itself, and is refused.
				first.Send(openCommand("tom", reopen, showing(st)))
				wantClosed(t, first.Read(), "tom", 1, wire.CodeSessionConflict, conflict)
				require.Empty(t, e.ends()[1:])
				// The holder comes back, and is not.
				second.Net.Close()
				synctest.Wait()
				third := e.connect()
				open(t, third, "tom", reopen, showing(st2))
				// Without a valid token nobody knows that it had a tag.
				open(t, first, "tom", reopen)
				third.WantSilence(time.Second)
				// A person logs in again on the first device.
				open(t, e.connect(), "tom", tagged("Mobile", "phone"))
				wantClosed(t, third.Read(), "tom", 0, wire.CodeSessionConflict, conflict)
			})
		})
	}
}

func TestTheSameDeviceDoesNotConflictWithItself(t *testing.T) {
	for name, tc := range map[string][2][]change{
		"by device id":      {{tagged("Mobile", "phone")}, {tagged("Mobile", "phone")}},
		"by push token":     {{tagged("Mobile", ""), withPush("p")}, {tagged("Mobile", ""), withPush("p")}},
		"by push token too": {{tagged("Mobile", "a"), withPush("p")}, {tagged("Mobile", "b"), withPush("p")}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t)
				first := e.connect()
				st := open(t, first, "tom", tc[0]...).SessionMessage.GetSt()
				second := e.connect()
				st2 := open(t, second, "tom", tc[1]...).SessionMessage.GetSt()
				first.WantSilence(time.Second) // the old session is gone, in silence
				require.Equal(t, fanout.EndSuperseded, e.ends()[0].Cause)
				require.Equal(t, 1, e.reg.Sessions())
				e.reg.Publish(toClients("x", "tom"))
				require.Equal(t, "x", readCid(second))
				first.WantSilence(time.Second)
				// Either token is one of the device that holds the tag.
				for _, token := range []string{st, st2} {
					open(t, e.connect(), "tom", reopen, showing(token))
				}
				synctest.Wait()
				require.Equal(t, 1, e.reg.Sessions())
			})
		})
	}
}

func TestDisplacedAfterALongTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		first := e.connect()
		st := open(t, first, "tom", tagged("Mobile", "phone")).SessionMessage.GetSt()
		first.Net.Close()
		second := e.login("tom", tagged("Mobile", "tablet"))
		second.Net.Close()
		time.Sleep(time.Hour)
		c := e.connect()
		c.Send(openCommand("tom", reopen, showing(st)))
		wantClosed(t, c.Read(), "tom", 1, wire.CodeSessionConflict, conflict)
	})
}

// slowStore takes a while for every commit, so that logins meet.
type slowStore struct {
	store.Store
	fail error
}

func (s *slowStore) Commit(ctx context.Context, bs []store.Batch) []error {
	if s.fail != nil {
		return []error{s.fail}
	}
	time.Sleep(5 * ms)
	errs := s.Store.Commit(ctx, bs)
	time.Sleep(5 * ms)
	return errs
}

func TestLoginsThatRaceForATag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, func(c *session.Config) { c.Store = &slowStore{Store: c.Store} })
		const n = 8
		var conns [n]*wstest.Conn
		for i := range conns {
			conns[i] = e.connect()
		}
		var wg sync.WaitGroup
		left := make(chan int, n)
		for i, c := range conns {
			wg.Go(func() {
				c.Send(openCommand("tom", tagged("Mobile", fmt.Sprint("device-", i))))
				for {
					_ = c.Net.SetReadDeadline(time.Now().Add(10 * time.Second))
					op, payload, err := c.ReadFrame()
					if err != nil {
						left <- i // nothing took it away
						return
					}
					require.Equal(t, byte(wstest.OpBinary), op)
					cmd, err := wire.Unmarshal(payload)
					require.NoError(t, err)
					if cmd.GetOp() == pb.OpType_closed {
						require.Equal(t, int32(wire.CodeSessionConflict), cmd.GetSessionMessage().GetCode())
						return
					}
				}
			})
		}
		wg.Wait()
		require.Len(t, left, 1) // one winner, whatever the order
		require.Equal(t, 1, e.reg.Sessions())
	})
}

// lateStore reports its first commit late, so that a login learns that it took
// the tag after another one has taken it away.
type lateStore struct {
	store.Store
	commits atomic.Int32
}

func (s *lateStore) Commit(ctx context.Context, bs []store.Batch) []error {
	errs := s.Store.Commit(ctx, bs)
	if s.commits.Add(1) == 1 {
		time.Sleep(50 * ms)
	}
	return errs
}

func TestLoginThatLearnsTooLateThatItTookTheTag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, func(c *session.Config) { c.Store = &lateStore{Store: c.Store} })
		first := e.connect()
		first.Send(openCommand("tom", tagged("Mobile", "phone")))
		synctest.Wait()
		second := e.login("tom", tagged("Mobile", "tablet"))
		wantClosed(t, first.Read(), "tom", 1, wire.CodeSessionConflict, conflict)
		second.WantSilence(time.Second)
		require.Equal(t, 1, e.reg.Sessions())
	})
}

func TestTheTagCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, func(c *session.Config) {
			c.Store = &slowStore{Store: c.Store, fail: errors.New("disk full")}
		})
		c := e.connect()
		c.Send(openCommand("tom", tagged("Mobile", "phone")))
		got := c.Read()
		wantError(t, got, 1, wire.CodeInternalError)
		require.Empty(t, got.GetErrorMessage().GetDetail())
		require.Zero(t, e.reg.Sessions())
		open(t, c, "tom")
	})
}
