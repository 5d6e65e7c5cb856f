package bench

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
)

// group is a conversation: who is in it and which streams send to it.
type group struct {
	senders   []int // places in run's senders
	receivers []int
}

// listener is a client with what it has got.
type listener struct {
	client *realtime.IMClient
	ledger *ledger
}

// messages measures Send and FanOut.
func (r *run) messages(ctx context.Context) error {
	senders, err := r.people.clients("sender", r.Senders, r.Senders)
	if err != nil {
		return err
	}
	receivers, err := r.people.clients("receiver", r.settings.Receivers, r.Connections)
	if err != nil {
		return err
	}
	r.settings.Senders, r.settings.Size = r.Senders, r.Size
	r.settings.Connections = connectionsFor(len(receivers), r.Connections)
	r.settings.Kind = "normal"
	if r.Room {
		r.settings.Kind = "room"
	}
	groups := r.groups(len(senders), len(receivers))
	streams := make([]*stream, 0, r.Senders*r.inFlight)
	heard := make([][]*stream, len(senders)) // the streams of each sender
	for i := range senders {
		for range r.inFlight {
			s := &stream{number: len(streams), failed: make(map[int32]bool), delivered: make(chan struct{}, 1)}
			streams = append(streams, s)
			heard[i] = append(heard[i], s)
		}
	}
	var listeners []*listener
	for _, g := range groups {
		var all []*stream // in the order of their numbers, since senders are
		for _, i := range g.senders {
			all = append(all, heard[i]...)
		}
		for _, i := range g.receivers {
			listeners = append(listeners, &listener{receivers[i], newLedger(all)})
		}
		for _, i := range g.senders {
			var others []*stream
			for _, j := range g.senders {
				if i != j {
					others = append(others, heard[j]...)
				}
			}
			listeners = append(listeners, &listener{senders[i], newLedger(others)})
			for _, s := range heard[i] {
				s.audience = len(g.receivers) + len(g.senders) - 1
			}
		}
	}
	d := r.listen(streams, listeners)
	if err := r.people.open(ctx, append(receivers, senders...), r.tell("log in")); err != nil {
		return err
	}
	for _, g := range groups {
		if err := r.gather(ctx, g, senders, receivers, heard); err != nil {
			return err
		}
	}
	names := []string{nameAcknowledged}
	if r.settings.Receivers > 0 || r.Work == FanOut {
		names = append(names, nameDelivered)
	}
	if r.Work == FanOut {
		names = append(names, nameComplete)
	}
	return d.measure(ctx, names)
}

// groups deals the receivers out: to one conversation that all senders share,
// or to one of each sender.
func (r *run) groups(senders, receivers int) []group {
	n := 1
	if r.Work == Send {
		n = senders
	}
	groups := make([]group, n)
	for i := range senders {
		g := &groups[i%n]
		g.senders = append(g.senders, i)
	}
	for i := range receivers {
		g := &groups[i%n]
		g.receivers = append(g.receivers, i)
	}
	return groups
}

// batch is how many members fit into one command.
const batch = 200

// gather makes a conversation and has the streams send to it.
func (r *run) gather(ctx context.Context, g group, senders, receivers []*realtime.IMClient, heard [][]*stream) error {
	var members []*realtime.IMClient
	for _, i := range g.receivers {
		members = append(members, receivers[i])
	}
	for _, i := range g.senders[1:] {
		members = append(members, senders[i])
	}
	creator := senders[g.senders[0]]
	conv, err := r.create(ctx, creator, members)
	if err != nil {
		return err
	}
	for _, i := range g.senders {
		own, err := senders[i].GetConversation(ctx, conv.ID())
		if err != nil {
			return fmt.Errorf("find the conversation: %w", err)
		}
		for _, s := range heard[i] {
			s.send = func(ctx context.Context, text string) error {
				_, err := own.Send(ctx, realtime.NewTextMessage(text))
				return err
			}
		}
	}
	return nil
}

