package chaos_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/leanrtm/realtime"
)

// checkReceived: the server knows of every member that it has received what
// others said last, and so may tell the senders.
func (w *world) checkReceived(t *truth) {
	if t.place.kind == realtime.KindChatRoom || t.place.churns {
		return
	}
	for _, d := range w.devices {
		if !slices.Contains(t.members, d.id) {
			continue
		}
		var newest *realtime.Message
		for _, m := range t.log {
			if m.From != d.id {
				newest = m
			}
		}
		if newest == nil {
			continue
		}
		reached := w.receipts(t.place, d.id)
		if reached[d.id].DeliveredAt.Before(newest.Timestamp) {
			w.complain("%s has received %s of %v in %s, and the server knows of %v", d.id, shown(newest),
				newest.Timestamp, t.place.name, reached[d.id].DeliveredAt)
		}
	}
}

// receipts are how far members have received and read, as the server tells
// somebody else than client.
func (w *world) receipts(p *place, client string) map[string]realtime.MemberReceipt {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	other := w.devices[slices.IndexFunc(w.devices, func(o *device) bool { return o.id != client && slices.Contains(p.members, o.id) })]
	conv, err := other.client().GetConversation(ctx, p.id)
	if err != nil {
		w.complain("%s: get %s: %v", other, p.name, err)
		return nil
	}
	all, err := conv.FetchMemberReceipts(ctx)
	if err != nil {
		w.complain("%s: receipts of %s: %v", other, p.name, err)
	}
	reached := make(map[string]realtime.MemberReceipt)
	for _, r := range all {
		reached[r.MemberID] = r
	}
	return reached
}

// checkReceipts: who sent a message with a receipt to one other member has been
// told that it was received, and knows how far the other has come.
func (w *world) checkReceipts(d *device, t *truth) {
	if !t.place.pair() {
		return
	}
	other := t.members[0]
	if other == d.id {
		other = t.members[1]
	}
	if !slices.Contains(t.members, d.id) {
		return
	}
	l := d.life()
	l.mu.Lock()
	defer l.mu.Unlock()
	var newest *realtime.Message
	w.mu.Lock()
	for _, s := range w.sends {
		if s.life != l || s.place != t.place || s.stored == nil || s.never || !s.asks {
			continue
		}
		if n := l.delivered[s.stored.ID]; n < 1 || n > s.calls { // each call of Send may tell
			w.wrong = append(w.wrong, fmt.Sprintf("%s: life %d was told %d times that %s of %v in %s was received", d, l.n, n, s.text, s.stored.Timestamp, t.place.name))
		}
		if newest == nil || s.stored.Timestamp.After(newest.Timestamp) {
			newest = s.stored
		}
	}
	w.mu.Unlock()
	if newest == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conv, err := d.client().GetConversation(ctx, t.place.id)
	if err != nil {
		w.complain("%s: get %s: %v", d, t.place.name, err)
		return
	}
	if at := conv.LastDeliveredAt(); at.Before(newest.Timestamp) {
		w.complain("%s: %s in %s shows as received up to %v, and is of %v", d, newest.Text(), t.place.name, at, newest.Timestamp)
	}
	read := w.receipts(t.place, other)[other].ReadAt
	switch at := conv.LastReadAt(); {
	case !read.Before(newest.Timestamp) && at.Before(newest.Timestamp):
		w.complain("%s: %s in %s shows as read up to %v, and is read up to %v", d, newest.Text(), t.place.name, at, read)
	case read.IsZero() && !at.IsZero():
		w.complain("%s: %s shows as read up to %v, and nothing is", d, t.place.name, at)
	}
}

// pair reports whether there always are two members, who get receipts.
func (p *place) pair() bool {
	return len(p.members) == 2 && !p.churns && p.kind != realtime.KindService
}
