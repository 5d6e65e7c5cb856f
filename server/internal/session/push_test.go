package session_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/store"
	"github.com/leanrtm/realtime/server/internal/wstest"
)

func TestTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		conns := make(map[string]*wstest.Conn)
		refs := make(map[string]fanout.SessionRef)
		for _, name := range []string{"tom phone", "tom tablet", "jerry", "old"} {
			caps := int64(187)
			if name == "old" {
				caps = 0
			}
			client, _, _ := cutSpace(name)
			conns[name] = e.login(client, func(c *pb.GenericCommand) { c.SessionMessage.ConfigBitmap = proto.Int64(caps) })
			refs[name] = e.lastRef()
		}
		join := func(name, room string) {
			_, ok := e.reg.RoomJoin(refs[name], room)
			require.True(t, ok)
		}
		join("tom tablet", "room")
		join("jerry", "room")
		e.reg.Subscribed(plainApp, "jerry", "news", true)
		e.reg.Subscribed(plainApp, "old", "news", true)
		time.Sleep(20 * ms) // the logins' barriers
		everybody := []string{"tom phone", "tom tablet", "jerry", "old"}
		for name, tc := range map[string]struct {
			ev   fanout.Event
			want []string
		}{
			"clients":       {fanout.Event{Kind: fanout.TargetClients, Clients: []string{"tom", "nobody", "old"}}, []string{"tom phone", "tom tablet", "old"}},
			"but one":       {fanout.Event{Kind: fanout.TargetClients, Clients: []string{"tom"}, Except: refs["tom phone"]}, []string{"tom tablet"}},
			"capable":       {fanout.Event{Kind: fanout.TargetClients, Clients: []string{"tom", "old"}, NeedCaps: wire.BitPatch}, []string{"tom phone", "tom tablet"}},
			"not so much":   {fanout.Event{Kind: fanout.TargetClients, Clients: []string{"tom"}, NeedCaps: wire.BitPatch | wire.BitGroupReceipts}, nil},
			"room":          {fanout.Event{Kind: fanout.TargetRoom, Conv: "room"}, []string{"tom tablet", "jerry"}},
			"empty room":    {fanout.Event{Kind: fanout.TargetRoom, Conv: "cellar"}, nil},
			"subscribers":   {fanout.Event{Kind: fanout.TargetSubscribers, Conv: "news"}, []string{"jerry", "old"}},
			"nobody's news": {fanout.Event{Kind: fanout.TargetSubscribers, Conv: "dull"}, nil},
			"everyone":      {fanout.Event{Kind: fanout.TargetEveryone}, everybody},
			"session":       {fanout.Event{Kind: fanout.TargetSession, Session: refs["jerry"]}, []string{"jerry"}},
			"no session":    {fanout.Event{Kind: fanout.TargetSession, Session: 9999}, nil},
		} {
			tc.ev.App, tc.ev.Class, tc.ev.Body = plainApp, fanout.ClassStored, body(name)
			e.reg.Publish(&tc.ev)
			for _, who := range everybody {
				if slices.Contains(tc.want, who) {
					got := conns[who].Read()
					require.Equal(t, name, got.GetDirectMessage().GetCid(), "%s, to %s", name, who)
					client, _, _ := cutSpace(who)
					require.Equal(t, client, got.GetPeerId())
					require.Nil(t, got.I)
				} else {
					conns[who].WantSilence(ms)
				}
			}
		}
	})
}

func cutSpace(s string) (before, after string, found bool) {
	for i := range s {
		if s[i] == ' ' {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

func TestSeveralSessionsOnOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		c := e.connect()
		open(t, c, "tom")
		open(t, c, "jerry")
		e.reg.Publish(toClients("x", "tom", "jerry"))
		require.Equal(t, "tom", c.Read().GetPeerId())
		require.Equal(t, "jerry", c.Read().GetPeerId())
	})
}

func TestRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		var refs []fanout.SessionRef
		for i := range 4 {
			e.login(fmt.Sprint("client-", i/2)) // two clients with two devices
			refs = append(refs, e.lastRef())
		}
		r := e.reg
		for _, ref := range refs {
			left, ok := r.RoomJoin(ref, "a")
			require.True(t, ok)
			require.Empty(t, left)
		}
		require.Equal(t, 2, r.RoomCount(plainApp, "a"))
		require.ElementsMatch(t, []string{"client-0", "client-1"}, r.RoomMembers(plainApp, "a", 50))
		require.Len(t, r.RoomMembers(plainApp, "a", 1), 1)
		require.Empty(t, r.RoomMembers(plainApp, "a", 0))
		left, ok := r.RoomJoin(refs[0], "b")
		require.True(t, ok)
		require.Equal(t, "a", left)
		left, ok = r.RoomJoin(refs[0], "b") // is there already
		require.True(t, ok)
		require.Empty(t, left)
		require.Equal(t, "b", r.RoomOf(refs[0]))
		require.Equal(t, 2, r.RoomCount(plainApp, "a")) // by the other device
		require.False(t, r.RoomLeave(refs[1], "b"))
		require.False(t, r.RoomLeave(refs[1], ""))
		require.True(t, r.RoomLeave(refs[1], "a"))
		require.Equal(t, 1, r.RoomCount(plainApp, "a"))
		require.Empty(t, r.RoomOf(refs[1]))

		r.Kick(plainApp, "client-1", wire.CodeKickedByApp, "")
		require.Zero(t, r.RoomCount(plainApp, "a"))
		require.Empty(t, r.RoomMembers(plainApp, "a", 9))
		require.Equal(t, "a", e.ends()[0].Room)
		_, ok = r.RoomJoin(refs[2], "a")
		require.False(t, ok)
		require.False(t, r.RoomLeave(refs[2], "a"))
		require.Zero(t, r.RoomCount("nobody", "a"))
	})
}

func TestSubscriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		e.snapshot = func(_ context.Context, l *fanout.Login) (*fanout.Snapshot, error) {
			return &fanout.Snapshot{Subscriptions: []string{"news", "weather"}}, nil
		}
		c := e.login("tom")
		time.Sleep(20 * ms)
		publish := func(cid string) {
			e.reg.Publish(&fanout.Event{App: plainApp, Kind: fanout.TargetSubscribers, Conv: cid, Class: fanout.ClassStored, Body: body(cid)})
		}
		publish("news")
		require.Equal(t, "news", readCid(c))
		e.reg.Subscribed(plainApp, "tom", "news", false)
		e.reg.Subscribed(plainApp, "tom", "news", false)
		publish("news")
		e.reg.Subscribed(plainApp, "tom", "sports", true)
		e.reg.Subscribed(plainApp, "tom", "sports", true)
		publish("sports")
		publish("weather")
		require.Equal(t, "sports", readCid(c))
		require.Equal(t, "weather", readCid(c))
		c.WantSilence(time.Second)
	})
}

func TestLoginIsToldEverythingOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		log := store.LogID{App: plainApp, Cid: "conv"}
		message := func(cid string, seq int64) *fanout.Event {
			ev := toClients(cid, "tom")
			ev.Log, ev.Seq = log, seq
			return ev
		}
		e.snapshot = func(context.Context, *fanout.Login) (*fanout.Snapshot, error) {
			require.Equal(t, 1, e.reg.OnlineCount(plainApp)) // is registered already
			e.reg.Publish(message("five", 5))
			e.reg.Publish(message("six", 6))
			e.reg.Publish(toClients("notice", "tom"))
			other := message("other", 1)
			other.Log.Cid = "another"
			e.reg.Publish(other)
			return &fanout.Snapshot{
				ServerTS: 42,
				Frames:   [][]byte{body("unread"), body("patch")},
				Told:     map[store.LogID]int64{log: 5},
			}, nil
		}
		c := e.connect()
		start := time.Now()
		opened := open(t, c, "tom")
		require.Equal(t, int64(42), opened.GetServerTs())
		require.Zero(t, time.Since(start))
		e.reg.Publish(message("seven", 7)) // right behind the reply
		for _, want := range []string{"unread", "patch", "six", "notice", "other", "seven"} {
			got := c.Read()
			require.Equal(t, want, got.GetDirectMessage().GetCid())
			require.Equal(t, "tom", got.GetPeerId())
			require.Equal(t, 10*ms, time.Since(start)) // a client library settles the reply first
		}
		e.reg.Publish(message("eight", 8))
		require.Equal(t, "eight", readCid(c))
		require.Equal(t, 10*ms, time.Since(start))
	})
}

