package transport_test

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/wstest"
)

// networkBuffer is more than what the network takes from a writer whose peer
// does not read.
const networkBuffer = 300 << 10

// block makes the writer of the connection wait for the peer.
func block(p *peer) {
	p.Reply(nil, big(networkBuffer)) // a reply: it does not count as a push
	synctest.Wait()
}

func TestSlowReceiverLosesByClass(t *testing.T) {
	const frames = 100
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.QueueFrames = frames
		e := newEnv(t, o)
		c, p := e.connect()
		block(p)
		next := int32(0)
		push := func(class fanout.Class, n int) {
			for range n {
				next++
				p.Push(nil, frame(next), class, fanout.Hold{})
			}
		}
		var want []int32
		kept := func(n int) {
			for i := range int32(n) {
				want = append(want, next-int32(n)+i+1)
			}
		}
		dropped := func() [fanout.ClassCount]uint64 { return e.srv.Stats().Dropped }

		push(fanout.ClassRoomLow, frames/2)
		kept(frames / 2)
		require.Equal(t, [fanout.ClassCount]uint64{}, dropped())
		push(fanout.ClassRoomLow, 3) // half full
		require.Equal(t, [fanout.ClassCount]uint64{fanout.ClassRoomLow: 3}, dropped())
		push(fanout.ClassRoomNormal, frames/4)
		kept(frames / 4)
		push(fanout.ClassRoomNormal, 2) // three quarters
		require.Equal(t, [fanout.ClassCount]uint64{fanout.ClassRoomLow: 3, fanout.ClassRoomNormal: 2}, dropped())
		push(fanout.ClassRoomHigh, frames/8)
		kept(frames / 8)
		push(fanout.ClassStored, frames/4-frames/8)
		kept(frames/4 - frames/8)
		require.False(t, p.Ending())
		push(fanout.ClassRoomLow, 1)
		push(fanout.ClassRoomNormal, 1)
		require.Equal(t, [fanout.ClassCount]uint64{fanout.ClassRoomLow: 4, fanout.ClassRoomNormal: 3}, dropped())
		require.False(t, p.Ending(), "what may be dropped does not cost the connection")
		s := e.srv.Stats()
		require.Equal(t, frames+1, s.QueueFrames) // with the one that is being written
		require.Greater(t, s.QueueBytes, networkBuffer)
		push(fanout.ClassStored, 1) // full, and this one counts
		require.True(t, p.Ending())
		require.LessOrEqual(t, e.srv.Stats().QueueFrames, 2, "what is being written, and our close frame")

		require.Equal(t, uint64(1), e.srv.Stats().Overflow)
		require.NotEmpty(t, c.Read().GetDirectMessage().GetBinaryMsg()) // was being written
		c.WantClosed(wire.CodeInternalError)
		<-p.gone
		synctest.Wait()
		require.Equal(t, uint64(1), e.srv.Stats().Closed[wire.CodeInternalError])
	})

	synctest.Test(t, func(t *testing.T) { // the same by bytes, and a peer that catches up
		o := options()
		o.QueueBytes = 10 << 10
		e := newEnv(t, o)
		c, p := e.connect()
		block(p)
		p.Push(nil, big(5<<10), fanout.ClassRoomLow, fanout.Hold{})
		p.Push(nil, frame(1), fanout.ClassRoomLow, fanout.Hold{}) // dropped
		p.Push(nil, big(5<<9), fanout.ClassRoomNormal, fanout.Hold{})
		p.Push(nil, frame(1), fanout.ClassRoomNormal, fanout.Hold{}) // dropped
		p.Push(nil, big(100<<10), fanout.ClassStored, fanout.Hold{}) // there was room before it
		require.Equal(t, [fanout.ClassCount]uint64{fanout.ClassRoomLow: 1, fanout.ClassRoomNormal: 1}, e.srv.Stats().Dropped)
		for _, n := range []int{networkBuffer, 5 << 10, 5 << 9, 100 << 10} {
			require.Len(t, c.Read().GetDirectMessage().GetBinaryMsg(), n)
		}
		synctest.Wait()
		p.Push(nil, frame(2), fanout.ClassRoomLow, fanout.Hold{}) // all is well again
		require.Equal(t, int32(2), c.Read().GetI())
	})
}

func TestOverflowGivesUpWhatTheWriterHasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.QueueFrames = 10
		e := newEnv(t, o)
		c, p := e.connect()
		block(p)
		for range 9 {
			p.Push(nil, big(50<<10), fanout.ClassStored, fanout.Hold{})
		}
		c.Read() // the writer takes all nine, and waits again after some
		synctest.Wait()
		for p.Push(nil, frame(1), fanout.ClassStored, fanout.Hold{}); !p.Ending(); {
			p.Push(nil, frame(1), fanout.ClassStored, fanout.Hold{})
		}
		frames := 0
		for {
			op, payload, err := c.ReadFrame()
			require.NoError(t, err)
			if op == wstest.OpClose {
				require.Equal(t, "INTERNAL_ERROR", string(payload[2:]))
				break
			}
			require.Greater(t, len(payload), 50<<10) // a frame that was begun is finished
			frames++
		}
		require.Less(t, frames, 9)
	})
}

// A frame that was begun is finished in several writes; what waits is given up at
// the first of them, and only once.
func TestOverflowWithinALongFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.QueueFrames = 10
		e := newEnv(t, o)
		c, p := e.connect()
		p.Push(nil, big(2*networkBuffer), fanout.ClassStored, fanout.Hold{})
		synctest.Wait() // it is being written
		before := e.srv.Stats().Written
		for p.Push(nil, frame(1), fanout.ClassStored, fanout.Hold{}); !p.Ending(); {
			p.Push(nil, frame(1), fanout.ClassStored, fanout.Hold{})
		}
		own := e.srv.Stats() // the frame, and our close frame
		require.Equal(t, 2, own.QueueFrames)
		chunk := make([]byte, 64<<10)
		for range 3 { // each lets the writer go on by one write
			_, err := io.ReadFull(c.Net, chunk)
			require.NoError(t, err)
			synctest.Wait()
			st := e.srv.Stats()
			require.Equal(t, 1, st.QueueFrames, "our close frame")
			require.Equal(t, own.QueueBytes-len(big(2*networkBuffer)), st.QueueBytes)
			require.Equal(t, before, st.Written)
		}
		_, err := io.CopyN(io.Discard, c.Net, int64(2*networkBuffer-3*len(chunk)))
		require.NoError(t, err)
		synctest.Wait()
		st := e.srv.Stats()
		require.Zero(t, st.QueueFrames)
		require.Zero(t, st.QueueBytes)
		require.Equal(t, before+2, st.Written)
	})
}

func TestHeldPushesCountToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.QueueFrames = 10
		e := newEnv(t, o)
		c, p := e.connect()
		hold := fanout.Hold{Session: 1, Serial: 1}
		p.Expect(hold)
		for i := range int32(10) {
			p.Push(nil, frame(i), fanout.ClassStored, hold)
		}
		require.False(t, p.Ending())
		p.Push(nil, frame(11), fanout.ClassStored, fanout.Hold{})
		c.WantClosed(wire.CodeInternalError)
	})
}

func TestRepliesAreNotBoundedButTheReaderWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.QueueFrames = 10
		e := newEnv(t, o)
		e.serve = func(p *peer, cmd *pb.GenericCommand) { p.Reply(nil, big(100<<10)) }
		c, p := e.connect()
		for i := range int32(50) {
			c.Send(command(i))
		}
		synctest.Wait()
		require.Less(t, p.commands(), 20) // what the network takes, and ten
		require.False(t, p.Ending())
		for range 50 {
			require.Len(t, c.Read().GetDirectMessage().GetBinaryMsg(), 100<<10)
		}
		synctest.Wait()
		require.Equal(t, 50, p.commands())
		require.Equal(t, [fanout.ClassCount]uint64{}, e.srv.Stats().Dropped)
	})
}

func TestPingFloodDoesNotFillTheMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.QueueFrames = 100
		e := newEnv(t, o)
		c, p := e.connect()
		block(p)
		ping := wstest.AppendFrame(nil, true, wstest.OpPing, make([]byte, 125))
		failed := make(chan struct{})
		sent := 0
		go func() {
			defer close(failed)
			for {
				if _, err := c.Net.Write(ping); err != nil {
					return
				}
				sent++
			}
		}()
		<-p.gone // it reads nothing: the write timeout ends it
		<-failed
		require.Less(t, sent, 5000)
	})
}

func TestOverflowWhileTheReaderWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.QueueFrames = 4
		e := newEnv(t, o)
		e.serve = func(p *peer, cmd *pb.GenericCommand) { p.Reply(nil, big(100<<10)) }
		c, p := e.connect()
		for i := range int32(20) {
			c.Send(command(i))
		}
		synctest.Wait() // the reader waits for room
		for i := range int32(5) {
			p.Push(nil, frame(i), fanout.ClassStored, fanout.Hold{})
		}
		require.True(t, p.Ending())
		<-p.gone
		require.Equal(t, wire.CodeInternalError, p.ended().Code)
	})
}

func TestFramesGoOutTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		c, p := e.connect()
		block(p)
		before := e.srv.Stats()
		const n = 1000
		for i := range int32(n) {
			p.Push(nil, frame(i+1), fanout.ClassStored, fanout.Hold{})
		}
		c.Read()
		for i := range int32(n) {
			require.Equal(t, i+1, c.Read().GetI())
		}
		synctest.Wait()
		after := e.srv.Stats()
		require.Equal(t, uint64(n+1), after.Written-before.Written)
		require.LessOrEqual(t, after.Writes-before.Writes, uint64(6)) // 5 for the big one, 1 for the rest
	})
}

// arrivals reads n commands and tells when each came.
func arrivals(c *wstest.Conn, start time.Time, n int) (serials []int32, at []time.Duration) {
	for range n {
		serials = append(serials, c.Read().GetI())
		at = append(at, time.Since(start))
	}
	return serials, at
}

const ms = time.Millisecond

func TestHoldLane(t *testing.T) {
	mine := fanout.Hold{Session: 1, Serial: 1}
	other := fanout.Hold{Session: 1, Serial: 2}
	stored := fanout.ClassStored
	for name, tc := range map[string]struct {
		run     func(p *peer)
		serials []int32
		at      []time.Duration
	}{
		"reply 10 ms before its push": {func(p *peer) {
			call := p.Expect(mine)
			p.Reply(call, frame(1))
			p.Push(nil, frame(2), stored, mine)
		}, []int32{1, 2}, []time.Duration{0, 10 * ms}},
		"push published before the reply": {func(p *peer) {
			call := p.Expect(mine)
			p.Push(nil, frame(2), stored, mine)
			time.Sleep(30 * ms)
			p.Reply(call, frame(1))
		}, []int32{1, 2}, []time.Duration{30 * ms, 40 * ms}},
		"push shortly after the reply": {func(p *peer) {
			call := p.Expect(mine)
			p.Reply(call, frame(1))
			time.Sleep(4 * ms)
			p.Push(nil, frame(2), stored, mine)
		}, []int32{1, 2}, []time.Duration{0, 10 * ms}},
		"push long after the reply": {func(p *peer) {
			call := p.Expect(mine)
			p.Reply(call, frame(1))
			time.Sleep(50 * ms)
			p.Push(nil, frame(2), stored, mine)
		}, []int32{1, 2}, []time.Duration{0, 50 * ms}},
		"no reply at all": {func(p *peer) {
			p.Expect(mine)
			time.Sleep(20 * ms)
			p.Push(nil, frame(2), stored, mine)
		}, []int32{2}, []time.Duration{220 * ms}},
		"a command of another session": {func(p *peer) {
			p.Expect(mine)
			p.Push(nil, frame(2), stored, fanout.Hold{Session: 2, Serial: 1})
		}, []int32{2}, []time.Duration{0}},
		"later pushes queue behind, replies pass": {func(p *peer) {
			call := p.Expect(mine)
			p.Push(nil, frame(2), stored, mine)
			p.Push(nil, frame(3), stored, fanout.Hold{})
			p.Push(nil, frame(4), fanout.ClassRoomLow, fanout.Hold{})
			p.Reply(nil, frame(9))
			time.Sleep(5 * ms)
			p.Reply(call, frame(1))
			time.Sleep(5 * ms)
			p.Push(nil, frame(5), stored, fanout.Hold{})
			time.Sleep(20 * ms)
			p.Push(nil, frame(6), stored, fanout.Hold{}) // the lane is empty again
		}, []int32{9, 1, 2, 3, 4, 5, 6}, []time.Duration{0, 5 * ms, 15 * ms, 15 * ms, 15 * ms, 15 * ms, 30 * ms}},
		"two commands at once": {func(p *peer) {
			first, second := p.Expect(mine), p.Expect(other)
			p.Push(nil, frame(21), stored, other)
			p.Push(nil, frame(11), stored, mine)
			p.Reply(first, frame(10))
			time.Sleep(30 * ms)
			p.Reply(second, frame(20))
		}, []int32{10, 20, 21, 11}, []time.Duration{0, 30 * ms, 40 * ms, 40 * ms}},
		"a serial that is used again": {func(p *peer) {
			p.Reply(p.Expect(mine), frame(1))
			time.Sleep(3 * ms)
			call := p.Expect(mine)
			p.Push(nil, frame(2), stored, mine)
			time.Sleep(17 * ms)
			p.Reply(call, frame(3))
		}, []int32{1, 3, 2}, []time.Duration{0, 20 * ms, 30 * ms}},
		"another command after the reply": {func(p *peer) {
			call := p.Expect(mine)
			p.Push(nil, frame(2), stored, mine)
			p.Reply(call, frame(1))
			time.Sleep(9 * ms)
			next := p.Expect(other)
			time.Sleep(3 * ms)
			p.Push(nil, frame(3), stored, mine)
			p.Reply(next, frame(4))
			p.Push(nil, frame(5), stored, other)
		}, []int32{1, 4, 2, 3, 5}, []time.Duration{0, 12 * ms, 22 * ms, 22 * ms, 22 * ms}},
		"a push that comes while another command is executed": {func(p *peer) {
			p.Reply(p.Expect(mine), frame(1))
			time.Sleep(9 * ms)
			next := p.Expect(other)
			time.Sleep(11 * ms)
			p.Push(nil, frame(2), stored, mine)
			p.Reply(next, frame(3))
		}, []int32{1, 3, 2}, []time.Duration{0, 20 * ms, 30 * ms}},
		"another command of another session": {func(p *peer) {
			call := p.Expect(mine)
			p.Push(nil, frame(2), stored, mine)
			p.Reply(call, frame(1))
			time.Sleep(9 * ms)
			p.Reply(p.Expect(fanout.Hold{Session: 2, Serial: 1}), frame(3))
		}, []int32{1, 3, 2}, []time.Duration{0, 9 * ms, 10 * ms}},
		"barrier": {func(p *peer) {
			call := p.Expect(mine)
			p.Reply(call, frame(1))
			p.Barrier(call)
			p.Push(nil, frame(2), stored, fanout.Hold{})
			time.Sleep(15 * ms)
			p.Push(nil, frame(3), stored, fanout.Hold{})
		}, []int32{1, 2, 3}, []time.Duration{0, 10 * ms, 15 * ms}},
		"more calls than are remembered": {func(p *peer) {
			for i := range int32(100) {
				p.Expect(fanout.Hold{Session: 1, Serial: i + 100})
			}
			call := p.Expect(mine)
			p.Push(nil, frame(2), stored, mine)
			p.Reply(call, frame(1))
		}, []int32{1, 2}, []time.Duration{0, 10 * ms}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t, options())
				c, p := e.connect()
				c2, p2 := e.connect()
				start := time.Now()
				p2.Push(nil, frame(77), stored, mine) // another connection does not wait
				go tc.run(p)
				serials, at := arrivals(c, start, len(tc.serials))
				require.Equal(t, tc.serials, serials)
				require.Equal(t, tc.at, at)
				require.Equal(t, int32(77), c2.Read().GetI())
				c.WantSilence(time.Second)
			})
		})
	}
}

