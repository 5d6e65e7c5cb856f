package chaos_test

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
)

// blurred is how near to a change of members a message may be said either way:
// messages that are said in a burst get times that run ahead of the clock, and
// the hook is told a moment after the change.
const blurred = 50 * time.Millisecond

// truth is what the server has of one conversation.
type truth struct {
	place   *place
	log     []*realtime.Message // oldest first
	index   map[string]int      // by id, in log
	members []string
}

// check compares what everybody was told with what the server has.
func (w *world) check() {
	for _, p := range w.places {
		if p.kind == realtime.KindService {
			w.checkService(p)
			continue
		}
		t := w.truthOf(p)
		w.checkSends(t)
		for _, d := range w.devices {
			w.checkHeard(d, t)
			w.checkSeen(d, t)
			w.checkState(d, t)
			w.checkReceipts(d, t)
		}
		w.checkReceived(t)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.sends {
		if !s.done {
			w.wrong = append(w.wrong, s.text+": Send has not come back")
		}
	}
}

// truthOf reads a conversation by the administrator's eyes.
func (w *world) truthOf(p *place) *truth {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	t := &truth{place: p, index: make(map[string]int)}
	q := realtime.MessageQuery{Direction: realtime.OldToNew, Limit: 1000}
	if p.kind == realtime.KindChatRoom {
		t.add(w, w.god.ChatRoom(p.id).Messages(ctx, q))
		return t
	}
	conv := w.god.Conversation(p.id)
	t.add(w, conv.Messages(ctx, q))
	if p.kind == realtime.KindTemporary {
		t.members = p.members // REST does not show them, and they do not change
		return t
	}
	info, err := conv.Fetch(ctx)
	if err != nil {
		w.complain("the members of %s: %v", p.name, err)
	}
	t.members = info.Members
	return t
}

func (t *truth) add(w *world, messages iter.Seq2[admin.StoredMessage, error]) {
	for m, err := range messages {
		if err != nil {
			w.complain("the history of %s: %v", t.place.name, err)
			return
		}
		t.index[m.Message.ID] = len(t.log)
		t.log = append(t.log, m.Message)
	}
}

// checkSends: what callers of Send were told is what is stored.
func (w *world) checkSends(t *truth) {
	w.mu.Lock()
	sends := make([]*sent, 0, len(w.sends))
	for _, s := range w.sends {
		if s.place == t.place {
			sends = append(sends, s)
		}
	}
	w.mu.Unlock()
	slices.SortFunc(sends, func(a, b *sent) int { return strings.Compare(a.text, b.text) })
	origin := w.originals(t)
	for _, s := range sends {
		var stored []*realtime.Message
		for _, m := range t.log {
			if origin[m.ID] == s.text {
				stored = append(stored, m)
			}
		}
		switch {
		case s.never && len(stored) > 0:
			w.complain("%s is transient, and stored", s.text)
		case len(stored) > 1:
			w.complain("%s is stored %d times in %s", s.text, len(stored), t.place.name)
		case s.never:
		case s.stored != nil && len(stored) == 0:
			w.complain("%s was reported stored in %s and is not", s.text, t.place.name)
		case s.stored != nil && (stored[0].ID != s.stored.ID || !stored[0].Timestamp.Equal(s.stored.Timestamp)):
			w.complain("%s was reported stored as %s at %v, and is %s at %v", s.text,
				s.stored.ID, s.stored.Timestamp, stored[0].ID, stored[0].Timestamp)
		case s.stored == nil && !s.unknown && len(stored) > 0:
			w.complain("%s was reported not to be stored, and is: %v", s.text, s.refused)
		}
	}
}

// originals are the texts that messages had before they were edited: by who said
// them, or by what was first heard of them.
func (w *world) originals(t *truth) map[string]string {
	texts := make(map[string]string, len(t.log))
	for _, m := range t.log {
		if m.UpdatedAt.IsZero() {
			texts[m.ID] = m.Text()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.sends {
		if s.stored != nil {
			texts[s.stored.ID] = s.text
		}
	}
	return texts
}

// span is a time of membership. An open one has no end.
type span struct {
	from, to time.Time
	open     bool
}

// surely tells that a client was a member at a time, maybe that it may have been.
func (s span) surely(at time.Time) bool {
	return at.After(s.from.Add(blurred)) && (s.open || at.Before(s.to.Add(-blurred)))
}

func (s span) maybe(at time.Time) bool {
	return at.After(s.from.Add(-blurred)) && (s.open || at.Before(s.to.Add(blurred)))
}

// memberships are the times in which a client was a member.
func (w *world) memberships(p *place, client string) []span {
	w.mu.Lock()
	defer w.mu.Unlock()
	var spans []span
	if slices.Contains(p.members, client) {
		spans = append(spans, span{open: true})
	}
	for _, m := range w.members {
		if m.place != p.id || m.client != client {
			continue
		}
		n := len(spans)
		switch member := n > 0 && spans[n-1].open; {
		case m.in && !member:
			spans = append(spans, span{from: m.at, open: true})
		case !m.in && member:
			spans[n-1].open, spans[n-1].to = false, m.at
		}
	}
	return spans
}

// checkHeard: a device has been told every message once, in order.
func (w *world) checkHeard(d *device, t *truth) {
	spans := w.memberships(t.place, d.id)
	covered := make([]bool, len(t.log))
	sure := make(map[string]bool) // by id: handled by lives before
	for _, l := range d.lives {
		l.mu.Lock()
		begun := -1
		for _, h := range l.heard {
			if h.place != t.place.id {
				continue
			}
			i, stored := t.index[h.id]
			switch {
			case !stored:
				w.complain("%s: life %d heard %s (%s) in %s, which is not stored there", d, l.n, h.text, h.id, t.place.name)
				continue
			case i == begun:
				w.complain("%s: life %d heard %s in %s twice", d, l.n, h.text, t.place.name)
			case i < begun && covered[i]:
				w.complain("%s: life %d heard %s in %s again", d, l.n, h.text, t.place.name)
			case i < begun:
				w.complain("%s: life %d heard %s in %s after %s", d, l.n, h.text, t.place.name, t.log[begun].Text())
			case sure[h.id]:
				w.complain("%s: life %d heard %s in %s, which a life before had handled", d, l.n, h.text, t.place.name)
			}
			w.checkOwn(d, l, t, &h)
			if t.place.kind != realtime.KindChatRoom && !slices.ContainsFunc(spans, func(s span) bool { return s.maybe(h.at) }) {
				w.complain("%s: life %d heard %s in %s, said at %v when it was no member", d, l.n, h.text, t.place.name, h.at)
			}
			begun = max(begun, i)
			covered[i] = true
		}
		for id, handled := range l.sure {
			sure[id] = sure[id] || handled
		}
		l.mu.Unlock()
	}
	if t.place.kind == realtime.KindChatRoom {
		w.checkRoom(d, t)
		return
	}
	opened := d.lives[0].opened.Add(blurred)
	for _, s := range spans {
		newest := -1 // heard in this time of membership
		for i, m := range t.log {
			if covered[i] && s.maybe(m.Timestamp) {
				newest = i
			}
		}
		for i, m := range t.log {
			if covered[i] || !s.surely(m.Timestamp) || m.Timestamp.Before(opened) || w.isOwn(d, m) {
				continue
			}
			// Who was away when it was removed, and is no member any more, cannot ask.
			if s.open || i < newest || slices.Contains(t.members, d.id) {
				w.complain("%s was never told %s of %v in %s, a member again: %v", d, m.Text(), m.Timestamp, t.place.name, !s.open)
			}
		}
	}
}

// checkRoom: a life that has entered the room has been told everything since, up
// to what it heard last, or to the end if it is there. That holds until the server
// may have forgotten that it is in the room; and the next life does not know of it.
func (w *world) checkRoom(d *device, t *truth) {
	for n, l := range d.lives {
		l.mu.Lock()
		entered, forgotten := l.entered, l.forgotten
		known, newest := make(map[string]bool), -1
		for _, h := range l.heard {
			if i, stored := t.index[h.id]; stored && (forgotten.IsZero() || h.when.Before(forgotten)) {
				known[h.id], newest = true, max(newest, i)
			}
		}
		l.mu.Unlock()
		if entered.IsZero() {
			continue
		}
		if n == len(d.lives)-1 && forgotten.IsZero() {
			newest = len(t.log)
		}
		for i, m := range t.log {
			if i < newest && m.Timestamp.After(entered.Add(blurred)) && !known[m.ID] && !w.isOwn(d, m) {
				w.complain("%s: life %d, in the room since %v, was never told %s of %v", d, l.n, entered, m.Text(), m.Timestamp)
			}
		}
	}
}

// isOwn tells whether this device sent a message.
func (w *world) isOwn(d *device, m *realtime.Message) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.sends {
		if s.stored != nil && s.stored.ID == m.ID {
			return s.device == d
		}
	}
	if m.From != d.id {
		return false
	}
	s := w.sends[m.Text()]
	return s == nil || s.device == d // s is nil if it was edited by whom its sender does not know to have sent it
}

// checkOwn: of what it sent itself a life is told only what it does not know to
// be stored.
func (w *world) checkOwn(d *device, l *life, t *truth, h *heard) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.sends[h.text]
	if s == nil || s.device != d || s.life != l {
		return
	}
	if s.stored != nil && !s.unknown {
		w.wrong = append(w.wrong, d.name+": heard its own "+h.text+" in "+t.place.name)
	}
}

// checkSeen: the newest form that a device knows of a message is the stored one.
func (w *world) checkSeen(d *device, t *truth) {
	if t.place.kind == realtime.KindChatRoom {
		return // nobody is told of edits that were made while he was not there
	}
	spans := w.memberships(t.place, d.id)
	member := func(at time.Time) bool { // since then
		return slices.ContainsFunc(spans, func(s span) bool { return s.open && s.surely(at) })
	}
	lives := d.lives
	l := lives[len(lives)-1]
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range t.log {
		have, known := l.seen[m.ID]
		if t.place.churns && !member(m.UpdatedAt) {
			continue
		}
		if known && !l.unsure[m.ID] && have.text != shown(m) {
			w.complain("%s: life %d knows %s in %s as %q of %v, stored is %q of %v", d, l.n, m.ID, t.place.name,
				have.text, have.at, shown(m), m.UpdatedAt)
		}
	}
}

// checkState: members and counts are those of the server.
func (w *world) checkState(d *device, t *truth) {
	if t.place.kind == realtime.KindChatRoom || !slices.Contains(t.members, d.id) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conv, err := d.client().GetConversation(ctx, t.place.id)
	if err != nil {
		w.complain("%s: get %s: %v", d, t.place.name, err)
		return
	}
	want, have := slices.Sorted(slices.Values(t.members)), slices.Sorted(slices.Values(conv.Members()))
	if !slices.Equal(want, have) {
		w.complain("%s: members of %s are %v, not %v", d, t.place.name, want, have)
	}
	w.checkUnread(ctx, d, t.place, conv)
}

func (w *world) checkUnread(ctx context.Context, d *device, p *place, conv *realtime.Conversation) {
	n, err := w.god.IMClient(d.id).UnreadCount(ctx, p.id)
	if err != nil {
		w.complain("%s: unread count of %s: %v", d, p.name, err)
	}
	if have := conv.UnreadMessagesCount(); have != n {
		w.complain("%s: shows %d unread messages in %s, the server says %d", d, have, p.name, n)
	}
}

// checkService: every subscriber has been told what was said to it.
func (w *world) checkService(p *place) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, d := range w.devices {
		t := &truth{place: p, index: make(map[string]int)}
		t.add(w, w.service.MessagesOf(ctx, d.id, realtime.MessageQuery{Direction: realtime.OldToNew, Limit: 1000}))
		w.checkHeard(d, t)
		conv, err := d.client().GetConversation(ctx, p.id)
		if err != nil {
			w.complain("%s: get %s: %v", d, p.name, err)
			continue
		}
		w.checkUnread(ctx, d, p, conv)
	}
}