// A count that waits at the gate replaces the one that the login was told, which
// may be newer: what came after the count must be pushed then, although the login
// has told it.
func TestCountDuringALogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		conv, another := store.LogID{App: plainApp, Cid: "conv"}, store.LogID{App: plainApp, Cid: "another"}
		own := store.LogID{App: plainApp, Cid: "conv", View: store.ClientView("tom")}
		publish := func(name string, log store.LogID, seq int64) {
			ev := toClients(name, "tom")
			ev.Conv, ev.Log, ev.Seq = log.Cid, log, seq
			e.reg.Publish(ev)
		}
		e.snapshot = func(context.Context, *fanout.Login) (*fanout.Snapshot, error) {
			publish("five", conv, 5)
			publish("own two", own, 2)
			count := toClients("count", "tom")
			count.Conv, count.Counts = "conv", true
			e.reg.Publish(count)
			publish("six", conv, 6)
			publish("own three", own, 3)
			publish("other one", another, 1)
			publish("other two", another, 2)
			publish("seven", conv, 7)
			return &fanout.Snapshot{
				Frames: [][]byte{body("unread")},
				Told:   map[store.LogID]int64{conv: 6, own: 3, another: 1},
			}, nil
		}
		c := e.connect()
		open(t, c, "tom")
		for _, want := range []string{"unread", "count", "six", "own three", "other two", "seven"} {
			require.Equal(t, want, readCid(c))
		}
		c.WantSilence(time.Second)
	})
}

func TestSubscriptionsDuringALogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		publish := func(cid string) {
			e.reg.Publish(&fanout.Event{App: plainApp, Kind: fanout.TargetSubscribers, Conv: cid, Class: fanout.ClassStored, Body: body(cid)})
		}
		e.snapshot = func(context.Context, *fanout.Login) (*fanout.Snapshot, error) {
			for _, cid := range []string{"kept", "foreign", "left", "joined"} {
				publish(cid)
			}
			e.reg.Subscribed(plainApp, "tom", "left", false)
			e.reg.Subscribed(plainApp, "tom", "joined", true)
			return &fanout.Snapshot{Subscriptions: []string{"kept", "left"}}, nil
		}
		c := e.connect()
		open(t, c, "tom")
		require.Equal(t, "kept", readCid(c))
		require.Equal(t, "joined", readCid(c))
		for _, cid := range []string{"left", "foreign", "joined", "kept"} {
			publish(cid)
		}
		require.Equal(t, "joined", readCid(c))
		require.Equal(t, "kept", readCid(c))
		c.WantSilence(time.Second)
	})
}

func TestKickDuringALogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		e.snapshot = func(context.Context, *fanout.Login) (*fanout.Snapshot, error) {
			e.reg.Publish(toClients("waits", "tom"))
			require.Equal(t, 1, e.reg.Kick(plainApp, "tom", wire.CodeKickedByApp, "out"))
			return &fanout.Snapshot{Frames: [][]byte{body("unread")}}, nil
		}
		c := e.connect()
		c.Send(openCommand("tom"))
		wantClosed(t, c.Read(), "tom", 1, wire.CodeKickedByApp, "out")
		c.WantSilence(time.Second)
		require.Empty(t, e.opens())
		require.Empty(t, e.ends())
		c.Send(query("", 2))
		wantError(t, c.Read(), 2, wire.CodeSessionRequired)
	})
}