// create makes a conversation of these members, or a room with them in it.
func (r *run) create(ctx context.Context, creator *realtime.IMClient, members []*realtime.IMClient) (*realtime.Conversation, error) {
	const name = "rtm bench"
	if r.Room {
		room, err := creator.CreateChatRoom(ctx, realtime.ChatRoomOptions{Name: name})
		if err != nil {
			return nil, fmt.Errorf("create a chat room: %w", err)
		}
		r.tidyUp(func(ctx context.Context) error { return r.Admin.ChatRoom(room.ID()).Delete(ctx) })
		members = append(members, creator)
		return room, each(ctx, len(members), opening, r.tell("join"), func(ctx context.Context, i int) error {
			conv, err := members[i].GetConversation(ctx, room.ID())
			if err == nil {
				err = conv.Join(ctx)
			}
			if err != nil {
				return fmt.Errorf("join the chat room: %w", err)
			}
			return nil
		})
	}
	ids := []string{r.people.id("absent", 0)} // somebody who is not online, so that nobody talks to himself
	for _, c := range members {
		ids = append(ids, c.ID())
	}
	first := ids[:min(batch, len(ids))]
	conv, err := creator.CreateConversation(ctx, realtime.ConversationOptions{Members: first, Name: name, NotUnique: true})
	if err != nil {
		return nil, fmt.Errorf("create a conversation: %w", err)
	}
	r.tidyUp(func(ctx context.Context) error { return r.Admin.Conversation(conv.ID()).Delete(ctx) })
	for rest := ids[len(first):]; len(rest) > 0; rest = rest[min(batch, len(rest)):] {
		if err := conv.Add(ctx, rest[:min(batch, len(rest))]...); err != nil {
			return nil, fmt.Errorf("add members (chat rooms may have more): %w", err)
		}
	}
	return conv, nil
}

// tidyUp remembers what is to be done at the end. It is called by one goroutine
// at a time.
func (r *run) tidyUp(do func(ctx context.Context) error) {
	if r.Admin != nil {
		r.tidy = append(r.tidy, do)
	}
}

// broadcast measures Broadcast.
func (r *run) broadcast(ctx context.Context) error {
	receivers, err := r.people.clients("receiver", r.settings.Receivers, r.Connections)
	if err != nil {
		return err
	}
	r.settings.Size, r.settings.All, r.settings.Subscribers = r.Size, r.All, r.Subscribers
	r.settings.Connections = connectionsFor(len(receivers), r.Connections)
	service, err := r.Admin.CreateServiceConversation(ctx, admin.ServiceConversationOptions{Name: "rtm bench"})
	if err != nil {
		return fmt.Errorf("create a service conversation: %w", err)
	}
	r.tidyUp(service.Delete)
	if !r.All {
		all := len(receivers) + r.Subscribers
		err := each(ctx, all, opening, r.tell("subscribe"), func(ctx context.Context, i int) error {
			id := r.people.id("absent", i)
			if i < len(receivers) {
				id = receivers[i].ID()
			}
			return service.Subscribe(ctx, id)
		})
		if err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
	}
	send := func(ctx context.Context, text string) error {
		b := admin.Broadcast{From: r.people.id("sender", 0), Content: realtime.NewTextMessage(text)}
		var err error
		if r.All {
			b.ValidTill = time.Now().Add(time.Hour) // long after the end
			_, err = service.BroadcastToAll(ctx, b)
		} else {
			_, err = service.BroadcastToSubscribers(ctx, b)
		}
		return err
	}
	var streams []*stream
	for i := range r.inFlight {
		streams = append(streams, &stream{
			number: i, failed: make(map[int32]bool), delivered: make(chan struct{}, 1), audience: len(receivers), send: send,
		})
	}
	var listeners []*listener
	for _, c := range receivers {
		listeners = append(listeners, &listener{c, newLedger(streams)})
	}
	d := r.listen(streams, listeners)
	if err := r.people.open(ctx, receivers, r.tell("log in")); err != nil {
		return err
	}
	return d.measure(ctx, []string{nameAcknowledged, nameDelivered, nameComplete})
}

