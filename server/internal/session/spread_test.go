package session_test

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/store"
	"github.com/leanrtm/realtime/server/internal/wstest"
)

// source publishes numbered events one after the other, as the engine does with
// a conversation or its lane locked.
type source struct {
	name string
	mu   sync.Mutex
	n    int
	// next makes the event with a number.
	next func(n int, name string) *fanout.Event
}

func (s *source) publish(e *env) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	e.reg.Publish(s.next(s.n, s.name+":"+strconv.Itoa(s.n)))
}

// Whatever is published in an order, by whoever and to however many, reaches
// every session complete and in that order: also when events for many and for few
// alternate, and when publishers are faster than the workers.
func TestOrderOfEventsForManyAndFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			connections = 12
			each        = 8 // sessions on a connection
			publishers  = 4
			rounds      = 150 // of each publisher
		)
		e := newEnv(t)
		e.reg.SetFanOut(3, 20, 64)
		clients := make([]string, connections*each)
		conns := make([]*wstest.Conn, connections)
		for i := range conns {
			conns[i] = e.connect()
			for k := range each {
				id := fmt.Sprint("client-", i*each+k)
				clients[i*each+k] = id
				open(t, conns[i], id)
			}
		}
		synctest.Wait()
		require.Len(t, e.opens(), len(clients))
		for _, l := range e.opens() {
			_, ok := e.reg.RoomJoin(l.Actor.Session, "room")
			require.True(t, ok)
			e.reg.Subscribed(plainApp, l.Actor.Client, "news", true)
		}
		few := clients[len(clients)-each/2:] // those that an event for many reaches last

		event := func(kind fanout.TargetKind, conv string, to []string, text string) *fanout.Event {
			return &fanout.Event{App: plainApp, Kind: kind, Conv: conv, Clients: to, Class: fanout.ClassStored, Body: body(text)}
		}
		sources := []*source{
			{name: "members", next: func(n int, text string) *fanout.Event {
				if n%2 == 0 {
					return event(fanout.TargetClients, "", few, text)
				}
				return event(fanout.TargetClients, "", clients, text)
			}},
			{name: "room", next: func(n int, text string) *fanout.Event {
				if n%2 == 0 {
					return event(fanout.TargetClients, "", few, text)
				}
				return event(fanout.TargetRoom, "room", nil, text)
			}},
			{name: "news", next: func(n int, text string) *fanout.Event {
				switch n % 3 {
				case 0:
					return event(fanout.TargetEveryone, "", nil, text)
				case 1:
					return event(fanout.TargetClients, "", few, text)
				}
				return event(fanout.TargetSubscribers, "news", nil, text)
			}},
			{name: "few", next: func(_ int, text string) *fanout.Event { return event(fanout.TargetClients, "", few, text) }},
		}
		var publishing sync.WaitGroup
		for p := range publishers {
			publishing.Go(func() {
				for i := range rounds {
					sources[(p+i)%len(sources)].publish(e)
				}
			})
		}
		const last = "end"
		var reading sync.WaitGroup
		for i, c := range conns {
			reading.Go(func() {
				got := make(map[string][]int) // by client and source
				for ended := 0; ended < each; {
					cmd := c.Read()
					text := cmd.GetDirectMessage().GetCid()
					if text == last {
						ended++
						continue
					}
					name, n, _ := strings.Cut(text, ":")
					number, err := strconv.Atoi(n)
					assert.NoError(t, err)
					key := cmd.GetPeerId() + " " + name
					got[key] = append(got[key], number)
				}
				for k := range each {
					n := i*each + k
					for _, s := range sources {
						var want []int
						for number := 1; number <= publishers*rounds/len(sources); number++ {
							if ev := s.next(number, ""); len(ev.Clients) != len(few) || n >= len(clients)-len(few) {
								want = append(want, number)
							}
						}
						assert.Equal(t, want, got[clients[n]+" "+s.name], "%s of %s", s.name, clients[n])
					}
				}
			})
		}
		publishing.Wait()
		e.reg.Publish(event(fanout.TargetEveryone, "", nil, last))
		reading.Wait()
	})
}

