package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
)

// act is one thing that a user does.
func (d *device) act() {
	p := pick(d.dice, d.w.places)
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	l := d.life()
	conv, err := l.client.GetConversation(ctx, p.id)
	if err != nil {
		d.w.tell("%s: get %s: %v", d, p.name, err)
		return
	}
	switch n := d.dice.n(30); {
	case n < 10:
		d.send(l, p, conv)
	case n < 13:
		_ = conv.Read(ctx)
		d.w.tell("%s: reads %s", d, p.name)
	case n < 16:
		d.edit(ctx, p, conv)
	case n < 20:
		d.changeMembers(ctx)
	case n < 22:
		d.goIn(ctx, l)
	case n < 24:
		d.restart("by its user")
	case n < 26:
		d.w.tell("%s: pauses", d)
		d.rt.Pause()
		d.w.sleep(d.dice.upTo(10 * time.Second))
		d.rt.Resume()
		d.w.tell("%s: resumes", d)
	case n < 27:
		_ = d.rt.Retry()
	case n < 28:
		_ = l.client.MarkAllAsRead(ctx)
		d.w.tell("%s: reads all", d)
	default:
		d.ask(ctx, l, conv)
	}
}

// send sends something, in one of many ways.
func (d *device) send(l *life, p *place, conv *realtime.Conversation) {
	if p.kind == realtime.KindService {
		return // it speaks to the people, not they to it
	}
	d.mu.Lock()
	d.texts++
	text := fmt.Sprintf("%s#%d", d, d.texts)
	d.mu.Unlock()
	s := &sent{text: text, device: d, life: l, place: p}
	d.w.mu.Lock()
	d.w.sends[text] = s
	d.w.mu.Unlock()

	var opts []realtime.SendOption
	again, how := 1, "plainly"
	switch d.dice.n(6) {
	case 0, 1:
		opts, how = append(opts, realtime.WithRetry()), "with retry"
	case 2:
		opts, how = append(opts, realtime.WithDedupToken("token of "+text)), "with a token"
		again = 5
	case 3:
		opts, how = append(opts, realtime.WithDedupToken("token of "+text), realtime.WithRetry()), "with both"
		again = 3
	case 4:
		if d.dice.in(3) {
			opts, how = append(opts, realtime.WithTransient()), "transiently"
			s.never = true
		}
	}
	if d.dice.in(3) {
		opts = append(opts, realtime.WithReceipt())
		s.asks = true
		l.mu.Lock()
		l.holds = append(l.holds, conv)
		l.mu.Unlock()
	}
	if d.dice.in(4) {
		opts = append(opts, realtime.WithMention(pick(d.dice, d.w.devices).id))
	}
	for range again {
		ctx, cancel := context.WithTimeout(context.Background(), d.dice.between(2*time.Second, callTime))
		d.w.tell("%s: sends %s to %s %s", d, text, p.name, how)
		var m *realtime.Message
		err := d.returns(ctx, "Send", func() (err error) {
			m, err = conv.Send(ctx, realtime.NewTextMessage(text), opts...)
			return err
		})
		cancel()
		d.w.tell("%s: sending %s: %v", d, text, err)
		d.w.mu.Lock()
		s.calls++
		switch {
		case err == nil:
			s.stored = m
		case errors.Is(err, realtime.ErrOutcomeUnknown):
			s.unknown = true
		default:
			s.refused = err
		}
		d.w.mu.Unlock()
		if !errors.Is(err, realtime.ErrOutcomeUnknown) || !realtime.SafeToRetry(err) {
			break
		}
		d.w.sleep(d.dice.upTo(2 * time.Second))
		if l.client.Err() != nil {
			break // another life has another client, and other conversations
		}
	}
	d.w.mu.Lock()
	s.done = true
	d.w.mu.Unlock()
	if s.stored != nil {
		l.mu.Lock()
		l.note(s.stored)
		l.mu.Unlock()
	}
}

