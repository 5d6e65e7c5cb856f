package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/leanrtm/realtime"
)

// device is a program of one person, with a connection of its own. Its client
// may end and begin again: each is a life.
type device struct {
	w    *world
	name string // Tom/1
	id   string
	tag  string
	rt   *realtime.Realtime
	dice *dice // of its user
	luck *dice // of its handlers

	opts []realtime.ClientOption

	mu    sync.Mutex
	lives []*life
	texts int
}

func (d *device) String() string { return d.name }

// life is one client, from NewIMClient to its end.
type life struct {
	n      int
	client *realtime.IMClient
	opened time.Time

	mu     sync.Mutex
	heard  []heard
	sure   map[string]bool    // messages that no later life may hear; set at the end
	seen   map[string]version // newest form of each message that it was told of
	unsure map[string]bool    // own messages with an edit that nobody answered

	holds     []*realtime.Conversation // where it asked for receipts: what is known of others goes with the object
	delivered map[string]int           // how often it was told of an own message that it has been received

	entered   time.Time // the chat room; zero: it has not
	forgotten time.Time // when the server may first have forgotten that; zero: never
}

// heard is one message that a handler got.
type heard struct {
	place     string
	id        string
	from      string
	text      string
	at        time.Time
	recovered bool
	handled   bool // the handler has returned
	when      time.Time
}

// version is a form of a message.
type version struct {
	text string
	at   time.Time
}

func (w *world) addDevice(id string, d *dice) {
	n := uint64(len(w.devices))
	dev := &device{
		w: w, id: id, name: fmt.Sprintf("%s/%d", id, n),
		dice: newDice(w.seed, 100+n),
		luck: newDice(w.seed, 200+n),
	}
	backoff := newDice(w.seed, 300+n)
	o := w.s.Options()
	o.Logger = nil
	o.DeviceID = dev.name
	o.CommandTimeout = commandTime
	o.HeartbeatInterval, o.SilenceTimeout = 8*time.Second, 20*time.Second
	o.RetryOpen = d.in(2)
	o.Backoff = func(attempt int) time.Duration {
		return backoff.between(100*time.Millisecond, min(time.Second<<attempt, 5*time.Second))
	}
	if d.in(2) {
		dev.tag = "tag-" + dev.name
		dev.opts = append(dev.opts, realtime.WithTag(dev.tag))
	}
	if d.in(3) {
		dev.opts = append(dev.opts, realtime.WithAckAfterHandling())
	}
	rt, err := realtime.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	dev.rt = rt
	w.devices = append(w.devices, dev)
}

// client is that of the present life.
func (d *device) client() *realtime.IMClient { return d.life().client }

func (d *device) life() *life {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lives[len(d.lives)-1]
}

// begin begins a life at a position, nil: a fresh one, and opens its client. It
// goes on until that has worked.
func (d *device) begin(from *realtime.Position) {
	opts := d.opts
	l := &life{seen: make(map[string]version), unsure: make(map[string]bool), delivered: make(map[string]int)}
	if from != nil {
		opts = append(opts[:len(opts):len(opts)], realtime.WithPosition(*from))
	}
	l.client = d.rt.NewIMClient(d.id, opts...)
	d.listen(l)
	d.mu.Lock()
	l.n = len(d.lives)
	d.lives = append(d.lives, l)
	d.mu.Unlock()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), callTime)
		err := d.returns(ctx, "Open", func() error { return l.client.Open(ctx) })
		cancel()
		if err == nil {
			break
		}
		d.w.tell("%s: life %d: open: %v", d, l.n, err)
		if l.client.Err() != nil {
			return // ended already; the user sees it
		}
		time.Sleep(d.dice.upTo(time.Second))
	}
	l.mu.Lock()
	l.opened = time.Now()
	l.mu.Unlock()
	d.w.tell("%s: life %d is open", d, l.n)
}

// grace is how much later than its ctx a call may return.
const grace = 100 * time.Millisecond

// returns makes a call and sees to it that it comes back in time.
func (d *device) returns(ctx context.Context, what string, call func() error) error {
	err := call()
	if deadline, ok := ctx.Deadline(); ok && time.Since(deadline) > grace {
		d.w.complain("%s: %s returned %v after the end of its ctx", d, what, time.Since(deadline))
	}
	return err
}