// A client that opens again on its connection while events for many are on their
// way is told each of them once: by its snapshot or by a push, and nothing of its
// former session comes behind the snapshot.
func TestReopenBetweenEventsForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			others  = 100
			reopens = 30
			burst   = 50 // events while the client opens
		)
		e := newEnv(t)
		e.reg.SetFanOut(1, 4, 1<<20)
		log := store.LogID{App: plainApp, Cid: "c"}
		var conv sync.Mutex // the conversation's lock
		var head int64
		e.snapshot = func(context.Context, *fanout.Login) (*fanout.Snapshot, error) {
			conv.Lock()
			defer conv.Unlock()
			return &fanout.Snapshot{
				ServerTS: time.Now().UnixMilli(), Told: map[store.LogID]int64{log: head},
				Frames: [][]byte{body("told:" + strconv.FormatInt(head, 10))},
			}, nil
		}
		crowd, tom := e.connect(), e.connect()
		var readers sync.WaitGroup
		readers.Go(func() {
			for { // until the connection ends
				if _, _, err := crowd.ReadFrame(); err != nil {
					return
				}
			}
		})
		clients := make([]string, others, others+1)
		for i := range clients {
			clients[i] = fmt.Sprint("client-", i)
			crowd.Send(openCommand(clients[i]))
			synctest.Wait()
		}
		clients = append(clients, "tom") // the last that an event reaches
		publish := func() {
			conv.Lock()
			defer conv.Unlock()
			head++
			e.reg.Publish(&fanout.Event{
				App: plainApp, Kind: fanout.TargetClients, Clients: clients, Class: fanout.ClassStored,
				Body: body(strconv.FormatInt(head, 10)), Log: log, Seq: head,
			})
		}
		var got []string
		readers.Go(func() {
			for {
				_, payload, err := tom.ReadFrame()
				if err != nil {
					return
				}
				cmd, err := tom.Codec.Unmarshal(payload)
				if !assert.NoError(t, err) {
					return
				}
				if cmd.GetCmd() == pb.CommandType_direct {
					got = append(got, cmd.GetDirectMessage().GetCid())
				}
			}
		})
		for i := range reopens {
			// What is published before the former session ends waits for a worker then.
			release := e.reg.HoldWorkers()
			for range burst {
				publish()
			}
			var publisher sync.WaitGroup
			publisher.Go(func() {
				for range burst {
					publish()
				}
			})
			tom.Send(openCommand("tom"))
			if i > 0 {
				for !e.reg.Over(plainApp, "tom") {
					runtime.Gosched()
				}
			}
			release()
			publisher.Wait()
			time.Sleep(time.Second) // so that what is held for the reply has come
		}
		e.conns.Close()
		readers.Wait()

		at, told := int64(-1), 0
		for _, text := range got {
			if n, ok := strings.CutPrefix(text, "told:"); ok {
				var err error
				at, err = strconv.ParseInt(n, 10, 64)
				require.NoError(t, err)
				told++
				continue
			}
			require.GreaterOrEqual(t, at, int64(0), "nothing is pushed before the first login")
			at++
			require.Equal(t, strconv.FormatInt(at, 10), text, "after %d logins", told)
		}
		require.Equal(t, reopens, told)
		require.Equal(t, head, at)
	})
}

// Who is in a room when an event for many is published gets it, and nobody else;
// and what is published afterwards for few waits for it.
func TestRoomThatChangesBetweenEventsForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		e.reg.SetFanOut(2, 2, 1<<20)
		refs := make(map[string]fanout.SessionRef)
		conns := make(map[string]*wstest.Conn)
		for i := range 6 {
			id := fmt.Sprint("client-", i)
			conns[id] = e.login(id)
			refs[id] = e.lastRef()
		}
		join := func(id string) {
			_, ok := e.reg.RoomJoin(refs[id], "room")
			require.True(t, ok)
		}
		say := func(text string) {
			e.reg.Publish(&fanout.Event{App: plainApp, Kind: fanout.TargetRoom, Conv: "room", Class: fanout.ClassStored, Body: body(text)})
		}
		for i := range 5 {
			join(fmt.Sprint("client-", i))
		}
		release := e.reg.HoldWorkers()
		say("first")
		e.reg.RoomLeave(refs["client-0"], "room")
		join("client-5")
		say("second")
		for range 1000 {
			runtime.Gosched() // the workers begin as well as they can
		}
		e.reg.Publish(toClients("third", "client-0", "client-1"))
		release()
		for id, want := range map[string][]string{
			"client-0": {"first", "third"}, "client-1": {"first", "second", "third"}, "client-5": {"second"},
		} {
			for _, text := range want {
				require.Equal(t, text, readCid(conns[id]), id)
			}
			synctest.Wait()
			conns[id].WantSilence(ms)
		}
	})
}

// Nobody is told to go before they got what was published for many. Workers that
// have no end do not keep the server.
func TestShutdownWaitsForWhatIsForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		e.reg.SetFanOut(1, 0, 1<<10)
		c := e.login("tom")
		release := e.reg.HoldWorkers()
		e.reg.Publish(toClients("for many", "tom"))
		var shutdown, reading sync.WaitGroup
		others := make(chan struct{})
		close(others)
		shutdown.Go(func() { require.NoError(t, e.conns.Shutdown(t.Context(), others)) })
		var got [2]*pb.GenericCommand
		var read atomic.Int32
		reading.Go(func() {
			for i := range got {
				got[i] = c.Read()
				read.Add(1)
			}
		})
		for i := 0; i < 10_000 && read.Load() == 0; i++ {
			runtime.Gosched() // time stands still while the worker waits for the lock
		}
		require.Zero(t, read.Load())
		release()
		reading.Wait()
		require.Equal(t, pb.CommandType_direct, got[0].GetCmd())
		require.Equal(t, pb.CommandType_goaway, got[1].GetCmd())
		c.Net.Close()
		shutdown.Wait()
	})
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		e.reg.SetFanOut(1, 0, 1<<10)
		e.login("tom")
		release := e.reg.HoldWorkers()
		e.reg.Publish(toClients("for many", "tom"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		e.reg.Delivered(ctx)
		release()
	})
}