func TestHoldEndsAlthoughCommandsKeepComing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		c, p := e.connect()
		start := time.Now()
		call := p.Expect(fanout.Hold{Session: 1, Serial: 1})
		p.Push(nil, frame(2), fanout.ClassStored, fanout.Hold{Session: 1, Serial: 1})
		p.Reply(call, frame(1))
		for i := range int32(70) {
			time.Sleep(3 * ms)
			p.Reply(p.Expect(fanout.Hold{Session: 1, Serial: i + 100}), frame(3))
		}
		for c.Read().GetI() != 2 {
		}
		require.Equal(t, 210*ms, time.Since(start)) // all is written before it is read
		require.Equal(t, int32(3), c.Read().GetI()) // the push came after 200
	})
}

func TestHoldWaitsUntilTheReplyIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		c, p := e.connect()
		block(p)
		hold := fanout.Hold{Session: 1, Serial: 1}
		call := p.Expect(hold)
		p.Reply(call, frame(1))
		p.Push(nil, frame(2), fanout.ClassStored, hold)
		start := time.Now()
		time.Sleep(100 * ms) // the reply is stuck behind a big frame
		c.Read()
		_, at := arrivals(c, start, 2)
		require.Equal(t, []time.Duration{100 * ms, 110 * ms}, at)
	})
}

func TestPushDoesNotAllocatePerFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		c, p := e.connect()
		read := make(chan struct{})
		go func() {
			defer close(read)
			buf := make([]byte, 64<<10)
			for {
				if _, err := c.Net.Read(buf); err != nil {
					return
				}
			}
		}()
		const frames = 1000
		head, body := wire.AppendPeer(nil, "tom"), big(200)
		allocs := testing.AllocsPerRun(20, func() {
			for range frames {
				p.Push(head, body, fanout.ClassStored, fanout.Hold{})
			}
			synctest.Wait() // all of them are written
		})
		require.False(t, p.Ending())
		require.Less(t, allocs/frames, 0.2)
		p.Cut()
		<-read
	})
}