// listen notes what a life is told.
func (d *device) listen(l *life) {
	l.client.OnMessage(func(ctx context.Context, e *realtime.MessageEvent) {
		m := e.Message
		d.w.tell("%s: hears %s in %s, recovered %v", d, m.Text(), d.w.placeName(m.ConversationID), e.Recovered)
		l.mu.Lock()
		n := len(l.heard)
		if !m.Transient {
			l.heard = append(l.heard, heard{m.ConversationID, m.ID, m.From, m.Text(), m.Timestamp, e.Recovered, false, time.Now()})
			l.note(m)
			defer func() {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.heard[n].handled = true
			}()
		}
		l.mu.Unlock()
		switch d.luck.n(40) {
		case 0:
			time.Sleep(d.luck.upTo(3 * time.Second))
		case 1:
			_ = e.Conversation.Read(ctx)
		}
	})
	l.client.OnMessageUpdate(func(_ context.Context, e *realtime.MessageUpdateEvent) { d.edited(l, e.Message) })
	l.client.OnMessageRecall(func(_ context.Context, e *realtime.MessageRecallEvent) { d.edited(l, e.Message) })
	l.client.OnMessageStatus(func(_ context.Context, e *realtime.MessageStatusEvent) {
		if e.Message.Status != realtime.StatusDelivered {
			return
		}
		d.w.tell("%s: %s has been received", d, e.Message.Text())
		l.mu.Lock()
		defer l.mu.Unlock()
		l.delivered[e.Message.ID]++
	})
	l.client.OnRecovered(func(_ context.Context, e *realtime.RecoveredEvent) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, f := range e.Failed {
			if !errors.Is(f.Err, realtime.ErrConversationLogRejected) { // it was removed meanwhile
				d.w.complain("%s: could not recover %q: %v", d, f.ConversationID, f.Err)
			}
		}
	})
	l.client.OnDisconnect(func(_ context.Context, e *realtime.DisconnectEvent) { d.w.tell("%s: disconnected: %v", d, e.Err) })
	l.client.OnReconnect(func(context.Context, *realtime.ReconnectEvent) { d.w.tell("%s: reconnected", d) })
	l.client.OnConflict(func(context.Context, *realtime.ConflictEvent) { d.w.tell("%s: conflict", d) })
	l.client.OnClose(func(_ context.Context, e *realtime.CloseEvent) { d.w.tell("%s: ended: %s", d, e.Reason) })
	l.client.OnUnreadMessagesCountUpdate(func(_ context.Context, e *realtime.UnreadMessagesCountUpdateEvent) {
		d.w.tell("%s: %d unread in %s", d, e.Count, d.w.placeName(e.Conversation.ID()))
	})
	l.client.OnInvited(func(_ context.Context, e *realtime.InvitedEvent) {
		d.w.tell("%s: invited to %s, recovered %v", d, d.w.placeName(e.Conversation.ID()), e.Recovered)
	})
	l.client.OnKicked(func(_ context.Context, e *realtime.KickedEvent) {
		d.w.tell("%s: kicked from %s, recovered %v", d, d.w.placeName(e.Conversation.ID()), e.Recovered)
	})
}

// settle notes what the position knows to be handled.
func (l *life) settle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sure = make(map[string]bool)
	for _, h := range l.heard {
		l.sure[h.id] = h.handled
	}
}

// forget notes that the server forgets that it is in the room.
func (l *life) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.forgotten.IsZero() {
		l.forgotten = time.Now()
	}
}

func (d *device) edited(l *life, m *realtime.Message) {
	d.w.tell("%s: hears of an edit of %s: %s", d, m.ID, shown(m))
	l.mu.Lock()
	defer l.mu.Unlock()
	if have, known := l.seen[m.ID]; known && have.text == shown(m) && have.at.Equal(m.UpdatedAt) {
		d.w.complain("%s: life %d heard twice of the edit of %s at %v", d, l.n, m.ID, m.UpdatedAt)
	}
	l.note(m)
}

// note keeps the newest form of a message, with l.mu held.
func (l *life) note(m *realtime.Message) {
	if have, known := l.seen[m.ID]; !known || !m.UpdatedAt.Before(have.at) {
		l.seen[m.ID] = version{shown(m), m.UpdatedAt}
	}
}

// shown is what there is to see of a message.
func shown(m *realtime.Message) string {
	if m.Type() == realtime.TypeRecalled {
		return "(recalled)"
	}
	return m.Text()
}

// use is what the user of a device does until the chaos is over.
func (d *device) use() {
	for {
		d.w.sleep(d.dice.between(200*time.Millisecond, 5*time.Second))
		if d.w.over() {
			return
		}
		if err := d.client().Err(); err != nil {
			d.restart("ended: " + err.Error())
			continue
		}
		d.act()
	}
}

// restart ends the present life and begins one at its position.
func (d *device) restart(why string) {
	l := d.life()
	d.w.tell("%s: life %d ends: %s", d, l.n, why)
	clean := true
	var saved realtime.Position
	if l.client.Err() == nil && d.dice.in(2) {
		// As when the process is killed some time after it has stored its position.
		clean = false
		l.settle()
		saved = l.client.Position()
		d.w.sleep(d.dice.upTo(5 * time.Second))
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	if err := d.returns(ctx, "Close", func() error { return l.client.Close(ctx) }); err != nil {
		d.w.complain("%s: close: %v", d, err)
	}
	if clean {
		saved = l.client.Position() // now that the last handler has returned
		l.settle()
	}
	text, err := saved.MarshalText()
	var p realtime.Position
	if err == nil {
		err = p.UnmarshalText(text)
	}
	if err != nil {
		d.w.complain("%s: position: %v", d, err)
	}
	d.w.sleep(d.dice.upTo(8 * time.Second))
	d.begin(&p)
}

// comeBack sees to it that the device is online at the end.
func (d *device) comeBack() {
	d.rt.Resume()
	for {
		if d.client().Err() != nil {
			d.restart("is not there at the end")
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), callTime)
		_, err := d.client().OnlineClients(ctx, d.id)
		cancel()
		if err == nil {
			return
		}
		time.Sleep(time.Second)
	}
}
