package chaos_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/server"
)

// Times of a world, all virtual.
const (
	chaosLasts  = 90 * time.Second
	commandTime = 5 * time.Second // CommandTimeout of the clients
	callTime    = 40 * time.Second
	calmLasts   = 45 * time.Second // more than any backoff, heartbeat or throttle
)

// world is what one seed plays.
type world struct {
	t    *testing.T
	seed uint64
	s    *realtimetest.Server
	god  *admin.Client

	devices []*device
	service *admin.ServiceConversation

	healing chan struct{} // closed when the chaos is over

	mu       sync.Mutex
	places   []*place // all of them, once the world is built
	darkness int      // faults that keep everybody from connecting
	mends    []func() // end faults; each may be called again
	story    []string
	wrong    []string
	sends    map[string]*sent // by text
	members  []membership     // changes, in the order in which the server told them
}

// place is a conversation.
type place struct {
	id      string
	name    string
	kind    realtime.Kind
	churns  bool     // members come and go
	members []string // at first
	creator string
}

// membership is a change of members.
type membership struct {
	at     time.Time
	place  string
	client string
	in     bool
}

// sent is what the callers of Send know of one text.
type sent struct {
	text   string
	device *device
	life   *life // that first sent it
	place  *place
	never  bool // transient: part of no history
	asks   bool // for a receipt
	calls  int  // of Send

	done    bool // the last call has returned
	stored  *realtime.Message
	refused error // an answer was that it is not stored
	unknown bool  // an answer was that nobody knows
}

// tell adds a line to the story.
func (w *world) tell(format string, args ...any) {
	line := time.Now().Format("04:05.000000 ") + fmt.Sprintf(format, args...)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.story = append(w.story, line)
}

// complain notes that something is wrong.
func (w *world) complain(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	w.tell("WRONG: %s", line)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = append(w.wrong, line)
}

func (w *world) addPlace(p *place) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.places = append(w.places, p)
}

func (w *world) named(name string) *place {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.places[slices.IndexFunc(w.places, func(p *place) bool { return p.name == name })]
}

// placeName is also asked by handlers while the places are still being made.
func (w *world) placeName(id string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.places {
		if p.id == id {
			return p.name
		}
	}
	return id
}

// over tells whether the chaos is over.
func (w *world) over() bool {
	select {
	case <-w.healing:
		return true
	default:
		return false
	}
}

// sleep waits, or ends early because the chaos is over.
func (w *world) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.healing:
	}
}

// play plays a seed and returns what was wrong, and the story.
func play(t *testing.T, seed uint64) (wrong, story []string) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			t: t, seed: seed,
			healing: make(chan struct{}),
			sends:   make(map[string]*sent),
		}
		w.s = realtimetest.NewServer(t, realtimetest.WithLatency(newDice(seed, 1).upTo(20*time.Millisecond)),
			realtimetest.WithServerOptions(func(o *server.Options) {
				o.Logger = slog.New(slog.DiscardHandler)
				o.Hooks = w.hooks()
			}))
		w.god = w.s.Admin()
		w.build()
		w.run()
		w.heal()
		w.check()
		w.checkQuiet()
		w.close()
		wrong, story = w.wrong, w.story
	})
	return wrong, story
}

// hooks note who is a member when.
func (w *world) hooks() *server.Hooks {
	note := func(ev *server.MembersChange, in bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, id := range ev.Members {
			w.members = append(w.members, membership{time.Now(), ev.ConvID, id, in})
		}
	}
	return &server.Hooks{
		ConversationAdded:   func(_ context.Context, ev *server.MembersChange) { note(ev, true) },
		ConversationRemoved: func(_ context.Context, ev *server.MembersChange) { note(ev, false) },
	}
}

