package realtime

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/leanrtm/realtime/internal/mutant"
)

// Sends whose outcome is in doubt: the server may have the message, but no
// answer came. They are not news when they show up, in the history that
// recovery fetches or, if the server was slow, as a push to the next session.
//
//	in flight ──answer──> settled
//	    │ no answer                   ┌──shows up──> told to be sent, by its token
//	    └──────────> ended, in doubt ─┤
//	                                  └──a recovery ends without it──> forgotten
//
// Neither history nor pushes name the token of a send, so a message is known
// again by conversation, sender and content. Two sends of one content are
// alike: what shows up counts for one that is still in flight first, since its
// answer may tell otherwise, and is passed on when it does. So every message is
// told once, be it as sent or as news.

// doubt is a send that ended without an answer.
type doubt struct {
	*sending
	until time.Time // zero: no recovery has ended since
}

const (
	// maxDoubts is how many sends in doubt are remembered. What was sent before
	// those is told as if another device had.
	maxDoubts = 256
	// lateDoubt is how long after a recovery a message that it did not find may
	// still appear.
	lateDoubt = time.Minute
)

// is reports whether m is what this send has sent.
func (s *sending) is(m *Message) bool {
	return s.conv.id == m.ConversationID && s.payload.equal(m.payload)
}

// claim finds the send that a message of this client, which nobody has told
// yet, is of. fetched: it comes from the history; pushes come only of sends in
// doubt. claimed with of nil: that send is in flight, and will see to it, or it
// has been told.
func (s *clientSync) claim(m *Message, fetched bool) (of *sending, claimed bool) {
	if m.From != s.client.ID() {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent.has(s.hash(m.ID)) {
		return nil, true
	}
	for out := range s.sending {
		if out.found == nil && (fetched || out.inDoubt) && out.is(m) {
			out.found, out.foundAway = m, fetched
			s.sent.add(s.hash(m.ID))
			return nil, true
		}
	}
	of = s.takeDoubt(m)
	return of, of != nil
}

// takeDoubt removes the oldest send in doubt that m is of, with mu held; nil:
// there is none.
func (s *clientSync) takeDoubt(m *Message) *sending {
	if len(s.doubts) == 0 {
		return nil
	}
	now := time.Now()
	s.doubts = slices.DeleteFunc(s.doubts, func(d doubt) bool { return !d.until.IsZero() && now.After(d.until) })
	for i, d := range s.doubts {
		if d.is(m) {
			s.doubts = slices.Delete(s.doubts, i, i+1)
			s.sent.add(s.hash(m.ID))
			return d.sending
		}
	}
	return nil
}

// doubtful notes that an attempt of a send that goes on may have got through.
func (s *clientSync) doubtful(m *sending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.inDoubt = true
}

// endDoubts lets the sends in doubt be forgotten, now that a recovery has
// looked for them; with mu held.
func (s *clientSync) endDoubts() {
	until := time.Now().Add(lateDoubt)
	for i := range s.doubts {
		if s.doubts[i].until.IsZero() {
			s.doubts[i].until = until
		}
	}
}

// settle ends what begin began. got is the message if it was accepted, err why
// not. found is a message that was taken for it meanwhile and is still to be
// told: as the message of the send of, or if that is nil as news.
func (s *clientSync) settle(m *sending, got *Message, err error) (found *Message, of *sending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil || !mutant.On(mutant.KeepsSends) {
		delete(s.sending, m)
	}
	s.settleReceipt(m)
	found = m.found
	switch {
	case got != nil && (found == nil || found.ID == got.ID):
		if m.opts.hasToken { // what an earlier call with the token was in doubt of
			s.doubts = slices.DeleteFunc(s.doubts, func(d doubt) bool { return d.opts.token == m.opts.token })
		}
		return nil, nil
	case got == nil && errors.Is(err, ErrOutcomeUnknown):
		if found != nil {
			return found, m
		}
		if len(s.doubts) == maxDoubts {
			s.doubts = slices.Delete(s.doubts, 0, 1)
		}
		s.doubts = append(s.doubts, doubt{sending: m})
		return nil, nil
	case found == nil || s.handOver(m, got):
		return nil, nil
	}
	return found, s.takeDoubt(found)
}

// handOver gives what was taken for the message of m, wrongly, to another send
// in flight of the same content, if there is one; with mu held.
func (s *clientSync) handOver(m *sending, got *Message) bool {
	var free *sending
	for out := range s.sending {
		switch {
		case !out.is(m.found):
		case out.found != nil && got != nil && out.found.ID == got.ID: // the two were mixed up
			out.found, out.foundAway = m.found, m.foundAway
			return true
		case out.found == nil && (m.foundAway || out.inDoubt):
			free = out
		}
	}
	if free != nil {
		free.found, free.foundAway = m.found, m.foundAway
	}
	return free != nil
}

// ended settles a send whose listeners know how it has ended.
func (s *sending) ended(got *Message, err error) {
	c := s.conv.client
	found, of := c.sync.settle(s, got, err)
	switch {
	case found == nil:
	case of != nil:
		of.turnedOut(found)
	default:
		c.enqueue(job{call: func(context.Context) { c.deliverOwn(s.conv, found, s.foundAway) }})
	}
}

// turnedOut tells that a send which ended in doubt has been stored as m.
func (s *sending) turnedOut(m *Message) {
	c := s.conv.client
	s.conv.update(func(state *convState) { state.sawMessage(m) })
	c.sync.saw(m.ConversationID, m.point(), true, false)
	c.emit(&MessageStatusEvent{Conversation: s.conv, Message: m, Token: s.opts.token})
	if !s.opts.has(sendReceipt) || m.Status == StatusDelivered {
		return
	}
	c.awaitReceipt(s.conv, sentMessage{m, s.opts.token})
}

// deliverOwn makes news of a message of this client that was taken for another
// one. It runs on the processing goroutine.
func (c *IMClient) deliverOwn(conv *Conversation, m *Message, fetched bool) {
	at := m.point()
	c.sync.recovered(conv.id, at, m.UpdatedAt)
	d := &delivered{client: c, message: *m, at: at, stored: true}
	d.event.Recovered = fetched
	c.deliver(conv, d, false)
}