// Who is kicked as soon as the login is granted hears of the login first, then of
// what it is told with it, and then of its end.
func TestKickRightAfterALogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		e.snapshot = func(context.Context, *fanout.Login) (*fanout.Snapshot, error) {
			return &fanout.Snapshot{Frames: [][]byte{body("unread")}}, nil
		}
		c := e.connect()
		const logins = 30
		for range logins {
			var kicking sync.WaitGroup
			kicking.Go(func() {
				for !e.reg.Granted(plainApp, "tom") {
					runtime.Gosched()
				}
				require.Equal(t, 1, e.reg.Kick(plainApp, "tom", wire.CodeKickedByApp, "out"))
			})
			open(t, c, "tom", tagged(strings.Repeat("x", 40<<10), "")) // the answer takes its time to make
			require.Equal(t, "unread", readCid(c))
			wantClosed(t, c.Read(), "tom", 0, wire.CodeKickedByApp, "out")
			kicking.Wait()
			synctest.Wait()
		}
		require.Len(t, e.ends(), logins)
	})
}

// A client whose connection is about to end is not online, although its
// sessions have not ended yet.
func TestOnlineWhileTheConnectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		c := e.login("tom")
		c.Frame(wstest.OpBinary, []byte{0xff})
		synctest.Wait() // closed with 4114; the peer has not answered
		require.Equal(t, 1, e.reg.Sessions())
		require.Empty(t, e.reg.Online(plainApp, []string{"tom"}))
		c.WantClosed(wire.CodeUnparseableRawMessage)
	})
}

func TestTheGateIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		e.snapshot = func(context.Context, *fanout.Login) (*fanout.Snapshot, error) {
			for range 4097 {
				e.reg.Publish(toClients("flood", "tom"))
			}
			return &fanout.Snapshot{}, nil
		}
		c := e.connect()
		c.Send(openCommand("tom"))
		c.WantClosed(wire.CodeInternalError)
	})
}

func TestReplyComesBeforeItsPushes(t *testing.T) {
	for name, early := range map[string]bool{"published after the reply": false, "published before the reply": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t)
				c := e.connect()
				open(t, c, "tom")
				open(t, c, "jerry") // on the actor's connection too
				far := e.login("mary")
				time.Sleep(20 * ms)
				e.dispatch = func(_ context.Context, r *fanout.Request) {
					ev := toClients("caused", "jerry", "mary")
					ev.Hold = r.Hold()
					if early {
						e.reg.Publish(ev)
					}
					r.Reply(&pb.GenericCommand{Cmd: pb.CommandType_conv.Enum(), Op: pb.OpType_added.Enum()})
					if !early {
						e.reg.Publish(ev)
					}
				}
				start := time.Now()
				c.Send(&pb.GenericCommand{Cmd: pb.CommandType_conv.Enum(), Op: pb.OpType_add.Enum(), PeerId: proto.String("tom"), I: proto.Int32(9)})
				require.Equal(t, "caused", readCid(far))
				require.Zero(t, time.Since(start)) // everybody else at once
				require.Equal(t, int32(9), c.Read().GetI())
				require.Zero(t, time.Since(start))
				require.Equal(t, "caused", readCid(c))
				require.Equal(t, 10*ms, time.Since(start))
			})
		})
	}
}

func TestMessagesAreNotHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		c := e.connect()
		open(t, c, "tom")
		open(t, c, "jerry")
		time.Sleep(20 * ms)
		e.dispatch = func(_ context.Context, r *fanout.Request) {
			r.Reply(&pb.GenericCommand{Cmd: pb.CommandType_ack.Enum()})
			ev := toClients("message", "jerry")
			ev.Hold = r.Hold()
			e.reg.Publish(ev)
		}
		start := time.Now()
		c.Send(&pb.GenericCommand{Cmd: pb.CommandType_direct.Enum(), I: proto.Int32(9)})
		require.Equal(t, pb.CommandType_ack, c.Read().GetCmd())
		require.Equal(t, "message", readCid(c))
		require.Zero(t, time.Since(start))
	})
}

// A body is encoded once, by the engine, and no receiver costs an encoding or an
// allocation of its own.
func TestFanOutDoesNotEncodePerReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		const receivers = 100
		var readers sync.WaitGroup
		clients := make([]string, receivers)
		for i := range clients {
			clients[i] = fmt.Sprint("client-", i)
			c := e.login(clients[i])
			readers.Go(func() {
				buf := make([]byte, 64<<10)
				for {
					if _, err := c.Net.Read(buf); err != nil {
						return
					}
				}
			})
		}
		time.Sleep(20 * ms)
		ev := &fanout.Event{
			App: plainApp, Kind: fanout.TargetClients, Clients: clients,
			Class: fanout.ClassStored, Body: make([]byte, 2<<10),
		}
		const events = 10
		allocs := testing.AllocsPerRun(5, func() {
			for range events {
				e.reg.Publish(ev)
			}
			synctest.Wait()
		})
		// An encoding for each receiver would be one at least. What is left is the
		// start of a writer now and then, and pools that the race detector empties.
		require.Less(t, allocs/(receivers*events), 0.9)
		e.conns.Close()
		readers.Wait()
	})
}

// Logins, logouts, kicks, rooms and pushes at once leave a registry that is
// consistent, and every session ends exactly once.
func TestEverythingAtOnce(t *testing.T) {
	e := newEnv(t)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	loop := func(f func(i int)) {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					f(i)
				}
			}
		})
	}
	loop(func(i int) {
		e.reg.Publish(toClients("x", "client-0", "client-1", "client-2"))
		e.reg.Publish(&fanout.Event{App: plainApp, Kind: fanout.TargetEveryone, Class: fanout.ClassRoomLow, Body: body("all")})
		e.reg.Publish(&fanout.Event{App: plainApp, Kind: fanout.TargetRoom, Conv: "room", Class: fanout.ClassRoomLow, Body: body("room")})
		e.reg.Publish(&fanout.Event{App: plainApp, Kind: fanout.TargetSubscribers, Conv: "news", Class: fanout.ClassRoomLow, Body: body("news")})
	})
	loop(func(i int) {
		e.reg.Kick(plainApp, fmt.Sprint("client-", i%3), wire.CodeKickedByApp, "")
		for _, l := range e.opens() {
			e.reg.RoomJoin(l.Actor.Session, "room")
			e.reg.SetWill(l.Actor.Session, func() {})
		}
		e.reg.Subscribed(plainApp, fmt.Sprint("client-", i%3), "news", i%2 == 0)
		e.reg.Online(plainApp, []string{"client-0"})
	})
	var clients sync.WaitGroup
	for n := range 6 {
		clients.Go(func() {
			for i := range 15 {
				c := e.connect()
				done := make(chan struct{})
				go func() {
					defer close(done)
					for {
						if _, _, err := c.ReadFrame(); err != nil {
							return
						}
					}
				}()
				c.Send(openCommand(fmt.Sprint("client-", n%3), tagged("Mobile", fmt.Sprint("device-", n))))
				c.Send(openCommand(fmt.Sprint("client-", (n+i)%3)))
				c.Send(query("", 3))
				if i%2 == 0 {
					c.Send(sessionCommand(pb.OpType_close, "", 4, nil))
				}
				c.Net.Close()
				<-done
			}
		})
	}
	clients.Wait()
	close(stop)
	wg.Wait()
}