// build makes the people and the conversations, before anything breaks.
func (w *world) build() {
	d := newDice(w.seed, 2)
	people := []string{"Tom", "Jerry", "Spike", "Tyke"}[:2+d.n(3)]
	for i, id := range people {
		devices := 1
		if i == 0 || d.in(3) {
			devices = 1 + d.n(2)
		}
		for range devices {
			w.addDevice(id, d)
		}
	}
	ctx := w.t.Context()
	for _, dev := range w.devices {
		dev.begin(nil)
	}
	tom := w.devices[0].client()
	add := func(conv *realtime.Conversation, err error, p place) {
		if err != nil {
			w.t.Fatalf("seed %d: build %s: %v", w.seed, p.name, err)
		}
		p.id, p.creator = conv.ID(), tom.ID()
		w.addPlace(&p)
	}
	conv, err := tom.CreateConversation(ctx, realtime.ConversationOptions{Members: people})
	add(conv, err, place{name: "all", kind: realtime.KindNormal, members: people})
	conv, err = tom.CreateConversation(ctx, realtime.ConversationOptions{Members: people[:2], NotUnique: true})
	add(conv, err, place{name: "pair", kind: realtime.KindNormal, members: people[:2]})
	conv, err = tom.CreateConversation(ctx, realtime.ConversationOptions{Members: people, NotUnique: true, Name: "churn"})
	add(conv, err, place{name: "churn", kind: realtime.KindNormal, churns: true, members: people})
	conv, err = tom.CreateTemporaryConversation(ctx, realtime.TemporaryConversationOptions{Members: people})
	add(conv, err, place{name: "temp", kind: realtime.KindTemporary, members: people})
	conv, err = tom.CreateChatRoom(ctx, realtime.ChatRoomOptions{})
	add(conv, err, place{name: "room", kind: realtime.KindChatRoom})
	w.devices[0].life().entered = time.Now() // who makes a room is in it
	w.service, err = w.god.CreateServiceConversation(ctx, admin.ServiceConversationOptions{})
	if err != nil {
		w.t.Fatalf("seed %d: build: %v", w.seed, err)
	}
	w.addPlace(&place{id: w.service.ID(), name: "service", kind: realtime.KindService, members: people})
	for _, id := range people {
		if err := w.service.Subscribe(ctx, id); err != nil {
			w.t.Fatalf("seed %d: subscribe: %v", w.seed, err)
		}
	}
	// What a service says to one client alone, and another device reads, is found
	// where the service is known to have spoken before.
	if _, err := w.service.BroadcastToSubscribers(ctx, admin.Broadcast{From: "boss", Content: realtime.NewTextMessage("welcome")}); err != nil {
		w.t.Fatalf("seed %d: broadcast: %v", w.seed, err)
	}
	time.Sleep(time.Second) // what happens now has a time of its own
	synctest.Wait()
}

// run lets everybody act until the chaos is over.
func (w *world) run() {
	var parties sync.WaitGroup
	for _, dev := range w.devices {
		parties.Go(dev.use)
	}
	parties.Go(w.broadcast)
	w.breakThings()
	w.tell("--- the chaos is over")
	close(w.healing)
	w.mend()
	parties.Wait()
}

// heal waits until everybody is there again, and has been told everything.
func (w *world) heal() {
	for _, dev := range w.devices {
		dev.comeBack()
	}
	time.Sleep(calmLasts)
	synctest.Wait()
}

// close ends everything, and checks that it ends.
func (w *world) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, dev := range w.devices {
		if err := dev.rt.Close(ctx); err != nil {
			w.complain("%s: close: %v", dev, err)
		}
	}
	w.checkGone()
	w.s.Close()
}

// replay is how to play a seed again.
func replay(seed uint64) string {
	return fmt.Sprintf("go test ./internal/chaos -run 'TestChaos$' -chaos.seed=%d", seed)
}

// report is what a failed seed prints.
func report(seed uint64, wrong, story []string, whole bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d:\n\t%s\nplay it again:\n\t%s\n", seed, strings.Join(wrong, "\n\t"), replay(seed))
	if whole {
		fmt.Fprintf(&b, "its story:\n\t%s\n", strings.Join(story, "\n\t"))
	}
	return b.String()
}
