package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/leanrtm/realtime"
)

// filling is how many messages or conversations are on their way at the same
// time while a run is prepared.
const filling = 64

// history measures History: each stream is a reader with a connection of its
// own, who reads everything, page after page.
func (r *run) history(ctx context.Context) error {
	readers, err := r.people.clients("reader", r.inFlight, r.inFlight)
	if err != nil {
		return err
	}
	writer, err := r.people.clients("writer", 1, 1)
	if err != nil {
		return err
	}
	r.settings.Messages, r.settings.Rounds, r.settings.Page, r.settings.Size = r.Messages, r.Rounds, r.Page, r.Size
	// Readers log in when everything is written, so that they are not told of it.
	if err := r.people.open(ctx, writer, r.tell("log in")); err != nil {
		return err
	}
	conv, err := r.create(ctx, writer[0], readersOf(r.Room, readers))
	if err != nil {
		return err
	}
	padding := fmt.Sprintf("%*s", r.Size, "")
	err = each(ctx, r.Messages, filling, r.tell("write"), func(ctx context.Context, i int) error {
		text := envelope{seq: int32(i)}.text(r.id, r.Size, padding)
		_, err := conv.Send(ctx, realtime.NewTextMessage(text), realtime.WithRetry())
		return err
	})
	if err != nil {
		return fmt.Errorf("write the history: %w", err)
	}
	if err := r.people.open(ctx, readers, r.tell("log in")); err != nil {
		return err
	}
	convs := make([]*realtime.Conversation, len(readers))
	for i, reader := range readers {
		if convs[i], err = reader.GetConversation(ctx, conv.ID()); err != nil {
			return fmt.Errorf("find the conversation: %w", err)
		}
	}
	return r.read(ctx, convs)
}

// readersOf are the members of the conversation; nobody has to be in a room to
// read what was said there.
func readersOf(room bool, readers []*realtime.IMClient) []*realtime.IMClient {
	if room {
		return nil
	}
	return readers
}

// read has each reader read everything as often as there are rounds.
func (r *run) read(ctx context.Context, convs []*realtime.Conversation) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	recorders := r.begin(namePages, nameMessages)
	tell := r.tell(string(r.Work))
	total := len(convs) * r.Rounds * r.Messages
	var told atomic.Int64
	// Each reader fails for itself: the others go on.
	_ = each(context.WithoutCancel(ctx), len(convs), len(convs), func(int, int) {}, func(_ context.Context, i int) error {
		for range r.Rounds {
			if err := r.readAll(ctx, convs[i], i, recorders, func(n int) { tell(int(told.Add(int64(n))), total) }); err != nil {
				if ctx.Err() == nil {
					r.fail(err)
				}
				return nil
			}
		}
		return nil
	})
	r.end()
	return nil
}

// readAll reads the history once and checks that it is all there.
func (r *run) readAll(ctx context.Context, conv *realtime.Conversation, reader int, recorders []*recorder, tell func(n int)) error {
	it := conv.MessageIterator(realtime.MessageQuery{Limit: r.Page})
	seen := make([]bool, r.Messages)
	missing := len(seen)
	var doubled, misordered int64
	newest := time.Time{} // of the page before
	for done := false; !done; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		begun := time.Now()
		var page []*realtime.Message
		err := r.bounded(ctx, func(ctx context.Context) (err error) {
			page, done, err = it.Next(ctx)
			return err
		})
		if err != nil {
			return fmt.Errorf("read the history: %w", err)
		}
		now := time.Now()
		recorders[0].record(reader, begun, now)
		for i, m := range page {
			recorders[1].record(reader, begun, now)
			e, ok := parseText(r.id, m.Text())
			if !ok || int(e.seq) >= len(seen) {
				return fmt.Errorf("the history has a message that nobody has written: %s", m.ID)
			}
			if seen[e.seq] {
				doubled++
				continue
			}
			seen[e.seq] = true
			missing--
			if i > 0 && m.Timestamp.Before(page[i-1].Timestamp) || !newest.IsZero() && m.Timestamp.After(newest) {
				misordered++
			}
		}
		if len(page) > 0 {
			newest = page[0].Timestamp
		}
		tell(len(page))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.check.Received += int64(r.Messages - missing)
	r.check.Lost += int64(missing)
	r.check.Doubled += doubled
	r.check.Misordered += misordered
	return nil
}

// Attributes of the conversations that are to be found.
const (
	attrRun    = "benchRun"
	attrNumber = "benchNumber"
)

// errFound is why a query was wrong.
var errFound = errors.New("a query has not found just what it had to")

// query measures Query: each finds the one conversation with some attributes,
// among as many as there are.
func (r *run) query(ctx context.Context) error {
	clients, err := r.people.clients("client", r.inFlight, r.inFlight)
	if err != nil {
		return err
	}
	r.settings.Conversations, r.settings.Page = r.Conversations, r.Page
	if err := r.people.open(ctx, clients, r.tell("log in")); err != nil {
		return err
	}
	ids := make([]string, r.Conversations)
	err = each(ctx, r.Conversations, filling, r.tell("create"), func(ctx context.Context, i int) error {
		conv, err := clients[i%len(clients)].CreateConversation(ctx, realtime.ConversationOptions{
			Members: []string{r.people.id("member", i)}, Name: "rtm bench", NotUnique: true,
			Attributes: map[string]any{attrRun: r.id, attrNumber: i},
		})
		if err == nil {
			ids[i] = conv.ID()
		}
		return err
	})
	for _, id := range ids {
		if id != "" {
			r.tidyUp(func(ctx context.Context) error { return r.Admin.Conversation(id).Delete(ctx) })
		}
	}
	if err != nil {
		return fmt.Errorf("create conversations: %w", err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	found := r.begin(nameQueries)[0]
	var right atomic.Int64
	r.workers(ctx, r.pace(r.Count), r.inFlight, found, string(r.Work), func(ctx context.Context, i int) error {
		want := spread(i, r.Conversations)
		got, err := clients[i%len(clients)].Query().EqualTo(attrRun, r.id).EqualTo(attrNumber, want).Limit(r.Page).Find(ctx)
		if err != nil {
			return err
		}
		if len(got) != 1 || got[0].ID() != ids[want] {
			return errFound
		}
		right.Add(1)
		return nil
	})
	r.end()
	r.check.Received = right.Load()
	return nil
}

// spread goes through n numbers in an order that is not that of their creation.
func spread(i, n int) int {
	const prime = 1_000_003 // more than n has no factor of it
	return int((int64(i) * prime) % int64(n))
}
