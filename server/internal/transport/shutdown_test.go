package transport_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/transport"
	"github.com/leanrtm/realtime/server/internal/wstest"
)

const goingAway wire.Code = 1001

func TestShutdownTellsEverybodyAndLetsCommandsFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		e.serve = func(p *peer, cmd *pb.GenericCommand) {
			if !p.Begin() {
				t.Error("a command began after the shutdown")
				return
			}
			go func() {
				time.Sleep(3 * time.Second)
				p.Reply(nil, frame(cmd.GetI()))
				p.End()
			}()
		}
		idle, p := e.connect()
		busy, q := e.connect()
		busy.Send(command(1))
		synctest.Wait()
		start := time.Now()
		result := make(chan error)
		go func() { result <- e.srv.Shutdown(t.Context(), nothing()) }()

		synctest.Wait()
		busy.Send(command(2)) // too late
		require.Equal(t, int32(1), busy.Read().GetI(), "who reads the goaway reads no further")
		require.Equal(t, 3*time.Second, time.Since(start))
		for _, c := range []*wstest.Conn{idle, busy} {
			goaway := c.Read()
			require.Equal(t, pb.CommandType_goaway, goaway.GetCmd())
			require.Nil(t, goaway.I)
			require.Equal(t, 3*time.Second, time.Since(start), "nobody goes before all have finished")
		}
		for _, c := range []*wstest.Conn{idle, busy} {
			c.WantClosed(goingAway)
			require.Equal(t, 6*time.Second, time.Since(start), "they could have gone by themselves")
		}

		require.NoError(t, <-result)
		require.Equal(t, transport.Why{Code: goingAway, Reason: "server shuts down", Drained: true}, *p.ended())
		require.True(t, q.ended().Drained)
		require.False(t, q.Begin())

		_, res := wstest.Try(t, e.net.Dial, addr, wstest.Request{})
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	})
}

func TestShutdownGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		_, p := e.connect()
		require.True(t, p.Begin())
		start := time.Now()
		err := e.srv.Shutdown(timeout(t, 7*time.Second), nothing())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 7*time.Second, time.Since(start))
		require.NotNil(t, p.ended()) // it is over all the same
		p.End()
	})
}

func TestCloseCutsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		c, p := e.connect()
		block(p)
		c2, q := e.connect()
		p.Push(nil, frame(1), fanout.ClassStored, fanout.Hold{Session: 1, Serial: 1})
		start := time.Now()
		e.srv.Close()
		require.Zero(t, time.Since(start))
		require.Equal(t, transport.Why{Drained: true}, *p.ended())
		require.Equal(t, transport.Why{Drained: true}, *q.ended())
		c2.WantEOF()
		_, err := c.Net.Write([]byte{1})
		require.Error(t, err)
		e.srv.Close()
		require.NoError(t, e.srv.Shutdown(t.Context(), nothing()))
		require.Zero(t, e.srv.Stats().Open)
		require.Equal(t, uint64(2), e.srv.Stats().Accepted)
	})
}

func TestBadUpgradesAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		tr := &http.Transport{DialContext: e.net.Dial}
		defer tr.CloseIdleConnections()
		res, err := (&http.Client{Transport: tr}).Get("http://" + addr + "/")
		require.NoError(t, err)
		res.Body.Close()
		require.Equal(t, http.StatusUpgradeRequired, res.StatusCode)
		require.Zero(t, e.srv.Stats().Accepted)
	})
}

// nothing is what else a shutdown waits for.
func nothing() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

// Nobody goes before all commands have finished: what they lead to is known to
// whoever comes back elsewhere. Then all go at once.
func TestShutdownWaitsForEverybodysCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		e.serve = func(p *peer, cmd *pb.GenericCommand) {
			if p.Begin() {
				time.AfterFunc(time.Duration(cmd.GetI())*time.Millisecond, func() {
					p.Reply(nil, frame(cmd.GetI()))
					p.End()
				})
			}
		}
		busy, _ := e.connect()
		idle, _ := e.connect()
		gone, _ := e.connect()
		busy.Send(command(300))
		gone.Send(command(200))
		synctest.Wait()
		gone.Net.Close()
		start := time.Now()
		others := make(chan struct{})
		time.AfterFunc(600*time.Millisecond, func() { close(others) })
		result := make(chan error)
		go func() { result <- e.srv.Shutdown(t.Context(), others) }()
		go func() { _ = e.srv.Shutdown(t.Context(), others) }() // once more does no harm
		require.Equal(t, int32(300), busy.Read().GetI())
		require.Equal(t, 300*time.Millisecond, time.Since(start))
		for _, c := range []*wstest.Conn{busy, idle} {
			require.Equal(t, pb.CommandType_goaway, c.Read().GetCmd())
			require.Equal(t, 600*time.Millisecond, time.Since(start))
			c.Net.Close()
		}
		require.NoError(t, <-result)
		require.Equal(t, 600*time.Millisecond, time.Since(start), "who goes is not waited for")
	})
}

// What else is waited for may take for ever; commands may not be left behind.
func TestShutdownHasPatienceWithOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		c, _ := e.connect()
		start := time.Now()
		result := make(chan error)
		go func() { result <- e.srv.Shutdown(t.Context(), make(chan struct{})) }()
		require.Equal(t, pb.CommandType_goaway, c.Read().GetCmd())
		require.Equal(t, options().Patience, time.Since(start))
		c.WantClosed(goingAway)
		require.NoError(t, <-result)
	})
}

// A connection whose last command ends before Shutdown counts it, because Close has
// begun, is not waited for after it has gone.
func TestShutdownBesideClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		_, p := e.connect()
		p.last = make(chan struct{})
		require.True(t, p.Begin())
		closed := make(chan struct{})
		go func() { e.srv.Close(); close(closed) }()
		synctest.Wait()
		p.End() // the connection is cut, and still listed
		result := make(chan error)
		go func() { result <- e.srv.Shutdown(t.Context(), nothing()) }()
		synctest.Wait()
		close(p.last)
		require.NoError(t, <-result)
		<-closed
	})
}