// delivery is what runs while messages are measured.
type delivery struct {
	*run
	streams   []*stream
	listeners []*listener
	padding   string

	mu        sync.RWMutex // the recorders, which are there from the start on
	delivered *recorder
}

// listen has the listeners put down what they get.
func (r *run) listen(streams []*stream, listeners []*listener) *delivery {
	d := &delivery{run: r, streams: streams, listeners: listeners, padding: strings.Repeat("x", r.Size)}
	for i, l := range listeners {
		l.client.OnMessage(func(_ context.Context, e *realtime.MessageEvent) { d.heard(i, l, e.Message.Text()) })
	}
	return d
}

// heard runs on the goroutine of a client's handlers.
func (d *delivery) heard(i int, l *listener, text string) {
	now := time.Now()
	e, ok := parseText(d.id, text)
	if !ok || e.stream >= len(d.streams) {
		return // it is not of this run
	}
	s := d.streams[e.stream]
	if !l.ledger.note(s, e.seq) {
		return
	}
	d.mu.RLock()
	delivered := d.delivered
	d.mu.RUnlock()
	if delivered != nil {
		delivered.record(i, d.start.Add(e.due), now)
	}
	s.arrived(e.seq)
}

// measure sends until there is nothing more to send, then waits for what is to
// arrive.
func (d *delivery) measure(ctx context.Context, names []string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	recorders := d.begin(names...)
	var complete *recorder
	if len(names) > 1 {
		d.mu.Lock()
		d.delivered = recorders[1]
		d.mu.Unlock()
	}
	if d.Work != Send {
		complete = recorders[2]
	}
	p := d.pace(d.Count)
	tell := d.tell(string(d.Work))
	var done counter
	var sending sync.WaitGroup
	for _, s := range d.streams {
		sending.Go(func() {
			for failures := 0; failures < giveUp; {
				due, ok := p.take(ctx)
				if !ok {
					return
				}
				if d.one(ctx, s, due, recorders[0], complete) {
					failures = 0
					tell(done.finished(), d.Count)
				} else {
					failures++
				}
			}
		})
	}
	sending.Wait()
	d.settle()
	d.end()
	for _, l := range d.listeners {
		l.ledger.add(&d.check)
		if err := l.client.Err(); err != nil {
			d.fail(fmt.Errorf("a client has ended: %w", err))
		}
	}
	return nil
}

// one sends one message and tells whether that has worked. With complete it
// waits until everybody has it.
func (d *delivery) one(ctx context.Context, s *stream, due time.Time, sent, complete *recorder) bool {
	seq := s.next
	s.next++
	text := envelope{stream: s.number, seq: seq, due: due.Sub(d.start)}.text(d.id, d.Size, d.padding)
	s.await(seq)
	if err := d.bounded(ctx, func(ctx context.Context) error { return s.send(ctx, text) }); err != nil {
		s.failed[seq] = true
		d.fail(err)
		return false
	}
	sent.record(s.number, due, time.Now())
	if complete == nil || s.audience == 0 {
		return true
	}
	timer := time.NewTimer(d.Patience)
	defer timer.Stop()
	select {
	case <-s.delivered:
		complete.record(s.number, due, time.Now())
		return true
	case <-timer.C:
		d.fail(errUndelivered)
		return false
	}
}

// How often it is looked whether everything has arrived, and how long after it
// has something may come twice.
const (
	glance   = 20 * time.Millisecond
	doubling = 100 * time.Millisecond
)

// settle waits until everything has arrived, or until nothing more has come for
// as long as the patience.
func (d *delivery) settle() {
	got, since := int64(-1), time.Now()
	ticker := time.NewTicker(glance)
	defer ticker.Stop()
	for {
		var c Check
		for _, l := range d.listeners {
			l.ledger.add(&c)
		}
		if c.Lost == 0 {
			break
		}
		if c.Received != got {
			got, since = c.Received, time.Now()
		}
		if time.Since(since) >= d.Patience {
			break
		}
		<-ticker.C
	}
	timer := time.NewTimer(doubling)
	defer timer.Stop()
	<-timer.C
}
