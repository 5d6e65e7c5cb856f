package link_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/link"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rttest"
)

func TestPostedArrives(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHarness(t)
		h.link.SetSerial(1<<31 - 3) // soon they begin again
		h.open()
		ask := func() {
			t.Helper()
			_, err := h.link.Do(t.Context(), query("x"), plain)
			require.NoError(t, err)
		}
		post := func(p *link.Posted) {
			t.Helper()
			require.NoError(t, h.link.Post(t.Context(), pushFor("x"), link.PostOptions{Posted: p}))
			synctest.Wait()
		}
		var none, one, two link.Posted
		ask()
		require.False(t, none.Arrived())
		post(&one)
		require.False(t, one.Arrived(), "what was answered came before it")
		ask()
		require.True(t, one.Arrived())
		post(&one)
		require.False(t, one.Arrived(), "the second has not")
		post(&two)
		ask()
		require.True(t, one.Arrived())
		require.True(t, two.Arrived())

		// What was asked before and is answered after shows nothing.
		answer := make(chan struct{})
		h.peer.On(pb.CommandType_conv, pb.OpType_query, func(s *rttest.Socket, cmd *pb.GenericCommand) *pb.GenericCommand {
			go func() { <-answer; s.Send(h.peer.Usual(s, cmd)) }()
			return nil
		})
		done := make(chan error, 1)
		go func() {
			_, err := h.link.Do(t.Context(), query("x"), plain)
			done <- err
		}()
		synctest.Wait()
		post(&two)
		close(answer)
		require.NoError(t, <-done)
		synctest.Wait()
		require.False(t, two.Arrived())
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.True(t, two.Arrived(), "a heartbeat's answer shows it too")

		// One that is lost with its connection never arrives.
		gen := h.link.Gen()
		h.peer.On(pb.CommandType_echo, 0, silent)
		post(&two)
		h.peer.Socket().Drop()
		h.pass(5 * time.Second)
		require.Greater(t, h.link.Gen(), gen)
		h.peer.On(pb.CommandType_conv, pb.OpType_query, h.peer.Usual)
		ask()
		require.False(t, two.Arrived())
		require.Error(t, h.link.Post(t.Context(), pushFor("x"), link.PostOptions{Gen: gen}))
	})
}

func TestLaterSerial(t *testing.T) {
	const largest = 1<<31 - 1
	require.True(t, link.LaterSerial(2, 1))
	require.False(t, link.LaterSerial(1, 1))
	require.False(t, link.LaterSerial(1, 2))
	require.True(t, link.LaterSerial(1, largest), "they begin again")
	require.False(t, link.LaterSerial(largest, 1))
	require.True(t, link.LaterSerial(3, 1<<31+1), "the counter itself goes further")
}