// edit edits or recalls an own message.
func (d *device) edit(ctx context.Context, p *place, conv *realtime.Conversation) {
	var of []*realtime.Message
	d.w.mu.Lock()
	for i := 1; i <= d.texts; i++ {
		if s := d.w.sends[fmt.Sprintf("%s#%d", d, i)]; s.done && s.stored != nil && !s.never && s.place == p {
			of = append(of, s.stored)
		}
	}
	d.w.mu.Unlock()
	if len(of) == 0 {
		return
	}
	m := pick(d.dice, of)
	d.mu.Lock()
	d.texts++
	text := fmt.Sprintf("%s#%d", d, d.texts)
	d.mu.Unlock()
	d.w.mu.Lock()
	d.w.sends[text] = &sent{text: text, never: true, done: true}
	d.w.mu.Unlock()
	l := d.life()
	var out *realtime.Message
	var err error
	if d.dice.in(4) {
		text = "(recalled)"
		err = d.returns(ctx, "Recall", func() (err error) { out, err = conv.Recall(ctx, m); return err })
	} else {
		err = d.returns(ctx, "Update", func() (err error) {
			out, err = conv.Update(ctx, m, realtime.NewTextMessage(text))
			return err
		})
	}
	d.w.tell("%s: edits %s of %s to %s: %v", d, m.ID, p.name, text, err)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.note(out)
	case errors.Is(err, realtime.ErrOutcomeUnknown):
		l.unsure[m.ID] = true
	}
}

// changeMembers adds or removes somebody where members come and go.
func (d *device) changeMembers(ctx context.Context) {
	p := d.w.named("churn")
	conv, err := d.client().GetConversation(ctx, p.id)
	if err != nil {
		return
	}
	who := pick(d.dice, d.w.devices).id
	if d.dice.in(2) {
		err = d.returns(ctx, "Add", func() error { return conv.Add(ctx, who) })
		d.w.tell("%s: adds %s to churn: %v", d, who, err)
		return
	}
	if who == p.creator {
		return // who owns it cannot go
	}
	err = d.returns(ctx, "Remove", func() error { return conv.Remove(ctx, who) })
	d.w.tell("%s: removes %s from churn: %v", d, who, err)
}

// goIn enters the chat room.
func (d *device) goIn(ctx context.Context, l *life) {
	conv, err := l.client.GetConversation(ctx, d.w.named("room").id)
	if err != nil {
		return
	}
	err = d.returns(ctx, "Join", func() error { return conv.Join(ctx) })
	d.w.tell("%s: enters the room: %v", d, err)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil && l.entered.IsZero() {
		l.entered = time.Now()
	}
}

// ask asks the server for something.
func (d *device) ask(ctx context.Context, l *life, conv *realtime.Conversation) {
	var what string
	var err error
	switch d.dice.n(5) {
	case 0:
		what = "history"
		err = d.returns(ctx, what, func() error {
			_, err := conv.QueryMessages(ctx, realtime.MessageQuery{Limit: 10})
			return err
		})
	case 1:
		what = "conversations"
		err = d.returns(ctx, what, func() error {
			_, err := l.client.Query().ContainsMembers(d.id).Find(ctx)
			return err
		})
	case 2:
		what = "fetch"
		err = d.returns(ctx, what, func() error { return conv.Fetch(ctx) })
	case 3:
		what = "receipts"
		err = d.returns(ctx, what, func() error { return conv.FetchReceiptTimestamps(ctx) })
	case 4:
		what = "online"
		err = d.returns(ctx, what, func() error {
			_, err := l.client.OnlineClients(ctx, "Tom", "Jerry")
			return err
		})
	}
	d.w.tell("%s: asks for %s: %v", d, what, err)
}

// broadcast is what the administrator does until the chaos is over.
func (w *world) broadcast() {
	d := newDice(w.seed, 3)
	for n := 0; ; n++ {
		w.sleep(d.between(2*time.Second, 20*time.Second))
		if w.over() {
			return
		}
		w.mu.Lock()
		away := w.darkness > 0
		w.mu.Unlock()
		if away {
			continue // it is not about this client
		}
		ctx, cancel := context.WithTimeout(context.Background(), callTime)
		text := fmt.Sprintf("news %d", n)
		s := &sent{text: text, place: w.named("service")}
		w.mu.Lock()
		w.sends[text] = s
		w.mu.Unlock()
		content := realtime.NewTextMessage(text)
		var m *realtime.Message
		var err error
		if d.in(3) {
			m, err = w.service.SendTo(ctx, []string{pick(d, w.devices).id}, admin.Message{From: "boss", Content: content})
		} else {
			m, err = w.service.BroadcastToSubscribers(ctx, admin.Broadcast{From: "boss", Content: content})
		}
		cancel()
		w.tell("boss: %s: %v", text, err)
		w.mu.Lock()
		s.done, s.stored, s.unknown = true, m, err != nil
		w.mu.Unlock()
	}
}
